"""Few-shot classification by comparing features: prototypes, SimpleShot, matching networks, soft k-means; and their training.

A rule takes the features of many episodes at once and returns the queries' logits. With E episodes, N classes (way), K images
of each (shots), M queries in all and D features: rule(support (E, N, K, D), queries (E, M, D)) -> logits (E, M, N).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.episodes import Episodes, Pool, draw_episodes, glyph_pool
from ..data.glyphs import jitter
from ..models import encoder_net
from ..runtime import seed_everything, world_size
from ..training import History, Loss, outputs, train

Rule = Callable[[Tensor, Tensor], Tensor]


def prototypes(support: Tensor) -> Tensor:
    """c_k, the mean of the features of class k: (E, N, K, D) -> (E, N, D). Snell et al. 2017 (NeurIPS), equation 1."""
    return support.mean(dim=2)


def prototype_rule(support: Tensor, queries: Tensor) -> Tensor:
    """Logits -|f(x) - c_k|^2, whose softmax is p(y = k | x). Snell et al. 2017 (NeurIPS), equation 2."""
    c = prototypes(support)  # (E, N, D)
    # -|q - c|^2 = 2 q.c - |q|^2 - |c|^2: a matrix product instead of a tensor of all differences, (E, M, N, D).
    squares = queries.square().sum(2)[:, :, None] + c.square().sum(2)[:, None, :]
    return 2 * queries @ c.transpose(1, 2) - squares


def matching_rule(support: Tensor, queries: Tensor, *, scale: float = 10.0) -> Tensor:
    """log p(y = k | x) with p = sum over i of a(x, x_i) y_i, a = softmax over the support set of the scaled cosine.

    Vinyals et al. 2016 (NeurIPS), equation 1, without full context embeddings; the scale is a common addition.
    """
    keys = F.normalize(support.flatten(1, 2), dim=2)  # (E, N * K, D)
    cosine = F.normalize(queries, dim=2) @ keys.transpose(1, 2)
    log_a = (scale * cosine).log_softmax(dim=2).unflatten(2, support.shape[1:3])  # (E, M, N, K)
    # The sum over a class's images stays in the logarithm: a far image's a(x, x_i) would be 0 in float32, and its log -inf.
    return log_a.logsumexp(dim=3)


def soft_k_means_rule(support: Tensor, queries: Tensor, *, rounds: int = 1, scale: float = 1.0) -> Tensor:
    """Logits of `prototype_rule` after the queries, without their labels, have moved the prototypes.

    In each round a query counts for class k with its present p(y = k | x), and a support image counts 1 for its own class.
    It is transductive: it needs all queries at once, and where some classes have more queries than others it is drawn to these
    (Veilleux et al. 2021, NeurIPS). Source: Ren et al. 2018 (ICLR), section 3.1.1, there with further unlabelled images.

    Args:
        support, queries: features, as every rule takes them.
        rounds: of the refinement.
        scale: of the logits of which p is the softmax; 1 suits features that were trained by `prototype_rule`.
    """
    shots = support.shape[2]
    c = sums = prototypes(support)
    for _ in range(rounds):
        p = (scale * prototype_rule(c[:, :, None], queries)).softmax(2)  # (E, M, N)
        c = (shots * sums + p.transpose(1, 2) @ queries) / (shots + p.sum(1))[:, :, None]  # (E, N, D)
    return scale * prototype_rule(c[:, :, None], queries)


def simple_shot(features: Tensor, mean: Tensor) -> Tensor:
    """SimpleShot's CL2N: features (n, D) minus the mean feature of the training classes (D,), scaled to length 1.

    Classes are then compared by their means. Wang et al. 2019 (arXiv 1911.04623), section 3.
    """
    return F.normalize(features - mean, dim=1)


def linear_rule(support: Tensor, queries: Tensor, *, steps: int = 100, rate: float = 1.0, decay: float = 1e-3) -> Tensor:
    """Transfer: a linear head (softmax regression) trained on each support set by gradient descent with momentum.

    "Baseline" of Chen et al. 2019 (ICLR); the encoder is frozen.

    Args:
        support, queries: features, as every rule takes them.
        steps: of gradient descent.
        rate: the learning rate.
        decay: weight decay, without which a head on separable features grows for ever.
    """
    episodes, way, shots, _ = support.shape
    # Scaled to the mean length of the support set's features: one learning rate then suits every encoder.
    scale = support.flatten(1, 2).norm(dim=2).mean(1)[:, None, None]  # (E, 1, 1)
    x, queries = support.flatten(1, 2) / scale, queries / scale
    y = torch.eye(way, device=x.device).repeat_interleave(shots, 0)  # (N * K, N)
    # The gradient is written out, so that the heads of all episodes are one batched matrix product: no loop, no autograd.
    w = x.new_zeros(episodes, x.shape[2], way)
    velocity = torch.zeros_like(w)
    for _ in range(steps):
        error = (x @ w).softmax(2) - y  # (E, N * K, N)
        velocity = 0.9 * velocity + x.transpose(1, 2) @ error / len(y) + decay * w
        w = w - rate * velocity
    return queries @ w


def episode_accuracies(features: Tensor, episodes: Episodes, rule: Rule = prototype_rule, *, chunk: int = 200) -> Tensor:
    """The accuracy of every episode, (episodes,).

    Args:
        features: of all images of the pool (rows, D), computed once, since episodes share images.
        episodes: rows into them.
        rule: from features to logits.
        chunk: episodes computed at once, a limit to the memory.
    """
    accuracies = []
    for part in torch.arange(len(episodes)).split(chunk):
        support, queries = episodes.support[part], episodes.queries[part]
        logits = rule(features[support], features[queries.flatten(1)])  # (e, M, N)
        accuracies.append((logits.argmax(2) == episodes.query_labels).float().mean(1))
    return torch.cat(accuracies)


def pixels(pool: Pool) -> Tensor:
    """The images themselves as features: (rows, H * W), in 0..1."""
    return pool.images.flatten(1).float() / 255


def mixed_jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each uint8 image (B, 1, 28, 28) under a draw of the mild or of the hard jitter, half of them each; float in 0..1."""
    hard = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    moved = torch.empty_like(images)
    for chosen, name in ((hard, "hard"), (~hard, "mild")):
        moved[chosen] = jitter(images[chosen], name, generator)
    return moved.float() / 255


