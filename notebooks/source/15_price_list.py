# ---
# jupyter:
#   question: What is a label worth under every method of the course, what does it cost, and do the literature's numbers hold here?
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
# # 15 · The price list
#
# Fifteen chapters have measured what augmentation, pretraining, prompts and generated examples do for few labels. Here they stand in one
# list and in one currency: **labels** and **seconds**. Beside it stands a second ledger: twelve numbers from the literature, and what
# the course's own records say to each.
#
# **After this chapter you can** find the offers that no other one beats (帕累托前沿), spend two budgets, compute how much the best of n
# settings flatters on a test set, correct many tests at once (多重检验), and compare a paper's number with your own.
#
# **Time:** 50 minutes. **Claims under test:** twelve of the literature.

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under a minute on two cores; "full": more draws
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"

# %%
import torch
from scipy import stats

import fewshot_lab as lab
from fewshot_lab.evidence import budget
from fewshot_lab.methods import price_list

lab.setup("15", profile=PROFILE, seed=SEED, device=DEVICE)
SHOTS = lab.quick_or_full([1, 2, 5, 10, 20], [1, 2, 5, 10, 20, 50], smoke=[1, 2, 5])
TRAINED = lab.quick_or_full([1, 5, 20], SHOTS, smoke=[1, 5])  # labels per class of the networks
SEEDS = lab.seeds(3, 10)  # of every offer
DRAWS = lab.seeds(12, 60)  # draws of labels and test images for the best of n

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "dearest",
    "Of all methods of the course, how many make one label worth more than one, with their whole "
    "95 % interval?",
    ["nearly all", "about half", "a quarter to a third", "fewer"],
)

# %%
lab.predict(
    "luck",
    "You try 32 settings of a classifier and report the best on 100 test images. By how much is "
    "the reported accuracy too high?",
    ["by less than 0.01", "by 0.01 to 0.02", "by 0.02 to 0.05", "by more than 0.05"],
)

# %% [markdown]
# ## Read: the records
#
# Nothing below is typed. Every chapter left its results in its notebook or in a run, each with an interval. `lab.course_records` reads
# them: from the run that this notebook is a part of, else from the latest run on this machine, else from the notebooks as they are
# stored. A chapter that you do not have is named below the list, and the list goes on without it.
#
# The currency is the **exchange rate** (兑换率) of chapter 02: how many labels without the method are worth one label with it. Above 1
# the method saves labels, below 1 it costs some. A number with ≥ or ≤ left the range in which labels were measured.

# %%
records = lab.course_records(".", chapter="15")
prices = lab.price_list(records)
prices

# %%
dear, cheap = prices.above_one(), prices.below_one()
print(f"{len(dear)} of {len(prices.prices)} rates lie above 1 with the whole interval:")
print("; ".join(price.what for price in dear))
print("Below 1:", "; ".join(price.what for price in cheap) or "none")
lab.recall("dearest", f"{len(dear)} of {len(prices.prices)}")

# %% [markdown]
# Read the list with four cautions. **Some test sets were made with the policy's own changes**: a program drew the glyphs and moved them in
# the ways in which the right policy moves images, and the digits and clothes of the rows “tested on turned” were turned by a program, too.
# Such a rate says what it is worth to know how a test set was made. **Rates are of one task each**: a rate of 2 on clothes and one of 2 on
# glosses are no tie. **A rate is one of one place on the curve**: at another number of labels it may be another one (chapter 02). **Most
# were measured quickly**: where the published [full profile](../docs/full_profile.md) has a number, it stands beside.
#
# ## Derive: offers and the frontier
#
# A method with K labels is an **offer**: it asks for labels $l$ and seconds $s$, and gives an accuracy $a$. Offer $i$ *beats* offer $j$
# when it is nowhere worse and somewhere better:
#
# $$l_i \le l_j, \quad s_i \le s_j, \quad a_i \ge a_j, \qquad \text{one of the three strictly}$$
#
# Offers that none beats are the **Pareto frontier** (帕累托前沿). Nobody has to say what a label is worth in seconds to find them.
#
# ## Write it


