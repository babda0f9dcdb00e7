"""A small text network from scratch: word embeddings, convolutions over neighbouring words, the maximum over the text."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

PADDING, UNKNOWN = 0, 1


def vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """{word: id} of the texts' words in lower case, without punctuation; ids start at 2, 0 is padding and 1 any other word."""
    # Sorted, because the order of a set of strings differs from one run of Python to the next.
    return {word: number for number, word in enumerate(sorted({word for text in texts for word in _words(text)}), 2)}


def encode_words(texts: Sequence[str], words: Mapping[str, int], length: int = 24) -> Tensor:
    """Texts as ids of a vocabulary's words, (N, length): longer texts are cut, shorter ones padded with 0."""
    rows = torch.full((len(texts), length), PADDING)
    for row, text in zip(rows, texts, strict=True):
        ids = [words.get(word, UNKNOWN) for word in _words(text)][:length]
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return rows


class TextNet(nn.Module):
    """Convolutions of one, two and three words, each with its maximum over the text (Kim 2014, EMNLP).

    Takes word ids (B, T), returns logits (B, classes).
    """

    def __init__(self, words: int, classes: int, *, width: int = 32) -> None:
        super().__init__()
        # Two rows more than words, for padding, whose vector stays zero, and for unknown words.
        self.embedding = nn.Embedding(words + 2, width, padding_idx=PADDING)
        # A convolution over n words as a linear layer on their n vectors side by side.
        self.filters = nn.ModuleList(nn.Linear(n * width, width) for n in (1, 2, 3))
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(3 * width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)  # (B, T, width)
        maxima = []
        for n, layer in enumerate(self.filters, 1):
            windows = torch.cat([x[:, i : x.shape[1] - n + 1 + i] for i in range(n)], dim=2)  # (B, T - n + 1, n width)
            maxima.append(layer(windows).relu().amax(dim=1))
        return self.out(self.dropout(torch.cat(maxima, dim=1)))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
