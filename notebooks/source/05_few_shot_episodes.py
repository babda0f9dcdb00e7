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
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more steps, episodes, seeds
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion": where claim C5 is tested
JITTER = "hard"  # "none", "mild" or "hard": how much the pictures vary where methods are compared
OMNIGLOT = ""  # a path to your copy of Omniglot; empty: FEWSHOT_LAB_OMNIGLOT, or none

# %%
import functools

import torch

import fewshot_lab as lab
from fewshot_lab.data import episodes as ep
from fewshot_lab.data import omniglot
from fewshot_lab.methods import few_shot, maml, prototypes
from fewshot_lab.methods.supervised import fit_few_shot
from fewshot_lab.models import encoder_net
from fewshot_lab.training import outputs

lab.setup("05", profile=PROFILE, seed=SEED, device=DEVICE)
pool = ep.glyph_pool("test", jitter=JITTER, versions=4, seed=SEED)
mild = ep.glyph_pool("test", jitter="mild", versions=4, seed=SEED)
COUNT = lab.quick_or_full(600, 2000)  # test episodes
handwriting = omniglot.find(OMNIGLOT)  # None when it is not here

# %% [markdown]
# The training part holds Latin, Cyrillic, Lao and digits, the test part Armenian, Georgian and Greek, in many typefaces. No test
# letter looks like a training one. Each picture is moved, turned and sheared at random (`JITTER`).
#
# ## Predict

# %%
lab.predict(
    "one look",
    "A network has never seen Georgian. It gets one picture of each of five letters. Which share "
    "of further pictures does it classify correctly, with mild jitter?",
    ["20 %: chance", "about 50 %", "about 80 %", "over 90 %"],
)

# %% [markdown]
# ## See: an episode
#
# Each row is a class: first its labelled pictures, the **support set** (支持集), then **queries** (查询集) with the class that is
# nearest. Change N, K and the episode. How far do raw pixels carry? Does an untrained network do better?

# %%
torch.manual_seed(SEED)
untrained = encoder_net()


def as_pixels(images):
    return images.flatten(1).float() / 255


pools = {JITTER: pool, "none": ep.glyph_pool("test", jitter="none")}
embeddings = {"untrained network": functools.partial(outputs, untrained), "pixels": as_pixels}
lab.widgets.EpisodeExplorer(pools, embeddings)

# %% [markdown]
# Switch the data set to `none`: without jitter, pixels do well. With it they compare where the ink is, not which letter it makes.
#
# ## Derive: the protocol
#
# One **episode** (任务片段) is N-way K-shot: draw N classes that training never saw, K labelled pictures of each and some queries
# (Vinyals et al. 2016). Three rules keep it honest. Support and queries share no picture. The classes are **numbered anew**, 0 to
# N-1, so nothing can be learned by number. And support, queries and classes are drawn at random, again for each episode.
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
# The queries of one episode share its support set, so they are *not* independent: count episodes, not queries. And the interval
# is about new episodes for *this* trained network, not about another training.
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
interval = lab.yours_or_ours(episode_interval)
drawn = ep.draw_episodes(mild, COUNT, way=5, shots=1, queries=10, seed=SEED)
by_pixels = prototypes.episode_accuracies(prototypes.pixels(mild), drawn)
SIZES = [10, 30, 100, 300, COUNT]
widths = {size: interval(by_pixels[:size])[1] for size in SIZES}

