"""Small and large networks trained on K labels per class: do larger ones overfit more?

Overfitting is measured in two ways that need not agree: by test accuracy, and by overconfidence, how much surer a network is of
its answers about test images than it is right. The gap between training and test accuracy would be no third way: all networks
learn their few images by heart, so it is the test accuracy once more.
"""

import time

import numpy as np

from .. import data
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import accuracy, hits_by_picture, outputs, train

# Two families, each with a small and a large member; the deep network has three times the convolutions of the others.
SIZES = {"narrow": {"width": 4}, "wide": {"width": 32}, "shallow": {"width": 8}, "deep": {"width": 8, "depth": 9}}


def fit_size(
    dataset: str,
    *,
    shots: int,
    seed: int,
    width: int = 16,
    depth: int = 3,
    steps: int = 100,
    learning_rate: float = 1e-2,
    device: str = "auto",
) -> dict:
    """Trains a convolutional net of that size on `shots` labels per class and tests it.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class.
        seed: of everything random; equal seeds draw equal labels.
        width, depth: of `models.conv_net`.
        steps: of the training.
        learning_rate: the largest one.
        device: where to train and to test.

    Returns:
        test_accuracy, test_hits and test_sizes (as from `hits_by_picture`), overconfidence (mean confidence minus accuracy on
        the test images, both 0..1) and overconfidence_by_picture (its sums over the images of each picture),
        validation_accuracy, train_accuracy, weights (how many), at_rest (whether the training came to rest) and seconds.
    """
    began = time.process_time()
    task = data.load(dataset).capped()
    images, labels = task.draw(shots, seed)
    seed_everything(seed)
    model = conv_net_for(images, len(task.classes), width=width, depth=depth)
    history = train(model, images, labels, steps=steps, learning_rate=learning_rate, seed=seed, device=device)
    answers = outputs(model, task.test_images, device=device)
    # How sure the network is of the class that it answers, less 1 where this is right.
    surplus = answers.softmax(1).amax(1) - (answers.argmax(1) == task.test_labels).float()
    _, which = np.unique(task.test_pictures, return_inverse=True)
    return {
        "test_accuracy": accuracy(answers, task.test_labels),
        **hits_by_picture(answers, task.test_labels, task.test_pictures),
        "overconfidence": surplus.mean().item(),
        "overconfidence_by_picture": np.bincount(which, weights=surplus.numpy()),
        "validation_accuracy": accuracy(outputs(model, task.validation_images), task.validation_labels),
        "train_accuracy": accuracy(outputs(model, images), labels),
        "weights": sum(weight.numel() for weight in model.parameters()),
        "at_rest": history.at_rest,
        "seconds": time.process_time() - began,
    }
