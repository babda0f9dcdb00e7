# ---
# jupyter:
#   question: How many labels is a policy worth, and where does it turn to harm?
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
# # 02 · When augmentation stops
#
# Data augmentation (数据增强) turns few labelled images into many different ones. It can be worth several times as many labels,
# or cost you labels. This chapter measures which, in a unit that people understand: **the exchange rate**, how many more labels
# per class a policy is worth.
#
# **After this chapter you can** choose a policy and its strength by measurement, tell underfitting from overfitting, state a
# policy's exchange rate and its cost, and repair a printed training script.
#
# **Time:** 75 minutes. **Claims under test:** C1 (it improves generalisation, for some data it does little, it cannot replace
# labels), C2 (it costs time and compute), C3 (too much of it hurts, by overfitting), C13 (augmentation lifts a ResNet).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.augment import get_policy, mixing
from fewshot_lab.methods.supervised import affinities, fit_few_shot

lab.setup("02", profile=PROFILE, seed=SEED, device=DEVICE)
task = lab.data.load(DATASET)
OTHER = "digits" if DATASET != "digits" else "glyphs"  # the second data set, for claim C1
SEEDS = list(range(SEED, SEED + lab.quick_or_full(6, 20)))
STEPS = lab.quick_or_full(100, 600)

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "worth",
    "A good policy at 5 labels per class is worth how many labels without it?",
    ["5: nothing", "about 7", "about 15", "50 or more"],
)

# %% [markdown]
# ## See: policies
#
# A **policy** says how images are changed and has one strength from 0 to 1. Find a strength of `affine` at which you can still
# read every character, and one at which you cannot. Then look at `d4` and at `randaugment`.

# %%
lab.widgets.PolicyExplorer(DATASET, policy="affine", strength=0.25)

# %% [markdown]
# Four policies go through the whole chapter. The *right* one does what these images do anyway: small turns and shifts. The
# *wrong* one turns and mirrors an image in the square's eight ways, which chapter 01 showed to change labels.

# %%
POLICIES = {
    "none": {"policy": "none", "strength": 0.0},
    "right": {"policy": "affine", "strength": 0.25},
    "too strong": {"policy": "affine", "strength": 1.0},
    "wrong": {"policy": "d4", "strength": 1.0},
}

# %% [markdown]
# ## See: the training loop
#
# Most networks of this course are trained by one loop, `training.train`. A step takes a **batch**, **augments** it, sets the
# learning **rate**, computes the **loss** and its gradients, takes the **step** and writes the loss into the **history**. Later
# chapters change what goes into it: what `loss` computes, what `augment` does, what the labels are.

# %%
lab.source(lab.training.train, "for step in")

# %% [markdown]
# The policy enters at `augment`: with one, an image is changed anew every time it comes back.
#
# ## Measure it: learning curves
#
# A small convolutional net, trained from scratch on K labels per class, with each policy, for several draws of the labels. The
# same seed draws the same labels for every policy, so policies are compared in pairs. `lab.arms` runs every *arm* of the
# experiment (here: every policy) with every seed, on all cores at once.

# %%
SHOTS = {
    "none": [1, 2, 5, 10, 20, 50],
    "right": [1, 5, 20],
    "too strong": [1, 5, 20],
    "wrong": [1, 5, 20],
}
SETTINGS = {"dataset": DATASET, "steps": STEPS, "unit": "accuracy", "seeds": SEEDS}
curves = lab.arms(fit_few_shot, POLICIES, axis="shots", at=SHOTS, **SETTINGS)

# %% [markdown]
# ## Read it
#
# Compare the curves at 5 labels per class. Then follow a horizontal line from the *right* curve to the right, until it meets the
# *none* curve: the policy is worth that many labels.

# %% folded=true
lab.figures.curves(
    {name: curves.curve(name) for name in POLICIES},
    title="At 5 labels per class: "
    + ", ".join(f"{name} {curves.mean(name, 5):.2f}" for name in POLICIES),
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS["none"],
    caption=f"{task.name}, {STEPS} training steps. "
    f"Band: 95 % interval over {len(SEEDS)} draws of the labels.",
)

# %%
lab.record(
    accuracy_none_k5=curves.interval("none", 5),
    accuracy_right_k5=curves.interval("right", 5),
    accuracy_wrong_k5=curves.interval("wrong", 5),
)

