"""A made corpus: news-like sentences from a grammar, with names from lists and from WordNet.

Nobody wrote these sentences, and they report nothing that happened. They show what a real corpus such as CoNLL-2003, which may
not be passed on, would: persons, places, organisations and the rest (MISC). The task is not trivial: the templates and names of
the test (all but a few such as Reuters) do not occur in the training part; a town is a place in one sentence and a football
club in the next; surnames are towns, and companies are surnames or common words.
"""

import functools
import hashlib
import random
import re
from collections.abc import Sequence

from . import templates, wordnet
from .conll import Sentence, TaggingTask
from .names import BRANDS, FIRST_NAMES, LAST_NAMES

N_TRAIN, N_TEST = 1000, 300
TEST_SHARE = 0.35  # of the names, which only the test uses
_TOKEN = re.compile(r"[{}\[\]|]|<\w+>|[^{}\[\]|<]+")


@functools.cache
def task() -> TaggingTask:
    """1,000 training and 300 test sentences, always the same; fetches the asset "wordnet"."""
    return TaggingTask("made sentences", _made("train", templates.TRAIN, N_TRAIN), _made("test", templates.TEST, N_TEST))


def forms(text: str) -> int:
    """The number of sentences that a template gives before its slots are filled."""
    alternatives = 1
    for choice in _parsed(text):
        if isinstance(choice, list):
            alternatives *= sum(forms(branch) for branch in choice)
    return alternatives


def fill(text: str, generator: random.Random, names: dict[str, Sequence[str]]) -> Sentence:
    """One sentence of a template: its choices and what fills its slots are drawn.

    text: the template, in the grammar of `templates`. generator: makes the draws. names: those of each kind.
    """
    words, tags = [], []
    for piece in re.findall(r"<\w+>|[^\s<]+", _chosen(text, generator)):
        if piece[0] != "<":
            words.append(piece)
            tags.append("O")
            continue
        kind, name = _slot(piece[1:-1], generator, names)
        parts = name.split()
        words += parts
        tags += ["O"] * len(parts) if kind == "O" else [f"B-{kind}"] + [f"I-{kind}"] * (len(parts) - 1)
    return Sentence(tuple(words), tuple(tags))


def _made(part: str, lines: str, count: int) -> tuple[Sentence, ...]:
    """`count` different sentences; every template is used about equally often, in a random order."""
    generator, names = random.Random(f"few-shot lab {part}"), _names(part)
    texts, sentences = lines.strip().split("\n"), {}  # a dictionary for its keys: different, and in the order of their making
    while len(sentences) < count:
        for text in generator.sample(texts, len(texts)):
            sentences.setdefault(fill(text, generator, names))
    return tuple(sentences)[:count]


def _slot(name: str, generator: random.Random, names: dict[str, Sequence[str]]) -> tuple[str, str]:
    """(type, words) for a slot; type "O" for words that are no entity."""

    def a(pool: str) -> str:
        return generator.choice(names[pool])

    # All choices are made up before one is drawn, so that every slot takes the same number of draws whichever it is.
    def one_of(*choices: str) -> str:
        return generator.choice(choices)

    if name in ("day", "month", "ord"):
        return "O", generator.choice(templates.WORDS[name].split())
    if name == "n":
        return "O", str(generator.choice((2, 3, 4, 6, 7, 12, 15, 21, 30, 47, 80)))
    if name == "goals":
        return "O", str(generator.choice((0, 0, 1, 1, 2, 3, 4)))
    if name == "year":
        return "O", str(generator.randint(1890, 1999))
    if name in ("city", "country", "region"):
        return "LOC", a(name)
    if name == "per":
        return "PER", one_of(
            f"{a('first')} {a('last')}", f"{a('first')} {a('last')}", a("known"), f"{a('first')[0]}. {a('last')}"
        )
    if name == "last":
        return "PER", a("last")
    if name in ("nat", "war"):
        return "MISC", a(name)
    if name == "cup":
        return "MISC", one_of(
            f"{a('city')} Open", f"{a('nat')} Open", f"{a('last')} Cup", f"Tour of {a('region')}", f"{a('city')} Marathon"
        )
    if name == "prize":
        return "MISC", one_of(f"{a('last')} Prize", f"{a('nat')} Book Award", f"{a('last')} Medal", f"Order of {a('region')}")
    if name == "deal":
        return "MISC", one_of(f"{a('city')} Treaty", f"{a('city')} Accord", f"{a('last')} Act", f"Treaty of {a('city')}")
    if name == "club":
        return "ORG", one_of(
            a("city"), a("city"), f"{a('city')} United", f"{a('city')} City", f"Real {a('city')}", f"{a('city')} Rovers"
        )
    if name == "firm":
        return "ORG", one_of(
            f"{a('last')} & {a('last')}", a("last"), f"{a('last')} Group", f"{a('city')} Steel", f"{a('brand')} Holdings",
            f"Bank of {a('city')}", f"{a('last')} Brothers", f"{a('nat')} Airways",
        )  # fmt: skip
    if name == "brand":
        return "ORG", a("brand")
    if name == "school":
        return "ORG", one_of(
            f"University of {a('city')}", f"{a('city')} University", f"{a('last')} College", f"{a('city')} Institute"
        )
    if name == "paper":
        return "ORG", one_of(f"{a('city')} Times", f"{a('city')} Post", f"{a('nat')} Herald", f"{a('city')} Radio", "Reuters")
    if name == "party":
        return "ORG", one_of(
            f"{a('nat')} Labour Party", f"{a('country')} First", f"{a('region')} Front", "Green Party", "Liberals"
        )
    if name == "body":
        return "ORG", one_of(
            "United Nations", "Red Cross", f"{a('nat')} Red Crescent", f"Council of {a('region')}", "NATO", "UNICEF"
        )
    raise ValueError(f"There is no slot <{name}>.")