# %% folded=true
lab.figures.curves(
    {"pixels": (SIZES, [lab.mean_interval(by_pixels[:size]) for size in SIZES])},
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
# The band shrinks with the square root: a hundred times the episodes, a tenth of the width.

# %%
lab.record(pixels_5way_1shot=lab.mean_interval(by_pixels), unit="accuracy")

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
#   $a(x, x_i) = \mathrm{softmax}_i(\tau\cos(f(x), f(x_i)))$ (Vinyals et al. 2016). With one shot, prototypes with another distance.
# * **MAML**: a start from which a gradient step solves the task. Further below.
#
# ## Measure it: train
#
# Each method trains on the same number of pictures, half with mild and half with hard jitter. A training episode has 60 classes. The
# prototypical network trains once more for longer and with 100 classes, to see how far it gets.
#
# All of them run the loop of chapter 02, and its `augment` jitters the pictures. For the backbone of the classifier
# (`prototypes.fit_by_classes`) that is all. For the others a batch is an episode, and the loss is the cross-entropy of its queries
# (`prototypes.episode_loss`). All cores are busy for a while; read on.

# %%
STEPS, LONGER, META = lab.quick_or_full((400, 700, 60), (3000, 6000, 600))
LONG = {"steps": LONGER, "way": 100, "learning_rate": 0.02, "warmup": 100}
TRAININGS = {
    "classes": {"method": "classes", "steps": STEPS, "meta_steps": META},
    "prototypes, for longer": {"method": "prototypes", **LONG},
    "prototypes": {"method": "prototypes", "steps": STEPS},
    "matching": {"method": "matching", "steps": STEPS},
}
trained = lab.arms(few_shot.fit, TRAININGS, seeds=[SEED], device=DEVICE)
weights = {name: row["weights"] for name, [row] in trained.rows.items()}
encoders = {
    name: few_shot.encoder_of(weights[name][name]) for name in ("prototypes", "matching", "classes")
}
best_encoder = few_shot.encoder_of(weights["prototypes, for longer"]["prototypes"])

# %% [markdown]
# ## Measure it: unseen scripts
#
# The pictures of the test scripts are embedded **once**; 600 episodes are then a few matrix products. Your two functions do the first
# hundred one by one, as a check.

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
# Five classes or twenty, one label or five: the harder protocols use the same features.


# %%
def accuracies(pool, features, way, shots, rule=prototypes.prototype_rule):
    """The accuracy of each test episode."""
    # Equal settings draw equal episodes, so that methods are compared in pairs.
    chosen = ep.draw_episodes(pool, COUNT, way=way, shots=shots, queries=10, seed=SEED)
    return prototypes.episode_accuracies(features, chosen, rule)


lab.record(
    prototypes_5way_1shot=lab.mean_interval(all_at_once),
    prototypes_5way_5shot=lab.mean_interval(accuracies(mild, features, 5, 5)),
    prototypes_20way_1shot=lab.mean_interval(accuracies(mild, features, 20, 1)),
    unit="accuracy",
    headline=("prototypes_5way_1shot", "prototypes_20way_1shot"),
)

# %%
lab.recall("one look", f"{all_at_once.mean():.0%} with mild jitter (pixels {by_pixels.mean():.0%})")

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
# Every method gets the same episodes, at 1, 2 and 5 shots. SimpleShot is your function and nearest centroids.

# %%
centred = lab.yours_or_ours(simple_shot)
embedded = {name: prototypes.embed(encoder, pool) for name, encoder in encoders.items()}
training_pool = ep.glyph_pool("train", jitter=JITTER, seed=SEED)
training_mean = prototypes.embed(encoders["classes"], training_pool).mean(0)
METHODS = {
    "prototypes": (embedded["prototypes"], prototypes.prototype_rule),
    "matching": (embedded["matching"], prototypes.matching_rule),
    "transfer, linear head": (embedded["classes"], prototypes.linear_rule),
    "SimpleShot": (centred(embedded["classes"], training_mean), prototypes.prototype_rule),
    "untrained network": (prototypes.embed(untrained, pool), prototypes.prototype_rule),
    "pixels": (prototypes.pixels(pool), prototypes.prototype_rule),
}
SHOTS = [1, 2, 5]
scores = {
    name: {k: accuracies(pool, values, 5, k, rule) for k in SHOTS}
    for name, (values, rule) in METHODS.items()
}

# %% folded=true
first = {k: max(scores, key=lambda name: scores[name][k].mean()) for k in (1, 5)}
lab.figures.curves(
    {
        name: (SHOTS, [lab.mean_interval(by_shots[k]) for k in SHOTS])
        for name, by_shots in scores.items()
    },
    title=f"Best at 1 shot: {first[1]} ({scores[first[1]][1].mean():.3f}); at 5 shots: {first[5]} "
    f"({scores[first[5]][5].mean():.3f})",
    x="labelled pictures per class (shots)",
    y="5-way accuracy",
    log_x=True,
    ticks=SHOTS,
    limits=(0.15, 1.02),
    caption=f"{COUNT} episodes of unseen scripts, {JITTER} jitter, {STEPS} training steps each. "
    "Band: 95 % interval over episodes. Chance is 0.2.",
)

# %% [markdown]
# How close are the trained methods, and how far below are the untrained ones? The lines hide it, the differences show it: every
# method against SimpleShot, whose encoder never saw an episode, on the same episodes.

# %%
rivals = ["prototypes", "matching", "transfer, linear head"]
ahead = {
    f"{name}, {k} shot{'s' * (k > 1)}": lab.paired_difference(
        scores[name][k], scores["SimpleShot"][k]
    )
    for k in (1, 5)
    for name in rivals
}

# %% folded=true
lab.figures.bars(
    ahead,
    title="; ".join(f"{name}: {value.mean:+.3f}" for name, value in list(ahead.items())[:2]),
    x="accuracy - SimpleShot's accuracy",
    line=0.0,
    digits=3,
    caption=f"{COUNT} episodes, {JITTER} jitter. Mean and 95 % interval of the paired difference "
    "over episodes, one training each.",
)

# %%
lab.verdict(
    "episodes-beat-classes",
    "The encoder that was trained by episodes is the better few-shot classifier than the one that "
    "was trained to name classes.",
    [
        lab.Evidence(
            f"prototypes - SimpleShot, {k} shot{'s' * (k > 1)}",
            ahead[f"prototypes, {k} shot{'s' * (k > 1)}"],
        )
        for k in (1, 5)
    ],
)

# %% [markdown]
# This is about *these* encoders. Another training gives others: run the chapter with another `SEED`. Does a small difference stay?
#
# ## Derive: MAML
#
# Model-agnostic meta-learning (与模型无关的元学习; Finn et al. 2017) keeps plain gradient descent and learns *where to start*. In
# the inner loop a task adapts the weights on its support set; the outer loop tests the **adapted** weights on the queries:
#
# $$\theta'_\tau = \theta - \alpha \nabla_\theta L_\tau^{\text{support}}(\theta), \qquad
# \min_\theta \sum_\tau L_\tau^{\text{query}}(\theta'_\tau)$$
#
# The outer gradient goes *through* the step: $\partial\theta'/\partial\theta = I - \alpha\nabla^2 L$. First-order MAML drops the second
# derivative. Your step must keep it.
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
fixed = embedded["classes"] / embedded["classes"].norm(dim=1).mean()
few = ep.draw_episodes(pool, lab.quick_or_full(60, 300), way=5, shots=1, queries=10, seed=SEED + 1)


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
    caption=f"{len(few)} episodes, {JITTER} jitter. Band: 95 % interval over episodes. What does "
    "the first step from 0 compute?",
    alt="; ".join(
        f"{name}: {values[:, 1].mean():.2f} after one step, {values[:, 6].mean():.2f} after six"
        for name, values in by_step.items()
    ),
)

