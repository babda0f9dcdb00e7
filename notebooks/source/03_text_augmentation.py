# ---
# jupyter:
#   question: What do edited and back-translated texts teach, and whom?
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
# # 03 · Text augmentation
#
# Turn an image a little and it shows the same thing. What is a small turn of a *sentence*? You can replace a word by a synonym
# (同义词替换), throw words about, or translate the sentence into another language and back (**back-translation**, 回译). An
# article calls such edits *word-level text washing* (洗词). This chapter measures what they are worth, and for whom.
#
# **After this chapter you can** write the four edits of EDA, build a training set of copies, measure how often a copy loses its
# label, and tell which model gains: one that has read a billion sentences, or one that starts from nothing.
#
# **Time:** 60 minutes. **Claim under test:** C1 (augmentation improves generalisation, but for some data it does little, and it
# cannot replace labels).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more draws and copies
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
CLASSES = "five"  # "five" or "all" 25 broad classes of WordNet

# %%
import random

import torch

import fewshot_lab as lab
from fewshot_lab.augment import back_translation, text
from fewshot_lab.data import glosses, round_trips
from fewshot_lab.data.synonyms import Thesaurus
from fewshot_lab.methods import text_augmentation as methods
from fewshot_lab.models.language import minilm, sentence_features
from fewshot_lab.training import accuracy

lab.setup("03", profile=PROFILE, seed=SEED, device=DEVICE)
task = glosses.task(methods.CLASSES[CLASSES])
OTHER = "all" if CLASSES == "five" else "five"  # the second task
SEEDS = list(range(SEED, SEED + lab.quick_or_full(6, 10, smoke=1)))
ALPHA = 0.1  # the part of the words that an edit touches, as in the paper
COPIES = lab.quick_or_full(
    {1: 3, 5: 3, 20: 1, 100: 1},
    {1: 16, 5: 16, 20: 8, 100: 4},
    smoke={1: 1, 5: 1, 20: 1},
)  # of each gloss, by labels per class

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "who",
    "Synonyms for the glosses of 5 labels per class. Which classifier gains more: a linear one on "
    "a pretrained encoder, or a network from scratch?",
    ["the one on the pretrained encoder", "the network from scratch", "neither gains anything"],
)

# %% [markdown]
# ## The task
#
# WordNet (a dictionary of English) defines each noun in a short **gloss** (释义), and files it in a broad class. Read the gloss,
# name the class. Glosses that contain the name of their class were left out.

# %%
texts, labels = task.draw(1, SEED)
for gloss, label in list(zip(texts, labels))[:5]:
    print(f"{task.classes[label]:>10}: {gloss}")
print(
    f"{len(task.classes)} classes, {len(task.train_texts)} training and {len(task.test_texts)} "
    "test glosses."
)

# %% [markdown]
# ## See: edits
#
# Leaf through glosses and operations, drag the strength, or type your own words. Find an edit that nobody would notice, one that
# makes nonsense, and one after which the gloss describes *another class*.

# %%
lab.widgets.TextExplorer(task)

# %% [markdown]
# ## Derive: how many words
#
# EDA ("easy data augmentation", Wei & Zou 2019) has four edits and one strength $\alpha$. In a text of $l$ words
#
# $$n = \max(1, \operatorname{round}(\alpha\, l))$$
#
# words are replaced by a synonym, inserted, or swapped; or each word is deleted with probability $\alpha$. The expected number of
# words touched is about $\alpha l$ for all four. Swaps and deletions need no knowledge of the language. Synonyms bring some in:
# a dictionary knows words that your labels never mention.
#
# ## Write it: synonym replacement
#
# A computer chooses by drawing numbers. Here the draws are *given*, so that you can follow the edit by hand.


# %% exercise="synonym_replacement"
def synonym_replacement(words, synonyms, draws, count):
    """Replaces so many of the words that have a synonym: those with the smallest draws.

    words: list of strings. synonyms: {word: its replacement}; other words, such as stop words, are
    not in it. draws: a number from 0 to 1 for each place. count: how many to replace; all that have
    a synonym when they are fewer. Returns a new list.
    """
    ### BEGIN SOLUTION
    known = [place for place, word in enumerate(words) if word in synonyms]
    chosen = sorted(known, key=lambda place: draws[place])[:count]
    return [synonyms[word] if place in chosen else word for place, word in enumerate(words)]
    ### END SOLUTION


