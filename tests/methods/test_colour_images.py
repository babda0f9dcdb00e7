"""Colour images go through every method on images, and their colour is seen."""

import base64
import functools
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot_lab import data, widgets
from fewshot_lab.augment import geometry, mixing, policies
from fewshot_lab.data import ImageTask
from fewshot_lab.figures import charts, svg
from fewshot_lab.methods import (
    adversarial,
    contrastive,
    distillation,
    generated_instances,
    generation,
    generation_quality,
    label_preservation,
    linear_probe,
    model_size,
    pipeline,
    supervised,
    variational,
)

SHORT = {"seed": 0, "steps": 3}


def made_task() -> ImageTask:
    """Squares on white that differ in their colour alone, (N, 3, 16, 16): their sum over the channels is the same."""
    generator = torch.Generator().manual_seed(0)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(3).repeat(count // 3)
        images = torch.full((count, 3, 16, 16), 255, dtype=torch.uint8)
        for image, label, (row, column) in zip(images, labels, torch.randint(6, (count, 2), generator=generator), strict=True):
            image[:, row : row + 8, column : column + 8] = 60
            image[label, row : row + 8, column : column + 8] = 200
        return images, labels

    return ImageTask("colours", ("red", "green", "blue"), *part(90), *part(30), *part(30))


@pytest.fixture
def colours(monkeypatch):
    load = functools.cache(made_task)
    original = data.load
    monkeypatch.setattr(data, "load", lambda name: load() if name == "colours" else original(name))
    yield load()
    generation.small_task.cache_clear()
    generation.halves.cache_clear()


def test_a_net_learns_what_colour_alone_tells(colours):
    mix = functools.partial(mixing.mixup, alpha=0.2)
    row = supervised.fit_few_shot("colours", shots=10, seed=0, steps=60, policy="affine", strength=0.2)
    assert row["test_accuracy"] > 0.9
    assert "test_accuracy" in supervised.fit_few_shot("colours", shots=5, mix=mix, **SHORT)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: supervised.fit_classifier("colours", **SHORT),
        lambda: distillation.fit_teacher("colours", width=4, **SHORT),
        lambda: distillation.fit_student("colours", shots=2, width=4, **SHORT),
        lambda: adversarial.fit_robust("colours", shots=2, seed=0, method="adversarial", passes=2, test_steps=2),
        lambda: label_preservation.fit_reader("colours", degrees=30.0, **SHORT),
        lambda: model_size.fit_size("colours", shots=2, **SHORT),
        lambda: generation_quality.fit_evaluator("colours", strength=0.2, **SHORT),
        lambda: generated_instances.fit_classifier("colours", shots=2, **SHORT),
        lambda: linear_probe.fit_from("colours", shots=2, **SHORT),
        lambda: pipeline.fit_start("colours", strength=0.2, **SHORT),
        lambda: contrastive.rotation_prediction(data.load("colours").train_images, **SHORT),
    ],
)
def test_every_method_that_trains_on_images_takes_colour_ones(colours, fit):
    assert fit() is not None


@pytest.mark.parametrize(
    "fit", [lambda: generation.fit_gan("colours", shots=5, **SHORT), lambda: variational.fit_vae("colours", shots=5, **SHORT)]
)
def test_generators_give_colour_images(colours, fit):
    images, _ = generation.sample(fit()["generator"], 2)
    assert images.shape[:2] == (6, 3)
    assert (images[:, 0] != images[:, 1]).any()


@pytest.mark.parametrize("name", ["rotate", "shift", "scale", "shear", "affine"])
def test_what_comes_into_a_colour_picture_from_outside_has_the_colour_of_its_border(colours, name):
    images = colours.test_images.float() / 255
    moved = policies.POLICIES[name](images, 1.0, torch.Generator().manual_seed(0))
    border = torch.cat([moved[..., 0, :], moved[..., -1, :], moved[..., 0], moved[..., -1]], dim=-1)
    # Nothing darker than a square's own colour: zeros from outside would be black.
    assert moved.min() >= 60 / 255 - 1e-4 and border.median() > 0.999


def test_a_warp_with_background_differs_from_zeros_only_by_what_is_outside():
    paper = torch.tensor([1.0, 0.75, 0.8])[:, None, None].expand(1, 3, 15, 15).clone()
    paper[..., 5:10, 5:10] = torch.rand(3, 5, 5)
    turn = geometry.rotation(torch.tensor(0.6))
    filled, black = (geometry.warp(paper, turn, padding=padding) for padding in ("background", "zeros"))
    assert torch.allclose(filled[..., 4:11, 4:11], black[..., 4:11, 4:11], atol=1e-6)
    assert torch.allclose(filled[0, :, 0, 0], torch.tensor([1.0, 0.75, 0.8]), atol=1e-6) and black[0, :, 0, 0].max() < 0.1
    assert (geometry.warp((paper * 255).byte(), turn, padding="background")[0, :, 0, 0] == torch.tensor([255, 191, 204])).all()
    assert geometry.padding_for(paper) == "background" and geometry.padding_for(paper[:, :1]) == "zeros"


def in_colour(png: bytes, channel: int) -> bool:
    """Whether some pixels of a PNG have much more of one colour than of the others, as the squares do and no chart does."""
    pixels = torch.from_numpy(np.array(Image.open(BytesIO(png)).convert("RGB"))).long()
    wanted = torch.tensor([60, 60, 60])
    wanted[channel] = 200
    return ((pixels - wanted).abs().amax(dim=-1) < 12).sum().item() > 50


def test_figures_and_explorers_show_three_channels(colours):
    shown = charts.images(colours.test_images[:3], colours.classes, columns=3, title="Colours", caption="Three squares.")
    assert all(in_colour(shown.png, channel) for channel in range(3))
    address = svg.data_uri(colours.test_images[1])
    assert in_colour(base64.b64decode(address.split(",")[1]), 1)
    logits = torch.randn(len(colours.test_labels), 3)
    models = {"a net": supervised.fit_classifier("colours", **SHORT)}
    for explorer in (widgets.TemperatureExplorer(colours, logits), widgets.AttackExplorer(colours, models, epsilon=0.01)):
        png = explorer.still().png
        assert any(in_colour(png, channel) for channel in range(3)), type(explorer).__name__
