"""Chapter 05: how encoders are trained and what reads them, on an alphabet that neither training nor test shows."""

import functools
import time

import torch

from ... import data
from ...data.episodes import draw_episodes, glyph_pool
from ...evidence import chosen
from ...methods import across_artists, few_shot, maml, model_size, prototypes
from . import choice

CYRILLIC = "the Cyrillic letters, which neither a training nor a test shows; hard jitter"
SEEDS = range(500, 503)
STEPS, LONG = 150, 1000  # of an encoder: a few more than in the quick profile; as many as in the full one
META = 20  # of a meta-training


@functools.cache
def _letters(jitter: str, seed: int):
    return glyph_pool("validation", jitter=jitter, versions=4, seed=seed)


@functools.cache
def _encoder(method: str, seed: int, steps: int = STEPS):
    fitted = few_shot.fit(method, steps=steps, seed=seed, **chosen(f"encoder-{method}"))
    return few_shot.encoder_of(fitted["weights"])


@functools.cache
def _features(method: str, seed: int):
    return prototypes.embed(_encoder(method, seed), _letters("hard", seed))


def _accuracy(features, seed, rule=prototypes.prototype_rule, shots=(1,)) -> float:
    scores = [
        few_shot.score(_letters("hard", seed), features, rule, shots=k, seed=seed, episodes=600)["test_accuracy"] for k in shots
    ]
    return sum(scores) / len(scores)


def training(candidate, seed, method):
    """How the encoder is trained, on 120 pictures a step"""
    began = time.process_time()
    fitted = few_shot.fit(method, steps=STEPS, seed=seed, **candidate)
    seconds = time.process_time() - began
    features = prototypes.embed(few_shot.encoder_of(fitted["weights"]), _letters("hard", seed))
    score = _accuracy(features, seed, few_shot.RULES.get(method, prototypes.prototype_rule))
    return {"validation_accuracy": score, "seconds": seconds, "at_rest": fitted["at_rest"]}


# Every method has four candidates, so that none wins because it was tuned more. An episode of 60 classes holds one query of
# each, so that all have 120 pictures.
_BY_EPISODES = [
    {"way": 60, "queries": 1, "learning_rate": 0.01},
    {"way": 60, "queries": 1, "learning_rate": 0.02},
    {"way": 30, "queries": 3, "learning_rate": 0.01},
    {"way": 20, "queries": 5, "learning_rate": 0.01},
]
_BY_CLASSES = [{"learning_rate": rate} for rate in (0.01, 0.005, 0.02, 0.04)]
for _method, _candidates in (("prototypes", _BY_EPISODES), ("matching", _BY_EPISODES), ("classes", _BY_CLASSES)):
    choice(f"encoder-{_method}", _candidates, data=f"{CYRILLIC}, 1 shot", seeds=SEEDS, method=_method)(training)


@choice("soft-k-means-rounds", [1, 3, 10], data=f"{CYRILLIC}, 1 shot", seeds=SEEDS)
def soft_k_means_rounds(candidate, seed):
    """How often soft k-means moves the prototypes"""
    rule = functools.partial(prototypes.soft_k_means_rule, rounds=candidate)
    return {"validation_accuracy": _accuracy(_features("prototypes", seed), seed, rule)}


@choice("linear-head-decay", [0.001, 0.01, 0.1], data=f"{CYRILLIC}, 1 and 5 shots", seeds=SEEDS)
def linear_head_decay(candidate, seed):
    """The weight decay of the linear head"""
    rule = functools.partial(prototypes.linear_rule, decay=candidate)
    return {"validation_accuracy": _accuracy(_features("classes", seed), seed, rule, shots=(1, 5))}


_SIZES = (
    ([0.01, 0.1], [0.01, 0.03], [0.003, 0.1], [0.003, 0.3], [0.001, 0.1]),
    # A logit's step is as long as the step size times the features' squared length, and features grow with training.
    ([0.001, 0.01], [0.001, 0.003], [0.001, 0.001], [0.001, 0.0003], [0.0003, 0.001]),
)
_INNER = [{"inner_steps": 1, "alpha": [0.01, 0.1]}] + [
    {"inner_steps": steps, "alpha": alpha} for sizes in _SIZES for steps in (2, 4) for alpha in sizes
]
_OUTER = [0.001, 0.0003, 0.0001, 0.00003, 0.00001]
_SHORT_START = {"data": "the Cyrillic letters, mild jitter, 1 shot", "seeds": SEEDS}
# What suits an encoder after a short training made the start of the full profile's meta-training a poor one.
_LONG_START = _SHORT_START | {"data": f"{_SHORT_START['data']}; encoders after {LONG:,} steps", "after": LONG}


