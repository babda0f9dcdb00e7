# ---
# jupyter:
#   question: What can one picture of each class teach, and how much of it is luck?
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Few-shot episodes
#
# A person sees one Georgian letter and recognises it again. Few-shot learning (小样本学习) asks the same of a network: after
# training on *some* scripts, tell apart the letters of *others* from one labelled picture each.
#
# **After this chapter you can** draw N-way K-shot episodes, state a few-shot accuracy with its interval, write prototypical
# networks, SimpleShot and a step of MAML, and say what a draw of K labels leaves to luck.
#
# **Time:** 90 minutes. **Claims under test:** C4 (a few labels do not represent the distribution), C5 (complex models overfit
# when labels are few).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more steps, episodes, seeds
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
JITTER = "hard"  # "none", "mild" or "hard": how much the pictures vary where methods are compared
OMNIGLOT = ""  # a path to your copy of Omniglot; empty: FEWSHOT_LAB_OMNIGLOT, or none

# %%
import functools

import torch

import fewshot_lab as lab
from fewshot_lab import data
from fewshot_lab.data import episodes as ep
from fewshot_lab.data import omniglot
from fewshot_lab.methods import across_artists, few_shot, maml, model_size, prototypes
from fewshot_lab.models import encoder_net
from fewshot_lab.training import Arms, outputs

lab.setup("05", profile=PROFILE, seed=SEED, device=DEVICE)
EXPLORING = "" if JITTER == "hard" else f"JITTER={JITTER}"
SEEDS = lab.seeds(3, 5)  # as many trainings of each encoder
COUNT = lab.quick_or_full(400, 2000)  # test episodes of each of them
pool = ep.glyph_pool("test", jitter=JITTER, versions=8, seed=SEEDS[0])
mild = ep.glyph_pool("test", jitter="mild", versions=4, seed=SEEDS[0])
handwriting = omniglot.find(OMNIGLOT)  # None when it is not here

# %% [markdown]
# Networks train on Latin and Lao letters and digits and are tested on Armenian, Georgian and Greek letters. All are *rendered*
# from typefaces, and each picture is then moved, turned and sheared at random (`JITTER`), in the test as in the training; hard
# jitter also thickens strokes and adds strong noise.
#
# Test letters that look like a training letter were taken out, by a rule: for every two letters the pictures were scaled to one
# size, laid on each other and slightly blurred, and a test letter whose ink agreed (a cosine of 0.89 in the median typeface, or of
# 0.98 in one) went. So went Greek rho for p, and Armenian liwn for L. What the rule does not see may still look alike to you.
#
# Cyrillic letters are in neither part: the settings of this chapter were chosen on them, from equally many candidates for each
# kind of encoder ([choices](../docs/choices.md)). A few-shot result flatters when its settings were tuned on many labels of the
# tested classes (Perez et al. 2021). Here no test letter took part in a choice.
#
# ## Predict

# %%
lab.predict(
    "one look",
    "A network has never seen Armenian, Georgian or Greek. It gets one picture of each of five "
    "letters. Which share of further pictures does it classify correctly, with mild jitter?",
    ["20 %: chance", "about 50 %", "about 80 %", "over 90 %"],
)

# %% [markdown]
# ## See: an episode
#
# Each row is a class: first its labelled pictures, the **support set** (支持集), then **queries** (查询集) with the class that is
# nearest. Change N, K and the episode. How far do raw pixels carry? Does an untrained network do better? An episode has only 15
# queries here, so its share of correct answers may well lie below chance, which is 20 %.

# %%
torch.manual_seed(SEED)
untrained = encoder_net()


def as_pixels(images):
    return images.flatten(1).float() / 255


still = ep.glyph_pool("test", jitter="none")
pools = {JITTER: pool, "none": still}
embeddings = {"untrained network": functools.partial(outputs, untrained), "pixels": as_pixels}
lab.widgets.EpisodeExplorer(pools, embeddings)

# %% [markdown]
# Switch the data set to `none`: what does jitter do to pixels? They compare where the ink is, not which letter it makes.

# %%
for name, letters in pools.items():
    shown = ep.draw_episodes(letters, COUNT, way=5, shots=1, queries=5, seed=SEEDS[0])
    nearest = prototypes.episode_accuracies(prototypes.pixels(letters), shown)
    print(f"pixels, jitter {name}: {nearest.mean():.2f} over {COUNT} episodes (chance 0.20)")

# %% [markdown]
# ## Derive: the protocol
#
# One **episode** (任务片段) is N-way K-shot: draw N classes that training never saw, K labelled pictures of each and some queries
# (Vinyals et al. 2016). Three rules keep it honest. Support and queries share no picture. The classes are **numbered anew**, 0 to
# N-1, so nothing can be learned by number. And classes, support and queries are drawn at random, again for each episode.
#
# ## Write it


# %% exercise="draw_episode"
def draw_episode(labels, way, shots, queries, generator):
    """Draws one episode as rows into a data set.

    labels: class number of every row, any whole numbers. way: classes of the episode. shots,
    queries: rows per class. generator: torch.Generator for every random draw. Returns support rows
    (way * shots,), their labels 0..way-1, query rows (way * queries,), their labels 0..way-1.
    """
    ### BEGIN SOLUTION
    classes = labels.unique()
    chosen = classes[torch.randperm(len(classes), generator=generator)[:way]]
    support, asked = [], []
    for label in chosen:
        rows = (labels == label).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=generator)]
        support.append(rows[:shots])
        asked.append(rows[shots : shots + queries])
    new = torch.arange(way)
    return (
        torch.cat(support),
        new.repeat_interleave(shots),
        torch.cat(asked),
        new.repeat_interleave(queries),
    )
    ### END SOLUTION


# %% [markdown]
# Draw a hundred episodes with it and classify by the nearest single picture, pixel by pixel. The accuracies differ a lot:

# %%
one_episode = lab.yours_or_ours(draw_episode)
generator = torch.Generator().manual_seed(SEED)
flat, rows_of = as_pixels(pool.images), pool.labels.repeat_interleave(pool.versions)


def pixel_accuracy():
    support, support_labels, queries, query_labels = one_episode(rows_of, 5, 1, 10, generator)
    nearest = torch.cdist(flat[queries], flat[support]).argmin(1)
    return (support_labels[nearest] == query_labels).float().mean().item()


hundred = [pixel_accuracy() for _ in range(100)]
print(f"lowest {min(hundred):.2f}, mean {sum(hundred) / 100:.2f}, highest {max(hundred):.2f}")
print("chance  0.20")

# %% [markdown]
# ## Derive: why an interval over episodes
#
# An episode's accuracy $a_e$ depends on which classes and pictures it drew. One episode says little, so few-shot results are means
# over hundreds, with
#
# $$\bar a \pm 1.96\,\frac{s}{\sqrt{E}}, \qquad s^2 = \frac{1}{E-1}\sum_e (a_e - \bar a)^2$$
#
# The queries of one episode share its support set, so they are *not* independent: count episodes, not queries. This is the
# interval of most papers. It is about new episodes of *these* classes for *this* trained network. It says nothing of another
# training, and nothing of other letters. The chapter's verdicts need both, so their intervals will be wider. And 1.96 is for many
# episodes: for few of them, Student's t of chapter 00 is larger. The course's intervals take it everywhere.
#
# ## Write it

