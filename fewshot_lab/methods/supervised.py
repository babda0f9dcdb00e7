"""Supervised training on K labels per class, with and without augmentation: the experiment under every claim of chapter 02."""

import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import data
from ..augment import as_augment, get_policy
from ..data import ImageTask
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import accuracy, hits_by_picture, outputs, train
from .unseen_jitter import jittered

Mix = Callable[..., tuple[Tensor, Tensor]]


def fit_few_shot(
    dataset: str | ImageTask,
    *,
    shots: int,
    seed: int,
    policy: str = "none",
    strength: float = 0.0,
    mix: Mix | None = None,
    smoothing: float = 0.0,
    views: int = 1,
    views_by: tuple[str, float] | None = None,
    ema: float = 0.0,
    unseen: Sequence[str] = (),
    steps: int = 400,
    width: int = 16,
    device: str = "auto",
) -> dict:
    """Trains a small convolutional net on `shots` labels per class and tests it.

    Args:
        dataset: a name in data.TASKS, or a task of one's own.
        shots: labels per class.
        seed: of everything random. Equal seeds draw nested labels (data.ImageTask.draw) and start from the same weights, so
            that policies can be compared in pairs.
        policy, strength: the augmentation of each batch.
        mix: mixup or CutMix after it, called as mix(images, labels, classes, generator=...).
        smoothing: the share of each label that is spread over all classes (Szegedy et al. 2016, CVPR, section 7).
        views: views of each test image, made by the policy, whose answers are averaged besides (Krizhevsky et al. 2012,
            NeurIPS, section 4.1).
        views_by: another policy and strength that makes the views.
        ema: decay of a moving average of the weights, 0..1, which is tested besides and changes nothing in the training; 0 is
            none.
        unseen: names of `unseen_jitter.JITTERS`; the test images under each are answered besides.
        steps: of the training; how many an arm needs to come to rest depends on its policy.
        width: channels of the net's first layer; the number of weights grows with its square.
        device: where to train and to test.

    Returns:
        train_accuracy (of the labelled images as they are), train_accuracy_augmented (as the policy shows them),
        validation_accuracy, test_accuracy, test_hits and test_sizes (the test images by picture, as from hits_by_picture),
        averaged_accuracy and averaged_accuracy_by_picture where there are several views, ema_accuracy, its
        ema_accuracy_by_picture and ema_validation_accuracy with `ema`, turned_accuracy and turned_accuracy_by_picture with that
        jitter,
        train_loss (mean of the last tenth of the steps), at_rest (whether the training came to rest) and seconds.
    """
    started = time.perf_counter()
    task = data.as_task(dataset).capped()
    classes = len(task.classes)
    images, labels = task.draw(shots, seed)
    change = as_augment(policy, strength)

    def augment_and_mix(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = change(x, y, generator) if change else (x, y)
        return mix(x, y, classes, generator=generator)

    # Seeded after the labels are drawn and just before the net is made: its first weights depend on the seed alone.
    seed_everything(seed)
    model = conv_net_for(images, classes, width=width)
    augment = augment_and_mix if mix else change

    mean_model = None

    def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        nonlocal mean_model
        if ema and mean_model is None:  # made here, where the net lies on its device
            mean_model = AveragedModel(net, multi_avg_fn=_moving_average(ema), use_buffers=True)
        if mean_model:
            mean_model.update_parameters(net)  # the weights after the step before
        return F.cross_entropy(net(x), y, label_smoothing=smoothing)

    history = train(model, images, labels, steps=steps, augment=augment, loss=loss, seed=seed, device=device)
    if mean_model:
        mean_model.update_parameters(model)
    # The labelled images as the net sees them in training, under one draw of the policy that all nets of this seed share.
    augmented = get_policy(policy)(images, strength, torch.Generator().manual_seed(seed))
    last = history.losses[-max(1, steps // 10) :]
    answers = outputs(model, task.test_images, device=device)
    besides = {}
    if views > 1:
        generator = torch.Generator().manual_seed(seed)
        by, how_strong = views_by or (policy, strength)
        shown = (get_policy(by)(task.test_images, how_strong, generator) for _ in range(views))
        mean = sum(outputs(model, view, device=device).softmax(1) for view in shown)
        besides |= _answered("averaged_accuracy", mean, task)
    if mean_model:
        besides |= _answered("ema_accuracy", outputs(mean_model, task.test_images, device=device), task)
        validated = outputs(mean_model, task.validation_images, device=device)
        besides["ema_validation_accuracy"] = accuracy(validated, task.validation_labels)
    for name in unseen:
        besides |= _answered(f"{name}_accuracy", outputs(model, jittered(task.test_images, name), device=device), task)
    return {
        "train_accuracy": accuracy(outputs(model, images, device=device), labels),
        "train_accuracy_augmented": accuracy(outputs(model, augmented, device=device), labels),
        "validation_accuracy": accuracy(outputs(model, task.validation_images, device=device), task.validation_labels),
        "test_accuracy": accuracy(answers, task.test_labels),
        **hits_by_picture(answers, task.test_labels, task.test_pictures),
        **besides,
        "train_loss": sum(last) / len(last),
        "at_rest": history.at_rest,
        "seconds": time.perf_counter() - started,
    }


def _moving_average(decay: float) -> Callable:
    """PyTorch's moving average, but forgetting the random first weights first: early on it is a plain mean."""

    def update(means: list[Tensor], weights: list[Tensor], averaged: Tensor) -> None:
        get_ema_multi_avg_fn(min(decay, 1 - 1 / (int(averaged) + 1)))(means, weights, averaged)

    return update


def _answered(result: str, answers: Tensor, task: ImageTask) -> dict:
    """Other answers about the test images as a result of a row, with its correct answers by picture beside it."""
    hits = hits_by_picture(answers, task.test_labels, task.test_pictures)["test_hits"]
    return {result: accuracy(answers, task.test_labels), f"{result}_by_picture": hits}


def fit_classifier(
    dataset: str | ImageTask, *, seed: int = 0, steps: int = 600, device: str = "auto", progress: bool = False
) -> nn.Module:
    """Trains the small convolutional net on the whole training part (at most 6,000 images); returns the model."""
    task = data.as_task(dataset)
    seed_everything(seed)
    model = conv_net_for(task.train_images, len(task.classes), width=16)
    # As many as `steps` passes over in a few epochs; all 60,000 of Fashion-MNIST would not be seen once.
    rows = torch.randperm(len(task.train_labels), generator=torch.Generator().manual_seed(seed))[:6000]
    images, labels = task.train_images[rows], task.train_labels[rows]
    train(model, images, labels, steps=steps, seed=seed, device=device, progress=progress)
    return model


def affinities(
    dataset: str, *, policies: dict[str, tuple[str, float]], shots: int, seed: int, steps: int = 400, device: str = "auto"
) -> dict[str, float]:
    """The affinity of each policy: accuracy on augmented validation images divided by that on clean ones (1: no shift at all).

    The model is trained without augmentation (Gontijo-Lopes et al. 2021, ICLR, definition 1). The other number that explains a
    policy, its diversity, is the ratio of `train_loss` with and without it, which `fit_few_shot` returns (definition 2).

    Args:
        dataset: a name in data.TASKS.
        policies: {name: (policy, strength)}.
        shots: labels per class that the model learns from.
        seed: of the labels, the training and the policies' draws.
        steps: of the training.
        device: where to train and to test.

    Returns:
        {name: affinity}.
    """
    task = data.load(dataset).capped()
    images, labels = task.draw(shots, seed)
    seed_everything(seed)
    model = conv_net_for(images, len(task.classes))
    train(model, images, labels, steps=steps, seed=seed, device=device)
    clean = accuracy(outputs(model, task.validation_images, device=device), task.validation_labels)

    def affinity(policy: str, strength: float) -> float:
        augmented = get_policy(policy)(task.validation_images, strength, torch.Generator().manual_seed(seed))
        # Divided by the clean accuracy: it says how far the policy moves the images, not how good the model is.
        return accuracy(outputs(model, augmented, device=device), task.validation_labels) / clean

    return {name: affinity(*chosen) for name, chosen in policies.items()}
