"""SetFit: the pairs against a count by hand, the loss against the library's formula, and what a training changes."""

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from fewshot_lab.methods import setfit

LABELS = torch.tensor([0, 1, 0, 2, 1, 0])


def vectors(seed: int = 0, n: int = 6) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("labels", [LABELS, torch.arange(5).repeat_interleave(4), torch.zeros(3, dtype=torch.long)])
def test_every_pair_is_counted_once(labels):
    pairs = [a == b for a, b in combinations(labels.tolist(), 2)]
    assert setfit.pair_counts(labels) == (sum(pairs), len(pairs) - sum(pairs))


def test_the_loss_is_that_of_cosine_similarity_with_both_kinds_alike():
    z, first, second = vectors(), *torch.triu_indices(6, 6, offset=1)
    target = (LABELS[first] == LABELS[second]).double()
    # sentence-transformers' CosineSimilarityLoss: the mean squared error of the cosine to 1 or 0.
    errors = F.mse_loss(F.cosine_similarity(z[first], z[second]), target, reduction="none")
    expected = (errors[target == 1].mean() + errors[target == 0].mean()) / 2
    assert torch.allclose(setfit.pair_loss(z, LABELS), expected)
    assert torch.allclose(setfit.pair_loss(7 * z, LABELS), expected), "lengths do not count"


def test_a_kind_without_pairs_adds_nothing():
    z = vectors(n=3)
    assert torch.allclose(setfit.pair_loss(z, torch.tensor([0, 1, 2])), (_cosines(z) ** 2).mean() / 2)
    assert torch.allclose(setfit.pair_loss(z, torch.tensor([1, 1, 1])), ((_cosines(z) - 1) ** 2).mean() / 2)


def _cosines(z: torch.Tensor) -> torch.Tensor:
    return torch.stack([F.cosine_similarity(z[a], z[b], dim=0) for a, b in combinations(range(len(z)), 2)])


@pytest.mark.assets
def test_a_training_parts_the_classes_and_leaves_the_encoder_alone():
    from fewshot_lab.models.language import embed, minilm

    tokenizer, encoder = minilm("cpu")
    texts = ["a small dog", "a cat that purrs", "an oak tree", "a red rose", "a kitten and a puppy", "moss on a wet stone"]
    labels = torch.tensor([0, 0, 1, 1])
    before = embed(tokenizer, encoder, texts)
    batches = setfit.read_lower(tokenizer, encoder, texts, 2)
    untrained = setfit.vectors_of(setfit.SentenceVectors(setfit._split(encoder, 2)), batches)
    assert torch.allclose(untrained, before, atol=2e-2), "the lower layers may be read in bfloat16"
    z, history = setfit.fit(encoder, batches, torch.arange(4), labels, layers=2, steps=10, learning_rate=2e-4, device="cpu")
    assert history.losses[-1] < history.losses[0] / 2
    assert setfit.pair_loss(z[:4], labels) < setfit.pair_loss(before[:4], labels) / 2
    assert z[4] @ z[:2].mean(0) > z[4] @ z[2:4].mean(0), "an animal that it did not see"
    assert torch.allclose(embed(tokenizer, encoder, texts), before, atol=1e-5), "eager attention rounds otherwise"
