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
# experiment and read a verdict that was *computed*.
#
# **After this chapter you can** run a chapter on your machine, use a check, say what a 95 % interval promises, and say what a
# verdict means.
#
# **Time:** 30 minutes. **Claims under test:** none of the article's; you test the instruments first.

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
PROFILE = "quick"  # "quick": seconds; "full": more draws
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "digits"  # "glyphs", "digits" or "fashion"

# %% [markdown]
# One cell sets a chapter up. It seeds every random generator, chooses the device and says so.

# %%
import numpy as np
import torch

import fewshot_lab as lab

lab.setup("00", profile=PROFILE, seed=SEED, device=DEVICE)

# %% [markdown]
# If something is missing on your machine, type `fewshot-lab doctor` in a terminal. It says what is wrong and what to do.

# %% [markdown]
# ## Whose claims?
#
# The course tests one article: a survey in Chinese, of the kind that blogs publish, on data augmentation and few-shot
# training "in the age of Software 2.0" (软件2.0: programs that are trained, not written). It explains the methods, joins them
# into one pipeline, prints two listings and a table of results, and asserts more than it shows. It stands for many, so it
# stays anonymous, and the course puts its claims into its own words. They are numbered **C1** to **C14**. Chapters with a
# question of their own give their verdicts names, such as `warm-up` at the end of this one.
#
# The **ledger** lists the claims with their verdicts. Here it is before the first experiment; chapter 11 shows it filled in
# from what your machine measured.

# %%
lab.ledger([])

# %% [markdown]
# ## What is real, and what is made
#
# | data | used in chapters | real or made |
# |---|---|---|
# | `digits`: 1,797 handwritten digits, 8 x 8 pixels | 00 to 02, 04 to 08, 11 | real |
# | `fashion` (Fashion-MNIST): photographs of clothes, 28 x 28 | 01, 02, 05 and others | real |
# | `glyphs`: letters and digits, 28 x 28 | 00 to 08, 11 | **made**: rendered from typefaces, then turned, moved and sheared at random |
# | glosses: WordNet's definitions of nouns | 03, 09, 11 | real |
# | news-like sentences | 10 | **made** by a grammar, because the real corpus must not be passed on |
#
# Made data let us know the truth and train in seconds. They also let a result be built in: the test glyphs were distorted by
# random maps of the kind that some policies use, which gives such a policy an advantage there. The chapters say so where it
# counts, and show claims about images on real data too.
#
# Each data set has a training part, from which you *draw* K labelled images per class, a validation part, on which settings
# are chosen, and a test part, which is used for nothing but the final numbers.

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
# images does it classify correctly with **one** labelled image per class?

# %%
lab.predict(
    "nearest",
    "Nearest neighbour, one label per class:",
    ["about 10 %", "about 35 %", "about 65 %", "about 95 %"],
)

# %% [markdown]
# ## See
#
# Every chapter has explorers. Run the cell and drag the angle: image, grid and matrix follow (a stored notebook shows a still
# of the image alone). Chapter 01 explains what you see.

# %%
lab.widgets.GeometryExplorer("glyphs", angle=25)

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
# ## What does 95 % promise?
#
# Not that the mean lies in *this* interval with a probability of 95 %: this interval holds the true mean or it does not. The
# promise is about the recipe. **Repeat the whole experiment many times, and 95 % of the intervals hold the true mean.**
#
# In a simulation we know the true mean, so the promise can be checked. And we can see what the t distribution is for.

# %%
lab.predict(
    "coverage",
    "Five values per experiment, interval mean ± 1.96 s / √5. How often does it hold the mean?",
    ["about 99 %", "about 95 %", "about 88 %", "about 75 %"],
)

# %% [markdown]
# ## Write it: coverage


# %% exercise="coverage"
def coverage(samples, truth, quantile):
    """The share of samples whose interval, mean ± quantile * s / sqrt(n), holds the true mean.

    samples: float tensor (experiments, n), n >= 2, a row for each experiment. truth: the true mean,
    a number. quantile: the interval's length to each side in standard errors, a number. Returns a
    number from 0 to 1.
    """
    ### BEGIN SOLUTION
    means, errors = samples.mean(dim=1), samples.std(dim=1) / samples.shape[1] ** 0.5
    return ((means - truth).abs() <= quantile * errors).float().mean().item()
    ### END SOLUTION


