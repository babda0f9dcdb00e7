"""A transformer that learns to classify tables from made-up ones (TabPFN: Hollmann et al. 2023, ICLR; 2025, Nature).

Every training step sees new tables whose labels come from random networks: a sample of the *prior*. The transformer gets some
rows with their labels (the support) and others without (the queries), and its loss is the cross-entropy of the queries. What it
learns is the posterior predictive distribution under that prior (Müller et al. 2022, ICLR). A real table is then one more
table: one forward pass, no gradient step.

As in TabPFN's first version a row is one token, and all rows attend to the support rows alone. The second version and
nanoTabPFN (Pfefferle et al. 2025, arXiv 2511.03634) make a token of every cell.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime import seed_everything
from ..training import train

COLUMNS = 16  # at most: narrower tables are padded with zeros
CLASSES = 10  # at most
ROWS = 64  # of a made-up table, support and queries together
HIDDEN = 16  # units of the random networks
TABLES = 32  # in a batch

Attention = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def table_labels(columns: Tensor, first: Tensor, second: Tensor, offsets: Tensor) -> Tensor:
    """The labels that a random network of two layers gives the rows of a table.

    Args:
        columns: (..., rows, d).
        first: weights (..., d, hidden) of the layer with the tanh.
        second: weights (..., hidden, classes); every class's scores are then standardised over the rows.
        offsets: (..., 1, classes) or (classes,), added to the standardised scores; -inf where a class does not exist.

    Returns the class (..., rows) with the largest sum.
    """
    scores = torch.tanh(columns @ first) @ second
    scores = (scores - scores.mean(dim=-2, keepdim=True)) / scores.std(dim=-2, keepdim=True)
    return (scores + offsets).argmax(dim=-1)


def sample_tables(count: int, generator: torch.Generator, roots: float) -> tuple[Tensor, Tensor, Tensor]:
    """Draws tables from the prior: columns (count, ROWS, COLUMNS), labels (count, ROWS), their numbers of classes (count,).

    With probability `roots` the label of a whole batch is the cause and the columns its effect (a random network of a random
    point for each class, and noise); else the columns come first and the label is computed from them by `table_labels`.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    # The square makes narrow tables and few classes more frequent.
    width = 2 + (uniform(1, 1) ** 2 * (COLUMNS - 1)).long()
    classes = 2 + (uniform(1, 1) ** 2 * (CLASSES - 1)).long()
    used = (torch.arange(COLUMNS) < width).float()
    if torch.rand((), generator=generator) < roots:
        labels = (uniform(ROWS, 1) * classes).long()
        points = 0.7 * normal(CLASSES, HIDDEN) * torch.exp(0.7 * normal(1, 1))
        cause = points.gather(1, labels.expand(-1, -1, HIDDEN)) + normal(ROWS, HIDDEN)
        hidden = _mixed(cause @ normal(HIDDEN, HIDDEN) / 4, generator)
        columns = _mixed(hidden @ normal(HIDDEN, COLUMNS) / 2, generator) + 0.3 * uniform(1, 1) * normal(ROWS, COLUMNS)
        return _padded(columns, used), labels.squeeze(2), classes.flatten()
    # Columns that have hidden causes in common are correlated, as those of real tables are.
    columns = _mixed(normal(ROWS, HIDDEN) @ (normal(HIDDEN, COLUMNS) * uniform(HIDDEN, 1) ** 2) / 2, generator)
    columns = _padded(columns, used)
    first = normal(COLUMNS, HIDDEN) * torch.exp(0.7 * normal(1, 1)) / COLUMNS**0.5  # small: a smooth border; large: a rough one
    offsets = (0.3 * normal(1, CLASSES)).masked_fill(torch.arange(CLASSES) >= classes, -math.inf)
    return columns, table_labels(columns, first, normal(HIDDEN, CLASSES), offsets), classes.flatten()


def _mixed(values: Tensor, generator: torch.Generator) -> Tensor:
    """Every unit (the last dimension) of every table with an activation drawn from four."""
    kind = torch.randint(4, (len(values), 1, values.shape[2]), generator=generator)
    result = values
    for number, activation in enumerate((torch.tanh, torch.relu, lambda x: torch.sin(2 * x))):
        result = torch.where(kind == number, activation(values), result)
    return result


def _padded(columns: Tensor, used: Tensor) -> Tensor:
    """Standardised columns; those that a table lacks are 0, and the others grow so that rows of all tables are equally long."""
    scaled = (columns - columns.mean(dim=1, keepdim=True)) / (columns.std(dim=1, keepdim=True) + 1e-4)
    return scaled.clamp(-4, 4) * used * (COLUMNS / used.sum(dim=2, keepdim=True)).sqrt()


