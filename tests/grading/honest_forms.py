"""Right answers in every form in which learners write them: in the cells of a notebook, and whole files as programs save them.

The tests hold the grader to them, and tests/support/grading_table.py lists them in docs/grading_table.md.
"""

import copy
import json
import re

import nbformat

from fewshot_lab.grading.assignment import assignment

RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).float().mean().item()\n"
WRONG = RIGHT.replace("argmax", "argmin")
STUB = assignment("00").stubs["accuracy"]
HELPER = "def chosen(logits):\n    return logits.argmax(dim=1)\n"
BY_HELPER = "def accuracy(logits, labels):\n    return (chosen(logits) == labels).float().mean().item()\n"
BY_NAME = "def accuracy(logits, labels):\n    return (logits.argmax(AXIS) == labels).float().mean().item()\n"
UNDER_IF = "if torch.cuda.is_available():\n    accuracy = None\nelse:\n" + RIGHT.replace("def ", "    def ").replace(
    "    return", "        return"
)
DECORATOR = """import functools
def same(f):
    @functools.wraps(f)
    def g(*arguments):
        return f(*arguments)
    return g
"""

# What stands in the answer's cells and in cells of the learner's own, in the notebook's order; "check" is the check's cell.
# A pair ("own", source) is a cell of the learner's own, ("answer", source) one with the answer's metadata.
FORMS = {
    "as it was handed out": [("answer", RIGHT), "check"],
    "split into an import and the function": [("answer", "import torch as t"), ("answer", RIGHT), "check"],
    "split into a helper and the function": [("answer", HELPER), ("answer", BY_HELPER), "check"],
    "in a new cell, its own left blank": [("answer", STUB), ("own", RIGHT), "check"],
    "in a new cell, its own removed": [("own", RIGHT), "check"],
    "with a helper in a cell above": [("own", HELPER), ("answer", BY_HELPER), "check"],
    "with a helper between it and its check": [("answer", BY_HELPER), ("own", HELPER), "check"],
    "with a helper that calls a helper": [
        ("own", "def first(x):\n    return x.argmax(1)"),
        ("own", "def chosen(logits):\n    return first(logits)"),
        ("answer", BY_HELPER),
        "check",
    ],
    "with a helper that is a class": [
        ("own", "class Chosen:\n    def __call__(self, x):\n        return x.argmax(1)\nchosen = Chosen()"),
        ("answer", BY_HELPER),
        "check",
    ],
    "with a helper that is a lambda": [("own", "chosen = lambda x: x.argmax(1)"), ("answer", BY_HELPER), "check"],
    "with a constant in a cell above": [("own", "AXIS = 1"), ("answer", BY_NAME), "check"],
    "with a constant that is computed": [("own", "import math\nAXIS = int(math.sqrt(1))"), ("answer", BY_NAME), "check"],
    "with a constant that is filled later": [
        ("own", "table = {}\nfor name in ('axis',):\n    table[name] = 1\nAXIS = table['axis']"),
        ("answer", BY_NAME),
        "check",
    ],
    "with a constant given by a method": [("own", "axes = []\naxes.append(1)\nAXIS = axes[0]"), ("answer", BY_NAME), "check"],
    "with an import in a cell above": [
        ("own", "import numpy as the_library"),
        ("answer", "def accuracy(z, y):\n    return float(the_library.mean(z.argmax(1).numpy() == y.numpy()))"),
        "check",
    ],
    "in a copy below a wrong one": [("answer", WRONG), ("answer", RIGHT), "check"],
    "in a new cell below a wrong one": [("answer", WRONG), ("own", RIGHT), "check"],
    "above a blank copy": [("answer", RIGHT), "check", ("answer", STUB)],
    "whose wrong copy stands below the check": [("answer", RIGHT), "check", ("answer", WRONG)],
    "in a copy below the check, checked again": [("answer", WRONG), "check", ("answer", RIGHT), "check"],
    "in a new cell below the check, checked again": [("answer", STUB), "check", ("own", RIGHT), "check"],
    "whose name is used for a number below": [("answer", RIGHT), "check", ("own", "accuracy = 0.5")],
    "whose helper's name is used below": [("own", HELPER), ("answer", BY_HELPER), "check", ("own", "chosen = 3")],
    "with %matplotlib inline": [("answer", "%matplotlib inline\n" + RIGHT), "check"],
    "with %%time": [("answer", "%%time\n" + RIGHT), "check"],
    "with a magic that is not installed": [("answer", RIGHT + "%load_ext not_there\n"), "check"],
    "with a shell command": [("answer", "!echo 1\n" + RIGHT), "check"],
    "with a test of its own that fails": [("answer", RIGHT + "assert accuracy is None\n"), "check"],
    "with an error before it": [("answer", "1 / 0\n" + RIGHT), "check"],
    "with a test on what the notebook computed": [("answer", RIGHT + "accuracy(not_here, not_there)\n"), "check"],
    "with a print that formats the course": [
        ("answer", "import fewshot_lab as lab\n" + RIGHT + "print(f'{lab.profile:>10}')\n"),
        "check",
    ],
    "with numbers of another cell in its test": [("own", "logits = 3"), ("answer", RIGHT + "accuracy(logits, 2)\n"), "check"],
    "as a lambda": [("answer", "accuracy = lambda z, y: (z.argmax(1) == y).double().mean().item()"), "check"],
    "decorated": [("answer", DECORATOR + "@same\n" + RIGHT), "check"],
    "annotated": [
        ("answer", "from __future__ import annotations\n" + RIGHT.replace("labels)", "labels: Tensor) -> float", 1)),
        "check",
    ],
    "with a dataclass for what it counts": [
        (
            "answer",
            "from dataclasses import dataclass\n@dataclass\nclass Count:\n    hits: int\n    rows: int\n"
            "def accuracy(logits, labels):\n    found = Count(int((logits.argmax(1) == labels).sum()), len(labels))\n"
            "    return found.hits / found.rows\n",
        ),
        "check",
    ],
    "with a cache": [
        (
            "answer",
            "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef share(hits, rows):\n    return hits / rows\n"
            "def accuracy(logits, labels):\n    return share(int((logits.argmax(1) == labels).sum()), len(labels))\n",
        ),
        "check",
    ],
    "with functions within it": [
        (
            "answer",
            "def accuracy(logits, labels):\n    hits = 0\n    def count(right):\n        nonlocal hits\n        hits += right\n"
            "    for row, label in zip(logits, labels):\n        count(int(row.argmax() == label))\n"
            "    return hits / len(labels)\n",
        ),
        "check",
    ],
    "by NumPy alone": [
        (
            "answer",
            "import numpy as np\ndef accuracy(logits, labels):\n"
            "    return np.mean(np.argmax(np.asarray(logits), axis=-1) == np.asarray(labels))\n",
        ),
        "check",
    ],
    "by Python's lists alone": [
        (
            "answer",
            "def accuracy(logits, labels):\n    rows, labels = logits.tolist(), labels.tolist()\n"
            "    return sum([max(range(len(r)), key=r.__getitem__) == y for r, y in zip(rows, labels)]) / len(labels)\n",
        ),
        "check",
    ],
    "by scikit-learn": [
        (
            "answer",
            "from sklearn.metrics import accuracy_score\ndef accuracy(logits, labels):\n"
            "    return accuracy_score(labels, logits.argmax(1))\n",
        ),
        "check",
    ],
    "by Einstein's sum": [
        (
            "answer",
            "import torch.nn.functional as F\ndef accuracy(logits, labels):\n    classes = logits.shape[1]\n"
            "    chosen, wanted = (F.one_hot(x, classes).double() for x in (logits.argmax(1), labels))\n"
            "    return (torch.einsum('nc,nc->', chosen, wanted) / len(labels)).item()\n",
        ),
        "check",
    ],
    "with a global constant that it changes": [
        ("answer", "CALLS = 0\n" + RIGHT.replace("    return", "    global CALLS\n    CALLS += 1\n    return")),
        "check",
    ],
    "with a star import": [("answer", "from torch import *\nfrom math import *\n" + RIGHT), "check"],
    "with an import within it": [
        (
            "answer",
            "def accuracy(logits, labels):\n    import torch as T\n"
            "    return T.mean((T.argmax(logits, 1) == labels) * 1.0).item()",
        ),
        "check",
    ],
    "with await in its cell": [
        ("answer", "async def nothing():\n    pass\n\n\nawait nothing()\n" + RIGHT),
        "check",
    ],
    "with a docstring, comments and empty lines": [
        (
            "answer",
            "# My answer\n\n\n"
            + RIGHT.replace("    return", '    """The share.\n\n    >>> accuracy(1, 2)\n    """\n\n    # here\n    return'),
        ),
        "check",
    ],
    "decorated with no_grad": [("answer", "@torch.no_grad()\n" + RIGHT), "check"],
    "within inference mode": [
        ("answer", RIGHT.replace("    return", "    with torch.inference_mode():\n        return")),
        "check",
    ],
    "with a walrus": [
        (
            "answer",
            "def accuracy(z, y):\n    return hits.item() / len(y) if (hits := (z.argmax(1) == y).sum()) is not None else 0.0",
        ),
        "check",
    ],
    "with match": [
        (
            "answer",
            "def accuracy(z, y):\n    match z.shape:\n        case (n, _):\n"
            "            return int((z.argmax(1) == y).sum()) / n",
        ),
        "check",
    ],
    "with a while loop and try": [
        (
            "answer",
            "def accuracy(z, y):\n    i = hits = 0\n    while True:\n        try:\n"
            "            hits += bool(z[i].argmax() == y[i])\n"
            "        except IndexError:\n            return hits / i\n        i += 1\n",
        ),
        "check",
    ],
    "that calls itself": [
        (
            "answer",
            "def accuracy(z, y):\n    if len(y) == 1:\n        return float(z[0].argmax() == y[0])\n"
            "    return (accuracy(z[:1], y[:1]) + (len(y) - 1) * accuracy(z[1:], y[1:])) / len(y)\n",
        ),
        "check",
    ],
    "with Chinese names and texts": [
        (
            "answer",
            "def accuracy(logits, labels):\n    预测 = logits.argmax(1)  # 每行最大\n    print('准确率 ✓')\n"
            "    return (预测 == labels).double().mean().item()",
        ),
        "check",
    ],
    "with the line ends of Windows": [("answer", RIGHT.replace("\n", "\r\n")), "check"],
    "indented with tabs": [("answer", RIGHT.replace("    ", "\t")), "check"],
    "with semicolons": [
        (
            "answer",
            "import math; PI = math.pi;\ndef accuracy(z, y): hits = z.argmax(1) == y; return hits.double().mean().item();",
        ),
        "check",
    ],
    "with a line continued by a backslash": [
        (
            "answer",
            "def accuracy(z, \\\n             y):\n    return (z.argmax(1) \\\n            == y).double().mean().item()",
        ),
        "check",
    ],
    "with prints in it and below it": [
        (
            "answer",
            RIGHT.replace("    return", "    print(logits, labels, sep='\\n')\n    return") + "print(accuracy)\naccuracy\n",
        ),
        "check",
    ],
    "with a plot in its cell": [
        (
            "answer",
            "import matplotlib.pyplot as plt\n" + RIGHT + "plt.plot([1, 2])\nplt.title('share')\nplt.show()\nplt.close()\n",
        ),
        "check",
    ],
    "with asserts of its own": [
        ("answer", RIGHT + "assert accuracy(torch.eye(2), torch.tensor([0, 1])) == 1, 'both'\n"),
        "check",
    ],
    "with %timeit": [
        ("answer", RIGHT + "%timeit -n 1 -r 1 accuracy(torch.eye(2), torch.tensor([0, 1]))\n"),
        "check",
    ],
    "with %%capture": [("answer", "%%capture\n" + RIGHT + "print(1)\n"), "check"],
    "with a question mark for help": [("answer", RIGHT + "?torch.argmax\ntorch.mean?\n"), "check"],
    "with !ls and its lines": [("answer", "files = !ls\nprint(len(files))\n" + RIGHT), "check"],
    "with display": [
        ("answer", "from IPython.display import HTML, display\n" + RIGHT + "display(HTML('<b>1</b>'), accuracy)\n"),
        "check",
    ],
    "with a block for programs": [("answer", RIGHT + "if __name__ == '__main__':\n    print(accuracy)\n"), "check"],
    "with more parameters that have values": [
        (
            "answer",
            "def accuracy(logits, labels, dim=1, *, rounded=None):\n"
            "    return (logits.argmax(dim) == labels).double().mean().item()",
        ),
        "check",
    ],
    "with parameters by position only": [
        ("answer", "def accuracy(logits, labels, /):\n    return (logits.argmax(1) == labels).double().mean().item()"),
        "check",
    ],
    "with any arguments": [
        ("answer", "def accuracy(*a, **k):\n    z, y = a\n    return (z.argmax(1) == y).double().mean().item()"),
        "check",
    ],
    "as an object that can be called": [
        (
            "answer",
            "class Accuracy:\n    def __call__(self, z, y):\n        return (z.argmax(1) == y).double().mean().item()\n"
            "accuracy = Accuracy()\n",
        ),
        "check",
    ],
    "as a partial function": [
        (
            "answer",
            "from functools import partial\ndef share(z, y, dim):\n    return (z.argmax(dim) == y).double().mean().item()\n"
            "accuracy = partial(share, dim=1)\n",
        ),
        "check",
    ],
    "as a static method": [
        (
            "answer",
            "class Metrics:\n    @staticmethod\n    def share(z, y):\n"
            "        return (z.argmax(1) == y).double().mean().item()\naccuracy = Metrics.share\n",
        ),
        "check",
    ],
    "made by another function": [
        (
            "answer",
            "def made(dim):\n    def inner(z, y):\n"
            "        return (z.argmax(dim) == y).double().mean().item()\n    return inner\naccuracy = made(1)\n",
        ),
        "check",
    ],
    "written twice in one cell, the second right": [("answer", WRONG + "\n\n" + RIGHT), "check"],
    "under if": [("answer", UNDER_IF), "check"],
    "under if in a new cell, its own left blank": [("answer", STUB), ("own", UNDER_IF), "check"],
    "with its helper under try": [
        (
            "own",
            "try:\n    from not_there import chosen\nexcept ImportError:\n"
            "    def chosen(logits):\n        return logits.argmax(dim=1)\n",
        ),
        ("answer", BY_HELPER),
        "check",
    ],
    "that compiles itself": [("answer", "exec(" + repr(RIGHT) + ")\n"), "check"],
    "that returns a tensor of one number": [("answer", RIGHT.replace(".item()", "")), "check"],
    "that returns a number of NumPy": [
        ("answer", "import numpy as np\n" + RIGHT.replace("return ", "return np.float32(").replace(".item()", ".item())")),
        "check",
    ],
    "that returns a fraction": [
        (
            "answer",
            "from fractions import Fraction\ndef accuracy(z, y):\n    return Fraction(int((z.argmax(1) == y).sum()), len(y))\n",
        ),
        "check",
    ],
    "that returns a decimal": [
        (
            "answer",
            "from decimal import Decimal\ndef accuracy(z, y):\n    return Decimal(int((z.argmax(1) == y).sum())) / len(y)\n",
        ),
        "check",
    ],
    "with logging and warnings": [
        (
            "answer",
            "import logging, warnings\n"
            + RIGHT.replace("    return", "    logging.warning('seen')\n    warnings.warn('seen')\n    return"),
        ),
        "check",
    ],
    "with a generator and islice": [
        (
            "answer",
            "from itertools import islice, count\ndef accuracy(z, y):\n"
            "    hits = (int(z[i].argmax()) == int(y[i]) for i in count())\n    return sum(islice(hits, len(y))) / len(y)\n",
        ),
        "check",
    ],
    "with threads": [
        (
            "answer",
            "from concurrent.futures import ThreadPoolExecutor\ndef accuracy(z, y):\n    with ThreadPoolExecutor(2) as pool:\n"
            "        return sum(pool.map(lambda i: int(z[i].argmax() == y[i]), range(len(y)))) / len(y)\n",
        ),
        "check",
    ],
    "with a random number that is thrown away": [
        ("answer", "import random\n" + RIGHT.replace("    return", "    random.random()\n    return")),
        "check",
    ],
    "with settings of printing": [
        ("answer", "torch.set_printoptions(precision=2, sci_mode=False)\nimport numpy\nnumpy.set_printoptions(2)\n" + RIGHT),
        "check",
    ],
    "with a seed of its own": [("answer", "torch.manual_seed(0)\nimport numpy\nnumpy.random.seed(0)\n" + RIGHT), "check"],
    "with a dictionary that counts": [
        (
            "answer",
            "def accuracy(z, y):\n    table = {'hit': 0, 'miss': 0}\n    for p, t in zip(z.argmax(1).tolist(), y.tolist()):\n"
            "        table['hit' if p == t else 'miss'] += 1\n    return table['hit'] / sum(table.values())\n",
        ),
        "check",
    ],
    "beside a cell that trains for an hour": [
        ("own", "import time\nweights = [time.sleep(3600) for _ in range(3)]"),
        ("answer", RIGHT),
        "check",
    ],
    "beside a cell that ends the kernel": [("own", "import os\nos._exit(0)"), ("answer", RIGHT), "check"],
    "beside a cell that is no Python": [("own", "this is a note"), ("answer", RIGHT), "check"],
}