# %% [markdown]
# Now many experiments with 2, 3, 5, 10 and 30 values each, drawn from a normal distribution around 0.

# %%
share_covered = lab.yours_or_ours(coverage)
experiments = lab.quick_or_full(10_000, 100_000, smoke=200)
generator = torch.Generator().manual_seed(SEED)
sizes, covered = (2, 3, 5, 10, 30), {"1.96 standard errors": [], "Student's t": []}
for n in sizes:
    samples = torch.randn(experiments, n, generator=generator)
    for name, quantile in zip(covered, (1.96, float(stats.t.ppf(0.975, n - 1)))):
        hits = round(share_covered(samples, 0.0, quantile) * experiments)
        covered[name].append(lab.share_interval(hits, experiments))

# %% folded=true
of_five = {name: estimates[sizes.index(5)] for name, estimates in covered.items()}
shares_of_five = ", ".join(f"{name}: {share.mean:.0%}" for name, share in of_five.items())
lab.figures.curves(
    {name: (sizes, estimates) for name, estimates in covered.items()},
    title=f"Five values. {shares_of_five}",
    x="values per experiment, n (logarithmic scale)",
    y="share of intervals that hold the true mean",
    levels={"promised": 0.95},
    log_x=True,
    limits=(0.6, 1.0),
    ticks=sizes,
    caption=f"{experiments:,} experiments for each n; bands: Wilson's 95 % interval, nearly too "
    "narrow to see. At which n would you no longer mind the difference?",
)

# %%
normal = of_five["1.96 standard errors"]
lab.recall("coverage", f"{normal.mean:.0%}", normal)
lab.record(
    coverage_normal_n5=of_five["1.96 standard errors"],
    coverage_t_n5=of_five["Student's t"],
    units={"coverage_normal_n5": "share of intervals", "coverage_t_n5": "share of intervals"},
)

# %% [markdown]
# With few values $s$ itself is uncertain and often too small. Student's t makes up for that, so for means of few values the
# course uses t. (It assumes that the values are roughly normal, as those of this simulation are; five values are too few to
# tell whether they are.)
#
# The band in the figure is another kind of interval. A **share** of yes and no answers, $k$ of $n$ independent cases, needs no
# $s$: its spread follows from $k$ and $n$. `lab.share_interval` computes **Wilson's** interval, which stays within 0 and 1.

# %% [markdown]
# ## Measure it
#
# The nearest neighbour needs no training: compare each test image with each labelled one. Its logits are minus the distances.
# At most 1,000 test images are used.

# %%
share_right = lab.yours_or_ours(accuracy)
mean_interval = lab.yours_or_ours(interval)
task = task.capped(1000)
pixels = task.test_images.flatten(1).float()


def nearest_neighbour(shots, seed):
    images, labels = task.draw(shots, seed)
    distances = torch.cdist(pixels, images.flatten(1).float())  # (tests, classes * shots)
    nearest = distances.unflatten(1, (len(task.classes), shots)).amin(dim=2)  # (tests, classes)
    return -nearest


# %% [markdown]
# Ten draws for each number of labels (50 in the full profile). Draws are **nested**: the five labels of a class are among the
# ten that the same seed draws. And they are **paired**: differences are taken seed by seed, so the luck of a draw, which both
# numbers share, cancels.

# %%
SHOTS, draws = (1, 2, 5, 10), lab.seeds(10, 50)
logits = {(shots, seed): nearest_neighbour(shots, seed) for shots in SHOTS for seed in draws}
scores = {
    shots: [share_right(logits[shots, seed], task.test_labels) for seed in draws] for shots in SHOTS
}
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
# Look at two things: how the curve bends, and how wide the band is at one label per class.

# %% folded=true
estimates = [lab.mean_interval(values) for values in scores.values()]
second = lab.paired_difference(scores[2], scores[1]).mean
late = lab.paired_difference(scores[10], scores[5]).mean / 5
lab.figures.curves(
    {"nearest neighbour": (SHOTS, estimates)},
    title=f"The second label adds {second:.3f}, the sixth to tenth {late:.3f} each",
    x="labels per class",
    y="test accuracy",
    ticks=SHOTS,
    limits=(0, 1),
    caption=f"Nearest neighbour on {task.name}. Band: 95 % interval over {len(draws)} draws of the "
    "labels, on the same test images.",
)