# %% [markdown]
# ## Derive: the exchange rate
#
# Let $a(k)$ be the accuracy without augmentation at $k$ labels per class, and $a_P$ the accuracy with policy $P$ at $k_P$
# labels. The policy is worth $k^\ast$ labels where $a(k^\ast) = a_P$, and its **exchange rate** is
#
# $$r = \frac{k^\ast}{k_P}$$
#
# Above 1 it saves labels, below 1 it costs them (Geiping et al. 2023). Accuracy grows about linearly in the *logarithm* of the
# number of labels, so interpolate in $\log_2 k$ between two measured points. Outside of the measured range only a bound is known.
#
# ## Write it

# %% exercise="labels_needed"
import math


def labels_needed(labels, accuracies, reached):
    """How many labels per class reach an accuracy, on a measured learning curve.

    labels: rising whole numbers. accuracies: rising accuracies at these numbers. reached: an
    accuracy. Returns a number; the first or the last of `labels` when the accuracy lies outside of
    the curve.
    """
    ### BEGIN SOLUTION
    if reached <= accuracies[0]:
        return float(labels[0])
    for i in range(1, len(labels)):
        if reached <= accuracies[i]:
            part = (reached - accuracies[i - 1]) / (accuracies[i] - accuracies[i - 1])
            low, high = math.log2(labels[i - 1]), math.log2(labels[i])
            return 2 ** (low + part * (high - low))
    return float(labels[-1])
    ### END SOLUTION


# %%
needed = lab.yours_or_ours(labels_needed)
baseline = curves.table("none")  # (seeds, numbers of labels)
rising = torch.from_numpy(baseline.mean(axis=0)).cummax(0).values.tolist()
for name in POLICIES:
    worth = needed(SHOTS["none"], rising, curves.mean(name, 5))
    print(f"5 labels per class with {name!r} are worth {worth:.1f} without")

# %% [markdown]
# A number without an interval is half a number. `lab.exchange_rate` draws the seeds again and again (bootstrap), in pairs.

# %%
rates = {
    name: lab.exchange_rate(SHOTS["none"], baseline, 5, curves.values(name, 5)) for name in POLICIES
}
lab.record(
    exchange_rate_right=rates["right"],
    exchange_rate_wrong=rates["wrong"],
    unit="labels per label",
    headline="exchange_rate_right",
)

# %%
lab.recall("worth", f"{5 * rates['right'].mean:.0f} labels per class")

# %% [markdown]
# ## Measure it: where help turns to harm
#
# Now only the strength changes. If too strong a policy *overfits*, the training accuracy stays high while the test accuracy falls.
# If it *underfits*, the training accuracy falls too.

# %%
STRENGTHS = [0.0, 0.1, 0.25, 0.5, 0.75, 1.0]
above = curves.at(5).rows  # three of the strengths were trained above
by_strength = {0.0: above["none"], 0.25: above["right"], 1.0: above["too strong"]}
others = {s: {"policy": "affine", "strength": s} for s in STRENGTHS if s not in by_strength}
strengths = lab.arms(fit_few_shot, others, shots=5, **SETTINGS)
strengths |= lab.training.Arms(by_strength)
best = max(STRENGTHS, key=strengths.mean)

# %% [markdown]
# Where the test curve falls: do the training curves stay up (overfitting), or do they fall too (underfitting)?

# %% folded=true
SERIES = {
    "test": "test_accuracy",
    "training, as the policy shows it": "train_accuracy_augmented",
    "training, unchanged": "train_accuracy",
}
lab.figures.curves(
    {
        name: (STRENGTHS, [strengths.interval(s, of=what) for s in STRENGTHS])
        for name, what in SERIES.items()
    },
    title=f"The test accuracy is best at strength {best:g}",
    x="strength of the policy “affine”",
    y="accuracy",
    limits=(0, 1.02),
    caption="5 labels per class. Where the test curve falls, do the training curves stay up "
    "(overfitting) or fall (underfitting)?",
)

# %% [markdown]
# Does the strongest policy harm, against the best one?

# %%
harm = strengths.gain(best, over=1.0)
lab.verdict(
    "C3",
    "Too much augmentation hurts.",
    [lab.Evidence(f"accuracy at strength {best:g} - at strength 1", harm, ">")],
)

# %% [markdown]
# Which harm is it? Overfitting shows as a *larger* gap between training and test accuracy.


# %%
def gap(row):
    """How much better the net is on the images that it learned from."""
    return row["train_accuracy"] - row["test_accuracy"]


