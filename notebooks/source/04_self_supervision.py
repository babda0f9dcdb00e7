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
# the second, judge features by a probe, and choose the views that make or break them.
#
# **Time:** 75 minutes. **Claim under test:** C6 (augmentation and self-supervision complement each other).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import math

import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import contrastive, linear_probe

lab.setup("04", profile=PROFILE, seed=SEED, device=DEVICE)
task = lab.data.load(DATASET)
pool = contrastive.unlabelled(DATASET)
SHOTS = [1, 5, 20]  # labels per class
SEEDS = list(range(SEED, SEED + lab.quick_or_full(5, 10)))  # draws of the labels
print(f"{len(pool):,} images without labels, {len(task.classes)} classes to tell apart afterwards.")

# %% [markdown]
# The unlabelled glyphs hold many more characters than the task has classes, and none of the test's typefaces. For the other
# data sets, the unlabelled images are the training images.
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
    "SimCLR shows two changed views of each image. Which change makes its features worse than no "
    "change at all?",
    ["noise", "small shifts and scales", "small turns", "all quarter turns and flips"],
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
# Cover the numbers with your hand. For which images can you tell the turn?

# %% folded=true
rotate = lab.yours_or_ours(rotation_batch)
copies, turns = rotate(task.test_images[torch.linspace(0, len(task.test_images) - 1, 8).long()])
lab.figures.images(
    copies,
    [f"{90 * turn}°" for turn in turns.tolist()],
    columns=8,
    title="The pretext task: by how much was it turned?",
    caption="Each column is one image in its four turns. Some look the same after a half turn: "
    "for these the task has no answer.",
    alt="Eight images, each turned by 0, 90, 180 and 270 degrees.",
)

# %% [markdown]
# Most characters have one upright position. That is what the network has to learn.

# %% [markdown]
# ## Measure it
#
# Train the small net of chapter 02 on this task, without a single label. The loop is the one of chapter 02 with another
# `augment`, which `contrastive.rotation_prediction` holds: it turns each batch in all four ways, and the turns are its labels.