# %% exercise="frontier" points=3
def frontier(labels, seconds, accuracy):
    """Which offers no other one beats.

    labels, seconds, accuracy: float tensors (n,), one entry for each offer. An offer beats another
    when it needs no more labels and no more seconds, is no less accurate, and is better in at least
    one of the three. Equal offers do not beat each other. Returns a bool tensor (n,).
    """
    ### BEGIN SOLUTION
    prices = torch.stack([labels, seconds, -accuracy], dim=1)  # (n, 3), less is better
    no_worse = (prices[:, None] <= prices[None]).all(dim=2)  # [i, j]: i against j
    better = (prices[:, None] < prices[None]).any(dim=2)
    return ~(no_worse & better).any(dim=0)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: one task, one till
#
# The list's methods were measured on different tasks, and few chapters record seconds. So here are six ways to classify the same real
# digits with the same labels, timed on this machine, from class means of pixels to chapter 02's network with the right policy. Its strength
# and steps were chosen there on validation images; the classifiers of pixels are scikit-learn's as they come.

# %%
PIXELS = "class means", "nearest neighbour", "logistic regression", "logistic regression + copies"
NETWORKS = "network", "network + policy"
METHODS = [*PIXELS, *NETWORKS]
till = lab.arms(
    price_list.offer,
    {name: {"method": name} for name in METHODS},
    seeds=SEEDS,
    axis="shots",
    at=dict.fromkeys(PIXELS, SHOTS) | dict.fromkeys(NETWORKS, TRAINED),
    steps=lab.quick_or_full(lab.chosen("steps-digits"), 2 * lab.chosen("steps-digits")),
    strength=lab.chosen("affine-strength-digits"),
    unit="accuracy",
    device=DEVICE,
    description="offers",
)

# %% folded=true
lab.figures.curves(
    {name: till.curve(name) for name in METHODS},
    title=f"With {TRAINED[-1]} labels per class: "
    + ", ".join(f"{one} {till.mean(one, TRAINED[-1]):.2f}" for one in (PIXELS[0], NETWORKS[1])),
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    caption=f"scikit-learn's digits. Bands: 95 % intervals over {len(SEEDS)} draws of the labels "
    "and the test images.",
)

# %% [markdown]
# Which of these offers are beaten? The seconds are those of your machine, so its frontier may differ from another one's.

# %%
offers = [(name, k) for name in METHODS for k in till.curve(name)[0]]
cost = torch.tensor([till.mean(name, k, of="seconds") for name, k in offers])
needed = torch.tensor([10.0 * k for _, k in offers])  # ten classes
reached = torch.tensor([till.mean(name, k) for name, k in offers])
unbeaten = lab.yours_or_ours(frontier)(needed, cost, reached)
for name in METHODS:
    left = [k for (one, k), stays in zip(offers, unbeaten) if one == name and stays]
    print(f"{name}: labels per class on the frontier: {', '.join(map(str, left)) or 'none'}")

# %% [markdown]
# Means alone decide here. Two offers whose intervals overlap may be equally good, so take the frontier as a list of candidates.
#
# ## Write it: two budgets
#
# You can pay some labels and some seconds. A label cannot be had for seconds, nor the other way round.


# %% exercise="best_in_budget" points=2
def best_in_budget(labels, seconds, accuracy, most_labels, most_seconds):
    """The number of the most accurate offer that two budgets allow.

    labels, seconds, accuracy: float tensors (n,). most_labels, most_seconds: numbers; an offer that
    needs exactly as much is affordable. Returns the offer's number from 0, of equally accurate ones
    the first, and -1 where none is affordable.
    """
    ### BEGIN SOLUTION
    affordable = (labels <= most_labels) & (seconds <= most_seconds)
    if not affordable.any():
        return -1
    return int(torch.where(affordable, accuracy, -torch.inf).argmax())
    ### END SOLUTION