# %% [markdown]
# Where do the synonyms come from? The course asks WordNet for the *first*, most frequent sense of a word, and inflects the synonym
# like the word: *dogs* becomes *domestic dogs*. Stop words (停用词) such as *of* have none. Look for a replacement that is wrong.

# %%
thesaurus = Thesaurus()
for word in "small dogs carried eggs from cotton houses of turtles".split():
    print(f"{word:>8}: {', '.join(thesaurus[word]) or '-'}")

# %% [markdown]
# ## Write it: random swap


# %% exercise="random_swap"
def random_swap(words, pairs):
    """Lets two words change places, one pair after the other.

    words: list of strings. pairs: list of (i, j), two places counted from 0; a later pair sees what
    the earlier ones left. Returns a new list.
    """
    ### BEGIN SOLUTION
    words = list(words)
    for i, j in pairs:
        words[i], words[j] = words[j], words[i]
    return words
    ### END SOLUTION


# %% [markdown]
# ## Write it: random deletion


# %% exercise="random_deletion"
def random_deletion(words, draws, share):
    """Deletes each word whose draw is below the share.

    words: list of at least one string. draws: a number from 0 to 1 for each place. share: from 0 to
    1. Returns a new list; when no word would be left, the one with the largest draw stays.
    """
    ### BEGIN SOLUTION
    kept = [word for word, draw in zip(words, draws) if draw >= share]
    return kept or [words[max(range(len(words)), key=lambda place: draws[place])]]
    ### END SOLUTION


# %% [markdown]
# ## Derive: back-translation
#
# With a translator $t$ into another language and $s$ back, the copy is $x' = s(t(x))$. What the two lose on the way is the
# variation. Sennrich et al. (2016) used it to make *source* sentences for a translator, from sentences of the target language;
# later it became an augmentation for classifiers. It gives one copy for each language and translator, not as many as you like.
#
# Here **Apertium** goes to Spanish and back, by rules and dictionaries. Its round trips of the training glosses are recorded and come
# with the course, so you need no translator; another version than the recorder's is used live.
#
# **A sentence to repair.** The article names "rotation, scaling, flip, crop, back-translation and text washing" in one breath, for
# images. An image is not in a language, so there is nothing to translate it into, and no words to wash. Both belong to text. What
# comes nearest for images is to describe one in words and draw it again, or to carry it to another style and back: each needs a
# generator, and chapter 08 shows what those get wrong.
#
# Masked-language-model replacement (掩码语言模型替换; Kobayashi 2018) would be a fifth way: hide a word, let BERT fill the gap. Does
# the encoder of this course still have the head that fills gaps?

# %%
_, encoder = minilm("cpu")
heads = [
    name for name, _ in encoder.named_parameters() if "predictions" in name or "lm_head" in name
]
total = len(list(encoder.named_parameters()))
print(f"Weights of a head that predicts words: {len(heads)} of {total}.")
if not heads:
    print("It was cut off when the sentence encoder was made, so no gap can be filled here.")

# %% [markdown]
# Now back-translate all glosses that any draw of this chapter can label.

# %%
SHOTS = {
    "none": [1, 2, 5, 10, 20, 100],
    "synonyms": [1, 5, 20, 100],
    "back-translation": [1, 5, 20, 100],
    "eda": [1, 5, 20],
}
SHOTS |= {"insertion": [5], "swap": [5], "deletion": [5]}
MOST = lab.quick_or_full(100 if CLASSES == "five" else 20, 100, smoke=20)  # labels per class
SHOTS = {operation: [k for k in shots if k <= MOST] for operation, shots in SHOTS.items()}
other = glosses.task(methods.CLASSES[OTHER])
drawn = {
    gloss
    for seed in SEEDS
    for gloss in task.draw(max(SHOTS["none"]), seed)[0] + other.draw(5, seed)[0]
}
trips = round_trips.round_trips(sorted(drawn))
unchanged = sum(trips[gloss] == gloss for gloss in drawn) / len(drawn)
print(f"{unchanged:.0%} of {len(drawn)} glosses come back unchanged.")

# %% [markdown]
# Where Apertium is installed, a tenth of them is translated live and compared with the record.

# %%
recorder, known = round_trips.recorded()
here = back_translation.translator()
print(f"Recorded by {recorder}. Translator here: {here or 'none, so the record is all there is'}.")
if here:
    sample = sorted(drawn)[::10]
    live = back_translation.back_translated(sample)
    same = sum(known[one] == two for one, two in zip(sample, live)) / len(sample)
    print(f"{same:.1%} of {len(sample)} live round trips are as recorded.")

