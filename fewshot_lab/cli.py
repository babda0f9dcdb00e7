"""The command `fewshot-lab`: a thin layer over the package; each command imports what it needs."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand
from typer.main import get_command

from .errors import CourseError
from .files import places_from_here
from .languages import KNOWN, later, say
from .languages import language as speak

app = typer.Typer(
    help="Few-Shot Lab: a course on data augmentation and few-shot learning that tests every claim it makes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
assets_app = typer.Typer(help="The data sets and models that chapters use.", no_args_is_help=True)
app.add_typer(assets_app, name="assets")

_LANGUAGES = ", ".join(f"{code} ({name})" for code, name in KNOWN.items())
Chapters = Annotated[list[str] | None, typer.Argument(metavar="CHAPTER", help="Such as 02; all if none is given.")]
Due = Annotated[
    list[str] | None, typer.Option(metavar="TIME", help="2026-12-01T23:59 for all chapters, or 02=TIME for one; repeatable.")
]
Extensions = Annotated[Path | None, typer.Option(help="A table with the columns student, due and, if you like, chapter.")]
Language = Annotated[str | None, typer.Option(help=f"What checks, explorers and questions speak: {_LANGUAGES}.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Such as fashion; all if none is given.")]
_TYPERS_WORDS = {  # in typer.rich_utils: what it writes around our help
    "ARGUMENTS_PANEL_TITLE": later("Arguments"),
    "OPTIONS_PANEL_TITLE": later("Options"),
    "COMMANDS_PANEL_TITLE": later("Commands"),
    "DEFAULT_STRING": later("[default: {}]"),
    "REQUIRED_LONG_STRING": later("[required]"),
}
_TYPERS_ERRORS = {  # typer's English, which differs between its versions, and the same as a text of the course
    r"No such option:? '?(?P<name>[^\s']+?)'?\.?(?: \(?(?:Possible options:|Did you mean(?: one of:)?) (?P<near>.+?)\??\)?)?": (
        later("There is no option {name}."),
        later("There is no option {name}; did you mean {near}?"),
    ),
    r"No such command '(?P<name>.+?)'\.?(?: \(?Did you mean(?: one of:)? (?P<near>.+?)\??\)?)?": (
        later("There is no command {name}."),
        later("There is no command {name}; did you mean {near}?"),
    ),
    r"Missing (?:option|argument|parameter):? (?P<name>'.+?'(?: / '.+?')*|\S+?)(?:\. Choose from:.*|\.)?": (
        later("{name} has to be given."),
    ),
    r"Invalid value for (?P<name>'.+?'(?: / '.+?')*|\S+?): (?P<why>.+)": (later("{name} has an invalid value: {why}"),),
    r"Option '(?P<name>.+?)' requires an argument\.?": (later("{name} needs a value."),),
    r"Option '(?P<name>.+?)' does not take a value\.?": (later("{name} takes no value."),),
    r"Got unexpected extra arguments?(?:\(s\))? \((?P<name>.+)\)": (later("Unexpected: {name}."),),
}
_FRONT_END = Path(__file__).parent / "course" / "front_end"  # of JupyterLab: the course's own extension


class _PairOption(TyperCommand):
    """Reads `-p NAME VALUE`, which typer cannot, as `-p NAME=VALUE`."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        joined, args = [], list(args)
        while args:
            word = args.pop(0)
            joined.append(word)
            if word == "-p":
                joined.append(_pair(args))
        return super().parse_args(ctx, joined)


def _pair(words: list[str]) -> str:
    """Takes NAME VALUE or NAME=VALUE from the words after -p, and returns NAME=VALUE."""
    name = words.pop(0) if words else ""
    if name[:1] not in ("", "-", "=") and "=" in name:
        return name
    # Another option in the value's place means that the value was forgotten; one dash may be a negative number.
    value = words.pop(0) if words else ""
    if name[:1] in ("", "-", "=") or not value or value == "-p" or value.startswith("--"):
        following = f"{name} {value}".strip() or say("no further word")
        raise CourseError(
            say("-p needs a name and a value, such as -p SEED 1, but it is followed by {following}.", following=following)
        )
    return f"{name}={value}"


