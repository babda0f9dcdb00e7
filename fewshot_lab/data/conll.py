"""CoNLL column files (Tjong Kim Sang & De Meulder 2003): a word a line, its tag last, an empty line between sentences.

Three schemes write the same entities. For "in New York City" and "Oslo" side by side:

    word     New     York    City    Oslo
    IOB1     I-LOC   I-LOC   I-LOC   B-LOC     B- only where an entity follows another of its type (CoNLL-2003's files)
    BIO      B-LOC   I-LOC   I-LOC   B-LOC     B- on every first word (IOB2; WNUT-17's files)
    BIOES    B-LOC   I-LOC   E-LOC   S-LOC     E- on the last word, S- on a single word

Everything here returns BIO.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..assets import installed
from ..errors import CourseError
from ..languages import later, say

SCHEMES = ("IOB1", "BIO", "BIOES")
FILE_NAMES = {  # of CoNLL-2003, of WNUT-17 and of common exports, in the order in which they are looked for
    "train": ("train.conll", "eng.train", "train.txt", "train.bio", "wnut17train.conll"),
    "dev": ("dev.conll", "eng.testa", "valid.txt", "dev.txt", "emerging.dev.conll"),
    "test": ("test.conll", "eng.testb", "test.txt", "emerging.test.annotated"),
}
WNUT17 = "wnut17"
_TAG = re.compile(r"O|[BIES]-\S+")

Tags = tuple[str, ...]
Span = tuple[str, int, int]  # type, first word, behind the last word


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and one BIO tag each; sentences of one group resemble each other, such as those of one template."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    group: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags):
            raise ValueError(f"{len(self.words)} words have {len(self.tags)} tags; give one tag for each word.")

    @classmethod
    def untagged(cls, words: tuple[str, ...]) -> "Sentence":
        """Words that are to be tagged: each has the tag O."""
        return cls(words, ("O",) * len(words))


@dataclass(frozen=True)
class TaggingTask:
    """Sentences for training, for the test, and for choosing settings (validation, which may be empty)."""

    name: str
    train: tuple[Sentence, ...]
    test: tuple[Sentence, ...]
    validation: tuple[Sentence, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """The entities' types in the training sentences, in alphabetical order."""
        return tuple(sorted({tag[2:] for sentence in self.train for tag in sentence.tags if tag != "O"}))

    @property
    def tags(self) -> tuple[str, ...]:
        """All BIO tags: O, then B- and I- of every type; a tag's index is its class number."""
        return ("O", *(f"{edge}-{kind}" for kind in self.types for edge in "BI"))

    @property
    def test_groups(self) -> list[int]:
        """The group of each test sentence, from 0; a sentence without one is a group of its own."""
        names = [row if s.group is None else ("group", s.group) for row, s in enumerate(self.test)]
        number = {name: index for index, name in enumerate(dict.fromkeys(names))}
        return [number[name] for name in names]

    def on_validation(self) -> "TaggingTask":
        """The task with its validation sentences in place of the test's; raises CourseError when it has none."""
        if not self.validation:
            raise CourseError(
                say("{name} has no validation part: put a development file beside the test file.", name=self.name)
            )
        return replace(self, name=f"{self.name}, validation", test=self.validation, validation=())

    def draw(self, count: int, seed: int) -> tuple[Sentence, ...]:
        """`count` training sentences, the same for equal seeds; the first n are the same for every larger count."""
        import torch

        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(seed))[:count]
        return tuple(self.train[row] for row in order)


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of BIO tags as (type, first word, behind the last word).

    An I- that continues nothing (after O, or after another type) begins an entity, as in conlleval, the shared task's own
    script, and in seqeval's default mode.
    """
    entities, start = [], None
    for index, tag in enumerate([*tags, "O"]):  # an O at the end closes an entity that lasts to the end
        continues = tag[:2] == "I-" and start is not None and tag[2:] == tags[start][2:]
        if start is not None and not continues:
            entities.append((tags[start][2:], start, index))
            start = None
        if tag != "O" and not continues:
            start = index
    return entities


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
    converted, entities = list(bio(spans(tags), len(tags))), spans(tags)
    for number, (kind, start, end) in enumerate(entities):
        if scheme == "BIOES":
            converted[end - 1] = f"{'S' if end - start == 1 else 'E'}-{kind}"
        elif scheme == "IOB1":
            # B- only where it is needed to separate an entity from one of its type directly before it.
            follows_its_type = number and entities[number - 1][0] == kind and entities[number - 1][2] == start
            if not follows_its_type:
                converted[start] = f"I-{kind}"
    return tuple(converted)


def read(path: str | Path) -> tuple[str, tuple[Sentence, ...]]:
    """The scheme and the sentences of a column file, their tags in BIO.

    The word is the first column, or the second behind one that counts the words; the tag is the last. Blanks or tabs separate
    columns; tabs alone where words hold blanks. Lines that begin with -DOCSTART-, comments before a sentence (# ...) and a byte
    order mark are skipped; lines end in LF, CR LF or CR. Raises CourseError with the number of the line that is wrong.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CourseError(
            say("Cannot read {path}: {reason}. Give the path of a CoNLL file.", path=path, reason=error.strerror or error)
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CourseError(
            say("{path}, line {line}: this is not UTF-8. Save the file as UTF-8.", path=path, line=line)
        ) from error
    return parse(text, str(path))


def parse(text: str, name: str = later("the text")) -> tuple[str, tuple[Sentence, ...]]:
    """Like `read`, for a text; `name` is what the errors call it."""
    name = say(name)
    numbered = list(_sentences(text, name))
    scheme = _scheme(numbered, name)
    return scheme, tuple(Sentence(words, _to_bio(tags, lines, scheme, name)) for words, tags, lines in numbered)


def tagged(words: Sequence[str], tags: Sequence[str], name: str = later("the sentence")) -> Sentence:
    """A sentence whose tags are in one of SCHEMES; its words may be anything, -DOCSTART- too.

    Raises CourseError, which calls it `name` and counts its words as lines, for tags that are none or fit no scheme.
    """
    name, lines = say(name), range(1, len(words) + 1)
    for tag, line in zip(tags, lines, strict=True):
        _check_tag(tag, line, name)
    scheme = _scheme([(words, tags, lines)], name)
    return Sentence(tuple(words), _to_bio(tags, lines, scheme, name))


def to_text(sentences: Sequence[Sentence], scheme: str = "BIO", columns: int = 2) -> str:
    """The sentences as the text of a column file; with more than 2 columns those in between hold "_"."""
    blocks = [
        "\n".join(
            "\t".join([re.sub(r"[\t\r\n]", " ", word), *["_"] * (columns - 2), tag])
            for word, tag in zip(s.words, from_bio(s.tags, scheme), strict=True)
        )
        for s in sentences
    ]
    return "\n\n".join(blocks) + "\n"


def load_corpus(folder: str | Path) -> TaggingTask:
    """The task in a folder with the files of CoNLL-2003 or WNUT-17; "wnut17" is the optional asset of that name.

    The development file is for validation or, without a test file, the test. Raises CourseError when training or test is
    missing, with the names that are looked for, or holds no sentence.
    """
    folder = _asset(folder) or Path(folder).expanduser()
    if not folder.is_dir():
        what = say("is a file") if folder.exists() else say("does not exist")
        raise CourseError(
            say(
                "{folder} {what}. Give the folder that holds the training and the test file.",
                folder=folder.absolute(),
                what=what,
            )
        )
    there = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    files = {part: next((there[name] for name in names if name in there), None) for part, names in FILE_NAMES.items()}
    train_file, test_file = files["train"], files["test"] or files["dev"]
    if train_file is None or test_file is None:
        missing = "train" if train_file is None else "test"
        wanted = ", ".join(FILE_NAMES[missing] if missing == "train" else (*FILE_NAMES["test"], *FILE_NAMES["dev"]))
        raise CourseError(
            say(
                "{folder} has no {missing} file. Put one of {wanted} there, or give the folder that holds it.",
                folder=folder,
                missing=missing,
                wanted=wanted,
            )
        )
    (_, train), (_, test) = read(train_file), read(test_file)
    for file, sentences in ((train_file, train), (test_file, test)):
        if not sentences:
            raise CourseError(say("{file} is empty. Put sentences there, a word and its tag on each line.", file=file))
    if not any(tag != "O" for sentence in train for tag in sentence.tags):
        raise CourseError(say("{train_file} holds no entity: is the tag in its last column?", train_file=train_file))
    validation = read(files["dev"])[1] if files["dev"] and files["test"] else ()
    return TaggingTask(f"{folder.name}/{test_file.name}", train, test, validation)


def _asset(name: str | Path) -> Path | None:
    """The folder of the asset "wnut17"; None for another name, or where the user has a folder of that name."""
    if str(name) != WNUT17 or Path(name).is_dir():
        return None
    if folder := installed(WNUT17):
        return folder
    raise CourseError(
        say(
            "WNUT-17 is not here. With a network run `fewshot-lab assets fetch wnut17`, or give a folder "
            "with its files: {known}.",
            known=", ".join(names[-1] for names in FILE_NAMES.values()),
        )
    )


def _sentences(text: str, name: str) -> Iterator[tuple[tuple, tuple, tuple]]:
    """(words, tags as written, line numbers) of every sentence."""
    blocks = [[]]  # the lines of each sentence
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if not line.strip(" \t") or re.match(r"-DOCSTART-(?=[ \t]|$)", line):
            blocks.append([])
        else:
            blocks[-1].append((number, line))
    split, width = _columns([line for block in blocks for _, line in block if not line.startswith("#")])
    sentences = []
    for block in blocks:
        rows = []
        for number, line in block:
            fields = split(line)
            fits = len(fields) >= 2 and len(fields) == (width or len(fields))
            if not rows and line.startswith("#") and not (fits and _TAG.fullmatch(fields[-1])):
                continue  # a comment, such as WNUT's and GermEval's "# id 1"; a line "# O" is a word
            if not fits:
                needed = say("a word and its tag are needed")
                if len(fields) != width:
                    needed = say("the lines before have {width}", width=width)
                raise CourseError(
                    say(
                        "{name}, line {number}: {fields} column(s), but {needed}: {line!r}.",
                        name=name,
                        number=number,
                        fields=len(fields),
                        needed=needed,
                        line=line.strip(),
                    )
                )
            _check_tag(fields[-1], number, name)
            rows.append((fields, number))
        if rows:
            sentences.append(rows)
    first = int((width or 0) > 2 and _count_words(sentences))  # where the word is
    for rows in sentences:
        yield tuple(fields[first] for fields, _ in rows), tuple(fields[-1] for fields, _ in rows), tuple(n for _, n in rows)


def _columns(lines: list[str]) -> tuple[Callable[[str], list[str]], int | None]:
    """How lines are split, at blanks and tabs or, where only these agree, at tabs alone; and into how many columns."""

    def anywhere(line: str) -> list[str]:
        return re.split(r"[ \t]+", line.strip(" \t"))

    def at_tabs(line: str) -> list[str]:
        return [field.strip(" ") or field for field in line.rstrip(" \t").split("\t")]  # a word may hold blanks, or be one

    widths, tabbed = ({len(split(line)) for line in lines} for split in (anywhere, at_tabs))
    if (len(widths) > 1 or widths == {1}) and len(tabbed) == 1 and tabbed != {1}:
        return at_tabs, tabbed.pop()
    return anywhere, len(anywhere(lines[0])) if lines else None


def _count_words(sentences: list) -> bool:
    """Whether the first column, of sentences as (fields, line number), counts their words or the file's, from 0 or 1."""

    def counts(rows: list) -> bool:
        return any([fields[0] for fields, _ in rows] == [str(start + i) for i in range(len(rows))] for start in (0, 1))

    rows = [row for sentence in sentences for row in sentence]
    return len(rows) > len(sentences) and (counts(rows) or all(map(counts, sentences)))


def _check_tag(tag: str, line: int, name: str) -> None:
    if not _TAG.fullmatch(tag):
        raise CourseError(
            say(
                "{name}, line {line}: {tag!r} is no tag. Tags are O, or B-, I-, E- or S- and a type such as B-LOC.",
                name=name,
                line=line,
                tag=tag,
            )
        )


def _scheme(numbered: list, name: str) -> str:
    """The scheme in which all tags of a file make sense; raises CourseError when there is none.

    It takes the whole file: a B- directly behind an entity of its type is written alike in IOB1 and in BIO.
    """
    only_iob1 = only_bio = None  # the first tag that BIO would not write (I- at a beginning), the first that IOB1 would not
    for _, tags, lines in numbered:
        for before, tag, line in zip(("O", *tags), tags, lines, strict=False):
            if tag[0] in "ES":
                return "BIOES"
            after_its_type = before != "O" and before[2:] == tag[2:]
            if tag[0] == "I" and not after_its_type:
                only_iob1 = only_iob1 or (line, tag)
            if tag[0] == "B" and not after_its_type:
                only_bio = only_bio or (line, tag)
    if only_iob1 and only_bio:
        raise CourseError(
            say(
                "{name}, line {line}: {tag} continues no entity, which is IOB1, but line {other} "
                "begins one with {begins}, which is BIO. Write the whole file in one scheme.",
                name=name,
                line=only_iob1[0],
                tag=only_iob1[1],
                other=only_bio[0],
                begins=only_bio[1],
            )
        )
    return "IOB1" if only_iob1 else "BIO"


def _to_bio(tags: Sequence[str], lines: Sequence[int], scheme: str, name: str) -> tuple[str, ...]:
    """The tags of a sentence in BIO; raises CourseError for BIOES tags that are no entities."""
    if scheme != "BIOES":
        # `spans` takes I- at a beginning as IOB1 does, so it reads both schemes.
        return bio(spans(tags), len(tags))
    converted, before = [], "O"
    for tag, after, line in zip(tags, (*tags[1:], "O"), lines, strict=True):
        inside = tag[0] in "IE" and before[0] in "BI" and before[2:] == tag[2:]
        unclosed = tag[0] in "BI" and not (after[0] in "IE" and after[2:] == tag[2:])
        if tag[0] in "IE" and not inside or unclosed:
            problem = say("ends nowhere") if unclosed else say("continues no entity")
            raise CourseError(
                say(
                    "{name}, line {line}: {tag} {problem}; in BIOES an entity is S, or B, any I, and E of one type.",
                    name=name,
                    line=line,
                    tag=tag,
                    problem=problem,
                )
            )
        converted.append(tag if tag == "O" else f"{'I' if inside else 'B'}-{tag[2:]}")
        before = tag
    return tuple(converted)