# %%
steps = lab.quick_or_full(200, 2000)
rotation_encoder, history = contrastive.rotation_prediction(
    pool, rotate=rotate, steps=steps, seed=SEED, progress=True
)
late = history.losses[-steps // 10 :]
print(f"Loss {sum(late) / len(late):.2f} at the end, {math.log(4):.2f} for a guess among four.")

# %% [markdown]
# It learns its task. Whether the features are of any use for *yours* is another question. The probes below answer it.
#
# ## Derive: SimCLR
#
# **Contrastive learning** (对比学习) asks something else: *which two of these pictures were made from one image?* Each of
# $B$ images is changed twice at random, which gives $2B$ **views** (视图). Two views of one image are a positive pair
# (正样本对), all other rows are negatives (负样本). Let $z_i$ be the network's output for view $i$ and
#
# $$s_{ij} = \frac{z_i \cdot z_j}{|z_i|\,|z_j|}, \qquad
# \ell_i = -\log \frac{\exp(s_{ij}/\tau)}{\sum_{k \ne i} \exp(s_{ik}/\tau)} \quad\text{with } j \text{ the other view of } i$$
#
# This is NT-Xent, the cross-entropy with temperature $\tau$ (温度) over $2B - 1$ candidates (Chen et al. 2020). Before any
# training all similarities are about equal, so that $\ell_i \approx \log(2B-1)$.
#
# What counts as "the same" is decided by the changes and by nothing else. Start with the change of chapter 02 that suits these
# images.

# %%
VIEWS = [("affine", 0.25)]  # the policies of a view with their strengths, one after the other
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
# ## Measure it
#
# Train with this loss, on 128 images and so 256 views a step. It is the loop of chapter 02 with two changes, which
# `contrastive.simclr` holds: `augment` makes two views of every image, and `loss` is NT-Xent. On top of the encoder is a small
# head that serves the loss only; it is thrown away afterwards, and the features are what the encoder returns.

# %%
loss = lab.yours_or_ours(nt_xent)
steps = lab.quick_or_full(600, 6000)
simclr_encoder, history = contrastive.simclr(
    pool, VIEWS, loss=loss, steps=steps, seed=SEED, progress=True
)
late = history.losses[-steps // 10 :]
print(
    f"Loss {history.losses[0]:.2f} at first (all rows alike: {math.log(255):.2f}), "
    f"{sum(late) / len(late):.2f} at the end."
)

# %% [markdown]
# ## See: the map before and after
#
# The map shows test images by the two directions in which their features vary most (principal components, 主成分). Point at
# a letter to see its image, or choose one with the slider, and compare its neighbours before and after training.

# %%
lab.runtime.seed_everything(SEED)
random_encoder = contrastive.encoder(pool.shape[-1])
encoders = {"random": random_encoder, "rotation": rotation_encoder, "SimCLR": simclr_encoder}
features = {name: linear_probe.embedded(task, encoder) for name, encoder in encoders.items()}
generator = torch.Generator().manual_seed(SEED)
some = torch.randperm(len(features["SimCLR"].test_labels), generator=generator)[:200]
before, after = (features[name].test_images[some] for name in ("random", "SimCLR"))
maps = {"before": before, "after": after}

lab.widgets.EmbeddingExplorer(task.test_images[some], task.test_labels[some], task.classes, maps)

# %% [markdown]
# ## Write it: nearest neighbours
#
# The simplest test of features asks the nearest labelled images. Each of the $k$ nearest votes for its own class with the weight
# $\exp(s / 0.1)$, where $s$ is its cosine similarity (Wu et al. 2018).


# %% exercise="nearest_labels"
def nearest_labels(features, labels, queries, k, classes):
    """The class of each query by a weighted vote of its k most similar labelled images.

    features: float tensor (n, d). labels: whole numbers (n,) from 0 to classes - 1. queries: (m,
    d). Similarity is the cosine, a vote weighs exp(similarity / 0.1). Returns class numbers (m,).
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
# cannot separate, the features do not hold in a simple form. Every draw of the labels is the same for all encoders.

# %%
nearest = lab.yours_or_ours(nearest_labels)


def probed(features, shots, seed):
    """Test accuracy of both probes on one draw of the labels."""
    draw = {"shots": shots, "seed": seed}
    return {
        "test_accuracy": linear_probe.linear_probe(features, **draw),
        "by_neighbours": linear_probe.neighbours_probe(features, **draw, nearest=nearest),
    }


GRID = {"seeds": SEEDS, "axis": "shots", "at": SHOTS, "unit": "accuracy"}
kinds = {name: {"features": embedded} for name, embedded in features.items()}
probes = lab.arms(probed, kinds, **GRID, jobs=1, description="probes")

# %% [markdown]
# To compare with: the same net trained on the K labels alone, without augmentation and with the right one of chapter 02. And,
# for later, the same **fine-tuned** (微调) at 5 labels per class: it starts from SimCLR's weights. Here the loop of chapter 02 is
# unchanged; `linear_probe.fit_from` only chooses the weights from which it starts.

# %%
ARMS = {"plain": {}, "augmented": {"policy": "affine", "strength": 0.25}}
FIT = {"dataset": DATASET, "steps": lab.quick_or_full(120, 600)}
start = {name: tensor.cpu() for name, tensor in simclr_encoder.state_dict().items()}
scratch = lab.arms(linear_probe.fit_from, ARMS, **GRID, **FIT)
tuned = lab.arms(linear_probe.fit_from, ARMS, seeds=SEEDS, shots=5, start=start, **FIT)

# %% [markdown]
# And features from outside: EfficientNet-Lite0, trained on 1.3 million labelled photographs. It is slow here, so it sees 40
# training images per class and 300 test images, enlarged to 128 pixels; its features are kept in the cache folder.

# %%
from dataclasses import replace

from fewshot_lab.models.efficientnet import lite0_features

images, labels = task.draw(lab.quick_or_full(40, smoke=20), SEED)
order = torch.randperm(len(task.test_labels), generator=torch.Generator().manual_seed(SEED))
rows = order[: lab.quick_or_full(300, smoke=20)]
some = replace(
    task,
    train_images=images,
    train_labels=labels,
    test_images=task.test_images[rows],
    test_labels=task.test_labels[rows],
)

# %% [markdown]
# Its features are probed like the others, where its weights are at hand.


# %%
def with_a_bar(batches):
    return lab.progress_bar(batches, "batches")


try:
    both_parts = torch.cat([some.train_images, some.test_images])
    z = lite0_features(both_parts, device=DEVICE, progress=with_a_bar)
    photographs = replace(some, train_images=z[: len(images)], test_images=z[len(images) :])
    kinds = {"EfficientNet": {"features": photographs}}
    probes |= lab.arms(probed, kinds, **GRID, jobs=1, description="probes")
except lab.CourseError as error:
    print(f"Without EfficientNet-Lite0, whose weights are not here: {error}")

# %% [markdown]
# ## Read it
#
# Compare at 1 label per class, where labels alone can do least. Then see what 20 labels change. One thing flatters SimCLR a
# little: its temperature and learning rate were once chosen by probes on these glyphs. The other arms have chapter 02's settings.

# %% folded=true
lines = {f"probe: {name}": probes.curve(name) for name in probes.rows}
lines |= {f"from scratch, {name}": scratch.curve(name) for name in ARMS}
at_five = {name: estimates[SHOTS.index(5)].mean for name, (_, estimates) in lines.items()}
ranked = sorted(at_five, key=at_five.get, reverse=True)
lab.figures.curves(
    {name: lines[name] for name in ranked},
    title="At 5 labels per class: "
    + ", then ".join(f"“{name}” {at_five[name]:.2f}" for name in ranked[:2]),
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    limits=(0, 1.02),
    caption=f"{task.name}. Band: 95 % interval over {len(SEEDS)} draws of the labels, one encoder "
    "each. In order of the accuracy at 5.",
)

# %% [markdown]
# The legend lists the lines in their order at 5 labels. Which of them keep their place at 1 label and at 20?

# %%
best_first = sorted(probes.rows, key=lambda name: probes.mean(name, 5), reverse=True)
lab.recall("features", ", ".join(f"{name} {probes.mean(name, 5):.2f}" for name in best_first))

# %%
lab.record(
    **{
        f"probe_{name.lower()}_k{k}": probes.interval(name, k)
        for name in probes.rows
        for k in SHOTS
    },
    **{f"supervised_{name}_k{k}": scratch.interval(name, k) for name in ARMS for k in SHOTS},
    headline="probe_simclr_k5",
)

# %% [markdown]
# A linear probe may weigh features, nearest neighbours take them as they are. Do both favour the same encoder?

# %% folded=true
RESULTS = {"linear probe": "test_accuracy", "neighbours": "by_neighbours"}
by_probe = {
    f"{name}, {probe}": probes.interval(name, 5, of=result)
    for name in encoders
    for probe, result in RESULTS.items()
}
best = {
    probe: max(encoders, key=lambda name: by_probe[f"{name}, {probe}"].mean) for probe in RESULTS
}
lab.figures.bars(
    by_probe,
    title="Best features by "
    + ", by ".join(
        f"{probe}: {name} ({by_probe[f'{name}, {probe}'].mean:.2f})" for probe, name in best.items()
    ),
    x="test accuracy at 5 labels per class",
    line=1 / len(task.classes),
    caption=f"Mean and 95 % interval over {len(SEEDS)} draws of the labels. Dashed: guessing. "
    "Five neighbours vote.",
)

# %%
lab.record(neighbours_simclr_k5=probes.interval("SimCLR", 5, of="by_neighbours", unit="accuracy"))

# %% [markdown]
# A pretext task can be learned well and teach little. To tell turns, it is enough to know how characters stand upright in general.
# Does rotation prediction do better than no training at all?

# %%
lab.verdict(
    "rotation-helps",
    "Features of rotation prediction are better than random ones.",
    [
        lab.Evidence(
            "rotation - random, 5 labels per class", probes.gain("rotation", 5, over="random"), ">"
        )
    ],
)

# %% [markdown]
# ## Measure it: which views make or break it
#
# Views tell the network what to ignore. Too little, and the pairs are recognised by some detail that says nothing about the
# class. Too much, and the class itself is ignored: a network that must not tell a letter from its mirror image cannot tell b from
# d (Tian et al. 2020). These are short trainings by the same `contrastive.simclr`; only the views differ.

# %%
ABLATION = {
    "no change": [],
    "noise": [("noise", 0.4)],
    "turn": [("rotate", 0.25)],
    "shift and scale": [("shift", 0.25), ("scale", 0.25)],
    "all affine": [("affine", 0.25)],
    "affine and flip": [("affine", 0.25), ("flip", 1.0)],
    "affine and D4": [("affine", 0.25), ("d4", 1.0)],
}
TRAININGS = {
    "seeds": SEEDS[: lab.quick_or_full(3, 10, smoke=1)],
    "steps": lab.quick_or_full(70, 1000),
}
PROBES = {"dataset": DATASET, "shots": 5, "draws": SEEDS, "unit": "accuracy"}
kinds = {name: {"views": views} for name, views in ABLATION.items()}
ablated = lab.arms(linear_probe.fit_views, kinds, **TRAININGS, **PROBES)

# %% [markdown]
# A bar to the left of the dashed line: views that are worse than no training at all.

# %% folded=true
untrained = probes.mean("random", 5)
best, worst = (choose(ABLATION, key=ablated.mean) for choose in (max, min))
lab.figures.bars(
    {name: ablated.interval(name) for name in ABLATION},
    title=f"Best views: “{best}” ({ablated.mean(best):.2f}). Worst: “{worst}” "
    f"({ablated.mean(worst):.2f})",
    x="test accuracy of a linear probe, 5 labels per class",
    line=untrained,
    caption=f"{TRAININGS['steps']} steps each. Mean and 95 % interval over "
    f"{len(ablated.seeds)} trainings. Dashed: random features.",
)

# %% [markdown]
# Which changes keep the class, and which lose it? Compare with what you predicted.

# %%
worse = [name for name in ABLATION if ablated.mean(name) < ablated.mean("no change")]
lab.recall("views", f"worse than no change at all: {', '.join(worse) or 'none of them'}")

# %%
lab.record(
    **{f"views_{name.replace(' ', '_').lower()}_k5": ablated.interval(name) for name in ABLATION}
)

# %% [markdown]
# Two questions to the same trainings, in pairs of equal seeds.

# %%
above_untrained = [value - untrained for value in ablated.values("no change")]
lab.verdict(
    "views-must-change",
    "SimCLR learns from views that change the image, and next to nothing from views that do not.",
    [
        lab.Evidence("all affine - no change", ablated.gain("all affine", over="no change"), ">"),
        lab.Evidence(
            "no change - random features", lab.mean_interval(above_untrained, "accuracy"), "<", 0.05
        ),
    ],
)

# %%
lab.verdict(
    "flips-break-views",
    "Flips and quarter turns in the views destroy what tells these classes apart.",
    [
        lab.Evidence(f"{name} - all affine", ablated.gain(name, over="all affine"), "<")
        for name in ("affine and flip", "affine and D4")
    ],
)

# %% [markdown]
# ## Measure it: both together
#
# Is augmentation a rival of self-supervision, or a partner? Two by two: with and without augmentation of the *labelled* images,
# with and without SimCLR before. Once with a linear probe on frozen features, once fine-tuned, where nothing but the starting
# point differs. One combination is still missing: a probe that also sees augmented copies of the labelled images.


# %%
def probed_with_copies(seed):
    return {
        "test_accuracy": linear_probe.augmented_probe(
            task, simclr_encoder, shots=5, seed=seed, **ARMS["augmented"]
        )
    }


both = lab.arms(probed_with_copies, {"probe": {}}, seeds=SEEDS, jobs=1, description="probes")
arms = {
    "neither": scratch.at(5).rows["plain"],
    "augmentation alone": scratch.at(5).rows["augmented"],
    "SimCLR alone, probe": probes.at(5).rows["SimCLR"],
    "both, probe": both.rows["probe"],
    "SimCLR alone, fine-tuned": tuned.rows["plain"],
    "both, fine-tuned": tuned.rows["augmented"],
}
table = lab.training.Arms(arms, unit="accuracy")

# %% [markdown]
# Compare each “both” with the two that it is made of.

# %% folded=true
alone = max(table.mean(name) for name in arms if "alone" in name)
top = max(arms, key=table.mean)
lab.figures.bars(
    {name: table.interval(name) for name in arms},
    title=f"“{top}” is best: {table.mean(top):.2f}, against {alone:.2f} for the best of one alone",
    x="test accuracy, 5 labels per class",
    caption=f"Mean and 95 % interval over {len(SEEDS)} draws of the labels.",
)

# %%
lab.record(both_k5=table.interval("both, probe"), headline="both_k5")

# %% [markdown]
# The claim asks for two things: both together beat augmentation alone *and* self-supervision alone.

# %%
evidence = []
for how in ("probe", "fine-tuned"):
    for alone in ("augmentation alone", f"SimCLR alone, {how}"):
        gain = table.gain(f"both, {how}", over=alone)
        evidence.append(lab.Evidence(f"both - {alone.split(',')[0]}, {how}", gain, ">"))
lab.verdict(
    "C6", "Augmentation and self-supervision together do better than either alone.", evidence
)

# %% [markdown]
# Keep in mind what "SimCLR alone" means: its views *are* augmentation. Look back at the views without change to see what is left
# of it without any.
#
# ## Recap
#
# * A pretext task makes labels out of images. That it is learned well does not mean that its features serve you: probe them.
# * SimCLR pulls two views of an image together and pushes all others apart. Its views decide what is ignored, so they must
#   change what does not matter and keep what does.
# * Augmentation works twice: in the views, where nothing is learned without it, and on the few labelled images afterwards.
#
# **Questions.** 1. Why does the loss of the views without change fall so low, and why is that no good sign? 2. Which views would you
# choose for photographs of birds, where flips keep the species? And for handwritten digits? 3. A batch holds two images of one
# class. What does NT-Xent do to them, and when would that hurt?
#
# **Going further.** Gidaris et al. 2018 (ICLR), rotation prediction; Chen et al. 2020 (ICML), SimCLR; Tian et al. 2020 (NeurIPS),
# what makes for good views; Wu et al. 2018 (CVPR), instance discrimination and its neighbours; Alain & Bengio 2017 (ICLR workshop),
# linear probes; He et al. 2020 (CVPR), momentum contrast; Grill et al. 2020 (NeurIPS), without negatives. In production: `lightly`
# for training, `timm` for pretrained encoders.
