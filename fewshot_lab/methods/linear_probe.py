"""What features are worth: linear probe and nearest neighbours on frozen features, and fine-tuning from them."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment, get_policy
from ..data import ImageTask
from ..runtime import seed_everything
from ..training import Arms, accuracy, hits_by_picture, outputs, train
from .contrastive import FEATURES, OPTIMIZERS, Views, encoder, simclr, unlabelled

COPIES = 10  # augmented copies of each labelled image for a probe with a policy


def embedded(task: ImageTask, f: nn.Module) -> ImageTask:
    """The task, capped, with the features f(x) instead of its images: (N, D)."""
    return task.capped().with_images(lambda images: outputs(f, images))


def fit_linear(features: Tensor, labels: Tensor, like: Tensor, weight: float = 1.0) -> Callable[[Tensor], Tensor]:
    """A linear probe: multinomial logistic regression on frozen features; returns a function, features -> class numbers.

    Source: Alain & Bengio 2017 (ICLR workshop).

    Args:
        features: (n, d) of the labelled images.
        labels: (n,) class numbers.
        like: unlabelled features (N, d) that show how the features are distributed.
        weight: of each row. With m rows made of n images it is n / m: copies of the images then change where the classes
            meet, and not how strongly the probe is regularised.
    """
    probabilities = fit_probabilities(features, labels, like, weight)
    return lambda z: probabilities(z).argmax(1)


def fit_probabilities(features: Tensor, labels: Tensor, like: Tensor, weight: float = 1.0) -> Callable[[Tensor], Tensor]:
    """The linear probe of `fit_linear` as a function, features -> probabilities (N, classes); every class has a label."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Scaled by all features, not by the few labelled ones: with one label per class those have no spread worth the name.
    mean, std = like.mean(0), like.std(0).clamp_min(1e-6)

    def scaled(z: Tensor):
        # Divided by the root of d, every row has a length of about 1, so one C suits encoders of any width.
        return ((z - mean) / std / z.shape[1] ** 0.5).numpy()

    with threadpool_limits(1):  # On so few rows several threads mostly wait for each other: 25 times the CPU seconds.
        model = LogisticRegression(C=10.0 * weight, max_iter=2000).fit(scaled(features), labels.numpy())
    return lambda z: torch.from_numpy(model.predict_proba(scaled(z)))


def nearest_labels(features: Tensor, labels: Tensor, queries: Tensor, k: int, classes: int) -> Tensor:
    """The class of each query by a vote of its k nearest labelled images; a vote weighs exp(s / 0.1), s the cosine similarity.

    features: (n, d), labels: (n,), queries: (m, d). Returns class numbers (m,). Source: Wu et al. 2018 (CVPR), section 3.4.
    """
    s = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T  # (m, n)
    nearest, rows = s.topk(k, dim=1)  # (m, k)
    votes = F.one_hot(labels[rows], classes) * (nearest / 0.1).exp()[:, :, None]  # (m, k, classes)
    return votes.sum(1).argmax(1)


