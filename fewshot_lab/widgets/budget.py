"""Chapter 11's explorer: spend a budget of minutes on labels and stages, and see what it would have bought at best."""

from markupsafe import Markup

from ..evidence.budget import Offer, Purchase, best_purchases, purchase
from ..figures import Picture, curves
from ..figures.style import BLUE
from ..html import bar, table
from ..languages import later, say
from .explorer import Explorer, choice, slider

_SCALES = {later("as here"): 1.0, later("10 times"): 10.0, later("100 times"): 100.0, later("1,000 times"): 1000.0}


class BudgetExplorer(Explorer):
    """Labels per class and a package of stages, their price and accuracy, beside the best purchase within the budget."""

    def __init__(self, offers: dict[str, Offer], classes: int, *, budget: int = 20, per_label: int = 20) -> None:
        """offers: {package: Offer}, all measured at the same numbers of labels. classes: labels are bought for each of them.

        budget: minutes. per_label: seconds of a person for one label.
        """
        self.offers, self.classes = offers, classes
        measured = next(iter(offers.values())).labels
        self.counts = range(measured[0], measured[-1] + 1, classes)
        low, middle, high = (measured[i] // classes for i in (0, len(measured) // 2, -1))
        super().__init__(
            budget=slider("budget (min)", budget, 1, 120, 1, help="Minutes of person and machine together", whole=True),
            per_label=slider("s per label", per_label, 1, 120, 1, help="Seconds that a person needs for one label", whole=True),
            scale=choice("machine time", list(_SCALES), help="How many times our seconds your own training takes"),
            labels=slider("labels / class", middle, low, high, 1, help="How many labels you buy for each class", whole=True),
            package=choice("stages", list(offers), help="Which stages of the pipeline you run"),
        )

    def bought(self) -> Purchase:
        """What the controls say."""
        return purchase(self.offers, self["package"], self.classes * self["labels"], **self._prices())

    def best(self) -> list[Purchase]:
        """The best purchase of every package within the budget, the best first."""
        return best_purchases(self.offers, self.counts, self["budget"], **self._prices())

    def _prices(self) -> dict[str, float]:
        return {"per_label": self["per_label"], "scale": _SCALES[self["scale"]]}

    def told(self) -> str:
        """The purchase and the best one in words."""
        mine, best = self.bought(), self.best()
        spent = say("{minutes:.1f} of {budget} minutes", minutes=mine.minutes, budget=self["budget"])
        if mine.minutes > self["budget"]:
            spent = say("{spent}: more than you have", spent=spent)
        words = say(
            "You buy {labels} labels and “{package}” for {spent}. Accuracy {accuracy}.",
            labels=mine.labels,
            package=say(mine.package),
            spent=spent,
            accuracy=mine.accuracy.short(),
        )
        if not best:
            return say("{words} Nothing on sale is as cheap as your budget.", words=words)
        return say(
            "{words} The best purchase: {labels} labels and “{package}” for {minutes:.1f} minutes, accuracy {accuracy:.3f}.",
            words=words,
            labels=best[0].labels,
            package=say(best[0].package),
            minutes=best[0].minutes,
            accuracy=best[0].accuracy.mean,
        )

    def page(self) -> Markup:
        rows = [_row(price, price.package == self["package"]) for price in self.best()]
        heads = (say("stages"), say("labels"), say("minutes"), say("of these machine"), say("accuracy (95 % interval)"), "")
        best = table(heads, rows, caption=say("the best purchase of each kind within the budget"), numbers=[1, 2, 3])
        return Markup("<div class='wide'><p>{}</p>{}</div>").format(self.told(), best)

    def still(self) -> Picture:
        ticks = [labels // self.classes for labels in next(iter(self.offers.values())).labels]
        last = {name: offer.accuracy[-1].mean for name, offer in self.offers.items()}
        top = max(last, key=last.get)
        return curves(
            {name: (ticks, offer.accuracy) for name, offer in self.offers.items()},
            title=f"On sale: with {ticks[-1]} labels per class “{top}” has the highest mean, {last[top]:.2f}",
            x="labels per class",
            y="test accuracy",
            log_x=True,
            ticks=ticks,
            caption=say("A still of the explorer. {told} Run the cell to spend a budget of your own.", told=self.told()),
            alt=say("Accuracy over labels for {count} packages of stages. {told}", count=len(self.offers), told=self.told()),
        )


def _row(price: Purchase, chosen: bool) -> tuple[str, ...]:
    name = say(price.package)
    if chosen:
        name = Markup("<strong>{}</strong>").format(say("{name} (your stages)", name=name))
    numbers = (str(price.labels), f"{price.minutes:.1f}", f"{price.machine:.1f}", price.accuracy.short())
    return (name, *numbers, bar(price.accuracy.mean, colour=BLUE))
