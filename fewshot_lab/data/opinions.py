"""Opinions: English sentences of four domains with the scores that people gave them (Hutto & Gilbert 2014, ICWSM).

Each person said how positive or negative a sentence is, from -4 to 4, 0 where it is neither. Of films there are 15 or more
scores a sentence, of products and editorials 20, of tweets 20 or some 95. Who gave which score is not known, so a sentence's
scores are kept as how many people gave each: nothing else can be read from them.

The films are short reviews, one from each critic; products and editorials are cut into sentences, and the sentences of one
review or editorial stay in one part of a task.
"""

import functools
import html
import json
import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..assets import fetch
from ..errors import CourseError
from ..languages import say
from .glosses import TextTask
from .own import digest, part_by

FILES = {
    "films": "movieReviewSnippets",
    "products": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets",
    "tweets": "tweets",
}
DOMAINS = tuple(FILES)
CLASSES = ("negative", "positive")
SCORES = range(-4, 5)
TEST_PER_CLASS, VALIDATION_PER_CLASS, TRAIN_PER_CLASS = 250, 75, 500
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1  # of the documents
SHINGLE = 6  # words in a row that two texts share when one is nearly the other: fewer are a common phrase
# Not the list of the glosses: a review that calls a film vulgar or offensive says what it thinks of it.
UNSUITABLE = re.compile(
    r"\b(fuck|shit|bitch|nigg|fagg|cunt|whore|slut|dick\b|rape|retard|sexual|prostitut|porn)|\bwtf\b|\bass(hole)?\b",
    re.IGNORECASE,
)

_CAPITALISED = r"(?!I\b)[A-Z][\w.-]*\w"
_MORE = rf"(?: (?:of|the|and|de|von|van))* {_CAPITALISED}"
# Two capitalised words or more anywhere, or one that does not follow the beginning of a text, sentence or quotation.
NAME = re.compile(rf"\b{_CAPITALISED}(?:{_MORE})+|(?<!^)(?<![.!?:\"] )(?<!['\"])\b{_CAPITALISED}")


@dataclass(frozen=True)
class Rated:
    """The sentences of a domain, and what people said about them.

    texts: N strings. counts: (N, 9), how many people gave each of the scores -4, -3, ..., 4. documents: (N,), equal numbers for
    sentences of one review or editorial.
    """

    texts: tuple[str, ...]
    counts: Tensor
    documents: Tensor


@dataclass(frozen=True)
class OpinionTask(TextTask):
    """A task with labels 0 (negative) and 1 (positive), and what every person said about the texts of each part.

    The counts are (N, 9), as in `Rated`. test_documents: (N,), numbers of the reviews or editorials, for intervals.
    """

    train_counts: Tensor
    validation_counts: Tensor
    test_counts: Tensor
    test_documents: Tensor


def majority(counts: Tensor) -> Tensor:
    """The label that more than half of the people give, (N,): 1 positive, 0 negative, -1 where neither has more than half.

    counts: (N, 9). A score of 0 is for neither side, so texts that most people find neutral get -1.
    """
    n = counts.sum(dim=1)
    positive, negative = _positive(counts), _negative(counts)
    return torch.where(2 * positive > n, 1, torch.where(2 * negative > n, 0, -1))


def soft_labels(counts: Tensor) -> Tensor:
    """The shares (N, 2) of negative and of positive scores, a score of 0 being half of each; counts: (N, 9)."""
    neutral = counts[:, 4]
    sides = torch.stack([_negative(counts) + neutral / 2, _positive(counts) + neutral / 2], dim=1)
    return sides / counts.sum(dim=1, keepdim=True)


def one_against_others(counts: Tensor) -> Tensor:
    """How often one of a text's raters gives the label of the others, (N,), from 0 to 1; counts: (N, 9).

    Each rater in turn is compared with the side on which more of the *others* are. A score of 0 answers neither, and counts as
    half, as a guess would; so does a tie of the others.
    """
    positive, negative, neutral = _positive(counts).float(), _negative(counts).float(), counts[:, 4].float()

    def against(own: Tensor, other: Tensor) -> Tensor:
        """The answer of a rater of the side `own`, who is not among the others."""
        return ((own - 1 - other).sign() + 1) / 2

    answers = positive * against(positive, negative) + negative * against(negative, positive) + neutral / 2
    return answers / counts.sum(dim=1)


