"""A made corpus: news-like sentences from a grammar, with names from lists and from WordNet.

Nobody wrote these sentences, and they report nothing that happened. They show what a real corpus such as CoNLL-2003, which may
not be passed on, would: persons, places, organisations and the rest (MISC). The task is not trivial: training, validation and
test share no template and no name (but for a few such as Reuters); a town is a place in one sentence and a football club in the
next; surnames are towns, and companies are surnames or common words.
"""

import functools
import hashlib
import random
import re
from collections.abc import Sequence

from . import templates, wordnet
from .conll import Sentence, TaggingTask
from .names import BRANDS, FIRST_NAMES, LAST_NAMES

SIZES = {"train": 1000, "validation": 300, "test": 300}
TEMPLATES = {"train": templates.TRAIN, "validation": templates.VALIDATION, "test": templates.TEST}
HELD_OUT = 0.35  # of the names, which training does not use: validation has one half of them, the test the other
_TOKEN = re.compile(r"[{}\[\]|]|<\w+>|[^{}\[\]|<]+")
NAME = re.compile(r"\{(\w+)(?:\[0\])?\}")  # in a slot's forms
PIECE = re.compile(r"<\w+>|[^\s<]+")  # of a template whose choices are made: a slot or a word


@functools.cache
def task() -> TaggingTask:
    """1,000 training, 300 validation and 300 test sentences, always the same; fetches the asset "wordnet"."""
    return TaggingTask("made sentences", **{part: _made(part, count) for part, count in SIZES.items()})


def choices(text: str) -> list[tuple[str, float]]:
    """Every sentence that a template gives before its slots are filled, with its probability."""
    made = [("", 1.0)]
    for part in _parsed(text):
        branches = part if isinstance(part, list) else None
        ends = [(end, p / len(branches)) for branch in branches for end, p in choices(branch)] if branches else [(part, 1.0)]
        made = [(start + end, p * q) for start, p in made for end, q in ends]
    return made


def fill(text: str, generator: random.Random, names: dict[str, Sequence[str]], group: int | None = None) -> Sentence:
    """One sentence of a template: its choices and what fills its slots are drawn.

    Args:
        text: the template, in the grammar of `templates`.
        generator: makes the draws.
        names: those of each kind.
        group: of the sentence, the number of its template.
    """
    words, tags = [], []
    for piece in PIECE.findall(_chosen(text, generator)):
        if piece[0] != "<":
            words.append(piece)
            tags.append("O")
            continue
        kind, name = _fill_slot(piece[1:-1], generator, names)
        parts = name.split()
        words += parts
        tags += ["O"] * len(parts) if kind == "O" else [f"B-{kind}"] + [f"I-{kind}"] * (len(parts) - 1)
    return Sentence(tuple(words), tuple(tags), group)


def _made(part: str, count: int) -> tuple[Sentence, ...]:
    """`count` different sentences; every template is used about equally often, in a random order."""
    generator, names = random.Random(f"few-shot lab {part}"), part_names(part)
    texts, sentences = part_templates(part), {}  # a dictionary for its keys: different, and in the order of their making
    while len(sentences) < count:
        for text in generator.sample(texts, len(texts)):
            sentences.setdefault(fill(text, generator, names, texts.index(text)))
    return tuple(sentences)[:count]


def _fill_slot(name: str, generator: random.Random, names: dict[str, Sequence[str]]) -> tuple[str, str]:
    """(type, words) for a slot; type "O" for words that are no entity."""
    if name not in templates.SLOTS:
        raise ValueError(f"There is no slot <{name}>.")
    kind, forms_of_slot = templates.SLOTS[name]
    # All forms are filled before one is drawn, so that every slot takes the same number of draws whichever it is.
    filled = [_fill_form(form, generator, names) for form in forms_of_slot]
    return kind, filled[0] if len(filled) == 1 else generator.choice(filled)


def _fill_form(form: str, generator: random.Random, names: dict[str, Sequence[str]]) -> str:
    return NAME.sub(lambda found: found[0].format(**{found[1]: generator.choice(names[found[1]])}), form)


def part_templates(part: str) -> list[str]:
    """The templates of a part, one of SIZES."""
    return TEMPLATES[part].strip().split("\n")


@functools.cache
def part_names(part: str) -> dict[str, list[str]]:
    """The names of each kind that a part, one of SIZES, uses; no name is in two."""
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
    return {kind: [n for n in dict.fromkeys(all_) if _part(n) == part] for kind, all_ in kinds.items()}


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


def _part(name: str) -> str:
    # By a hash of the name, not by its index: a name added to a list moves no other from one part to another.
    first, second, *_ = hashlib.sha256(f"held out: {name}".encode()).digest()
    return "train" if first >= 256 * HELD_OUT else "test" if second < 128 else "validation"


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