wider = strengths.gain(1.0, over=best, of=gap, unit="accuracy")
lab.verdict(
    "too-much-overfits",
    "The harm of too much augmentation is overfitting.",
    [
        lab.Evidence(
            f"gap between training and test accuracy at strength 1 - at strength {best:g}",
            wider,
            ">",
        )
    ],
)

# %% [markdown]
# ## Derive: mixup and CutMix
#
# **Mixup** blends two images *and* their labels with a share $\lambda$ (Zhang et al. 2018):
#
# $$\tilde x = \lambda x_i + (1-\lambda) x_j, \qquad \tilde y = \lambda y_i + (1-\lambda) y_j$$
#
# ## Write it


# %% exercise="mixup_batch"
def mixup_batch(images, labels, share, partner):
    """Blends every image and its label with those of its partner in the batch.

    images: float tensor (n, C, H, W). labels: shares (n, classes). share: lambda, from 0 to 1, of
    the image itself. partner: whole numbers (n,), which image of the batch to blend with. Returns
    blended images and labels.
    """
    ### BEGIN SOLUTION
    blended = share * images + (1 - share) * images[partner]
    return blended, share * labels + (1 - share) * labels[partner]
    ### END SOLUTION


# %% [markdown]
# **CutMix** pastes a square of one image into another (Yun et al. 2019). The label's share is the share of the *area* that is
# still the image's own. The square may reach over the border.


# %% exercise="cutmix_share"
def cutmix_share(top, left, side, height, width):
    """The share of the image's own label after a square was pasted into it.

    top, left: the square's first row and column, may be negative. side: its side in pixels; it may
    reach outside. height, width: of the image in pixels. Returns a number from 0 to 1.
    """
    ### BEGIN SOLUTION
    rows = max(0, min(height, top + side) - max(0, top))
    columns = max(0, min(width, left + side) - max(0, left))
    return 1 - rows * columns / (height * width)
    ### END SOLUTION


# %% folded=true
blend = lab.yours_or_ours(mixup_batch)
few = task.draw(1, SEED)[0][:6].float() / 255
one_hot = torch.eye(6)
halves, _ = blend(few, one_hot, 0.6, torch.arange(6).roll(1))
generator = torch.Generator().manual_seed(SEED)
pasted, shares = mixing.cutmix(few, one_hot, 6, generator=generator)
lab.figures.images(
    torch.cat([few, halves, pasted]),
    ["original"] * 6
    + ["60 % + 40 %"] * 6
    + [f"{100 * row.max():.0f} % + {100 - 100 * row.max():.0f} %" for row in shares],
    columns=6,
    title="Mixup blends, CutMix pastes",
    caption="Over each mixed image: the shares of its two labels.",
    alt="Six images; the same blended in pairs; the same with pasted squares.",
)

# %% [markdown]
# ## Measure it: what helps these images?
#
# Two numbers explain when a policy helps (Gontijo-Lopes et al. 2021). **Affinity**: how accurate a model trained without augmentation
# stays on changed test images; 1 means the policy stays within the data. **Diversity**: how much harder the training becomes, its loss
# over the loss without the policy. A policy should be high in both.


# %%
def mixup(images, labels, classes, *, generator):
    share = 0.5 + 0.5 * torch.rand(1, generator=generator).item()
    partner = torch.randperm(len(images), generator=generator)
    return blend(images, torch.eye(classes).to(images)[labels], share, partner.to(images.device))


MORE = {
    "flip": {"policy": "flip", "strength": 1.0},
    "erase": {"policy": "erase", "strength": 0.5},
    "randaugment": {"policy": "randaugment", "strength": 0.4},
    "trivialaugment": {"policy": "trivialaugment", "strength": 0.6},
    "mixup": {"mix": mixup},
    "cutmix": {"mix": mixing.cutmix},
}
tested = lab.arms(fit_few_shot, MORE, shots=5, **SETTINGS)
tested |= curves.at(5)
gains = {name: tested.gain(name, over="none") for name in [*POLICIES, *MORE] if name != "none"}

# %% [markdown]
# A policy helps when its whole interval lies right of 0, and costs when it lies left of it. What of the others?