# %%
lab.recall("nearest", f"{estimates[0].mean:.0%}", estimates[0])

# %% [markdown]
# ## Two kinds of luck
#
# These bands say what *other labels* would give on the *same test images*. But a sentence about handwritten digits is also one
# about digits that are not in this test set. For such a sentence both are drawn anew: labels **crossed** with test pictures.
# `lab.crossed_interval` takes the hits of each draw (row) about each picture (column). Where a picture is shown several times,
# as each of the glyphs is, the picture counts and not its copies.


# %%
def hits_of(shots):
    """(draws, pictures) hits, and how many test images show each picture."""
    rows = [
        lab.hits_by_picture(logits[shots, seed], task.test_labels, task.test_pictures)
        for seed in draws
    ]
    return np.stack([row["test_hits"] for row in rows]), rows[0]["test_sizes"]


(hits_of_ten, sizes), (hits_of_five, _) = hits_of(10), hits_of(5)
more_labels = lab.crossed_interval(hits_of_ten - hits_of_five, sizes, unit="accuracy")
print("10 - 5 labels, other draws:             ", lab.paired_difference(scores[10], scores[5]))
print("10 - 5 labels, other draws and pictures:", more_labels)

# %% [markdown]
# ## Verdict
#
# A claim is tested by evidence: a number with an interval, and the side of a threshold on which it must lie. Sentence,
# threshold and number of draws are written down **before** the experiment runs.
#
# For "the difference is above 0", with 0.01 as the smallest effect of interest:
#
# | verdict | when |
# |---|---|
# | supported | the whole interval lies above +0.01 |
# | refuted | the whole interval lies below -0.01 |
# | no relevant effect | the whole interval lies between the two |
# | inconclusive: too few | the interval reaches across one of them |
# | inconclusive: still learning | fewer than four of five trainings had come to rest, whatever the interval |
# | not testable here | the data or the model that the claim is about are not here |
#
# With enough draws an interval excludes 0 for differences that nobody would care about, hence the 0.01: one test image in a
# hundred. Other units have their own smallest effect. A training is **at rest** when its loss has all but stopped falling; its
# accuracy may still rise a little. Under a verdict stands a line "full profile": what the same rule said in a longer run, with
# more draws or steps and with seeds that nothing was tuned on.

# %%
lab.verdict(
    "warm-up",
    more_labels=more_labels,
    exploring="" if DATASET == "digits" else f"DATASET={DATASET}",
)

# %% [markdown]
# ## Recap
#
# * A chapter runs top to bottom, solved or not. Experiments use your functions once they pass.
# * A check names the mistake. A result comes with a 95 % interval and n. A verdict is computed, by a rule fixed before.
# * "95 %" is a promise about the recipe: of many repetitions, 95 in 100 intervals hold the truth. Ask what was repeated.
# * With few labels, *which* labels you drew matters. Chapter 05 comes back to that.
#
# **Questions.** 1. Why is the interval at one label per class wider than at ten? 2. What would you conclude from an
# interval from -0.01 to 0.05 for a difference that should be above 0? 3. Why are draws paired? 4. The interval over draws and
# pictures is longer than that over draws. Which of the two belongs under "on these 600 images, ten labels do better"?
#
# <details><summary>Short answers</summary>
#
# 1. A single image stands for its whole class, so an unusual one costs much; ten average that out. 2. Nothing yet: the data
# agree with a small harm and with a gain of five points. More draws decide. 3. Both numbers share the luck of the draw; in the
# difference it cancels, and the interval is shorter. 4. That over draws: the sentence names the images.
#
# </details>
#
# **Going further.** Student 1908 (*Biometrika*), the t distribution; Wilson 1927 (*JASA*), shares; Hoekstra et al. 2014
# (*Psychonomic Bulletin & Review*), how intervals are misread. In production, use `scipy.stats` for intervals and
# `sklearn.neighbors.KNeighborsClassifier` for nearest neighbours. Next: [01 · Rotations and flips](01_rotations_and_flips.ipynb).
