"""Chapter 10: how MiniLM is fine-tuned as a tagger, how much the two augmentations change, and how a newspaper is tagged.

The made validation sentences have templates and names that neither training nor test has; the newspaper's are of other days.
"""

from ...evidence import chosen
from ...methods.tagging import fit_tagger
from . import choice

SEEDS = range(500, 503)
TESTED = 141  # validation sentences: three of each template
DATA = "made validation sentences"
WORTH_TWICE_THE_TIME = 0.02  # a smaller gain does not pay for twice as many steps
FEW = {10: 8, 50: 16}  # sentences, and how many of them a batch has
SHARES = [0.3, 0.1, 0.6]  # the usual one first; with 0.1 four of five copies of a sentence keep all their names

NEWS = "the newspaper's validation sentences"
NEWS_TESTED, NEWS_BATCH = 200, 8  # the chapter's batch: its sentences are twice as long as the made ones

OPTIONS = {"measure": "entity_f1", "seeds": SEEDS}


def _fit(count: int, seed: int, **settings) -> dict:
    return fit_tagger(count=count, seed=seed, validation=True, **{"test_count": TESTED} | settings)


@choice(
    "tagger-layers",
    [
        {"layers": 4, "frozen_layers": 2, "learning_rate": 8e-4},
        {"layers": 4, "frozen_layers": 1, "learning_rate": 8e-4},
        {"layers": 6, "frozen_layers": 3, "learning_rate": 5e-4},
        {"layers": 6, "frozen_layers": 0, "learning_rate": 3e-4},
    ],
    data=f"{DATA}, after 60 steps on 50 sentences",
    **OPTIONS,
)
def tagger_layers(candidate, seed):
    """Which layers of MiniLM a tagger uses and which of them keep their weights"""
    return _fit(50, seed, steps=60, **candidate)


@choice("tagger-rate", [8e-4, 4e-4, 1.6e-3], data=f"{DATA}, after 60 steps on 50 sentences", **OPTIONS)
def tagger_rate(candidate, seed):
    """The largest learning rate of a tagger"""
    return _fit(50, seed, steps=60, **chosen("tagger-layers") | {"learning_rate": candidate})


def model() -> dict:
    """The settings of every tagger, by what was chosen."""
    return chosen("tagger-layers") | {"learning_rate": chosen("tagger-rate")}


@choice("tagger-epochs", [4, 8], data=f"{DATA}, 400 sentences", margin=WORTH_TWICE_THE_TIME, **OPTIONS)
def tagger_epochs(candidate, seed):
    """How often a tagger that has many sentences sees each of them"""
    return _fit(400, seed, steps=candidate * 400 // 16, **model())


# The arm that has more to learn decides; the others get as many steps.
def steps(candidate, seed, count):
    """How many steps a tagger is trained that has few sentences and mentions replaced with probability 0.3"""
    return _fit(count, seed, steps=candidate, batch_size=FEW[count], augmentation="mentions", share=0.3, **model())


for _count, _candidates in ((10, [20, 40, 80]), (50, [30, 60, 120])):
    choice(
        f"tagger-steps-{_count}",
        _candidates,
        data=f"{DATA}, {_count} sentences",
        margin=WORTH_TWICE_THE_TIME,
        count=_count,
        **OPTIONS,
    )(steps)


def share(candidate, seed, augmentation):
    """The probability with which a word or a mention is replaced"""
    return _fit(50, seed, steps=chosen("tagger-steps-50"), augmentation=augmentation, share=candidate, **model())


for _augmentation in ("tokens", "mentions"):
    choice(f"replaced-{_augmentation}", SHARES, data=f"{DATA}, 50 sentences", augmentation=_augmentation, **OPTIONS)(share)


# The newspaper and its encoder, which reads characters. The head alone comes first: it costs next to nothing.


@choice(
    "news-layers",
    [
        {"layers": 6, "frozen_layers": 6, "learning_rate": 1e-2},
        {"layers": 8, "frozen_layers": 8, "learning_rate": 1e-2},
        {"layers": 6, "frozen_layers": 5, "learning_rate": 1e-3},
        {"layers": 8, "frozen_layers": 7, "learning_rate": 1e-3},
        {"layers": 6, "frozen_layers": 4, "learning_rate": 5e-4},
    ],
    data=f"{NEWS}, after 60 steps of {NEWS_BATCH} on 50 sentences",
    margin=WORTH_TWICE_THE_TIME,
    **OPTIONS,
)
def news_layers(candidate, seed):
    """Which layers of the multilingual encoder a tagger uses and which of them keep their weights"""
    settings = {"corpus": "daily", "encoder": "me5-characters", "batch_size": NEWS_BATCH, "test_count": NEWS_TESTED}
    return _fit(50, seed, steps=60, **settings, **candidate)
