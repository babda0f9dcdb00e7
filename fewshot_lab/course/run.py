"""Executes chapters (the course's or a learner's copies) one after another; the record survives an interruption."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..errors import CourseError
from ..evidence.records import CheckStatus, recorded
from ..evidence.runs import FILE, ChapterRun, Run, latest_in, read_run
from ..files import write_atomically, writing_failed
from ..languages import chapter_title, language, say, speaking
from ..runtime import PROFILES, choose_device, describe_device
from .chapters import Chapter, choose, notebook_in, own_root, read_notebook
from .display import Display, print_summary
from .doctor import versions
from .edition import editions
from .kernels import ending_like_ctrl_c, execute_with_parameters, kernel_environment
from .outputs import strip_live_parts
from .page import page
from .parameters import with_given
from .work import opened


def run(
    names: Iterable[str] = (),
    parameters: Iterable[tuple[str, str]] = (),
    profile: str | None = None,
    device: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    mine: bool = False,
) -> int:
    """Executes chapters into a folder with the notebooks, results.json and index.html.

    Returns the exit status: 0, 1 when a chapter failed, 130 when interrupted. Raises CourseError for wrong input,
    before anything runs, and when the record cannot be written.

    Args:
        names: the chapters, all by default.
        parameters: (name, value as text) pairs for every chapter's parameters cell.
        profile: "quick" or "full".
        device: "auto", "cpu" or another name that torch knows.
        out: the folder; by default runs/<time>, with runs/latest pointing at it.
        resume: continues the run in `out`, by default the latest. What is not given is taken from its record, and
            chapters that ended well with the same notebook, parameters and profile are skipped.
        mine: executes the learner's copies in work/, with the answers in them, where there are some.
    """
    folder = Path(out).expanduser().resolve() if out else latest_run() if resume else None
    # Resuming takes everything that is not given from the old record, so that `run --resume` alone repeats the same request.
    before = read_run(folder / FILE) if resume else Run()
    with speaking(before.request.get("language") or language()):  # which edition of the chapters is executed
        return _run(names, parameters, profile, device, out, folder, before, resume, mine)


def _run(names, parameters, profile, device, out, folder: Path | None, before: Run, resume: bool, mine: bool) -> int:
    request = before.request
    parameters = request.get("parameters", {}) | dict(parameters)
    profile = _choice("PROFILE", parameters, profile, request, "quick")
    device = _choice("DEVICE", parameters, device, request, "auto")
    if profile not in PROFILES:
        raise CourseError(say("The profile is {profile!r}; choose one of {known}.", profile=profile, known=", ".join(PROFILES)))
    requested = request.get("chapters", [])
    chosen = choose(list(names) or requested)
    if mine := mine or request.get("mine", False):
        chosen = [replace(chapter, notebook=opened(chapter)) for chapter in chosen]
    # All input is checked here, for every chapter: a misspelt parameter must not show after an hour.
    settings = {chapter.id: with_given(chapter, read_notebook(chapter), parameters.items()) for chapter in chosen}
    # What the record keeps must mean the same when the run is resumed from another folder.
    for setting in settings.values():
        parameters |= {name: setting[name] for name in parameters if isinstance(setting.get(name), str)}
    used_device, machine = _describe(device) if device == "cpu" else _describe_elsewhere(device)
    for setting in settings.values():
        setting |= {name: value for name, value in (("PROFILE", profile), ("DEVICE", used_device)) if name in setting}

    requested = sorted({*requested, *settings})  # resuming some chapters must not forget that the others were asked for
    folder = _prepare(folder, resume)
    record = Run(
        profile=profile,
        device=used_device,
        machine=machine,
        started=before.started or datetime.now().astimezone().isoformat(timespec="seconds"),
        versions=versions(),
        request={"chapters": requested, "parameters": parameters, "profile": profile, "device": device, "mine": mine}
        | {"language": language()},
        chapters=before.chapters,
    )
    status = _run_all(chosen, settings, record, folder)
    print_summary(replace(record, chapters=[chapter for chapter in record.chapters if chapter.id in settings]))
    print(f"\n{folder / 'index.html'}")
    if status == 130:
        where = f" --out {shlex.quote(str(out))}" if out else ""
        print(say("interrupted; go on with: fewshot-lab run --resume{where}", where=where))
    return status


def _describe(name: str) -> tuple[str, str]:
    """The device that a name means, and its description in English, the language of records."""
    device = choose_device(name)
    words = describe_device(device)
    return device, getattr(words, "english", words)


def _describe_elsewhere(name: str) -> tuple[str, str]:
    # In a process of its own: torch would hold 350 MB in this one for as long as the chapters run. Not by multiprocessing,
    # which needs room in /dev/shm.
    code = f"import json; from {__name__} import _described; print(json.dumps(_described({name!r})))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, encoding="utf-8")
    try:
        device, words, error = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as problem:
        raise CourseError(say("PyTorch cannot be used here. {stderr}", stderr=done.stderr.strip()[-500:])) from problem
    if error:
        raise CourseError(error)
    return device, words


def _described(name: str) -> tuple[str, str, str]:
    """What `_describe` returns, and its error in words or ""."""
    try:
        return *_describe(name), ""
    except CourseError as error:
        return "", "", str(error)


def _choice(name: str, parameters: dict, option: str | None, request: dict, default: str) -> str:
    """Profile or device, from the first that gives it: -p, the option, the resumed run, the environment, the default."""
    # Taken out of the parameters: not every chapter has both, and with_given refuses a parameter that none has.
    values = parameters.pop(name, None), option, request.get(name.lower()), os.environ.get(f"FEWSHOT_LAB_{name}")
    return next((value for value in values if value), default)


def _run_all(chosen: list[Chapter], settings: dict[str, dict], record: Run, folder: Path) -> int:
    """Runs the chosen chapters that the record does not have yet, and saves it after each; returns the exit status."""
    # A chapter is done when it ended well with the same identity: a changed cell, parameter or device makes it run again.
    done = {chapter.id: chapter.identity for chapter in record.chapters if chapter.status == "ok"}
    to_run = [chapter for chapter in chosen if done.get(chapter.id) != _identity(chapter, settings[chapter.id], record)]
    # Dropped before they run: after an interruption no outdated result of theirs may be left in the record.
    record.chapters = [entry for entry in record.chapters if entry.id not in {chapter.id for chapter in to_run}]
    _save(record, folder, chosen)
    environment = kernel_environment(record.profile, record.device, folder, language())
    with Display(chosen) as display, environment, ending_like_ctrl_c():
        for entry in record.chapters:
            display.end(entry.id, "done before", entry.seconds)
        try:
            for chapter in to_run:
                display.start(chapter.id)
                entry = _run_chapter(chapter, settings[chapter.id], record, folder, display.cell)
                record.chapters = sorted([*record.chapters, entry], key=lambda entry: entry.id)
                _save(record, folder, chosen)  # after each chapter: an interruption loses only the one that was running
                display.end(entry.id, entry.status, entry.seconds, entry.error["message"] if entry.error else "")
        except KeyboardInterrupt:
            _save(record, folder, chosen, running=False)
            return 130
    return int(any(entry.status == "failed" for entry in record.chapters if entry.id in settings))


def _run_chapter(chapter: Chapter, setting: dict, record: Run, folder: Path, on_cell: Callable[[int, int], None]) -> ChapterRun:
    began = time.monotonic()
    identity = _identity(chapter, setting, record)  # before it runs: the notebook may be edited while it is executed
    nb, error = execute_with_parameters(chapter.notebook, setting, on_cell)
    seconds = round(time.monotonic() - began, 2)
    strip_live_parts(nb)
    names = {"notebook": chapter.notebook.name, "html": f"{chapter.name}.html"}
    files = _as_files(nb, f"{chapter.id} {chapter_title(chapter.id, chapter.title)}")
    for name, content in zip(names.values(), files, strict=True):
        write_atomically(folder / name, content)
    records = recorded(nb.cells)
    return ChapterRun(
        id=chapter.id,
        title=chapter.title,
        **names,
        status="failed" if error else "ok",
        seconds=seconds,
        identity=identity,
        checks=records.check_counts(),
        to_repair=_to_repair(chapter, nb, records.checks),
        results=records.results,
        verdicts=records.verdicts,
        error={"cell": error["cell"], "message": error["message"]} if error else None,
    )


def _as_files(nb, title: str) -> tuple[str, str]:
    """The notebook as .ipynb text and as a page with that title and the way back to the results."""
    import nbformat
    from nbconvert import HTMLExporter

    text = nbformat.writes(nb) + "\n"
    back = f'<p style="margin: 1em"><a href="index.html">{say("All results")}</a></p>'
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(nb, {"metadata": {"name": title}})
    return text, re.sub(r"<body[^>]*>", lambda body: body.group() + back, page, count=1)


def _to_repair(chapter: Chapter, nb, checks: dict) -> int:
    """How many of the failed checks are of code that is handed out broken and that nobody has changed yet."""
    there = (replace(chapter, notebook=notebook_in(chapter, code)) for code in editions(chapter))
    handed_out = [_answers(read_notebook(one).cells) for one in there if one.notebook.exists()]
    now, failed = _answers(nb.cells), [name for name, check in checks.items() if check.status == CheckStatus.FAILED]
    return sum(name in now and any(them.get(name) == now[name] for them in handed_out) for name in failed)


def _answers(cells) -> dict[str, str]:
    marked = ((cell.metadata.get("nbgrader", {}), cell.source) for cell in cells)
    return {about["grade_id"]: source for about, source in marked if about.get("solution")}


def _identity(chapter: Chapter, setting: dict, record: Run) -> dict:
    """What a chapter's results depend on: its settings, and the sha256 of its cells' types and texts, without outputs."""
    cells = [[cell.cell_type, cell.source] for cell in read_notebook(chapter).cells]
    identity = {
        "profile": record.profile,
        "device": record.device,
        "parameters": setting,
        "sha256": hashlib.sha256(json.dumps(cells).encode()).hexdigest(),
    }
    # As it comes back from results.json, with which a resumed run compares it: lists for tuples, null for NaN.
    return json.loads(json.dumps(identity), parse_constant=lambda _: None)


def _save(record: Run, folder: Path, chosen: list[Chapter], running: bool = True) -> None:
    """Writes results.json and index.html; the first of the chosen chapters without an entry is the one that runs."""
    ended = {entry.id for entry in record.chapters}
    titles = [f"{chapter.id} {chapter_title(chapter.id, chapter.title)}" for chapter in chosen if chapter.id not in ended]
    unfinished = [(name, "waiting" if number or not running else "running") for number, name in enumerate(titles)]
    # The record first: the page is made from it, and can be made again.
    write_atomically(folder / FILE, record.as_text())
    write_atomically(folder / "index.html", page(record, unfinished))


def _prepare(folder: Path | None, resume: bool) -> Path:
    """Makes the folder of the run; if none is given, runs/<time>, with runs/latest pointing at it."""
    given = folder is not None
    runs = folder.parent if given else own_root() / "runs"
    folder = folder or runs / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
        if given and not resume and (folder / FILE).exists():
            raise CourseError(
                say("{folder} holds a run already. Go on with it (--resume) or choose another folder (--out).", folder=folder)
            )
        while not given and folder.exists():  # another run began in the same second
            folder = folder.with_name(f"{folder.name}-2")
        folder.mkdir(parents=True, exist_ok=True)
        if not given:
            _point_latest(runs / "latest", folder)
    except OSError as error:
        raise writing_failed(folder, error) from error
    return folder


def _point_latest(latest: Path, folder: Path) -> None:
    # A new link replaces the old one in one step, so that runs/latest always exists. Where links are not allowed (Windows
    # without developer mode, some file systems), a file with the folder's name takes its place.
    link = latest.with_name(f".latest-{os.getpid()}")
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name, target_is_directory=True)
        os.replace(link, latest)
    except (OSError, NotImplementedError):
        link.unlink(missing_ok=True)
        write_atomically(latest, folder.name)


def latest_run() -> Path:
    """The folder of the latest run; raises CourseError when there was none."""
    latest = latest_in(own_root() / "runs")
    if not latest.exists():
        raise CourseError(
            say("There is no run to go on with: {latest} does not exist. Start one: fewshot-lab run", latest=latest)
        )
    return latest.resolve()
