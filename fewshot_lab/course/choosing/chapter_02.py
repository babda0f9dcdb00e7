"""Chapter 02: how strong each policy is, how long networks train, and what the cheap baselines need."""

from ...augment import mixing
from ...evidence import chosen
from ...methods.supervised import fit_few_shot
from . import choice

LONG = 400  # steps after which strong policies too have learned most of what they can
STEPS = [100, 200, 400, 800]
WORTH_TWICE_THE_TIME = 0.02  # a smaller gain does not pay for twice as many steps


def _data(dataset: str) -> str:
    return f"the validation part of {dataset}, 5 labels per class"


def strength(candidate, seed, dataset):
    """The strength of the policy affine, called “right” from then on"""
    return fit_few_shot(dataset, shots=5, seed=seed, policy="affine", strength=candidate, steps=LONG)


def steps(candidate, seed, dataset):
    """How many steps a network is trained, with a policy or without"""
    right = chosen(f"affine-strength-{dataset}")
    return fit_few_shot(dataset, shots=5, seed=seed, policy="affine", strength=right, steps=candidate)


for _dataset in ("digits", "fashion", "glyphs", "emoji"):
    choice(f"affine-strength-{_dataset}", [0.1, 0.25, 0.5, 0.75], data=_data(_dataset), dataset=_dataset)(strength)
    choice(f"steps-{_dataset}", STEPS, data=_data(_dataset), dataset=_dataset, margin=WORTH_TWICE_THE_TIME)(steps)


def other_strength(candidate, seed, policy):
    """The strength of another policy"""
    return fit_few_shot("digits", shots=5, seed=seed, policy=policy, strength=candidate, steps=chosen("steps-digits"))


for _policy in ("erase", "randaugment"):
    choice(f"{_policy}-strength", [0.25, 0.5, 1.0], data=_data("digits"), policy=_policy)(other_strength)


def colour_strength(candidate, seed, policy):
    """The strength of a policy that changes colours"""
    return fit_few_shot("emoji", shots=5, seed=seed, policy=policy, strength=candidate, steps=chosen("steps-emoji"))


for _policy in ("colour_jitter", "greyscale"):
    _name = f"{_policy.replace('_', '-')}-strength-emoji"
    choice(_name, [0.25, 0.5, 1.0], data=_data("emoji"), policy=_policy)(colour_strength)


@choice("mixup-alpha", [0.2, 1.0], data=_data("digits"))
def mixup_alpha(candidate, seed):
    """The alpha of mixup's Beta distribution"""

    def mix(images, labels, classes, *, generator):
        return mixing.mixup(images, labels, classes, alpha=candidate, generator=generator)

    return fit_few_shot("digits", shots=5, seed=seed, mix=mix, steps=chosen("steps-digits"))


@choice("label-smoothing", [0.1, 0.2], data=_data("digits"))
def label_smoothing(candidate, seed):
    """How much of a label is spread over the other classes"""
    right = chosen("affine-strength-digits")
    settings = {"policy": "affine", "strength": right, "steps": chosen("steps-digits")}
    return fit_few_shot("digits", shots=5, seed=seed, smoothing=candidate, **settings)


@choice("ema-decay", [0.99, 0.95, 0.9, 0.8], data=_data("digits"), measure="ema_validation_accuracy")
def ema_decay(candidate, seed):
    """The decay of a moving average of the weights, under the right policy"""
    settings = {"policy": "affine", "strength": chosen("affine-strength-digits"), "steps": chosen("steps-digits")}
    return fit_few_shot("digits", shots=5, seed=seed, ema=candidate, **settings)
