"""Training on a few labels per class: the experiment under the claims of chapter 02."""

import math

from fewshot_lab.methods import supervised


def test_a_training_of_very_few_steps_still_has_a_loss():
    row = supervised.fit_few_shot("digits", shots=1, seed=0, steps=2, device="cpu")
    assert math.isfinite(row["train_loss"])
