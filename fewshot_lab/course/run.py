"""Executes the learner's notebooks one after another and keeps records that outlive an interruption."""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from ..errors import CourseError
from ..evidence.course_records import latest_in
from ..files import write_atomically, writing_failed
from ..runtime import PROFILES, choose_device, describe_device
from .chapters import Chapter, choose, course_root, read_notebook
from .display import Display, print_summary
from .doctor import versions
from .kernels import ending_like_ctrl_c, execute_with_parameters, kernel_environment
from .outputs import as_json, records, strip_live_parts
from .page import page
from .parameters import with_given


def run(
    names: Iterable[str] = (),
    parameters: Iterable[tuple[str, str]] = (),
    profile: str | None = None,
    device: str | None = None,
    out: Path | None = None,
    resume: bool = False,
) -> int:
    """Executes chapters (all by default) into a folder with the notebooks, results.json and index.html.

    The folder is `out`, else runs/<time> with runs/latest pointing at it. `parameters` are (name, value as text) pairs
    for every chapter's parameters cell. With `resume` a run goes on (`out`, else the latest): what is not given is
    taken from its record, and chapters that ended well with the same notebook, parameters and profile are skipped.
    Returns the exit status: 0, 1 when a chapter failed, 130 when interrupted. Raises CourseError for wrong input,
    before anything runs, and when records cannot be written.
    """
    folder = Path(out).expanduser().resolve() if out else latest_run() if resume else None
    record = _stored(folder) if resume else {"chapters": []}
    request = record.get("request", {})
    given = request.get("parameters", {}) | dict(parameters)
    profile = _choice("PROFILE", given, profile, request, "quick")
    device = _choice("DEVICE", given, device, request, "auto")
    if profile not in PROFILES:
        raise CourseError(f"The profile is {profile!r}; choose one of {', '.join(PROFILES)}.")
    asked = request.get("chapters", [])
    chosen = choose(list(names) or asked)
    settings = {chapter.id: with_given(chapter, read_notebook(chapter), given.items()) for chapter in chosen}
    used_device, machine = _on(device) if device == "cpu" else _other_python(device)
    for setting in settings.values():
        setting |= {name: value for name, value in (("PROFILE", profile), ("DEVICE", used_device)) if name in setting}

    asked = sorted({*asked, *settings})
    wanted = {"chapters": asked, "parameters": given, "profile": profile, "device": device}
    folder = _prepare(folder, resume)
    record = {
        "profile": profile,
        "device": used_device,
        "machine": machine,
        "seconds": 0.0,
        "started": record.get("started") or datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": versions(),
        "request": wanted,
        "chapters": record["chapters"],
    }
    status = _run_all(chosen, settings, record, folder)
    print_summary(record | {"chapters": [entry for entry in record["chapters"] if entry["id"] in settings]})
    print(f"\n{folder / 'index.html'}")
    if status == 130:
        print(f"interrupted; go on with: fewshot-lab run --resume{f' --out {shlex.quote(str(out))}' if out else ''}")
    return status


def _on(name: str) -> tuple[str, str]:
    """The device that is meant, and it in words (in English, as all records)."""
    device = choose_device(name)
    words = describe_device(device)
    return device, getattr(words, "english", words)


