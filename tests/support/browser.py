"""A learner's browser: JupyterLab started as the course starts it, on a copy of the notebooks, and headless Chromium."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import nbformat
import requests
from places import ROOT

PICTURES = ROOT / "runs" / "browser"
OURS = ".jp-OutputArea-output"  # what the course puts into a notebook; all around it is JupyterLab's own
# JupyterLab 4.6 shows an error under the MIME type of stderr, earlier versions under one of its own.
ERROR = ".jp-RenderedText:is([data-mime-type$='.error'], [data-mime-type$='.stderr']:has-text('Error'))"
WAIT = 60_000  # milliseconds, for a busy machine


def chromium() -> str | None:
    """The path of the browser, or None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing() -> str:
    """What the browser tests need and this machine lacks, and how to get it; empty where all is there."""
    if not all(map(find_spec, ("playwright", "axe_playwright_python"))):
        return "needs Playwright and axe: pip install 'fewshot-lab[test]'"
    return "" if chromium() else "needs Chromium: make system, or on Debian apt-get install chromium"


@contextlib.contextmanager
def opened():
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


def new_page(browser, width: int = 1400, height: int = 1000, density: float = 2):
    """A page of its own, by default a screen with two pixels for each of the page's."""
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=density)
    page.set_default_timeout(WAIT)
    return page


