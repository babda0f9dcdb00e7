"""Chinese texts of CLUE and FewCLUE (Xu et al. 2020, COLING; 2021, arXiv 2107.07498): files with one JSON object a line.

Classification (TNEWS and others): {"label": "108", "label_desc": "news_edu", "sentence": "..."}. Entities (CLUENER, Xu et al.
2020, arXiv 2001.04351): {"text": "...", "label": {"company": {"江南银行": [[0, 3]]}}}, where places count characters and
include the last.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from ..errors import CourseError
from .conll import Sentence, bio


def read_texts(path: str | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences and their labels' names (label_desc, else label); raises CourseError with the line of what is wrong."""
    texts, labels = [], []
    for number, row in _rows(Path(path)):
        sentence, label = row.get("sentence"), row.get("label_desc", row.get("label"))
        if not isinstance(sentence, str) or not isinstance(label, str | int):
            raise _trouble(
                path, number, f'"sentence" and "label_desc" or "label" are needed, there are {", ".join(row) or "no keys"}'
            )
        texts.append(sentence)
        labels.append(str(label))
    return tuple(texts), tuple(labels)


def read_entities(path: str | Path) -> tuple[Sentence, ...]:
    """CLUENER's texts, one "word" a character, with BIO tags; raises CourseError with the line of what is wrong."""
    sentences = []
    for number, row in _rows(Path(path)):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or not isinstance(label, dict):
            raise _trouble(path, number, f'"text" and "label" are needed, there are {", ".join(row) or "no keys"}')
        entities = []
        for kind, mentions in label.items():
            for mention, places in mentions.items():
                for first, last in places:
                    if text[first : last + 1] != mention:
                        raise _trouble(
                            path, number, f"characters {first} to {last} are {text[first : last + 1]!r}, not {mention!r}"
                        )
                    entities.append((kind, first, last + 1))
        entities.sort(key=lambda span: (span[1], -span[2]))
        apart = [e for i, e in enumerate(entities) if all(e[1] >= before[2] for before in entities[:i])]  # BIO cannot nest
        sentences.append(Sentence(tuple(text), bio(apart, len(text))))
    return tuple(sentences)


def _rows(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        lines = path.expanduser().read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"Cannot read {path}: {error}. Give the path of a JSON-lines file in UTF-8.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _trouble(path, number, f"this is no JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise _trouble(path, number, "a JSON object {...} is needed")
        yield number, row


def _trouble(path: str | Path, number: int, what: str) -> CourseError:
    return CourseError(f"{path}, line {number}: {what}.")
