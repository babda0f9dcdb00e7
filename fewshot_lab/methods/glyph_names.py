"""Glyphs by their Unicode names: a picture tower from scratch learns letters, and names others whose names share words.

"LATIN SMALL LETTER K WITH HOOK" was never seen, but "WITH HOOK" was, and so were other names with "SMALL LETTER K". Characters
are split, not typefaces: few typefaces have the rarer letters, so training and test characters are drawn in the same ones.
"""

import unicodedata
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..augment import get_policy
from ..data import glyphs
from ..models.language import sentence_features
from ..training import outputs
from .contrastive import FEATURES, encoder
from .few_shot import scored
from .image_text import Towers, fit_towers

PARTS = {"train": 0.6, "validation": 0.15, "test": 0.25}  # shares of the characters
FACES = 8  # pictures of each character that are used: every character has as many
STRENGTH = 0.75  # of the policy affine, as chosen for glyphs in chapter 02


@dataclass(frozen=True)
class Characters:
    """Pictures uint8 (characters, FACES, 1, 28, 28), names in lower case, and their MiniLM features (characters, 384)."""

    pictures: Tensor
    names: tuple[str, ...]
    texts: Tensor


def characters(part: str) -> Characters:
    """The characters of the "train", "validation" or "test" part; raises ValueError for another."""
    if part not in PARTS:
        raise ValueError(f"The parts are {', '.join(PARTS)}, not {part!r}.")
    every = glyphs.load()
    order = torch.randperm(len(every.characters), generator=torch.Generator().manual_seed(0)).tolist()
    ends = [round(sum(list(PARTS.values())[:i]) * len(order)) for i in range(len(PARTS) + 1)]
    at = list(PARTS).index(part)
    rows = sorted(order[ends[at] : ends[at + 1]])
    pictures = torch.stack([every.images[every.labels == row][:FACES] for row in rows])
    names = tuple(unicodedata.name(every.characters[row]).lower() for row in rows)
    return Characters(pictures, names, sentence_features(names))


def recurring(names: tuple[str, ...], seen: tuple[str, ...]) -> Tensor:
    """Which names have words of the seen names alone, booleans (names,)."""
    words = {word for name in seen for word in name.split()}
    return torch.tensor([set(name.split()) <= words for name in names])


def fit(
    *, seed: int, part: str = "test", steps: int = 200, learning_rate: float = 3e-3, batch_size: int = 128, device: str = "auto"
) -> dict:
    """Trains towers on the training characters; returns unit vectors of a part's pictures and names, and whether it rested.

    Args:
        seed: of everything random.
        part: whose characters are embedded.
        steps, learning_rate, batch_size: of the training.
        device: where to train.

    Returns:
        z (characters, FACES, D), t (characters, D) and at_rest.
    """
    training, asked = characters("train"), characters(part)
    torch.manual_seed(seed)
    towers = Towers(encoder(glyphs.SIZE), training.texts.shape[1], width=FEATURES)
    policy = get_policy("affine")
    history = fit_towers(
        towers,
        training.pictures,
        training.texts,
        views=lambda x, generator: policy(x, STRENGTH, generator),
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
    )
    with torch.inference_mode():
        z = F.normalize(outputs(towers.picture, asked.pictures.flatten(0, 1)), dim=1)
        t = towers.embed_texts(asked.texts)
    return {"z": z.unflatten(0, asked.pictures.shape[:2]), "t": t, "at_rest": history.at_rest}


def score(fitted: dict, seen: Tensor, *, way: int, episodes: int, seed: int) -> dict:
    """A row for `Arms` with the zero-shot accuracy among characters whose names have seen words alone, and among the others.

    Args:
        fitted: what `fit` returns.
        seen: booleans (characters,), see `recurring`.
        way: classes of an episode, each with one query in a random typeface.
        episodes: how many of each kind.
        seed: of the episodes.

    Returns:
        "seen" and "other", each with "_by_picture" and "_sizes" for intervals over characters, and at_rest.
    """
    row = {"at_rest": fitted["at_rest"]}
    for kind, which in (("seen", seen), ("other", ~seen)):
        z, t = fitted["z"][which], fitted["t"][which]
        generator = torch.Generator().manual_seed(seed)
        classes = torch.rand(episodes, len(t), generator=generator).topk(way, dim=1).indices  # (E, N)
        faces = torch.randint(FACES, classes.shape, generator=generator)
        right = (z[classes, faces] @ t[classes].transpose(1, 2)).argmax(2) == torch.arange(way)
        found = scored(right.float().mean(1), classes, len(t))
        row |= {kind: found["test_accuracy"], f"{kind}_by_picture": found["test_hits"], f"{kind}_sizes": found["test_sizes"]}
    return row
