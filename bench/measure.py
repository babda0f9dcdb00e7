"""How a row of `make bench` is measured: ours and the peer's by turns, in one process, with medians and a spread."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

SECONDS_A_ROW, LEAST_ROUNDS = 8.0, 5


def by_turns(
    ours: Callable[[], float], peer: Callable[[], float], rounds: int = 0, lasting: float = SECONDS_A_ROW
) -> tuple[list[float], list[float]]:
    """Calls both in turn, once to warm up and then for `lasting` seconds; each returns what it measured.

    rounds: exactly so many and none to warm up, for what takes a minute.
    """
    if not rounds:
        ours(), peer()
    measured, began = ([], []), time.perf_counter()
    while len(measured[0]) < (rounds or LEAST_ROUNDS) or not rounds and time.perf_counter() - began < lasting:
        sides = [(measured[0], ours), (measured[1], peer)]
        for values, side in sides if len(measured[0]) % 2 else reversed(sides):
            values.append(side())
    return measured


def row(name: str, peer_name: str, unit: str, ours: Callable[[], float], peer: Callable[[], float], **how_long: float) -> dict:
    """One row; in units of time less is better, in all others more. `how_long`: `rounds` or `lasting`, as in by_turns."""
    first, second = by_turns(ours, peer, **how_long)
    less_is_better = unit in ("s", "ms")
    ratios = [b / a if less_is_better else a / b for a, b in zip(first, second, strict=True)]
    return {
        "name": name,
        "ours": statistics.median(first),
        "peer": statistics.median(second),
        "peer_version": peer_name,
        "unit": unit,
        "ratio": statistics.median(ratios),
        "spread": np.quantile(ratios, [0.1, 0.9]).tolist(),
        "rounds": len(ratios),
    }


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def one_thread(measure: Callable[[], dict]) -> dict:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure()
    finally:
        torch.set_num_threads(threads)
