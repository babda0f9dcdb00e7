# ---
# jupyter:
#   question: How do checks, intervals and verdicts work?
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
# # 00 · Start here
#
# **When does data augmentation (数据增强) stop helping, and what do you do then?** This course asks that question
# chapter by chapter. You read a claim, predict what will happen, drag a slider, write the key function yourself, run the
# experiment on real data and read a verdict that was *computed*.
#
# **After this chapter you can** run a chapter on your machine, use a check, read an interval, and say what a verdict means.
#
# **Time:** 20 minutes. **Claims under test:** none; you test the instruments first.

# %% [markdown]
# ## How a chapter works
#
# | step | what you do |
# |---|---|
# | *Predict* | Answer a question before anything is run. Wrong predictions teach most. |
# | *See* | Drag a slider or pick an image. |
# | *Derive* | Follow a short piece of mathematics. |
# | *Write it* | Fill in one function. Its text says shapes and units. |
# | *Check it* | Run `lab.check(your_function)`: it says what is wrong, and often why. |
# | *Measure it* | Run the experiment. It uses your function if it passed, the course's own if not, and says which. |
# | *Read it* | Look at a figure, then at the verdict. |
#
# Run a cell with **Shift + Enter**. Everything runs even if you solve nothing, so you can look first and write later.
#
# The next cell holds the parameters. Change one, then run the chapter again from there.

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "digits"  # "glyphs", "digits" or "fashion"

# %% [markdown]
# One cell sets a chapter up. It seeds every random generator, chooses the device and says so.

# %%
import torch

import fewshot_lab as lab

lab.setup("00", profile=PROFILE, seed=SEED, device=DEVICE)

# %% [markdown]
# If something is missing on your machine, type `fewshot-lab doctor` in a terminal. It says what is wrong and what to do.

# %% [markdown]
# ## Real data
#
# Nothing here is a toy made up for the occasion. `digits` are 1,797 digits that people wrote by hand, 8 x 8 pixels each.
# Each data set has a training part, from which you *draw* K labelled images per class, and a test part that you never train
# on.

# %% tags=["nbval-check-output"]
task = lab.data.load(DATASET)
print(task.name, "has the classes:", ", ".join(task.classes))
images, labels = task.draw(shots=5, seed=SEED)
low, high = images.min().item(), images.max().item()
print("5 labels per class:", tuple(images.shape), images.dtype, "from", low, "to", high)

# %% [markdown]
# Here are the first two images of each class. They are few, and you would not confuse most of them.

# %% folded=true
first = (torch.arange(len(task.classes))[:, None] * 5 + torch.tensor([0, 1])).flatten()
lab.figures.images(
    images[first],
    [task.classes[label] for label in labels[first]],
    columns=10,
    title="Two labelled images per class",
    caption="A draw of labelled images. Another seed draws others, and results will differ: "
    "hence intervals.",
    alt=f"Two images of each of the {len(task.classes)} classes of {task.name}.",
)

# %% [markdown]
# ## Predict
#
# The simplest classifier looks for the nearest labelled image, pixel by pixel, and takes its class. What share of the test
# images does it get right with **one** labelled image per class?

# %%
lab.predict(
    "nearest",
    "Nearest neighbour, one label per class, handwritten digits:",
    ["about 10 %", "about 35 %", "about 65 %", "about 95 %"],
)

# %% [markdown]
# ## See
#
# Every chapter has explorers. Drag the angle and watch grid, image and matrix. Chapter 01 explains what you see.

# %%
lab.widgets.GeometryExplorer(DATASET, angle=25)

# %% [markdown]
# ## Write it: accuracy
#
# A classifier gives one number per class, the **logits** $z_1, \dots, z_C$. Its prediction is the class with the largest one.
# Accuracy is the share of predictions that are right:
#
# $$\text{accuracy} = \frac{1}{n}\sum_{i=1}^{n} \mathbf{1}\left[\arg\max_c z_{ic} = y_i\right]$$
#
# First look at a check. The next cell holds a wrong answer on purpose. Run it and read what the check says.


# %%
def accuracy(logits, labels):
    return (logits.argmax(dim=1) == labels).sum().item()


lab.check(accuracy)

# %% [markdown]
# A check tries a few cases that you may see and a few that it draws anew each time. It shows the smallest case that fails,
# and when your answer is a known mistake, it names it. Now write the right one.


# %% exercise="accuracy"
def accuracy(logits, labels):
    """The share of rows whose largest logit is at the label.

    logits: float tensor (n, classes). labels: whole numbers (n,). Returns a number from 0 to 1.
    """
    ### BEGIN SOLUTION
    return (logits.argmax(dim=1) == labels).float().mean().item()
    ### END SOLUTION