def _show_version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        print(__version__)
        raise typer.Exit


def _speak(name: str | None) -> None:
    """Sets the language of this process and of the processes that it starts."""
    if name is not None:
        os.environ["FEWSHOT_LAB_LANGUAGE"] = speak(name)


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    pass


@app.command(cls=_PairOption)
def run(
    chapters: Chapters = None,
    p: Annotated[list[str] | None, typer.Option("-p", metavar="NAME VALUE", help="Set a parameter; repeatable.")] = None,
    profile: Annotated[str | None, typer.Option(help="quick (default) or full.")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu, cuda or mps.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/<time> by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the latest run, or with the one in --out.")] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Execute your copies in work/, with your answers.")] = False,
    language: Language = None,
) -> None:
    """Execute chapters and record their results.

    Leaves the executed notebooks, results.json and index.html in one folder.
    """
    from .course.run import run

    _speak(language)
    pairs = [tuple(pair.split("=", 1)) for pair in p or []]
    raise typer.Exit(run(chapters or (), pairs, profile, device, out, resume, mine))


@app.command()
def build(
    chapters: Chapters = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where text and notebook differ.")] = False,
    solved: Annotated[bool, typer.Option("--solved", help="Write solved versions, not executed; needs --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the solved versions.")] = None,
    execute: Annotated[bool, typer.Option(help="Execute the notebooks, so that they hold their outputs.")] = True,
    language: Annotated[str | None, typer.Option(help=f"Only this edition, one of {_LANGUAGES}; all by default.")] = None,
    kept: Annotated[Path | None, typer.Option(help="Folder for trainings, which another edition takes from it.")] = None,
) -> None:
    """Build the notebooks from notebooks/source/, in every language that has their texts."""
    from .course import build as building
    from .course.chapters import choose

    names = chapters or []
    if check:
        differences = [line for chapter in choose(names) for line in building.differences(chapter, language)]
        print("\n".join(differences) or say("The notebooks agree with their sources."))
        raise typer.Exit(int(bool(differences)))
    if solved != (out is not None):
        raise CourseError(say("Solved versions need a folder of their own: fewshot-lab build --solved --out FOLDER"))
    for chapter in choose(names):
        if solved:
            _speak(language)
            written = building.write_solved(out, [chapter.id])
        else:
            written = building.write_notebooks([chapter.id], execute, language, kept)
        print(*written, sep="\n")


@app.command()
def release(
    chapters: Chapters = None,
    out: Annotated[Path, typer.Option(help="Folder for what is handed out.")] = Path("handout"),
    hints: Annotated[int, typer.Option(help="How far lab.hint goes: 0 is off, 1 the idea, 2 the steps, 3 a solution.")] = 3,
    language: Language = None,
) -> None:
    """Write what an instructor hands out: learners' notebooks, solved ones, sources for nbgrader, a manifest."""
    from .grading.release import release

    _speak(language)
    print(*release(chapters or [], out, hints), sep="\n")


