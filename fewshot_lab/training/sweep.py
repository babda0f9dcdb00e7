"""The same training with many settings, on all cores or a cluster, with one progress bar and results that do not depend on the
cores.
"""

import itertools
import os
from collections.abc import Callable, Sequence

from .. import runtime
from ..errors import CourseError
from ..languages import later
from .progress import progress_bar


def combinations(**choices: Sequence) -> list[dict]:
    """Every combination of the given choices as keyword arguments: combinations(k=[1, 5], seed=[0, 1]) makes four."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def sweep(
    function: Callable[..., dict],
    grid: Sequence[dict],
    *,
    jobs: int | None = None,
    description: str = later("trainings"),
) -> list[dict]:
    """Runs function(**settings) for every settings in `grid` and returns rows {**settings, **result} in the grid's
    order.

    `function` returns a dict and draws all its randomness from a seed in its settings; each run computes on one thread,
    so the rows are the same whatever `jobs` is. `jobs` is the number of worker processes (None: FEWSHOT_LAB_JOBS, else
    the usable cores, or 1 when a GPU does the work); they start in a few seconds and serve the next sweeps too. Load data
    inside `function` (a worker keeps what it loaded) instead of passing large tensors, which are copied for each run.
    With FEWSHOT_LAB_DASK=tcp://... and no `jobs` the workers of that Dask cluster do the work. Under `accelerate launch`
    the trainings run one after another, each shared by all processes. Raises CourseError that names the settings of a run
    that failed.
    """
    grid = list(grid)
    cluster = os.environ.get("FEWSHOT_LAB_DASK", "") if jobs is None else ""
    if jobs is None:
        jobs = runtime.sweep_jobs() if _device() == "cpu" else 1
    if jobs < 1:
        raise ValueError(f"A sweep needs at least one job, but jobs={jobs} was given.")
    jobs = min(jobs, len(grid))
    alone = runtime.world_size() > 1 or not (grid and cluster) and jobs <= 1
    with progress_bar(len(grid), description) as bar:
        results: list[dict] = [{}] * len(grid)
        done = _in_this_process(function, grid) if alone else _in_workers(function, grid, jobs, cluster)
        for i, result in done:
            results[i] = result
            bar.update()
    return [{**settings, **result} for settings, result in zip(grid, results, strict=True)]


def _in_this_process(function: Callable[..., dict], grid: list[dict]):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for i, settings in enumerate(grid):
            yield i, _run(function, settings)
    finally:
        torch.set_num_threads(threads)


def _in_workers(function: Callable[..., dict], grid: list[dict], jobs: int, cluster: str):
    import joblib

    setting = runtime.current()
    with runtime.workers(jobs, cluster, threads=1):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None)
        yield from parallel(joblib.delayed(_run_in_worker)(setting, function, i, kwargs) for i, kwargs in enumerate(grid))


def _run_in_worker(setting: runtime.Setting, function: Callable[..., dict], i: int, settings: dict) -> tuple[int, dict]:
    import torch

    with runtime.one_at_a_time:
        torch.set_num_threads(1)
        runtime._current = setting
        return i, _run(function, settings)


def _run(function: Callable[..., dict], settings: dict) -> dict:
    name = getattr(function, "__name__", "the function")
    call = f"{name}({', '.join(f'{key}={_short(value)}' for key, value in settings.items())})"
    try:
        result = function(**settings)
    except Exception as error:
        raise CourseError(f"{call} failed: {type(error).__name__}: {error}") from error
    if not isinstance(result, dict):
        raise CourseError(f"{call} returned {type(result).__name__}; a sweep needs a dict such as {{'accuracy': 0.9}}.")
    return result


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _device() -> str:
    setting = runtime.current()
    return runtime.choose_device(setting.device if setting.chapter else "auto")