def without_names(text: str) -> str:
    """The text with X for every name: for each run of capitalised words that does not begin a sentence.

    A run is one X, words such as "of" and "the" between two capitalised ones included. A name at the beginning of a sentence is
    found only where a capitalised word follows it, and "I" is no name. Texts in lower case have no names to be found.
    """
    return NAME.sub("X", text)


@functools.cache
def rated(domain: str) -> Rated:
    """All sentences of a domain as they were published; fetches the asset "opinions".

    Raises CourseError for a domain that is not one of DOMAINS.
    """
    if domain not in FILES:
        raise CourseError(
            say("There are no opinions about {domain!r}; choose one of {known}.", domain=domain, known=", ".join(DOMAINS))
        )
    folder = fetch("opinions")

    def lines(kind: str) -> list[list[str]]:
        text = (folder / f"{FILES[domain]}_{kind}.txt").read_text("utf-8-sig")
        return [line.split("\t") for line in text.splitlines()]

    # By their ids: the two files of the products have one review in two orders.
    scores = {row[0]: json.loads(row[3]) for row in lines("anonDataRatings")}
    texts, counts, documents, numbers = [], [], [], {}
    for name, _, text in lines("GroundTruth"):
        texts.append(" ".join(html.unescape(text).split()))
        counts.append([scores[name].count(score) for score in SCORES])
        documents.append(numbers.setdefault(name.partition("_")[0], len(numbers)))
    return Rated(tuple(texts), torch.tensor(counts), torch.tensor(documents))


@functools.cache
def task(domain: str = "films") -> OpinionTask:
    """Positive or negative? The sentences of a domain on which more than half of the people take one side, in a fixed split.

    Left out are sentences of fewer than three words, second copies, and what is unsuitable for a classroom. The parts share no
    document and no two texts with six words in a row in common. Both classes are equally frequent in each part: at most 500
    texts of each are for training, 75 for validation, 250 for the test. Raises CourseError as `rated` does.
    """
    everything = rated(domain)
    labels = majority(everything.counts)
    rows, seen = [], set()
    for row, text in enumerate(everything.texts):
        words = tuple(_words(text))
        suitable = not UNSUITABLE.search(text)
        if labels[row] >= 0 and len(words) >= 3 and suitable and words not in seen:
            seen.add(words)
            rows.append(row)
    groups = near_duplicates([everything.texts[row] for row in rows], everything.documents[rows].tolist())
    part_of: dict[int, str] = {}  # of each group, from its first text alone
    parts = {"test": ([], []), "validation": ([], []), "train": ([], [])}
    # By a hash: neighbours are of one document, and a part's first texts should be of many.
    for row, group in sorted(zip(rows, groups, strict=True), key=lambda pair: digest(everything.texts[pair[0]])):
        if group not in part_of:
            part_of[group] = part_by(digest(everything.texts[row] + "split"), TEST_SHARE, VALIDATION_SHARE)
        parts[part_of[group]][labels[row]].append(row)
    limits = {"test": TEST_PER_CLASS, "validation": VALIDATION_PER_CLASS, "train": TRAIN_PER_CLASS}
    fields = {}
    for part, by_class in parts.items():
        n = min(limits[part], *map(len, by_class))
        chosen = [row for of_class in by_class for row in of_class[:n]]
        fields[f"{part}_texts"] = tuple(everything.texts[row] for row in chosen)
        fields[f"{part}_labels"], fields[f"{part}_counts"] = labels[chosen], everything.counts[chosen]
        if part == "test":
            fields["test_documents"] = everything.documents[chosen]
    return OpinionTask(domain, CLASSES, **fields)


def near_duplicates(texts: list[str], documents: list[int]) -> list[int]:
    """A group's number for each text: texts of one document, and texts with six words in a row in common, are in one group.

    Texts of fewer words are in one group where they are equal. Groups grow together: a text that is like two others joins them.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys: dict[object, int] = {}
    edges = []
    for row, (text, document) in enumerate(zip(texts, documents, strict=True)):
        words = _words(text)
        runs = {tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}
        edges += [(row, len(texts) + keys.setdefault(key, len(keys))) for key in (document, *runs)]
    starts, ends = np.array(edges).T
    size = len(texts) + len(keys)
    graph = coo_array((np.ones(len(edges)), (starts, ends)), shape=(size, size))
    return connected_components(graph, directed=False)[1][: len(texts)].tolist()


def _positive(counts: Tensor) -> Tensor:
    return counts[:, 5:].sum(dim=1)


def _negative(counts: Tensor) -> Tensor:
    return counts[:, :4].sum(dim=1)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())
