"""Your own tables: CSV and TSV files in common dialects, JSON lines, JSON lists; and which of their columns are meant."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import CourseError
from ..languages import say
from .own import readable, some

Row = tuple[int, list[str]]  # the number of its line or object, and its cells
MOST_CHARACTERS = 2**30
NAMES = {
    "file": ("file", "filename", "file_name", "path", "image", "image_path", "picture", "文件", "图片"),
    "text": ("text", "sentence", "review", "content", "comment", "document", "message", "body", "utterance", "title")
    + ("文本", "内容", "句子", "评论", "标题"),
    "label": ("label", "labels", "class", "category", "target", "sentiment", "tag", "topic", "intent", "rating", "stars")
    + ("label_desc", "标签", "类别", "分类"),
}


def read_text(path: Path, encoding: str | None = None) -> str:
    """A file's text; raises CourseError, with the line and what to do, where it is not in that encoding (UTF-8 by default)."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CourseError(
            say(
                "Cannot read {readable}: {reason}. Give the path of a file.",
                readable=readable(path),
                reason=error.strerror or error,
            )
        ) from error
    if b"PK\x03\x04" == raw[:4] or path.suffix.lower() in {".xls", ".xlsx", ".ods", ".parquet", ".docx", ".pdf"}:
        raise CourseError(
            say(
                "{readable} is not a text file. Save the table as CSV in UTF-8, and give that file.",
                readable=readable(path.name),
            )
        )
    if len(raw) > MOST_CHARACTERS:
        raise CourseError(
            say(
                "{readable} has {raw:.1f} GB. Give a part of it, of at most 1 GB.",
                readable=readable(path.name),
                raw=len(raw) / 1e9,
            )
        )
    if encoding is None:
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except LookupError as error:
        raise CourseError(
            say("There is no encoding {encoding!r}; common ones are utf-8, gb18030, cp1252 and utf-16.", encoding=encoding)
        ) from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CourseError(
            say(
                "{readable}, line {line}: this is not {encoding}. Save it as UTF-8, or name its encoding, such "
                "as encoding='gb18030' or encoding='cp1252'.",
                readable=readable(path.name),
                line=line,
                encoding=encoding.removesuffix("-sig").upper(),
            )
        ) from error


def read_table(path: Path, encoding: str | None = None) -> tuple[list[str], list[Row]]:
    """The columns' names and the rows of a CSV, TSV, JSON or JSON-lines file; the names are "" where it has no head."""
    text = read_text(path, encoding)
    if not text.strip():
        raise _empty(path)
    if path.suffix.lower() in {".jsonl", ".ndjson", ".json"} or text.lstrip()[:1] in "[{":
        return _of_objects(json_objects(text, readable(path.name)))
    return _of_lines(text, path)


def json_objects(text: str, name: str) -> list[tuple[int, object]]:
    """(number, object) of a JSON list, of a list within an object, or of JSON lines; raises CourseError for anything else."""
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return list(json_lines(text, name))
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict | list)]
        whole = lists[0] if len(lists) == 1 else [whole]
    if not isinstance(whole, list) or not whole:
        raise CourseError(
            say("{name} holds no list of examples. Write one JSON object a line, with a text and a label in each.", name=name)
        )
    return list(enumerate(whole, 1))


def json_lines(text: str, name: str) -> Iterator[tuple[int, object]]:
    """(line number, object) of every line that is not empty; raises CourseError, with the number, for one that is no JSON."""
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would cut within strings
        if line.strip():
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                why = getattr(error, "msg", say("too deep"))
                raise CourseError(
                    say(
                        "{name}, line {number}: this is no JSON ({why}). Write one JSON object a line.",
                        name=name,
                        number=number,
                        why=why,
                    )
                ) from error
            yield number, row


def _of_objects(objects: list[tuple[int, object]]) -> tuple[list[str], list[Row]]:
    """Objects as rows: every key that holds a text, a number or a list of one is a column."""

    def cell(value) -> str:
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        return str(value) if isinstance(value, str | int | float) else ""

    if all(isinstance(row, list | tuple) for _, row in objects):
        width = max(len(row) for _, row in objects)
        return [""] * width, [(n, [*map(cell, row), *[""] * (width - len(row))]) for n, row in objects]
    heads = list(dict.fromkeys(key for _, row in objects if isinstance(row, dict) for key in row))
    return heads, [(n, [cell(row.get(key)) for key in heads]) for n, row in objects if isinstance(row, dict)]


