"""When a network learns in context: letters and labels in bursty sequences (Chan et al. 2022, NeurIPS; Reddy 2024, ICLR).

A sequence is eight pairs of a letter and its label, and then a letter whose label is asked for. In training
every letter has one
label for good, so the network can learn it by heart (*in weights*) or look it up among the pairs (*in context*). The second way
also works for letters that it never saw. In a bursty sequence four letters stand twice each and the query is
one of them; else all
letters are drawn alone, and the query is hardly ever among them.

Reddy's network: two layers of attention alone, then a classifier. Simplified: letters are fixed features of pictures, their
principal components, and Reddy's classifier of three layers is one here.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import episodes
from ..runtime import choose_device, seed_everything
from ..training import train

PAIRS = 8
COPIES = 2  # of each letter in a bursty context
LABELS = 32
FEATURES = 32
BATCH = 64
TESTED = 400  # sequences of each test
EVERY = 25  # steps between two tests


def bursty_context(letters: int, pairs: int, copies: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The letters (pairs,) of a bursty context, numbers below `letters`, and that of its query ().

    pairs / copies different letters are drawn, each stands `copies` times, in a random order; the query is one of them.
    """
    chosen = torch.randperm(letters, generator=generator)[: pairs // copies]
    context = chosen.repeat(copies)[torch.randperm(pairs, generator=generator)]
    return context, context[torch.randint(pairs, (), generator=generator)]


@dataclass(frozen=True)
class Letters:
    """Features of letters: rows (n, FEATURES), and for each letter the rows that are pictures of it (letters, most), padded."""

    features: Tensor
    pictures: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return len(self.counts)

    def first(self, count: int | None) -> "Letters":
        """The same with the first `count` letters alone; None: all."""
        return Letters(self.features, self.pictures[:count], self.counts[:count])

    def draw(self, letters: Tensor, generator: torch.Generator) -> Tensor:
        """The features of a random picture of each of these letters: their shape and then FEATURES."""
        picture = (torch.rand(letters.shape, generator=generator) * self.counts[letters]).long()
        return self.features[self.pictures[letters, picture]]


@functools.cache
def letters() -> dict[str, Letters]:
    """ "seen": Latin and Lao letters and digits in many typefaces. "unseen": Armenian, Georgian and Greek ones. No jitter.

    Their features are the principal components of the seen letters' pictures, of equal length for all.
    """
    pools = {"seen": episodes.glyph_pool("train", jitter="none"), "unseen": episodes.glyph_pool("test", jitter="none")}
    pixels = {name: pool.images.flatten(1).float() / 255 for name, pool in pools.items()}
    mean = pixels["seen"].mean(dim=0)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)  # pca_lowrank draws
        _, _, components = torch.pca_lowrank(pixels["seen"] - mean, FEATURES, niter=4)
    found = {}
    for name, pool in pools.items():
        features = F.normalize((pixels[name] - mean) @ components, dim=1) * FEATURES**0.5
        rows = [(pool.labels == label).nonzero().squeeze(1) for label in range(len(pool.classes))]
        counts = torch.tensor([len(some) for some in rows])
        found[name] = Letters(features, nn.utils.rnn.pad_sequence(rows, batch_first=True), counts)
    return found