def _text(nb: dict) -> bytes:
    return json.dumps(nb, ensure_ascii=False, indent=1).encode()


def _cells(nb: dict, metadata: dict | None = None, **more) -> dict:
    """The notebook with this metadata, and these in every cell."""
    nb = copy.deepcopy(nb)
    nb["metadata"] |= metadata or {}
    for cell in nb["cells"]:
        cell["metadata"] |= more
    return nb


def _saved_by_colab(nb: dict) -> bytes:
    nb = _cells(nb, {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU", "nbformat_minor": 0})
    for i, cell in enumerate(nb["cells"]):
        cell.pop("id", None)
        cell["metadata"] |= {"id": f"x{i}", "outputId": "7f"}
        cell["source"] = cell["source"].splitlines(keepends=True)
    nb["nbformat_minor"] = 0
    return _text(nb)


def _saved_by_kaggle(nb: dict) -> bytes:
    kaggle = {"kaggle": {"accelerator": "none", "dataSources": [], "isInternetEnabled": False, "language": "python"}}
    timing = {"iopub.execute_input": "2026-01-01T00:00:00Z", "iopub.status.idle": "2026-01-01T00:00:01Z"}
    return _text(_cells(nb, kaggle, _uuid="8f2839f25d086af7", execution=timing, trusted=True))


def _run_by_papermill(nb: dict) -> bytes:
    about = {"papermill": {"duration": 1.0, "exception": None, "input_path": "in.ipynb", "parameters": {"SEED": 3}}}
    nb = _cells(nb, about, papermill={"duration": 0.1, "status": "completed", "exception": False})
    injected = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "outputs": [], "execution_count": 1}
    nb["cells"].insert(2, injected | {"source": "SEED = 3\n", "id": "injected"})
    return _text(nb)


def _with_pictures(nb: dict) -> bytes:
    nb, picture = copy.deepcopy(nb), {"image/png": "iVBORw0KGgo" * 30_000, "text/plain": ["<Figure>"]}
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"] = 7
            cell["outputs"] = [{"output_type": "display_data", "data": picture, "metadata": {}}]
            cell["outputs"] += [{"output_type": "error", "ename": "E", "evalue": "", "traceback": ["\x1b[31mE\x1b[0m"]}]
    return _text(nb)


def _between_notes(nb: dict) -> bytes:
    nb = copy.deepcopy(nb)
    notes = [{"cell_type": kind, "metadata": {}, "source": "def accuracy(z, y): my notes"} for kind in ("raw", "markdown")]
    nb["cells"] = [part for cell in nb["cells"] for part in (cell, *copy.deepcopy(notes))]
    return _text(nb)


def _of_minor(minor: int):
    def save(nb: dict) -> bytes:
        nb = copy.deepcopy(nb) | {"nbformat_minor": minor}
        for cell in nb["cells"] if minor < 5 else ():
            cell.pop("id", None)
        return _text(nb)

    return save


def _of_2015(nb: dict) -> bytes:
    cells = []
    for cell in nb["cells"]:
        kept = {"cell_type": cell["cell_type"], "metadata": {}}
        code = {"input": cell["source"].splitlines(keepends=True), "outputs": [], "language": "python", "collapsed": False}
        cells.append(kept | (code if cell["cell_type"] == "code" else {"source": [cell["source"]]}))
    return _text(
        {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells, "metadata": {}}]}
    )


