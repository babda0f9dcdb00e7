"""Executes the learner's notebooks one after another and keeps records that outlive an interruption."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from ..runtime import PROFILES, CourseError, choose_device, write_atomically, writing_failed
from .chapters import Chapter, choose, course_root
from .display import Display, print_summary
from .doctor import versions
from .kernels import QUIET, ending_like_ctrl_c, kernel_environment
from .outputs import as_json, records, strip_live_parts
from .page import page
from .parameters import papermill_path, with_given


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
    folder = _folder_to_resume(out) if resume else out and Path(out).expanduser().resolve()
    record = _stored(folder) if resume else {"chapters": []}
    request = record.get("request", {})
    given = dict(parameters) or request.get("parameters", {})
    profile = (
        given.pop("PROFILE", None)
        or profile
        or request.get("profile")
        or os.environ.get("FEWSHOT_LAB_PROFILE", "quick")
    )
    device = (
        given.pop("DEVICE", None) or device or request.get("device") or os.environ.get("FEWSHOT_LAB_DEVICE", "auto")
    )
    if profile not in PROFILES:
        raise CourseError(f"The profile is {profile!r}; choose one of {', '.join(PROFILES)}.")
    chosen = choose(list(names) or request.get("chapters", []))
    for chapter in chosen:
        if not chapter.notebook.exists():
            raise CourseError(f"{chapter.notebook} does not exist. Build it: fewshot-lab build {chapter.id}")
    settings = {chapter.id: with_given(chapter, given.items()) for chapter in chosen}
    used_device = device if device == "cpu" else choose_device(device)
    for setting in settings.values():
        setting |= {
            name: value for name, value in {"PROFILE": profile, "DEVICE": used_device}.items() if name in setting
        }

    wanted = {"chapters": [chapter.id for chapter in chosen], "parameters": given, "profile": profile, "device": device}
    folder = _prepare(folder, resume)
    record = {
        "profile": profile,
        "device": used_device,
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
        print(f"interrupted; go on with: fewshot-lab run --resume{f' --out {out}' if out else ''}")
    return status


def _run_all(chosen: list[Chapter], settings: dict[str, dict], record: dict, folder: Path) -> int:
    done = {entry["id"]: entry for entry in record["chapters"]}
    entries = [done.get(chapter.id) for chapter in chosen]
    same = {
        chapter.id
        for chapter, entry in zip(chosen, entries, strict=True)
        if entry and _is_done(entry, chapter, settings[chapter.id], record["profile"])
    }
    to_run = [chapter for chapter in chosen if chapter.id not in same]
    record["chapters"] = [
        entry for entry in record["chapters"] if entry["id"] not in {chapter.id for chapter in to_run}
    ]
    _save(record, folder, to_run)
    interrupted = False
    with Display(chosen) as display, kernel_environment(record["profile"], record["device"]), ending_like_ctrl_c():
        for chapter in chosen:
            if chapter.id in same:
                display.end(chapter, "done before", done[chapter.id]["seconds"])
        try:
            while to_run:
                display.start(to_run[0])
                entry = _run_chapter(to_run[0], settings[to_run[0].id], record["profile"], folder, display.cell)
                record["chapters"] = sorted([*record["chapters"], entry], key=lambda entry: entry["id"])
                chapter = to_run.pop(0)
                _save(record, folder, to_run)
                display.end(chapter, entry["status"], entry["seconds"], entry.get("error", {}).get("message", ""))
        except KeyboardInterrupt:
            interrupted = True
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the cell that was broken off is no news
    if interrupted:
        _save(record, folder, [])
        return 130
    failed = any(entry["status"] == "failed" for entry in record["chapters"] if entry["id"] in settings)
    return int(failed)


def _run_chapter(
    chapter: Chapter, setting: dict, profile: str, folder: Path, on_cell: Callable[[int, int], None]
) -> dict:
    began = time.monotonic()
    nb, error = _execute(chapter, setting, on_cell)
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
    }
    entry |= {"profile": profile, "parameters": setting, "sha256": _fingerprint(chapter.notebook), **records(nb)}
    return entry | ({"error": error} if error else {})


def _execute(chapter: Chapter, setting: dict, on_cell: Callable[[int, int], None]):
    """Executes a notebook; returns it, as far as it came, and None or {"cell", "message"}."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.utils import remove_args

    reached = {}

    class WatchedEngine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
            papermill_start = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                reached.update(nb=nb_man.nb, cell=f"cell {cell_index + 1}")
                on_cell(cell_index + 1, len(nb_man.nb.cells))
                papermill_start(cell, cell_index, **more)

            reached["nb"] = nb_man.nb
            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **remove_args(["input_path"], **kwargs))

    papermill_engines.register("fewshot-lab", WatchedEngine)
    try:
        nb = papermill.execute_notebook(
            papermill_path(chapter.notebook),
            None,
            parameters=setting,
            engine_name="fewshot-lab",
            progress_bar=False,
            request_save_on_cell_execute=False,
            start_timeout=180,
            extra_arguments=QUIET,
            cwd=chapter.notebook.parent,
        )
        return nb, None
    except PapermillExecutionError as error:
        message = error.traceback[-1].strip().split("\n")[-1] if error.traceback else f"{error.ename}: {error.evalue}"
        return reached["nb"], {
            "cell": f"cell {error.cell_index + 1} (In [{error.exec_count}])",
            "message": _plain(message),
        }
    except Exception as error:
        died = "the kernel died; most often the memory is used up: close other programs or choose a smaller setting"
        message = died if isinstance(error, DeadKernelError) else f"{type(error).__name__}: {error}".split("\n")[0]
        nb = reached.get("nb") or nbformat.read(chapter.notebook, as_version=4)
        return nb, {"cell": reached.get("cell", "start"), "message": message}


