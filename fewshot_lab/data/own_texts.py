"""Your own texts as a `TextTask`: a table with a text and a label in each row, or a folder of .txt files for each class."""

import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import CourseError
from ..languages import later, say
from .glosses import TextTask
from .own import LeftOut, check_counts, chosen_classes, counted, counted_parts, digest, existing, folders, parts_of, readable
from .own_tables import columns_of, read_table, read_text

WANT = later(
    "a table (CSV, TSV or JSON lines) with a text and a label in each row, or a folder with one folder of .txt files a class"
)


@dataclass(frozen=True)
class Texts:
    """Texts as they were read, with the class, the part and the place (line or file) of each."""

    name: str
    classes: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    places: tuple[str, ...]
    parts: tuple[str, ...]
    columns: str
    left_out: LeftOut

    def task(self) -> TextTask:
        """The same as the course's data sets have it."""
        columns = {}
        for part in ("train", "validation", "test"):
            rows = [row for row, of_row in enumerate(self.parts) if of_row == part]
            labels = torch.tensor([self.classes.index(self.labels[row]) for row in rows])
            columns |= {f"{part}_texts": tuple(self.texts[row] for row in rows), f"{part}_labels": labels}
        return TextTask(self.name, self.classes, **columns)

    def report(self) -> str:
        """What was read, into which parts, and what was left out and why."""
        first = say(
            "{name}: {n} texts of {classes} classes ({counts}){columns}.",
            name=self.name,
            n=len(self.texts),
            classes=len(self.classes),
            counts=counted(self.labels),
            columns=self.columns,
        )
        return "\n".join([first, counted_parts(Counter(self.parts)), *self.left_out.lines()])


def my_texts(path: str | Path, **options) -> TextTask:
    """Your own texts as a data set of the course; prints what was read, from which columns, and what was left out, and why.

        task = lab.my_texts("reviews.csv")
        task = lab.my_texts("reviews.tsv", text="comment", label="stars", encoding="gb18030")
        task = lab.my_texts("folder")  # folder/positive/1.txt, folder/negative/7.txt, ...

    Args and errors as those of `read_texts`.
    """
    texts = read_texts(path, **options)
    print(texts.report())
    return texts.task()


def read_texts(
    path: str | Path,
    *,
    text: str | int | None = None,
    label: str | int | None = None,
    classes: Collection[str] | None = None,
    encoding: str | None = None,
) -> Texts:
    """Reads texts and their labels.

    A text that occurs again, with other capitals or blanks too, is taken once, and not at all where its labels differ. The
    parts are cut by a hash of the texts.

    Args:
        path: of a table in CSV, TSV, JSON or JSON lines, or of a folder with a folder of .txt files for each class.
        text, label: the columns, by name or number from 0, where they cannot be guessed.
        classes: their names, where not all are wanted.
        encoding: of the files; None: UTF-8, or UTF-16 where the file says so.

    Raises CourseError, which says what to do, for what holds no classification task.
    """
    path = existing(path, want=WANT)
    where, left_out, columns = readable(path.resolve().name), LeftOut(), ""
    if path.is_dir():
        found = _from_folder(path, encoding)
    else:
        heads, rows = read_table(path, encoding)
        text_column, label_column = columns_of(heads, rows, ("text", text, label), where)
        columns = say(
            "; texts from column {text}, labels from column {label}",
            text=heads[text_column] or text_column,
            label=heads[label_column] or label_column,
        )
        found = [(say("line {n}", n=line), row[text_column].strip(), readable(row[label_column].strip())) for line, row in rows]
    full = []
    for row in found:
        if not row[1] or not row[2]:
            left_out.add(row[0], say("without a text") if row[2] else say("without a label"))
        else:
            full.append(row)
    names = chosen_classes({row[2] for row in full}, classes, where)
    labels_of: dict[str, set[str]] = {}
    plains = [_plain(words) for _, words, _ in full]
    for plain, (*_, name) in zip(plains, full, strict=True):
        labels_of.setdefault(plain, set()).add(name)
    kept: dict[str, tuple[str, str, str]] = {}
    for plain, row in zip(plains, full, strict=True):
        if row[2] not in names:
            continue
        if len(labels_of[plain]) > 1:
            left_out.add(row[0], say("the same text with different labels"))
        elif plain in kept:
            left_out.add(row[0], say("a text that is there already"))
        else:
            kept[plain] = row
    counts = Counter(name for *_, name in kept.values())
    check_counts({name: counts[name] for name in names}, where, later("different texts"))
    places, texts, labels = zip(*kept.values(), strict=True)
    parts = parts_of(range(len(kept)), [{name} for name in labels], [digest(plain) for plain in kept])
    return Texts(where, names, texts, labels, places, tuple(parts), columns, left_out)


def _plain(text: str) -> str:
    """What two texts have in common that differ in capitals, blanks or the width of characters alone."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _from_folder(folder: Path, encoding: str | None) -> list[tuple[str, str, str]]:
    """(file, text, class) of all .txt files in folders of classes."""
    found = []
    for of_class in folders(folder):
        for file in sorted(of_class.rglob("*.txt")):  # which follows no links, so none can lead in a circle
            if file.is_file() and not file.name.startswith("."):
                name = readable(file.relative_to(folder))
                found.append((name, read_text(file, encoding).strip(), readable(of_class.name)))
    if not found:
        raise CourseError(
            say(
                "{readable} holds no .txt file in a folder of its own. Give the path of {known}.",
                readable=readable(folder.name),
                known=say(WANT),
            )
        )
    return found
