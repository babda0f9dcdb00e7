"""Chapter 11's explorer: spend a budget of minutes on labels and stages, and see what the best choice would have been."""

from markupsafe import Markup

from ..evidence.budget import Cost, MeasuredArm, best_within, cost
from ..figures import Picture, curves
from ..figures.style import BLUE
from ..html import bar, table
from ..languages import later, say
from .explorer import Explorer, choice, slider

_SCALES = {later("as here"): 1.0, later("10 times"): 10.0, later("100 times"): 100.0, later("1,000 times"): 1000.0}


class BudgetExplorer(Explorer):
    """Labels per class and a package of stages, their cost and accuracy, beside the best choices within the budget."""

    def __init__(self, arms: dict[str, MeasuredArm], classes: int, *, budget: int = 20, per_label: int = 20) -> None:
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

    def page(self) -> Markup:
        rows = [_row(one, one.arm == self["arm"]) for one in self.best()]
        heads = (say("stages"), say("labels"), say("minutes"), say("of these machine"), say("accuracy (95 % interval)"), "")
        best = table(heads, rows, caption=say("the best purchase of each kind within the budget"), numbers=[1, 2, 3])
        return Markup("<div class='wide'><p>{}</p>{}</div>").format(self.told(), best)

    def still(self) -> Picture:
        ticks = [labels // self.classes for labels in next(iter(self.arms.values())).labels]
        last = {name: arm.accuracy[-1].mean for name, arm in self.arms.items()}
        top = max(last, key=last.get)
        return curves(
            {name: (ticks, arm.accuracy) for name, arm in self.arms.items()},
            title=f"On sale: with {ticks[-1]} labels per class “{top}” has the highest mean, {last[top]:.2f}",
            x="labels per class",
            y="test accuracy",
            log_x=True,
            ticks=ticks,
            caption=say("A still of the explorer. {told} Run the cell to spend a budget of your own.", told=self.told()),
            alt=say("Accuracy over labels for {count} packages of stages. {told}", count=len(self.arms), told=self.told()),
        )


def _row(cost: Cost, chosen: bool) -> tuple[str, ...]:
    name = say(cost.arm)
    if chosen:
        name = Markup("<strong>{}</strong>").format(say("{name} (your stages)", name=name))
    numbers = (str(cost.labels), f"{cost.minutes:.1f}", f"{cost.machine:.1f}", cost.accuracy.short())
    return (name, *numbers, bar(cost.accuracy.mean, colour=BLUE))
