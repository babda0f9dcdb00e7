"""What was chosen before the experiments, from what, and on which data: one procedure, one record.

Each choice is a file in `chosen/` beside this one, written by `fewshot-lab choose` and read by the chapters through `chosen`,
so that what a chapter uses is what was chosen. No choice sees a test picture or a seed that a verdict rests on; the recipe of
trainings, which was chosen otherwise, has records of its own in docs/choices/.
"""

import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from ..training import mean_interval, sweep

FOLDER = Path(__file__).with_name("chosen")
SEEDS = range(500, 505)  # the quick profile runs on 0 and up, the full one on 1000 and up
OF_TRAININGS = Path(__file__).parents[2] / "docs" / "choices"  # how bench/choose_training.py chose recipe and rule of rest
MARGIN = 0.01  # scores closer than this are equal: the smallest effect of interest for an accuracy


@dataclass(frozen=True)
class Candidate:
    """A value that could have been chosen, its score (mean and ends of its 95 % interval) and how many trainings rested."""

    value: Any
    score: float
    low: float
    high: float
    at_rest: float | None = None


@dataclass(frozen=True)
class Choice:
    """A recorded choice: `what` was chosen for `chapter` from the `candidates` by their `measure` on `data`, at which cost."""

    name: str
    chapter: str
    what: str
    measure: str
    data: str
    candidates: tuple[Candidate, ...]
    chosen: Any
    seeds: tuple[int, ...]
    seconds: float
    margin: float = MARGIN


def choose(
    name: str,
    function: Callable[..., dict],
    candidates: Sequence,
    *,
    chapter: str,
    what: str,
    data: str,
    measure: str = "validation_accuracy",
    seeds: Sequence[int] = SEEDS,
    margin: float = MARGIN,
    jobs: int | None = None,
    **settings,
) -> Choice:
    """Tries every candidate with every seed and chooses one by the course's one rule.

    The rule: of the candidates whose mean score is within `margin` of the best mean, the first. So list the mildest, cheapest
    or most usual one first: it stays unless another is better by more than what would matter.

    Args:
        name: under which `chosen` finds it, such as "affine-strength-glyphs".
        function: called as function(candidate=..., seed=..., **settings) in worker processes; returns a dict with the score
            and, for a training, "at_rest". "seconds" in it replace those that its call took.
        candidates: numbers, texts, lists or dicts.
        chapter: which one uses it first.
        what: what is chosen, in words.
        data: what the score is measured on, in words.
        measure: the score's name in the dict; more is better.
        seeds: of the trials.
        margin: scores closer than this are equal.
        jobs: worker processes, as in `training.sweep`.
        settings: passed on to the function, such as dataset="digits".
    """
    grid = [{**settings, "candidate": candidate, "seed": seed} for candidate in candidates for seed in seeds]
    rows = sweep(_Timed(function), grid, jobs=jobs, description=name)
    tried = []
    for i, candidate in enumerate(candidates):
        of_candidate = rows[i * len(seeds) : (i + 1) * len(seeds)]
        score = mean_interval([row[measure] for row in of_candidate])
        rested = [row["at_rest"] for row in of_candidate if "at_rest" in row]
        at_rest = sum(rested) / len(rested) if rested else None
        tried.append(Candidate(candidate, score.mean, score.low, score.high, at_rest))
    best = max(one.score for one in tried)
    first = next(one for one in tried if one.score >= best - margin)
    seconds = round(sum(row["seconds"] for row in rows), 1)
    return Choice(name, chapter, what, measure, data, tuple(tried), first.value, tuple(seeds), seconds, margin)


class _Timed:
    """The function, with the seconds of a core that it took in what it returns, however many others are at work.

    It keeps the function's name, which a failed sweep tells. Workers would get a functools.partial without it.
    """

    def __init__(self, function: Callable[..., dict]) -> None:
        functools.update_wrapper(self, function)

    def __call__(self, **settings) -> dict:
        began = time.process_time()
        row = self.__wrapped__(**settings)
        return {"seconds": time.process_time() - began} | row


def chosen(name: str):
    """What was chosen under that name, such as a strength; raises ValueError with the known names for another."""
    known = recorded_choices()
    if name not in known:
        raise ValueError(f"Nothing was chosen under the name {name!r}; there are {', '.join(known) or 'no choices'}.")
    return known[name].chosen


def recorded_choices() -> dict[str, Choice]:
    """All choices by name, ordered by chapter; raises CourseError when a file is damaged."""
    # By the files' times, so that workers that live on see what was chosen after they began.
    known = [_read(path, path.stat().st_mtime_ns) for path in sorted(FOLDER.glob("*.json"))]
    return {choice.name: choice for choice in sorted(known, key=lambda choice: (choice.chapter, choice.name))}


@functools.cache
def _read(path: Path, _time: int) -> Choice:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        candidates, seeds = tuple(Candidate(**one) for one in entry["candidates"]), tuple(entry["seeds"])
        return Choice(**entry | {"candidates": candidates, "seeds": seeds})
    except (ValueError, TypeError, KeyError) as error:
        raise CourseError(
            say(
                "{path} is damaged ({error}). Restore it, or write it anew: fewshot-lab choose {stem}",
                path=path,
                error=error,
                stem=path.stem,
            )
        ) from error


def keep(choice: Choice) -> None:
    """Writes a choice into the record, in place of an earlier one of that name."""
    write_atomically(FOLDER / f"{choice.name}.json", json.dumps(asdict(choice), indent=1, ensure_ascii=False) + "\n")


