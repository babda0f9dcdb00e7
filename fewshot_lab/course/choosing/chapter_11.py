"""Chapter 11: how long the rounds of a pipeline train."""

from ...evidence import chosen
from ...methods import pipeline
from . import choice

STEPS = [100, 200, 400]


@choice("pipeline-steps", STEPS, data="the validation part of digits, 5 labels per class, all stages", margin=0.02)
def pipeline_steps(candidate, seed):
    """How many steps a pipeline's first round trains; a student trains a third longer"""
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
