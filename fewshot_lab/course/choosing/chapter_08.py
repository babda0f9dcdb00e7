"""Chapter 08: evaluators, how strong copies are that compete with a GAN, its game, the alarm; a flow's steps and guidance."""

import functools
import time

from ...evidence import chosen
from ...methods import generation, generation_quality
from ...methods.flow_matching import fit_flow
from ...methods.generated_instances import augmented_set, fit_classifier, fit_generated_set, generated_set
from . import choice

DATASETS = ("digits", "glyphs", "fashion")
PER_CLASS = 60  # images made of each class
SHOTS, STEPS = 5, 150  # of the classifiers
FEW_GAMES = [["R1", 500], ["hinge, R1", 500], ["spectral", 500], ["R1", 1500]]  # tried where a GAN has few labels
FEW_STEPS = 500  # of the GANs that were chosen from them
GAME_STEPS = 600  # where all of the generator's half is learned from
WORTH_THRICE_THE_TIME = 0.02  # a smaller gain does not pay for three times as many steps


def _labels(dataset: str) -> str:
    return f"the validation part of {dataset}, {SHOTS} labels per class, {STEPS} steps"


def evaluator_strength(candidate, seed, dataset):
    """The strength of the policy affine with which an evaluator is trained"""
    return generation_quality.fit_evaluator(dataset, seed=seed, steps=300, strength=candidate)


def copies_strength(candidate, seed, dataset):
    """The strength of the policy affine that makes the copies, 60 per class"""
    options = {"shots": SHOTS, "seed": seed, "per_class": PER_CLASS, "policy": "affine", "strength": candidate}
    copies = augmented_set(dataset, **options)
    return fit_classifier(dataset, shots=SHOTS, seed=seed, steps=STEPS, generated=copies)


def pool_steps(candidate, seed, dataset):
    """The steps of the classifiers with made images: the fewest after which those on the copies come to rest"""
    options = {"shots": SHOTS, "seed": seed, "per_class": PER_CLASS, "policy": "affine"}
    copies = augmented_set(dataset, strength=chosen(f"copies-strength-{dataset}"), **options)
    return fit_classifier(dataset, shots=SHOTS, seed=seed, steps=candidate, generated=copies)


def gan_of_few(candidate, seed, dataset):
    """The game of a GAN that learns from 5 labels per class, and its steps"""
    name, steps = candidate
    began = time.perf_counter()
    options = {"shots": SHOTS, "seed": seed, "per_class": PER_CLASS, "steps": steps, **generation.GAMES[name]}
    generated = fit_generated_set(dataset, kind="gan", **options)["generated"]
    row = fit_classifier(dataset, shots=SHOTS, seed=seed, steps=STEPS, generated=generated)
    return row | {"seconds": time.perf_counter() - began}


for _dataset in DATASETS:
    choice(
        f"evaluator-strength-{_dataset}",
        [0.1, 0.25, 0.5],
        data=f"the validation part of {_dataset}; trained on the evaluators' half",
        seeds=range(500, 503),
        dataset=_dataset,
    )(evaluator_strength)
    choice(f"copies-strength-{_dataset}", [0.1, 0.25, 0.5, 0.75], data=_labels(_dataset), dataset=_dataset)(copies_strength)
    choice(
        f"pool-steps-{_dataset}",
        [100, 200, 250, 300] if _dataset == "glyphs" else [100, 200, 300],  # a step of the glyphs' takes the longest
        data=f"training losses on {_dataset}, 5 labels per class",
        measure="at_rest",
        margin=0.0,
        dataset=_dataset,
    )(pool_steps)
    choice(
        f"gan-{_dataset}",
        FEW_GAMES,
        data=_labels(_dataset) + ", half of each batch generated",
        seeds=range(500, 503),
        margin=WORTH_THRICE_THE_TIME,
        dataset=_dataset,
    )(gan_of_few)


@functools.cache
def _evaluator(seed: int):
    """The evaluator of the digits with which this seed's generators are compared."""
    return generation_quality.fit_evaluator("digits", seed=seed, steps=150, strength=0.25)["evaluator"]


@functools.cache
def _drawn(seed: int, name: str, steps: int) -> tuple[dict, float]:
    """What an evaluator says of a game on the digits, measured on the validation images, and the seconds of both."""
    began = time.perf_counter()
    _, task = generation.halves("digits")
    evaluator = _evaluator(seed)
    G = generation.fit_gan("digits", seed=seed, steps=steps, **generation.GAMES[name])["generator"]
    row = generation_quality.quality(evaluator, *generation.sample(G, PER_CLASS, seed=seed), task.on_validation())
    return row, time.perf_counter() - began


