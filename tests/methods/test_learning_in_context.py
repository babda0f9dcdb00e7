"""Chapter 14: the prior, the masked attention against the library, the laws of the transformer, AUC by row,
bursty sequences."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fewshot_lab.data import tables
from fewshot_lab.methods import bursty, made_up_tables, real_tables


def test_a_made_up_table_has_only_classes_that_exist_and_columns_that_are_used():
    columns, labels, classes = made_up_tables.sample_tables(40, torch.Generator().manual_seed(0), roots=0.0)
    assert columns.shape == (40, made_up_tables.ROWS, made_up_tables.COLUMNS) and labels.shape == columns.shape[:2]
    assert (labels < classes[:, None]).all() and (labels >= 0).all() and columns.isfinite().all()
    used = (columns != 0).any(dim=1).sum(dim=1)
    assert used.min() >= 2 and used.max() <= made_up_tables.COLUMNS
    caused, labels, classes = made_up_tables.sample_tables(40, torch.Generator().manual_seed(0), roots=1.0)
    assert (labels < classes[:, None]).all() and caused.isfinite().all()


def test_a_seed_repeats_the_prior():
    one, other = (made_up_tables.sample_tables(3, torch.Generator().manual_seed(7), roots=0.5) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_labels_follow_one_network_batched_or_not():
    generator = torch.Generator().manual_seed(0)
    columns, first, second = (torch.randn(2, *shape, generator=generator) for shape in ((30, 4), (4, 6), (6, 3)))
    offsets = torch.tensor([0.0, 0.4, -math.inf])
    both = made_up_tables.table_labels(columns, first, second, offsets)
    assert (both < 2).all()
    for i in range(2):
        scores = np.tanh(columns[i].numpy() @ first[i].numpy()) @ second[i].numpy()
        scores = (scores - scores.mean(0)) / scores.std(0, ddof=1) + offsets.numpy()
        assert both[i].tolist() == scores.argmax(1).tolist()


def test_the_attention_is_the_librarys():
    parts = torch.randn(3, 2, 4, 9, 8, generator=torch.Generator().manual_seed(0))
    library = torch.nn.functional.scaled_dot_product_attention(parts[0], parts[1, ..., :5, :], parts[2, ..., :5, :])
    assert torch.allclose(made_up_tables.support_attention(*parts, 5), library, atol=1e-5)


def test_queries_are_alone_and_the_order_of_the_support_does_not_matter():
    torch.manual_seed(0)
    model = made_up_tables.TableTransformer().eval()
    columns, labels = torch.randn(1, 12, made_up_tables.COLUMNS), torch.randint(3, (1, 7))
    whole = model(columns, labels)
    assert whole.shape == (1, 5, made_up_tables.CLASSES)
    assert torch.allclose(model(columns[:, :8], labels), whole[:, :1], atol=1e-5)
    order = torch.tensor([3, 1, 0, 6, 5, 2, 4])
    shuffled = torch.cat([columns[:, order], columns[:, 7:]], dim=1)
    assert torch.allclose(model(shuffled, labels[:, order]), whole, atol=1e-5)


def test_a_member_is_put_back_into_the_tables_numbers():
    own = torch.tensor([[0.7, 0.2, 0.1]])
    order = torch.tensor([[2, 0, 1]])
    told = torch.empty(1, 1, 3)
    told[0, :, order[0]] = own  # what a network says that was told class c as order[c]
    assert torch.equal(made_up_tables.mean_over_permutations(told, order), own)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_auc_by_row_has_the_librarys_mean_and_delongs_variance(classes):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (80,), generator=generator)
    probabilities = (torch.randn(80, classes, generator=generator) + torch.eye(classes)[labels]).softmax(dim=1)
    parts = real_tables.auc_by_row(probabilities, labels)
    score = probabilities[:, 1] if classes == 2 else probabilities
    assert abs(float(parts.mean()) - roc_auc_score(labels, score, multi_class="ovr")) < 1e-6
    if classes == 2:
        won = (score[labels == 1][:, None] > score[labels == 0][None]).double()
        delong = won.mean(1).var() / len(won) + won.mean(0).var() / won.shape[1]
        assert abs(float(parts.var() / 80) / float(delong) - 1) < 0.05


def test_test_rows_are_never_drawn_and_every_class_has_its_share():
    for name in tables.NAMES:
        table = tables.load(name)
        assert not set(table.pool.tolist()) & set(table.test.tolist())
        support, asked = table.draw(5, 0)
        assert table.labels[support].bincount().tolist() == [5] * len(table.classes) and torch.equal(asked, table.test)
        support, asked = table.draw(5, 0, validation=True)
        assert not set(asked.tolist()) & (set(table.test.tolist()) | set(support.tolist()))
    with pytest.raises(ValueError, match="no table"):
        tables.load("cars")
    with pytest.raises(ValueError, match="rows to draw"):
        tables.load("iris").draw(60, 0)


def test_every_method_scores_and_each_table_weighs_the_same():
    row = real_tables.score("nearest neighbours", seed=0, shots=5, names=("iris", "wine"), draws=2, most=5)
    assert abs(row["test_accuracy"] - (row["iris"] + row["wine"]) / 2) < 1e-6 and row["test_accuracy"] > 0.8
    assert abs(sum(row["test_sizes"]) - 2) < 1e-5 and 0.5 < row["auc"] <= 1
    for method, settings in {"logistic regression": {"C": 1.0}, "boosted trees": {"learning_rate": 0.1}}.items():
        assert real_tables.score(method, seed=0, shots=10, names=("iris",), draws=1, **settings)["iris"] > 0.8


def test_a_bursty_sequence_holds_its_query_and_others_hardly_ever_do():
    which, generator = bursty.letters()["unseen"], torch.Generator().manual_seed(0)
    context, query = bursty.bursty_context(50, 8, 2, generator)
    assert context.bincount().max() == 2 and len(context.unique()) == 4 and query in context
    labels = torch.arange(len(which))  # the letter itself
    for share, most in ((1.0, 1.0), (0.0, 0.2)):
        features, shown = bursty.sequences(200, which, generator, bursty=share, labels=labels)
        assert features.shape == (200, bursty.PAIRS + 1, bursty.FEATURES)
        inside = (shown[:, :-1] == shown[:, -1:]).any(dim=1).double().mean()
        assert inside == 1 if share else inside < most
    _, dealt = bursty.sequences(200, which, generator, bursty=1.0, labels=None)
    assert (dealt[:, :-1] == dealt[:, -1:]).sum(dim=1).eq(2).all(), "the query's label stands twice in the context"


@pytest.mark.slow
def test_a_little_training_on_made_up_tables_classifies_iris():
    row = made_up_tables.fit_transformer(0, steps=60, roots=0.2, device="cpu")
    score = real_tables.score("transformer", seed=0, shots=10, names=("iris",), draws=1, weights=row["weights"])
    assert score["iris"] > 0.6