def sequences(
    count: int, which: Letters, generator: torch.Generator, *, bursty: float, labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Features (count, PAIRS + 1, FEATURES) of the letters and their labels (count, PAIRS + 1), the query last.

    bursty: the share of sequences that are; in others every letter is drawn alone. labels: the label of every
    letter; None: each
    sequence deals labels out anew, so that only its context tells them.
    """
    alone = torch.randint(len(which), (count, PAIRS + 1), generator=generator)
    # `bursty_context` for all sequences at once: the largest random numbers are a draw without repetition.
    chosen = torch.rand(count, len(which), generator=generator).topk(PAIRS // COPIES, dim=1).indices.repeat(1, COPIES)
    context = chosen.gather(1, torch.rand(count, PAIRS, generator=generator).argsort(dim=1))
    query = context.gather(1, torch.randint(PAIRS, (count, 1), generator=generator))
    is_bursty = torch.rand(count, 1, generator=generator) < bursty
    shown = torch.where(is_bursty, torch.cat([context, query], dim=1), alone)
    if labels is not None:
        return which.draw(shown, generator), labels[shown]
    dealt = torch.rand(count, LABELS, generator=generator).argsort(dim=1)
    first = (shown[:, :, None] == shown[:, None, :]).int().argmax(dim=2)  # where a letter stands first
    return which.draw(shown, generator), dealt.gather(1, first)


class _Attention(nn.Module):
    """Causal attention with one head, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project, self.mix = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.project(x).unflatten(2, (3, 1, -1)).permute(2, 0, 3, 1, 4)
        return x + self.mix(F.scaled_dot_product_attention(*parts, is_causal=True).squeeze(1))


class AttentionOnly(nn.Module):
    """The logits (B, LABELS) of each query, from the tokens letter, label, letter, label, ..., query letter."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.letter, self.label = nn.Linear(FEATURES, width), nn.Embedding(LABELS, width)
        self.position = nn.Parameter(0.3 * torch.randn(2 * PAIRS + 1, width))
        self.layers = nn.Sequential(_Attention(width), _Attention(width))
        self.logits = nn.Linear(width, LABELS)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """features (B, PAIRS + 1, FEATURES), labels (B, PAIRS) of all but the query."""
        items = self.letter(features)
        pairs = torch.stack([items[:, :PAIRS], self.label(labels)], dim=2).flatten(1, 2)
        tokens = torch.cat([pairs, items[:, PAIRS:]], dim=1) + self.position
        return self.logits(self.layers(tokens)[:, -1])


def fit_sequences(
    seed: int,
    *,
    bursty: float,
    steps: int,
    letters_seen: int | None = None,
    learning_rate: float = 5e-3,
    threshold: float = 0.5,
    device: str = "auto",
) -> dict:
    """Trains the network on sequences and tests it every EVERY steps.

    Args:
        seed: of the weights, the letters' labels and all sequences.
        bursty: share of bursty sequences in training, 0..1.
        steps: of the training.
        letters_seen: how many letters training knows; None: all.
        learning_rate: the largest one.
        threshold: accuracy about unseen letters from which the network counts as learning in context.
        device: where to train.

    Returns "steps" of the tests and the accuracies there: "in_context" (unseen letters, new labels in every bursty sequence),
    "in_weights" (training's letters and labels, the query not in the context). And the last of each,
    "step", the first test above the threshold, or all steps where none is; whether it "learned"; and "at_rest".
    """
    seed_everything(seed)
    target = choose_device(device)
    seen, unseen = letters()["seen"].first(letters_seen), letters()["unseen"]
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(LABELS, (len(seen),), generator=generator)
    # The same test sequences for every arm of a seed: they depend on the seed and on the letters alone.
    asked = torch.Generator().manual_seed(seed + 1)
    tests = {
        "in_context": sequences(TESTED, unseen, asked, bursty=1.0, labels=None),
        "in_weights": sequences(TESTED, seen, asked, bursty=0.0, labels=labels),
    }
    curves: dict[str, list] = {"steps": [], **{name: [] for name in tests}}
    model, step = AttentionOnly(), 0

    def sample(_: Tensor, __: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return tuple(part.to(target) for part in sequences(BATCH, seen, generator, bursty=bursty, labels=labels))

    def measure() -> None:
        curves["steps"].append(step)
        with torch.no_grad():
            for name, (x, y) in tests.items():
                correct = model(x.to(target), y[:, :PAIRS].to(target)).argmax(dim=1).cpu() == y[:, PAIRS]
                curves[name].append(correct.double().mean().item())

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        nonlocal step
        if step % EVERY == 0:
            measure()
        step += 1
        return F.cross_entropy(model(x, y[:, :PAIRS]), y[:, PAIRS])

    nothing = torch.zeros(BATCH, 1)  # sequences are drawn, not stored
    options = {"steps": steps, "batch_size": BATCH, "learning_rate": learning_rate, "seed": seed, "device": device}
    history = train(model, nothing, torch.zeros(BATCH, dtype=torch.long), augment=sample, loss=loss, **options)
    measure()
    above = [at for at, value in zip(curves["steps"], curves["in_context"], strict=True) if value > threshold]
    last = {f"last_{name}": curves[name][-1] for name in tests}
    first = {"step": above[0] if above else steps, "learned": bool(above)}
    return {**curves, **last, **first, "at_rest": history.at_rest}
