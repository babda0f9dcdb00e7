"""Round trips from English to Spanish and back: recorded for the training glosses, translated live for all other texts.

`python -m fewshot_lab.data.round_trips` records them anew with the Apertium that is installed.
"""

import functools
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..augment.back_translation import back_translated, translator
from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from .glosses import ALL, task

RECORDED = Path(__file__).with_name("round_trips.json.gz")


@functools.cache
def recorded() -> tuple[str, dict[str, str]]:
    """The translator that made the record, and {gloss: round trip} for the training glosses of all classes."""
    content = json.loads(gzip.decompress(RECORDED.read_bytes()))
    texts = task(ALL).train_texts
    if content["texts"] != _fingerprint(texts):
        raise CourseError(say("The recorded round trips belong to other glosses: run python -m fewshot_lab.data.round_trips"))
    return content["translator"], dict(zip(texts, content["round_trips"], strict=True))


def round_trips(texts: Sequence[str]) -> dict[str, str]:
    """{text: its round trip}: from the record, unless another translator than the record's is installed; else live.

    Raises CourseError for a text that is not recorded when no translator is installed.
    """
    texts, installed = list(dict.fromkeys(texts)), translator()
    recorder, known = recorded()
    # The record comes first, although the same translator is installed: Apertium lets a text depend on the one before it, so
    # live results differ from the record in about one text of fifty, and a chapter's numbers would from machine to machine.
    trips = {text: known[text] for text in texts if text in known} if installed in (None, recorder) else {}
    missing = [text for text in texts if text not in trips]
    if missing and not installed:
        raise CourseError(
            say(
                "No translator is installed, and {missing!r} is not among the recorded glosses. Install Apertium "
                "(Debian and Ubuntu: apt-get install apertium-eng-spa) or choose a gloss.",
                missing=missing[0],
            )
        )
    return trips | dict(zip(missing, back_translated(missing), strict=True))


def record() -> None:
    """Writes the record; raises CourseError without a translator."""
    name = translator()
    if not name:
        raise CourseError(say("Apertium with English and Spanish is needed: apt-get install apertium-eng-spa"))
    texts = task(ALL).train_texts
    content = {"translator": name, "texts": _fingerprint(texts), "round_trips": back_translated(texts)}
    # mtime=0, so that equal round trips give an equal file.
    packed = gzip.compress(json.dumps(content, ensure_ascii=False).encode(), mtime=0)
    write_atomically(RECORDED, packed)
    told = {"number": len(texts), "name": name, "size": len(packed) / 1000, "path": RECORDED}
    print(say("{number} round trips by {name}, {size:.0f} kB: {path}", **told))


def _fingerprint(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


if __name__ == "__main__":
    record()
