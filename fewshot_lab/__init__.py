"""Few-Shot Lab: the helper package of a notebook course on data augmentation and few-shot learning.

Importing it is cheap: torch and the libraries behind a name are loaded when the name is first used, and nothing is downloaded.
"""

import importlib

__version__ = "0.1.0"

_HOME_OF = {
    "setup": "course.door",
    "quick_or_full": "runtime",
    "seeds": "runtime",
    "CourseError": "errors",
    "language": "languages",
    "glossary": "languages.glossary",
    "check": "checking",
    "yours_or_ours": "checking",
    "hint": "course.hints",
    "hand_in": "grading.hand_in",
    "record": "evidence",
    "verdict": "evidence",
    "exchange_rate": "evidence",
    "chosen": "evidence",
    "ledger": "evidence",
    "literature_ledger": "evidence",
    "literature_parts": "evidence",
    "price_list": "evidence",
    "course_records": "evidence",
    "exchange_rates": "evidence",
    "my_images": "data.own_images",
    "my_texts": "data.own_texts",
    "my_sentences": "data.own_sentences",
    "enter": "methods.leaderboard",
    "leaderboard": "methods.leaderboard",
    "mean_interval": "training",
    "paired_difference": "training",
    "share_interval": "training",
    "clustered_interval": "training",
    "crossed_difference": "training",
    "crossed_interval": "training",
    "hits_by_picture": "training",
    "progress_bar": "training",
    "sweep": "training",
    "arms": "training",
    "combinations": "training",
    "predict": "widgets",
    "recall": "course.foreseen",
    "makers": "course.foreseen",
    "source": "widgets",
}
_ROOMS = "assets augment checking course data evidence exercises figures".split()
_ROOMS += "languages methods models own runtime training widgets".split()

__all__ = [*_HOME_OF, *_ROOMS]


def __getattr__(name: str):
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOME_OF:
        return getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    raise AttributeError(f"fewshot_lab has no {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