# %% folded=true
helps = sum(gain.low > 0 for gain in gains.values())
costs = sum(gain.high < 0 for gain in gains.values())
lab.figures.bars(
    dict(sorted(gains.items(), key=lambda item: -item[1].mean)),
    title=f"At 5 labels per class {helps} of {len(gains)} policies help, {costs} cost",
    x="test accuracy with the policy - without",
    line=0.0,
    caption=f"Mean and 95 % interval of the paired difference over {len(SEEDS)} draws. "
    "Left of the dashed line the policy costs accuracy.",
)

# %% [markdown]
# Affinity is measured on a net that was trained without augmentation, diversity on the losses of the trainings above.

# %%
compared = {
    name: (kind["policy"], kind["strength"])
    for name, kind in (POLICIES | MORE).items()
    if "policy" in kind and name != "none"
}
measured = lab.sweep(
    affinities,
    [
        {"dataset": DATASET, "policies": compared, "shots": 20, "seed": seed, "steps": STEPS}
        for seed in SEEDS
    ],
)
explained = {}
for name in compared:
    affinity = sum(row[name] for row in measured) / len(SEEDS)
    diversity = tested.mean(name, of="train_loss") / tested.mean("none", of="train_loss")
    explained[name] = (affinity, diversity, gains[name].mean)

# %% folded=true
lab.figures.scatter(
    explained,
    title="Affinity and diversity of each policy, with its gain",
    x="affinity (1: the data stay as they are)",
    y="diversity (training loss over the loss without)",
    colour="gain in test accuracy",
    log_y=True,
    caption="A policy is named with its gain at 5 labels per class. "
    "Is either number alone enough to foretell the gain?",
)

# %% [markdown]
# Look at the bottom (nothing new to learn), at the left (other classes than before), and at where the best policies lie.
#
# ## Measure it: another data set
#
# The same policies, unchanged, on other images. Here the characters already stand upright and in the middle.

# %%
kinds = {name: POLICIES[name] for name in ("none", "right", "wrong")}
other = lab.arms(fit_few_shot, kinds, shots=5, **SETTINGS | {"dataset": OTHER})
elsewhere = {name: other.gain(name, over="none") for name in ("right", "wrong")}

# %% folded=true
lab.figures.bars(
    {f"{name} on {OTHER}": elsewhere[name] for name in ("right", "wrong")}
    | {f"{name} on {DATASET}": gains[name] for name in ("right", "wrong")},
    title=f"The right policy adds {gains['right'].mean:+.2f} on {DATASET}, "
    f"{elsewhere['right'].mean:+.2f} on {OTHER}",
    x="test accuracy with the policy - without",
    line=0.0,
    caption="5 labels per class. A policy that is right for one data set can do nothing for "
    "another.",
)

# %%
lab.record(gain_right_other_data=elsewhere["right"])

# %%
lab.verdict(
    "C1",
    "Augmentation improves generalisation, for some data it does little, and it cannot replace "
    "labels.",
    [
        lab.Evidence(f"right - none on {DATASET}, 5 labels per class", gains["right"], ">"),
        lab.Evidence(f"right - none on {OTHER}, 5 labels per class", elsewhere["right"], "<", 0.03),
        lab.Evidence(
            "20 labels without - 1 label with augmentation, per class",
            curves.gain("none", 20, over=("right", 1)),
            ">",
        ),
    ],
)

# %% [markdown]
# ## Measure it: what it costs
#
# Time one training step with and without the policy, in turn, on batches of 256 images.

# %%
from fewshot_lab.models import conv_net

rows = torch.arange(256) % len(task.train_images)
images, labels = task.train_images[rows].float() / 255, task.train_labels[rows]
model = conv_net(len(task.classes), size=images.shape[-1])
optimizer = torch.optim.AdamW(model.parameters())


def seconds_per_step(kind):
    start = time.perf_counter()
    changed = get_policy(kind["policy"])(images, kind["strength"])
    F.cross_entropy(model(changed), labels).backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


timed = {"none": [], "right": []}
for _ in range(lab.quick_or_full(15, 100, smoke=5)):
    for name, seconds in timed.items():
        seconds.append(seconds_per_step(POLICIES[name]))
timed = {name: seconds[3:] for name, seconds in timed.items()}  # the first steps warm up
slower = [right / none - 1 for right, none in zip(timed["right"], timed["none"])]

# %%
lab.record(images_per_second=[len(images) / seconds for seconds in timed["right"]], unit="images/s")