def support_attention(queries: Tensor, keys: Tensor, values: Tensor, support: int) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, NeurIPS) of all rows to the first `support` rows alone.

    queries, keys, values: (..., rows, D). Returns (..., rows, D): for each row the support rows' values, weighted by the
    softmax of q·k / sqrt(D). So a query sees the support set, and never another query.
    """
    keys, values = keys[..., :support, :], values[..., :support, :]
    scores = queries @ keys.transpose(-2, -1) / keys.shape[-1] ** 0.5
    return scores.softmax(dim=-1) @ values


class Block(nn.Module):
    """A layer of the transformer: attention to the support, then two linear layers for each row, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.attention = heads, _fast_attention
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.rows = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, support: int) -> Tensor:
        parts = self.project(self.before(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.mix(self.attention(*parts, support).transpose(1, 2).flatten(2))
        return x + self.rows(self.between(x))


def _fast_attention(queries: Tensor, keys: Tensor, values: Tensor, support: int) -> Tensor:
    """`support_attention` in one kernel."""
    return F.scaled_dot_product_attention(queries, keys[..., :support, :], values[..., :support, :])


class TableTransformer(nn.Module):
    """Logits of the queries of tables, from their columns and the labels of their first rows."""

    def __init__(self, width: int = 64, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.columns, self.labels = nn.Linear(COLUMNS, width), nn.Embedding(CLASSES, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.logits = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CLASSES))

    def forward(self, columns: Tensor, labels: Tensor) -> Tensor:
        """columns (tables, rows, COLUMNS), labels (tables, support) of the first rows: logits (tables, queries, CLASSES)."""
        support = labels.shape[1]
        x = self.columns(columns)
        # A row's position tells nothing, so there are no position embeddings: shuffled support rows give the same answer.
        x = torch.cat([x[:, :support] + self.labels(labels), x[:, support:]], dim=1)
        for block in self.blocks:
            x = block(x, support)
        return self.logits(x[:, support:])


def fit_transformer(seed: int, *, steps: int, roots: float, learning_rate: float = 4e-3, device: str = "auto") -> dict:
    """Trains a `TableTransformer` on `steps` batches of made-up tables; returns its "weights", "losses",
    "seconds", "at_rest"."""
    seed_everything(seed)
    model = TableTransformer()

    def sample(_: Tensor, __: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        columns, labels, classes = sample_tables(TABLES, generator, roots)
        support = int(torch.randint(4, int(0.8 * ROWS), (), generator=generator))
        # What the loss needs besides travels with the labels: the number of classes, and how many rows are support.
        about = torch.stack([classes, torch.full_like(classes, support)], dim=1)
        return columns.to(target), torch.cat([about, labels], dim=1).to(target)

    def loss(model: nn.Module, columns: Tensor, labels: Tensor) -> Tensor:
        classes, support, labels = labels[:, 0], int(labels[0, 1]), labels[:, 2:]
        logits = model(columns, labels[:, :support])
        absent = torch.arange(CLASSES, device=logits.device) >= classes[:, None, None]
        return F.cross_entropy(logits.masked_fill(absent, -math.inf).flatten(0, 1), labels[:, support:].flatten())

    from ..runtime import choose_device

    target = choose_device(device)
    nothing = torch.zeros(TABLES, 1)  # the tables are made, not stored
    history = train(
        model,
        nothing,
        torch.zeros(TABLES, dtype=torch.long),
        steps=steps,
        batch_size=TABLES,
        learning_rate=learning_rate,
        warmup=20,
        augment=sample,
        loss=loss,
        seed=seed,
        device=device,
    )
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    return {"weights": weights, "losses": history.losses, "seconds": history.seconds, "at_rest": history.at_rest}


def transformer_of(weights: dict, attention: Attention | None = None) -> TableTransformer:
    """The trained transformer, in evaluation mode; `attention` takes the place of ours in every block."""
    model = TableTransformer()
    model.load_state_dict(weights)
    for block in model.blocks:
        block.attention = attention or block.attention
    return model.eval()


def mean_over_permutations(probabilities: Tensor, permutations: Tensor) -> Tensor:
    """The mean answer of members that were each told the classes under other numbers.

    probabilities: (members, queries, classes), in each member's numbers. permutations: (members, classes): class c was told to
    member m as permutations[m, c]. Returns (queries, classes) in the table's own numbers.
    """
    own = probabilities.gather(2, permutations[:, None, :].expand_as(probabilities))
    return own.mean(dim=0)


def fitting_columns(columns: Tensor, generator: torch.Generator) -> Tensor:
    """(rows, COLUMNS) of (rows, d): columns in a random order, as many as fit, padded with zeros.

    The 64 pixels of the digits become the means of 16 squares first.
    """
    if columns.shape[1] == 64:
        columns = columns.unflatten(1, (4, 2, 4, 2)).mean(dim=(2, 4)).flatten(1)
        columns = columns / columns.std(dim=0).clamp(min=1e-4)
    columns = columns[:, torch.randperm(columns.shape[1], generator=generator)[:COLUMNS]].clamp(-4, 4)
    width = columns.shape[1]
    return F.pad(columns, (0, COLUMNS - width)) * (COLUMNS / width) ** 0.5


@torch.no_grad()
def predict(
    model: TableTransformer, support: Tensor, labels: Tensor, queries: Tensor, *, classes: int, members: int = 8, seed: int = 0
) -> Tensor:
    """Probabilities (queries, classes) for the rows of a real table, the mean of an ensemble, in one pass.

    Args:
        model: a trained transformer.
        support: scaled columns (n, d).
        labels: (n,), from 0 to classes - 1.
        queries: scaled columns (m, d).
        classes: at most CLASSES.
        members: each gets the columns in another order, and the classes under other numbers.
        seed: of these.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.cat([support, queries])
    columns = torch.stack([fitting_columns(rows, generator) for _ in range(members)])
    permutations = torch.stack([torch.randperm(classes, generator=generator) for _ in range(members)])
    logits = model(columns, permutations[:, labels])
    return mean_over_permutations(logits[..., :classes].softmax(dim=2), permutations)