def _as_script(nb: dict) -> bytes:
    parts = ["#!/usr/bin/env python\n# coding: utf-8\n"]
    for i, cell in enumerate(nb["cells"]):
        if cell["cell_type"] == "code":
            parts.append(f"# In[{i}]:\n\n\n" + re.sub(r"(?m)^([%!].*)$", r"get_ipython().system(\1)", cell["source"]))
        else:
            parts.append(re.sub("(?m)^", "# ", cell["source"]))
    return "\n\n".join(parts).encode()


def _as_percent(nb: dict) -> bytes:
    code = [f"# %%\n{cell['source']}" for cell in nb["cells"] if cell["cell_type"] == "code"]
    return "\n\n".join(["# ---\n# jupyter:\n#   jupytext:\n#     formats: py:percent\n# ---", *code]).encode("utf-8-sig")


def _metadata_lost(nb: dict) -> bytes:
    nb = copy.deepcopy(nb) | {"metadata": {}}
    for cell in nb["cells"]:
        cell["metadata"] = {}
    return _text(nb)


def _answers_last(nb: dict) -> bytes:
    """Answers moved to the end, each before its check, in another order than that of the release."""
    nb, moved = copy.deepcopy(nb), ("interval", "accuracy")
    of = {cell["metadata"].get("nbgrader", {}).get("grade_id"): cell for cell in nb["cells"]}
    last = [of[name] for question in moved for name in (question, f"check_{question}")]
    nb["cells"] = [cell for cell in nb["cells"] if not any(cell is one for one in last)] + last
    return _text(nb)