@app.command()
def grade(
    out: Annotated[Path, typer.Option(help="Folder for the grades.")],
    submissions: Annotated[
        Path | None, typer.Argument(help="A folder of notebooks, a folder per student, or a platform's zip.")
    ] = None,
    chapters: Annotated[list[str] | None, typer.Option(help="Only these; repeatable.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")] = 0,
    dask: Annotated[str, typer.Option(metavar="ADDRESS", help="Grade on a Dask cluster; its scheduler's address.")] = "",
    seed: Annotated[str, typer.Option(help="Of the hidden cases; drawn and written down if none is given.")] = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a submission may take.")] = 120,
    memory: Annotated[float, typer.Option(min=0.1, help="GB of memory that a submission may use.")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Grade nothing: take over the marks in OUT/by_hand.csv.")] = False,
    marks: Annotated[Path | None, typer.Option(help="With --merge: what OUT/by_hand.html saved.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Show in by_hand.html who wrote what.")] = False,
    class_list: Annotated[Path | None, typer.Option(help="A table of the class, to find who is missing; kept in OUT.")] = None,
    due: Due = None,
    penalty: Annotated[float, typer.Option(min=0, max=100, help="Per cent of the points off for each day begun.")] = 0,
    cap: Annotated[float, typer.Option(min=0, max=100, help="The most per cent that lateness takes off.")] = 100,
    grace: Annotated[float, typer.Option(min=0, help="Minutes that do not count as late.")] = 0,
    extensions: Extensions = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Grade without a sandbox where none works.")] = False,
) -> None:
    """Grade a pile of submissions, each in a sandbox, its answers compared outside of it.

    Leaves tables (also for Moodle and Canvas), a page for each student, summary.html, and by_hand.html for written answers.
    Class list and rules about lateness are kept in OUT.
    """
    from tqdm import tqdm

    from .course.chapters import choose
    from .files import write_atomically
    from .grading import by_hand, calls
    from .grading.class_list import KEPT, read_class_list
    from .grading.late import keep_rules, late_rules
    from .grading.pile import Settings, grade_pile, graded_before
    from .grading.report import trouble_in_words, write_report
    from .grading.sandbox import Limits

    if marks and not merge:
        raise CourseError(say("--marks goes with --merge: grade first, mark, then take over the marks."))
    rules = late_rules(due or (), penalty, cap, grace, extensions)  # before the grading, which takes its time
    if class_list:
        read_class_list(class_list)
    if merge == (submissions is not None):
        raise CourseError(say("Name the submissions to grade, or --merge to take over the marks made by hand, one of both."))
    if merge:
        graded = graded_before(out)
    else:
        if not dask and not calls.program():
            print(say(calls.MISSING), file=sys.stderr)
        ids = [chapter.id for chapter in choose(chapters)] if chapters else []
        limits = Limits(memory=int(memory * 2**30), cpu_seconds=int(timeout) + 1)
        settings = Settings(seed, timeout, limits, jobs, unsafe, dask)
        graded = grade_pile(submissions, out, settings, ids, resume, lambda rows, n: tqdm(rows, total=n, unit=say("notebook")))
    if due:
        keep_rules(rules, out)
    elif penalty or extensions or grace:
        raise CourseError(say("Lateness needs --due TIME."))
    if class_list:
        write_atomically(out / KEPT, class_list.read_bytes())
    ignored = by_hand.take_marks(marks, graded, out) if marks else []
    paths, remarks = write_report(graded, out, names)
    print(*paths, *ignored, *remarks, *trouble_in_words(graded, out), sep="\n")


@app.command()
def regrade(
    submissions: Annotated[Path, typer.Argument(help="What was graded into --out, with what came since.")],
    out: Annotated[Path, typer.Option(help="Folder of the grades.")],
    student: Annotated[list[str] | None, typer.Option(help="Grade this student again, changed or not; repeatable.")] = None,
    chapter: Annotated[list[str] | None, typer.Option(help="Grade this chapter again, changed or not; repeatable.")] = None,
    why: Annotated[str, typer.Option(help="The reason, for the journal of changed marks.")] = "",
    who: Annotated[str, typer.Option(help="Who decides; you if none is named.")] = "",
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a submission may take.")] = 120,
    memory: Annotated[float, typer.Option(min=0.1, help="GB of memory that a submission may use.")] = 2,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Grade without a sandbox where none works.")] = False,
) -> None:
    """Grade again what has changed since, with the same hidden cases; every mark that changes goes into appeals.csv.

    With --student or --chapter these are graded again although nothing in them has changed, after a check was corrected.
    """
    from tqdm import tqdm

    from .course.chapters import choose
    from .grading import appeals
    from .grading.pile import Settings, grade_pile, graded_before
    from .grading.report import trouble_in_words, write_report
    from .grading.sandbox import Limits

    before = graded_before(out)
    ids = {one.id for one in choose(chapter)} if chapter else set()

    def again(one) -> bool:
        return one.student in (student or ()) or one.chapter in ids

    settings = Settings("", timeout, Limits(memory=int(memory * 2**30), cpu_seconds=int(timeout) + 1), jobs, unsafe)
    bar = dict(unit=say("notebook"))
    after = grade_pile(submissions, out, settings, (), True, lambda rows, n: tqdm(rows, total=n, **bar), again)
    changes = appeals.differences(before, after, why or later("graded again"), who)
    appeals.note(changes, out)
    for one in changes:
        print(f"{one.student}, {one.chapter} {one.question}: {one.old:g} -> {one.new:g}")
    graded = graded_before(out)
    paths, remarks = write_report(graded, out)
    print(*paths, *remarks, *trouble_in_words(graded, out), say("Marks that changed: {number}", number=len(changes)), sep="\n")


@app.command()
def appeal(
    out: Annotated[Path, typer.Option(help="Folder of the grades.")],
    student: Annotated[str, typer.Option(help="The name as grades.csv has it.")],
    question: Annotated[str, typer.Option(help="The question as questions.csv has it.")],
    mark: Annotated[float, typer.Option(help="The new mark.")],
    why: Annotated[str, typer.Option(help="The reason; the student reads it too.")],
    who: Annotated[str, typer.Option(help="Who decides; you if none is named.")] = "",
    chapter: Annotated[str, typer.Option(help="Where the question's name is not enough.")] = "",
) -> None:
    """Change one mark after an appeal: a line in a journal that is only added to, and all tables and pages written again."""
    from .grading import appeals
    from .grading.pile import graded_before
    from .grading.report import as_it_counts, trouble_in_words, write_report

    graded = graded_before(out)
    counted, _ = as_it_counts(graded, out)
    one = appeals.appeal(counted, out, student, question, mark, why, who, chapter)
    print(f"{one.student}, {one.chapter} {one.question}: {one.old:g} -> {one.new:g}, " + say("decided by {who}", who=one.who))
    paths, remarks = write_report(graded, out)
    print(*paths, *remarks, *trouble_in_words(graded, out), sep="\n")


@app.command()
def collect(
    places: Annotated[list[Path], typer.Argument(metavar="FOLDER_OR_FILE", help="Hand-ins, folders of them, platforms' zips.")],
    out: Annotated[Path, typer.Option(help="The pile: a folder for the files that count; grade it next.")],
    due: Due = None,
    grace: Annotated[float, typer.Option(min=0, help="Minutes that do not count as late.")] = 0,
    extensions: Extensions = None,
) -> None:
    """Take the files of lab.hand_in(): verify them, copy each student's newest complete ones, tell who is late or damaged.

    Leaves collected.csv in the pile, with a row for every notebook in every file.
    """
    from .grading.collecting import TABLE, collect_hand_ins
    from .grading.late import late_rules

    taken = collect_hand_ins(places, out, late_rules(due or (), 0, 100, grace, extensions))
    students = {row[0] for row in taken.rows}
    print(*taken.trouble, sep="\n", end="\n" if taken.trouble else "")
    numbers = {"students": len(students), "files": len(taken.files), "notebooks": len(taken.rows)}
    print(
        say(
            "{students} students, {files} files in {out}; {table} lists all {notebooks} notebooks.",
            out=out,
            table=TABLE,
            **numbers,
        )
    )


@app.command("verify")
def verify_record(
    file: Annotated[Path, typer.Argument(help="A record that a learner exported: fewshot-lab progress --export FILE.")],
    submissions: Annotated[
        Path | None, typer.Option(help="What the learner handed in: the answers are judged again, in the sandbox.")
    ] = None,
    grades: Annotated[Path | None, typer.Option(help="Or the folder of grades that holds these answers: nothing runs.")] = None,
    sign: Annotated[str, typer.Option(metavar="NAME", help="Yours: sign the record, if all of it is confirmed.")] = "",
    out: Annotated[Path | None, typer.Option(help="The signed record; beside FILE if no path is given.")] = None,
    key: Annotated[str, typer.Option(help="The public key (64 digits) that must have signed it.")] = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a chapter's answers may take.")] = 120,
    memory: Annotated[float, typer.Option(min=0.1, help="GB of memory that they may use.")] = 2,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Judge without a sandbox where none works.")] = False,
    language: Language = None,
) -> None:
    """Verify a record of progress: is it whole, who signed it, and do the answers pass? Exit 1 where one is not confirmed."""
    from .grading.pile import Settings
    from .grading.sandbox import Limits
    from .grading.verify import verify

    _speak(language)
    limits = Limits(memory=int(memory * 2**30), cpu_seconds=int(timeout) + 1)
    lines, well = verify(file, submissions, grades, sign, out, key, Settings("", timeout, limits, 1, unsafe))
    print(*lines, sep="\n")
    raise typer.Exit(int(not well))


@app.command()
def hand_in(
    chapters: Chapters = None,
    name: Annotated[str, typer.Option(help="Yours; else the hub's, the one of the last time, or you are asked.")] = "",
    to: Annotated[Path | None, typer.Option(help="A folder; the class's (FEWSHOT_LAB_HAND_IN) if none is named.")] = None,
    look: Annotated[bool, typer.Option("--look", help="Only say what would be handed in.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.", hidden=True)] = False,
    language: Language = None,
) -> None:
    """Hand in your answers: one file with the saved notebooks and a receipt, for your instructor or in the class's folder."""
    import json

    from .grading.hand_in import hand_in, known_name

    _speak(language)
    done = hand_in(*(chapters or ()), name=name, to=to, look=look)
    facts = {"words": str(done), "path": str(done.path or ""), "name": done.student or known_name(name), "given": done.given}
    print(json.dumps(facts) if as_json else done)


@app.command("try")
def try_data(
    path: Annotated[Path, typer.Argument(help="A folder of class folders, a table of texts, or a file of tagged sentences.")],
    classify: Annotated[list[str] | None, typer.Option(help="A picture or a text to classify; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the page; runs/try/<time> by default.")] = None,
    kind: Annotated[str, typer.Option(help="images, texts or sentences, where it cannot be guessed.")] = "auto",
    classes: Annotated[list[str] | None, typer.Option(help="Only these classes; repeatable.")] = None,
    labels: Annotated[str | None, typer.Option(help="Of pictures: the table with the columns file and label.")] = None,
    text: Annotated[str | None, typer.Option(help="Of a table: the column with the texts.")] = None,
    label: Annotated[str | None, typer.Option(help="Of a table: the column with the labels.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of texts, such as gb18030; UTF-8 by default.")] = None,
    language: Language = None,
) -> None:
    """Try the course's methods on your own data: which augmentation, which features, how many more labels, which are wrong.

    Takes up to three minutes on two cores, and leaves a page. Your data are read and never changed.
    """
    from .own import try_data

    _speak(language)
    options = {"classes": classes, "labels": labels, "text": text, "label": label, "encoding": encoding}
    given = {name: value for name, value in options.items() if value}
    tried = try_data(path, kind=kind, classify=classify or (), out=out, **given)
    print(tried, tried.page, sep="\n\n")


@app.command()
def read_checks(
    submissions: Annotated[Path, typer.Argument(help="A folder of notebooks, a folder per student, or a platform's zip.")],
    out: Annotated[Path | None, typer.Option(help="A file for the table, as CSV; the screen if none is given.")] = None,
) -> None:
    """List the results of the checks that handed-in notebooks hold, as reported by the learner: nothing is run."""
    from .files import write_atomically
    from .grading.gradebook import as_csv
    from .grading.reported import HEAD, reported

    table = as_csv(HEAD, reported(submissions))
    print(table, end="") if out is None else write_atomically(out, table)


@app.command()
def site(
    out: Annotated[Path, typer.Option(help="Folder of the web site.")] = Path("site"),
    repository: Annotated[str, typer.Option(help="The course's address on GitHub, for links to Binder.")] = "",
    language: Language = None,
) -> None:
    """Build the course as a web site that needs no server and no network: the executed chapters, search, the reference."""
    from .course.site import build_site

    _speak(language)
    print(build_site(out, repository))


@app.command()
def compare(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN", help="Folders of runs, or notebooks: what is stored there; runs/latest if none."),
    ] = None,
) -> None:
    """Print the verdicts and results of runs side by side, as Markdown: quick and full profile, two devices, two seeds."""
    from .course.compare import compare

    print(compare(runs or ()), end="")


