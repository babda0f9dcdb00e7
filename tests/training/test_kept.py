"""What a sweep found is kept for a second execution of the same notebook, and for no other."""

import itertools
import os
import subprocess
import sys

import pytest

from fewshot_lab import CourseError
from fewshot_lab.languages import speaking
from fewshot_lab.training import kept as keeping
from fewshot_lab.training import sweep


@pytest.fixture
def new_kernel(tmp_path, monkeypatch):
    """Counts calls from 1 again, as a kernel does that starts with the same folder."""
    monkeypatch.setenv(keeping.FOLDER, str(tmp_path))
    return lambda: monkeypatch.setattr(keeping, "_calls", itertools.count(1))


def test_an_execution_in_another_language_trains_nothing_and_finds_the_same(new_kernel):
    trained = []

    def train(seed):
        trained.append(seed)
        return {"accuracy": seed / 10}

    for edition in ("en", "zh"):
        new_kernel()
        with speaking(edition):
            assert sweep(train, [{"seed": 1}, {"seed": 2}], jobs=1)[1] == {"seed": 2, "accuracy": 0.2}
            assert sweep(train, [{"seed": 3}], jobs=1) == [{"seed": 3, "accuracy": 0.3}]
    assert trained == [1, 2, 3]


def test_a_sweep_has_one_name_in_every_process_whatever_the_order_of_sets_and_the_addresses():
    grid = "[{'stages': frozenset('abcdefgh'), 'function': print, 'object': object()}]"
    words = f"from fewshot_lab.training.sweep import _call; print(_call(max, {grid}))"
    names = {
        subprocess.run(
            [sys.executable, "-c", words], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(names) == 1 and "sweep of 1 x max" in names.pop()


def test_what_another_notebook_kept_is_refused(new_kernel):
    new_kernel()
    sweep(lambda seed: {"seen": seed}, [{"seed": 1}], jobs=1)
    new_kernel()
    with pytest.raises(CourseError, match="belongs to another notebook"):
        sweep(lambda seed: {"seen": seed}, [{"seed": 1}, {"seed": 2}], jobs=1)


def test_without_the_folder_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv(keeping.FOLDER, raising=False)
    monkeypatch.chdir(tmp_path)
    assert sweep(lambda seed: {"seen": seed}, [{"seed": 1}], jobs=1) == [{"seed": 1, "seen": 1}]
    assert not list(tmp_path.iterdir())
