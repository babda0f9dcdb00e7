"""Trainings shared by two processes, and those on a GPU, end where one process on the CPU ends; sweeps on a Dask cluster give
the rows of this machine.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from launched import CLOSE, EXACT, REFUSED
from places import ROOT
from pretended import is_here, pretend

from fewshot_lab import runtime
from fewshot_lab.errors import CourseError
from fewshot_lab.training import combinations, sweep

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("processes"), pytest.mark.timeout(300)]
SCRIPT = ROOT / "tests" / "support" / "launched.py"
# --cpu starts several processes through MPI only; --multi_gpu does it with torch, and the device is chosen by the environment
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no"]
ACCELERATE += ["--dynamo_backend", "no", "--main_process_port", "0", "--num_processes", "2"]
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
WITH_TORCHRUN = ["few-shot", "MAML", "GAN"]


def run(out: Path, *names: str, launcher=(), device: str = "cpu") -> dict:
    """What the script finds when this launcher starts it; without one in a process alone."""
    package = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    environment |= {"FEWSHOT_LAB_DEVICE": device, "FEWSHOT_LAB_JOBS": "1"}
    environment |= {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    how = ["-m", *launcher] if launcher else []
    command = [sys.executable, *how, str(SCRIPT), str(out), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=out.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("launched")


@pytest.fixture(scope="module")
def alone(folder):
    return run(folder / "1.json")


@pytest.fixture(scope="module")
def together(folder):
    found = run(folder / "2.json", launcher=ACCELERATE)
    assert found["processes"] == 2
    return found


def ends_alike(one: dict, two: dict) -> None:
    """The same weights up to rounding, and every process has them."""
    first, second = torch.tensor(one["weights"]), torch.tensor(two["weights"])
    assert first.std() > 1e-3 and (first - second).abs().max() < 1e-4 * max(1.0, first.abs().max().item())
    assert one["differs"] == 0 and two["differs"] == 0


@pytest.mark.parametrize("name", EXACT)
def test_two_processes_train_the_model_that_one_does(alone, together, name):
    ends_alike(alone[name], together[name])


@pytest.mark.parametrize("name", CLOSE)
def test_with_batch_norm_and_random_views_of_each_process_two_learn_as_well(alone, together, name):
    for key, value in alone[name].items():
        if key == "accuracy":  # two see two episodes a step, and may know more
            assert together[name][key] > value - 0.07, (key, value, together[name][key])
        else:
            assert abs(together[name][key] - value) < 0.15 * abs(value), (key, value, together[name][key])


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_processes_cannot_share_is_said(together, name):
    assert "2 processes" in together[name] or "processes (2)" in together[name]


def test_torchrun_starts_the_same_trainings(alone, folder):
    found = run(folder / "torchrun.json", *WITH_TORCHRUN, launcher=TORCHRUN)
    assert found["processes"] == 2
    for name in WITH_TORCHRUN:
        ends_alike(alone[name], found[name])


# a GPU, a pretended one where there is none


@pytest.fixture(scope="module", params=["cuda", "mps"])
def on_gpu(request, folder):
    return request.param, run(folder / f"{request.param}.json", device=request.param)


def test_on_a_gpu_every_method_trains_the_model_that_it_does_on_the_cpu(alone, on_gpu):
    device, found = on_gpu
    for name in EXACT:
        first, second = torch.tensor(alone[name]["weights"]), torch.tensor(found[name]["weights"])
        margin = 0.05 if is_here(device) else 1e-5  # a real one rounds otherwise in each step
        assert (first - second).abs().max() < margin * max(1.0, first.abs().max().item()), name
    for name in CLOSE:
        for key, value in alone[name].items():
            margin = 0.05 if key == "accuracy" else 0.1 * abs(value)
            assert abs(found[name][key] - value) < margin, (name, key, value, found[name][key])


@pytest.mark.parametrize("kind", [kind for kind in ("cuda", "mps") if not is_here(kind)])
def test_a_pretended_gpu_refuses_what_a_real_one_does(kind):
    with pretend(kind):
        there, here = torch.ones(3, device=kind), torch.ones(3)
        assert there.device.type == kind and here.device.type == "cpu" and there.cpu().device.type == "cpu"
        assert (there[1:] * torch.tensor(2.0)).device.type == kind and there[torch.tensor([0, 2])].device.type == kind
        mixtures = (lambda: there + here, lambda: torch.cat([there, here]), lambda: here[there.long()], lambda: there @ here)
        for mixture in mixtures:
            with pytest.raises(RuntimeError, match="at least two devices"):
                mixture()
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, device=kind, generator=torch.Generator())
        with pytest.raises(TypeError, match="cpu"):
            there.numpy()
        if kind == "mps":
            with pytest.raises(TypeError, match="float64"):
                there.double()
    assert torch.ones(1).device.type == "cpu" and not torch.cuda.is_available() or is_here("cuda")


# sweeps on a cluster


def trained(seed: int) -> dict:
    """A small training, and which process did it in which profile."""
    from fewshot_lab.methods.supervised import fit_classifier

    model = fit_classifier("digits", seed=seed, steps=4, device="cpu")
    return {"weights": sum(p.sum().item() for p in model.parameters()), "process": os.getpid()}


def refuses(seed: int) -> dict:
    raise ZeroDivisionError("no labels")


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as started:
        yield started.scheduler_address


def test_a_sweep_on_a_dask_cluster_gives_the_rows_of_this_machine(cluster, monkeypatch):
    grid = combinations(seed=range(8))
    here = sweep(trained, grid, jobs=1)
    monkeypatch.setenv("FEWSHOT_LAB_DASK", cluster)
    there = sweep(trained, grid)
    assert [row["weights"] for row in there] == [row["weights"] for row in here]
    assert [row["seed"] for row in there] == list(range(8))
    assert {row["process"] for row in here} == {os.getpid()}
    assert len({row["process"] for row in there}) == 2 and os.getpid() not in {row["process"] for row in there}
    assert {row["process"] for row in sweep(trained, grid[:2], jobs=1)} == {os.getpid()}, "given jobs stay here"


def test_a_run_that_fails_on_a_cluster_is_named_by_its_settings(cluster, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_DASK", cluster)
    with pytest.raises(CourseError, match=r"refuses\(seed=3\) failed: ZeroDivisionError: no labels"):
        sweep(refuses, [{"seed": 3}])
    assert sweep(refuses, []) == []


def test_a_cluster_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr(runtime, "SCHEDULER_SECONDS", 0.5)
    monkeypatch.setenv("FEWSHOT_LAB_DASK", "tcp://127.0.0.1:1")
    with pytest.raises(CourseError, match="No Dask scheduler answers at tcp://127.0.0.1:1"):
        sweep(trained, [{"seed": 0}])