# %% [markdown]
# From 0 the gradient of class $k$ is the mean feature minus its own: one step already puts the *prototypes* into the head.
#
# ## Measure it: MAML
#
# `methods/maml.py` adapts **all** weights, for all tasks of a batch at once (`torch.func.vmap`). The outer loop is the one of
# chapter 02, and its loss is the queries' cross-entropy *after* the inner steps (`maml.fit_maml`). It starts from the classifier's
# encoder: from random weights MAML needs many more steps than this chapter has time for. Say so when you quote it.

# %%
EPISODES = lab.quick_or_full(200, 1000)
unseen = ep.draw_episodes(mild, EPISODES, way=5, shots=1, queries=5, seed=SEED)
start = few_shot.encoder_of(weights["classes"]["classes"])
learners = {
    "before meta-training": maml.Learner(start, 5, alpha=(0.05, 0.3)),  # encoder, head
    "before, smaller step of the head": maml.Learner(start, 5, alpha=(0.05, 0.1)),
    "MAML": few_shot.learner_of(weights["classes"]["maml"]),
    "first-order MAML": few_shot.learner_of(weights["classes"]["first-order maml"]),
}
adapted = {}
for name, learner in learners.items():
    learner.to(lab.runtime.choose_device(DEVICE))
    adapted[name] = maml.maml_accuracies(learner, mild, unseen, steps=2)
by_prototypes = prototypes.embed(encoders["prototypes"], mild)
adapted["prototypes"] = prototypes.episode_accuracies(by_prototypes, unseen)