# %% [markdown]
# Four of them, before and after. What did the round trip change, and does the label survive it?

# %%
for gloss in texts[:4]:
    print(f"{gloss}\n    → {trips[gloss]}")

# %% [markdown]
# ## Write it: the augmented training set
#
# Copies inherit the label of their text. That is the whole assumption of augmentation.


# %% exercise="augmented_set"
def augmented_set(texts, labels, change, copies):
    """The texts, then their copies, text after text; each with its label.

    texts: list of strings. labels: list of whole numbers. change(text, r): copy number r of a text,
    a string. copies: how many to make of each, r = 0, 1, ..., copies - 1. A copy that equals its
    text, or an earlier copy of it, is left out. Returns two lists, texts and labels; the texts
    themselves come first, in their order.
    """
    ### BEGIN SOLUTION
    more_texts, more_labels = list(texts), list(labels)
    for original, label in zip(texts, labels):
        made = [original]
        for r in range(copies):
            copy = change(original, r)
            if copy not in made:
                made.append(copy)
        more_texts += made[1:]
        more_labels += [label] * (len(made) - 1)
    return more_texts, more_labels
    ### END SOLUTION


# %% [markdown]
# ## Measure it: who gains?
#
# Build all training sets: every operation, 1 to 100 labels per class, several draws. Equal seeds draw the same glosses for every
# operation, so operations are compared in pairs. Equal glosses get equal copies.

# %%
edits = text.EDITS | {
    f.__name__: lab.yours_or_ours(f) for f in (synonym_replacement, random_swap, random_deletion)
}
enlarge = lab.yours_or_ours(augmented_set)


def change(operation, alpha=ALPHA):
    return methods.copy_maker(
        operation, alpha=alpha, synonyms=thesaurus, round_trips=trips, edits=edits
    )


def training_set(of_task, operation, shots, seed, copies):
    """Glosses and their copies: the settings of a training, and how many glosses are labelled."""
    drawn_texts, drawn_labels = of_task.draw(shots, seed)
    texts, labels = enlarge(drawn_texts, drawn_labels.tolist(), change(operation), copies)
    return {"texts": texts, "labels": labels}, len(drawn_texts)


# %% [markdown]
# The second task has the other number of classes, fewer operations and fewer draws.

# %%
sets = {
    (operation, shots, seed): training_set(task, operation, shots, seed, COPIES.get(shots, 1))
    for operation in SHOTS
    for shots in SHOTS[operation]
    for seed in SEEDS
}
OTHERS, FEWER = ("none", "synonyms", "back-translation"), SEEDS[: lab.quick_or_full(5, 10)]
other_sets = {
    (operation, seed): training_set(other, operation, 5, seed, COPIES[20])
    for operation in OTHERS
    for seed in FEWER
}
grown = {operation: len(sets[operation, 5, SEED][0]["texts"]) for operation in SHOTS}
print("Texts at 5 labels per class:", ", ".join(f"{name} {n}" for name, n in grown.items()))

# %% [markdown]
# The labels of some glosses are for a *judge* later on; they get copies of three strengths.

