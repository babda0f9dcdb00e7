"""Chinese texts of CLUE and FewCLUE (Xu et al. 2020, COLING; 2021, arXiv 2107.07498): files with one JSON object a line.

Classification (TNEWS and others): {"label": "108", "label_desc": "news_edu", "sentence": "..."}. Entities (CLUENER, Xu et al.
2020, arXiv 2001.04351): {"text": "...", "label": {"company": {"江南银行": [[0, 3]]}}}, where ranges count characters and
include the last.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from ..errors import CourseError
from .conll import Sentence, bio


def read_texts(path: str | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences and the names of their labels (label_desc, else label).

    Raises CourseError with the number of the line that is wrong.
    """
    texts, labels = [], []
    for number, row in _rows(Path(path)):
        sentence, label = row.get("sentence"), row.get("label_desc", row.get("label"))
        if not isinstance(sentence, str) or not isinstance(label, str | int):
            raise _error(
                path, number, f'"sentence" and "label_desc" or "label" are needed, there are {", ".join(row) or "no keys"}'
            )
        texts.append(sentence)
        labels.append(str(label))
    return tuple(texts), tuple(labels)


def read_entities(path: str | Path) -> tuple[Sentence, ...]:
    """CLUENER's texts with BIO tags, every character a "word"; raises CourseError with the number of the line that is wrong."""
    sentences = []
    for number, row in _rows(Path(path)):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or not isinstance(label, dict):
            raise _error(path, number, f'"text" and "label" are needed, there are {", ".join(row) or "no keys"}')
        entities = []
        for kind, mentions in label.items():
            for mention, ranges in mentions.items():
                for first, last in ranges:
                    if text[first : last + 1] != mention:
                        raise _error(
                            path, number, f"characters {first} to {last} are {text[first : last + 1]!r}, not {mention!r}"
                        )
                    entities.append((kind, first, last + 1))
        # BIO cannot nest: of entities that overlap, the first to begin is kept, and of two that begin together the longer.
        entities.sort(key=lambda span: (span[1], -span[2]))
        kept = [e for i, e in enumerate(entities) if all(e[1] >= before[2] for before in entities[:i])]
        sentences.append(Sentence(tuple(text), bio(kept, len(text))))
    return tuple(sentences)


def _rows(path: Path) -> Iterator[tuple[int, dict]]:
    """(line number, object) of every line that is not empty."""
    try:
        # Split at "\n" alone: splitlines() would also cut at line separators inside of a JSON string.
        lines = path.expanduser().read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"Cannot read {path}: {error}. Give the path of a JSON-lines file in UTF-8.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _error(path, number, f"this is no JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise _error(path, number, "a JSON object {...} is needed")
        yield number, row


def _error(path: str | Path, number: int, what: str) -> CourseError:
    return CourseError(f"{path}, line {number}: {what}.")
