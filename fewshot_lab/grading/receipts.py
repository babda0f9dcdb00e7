"""The receipt inside a hand-in file: who handed in which notebooks and when, with their checksums.

A hand-in is a zip with receipt.json and the notebooks that it names. What it says is the learner's word: the name and the time
are only as good as the way by which the file came (a platform's folder, the owner of a file on a hub).
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from ..languages import say

RECEIPT = "receipt.json"
FORMAT = 1
LARGEST_RECEIPT = 2**20  # bytes


@dataclass(frozen=True)
class Received:
    """One notebook of a receipt: file name, chapter, sha256; which questions are answered, and which are not."""

    file: str
    chapter: str
    sha256: str
    answered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """student: the name that the learner gave. handed_in: when, in UTC (ISO format). course: the version of the course."""

    student: str
    handed_in: str
    notebooks: tuple[Received, ...]
    course: str = ""

    def as_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def now() -> str:
    """The time in UTC, to the second, in ISO format."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime | None:
    """The time that an ISO text gives, UTC where it says no zone; None where it gives none."""
    try:
        read = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def read_receipt(content: bytes) -> Receipt:
    """The receipt in a file's bytes; raises ValueError, with the reason, for what is none."""
    try:
        tree = json.loads(content)
        if tree["format"] != FORMAT:
            formats = {"theirs": tree["format"], "ours": FORMAT}
            raise ValueError(say("its receipt has format {theirs!r}, and this version of the course reads {ours}", **formats))
        made = Receipt(
            _text(tree["student"]),
            _text(tree["handed_in"]),
            tuple(_received(one) for one in tree["notebooks"]),
            _text(tree.get("course", "")),
        )
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(say("its receipt is damaged")) from error
    if moment(made.handed_in) is None:
        raise ValueError(say("its receipt is damaged: it says no time"))
    return made


def damage(receipt: Receipt, contents: dict[str, bytes]) -> dict[str, str]:
    """What is wrong with the notebooks of a hand-in, {file: words}: altered, missing, or not in the receipt."""
    wrong = {}
    for one in receipt.notebooks:
        if one.file not in contents:
            wrong[one.file] = say("the receipt names it, and it is not in the file")
        elif hashlib.sha256(contents[one.file]).hexdigest() != one.sha256:
            wrong[one.file] = say("it is not as it was when it was handed in (its checksum differs)")
    named = {one.file for one in receipt.notebooks}
    return wrong | {name: say("the receipt does not name it") for name in contents if name not in named}


def _received(one: dict) -> Received:
    texts = [[_text(name) for name in one.get(key, [])] for key in ("answered", "missing")]
    if not re.fullmatch(r"[0-9a-f]{64}", one["sha256"]):
        raise ValueError(say("its receipt is damaged"))
    return Received(_text(one["file"]), _text(one["chapter"]), one["sha256"], tuple(texts[0]), tuple(texts[1]))


def _text(value) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:1000]
