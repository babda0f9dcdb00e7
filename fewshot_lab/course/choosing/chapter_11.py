"""Chapter 11: how long the rounds of a pipeline train, and how its attack and its GAN are set on emoji."""

from ...evidence import chosen
from ...methods import pipeline
from . import choice
from .chapter_08 import FEW_GAMES, gan_of_few

EMOJI = "the validation part of emoji, by another artist, 5 labels per class"
STEPS = [100, 200, 400]


@choice("pipeline-steps", STEPS, data="the validation part of digits, 5 labels per class, all stages", margin=0.02)
def pipeline_steps(candidate, seed):
    """How many steps a pipeline's first round trains (quick profile half, full one twice as many); a student a third longer"""
    strength, radius = chosen("affine-strength-digits"), chosen("attack-radius-digits") * chosen("few-shot-radius-digits")
    start = pipeline.fit_start("digits", seed=seed, steps=160, strength=strength)
    game, steps = chosen("gan-digits")
    generated = pipeline.fit_generated("digits", shots=5, seed=seed, steps=steps, game=game)
    rows = pipeline.measure(
        {"all": pipeline.STAGES},
        dataset="digits",
        shots=5,
        seeds=[seed],
        recipe=pipeline.Recipe(strength, radius, **chosen("self-training-loss")),
        starts=[start],
        generated_sets=[generated],
        steps=candidate,
        distilling_steps=4 * candidate // 3,
    )
    return rows["all"][0]


@choice("pipeline-radius-emoji", [0.0125, 0.025, 0.05, 0.1], data=f"{EMOJI}, 16 x 16 pixels", seeds=range(500, 503))
def pipeline_radius(candidate, seed):
    """The radius of the attack in training on emoji, with the right policy"""
    steps = chosen("pipeline-steps")
    return pipeline.measure(
        {"both": ("augmentation", "adversarial training")},
        dataset="emoji",
        shots=5,
        seeds=[seed],
        recipe=pipeline.Recipe(chosen("affine-strength-emoji"), candidate, **chosen("self-training-loss")),
        starts=[{"seconds": 0.0}],
        steps=steps,
        distilling_steps=4 * steps // 3,
    )["both"][0]


# Chapter 11 has no time for longer games on a second data set.
SHORT_GAMES = [[game, steps] for game, steps in FEW_GAMES if steps == 500]


@choice("gan-emoji", SHORT_GAMES, data=f"{EMOJI}, half of each batch generated", seeds=range(500, 503))
def gan_emoji(candidate, seed):
    """The game of a GAN that learns from 5 emoji per group, and its steps"""
    return gan_of_few(candidate, seed, "emoji")