# %% [markdown]
# A grey circle means *not attempted*. That is no error: the chapter goes on with the course's own function.

# %% [markdown]
# ## Write it: the 95 % interval
#
# One draw of labels gives one accuracy. Another draw gives another. Over $n$ draws with mean $\bar a$ and standard deviation
# $s$ (dividing by $n-1$), the 95 % interval of the mean is
#
# $$\bar a \pm t_{0.975,\,n-1}\,\frac{s}{\sqrt n}$$
#
# where $t_{0.975,\,n-1}$ is a quantile of Student's t distribution: `scipy.stats.t.ppf(0.975, n - 1)`.

# %% exercise="interval"
from scipy import stats


def interval(values):
    """The mean of the values and the ends of its 95 % interval.

    values: float tensor (n,), n >= 2. Returns three numbers: mean, low end, high end.
    """
    ### BEGIN SOLUTION
    mean = values.mean().item()
    half = stats.t.ppf(0.975, len(values) - 1) * values.std().item() / len(values) ** 0.5
    return mean, mean - half, mean + half
    ### END SOLUTION


# %% [markdown]
# ## Measure it
#
# The nearest neighbour needs no training: compare each test image with each labelled one. Its logits are minus the distances.

# %%
share_right = lab.yours_or_ours(accuracy)
mean_interval = lab.yours_or_ours(interval)
test_images, test_labels = task.test_images[:1000].flatten(1).float(), task.test_labels[:1000]


def nearest_neighbour(shots, seed):
    images, labels = task.draw(shots, seed)
    distances = torch.cdist(test_images, images.flatten(1).float())  # (tests, classes * shots)
    nearest = distances.unflatten(1, (len(task.classes), shots)).amin(dim=2)  # (tests, classes)
    return share_right(-nearest, test_labels)


# %% [markdown]
# Ten draws for each number of labels.

# %%
draws = range(SEED, SEED + lab.quick_or_full(10, 50))
scores = {shots: [nearest_neighbour(shots, seed) for seed in draws] for shots in (1, 5, 20)}
for shots, values in scores.items():
    mean, low, high = mean_interval(torch.tensor(values))
    print(f"{shots:2d} labels per class: {mean:.3f} [{low:.3f}, {high:.3f}]")

# %% [markdown]
# `lab.record` writes results into the notebook, each with its interval and n.

# %%
lab.record(
    nearest_neighbour_k1=scores[1],
    nearest_neighbour_k5=scores[5],
    unit="accuracy",
    headline="nearest_neighbour_k5",
)

# %% [markdown]
# ## Read it
#
# Look at two things: how steeply the curve rises, and how wide the band is at one label per class.

# %% folded=true
estimates = [lab.mean_interval(values) for values in scores.values()]
lab.figures.curves(
    {"nearest neighbour": (list(scores), estimates)},
    title="The first labels are worth most",
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=list(scores),
    caption=f"Nearest neighbour on {task.name}. "
    f"Band: 95 % interval over {len(draws)} draws of the labels.",
)

# %%
lab.recall("nearest", f"{sum(scores[1]) / len(scores[1]):.0%}")

# %% [markdown]
# ## Verdict
#
# A claim is tested by evidence: a number with an interval, and the side of a threshold on which it must lie. If the whole
# interval lies on the right side, the claim is **supported**; if on the wrong side, **refuted**; otherwise **inconclusive**.
# Draws are paired: the same seed draws nested labels, so differences are taken seed by seed.

# %%
more_labels = lab.paired_difference(scores[20], scores[5], unit="accuracy")
lab.verdict(
    "warm-up",
    "Four times as many labels add at least two points of accuracy, from 5 to 20 labels per class.",
    [lab.Evidence("20 labels - 5 labels per class", more_labels, ">", 0.02)],
)

# %% [markdown]
# ## Recap
#
# * A chapter runs top to bottom, solved or not. Experiments use your functions once they pass.
# * A check names the mistake. A result comes with a 95 % interval and n. A verdict is computed.
# * With few labels, *which* labels you drew matters. Chapter 05 comes back to that.
#
# **Questions.** 1. Why is the interval at one label per class wider than at twenty? 2. What would you conclude from an
# interval from -0.01 to 0.05 for a difference that should be above 0? 3. Why are draws paired?
#
# **Going further.** Student 1908 (*Biometrika*), the t distribution. In production, use `scipy.stats` for intervals and
# `sklearn.neighbors.KNeighborsClassifier` for nearest neighbours. Next: [01 · Rotations and flips](01_rotations_and_flips.ipynb).