def _adapted(learner, steps: int, seed: int) -> float:
    pool = _letters("mild", seed)
    drawn = draw_episodes(pool, 100, way=5, shots=1, queries=5, seed=seed)
    return maml.maml_accuracies(learner, pool, drawn, steps=steps).mean().item()


@choice("inner-loop-long", _INNER, **_LONG_START)
@choice("inner-loop", _INNER, **_SHORT_START)
def inner_loop(candidate, seed, after=STEPS):
    """How many steps the inner loop takes from a classifier's encoder, and of which sizes (encoder, head)"""
    learner = maml.Learner(_encoder("classes", seed, after), 5, alpha=candidate["alpha"])
    return {"validation_accuracy": _adapted(learner, candidate["inner_steps"], seed)}


def _meta_trained(candidate: float, seed: int, after: int = STEPS, **options) -> dict:
    inner = chosen("inner-loop-long" if after == LONG else "inner-loop")
    start = _encoder("classes", seed, after).state_dict()
    fitted = few_shot.meta_train(start, steps=META, seed=seed, learning_rate=candidate, **inner, **options)
    return {"validation_accuracy": _adapted(few_shot.learner_of(fitted["weights"]), inner["inner_steps"], seed)}


@choice("outer-rate-long", _OUTER, **_LONG_START)
@choice("outer-rate", _OUTER, **_SHORT_START)
def outer_rate(candidate, seed, after=STEPS):
    """The learning rate of MAML's outer loop"""
    return _meta_trained(candidate, seed, after)


@choice("outer-rate-first-order-long", _OUTER, **_LONG_START)
@choice("outer-rate-first-order", _OUTER, **_SHORT_START)
def outer_rate_first_order(candidate, seed, after=STEPS):
    """The learning rate of the outer loop of first-order MAML"""
    return _meta_trained(candidate, seed, after, first_order=True)


@choice("draw-features", ["pixels", "prototypes"], data="the validation parts of digits and fashion, 1 shot", seeds=SEEDS)
def draw_features(candidate, seed):
    """What class means are computed from on other data than letters: pixels, or the features of the encoder of letters"""
    embed = {"pixels": torch.nn.Flatten(), "prototypes": _encoder("prototypes", seed)}[candidate]
    tasks = [data.load(name).capped().on_validation() for name in ("digits", "fashion")]
    scores = [few_shot.accuracies_on(task, embed, shots=[1], draws=20, seed=seed).mean().item() for task in tasks]
    return {"validation_accuracy": sum(scores) / len(scores)}


def size_rate(candidate, seed, network):
    """The learning rate of the network, on three data sets together"""
    size = model_size.SIZES[network]
    rows = [
        model_size.fit_size(name, shots=5, seed=seed, learning_rate=candidate, **size)
        for name in ("glyphs", "digits", "fashion")
    ]
    total = {name: sum(row[name] for row in rows) for name in ("validation_accuracy", "seconds", "at_rest")}
    return total | {name: total[name] / len(rows) for name in ("validation_accuracy", "at_rest")}


for _network in model_size.SIZES:
    choice(
        f"rate-{_network}",
        [0.01, 0.003, 0.001, 0.03, 0.1],
        data="the validation parts of glyphs, digits and fashion, 5 labels per class",
        seeds=SEEDS[:2],
        network=_network,
    )(size_rate)


# Four candidates for each kind of features. A side of 8 pixels blurs what artists draw differently; 128 of Lite0's are slow.
_PIXELS = [{"side": side, "head": head} for side, head in ((32, "plain"), (32, "centred"), (16, "centred"), (8, "centred"))]
_LITE0 = [{"side": side, "head": head} for side, head in ((96, "length"), (96, "centred"), (128, "length"), (128, "centred"))]


def emoji_features(candidate, seed, kind):
    """The side in pixels of emoji, and what is done to their features"""
    pool = across_artists.some_emoji("validation", count=100, seed=seed, moved=False)
    values = across_artists.features(kind, pool.images, **candidate)
    rows = across_artists.across(pool, values, way=5, shots=1, seed=seed, episodes=600)
    return {"validation_accuracy": sum(row["test_accuracy"] for row in rows) / len(rows)}


for _kind, _candidates in (("pixels", _PIXELS), ("lite0", _LITE0)):
    choice(
        f"emoji-{_kind}",
        _candidates,
        data="100 of the validation emoji, support by one artist, queries by another, 5-way 1-shot",
        seeds=SEEDS,
        kind=_kind,
    )(emoji_features)
