"""A text classifier that needs no pretrained model and no words: counts of characters and their pairs, for Chinese too."""

from collections.abc import Sequence

import torch


def character_accuracy(
    texts: Sequence[str], labels: Sequence[str], *, shots: int, seed: int, test_count: int = 500
) -> dict[str, float]:
    """Test accuracy of logistic regression on counts of characters and pairs of characters.

    Returns test_accuracy, and chance: the share of the most frequent label in the test. Raises ValueError when the texts have
    fewer than two labels or leave none for the test.

    Args:
        texts: all texts; those that are not trained on are the test.
        labels: one for each text.
        shots: training texts of each label.
        seed: shuffles the texts.
        test_count: the test has at most this many texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    train, counts = [], {}
    for row in order:
        counts[labels[row]] = counts.get(labels[row], 0) + 1
        if counts[labels[row]] <= shots:
            train.append(row)
    in_train = set(train)
    test = [row for row in order if row not in in_train][:test_count]
    if len(counts) < 2 or not test:
        raise ValueError(
            f"{len(texts)} texts with {len(counts)} labels are too few: two labels and more than {shots} texts each are needed."
        )
    model = make_pipeline(
        # Characters, because Chinese has no spaces between words; pairs, because most of its words have two characters.
        TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=500),
    )
    model.fit([texts[row] for row in train], [labels[row] for row in train])
    true_labels = [labels[row] for row in test]
    return {
        "test_accuracy": float(model.score([texts[row] for row in test], true_labels)),
        "chance": max(map(true_labels.count, set(true_labels))) / len(true_labels),
    }
