"""CoNLL column files (Tjong Kim Sang & De Meulder 2003): a word a line, its tag last, sentences apart by empty lines.

Three schemes write the same entities. For "in New York City" and "Oslo" side by side:

    word     New     York    City    Oslo
    IOB1     I-LOC   I-LOC   I-LOC   B-LOC     B- only where an entity follows another of its type (CoNLL-2003's files)
    BIO      B-LOC   I-LOC   I-LOC   B-LOC     B- on every first word (IOB2; WNUT-17's files)
    BIOES    B-LOC   I-LOC   E-LOC   S-LOC     the last word and single words are marked too

Everything here returns BIO.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CourseError

SCHEMES = ("IOB1", "BIO", "BIOES")
NAMES = {
    "train": ("train.conll", "eng.train", "train.txt", "train.bio", "wnut17train.conll"),
    "dev": ("dev.conll", "eng.testa", "valid.txt", "dev.txt", "emerging.dev.conll"),
    "test": ("test.conll", "eng.testb", "test.txt", "emerging.test.annotated"),
}
_TAG = re.compile(r"O|[BIES]-\S+")

Span = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and one BIO tag each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags):
            raise ValueError(f"{len(self.words)} words have {len(self.tags)} tags; give one tag for each word.")


@dataclass(frozen=True)
class TaggingTask:
    """Sentences to learn from and to be tested on, and the entities' types."""

    name: str
    train: tuple[Sentence, ...]
    test: tuple[Sentence, ...]

    @property
    def types(self) -> tuple[str, ...]:
        """The entities' types in the training sentences, in alphabetical order."""
        return tuple(sorted({tag[2:] for sentence in self.train for tag in sentence.tags if tag != "O"}))

    @property
    def tags(self) -> tuple[str, ...]:
        """All BIO tags: O, then B- and I- of every type; a tag's place is its class number."""
        return ("O", *(f"{edge}-{kind}" for kind in self.types for edge in "BI"))

    def draw(self, count: int, seed: int) -> tuple[Sentence, ...]:
        """`count` training sentences, the same for equal seeds; the first n are the same for every larger count."""
        import torch

        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(seed))[:count]
        return tuple(self.train[row] for row in order)


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities (type, first word, behind the last word) of BIO tags.

    An I- that continues nothing (after O, or after another type) begins an entity, as in conlleval, the shared task's own
    script, and in seqeval's default mode.
    """
    found, start = [], None
    for place, tag in enumerate([*tags, "O"]):
        continues = tag[:2] == "I-" and start is not None and tag[2:] == tags[start][2:]
        if start is not None and not continues:
            found.append((tags[start][2:], start, place))
            start = None
        if tag != "O" and not continues:
            start = place
    return found


def bio(entities: Sequence[Span], length: int) -> tuple[str, ...]:
    """The BIO tags of a sentence of `length` words with these entities."""
    tags = ["O"] * length
    for kind, start, end in entities:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tuple(tags)


def from_bio(tags: Sequence[str], scheme: str) -> tuple[str, ...]:
    """BIO tags written in another scheme, one of SCHEMES."""
    if scheme not in SCHEMES:
        raise ValueError(f"The scheme is {scheme!r}; choose one of {', '.join(SCHEMES)}.")
    written, entities = list(bio(spans(tags), len(tags))), spans(tags)
    for place, (kind, start, end) in enumerate(entities):
        if scheme == "BIOES":
            written[end - 1] = f"{'S' if end - start == 1 else 'E'}-{kind}"
        elif scheme == "IOB1" and not (place and entities[place - 1][0] == kind and entities[place - 1][2] == start):
            written[start] = f"I-{kind}"
    return tuple(written)


def read(path: str | Path) -> tuple[str, tuple[Sentence, ...]]:
    """The scheme and the sentences of a column file, their tags in BIO; raises CourseError with the line of what is wrong.

    The word is the first column, the tag the last; columns are apart by blanks or tabs. Lines that begin with -DOCSTART- and
    a byte order mark are skipped, lines may end in CR LF.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CourseError(f"Cannot read {path}: {error.strerror or error}. Give the path of a CoNLL file.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CourseError(f"{path}, line {line}: this is not UTF-8. Save the file as UTF-8.") from error
    return parse(text, str(path))


def parse(text: str, name: str = "the text") -> tuple[str, tuple[Sentence, ...]]:
    """`read` for a file's text; `name` stands in the errors."""
    numbered = list(_sentences(text, name))
    scheme = _scheme(numbered, name)
    return scheme, tuple(Sentence(words, _to_bio(tags, lines, scheme, name)) for words, tags, lines in numbered)


def to_text(sentences: Sequence[Sentence], scheme: str = "BIO", columns: int = 2) -> str:
    """The sentences as a column file's text; with more than 2 columns the ones between are filled with "_"."""
    blocks = [
        "\n".join(
            "\t".join([word, *["_"] * (columns - 2), tag]) for word, tag in zip(s.words, from_bio(s.tags, scheme), strict=True)
        )
        for s in sentences
    ]
    return "\n\n".join(blocks) + "\n"


def load_corpus(folder: str | Path) -> TaggingTask:
    """The task in a folder with CoNLL-2003's or WNUT-17's files; without a test file the test is on the development file.

    Raises CourseError when a part is missing, with the names that are looked for.
    """
    folder = Path(folder).expanduser()
    found = {part: next((folder / n for n in names if (folder / n).is_file()), None) for part, names in NAMES.items()}
    tested = found["test"] or found["dev"]
    if found["train"] is None or tested is None:
        missing = "train" if found["train"] is None else "test"
        wanted = ", ".join(NAMES[missing] if missing == "train" else (*NAMES["test"], *NAMES["dev"]))
        raise CourseError(f"{folder} has no {missing} file. Put one of {wanted} there, or give the folder that holds it.")
    (_, train), (_, test) = read(found["train"]), read(tested)
    if not any(tag != "O" for sentence in train for tag in sentence.tags):
        raise CourseError(f"{found['train']} holds no entity: is the tag in its last column?")
    return TaggingTask(f"{folder.name}/{tested.name}", train, test)


def _sentences(text: str, name: str) -> Iterator[tuple[tuple, tuple, tuple]]:
    """(words, tags as written, line numbers) of every sentence."""
    rows, width = [], None
    for number, line in enumerate(text.split("\n"), 1):
        fields = re.split(r"[ \t]+", line.strip(" \t\r"))
        if fields == [""] or fields[0] == "-DOCSTART-":
            if rows:
                yield tuple(zip(*rows, strict=True))
            rows = []
            continue
        width = width or len(fields)
        if len(fields) < 2 or len(fields) != width:
            needed = f"the lines before have {width}" if len(fields) != width else "a word and its tag are needed"
            raise CourseError(f"{name}, line {number}: {len(fields)} column(s), but {needed}: {line.strip()!r}.")
        if not _TAG.fullmatch(fields[-1]):
            raise CourseError(
                f"{name}, line {number}: {fields[-1]!r} is no tag. Tags are O, or B-, I-, E- or S- and a type such as B-LOC."
            )
        rows.append((fields[0], fields[-1], number))
    if rows:
        yield tuple(zip(*rows, strict=True))


def _scheme(numbered: list, name: str) -> str:
    """The one scheme in which all tags make sense."""
    bare = iob_only = None  # the first entity that begins with I-, and the first B- that IOB1 would not write
    for _, tags, lines in numbered:
        for before, tag, line in zip(("O", *tags), tags, lines, strict=False):
            if tag[0] in "ES":
                return "BIOES"
            joined = before != "O" and before[2:] == tag[2:]
            if tag[0] == "I" and not joined:
                bare = bare or (line, tag)
            if tag[0] == "B" and not joined:
                iob_only = iob_only or (line, tag)
    if bare and iob_only:
        raise CourseError(
            f"{name}, line {bare[0]}: {bare[1]} continues no entity, which is IOB1, but line {iob_only[0]} begins one with "
            f"{iob_only[1]}, which is BIO. Write the whole file in one scheme."
        )
    return "IOB1" if bare else "BIO"


def _to_bio(tags: Sequence[str], lines: Sequence[int], scheme: str, name: str) -> tuple[str, ...]:
    if scheme != "BIOES":
        return bio(spans(tags), len(tags))
    made, before = [], "O"
    for tag, after, line in zip(tags, (*tags[1:], "O"), lines, strict=True):
        inside = tag[0] in "IE" and before[0] in "BI" and before[2:] == tag[2:]
        open_ = tag[0] in "BI" and not (after[0] in "IE" and after[2:] == tag[2:])
        if tag[0] in "IE" and not inside or open_:
            trouble = "ends nowhere" if open_ else "continues no entity"
            raise CourseError(f"{name}, line {line}: {tag} {trouble}; in BIOES an entity is S, or B, any I, and E of one type.")
        made.append(tag if tag == "O" else f"{'I' if inside else 'B'}-{tag[2:]}")
        before = tag
    return tuple(made)
