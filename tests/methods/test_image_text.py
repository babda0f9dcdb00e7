"""Names as labels: the loss against a plain loop, classes by name, Tip-Adapter's cache, probes that start at the names."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fewshot_lab.methods import glyph_names, image_text, shots_and_names


def units(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


def test_the_loss_is_the_mean_of_both_directions_counted_pair_by_pair():
    z, t, scale = 3 * units(5, 7).float(), units(5, 7, seed=1).float(), 4.0
    total = 0.0
    for i in range(5):
        cosines = [F.cosine_similarity(z[i], t[j], dim=0).item() for j in range(5)]
        back = [F.cosine_similarity(z[j], t[i], dim=0).item() for j in range(5)]
        for row in (cosines, back):
            total -= scale * row[i] - math.log(sum(math.exp(scale * value) for value in row))
    assert image_text.contrastive_loss(z, t, scale).item() == pytest.approx(total / 10)
    assert image_text.contrastive_loss(z, t, scale).item() == pytest.approx(image_text.contrastive_loss(t, z, scale).item())


def test_a_class_by_several_texts_gives_each_an_equal_say():
    texts = torch.stack([100 * units(4, seed=2), units(4, seed=3)])[None]
    vector = image_text.class_vectors(texts)
    assert torch.allclose(vector[0], F.normalize(units(4, seed=2) + units(4, seed=3), dim=0))
    logits = image_text.zero_shot_logits(5 * units(3, 4), vector, 2.0)
    assert torch.allclose(logits, 2 * units(3, 4) @ vector.T)


def test_towers_that_learn_know_their_pairs_and_keep_the_scale_below_its_limit():
    z, t = units(40, 16).float(), units(40, 12, seed=1).float()
    towers = image_text.Towers(16, 12)
    before = image_text.contrastive_loss(*towers(z, t), towers.scale)
    optimizer = torch.optim.Adam(towers.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = image_text.contrastive_loss(*towers(z, t), towers.scale)
        loss.backward()
        optimizer.step()
    assert loss < before / 5 and towers.scale <= image_text.LARGEST_SCALE
    pictures, texts = towers.embed_pictures(z), towers.embed_texts(t)
    assert torch.allclose(pictures.norm(dim=1), torch.ones(40), atol=1e-5)
    assert (image_text.zero_shot_logits(pictures, texts, 1.0).argmax(1) == torch.arange(40)).float().mean() > 0.95


def test_a_cache_answers_by_the_nearest_picture_where_it_is_sharp_and_adds_nothing_at_alpha_0():
    support, queries, names = (units(*s, seed=i).float() for i, s in enumerate([(2, 3, 4, 6), (2, 8, 6), (2, 3, 6)]))
    plain = shots_and_names.tip_adapter(support, queries, names, scale=10.0, alpha=0.0, beta=5.0)
    assert torch.allclose(plain, 10 * queries @ names.transpose(1, 2))
    sharp = shots_and_names.tip_adapter(support, queries, names, scale=0.0, alpha=1.0, beta=50.0)
    nearest = (queries @ support.flatten(1, 2).transpose(1, 2)).argmax(2) // 4
    assert torch.equal(sharp.argmax(2), nearest)


@pytest.mark.parametrize("start", [None, units(2, 3, 6, seed=2)], ids=["from zero", "from the names"])
def test_a_probe_finds_the_minimum_that_scipy_finds(start):
    from scipy.optimize import minimize

    support, queries, decay, weight = units(2, 3, 4, 6), units(2, 5, 6, seed=1), 0.05, 2.0
    found = shots_and_names.probe(support, queries, start, decay=decay, weight=weight)
    x, y = support[0].flatten(0, 1), torch.arange(3).repeat_interleave(4)
    w0 = torch.zeros(6, 3, dtype=torch.float64) if start is None else weight * start[0].T

    def objective(flat):
        w = torch.tensor(flat).view(6, 3).requires_grad_()
        value = F.cross_entropy(x @ w, y) + decay / 2 * (w - w0).square().sum()
        value.backward()
        return value.item(), w.grad.flatten().numpy()

    best = torch.tensor(minimize(objective, w0.flatten().numpy(), jac=True, tol=1e-12).x).view(6, 3)
    assert torch.allclose(found[0], queries[0] @ best, atol=2e-2)


def test_a_name_recurs_where_all_of_its_words_were_seen():
    seen = ("LATIN SMALL LETTER K", "LATIN CAPITAL LETTER B WITH HOOK")
    names = ("LATIN SMALL LETTER B WITH HOOK", "LATIN SMALL LETTER HWAIR")
    assert glyph_names.recurring(names, seen).tolist() == [True, False]


def test_towers_take_a_network_for_their_pictures():
    towers = image_text.Towers(nn.Sequential(nn.Flatten(), nn.Linear(9, 8)), 5, width=8)
    z, t = towers(torch.rand(3, 1, 3, 3), torch.rand(3, 5))
    assert z.shape == t.shape == (3, image_text.DIMENSIONS)
