"""Your own tagged sentences as a `TaggingTask`: columns of words and tags, or JSON with spans of characters or with tokens."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import CourseError
from ..languages import later, say
from .clue import spans_of
from .conll import Sentence, Span, TaggingTask, bio, load_corpus, parse, spans, tagged
from .own import LeftOut, check_counts, counted_parts, digest, existing, parts_of, readable, some
from .own_tables import json_objects, read_text

WANT = later(
    "a file with a word and its tag in each line (CoNLL), or JSON with spans such as doccano, Label Studio or spaCy write"
)
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
# A run of letters and digits, or any other character. Chinese, Japanese and Thai have no blanks: there a character is a word.
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]|_"
)
_END = re.compile(r"\n+|(?<=[.!?])\s+(?=[^a-z\s])|(?<=[。！？])")


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences as they were read, with the part of each and what was left out."""

    name: str
    sentences: tuple[Sentence, ...]
    parts: tuple[str, ...]
    left_out: LeftOut

    def task(self) -> TaggingTask:
        """The same as the course's data sets have it."""
        by_part = {p: tuple(s for s, part in zip(self.sentences, self.parts, strict=True) if part == p) for p in SHARES}
        return TaggingTask(self.name, by_part["train"], by_part["test"], by_part["validation"])

    def report(self) -> str:
        """What was read, into which parts, and what was left out and why."""
        entities = Counter(kind for s in self.sentences for kind, *_ in spans(s.tags))
        first = say(
            "{name}: {n} sentences with {entities} entities ({counts}).",
            name=self.name,
            n=len(self.sentences),
            entities=entities.total(),
            counts=some([f"{kind} {count}" for kind, count in entities.most_common()], 8),
        )
        return "\n".join([first, counted_parts(Counter(self.parts)), *self.left_out.lines()])


def my_sentences(path: str | Path, **options) -> TaggingTask:
    """Your own tagged sentences as a data set of the course; prints what was read and what was left out, and why.

        task = lab.my_sentences("train.conll")     # BIO, IOB1 or BIOES
        task = lab.my_sentences("export.jsonl")    # doccano; also the JSON of Label Studio, spaCy and Prodigy
        task = lab.my_sentences("folder")          # with the files of CoNLL-2003 or WNUT-17, split by their publishers

    Args and errors as those of `read_sentences`.
    """
    task, report = read_tagged(path, **options)
    print(report)
    return task


def read_tagged(path: str | Path, **options) -> tuple[TaggingTask, str]:
    """The task in a file or a folder, and the report of what was read; args and errors as those of `read_sentences`."""
    path = existing(path, want=WANT)
    if not path.is_dir():
        tagged = read_sentences(path, **options)
        return tagged.task(), tagged.report()
    if given := ", ".join(name for name, value in options.items() if value is not None):
        raise CourseError(
            say(
                "{readable} is a folder, whose files are read whole and in UTF-8: {given} can be said of one "
                "file alone. Give the path of that file.",
                readable=readable(path.resolve().name),
                given=given,
            )
        )
    task = load_corpus(path)
    return task, counted_parts({"train": len(task.train), "validation": len(task.validation), "test": len(task.test)})


