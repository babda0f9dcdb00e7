"""Training: one loop, sweeps over settings, the arms of experiments, progress bars and metrics with 95 % intervals."""

from .arms import Arms, arms
from .metrics import (
    Estimate,
    accuracy,
    bootstrap_interval,
    clustered_interval,
    crossed_difference,
    crossed_interval,
    hits_by_picture,
    mean_interval,
    paired_difference,
    share_interval,
)
from .progress import progress_bar
from .sweep import combinations, sweep

# Loaded when they are first used: torch takes seconds, and estimates and figures need none.
_NEEDS_TORCH = {
    "Augment": "loop",
    "Batches": "batches",
    "History": "loop",
    "Loss": "loop",
    "cross_entropy": "loop",
    "eval_mode": "inference",
    "outputs": "inference",
    "train": "loop",
}

__all__ = [
    "Arms",
    "Augment",
    "Batches",
    "Estimate",
    "History",
    "Loss",
    "accuracy",
    "arms",
    "bootstrap_interval",
    "clustered_interval",
    "combinations",
    "cross_entropy",
    "crossed_difference",
    "crossed_interval",
    "eval_mode",
    "hits_by_picture",
    "mean_interval",
    "outputs",
    "paired_difference",
    "progress_bar",
    "share_interval",
    "sweep",
    "train",
]


def __getattr__(name: str):
    if name in _NEEDS_TORCH:
        import importlib

        return getattr(importlib.import_module(f".{_NEEDS_TORCH[name]}", __name__), name)
    raise AttributeError(f"fewshot_lab.training has no {name!r}; it offers {', '.join(__all__)}")
