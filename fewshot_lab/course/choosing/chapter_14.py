"""Chapter 14: the prior of made-up tables, and the classifiers that the transformer is compared with."""

from ...methods import made_up_tables, real_tables
from . import choice

SHOTS = (1, 5, 10)
SEEDS = range(500, 503)
DATA = "rows of the pools of iris, wine, breast cancer and digits that have no label in the draw; 1, 5 and 10 labels a class"


def _mean(method: str, seed: int, **settings) -> dict:
    rows = [real_tables.score(method, seed=seed, shots=k, validation=True, **settings) for k in SHOTS]
    return {"validation_accuracy": sum(row["test_accuracy"] for row in rows) / len(rows)}


@choice("made-up-roots", [0.2, 0.0, 0.5, 0.8], data=DATA, seeds=SEEDS)
def roots(candidate, seed):
    """The share of made-up tables whose label is the cause of their columns; in the others it is computed from them"""
    trained = made_up_tables.fit_transformer(seed, steps=400, roots=candidate, device="cpu")
    return _mean("transformer", seed, weights=trained["weights"]) | {"at_rest": trained["at_rest"]}


@choice("table-logistic", [1.0, 0.1, 10.0, 100.0], data=DATA)
def logistic(candidate, seed):
    """How weakly logistic regression on tables is regularised (C; the library's is 1)"""
    return _mean("logistic regression", seed, C=candidate)


@choice("table-neighbours", [5, 1, 3, 10], data=DATA)
def neighbours(candidate, seed):
    """How many neighbours answer (the library's number is 5), or as many as there are labels of a class if these are fewer"""
    return _mean("nearest neighbours", seed, most=candidate)


@choice("table-trees", [0.1, 0.3, 0.03], data=DATA, seeds=SEEDS)
def trees(candidate, seed):
    """The learning rate of boosted trees on tables (the library's is 0.1)"""
    return _mean("boosted trees", seed, learning_rate=candidate)
