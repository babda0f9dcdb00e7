"""SimSiam: its loss and where its gradient goes, the effective dimension against an independent formula, the collapse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.methods import siamese

AFFINE = [("affine", 0.25)]


def outputs(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("loss", [siamese.simsiam_loss, siamese.without_stop_gradient])
def test_both_losses_are_the_formula(loss):
    p1, p2, z1, z2 = (side.detach().numpy() for side in outputs())
    cosines = [
        np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(p, z, strict=True)])
        for p, z in ((p1, z2), (p2, z1))
    ]
    assert loss(*outputs()).item() == pytest.approx(-sum(cosines) / 2)


def test_the_gradient_stops_at_the_outputs_in_one_loss_and_not_in_the_other():
    reached = {}
    for loss in (siamese.simsiam_loss, siamese.without_stop_gradient):
        sides = outputs()
        loss(*sides).backward()
        reached[loss.__name__] = [bool(side.abs().sum()) for side in sides.grad]
    assert reached == {"simsiam_loss": [True, True, False, False], "without_stop_gradient": [True] * 4}


@settings(max_examples=25)
@given(n=st.integers(1, 12), d=st.integers(1, 6), seed=st.integers(0, 999))
def test_the_effective_dimension_is_that_of_squared_singular_values_and_lies_in_its_range(n, d, seed):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    unit = x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)
    shares = np.linalg.svd(unit, compute_uv=False) ** 2 / n
    expected = math.exp(-sum(share * math.log(share) for share in shares if share > 1e-15))
    found = siamese.effective_dimension(x).item()
    assert found == pytest.approx(expected, rel=1e-6)
    assert 1 - 1e-9 <= found <= min(n, d) + 1e-9


def test_one_point_has_dimension_1_and_even_directions_have_as_many_as_there_are():
    assert siamese.effective_dimension(torch.full((7, 5), 0.3)).item() == pytest.approx(1, abs=1e-4)
    assert siamese.effective_dimension(torch.eye(5).repeat(3, 1)).item() == pytest.approx(5, abs=1e-4)


def test_the_looks_are_those_that_were_asked_for_and_the_learners_functions_are_used():
    called = []

    def loss(*sides):
        called.append([tuple(side.shape) for side in sides])
        return siamese.simsiam_loss(*sides)

    how = {"views": AFFINE, "looks": [0, 2, 3], "shots": 5, "batch_size": 16}
    row = siamese.fit_simsiam("digits", seed=0, loss=loss, dimension=lambda x: torch.tensor(7.0), **how)
    assert called == [[(16, siamese.OUTPUTS)] * 4] * 3 and len(row["losses"]) == 3
    assert row["dimensions"] == row["feature_dimensions"] == [7.0] * 3 and len(row["accuracies"]) == 3


@pytest.mark.slow
def test_outputs_collapse_without_the_stop_gradient_alone_and_trainings_repeat_themselves():
    how = {"seed": 1, "views": AFFINE, "looks": [0, 100], "shots": 5, "device": "cpu", **lab.chosen("simsiam")}
    kept, again = (siamese.fit_simsiam("digits", **how) for _ in range(2))
    collapsed = siamese.fit_simsiam("digits", loss=siamese.without_stop_gradient, **how)
    assert kept["losses"] == again["losses"]
    assert kept["dimensions"][0] == collapsed["dimensions"][0] > 10
    assert collapsed["dimensions"][-1] < 1.8 < 2.5 < kept["dimensions"][-1]
    assert collapsed["losses"][-1] < kept["losses"][-1]


@pytest.mark.slow
def test_watching_changes_nothing():
    pool = lab.methods.contrastive.unlabelled("digits")
    how = {"steps": 5, "seed": 0, "batch_size": 16, "device": "cpu"}
    seen = []
    _, watched = siamese.simsiam(pool, AFFINE, watch=lambda step, model: seen.append(step), **how)
    _, alone = siamese.simsiam(pool, AFFINE, **how)
    assert seen == list(range(5)) and watched.losses == alone.losses