# %%
buy = lab.yours_or_ours(best_in_budget)
for most_labels, most_seconds in [(20, 0.05), (50, 0.05), (50, 5), (200, 0.05), (200, 5)]:
    best = buy(needed, cost, reached, most_labels, most_seconds)
    name, k = offers[best] if best >= 0 else ("nothing", 0)
    print(f"{most_labels} labels, {most_seconds} s: {name}, {k} labels per class")

# %% [markdown]
# ## See: spend your own
#
# Drag both budgets. When do more labels buy nothing? When do more seconds? Then make the machine a hundred times slower, as a larger network
# would be.


# %%
def on_sale(name):
    """A method's labels, accuracies and seconds, as the explorer takes them."""
    counts, accuracies = till.curve(name)
    return budget.MeasuredArm(
        labels=tuple(10 * k for k in counts),
        accuracy=tuple(accuracies),
        seconds=tuple(till.mean(name, k, of="seconds") for k in counts),
    )


lab.widgets.PriceExplorer({name: on_sale(name) for name in METHODS})

# %% [markdown]
# ## Derive: the best of n
#
# There is one more way to a higher accuracy, and it costs no label: try n settings, and report the best on the test set. Say all n
# are equally good, with the true accuracy $p$, and each is tested on $m$ images of its own. The number of hits of one is binomial with
# the distribution function $F(k) = P(\text{at most } k \text{ hits})$. The best of n has at most $k$ when all have, with
# $F(k)^n$. And the mean of a whole number from 0 on is the sum of the probabilities to be larger than 0, 1, 2 and so on:
#
# $$E\big[\max\big] = \frac{1}{m} \sum_{k=0}^{m-1} \big(1 - F(k)^n\big)$$
#
# What lies above $p$ is luck.
#
# ## Write it


# %% exercise="expected_best" points=3
def expected_best(accuracy, images, tries):
    """The expected highest test accuracy of several equally good settings.

    accuracy: the true accuracy of each, 0..1. images: how many test images each is tested on, all
    its own. tries: how many settings. Returns an accuracy, a number from 0 to 1. F(k) is
    stats.binom.cdf(k, images, accuracy).
    """
    ### BEGIN SOLUTION
    below = stats.binom.cdf(range(images), images, accuracy)  # F(0), ..., F(m - 1)
    return float((1 - below**tries).sum() / images)
    ### END SOLUTION


# %%
luck = lab.yours_or_ours(expected_best)
for images in (100, 600, 10_000):
    row = ", ".join(f"{n} tries {luck(0.85, images, n) - 0.85:+.3f}" for n in (1, 8, 32))
    print(f"true accuracy 0.85, {images} images: {row}")

# %% [markdown]
# ## Measure it: on real digits
#
# Real settings are not equally good, and they are tested on the *same* images, so that they are lucky together. Here are 32 settings, as
# a random search draws them: logistic regressions of a random strength on a random three quarters of the pixels, with 5 labels per
# class. The best is picked on 100 test images. The other 500 say how good it is.

# %%
TRIES = 32
picks = lab.sweep(
    price_list.pick_the_best,
    [{"seed": seed, "settings": TRIES} for seed in DRAWS],
    description="draws",
)
NUMBERS = [1, 2, 4, 8, 16, 32]


def over_draws(what, n):
    """The mean over the draws of what happens when the best of the first n settings is picked."""
    over = f"{len(DRAWS)} draws"
    return lab.mean_interval([row[what][n - 1] for row in picks], unit="accuracy", over=over)


flattery = lab.mean_interval(
    [row["flattery"] for row in picks], unit="accuracy", over=f"{len(DRAWS)} draws"
)
print(f"Reported - true, best of {TRIES}: {flattery}")