def neighbours(nearest: Callable[..., Tensor], features: Tensor, labels: Tensor, queries: Tensor, classes: int) -> Tensor:
    """The queries' classes (m,) by the vote of their nearest labelled images: at most five, and no more than a class has."""
    # Of more neighbours than a class has members, some would have to be of other classes.
    return nearest(features, labels, queries, min(5, len(labels) // classes), classes)


def probe(
    task: ImageTask,
    f: nn.Module,
    *,
    shots: int,
    seed: int,
    draws: int = 5,
    policy: str = "none",
    strength: float = 0.0,
    nearest: Callable[..., Tensor] = nearest_labels,
) -> dict:
    """Linear probe and nearest neighbours on the features of a frozen encoder, each a mean over several draws of the labels.

    Args:
        task: with images.
        f: the encoder, images -> features (N, D).
        shots: labels per class.
        seed: of the first draw, which is that of `fit_from`; no other seed below 10,000 shares one of the others.
        draws: how many draws of the labels.
        policy, strength: of COPIES changed copies of each labelled image that the linear probe learns from too.
        nearest: `nearest_labels`, or a learner's function.

    Returns:
        test_accuracy, test_hits and test_sizes of the linear probe (hits_by_picture, a mean over the draws), and
        by_neighbours and by_neighbours_by_picture of the neighbours' vote.
    """
    features, classes = embedded(task, f), len(task.classes)
    rows = []
    for draw in draw_seeds(seed, draws):
        labelled, labels = features.draw(shots, draw)
        voted = neighbours(nearest, labelled, labels, features.test_images, classes)
        if policy == "none":
            classify = fit_linear(labelled, labels, features.train_images)
        else:
            generator = torch.Generator().manual_seed(draw)
            copies = get_policy(policy)(task.draw(shots, draw)[0].repeat(COPIES, 1, 1, 1), strength, generator)
            z = torch.cat([labelled, outputs(f, copies)])
            classify = fit_linear(z, labels.repeat(COPIES + 1), features.train_images, 1 / (COPIES + 1))
        rows.append((hits_of(classify(features.test_images), features), hits_of(voted, features)))
    linear, by_neighbours = (mean_hits(column, features) for column in zip(*rows, strict=True))
    voted = {"by_neighbours": by_neighbours["test_accuracy"], "by_neighbours_by_picture": by_neighbours["test_hits"]}
    return linear | voted


def with_rest(probes: Arms, encoders: Mapping[Hashable, Sequence[dict]]) -> Arms:
    """The arms of probes, whose rows now also say whether the encoder of their seed came to rest.

    A probe is fitted to its end, but the features that it reads may still be changing.

    Args:
        probes: from `arms` of `probe` or the like.
        encoders: {arm: rows of `contrastive.pretrain`}; other arms stay as they are, and untrained encoders say nothing.
    """
    rows = {}
    for arm, trained in encoders.items():
        at_rest = {row["seed"]: row.get("at_rest") for row in trained}
        rows[arm] = [row | {"at_rest": at_rest[row["seed"]]} for row in probes.rows[arm]]
    return probes | Arms(rows, axis=probes.axis)


def vote(
    features: ImageTask, *, k: int, shots: int, seed: int, draws: int = 5, nearest: Callable[..., Tensor] = nearest_labels
) -> dict:
    """What a vote of k neighbours classifies correctly, a mean over several draws of the labels, those of `probe`.

    Args:
        features: a task that holds features instead of images (`embedded`).
        k: how many labelled images vote.
        shots: labels per class.
        seed: of the first draw.
        draws: how many draws of the labels.
        nearest: `nearest_labels`, or a learner's function.

    Returns:
        test_accuracy, test_hits and test_sizes (the test images by picture).
    """
    classes, hits = len(features.classes), []
    for draw in draw_seeds(seed, draws):
        labelled, labels = features.draw(shots, draw)
        hits.append(hits_of(nearest(labelled, labels, features.test_images, k, classes), features))
    return mean_hits(hits, features)


def mean_hits(hits: Sequence[dict], features: ImageTask) -> dict:
    """test_accuracy, test_hits and test_sizes, the mean over several draws of `hits_of`."""
    mean = np.mean([of_draw["test_hits"] for of_draw in hits], axis=0)
    share = float(mean.sum() / len(features.test_labels))
    return {"test_accuracy": share, "test_hits": mean, "test_sizes": hits[0]["test_sizes"]}


def draw_seeds(seed: int, draws: int) -> list[int]:
    """A seed for each of several draws of the labels; no other seed below 10,000 shares one but the first."""
    return [seed + 10_000 * i for i in range(draws)]


def fit_from(
    dataset: str,
    *,
    shots: int,
    seed: int,
    start: nn.Module | None = None,
    policy: str = "none",
    strength: float = 0.0,
    steps: int = 150,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    optimizer: str = "Muon",
    on_validation: bool = False,
    device: str = "auto",
) -> dict:
    """Trains encoder and linear layer on `shots` labels per class, fine-tuned from `start` or from scratch.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class.
        seed: of everything random; labels are drawn as in `supervised.fit_few_shot`. Equal seeds differ in the start alone,
            so the two are compared in pairs.
        start: the encoder to fine-tune, which stays as it is; None: from scratch.
        policy, strength: the augmentation of each batch.
        steps: of the training.
        batch_size: images a step. Where it exceeds the labelled images, each occurs several times, changed anew.
        learning_rate: the largest one.
        optimizer: a name in contrastive.OPTIMIZERS.
        on_validation: test on the validation part, for choosing.
        device: where to train.

    Returns:
        test_accuracy, test_hits and test_sizes (the test images by picture), at_rest (whether the training came to rest).
    """
    task = data.load(dataset).capped()
    task = task.on_validation() if on_validation else task
    images, labels = task.draw(shots, seed)
    repeats = -(-batch_size // len(images))
    seed_everything(seed)
    f = encoder(images.shape[-1], channels=images.shape[1])
    model = nn.Sequential(f, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    if start is not None:  # after the first weights are drawn, so that the linear layer starts alike with and without
        f.load_state_dict(start.state_dict())
    history = train(
        model,
        images.repeat(repeats, 1, 1, 1),
        labels.repeat(repeats),
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=OPTIMIZERS[optimizer],
        augment=as_augment(policy, strength),
        seed=seed,
        device=device,
    )
    answers = outputs(model, task.test_images)
    hits = hits_by_picture(answers, task.test_labels, task.test_pictures)
    return {"test_accuracy": accuracy(answers, task.test_labels), **hits, "at_rest": history.at_rest}


def fit_views(dataset: str, *, views: Views, shots: int, seed: int, on_validation: bool = False, **settings) -> dict:
    """A SimCLR training with these views, measured by probes.

    Args:
        dataset: a name in data.TASKS.
        views: the policies that make the two views, (name, strength) one after the other.
        shots: labels per class for the probes.
        seed: of the training and of the first draw of the labels.
        on_validation: test on the validation part, for choosing.
        settings: of `contrastive.simclr`, such as steps and temperature.

    Returns:
        what `probe` returns, loss (mean of the last tenth of the steps) and at_rest.
    """
    (f, _), history = simclr(unlabelled(dataset), views, seed=seed, **settings)
    task = data.load(dataset)
    last = history.losses[-max(1, history.steps // 10) :]
    measured = probe(task.on_validation() if on_validation else task, f, shots=shots, seed=seed)
    return measured | {"loss": sum(last) / len(last), "at_rest": history.at_rest}


def hits_of(predicted: Tensor, task: ImageTask) -> dict[str, np.ndarray]:
    """test_hits and test_sizes (hits_by_picture) of predicted class numbers (m,) of a task's test images."""
    return hits_by_picture(F.one_hot(predicted, len(task.classes)), task.test_labels, task.test_pictures)
