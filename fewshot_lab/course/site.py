"""Builds the course as a web site that needs no server and no network: executed chapters, search, package reference.

Sphinx builds it, with MyST-NB for the notebooks, as docs/conf.py says; both come with the extra `site`.
"""

import base64
import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from markupsafe import escape

from ..errors import CourseError
from ..html import CHART
from ..languages import language, say
from .chapters import Chapter, chapters, course_root

_SPHINX = {"zh": "zh_CN"}  # its names of languages that have several


def build_site(out: Path, repository: str = "") -> Path:
    """Builds the site from notebooks/*.ipynb and docs/ into a folder and returns its index.html.

    repository: the course's address on GitHub, such as https://github.com/ann/fewshot-lab; every chapter then has a link to
    Binder, where it runs without an installation.

    Raises CourseError when Sphinx is not installed, and when it fails, with the end of its output.
    """
    if repository and not repository.startswith("https://github.com/"):
        raise CourseError(
            say("{repository} is no address of a repository such as https://github.com/ann/fewshot-lab", repository=repository)
        )
    needed = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline")
    if missing := [name for name in needed if not find_spec(name)]:
        raise CourseError(say("The site needs {missing}: pip install 'fewshot-lab[site]'", missing=", ".join(missing)))
    # Sphinx wants all pages under one folder; copies in a temporary one leave the repository as it is.
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder, "sources")
        _write_sources(sources, repository)
        command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-d", f"{folder}/trees"]
        command += ["-c", str(course_root() / "docs"), "-D", f"language={_SPHINX.get(language(), language())}"]
        command += [str(sources), str(out)]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            raise CourseError(say("The site could not be built: {stderr}", stderr=process.stderr.strip()[-1500:]))
    shutil.rmtree(Path(out) / "_sources", ignore_errors=True)  # Sphinx's copies of the pages' sources, which nothing links to
    for chapter in chapters():  # for the links to download
        shutil.copy(chapter.notebook, Path(out) / "chapters")
    return Path(out) / "index.html"


def _write_sources(folder: Path, repository: str) -> None:
    root = course_root()
    shutil.copytree(root / "docs", folder / "docs")
    shutil.copy(root / "CHANGELOG.md", folder)
    (folder / "chapters").mkdir()
    for chapter in chapters():
        if not chapter.notebook.exists():
            raise CourseError(
                say("{notebook} does not exist. Build it: fewshot-lab build {id}", notebook=chapter.notebook, id=chapter.id)
            )
        nb = json.loads(chapter.notebook.read_text(encoding="utf-8"))
        nb["cells"].insert(1, _ways_to_run(chapter, repository))
        (folder / "chapters" / chapter.notebook.name).write_text(json.dumps(nb), encoding="utf-8")
    readme = _readme(root)
    # README's links are those of the repository; on the site its page is in another place.
    readme = re.sub(r"\]\(notebooks/(?:\w+/)?(\w+)\.ipynb\)", r"](chapters/\1.ipynb)", readme)
    readme = re.sub(r"\[([^\]]+)\]\((?:LICENSE|binder/[\w.]+)\)", r"\1", readme)  # files that are not in the site
    pages = [
        *(f"docs/{path.stem}" for path in sorted((root / "docs").glob("*.md")) if path.stem != "README.zh"),
        "CHANGELOG",
        _write_figures(folder),
    ]
    parts = {
        say("The chapters"): [f"chapters/{chapter.name}" for chapter in chapters()],
        say("Teach and take part"): pages,
        say("The package"): _write_reference(folder),
    }
    trees = "".join(
        f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
        for caption, names in parts.items()
    )
    (folder / "index.md").write_text(readme + trees, encoding="utf-8")


def _readme(root: Path) -> str:
    """The README in the language set; the Chinese one lies among the docs, so its links begin there."""
    there = root / "docs" / f"README.{language()}.md"
    if not there.exists():
        return (root / "README.md").read_text(encoding="utf-8")
    text = there.read_text(encoding="utf-8").replace("[English](../README.md)\n\n", "")
    text = re.sub(r"\]\((?!\w+:|#|\.\./)", "](docs/", text)
    return text.replace("](../", "](")


def _ways_to_run(chapter: Chapter, repository: str) -> dict:
    """A cell under a chapter's title with links: its notebook as a file and, for a repository on GitHub, on Binder."""
    links = [f'<a href="{chapter.notebook.name}" download>{say("Download this notebook (.ipynb)")}</a>']
    if owner := re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", repository):
        path = chapter.notebook.relative_to(course_root()).as_posix()
        address = f"https://mybinder.org/v2/gh/{owner.group(1)}/HEAD?urlpath=notebooks/{path}"
        links.append(f'<a href="{address}">{say("Run it on Binder")}</a>')
    html = f'<div class="launch">{" ".join(links)}</div>'
    return {"cell_type": "markdown", "id": "ways-to-run", "metadata": {}, "source": html}


def _write_figures(folder: Path) -> str:
    """A page with every figure of the chapters and its caption, to be looked through."""
    (folder / "figures").mkdir()
    words = say("Every figure of the chapters as it is stored, with its caption, for whoever looks them through.")
    text = f"# {say('All figures')}\n\n{words}\n"
    for chapter in chapters():
        text += f"\n## [{chapter.title}](chapters/{chapter.notebook.name})\n"
        cells = json.loads(chapter.notebook.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        for number, (output, after) in enumerate(zip(outputs, [*outputs[1:], {}], strict=True)):
            facts = output.get("metadata", {}).get("image/png", {})
            if "alt" not in facts:
                continue
            path = folder / "figures" / f"{chapter.id}_{number:03d}.png"
            path.write_bytes(base64.b64decode("".join(output["data"]["image/png"])))
            options = {"alt": " ".join(facts["alt"].split()), "width": f"{facts['width']}px"}
            options |= {"class": CHART} if facts.get("chart") else {}
            said = "".join(f":{name}: {value}\n" for name, value in options.items())
            caption = "".join(after.get("data", {}).get("text/plain", ""))
            text += f"\n```{{image}} figures/{path.name}\n{said}```\n\n{escape(caption)}\n"
    (folder / "figures.md").write_text(text, encoding="utf-8")
    return "figures"


def _write_reference(folder: Path) -> list[str]:
    """A page for every room, from the docstrings of its modules."""
    import fewshot_lab

    pages = []
    (folder / "reference").mkdir()
    for name in fewshot_lab._ROOMS:
        room = importlib.import_module(f"fewshot_lab.{name}")
        modules = [f"fewshot_lab.{name}"]
        modules += [f"fewshot_lab.{name}.{part.name}" for part in pkgutil.iter_modules(getattr(room, "__path__", []))]
        text = _heading(f"lab.{name}", "=")
        for module in modules:
            text += f"{_heading(module, '-')}.. automodule:: {module}\n   :members:\n\n"
        (folder / "reference" / f"{name}.rst").write_text(text, encoding="utf-8")
        pages.append(f"reference/{name}")
    return pages


def _heading(title: str, line: str) -> str:
    return f"{title}\n{line * len(title)}\n\n"
