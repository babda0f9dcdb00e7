"""Opinions: all that people said is kept, the parts share neither a document nor a wording, and agreement is counted right."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewshot_lab.assets import fetch
from fewshot_lab.data import opinions
from fewshot_lab.errors import CourseError

SIZES = {"films": 10605, "products": 3708, "editorials": 5190, "tweets": 4200}
RATERS = {"films": 15, "products": 20, "editorials": 20, "tweets": 20}  # at least


def counts_of(*scores: list[int]) -> torch.Tensor:
    return torch.tensor([[some.count(score) for score in opinions.SCORES] for some in scores])


@pytest.mark.assets
@pytest.mark.parametrize("domain", opinions.DOMAINS)
def test_every_sentence_keeps_the_scores_that_people_gave_it(domain):
    found = opinions.rated(domain)
    assert len(found.texts) == len(found.counts) == len(found.documents) == SIZES[domain]
    assert found.counts.sum(dim=1).min() == RATERS[domain]
    published = (fetch("opinions") / f"{opinions.FILES[domain]}_GroundTruth.txt").read_text("utf-8-sig").splitlines()
    means = torch.tensor([float(line.split("\t")[1]) for line in published])
    ours = (found.counts * torch.tensor(list(opinions.SCORES))).sum(dim=1) / found.counts.sum(dim=1)
    # Of 196 tweets the two files of the publishers disagree; the scores are what we use.
    close = ((means - ours).abs() < 0.01).float().mean()
    assert close == 1 if domain != "tweets" else close > 0.95
    assert len(found.documents.unique()) == {"products": 300, "editorials": 498}.get(domain, SIZES[domain])


@pytest.mark.assets
@pytest.mark.parametrize("domain", opinions.DOMAINS)
def test_parts_are_balanced_and_share_no_document_and_no_six_words_in_a_row(domain):
    task, everything = opinions.task(domain), opinions.rated(domain)
    texts = {"train": task.train_texts, "validation": task.validation_texts, "test": task.test_texts}
    assert [len(texts[part]) for part in ("validation", "test")] == [150, 500] and 900 < len(task.train_texts) <= 1000
    assert task.test_labels.bincount().tolist() == [250, 250]
    # Of a text that was published twice the first one counts.
    document_of = dict(zip(reversed(everything.texts), reversed(everything.documents.tolist()), strict=True))
    seen = {}
    for part, some in texts.items():
        for text in some:
            words = opinions._words(text)
            runs = {tuple(words[i : i + 6]) for i in range(len(words) - 5)} or {tuple(words)}
            for key in (document_of[text], *runs):
                assert seen.setdefault(key, part) == part, text
    assert torch.equal(task.test_documents, torch.tensor([document_of[text] for text in task.test_texts]))
    for part, labels in (("train", task.train_labels), ("test", task.test_labels)):
        assert torch.equal(opinions.majority(getattr(task, f"{part}_counts")), labels)


def test_the_label_is_what_more_than_half_of_the_people_say():
    counts = counts_of([1, 2, 3, -1], [1, 1, 0, 0], [-4, -1, -1, 4, 0], [0, 0, 0])
    assert opinions.majority(counts).tolist() == [1, -1, 0, -1]
    expected = torch.tensor([[1 / 4, 3 / 4], [1 / 4, 3 / 4], [0.7, 0.3], [0.5, 0.5]])
    torch.testing.assert_close(opinions.soft_labels(counts), expected)


@given(st.lists(st.lists(st.integers(-4, 4), min_size=2, max_size=9), min_size=1, max_size=4))
def test_one_rater_is_compared_with_the_others_alone(scores):
    def sign(number):
        return (number > 0) - (number < 0)

    expected = []
    for some in scores:
        answers = []
        for place, score in enumerate(some):
            others = sign(sum(sign(one) for one in some[:place] + some[place + 1 :]))
            answers.append(0.5 if 0 in (sign(score), others) else float(sign(score) == others))
        expected.append(sum(answers) / len(answers))
    torch.testing.assert_close(opinions.one_against_others(counts_of(*scores)), torch.tensor(expected))


def test_near_duplicates_are_found_by_document_and_by_six_words_in_a_row():
    texts = [
        "A film that nobody should miss, ever",
        "This is a film that nobody should miss.",
        "Nobody should miss a film",
        "A good film",
        "a GOOD film!",
        "Something else",
    ]
    assert opinions.near_duplicates(texts, [0, 1, 2, 3, 4, 2]) == [0, 0, 1, 2, 2, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Go for La Salle's performance.", "Go for X's performance."),
        ("Robin Williams is better than in Bicentennial Man.", "X is better than in X."),
        ("The Lord of the Rings is long. Too long, I think.", "X is long. Too long, I think."),
        ("Nobody laughs in Venice! Nobody.", "Nobody laughs in X! Nobody."),
        ("a player from apex, which i own", "a player from apex, which i own"),
    ],
)
def test_names_are_masked_and_the_first_word_of_a_sentence_is_not(text, expected):
    assert opinions.without_names(text) == expected


def test_an_unknown_domain_is_answered_with_the_known_ones():
    with pytest.raises(CourseError, match="'books'; choose one of films, products"):
        opinions.task("books")
