"""Rows of `make bench` for chapter 03: EDA against textaugment's, and back-translation in one call against a call a text."""

import random

from measure import row, seconds


def gloss_texts(count: int) -> list[str]:
    from fewshot_lab.data import glosses

    return list(glosses.task().train_texts[:count])


def swaps() -> dict:
    """Random swaps and deletions, which need no dictionary on either side."""
    from importlib.metadata import version

    from textaugment import EDA

    from fewshot_lab.augment.text import changed

    texts, generator, peer = gloss_texts(500), random.Random(0), EDA.__new__(EDA)

    def ours() -> float:
        return (
            2
            * len(texts)
            / seconds(lambda: [changed(text, name, 0.1, {}, generator) for text in texts for name in ("swap", "deletion")])
        )

    def theirs() -> float:
        return (
            2
            * len(texts)
            / seconds(lambda: [(peer.random_swap(text, n=1), peer.random_deletion(text, p=0.1)) for text in texts])
        )

    return row("random swap and deletion, 500 glosses", f"textaugment {version('textaugment')}", "texts/s", ours, theirs)


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
