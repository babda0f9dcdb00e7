"""What the published run of the full profile says about a claim (docs/full_profile/results.json of the repository)."""

from functools import cache
from pathlib import Path

from .. import runtime
from ..errors import CourseError
from ..languages import say
from .records import Verdict
from .rules import RULES
from .runs import read_run

RECORD = Path(__file__).parents[2] / "docs" / "full_profile" / "results.json"


def full_profile_says(claim: str) -> str:
    """The full profile's verdict on a claim, such as "supported, +0.065 [0.048, 0.083]", or "" where there is none.

    There is none in an installed package, and none is shown while the full profile itself is running.
    """
    if runtime.current().profile == "full":
        return ""
    verdict = _verdicts(RECORD).get(claim)
    if verdict is None or claim not in RULES.claims:
        return ""
    numbers = [part.estimate.short(signed=part.threshold == 0) for part in verdict.parts]
    if len(numbers) > 1:
        numbers = [
            f"{part.name or part.statement} {number} {say(part.outcome.words)}"
            for part, number in zip(verdict.parts, numbers, strict=True)
        ]
    if verdict.sentence != RULES.claims[claim].sentence:
        return say("for an earlier wording and under earlier rules: {says}", says=say(verdict.verdict.words))
    old = [] if verdict.rule == RULES.hash(claim, "full") else [say("measured under earlier rules")]
    return ", ".join([say(verdict.verdict.words), *numbers, *old])


@cache
def _verdicts(path: Path) -> dict[str, Verdict]:
    try:
        chapters = read_run(path).chapters if path.exists() else []
    except CourseError:  # a verdict must not fail because a document beside the course was damaged
        chapters = []
    return {name: verdict for chapter in chapters for name, verdict in chapter.verdicts.items()}