# %% folded=true
lab.figures.bars(
    {name: lab.mean_interval(values) for name, values in adapted.items()},
    title="Meta-training moves two gradient steps from "
    f"{adapted['before meta-training'].mean():.2f} to {adapted['MAML'].mean():.2f}",
    x="5-way 1-shot accuracy",
    caption=f"{EPISODES} episodes, mild jitter, two inner steps on all weights. Mean and 95 % "
    f"interval over episodes. For comparison: prototypes after {STEPS} steps.",
)

# %% [markdown]
# The two rows at the top differ in one number, the head's step size. Is MAML ahead of both? A method looks good beside a baseline that
# nobody tuned (Chen et al. 2019). And does the second derivative pay? `second_order_gain` is the difference between MAML and its
# first-order version, on the same episodes.

# %%
lab.record(
    maml_5way_1shot=lab.mean_interval(adapted["MAML"]),
    second_order_gain=lab.paired_difference(adapted["MAML"], adapted["first-order MAML"]),
    unit="accuracy",
)

# %% [markdown]
# ## Predict: luck

# %%
lab.predict(
    "luck",
    "Five letters, one label each, fixed test pictures. How far apart are a lucky and an unlucky "
    "draw of the labels (best and worst tenth)?",
    ["under 1 point", "about 3 points", "about 10 points", "over 20 points"],
)

# %% [markdown]
# ## Measure it: the draw of the labels (claim C4)
#
# So far classes and queries changed with the episode. Now they stay: 20 tasks of five letters with fixed test pictures, and 200
# draws of the K labelled pictures for each. Whatever varies, varies because of the labels. The network is the one that trained for
# longer.

# %%
strong = prototypes.embed(best_encoder, pool)
TASKS, DRAWS = lab.quick_or_full((20, 200), (60, 500))
FIXED = {"tasks": TASKS, "draws": DRAWS, "seed": SEED}
luck = {  # each (tasks, draws)
    k: few_shot.accuracies_by_draw(pool, strong, prototypes.prototype_rule, shots=k, **FIXED)
    for k in SHOTS
}
tenths = {k: values.quantile(torch.tensor([0.1, 0.9]), dim=1) for k, values in luck.items()}
spread = {k: high - low for k, (low, high) in tenths.items()}  # one number per task

# %% folded=true
lines = {
    "best tenth of the draws": [tenths[k][1] for k in SHOTS],
    "mean": [luck[k].mean(1) for k in SHOTS],
    "worst tenth": [tenths[k][0] for k in SHOTS],
}
lab.figures.curves(
    {
        name: (SHOTS, [lab.mean_interval(by_task) for by_task in values])
        for name, values in lines.items()
    },
    title=f"Luck is worth {100 * spread[1].mean():.0f} points at 1 label per class, "
    f"{100 * spread[5].mean():.0f} at 5",
    x="labelled pictures per class",
    y="5-way accuracy",
    log_x=True,
    ticks=SHOTS,
    caption=f"{JITTER} jitter, {TASKS} tasks, {DRAWS} draws of the labels each, test pictures "
    "fixed. Band: 95 % interval over tasks.",
)

# %% [markdown]
# What does a bad draw look like? Take the task with the widest spread, its best and its worst support set.

# %%
widest = int(spread[1].argmax())
task = ep.draw_tasks(pool, DRAWS, way=5, shots=1, seed=SEED * TASKS + widest)
draws = {"best": int(luck[1][widest].argmax()), "worst": int(luck[1][widest].argmin())}

# %% folded=true
letters = [pool.classes[c] for c in task.classes[0]]
rows = [task.support[draw, :, 0] for draw in draws.values()] + [task.queries[0, :, 0]]
lab.figures.images(
    pool.images[torch.cat(rows)],
    [f"{name}: {letter}" for name in (*draws, "test") for letter in letters],
    columns=5,
    title=f"Best draw: {luck[1][widest].max():.0%} correct, worst: {luck[1][widest].min():.0%}",
    caption="One labelled picture per class. Top row: the best draw. Middle: the worst. Bottom: "
    "one test picture of each class.",
)

# %% [markdown]
# Is a bad draw one of *untypical* pictures? Correlate, within each task, a draw's accuracy with how far its pictures are from the
# middle of their classes' test pictures.


