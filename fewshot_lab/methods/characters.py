"""A text classifier that needs no pretrained model and no words: counts of characters and their pairs, for Chinese too."""

from collections.abc import Sequence

import torch


def character_accuracy(
    texts: Sequence[str], labels: Sequence[str], *, shots: int, seed: int, tested: int = 500
) -> dict[str, float]:
    """Test accuracy of logistic regression on characters and pairs of characters, learned from `shots` texts a label.

    The texts are shuffled by `seed`; those that are not learned from are the test, at most `tested`. Returns test_accuracy and
    chance, the share of the most frequent label in the test.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    order, learned, seen = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist(), [], {}
    for row in order:
        seen[labels[row]] = seen.get(labels[row], 0) + 1
        if seen[labels[row]] <= shots:
            learned.append(row)
    taken = set(learned)
    test = [row for row in order if row not in taken][:tested]
    if len(seen) < 2 or not test:
        raise ValueError(
            f"{len(texts)} texts with {len(seen)} labels are too few: two labels and more than {shots} texts each are needed."
        )
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=500)
    )
    model.fit([texts[row] for row in learned], [labels[row] for row in learned])
    truth = [labels[row] for row in test]
    return {
        "test_accuracy": float(model.score([texts[row] for row in test], truth)),
        "chance": max(map(truth.count, set(truth))) / len(truth),
    }
