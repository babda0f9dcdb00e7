"""What features are worth: linear probe and nearest neighbours on frozen features, and fine-tuning from them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment, get_policy
from ..data import ImageTask
from ..runtime import seed_everything
from ..training import accuracy, outputs, train
from .contrastive import FEATURES, Views, encoder, simclr, unlabelled

COPIES = 10  # augmented copies of each labelled image for `augmented_probe`


def embedded(task: ImageTask, f: nn.Module) -> ImageTask:
    """The task, capped, with the features f(x) instead of its images: (N, D)."""
    return task.capped().with_images(lambda images: outputs(f, images))


def fit_linear(features: Tensor, labels: Tensor, like: Tensor):
    """A linear probe: multinomial logistic regression on frozen features; returns a function, features -> class numbers.

    features: (n, d), labels: (n,). like: unlabelled features (N, d) that show how the features are distributed.
    Source: Alain & Bengio 2017 (ICLR workshop).
    """
    from sklearn.linear_model import LogisticRegression

    # Scaled by all features, not by the few labelled ones: with one label per class those have no spread worth the name.
    mean, std = like.mean(0), like.std(0).clamp_min(1e-6)

    def scaled(z: Tensor):
        # Divided by the root of d, every row has a length of about 1, so one C suits encoders of any width.
        return ((z - mean) / std / z.shape[1] ** 0.5).numpy()

    model = LogisticRegression(C=10.0, max_iter=500).fit(scaled(features), labels.numpy())
    return lambda z: torch.from_numpy(model.predict(scaled(z)))


def nearest_labels(features: Tensor, labels: Tensor, queries: Tensor, k: int, classes: int) -> Tensor:
    """The class of each query by a vote of its k nearest labelled images; a vote weighs exp(s / 0.1), s the cosine similarity.

    features: (n, d), labels: (n,), queries: (m, d). Returns class numbers (m,). Source: Wu et al. 2018 (CVPR), section 3.4.
    """
    s = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T  # (m, n)
    nearest, rows = s.topk(k, dim=1)  # (m, k)
    votes = F.one_hot(labels[rows], classes) * (nearest / 0.1).exp()[:, :, None]  # (m, k, classes)
    return votes.sum(1).argmax(1)


def linear_probe(task: ImageTask, *, shots: int, seed: int) -> float:
    """Test accuracy of a linear probe on `shots` labels per class; `task` holds features (see `embedded`)."""
    classify = fit_linear(*task.draw(shots, seed), like=task.train_images)
    return _accuracy(classify(task.test_images), task.test_labels)


def neighbours_probe(task: ImageTask, *, shots: int, seed: int, nearest=nearest_labels) -> float:
    """Test accuracy of the vote of the nearest neighbours, at most five of them; `task` holds features (see `embedded`).

    nearest: `nearest_labels`, or a learner's function.
    """
    features, labels = task.draw(shots, seed)
    # Not more neighbours than a class has members: the others of the k would have to be of other classes.
    predicted = nearest(features, labels, task.test_images, min(5, shots), len(task.classes))
    return _accuracy(predicted, task.test_labels)


def augmented_probe(task: ImageTask, f: nn.Module, *, shots: int, seed: int, policy: str, strength: float) -> float:
    """Test accuracy of a linear probe on the features of the labelled images and of COPIES augmented copies of each.

    Args:
        task: with images, not features.
        f: the frozen encoder.
        shots: labels per class.
        seed: of the labels and of the policy's draws.
        policy, strength: the augmentation of the copies.
    """
    features = embedded(task, f)
    images, labels = task.draw(shots, seed)
    generator = torch.Generator().manual_seed(seed)
    copies = get_policy(policy)(images.repeat(COPIES, 1, 1, 1), strength, generator)
    z = outputs(f, torch.cat([images, copies]))
    classify = fit_linear(z, labels.repeat(COPIES + 1), like=features.train_images)
    return _accuracy(classify(features.test_images), features.test_labels)


def fit_from(
    dataset: str,
    *,
    shots: int,
    seed: int,
    start: dict[str, Tensor] | None = None,
    policy: str = "none",
    strength: float = 0.0,
    steps: int = 150,
    device: str = "auto",
) -> dict[str, float]:
    """Trains encoder and linear layer on `shots` labels per class, fine-tuned from `start` or from scratch.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class.
        seed: of everything random; labels are drawn as in `supervised.fit_few_shot`. Equal seeds differ in the start alone,
            so the two are compared in pairs.
        start: the encoder's weights; None: from scratch.
        policy, strength: the augmentation of each batch.
        steps: of the training, with batches of 32.
        device: where to train.

    Returns:
        test_accuracy and at_rest (whether the training came to rest).
    """
    task = data.load(dataset).capped()
    images, labels = task.draw(shots, seed)
    seed_everything(seed)
    f = encoder(images.shape[-1], channels=images.shape[1])
    model = nn.Sequential(f, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    if start is not None:  # after the first weights are drawn, so that the linear layer starts alike with and without
        f.load_state_dict(start)
    history = train(
        model,
        images,
        labels,
        steps=steps,
        batch_size=32,
        learning_rate=5e-3,
        warmup=0,
        optimizer=torch.optim.AdamW,
        augment=as_augment(policy, strength),
        seed=seed,
        device=device,
    )
    test_accuracy = accuracy(outputs(model, task.test_images), task.test_labels)
    return {"test_accuracy": test_accuracy, "at_rest": history.at_rest}


def fit_views(
    dataset: str, *, views: Views, shots: int, seed: int, draws: Sequence[int], steps: int, device: str = "auto"
) -> dict[str, float]:
    """A short SimCLR training, measured by linear probes.

    Args:
        dataset: a name in data.TASKS.
        views: the policies that make the two views, (name, strength) one after the other.
        shots: labels per class for the probes.
        seed: of the training.
        draws: seeds of the labels, one probe each.
        steps: of the training.
        device: where to train.

    Returns:
        test_accuracy (mean of the probes) and loss (of the last step).
    """
    f, history = simclr(unlabelled(dataset), views, steps=steps, seed=seed, device=device)
    task = embedded(data.load(dataset), f)
    accuracies = [linear_probe(task, shots=shots, seed=draw) for draw in draws]
    return {"test_accuracy": sum(accuracies) / len(accuracies), "loss": history.losses[-1]}


def _accuracy(predicted: Tensor, labels: Tensor) -> float:
    return (predicted == labels).float().mean().item()
