"""The same training with many settings, on all cores or on a cluster; the results do not depend on which."""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Sequence

from .. import runtime
from ..errors import CourseError
from ..languages import later, say
from .kept import kept
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
    """Runs function(**settings) for all settings in a grid; returns rows {**settings, **result} in the grid's order.

    Each run computes on one thread, so the rows are the same however many workers there are. Under `accelerate launch` the runs
    take place one after another, each shared by all processes.

    Args:
        function: returns a dict and draws all its randomness from a seed in its settings. Let it load its data itself, which a
            worker then keeps: large tensors in the settings are copied for every run.
        grid: the settings, such as `combinations` makes them.
        jobs: worker processes; they start in a few seconds and serve the next sweeps too. None takes the workers of the Dask
            cluster in FEWSHOT_LAB_DASK (tcp://...), else as many as FEWSHOT_LAB_JOBS says, else one per core, or one on a GPU.
        description: what the progress bar counts.

    Raises CourseError that names the settings of a run that failed, ValueError for jobs < 1.
    """
    grid = list(grid)
    cluster = os.environ.get("FEWSHOT_LAB_DASK", "") if jobs is None else ""
    if jobs is None:
        jobs = runtime.sweep_jobs() if _device() == "cpu" else 1
    if jobs < 1:
        raise ValueError(f"A sweep needs at least one job, but jobs={jobs} was given.")
    jobs = min(jobs, len(grid))
    results = kept(_call(function, grid), lambda: _results(function, grid, jobs, cluster, description))
    return [{**settings, **result} for settings, result in zip(grid, results, strict=True)]


def _call(function: Callable[..., dict], grid: list[dict]) -> str:
    """What a sweep computes, for `kept`: the function's name, the settings, the profile and the device."""
    found = hashlib.sha256(f"{_written(grid)} {runtime.current()!r}".encode()).hexdigest()[:16]
    return f"sweep of {len(grid)} x {getattr(function, '__name__', 'the function')} ({found})"


def _written(value) -> str:
    """A value in words that are the same in each process, where addresses and the order of sets differ."""
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(_written, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_written(key)}: {_written(one)}' for key, one in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _results(function: Callable[..., dict], grid: list[dict], jobs: int, cluster: str, description: str) -> list[dict]:
    # Under `accelerate launch` every process is at this line. Workers would each start a training of their own; here all
    # processes go through the grid together.
    alone = runtime.world_size() > 1 or not (grid and cluster) and (jobs <= 1 or not runtime.can_start_workers())
    with progress_bar(len(grid), description) as bar:
        results: list[dict] = [{}] * len(grid)
        done = _in_this_process(function, grid) if alone else _in_workers(function, grid, jobs, cluster)
        for i, result in done:  # in the order in which they end, for the bar's sake
            results[i] = result
            bar.update()
    return results


def _in_this_process(function: Callable[..., dict], grid: list[dict]):
    import torch

    # One thread here as in a worker: sums are split among threads, and split otherwise they round otherwise.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for i, settings in enumerate(grid):
            yield i, _run(function, settings)
    finally:
        torch.set_num_threads(threads)


def _in_workers(function: Callable[..., dict], grid: list[dict], jobs: int, cluster: str):
    import joblib

    # What lab.setup set (profile, seed, device) lives in this process and must go along to the others.
    setting = runtime.current()
    with runtime.workers(jobs, cluster, threads=1):
        # A training lasts seconds, so each is handed out alone. joblib would pass large arrays as read-only memory maps, which
        # torch must not write to; max_nbytes=None makes it copy them.
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None)
        # The longest first: one that began last would keep the others waiting for its end.
        order = sorted(range(len(grid)), key=lambda i: grid[i].get("steps") or 0, reverse=True)
        yield from parallel(joblib.delayed(_run_in_worker)(setting, function, i, grid[i]) for i in order)


def _run_in_worker(setting: runtime.Setting, function: Callable[..., dict], i: int, settings: dict) -> tuple[int, dict]:
    import torch

    with runtime.process_state:
        torch.set_num_threads(1)
        runtime._current = setting
        return i, _run(function, settings)


def _run(function: Callable[..., dict], settings: dict) -> dict:
    name = getattr(function, "__name__", "the function")
    call = f"{name}({', '.join(f'{key}={_short(value)}' for key, value in settings.items())})"
    try:
        result = function(**settings)
    except Exception as error:
        raise CourseError(say("{call} failed: {kind}: {error}", call=call, kind=type(error).__name__, error=error)) from error
    if not isinstance(result, dict):
        raise CourseError(
            say(
                "{call} returned {kind}; a sweep needs a dict such as {{'accuracy': 0.9}}.",
                call=call,
                kind=type(result).__name__,
            )
        )
    return result


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _device() -> str:
    # What lab.setup set (profile, seed, device) lives in this process and must go along to the others.
    setting = runtime.current()
    return runtime.choose_device(setting.device if setting.chapter else "auto")
