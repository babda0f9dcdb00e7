"""Chinese texts of CLUE and FewCLUE (Xu et al. 2020, COLING; 2021, arXiv 2107.07498): files with one JSON object a line.

Classification (TNEWS and others): {"label": "108", "label_desc": "news_edu", "sentence": "..."}; IFLYTEK calls the label's name
"label_des", CSLDCP the text "content". Entities (CLUENER, Xu et al. 2020, arXiv 2001.04351): {"text": "...", "label":
{"company": {"江南银行": [[0, 3]]}}}, where ranges count characters and include the last.
"""

from collections.abc import Iterator
from pathlib import Path

from ..errors import CourseError
from ..languages import say
from .conll import Sentence, Span, bio
from .own_tables import json_lines

TEXTS, LABELS = ("sentence", "content", "text"), ("label_desc", "label_des", "label")  # keys, in the order in which they count
UNDECIDED = "-"  # the label of a text whose annotators did not agree


def read_texts(path: str | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences and the names of their labels (label_desc or label_des, else label), without those that are undecided.

    Raises CourseError with the number of the line that is wrong, and for a file without a text.
    """
    texts, labels = [], []
    for number, row in _rows(Path(path)):
        text = next((row[key] for key in TEXTS if isinstance(row.get(key), str)), None)
        label = next((row[key] for key in LABELS if row.get(key) is not None), None)
        if text is None or not isinstance(label, str | int):
            there = ", ".join(row) or say("no keys")
            what = say('"sentence" and "label_desc" or "label" are needed, there are {there}', there=there)
            raise _error(path, number, what)
        if label != UNDECIDED:
            texts.append(text)
            labels.append(str(label))
    if not texts:
        raise CourseError(say("{path} holds no text with a label. Write one JSON object a line, with both in each.", path=path))
    return tuple(texts), tuple(labels)


def read_entities(path: str | Path) -> tuple[Sentence, ...]:
    """CLUENER's texts with BIO tags, every character a "word".

    Prints how many entities overlap another, which BIO cannot write. Raises CourseError with the number of the line that is
    wrong, and for a file without a text.
    """
    sentences, overlapping = [], 0
    for number, row in _rows(Path(path)):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or not isinstance(label, dict):
            there = ", ".join(row) or say("no keys")
            raise _error(path, number, say('"text" and "label" are needed, there are {there}', there=there))
        try:
            entities = list(spans_of(label, text))
        except ValueError as error:
            raise _error(path, number, str(error)) from error
        # BIO cannot nest: of entities that overlap, the first to begin is kept, and of two that begin together the longer.
        entities.sort(key=lambda span: (span[1], -span[2]))
        kept: list[Span] = []
        for entity in dict.fromkeys(entities):
            if not kept or entity[1] >= kept[-1][2]:
                kept.append(entity)
            else:
                overlapping += 1
        sentences.append(Sentence(tuple(text), bio(kept, len(text))))
    if not sentences:
        raise CourseError(
            say("{path} holds no text. Write one JSON object a line, with a text and its entities in each.", path=path)
        )
    if overlapping:
        print(say("Left out of {path}, since they overlap another entity: {count}.", path=path, count=overlapping))
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
                if not 0 <= first <= last < len(text):
                    raise ValueError(
                        f"characters {first} to {last} of {mention!r} are not in the text, which has {len(text)}; ranges count "
                        "from 0 and include the last"
                    )
                there = text[first : last + 1]
                if there != mention:
                    raise ValueError(f"characters {first} to {last} are {there!r}, not {mention!r}")
                yield kind, first, last + 1


def _rows(path: Path) -> Iterator[tuple[int, dict]]:
    """(line number, object) of every line that is not empty."""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(
            say("Cannot read {path}: {error}. Give the path of a JSON-lines file in UTF-8.", path=path, error=error)
        ) from error
    for number, row in json_lines(text, str(path)):
        if not isinstance(row, dict):
            raise _error(path, number, say("a JSON object {...} is needed"))
        yield number, row


def _error(path: str | Path, number: int, what: str) -> CourseError:
    return CourseError(say("{path}, line {number}: {what}.", path=path, number=number, what=what))