# %% folded=true
level = over_draws("any", TRIES).mean
formula = [lab.mean_interval([luck(level, price_list.PICKED_ON, n)]) for n in NUMBERS]
gained = over_draws("true", TRIES).mean - over_draws("true", 1).mean
lab.figures.curves(
    {
        "picked: as reported": (NUMBERS, [over_draws("reported", n) for n in NUMBERS]),
        "picked: on other images": (NUMBERS, [over_draws("true", n) for n in NUMBERS]),
        "any of them": (NUMBERS, [over_draws("any", n) for n in NUMBERS]),
        "formula: luck alone": (NUMBERS, formula),
    },
    title=f"Best of {TRIES}: reported {over_draws('reported', TRIES).mean:.3f}, "
    f"true {over_draws('true', TRIES).mean:.3f}",
    x="settings tried",
    y="accuracy",
    log_x=True,
    ticks=NUMBERS,
    caption=f"100 test images to pick on, 500 others to know. Bands: 95 % intervals over "
    f"{len(DRAWS)} draws of the labels and of the 100 images. The formula has the mean accuracy of "
    "all settings, and images of its own for each.",
)

# %%
lab.recall("luck", f"by {flattery.short()}; picking really gained {gained:+.3f}")

# %% [markdown]
# Compare what is reported with what the picked setting reaches on other images: the difference is flattery. Follow it from few tries to
# many. Picking also finds better settings: compare the same line with *any of them*. The formula is an idealisation. It knows neither
# better settings nor images in common, which make settings lucky together and so the best of them less of a surprise. Two rules follow. Pick on validation images. And where a paper picks on its test set, take off what $n$ and $m$ say.
#
# ## Derive: two ledgers, one correction
#
# A paper's number is a claim like any other. The **second ledger** asks twelve of them of the course's records. The rules were written as
# for every verdict (`rules.toml`): one sentence, a threshold taken from the paper, and the recorded number that decides. The records
# were known when they were written, so no threshold was ours to choose.
#
# The claims ledger of chapter 11 and this one are read side by side, so luck has as many chances as both have tests. **Holm's** procedure
# (霍尔姆校正): sort the $m$ p values, and multiply the smallest by $m$, the next by $m-1$ and so on,
#
# $$\tilde p_{(i)} = \max_{j \le i} \; \min\big(1, \; (m - j + 1)\, p_{(j)}\big)$$
#
# A test that decided nothing has no p value, but it was a try: it counts in $m$.
#
# ## Write it


# %% exercise="holm_adjusted" points=3
def holm_adjusted(p_values):
    """Holm's adjusted p values, in the order given.

    p_values: float tensor (m,), of the tests of both ledgers; NaN where a test decided nothing. It
    counts like a test with p = 1, and stays NaN in the result. Returns a float tensor (m,), no
    entry above 1.
    """
    ### BEGIN SOLUTION
    values, order = p_values.double().nan_to_num(nan=1.0).sort()
    steps = torch.arange(len(values), 0, -1)  # m, m - 1, ..., 1
    values = (steps * values).clamp(max=1).cummax(dim=0).values
    adjusted = torch.empty_like(values)
    adjusted[order] = values
    return torch.where(p_values.isnan(), torch.nan, adjusted)
    ### END SOLUTION


# %% [markdown]
# ## Verdicts: the literature's ledger
#
# Each row's number is read from the record that the rules name. Where there is none, the row is *not testable here* and says why. The first
# six rows:


# %%
def said(row, **measured):
    """What the records say about a row of the literature's ledger, for `lab.verdict`."""
    return lab.literature_parts(row, records, **measured)


rows = {
    "L1": lab.verdict("edits-halve-labels", **said("L1")),
    "L2": lab.verdict("prompt-is-worth-a-hundred", **said("L2")),
    "L3": lab.verdict("worth-more-elsewhere", **said("L3")),
    "L4": lab.verdict("pairs-pay", **said("L4")),
    "L5": lab.verdict("lora-is-enough", **said("L5")),
    "L6": lab.verdict("generated-images-pay", **said("L6")),
}
print(", ".join(f"{row} {judged.verdict}" for row, judged in rows.items()))

# %% [markdown]
# The other six. The last one, about the best of n, was measured above:

# %%
rows |= {
    "L7": lab.verdict("ensemble-leaves-less", **said("L7")),
    "L8": lab.verdict("first-order-is-enough", **said("L8")),
    "L9": lab.verdict("type-beats-real-alphabets", **said("L9")),
    "L10": lab.verdict("adapters-need-tuning", **said("L10")),
    "L11": lab.verdict("made-up-tables-suffice", **said("L11")),
    "L12": lab.verdict("picking-flatters", **said("L12", flattery=flattery)),
}
second = lab.literature_ledger(records, rows)
print(f"{len(second.rows)} rows: {second.counts()}.")
second

# %% [markdown]
# Does your correction agree with the ledger's? Both ledgers' tests, in one list:

# %%
tested = [row.verdict for row in lab.ledger(records).rows if row.verdict]
tested = [one for one in [*tested, *rows.values()] if one.verdict != "not testable here"]
adjusted = lab.yours_or_ours(holm_adjusted)(torch.tensor([one.p for one in tested]))
stand = [one.claim for one, p in zip(tested, adjusted) if p < 0.05]
print(f"{len(tested)} tests in both ledgers; after the correction {len(stand)} verdicts stand,")
print(f"among them of the literature's rows: {', '.join(second.standing()) or 'none'}.")

# %% [markdown]
# An undecided row is a finding, too: a chapter of a minute has the trainings to see an effect of a tenth, not one of a hundredth. Where
# the full profile has the number, look at its column. And a *refuted* row does not say that the paper is wrong. It says
# that its sentence does not carry over to this task, this size and so few labels; the last column says what may make the difference.

# %%
lab.record(**second.estimates(), headline="l12_flattery")

# %% [markdown]
# ## The course on one sheet
#
# The last figure of the course. It is large enough to be printed (right-click, save the image).

# %% folded=true
top = prices.prices[0].what if prices.prices else "nothing yet"
lab.figures.poster(
    prices,
    second,
    title=f"{len(dear)} of {len(prices.prices)} rates lie above 1 with their whole interval; "
    f"rows of the literature that stand: {len(second.standing())} of {len(second.rows)}",
    caption="Left: exchange rates, the highest first (“" + top + "”); an arrow where the measured "
    "range ends. Right: accuracies with and without a method, and the literature's rows, each part "
    "on a scale of its own. In brackets the chapter. 95 % intervals over what that chapter drew "
    "anew: seeds, artists or episodes, and test pictures, texts, classes or rows.",
)

# %% [markdown]
# ## Recap
#
# * One currency makes methods comparable: labels per label, and seconds beside it. A method that *knows* something the labels do not say
#   can be worth more than one; one that only reshuffles them has nothing to add, so look twice if its rate lies above 1.
# * Offers that no other one beats form the frontier. Two budgets pick from it, and no exchange rate between labels and seconds is needed.
# * The best of n settings on a test set is lucky. How lucky, a formula says from $n$, $m$ and $p$.
# * A paper's number is a claim with a threshold. Tested with others, it needs a correction for all of them.
#
# **Questions.** 1. A method has an exchange rate of 3 at 2 labels per class. You have 200 per class. What do you expect? 2. A colleague tried 100
# settings on a test set of 10,000 images, another 5 on one of 50. Whose number do you trust less? 3. You add ten hopeless claims to a ledger.
# What happens to the others?
#
# <details><summary>Short answers</summary>
#
# 1. The 3 does not say: it was measured at 2 labels. At 200 less is left to learn, so expect a smaller gain in accuracy; but
# where the curve is flat, even a small gain can be worth many labels. 2. The second one's: the standard deviation of a test on 50
# images is fourteen times that on 10,000, and the number of tries counts only by about the root of its logarithm. 3. Their
# adjusted p values grow, since $m$ does; some verdicts no longer stand.
#
# </details>
#
# **Going further.** Holm 1979 (Scandinavian Journal of Statistics); Cawley & Talbot 2010 (JMLR), picking and its bias; Dodge et al. 2019
# (EMNLP), show your work: the expected best as a function of the tries; Bergstra & Bengio 2012 (JMLR), random search; Geiping et al. 2023
# (ICLR) and Le Scao & Rush 2021 (NAACL), two exchange rates. In production: `statsmodels.stats.multitest.multipletests`.