def _other_python(name: str) -> tuple[str, str]:
    """`_on`, in a Python of its own: torch would hold 350 MB here for as long as the chapters run."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        return other.submit(_on, name).result()


def _choice(name: str, given: dict, option: str | None, request: dict, default: str) -> str:
    """Profile or device: from -p (taken out of `given`), the option, the run that goes on, the environment, the default."""
    values = given.pop(name, None), option, request.get(name.lower()), os.environ.get(f"FEWSHOT_LAB_{name}")
    return next((value for value in values if value), default)


def _run_all(chosen: list[Chapter], settings: dict[str, dict], record: dict, folder: Path) -> int:
    entries = {entry["id"]: entry for entry in record["chapters"]}
    to_run = [
        chapter
        for chapter in chosen
        if not _is_done(entries.get(chapter.id, {}), _identity(chapter, settings[chapter.id], record))
    ]
    record["chapters"] = [entry for entry in record["chapters"] if entry["id"] not in {chapter.id for chapter in to_run}]
    _save(record, folder, chosen)
    environment = kernel_environment(record["profile"], record["device"], folder)
    with Display(chosen) as display, environment, ending_like_ctrl_c():
        for entry in record["chapters"]:
            display.end(entry["id"], "done before", entry["seconds"])
        try:
            for chapter in to_run:
                display.start(chapter.id)
                entry = _run_chapter(chapter, settings[chapter.id], record, folder, display.cell)
                record["chapters"] = sorted([*record["chapters"], entry], key=lambda entry: entry["id"])
                _save(record, folder, chosen)
                display.end(chapter.id, entry["status"], entry["seconds"], entry.get("error", {}).get("message", ""))
        except KeyboardInterrupt:
            _save(record, folder, chosen, running=False)
            return 130
    return int(any(entry["status"] == "failed" for entry in record["chapters"] if entry["id"] in settings))


def _run_chapter(chapter: Chapter, setting: dict, record: dict, folder: Path, on_cell: Callable[[int, int], None]) -> dict:
    began = time.monotonic()
    identity = _identity(chapter, setting, record)
    nb, error = execute_with_parameters(chapter.notebook, setting, on_cell)
    seconds = round(time.monotonic() - began, 2)
    strip_live_parts(nb)
    names = {"notebook": chapter.notebook.name, "html": f"{chapter.name}.html"}
    for name, content in zip(names.values(), _as_files(nb), strict=True):
        write_atomically(folder / name, content)
    entry = {
        "id": chapter.id,
        "title": chapter.title,
        **names,
        "status": "failed" if error else "ok",
        "seconds": seconds,
        **identity,
        **records(nb),
    }
    return entry | ({"error": {"cell": error["cell"], "message": error["message"]}} if error else {})


def _as_files(nb) -> tuple[str, str]:
    """The notebook as .ipynb text and as a page."""
    import nbformat
    from nbconvert import HTMLExporter

    return nbformat.writes(nb) + "\n", HTMLExporter(template_name="classic").from_notebook_node(nb)[0]


def _identity(chapter: Chapter, setting: dict, record: dict) -> dict:
    """What a chapter's results depend on; the sha256 is that of its cells' types and texts, outputs do not count."""
    cells = [[cell.cell_type, cell.source] for cell in read_notebook(chapter).cells]
    return {
        "profile": record["profile"],
        "device": record["device"],
        "parameters": setting,
        "sha256": hashlib.sha256(json.dumps(cells).encode()).hexdigest(),
    }


def _is_done(entry: dict, identity: dict) -> bool:
    identity = json.loads(as_json(identity))
    return entry.get("status") == "ok" and identity.items() <= entry.items()


def _save(record: dict, folder: Path, chosen: list[Chapter], running: bool = True) -> None:
    """Writes results.json and index.html; the first of the chosen chapters without an entry is the one that runs."""
    record["seconds"] = round(sum(entry["seconds"] for entry in record["chapters"]), 2)
    ended = {entry["id"] for entry in record["chapters"]}
    titles = [f"{chapter.id} {chapter.title}" for chapter in chosen if chapter.id not in ended]
    unfinished = [(title, "waiting" if number or not running else "running") for number, title in enumerate(titles)]
    text = as_json(record)
    write_atomically(folder / "results.json", text)
    write_atomically(folder / "index.html", page(json.loads(text), unfinished))


def _prepare(folder: Path | None, resume: bool) -> Path:
    """Makes the folder of the run; without a given one runs/<time>, and runs/latest pointing at it."""
    given = folder is not None
    runs = folder.parent if given else course_root() / "runs"
    folder = folder or runs / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
        if given and not resume and (folder / "results.json").exists():
            raise CourseError(f"{folder} holds a run already. Go on with it (--resume) or choose another folder (--out).")
        while not given and folder.exists():
            folder = folder.with_name(f"{folder.name}-2")
        folder.mkdir(parents=True, exist_ok=True)
        if not given:
            _point_latest(runs / "latest", folder)
    except OSError as error:
        raise writing_failed(folder, error) from error
    return folder


def _point_latest(latest: Path, folder: Path) -> None:
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
    latest = latest_in(course_root() / "runs")
    if not latest.exists():
        raise CourseError(f"There is no run to go on with: {latest} does not exist. Start one: fewshot-lab run")
    return latest.resolve()


def _stored(folder: Path) -> dict:
    try:
        record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not isinstance(record.get("chapters"), list):
            raise ValueError("it is no record of a run")
        return record
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CourseError(f"No run to go on with in {folder}: results.json cannot be read ({reason}).") from error
