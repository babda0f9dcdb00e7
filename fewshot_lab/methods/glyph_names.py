"""Glyphs by their Unicode names: a picture tower from scratch learns letters, and names others whose names share words.

"LATIN SMALL LETTER K WITH HOOK" was never seen, but "WITH HOOK" was, and so were other names with "SMALL LETTER K". Characters are
split, not typefaces: few typefaces have the rarer letters, so training and test characters are drawn in the same ones.
"""

import unicodedata
from dataclasses import dataclass

import torch
from torch import Tensor

from ..augment import get_policy
from ..data import glyphs
from ..models.language import sentence_features
from ..training import outputs
from .contrastive import FEATURES, encoder
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


def fit(*, seed: int, part: str = "test", steps: int = 200, dropout: float = 0.0, learning_rate: float = 3e-3,
        batch_size: int = 128, device: str = "auto") -> dict:  # fmt: skip
    """Trains towers on the training characters; returns unit vectors of a part's pictures and names, and whether it rested.

    Args:
        seed: of everything random.
        part: whose characters are embedded.
        steps, learning_rate, batch_size: of the training.
        dropout: of the features before the linear maps.
        device: where to train.

    Returns:
        z (characters, FACES, D), t (characters, D), scale, at_rest, losses.
    """
    training, asked = characters("train"), characters(part)
    torch.manual_seed(seed)
    towers = Towers(encoder(glyphs.SIZE), training.texts.shape[1], width=FEATURES, dropout=dropout)
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
        z = torch.nn.functional.normalize(outputs(towers.picture, asked.pictures.flatten(0, 1)), dim=1)
        t = towers.embed_texts(asked.texts)
    return {"z": z.unflatten(0, asked.pictures.shape[:2]), "t": t, "scale": float(towers.scale.detach()),
            "at_rest": history.at_rest, "losses": history.losses}  # fmt: skip