# %% exercise="episode_interval"
import math


def episode_interval(accuracies):
    """The mean accuracy over episodes and half the width of its 95 % interval.

    accuracies: float tensor (episodes,). Returns two numbers; half the width is 1.96 standard
    errors of the mean.
    """
    ### BEGIN SOLUTION
    mean = accuracies.mean()
    return mean.item(), (1.96 * accuracies.std() / math.sqrt(len(accuracies))).item()
    ### END SOLUTION


# %% [markdown]
# How many episodes do you need? The course draws all of them at once, as one table of rows, and computes the features of every
# picture only once.

# %%
half_width = lab.yours_or_ours(episode_interval)
drawn = ep.draw_episodes(mild, COUNT, way=5, shots=1, queries=10, seed=SEEDS[0])
by_pixels = prototypes.episode_accuracies(prototypes.pixels(mild), drawn)
SIZES = [10, 30, 100, 300, COUNT]
by_size = {size: lab.mean_interval(by_pixels[:size]) for size in SIZES}
widths = {size: (one.high - one.low) / 2 for size, one in by_size.items()}
for size in (10, COUNT):
    yours = half_width(by_pixels[:size])[1]
    print(f"{size} episodes: ±{yours:.4f} by 1.96, ±{widths[size]:.4f} by Student's t")

# %% folded=true
lab.figures.curves(
    {"pixels": (SIZES, list(by_size.values()))},
    title=f"±{100 * widths[10]:.0f} points after 10 episodes, ±{100 * widths[COUNT]:.1f} after "
    f"{COUNT}",
    x="test episodes",
    y="5-way 1-shot accuracy",
    log_x=True,
    ticks=SIZES,
    caption="Nearest picture by pixels, mild jitter. Band: 95 % interval over the episodes so far.",
    alt="Half the width of the interval: "
    + ", ".join(f"±{width:.3f} after {size} episodes" for size, width in widths.items()),
)

# %% [markdown]
# The band shrinks roughly with the square root: a hundred times the episodes, about a tenth of the width. At 10 episodes,
# Student's t makes it wider still.

# %%
lab.record(
    pixels_5way_1shot=lab.mean_interval(by_pixels, over=f"{COUNT} episodes"), unit="accuracy"
)

# %% [markdown]
# ## Derive: prototypical networks
#
# Let $f_\theta$ be an encoder. The **prototype** (原型) of class $k$ is the mean of its support features, and a query is compared
# with all prototypes by squared distance (Snell et al. 2017, equations 1 and 2):
#
# $$c_k = \frac{1}{|S_k|}\sum_{x_i \in S_k} f_\theta(x_i), \qquad
# p(y = k \mid x) = \frac{\exp(-\lVert f_\theta(x) - c_k\rVert^2)}{\sum_j \exp(-\lVert f_\theta(x) - c_j\rVert^2)}$$
#
# Training draws episodes too, from the training scripts, and lowers $-\log p$ of the queries: learning to compare, not to name.
#
# ## Write it


# %% exercise="class_prototypes"
def class_prototypes(features, labels, way):
    """The mean feature of every class.

    features: float tensor (n, D). labels: whole numbers (n,) from 0 to way - 1, in any order.
    Returns (way, D).
    """
    ### BEGIN SOLUTION
    return torch.stack([features[labels == k].mean(0) for k in range(way)])
    ### END SOLUTION


# %% [markdown]
# The logits of a query are largest for the nearest prototype. Their softmax is $p(y = k \mid x)$.


# %% exercise="prototype_logits"
def prototype_logits(queries, prototypes):
    """The logits of queries: minus the squared Euclidean distance to every prototype.

    queries: float tensor (M, D). prototypes: (way, D). Returns (M, way).
    """
    ### BEGIN SOLUTION
    return -(queries[:, None, :] - prototypes[None, :, :]).square().sum(2)
    ### END SOLUTION


# %% [markdown]
# ## Derive: the other methods
#
# * **Transfer** (迁移学习): train an ordinary classifier of all training letters, cut off its last layer, and fit a new **linear
#   head** on the support set (Chen et al. 2019).
# * **SimpleShot**: the same encoder and nearest centroids, once features are centred and of length 1 (Wang et al. 2019). You write it
#   below.
# * **Matching networks** (匹配网络): a query's label is the support labels' mean, weighted by attention
#   $a(x, x_i) = \mathrm{softmax}_i(\beta\cos(f(x), f(x_i)))$ with a sharpness $\beta$ (Vinyals et al. 2016). With one shot, prototypes with another distance.
# * **Soft k-means** (软 k 均值): prototypes that the queries themselves move, without their labels (Ren et al. 2018). It needs all
#   queries at once.
# * **MAML**: a start from which a few gradient steps solve the task. Further below.
#
# ## Measure it: train
#
# All encoders run the loop of chapter 02 for equally many steps on 120 pictures each, and its `augment` jitters them, half with mild
# and half with hard jitter. For the backbone of the classifier (`prototypes.fit_by_classes`) that is all. For prototypes and
# matching networks a batch is *one episode*, of more classes than the test has, and the loss is the cross-entropy of its queries:

# %%
lab.source(prototypes.episode_loss)

# %% [markdown]
# Each encoder is trained several times, from other first weights and on other draws. All cores are busy for a while; read on.
# Where their losses still fall, what follows is about encoders after a *short* training, and points are hollow.

# %%
STEPS = lab.quick_or_full(130, 1000)
KINDS = ("prototypes", "matching", "classes")
TRAININGS = {kind: {"method": kind, **lab.chosen(f"encoder-{kind}")} for kind in KINDS}
trained = lab.arms(few_shot.fit, TRAININGS, seeds=SEEDS, steps=STEPS, device=DEVICE)
encoders = {
    kind: [few_shot.encoder_of(row["weights"]) for row in trained.rows[kind]] for kind in KINDS
}
best_encoder = encoders["prototypes"][0]
RESTED = {kind: [row["at_rest"] for row in trained.rows[kind]] for kind in KINDS}
for kind in KINDS:
    print(f"{kind}: {sum(RESTED[kind])} of {len(SEEDS)} trainings came to rest in {STEPS} steps")

# %% [markdown]
# ## Measure it: unseen scripts
#
# The pictures of the test scripts are embedded **once**; hundreds of episodes are then a few matrix products. Your two functions do the
# first hundred one by one, as a check.

# %%
features = prototypes.embed(best_encoder, mild)
means, logits_of = lab.yours_or_ours(class_prototypes), lab.yours_or_ours(prototype_logits)
all_at_once = prototypes.episode_accuracies(features, drawn)
one_by_one = []
for support, queries in zip(drawn.support[:100], drawn.queries[:100]):
    c = means(features[support.flatten()], torch.arange(5), 5)
    hits = logits_of(features[queries.flatten()], c).argmax(1) == drawn.query_labels
    one_by_one.append(hits.float().mean().item())
