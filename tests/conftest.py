"""What all tests share: threads that wait asleep, since several trainings run at once; no check is noted as a learner's."""

import os
import sys

import pytest
from browser import missing as missing_for_browser
from hypothesis import settings

from fewshot_lab import attempts, cli
from fewshot_lab.course.kernels import common_environment

os.environ.update(common_environment() | attempts.OFF)
os.environ.pop("FEWSHOT_LAB_LANGUAGE", None)  # the tests read English
if "PYTEST_XDIST_WORKER" in os.environ:  # the tests' own workers keep the cores busy
    os.environ.setdefault("FEWSHOT_LAB_JOBS", "1")  # a sweep's would only start slowly
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads would wait for one another: a tenth of the time
settings.register_profile("untimed", deadline=None)  # a test may wait for a core
settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="every run of a chapter in quick, all mutants, 20 seeds")
    parser.addoption("--submissions", type=int, default=0, help="how many a pile of tests/grading/test_pile.py has")


def pytest_collection_modifyitems(items):
    for marker, missing in (("browser", missing_for_browser), ("gpu", _missing_gpu)):
        marked = [item for item in items if marker in item.keywords]
        if marked and (reason := missing()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))
    if "PYTEST_XDIST_WORKER" in os.environ:  # what is long comes first, so that the workers end together
        items.sort(key=lambda item: "slow" not in item.keywords)


def _missing_gpu() -> str:
    import torch

    return "" if torch.cuda.is_available() else "needs a GPU"


@pytest.fixture
def command(monkeypatch, capsys):
    """Calls `fewshot-lab` with these words in this process, which must end without an error; returns what it printed."""

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["fewshot-lab", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert not ended.value.code, said
        return said.out

    return call


@pytest.fixture
def every_control_answers():
    """What must hold for any explorer: labels, an answer to every control, the way back, a live view and a still with text."""

    def check(shown) -> None:
        for key, control in shown.controls.items():
            assert control.description and control.tooltip
            if shown.view != "page" or control.kind in ("file", "text"):
                continue  # the page itself draws it, or a person types: tests/browser does
            before, old, seen = shown.html, control.value, set()
            for value in control.options if hasattr(control, "options") else (control.min, control.max):
                control.value = value
                seen.add(shown.html)
            assert len(seen) > 1, f"{key} changes nothing"
            assert "role='alert'" not in "".join(seen)
            control.value = old
            assert shown.html == before
        still, caption, beside, live = shown.outputs()
        assert live[0]["application/vnd.jupyter.widget-view+json"]["model_id"] and still[0]["image/png"]
        assert still[1]["image/png"]["alt"] and caption[0]["text/markdown"] and shown._still_id in beside[0]["text/html"]
        assert ("data-explorer" in beside[0]["text/html"]) == bool(shown.stored)

    return check
