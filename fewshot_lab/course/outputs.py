"""Cleans the outputs of executed notebooks: of what only a live kernel shows and, for learners, of what answers questions."""

import ast
import re

from markupsafe import Markup

from .. import cells
from ..evidence.records import CHECK, RESULT, VERDICT
from ..html import figure_html
from ..languages import say

WIDGET = "application/vnd.jupyter.widget-view+json"
# What widgets/still.py puts around the HTML beside a live widget; its id is another one in every run.
_STILL = re.compile(r'<div class="fewshot-lab-still" id="[^"]*"><style>.*?</style>(.*)</div>', re.DOTALL)


def strip_live_parts(nb) -> None:
    """Removes from a notebook, in place, what only a live kernel can show, so that front ends show the static pictures."""
    nb.metadata.pop("widgets", None)
    for cell in nb.cells:
        cell.metadata.pop("execution", None)  # times, which differ from run to run
        if cell.cell_type == "code":
            for output in cell.outputs:
                data = output.get("data", {})
                data.pop(WIDGET, None)
                if still := _STILL.fullmatch(data.get("text/html", "")):
                    data["text/html"] = still[1]
            cell.outputs = [output for output in cell.outputs if _holds_something(output)]


def _holds_something(output) -> bool:
    """Whether an output is left: what is around a still may have held nothing, its picture being an output of its own."""
    data = output.get("data")
    return data is None or (bool(data) and data.get("text/html") != "")


def fold_results(nb: dict) -> None:
    """Takes out of a stored notebook, in place, what answers its questions (`lab.predict`), as a learner should meet it.

    No cell has run yet. Questions, listings, and explorers of what was there before the first question stay; a figure or a
    verdict of the makers stays folded, in one line that a click opens; numbers and checks go. Cells that only draw are folded.
    """
    figures_as_html(nb)
    code = [cell for cell in nb["cells"] if cell["cell_type"] == "code"]
    texts = ["".join(cell["source"]) for cell in code]
    first = next((i for i, text in enumerate(texts) if "lab.predict(" in text), len(code))
    known = {"lab"}.union(*map(cells.defined, texts[:first]))
    for i, (cell, text) in enumerate(zip(code, texts, strict=True)):
        cell["execution_count"] = None
        if i >= first and not _tells_nothing(text, known):
            cell["outputs"] = [_folded(output) for output in cell["outputs"] if _is_shown(output)]
        if "nbgrader" in cell["metadata"]:  # a check says that its exercise is still to do: a cell that has not run does too
            cell["outputs"] = []
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result":
                output["execution_count"] = None
        if _only_draws(text) and "nbgrader" not in cell["metadata"]:
            cell["metadata"].setdefault("jupyter", {})["source_hidden"] = True


def _tells_nothing(text: str, known: set[str]) -> bool:
    """Whether a cell is a question, a listing or an explorer, of nothing but the names that are known."""
    statements = _statements(text)
    called = _called(statements[-1]) if len(statements) == 1 else ""
    names = {node.id for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return called == "lab.predict" or (names <= known and (called == "lab.source" or called.endswith("Explorer")))


def _only_draws(text: str) -> bool:
    """Whether a cell ends by drawing a figure, and neither trains nor uses a learner's function."""
    draws = any(_called(statement).startswith("lab.figures.") for statement in _statements(text)[-1:])
    return draws and not any(word in text for word in ("yours_or_ours", "lab.arms", "lab.sweep", "progress_bar"))


def _statements(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError:  # a line for IPython
        return []


def _called(statement: ast.stmt) -> str:
    """The function that a statement calls and whose result it shows, such as "lab.predict"; "" for any other."""
    shows = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    return ast.unparse(statement.value.func) if shows else ""


def _is_shown(output: dict) -> bool:
    data = output.get("data", {})
    return VERDICT in data or ("<img" in "".join(data.get("text/html", "")) and not {CHECK, RESULT} & data.keys())


def _folded(output: dict) -> dict:
    data = output["data"]
    words = say("Show the makers' verdict") if VERDICT in data else say("Show what the makers got")
    html = Markup("<details><summary>{}</summary>{}</details>").format(words, Markup("".join(data["text/html"])))
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": html, "text/plain": f"[{words}]"}}


def figures_as_html(nb: dict) -> None:
    """Makes of each picture and its caption in a notebook (plain JSON or nbformat's), in place, one output of HTML.

    Where HTML is shown at all, picture, caption and alternative text then stay together.
    """
    for cell in nb["cells"]:
        outputs = cell.get("outputs", [])
        for position in reversed(range(len(outputs))):
            data = outputs[position].get("data", {})
            facts = outputs[position].get("metadata", {}).get("image/png", {})
            if "alt" not in facts:
                continue
            after = outputs[position + 1].get("data", {}) if position + 1 < len(outputs) else {}
            captioned = _text(after.get("text/markdown")).endswith("</details>")
            caption = _text(after["text/plain"]) if captioned else ""
            png = _text(data.pop("image/png"))
            shown = {"width": facts["width"], "alt": facts["alt"], "chart": facts.get("chart", False)}
            data["text/html"] = figure_html(png, caption=caption, **shown)
            outputs[position]["metadata"].pop("image/png")
            del outputs[position + 1 : position + 1 + captioned]


def _text(content: str | list[str] | None) -> str:
    return "".join(content or "")
