"""What a learner achieved in a chapter: checks, predictions, hints, and the verdicts found in the learner's own notebook."""

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import attempts
from ..attempts import Prediction
from ..evidence import RULES
from ..evidence.records import Outcome, recorded
from ..languages import say
from .progress import START, Progress
from .work import copy_of


@dataclass(frozen=True)
class Achieved:
    """A chapter's progress with the predictions made in it, and the verdicts reached, {claim: outcome}, of `claims` in all."""

    progress: Progress
    predictions: tuple[Prediction, ...]
    verdicts: dict[str, Outcome]
    claims: int

    @property
    def near(self) -> int:
        """How many of the predictions came near to what was measured."""
        return sum(one.near is True for one in self.predictions)

    def __str__(self) -> str:
        """Predictions, hints and verdicts in a line; nothing before the chapter is begun."""
        questions = max(self.progress.chapter.predictions, len(self.predictions))
        if self.progress.state == START and not self.predictions and not self.verdicts:
            return ""
        parts = []
        if questions:
            parts.append(
                say("{made} of {total} predicted, {near} near", made=len(self.predictions), total=questions, near=self.near)
            )
        if helped := len(self.progress.helped):
            parts.append(say("hints with {count}", count=helped))
        if self.claims:
            parts.append(say("{found} of {total} verdicts found", found=len(self.verdicts), total=self.claims))
        return " · ".join(parts)


def achieved(course: Iterable[Progress]) -> list[Achieved]:
    """What was achieved in each of these chapters; raises CourseError when the file of attempts cannot be read."""
    kept = attempts.predictions()
    return [
        Achieved(
            one,
            tuple(prediction for prediction in kept if prediction.chapter == one.chapter.id),
            verdicts_in(copy_of(one.chapter)),
            len(RULES.of_chapter(one.chapter.id)),
        )
        for one in course
    ]


def in_total(all_of_them: Iterable[Achieved]) -> str:
    """The verdicts found and the exercises with hints of all chapters, in a sentence; nothing before the first."""
    all_of_them = list(all_of_them)
    found, helped = sum(len(one.verdicts) for one in all_of_them), sum(len(one.progress.helped) for one in all_of_them)
    parts = []
    if found:
        parts.append(say("You found {found} of {total} verdicts.", found=found, total=sum(one.claims for one in all_of_them)))
    if helped:
        parts.append(say("Exercises with hints: {count}.", count=helped))
    return " ".join(parts)


def verdicts_in(notebook: Path) -> dict[str, Outcome]:
    """The verdicts that a run of this notebook reached on claims of the course as it is now; none where it cannot be read."""
    try:
        state = notebook.stat()
    except OSError:  # not copied yet
        return {}
    return _verdicts(notebook, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=64)
def _verdicts(notebook: Path, modified: int, size: int) -> dict[str, Outcome]:
    """As `verdicts_in`; read again only when the file has changed, since the page of chapters asks every few seconds."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    known = RULES.claims
    # A verdict on another sentence, as under earlier rules, says nothing about this one.
    found = {name: one for name, one in recorded(cells).verdicts.items() if name in known}
    return {name: one.verdict for name, one in found.items() if one.sentence == known[name].sentence}
