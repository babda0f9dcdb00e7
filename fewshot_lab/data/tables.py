"""Four real tables that come with scikit-learn: iris, wine, breast cancer, digits (UCI Machine Learning Repository).

Half of each table's rows, drawn once with a fixed seed and in equal shares of the classes, is its pool: labels
are drawn from it
and settings chosen within it. The other half is the test. Every column is scaled by its mean and standard
deviation in the pool,
which needs no label.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

NAMES = ("iris", "wine", "breast cancer", "digits")
TEST_ROWS = 300  # at most


@dataclass(frozen=True)
class Table:
    """Scaled columns (rows, d) and labels (rows,) 0..classes-1; `pool` and `test` are rows, `classes` the classes' names."""

    name: str
    columns: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    pool: Tensor
    test: Tensor

    def draw(self, shots: int | None, seed: int, *, validation: bool = False) -> tuple[Tensor, Tensor]:
        """Rows (shots * classes,) of the pool drawn as support set, and the rows to classify.

        shots: labels a class; None: the whole pool. validation: to classify are then the pool's other rows, not the test.
        Raises ValueError when a class has too few rows.
        """
        generator = torch.Generator().manual_seed(seed)
        shuffled = self.pool[torch.randperm(len(self.pool), generator=generator)]
        if shots is None:
            return shuffled, self.test
        of_class = [shuffled[self.labels[shuffled] == label] for label in range(len(self.classes))]
        if min(map(len, of_class)) < shots + validation:
            raise ValueError(f"A class of {self.name} has {min(map(len, of_class))} rows to draw labels from, not {shots}.")
        support = torch.cat([rows[:shots] for rows in of_class])
        return support, torch.cat([rows[shots:] for rows in of_class]) if validation else self.test


@functools.cache
def load(name: str) -> Table:
    """The table of that name in NAMES; raises ValueError for another."""
    from sklearn import datasets

    if name not in NAMES:
        raise ValueError(f"There is no table {name!r}; there are {', '.join(NAMES)}.")
    found = getattr(datasets, f"load_{name.replace(' ', '_')}")()
    columns, labels = torch.from_numpy(found.data).float(), torch.from_numpy(found.target).long()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(labels), generator=generator)
    # Every class by turns to the pool and to the test.
    rank = torch.zeros_like(labels)
    for label in labels.unique():
        rows = order[labels[order] == label]
        rank[rows] = torch.arange(len(rows))
    pool, test = order[rank[order] % 2 == 0], order[rank[order] % 2 == 1]
    mean, deviation = columns[pool].mean(dim=0), columns[pool].std(dim=0)
    columns = (columns - mean) / deviation.clamp(min=1e-6)
    return Table(name, columns.clamp(-10, 10), labels, tuple(map(str, found.target_names)), pool, test[:TEST_ROWS])