def picture(page, name: str) -> None:
    """Keeps what a page shows as runs/browser/NAME.png."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


@dataclass(frozen=True)
class Served:
    """A running JupyterLab: its address, its token, and the folder whose notebooks/ it shows."""

    address: str
    token: str
    course: Path

    def ask(self, method: str, path: str):
        """A request to the server's REST interface; returns what it answers as JSON."""
        answer = requests.request(method, f"{self.address}/api/{path}", params={"token": self.token}, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def end_kernels(self) -> None:
        for session in self.ask("GET", "sessions"):
            self.ask("DELETE", f"sessions/{session['id']}")


@contextlib.contextmanager
def served(folder: Path, **variables: str) -> Iterator[Served]:
    """Starts `fewshot-lab lab` on a copy of the notebooks in `folder`, with settings of its own; ends it afterwards.

    variables: further ones of its environment.
    """
    course = folder / "course"
    shutil.copytree(ROOT / "notebooks", course / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    names += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = os.environ | {name: str(folder / "jupyter" / name.lower()) for name in names}
    environment |= {"FEWSHOT_LAB_COURSE": str(course), **variables}
    options = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    options += ["--ServerApp.allow_root=True"]
    with (folder / "lab.log").open("w") as log:
        command = [sys.executable, "-m", "fewshot_lab", "lab", *options]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        lab = Served(f"http://127.0.0.1:{port}", token, course)
        try:
            _wait_for(lab, process, folder / "lab.log")
            yield lab
            lab.end_kernels()
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(lab: Served, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        with contextlib.suppress(requests.RequestException):
            lab.ask("GET", "status")
            return
        if process.poll() is not None:
            break
        time.sleep(0.5)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def write_explorers(course: Path) -> str:
    """Writes a notebook with a cell for every explorer into the copied course; returns its name."""
    from explorers import EXPLORERS

    new = nbformat.v4.new_code_cell
    cells = [new(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom explorers import EXPLORERS")]
    cells += [new(f"EXPLORERS[{name!r}]()") for name in EXPLORERS]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    name = "every_explorer.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), course / "notebooks" / name)
    return name


class Notebook:
    """A notebook open in JupyterLab, used as a person uses it: by menus, mouse and keys."""

    def __init__(self, page, lab: Served, name: str, folder: str = "notebooks") -> None:
        """Opens JupyterLab with nothing in it and then the notebook from the file browser."""
        self.page, self.lab, self.name = page, lab, name
        page.goto(f"{lab.address}/lab/tree/{folder}?token={lab.token}&reset")
        page.locator(".jp-DirListing-item", has_text=name[:8]).first.dblclick()
        self.wait_until_open()

    def wait_until_open(self) -> None:
        """Waits until the notebook is there and its kernel has started."""
        self.panel = self.page.locator(".jp-NotebookPanel:visible")
        self.cells = self.panel.locator(".jp-Cell")
        self.cells.first.wait_for()
        self.page.locator("#jp-main-statusbar", has_text="| Idle").wait_for()

    def menu(self, *names: str) -> None:
        """Clicks an entry of a menu, such as Run, Run All Cells; a menu inside a menu stands between them."""
        for name in names:
            said = self.page.get_by_text(name, exact=True)
            entry = self.page.locator(".lm-MenuBar-item:visible, .lm-Menu-item:visible", has=said).first
            entry.hover()
            if name in (names[0], names[-1]):
                entry.click()

    def run_all(self, wait: bool = True, timeout: float = WAIT) -> None:
        self.menu("Run", "Run All Cells")
        if wait:
            self.wait(timeout)

    def wait(self, timeout: float = WAIT) -> None:
        """Waits until no cell is running or waiting."""
        self.page.wait_for_timeout(300)
        prompts = "[...document.querySelectorAll('.jp-InputArea-prompt')].map((prompt) => prompt.textContent)"
        done = f"() => {prompts}.every((text) => !text.includes('*')) && {prompts}.some((text) => /\\d/.test(text))"
        self.page.wait_for_function(done, timeout=timeout)
        self.page.wait_for_timeout(300)

    def cell(self, text: str, number: int = 0):
        """The code cell, the first or a later one, whose source holds the text now; it stays the same when that changes."""
        # A folded cell has no input area, but it counts among the cells.
        sources = self.cells.evaluate_all("cells => cells.map((it) => it.querySelector('.jp-InputArea')?.textContent ?? '')")
        return self.cells.nth([place for place, source in enumerate(sources) if text in source][number])

    def run(self, cell) -> None:
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.wait()

    def write(self, cell, source: str) -> None:
        """Replaces a cell's source by typing, and runs it."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Control+Enter")
        self.wait()

    def errors(self) -> list[str]:
        return self.panel.locator(ERROR).all_inner_texts()

    def explorers(self) -> list:
        """The outputs that hold an explorer: controls beside a picture."""
        found = self.panel.locator(f"{OURS}:has(.fewshot-lab-explorer)")
        return [found.nth(i) for i in range(found.count())]

    def theme(self, name: str) -> None:
        """ "Light" or "Dark"."""
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeName === 'JupyterLab {name}'")
        self.page.wait_for_timeout(300)


def drag(page, slider, share: float) -> None:
    """Drags a slider's thumb with the mouse to a share of its length."""
    box, before = {}, None
    while box != before:  # cells that come into view take their room and move it away
        before = box
        slider.evaluate("(slider) => slider.scrollIntoView({ block: 'center' })")
        page.wait_for_timeout(500)
        box = slider.bounding_box()
    low, high, now = (float(slider.evaluate(f"(input) => input.{name}")) for name in ("min", "max", "value"))
    places = [box["x"] + 8 + (box["width"] - 16) * part for part in ((now - low) / (high - low), share)]
    height = box["y"] + box["height"] / 2
    page.mouse.move(places[0], height)
    page.mouse.down()
    page.mouse.move(places[1], height, steps=5)
    page.mouse.up()


def changed(output, before: str, timeout: float = 30) -> str:
    """What an explorer shows once it is no longer what it was and stays so; fails when nothing changes."""
    end, last = time.monotonic() + timeout, before
    while time.monotonic() < end:
        time.sleep(0.15)
        now = shown(output)
        if now == last != before:
            return now
        last = now
    raise AssertionError(f"the picture did not change: {output.inner_text()}")


def shown(output) -> str:
    """The picture of an explorer, as HTML with the pixels of its canvases."""
    return output.locator(".fewshot-lab-explorer .page").last.evaluate(
        "(page) => page.innerHTML + [...page.querySelectorAll('canvas')].map((one) => one.toDataURL()).join()"
    )


def violations(page, *include: str) -> list[str]:
    """What axe-core finds serious or critical in these parts of the page, or in all of it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"include": [[part] for part in include]} if include else None).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
