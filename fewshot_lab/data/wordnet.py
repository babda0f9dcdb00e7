"""WordNet 3.0 (Miller 1995), read from its own files: synsets with words, supersense and gloss, and each word's first sense."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..assets import fetch

PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
NOUN_SUPERSENSES = (
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling", "food"),
    *("group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process", "quantity"),
    *("relation", "shape", "state", "substance", "time"),
)  # the lexicographer files 03 to 28, lexnames(5WN); "Tops" holds the roots of the others
FIRST_NOUN_FILE = 3


@dataclass(frozen=True, slots=True)
class Synset:
    """A synset: the words of one meaning.

    key: its offset in the file, eight digits. file: the number of its lexicographer file. words: without underscores. gloss:
    without examples. instance: whether it names one thing (Paris) and not a kind of thing (city).
    """

    key: str
    file: int
    words: tuple[str, ...]
    gloss: str
    instance: bool

    @property
    def supersense(self) -> str:
        """The broad class of a noun's synset, one of NOUN_SUPERSENSES."""
        return NOUN_SUPERSENSES[self.file - FIRST_NOUN_FILE]


def synsets(part: str) -> Iterator[Synset]:
    """Every synset of a part of speech ("n", "v", "a", "r") in the file's order; raises KeyError for another part.

    The format is that of wndb(5WN): offset, file, type, number of words (hexadecimal), words with a number each, number of
    pointers, pointers of four fields, and the gloss after "|".
    """
    for line in _lines("data", part):
        fields, _, text = line.partition(" | ")
        fields = fields.split(" ")
        count = int(fields[3], 16)
        pointers = 4 + 2 * count
        # An adjective may have its syntactic position in brackets, such as galore(ip).
        words = tuple(word.partition("(")[0].replace("_", " ") for word in fields[4:pointers:2])
        instance = "@i" in fields[pointers + 1 :: 4]
        yield Synset(fields[0], int(fields[1]), words, definition(text), instance)


def definition(text: str) -> str:
    """A gloss without its examples: what comes before the first quotation mark, without the semicolon in front of it."""
    return text.partition('"')[0].strip().rstrip(";:,").strip()


@functools.cache
def index(part: str) -> dict[str, tuple[str, int]]:
    """For each word (lower case) of a part of speech its first sense's key, and how many of its senses occur in tagged texts.

    The format is that of index(5WN): the word, its part, the number of senses, ..., how many occur in tagged texts, and the
    senses' offsets, the most frequent first.
    """
    rows = (line.split() for line in _lines("index", part))
    return {row[0].replace("_", " "): (row[-int(row[2])], int(row[-int(row[2]) - 1])) for row in rows}


@functools.cache
def first_senses(part: str) -> dict[str, Synset]:
    """For each word (lower case) of a part of speech the synset of its first, most frequent sense."""
    by_key = {synset.key: synset for synset in synsets(part)}
    return {word: by_key[key] for word, (key, _) in index(part).items()}


@functools.cache
def base_forms(part: str) -> dict[str, str]:
    """The irregular forms of a part of speech and their base form: {"geese": "goose", ...}."""
    lines = (_folder() / f"{PARTS[part]}.exc").read_text(encoding="utf-8").splitlines()
    return {form.replace("_", " "): base.replace("_", " ") for form, base, *_ in map(str.split, lines)}


def _folder() -> Path:
    return fetch("wordnet")


def _lines(kind: str, part: str) -> Iterator[str]:
    with open(_folder() / f"{kind}.{PARTS[part]}", encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))  # the licence at the top is indented