# %%
lab.verdict(
    "C2",
    "Augmentation costs time and compute.",
    [
        lab.Evidence(
            "time of a step with the policy / without - 1", lab.mean_interval(slower), ">", 0.0
        )
    ],
)

# %% [markdown]
# ## Repair the listing
#
# An article prints a training script for "a ResNet with augmentation" and reports 71.9 % on ImageNet. The next cells hold its
# parts as printed. Many things in them are wrong. Run each check, fix what it finds, run it again.
#
# ### What happens to a picture

# %% exercise="listing_transforms"
from torchvision import transforms


def listing_transforms(size):
    """The transforms of a PIL picture for training and for testing.

    size: side of the square that the network sees, in pixels. Returns two functions: picture ->
    tensor (3, size, size).
    """
    ### BEGIN PLANTED
    # train = transforms.Compose(
    #     [transforms.RandomCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    # )
    # test = transforms.Compose(
    #     [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    # )
    # return train, test
    ### END PLANTED
    ### BEGIN SOLUTION
    train = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.5, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    test = transforms.Compose(
        [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size), transforms.ToTensor()]
    )
    return train, test
    ### END SOLUTION


# %% [markdown]
# ### The model

# %% exercise="listing_model"
from torch import nn
from torchvision import models


def listing_model(classes, device):
    """A ResNet-18 with random weights for the given number of classes, on the device."""
    ### BEGIN PLANTED
    # model = models.resnet18(pretrained=False)
    # model.fc = nn.Linear(model.fc.in_features, classes)
    # return model
    ### END PLANTED
    ### BEGIN SOLUTION
    model = models.resnet18(weights=None)
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model.to(device)
    ### END SOLUTION


# %% [markdown]
# ### The data loader

# %% exercise="listing_loader"
from torch.utils.data import DataLoader


def listing_loader(dataset, training):
    """Batches of 64 from a data set, for training (True) or for the test (False)."""
    ### BEGIN PLANTED
    # return DataLoader(dataset, batch_size=64, shuffle=True)
    ### END PLANTED
    ### BEGIN SOLUTION
    return DataLoader(dataset, batch_size=64, shuffle=training, num_workers=2)
    ### END SOLUTION


# %% [markdown]
# ### The evaluation


# %% exercise="listing_evaluate"
def listing_evaluate(model, loader, device):
    """Mean loss and accuracy over all images of a loader, which gives batches (images, labels)."""
    ### BEGIN PLANTED
    # losses, accuracies = [], []
    # for images, labels in loader:
    #     logits = model(images)
    #     losses.append(nn.functional.cross_entropy(logits, labels).item())
    #     accuracies.append((logits.argmax(1) == labels).float().mean().item())
    # return sum(losses) / len(losses), sum(accuracies) / len(accuracies)
    ### END PLANTED
    ### BEGIN SOLUTION
    model.eval()
    loss = hits = count = 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            logits = model(images)
            loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            hits += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
    return loss / count, hits / count
    ### END SOLUTION


# %% [markdown]
# ### The learning rate


# %% exercise="listing_schedule"
def listing_schedule(optimizer, steps):
    """A schedule for the optimizer's learning rate; `.step()` is called after each of `steps`."""
    ### BEGIN PLANTED
    # return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    ### END PLANTED
    ### BEGIN SOLUTION
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    ### END SOLUTION


# %% [markdown]
# One defect no check can find: the text under the listing credits *distillation* for its 71.9 %, but nothing in it distils.
#
# ## Measure it: the repaired listing, for real
#
# The chapter writes a folder of pictures in ImageNet's layout (`train/CLASS/*.png`, `val/CLASS/*.png`) from Fashion-MNIST, and
# trains the repaired script on it, with and without its augmentation.

# %%
from torchvision.datasets import ImageFolder

from fewshot_lab.data.fashion import write_image_folder

parts = {
    f.__name__: lab.yours_or_ours(f)
    for f in (listing_transforms, listing_model, listing_loader, listing_evaluate, listing_schedule)
}


EPOCHS = lab.quick_or_full(5, 20)


def loaders_of(folder, augmented, size=32):
    """The listing's two loaders, for training with or without augmentation and for the test."""
    training, test = parts["listing_transforms"](size)
    chosen = {"train": training if augmented else test, "val": test}
    return {
        part: parts["listing_loader"](ImageFolder(folder / part, transform), part == "train")
        for part, transform in chosen.items()
    }


# %% [markdown]
# Batch, loss, backward and step as in the course's own loop; here the rate is set after the step.


