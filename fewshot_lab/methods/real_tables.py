"""Classifiers of real tables from K labels a class: one interface, one score, the same draws for all."""

import numpy as np
import torch
from torch import Tensor

from ..data import tables
from . import made_up_tables

DRAWS = 3  # support sets for each seed


def classifier(method: str, **settings) -> object:
    """scikit-learn's classifier for "logistic regression" (C), "nearest neighbours" (most) or "boosted trees" (rate).

    `most`: neighbours, or as many as there are labels of a class. Trees may have leaves of one row: with the library's 20 they
    could not split fewer than 40 rows.
    """
    if method == "logistic regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=500, **settings)
    if method == "nearest neighbours":
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(settings["neighbours"], weights="distance")
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=50, min_samples_leaf=1, early_stopping=False, **settings)


def answers(method: str, table: tables.Table, support: Tensor, queries: Tensor, *, seed: int, **settings) -> Tensor:
    """Probabilities (queries, classes) by a method for rows of a table; the transformer takes its `weights`."""
    x, y, asked = table.columns[support], table.labels[support], table.columns[queries]
    if method == "transformer":
        model = made_up_tables.transformer_of(settings.pop("weights"))
        return made_up_tables.predict(model, x, y, asked, classes=len(table.classes), seed=seed, **settings)
    if method == "nearest neighbours":
        settings = {"neighbours": min(settings["most"], int(y.bincount().min()))}
    fitted = classifier(method, **settings).fit(x.numpy(), y.numpy())
    return torch.from_numpy(np.asarray(fitted.predict_proba(asked.numpy()))).float()


def auc_by_row(probabilities: Tensor, labels: Tensor) -> Tensor:
    """What each row (m,) adds to the ROC AUC, the mean over the classes of one class against the others; their mean is the AUC.

    These are DeLong's components (DeLong et al. 1988, Biometrics): the share of rows of the other side that a row stands on the
    right side of, centred and weighted by its side's size. So rows can be drawn anew without computing the AUC again.
    """
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    parts = []
    for label in classes:
        score, positive = probabilities[:, label].double(), labels == label
        above = score[:, None] - score[None, :]
        won = (above > 0).double() + 0.5 * (above == 0).double()
        # A positive beats the negatives that score less; a negative is beaten by the positives that score more.
        placed = torch.where(positive, won[:, ~positive].mean(dim=1), 1 - won[:, positive].mean(dim=1))
        auc, share = placed[positive].mean(), positive.double().mean()
        weight = torch.where(positive, 1 / share, 1 / (1 - share))
        parts.append(auc + weight * (placed - auc))
    return torch.stack(parts).mean(dim=0)


def score(
    method: str,
    *,
    seed: int,
    shots: int | None,
    names: tuple[str, ...] = tables.NAMES,
    draws: int = DRAWS,
    validation: bool = False,
    at_rest: bool | None = None,
    **settings,
) -> dict:
    """Accuracy and ROC AUC of a method on tables, the mean over `draws` support sets of K labels a class.

    Args:
        method: "transformer", "logistic regression", "nearest neighbours" or "boosted trees".
        seed: of the draws.
        shots: K; None: all rows of the pool have labels, and there is one draw.
        names: of the tables. Each has the same weight in the mean, however many rows it has.
        draws: support sets.
        validation: classifies rows of the pool instead of the test rows.
        at_rest: of the transformer's training.
        settings: as in `answers`.

    Returns "test_accuracy" and "auc" with their parts by row, as `lab.arms` reads them, and both for every table alone.
    """
    found: dict = {"seed": seed, "shots": shots} | ({} if at_rest is None else {"at_rest": at_rest})
    parts = {"test": [], "auc": []}
    sizes = []
    for name in names:
        table = tables.load(name)
        hits, aucs = [], []
        for draw in range(draws if shots else 1):
            support, queries = table.draw(shots, 1000 * seed + draw, validation=validation)
            probabilities = answers(method, table, support, queries, seed=1000 * seed + draw, **settings)
            labels = table.labels[queries]
            hits.append((probabilities.argmax(dim=1) == labels).double())
            aucs.append(auc_by_row(probabilities, labels))
        if validation:  # other rows in each draw
            hits, aucs = [torch.cat(hits)], [torch.cat(aucs)]
        hits, aucs = torch.stack(hits).mean(dim=0), torch.stack(aucs).mean(dim=0)
        found |= {name: float(hits.mean()), f"{name}_by_picture": hits.tolist(), f"{name}_sizes": [1.0] * len(hits)}
        sizes.append(torch.full((len(hits),), 1 / len(hits)))
        parts["test"].append(hits / len(hits))
        parts["auc"].append(aucs / len(hits))
    hits, aucs, sizes = torch.cat(parts["test"]), torch.cat(parts["auc"]), torch.cat(sizes)
    found |= {"test_accuracy": float(hits.sum() / len(names)), "test_hits": hits.tolist(), "test_sizes": sizes.tolist()}
    return found | {"auc": float(aucs.sum() / len(names)), "auc_by_picture": aucs.tolist()}