@functools.cache
def _names(part: str) -> dict[str, list[str]]:
    """The names of each kind that the training or the test part uses; no name is in both."""
    kinds: dict[str, list[str]] = {"first": [*FIRST_NAMES], "last": [*LAST_NAMES], "brand": [*BRANDS]}
    kinds |= {name: [] for name in ("city", "country", "region", "nat", "war", "known")}
    for synset in wordnet.synsets("n"):
        kind = synset.instance and _kind(synset)
        if kind:
            kinds[kind].append(max(synset.words, key=len) if kind == "known" else synset.words[0])
    # Adjectives of nations, without those of languages, churches, schools of thought and novels.
    about = re.compile(r"of or relating to or characteristic of (?!.*(language|church|philosoph|novel))[A-Z][a-z]+")
    for synset in wordnet.synsets("a"):
        if synset.file == 1 and about.match(synset.gloss):
            kinds["nat"] += [word for word in synset.words[:1] if re.fullmatch(r"[A-Z][a-z]+", word)]
    # A name is in one part whatever its kind: a town of the test is no surname in training.
    return {kind: [n for n in dict.fromkeys(all_) if _held_out(n) == (part == "test")] for kind, all_ in kinds.items()}


def _kind(synset: wordnet.Synset) -> str | None:
    """What an instance is according to its gloss: a city, country, region, war, a person long dead ("known"), or None."""
    gloss, name = synset.gloss, synset.words[0]
    if re.search(r"\d|'|\.|capital of", name) or re.search(r"ancient|biblical|mytholog|Testament", gloss, re.IGNORECASE):
        return None
    if synset.supersense == "location" and name.count(" ") < 2:
        if re.match(r"(a |the |largest |an )*(\w+ )?(republic|country|monarchy|kingdom|landlocked)", gloss):
            return "country"
        if re.search(r"\b(city|town|port|capital)\b", gloss[:60]):
            return "city"
        if re.match(r"(a |an |the )*(\w+ )?(state|region|province|island|group of islands|peninsula)\b", gloss):
            return "region"
    if synset.supersense == "act" and re.search(r"\bwars?\b", gloss) and re.search(r"War|Battle|Revol|Siege|Campaign", name):
        return "war"
    long_dead = re.search(r"\(1[5-8]\d\d-(1[5-8]|19[0-3])\d+\)", gloss)
    if synset.supersense == "person" and long_dead and re.fullmatch(r"[A-Z]\w+( [A-Z]\w+){1,2}", max(synset.words, key=len)):
        return "known"
    return None


def _held_out(name: str) -> bool:
    # By a hash of the name, not by its index: a name added to a list moves no other from one part to the other.
    return hashlib.sha256(f"held out: {name}".encode()).digest()[0] < 256 * TEST_SHARE


def _parsed(text: str) -> list:
    """A template as a list of plain texts and of lists of alternatives, which may hold choices again."""
    parts, depth, inner, branches = [], 0, "", []
    for token in _TOKEN.findall(text):
        if token in "{[":
            depth += 1
            if depth == 1:
                inner, branches = "", [""] if token == "[" else []
                continue
        elif token in "}]":
            depth -= 1
            if depth == 0:
                parts.append([*branches, inner])
                continue
        elif token == "|" and depth == 1:
            branches.append(inner)
            inner = ""
            continue
        if depth:
            inner += token
        else:
            parts.append(token)
    return parts


def _chosen(text: str, generator: random.Random) -> str:
    """A template with its choices made."""
    return "".join(_chosen(generator.choice(part), generator) if isinstance(part, list) else part for part in _parsed(text))
