"""Rows of `make bench` for chapter 03: swaps and deletions against nlpaug, back-translation in one call against many."""

import random
import sys
import types
from importlib.metadata import version

from measure import row, seconds


def gloss_texts(count: int) -> list[str]:
    from fewshot_lab.data import glosses

    return list(glosses.task().train_texts[:count])


def swaps() -> dict:
    """Random swaps and deletions, which need no dictionary on either side."""
    sys.modules.setdefault("gdown", types.ModuleType("gdown"))  # nlpaug imports it to download models, which this does not
    from nlpaug.augmenter.word import RandomWordAug

    from fewshot_lab.augment.text import edit_text

    texts, generator = gloss_texts(500), random.Random(0)
    peers = [RandomWordAug(action=action, aug_p=0.1) for action in ("swap", "delete")]

    def ours() -> float:
        work = [(text, name) for text in texts for name in ("swap", "deletion")]
        return len(work) / seconds(lambda: [edit_text(text, name, 0.1, {}, generator) for text, name in work])

    def theirs() -> float:
        return 2 * len(texts) / seconds(lambda: [peer.augment(text) for text in texts for peer in peers])

    return row("random swap and deletion, 500 glosses", f"nlpaug {version('nlpaug')}", "texts/s", ours, theirs)


def round_trips() -> dict:
    from fewshot_lab.augment.back_translation import back_translated, translator

    texts = gloss_texts(200)
    if not translator():
        raise RuntimeError("Apertium is not installed: apt-get install apertium-eng-spa")

    def one_by_one() -> float:
        some = texts[:4]
        return len(some) / seconds(lambda: [back_translated([text]) for text in some])

    def together() -> float:
        return len(texts) / seconds(lambda: back_translated(texts))

    return row("back-translation, one call for 200 glosses", "a call for each", "texts/s", together, one_by_one)


ROWS = {"text edits": swaps, "back-translation": round_trips}
