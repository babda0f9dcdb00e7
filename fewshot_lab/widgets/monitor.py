"""Watches a GAN train: samples, both losses and the collapse alarm, updated in place; a still picture remains."""

import math
from collections.abc import Callable

import torch
from IPython import get_ipython
from IPython.display import display
from markupsafe import Markup
from torch import Tensor

from ..data import ImageTask
from ..figures import Picture, new_figure, style, svg, tiled
from ..figures.style import COLOURS, GREY, drawable
from ..html import side_by_side
from ..languages import say
from ..methods.generation import sample
from ..methods.generation_quality import collapse_alarm

PER_CLASS = 20  # images of each class that the alarm looks at
SHOWN = 3  # of them are shown, always from the same noise
MOMENTS = 3  # of the training that the still picture shows, the last one with all images
EVEN = {"discriminator": 2 * math.log(2), "generator": math.log(2)}  # both losses where every score is 0: half real, half fake


class GanMonitor:
    """A `watch` for `generation.train_gan`. In a with statement its still picture takes the page's place at the end.

    alarm(generated, labels, real, real_labels) returns one number per class, 1 for as varied as the training images of `task`;
    it rings below `threshold`.
    """

    def __init__(self, task: ImageTask, *, threshold: float, alarm: Callable = collapse_alarm) -> None:
        self.task, self.threshold, self.alarm, self.history, self._handle = task, threshold, alarm, None, None
        self.steps: list[int] = []
        self.grids: list[Tensor] = []  # each (SHOWN, classes, 1, H, W)
        self.alarms: list[Tensor] = []  # each (classes,)

    def __enter__(self) -> "GanMonitor":
        return self

    def __exit__(self, *_) -> None:
        if self.steps:
            still = self.still()
            self._publish(*still._repr_mimebundle_())
            if self._handle is not None:
                display(still.under_it(), raw=True)

    def __call__(self, history, generator) -> None:
        """Samples from the generator and updates the page."""
        images, labels = sample(generator, PER_CLASS)
        self.history = history
        self.steps.append(history.steps)
        self.grids.append(images.unflatten(0, (-1, PER_CLASS))[:, :SHOWN].transpose(0, 1))
        self.alarms.append(self.alarm(images, labels, self.task.train_images / 255, self.task.train_labels))
        self._publish({"text/html": self.page(), "text/plain": self.words()})

    def words(self) -> str:
        """The alarm in words."""
        now = self.alarms[-1]
        lowest = self.task.classes[int(now.argmin())]
        rings = int((now < self.threshold).sum())
        state = say("the alarm is silent")
        if rings:
            state = say("the alarm rings for {rings} of {count} classes", rings=rings, count=len(now))
        return say(
            "After {steps} steps {state}: spread {mean:.2f} of the real images', least for {lowest} ({least:.2f}).",
            steps=self.steps[-1],
            state=state,
            mean=now.mean().item(),
            lowest=lowest,
            least=now.min().item(),
        )

    def page(self) -> Markup:
        """The live page: samples, and two small charts as SVG."""
        grid = svg.data_uri(tiled(self.grids[-1]))
        about = say("Generated images of {names}", names=", ".join(self.task.classes))
        picture = Markup("<img alt='{}' src='{}' style='width:32em;image-rendering:pixelated'>").format(about, grid)
        both = {say("discriminator"): self.history.discriminator, say("generator"): self.history.generator}
        spreads = {say("mean"): [float(a.mean()) for a in self.alarms], say("least"): [float(a.min()) for a in self.alarms]}
        charts = side_by_side(_chart(both, say("losses")), _chart(spreads, say("spread")))
        return Markup("<div role='status'>{}{}<p>{}</p></div>").format(picture, charts, self.words())

    def still(self) -> Picture:
        """Samples at some moments, both losses and the alarm over the steps."""
        positions = torch.linspace(0, len(self.steps) - 1, min(MOMENTS, len(self.steps))).round().long().tolist()
        with style():
            figure, axes = new_figure(1, 3, size=(10.5, 3.2), width_ratios=(2.3, 1, 1))
            rows = torch.cat([*(self.grids[i][:1] for i in positions[:-1]), self.grids[-1]])
            ticks = [self.steps[i] for i in positions] + [self.steps[-1]] * (len(rows) - len(positions))
            axes[0].imshow(drawable(tiled(rows)), vmin=0, vmax=1)
            side = self.task.train_images.shape[-1] + 1
            axes[0].set_xticks(
                [(k + 0.5) * side - 0.5 for k in range(len(self.task.classes))], [c[:5] for c in self.task.classes]
            )
            axes[0].set_yticks([(r + 0.5) * side - 0.5 for r in range(len(rows))], ticks)
            axes[0].tick_params(length=0)
            axes[0].grid(False)
            axes[0].set(ylabel="step", xlabel="class")
            for name, colour in zip(("discriminator", "generator"), COLOURS, strict=False):
                values = _smooth(getattr(self.history, name))
                axes[1].plot(
                    range(len(values)), values, color=colour, label=name, linestyle="-" if name == "generator" else "--"
                )
                axes[1].axhline(EVEN[name], color=GREY, linestyle=":", linewidth=1)
            axes[1].set(xlabel=say("step"), title=say("losses; dotted 2 ln 2, ln 2"))
            axes[1].legend(fontsize=8)
            axes[2].plot(
                self.steps, [float(a.mean()) for a in self.alarms], marker="o", markersize=3, label=say("mean of classes")
            )
            axes[2].plot(self.steps, [float(a.min()) for a in self.alarms], marker="s", markersize=3, label=say("least class"))
            axes[2].axhline(self.threshold, color=GREY, linestyle="--", linewidth=1, label=say("alarm below"))
            axes[2].set(
                xlabel=say("step"), title=say("spread, real = 1"), ylim=(0, max(1.05, *(float(a.mean()) for a in self.alarms)))
            )
            axes[2].legend(fontsize=8)
            figure.suptitle(self.words(), fontsize=11, fontweight="bold", x=0.01, ha="left")
        moments = ", ".join(str(self.steps[i]) for i in positions)
        caption = say(
            "One image of each class after {moments} steps, at the end {shown}. Losses are smoothed. {words}",
            moments=moments,
            shown=SHOWN,
            words=self.words(),
        )
        return Picture(figure, caption=caption, alt=say("Samples while training. {words}", words=self.words()))

    def _publish(self, bundle: dict[str, str], metadata: dict | None = None) -> None:
        if get_ipython() is None:
            return
        if self._handle is None:
            self._handle = display(bundle, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(bundle, metadata=metadata, raw=True)


def _smooth(values: list[float], window: int = 25) -> list[float]:
    """The running mean of the last `window` values."""
    sums = torch.tensor([0.0, *values], dtype=torch.float64).cumsum(0)
    last = torch.arange(1, len(values) + 1)
    first = (last - window).clamp_min(0)
    return ((sums[last] - sums[first]) / (last - first)).tolist()


def _chart(series: dict[str, list[float]], title: str) -> Markup:
    """A small line chart as SVG: the first series dashed, the second solid, both named with their last value."""
    smooth = {name: _smooth(values) if len(values) > 100 else values for name, values in series.items()}
    top = max(max(values) for values in smooth.values()) or 1.0
    paths = Markup("")
    for number, (values, dash) in enumerate(zip(smooth.values(), ("4 3", "none"), strict=True)):
        thin = values[:: max(1, len(values) // 200)]
        points = " ".join(f"{200 * i / max(1, len(thin) - 1):.1f},{80 - 76 * v / top:.1f}" for i, v in enumerate(thin))
        paths += Markup("<polyline points='{}' fill='none' stroke='{}' stroke-width='1.5' stroke-dasharray='{}'/>").format(
            points, COLOURS[number], dash
        )
    lines = zip(smooth.items(), (say("dashed"), say("solid")), strict=True)
    words = ", ".join(f"{name} ({line}) {values[-1]:.2f}" for (name, values), line in lines)
    return Markup(
        "<figure style='margin:0'><svg role='img' aria-label='{0}: {1}' viewBox='0 0 200 84' width='260' height='110'>"
        "{2}<line x1='0' y1='80' x2='200' y2='80' stroke='currentColor'/></svg><figcaption>{0}: {1}</figcaption></figure>"
    ).format(title, words, paths)
