"""SetFit: a sentence encoder learns from pairs of a few labelled texts, then a head from its vectors (Tunstall et al. 2022).

K texts of each of C classes make few labels and many pairs. The encoder learns that the vectors of two texts point the same way
where their classes agree and are at right angles where they do not; the labelled texts pass through it once more, and a linear
head learns from their new vectors (arXiv 2209.11055, section 3). The lower layers stay as they are and read each text once.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.conll import Sentence
from ..models.language import autocast
from ..models.tagger import Tagger
from ..training import History, train
from .tagging import Batches, lower_batches

PairLoss = Callable[[Tensor, Tensor], Tensor]


def pair_counts(labels: Tensor) -> tuple[int, int]:
    """How many pairs of two different texts have the same class, and how many have two classes; labels (n,)."""
    n, sizes = len(labels), labels.bincount()
    same = int((sizes * (sizes - 1) // 2).sum())
    return same, n * (n - 1) // 2 - same


def pair_loss(vectors: Tensor, labels: Tensor) -> Tensor:
    """(cos - 1)^2 over the pairs of one class and cos^2 over those of two, each kind its own mean; their mean, a scalar.

    Where a kind has no pair its mean is 0. SetFit draws as many pairs of either kind; here a step sees all, and the kinds weigh
    the same.

    Args:
        vectors: (n, d) of any length.
        labels: (n,) class numbers.
    """
    z = F.normalize(vectors, dim=1)
    first, second = torch.triu_indices(len(z), len(z), offset=1)  # every pair once, no text with itself
    cosine, same = (z[first] * z[second]).sum(1), labels[first] == labels[second]
    kinds = (cosine[same] - 1).square(), cosine[~same].square()
    return sum(kind.sum() / max(1, len(kind)) for kind in kinds) / 2


class SentenceVectors(nn.Module):
    """The upper layers of an encoder and the mean over tokens: what the lower layers give (n, T, d) -> vectors (n, d)."""

    def __init__(self, split: Tagger) -> None:
        super().__init__()
        self.learning, self.mask = split.learning, split.mask

    def forward(self, h: Tensor) -> Tensor:
        mask = self.mask(h)
        with autocast(h.device):
            z = self.learning(inputs_embeds=h, attention_mask=mask.long()).last_hidden_state.float()
        return F.normalize((z * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True), dim=1)


def read_lower(tokenizer, encoder, texts: Sequence[str], layers: int) -> Batches:
    """What all but the last `layers` layers give for texts, in batches of like lengths: rows of the texts, (B, T, d)."""
    return lower_batches(_split(encoder, layers), tokenizer, [Sentence.untagged(tuple(text.split())) for text in texts])


def fit(
    encoder,
    batches: Batches,
    rows: Tensor,
    labels: Tensor,
    *,
    layers: int,
    steps: int,
    learning_rate: float,
    loss: PairLoss = pair_loss,
    device: str = "auto",
) -> tuple[Tensor, History]:
    """Trains the last layers of an encoder on all pairs of the labelled texts at every step; the encoder stays as it is.

    Args:
        encoder: a BERT.
        batches: of `read_lower`, of all texts that are wanted.
        rows: (n,) which of them are labelled.
        labels: (n,) their class numbers.
        layers: how many learn, as in `read_lower`.
        steps: of AdamW.
        learning_rate: the largest.
        loss: `pair_loss`, or a learner's.
        device: where to train.

    Returns the vectors (N, d) of all texts afterwards, on the CPU, and the history of the training.
    """
    network = SentenceVectors(_split(encoder, layers))
    h = nn.utils.rnn.pad_sequence([_find(batches, row) for row in rows.tolist()], batch_first=True)

    def of_pairs(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return loss(model(x).float(), y)

    options = {"batch_size": len(rows), "learning_rate": learning_rate, "warmup": max(1, steps // 10)}
    history = train(network, h, labels, steps=steps, optimizer=torch.optim.AdamW, loss=of_pairs, device=device, **options)
    return vectors_of(network, batches), history


@torch.inference_mode()
def vectors_of(network: SentenceVectors, batches: Batches) -> Tensor:
    """The vectors (N, d) of the texts of `read_lower`, in their order, on the CPU."""
    device = next(network.parameters()).device
    order = torch.tensor([row for rows, _ in batches for row in rows]).argsort()
    return torch.cat([network(h.float().to(device)).cpu() for _, h in batches])[order]


def _find(batches: Batches, row: int) -> Tensor:
    """What the lower layers gave for one text, (T, d), with its padding of zeros."""
    return next(h[rows.index(row)].float() for rows, h in batches if row in rows)


def _split(encoder, layers: int) -> Tagger:
    return Tagger(encoder, 1, layers=len(encoder.encoder.layer), frozen_layers=len(encoder.encoder.layer) - layers)