# %%
def untypical(number):
    """The correlation of accuracy with distance from the class centres, over a task's draws."""
    task = ep.draw_tasks(pool, DRAWS, way=5, shots=1, seed=SEED * TASKS + number)
    centres = strong[task.queries[0]].mean(1)  # (way, D)
    far = (strong[task.support[:, :, 0]] - centres).norm(dim=2).mean(1)  # (draws,)
    return torch.corrcoef(torch.stack([far, luck[1][number]]))[0, 1].item()


correlations = [untypical(number) for number in range(TASKS) if luck[1][number].std() > 0]
lab.verdict(
    "bad-draws-are-untypical",
    "The farther the labelled pictures lie from the middle of their classes, the worse the draw.",
    [
        lab.Evidence(
            "correlation of accuracy with distance from the middle",
            lab.mean_interval(correlations),
            "<",
        )
    ],
)

# %%
lab.record(
    spread_of_draws_k1=lab.mean_interval(spread[1]), unit="accuracy", headline="spread_of_draws_k1"
)

# %%
lab.recall("luck", f"{100 * spread[1].mean():.0f} points between the best and the worst tenth")

# %% [markdown]
# Is that much? Compare with what a second label per class brings on average.

# %%
gain_of_a_label = luck[2].mean(1) - luck[1].mean(1)
against_a_label = lab.paired_difference(spread[1], gain_of_a_label, unit="accuracy")
against_five = lab.paired_difference(spread[1], spread[5], unit="accuracy")
lab.verdict(
    "C4",
    "A few labels do not represent the distribution: results vary much between draws.",
    [
        lab.Evidence(
            "best - worst tenth of draws, 1 label per class",
            lab.mean_interval(spread[1], "accuracy"),
            ">",
            0.05,
        ),
        lab.Evidence("that spread - the gain from a second label", against_a_label, ">"),
        lab.Evidence("spread with 1 label - spread with 5", against_five, ">"),
    ],
)

# %% [markdown]
# A comparison of two methods on *one* draw of the labels mostly measures luck. Use many draws, and the same ones for both.
#
# ## Measure it: model size against labels (claim C5)
#
# The claim says that complex models overfit when labels are few. Train the plain network of chapter 02 from scratch, in four widths,
# at 1, 5 and 20 labels per class, by the loop of chapter 02 as it is. If the claim holds, the widest net should lose test accuracy,
# most of all at few labels.

# %%
WIDTHS, LABELS = [4, 8, 16, 32], [1, 5, 20]
SEEDS = list(range(SEED, SEED + lab.quick_or_full(5, 15)))
FIT = {"dataset": DATASET, "steps": lab.quick_or_full(100, 400), "device": DEVICE}
nets = {width: {"width": width} for width in WIDTHS}
fits = lab.arms(fit_few_shot, nets, seeds=SEEDS, axis="shots", at=LABELS, unit="accuracy", **FIT)
NARROWEST, WIDEST = WIDTHS[0], WIDTHS[-1]
gains = {k: fits.gain(WIDEST, k, over=NARROWEST) for k in LABELS}

# %% folded=true
lines = {f"test, {k} per class": ("test_accuracy", k) for k in LABELS}
lines |= {f"training, {k} per class": ("train_accuracy", k) for k in (1, 20)}
lab.figures.curves(
    {
        name: (WIDTHS, [fits.interval(width, k, of=result) for width in WIDTHS])
        for name, (result, k) in lines.items()
    },
    title="The widest net against the narrowest: "
    + ", ".join(f"{gains[k].mean:+.2f} at {k}" for k in LABELS),
    x="width (channels of the first layer; weights grow with its square)",
    y="accuracy",
    log_x=True,
    ticks=WIDTHS,
    limits=(0, 1.02),
    caption=f"{DATASET}, from scratch. Band: 95 % interval over {len(SEEDS)} draws of the labels. "
    "Does any test curve fall to the right?",
)

# %% [markdown]
# With one label per class every net memorises its few pictures. Overfitting *more* would mean a wider gap between training and
# test, and a lower test accuracy.

# %%
FEW = LABELS[1]


def gap(row):
    """How much better the net is on the pictures that it learned from."""
    return row["train_accuracy"] - row["test_accuracy"]