@app.command()
def glossary() -> None:
    """Print the glossary in all languages, as docs/glossary.md holds it."""
    from .languages.glossary import as_markdown

    print(as_markdown(), end="")


@app.command()
def tables(
    write: Annotated[bool, typer.Option("--write", help="Bring the pages up to date.")] = False,
) -> None:
    """Compare the tables in README and docs/ with the chapters that they follow from; exit 1 where one is out of date."""
    from .course import tables as written

    changed = written.write() if write else list(written.outdated())
    print("\n".join(map(str, changed)) or say("The tables agree with the chapters."))
    raise typer.Exit(int(bool(changed) and not write))


@app.command()
def choose(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="A setting or a chapter; all if none.")] = None,
) -> None:
    """Choose the settings of the experiments anew, on validation data, as docs/choices.md tells; minutes to an hour."""
    from .course import choosing

    try:
        choices = choosing.run(names or ())
    except ValueError as error:
        raise CourseError(str(error)) from error
    for choice in choices:
        print(f"{choice.name}: {choice.chosen}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context, language: Language = None) -> None:
    """Open the course in JupyterLab; further arguments go to JupyterLab, such as --port 8889 or --no-browser.

    It begins with a page of the chapters and your progress, /fewshot-lab, and works on copies of the notebooks in work/.
    Started by JupyterHub, it is the server of one user.
    """
    from .course.chapters import own_root
    from .course.kernels import common_environment, kernels_of_this_python
    from .course.work import CLEAN_ROOM, make_copies

    _speak(language)
    try:
        make_copies()
    except CourseError as error:  # a course that many read and nobody writes: its own notebooks can still be looked at
        print(error, file=sys.stderr)
    os.environ.update(common_environment() | kernels_of_this_python())
    # Where Jupyter looks for front-end extensions besides its own folders: this one reads out what a figure shows.
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(_FRONT_END), os.environ.get("JUPYTER_PATH"))))
    # Jupyter reads these settings before the user's own: no news, no instructor's panels beside what is to be learned.
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (str(CLEAN_ROOM), os.environ.get("JUPYTER_CONFIG_PATH"))))
    settings = [f"--ServerApp.root_dir={own_root()}", "--LabApp.default_url=/fewshot-lab"]
    settings += ["--ServerApp.jpserver_extensions={'fewshot_lab.course.landing': True}"]
    # JupyterHub's own server is JupyterLab with the hub's log-in in front of it.
    server = "jupyterhub.singleuser" if "JUPYTERHUB_API_TOKEN" in os.environ else "jupyterlab"
    command = [sys.executable, "-m", server, *settings, *context.args]
    if os.name == "posix":
        os.execv(sys.executable, command)  # in this process's place, so that Ctrl-C and signals reach JupyterLab itself
    raise typer.Exit(subprocess.run(command).returncode)


