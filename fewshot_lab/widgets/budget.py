"""Chapter 11's explorer: spend a budget of minutes on labels and stages, and see what the best choice would have been."""

from ..evidence.budget import Cost, MeasuredArm, best_within, cost
from ..figures import Picture, curves
from ..languages import later, say
from .explorer import EVERY, Explorer, choice, slider

_SCALES = {later("as here"): 1.0, later("10 times"): 10.0, later("100 times"): 100.0, later("1,000 times"): 1000.0}


class BudgetExplorer(Explorer):
    """Labels per class and a package of stages, their cost and accuracy, beside the best choices within the budget."""

    view = "budget"
    recipe = "lab.evidence.budget.cost(arms, {arm}, classes * {labels}, per_label={per_label})"
    says = (
        later("budget"),
        later("you"),
        later("test accuracy"),
        later("minutes of person and machine, log scale"),
        later("Accuracy over minutes, a curve for each package of stages"),
        later("{minutes:.1f} of {budget} minutes"),
        later("{spent}: more than you have"),
        later("You buy {labels} labels and “{package}” for {spent}. Accuracy {accuracy}."),
        later("{words} Nothing on sale is as cheap as your budget."),
        later("{words} The best purchase: {labels} labels and “{package}” for {minutes:.1f} minutes, accuracy {accuracy:.3f}."),
    )

    def __init__(self, arms: dict[str, MeasuredArm], classes: int, *, budget: int = 20, per_label: int = 20, **start) -> None:
        """Shows the arms with their costs.

        Args:
            arms: packages of stages by name, all measured at the same numbers of labels.
            classes: the number of classes; labels are bought for each of them.
            budget: minutes at the start.
            per_label: a person's seconds for one label at the start.
        """
        self.arms, self.classes = arms, classes
        measured = next(iter(arms.values())).labels
        self.counts = range(measured[0], measured[-1] + 1, classes)
        low, middle, high = (measured[i] // classes for i in (0, len(measured) // 2, -1))
        super().__init__(
            start,
            budget=slider("budget (min)", budget, 1, 120, 1, help="Minutes of person and machine together", whole=True),
            per_label=slider("s per label", per_label, 1, 120, 1, help="Seconds that a person needs for one label", whole=True),
            scale=choice("machine time", list(_SCALES), help="How many times our seconds your own training takes"),
            labels=slider("labels / class", middle, low, high, 1, help="How many labels you buy for each class", whole=True),
            arm=choice("stages", list(arms), help="Which stages of the pipeline you run"),
        )

    def chosen(self) -> Cost:
        """The arm and labels that the controls choose."""
        return cost(self.arms, self["arm"], self.classes * self["labels"], **self._prices())

    def best(self) -> list[Cost]:
        """Each arm's best choice within the budget, the best first."""
        return best_within(self.arms, self.counts, self["budget"], **self._prices())

    def _prices(self) -> dict[str, float]:
        return {"per_label": self["per_label"], "scale": _SCALES[self["scale"]]}

    def told(self) -> str:
        """The choice and the best one in words."""
        mine, best = self.chosen(), self.best()
        spent = say("{minutes:.1f} of {budget} minutes", minutes=mine.minutes, budget=self["budget"])
        if mine.minutes > self["budget"]:
            spent = say("{spent}: more than you have", spent=spent)
        words = say(
            "You buy {labels} labels and “{package}” for {spent}. Accuracy {accuracy}.",
            labels=mine.labels,
            package=say(mine.arm),
            spent=spent,
            accuracy=mine.accuracy.short(),
        )
        if not best:
            return say("{words} Nothing on sale is as cheap as your budget.", words=words)
        return say(
            "{words} The best purchase: {labels} labels and “{package}” for {minutes:.1f} minutes, accuracy {accuracy:.3f}.",
            words=words,
            labels=best[0].labels,
            package=say(best[0].arm),
            minutes=best[0].minutes,
            accuracy=best[0].accuracy.mean,
        )

    def view_data(self) -> dict:
        arms = {
            name: {
                "labels": list(arm.labels),
                "seconds": list(arm.seconds),
                **{end: [getattr(one, end) for one in arm.accuracy] for end in ("mean", "low", "high")},
            }
            for name, arm in self.arms.items()
        }
        named = {"names": [say(name) for name in arms], "scales": _SCALES}
        return {"arms": arms, "counts": list(self.counts), "classes": self.classes, **named}

    @property
    def stored(self) -> dict[str, list]:
        return dict.fromkeys(self.controls, EVERY)

    def still(self) -> Picture:
        ticks = [labels // self.classes for labels in next(iter(self.arms.values())).labels]
        last = {name: arm.accuracy[-1].mean for name, arm in self.arms.items()}
        top = max(last, key=last.get)
        return curves(
            {name: (ticks, arm.accuracy) for name, arm in self.arms.items()},
            title=say(
                "On sale: with {ticks} labels per class “{top}” has the highest mean, {mean:.2f}",
                ticks=ticks[-1],
                top=top,
                mean=last[top],
            ),
            x=say("labels per class"),
            y=say("test accuracy"),
            log_x=True,
            ticks=ticks,
            caption=say("A still of the explorer. {told} Run the cell to spend a budget of your own.", told=self.told()),
            alt=say("Accuracy over labels for {count} packages of stages. {told}", count=len(self.arms), told=self.told()),
        )