wider_gap = fits.gain(WIDEST, FEW, over=NARROWEST, of=gap, unit="accuracy")
worse_test = fits.gain(NARROWEST, FEW, over=WIDEST)
lab.verdict(
    "C5",
    "With few labels, larger models overfit more.",
    [
        lab.Evidence(f"gap of the widest - gap of the narrowest net, {FEW} labels", wider_gap),
        lab.Evidence(f"test accuracy of the narrowest - widest net, {FEW} labels", worse_test),
    ],
)

# %%
lab.record(widest_minus_narrowest_k5=gains[FEW])

# %% [markdown]
# ## Measure it: real handwriting
#
# The far test: the encoder has seen printed letters only. Omniglot holds characters drawn by hand, once by each of twenty people (Lake et
# al. 2015). In the hardest protocol all twenty classes come from *one* alphabet. This part needs your copy of the data.

# %%
drawings = omniglot.pool(handwriting) if handwriting else None
errors = {}
if drawings:
    by_hand = prototypes.embed(best_encoder, drawings)
    settings = {"way": 20, "shots": 1, "queries": 1, "seed": SEED, "within_groups": True}
    handwritten = ep.draw_episodes(drawings, COUNT, **settings)
    errors["all alphabets"] = 1 - prototypes.episode_accuracies(by_hand, handwritten)
    alphabet = [drawings.groups[c] for c in handwritten.classes[:, 0]]
    for name in sorted(set(alphabet)):
        errors[name] = errors["all alphabets"][torch.tensor([one == name for one in alphabet])]
    by_ink = prototypes.pixels(drawings)
    errors["all, by pixels"] = 1 - prototypes.episode_accuracies(by_ink, handwritten)
    print(f"{len(drawings.classes)} characters")
else:
    print("Omniglot is not here: set OMNIGLOT to your copy to run this part.")

# %% folded=true
lab.figures.bars(
    {name: lab.mean_interval(values) for name, values in errors.items()},
    title=f"From print to handwriting: {errors['all alphabets'].mean():.0%} errors (pixels "
    f"{errors['all, by pixels'].mean():.0%})",
    x="error, within-alphabet 20-way 1-shot (chance 0.95)",
    caption=f"{COUNT} episodes. Mean and 95 % interval over episodes. Of these alphabets only "
    "Latin was trained on, in print.",
) if drawings else None

# %%
lab.record(
    omniglot_error_20way_1shot=lab.mean_interval(errors["all alphabets"]), unit="error"
) if drawings else None

# %% [markdown]
# ## See again
#
# The same explorer with the trained networks. Find an episode with a mistake: does the wrong class look nearer to you, too?

# %%
pools = {JITTER: pool, "mild": mild} | ({"Omniglot": drawings} if drawings else {})
embeddings = {
    "pixels": as_pixels,
    "classifier": functools.partial(outputs, encoders["classes"]),
    "prototypical network": functools.partial(outputs, best_encoder),
}
lab.widgets.EpisodeExplorer(pools, embeddings)

# %% [markdown]
# ## Recap
#
# * An episode is fair when support, queries and classes are disjoint and numbered anew; quote it as a mean over hundreds.
# * Comparing means of good features goes far. How the features were trained matters less than that they were: always measure
#   SimpleShot and a linear head beside a meta-learner.
# * A draw of few labels is a matter of luck, and more labels are the cure. Size alone was not what made a small training set fail here.
#
# **Questions.** 1. Two papers report 0.87 ± 0.01 over 600 episodes with networks trained once. What does the interval leave out? 2. For
# which distances is the mean the right prototype? 3. You have 5 labels per class and no others. How do you choose a learning rate?
#
# **Going further.** Vinyals et al. 2016 (NeurIPS), matching networks; Snell et al. 2017 (NeurIPS), prototypical networks; Finn et al. 2017
# (ICML), MAML; Chen et al. 2019 (ICLR) and Tian et al. 2020 (ECCV), plain baselines are strong; Wang et al. 2019 (arXiv 1911.04623),
# SimpleShot; Perez et al. 2021 (NeurIPS), true few-shot learning has no large validation set; Lake et al. 2015 (Science) and 2019 (Current
# Opinion in Behavioral Sciences), Omniglot and its three-year report. In production: `easyfsl` for methods, `learn2learn` for MAML.