@app.command()
def update(chapters: Chapters = None, language: Language = None) -> None:
    """Take newer chapters of the course into your copies in work/, with your answers in them; the old copies are kept."""
    from .course.work import renew

    _speak(language)
    renewed = renew(chapters or [], language)
    for copy, before, lost in renewed:
        answers = say("; no cell is there any more for your {lost}", lost=", ".join(lost)) if lost else ""
        told = {"copy": copy, "answers": answers, "before": before}
        print(say("{copy}: the new text with your answers{answers}. Before: {before}", **told))
    if not renewed:
        print(say("Your copies have the course's texts."))


@app.command()
def progress(
    chapters: Chapters = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget these chapters' attempts; it asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last --reset back.")] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a record that your instructor can verify and sign.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page to print, when every check has passed.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --certificate: the record that your instructor signed.")
    ] = None,
    name: Annotated[str, typer.Option(help="Yours, for record and certificate; else that of your last hand-in.")] = "",
    language: Language = None,
) -> None:
    """Show the checks that you passed, chapter by chapter; kept on this machine only."""
    if export or certificate or record:
        from .grading.certificate import export_progress, print_certificate

        _speak(language)
        if reset or undo or yes or bool(export) == bool(certificate) or record and export:
            raise CourseError(say("Either --export FILE or --certificate FILE.html, the second with or without --record FILE."))
        if export:
            print(export_progress(export, chapters or (), name))
        else:
            print(print_certificate(certificate, chapters or (), name, record))
        return
    from .course.chapters import choose
    from .course.progress import bring_back, print_progress
    from .course.progress import reset as forget

    if undo and (reset or chapters):
        raise CourseError(say("--undo takes the last --reset back, all of it: neither --reset nor a chapter goes with it."))
    if undo:
        print(say("{number} exercise(s) remembered.", number=bring_back()))
    elif reset:
        named = ", ".join(f"{chapter.id} {chapter.title}" for chapter in choose(chapters or []))
        if not yes and not _agreed(say("Forget your attempts in {named}?", named=named)):
            print(say("Nothing was forgotten."))
            return
        number = forget(chapters or [])
        print(say("{number} exercise(s) forgotten. Take it back with: fewshot-lab progress --undo", number=number))
    else:
        print_progress(chapters or ())