print(f"First 100 episodes, one by one {sum(one_by_one) / 100:.4f}")
print(f"           and all at once {all_at_once[:100].mean():.4f}")

# %% [markdown]
# Five classes or twenty, one label or five: the harder protocols use the same features. From here on every encoder has episodes of
# its own, and the intervals say what other trainings *and other letters* would change: `few_shot.by_class` gives each test
# letter its share in the result, and trainings are crossed with letters.

# %%
PROTOCOLS = {"5way_1shot": (5, 1), "5way_5shot": (5, 5), "20way_1shot": (20, 1)}
by_training = [prototypes.embed(encoder, mild) for encoder in encoders["prototypes"]]
rows = {
    name: [
        few_shot.score(mild, values, way=way, shots=shots, seed=seed, episodes=COUNT, at_rest=rest)
        for seed, values, rest in zip(SEEDS, by_training, RESTED["prototypes"])
    ]
    for name, (way, shots) in PROTOCOLS.items()
}
protocols = Arms(rows, unit="accuracy", clusters="letters")
lab.record(
    **{f"prototypes_{name}": protocols.interval(name) for name in PROTOCOLS},
    headline=("prototypes_5way_1shot", "prototypes_20way_1shot"),
)

# %%
share = protocols.interval("5way_1shot")
lab.recall("one look", f"{share.mean:.0%} with mild jitter (pixels {by_pixels.mean():.0%})", share)

# %% [markdown]
# ## Write it: SimpleShot
#
# Features after a ReLU are never negative, so they all point in roughly the same direction. Subtract the mean feature $m$ of the
# *training* classes, then keep only the direction: $z = (f - m) / \lVert f - m\rVert$.


# %% exercise="simple_shot"
def simple_shot(features, mean):
    """Centres features and makes their length 1.

    features: float tensor (n, D). mean: (D,), the mean feature of the training classes. Returns (n,
    D).
    """
    ### BEGIN SOLUTION
    centred = features - mean
    return centred / centred.norm(dim=1, keepdim=True)
    ### END SOLUTION


# %% [markdown]
# Methods of one seed get the same episodes, at 1, 2 and 5 shots. SimpleShot is your function and nearest centroids. It is also put
# on the encoder that learned by episodes, so that encoders can be told apart from heads.

# %%
SHOTS = [1, 2, 5]
centred = lab.yours_or_ours(simple_shot)
embedded = {kind: [prototypes.embed(net, pool) for net in encoders[kind]] for kind in KINDS}
training_pool = ep.glyph_pool("train", jitter=JITTER, seed=SEEDS[0])


def centre(kind, i, values):
    """SimpleShot's features, for the training number i of that kind."""
    return centred(values, prototypes.embed(encoders[kind][i], training_pool).mean(0))


simple = {
    kind: [centre(kind, i, values) for i, values in enumerate(embedded[kind])]
    for kind in ("prototypes", "classes")
}
by_prototype = prototypes.prototype_rule
refined = functools.partial(prototypes.soft_k_means_rule, rounds=lab.chosen("soft-k-means-rounds"))
linear = functools.partial(prototypes.linear_rule, decay=lab.chosen("linear-head-decay"))
METHODS = {  # the kind of encoder, features of each training, rule
    "soft k-means": ("prototypes", embedded["prototypes"], refined),
    "prototypes": ("prototypes", embedded["prototypes"], by_prototype),
    "SimpleShot on episodes": ("prototypes", simple["prototypes"], by_prototype),
    "matching": ("matching", embedded["matching"], prototypes.matching_rule),
    "transfer": ("classes", embedded["classes"], linear),
    "SimpleShot": ("classes", simple["classes"], by_prototype),
    "untrained network": (None, [prototypes.embed(untrained, pool)] * len(SEEDS), by_prototype),
    "pixels": (None, [prototypes.pixels(pool)] * len(SEEDS), by_prototype),
}

# %%
rows = {name: [] for name in METHODS}
for name, (kind, features, rule) in METHODS.items():
    for i, seed in enumerate(SEEDS):
        known = {"at_rest": RESTED[kind][i]} if kind else {}
        rows[name] += [
            few_shot.score(pool, features[i], rule, shots=k, seed=seed, episodes=COUNT, **known)
            for k in SHOTS
        ]
scores = Arms(rows, axis="shots", unit="accuracy", clusters="letters")
RIVALS = "soft k-means, prototypes, SimpleShot on episodes, matching, transfer".split(", ")

# %% folded=true
lab.figures.panels(
    {
        f"{k} shot{'s' * (k > 1)}: 5-way accuracy": {
            name: scores.interval(name, k) for name in (*RIVALS, "SimpleShot")
        }
        for k in SHOTS
    },
    title=f"1 shot: soft k-means {scores.mean('soft k-means', 1):.3f}, prototypes "
    f"{scores.mean('prototypes', 1):.3f}, SimpleShot {scores.mean('SimpleShot', 1):.3f}",
    digits=3,
    shared=True,
    caption=f"Unseen letters, {JITTER} jitter, encoders after {STEPS} steps. 95 % interval "
    f"over {len(SEEDS)} trainings and {len(pool.classes)} letters. Chance is 0.2; at 1 shot an "
    f"untrained network has {scores.mean('untrained network', 1):.2f}, pixels "
    f"{scores.mean('pixels', 1):.2f}. Soft k-means sees all queries of an episode at once.",
)

# %% [markdown]
# The intervals cover what other trainings and letters would change, but all methods were tested on the same letters. Their paired
# differences are mostly surer: every method against SimpleShot, whose encoder never saw an episode.

# %%
ahead = {
    f"{name}, {k} shot{'s' * (k > 1)}": scores.gain(name, k, over="SimpleShot")
    for k in (1, 5)
    for name in RIVALS
}

# %% folded=true
lab.figures.bars(
    ahead,
    title="Which method is ahead of SimpleShot?",
    x="accuracy - SimpleShot's accuracy",
    line=0.0,
    digits=3,
    caption=f"{JITTER} jitter, {STEPS} training steps. Mean and 95 % interval of the paired "
    f"difference over {len(SEEDS)} trainings and {len(pool.classes)} letters. Transfer: a "
    "linear head.",
)

# %% [markdown]
# Is it the episodes? *Prototypes* against *SimpleShot* compares two encoders, each with its own head. With SimpleShot's head on
# both, only the encoders differ. The verdict needs both, at 1 and at 5 shots. It holds for this many steps: how many of these
# trainings had come to rest stands beside each part.

# %%
lab.verdict(
    "episodes-beat-classes",
    own_1=scores.gain("prototypes", 1, over="SimpleShot"),
    own_5=scores.gain("prototypes", 5, over="SimpleShot"),
    same_1=scores.gain("SimpleShot on episodes", 1, over="SimpleShot"),
    same_5=scores.gain("SimpleShot on episodes", 5, over="SimpleShot"),
    exploring=EXPLORING,
)

