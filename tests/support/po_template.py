"""The texts that a translation needs: `make texts` brings every .po file up to date, `make texts NEW=de` begins one.

Babel reads and writes the files. Its own extraction (`pybabel extract -k say -k later`) finds the texts of such calls, but not
those given by keyword (`help=`), in lists (a question's options), as the name of a decorated function (a policy), in an
exercise's mistakes, in rules.toml, in the pages' templates, in the commands' help, in the head and the first text of a chapter,
and in glossary.csv; so they are gathered here.

The texts of the chapters themselves have a .po file each, notebooks/source/LANGUAGE/CHAPTER.po.
"""

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes
from places import ROOT
from typer.main import get_command

from fewshot_lab import cli
from fewshot_lab.augment import POLICIES
from fewshot_lab.augment.text import NAMES
from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import Chapter, chapters
from fewshot_lab.course.edition import catalogue_of, texts_of
from fewshot_lab.evidence import RULES
from fewshot_lab.exercises import exercises
from fewshot_lab.languages import glossary

FOLDER = ROOT / "fewshot_lab" / "languages"
Key = tuple[str | None, str]  # gettext's context, and the English text
# The arguments of a call that are texts, by position or name.
IN_PACKAGE = {"say": (0,), "later": (0,), "slider": (0, "help"), "choice": (0, "help")} | {
    "line": (0, "help"),
    "marks": (0, "help"),
    "progress_bar": (1,),
    "Asset": ("note",),
    "arrays_on_disk": (2,),
}
IN_CHAPTERS = {"predict": (1, 2), "progress_bar": (1,), "sweep": ("description",), "arms": ("description",)}


def needed() -> dict[Key, str]:
    """Every text that people read, {(context, text): what it belongs to}."""
    texts: dict[Key, str] = {}
    for chapter in chapters():
        for kind, text in zip(("title", "aims"), opening(chapter), strict=True):
            texts[f"chapter {chapter.id} {kind}", text] = f"The opening of chapter {chapter.id}"
    for task in exercises().values():
        of_task = [task.title, task.idea, *task.steps]
        of_task += [*(it.hint for it in task.mistakes), *(it.statement for it in task.properties)]
        texts |= {(None, text): f"Exercises of chapter {task.chapter}" for text in of_task}
    of_policies = [text for name, policy in POLICIES.items() for text in (name, policy.what)]
    texts |= {(None, text): "Policies and edits" for text in (*of_policies, *NAMES)}
    of_rules = [*RULES.article.values()]
    for claim in RULES.claims.values():
        of_rules += [claim.sentence, claim.reason, *(part.statement for part in claim.parts)]
    texts |= {(None, text): "The claims" for text in of_rules if text}
    for row in RULES.literature.values():
        of_row = [row.says, row.reported, row.where, row.differs, row.without, RULES.claims[row.claim].sentence]
        texts |= {(None, text): "The literature's ledger" for text in of_row if text}
    for path in sorted((ROOT / "fewshot_lab").rglob("*.py")):
        room = path.relative_to(ROOT / "fewshot_lab").parts[0].removesuffix(".py")
        if path.parent.name == "choosing":  # its `choice` names a setting, not a control
            continue
        texts |= {(None, text): f"In {room}" for text in literals(path, IN_PACKAGE)}
    for path in sorted((ROOT / "fewshot_lab" / "templates").glob("*.j2")):
        calls = Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call)
        said = [call.args[0] for call in calls if getattr(call.node, "name", "") == "say"]
        texts |= {(None, text.value): "In the pages" for text in said if isinstance(text, nodes.Const)}
    of_help = [part for it in cli.helped(get_command(cli.app)) for part in cli.paragraphs(getattr(it, "help", None))]
    texts |= {(None, text): "The help of the commands" for text in of_help}
    for chapter in chapters():
        of_chapter = [*literals(chapter.source, IN_CHAPTERS), chapter.question]
        texts |= {(None, text): f"Questions and measurements of chapter {chapter.id}" for text in of_chapter}
    for term in glossary.terms():
        texts |= {("term", term.term): "The glossary", ("definition", term.definition): "The glossary"}
    return texts