def read_sentences(path: str | Path, *, types: Collection[str] | None = None, encoding: str | None = None) -> TaggedSentences:
    """Reads sentences and their entities.

    A text with spans is cut into sentences at the ends of lines and sentences, never within an entity, and into words; an
    entity that begins or ends within a word gets the whole word. The sentences of a text, and of texts of equal words, fall
    into one part.

    Args:
        path: of a CoNLL file, or of JSON or JSON lines with "text" and spans, or with tokens and tags.
        types: of the entities that are wanted; the words of others get the tag O.
        encoding: of the file; None: UTF-8.

    Raises CourseError, which says what to do, for what holds no tagged sentences.
    """
    path = existing(path, want=WANT)
    where, left_out = readable(path.resolve().name), LeftOut()
    text = read_text(path, encoding)
    if not text.strip():
        raise CourseError(say("{where} is empty. Give the path of {known}.", where=where, known=say(WANT)))
    if path.suffix.lower() in {".json", ".jsonl", ".ndjson"} or text.lstrip()[:1] in "[{":
        found = [s for n, row in json_objects(text, where) for s in _from_object(row, n, where, left_out)]
    else:
        found = [replace(s, group=n) for n, s in enumerate(parse(text, where)[1])]
    kinds = {kind for s in found for kind, *_ in spans(s.tags)}
    if types is not None:
        if missing := sorted(set(types) - kinds):
            raise CourseError(
                say(
                    "{where} has no entity of type {missing}; it has {some}.",
                    where=where,
                    missing=", ".join(missing),
                    some=some(sorted(kinds), 10),
                )
            )
        found = [replace(s, tags=bio([e for e in spans(s.tags) if e[0] in types], len(s.words))) for s in found]
        kinds = set(types)
    if not kinds:
        raise CourseError(
            say("{where} holds no entity: is the tag in its last column, or are its spans named otherwise?", where=where)
        )
    groups = _groups(found)
    types_of: list[set[str]] = [{kind for kind, *_ in spans(s.tags)} for s in found]
    by_kind = Counter(kind for kind, _ in {(kind, g) for g, of in zip(groups, types_of, strict=True) for kind in of})
    count = {kind: by_kind[kind] for kind in sorted(kinds)}
    check_counts(count, where, later("different texts"), name=later("a type of entity"), option="types", least=1)
    order = [digest(" ".join(s.words)) for s in found]
    parts = parts_of(groups, types_of, order, SHARES)
    sentences = tuple(replace(s, group=g) for s, g in zip(found, groups, strict=True))
    return TaggedSentences(where, sentences, tuple(parts), left_out)


def holds_tags(path: Path, encoding: str | None = None) -> bool:
    """Whether any object of a JSON file holds tags or spans, though sentences may be too few or some of them wrong."""

    def holds(row: object) -> bool:
        try:
            return _tokens_of(row) is not None or bool(_text_and_spans(row)[1])
        except ValueError:  # wrong ones, which read_sentences tells with their line
            return True

    return any(holds(row) for _, row in json_objects(read_text(path, encoding), readable(path.name)))


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, as those of texts with spans are cut."""
    return tuple(_WORD.findall(text))


def _groups(sentences: list[Sentence]) -> list[int]:
    """The group of every sentence: its text, where texts of equal words are one."""
    texts: dict[int | None, list[tuple[str, ...]]] = {}
    for sentence in sentences:
        texts.setdefault(sentence.group, []).append(sentence.words)
    number: dict[tuple, int] = {}
    number_of = {group: number.setdefault(tuple(words), len(number)) for group, words in texts.items()}
    return [number_of[sentence.group] for sentence in sentences]


def _from_object(row: object, number: int, where: str, left_out: LeftOut) -> Iterator[Sentence]:
    """The sentences of one JSON object."""
    place = say("line {n}", n=number)
    tokens = _tokens_of(row)
    if tokens is not None:
        words, tags = tokens
        if len(words) != len(tags) or not words:
            left_out.add(place, say("not as many tags as words"))
            return
        yield replace(tagged(words, tags, f"{where}, {number}"), group=number)
        return
    try:
        text, found = _text_and_spans(row)
    except ValueError as error:
        raise CourseError(say("{where}, line {number}: {error}.", where=where, number=number, error=error)) from error
    if text is None:
        keys = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise CourseError(
            say(
                '{where}, line {number}: "text" and spans such as "label": [[0, 5, "PER"]] are needed, not {keys}.',
                where=where,
                number=number,
                keys=keys or say("an empty object"),
            )
        )
    entities = []
    for start, end, kind in found:
        while start < end <= len(text) and text[start].isspace():
            start += 1
        while start < end <= len(text) and text[end - 1].isspace():
            end -= 1
        if not 0 <= start < end <= len(text):
            left_out.add(f"{place} [{start}, {end}]", say("a span that is not in its text"))
        else:
            entities.append((re.sub(r"\s+", "_", kind), start, end))
    yield from _sentences(text, _apart(entities, place, left_out), number, place, left_out)


def _tokens_of(row: object) -> tuple[list[str], list[str]] | None:
    """Words and tags of an object that holds lists of them."""
    if not isinstance(row, dict) or not isinstance(row.get("tokens", row.get("words")), list):
        return None
    words = row.get("tokens", row.get("words"))
    tags = next((row[key] for key in ("ner_tags", "tags", "labels", "ner") if isinstance(row.get(key), list)), None)
    plain = tags is not None and all(isinstance(tag, str) for tag in tags) and all(isinstance(word, str) for word in words)
    return ([re.sub(r"\s+", "_", word) or "_" for word in words], [tag.strip() for tag in tags]) if plain else None


def _text_and_spans(row: object) -> tuple[str | None, list[tuple[int, int, str]]]:
    """The text of an object and its spans (start, end, type), or None where it has none; ValueError for CLUENER's if wrong."""
    if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict):  # spaCy 2
        row = {"text": row[0], "entities": row[1].get("entities")}
    if not isinstance(row, dict):
        return None, []
    if isinstance(row.get("data"), dict):  # Label Studio: spans in annotations, of which the first is taken
        texts = [value for value in row["data"].values() if isinstance(value, str)]
        given = row.get("annotations") or row.get("completions") or []
        results = given[0].get("result", []) if given and isinstance(given[0], dict) else []
        return (max(texts, key=len, default=None)), _spans([r.get("value") for r in results if isinstance(r, dict)])
    text = row.get("text", row.get("content", row.get("sentence")))
    if not isinstance(text, str):
        return None, []
    if isinstance(row.get("label"), dict):  # CLUENER: {type: {mention: [[first, last]]}}
        return text, [(start, end, kind) for kind, start, end in spans_of(row["label"], text)]
    for key in ("label", "labels", "entities", "spans", "annotations", "ents"):
        if isinstance(row.get(key), list):
            return text, _spans(row[key])
    return None, []


