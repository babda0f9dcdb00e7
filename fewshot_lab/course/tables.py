"""Writes the tables in README and docs/ that follow from the chapters: `fewshot-lab tables --write` updates them.

On a page a table is between `<!-- NAME -->` and `<!-- /NAME -->`; docs/glossary.md and docs/choices.md are
written as a whole.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from ..assets import ASSETS
from ..errors import CourseError
from ..evidence import RULES, choices
from ..files import write_atomically
from ..languages import glossary, say, speaking
from .build import build
from .chapters import Chapter, chapters, course_root
from .compare import compare

_BLOCK = re.compile(r"(<!-- ([\w ]+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """The pages with such tables, each with the text that it should have.

    Raises CourseError for a page that cannot be read or has a block with an unknown name.
    """
    root = course_root()
    docs = root / "docs"
    with_blocks = (
        root / "README.md",
        *(docs / f"{name}.md" for name in ("contributing", "data", "full_profile", "instructors")),
    )
    of_blocks = {path: _with_blocks(path) for path in with_blocks}
    return of_blocks | {docs / "glossary.md": glossary.as_markdown(), docs / "choices.md": choices.as_markdown()}


def outdated() -> dict[Path, str]:
    """The pages whose tables no longer agree with the chapters, each with the text that it should have."""
    return {path: text for path, text in pages().items() if not path.exists() or _read(path) != text}


def write() -> list[Path]:
    """Writes the pages that are out of date and returns their paths."""
    changed = outdated()
    for path, text in changed.items():
        write_atomically(path, text)
    return list(changed)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(say("{path} cannot be read: {strerror}.", path=path, strerror=error.strerror)) from error


def _with_blocks(path: Path) -> str:
    def new(block: re.Match) -> str:
        begin, name, end = block.groups()
        if name not in _WRITERS:
            raise CourseError(
                say(
                    "{path} has a block {name!r}; those that can be written are {known}.",
                    path=path,
                    name=name,
                    known=", ".join(_WRITERS),
                )
            )
        return f"{begin}\n{_WRITERS[name](block.group())}\n{end}"

    return _BLOCK.sub(new, _read(path))


def _graded(chapter: Chapter) -> list[tuple[str, float, bool]]:
    """The questions of a chapter as (name, points, whether a person marks it)."""
    # In nbgrader's metadata a cell that is graded and is the solution too has no check: a person marks it.
    cells = [cell.metadata.get("nbgrader", {}) for cell in build(chapter).cells]
    return [(cell["grade_id"], cell["points"], cell["solution"]) for cell in cells if cell.get("grade")]


def _chapters(old: str) -> str:
    known = chapters()
    exercises = sum(len(chapter.exercises) for chapter in known)
    rows = [f"| [{it.id} {it.title}](notebooks/{it.name}.ipynb) | {it.question} |" for it in known]
    claims = len(RULES.article)
    hours = round(sum(chapter.minutes or 0 for chapter in known) / 60)
    counts = f"{len(known)} chapters, {hours} hours, {exercises} exercises with a check, {claims} claims under test:"
    return "\n".join([counts, "", "| chapter | question |", "|---|---|", *rows, ""])


def _marked_by_hand(old: str) -> str:
    asked = [(chapter, *question) for chapter in chapters() for question in _graded(chapter)]
    by_hand = [f"`{name}` in chapter {it.id} ({points:g} points)" for it, name, points, person in asked if person]
    return f"Of {len(asked)} questions you mark {len(by_hand)}: {', '.join(by_hand)}. The others are graded by machine.\n"


def _timetable(per_week: int) -> Callable[[str], str]:
    """A writer of a timetable. Its last column belongs to the page: what it says for the same chapters stays."""

    def write(old: str) -> str:
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in old.splitlines() if line.startswith("|")]
        notes = {row[1]: row[-1] for row in cells}
        known, rows = chapters(), []
        for week, first in enumerate(range(0, len(known), per_week), 1):
            part = known[first : first + per_week]
            named = " ".join(chapter.id for chapter in part)
            questions = [question for chapter in part for question in _graded(chapter)]
            by_hand = sum(person for _, _, person in questions)
            facts = (
                f"{sum(chapter.minutes or 0 for chapter in part)} min",
                f"{len(questions)} ({by_hand} by hand)" if by_hand else f"{len(questions)}",
                f"{sum(points for _, points, _ in questions):g}",
            )
            rows.append(f"| {week} | {named} | {' | '.join(facts)} | {notes.get(named, f'chapter {named}')} |")
        head = ["| week | chapters | time | graded questions | points | hand out |", "|---|---|---|---|---|---|"]
        return "\n".join([*head, *rows, ""])

    return write


# What comes with the libraries of the course or is made by it: name, contents, language, licence, and who made it.
_WITHOUT_DOWNLOAD = (
    (
        "glyphs",
        "629 characters, 7,963 pictures",
        "",
        "the typefaces' own",
        "**made**: typefaces that matplotlib ships, rendered",
    ),
    ("digits", "1,797 images, 10 classes", "", "CC-BY-4.0", "Alpaydin & Kaynak 1998, from scikit-learn"),
    ("sentences", "1,600 sentences, 4 types of entity", "English", "MIT", "**made** from a grammar of this course"),
    ("scenes", "drawn at random", "", "MIT", "**made**: shapes with masks and boxes"),
)


def _data(old: str) -> str:
    rows = [
        (name, contents, language, "", licence, origin, "") for name, contents, language, licence, origin in _WITHOUT_DOWNLOAD
    ]
    for it in ASSETS.values():
        needed_by = "optional" if it.optional else " ".join(it.chapters)
        rows.append((it.name, it.contents, it.language, f"{it.size / 1e6:.1f}", it.licence, it.citation, needed_by))
    head = ("name", "contents", "language", "MB", "licence", "from", "fetched for chapter")
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), ""])


def _both_profiles(old: str) -> str:
    """The stored notebooks' verdicts and results beside those of the full profile's record."""
    with speaking("en"):
        return compare([course_root() / "notebooks", course_root() / "docs" / "full_profile"])


def _seconds_and_memory(old: str) -> str:
    """What bench/chapters.py --publish has measured."""
    path = course_root() / "docs" / "bench" / "chapters.json"
    if not path.exists():
        return "Not measured yet.\n"
    measured = json.loads(_read(path))
    titles = {chapter.id: chapter.title for chapter in chapters()}
    rows = measured["chapters"]
    lines = [(f"{row['id']} {titles[row['id']]}", row["seconds"], row["runs"], row["memory_mb"]) for row in rows]
    seconds, memory = sum(row["seconds"] for row in rows), max(row["memory_mb"] for row in rows)
    lines.append((f"these {len(rows)}, one after another", seconds, "", memory))
    head = [f"| chapter, on {measured['cores']} cores | seconds | runs | MB |", "|---|---|---|---|"]
    return "\n".join(
        [*head, *(f"| {name} | {seconds:,.0f} | {runs} | {memory:,} |" for name, seconds, runs, memory in lines), ""]
    )


_WRITERS: dict[str, Callable[[str], str]] = {
    "chapters": _chapters,
    "data and models": _data,
    "marked by hand": _marked_by_hand,
    "one chapter a week": _timetable(1),
    "seconds and memory": _seconds_and_memory,
    "two chapters a week": _timetable(2),
    "verdicts and results": _both_profiles,
}