def _agreed(question: str) -> bool:
    """The answer typed at the keyboard; False where nobody can type one."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        print()
        return False


@app.command()
def doctor() -> None:
    """Look over this machine: versions, devices, memory, assets, write access."""
    from .course.doctor import print_report

    raise typer.Exit(print_report())


@assets_app.command("list")
def list_assets() -> None:
    """Show the known assets and which are here."""
    from rich.console import Console
    from rich.table import Table

    from .assets import listing

    table = Table(say("name"), say("version"), say("size"), say("licence"), say("chapters"), say("state"))
    for row in listing():
        needed_by = say("optional") if row.optional else " ".join(row.chapters)
        table.add_row(row.name, row.version, f"{row.size / 1e6:.1f} MB", row.licence, needed_by, say(row.state))
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)


@assets_app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Such as fashion.")] = None,
    needed: Annotated[bool, typer.Option("--needed", help="Those that the chapters of this course need.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All that there are.")] = False,
) -> None:
    """Fetch assets, from a local bundle, their makers or package mirrors."""
    from .assets import fetch, installed, listing
    from .course.chapters import chapters

    if bool(names) + needed + every != 1:
        known = ", ".join(row.name for row in listing())
        raise CourseError(say("Say what to fetch, one of: names ({known}), --needed or --all.", known=known))
    if not names:
        present = {chapter.id for chapter in chapters()} if needed else set()
        names = [row.name for row in listing() if every or present.intersection(row.chapters)]
        if all(installed(name) for name in names):
            print(say("The data and models are here: {names}.", names=", ".join(names) or say("none is needed")))
            return
    failures = []
    for name in names:
        try:
            print(fetch(name))
        except CourseError as error:
            failures.append(str(error))
    if failures:
        raise CourseError("\n\n".join(failures))


@assets_app.command()
def verify(names: Names = None) -> None:
    """Check every installed file against its sha256; exit 1 when one is damaged."""
    from .assets import listing, verify

    findings = verify(names or None)
    some = names or any(row.state != "not fetched" for row in listing())
    well = say("All is well.") if some else say("No asset is here yet: fewshot-lab assets fetch --needed")
    print("\n".join(findings) or well)
    raise typer.Exit(int(bool(findings)))


@assets_app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(help="Where to write, such as a USB stick.")],
    names: Names = None,
    wheels: Annotated[bool, typer.Option("--wheels", help="Also the libraries, for machines like this one.")] = False,
) -> None:
    """Write assets, by default all but the optional ones, into one folder, for a classroom without a network."""
    from .assets import bundle, bundle_wheels, listing, setup_requirements
    from .course.chapters import course_root

    bundle(folder, names or [row.name for row in listing() if not row.optional])
    print(say("Written to {folder}. Take it to the other machine; there: fewshot-lab assets use FOLDER", folder=folder))
    if wheels:
        listed = bundle_wheels(folder, setup_requirements(course_root()))
        told = {"machine": listed.stem, "folder": listed.parent}
        print(say("Libraries for {machine}: {folder}. On a machine of that kind, in a clone: make run BUNDLE=FOLDER", **told))


@assets_app.command()
def use(folder: Annotated[Path, typer.Argument(help="A folder written by `fewshot-lab assets bundle`.")]) -> None:
    """Install the assets of a bundle folder."""
    from .assets import use

    use(folder)
    print(say("The assets of {folder} are installed.", folder=folder))


def _say_everything() -> None:
    """Lets the output hold every character: Windows, or a C locale, gives it an encoding with few of them."""
    for stream in (sys.stdout, sys.stderr):
        # In a file UTF-8 keeps all. A terminal, or who names an encoding, gets a question mark for what it has not.
        anywhere = stream is not None and not stream.isatty() and "PYTHONIOENCODING" not in os.environ
        with contextlib.suppress(AttributeError, ValueError):  # no stream at all, or one that was replaced
            stream.reconfigure(errors="replace", **({"encoding": "utf-8"} if anywhere else {}))


def helped(command) -> Iterator:
    """A command, its options and arguments, and all below it: whatever has a help text."""
    yield from (command, *command.get_params(typer.Context(command)))
    for below in getattr(command, "commands", {}).values():
        yield from helped(below)


def paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a help text, as they are translated."""
    return [" ".join(part.split()).replace(_LANGUAGES, "{languages}") for part in (text or "").split("\n\n") if part]


