"""Questions about your own data with their answers: on the page of `fewshot-lab try`, and as a chapter's last output."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from IPython.display import display
from markupsafe import Markup
from torch import Tensor

from .. import figures
from ..data import ImageTask
from ..html import table
from ..languages import say
from ..training import Arms
from . import features, worth
from .measures import Trust, growth, out_of_fold, planted_found, suspects, too_few

LISTED = 12  # suspicious or surest examples that are shown


@dataclass(frozen=True)
class Section:
    """A question, its answer in a sentence or more, and what shows it: figures, and tables as HTML."""

    question: str
    answer: str
    shown: tuple[figures.Picture | Markup, ...] = ()

    def as_html(self) -> Markup:
        """What shows the answer, for a page."""
        parts = (part if isinstance(part, Markup) else part.as_html() for part in self.shown)
        return Markup("").join(parts)

    def _ipython_display_(self) -> None:
        said = Markup("<p><strong>{}</strong> {}</p>").format(self.question, self.answer)
        display({"text/html": said, "text/plain": f"{self.question} {self.answer}"}, raw=True)
        for part in self.shown:
            table_or_figure = {"text/html": part, "text/plain": part.striptags()} if isinstance(part, Markup) else part
            display(table_or_figure, raw=isinstance(part, Markup))


def features_section(kinds: features.Kinds, curves: Arms, best: str, shots: list[int], few: str) -> Section:
    """Which features are best, and by how much.

    Args:
        kinds: those that were compared.
        curves: their learning curves on the test.
        best: the one that was best on validation.
        shots: labels per class of the curves.
        few: why nothing can be told, or "".
    """
    k = shots[-1]
    answer = say("{best}, chosen on validation: {accuracy} on the test, at {k} labels per class.", best=say(best), k=k,
                 accuracy=curves.interval(best, k).within(0, 1).short())  # fmt: skip
    for other in (name for name in kinds.tasks if name != best):
        gain = curves.gain(best, k, over=other)
        words = (
            say("That is {gain} more than with {other}.", gain=gain.short(signed=True), other=say(other))
            if gain.limits[0] > 0
            else say("Too few to tell it from {other}: {gain}.", gain=gain.short(signed=True), other=say(other))
        )
        answer = f"{answer} {words}"
    picture = figures.curves(
        {name: curves.curve(name) for name in kinds.tasks},
        title=say("{best}: accuracy {mean:.2f} at {k} labels per class", best=best, mean=curves.mean(best, k), k=k),
        x=say("labels per class"),
        y=say("test accuracy"),
        caption=say(
            "Linear probes on {n} draws of the labels; bands are 95 % intervals over draws and test examples.",
            n=len(curves.seeds),
        ),
        log_x=True,
        ticks=shots,
    )
    return Section(say("Which features?"), " ".join(filter(None, [answer, *kinds.missing, few])), (picture,))


def growth_section(curves: Arms, best: str, few: str) -> Section:
    """What more labels bring with the best features; `few` says why nothing can be told, or is ""."""
    question = say("How many more labels would bring how much?")
    if few or len(curves.curve(best)[0]) < 2:
        return Section(question, few or say("Too few to tell: one label per class makes no curve."))
    found = growth(curves, best)
    told = {"before": found.before, "after": found.after, "gain": found.gain.short(signed=True)}
    answer = say("From {before} to {after} labels per class accuracy changed by {gain}.", **told)
    if found.gain.limits[0] <= 0 <= found.gain.limits[1]:
        answer = f"{answer} {say('Too few to tell that from no change.')}"
    if found.predicted is None:
        more = say("No forecast is made: no law fits the curve well enough to be carried on.")
    else:
        told = {"accuracy": found.predicted, "k": 2 * found.after}
        more = say("A power law that foretold the last point gives {accuracy:.2f} at {k}: a forecast, no measurement.", **told)
    return Section(question, f"{answer} {more}")


def policy_section(found: worth.Worth | None, task: ImageTask, about: str) -> Section:
    """What an augmentation is worth, None where the task has too few test pictures; `about` is what learned with it."""
    question = say("Which augmentation is worth how many labels?")
    if found is None:
        return Section(question, too_few(task))
    rows = [(str(say(name)), estimate.within(0, 1).short()) for name, estimate in found.validation.items()]
    shown = table([say("policy"), say("accuracy on validation")], rows, numbers=(1,))
    points = found.curves.curve("none")
    picture = figures.curves(
        {"none": points, found.chosen: found.curves.curve(found.chosen)},
        title=say("{chosen}: one label is worth {rate}", chosen=found.chosen, rate=found.rate.short()),
        x=say("labels per class"),
        y=say("test accuracy"),
        caption=say("The exchange rate is read off along the curve without the policy. {about}", about=about),
        log_x=True,
        ticks=points[0],
    )
    return Section(question, str(found), (picture, shown))


def suspects_section(kinds: features.Kinds, best: str, names: Sequence[str], pictures: ImageTask | None) -> Section:
    """Which labels are probably wrong, by the best features.

    Args:
        kinds, best: see `features_section`.
        names: of all examples, part by part.
        pictures: the same as pictures, None where they are texts.
    """
    task = kinds.tasks[best]
    z, labels, groups = features.everything(task)
    probabilities = out_of_fold(z, labels, groups, len(task.classes), fit=kinds.fit)
    rows = suspects(probabilities, labels)
    recall, listed = planted_found(z, labels, groups, len(task.classes), fit=kinds.fit)
    answer = say("{n} of {all} examples.", n=len(rows), all=len(labels))
    if recall.n:
        known = say("Of {n} labels made wrong on purpose such a list of {listed} held {recall}.", n=recall.n, listed=listed,
                    recall=recall.short())  # fmt: skip
        answer = f"{answer} {known}"
    surest, answers = (values[rows[:LISTED]] for values in probabilities.max(1))
    shown = [
        (f"{number}: {names[row][:80]}", task.classes[labels[row]], task.classes[int(answer)], f"{float(sure):.2f}")
        for number, (row, answer, sure) in enumerate(zip(rows[:LISTED].tolist(), answers, surest, strict=True), 1)
    ]
    parts = []
    if pictures is not None and len(rows):
        images = torch.cat([getattr(pictures, f"{part}_images") for part in features.PARTS])[rows[:LISTED]]
        parts.append(
            figures.images(
                images,
                [str(number) for number in range(1, len(images) + 1)],  # names may be in a script that the font lacks
                columns=6,
                title=say("Probably mislabelled, or hard"),
                caption=say("Their labels stand in the table, with what a classifier says that did not learn from them."),
            )
        )
    if shown:
        heads = [say("example"), say("your label"), say("classifier"), say("confidence")]
        parts.append(table(heads, shown, numbers=(3,)))
    return Section(say("Which examples are probably mislabelled, or hard?"), answer, tuple(parts))


def classified_section(probabilities: Tensor, classes: Sequence[str], trust: Trust, names: Sequence[str]) -> Section:
    """What a classifier says of examples with these names: probabilities (n, classes), and how far it can be trusted."""
    confidence, answer = probabilities.max(1)
    rows = [(n[:80], classes[int(a)], f"{float(c):.2f}") for n, a, c in zip(names, answer, confidence, strict=True)]
    words = "; ".join(f"{name}: {of} ({sure})" for name, of, sure in rows)
    shown = table([say("example"), say("classifier"), say("confidence")], rows, numbers=(2,))
    return Section(say("How are these classified?"), f"{words}. {trust}", (shown,))