def episode_loss(rule: Rule, way: int, shots: int) -> Loss:
    """The loss of training by episodes: the queries' mean cross-entropy under `rule`, -log p(y = k | x).

    Its images are those of E episodes in one batch, each class's support set before its queries: (E * N * (K + queries), C, H,
    W); its labels (E, M) are the queries'. Snell et al. 2017 (NeurIPS), algorithm 1.
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        features = model(images).unflatten(0, (len(labels), way, -1))  # (E, N, K + queries, D)
        logits = rule(features[:, :, :shots], features[:, :, shots:].flatten(1, 2))
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    return loss


def fit_by_episodes(
    rule: Rule,
    *,
    steps: int,
    seed: int,
    way: int = 60,
    shots: int = 1,
    queries: int = 1,
    learning_rate: float = 0.01,
    warmup: int = 10,
    device: str = "auto",
) -> tuple[nn.Module, History]:
    """Trains an encoder with one episode of the training alphabets a step; returns it and the history of the loss.

    Args:
        rule: from features to logits, such as `prototype_rule`.
        steps: of the training.
        seed: of the episodes, the first weights and the jitter.
        way: classes of an episode. More of them in training than in the test make the features better (Snell et al. 2017,
            section 3.1).
        shots: labelled images of each class.
        queries: further images of each class.
        learning_rate: the largest one.
        warmup: steps until it is reached.
        device: where to train.
    """
    pool = glyph_pool("train", jitter="none")
    # All episodes are drawn before the training, as rows into the pool: the loop then takes an episode as one "image" of its
    # batch. With several processes every one has an episode of its own in each step.
    episodes = draw_episodes(pool, steps * world_size(), way=way, shots=shots, queries=queries, seed=seed)
    seed_everything(seed)
    encoder = encoder_net()

    def images_of(rows: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return mixed_jitter(pool.images[rows.flatten().cpu()].to(rows.device), generator), labels

    history = train(
        encoder,
        episodes.rows,
        episodes.query_labels.expand(len(episodes), -1),
        steps=steps,
        batch_size=world_size(),
        learning_rate=learning_rate,
        warmup=warmup,
        augment=images_of,
        loss=episode_loss(rule, way, shots),
        seed=seed,
        device=device,
    )
    return encoder, history


def fit_by_classes(
    *, steps: int, seed: int, batch_size: int = 120, learning_rate: float = 0.01, warmup: int = 10, device: str = "auto"
) -> tuple[nn.Module, History]:
    """Trains an encoder as the backbone of a classifier of all training classes, whose last layer is thrown away.

    Args:
        steps: of the training.
        seed: of everything random.
        batch_size: images a step.
        learning_rate: the largest one.
        warmup: steps until it is reached.
        device: where to train.

    Returns:
        The encoder and the history of the loss.
    """
    pool = glyph_pool("train", jitter="none")
    seed_everything(seed)
    encoder = encoder_net()
    classifier = nn.Sequential(encoder, nn.Linear(64, len(pool.classes)))

    def jittered(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return mixed_jitter((images * 255).to(torch.uint8), generator), labels  # the loop has scaled them to 0..1 already

    history = train(
        classifier,
        pool.images,
        pool.labels,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        augment=jittered,
        seed=seed,
        device=device,
    )
    return encoder, history


def embed(encoder: nn.Module, pool: Pool, *, device: str | None = None) -> Tensor:
    """The features (rows, D) of all images of a pool, on the CPU; episodes then cost only a few matrix products."""
    return outputs(encoder, pool.images, device=device)
