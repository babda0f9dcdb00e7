"""A check judges the cell that is on the screen: in a real kernel, cell by cell, as a front end sends them."""

import os
import time

import pytest
from jupyter_client.manager import start_new_kernel

from fewshot_lab import cells

SETUP = 'import fewshot_lab as lab\nlab.setup("00", profile="smoke", device="cpu")'
RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).float().mean()"
ANEW = RIGHT.replace("    return", "    # written anew\n    return")
BLANK = "def accuracy(logits, labels):\n    raise NotImplementedError()"


class Kernel:
    """A kernel whose requests name their cells, as JupyterLab's do."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(env=os.environ | {"FEWSHOT_LAB_PROGRESS": "off"})

    def run(self, cell: str, source: str, interrupted_after: float = 0) -> str:
        """Runs a cell under its id and returns what it shows: texts and errors."""
        session = self.client.session
        content = {"code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        request = session.msg("execute_request", content, metadata={"cellId": cell})
        self.client.shell_channel.send(request)
        if interrupted_after:
            time.sleep(interrupted_after)
            self.manager.interrupt_kernel()
        shown = []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                self.client.get_shell_msg(timeout=120)
                return "\n".join(shown)
            shown.append(content.get("text") or content.get("data", {}).get("text/plain") or content.get("ename") or "")


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    kernel.run("setup", SETUP)
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def check(kernel) -> str:
    return kernel.run("check", "lab.check(accuracy)")


@pytest.mark.slow
@pytest.mark.parametrize("before", [BLANK, RIGHT], ids=["blank", "right"])
def test_after_a_run_that_never_came_to_the_function_a_check_does_not_judge_the_one_before(kernel, before):
    said_of_it = "To do. Write the body" if before == BLANK else "Right."
    kernel.run("answer", before)
    assert said_of_it in check(kernel)
    assert "SyntaxError" in kernel.run("answer", RIGHT.replace("dim=1)", "dim=1"))
    assert "stopped with a SyntaxError in line 2, so this is the version before" in check(kernel)
    used = kernel.run("use", "used = lab.yours_or_ours(accuracy)")
    assert "Using the course's accuracy: The last run of its cell stopped with a SyntaxError" in used
    assert "NameError" in kernel.run("answer", f"nothing_of_this_name\n{ANEW}")
    assert "stopped with a NameError, so this" in check(kernel)
    assert "KeyboardInterrupt" in kernel.run("answer", f"import time\ntime.sleep(60)\n{ANEW}", interrupted_after=1)
    assert "was interrupted, so this" in check(kernel)
    kernel.run("answer", RIGHT)
    assert "Right." in check(kernel)


@pytest.mark.slow
def test_another_name_in_the_cell_is_told_and_a_function_that_the_cell_still_shows_is_judged(kernel):
    kernel.run("answer", RIGHT)
    kernel.run("answer", RIGHT.replace("accuracy", "acuracy"))
    assert "no longer defines accuracy" in check(kernel)
    kernel.run("other", RIGHT)  # moved to another cell
    assert "Right." in check(kernel)
    kernel.run("answer", RIGHT)
    assert "ZeroDivisionError" in kernel.run("answer", f"{RIGHT}\n\n1 / 0")  # the function was defined before that
    assert "Right." in check(kernel)
    kernel.run("experiment", "def other():\n    accuracy = 1\n    return [accuracy for accuracy in ()]\n\n1 / 0")
    assert "Right." in check(kernel)  # names inside of functions are not this one
    made = "accuracy = eval('lambda logits, labels: (logits.argmax(dim=1) == labels).float().mean()')"
    assert "Right." in kernel.run("answer", f"{made}\naccuracy.__name__ = 'accuracy'\nlab.check(accuracy)")


def test_the_names_that_a_cell_defines():
    source = (
        "%matplotlib inline\nimport a.b, c as d\nfrom e import f\ng = h.i = 1\nfor j in k:\n    with l as m:\n        n += 1"
    )
    assert cells.defined(source) == {"a", "d", "f", "g", "j", "m", "n"}
    assert cells.defined("x = [y for y in z]\nclass A:\n    w = 1") == {"x", "A"}
    assert cells.defined("def a(:\n    b = 1\n\nc = 2\nd == 3") == {"a", "c"}


@pytest.mark.slow
def test_a_right_answer_that_hand_in_would_not_find_is_told(kernel, tmp_path):
    (tmp_path / "my_helpers.py").write_text(f"{RIGHT}\ndef chosen(logits):\n    return logits.argmax(1)\n")
    kernel.run("path", f"import sys\nsys.path.insert(0, {str(tmp_path)!r})")
    kernel.run("answer", RIGHT)
    assert "hand" not in check(kernel)
    uses = "def accuracy(z, y):\n    return (chosen(z) == y).float().mean()"
    for source in (
        "from my_helpers import accuracy",
        f"from my_helpers import chosen\n{uses}",
        f"import my_helpers as mine\n{uses.replace('chosen', 'mine.chosen')}",
        f"import my_helpers\ndef first(z):\n    return my_helpers.chosen(z)\n{uses.replace('chosen', 'first')}",
        uses.replace("    return (", "    import my_helpers\n    return (my_helpers."),
    ):
        kernel.run("answer", source)
        said = check(kernel)
        assert "Right." in said and "accuracy uses my_helpers.py, and only the notebook is handed in" in said, source
    kernel.run(
        "answer", "from sklearn.metrics import accuracy_score\ndef accuracy(z, y):\n    return accuracy_score(y, z.argmax(1))"
    )
    assert "Right." in check(kernel) and "hand" not in check(kernel)


@pytest.mark.slow
def test_a_right_answer_that_no_cell_defines_is_told():
    alone = Kernel()
    try:
        alone.run("setup", SETUP)
        alone.run("answer", f"exec({RIGHT!r})")
        assert "No cell that ran here defines accuracy by its name" in check(alone)
        alone.run("answer", RIGHT)
        assert "Right." in check(alone) and "hand" not in check(alone)
    finally:
        alone.client.stop_channels()
        alone.manager.shutdown_kernel(now=True)