# %%
def run_listing(folder, augmented, seed):
    """Trains the repaired listing; returns its accuracy on both parts."""
    device = lab.runtime.choose_device(DEVICE)
    lab.runtime.seed_everything(seed)
    loaders = loaders_of(folder, augmented)
    model = parts["listing_model"](10, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = parts["listing_schedule"](optimizer, EPOCHS * len(loaders["train"]))
    for _ in lab.progress_bar(range(EPOCHS), "epochs"):
        model.train()
        for images, labels in loaders["train"]:
            loss = F.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return {
        part: parts["listing_evaluate"](model, loader, device)[1]
        for part, loader in loaders.items()
    }


# %% [markdown]
# The same folder of pictures, with the augmentation and without it:

# %%
listing = {"with augmentation": [], "without": []}
with tempfile.TemporaryDirectory() as folder:
    size = {"train_per_class": lab.quick_or_full(40, 200), "test_per_class": 30}
    write_image_folder(Path(folder), lab.data.load("fashion"), seed=SEED, **size)
    for seed in SEEDS[: lab.quick_or_full(1, 5)]:
        for name, runs in listing.items():
            runs.append(run_listing(Path(folder), name == "with augmentation", seed))
validated = {name: [run["val"] for run in runs] for name, runs in listing.items()}
for name, runs in listing.items():
    print(f"{name:18s} training {runs[0]['train']:.3f}, validation {runs[0]['val']:.3f}")

# %%
lab.record(listing_validation_accuracy=validated["with augmentation"], unit="accuracy")

# %% [markdown]
# Is it the augmentation that lifts the ResNet? In the quick profile one run cannot tell, and the verdict says so. Chapter 06 adds
# the distillation.

# %%
lab.verdict(
    "C13",
    "Augmentation lifts the accuracy of the listing's ResNet.",
    [
        lab.Evidence(
            "validation accuracy with - without augmentation",
            lab.paired_difference(*validated.values()),
            ">",
        )
    ],
)

# %% [markdown]
# ## In your own words
#
# A library wants to sort phone photos of its 40 shelf marks, printed letters and digits. It has 10 labelled photos of each, and a
# volunteer who labels 50 more in an hour. **Plan the augmentation**, in about 150 words: which transformations you would use, which
# you would not and why, how strong, and what you would measure to know that the policy has stopped helping and the volunteer's hour
# is the better buy. A person reads this answer (3 points: the choice and its reason, the measurement, the exchange with labels).

# %% [markdown] answer="augmentation_plan" points=3
# ### BEGIN SOLUTION
# **What a good answer holds, a point each.**
#
# 1. *Choice and reason.* Transformations that a phone makes: small rotations, shifts, perspective, light, blur; they keep the mark. No
# flips and no half turns: they turn b into d and 6 into 9. A strength that the photos show, not the largest one.
# 2. *Measurement.* Accuracy on photos that were held out before, with and without the policy, at several strengths, paired over
# several draws of the labelled photos, with intervals; training accuracy beside it, to tell harm by underfitting from overfitting.
# 3. *Exchange with labels.* A learning curve without the policy (say 2, 5, 10 labels a class), the number of labels that the policy is
# worth on it, with its interval, against the 50 labels that an hour buys; and that the rate falls as labels come in.
# ### END SOLUTION

# %% [markdown]
# ## Recap
#
# * A policy helps when it does what the data do: high affinity, some diversity. The exchange rate says what it is worth.
# * Past its best strength a policy hurts. Look at the training accuracy to see how.
# * What helps on one data set may do nothing on another. Labels are still worth more than copies.
#
# **Questions.** 1. Why does the exchange rate depend on the number of labels at which you measure it? 2. A policy has an exchange
# rate of 0.8 [0.5, 1.3]. What do you do? 3. Your training accuracy is 60 % with augmentation and 100 % without, the test accuracy is the
# same. Which would you ship?
#
# **Going further.** Geiping et al. 2023 (ICLR), how much data are augmentations worth; Gontijo-Lopes et al. 2021 (ICLR), affinity and
# diversity; Cubuk et al. 2020 (NeurIPS), RandAugment; Müller & Hutter 2021 (ICCV), TrivialAugment; Zhang et al. 2018 (ICLR), mixup; Yun
# et al. 2019 (ICCV), CutMix. In production: `torchvision.transforms.v2`, which has all of them.