def _of_lines(text: str, path: Path) -> tuple[list[str], list[Row]]:
    """The rows of a text in columns; the separator is the one that the first lines agree on."""
    first = text[:100_000].split("\n")[:50]
    counts = {mark: sum(mark in line for line in first) for mark in ("\t", ";", "|", ",")}
    separator = "\t" if path.suffix.lower() == ".tsv" else max(counts, key=lambda mark: (counts[mark], -("\t;|,".index(mark))))
    if not counts[separator]:
        raise CourseError(
            say(
                "{readable} has one column: no comma, semicolon or tab is in its first lines. Give a table with "
                "a text and a label in each line.",
                readable=readable(path.name),
            )
        )
    limit = csv.field_size_limit(MOST_CHARACTERS)  # of the whole process, so it is put back
    try:
        # Lines end as csv knows it: splitlines() would also cut at U+2028, U+0085 or a form feed within a cell.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise CourseError(
            say(
                "{readable}, line {line_num}: {error}. Save the table as CSV anew.",
                readable=readable(path.name),
                line_num=reader.line_num,
                error=error,
            )
        ) from error
    finally:
        csv.field_size_limit(limit)
    if not rows:
        raise _empty(path)
    width = max(len(row) for _, row in rows)
    rows = [(line, row + [""] * (width - len(row))) for line, row in rows]
    head = [cell.strip() for cell in rows[0][1]]
    known = {name for names in NAMES.values() for name in names}
    # Without a known name, a first line is a head unless one of its cells occurs again below it, as a label does.
    again = any(head[k] and any(row[k].strip() == head[k] for _, row in rows[1:]) for k in range(width))
    if not known & {cell.lower() for cell in head} and again:
        return [""] * width, rows
    return head, rows[1:]


def _empty(path: Path) -> CourseError:
    return CourseError(
        say("{readable} is empty. Give a table with a text and a label in each line.", readable=readable(path.name))
    )


def columns_of(
    heads: Sequence[str],
    rows: Sequence[Row],
    wanted: tuple[str, str | int | None, str | int | None],
    name: str,
    is_file: Callable[[str], object] | None = None,
) -> tuple[int, int]:
    """The columns of what is classified and of the label; raises CourseError, with the columns' names, where they are unclear.

    Args:
        heads: the columns' names, "" where there are none.
        rows: the table's.
        wanted: "file" or "text", then that column and the label's by name or number from 0, or None to guess it.
        name: of the table, for errors.
        is_file: says whether a cell names a file.
    """
    what, *given = wanted
    listed = some([f"{k} ({head})" if head else str(k) for k, head in enumerate(heads)], 12)
    if len(heads) < 2 or not rows:
        raise CourseError(
            say(
                "{name} has {heads} column(s) and {rows} rows; a {what} and a label are needed in each row.",
                name=name,
                heads=len(heads),
                rows=len(rows),
                what=what,
            )
        )
    sample = [row for _, row in rows[:2000]]

    def by_name(kind: str, asked: str | int | None, taken: int | None) -> int | None:
        if asked is not None:
            if isinstance(asked, int) and 0 <= asked < len(heads):
                return asked
            if asked in heads:
                return list(heads).index(asked)
            raise CourseError(say("{name} has no column {asked!r}; it has {listed}.", name=name, asked=asked, listed=listed))
        lowered = [head.lower() for head in heads]
        return next((lowered.index(n) for n in NAMES[kind] if n in lowered and lowered.index(n) != taken), None)

    first = by_name(what, given[0], None)
    label = by_name("label", given[1], first)
    free = [k for k in range(len(heads)) if k not in (first, label)]
    if first is None and free:
        score = (
            (lambda k: sum(bool(is_file(row[k])) for row in sample))
            if is_file
            else lambda k: sum(len(row[k]) for row in sample)
        )
        first = max(free, key=score)
        free.remove(first)
    if label is None and free:
        # A label has few values, and each of them several times.
        few = {k: len({row[k].strip() for row in sample}) for k in free}
        fit = [k for k in free if 2 <= few[k] <= max(2, len(sample) // 2)]
        label = min(fit or free, key=few.__getitem__)
    if first is None or label is None or first == label:
        option = "text" if what == "text" else f"{what}_column"
        raise CourseError(
            say(
                "Which columns of {name} hold the {what} and the label? Say {option}=... and label; it has {listed}.",
                name=name,
                what=what,
                option=option,
                listed=listed,
            )
        )
    return first, label