# %% [markdown]
# ## See: what unlabelled queries tell
#
# Soft k-means begins with the prototypes. Then each query counts for class $k$ with its present $p_{qk} = p(y = k \mid x_q)$, and the
# prototypes move (Ren et al. 2018):
#
# $$c_k \leftarrow \frac{\sum_{x_i \in S_k} f(x_i) + \sum_q p_{qk} f(x_q)}{|S_k| + \sum_q p_{qk}}$$
#
# It costs no training and milliseconds per episode. But it uses that every class has queries, and in our episodes all have equally
# many. Nobody guarantees that outside of a benchmark (Veilleux et al. 2021). So draw the classes' shares of the queries at random, too:


# %%
def in_shares(i, seed):
    """Accuracy of each episode, with equal and with random shares of 20 queries."""
    episodes = ep.draw_episodes(pool, COUNT, way=5, shots=1, queries=20, seed=seed)
    equal = episodes.queries[:, :, :4].flatten(1), torch.arange(5).repeat_interleave(4)
    asked = {"equal shares": equal, "random shares": few_shot.unbalanced(episodes, seed=seed)}
    values, found = embedded["prototypes"][i], {}
    for which, (queries, labels) in asked.items():
        for name, rule in {"prototypes": by_prototype, "soft k-means": refined}.items():
            logits = rule(values[episodes.support], values[queries])
            found[f"{name}, {which}"] = (logits.argmax(2) == labels).float().mean(1)
    return episodes.classes, found


of_prototypes = dict.fromkeys(in_shares(0, SEEDS[0])[1], RESTED["prototypes"])
shares = few_shot.compared(in_shares, SEEDS, pool, rest=of_prototypes)
helped = {
    which: shares.gain(f"soft k-means, {which}", over=f"prototypes, {which}")
    for which in ("equal shares", "random shares")
}

# %% folded=true
lab.figures.bars(
    {name: shares.interval(name) for name in shares.rows},
    title="Soft k-means - prototypes: "
    + ", ".join(f"{gain.mean:+.3f} with {which}" for which, gain in helped.items()),
    x="5-way 1-shot accuracy",
    digits=3,
    caption=f"20 queries an episode: 4 of each class, or in shares from a Dirichlet distribution. "
    f"{JITTER} jitter. Interval over {len(SEEDS)} trainings and {len(pool.classes)} letters.",
)

# %%
lab.verdict(
    "queries-help",
    balanced=helped["equal shares"],
    unequal=helped["random shares"],
    exploring=EXPLORING,
)

# %% [markdown]
# Before you use such a method, ask in which shares your unlabelled pictures come.
#
# ## Derive: MAML
#
# Model-agnostic meta-learning (与模型无关的元学习; Finn et al. 2017) keeps plain gradient descent and learns *where to start*. In
# the inner loop a task adapts the weights on its support set; the outer loop tests the **adapted** weights on the queries:
#
# $$\theta'_{\mathcal T} = \theta - \alpha \nabla_\theta L_{\mathcal T}^{\text{support}}(\theta), \qquad
# \min_\theta \sum_{\mathcal T} L_{\mathcal T}^{\text{query}}(\theta'_{\mathcal T})$$
#
# The outer gradient goes *through* the step: $\partial\theta'/\partial\theta = I - \alpha\nabla^2 L$. In one dimension, with
# $L = \frac{h}{2}(\theta - m)^2$, the step is $\theta' = \theta - \alpha h (\theta - m)$ and $\partial\theta'/\partial\theta = 1 -
# \alpha h$: where the loss bends much ($h$ large), the step forgets its start, and a better start is worth less. First-order MAML
# drops the second derivative and takes 1. Your step must keep it.
#
# ## Write it