def as_markdown() -> str:
    """The page docs/choices.md: what was chosen, from what, on what, at which cost."""
    parts = [_HEAD, _recipe_and_rest()]
    for choice in recorded_choices().values():
        rows = [
            f"| {'**' + _value(one.value) + '**' if one.value == choice.chosen else _value(one.value)} "
            f"| {one.score:.3f} [{one.low:.3f}, {one.high:.3f}] | {'–' if one.at_rest is None else f'{one.at_rest:.0%}'} |"
            for one in choice.candidates
        ]
        trainings = len(choice.candidates) * len(choice.seeds)
        equal = {MARGIN: "", 0: " (the best)"}.get(choice.margin, f" (scores within {choice.margin:g} are equal)")
        head = f"| candidate | {choice.measure.replace('_', ' ')} | at rest |\n|---|---|---|\n"
        parts.append(
            f"## {choice.name} (chapter {choice.chapter})\n\n{choice.what}: **{_value(choice.chosen)}**{equal}. "
            f"On {choice.data}; seeds {_span(choice.seeds)}, {trainings} trials, "
            f"{choice.seconds:,.0f} seconds of one core.\n\n" + head + "\n".join(rows)
        )
    return "\n\n".join(parts) + "\n"


def _recipe_and_rest() -> str:
    """What was chosen for all trainings at once, from the records of how that was done."""
    recipe, rest, explored = (
        json.loads((OF_TRAININGS / f"{name}.json").read_text(encoding="utf-8")) for name in ("training", "rest", "explored")
    )
    rows = explored["rows"]
    early = [row for row in rows if min(row["seeds"]) < SEEDS.start]
    tried = {seed for row in rows for seed in row["seeds"]}
    early_seeds = _span([seed for seed in tried if seed < SEEDS.start])
    late_seeds = _span([seed for seed in tried if seed >= SEEDS.start])
    explored |= {"on": "; ".join(dict.fromkeys(row["on"] for row in rows)), "rule": "none: a search by hand", "chosen": "–"}
    right = {it["tolerance"]: it["rests, said so"] + it["learns, said so"] for it in rest["tolerances"]}
    best = max(right, key=right.get)
    return _RECIPE.format(
        recipe=_line("training", recipe, _span(recipe["seeds"])),
        rest=_line("rest", rest, _span(rest["seeds"])),
        explored=_line("explored", explored, f"{early_seeds}, {late_seeds}"),
        early=len(early),
        all=len(rows),
        seeds=early_seeds,
        tolerance=rest["chosen"],
        right=right[rest["chosen"]],
        cases=len(rest["cases"]),
        best=best,
        most=right[best],
    )


def _line(name: str, record: dict, seeds: str) -> str:
    cells = f"[{name}.json](choices/{name}.json)", record["what"], record["on"], seeds, record["rule"], record["chosen"]
    return f"| {' | '.join(map(_value, cells))} |"


_RECIPE = """## The recipe of trainings, and when one is at rest (all chapters)

Both were chosen with `bench/choose_training.py`, not by the rule above:

| record | what | on | seeds | rule | chosen |
|---|---|---|---|---|---|
{recipe}
{rest}
{explored}

Of the {all} rows of explored.json {early} are of seeds {seeds}, which the quick profile has, too. So the recipe was explored
on the draws of labels that quick verdicts use, though scored on validation images alone; no test image was looked at.
The full profile's seeds, from 1000 on, were not used. A tolerance of {tolerance:g} tells {right} of the {cases} cases
of rest.json rightly under this recipe, {best:g} the most, {most}; {tolerance:g} was chosen under an earlier recipe and
[stayed](tried.md#all-chapters)."""

_HEAD = f"""# What was chosen, from what, on what

These settings were chosen before the experiments, on data that no verdict rests on, by one rule: of the
candidates whose mean score is within {MARGIN:g} of the best (or as far off as is said below), the first in the list, which
begins with the mildest, cheapest or most usual. The seeds are not those of a verdict (quick profile: 0 and up, full profile:
1000 and up). `fewshot-lab choose` repeats all of it or, with a name, one choice; the chapters read what it wrote,
`fewshot_lab/evidence/chosen/`, through `lab.chosen("...")`. This page is written from these files by
`fewshot-lab tables --write`.

**Other margins.** Scores within 0.02 are equal where later candidates take longer, mostly two or three times as long: a
smaller gain would not pay for that. `flow-guidance-k5`, whose candidates take equally long, has the margin of the games
beside it. Where the score is no accuracy but the share of trainings at rest or of equal seconds, the best is taken: a margin
of 0.

**At rest** is the share of a candidate's trainings whose loss no longer fell; their accuracy may still rise.

**Set by hand** is everything that is not listed, such as batch sizes and most networks' sizes; the steps of chapter 01's
readers (800); how many images are made of each class (60 in chapter 08, 40 in chapter 11); in chapter 11 SimCLR but for the
strength of its views (its 160 steps, its rate and its temperature), the scale of the prototypes' logits (10) and that a
student's round is a third longer; chapter 12's settings, which were tried on Omniglot's background alphabets and on training
digits of MNIST; in chapter 13 the towers that learn from glyphs. In chapter 14 the learning rate, the width of the transformer
and the squares that make narrow tables and few classes more frequent stayed as they had been explored, on random halves of
the four tables: some of these rows are test rows now ([what was tried](tried.md#chapter-14-learning-in-context))."""


def _span(seeds: Sequence[int]) -> str:
    return f"{min(seeds)} to {max(seeds)}"


def _value(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", "\\|").replace("\n", "<br>")
