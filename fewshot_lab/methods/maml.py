"""Model-agnostic meta-learning (MAML; Finn et al. 2017, ICML): weights from which a few gradient steps solve a new task.

Here the step sizes are learned too, as in Meta-SGD, and a meta-training starts from an encoder that is trained already.

All tasks of a batch adapt at once: torch.func.vmap maps the gradient steps of one task over the tasks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..data.episodes import Episodes, Pool, draw_episodes, glyph_pool
from ..training import History, train
from .prototypes import mixed_jitter

Weights = dict[str, Tensor]


class Learner(nn.Module):
    """An encoder with a linear head for `way` classes that starts at 0, and the step sizes alpha, which are learned too.

    One alpha for the encoder and one for the head: learned step sizes are from Li et al. 2017 (Meta-SGD, arXiv 1707.09835).
    """

    def __init__(self, encoder: nn.Module, way: int, *, features: int = 64, alpha: tuple[float, float] = (0.05, 0.3)) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(features, way)
        # From 0 all classes are equally likely in every new task; what the last task's classes were called is no knowledge.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.log_alpha = nn.Parameter(torch.tensor(alpha).log())  # as logarithms they stay positive, whatever the step

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.encoder(images))

    @property
    def theta(self) -> Weights:
        """The weights that adapt, by name."""
        return {name: weight for name, weight in self.named_parameters() if name != "log_alpha"}


def adapt(
    learner: Learner, theta: Weights, images: Tensor, labels: Tensor, *, steps: int, first_order: bool = False
) -> Weights:
    """The adapted weights theta': `steps` times theta' <- theta' - alpha grad L(theta') on the support set (equation 1).

    Args:
        learner: gives the network and alpha; its own weights are not used.
        theta: the weights to start from, by name.
        images: the support set (N * K, C, H, W), float in 0..1.
        labels: its classes (N * K,).
        steps: of the inner loop.
        first_order: take the gradients as constants in the outer derivative (first-order MAML).
    """

    def loss(weights: Weights) -> Tensor:
        return F.cross_entropy(functional_call(learner, weights, (images,)), labels)

    alpha = learner.log_alpha.exp()
    for _ in range(steps):
        gradient = grad(loss)(theta)
        if first_order:  # cuts the second derivatives off: the outer gradient then needs no pass through this one
            gradient = {name: value.detach() for name, value in gradient.items()}
        # Not in place: the outer gradient goes through every step back to the first theta.
        theta = {name: value - alpha[int(name.startswith("head"))] * gradient[name] for name, value in theta.items()}
    return theta


def adapted_logits(
    learner: Learner, support: Tensor, queries: Tensor, *, steps: int, first_order: bool = False, loop: bool = False
) -> Tensor:
    """The queries' logits (T, M, N) of T tasks, each after its own adaptation.

    Args:
        learner: the weights to start from.
        support: (T, N, K, C, H, W), float in 0..1.
        queries: (T, M, C, H, W), float in 0..1.
        steps: of the inner loop.
        first_order: see `adapt`.
        loop: one task after another instead of all at once, with the same result.
    """
    way, shots = support.shape[1:3]
    labels = torch.arange(way, device=support.device).repeat_interleave(shots)
    theta = learner.theta

    def task(task_support: Tensor, task_queries: Tensor) -> Tensor:
        weights = adapt(learner, theta, task_support, labels, steps=steps, first_order=first_order)
        return functional_call(learner, weights, (task_queries,))

    if loop:
        return torch.stack([task(*part) for part in zip(support.flatten(1, 2), queries, strict=True)])
    return vmap(task)(support.flatten(1, 2), queries)


def fit_maml(
    encoder: nn.Module,
    *,
    steps: int,
    seed: int,
    way: int = 5,
    shots: int = 1,
    queries: int = 2,
    tasks: int = 8,
    inner_steps: int = 2,
    alpha: tuple[float, float] = (0.05, 0.3),
    learning_rate: float = 1e-3,
    first_order: bool = False,
    device: str = "auto",
) -> tuple[Learner, History]:
    """Meta-trains a learner on episodes of the training alphabets, starting from the encoder's weights.

    The outer loss is the queries' cross-entropy after adaptation (equation of section 2.2, algorithm 1). Returns the learner
    and the history of that loss.

    Args:
        encoder: trained in place.
        steps: of the outer loop.
        seed: of the episodes and the jitter.
        way: classes of an episode.
        shots: labelled images of each class.
        queries: further images of each class.
        tasks: episodes of an outer step.
        inner_steps: of the adaptation.
        alpha: the first step sizes, of the encoder and of the head.
        learning_rate: the largest one of the outer loop.
        first_order: see `adapt`.
        device: where to train.
    """
    pool = glyph_pool("train", jitter="none")
    episodes = draw_episodes(pool, steps * tasks, way=way, shots=shots, queries=queries, seed=seed)
    learner = Learner(encoder, way, alpha=alpha)

    def images_of(rows: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = mixed_jitter(pool.images[rows.flatten().cpu()].to(rows.device), generator)
        return images.unflatten(0, rows.shape), labels

    def loss(model: Learner, images: Tensor, labels: Tensor) -> Tensor:
        # Batch norm keeps the statistics of the start: with those of the batch, a query would be classified with the help of
        # the other queries, and vmap could not update running statistics anyway.
        model.eval()
        support, asked = images[:, :, :shots], images[:, :, shots:].flatten(1, 2)
        logits = adapted_logits(model, support, asked, steps=inner_steps, first_order=first_order)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    labels = episodes.query_labels.expand(len(episodes), -1)
    history = train(
        learner,
        episodes.rows,
        labels,
        steps=steps,
        batch_size=tasks,
        learning_rate=learning_rate,
        warmup=0,
        optimizer=torch.optim.AdamW,  # weights that were trained before are to move a little: no Muon
        augment=images_of,
        loss=loss,
        seed=seed,
        device=device,
    )
    return learner, history


def maml_accuracies(learner: Learner, pool: Pool, episodes: Episodes, *, steps: int, chunk: int = 20) -> Tensor:
    """The accuracy of every episode, (episodes,), after `steps` steps of adaptation to its support set."""
    device = learner.log_alpha.device
    learner.eval()
    accuracies = []
    for part in torch.arange(len(episodes)).split(chunk):
        rows = (episodes.support[part], episodes.queries[part])
        support, queries = (pool.images[index].to(device).float() / 255 for index in rows)
        with torch.no_grad():  # torch.func.grad makes the inner gradients all the same; only the outer graph is not kept
            logits = adapted_logits(learner, support, queries.flatten(1, 2), steps=steps).cpu()
        accuracies.append((logits.argmax(2) == episodes.query_labels).float().mean(1))
    return torch.cat(accuracies)