def made(form, nb):
    """A solved notebook of chapter 00 (NotebookNode) with accuracy written in a form."""
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells]
    answer, check = nb.cells[ids.index("accuracy")], nb.cells[ids.index("check_accuracy")]
    assert ids.index("check_accuracy") == ids.index("accuracy") + 1
    cells = []
    for part in form:
        cell = nbformat.from_dict(check if part == "check" else answer if part[0] == "answer" else nbformat.v4.new_code_cell())
        if part != "check":
            cell.source = part[1]
        cells.append(cell)
    at = ids.index("accuracy")
    nb.cells = [*nb.cells[:at], *cells, *nb.cells[at + 2 :]]
    return nb


# How programs save the solved notebook of chapter 00: {in words: (name of the file, its bytes from the notebook)}.
FILES = {
    "as Colab saves it": ("00_start_here.ipynb", _saved_by_colab),
    "as Kaggle saves it": ("notebook.ipynb", _saved_by_kaggle),
    "as VS Code saves it": (
        "00_start_here.ipynb",
        lambda nb: _text(_cells(nb, {"language_info": {"name": "python"}}, vscode={"languageId": "python"})),
    ),
    "as JupyterLab saves it, headings folded and cells locked": (
        "00_start_here-Copy1.ipynb",
        lambda nb: _text(_cells(nb, **{"jp-MarkdownHeadingCollapsed": True, "editable": False, "collapsed": True})),
    ),
    "as papermill leaves it": ("output.ipynb", _run_by_papermill),
    "with megabytes of pictures and an error in its outputs": ("00_start_here.ipynb", _with_pictures),
    "with the state of its widgets": (
        "00_start_here.ipynb",
        lambda nb: _text(_cells(nb, {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"a" * 32: {}}}}})),
    ),
    "of another kernel": (
        "00_start_here.ipynb",
        lambda nb: _text(_cells(nb, {"kernelspec": {"name": "conda-env-x", "display_name": "Python [conda env:x] *"}})),
    ),
    "with notes between all cells": ("00_start_here.ipynb", _between_notes),
    "with its answers moved to the end": ("00_start_here.ipynb", _answers_last),
    "without any metadata": ("work.ipynb", _metadata_lost),
    "with a byte order mark": ("00_start_here.ipynb", lambda nb: b"\xef\xbb\xbf" + _text(nb)),
    "in UTF-16": ("00_start_here.ipynb", lambda nb: _text(nb).decode().encode("utf-16")),
    "with the line ends of Windows": (
        "00_start_here (1).ipynb",
        lambda nb: json.dumps(nb, indent=2).replace("\n", "\r\n").replace("\\n", "\\r\\n").encode(),
    ),
    "on one line, letters escaped": ("00_start_here.ipynb", lambda nb: json.dumps(nb, separators=(",", ":")).encode()),
    "with keys that no format has": (
        "00_start_here.ipynb",
        lambda nb: _text(copy.deepcopy(nb) | {"signature": "sha256:1", "cells": [cell | {"x": 1} for cell in nb["cells"]]}),
    ),
    **{f"in nbformat 4.{minor}": ("00_start_here.ipynb", _of_minor(minor)) for minor in range(6)},
    "in the format of 2015": ("old.ipynb", _of_2015),
    "as nbconvert's program": ("00_start_here.py", _as_script),
    "as jupytext's program": ("answers.py", _as_percent),
}