# %%
STRENGTHS = [0.1, 0.3, 0.5]
EDITED = ("synonyms", "insertion", "swap", "deletion")
judged = task.rows(min(MOST // 2, 24 if CLASSES == "five" else 6), SEED).tolist()
judged_texts = [task.train_texts[row] for row in judged]
altered = {
    (name, a): [change(name, a)(gloss, 0) for gloss in judged_texts]
    for name in EDITED
    for a in STRENGTHS
}
altered["back-translation", ALPHA] = [trips[gloss] for gloss in judged_texts]

per_class = {
    name: lab.quick_or_full({"five": 100, "all": 30}[name], 100, smoke=4)
    for name in ("five", "all")
}
test_texts, test_labels = methods.first_test_texts(CLASSES, per_class[CLASSES])
other_texts, other_labels = methods.first_test_texts(OTHER, per_class[OTHER])

# %% [markdown]
# Embed every text once, with the frozen encoder MiniLM (Reimers & Gurevych 2019).

# %%
every = set(test_texts + other_texts + judged_texts).union(*altered.values())
every = every.union(*(made["texts"] for made, _ in [*sets.values(), *other_sets.values()]))
every = sorted(every)
features = sentence_features(
    every, device=DEVICE, progress=lambda batches: lab.progress_bar(batches, "batches of 64 texts")
)
row_of = {each: row for row, each in enumerate(every)}


def features_of(texts):
    """The features (n, 384) of texts."""
    return features[[row_of[each] for each in texts]]


# %% [markdown]
# The first learner is a linear head on these features. `lab.training.Arms` reads rows that were computed without `lab.arms`.


# %%
def on_features(made, labelled, tests, test_labels):
    """Test accuracy of a linear head on the frozen features of a training set."""
    head = methods.linear_head(features_of(made["texts"]), torch.tensor(made["labels"]), labelled)
    return accuracy(head(features_of(tests)), test_labels)


rows = {operation: [] for operation in SHOTS}
for (operation, shots, seed), made in lab.progress_bar(sets.items(), "linear heads"):
    reached = on_features(*made, test_texts, test_labels)
    rows[operation].append({"shots": shots, "seed": seed, "test_accuracy": reached})
frozen = lab.training.Arms(rows, axis="shots", unit="accuracy")

# %% [markdown]
# The other learner starts from nothing: a small convolutional network over words (Kim 2014), whose vocabulary is that of its own
# training texts. The training loop is that of chapter 02; only the network and its input are others.

# %%
STEPS = lab.quick_or_full(100, 600)


def from_scratch(shots, **settings):
    """`shots` only names the point on the curve: the labelled texts are among the settings."""
    return methods.fit_from_scratch(**settings)


scratch = lab.arms(
    from_scratch,
    {name: lambda shots, seed, name=name: sets[name, shots, seed][0] for name in SHOTS},
    seeds=SEEDS,
    axis="shots",
    at={name: [k for k in shots if k in COPIES] for name, shots in SHOTS.items()},
    unit="accuracy",
    classes=CLASSES,
    per_class=per_class[CLASSES],
    steps=STEPS,
)

# %% [markdown]
# ## Read it
#
# Compare the distance between the curves of one figure with the distance between the two figures.


# %% folded=true
def learning_curves(learner, who):
    """The figure of one learner; its title says what 5 labels per class give."""
    means = ", ".join(f"{name} {learner.mean(name, 5):.2f}" for name in OTHERS)
    return lab.figures.curves(
        {name: learner.curve(name) for name in OTHERS + ("eda",)},
        title=f"{who}, 5 labels a class: {means}",
        x="labels per class",
        y="test accuracy",
        log_x=True,
        ticks=learner.curve("none")[0],
        caption=f"{len(task.classes)} classes. Mean and 95 % interval over {len(SEEDS)} draws of "
        "the labels.",
    )


learning_curves(frozen, "Frozen MiniLM")

# %% folded=true
learning_curves(scratch, "From scratch")

# %% [markdown]
# Now all operations at 5 labels per class, in pairs with *none*. An operation helped when its whole interval lies above 0.

# %%
learners = {"frozen": frozen, "scratch": scratch}
gains = {
    f"{who}: {name}": learner.gain(name, 5, over="none")
    for who, learner in learners.items()
    for name in SHOTS
    if name != "none"
}

# %% folded=true
helps = {
    who: sum(gain.low > 0 for name, gain in gains.items() if name.startswith(who))
    for who in learners
}
lab.figures.bars(
    gains,
    title=f"Of {len(gains) // 2} operations {helps['frozen']} helped the frozen encoder, "
    f"{helps['scratch']} the net from scratch",
    x="test accuracy with copies - without",
    line=0.0,
    digits=3,
    caption=f"5 labels per class, strength {ALPHA:g}. Mean and 95 % interval of the paired "
    f"difference over {len(SEEDS)} draws.",
)

# %%
lab.record(
    frozen_k5_none=frozen.interval("none", 5),
    frozen_k5_synonyms=frozen.interval("synonyms", 5),
    frozen_k5_backtranslation=frozen.interval("back-translation", 5),
    scratch_k5_none=scratch.interval("none", 5),
    scratch_k5_synonyms=scratch.interval("synonyms", 5),
)

# %% [markdown]
# Who gains more? The difference of the two gains is taken draw by draw.


# %%
def gain_of_each_draw(learner):
    pairs = zip(learner.values("synonyms", 5), learner.values("none", 5))
    return [with_copies - without for with_copies, without in pairs]


more_for_scratch = lab.paired_difference(gain_of_each_draw(scratch), gain_of_each_draw(frozen))
lab.recall("who", f"gain from scratch - gain on the frozen encoder = {more_for_scratch}")

# %% [markdown]
# ## Measure it: the exchange rate
#
# How many labels is one label worth once there are copies? Chapter 02 derived it: go along the curve without augmentation until it
# reaches the accuracy with it.

# %%
rates = {
    f"{who}: {name}": lab.exchange_rate(
        learner.curve("none")[0], learner.table("none"), 5, learner.values(name, 5)
    )
    for who, learner in learners.items()
    for name in ("synonyms", "back-translation", "eda")
}

# %% folded=true
best = max(rates, key=lambda name: rates[name].mean)
lab.figures.bars(
    rates,
    title=f"The highest exchange rate: {rates[best].mean:.2f} ({best})",
    x="labels without copies that one label with copies is worth",
    line=1.0,
    caption="At 5 labels per class, bootstrap intervals. Left of the dashed line the copies cost "
    "labels.",
)

# %%
lab.record(
    exchange_rate_frozen_synonyms=rates["frozen: synonyms"],
    exchange_rate_frozen_backtranslation=rates["frozen: back-translation"],
    exchange_rate_scratch_synonyms=rates["scratch: synonyms"],
    headline="exchange_rate_frozen_synonyms",
)

# %% [markdown]
# ## Measure it: another task
#
# Glosses of another number of classes. Do both learners answer as before?

# %%
rows = {operation: [] for operation in OTHERS}
for (operation, seed), made in lab.progress_bar(other_sets.items(), "linear heads"):
    reached = on_features(*made, other_texts, other_labels)
    rows[operation].append({"seed": seed, "test_accuracy": reached})
elsewhere = {"frozen": lab.training.Arms(rows)}
elsewhere["scratch"] = lab.arms(
    methods.fit_from_scratch,
    {name: lambda seed, name=name: other_sets[name, seed][0] for name in OTHERS},
    seeds=FEWER,
    classes=OTHER,
    per_class=per_class[OTHER],
    steps=STEPS,
)
for who, learner in elsewhere.items():
    print(f"{len(other.classes)} classes, {who}, no copies: {learner.interval('none')}")

# %% folded=true
compared = {}
for who, learner in elsewhere.items():
    for name in OTHERS[1:]:
        compared[f"{who}, {len(task.classes)} classes: {name}"] = gains[f"{who}: {name}"]
        there = learner.gain(name, over="none")
        compared[f"{who}, {len(other.classes)} classes: {name}"] = there
largest = max(compared, key=lambda name: compared[name].mean)
lab.figures.bars(
    compared,
    title=f"The largest gain: {compared[largest].mean:+.3f} ({largest})",
    x="test accuracy with copies - without",
    line=0.0,
    digits=3,
    caption=f"5 labels per class. Paired differences and 95 % intervals over {len(FEWER)} draws "
    "or more.",
)

# %% [markdown]
# ## Derive: does the label survive?
#
# Let a **judge** classify each gloss before the edit and after it: a linear head on MiniLM, trained on all drawn glosses that it
# does not judge. Where it was right before and names another class after, the label has *flipped*. The share of flips is
# a share of independent glosses, so its interval is Wilson's. The judge errs too: a flip means that it *thinks* so.
#
# ## Write it

# %% exercise="flip_rate"
from scipy.stats import binomtest


def flip_rate(before, after, labels):
    """The share of labels that flip: of the glosses classified correctly, those whose copy is not.

    before, after: the judge's class numbers for gloss and copy, whole numbers (n,). labels: the
    true ones (n,). Returns three numbers: share, low and high end of Wilson's 95 % interval:
    binomtest(flipped, n).proportion_ci(method="wilson").
    """
    ### BEGIN SOLUTION
    right = before == labels
    flipped, n = int((after[right] != labels[right]).sum()), int(right.sum())
    low, high = binomtest(flipped, n).proportion_ci(method="wilson")
    return flipped / n, low, high
    ### END SOLUTION


# %% [markdown]
# ## Measure it: flipped labels

# %%
from fewshot_lab.training import Estimate

rate = lab.yours_or_ours(flip_rate)
taught = sorted(
    {row for seed in SEEDS for row in task.rows(max(SHOTS["none"]), seed).tolist()} - set(judged)
)
taught_features = features_of([task.train_texts[row] for row in taught])
judge = methods.linear_head(taught_features, task.train_labels[taught], len(taught))
before, judged_labels = judge(features_of(judged_texts)).argmax(1), task.train_labels[judged]
n_right = int((before == judged_labels).sum())
flips = {}
for key, copies in altered.items():
    after = judge(features_of(copies)).argmax(1)
    flips[key] = Estimate(*rate(before, after, judged_labels), n_right, "share")
print(
    f"The judge learned from {len(taught)} glosses and classifies {n_right} of {len(judged)} "
    "others correctly."
)

# %% folded=true
lab.figures.curves(
    {name: (STRENGTHS, [flips[name, a] for a in STRENGTHS]) for name in EDITED}
    | {"back-translation": (STRENGTHS, [flips["back-translation", ALPHA]] * len(STRENGTHS))},
    title=f"At α = {STRENGTHS[-1]} the judge sees most flips by "
    f"{max(EDITED, key=lambda name: flips[name, STRENGTHS[-1]].mean)}",
    x="strength α (back-translation has none: flat)",
    y="share of flipped labels",
    ticks=STRENGTHS,
    caption=f"{n_right} glosses that the judge classifies correctly; bands: Wilson's 95 % "
    "interval. At which strength do the edits differ?",
)

# %%
lab.record(
    label_flips_synonyms=flips["synonyms", ALPHA],
    label_flips_backtranslation=flips["back-translation", ALPHA],
)

# %% [markdown]
# ## See: what do *you* say?
#
# The judge sees words, you see meaning. Here are twenty copies that the learners were given. Does each still describe
# something of its class?

# %%
asked = random.Random(SEED).sample(range(len(judged)), 20)
ways = [name for name in (*EDITED, "back-translation") for _ in range(4)]
shown = [altered[name, ALPHA][row] for name, row in zip(ways, asked)]
marker = lab.widgets.LabelMarker(shown, [task.classes[judged_labels[row]] for row in asked])
marker

# %% [markdown]
# Run the next cell again when you have marked them.

# %%
changed, answered = marker.counts()
by_judge = int((judge(features_of(shown)).argmax(1) != judged_labels[asked]).sum())
yours = lab.share_interval(changed, answered) if answered else "no mark yet"
print(f"You: {yours}")
print(
    f"The judge names another class for {by_judge} of the same {len(shown)}, with its own errors "
    "on the glosses themselves."
)

# %% [markdown]
# ## Verdicts

# %%
lab.verdict(
    "C1",
    "Augmentation improves generalisation, for some data it does little, and it cannot replace "
    "labels.",
    [
        lab.Evidence(
            "from scratch, 5 labels per class: synonyms - none", gains["scratch: synonyms"], ">"
        ),
        lab.Evidence(
            "frozen encoder, 5 labels per class: synonyms - none",
            gains["frozen: synonyms"],
            "<",
            0.03,
        ),
        lab.Evidence(
            "frozen encoder: 20 labels without - 5 labels with synonyms, per class",
            frozen.gain("none", 20, over=("synonyms", 5)),
            ">",
        ),
    ],
)

# %% [markdown]
# Longpre et al. (2020) found that edits and back-translation give pretrained models little or nothing. Is that so here?

# %%
lab.verdict(
    "pretrained-gains-little",
    "A pretrained encoder gains less than 0.02 from each of three ways to copy texts.",
    [
        lab.Evidence(f"frozen encoder: {name} - none", gains[f"frozen: {name}"], "<", 0.02)
        for name in ("synonyms", "back-translation", "eda")
    ],
)

# %%
lab.verdict(
    "scratch-gains-more",
    "A network from scratch gains more from synonyms than a pretrained encoder does.",
    [
        lab.Evidence(
            "gain from scratch - gain on the frozen encoder",
            more_for_scratch,
            ">",
        )
    ],
)

# %% [markdown]
# ## Recap
#
# * Text has no small turn. Synonyms, edits and round trips each keep the label only most of the time: measure how often.
# * An edit teaches what the model does not know yet. Ask first whether your encoder knows the synonym already.
# * Compare with what a label costs: the exchange rate says when to label instead.
#
# **Questions.** 1. Swapping words changes nothing for a model that counts words. Why can it still change the result of the
# convolutional network? 2. The judge and the encoder are the same model. What does that do to the flip rate? 3. You may
# back-translate *test* glosses and average the answers. Is that augmentation, and what could it gain?
#
# **Going further.** Wei & Zou 2019 (EMNLP), EDA; Sennrich, Haddow & Birch 2016 (ACL), back-translation; Longpre et al. 2020 (Findings of
# EMNLP), how effective is task-agnostic augmentation for pretrained transformers; Kobayashi 2018 (NAACL), contextual augmentation; Xie et al.
# 2020 (NeurIPS), consistency training with back-translation; Kim 2014 (EMNLP), convolutional networks for sentences. In production:
# `nlpaug` for edits, a neural translator such as MarianMT of `transformers` for round trips.
