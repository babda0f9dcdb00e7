# ---
# jupyter:
#   question: What do images teach without labels, and which views of them?
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
# # 04 · Self-supervision
#
# Labels are expensive, images are cheap. Self-supervised learning (自监督学习) makes a task out of images *without* labels, learns
# features (特征) from it, and asks for a few labels at the very end. Augmentation comes back in a new role: it says which
# images count as the same.
#
# **After this chapter you can** build the two best-known tasks without labels, rotation prediction and SimCLR, write the loss of
# the second, judge features by a probe, choose the views that make or break them, let a network label images where it is
# confident, and say which images to label by hand.
#
# **Time:** 105 minutes. **Claim under test:** C6 (augmentation and self-supervision complement each other).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more encoders and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion": the one that figures show

# %%
import copy
import math

import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import contrastive, fixmatch, label_choice, linear_probe, siamese

lab.setup("04", profile=PROFILE, seed=SEED, device=DEVICE)
DATASETS = list(dict.fromkeys([DATASET, "glyphs", "digits"]))  # verdicts: of glyphs and digits
task = lab.data.load(DATASET)
pool = contrastive.unlabelled(DATASET)
SHOTS = [1, 5, 10]  # labels per class
ENCODERS = lab.seeds(3, 5)  # an encoder each, with draws of the labels of its own
BEST_STEPS = lab.chosen("simclr-steps")  # the quick profile takes fewer, for its time
STEPS = lab.quick_or_full(BEST_STEPS // 3, 4 * BEST_STEPS)
TUNING = lab.quick_or_full(60, 400)  # steps of fine-tuning
print(f"{len(pool):,} images without labels, {len(task.classes)} classes to tell apart afterwards.")

# %% [markdown]
# The glyphs are rendered from typefaces. Those without labels show many more characters than the task has classes, in the
# typefaces of its training part alone, so no typeface of the test is among them. For the other data sets, the unlabelled images
# are the training images. Experiments run on glyphs and on the handwritten digits; Fashion-MNIST does not fit into the time
# (put it into DATASET to see it). One section is about emoji.
#
# One encoder is one accident of first weights and order. So every method trains several, and an interval covers the encoders,
# the draws of the labels and the test pictures. All methods get the same number of steps and, per step, 128 images through the
# network: 64 in two views, 32 in four turns, or 128 with labels. Optimizers, rates, the temperature and the strength of the
# views were chosen on validation images ([choices](../docs/choices.md)).
#
# ## Predict

# %%
lab.predict(
    "features",
    "A linear classifier gets 5 labels per class. On which features is it best?",
    [
        "random ones",
        "rotation prediction",
        "SimCLR",
        "a net trained on a million photographs (ImageNet)",
    ],
)

# %%
lab.predict(
    "views",
    "SimCLR sees two changed views of each image. Which change makes its features worst?",
    [
        "none at all",
        "noise",
        "small turns, shifts and scales",
        "these, and flips",
        "these, and quarter turns and flips",
    ],
)

# %% [markdown]
# ## Derive: a label for free
#
# Turn an image by 0, 90, 180 or 270 degrees and ask a network by how much. The answer is known, because *you* turned it
# (rotation prediction, 旋转预测; Gidaris et al. 2018). With $x^{(y)}$ the image turned by $y$ quarter turns, and $p$ the
# network's probabilities, the loss of an image is
#
# $$-\frac14 \sum_{y=0}^{3} \log p\left(y \mid x^{(y)}\right)$$
#
# Such a task, made only for what is learned on the way, is a **pretext task** (代理任务). The four turns are those of the
# group D4 of chapter 01: no pixel is resampled.
#
# ## Write it


# %% exercise="rotation_batch"
def rotation_batch(images):
    """All images turned by 0, 90, 180 and 270 degrees, and the turn of each copy.

    images: float tensor (n, C, S, S). Returns two tensors: the copies (4 n, C, S, S), first all
    images as they are, then all images turned by 90 degrees counter-clockwise, and so on; and the
    turns (4 n,), whole numbers 0, 1, 2, 3.
    """
    ### BEGIN SOLUTION
    copies = torch.cat([torch.rot90(images, turns, dims=(-2, -1)) for turns in range(4)])
    return copies, torch.arange(4).repeat_interleave(len(images))
    ### END SOLUTION


# %% [markdown]
# ## See it
#
# The rows are in no order. Cover the numbers with your hand: for which images can you tell the turn?

# %% folded=true
rotate = lab.yours_or_ours(rotation_batch)
eight = task.test_images[torch.linspace(0, len(task.test_images) - 1, 8).long()]
copies, turns = rotate(eight)
generator = torch.Generator().manual_seed(SEED)
order = torch.stack([torch.randperm(4, generator=generator) for _ in range(8)], dim=1)  # (4, 8)
places = (order * 8 + torch.arange(8)).flatten()
lab.figures.images(
    copies[places],
    [f"{90 * turn}°" for turn in turns[places].tolist()],
    columns=8,
    title="The pretext task: by how much was it turned?",
    caption="Each column is one image in its four turns, shuffled. Among the glyphs, a half turn "
    "makes a u of an n, a q of a b and a 6 of a 9.",
    alt="Eight images, each turned by 0, 90, 180 and 270 degrees, in shuffled order.",
)

# %% [markdown]
# Most characters have one upright position. That is what the network has to learn. Where a turned character is *another*
# character, as for n and u, the shape has no answer, and the network can only go by the typeface's details.

# %% [markdown]
# ## Measure it
#
# Train the small net of chapter 02 on this task, without a single label. The loop is the one of chapter 02 with another
# `augment`, which `contrastive.rotation_prediction` holds: it turns each batch in all four ways, and the turns are its labels.

# %%
ROTATION = {"method": contrastive.rotation_prediction, "rotate": rotate, "batch_size": 32}
kinds = {name: {"dataset": name, **ROTATION, **lab.chosen("rotation-rate")} for name in DATASETS}
TRAINING = {"seeds": ENCODERS, "steps": STEPS}
rotation = lab.arms(contrastive.pretrain, kinds, **TRAINING, description="encoders")


def late_loss(row):
    """The mean loss of the last tenth of the steps."""
    last = row["losses"][-max(1, len(row["losses"]) // 10) :]
    return sum(last) / len(last)


late = rotation.mean(DATASET, of=late_loss)
print(f"Loss {late:.2f} after {STEPS} steps, {math.log(4):.2f} for a guess among four.")

# %% [markdown]
# Compare the two numbers: it learns its task. Whether the features are of any use for *yours* is another question. The probes
# below answer it.
#
# ## Derive: SimCLR
#
# **Contrastive learning** (对比学习) asks something else: *which two of these pictures were made from one image?* Each of
# $B$ images is changed twice at random, which gives $2B$ **views** (视图). Two views of one image are a positive pair
# (正样本对), all other views are negatives (负样本). Let $z_i$ be the network's output for view $i$ and
#
# $$s_{ij} = \frac{z_i \cdot z_j}{|z_i|\,|z_j|}, \qquad
# \ell_i = -\log \frac{\exp(s_{ij}/\tau)}{\sum_{k \ne i} \exp(s_{ik}/\tau)} \quad\text{with } j \text{ the other view of } i$$
#
# This is NT-Xent, the cross-entropy with temperature $\tau$ (温度) over $2B - 1$ candidates (Chen et al. 2020). If all
# similarities were equal, $\ell_i$ would be $\log(2B-1)$. The negatives keep the network from the easy way out, to map all
# images to one point (collapse, 坍塌). The temperature says how much the nearest negatives count: cosines lie between -1 and 1,
# and divided by a small $\tau$ the largest of them make up most of the sum.
#
# What counts as "the same" is decided by the changes and by nothing else. We start with chapter
# 02's policy `affine`, at a strength that was chosen for views.

# %%
STRENGTHS = {name: lab.chosen(f"view-strength-{name}") for name in ("glyphs", "digits")}
STRENGTHS |= {"fashion": lab.chosen("affine-strength-fashion")}  # chapter 02's
VIEWS = [("affine", STRENGTHS[DATASET])]  # the policies of a view, one after the other
generator = torch.Generator().manual_seed(SEED)
eight = pool[torch.randperm(len(pool), generator=generator)[:8]]
first, second = (contrastive.view(eight, VIEWS, generator) for _ in range(2))

lab.figures.images(
    torch.cat([eight, first, second]),
    ["image"] * 8 + ["view 1"] * 8 + ["view 2"] * 8,
    columns=8,
    title="Two views of each image are a positive pair",
    caption="Change VIEWS and run the cell again. What must the network ignore, if the two lower "
    "rows are to be the same?",
    alt="Eight images and two random views of each.",
)

# %% [markdown]
# ## Write it: the pairs
#
# The $2B$ views are in one batch: first the first views of all images, then the second views in the same order.


# %% exercise="positive_pairs"
def positive_pairs(batch):
    """For each row, the number of the row that holds the other view of the same image.

    batch: the number of images B. Rows 0 to B-1 are the first views, rows B to 2B-1 the second
    views in the same order. Returns whole numbers (2 B,).
    """
    ### BEGIN SOLUTION
    return (torch.arange(2 * batch) + batch) % (2 * batch)
    ### END SOLUTION


# %% [markdown]
# ## Write it: the similarities
#
# The sum in $\ell_i$ leaves out $k = i$. A similarity of $-\infty$ does that: $\exp(-\infty) = 0$.


# %% exercise="similarity_matrix"
def similarity_matrix(z):
    """Cosine similarities between all rows, with minus infinity on the diagonal.

    z: float tensor (n, d). Returns (n, n). Make new tensors on z.device, so that it runs on a GPU
    too.
    """
    ### BEGIN SOLUTION
    z = F.normalize(z, dim=1)
    s = z @ z.T
    return s.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    ### END SOLUTION


# %% [markdown]
# The loss needs both parts. These are your functions, or the course's as long as yours do not pass.

# %%
pairs_of, similarities_of = lab.yours_or_ours(positive_pairs), lab.yours_or_ours(similarity_matrix)

# %% [markdown]
# ## Write it: the loss
#
# Put them together: `similarities_of` gives the logits, `pairs_of` the right answers.


# %% exercise="nt_xent"
def nt_xent(z, temperature):
    """The mean loss of SimCLR over all rows.

    z: float tensor (2 B, d), the outputs for the B first views and then for the B second views.
    temperature: above 0. Returns a tensor without dimensions. Make new tensors on z.device.
    """
    ### BEGIN SOLUTION
    logits = similarities_of(z) / temperature
    return F.cross_entropy(logits, pairs_of(len(z) // 2).to(z.device))
    ### END SOLUTION


# %% [markdown]
# ## Write it: one step
#
# A training step of SimCLR (Chen et al. 2020, algorithm 1) differs from any other in two places: the batch is made of two views
# of each image, drawn independently, and the loss needs no labels. `loss_of` is your NT-Xent, or the course's. The rest is what
# torch asks for everywhere: `backward()` *adds* to the gradients that the weights hold, so those of earlier steps must be
# cleared before it.

# %%
loss_of = lab.yours_or_ours(nt_xent)


# %% exercise="simclr_step"
def simclr_step(encoder, optimizer, images, augment, temperature):
    """One training step of SimCLR on a batch of images.

    encoder: a module, images (n, C, H, W) to outputs (n, d), in training mode. optimizer: holds
    the weights that learn; they may hold gradients from before, which must not count. images:
    float tensor (B, C, H, W). augment: a function of images (n, C, H, W) that draws one random
    view of each. temperature: above 0. The optimizer makes one step along the gradient of the
    NT-Xent loss of two views of every image. Returns this loss, from before the step, as a number.
    """
    ### BEGIN SOLUTION
    views = torch.cat([augment(images), augment(images)])  # (2 B, C, H, W)
    loss = loss_of(encoder(views), temperature)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown]
# ## See it: a few dozen of your steps
#
# This is a whole training loop: draw a batch, make a step. A small head follows the encoder, as below.

# %%
step = lab.yours_or_ours(simclr_step)


def one_view(images):
    return contrastive.view(images, VIEWS, draws)


torch.manual_seed(SEED)  # of the first weights
head = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(contrastive.FEATURES, 64))
network = torch.nn.Sequential(contrastive.encoder(pool.shape[-1]), head)
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
draws, own_losses = torch.Generator().manual_seed(SEED), []
for _ in range(lab.quick_or_full(40, 40)):
    batch = pool[torch.randperm(len(pool), generator=draws)[:64]].float() / 255
    own_losses.append(step(network, optimizer, batch, one_view, lab.chosen("simclr-temperature")))
print(f"Loss of your first step {own_losses[0]:.2f}, of the last one {own_losses[-1]:.2f};")
print(f"of a network that maps all views to one point {math.log(127):.2f}.")

# %% [markdown]
# Does it fall? Every step draws new views, so this is always the loss on views that were never seen before.
#
# ## Measure it
#
# Train longer with this loss, on 64 images and so 128 views a step. It is the loop of chapter 02 with two changes, which
# `contrastive.simclr` holds: `augment` makes two views of every image, and `loss` is NT-Xent. The loss sees the encoder's
# features through a small head, which is thrown away afterwards: what the loss wants ignored, the head can throw away, and the
# features keep more (Chen et al. 2020 measured it).

# %%
SIMCLR = {"temperature": lab.chosen("simclr-temperature"), **lab.chosen("simclr-rate")}
SIMCLR |= {"batch_size": 64}
kinds = {
    name: {"dataset": name, "views": [("affine", STRENGTHS[name])], "loss": loss_of, **SIMCLR}
    for name in DATASETS
}
TRAINING |= {"method": contrastive.simclr}
simclr = lab.arms(contrastive.pretrain, kinds, **TRAINING, description="encoders")
first = simclr.mean(DATASET, of=lambda row: row["losses"][0])
late = simclr.mean(DATASET, of=late_loss)
print(
    f"Loss {first:.2f} at first (all alike: {math.log(127):.2f}), {late:.2f} after {STEPS} steps."
)

# %% [markdown]
# Why is the first loss not that of equal similarities? Look at what it sees, the similarities of the *head's* outputs: of eight
# images in two views, before and after training.

# %%
kinds = {name: {"dataset": name} for name in DATASETS}
untrained = lab.arms(contrastive.pretrain, kinds, seeds=ENCODERS, jobs=1, description="encoders")
encoders = {"untrained": untrained, "rotation": rotation, "SimCLR": simclr}
views = torch.cat([contrastive.view(eight, VIEWS, generator) for _ in range(2)])  # of 8 images


def similarities(kind):
    """The cosine similarities (16, 16) of the views after the head, first encoder of a kind."""
    row = encoders[kind].rows[DATASET][0]
    model = torch.nn.Sequential(row["encoder"], row["head"])
    # As in training, batch norm takes its statistics from these views; a copy, as it keeps them.
    with torch.no_grad():
        z = copy.deepcopy(model).train()(views.float() / 255)
    return F.cosine_similarity(z[:, None], z[None], dim=2)


# %% folded=true
partner = F.one_hot(contrastive.positive_pairs(8), 16).bool()
others = ~partner & ~torch.eye(16, dtype=torch.bool)
panels, told = [partner.float()], ["wanted"]
for kind in ("untrained", "SimCLR"):
    s = similarities(kind)
    least = s[others].min()
    panels.append(((s - least) / (1 - least)).fill_diagonal_(0))
    told.append(f"{kind}: {s[partner].mean():.2f}, others {s[others].mean():.2f}")
lab.figures.images(
    torch.stack(panels)[:, None],
    told,
    columns=3,
    title="Similarities of 16 views: is the other view the nearest?",
    caption="A row and a column for each view, first views before second ones; white: alike (each "
    "picture from its smallest similarity to 1); the diagonal is left out, as in the loss. "
    "Numbers: mean of the pairs, mean of all others.",
    alt=f"Similarity matrices, mean of pairs and of others: {'; '.join(told)}.",
)

# %% [markdown]
# An untrained network, too, maps images that look alike to points that lie close together, and two views of one image look more
# alike than two images. So the right answer is ahead before any training, and the first loss is below $\log(2B - 1)$.

# %% [markdown]
# ## See: the map before and after
#
# The map shows test images by the two directions in which their features vary most (principal components, 主成分). Point at
# a letter to see its image, or choose one with the slider, and compare its neighbours before and after training. The share of
# neighbours of the same class is measured in all 128 dimensions, of which the map shows two.

# %%
some = torch.randperm(len(task.test_labels), generator=torch.Generator().manual_seed(SEED))[:200]
maps = {
    name: lab.training.outputs(encoders[kind].rows[DATASET][0]["encoder"], task.test_images[some])
    for name, kind in {"before": "untrained", "after": "SimCLR"}.items()
}
lab.widgets.EmbeddingExplorer(task.test_images[some], task.test_labels[some], task.classes, maps)

# %% [markdown]
# ## Write it: nearest neighbours
#
# The simplest test of features asks the nearest labelled images. Each of the $k$ nearest votes for its own class with the
# weight $\exp(s / 0.1)$, where $s$ is its cosine similarity (after Wu et al. 2018, who divide by 0.07).
#
# How many? The nearest image alone may be an odd one of its class. Several can outvote it, but the more are asked, the more of
# them must be of other classes. You will measure below what $k$ does, with these weights and without.


# %% exercise="nearest_labels"
def nearest_labels(features, labels, queries, k, classes):
    """The class of each query by a weighted vote of its k most similar labelled images.

    features: float tensor (n, d). labels: whole numbers (n,) from 0 to classes - 1. queries: (m,
    d). k: how many images vote, 1 to n. Similarity is the cosine, a vote weighs exp(similarity /
    0.1). Of classes with equal votes any may win. Returns class numbers (m,).
    """
    ### BEGIN SOLUTION
    s = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T  # (m, n)
    nearest, rows = s.topk(k, dim=1)  # (m, k)
    votes = F.one_hot(labels[rows], classes) * (nearest / 0.1).exp()[:, :, None]  # (m, k, classes)
    return votes.sum(1).argmax(1)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: probes
#
# The usual test is the **linear probe** (线性探测): the encoder is frozen, and only a linear classifier sees the labels. What it
# cannot separate, the features do not hold in a simple form. Every encoder is probed with five draws of the labels, the same
# for all methods.

# %%
nearest = lab.yours_or_ours(nearest_labels)
PROBING = {"seeds": ENCODERS, "unit": "accuracy", "jobs": 1}


def frozen(kind, name):
    """The settings of a probe: the data set and, of this kind, the encoder of each seed."""
    of_seed = {row["seed"]: row["encoder"] for row in encoders[kind].rows[name]}
    return lambda seed, shots: {"task": lab.data.load(name), "f": of_seed[seed], "nearest": nearest}


def of_seeds(kind, name):
    """A data set with the features of each seed's encoder instead of its images."""
    every = frozen(kind, name)
    return {
        seed: linear_probe.embedded(every(seed, 5)["task"], every(seed, 5)["f"])
        for seed in ENCODERS
    }


# A frozen encoder says the same of an image every time, so it is asked once.
features = {(kind, name): of_seeds(kind, name) for kind in encoders for name in DATASETS}


def on_features(kind, name):
    """The settings of a probe on features that are there already."""
    f = torch.nn.Identity()
    return lambda seed, shots: {"task": features[kind, name][seed], "f": f, "nearest": nearest}


# %%
def probes_of(name):
    """The probes of all encoders; each knows whether its encoder came to rest."""
    kinds = {kind: on_features(kind, name) for kind in encoders}
    grid = {"axis": "shots", "at": SHOTS if name == DATASET else [5], "description": "probes"}
    found = lab.arms(linear_probe.probe, kinds, **grid, **PROBING)
    return linear_probe.with_rest(found, {kind: encoders[kind].rows[name] for kind in kinds})


probes = {name: probes_of(name) for name in DATASETS}

# %% [markdown]
# To compare with: the same net trained on the K labels alone. Once without augmentation, for the steps of fine-tuning. Once with
# the augmentation that chapter 02 chose, for as many steps and images as SimCLR takes (an equal budget for the probes), or as
# SimCLR and fine-tuning take together. And, for later, the same **fine-tuned** (微调) at 5 labels per class: it starts from
# SimCLR's weights, with a learning rate chosen for each of its two arms. Here the loop of chapter 02 is unchanged;
# `linear_probe.fit_from` only chooses the weights from which it starts.

# %%
POLICY = {
    name: {"policy": "affine", "strength": lab.chosen(f"affine-strength-{name}")}
    for name in DATASETS
}
BATCH = {"batch_size": 128}
RATES = {"plain": lab.chosen("fine-tuning-rate-plain"), "augmented": lab.chosen("fine-tuning-rate")}


def trained(name):
    """The arms that train on labels: from scratch, or from SimCLR's encoder of the seed."""
    start = {row["seed"]: row["encoder"] for row in simclr.rows[name]}

    def tuned(how, **policy):
        tune = {"steps": TUNING, **BATCH, **RATES[how], **policy}
        return lambda seed, shots: {"start": start[seed], **tune}

    arms = {
        "plain": {"steps": TUNING},
        "augmented, steps of pretraining": {**POLICY[name], "steps": STEPS, **BATCH},
        "augmented": {**POLICY[name], "steps": STEPS + TUNING, **BATCH},
        "fine-tuned, plain": tuned("plain"),
        "fine-tuned, augmented": tuned("augmented", **POLICY[name]),
    }
    points = dict.fromkeys(arms, [5])
    if name == DATASET:
        points |= {"plain": SHOTS}
    grid = {"axis": "shots", "at": points, "seeds": ENCODERS, "unit": "accuracy"}
    return lab.arms(linear_probe.fit_from, arms, dataset=name, **grid)


supervised = {name: trained(name) for name in DATASETS}

# %% [markdown]
# And features **from outside**: EfficientNet-Lite0, trained on 1.3 million labelled photographs. It has a handicap here:
# letters of 28 pixels enlarged to 128 are no photographs. It is one network, and to save time it sees twelve training images
# per class and, in the quick profile, 120 test images (kept in the cache folder). So SimCLR is probed on these same images too.

# %%
from dataclasses import replace

from fewshot_lab.models.efficientnet import lite0_features


def some_of(whole, per_class, tested):
    """A task with so many training images of each class, and so many test images."""
    generator = torch.Generator().manual_seed(SEED)
    rows = {
        "train": whole.rows(per_class, SEED),
        "test": torch.randperm(len(whole.test_labels), generator=generator)[:tested],
    }
    kept = {
        f"{part}_{what}": getattr(whole, f"{part}_{what}")[rows[part]]
        for part in rows
        for what in ("images", "labels", "pictures")
    }
    return replace(whole, **kept, train_groups=None)


SOME = lab.quick_or_full(120, 480)  # test images
same = some_of(task, 12, SOME)

# %% [markdown]
# Its features are probed like the others, where its weights are at hand.


# %%
def with_a_bar(batches):
    return lab.progress_bar(batches, "batches")


def by_photographs(some):
    """The settings of a probe on EfficientNet's features of a task's images."""
    both = torch.cat([some.train_images, some.test_images])
    z = lite0_features(both, device=DEVICE, progress=with_a_bar)
    train, test = z.split([len(some.train_labels), len(some.test_labels)])
    f = torch.nn.Identity()
    return {"task": replace(some, train_images=train, test_images=test), "f": f, "nearest": nearest}


outside = None
try:
    of_simclr = frozen("SimCLR", DATASET)
    kinds = {
        "EfficientNet": by_photographs(same),
        "SimCLR": lambda seed, shots: of_simclr(seed, shots) | {"task": same},
    }
    outside = lab.arms(linear_probe.probe, kinds, axis="shots", at=SHOTS, **PROBING)
    outside = linear_probe.with_rest(outside, {"SimCLR": simclr.rows[DATASET]})
    ahead = outside.gain("EfficientNet", 5, over="SimCLR")
    print(f"EfficientNet - SimCLR, the same {SOME} test images: {ahead.describe(signed=True)}")
except lab.CourseError as error:
    print(f"Without EfficientNet-Lite0, whose weights are not here: {error}")

# %% [markdown]
# ## Read it
#
# Compare the probes at 1 label per class, where labels alone can do least. Then see what 10 labels change, and where augmentation
# alone stands at 5, the only number of labels at which it is measured. A point is
# hollow where its training, or that of the encoder under its probe, was still learning.

# %% folded=true
here = probes[DATASET]
lines = {f"probe: {name}": here.curve(name) for name in here.rows}
lines |= {f"from scratch, {arm}": supervised[DATASET].curve(arm) for arm in ("augmented", "plain")}
if outside:
    lines[f"EfficientNet, {SOME} test images"] = outside.curve("EfficientNet")
at_five = {name: dict(zip(*line, strict=True))[5].mean for name, line in lines.items()}
ranked = sorted(at_five, key=at_five.get, reverse=True)
lab.figures.curves(
    {name: lines[name] for name in ranked},
    title="What are features worth that never saw a label?",
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    limits=(0, 1.02),
    caption=f"{task.name}, in order of the accuracy at 5. Band: 95 % interval over {len(ENCODERS)} "
    "encoders (or networks), draws of the labels and test pictures; EfficientNet is one network.",
)

# %% [markdown]
# The legend lists the lines in their order at 5 labels. Which of them keep their place at 1 label and at 10?

# %%
five = {"random" if name == "untrained" else name: here.mean(name, 5) for name in here.rows}
if outside:
    five[f"ImageNet (on {SOME} test images)"] = outside.mean("EfficientNet", 5)
best_first = sorted(five, key=five.get, reverse=True)
lab.recall("features", ", ".join(f"{name} {five[name]:.2f}" for name in best_first))

# %%
NAMES = {"untrained": "random", "rotation": "rotation", "SimCLR": "simclr"}
found = {f"probe_{NAMES[kind]}_k{k}": here.interval(kind, k) for kind in NAMES for k in SHOTS}
if outside:
    found |= {f"probe_efficientnet_k{k}": outside.interval("EfficientNet", k) for k in SHOTS}
for arm in ("plain", "augmented"):
    points, estimates = supervised[DATASET].curve(arm)
    found |= {f"supervised_{arm}_k{k}": one for k, one in zip(points, estimates, strict=True)}
lab.record(**found, headline="probe_simclr_k5")

# %% [markdown]
# A linear probe may weigh features, nearest neighbours take them as they are. Do both favour the same encoder?

# %% folded=true
RESULTS = {"linear probe": "test_accuracy", "nearest neighbours": "by_neighbours"}
lab.figures.panels(
    {
        f"{name}: {probe}": {
            kind: probes[name].interval(kind, 5, of=RESULTS[probe]) for kind in encoders
        }
        for name in DATASETS[:2]
        for probe in RESULTS
    },
    title="Do probe and neighbours favour the same features? Test accuracy, 5 labels per class",
    caption=f"Mean and 95 % interval over {len(ENCODERS)} encoders, draws of the labels and test "
    "pictures; the axes end at 0 and 1. Five neighbours vote.",
    shared=True,
    limits=(0, 1),
)

# %%
lab.record(neighbours_simclr_k5=here.interval("SimCLR", 5, of="by_neighbours", unit="accuracy"))

# %% [markdown]
# ## Measure it: pictures that such features know
#
# Letters are no photographs. Emoji show things: animals, food, faces, in colour. Their eight groups are harder than they look:
# the test shows *other* emoji than the labels, by *another* artist, and what belongs to "Objects" and what to "Activities" is a
# convention that five labels hardly show. SimCLR learns from all training emoji without their labels, with views that were
# chosen on validation emoji, in a training that is short. Pixels learn nothing at all.

# %%
EMOJI_STEPS = lab.quick_or_full(75, 600)
on_emoji = None
try:
    emoji = some_of(lab.data.load("emoji"), lab.quick_or_full(20, 28, smoke=20), 310)
    kinds = {"EfficientNet": by_photographs(emoji)}  # first: without its weights nothing is trained
    views = {"method": contrastive.simclr, "views": lab.chosen("views-emoji"), "loss": loss_of}
    learning = {"SimCLR": {**views, **SIMCLR, "steps": EMOJI_STEPS}, "untrained": {}}
    learned = lab.arms(contrastive.pretrain, learning, seeds=ENCODERS, dataset="emoji")

    def encoded(kind):
        of_seed = {row["seed"]: row["encoder"] for row in learned.rows[kind]}
        return lambda seed: {"task": emoji, "f": of_seed[seed], "nearest": nearest}

    kinds |= {kind: encoded(kind) for kind in learning}
    kinds["pixels"] = {"task": emoji, "f": torch.nn.Flatten(), "nearest": nearest}
    on_emoji = lab.arms(linear_probe.probe, kinds, shots=5, **PROBING)
    on_emoji = linear_probe.with_rest(on_emoji, learned.rows)
    largest = emoji.test_labels.bincount().max().item() / len(emoji.test_labels)
except lab.CourseError as error:
    print(f"Without emoji or EfficientNet-Lite0, which are not here: {error}")

# %% [markdown]
# Read the linear probes first. To name the largest group every time (dashed) takes no picture: which of them are clearly above it?
# Is SimCLR ahead of pixels, and of its own untrained weights? How far are the photographs? Their lead is one of labels, too: 1.3
# million of them, of a thousand kinds of things, some of which are among the emoji.

# %% folded=true
lab.figures.panels(
    {
        probe: {kind: on_emoji.interval(kind, of=RESULTS[probe]) for kind in on_emoji.rows}
        for probe in RESULTS
    },
    title=f"Groups of emoji, 5 labels each: photographs {on_emoji.mean('EfficientNet'):.2f}, "
    f"SimCLR {on_emoji.mean('SimCLR'):.2f}, pixels {on_emoji.mean('pixels'):.2f}",
    caption=f"Test accuracy; chance is {1 / len(emoji.classes):.3f}, dashed: always the largest "
    f"group. Mean and 95 % interval over {len(ENCODERS)} encoders, draws of the labels and test "
    f"emoji; EfficientNet is one network. SimCLR: {EMOJI_STEPS} steps.",
    line=largest,
    shared=True,
    limits=(0, 1),
) if on_emoji else None

# %%
if on_emoji:
    above = [kind for kind in on_emoji.rows if on_emoji.interval(kind).low > largest]
    print(
        f"Linear probes whose whole interval lies above {largest:.3f}, the largest group's share:"
    )
    print(", ".join(above) or "none")

# %%
lab.verdict(
    "photographs-beat-simclr",
    over_simclr=on_emoji.gain("EfficientNet", over="SimCLR"),
    over_pixels=on_emoji.gain("EfficientNet", over="pixels"),
) if on_emoji else None

# %%
lab.record(
    **{f"emoji_{kind.lower()}_k5": on_emoji.interval(kind) for kind in on_emoji.rows},
    emoji_simclr_gain=on_emoji.gain("SimCLR", over="untrained"),
) if on_emoji else None

# %% [markdown]
# ## Measure it: how many neighbours?
#
# Five neighbours voted, as many as a class has labelled images. That was fixed before anything was measured, so what follows
# chooses nothing: with the same five labels per class, ask one image, a few, or all of them.

# %%
NEIGHBOURS = [1, 3, 5, 15, 5 * len(task.classes)]


def equal_votes(features, labels, queries, k, classes):
    """The vote in which every neighbour counts the same; of equal sums the first class wins."""
    s = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
    return F.one_hot(labels[s.topk(k, dim=1).indices], classes).sum(1).argmax(1)


def voting(kind, how):
    """The features of each seed's encoder of this kind, and how its neighbours vote."""
    return lambda seed, k: {"features": features[kind, DATASET][seed], "nearest": how}


voters = {kind: voting(kind, nearest) for kind in encoders}
voters["SimCLR, equal votes"] = voting("SimCLR", equal_votes)
by_k = lab.arms(linear_probe.vote, voters, axis="k", at=NEIGHBOURS, shots=5, **PROBING)
its_encoders = {kind: encoders[kind].rows[DATASET] for kind in encoders}
its_encoders["SimCLR, equal votes"] = its_encoders["SimCLR"]
by_k = linear_probe.with_rest(by_k, its_encoders)

# %% [markdown]
# Look at the right end, where every labelled image votes. Equal votes are as many for every class there, so they say nothing. What
# do the weights save? A neighbour that is less similar by 0.1 counts $e$ times less, so far ones hardly count however many are
# asked. Where a curve with weights is flat, they do what a choice of $k$ would have to do.

# %% folded=true
votes = {kind: by_k.curve(kind) for kind in by_k.rows}
ends = {how: by_k.mean(how, NEIGHBOURS[-1]) for how in ("SimCLR", "SimCLR, equal votes")}
lab.figures.curves(
    votes,
    title=f"All {NEIGHBOURS[-1]} vote: {ends['SimCLR']:.2f} with weights, "
    f"{ends['SimCLR, equal votes']:.2f} without (SimCLR)",
    x="neighbours that vote (k)",
    y="test accuracy",
    log_x=True,
    ticks=NEIGHBOURS,
    limits=(0, 1),
    caption=f"{task.name}, 5 labels per class. Band: 95 % interval over {len(ENCODERS)} encoders, "
    "draws of the labels and test pictures; the points of a curve share all three.",
)

# %%
lab.record(
    **{f"neighbours_simclr_{k}_of_{NEIGHBOURS[-1]}": by_k.interval("SimCLR", k) for k in (1, 5, 15)}
)

# %% [markdown]
# A pretext task can be learned well and teach little: what is upright can be told without telling the classes apart. Does
# rotation prediction do better than no training at all? Each encoder is compared with its own first weights, and these are a
# stronger rival than they look: an untrained network keeps a little of everything, and a trained one may drop what its task
# does not ask for.

# %%
lab.verdict(
    "rotation-helps",
    **{name: probes[name].gain("rotation", 5, over="untrained") for name in ("glyphs", "digits")},
)

# %% [markdown]
# ## Measure it: which views make or break it
#
# Views tell the network what to ignore. Too little, and the pairs are recognised by some detail that says nothing about the
# class. Too much, and the class itself is ignored: a network that must not tell a letter from its mirror image cannot tell b
# from d (Tian et al. 2020). These are short trainings by the same `contrastive.simclr`; only the views differ. That `affine`
# suits the glyphs is no wonder: the program that rendered their test images moved them in the same ways. The digits were
# written by people.


# %%
def views_of(name):
    """The kinds of views that are compared on a data set; noise on the chapter's own alone."""
    affine = ("affine", STRENGTHS[name])
    kinds = {
        "no change": [],
        "noise": [("noise", 0.4)],
        "affine": [affine],
        "affine and flip": [affine, ("flip", 1.0)],
        "affine and D4": [affine, ("d4", 1.0)],
    }
    return {k: {"views": v} for k, v in kinds.items() if name == DATASET or k != "noise"}


SHORT = {"steps": lab.quick_or_full(50, 500), "shots": 5, "unit": "accuracy", **SIMCLR}
ablated = {
    name: lab.arms(linear_probe.fit_views, views_of(name), seeds=ENCODERS, dataset=name, **SHORT)
    for name in DATASETS
}

# %% [markdown]
# Every encoder starts from the weights of an untrained one, so the two are compared in pairs. An interval wholly to the left of
# the dashed line: views that are worse than no training at all. One that crosses the line leaves it open.

# %% folded=true
beside = {name: ablated[name] | probes[name].at(5) for name in DATASETS}
lab.figures.bars(
    {kind: beside[DATASET].gain(kind, over="untrained") for kind in views_of(DATASET)},
    title="Which views make features, and which break them?",
    x="test accuracy of a linear probe, 5 labels per class, less that of the untrained encoder",
    line=0.0,
    digits=3,
    caption=f"{task.name}, {SHORT['steps']} steps each; untrained "
    f"{here.mean('untrained', 5):.2f}. Mean and 95 % interval of the paired difference over "
    f"{len(ENCODERS)} trainings, draws of the labels and test pictures.",
)

# %% [markdown]
# Which changes keep the class, and which lose it? Compare with what you predicted. The loss tells another story: it says how
# easily the pairs are found.

# %%
print(f"views: probe's accuracy, SimCLR's own loss at the end ({SHORT['steps']} steps)")
for kind in views_of(DATASET):
    accuracy, own = ablated[DATASET].mean(kind), ablated[DATASET].mean(kind, of="loss")
    print(f"{kind:>16}: {accuracy:.2f}, {own:.2f}")
print(f"{'affine, longer':>16}: {here.mean('SimCLR', 5):.2f}, {late:.2f} ({STEPS} steps)")
worst = min(views_of(DATASET), key=ablated[DATASET].mean)
others = [kind for kind in views_of(DATASET) if kind != worst]
near = [k for k in others if ablated[DATASET].gain(k, over=worst).low <= 0]
told = f"lowest accuracy: {worst} ({ablated[DATASET].mean(worst):.2f})"
lab.recall("views", f"{told}; not told apart from it: {', '.join(near) or 'none'}")

# %% [markdown]
# The last row of the table is the same training with more steps. Compare it with *affine*, and see below whether *affine* reads
# “at rest”. The course's rule asks what share of a loss's fall came late. A contrastive loss falls fast at first, and what it loses
# later is little beside that, but it is in this little that features can still be made. So where it does read “at rest”,
# even that says too little about such a loss, and the verdicts below speak of *short* trainings.

# %%
lab.record(
    **{
        f"views_{kind.replace(' ', '_').lower()}_k5": ablated[DATASET].interval(kind)
        for kind in views_of(DATASET)
    }
)

# %% [markdown]
# Two questions to the same trainings, in pairs of equal seeds.

# %%
parts = {}
for name in ("glyphs", "digits"):
    parts[f"change_{name}"] = beside[name].gain("affine", over="no change")
    parts[f"untrained_{name}"] = beside[name].gain("no change", over="untrained")
lab.verdict("views-must-change", **parts)

# %% [markdown]
# Of the 16 characters many were *picked* because another one is their mirror image or their half turn. So whatever harm flips do
# to the glyphs is built in. Nobody picked the digits, of which 6 and 9 are such a pair and 2 and 5 nearly one.

# %%
parts = {}
for name in ("glyphs", "digits"):
    parts[f"flip_{name}"] = ablated[name].gain("affine and flip", over="affine")
    parts[f"d4_{name}"] = ablated[name].gain("affine and D4", over="affine")
lab.verdict("flips-break-views", **parts)

# %% [markdown]
# ## Measure it: both together
#
# Is augmentation a rival of self-supervision, or a partner? Two by two: with and without augmentation of the *labelled* images,
# with and without SimCLR before. Once with a linear probe on frozen features, once fine-tuned. Augmentation alone has as many
# steps and images as the arm it is compared with: those of pretraining for the probe, of both stages for fine-tuning. One
# combination is still missing: a probe that also learns from augmented copies of the labelled images. The
# copies of an image share its weight, as in chapter 03: ten copies are not ten labels.


# %%
ALONE = "augmentation alone"


def both_probed(name):
    copies = frozen("SimCLR", name)
    kinds = {"both, probe": lambda seed: copies(seed, 5) | POLICY[name]}
    found = lab.arms(linear_probe.probe, kinds, shots=5, **PROBING)
    return linear_probe.with_rest(found, {"both, probe": simclr.rows[name]})


def two_by_two(name):
    """The arms of the claim at 5 labels per class, as one experiment."""
    labels_only, probed = supervised[name].at(5).rows, probes[name].at(5).rows
    rows = {
        "neither": labels_only["plain"],
        f"{ALONE}, steps of pretraining": labels_only["augmented, steps of pretraining"],
        f"{ALONE}, all steps": labels_only["augmented"],
        "SimCLR alone, probe": probed["SimCLR"],
        "both, probe": both_probed(name).rows["both, probe"],
        "SimCLR alone, fine-tuned": labels_only["fine-tuned, plain"],
        "both, fine-tuned": labels_only["fine-tuned, augmented"],
    }
    return lab.training.Arms(rows, unit="accuracy")


tables = {name: two_by_two(name) for name in DATASETS}

# %% [markdown]
# Compare each “both” with the two that it is made of.

# %% folded=true
lab.figures.panels(
    {name: {arm: tables[name].interval(arm) for arm in tables[name].rows} for name in DATASETS},
    title="Are both together better than either alone? Test accuracy, 5 labels per class",
    caption=f"Mean and 95 % interval over {len(ENCODERS)} encoders (or networks), draws of "
    f"the labels and test pictures; the axes end at 0 and 1. {STEPS} steps of pretraining, "
    f"{TUNING} of fine-tuning.",
    shared=True,
    limits=(0, 1),
)

# %%
lab.record(
    both_k5=tables[DATASET].interval("both, probe"),
    tuned_k5=tables[DATASET].interval("both, fine-tuned"),
    headline="both_k5",
)

# %% [markdown]
# The claim asks for two things: both together beat augmentation alone *and* self-supervision alone, on both data sets. Where a
# point is hollow, its training, or that of the encoder under a probe, had not come to rest. So the claim is about short trainings.

# %%
STEPS_OF = {"probe": "steps of pretraining", "tuned": "all steps"}
parts = {}
for name in ("glyphs", "digits"):
    for how, ending in (("probe", "probe"), ("tuned", "fine-tuned")):
        both = f"both, {ending}"
        for other, arm in (
            ("augmentation", f"{ALONE}, {STEPS_OF[how]}"),
            ("simclr", f"SimCLR alone, {ending}"),
        ):
            parts[f"{how}_over_{other}_{name}"] = tables[name].gain(both, over=arm)
lab.verdict("C6", **parts)

# %% [markdown]
# Two things to know before you read much into the glyphs. SimCLR's task is to tell every picture from all others, also from the
# same character in another typeface: there are 8 to 12 of each character. The test asks for the opposite, to ignore the
# typeface, and only the views can teach that. And augmentation alone has the stronger changes: its strength was chosen for that
# arm, as that of the views was for SimCLR.
#
# Fine-tuning starts from the very features that the probe uses and may change all of them. Is it better for that? The
# differences are paired by encoder; of the probe's five draws of the labels, fine-tuning has the first.

# %%
tuning = {}
for name in DATASETS:
    for which, arm in (("with augmentation", "both"), ("without", "SimCLR alone")):
        tuned, probed = (tables[name].mean(f"{arm}, {how}") for how in ("fine-tuned", "probe"))
        gain = tuning[name, arm] = tables[name].gain(f"{arm}, fine-tuned", over=f"{arm}, probe")
        print(f"{name}, {which}: fine-tuned {tuned:.2f}, probe {probed:.2f}")
        print(f"  fine-tuned - probe: {gain.describe(signed=True)}")
lab.record(
    **{f"finetuned_over_probe_{name}_k5": tuning[name, "both"] for name in ("glyphs", "digits")}
)

# %% [markdown]
# Where an interval holds 0, so few encoders leave it open. With augmentation, and where the features are far from what the
# labels ask for, fine-tuning can gain much. Without, it may gain little or even lose: a few images per class cannot tell tens
# of thousands of weights where to go, and at first the errors come through a last layer that knows nothing, so that they can
# undo what SimCLR learned (Kumar et al. 2022). How much hangs on the learning rate stands among the
# [choices](../docs/choices.md).
#
# Keep in mind what "SimCLR alone" means: its views *are* augmentation, of unlabelled images that the arms without SimCLR never
# see. Look back at the views without change to see what is left of it without any.

# %% [markdown]
# ## Predict: without negatives
#
# SimCLR pushes other images away, and that is what keeps it from mapping everything to one point. What if nothing is pushed away,
# and a network learns only that two views of an image must agree?

# %%
lab.predict(
    "collapse",
    "Two views of an image must agree, and that is all. The loss falls to its minimum. What is a "
    "linear probe of such features worth?",
    [
        "as much as one of SimCLR's",
        "more than one of untrained features, less than SimCLR's",
        "less than one of untrained features",
    ],
)

# %% [markdown]
# ## Derive: SimSiam
#
# SimSiam (Chen & He 2021) takes the negatives away and adds two small things. A **predictor** (预测头) $h$ guesses from the output
# $z_1$ of one view that of the other, $p_1 = h(z_1)$. And the other view's output is a target that gets no gradient
# (**stop-gradient**, 停止梯度), as if it were a label:
#
# $$D(p, z) = -\frac{p \cdot z}{|p|\,|z|}, \qquad
# \ell = \tfrac12 D\bigl(p_1, \mathrm{stopgrad}(z_2)\bigr) + \tfrac12 D\bigl(p_2, \mathrm{stopgrad}(z_1)\bigr)$$
#
# One point for all images still has the smallest loss there is, -1. Nothing in the formula forbids it; the question is whether
# training gets there.
#
# ## Write it


# %% exercise="simsiam_loss" points=2
def simsiam_loss(p1, p2, z1, z2):
    """The loss of SimSiam, the mean over a batch of pairs of views.

    p1, p2: float tensors (B, d), what is predicted from the first and from the second views. z1,
    z2: (B, d), the outputs for the first and the second views. Returns a tensor without
    dimensions, -1 to 1, and no gradient reaches z1 and z2 through it.
    """
    ### BEGIN SOLUTION
    first = F.cosine_similarity(p1, z2.detach(), dim=1).mean()
    second = F.cosine_similarity(p2, z1.detach(), dim=1).mean()
    return -(first + second) / 2
    ### END SOLUTION


# %% [markdown]
# ## Derive: how many directions are used?
#
# The loss cannot show a collapse, since it is smallest there. The outputs can. Give each of $n$ outputs the length 1, as the cosine
# does, and call the matrix of these rows $Z$. The eigenvalues of $Z^\top Z / n$ add up to 1 and say which share lies in
# which direction. The exponential of their entropy is the **effective dimension** (有效维数; after Roy & Vetterli 2007):
#
# $$\exp\Bigl(-\sum_{j=1}^{d} \lambda_j \log \lambda_j\Bigr) \quad\text{with } 0 \log 0 = 0$$
#
# Outputs at one point have $\lambda = (1, 0, \dots)$ and the dimension 1; outputs that fill all $d$ directions evenly have $d$.
#
# ## Write it


# %% exercise="effective_dimension" points=2
def effective_dimension(features):
    """How many directions the rows use: the exponential of the entropy of their eigenvalues.

    features: float tensor (n, d), no row is 0. The rows count by their direction, not by their
    length, and no mean is subtracted. Returns a tensor without dimensions, 1 to d. An eigenvalue
    of 0 adds nothing to the entropy.
    """
    ### BEGIN SOLUTION
    z = F.normalize(features, dim=1)
    shares = torch.linalg.eigvalsh(z.T @ z / len(z)).clamp(min=0)  # rounding: some are below 0
    return torch.special.entr(shares).sum().exp()
    ### END SOLUTION


# %% [markdown]
# ## Measure it
#
# Twice the same training on digits, with the views, the batches and the steps of SimCLR: once with your loss, once with the
# gradient through both sides. On the way, look at the outputs for 500 images, and at a probe of the features. Optimizer, rate
# and predictor were chosen on validation images for the first of the two. The head is small and, unlike the paper's, ends
# without a batch norm, which for a while would hold the outputs of a batch apart by itself.

# %%
LOOKS = sorted({0, *(max(1, STEPS // part) for part in (8, 4, 2, 1))})
WITH, WITHOUT = "SimSiam", "no stop-gradient"
agreeing = lab.arms(
    siamese.fit_simsiam,
    {
        WITH: {"loss": lab.yours_or_ours(simsiam_loss)},
        WITHOUT: {"loss": siamese.without_stop_gradient},
    },
    seeds=ENCODERS,
    dataset="digits",
    views=[("affine", STRENGTHS["digits"])],
    looks=LOOKS,
    shots=5,
    dimension=lab.yours_or_ours(effective_dimension),
    batch_size=64,
    unit="accuracy",
    description="encoders",
    **lab.chosen("simsiam"),
)

# %%
losses = {arm: agreeing.mean(arm, of=late_loss) for arm in agreeing.rows}
print(", ".join(f"{arm}: loss {late:.3f}" for arm, late in losses.items()), "(-1 is the least)")

# %% [markdown]
# The lower loss need not be the better training. Follow each line, then the numbers beside its points: does the probe fall with
# the dimension? Before training the outputs are spread widely, and the features are not bad. These numbers are from one draw of
# the labels, those of the probes below from five.

# %% folded=true
OF_END = {"of": lambda row: row["dimensions"][-1], "unit": "dimensions"}
dimension = {arm: agreeing.interval(arm, **OF_END) for arm in agreeing.rows}


def at_looks(arm, of, least, most):
    """The mean of what was seen at each look, over the trainings of an arm."""
    columns = zip(*(row[of] for row in agreeing.rows[arm]), strict=True)
    return [lab.mean_interval(column).within(least, most) for column in columns]


seen = {arm: at_looks(arm, "dimensions", 1, 64) for arm in agreeing.rows}
worth = {arm: at_looks(arm, "accuracies", 0, 1) for arm in agreeing.rows}
lab.figures.curves(
    {arm: (LOOKS, estimates) for arm, estimates in seen.items()},
    title=f"Effective dimension in the end: {dimension[WITH].mean:.1f} with the stop-gradient, "
    f"{dimension[WITHOUT].mean:.1f} without",
    x="steps",
    y="effective dimension of the outputs",
    log_y=True,
    y_ticks=[1, 2, 4, 8, 16, 32],
    notes={arm: [f"{one.mean:.2f}" for one in estimates] for arm, estimates in worth.items()},
    caption="Digits. Numbers: test accuracy of a linear probe, 5 labels per class. 1: all outputs "
    f"point one way; 64: all ways alike. Band: 95 % interval over {len(ENCODERS)} trainings.",
)

# %%
untrained_five = probes["digits"].mean("untrained", 5)
five = {arm: agreeing.mean(arm) for arm in agreeing.rows}
told = f"{WITHOUT} {five[WITHOUT]:.2f}, {WITH} {five[WITH]:.2f}, untrained {untrained_five:.2f}"
lab.recall("collapse", f"{told}, SimCLR {probes['digits'].mean('SimCLR', 5):.2f}")

# %%
beside_simclr = agreeing | probes["digits"].at(5)
lab.record(
    effective_dimension_simsiam=dimension[WITH],
    effective_dimension_collapsed=dimension[WITHOUT],
    simsiam_k5=agreeing.interval(WITH),
    collapsed_k5=agreeing.interval(WITHOUT),
    collapsed_gain_k5=beside_simclr.gain(WITHOUT, over="untrained"),
)

# %%
lab.verdict(
    "without-negatives-collapses",
    collapsed=dimension[WITHOUT],
    kept=dimension[WITH],
    probe=agreeing.gain(WITH, over=WITHOUT),
)

# %% [markdown]
# A collapse of the outputs need not be one of the features. The head collapses first, since it is what the loss sees, and the
# features before it keep something that a probe, which scales every feature up to the same spread, still finds: compare with
# chance, 0.10. And the stop-gradient alone does not forbid the one point. It changes the way that training takes, and why that
# leads elsewhere is still being studied (Tian et al. 2021).
#
# Is it as good as SimCLR, then? Both had the same images, views, steps and labels.

# %%
lab.verdict("negatives-needed", digits=beside_simclr.gain("SimCLR", over=WITH))

# %% [markdown]
# These are small networks and few images. On ImageNet, after 100 to 800 passes, the paper has SimSiam one to two points ahead of
# SimCLR, in batches of 256 where SimCLR takes 4,096.

# %% [markdown]
# ## Predict: labels from confidence
#
# So far, images without labels shaped the features, and labels came last. There is another way to use them: the network labels
# them itself, learns from the labels of which it is sure, and so becomes sure of more.

# %%
lab.predict(
    "confident",
    "A network with 5 labels per class learns from its own answers with a probability of 0.95 "
    "or more. Of those in its last steps, how many are right?",
    ["fewer than half", "half to 0.9", "0.9 to 0.98", "more than 0.98"],
)

# %% [markdown]
# ## Derive: FixMatch
#
# Whatever the network says of an image, it should say of the same image changed (consistency regularisation, 一致性正则化).
# **FixMatch** (Sohn et al. 2020) shows it each unlabelled image $u_j$ twice. The answer to a *weak* view, $q_j$, gives a
# **pseudo-label** (伪标签), its most probable class $\hat q_j$. The loss then asks for this class on a *strong* view
# $\mathcal A(u_j)$, but only where the answer was confident. With $n$ labelled images, $m$ unlabelled ones and $H(y, p) = -\log
# p_y$:
#
# $$\ell = \frac1n \sum_{i=1}^{n} H\bigl(y_i, p(x_i)\bigr) + \lambda\,\frac1m \sum_{j=1}^{m}
# \mathbf 1\bigl[\max q_j \ge \tau\bigr]\, H\bigl(\hat q_j, p(\mathcal A(u_j))\bigr)$$
#
# The mean is over all $m$ images. In the first steps next to nothing passes the **confidence threshold** (置信度阈值) $\tau$, the second
# part is almost 0, and the labels lead. It grows as the network becomes sure.
#
# ## Write it


# %% exercise="fixmatch_loss"
def fixmatch_loss(logits, labels, weak_logits, strong_logits, threshold, weight):
    """The loss of FixMatch on a batch of labelled and of unlabelled images.

    logits: float tensor (n, classes) of the labelled images, labels: their class numbers (n,).
    weak_logits, strong_logits: (m, classes) of the two views of the unlabelled images.
    threshold: the probability from which on an answer to a weak view is a label, 0 to 1.
    weight: lambda. Returns a tensor without dimensions, and no gradient reaches weak_logits.
    """
    ### BEGIN SOLUTION
    confidence, pseudo_labels = weak_logits.detach().softmax(dim=1).max(dim=1)
    losses = F.cross_entropy(strong_logits, pseudo_labels, reduction="none")  # (m,)
    unlabelled = (losses * (confidence >= threshold)).mean()
    return F.cross_entropy(logits, labels) + weight * unlabelled
    ### END SOLUTION


# %% [markdown]
# ## See it: weak and strong views
#
# Weak views must leave the class easy to tell, since their answers become labels. Strong views must be hard, or nothing is left
# to learn. Ours: `affine` at the mildest strength of chapter 02, and `affine` at the strength that it chose for labelled images.
# Blanking out a square as well was tried on validation images and left out ([choices](../docs/choices.md)).

# %%
MILD = ("affine", 0.1)


def views_of_match(name):
    """The policies of labelled images, of weak and of strong views on a data set."""
    own = (POLICY[name]["policy"], POLICY[name]["strength"])
    strong = [own, *lab.chosen("fixmatch-strong")]
    return {"dataset": name, "views": [own], "weak": [MILD], "strong": strong}


chosen = views_of_match(DATASET)
generator = torch.Generator().manual_seed(SEED)
shown = task.train_images[torch.randperm(len(task.train_labels), generator=generator)[:8]]
shown = shown.float() / 255

# %% folded=true
lab.figures.images(
    torch.cat(
        [shown, *(contrastive.view(shown, chosen[how], generator) for how in ("weak", "strong"))]
    ),
    ["image"] * 8 + ["weak"] * 8 + ["strong"] * 8,
    columns=8,
    title="The answer to the weak view is the label of the strong one",
    caption="Would you know each image in the middle row? And in the lowest?",
    alt="Eight images, a weak and a strong view of each.",
)

# %% [markdown]
# ## Measure it
#
# The unlabelled images are the whole training part as the data set has it, and nobody chose them by their labels. It is kinder
# than life, though: every class has about as many images, and none shows anything else. Threshold and weight are the paper's,
# 0.95 and 1. FixMatch has the labels, the first weights, the steps and the policy of the arm *augmentation alone*, and as many
# images a step: 32 labelled ones and two views of 48 others, against 128 labelled ones.

# %%
matched = lab.arms(
    fixmatch.fit,
    {name: views_of_match(name) for name in DATASETS},
    loss=lab.yours_or_ours(fixmatch_loss),
    shots=5,
    steps=STEPS,
    seeds=ENCODERS,
    unit="accuracy",
)

# %%
LABELS, PROBE = "labels alone", "SimCLR, linear probe"


def beside_fixmatch(name):
    """FixMatch, labels alone and the probe of SimCLR's features, with the same labels."""
    same = lab.arms(
        linear_probe.probe,
        {PROBE: on_features("SimCLR", name)},
        axis="shots",
        at=[5],
        draws=1,
        **PROBING,
    )
    same = linear_probe.with_rest(same, {PROBE: simclr.rows[name]})
    rows = {
        "FixMatch": matched.rows[name],
        LABELS: supervised[name].at(5).rows["augmented, steps of pretraining"],
    }
    return lab.training.Arms(rows, unit="accuracy") | same.at(5)


confident = {name: beside_fixmatch(name) for name in DATASETS}

# %% [markdown]
# Look at the pseudo-labels first. The distance between the two lines is what passed and was wrong. Does it grow or shrink?

# %% folded=true
WINDOWS = min(10, STEPS)


def over_steps(name, of):
    """The mean of a share in each tenth of the steps, over the trainings of a data set."""
    parts = [torch.tensor(row[of]).tensor_split(WINDOWS) for row in matched.rows[name]]
    means = [lab.mean_interval([part.mean().item() for part in some]) for some in zip(*parts)]
    return [STEPS * (i + 1) / WINDOWS for i in range(WINDOWS)], [one.within(0, 1) for one in means]


LINES = {"passed": "passed", "passed and right": "right"}
lines = {name: {line: over_steps(name, of) for line, of in LINES.items()} for name in DATASETS}
ends = {name: [line[1][-1].mean for line in lines[name].values()] for name in DATASETS}
lab.figures.curve_panels(
    lines,
    title="In the end pass: "
    + ", ".join(
        f"{name} {p:.2f} ({r / max(p, 1e-9):.2f} of them right)" for name, (p, r) in ends.items()
    ),
    x="steps",
    y="share of the unlabelled images",
    limits=(0, 1.02),
    caption=f"Means of a tenth of the steps each; 95 % interval over {len(ENCODERS)} trainings.",
)

# %%
passed, right = ends[DATASET]
told = f"{right / max(passed, 1e-9):.3f} of those that passed, {passed:.2f} of all"
lab.recall("confident", told)

# %% [markdown]
# What is it worth? Compare with labels alone, and with SimCLR, which used images without labels in the other way.

# %% folded=true
lab.figures.panels(
    {
        name: {arm: confident[name].interval(arm) for arm in confident[name].rows}
        for name in DATASETS
    },
    title="FixMatch - labels alone: "
    + ", ".join(
        f"{name} {confident[name].gain('FixMatch', over=LABELS).mean:+.3f}" for name in DATASETS
    ),
    caption="Test accuracy, 5 labels per class, the same for all three. Mean and 95 % interval "
    f"over {len(ENCODERS)} trainings with labels of their own, and test pictures.",
    shared=True,
    limits=(0, 1),
)

# %%
gains = {name: confident[name].gain("FixMatch", over=LABELS) for name in ("glyphs", "digits")}
lab.record(
    fixmatch_k5=confident[DATASET].interval("FixMatch"),
    **{f"fixmatch_gain_{name}_k5": gain for name, gain in gains.items()},
    **{
        f"fixmatch_over_probe_{name}_k5": confident[name].gain("FixMatch", over=PROBE)
        for name in gains
    },
)

# %%
lab.verdict("fixmatch-helps", **gains)

# %% [markdown]
# An image that does not pass teaches nothing, and still costs its share of the step. Where few pass, labels alone has learned from
# four times as many images: read the two figures together. Where many pass and the two lines part, the network teaches itself
# its own mistakes, and nothing in the loss can tell it so. The pool must also hold what the labels lack: those of the glyphs show
# five of its twelve typefaces already, and the test has other ones.
#
# ## Predict: which images to label?
#
# All draws so far took K labels of *each class*, as if somebody had known the classes before labelling. Now you choose images
# first, and learn then what they are.

# %%
lab.predict(
    "choice",
    "You may label as many images as there are classes. Which images make the best classifier?",
    [
        "random ones",
        "half of them random, then those of which a first classifier is unsure",
        "a typical one of each cluster",
    ],
)

# %% [markdown]
# ## Derive: unsure or typical
#
# To ask about what is unclear is the older idea (active learning, 主动学习): label where the **margin** (间隔), the difference of
# the two largest probabilities, is smallest. It needs a classifier that knows what it does not know, and with a label per class
# there is hardly any. What is unclear to it may also be odd, and teach little about the others.
#
# TypiClust (Hacohen et al. 2022) does the opposite while labels are few: divide the features into as many clusters as there are
# labels to give, and take the most **typical** image of each (typicality, 典型性). With $N_k(x)$ the $k$ nearest other images:
#
# $$\text{typicality}(x) = \Bigl(\frac1k \sum_{x' \in N_k(x)} \lVert x - x' \rVert\Bigr)^{-1}$$
#
# ## Write it


# %% exercise="typicality"
def typicality(features, k):
    """How typical each image is: the inverse of its mean distance to its k nearest others.

    features: float tensor (n, d), no two rows alike. k: how many neighbours, 1 to n - 1. Distances
    are Euclidean, and no row is its own neighbour. Returns (n,).
    """
    ### BEGIN SOLUTION
    distances = torch.cdist(features, features)
    distances.fill_diagonal_(torch.inf)
    return 1 / distances.topk(k, dim=1, largest=False).values.mean(dim=1)
    ### END SOLUTION


# %% [markdown]
# ## Measure it
#
# The features are those of SimCLR, which knew no label either. Each way of choosing picks as many images as there are classes, or
# five times as many, and a linear probe learns from them. Classes that were not picked cannot be answered.

# %%
PICKED = [1, 5]  # labels for each class on average
CHOICES = {
    "random": {"choose": label_choice.random_rows},
    "uncertain": {"choose": label_choice.uncertain_rows},
    "typical": {
        "choose": label_choice.typical_rows,
        "typicality": lab.yours_or_ours(typicality),
    },
}


def picked(name):
    of_seed = features["SimCLR", name]
    kinds = {
        how: lambda seed, per_class, own=own: {"features": of_seed[seed], **own}
        for how, own in CHOICES.items()
    }
    grid = {"axis": "per_class", "at": PICKED, "description": "probes"}
    found = lab.arms(label_choice.label_and_probe, kinds, **grid, **PROBING)
    return linear_probe.with_rest(found, dict.fromkeys(CHOICES, simclr.rows[name]))


picks = {name: picked(name) for name in DATASETS}

# %% [markdown]
# Read the panels with 1 label per class first, where labels are fewest. Then see who gains most from five times as many.

# %% folded=true
lab.figures.panels(
    {
        f"{name}, {count} per class": {how: picks[name].interval(how, count) for how in CHOICES}
        for name in DATASETS[:2]
        for count in PICKED
    },
    title="One label per class, typical - random: "
    + ", ".join(
        f"{name} {picks[name].gain('typical', 1, over='random').mean:+.2f}" for name in DATASETS[:2]
    ),
    caption=f"Test accuracy of a linear probe. Mean and 95 % interval over {len(ENCODERS)} "
    "encoders, with draws of their own, and test pictures; the axes end at 0 and 1.",
    shared=True,
    limits=(0, 1),
)

# %%
print("share of the classes that got a label, with as many labels as classes")
for name in DATASETS:
    shares = {how: picks[name].mean(how, 1, of="classes") for how in CHOICES}
    print(f"{name}: {', '.join(f'{how} {share:.2f}' for how, share in shares.items())}")
best = {how: picks[DATASET].mean(how, 1) for how in CHOICES}
best_first = sorted(best, key=best.get, reverse=True)
lab.recall("choice", ", ".join(f"{how} {best[how]:.2f}" for how in best_first))

# %%
lab.record(
    **{
        f"label_{how}_{name}_k{count}": picks[name].interval(how, count)
        for how in CHOICES
        for name in ("glyphs", "digits")
        for count in PICKED
    }
)

# %%
lab.verdict(
    "typical-beats-random",
    **{name: picks[name].gain("typical", 1, over="random") for name in ("glyphs", "digits")},
)

# %% [markdown]
# Clusters can keep two labels from falling on one class (the shares above show where that worked), and the typical image keeps a
# label from being spent on an odd one. Both need features in which classes lie apart. Where a cluster is a typeface and not
# a character, its most typical image is typical of the wrong thing. Draws with K labels of each class, as everywhere
# else in this course, have the spread over the classes for nothing.
#
# ## Recap
#
# * A pretext task makes labels out of images. That it is learned well does not mean that its features serve you: probe them.
# * SimCLR pulls two views of an image together and pushes all others apart. Its views decide what is ignored, so they must
#   change what does not matter and keep what does.
# * Augmentation enters twice: in the views, and on the few labelled images afterwards. The verdicts say what each is worth.
# * SimSiam has no negatives. Its loss is smallest where all images are one point, so look at the effective dimension, not the loss.
# * FixMatch makes labels of confident answers to weak views, for strong ones. Watch how many pass and how many of them are right.
# * Which images you label can matter, not only how many. Clusters and typicality need no label to choose.
# * One encoder is one accident of its first weights and its batches. Train several, and compare them in pairs.
#
# **Questions.** 1. Why is the loss of the views without change the lowest of all, and why is that no good sign? 2. Which views would you
# choose for photographs of birds, where flips keep the species? And for handwritten digits? 3. A batch holds two images of one
# class. What does NT-Xent do to them, and when would that hurt?
#
# <details><summary>Short answers</summary>
#
# 1. Two views of one image are then the same picture, so any network finds the pair, an untrained one too. What is learned is only
# to push different images apart, by whatever detail does it. 2. Birds: crops, flips, changes of colour that leave the species
# recognisable. Digits: shifts, small turns, scales, thickness of the stroke; no flips and no half turns, for 6 and 9, 2 and 5.
# 3. They are negatives of each other, so it pushes them apart. With few classes, and so many such pairs in a batch, it works against
# what the labels will ask for.
#
# </details>
#
# **Going further.** Gidaris et al. 2018 (ICLR), rotation prediction; Chen et al. 2020 (ICML), SimCLR; Tian et al. 2020 (NeurIPS),
# what makes for good views; Wu et al. 2018 (CVPR), instance discrimination and its neighbours; Alain & Bengio 2017 (ICLR
# workshop), linear probes; Kumar et al. 2022 (ICLR), how fine-tuning distorts features; He et al. 2020 (CVPR), momentum
# contrast; Grill et al. 2020 (NeurIPS), BYOL; Chen & He 2021 (CVPR), SimSiam; Tian et al. 2021 (ICML), why it does not collapse;
# Roy & Vetterli 2007 (EUSIPCO), effective rank; Sohn et al. 2020 (NeurIPS), FixMatch; Hacohen et al. 2022 (ICML),
# typical images for few labels. In production: `lightly` for training, `timm` for pretrained
# encoders.

# %% [markdown]
# ## On your own data
#
# Which features suit *your* pictures? Write the path of a folder with a folder of pictures for each
# class in place of `None`; until then 200 digits stand in. A network that was trained on
# photographs is compared where it is on this machine.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.which_features(lab.own.images(FOLDER))
