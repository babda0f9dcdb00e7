"""Chapter 07's explorer: attack an image, and see the perturbation, the model's answer and the loss around the image."""

import copy
import functools
import math

import torch
from markupsafe import Markup
from torch import Tensor, nn

from ..data import ImageTask
from ..figures import Picture, new_figure, style, svg
from ..figures.style import VERMILION, drawable
from ..html import side_by_side
from ..languages import say
from ..methods.attacks import attack, cross_entropy_of, eval_without_weight_gradients, input_gradient
from .explorer import Explorer, choice, slider

NORM_NAMES = {"L∞": "linf", "L2": "l2"}
SHOWN_TIMES = 3  # the perturbation is drawn this much stronger, always: so models can be compared
SIDE, REACH = 15, 1.5  # points along each direction of the loss surface, and how far it reaches, in epsilons


class AttackExplorer(Explorer):
    """What PGD adds to an image, what every model answers, and the loss along the gradient and a random direction."""

    def __init__(self, task: ImageTask, models: dict[str, nn.Module], *, epsilon: float = 0.05, **start) -> None:
        """models: networks by name, all for the task's classes; epsilon: the slider's first value."""
        self.task = task
        # Copies: the caller's networks may be on a GPU, and stay there.
        self.models = {name: copy.deepcopy(model).cpu() for name, model in models.items()}
        self._surface = functools.lru_cache(maxsize=64)(self._compute_surface)
        super().__init__(
            start,
            model=choice("model", list(models), help="Which network is attacked"),
            image=slider("image", 3, 0, min(199, len(task.test_images) - 1), 1, help="Which test image", whole=True),
            norm=choice("norm", list(NORM_NAMES), help="L∞: every pixel by at most ε; L2: the length of the whole change"),
            epsilon=slider(
                "ε", epsilon, 0.0, 0.3, 0.01, help="L∞: of the range 0..1; L2: times the root of the number of pixels"
            ),
            steps=slider("steps", 10, 0, 30, 1, help="How many steps of PGD, from the image itself", whole=True),
        )

    def _row(self) -> int:
        """The chosen image's row in the test set."""
        # Neighbours on the slider are far apart in the test set, which may be sorted: so all classes come soon.
        return self["image"] * 37 % len(self.task.test_images)

    def _chosen(self, name: str = "") -> tuple[nn.Module, Tensor, Tensor, str, float]:
        """The model, the image (1, C, H, W) in 0..1, its label (1,), the norm and the radius in that norm."""
        row, norm = self._row(), NORM_NAMES[self["norm"]]
        image, label = self.task.test_images[row : row + 1].float() / 255, self.task.test_labels[row : row + 1]
        radius = self["epsilon"] * (1 if norm == "linf" else math.sqrt(image.numel()))
        return self.models[name or self["model"]], image, label, norm, radius

    def attacked(self, name: str = "") -> tuple[Tensor, Tensor]:
        """The image and the perturbed image, (1, C, H, W), of the chosen model or the one with this name."""
        model, image, label, norm, radius = self._chosen(name)
        return image, attack(model, image, label, epsilon=radius, steps=self["steps"], norm=norm, random=False)

    def answer(self, image: Tensor, name: str = "") -> str:
        """The class and the confidence of the chosen model, or the one with this name, such as "b (0.93)"."""
        model = self.models[name or self["model"]]
        with eval_without_weight_gradients(model), torch.no_grad():
            confidence, label = model(image).softmax(dim=1)[0].max(dim=0)
        return f"{self.task.classes[label]} ({confidence:.2f})"

    def surface(self, name: str = "") -> tuple[Tensor, Tensor]:
        """The loss (SIDE, SIDE) and where the model misclassifies; rows: random direction, columns: along the gradient."""
        return self._surface(name or self["model"], self["image"], self["norm"], self["epsilon"])

    def _compute_surface(self, name: str, *_) -> tuple[Tensor, Tensor]:
        model, image, label, norm, radius = self._chosen(name)
        with eval_without_weight_gradients(model):
            uphill = input_gradient(cross_entropy_of(model, label), image)
            across = torch.randn(image.shape, generator=torch.Generator().manual_seed(self._row()))
            if norm == "linf":
                uphill, across = uphill.sign(), across.sign()
            else:
                uphill, across = (part / part.norm().clamp_min(1e-12) for part in (uphill, across))
            far = radius * torch.linspace(-REACH, REACH, SIDE)
            b, a = torch.meshgrid(far, far, indexing="ij")
            around = (image + a.reshape(-1, 1, 1, 1) * uphill + b.reshape(-1, 1, 1, 1) * across).clamp(0, 1)
            with torch.no_grad():
                logits = model(around)
        loss = -logits.log_softmax(dim=1)[:, label.item()]
        return loss.reshape(SIDE, SIDE), (logits.argmax(dim=1) != label).reshape(SIDE, SIDE)

    def numbers(self, image: Tensor, adversarial: Tensor) -> str:
        """The attack in words: the size of the perturbation, and the model's answers before and after."""
        delta = adversarial - image
        return say(
            "Before: {before}. After: {after}. Largest change of a pixel {largest:.3f}, length of the whole change "
            "{length:.2f}.",
            before=self.answer(image),
            after=self.answer(adversarial),
            largest=delta.abs().max().item(),
            length=delta.norm().item(),
        )

    def page(self) -> Markup:
        rows = [self._attack_of(name) for name in sorted(self.models, key=lambda name: name != self["model"])]
        about = say(
            "Loss around the image (the cross), up to {reach:g} ε away, on one scale for all: black 0, white {most:.1f} or "
            "more. Where it is striped the model misclassifies.",
            reach=REACH,
            most=self.most(),
        )
        told = self.numbers(*self.attacked())
        return Markup("<p>{}</p>{}<p>{}</p>").format(told, Markup("").join(rows), about)

    def most(self) -> float:
        """The loss that is drawn white: twice that of guessing among all classes."""
        return 2 * math.log(len(self.task.classes))

    def _attack_of(self, name: str) -> Markup:
        """A row of pictures: the image, the perturbation, the result and the loss around it, for one model."""
        image, adversarial = self.attacked(name)
        label = self.task.classes[self.task.test_labels[self._row()]]
        read = say("{label}, classified as {answer}", label=label, answer=self.answer(image, name))
        times = say("perturbation × {factor:.3g}", factor=SHOWN_TIMES)
        now = say("classified as {answer}", answer=self.answer(adversarial, name))
        grey = (0.5 + SHOWN_TIMES * (adversarial - image)).clamp(0, 1)
        loss, wrong = self.surface(name)
        seen = {"low": loss.min().item(), "high": loss.max().item(), "share": wrong.float().mean().item()}
        summary = say("Loss from {low:.2g} to {high:.2g}, {share:.0%} of the square is misclassified", **seen)
        cross = svg.lines([((48, 50), (52, 50)), ((50, 48), (50, 52))], colour=VERMILION, width=1)
        over = svg.lines(stripes(wrong), colour=VERMILION, width=1) + svg.lines(outline(wrong), colour=VERMILION, width=2)
        panels = side_by_side(
            svg.panel(image[0], side=165, label=say("An image of {label}", label=label), title=read),
            svg.panel(grey[0], side=165, label=say("The perturbation; grey is no change"), title=times),
            svg.panel(adversarial[0], side=165, label=say("The perturbed image"), title=now),
            svg.panel(loss / self.most(), side=165, label=summary, title=say("→ gradient, ↓ random"), over=over + cross),
        )
        return Markup("<p style='margin-bottom:0'><strong>{}</strong></p>{}").format(say(name), panels)

    @property
    def stored(self) -> dict[str, list]:
        return {"image": [3, 4], "epsilon": [0.0, 0.02, 0.05, 0.1, 0.2]}

    def still(self) -> Picture:
        image, adversarial = self.attacked()
        factor, grey = amplified(adversarial - image)
        loss, wrong = self.surface()
        with style():
            figure, axes = new_figure(1, 4, size=(8.5, 2.6))
            titles = (
                f"classified as {self.answer(image)}",
                f"perturbation × {factor:.3g}",
                f"classified as {self.answer(adversarial)}",
            )
            for ax, shown, title in zip(axes, (image, grey, adversarial), titles, strict=False):
                ax.imshow(drawable(shown[0]), vmin=0, vmax=1)
                ax.set_title(title, fontsize=9)
                ax.axis("off")
            extent = (-REACH, REACH, REACH, -REACH)
            axes[3].imshow(loss.numpy(), extent=extent)
            if 0 < wrong.float().mean() < 1:
                places = torch.linspace(-REACH, REACH, SIDE)
                axes[3].contour(places, places, wrong.float().numpy(), levels=[0.5], colors=VERMILION)
            axes[3].plot(0, 0, "+", color=VERMILION)
            axes[3].grid(False)
            axes[3].set_title("loss around it", fontsize=9)
            axes[3].set_xlabel("along the gradient (ε)", fontsize=8)
            axes[3].set_ylabel("random direction (ε)", fontsize=8)
        what = say(
            "{model} model, {norm} ε = {epsilon:.2f}, {steps} steps. {numbers}",
            model=self["model"],
            norm=self["norm"],
            epsilon=self["epsilon"],
            steps=self["steps"],
            numbers=self.numbers(image, adversarial),
        )
        return Picture(
            figure,
            caption=say(
                "A still of the explorer: {what} Right: white is a high loss, the line encloses what is misclassified.",
                what=what,
            ),
            alt=say("An image, its perturbation, the perturbed image and the loss around it. {what}", what=what),
        )


def amplified(delta: Tensor) -> tuple[float, Tensor]:
    """A factor and the perturbation times that factor around grey, so that the largest change is black or white."""
    factor = 0.5 / max(delta.abs().max().item(), 1e-3)
    return factor, 0.5 + factor * delta


def stripes(wrong: Tensor) -> list[tuple]:
    """A slanted line through every marked cell of a square grid, in coordinates 0..100."""
    cell = 100 / len(wrong)
    return [((j * cell, (i + 1) * cell), ((j + 1) * cell, i * cell)) for i, j in wrong.nonzero().tolist()]


def outline(wrong: Tensor) -> list[tuple]:
    """The border lines of the marked cells of a square grid, in coordinates 0..100: ((x, y), (x, y)) each."""
    cell, edges = 100 / len(wrong), []
    for i, j in (wrong[:, 1:] != wrong[:, :-1]).nonzero().tolist():
        edges.append((((j + 1) * cell, i * cell), ((j + 1) * cell, (i + 1) * cell)))
    for i, j in (wrong[1:] != wrong[:-1]).nonzero().tolist():
        edges.append(((j * cell, (i + 1) * cell), ((j + 1) * cell, (i + 1) * cell)))
    return edges
