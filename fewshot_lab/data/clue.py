"""Chinese texts of CLUE and FewCLUE (Xu et al. 2020, COLING; 2021, arXiv 2107.07498): files with one JSON object a line.

Classification (TNEWS and others): {"label": "108", "label_desc": "news_edu", "sentence": "..."}. Entities (CLUENER, Xu et al.
2020, arXiv 2001.04351): {"text": "...", "label": {"company": {"江南银行": [[0, 3]]}}}, where ranges count characters and
include the last.
"""

from collections.abc import Iterator
from pathlib import Path

from ..errors import CourseError
from .conll import Sentence, Span, bio
from .own_tables import json_lines


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
        try:
            entities = list(spans_of(label, text))
        except ValueError as error:
            raise _error(path, number, str(error)) from error
        # BIO cannot nest: of entities that overlap, the first to begin is kept, and of two that begin together the longer.
        entities.sort(key=lambda span: (span[1], -span[2]))
        kept = [e for i, e in enumerate(entities) if all(e[1] >= before[2] for before in entities[:i])]
        sentences.append(Sentence(tuple(text), bio(kept, len(text))))
    return tuple(sentences)


def spans_of(label: dict, text: str) -> Iterator[Span]:
    """The entities of CLUENER's "label" as (type, first character, behind the last); raises ValueError, with what is wrong."""
    for kind, mentions in label.items():
        if not isinstance(mentions, dict):
            raise ValueError(
                f'the entities of "label" are written {{type: {{text: [[first, last]]}}}}, and {kind!r} has no texts'
            )
        for mention, ranges in mentions.items():
            for one in ranges if isinstance(ranges, list) else [ranges]:
                if not isinstance(one, list) or len(one) != 2 or not all(isinstance(place, int) for place in one):
                    raise ValueError(f"{mention!r} needs the numbers of its first and last character, [[first, last]]")
                first, last = one
                there = text[first : last + 1] if first >= 0 else ""  # a number below 0 would count from the end
                if there != mention:
                    raise ValueError(f"characters {first} to {last} are {there!r}, not {mention!r}")
                yield kind, first, last + 1


def _rows(path: Path) -> Iterator[tuple[int, dict]]:
    """(line number, object) of every line that is not empty."""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"Cannot read {path}: {error}. Give the path of a JSON-lines file in UTF-8.") from error
    for number, row in json_lines(text, str(path)):
        if not isinstance(row, dict):
            raise _error(path, number, "a JSON object {...} is needed")
        yield number, row


def _error(path: str | Path, number: int, what: str) -> CourseError:
    return CourseError(f"{path}, line {number}: {what}.")
