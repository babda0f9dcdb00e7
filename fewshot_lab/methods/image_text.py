"""Contrastive learning of pictures and texts in one space, and what it is for: classes that are known by their names alone.

Radford et al. 2021 (ICML), "Learning transferable visual models from natural language supervision" (CLIP). Two towers map a
picture and its text to unit vectors; matching pairs are to be the most similar ones of their batch. A class that was never
seen is then recognised by the vector of its name: zero-shot classification (零样本分类).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime import seed_everything
from ..training import History, train
from ..training.processes import all_gather

DIMENSIONS = 128  # of the common space
SCALE = 1 / 0.07  # the inverse temperature before training (Radford et al. 2021, section 2.5)
LARGEST_SCALE = 100.0  # CLIP clips it there


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor | float) -> Tensor:
    """The symmetric cross-entropy over a batch of pairs: which text belongs to my picture, which picture to my text?

    With s_ij = scale * z_i . t_j of unit vectors z_i and t_j, it is the mean of -log softmax_j(s_ij) at j = i and of
    -log softmax_i(s_ij) at i = j. Source: Radford et al. 2021 (ICML), figure 3; Zhang et al. 2022 (MLHC).

    Args:
        images: (B, D), of any length; row i belongs to row i of texts.
        texts: (B, D).
        scale: the inverse temperature, above 0.

    Returns a scalar.
    """
    logits = scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T  # (B, B)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def class_vectors(texts: Tensor) -> Tensor:
    """One unit vector for each class from several texts about it: (classes, texts, D) -> (classes, D).

    Each text's vector is scaled to length 1, so that all have an equal say; their mean is scaled to length 1 again. Source:
    Radford et al. 2021 (ICML), section 3.1.4 ("prompt ensembling").
    """
    return F.normalize(F.normalize(texts, dim=2).mean(dim=1), dim=1)


def zero_shot_logits(images: Tensor, vectors: Tensor, scale: float) -> Tensor:
    """The logits of pictures for classes known by name: scale * z . t_k, z of length 1.

    Args:
        images: vectors of pictures (n, D), of any length.
        vectors: t_k, unit vectors of the classes (classes, D).
        scale: the inverse temperature.

    Returns (n, classes).
    """
    return scale * F.normalize(images, dim=1) @ vectors.T


class Towers(nn.Module):
    """A picture tower and a text tower over given features, and the inverse temperature that both learn.

    Takes features of pictures (B, P) and of texts (B, T); returns unit vectors (B, D) of both.

    Args:
        pictures: P, the width of the pictures' features, or a network from pictures to features of that width.
        texts: T.
        width: P where `pictures` is a network.
        dropout: of the features before each linear map, in training.
    """

    def __init__(self, pictures: int | nn.Module, texts: int, *, width: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        network = [] if isinstance(pictures, int) else [pictures]
        into = pictures if isinstance(pictures, int) else width
        self.picture = nn.Sequential(*network, nn.Dropout(dropout), nn.Linear(into, DIMENSIONS))
        self.text = nn.Sequential(nn.Dropout(dropout), nn.Linear(texts, DIMENSIONS))
        # A logarithm, so that no step of the optimizer can make the scale negative.
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    @property
    def scale(self) -> Tensor:
        """The inverse temperature, at most LARGEST_SCALE."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def forward(self, pictures: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        return self.embed_pictures(pictures), self.embed_texts(texts)

    def embed_pictures(self, pictures: Tensor) -> Tensor:
        """Unit vectors (n, D) of pictures."""
        return F.normalize(self.picture(pictures), dim=-1)

    def embed_texts(self, texts: Tensor) -> Tensor:
        """Unit vectors (n, D) of texts."""
        return F.normalize(self.text(texts), dim=-1)


def fit_towers(
    towers: Towers,
    pictures: Tensor,
    texts: Tensor,
    *,
    loss=contrastive_loss,
    views=None,
    steps: int = 400,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    device: str = "auto",
) -> History:
    """Trains both towers in place on pairs, each name at most once in a batch; returns the history of the loss.

    Args:
        towers: left in evaluation mode.
        pictures: (names, pictures of each, ...): a step takes one picture of a name, drawn anew.
        texts: features of the names (names, T).
        loss: `contrastive_loss`, or a learner's.
        views: views(pictures, generator) changes a batch of pictures, before the tower sees them.
        steps: of the training.
        batch_size: pairs a step.
        learning_rate: the largest one, of AdamW.
        weight_decay: of AdamW.
        seed: of everything random.
        device: where to train.
    """

    # Two names of one batch are each other's negatives. A name that stood in it twice would be told not to match itself.
    def one_picture(x: Tensor, t: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        which = torch.randint(x.shape[1], (len(x),), generator=generator).to(x.device)
        x = x[torch.arange(len(x), device=x.device), which]
        return (x if views is None else views(x, generator)), t

    def pair_loss(model: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        # With several processes each embeds its share of the batch; the negatives are those of the whole batch.
        return loss(*(all_gather(vectors) for vectors in model(x, t)), model.scale)

    seed_everything(seed)
    history = train(
        towers,
        pictures,
        texts,
        steps=steps,
        batch_size=min(batch_size, len(texts)),
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        optimizer=torch.optim.AdamW,
        augment=one_picture,
        loss=pair_loss,
        seed=seed,
        device=device,
    )
    towers.eval().cpu()
    return history