def _spans(listed: list) -> list[tuple[int, int, str]]:
    """(start, end, type) of spans as lists [start, end, type] or as objects."""
    found = []
    for one in listed:
        if isinstance(one, dict):
            kind = one.get("label", one.get("labels", one.get("type", one.get("entity_group"))))
            kind = kind[0] if isinstance(kind, list) and kind else kind
            one = [one.get("start", one.get("start_offset")), one.get("end", one.get("end_offset")), kind]
        if isinstance(one, list) and len(one) >= 3 and isinstance(one[2], str) and all(isinstance(k, int) for k in one[:2]):
            found.append((one[0], one[1], one[2]))
    return found


def _apart(entities: list[Span], place: str, left_out: LeftOut) -> list[Span]:
    """The entities in order, without those that overlap one before them, since BIO cannot nest; the longer goes first."""
    kept: list[Span] = []
    for entity in sorted(entities, key=lambda e: (e[1], -e[2])):
        if kept and entity[1] < kept[-1][2]:
            left_out.add(f"{place} [{entity[1]}, {entity[2]}]", say("an entity within another, or across its end"))
        else:
            kept.append(entity)
    return kept


def _sentences(text: str, entities: list[Span], number: int, place: str, left_out: LeftOut) -> Iterator[Sentence]:
    cuts = [m.end() for m in _END.finditer(text) if not any(start < m.end() and m.start() < end for _, start, end in entities)]
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        words = list(_WORD.finditer(text, begin, end))
        tagged: list[Span] = []
        for kind, start, stop in (e for e in entities if begin <= e[1] < end):
            inside = [k for k, word in enumerate(words) if word.start() < stop and word.end() > start]
            if not inside or tagged and inside[0] < tagged[-1][2]:
                left_out.add(f"{place} [{start}, {stop}]", say("an entity without a word of its own"))
                continue
            if words[inside[0]].start() != start or words[inside[-1]].end() != stop:
                left_out.add(
                    f"{place} [{start}, {stop}]", say("only the span: it ends within a word, and the whole word was taken")
                )
            tagged.append((kind, inside[0], inside[-1] + 1))
        if words:
            yield Sentence(tuple(word[0] for word in words), bio(tagged, len(words)), number)