def opening(chapter: Chapter) -> list[str]:
    """A chapter's title and what its reader will be able to do, from the first text of its source."""
    cell = chapter.source.read_text(encoding="utf-8").split("# %% [markdown]\n")[1].split("\n# %%")[0]
    paragraphs = [" ".join(part.split()) for part in re.sub("^# ?", "", cell, flags=re.M).split("\n\n")]
    aims = next(part for part in paragraphs if part.startswith("**After"))
    return [chapter.title, re.sub(r"[*$]", "", aims)]


def literals(path: Path, spoken: dict[str, tuple]) -> Iterator[str]:
    """The texts written in a file as arguments of the calls in `spoken`: {function: positions or names of the arguments}."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            arguments = dict(enumerate(node.args)) | {word.arg: word.value for word in node.keywords}
            for value in (arguments.get(key) for key in spoken.get(name, ())):
                for part in getattr(value, "elts", [value]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def read(path: Path, language: str = "") -> Catalog:
    """The entries of a .po file; its language is its name, where none is given."""
    with open(path, "rb") as file:
        return read_po(file, locale=language or path.stem)


def update(path: Path) -> tuple[int, int]:
    """Adds to a .po file the texts that it lacks, untranslated, and removes those that no one needs; returns how many of each.

    A file that does not exist is begun; its name, such as de.po, is the language's code.
    """
    if not path.exists():
        name = Locale.parse(path.stem).get_display_name("en")
        head = f'msgid ""\nmsgstr ""\n"Language: {path.stem}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        path.write_text(f"# The course in {name} (docs/contributing.md, A language).\n{head}", encoding="utf-8")
    head = path.read_text(encoding="utf-8").split("\n\n")[0].strip()
    catalog, texts = read(path), needed()
    there = {(entry.context, entry.id) for entry in catalog if entry.id}
    missing, unneeded = [key for key in texts if key not in there], there - texts.keys()
    comment = None
    for context, text in missing:
        comment, before = texts[context, text], comment
        catalog.add(text, "", context=context, auto_comments=[] if comment == before else [comment])
    for context, text in unneeded:
        catalog.delete(text, context=context)
    _write(path, head, catalog)
    return len(missing), len(unneeded)


def template_of(chapter: Chapter) -> Catalog:
    """The texts of a chapter in their order, of the solved version and the learner's."""
    catalog = Catalog()
    for solved in (True, False):
        for text, kind in texts_of(build(chapter, solved=solved)).items():
            if text not in catalog:
                catalog.add(text, auto_comments=[kind])
    return catalog


def update_chapter(chapter: Chapter, language: str) -> tuple[int, int]:
    """Brings the .po file of a chapter up to date; returns how many texts are to be translated, and to be looked at again.

    A text that changed a little keeps its translation, marked fuzzy, and is English in the chapter until someone has looked.
    """
    path = catalogue_of(chapter, language)
    path.parent.mkdir(exist_ok=True)
    old = read(path, language) if path.exists() else Catalog(locale=language)
    old.update(template_of(chapter), update_header_comment=False)
    old.obsolete.clear()
    for entry in old:
        entry.flags -= {"python-format", "python-brace-format"}  # guesses, which editors would check
    _write(path, f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"', old)
    entries = [entry for entry in old if entry.id]
    return sum(not entry.string for entry in entries), sum(entry.fuzzy for entry in entries)


def _write(path: Path, head: str, catalog: Catalog) -> None:
    entries = io.BytesIO()
    write_po(entries, catalog, width=120, omit_header=True)
    path.write_text(f"{head}\n\n{entries.getvalue().decode('utf-8').strip()}\n", encoding="utf-8")


if __name__ == "__main__":
    for path in [FOLDER / f"{name}.po" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.po")):
        added, removed = update(path)
        empty = sum(not entry.string for entry in read(path) if entry.id)
        print(f"{path}: {added} added, {removed} removed, {empty} to translate")
        for chapter in chapters():
            lacking, changed = update_chapter(chapter, path.stem)
            if lacking or changed:
                print(f"{catalogue_of(chapter, path.stem)}: {lacking} to translate, {changed} to look at again (fuzzy)")