def _plain(text: str) -> str:
    from papermill.exceptions import strip_color

    return strip_color(text)


def _as_files(nb) -> tuple[str, str]:
    """The notebook as .ipynb text and as a page."""
    import nbformat
    from nbconvert import HTMLExporter

    return nbformat.writes(nb) + "\n", HTMLExporter(template_name="classic").from_notebook_node(nb)[0]


def _fingerprint(notebook: Path) -> str:
    """The sha256 of a notebook's cell types and sources: outputs do not count."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return hashlib.sha256(json.dumps([[cell["cell_type"], cell["source"]] for cell in cells]).encode()).hexdigest()


def _is_done(entry: dict, chapter: Chapter, setting: dict, profile: str) -> bool:
    then = (entry["status"], entry["profile"], entry["parameters"], entry["sha256"])
    return then == ("ok", profile, json.loads(as_json(setting)), _fingerprint(chapter.notebook))


def _save(record: dict, folder: Path, to_run: list[Chapter]) -> None:
    record["seconds"] = round(sum(entry["seconds"] for entry in record["chapters"]), 2)
    unfinished = [(f"{chapter.id} {chapter.title}", "waiting" if n else "running") for n, chapter in enumerate(to_run)]
    text = as_json(record)
    write_atomically(folder / "results.json", text)
    write_atomically(folder / "index.html", page(json.loads(text), unfinished))


def _prepare(folder: Path | None, resume: bool) -> Path:
    """Makes the folder of the run; without a given one runs/<time>, and runs/latest pointing at it."""
    given = folder is not None
    if given and not resume and (folder / "results.json").exists():
        raise CourseError(f"{folder} holds a run already. Go on with it (--resume) or choose another folder (--out).")
    runs = folder.parent if given else course_root() / "runs"
    folder = folder or runs / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
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


def _folder_to_resume(out: Path | None) -> Path:
    if out:
        return Path(out).expanduser().resolve()
    latest = course_root() / "runs" / "latest"
    if latest.is_file():
        return latest.parent / latest.read_text(encoding="utf-8").strip()
    if not latest.exists():
        raise CourseError(f"There is no run to go on with: {latest} does not exist. Start one: fewshot-lab run")
    return latest.resolve()


def _stored(folder: Path) -> dict:
    try:
        return json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CourseError(f"No run to go on with in {folder}: results.json cannot be read ({reason}).") from error
