"""Chapter 02's explorer: choose a policy and drag its strength over real images."""

import torch
from markupsafe import Markup

from .. import data
from ..augment import POLICIES, get_policy
from ..figures import charts, svg
from ..html import side_by_side
from ..languages import say
from .controls import Upload
from .explorer import Explorer, choice, slider
from .geometry import shown_images

STORED = ("rotate", "scale", "affine", "flip", "noise", "erase")  # policies that a page without a kernel keeps


class PolicyExplorer(Explorer):
    """Sixteen images and the same images after a policy."""

    recipe = "lab.augment.get_policy({policy})(images, {strength}, torch.Generator().manual_seed({seed}))"

    def __init__(self, dataset: str = "glyphs", *, policy: str = "affine", strength: float = 0.25, **start) -> None:
        super().__init__(
            start,
            dataset=choice("data set", data.available(first=dataset), help="Where the images come from"),
            policy=choice("policy", list(POLICIES), policy, help="What is done to the images"),
            strength=slider("strength", strength, 0.0, 1.0, 0.05, help="0 changes nothing, 1 is the strongest"),
            own=Upload(description=say("own picture"), tooltip=say("Sixteen draws of a picture of your own")),
            seed=slider("draw", 0, 0, 50, 1, help="Another number, another random draw", whole=True),
        )

    def _pictures(self) -> tuple[torch.Tensor, torch.Tensor]:
        images = shown_images(self["dataset"])[:16]
        if self["own"]:
            images = svg.from_data_uri(self["own"], like=images[0]).expand_as(images)
        generator = torch.Generator().manual_seed(self["seed"])
        return images, get_policy(self["policy"])(images, self["strength"], generator)

    def page(self) -> Markup:
        from torchvision.utils import make_grid  # its import takes a second, which chapters without this explorer save

        before, after = (make_grid(part, nrow=4, padding=1, pad_value=90) for part in self._pictures())
        name = say(self["policy"])
        description = say("{name}: {what}.", name=name, what=say(POLICIES[self["policy"]].what))
        label = say("The same images after {name}", name=name)
        left = svg.panel(before, side=240, label=say("Sixteen images"), title=say("before"))
        right = svg.panel(after, side=240, label=label, title=f"{name}, {self['strength']:.2f}")
        return Markup("<p>{}</p>").format(description) + side_by_side(left, right)

    @property
    def stored(self) -> dict[str, list]:
        return {"policy": [name for name in STORED if name in POLICIES], "strength": [0.25, 0.5, 1.0]}

    def still(self):
        before, after = self._pictures()
        return charts.images(
            torch.cat([before[:8], after[:8]]),
            [""] * 16,
            columns=8,
            title=say("{policy} at strength {strength:g}", policy=self["policy"], strength=self["strength"]),
            caption=say("A still of the explorer: above eight images, below the same ones after the policy."),
            alt=say("Eight images and the same images after the policy {name}.", name=say(self["policy"])),
        )
