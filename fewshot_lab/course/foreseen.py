"""What was foreseen: `recall` compares a prediction with what was measured, `makers` shows what the course's makers got."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from .. import attempts, runtime
from ..attempts import Prediction
from ..errors import CourseError
from ..evidence.records import VERDICT, Estimate
from ..languages import later, say
from .chapters import choose
from .outputs import figures_as_html

NEAR, FAR = later("near"), later("far")
_NUMBER = r"(\d+(?:\.\d+)?)"
_WORDS = {"half": "0.5", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "eight": "8", "ten": "10"}
_BELOW = re.compile(rf"^(?:under|fewer than|less than|at most) {_NUMBER}|^{_NUMBER} or fewer")
_ABOVE = re.compile(rf"^(?:over|more than|at least) {_NUMBER}|^{_NUMBER} or more")
_BETWEEN = re.compile(rf"^{_NUMBER} (?:to|or) {_NUMBER}")
_ABOUT = re.compile(rf"^(?:about )?{_NUMBER}")


def recall(key: str, measured: str, interval: Estimate | None = None) -> None:
    """Prints what was predicted beside what was measured, and whether it was near; in a learner's own notebook it is kept.

    Where the answers are numbers, the nearest of them is near. Where they are words, the learner says so.

    interval: the estimate that `measured` begins with, in whatever unit: its 95 % interval is said too.
    """
    from ..widgets import predicted

    if interval is not None and interval.has_interval:
        measured = _with_interval(measured, interval)

    before = predicted(key)
    print(say("You predicted: {answer}", answer=say(before.answer)) if before else say("You made no prediction."))
    print(say("Measured: {measured}", measured=measured))
    if before:
        nearest = _nearest(before.options, measured)
        near = before.answer in nearest if nearest else before.near
        if nearest:
            far = say("Far: nearest is “{answer}”.", answer=say(nearest[0]))
            print(say("Near.") if near else far)
        if attempts.run_by_a_person():
            attempts.note_measured(before, measured, near)
            if not nearest:
                _ask_whether_near(before)
    if attempts.run_by_a_person():
        _fold_in_what_the_makers_measured(key)


def _with_interval(measured: str, interval: Estimate) -> str:
    """The text with the interval in its number's unit and digits: "67%" of 0.669 [0.637, 0.702] with "64% to 70%"."""
    found = re.search(rf"{_NUMBER}(%?)", measured)
    if found is None:
        return measured
    number, percent = found.groups()
    # The text may count percent or points, or the labels that five are worth.
    times = 100 if percent else min((1, 5, 100), key=lambda times: abs(float(number) - times * interval.mean))
    digits = len(number.partition(".")[2])
    low, high = (
        f"{beyond * (end in interval.open)}{times * value:.{digits}f}{percent}"
        for end, value, beyond in (("low", interval.low, "<= "), ("high", interval.high, ">= "))
    )
    return say("{measured} (95 % interval {low} to {high})", measured=measured, low=low, high=high)


def _ask_whether_near(before: Prediction) -> None:
    """Shows two radio buttons: answers in words cannot be compared with a number by code."""
    from IPython.display import display

    from ..widgets.controls import Answers

    said = {True: NEAR, False: FAR}.get(before.near)
    asked = Answers(options=[NEAR, FAR], shown=[say(NEAR), say(FAR)], description=say("Was your prediction near?"), value=said)

    def judged(change: dict) -> None:
        if kept := attempts.predicted(before.chapter, before.key):
            attempts.note_measured(kept, kept.measured, change["new"] == NEAR)

    asked.observe(judged, names="value")
    display(asked)


def _nearest(options: tuple[str, ...], measured: str) -> list[str]:
    """The options nearest to a result that begins with a number; none where an option or the result is none."""
    result, spans = re.match(rf"[<>=~ ]*{_NUMBER}", measured), [_span(option) for option in options]
    if result is None or None in spans:
        return []
    value = float(result.group(1))
    away = [max(low - value, value - high, 0.0) for low, high in spans]
    return [option for option, distance in zip(options, away, strict=True) if distance == min(away)]


def _span(option: str) -> tuple[float, float] | None:
    """The numbers that an answer such as "about 35 %" or "2 to 5" stands for, from the lowest to the highest."""
    text = re.sub(r"[a-z]+", lambda word: _WORDS.get(word.group(), word.group()), option)
    for pattern, low, high in (
        (_BELOW, -math.inf, None),
        (_ABOVE, None, math.inf),
        (_BETWEEN, None, None),
        (_ABOUT, None, None),
    ):
        if found := pattern.match(text):
            numbers = [float(number) for number in found.groups() if number]
            return (numbers[0] if low is None else low, numbers[-1] if high is None else high)
    return None


@dataclass(frozen=True)
class Makers:
    """What the makers of the course got in a chapter, a line for each figure and verdict, which a click opens."""

    chapter: str
    parts: tuple[tuple[str, Markup], ...]

    def __repr__(self) -> str:
        return "\n".join(line for line, _ in self.parts)

    def _repr_html_(self) -> Markup:
        folded = Markup("<details><summary>{}</summary>{}</details>")
        return Markup("").join(folded.format(line, content) for line, content in self.parts)


def makers(chapter: str | None = None) -> Makers:
    """What the makers got in this chapter or another ("01"): figures and verdicts of the notebook that came with the course.

    Raises CourseError where there is no such notebook.
    """
    number = chapter or runtime.current().chapter
    return Makers(number, tuple(_shown(_cells(number))))


def _shown(cells: list[dict]) -> Iterator[tuple[str, Markup]]:
    """(line, HTML) of each figure and verdict; the line is the heading above, with what it is."""
    heading = ""
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and (found := re.search(r"(?m)^##+ (.+)$", text)):
            heading = found.group(1)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            content = Markup("".join(data.get("text/html", "")))
            if VERDICT in data:
                yield say("{heading}: verdict", heading=heading), content
            elif "<figure" in content and "Explorer(" not in text:
                yield say("{heading}: figure", heading=heading), content


def _fold_in_what_the_makers_measured(key: str) -> None:
    """Shows one line that opens: what the stored notebook recalls; nothing for a notebook without the course around it."""
    from IPython.display import HTML, display

    try:
        cells = _cells(runtime.current().chapter)
    except CourseError:
        return
    calls = [
        cell for cell in cells if f'lab.recall("{key}"' in "".join(cell["source"]) or f'"{key}",' in "".join(cell["source"])
    ]
    printed = "\n".join("".join(output.get("text", "")) for cell in calls for output in cell.get("outputs", []))
    before, after = say("Measured: {measured}", measured="\0").split("\0")
    if found := re.search(rf"(?m)^{re.escape(before)}(.+){re.escape(after)}$", printed):
        words = say("Measured: {measured}", measured=found.group(1))
        more = say("Their figures and verdicts: lab.makers()")
        folded = Markup("<details><summary>{}</summary><p>{}<br>{}</p></details>")
        display(HTML(folded.format(say("Show what the makers got"), words, more)))


def _cells(chapter: str) -> list[dict]:
    """The cells of a chapter's stored notebook."""
    [found] = choose([chapter])
    try:
        nb = json.loads(found.notebook.read_text(encoding="utf-8"))
        figures_as_html(nb)
        return nb["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise CourseError(
            say(
                "{notebook} cannot be read ({error!r}). Build it: fewshot-lab build {chapter}",
                notebook=found.notebook,
                error=error,
                chapter=chapter,
            )
        ) from error