def _translate(command) -> None:
    """Puts the help of a command and of all below it into the language set, with typer's own words around it."""
    from typer import rich_utils

    for name, word in _TYPERS_WORDS.items():
        setattr(rich_utils, name, say(word))
    for it in helped(command):
        if hasattr(it, "get_usage"):
            it.get_usage = lambda context, usage=it.get_usage: usage(context).replace("Usage:", say("Usage:"))
        if getattr(it, "help", None):
            it.help = "\n\n".join(say(part, languages=_LANGUAGES) for part in paragraphs(it.help))


def _of_typer(message: str) -> str:
    """What typer says of a wrong command, in the language set; unchanged where it says something else."""
    for pattern, texts in _TYPERS_ERRORS.items():
        if found := re.fullmatch(pattern, message, re.DOTALL):
            values = {name: value.replace("'", "") for name, value in found.groupdict().items() if value}
            return say(texts["near" in values], **values)
    return message


def main() -> None:
    """Runs the command; a user's error becomes one paragraph on stderr and exit status 1 or 2."""
    _say_everything()
    places_from_here()
    # Not in standalone mode, in which typer would print errors in boxes and end the process itself.
    try:
        command = get_command(app)
        if speak() != "en":
            _translate(command)
        sys.exit(command(sys.argv[1:] or ["--help"], prog_name="fewshot-lab", standalone_mode=False))
    except Exception as error:
        if isinstance(error, CourseError):
            message, status = str(error), 1
        elif hasattr(error, "format_message"):  # typer's own errors, whose class differs between its versions
            command = error.ctx.command_path if getattr(error, "ctx", None) else "fewshot-lab"
            text = _of_typer(error.format_message().strip())  # empty when it has printed the help instead
            message = (
                text and f"{text}{'' if text[-1] in '.?!。？！' else '.'} {say('More: {command} --help', command=command)}"
            )
            status = 2
        else:
            raise
        from rich.console import Console
        from rich.text import Text

        if message:
            Console(stderr=True).print(Text(message, "red"), soft_wrap=True)
        sys.exit(status)