@choice("gan-game", list(generation.GAMES), data="the validation part of digits", measure="f_score")
def gan_game(candidate, seed):
    """The game of a GAN that learns from the generator's half, by the harmonic mean of its precision and recall"""
    row, seconds = _drawn(seed, candidate, GAME_STEPS)
    both = row["precision"], row["recall"]
    return {"f_score": 2 * both[0] * both[1] / max(sum(both), 1e-9), "seconds": seconds}


@choice(
    "alarm",
    [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
    data="the digits' training images; 100 classes that 10 healthy GANs drew",
    measure="share_of_silent_classes",
    seeds=range(500, 510),
)
def alarm(candidate, seed):
    """The spread below which the alarm rings: the highest at which at most 1 in 100 classes of healthy GANs rings"""
    row, seconds = _drawn(seed, chosen("gan-game"), GAME_STEPS)
    return {"share_of_silent_classes": (row["spreads"] >= candidate).double().mean().item(), "seconds": seconds}


@choice(
    "planted-rate",
    [1e-3, 3e-4, 1e-4],
    data="the digits' training images, games of 150, 600 and 2,400 steps",
    measure="share_of_ringing_classes",
    seeds=range(500, 503),
)
def planted_rate(candidate, seed):
    """The discriminator's learning rate in the game that is set up to fail, so that it fails however long it lasts"""
    _, task = generation.halves("digits")
    shares = []
    for steps in (150, 600, 2400):
        options = {"seed": seed, "steps": steps, "regularise": "none", "batch_size": 16, "rates": (2e-2, candidate)}
        images, labels = generation.sample(generation.fit_gan("digits", **options)["generator"], PER_CLASS, seed=seed)
        spreads = generation_quality.collapse_alarm(images, labels, task.train_images / 255, task.train_labels)
        shares.append((spreads < chosen("alarm")).double().mean().item())
    return {"share_of_ringing_classes": min(shares)}


@choice(
    "flow-steps",
    [2, 3, 4, 5, 6],
    data="processor seconds of both on the digits' training images, the game R1",
    measure="share_of_equal_seconds",
    seeds=range(500, 503),
    margin=0.0,
)
def flow_steps(candidate, seed):
    """The steps of a flow for each step of a GAN, so that both take equal seconds; the score is the shorter one's share"""
    game, flow = _seconds(seed)
    ratio = candidate * flow / game
    return {"share_of_equal_seconds": min(ratio, 1 / ratio), "seconds": game + flow}


@functools.cache
def _seconds(seed: int, steps: int = 100) -> tuple[float, float]:
    """What so many steps of a game and of a flow on the digits take, in seconds of a processor, each after a first run."""
    found = []
    for train in (lambda n: generation.fit_gan("digits", seed=seed, steps=n), lambda n: fit_flow("digits", seed=seed, steps=n)):
        train(10)
        began = time.process_time()
        train(steps)
        found.append(time.process_time() - began)
    return found[0], found[1]


WEIGHTS = [1.0, 1.5, 2.0, 3.0]  # of the guidance: as many candidates as the GANs have


@functools.cache
def _flow(seed: int, shots: int | None, steps: int):
    """A flow on the digits, and the seconds that it took."""
    began = time.process_time()
    return fit_flow("digits", seed=seed, shots=shots, steps=steps)["generator"], time.process_time() - began


@choice("flow-guidance", WEIGHTS, data="the validation part of digits", measure="f_score")
def flow_guidance(candidate, seed):
    """The guidance of a flow that learns from the generator's half, by the harmonic mean of its precision and recall"""
    _, task = generation.halves("digits")
    flow, seconds = _flow(seed, None, chosen("flow-steps") * GAME_STEPS)
    flow.weight = candidate
    row = generation_quality.quality(_evaluator(seed), *generation.sample(flow, PER_CLASS, seed=seed), task.on_validation())
    both = row["precision"], row["recall"]
    return {"f_score": 2 * both[0] * both[1] / max(sum(both), 1e-9), "seconds": seconds}


@choice(
    "flow-guidance-k5",
    WEIGHTS,
    data=_labels("digits") + ", half of each batch generated",
    seeds=range(500, 503),
    margin=WORTH_THRICE_THE_TIME,
)
def flow_guidance_of_few(candidate, seed):
    """The guidance of a flow that learns from 5 labels per class"""
    flow, seconds = _flow(seed, SHOTS, chosen("flow-steps") * FEW_STEPS)
    flow.weight = candidate
    generated = generated_set(flow, PER_CLASS, seed)
    row = fit_classifier("digits", shots=SHOTS, seed=seed, steps=STEPS, generated=generated)
    return row | {"seconds": seconds + row["seconds"]}