# %% exercise="inner_step"
def inner_step(weight, features, labels, rate):
    """One step of gradient descent on the mean cross-entropy of a linear classifier.

    weight: float tensor (D, classes) that requires a gradient. features: (n, D). labels: whole
    numbers (n,). rate: the step size, a number. Returns the new weight; gradients can flow through
    it back to `weight`.
    """
    ### BEGIN SOLUTION
    loss = torch.nn.functional.cross_entropy(features @ weight, labels)
    (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
    return weight - rate * gradient
    ### END SOLUTION


# %% [markdown]
# What do inner steps do? Here only a linear head adapts, from 0, on top of the classifier's frozen features.

# %%
step = lab.yours_or_ours(inner_step)
fixed = embedded["classes"][0] / embedded["classes"][0].norm(dim=1).mean()
few = ep.draw_episodes(pool, lab.quick_or_full(60, 300), way=5, shots=1, queries=10, seed=SEEDS[1])


def accuracy_by_step(rate, steps=6):
    """Accuracy of each episode before and after every step: (episodes, steps + 1)."""
    rows = []
    for support, queries in zip(few.support, few.queries):
        weight, row = torch.zeros(fixed.shape[1], 5, requires_grad=True), []
        for _ in range(steps + 1):
            predicted = (fixed[queries.flatten()] @ weight).argmax(1)
            row.append((predicted == few.query_labels).float().mean())
            weight = step(weight, fixed[support.flatten()], torch.arange(5), rate)
            weight = weight.detach().requires_grad_()
        rows.append(torch.stack(row))
    return torch.stack(rows)


by_step = {f"step size {rate:g}": accuracy_by_step(rate) for rate in (0.3, 3.0, 30.0)}
by_length = prototypes.episode_accuracies(simple["classes"][0], few).mean().item()

# %% folded=true
lab.figures.curves(
    {
        name: (range(7), [lab.mean_interval(values[:, i]) for i in range(7)])
        for name, values in by_step.items()
    },
    title="After one step: "
    + ", ".join(f"{values[:, 1].mean():.2f} ({name})" for name, values in by_step.items()),
    x="inner steps",
    y="5-way 1-shot accuracy",
    levels={"SimpleShot, same encoder": by_length},
    caption=f"{len(few)} episodes, {JITTER} jitter, one encoder. Band: 95 % interval over "
    "episodes. "
    "What does the first step from 0 compute?",
    alt="; ".join(
        f"{name}: {values[:, 1].mean():.2f} after one step, {values[:, 6].mean():.2f} after six"
        for name, values in by_step.items()
    ),
)

# %% [markdown]
# From 0, the step moves the head's column of class $k$ towards the mean feature of class $k$ and away from the mean of all: one step
# already puts the (centred) *prototypes* into the head. Yet the head compares by dot product, not by distance: a class with long
# features gets large logits for every query. SimpleShot (dashed line) reads the same encoder, and gives all features length 1
# first.
#
# ## Measure it: MAML
#
# `methods/maml.py` adapts **all** weights, for all tasks of a batch at once (`torch.func.vmap`). The outer loop is the one of
# chapter 02, and its loss is the queries' cross-entropy *after* the inner steps (`maml.fit_maml`). What is measured here is a variant.
# It starts from the classifier's encoder, because from random weights MAML needs many more steps than this chapter has time for. It
# learns its step sizes too, one for the encoder and one for the head (Meta-SGD, Li et al. 2017, arXiv 1707.09835, learns one for
# each weight). And its batch norm keeps the statistics of the start. Say so when you quote it. Its outer learning rate and that of
# its first-order version were each chosen on Cyrillic.
#
# The number of inner steps and their sizes were chosen *without* meta-training. They and the outer rates were chosen twice: for
# encoders after a short training, and for those of the full profile. Features grow with training, so step sizes that suit an encoder
# early on may be too large later.

# %%
META, EPISODES = lab.quick_or_full((16, 40), (80, 200))
LONG = lab.quick_or_full("", "-long")  # what was chosen for encoders after a long training
INNER = lab.chosen(f"inner-loop{LONG}")
starts = {row["seed"]: row["weights"] for row in trained.rows["classes"]}
FROM = {
    "MAML, learned step sizes": lambda seed: {"start": starts[seed]},
    "its first-order version": lambda seed: {"start": starts[seed], **FIRST_ORDER},
}
RATES = [lab.chosen(f"outer-rate{which}{LONG}") for which in ("", "-first-order")]
OUTER = {"steps": META, "learning_rate": RATES[0], "device": DEVICE}
FIRST_ORDER = {"first_order": True, "learning_rate": RATES[1]}
meta_trained = lab.arms(few_shot.meta_train, FROM, seeds=SEEDS, **OUTER, **INNER)

# %% [markdown]
# A method looks good beside a baseline that nobody tuned (Chen et al. 2019). So meta-training is compared with as many gradient
# steps from the same encoder, at the step sizes that were chosen on Cyrillic. SimpleShot on this encoder stands beside it.


# %%
def adapted(i, seed):
    """Accuracy of each episode, method by method, for the training number i."""
    unseen = ep.draw_episodes(mild, EPISODES, way=5, shots=1, queries=5, seed=seed)
    encoder = encoders["classes"][i]
    learners = {TUNED: maml.Learner(encoder, 5, alpha=INNER["alpha"])}
    learners |= {name: few_shot.learner_of(meta_trained.rows[name][i]["weights"]) for name in FROM}
    device, steps = lab.runtime.choose_device(DEVICE), INNER["inner_steps"]
    found = {
        name: maml.maml_accuracies(learner.to(device), mild, unseen, steps=steps)
        for name, learner in learners.items()
    }
    values = centre("classes", i, prototypes.embed(encoder, mild))
    found["SimpleShot, same encoder"] = prototypes.episode_accuracies(values, unseen)
    found["prototypes"] = prototypes.episode_accuracies(by_training[i], unseen)
    return unseen.classes, found


TUNED = "tuned steps, no meta-training"
MOVED = {name: [row["at_rest"] for row in meta_trained.rows[name]] for name in FROM}
MOVED |= {TUNED: RESTED["classes"], "SimpleShot, same encoder": RESTED["classes"]}
MOVED |= {"prototypes": RESTED["prototypes"]}
by_gradient = few_shot.compared(adapted, SEEDS, mild, rest=MOVED)
gained = by_gradient.gain("MAML, learned step sizes", over=TUNED)

# %% folded=true
lab.figures.bars(
    {name: by_gradient.interval(name) for name in by_gradient.rows},
    title=f"Meta-training: {gained.short(signed=True)}, to "
    f"{by_gradient.mean('MAML, learned step sizes'):.2f}; "
    f"SimpleShot without a gradient: {by_gradient.mean('SimpleShot, same encoder'):.2f}",
    x="5-way 1-shot accuracy",
    digits=3,
    caption=f"{META} outer steps; {EPISODES} episodes for each of {len(SEEDS)} trainings, mild "
    f"jitter; all weights adapt in {INNER['inner_steps']} steps. Interval over trainings and "
    f"{len(mild.classes)} letters. "
    f"Prototypes: their own encoder after {STEPS} steps.",
)

# %%
lab.verdict("meta-training-helps", gain=gained, exploring=EXPLORING)

# %% [markdown]
# Look at the first row before the difference. If it lay near chance (0.2), or far below *SimpleShot* on the same encoder, its steps
# would be badly tuned, and beating it would mean little.
#
# Do the gradients earn their price? Compare the upper rows with *SimpleShot*, which takes one pass and no gradient at all. And
# does the second derivative pay? The first-order version takes the outer gradient at the *adapted* weights for the one at the
# start. After several inner steps these two gradients may differ a lot. Does either version fall behind its start, the first row?
# `second_order_gain` is the difference between MAML and its first-order version.

# %%
SECOND = ("MAML, learned step sizes", "its first-order version")
lab.record(
    meta_sgd_from_classifier_5way_1shot=by_gradient.interval(SECOND[0]),
    tuned_steps_5way_1shot=by_gradient.interval(TUNED),
    second_order_gain=by_gradient.gain(SECOND[0], over=SECOND[1]),
)

# %% [markdown]
# ## Predict: luck

# %%
lab.predict(
    "luck",
    "Five letters, one label each, fixed test pictures. How far apart are a lucky draw of the "
    "labels (nine of ten are worse) and an unlucky one (nine of ten are better)?",
    ["under 1 point", "about 3 points", "about 10 points", "over 20 points"],
)

# %% [markdown]
# ## Measure it: the draw of the labels (claim C4)
#
# So far classes and queries changed with the episode. Now they stay. The letters with at least 12 pictures are dealt out to tasks
# of five, so that no two tasks share a letter. Each task keeps four pictures of each letter as queries, and the K labelled ones are
# drawn again and again from the others. Whatever varies, varies because of the labels.

# %%
DRAWS = lab.quick_or_full(200, 500)
tasks = ep.draw_tasks(pool, DRAWS, way=5, shots=max(SHOTS), seed=SEEDS[0])
luck = {  # each (trainings, tasks, draws)
    k: torch.stack(
        [few_shot.accuracies_by_draw(values, tasks, k) for values in embedded["prototypes"]]
    )
    for k in SHOTS
}


def over_tasks(values, unit=""):
    """The mean of values (trainings, tasks), with an interval over both."""
    trainings, count = values.shape
    over = f"{trainings} trainings x {count} tasks"
    rest = [("prototypes", sum(RESTED["prototypes"]) / trainings)]
    return lab.crossed_interval(values, torch.ones(count), unit, over, rest)


tenths = {k: values.quantile(torch.tensor([0.1, 0.9]), dim=2) for k, values in luck.items()}
spread = {k: over_tasks(high - low, "accuracy") for k, (low, high) in tenths.items()}

# %% folded=true
lines = {
    "nine of ten draws are worse": [tenths[k][1] for k in SHOTS],
    "mean": [luck[k].mean(2) for k in SHOTS],
    "nine of ten draws are better": [tenths[k][0] for k in SHOTS],
}
lab.figures.curves(
    {name: (SHOTS, [over_tasks(values) for values in line]) for name, line in lines.items()},
    title=f"Luck is worth {100 * spread[1].mean:.0f} points at 1 label per class, "
    f"{100 * spread[5].mean:.0f} at 5",
    x="labelled pictures per class",
    y="5-way accuracy",
    log_x=True,
    ticks=SHOTS,
    caption=f"Prototypes, {JITTER} jitter, {len(tasks)} tasks, {DRAWS} draws of the labels "
    "each, the "
    f"same test pictures. Band: 95 % interval over tasks and {len(SEEDS)} trainings.",
)

# %% [markdown]
# What does a bad draw look like? Take the task with the widest spread, its best and its worst support set.

# %%
by_task = luck[1][0]  # of the first training, (tasks, draws)
widest = int((tenths[1][1] - tenths[1][0])[0].argmax())
task, accuracy = tasks[widest], by_task[widest]
draws = {"best": int(accuracy.argmax()), "worst": int(accuracy.argmin())}

# %% folded=true
letters = [pool.classes[c] for c in task.classes[0]]
rows = [task.support[draw, :, 0] for draw in draws.values()] + [task.queries[0, :, 0]]
lab.figures.images(
    pool.images[torch.cat(rows)],
    [f"{name}: {letter}" for name in (*draws, "test") for letter in letters],
    columns=5,
    title=f"Best draw: {accuracy.max():.0%} correct, worst: {accuracy.min():.0%}",
    caption="One labelled picture per class. Top row: the best draw. Middle: the worst. Bottom: "
    "one test picture of each class.",
)

# %% [markdown]
# Is a bad draw one of *untypical* pictures? Correlate, within each task, a draw's accuracy with how far its pictures are from the
# middle of their classes. The middle must not contain the test pictures: a picture near to *them* is good for them by construction.
# So it is the mean of the pictures that are neither test pictures nor the label of the draw.


# %%
def untypical(values, task, accuracies):
    """The correlation of accuracy with distance from the class centres, over a task's draws."""
    far = few_shot.distances_from_middle(values, pool, task)  # (draws,)
    return torch.corrcoef(torch.stack([far, accuracies]))[0, 1].nan_to_num()


correlations = [
    [untypical(values, *pair) for pair in zip(tasks, by_task)]
    for values, by_task in zip(embedded["prototypes"], luck[1])
]
lab.verdict(
    "bad-draws-are-untypical",
    correlation=over_tasks(torch.tensor(correlations)),
    exploring=EXPLORING,
)

# %%
lab.record(spread_of_draws_k1=spread[1], headline="spread_of_draws_k1")

# %%
lab.recall("luck", f"{100 * spread[1].mean:.0f} points between the two", spread[1])

# %% [markdown]
# Is that much, and does it fade with more labels? In points it fades, as the curves above show. But points are a bad scale for this:
# near an accuracy of 1 all differences shrink, whatever causes them, and more labels bring the mean there. On the scale of
# log-odds, $\log\frac{p}{1 - p}$, they do not: from 0.80 to 0.90 is 10 points, from 0.96 to 0.98 is 2, and each about doubles the
# odds. So the spread can fall in points and stay in log-odds, and the verdicts below are about the latter. There a standard
# deviation of 0.1 is one point at an accuracy of 0.9, the smallest effect that this course takes an interest in.
#
# And is it luck with letters only? Handwritten digits and clothing (Fashion-MNIST) get the same treatment with all their classes. Encoders
# of letters know nothing of clothing: on the validation images, class means of raw pixels were better than those of
# their features ([choices](../docs/choices.md)). So pixels it is, and no training at all.

# %%
QUERIES = tasks[0].queries[0].numel()
odds = {k: few_shot.logit(luck[k], QUERIES).std(2) for k in SHOTS}  # each (trainings, tasks)
points = {"glyphs": {k: over_tasks(luck[k].std(2)) for k in SHOTS}}
varies = {"glyphs": {k: over_tasks(odds[k]) for k in SHOTS}}
fades = {"glyphs": over_tasks(odds[1] - odds[5])}
for name in ("digits", "fashion"):
    real = data.load(name).capped()
    accuracies = few_shot.accuracies_on(
        real, torch.nn.Flatten(), shots=SHOTS, draws=DRAWS, seed=SEEDS[0]
    )
    values = few_shot.logit(accuracies, len(real.test_labels))  # (shots, draws)
    by_draw = {k: few_shot.spread(row) for k, row in zip(SHOTS, values)}
    over = f"{DRAWS} draws"
    points[name] = {
        k: lab.mean_interval(few_shot.spread(row), over=over) for k, row in zip(SHOTS, accuracies)
    }
    varies[name] = {k: lab.mean_interval(by_draw[k], over=over) for k in SHOTS}
    fades[name] = lab.paired_difference(by_draw[1], by_draw[5], over=over)

# %% folded=true
lab.figures.curves(
    {name: (SHOTS, list(by_shots.values())) for name, by_shots in varies.items()},
    title="How much do draws of the labels differ?",
    x="labelled pictures per class",
    y="standard deviation of the log-odds",
    log_x=True,
    ticks=SHOTS,
    limits=(0, None),
    levels={"": 0.1},
    caption=f"Glyphs: 5-way, encoders after {STEPS} steps; digits and fashion: 10 classes, pixels. "
    "Dashed: the smallest effect of interest. Band: 95 % interval over trainings and tasks "
    f"(glyphs) or over {DRAWS} draws.",
)

# %%
print("standard deviation over draws, 1 label per class and 5:")
for name in varies:
    in_points, in_odds = ([of[name][k].mean for k in (1, 5)] for of in (points, varies))
    one, five = (100 * value for value in in_points)
    print(
        f"{name:>8}: {one:.1f} and {five:.1f} points; log-odds {in_odds[0]:.2f}, {in_odds[1]:.2f}"
    )
lab.record(
    **{f"sd_of_draws_{name}_k{k}": points[name][k] for name in points for k in (1, 5)},
    unit="accuracy",
)

# %%
lab.verdict("C4a", **{name: varies[name][1] for name in varies}, exploring=EXPLORING)

# %%
lab.verdict("C4b", **fades, exploring=EXPLORING)

# %% [markdown]
# A comparison of two methods on *one* draw of the labels mostly measures luck. Use many draws, and the same ones for both.
#
# ## Measure it: model size against labels (claim C5)
#
# The claim says that complex models overfit when labels are few. Complex may mean *wide* or *deep*. So two pairs of convolutional nets
# are trained from scratch on 5 labels per class of three data sets, for equally many steps. Which learning rate? A common one would
# favour the accuracy of one of them, so accuracy is compared with the rate that suited each best on validation images. But a small
# rate leaves the logits small, and a net unsure of itself whatever its size. So confidence is compared at *equal* rates, at the best
# one of either net.
#
# How does one see overfitting? Nets that learn their few images by heart (a caption below says how nearly) differ in test accuracy
# alone: its gap to their training accuracy tells nothing more. A second measurement is **overconfidence** (过度自信): how much surer a
# net is of its answers about test images than it is right. A net that overfits more should be less accurate, and too sure of it.

# %%
PAIRS = {"wide - narrow": ("wide", "narrow"), "deep - shallow": ("deep", "shallow")}
RATE = {name: lab.chosen(f"rate-{name}") for name in model_size.SIZES}
NETS = {name: {**size, "learning_rate": RATE[name]} for name, size in model_size.SIZES.items()}
for pair in PAIRS.values():  # and each with the rate of the other
    for net, other in (pair, pair[::-1]):
        NETS[f"{net}, rate of {other}"] = NETS[net] | {"learning_rate": RATE[other]}
FIT = {"shots": 5, "steps": lab.quick_or_full(75, 200), "device": DEVICE}
TASKS = ("glyphs", "digits", "fashion")
LABELLED = lab.seeds(3, 10)  # draws of the labels
fits = {
    name: lab.arms(model_size.fit_size, NETS, seeds=LABELLED, dataset=name, unit="accuracy", **FIT)
    for name in TASKS
}
for name in RATE:
    weights = fits["glyphs"].rows[name][0]["weights"]
    print(f"{name}: {weights:,} weights on glyphs, best rate {RATE[name]}")


# %%
def more_confident(name, large, small, whose):
    """By how much the larger net is more overconfident, both at the rate of `whose`."""
    pair = (net if net == whose else f"{net}, rate of {whose}" for net in (large, small))
    of_large, of_small = pair
    return fits[name].gain(of_large, over=of_small, of="overconfidence")


def overfits(small, large):
    """The evidence that the larger of two nets overfits more, part by part."""
    parts = {f"accuracy_{name}": fits[name].gain(small, over=large) for name in TASKS}
    for name in TASKS:
        for part, whose in (("small", small), ("large", large)):
            found = more_confident(name, large, small, whose)
            parts[f"confidence_{name}_rate_of_{part}"] = found
    return parts


# %% folded=true
differences = {
    f"{name}: {pair}": (name, large, small)
    for name in TASKS
    for pair, (large, small) in PAIRS.items()
}
lab.figures.panels(
    {
        "accuracy, best rates": {
            label: fits[name].gain(large, over=small)
            for label, (name, large, small) in differences.items()
        },
        "too sure, smaller net's rate": {
            label: more_confident(*which, which[2]) for label, which in differences.items()
        },
        "too sure, larger net's rate": {
            label: more_confident(*which, which[1]) for label, which in differences.items()
        },
    },
    title="What the larger net has over the smaller one",
    line=0.0,
    digits=3,
    shared=True,
    caption=f"From scratch, 5 labels per class, {FIT['steps']} steps. Overfitting would be left "
    "of the line in the left panel and right of it in the others (overconfidence). Mean and 95 % "
    f"interval of paired differences over {len(LABELLED)} draws of labels and the test pictures.",
)

# %% folded=true
least = min(fits[name].mean(net, of="train_accuracy") for name in TASKS for net in RATE)
lab.figures.panels(
    {
        measure: {
            f"{name}: {net}": fits[name].interval(net, of=result) for name in TASKS for net in RATE
        }
        for measure, result in {
            "test accuracy": "test_accuracy",
            "overconfidence": "overconfidence",
        }.items()
    },
    title="The nets themselves, each at its best rate",
    shared=True,
    caption=f"The lowest of their training accuracies is {least:.3f}. Overconfidence: mean "
    f"confidence - accuracy on test images. Mean and 95 % interval over {len(LABELLED)} draws of "
    "the labels and the test pictures.",
)

# %%
lab.verdict("C5a", **overfits("narrow", "wide"))

# %%
lab.verdict("C5b", **overfits("shallow", "deep"))

# %%
lab.record(
    wide_minus_narrow_k5=fits["glyphs"].gain("wide", over="narrow"),
    deep_minus_shallow_k5=fits["glyphs"].gain("deep", over="shallow"),
)

# %% [markdown]
# Look back at the two panels of overconfidence. Where they disagree about a pair, its sureness is a matter of the learning rate as
# much as of size: nets that are each tuned for accuracy cannot tell the two apart.
#
# Size alone is not one thing either. A wide net has many ways to fit the same images, and gradient descent tends to find a smooth one: past
# the size at which a model just fits its data, test error often falls again (*double descent*, Belkin et al. 2019; Nakkiran et
# al. 2020). A deep net without shortcuts is also harder to train, so what the verdict says about depth holds for such nets. Two pairs of
# small convolutional nets do not settle the claim for all "complex models"; a large *pretrained* one is another case (chapter 04).
#
# ## Measure it: real handwriting
#
# The far test: the encoder has seen printed letters only. Omniglot holds characters drawn by hand, once by each of twenty people (Lake et
# al. 2015). In the hardest protocol all twenty classes come from *one* alphabet.
#
# The data are not part of the course. To run this section, download `images_background_small1.zip` from the folder `python` of
# github.com/brendenlake/omniglot, set `OMNIGLOT` at the top to the path of the file, and run the chapter again. Without it the three
# cells below only say so, and nothing else changes.

# %%
drawings = omniglot.pool(handwriting) if handwriting else None
errors = {}
if drawings:
    by_hand = prototypes.embed(best_encoder, drawings)
    settings = {"way": 20, "shots": 1, "queries": 1, "seed": SEEDS[0], "within_groups": True}
    handwritten = ep.draw_episodes(drawings, COUNT, **settings)
    errors["all alphabets"] = 1 - prototypes.episode_accuracies(by_hand, handwritten)
    alphabet = [drawings.groups[c] for c in handwritten.classes[:, 0]]
    for name in sorted(set(alphabet)):
        errors[name] = errors["all alphabets"][torch.tensor([one == name for one in alphabet])]
    by_ink = prototypes.pixels(drawings)
    errors["all, by pixels"] = 1 - prototypes.episode_accuracies(by_ink, handwritten)
    print(f"{len(drawings.classes)} characters")
else:
    print("Omniglot is not here. The text above says where to get it.")

# %% folded=true
lab.figures.bars(
    {name: lab.mean_interval(values) for name, values in errors.items()},
    title=f"From print to handwriting: {errors['all alphabets'].mean():.0%} errors (pixels "
    f"{errors['all, by pixels'].mean():.0%})",
    x="error, within-alphabet 20-way 1-shot (chance 0.95)",
    caption=f"{COUNT} episodes, one encoder. Mean and 95 % interval over episodes. Of these "
    "alphabets "
    "only Latin was trained on, in print.",
) if drawings else None

# %%
lab.record(
    omniglot_error_20way_1shot=lab.mean_interval(errors["all alphabets"]), unit="error"
) if drawings else None

# %% [markdown]
# ## Predict: another hand
#
# The letters that were trained on and tested are rendered from typefaces. Emoji have names too, and people draw them: here are a
# thousand, each by five artists.

# %%
lab.predict(
    "hand",
    "Five emoji, one picture of each, all by one artist. Features of photographs (ImageNet) "
    "classify pictures of the same five by another artist. Which share correctly?",
    ["about 50 %", "about 70 %", "about 90 %", "over 97 %"],
)

# %% folded=true
hands = across_artists.some_emoji(
    "test", count=lab.quick_or_full(100, 310, smoke=25), seed=SEEDS[0]
)
lab.figures.images(
    hands.images[: 2 * 5 * 5 : 2],  # each is followed by its moved copy
    [artist for _ in range(5) for artist in hands.makers],
    columns=5,
    title="One name, five hands",
    caption=f"From top to bottom: {', '.join(hands.classes[:5])}. What have the pictures of a row "
    "in common that other rows do not have?",
)

# %% [markdown]
# ## Measure it: how much is the drawer's hand?
#
# The support set is by one artist (at 3 shots by three), the queries by another. Two kinds of features, neither of which was
# trained on emoji: pixels, and those of EfficientNet-Lite0, which learned from photographs. Their size and how they are centred were
# chosen on other emoji by the same five artists, from four candidates for each.
#
# To compare with, *the same artist* for both. Each drew an emoji once, so every query is moved a little (turned, shifted,
# scaled, sheared) in this test, and for another artist as well.

# %%
FEATURES = {
    name: across_artists.features(kind, hands.images, **lab.chosen(f"emoji-{kind}"), device=DEVICE)
    for name, kind in {"pixels": "pixels", "Lite0": "lite0"}.items()
}
BY_HAND = {
    "5-way": {"way": 5, "shots": 1},
    "5-way, 3 shots": {"way": 5, "shots": 3},
    "20-way": {"way": 20, "shots": 1},
    "another artist": {"way": 5, "shots": 1, "moved": True},
    "same artist": {"way": 5, "shots": 1, "moved": True, "same": True},
}
rows = {
    f"{name}, {test}": across_artists.across(
        hands, values, **settings, seed=SEEDS[0], episodes=COUNT
    )
    for name, values in FEATURES.items()
    for test, settings in BY_HAND.items()
}
drawn_by = across_artists.arms(rows)
hand = {
    name: drawn_by.gain(f"{name}, another artist", over=f"{name}, same artist") for name in FEATURES
}

# %% folded=true
labels = dict(zip(BY_HAND, ["as drawn: 5-way 1-shot", "5-way 3-shot", "20-way 1-shot"]))
labels |= {test: f"moved: {test}" for test in ("another artist", "same artist")}
lab.figures.panels(
    {
        name: {label: drawn_by.interval(f"{name}, {test}") for test, label in labels.items()}
        for name in FEATURES
    },
    title="Another hand costs "
    + ", ".join(f"{-100 * cost.mean:.0f} points ({name})" for name, cost in hand.items()),
    shared=True,
    limits=(0, 1),
    caption=f"Accuracy. Where nothing else is said, the queries are by another artist. {COUNT} "
    "episodes for each artist of the queries. Mean and 95 % interval over artists of the queries "
    "(five artists, each of whom also draws support sets for the others) and "
    f"{len(hands.classes)} emoji. Settings chosen on other emoji by the same five artists. "
    "Moved: 5-way 1-shot.",
)

# %% [markdown]
# Compare the two lowest rows: even pixels recognise nearly every copy that is only moved this much. Most errors with one label
# per class come with another person's hand. So a split that puts pictures of one maker on both sides flatters, and an interval
# over episodes of the same makers says nothing about the next one.

# %%
lab.verdict(
    "photographs-know-emoji",
    five_way=drawn_by.gain("Lite0, 5-way", over="pixels, 5-way"),
    twenty_way=drawn_by.gain("Lite0, 20-way", over="pixels, 20-way"),
)

# %%
lab.verdict("another-hand-costs", pixels=hand["pixels"], lite0=hand["Lite0"])

# %%
NAMES = {"5-way": "5way_1shot", "5-way, 3 shots": "5way_3shot", "20-way": "20way_1shot"}
lab.record(
    **{
        f"emoji_{name.lower()}_{NAMES[test]}": drawn_by.interval(f"{name}, {test}")
        for name in FEATURES
        for test in NAMES
    },
    **{f"another_hand_{name.lower()}": cost for name, cost in hand.items()},
    headline="emoji_lite0_5way_1shot",
)

# %%
lite0, raw = (drawn_by.interval(f"{kind}, 5-way") for kind in ("Lite0", "pixels"))
lab.recall("hand", f"{lite0.mean:.0%} (pixels {raw.mean:.0%})", lite0)

# %% [markdown]
# ## See again
#
# The same explorer with the trained networks. Find an episode with a mistake: does the wrong class look nearer to you, too?

# %%
pools = {JITTER: pool, "mild": mild} | ({"Omniglot": drawings} if drawings else {})
embeddings = {
    "pixels": as_pixels,
    "classifier": functools.partial(outputs, encoders["classes"][0]),
    "prototypical network": functools.partial(outputs, best_encoder),
}
lab.widgets.EpisodeExplorer(pools, embeddings)

# %% [markdown]
# ## Recap
#
# * An episode is fair when its support set and its queries share no picture, its classes are new to the network, and they are numbered
#   anew. Quote it as a mean over hundreds, and say whether your interval covers other trainings and other classes.
# * Comparing means of good features goes far. Always measure SimpleShot and a linear head beside a meta-learner, tuned as much as it.
# * Unlabelled queries may tell more than a cleverer training does, if you know in which shares they come.
# * A draw of few labels is a matter of luck: compare methods on many draws, and on the same ones.
# * A copy of the labelled picture is an easy query. Test on pictures by makers who drew none of the labels.
# * "Larger models overfit more" depends on what is larger, and on how you measure it.
#
# **Questions.** 1. Two papers report 0.87 ± 0.01 over 600 episodes with networks trained once. What does the interval leave out? 2. For
# which distances is the mean the right prototype? 3. You have 5 labels per class and no others. How do you choose a learning rate?
#
# <details><summary>Short answers</summary>
#
# 1. Other trainings (first weights, order of the images) and other classes: it is about new episodes of these classes for these two
# networks. A difference of two such numbers may be one of two accidents. 2. For those whose sum over the support set the mean makes
# smallest: the squared Euclidean distance, and all Bregman divergences; not for the plain distance, nor for the cosine of raw
# features. 3. Not on the test images. Take it from other classes that have labels, as this chapter did from Cyrillic, or by
# cross-validation on the 5 (noisy: average many draws), or keep a usual one and say so.
#
# </details>
#
# **Going further.** Vinyals et al. 2016 (NeurIPS), matching networks; Snell et al. 2017 (NeurIPS), prototypical networks; Finn et al. 2017
# (ICML), MAML; Chen et al. 2019 (ICLR) and Tian et al. 2020 (ECCV), plain baselines are strong; Wang et al. 2019 (arXiv 1911.04623),
# SimpleShot; Ren et al. 2018 (ICLR), soft k-means; Veilleux et al. 2021 (NeurIPS), realistic shares of the queries; Perez et al. 2021
# (NeurIPS), true few-shot learning has no large validation set; Belkin et al. 2019 (PNAS) and Nakkiran et al. 2020 (ICLR), double descent; Lake et al. 2015 (Science) and 2019 (Current
# Opinion in Behavioral Sciences), Omniglot and its three-year report. In production: `easyfsl` for methods, `learn2learn` for MAML.

# %% [markdown]
# ## On your own data
#
# How well are *your* pictures classified from K of each class? Write the path of a folder with a
# folder of pictures for each class in place of `None`; until then 200 digits stand in.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.from_few(lab.own.images(FOLDER), shots=5)
