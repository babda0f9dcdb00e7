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
# (同义词替换), throw words about, or translate the sentence into another language and back (**back-translation**, 回译). The
# article whose claims this course tests calls such edits *word-level text washing* (洗词). This chapter measures what they are
# worth, and for whom.
#
# **After this chapter you can** write two edits of EDA, build a training set of copies, measure how often a copy keeps its
# meaning and its label, compare copies with what the names of the classes give for nothing, let a language model write texts and
# filter them, and say how small an effect your experiment could have found.
#
# **Time:** 80 minutes. **Claim under test:** C1 (augmentation improves generalisation, but for some data it does little, and it
# cannot replace labels).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more draws
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
CLASSES = "five"  # "five" or "all" 25 broad classes of WordNet

# %%
import random

import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.augment import back_translation, text
from fewshot_lab.data import glosses, round_trips
from fewshot_lab.data.synonyms import Thesaurus
from fewshot_lab.methods import text_augmentation as methods
from fewshot_lab.models.language import features_by_text, minilm, sentence_features
from fewshot_lab.training import accuracy, hits_by_picture

lab.setup("03", profile=PROFILE, seed=SEED, device=DEVICE)
task = glosses.task(methods.CLASSES[CLASSES])
OTHER = "all" if CLASSES == "five" else "five"  # the second task
other = glosses.task(methods.CLASSES[OTHER])
SEEDS = lab.seeds(10, 20)  # draws of the labels
FEW = SEEDS[: lab.quick_or_full(6, 20)]  # those for what takes long
# The rules of the verdicts name 5 classes first; with all 25 first, the chapter explores.
EXPLORING = "" if CLASSES == "five" else f"CLASSES={CLASSES}: the two tasks change places"

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
# name the class. Glosses that contain the name of their class were left out. Learners train on some of the training glosses, all
# settings were chosen on validation glosses ([choices](../docs/choices.md) tells from what), and all accuracies below are those on
# the test glosses.

# %%
texts, labels = task.draw(1, SEED)
for gloss, label in list(zip(texts, labels))[:5]:
    print(f"{task.classes[label]:>10}: {gloss}")
print(
    f"{len(task.classes)} classes, {len(task.train_texts)} training, "
    f"{len(task.validation_texts)} validation and {len(task.test_texts)} test glosses."
)

# %% [markdown]
# ## See: edits
#
# Leaf through glosses and operations, drag the strength, or type your own words. Find an edit that nobody would notice, one that
# makes nonsense, and one after which the gloss describes *another class*. There are Chinese reviews, too: every character counts as a word
# there, and only swaps and deletions work, since the course has no dictionary of Chinese synonyms.

# %%
lab.widgets.TextExplorer(task)

# %% [markdown]
# ## Derive: how many words
#
# EDA ("easy data augmentation", Wei & Zou 2019) has four edits and one strength $\alpha$. In a text of $l$ words
#
# $$n = \max(1, \operatorname{round}(\alpha\, l))$$
#
# words are replaced by a synonym or inserted, or $n$ pairs of words change places; or each word is deleted with probability
# $\alpha$. So the expected number of words touched is about $\alpha l$, and for swaps about $2 \alpha l$: each moves two words.
# Swaps and deletions need no knowledge of the language. Synonyms bring some in: a dictionary knows words that your labels never
# mention.
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
# like the word: *dogs* becomes *domestic dogs*. Stop words (停用词) such as *of* have none. A word's most frequent sense need not
# be the one that is meant: “a choice or delicious dish” becomes “an election or delicious dish”, and the label is gone. Look for a
# replacement below that is wrong in some sentence.

# %%
thesaurus = Thesaurus()
for word in "small dogs carried eggs from cotton houses of turtles".split():
    print(f"{word:>8}: {', '.join(thesaurus[word]) or '-'}")

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
# Here **Apertium** goes to Spanish and back, by rules and dictionaries. Its round trips of the training glosses were recorded and
# come with the course, so you need no translator. (If another version of Apertium is installed than the one that recorded them,
# the chapter asks the installed one.)
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
MOST = lab.quick_or_full(50 if CLASSES == "five" else 20, 50, smoke=20)  # labels per class
drawn = {gloss for seed in FEW for gloss in task.draw(MOST, seed)[0] + other.draw(5, seed)[0]}
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
# ## See: one training set
#
# Two learners take part: a head on a *frozen* encoder and a network from *scratch*. For each of them strength and number of copies
# were chosen on validation glosses. Here is a training set of 1 label per class, as the network gets it.

# %%
thesaurus = Thesaurus()
edits = text.EDITS | {
    f.__name__: lab.yours_or_ours(f) for f in (synonym_replacement, random_deletion)
}
enlarge = lab.yours_or_ours(augmented_set)
WHO = ("frozen", "scratch")
SETTINGS = {(who, op): lab.chosen(f"gloss-{op}-{who}") for who in WHO for op in ("synonyms", "eda")}
SETTINGS |= {(who, "back-translation"): {"alpha": 0, "copies": 1} for who in WHO}
SETTINGS |= {(who, "none"): {"alpha": 0, "copies": 0} for who in WHO}


def copier(operation, alpha):
    """The function change(text, r) of an operation."""
    return methods.copy_maker(
        operation, alpha=alpha, synonyms=thesaurus, round_trips=trips, edits=edits
    )


def training_set(of_task, who, operation, shots, seed):
    """Labelled glosses and their copies: texts and labels; the labelled ones come first."""
    texts, labels = of_task.draw(shots, seed)
    chosen = SETTINGS[who, operation]
    change = copier(operation, chosen["alpha"])
    return enlarge(texts, labels.tolist(), change, chosen["copies"])


for gloss, label in zip(*training_set(task, "scratch", "synonyms", 1, SEED)):
    print(f"{task.classes[label]:>10}: {gloss}")

# %% [markdown]
# A trap: glosses with many synonyms have more *different* copies than others, so some classes get more copies than others, and a
# learner takes them for the more frequent ones. On validation glosses, a head on four copies lost up to 0.2 of its accuracy by that
# alone. Both learners below let every class count the same.
#
# ## Measure it: a network from scratch
#
# A small convolutional network over words (Kim 2014) starts from nothing; its vocabulary is that of its own training texts. The
# training loop is that of chapter 02. All arms take the same number of steps. Equal seeds draw the same glosses for every operation, so
# operations are compared in pairs.

# %%
NAMED = (CLASSES, OTHER)
TASKS = {CLASSES: task, OTHER: other}
PER_CLASS = {  # test glosses
    name: lab.quick_or_full({"five": 100, "all": 30}[name], 100, smoke=4) for name in NAMED
}
STEPS = {name: lab.quick_or_full(lab.chosen(f"gloss-steps-{name}"), smoke=4) for name in NAMED}
POINTS = {
    CLASSES: {
        "none": [1, 2, 5, 10, 20, 50],
        "synonyms": [5, 20],
        "back-translation": [5],
        "eda": [5],
    },
    OTHER: {"none": [2, 5, 10, 20], "synonyms": [5]},
}
POINTS = {
    name: {operation: [k for k in shots if k <= MOST] for operation, shots in arms.items()}
    for name, arms in POINTS.items()
}
print("Training steps:", STEPS, "strengths and copies:", SETTINGS["scratch", "synonyms"])


# %%
def from_scratch(shots, **settings):
    """`shots` only names the point on the curve: the labelled texts are among the settings."""
    return methods.fit_from_scratch(**settings)


def texts_of(name, operation):
    """The settings of a training, as a function of labels per class and seed."""

    def settings(shots, seed):
        texts, labels = training_set(TASKS[name], "scratch", operation, shots, seed)
        return {"texts": texts, "labels": labels}

    return settings


scratch = {
    name: lab.arms(
        from_scratch,
        {operation: texts_of(name, operation) for operation in POINTS[name]},
        seeds=FEW,
        axis="shots",
        at=POINTS[name],
        unit="accuracy",
        clusters="glosses",
        classes=name,
        per_class=PER_CLASS[name],
        steps=STEPS[name],
        learning_rate=lab.chosen("gloss-rate"),
    )
    for name in NAMED
}

# %% [markdown]
# ## Measure it: a frozen encoder
#
# The other learner is a linear head on the features of MiniLM (Wang et al. 2020), made a sentence encoder as Reimers & Gurevych (2019)
# do. The encoder never changes: every text is embedded once. So collect all texts that will be needed, those of the judge below too.

# %%
FROZEN = {
    CLASSES: POINTS[CLASSES] | {"synonyms": [1, *POINTS[CLASSES]["synonyms"]]},
    OTHER: {"none": [1, 5], "synonyms": [1, 5]},
}
sets = {
    (name, operation, shots, seed): training_set(TASKS[name], "frozen", operation, shots, seed)
    for name in NAMED
    for operation in FROZEN[name]
    for shots in FROZEN[name][operation]
    for seed in FEW
}
STRENGTHS = [0.1, 0.3, 0.5]  # of the edits that the judge sees
EDITED = ("synonyms", "insertion", "swap", "deletion")
judged = task.rows(min(MOST // 2, 20 if CLASSES == "five" else 5), SEEDS[0]).tolist()
judged_texts = [task.train_texts[row] for row in judged]
altered = {
    (name, a): [copier(name, a)(gloss, 0) for gloss in judged_texts]
    for name in EDITED
    for a in STRENGTHS
}
altered["back-translation", STRENGTHS[0]] = [trips[gloss] for gloss in judged_texts]
tests = {name: methods.first_test_texts(name, PER_CLASS[name]) for name in NAMED}

# %%
every = {gloss for made, _ in sets.values() for gloss in made}.union(*altered.values())
features_of = features_by_text(
    every.union(judged_texts, *(texts for texts, _ in tests.values())),
    device=DEVICE,
    progress=lambda batches: lab.progress_bar(batches, "batches of 64 texts"),
)


def scored(answers, name):
    """Test accuracy and the correct answers about each test gloss of a task."""
    labels = tests[name][1]
    hits = hits_by_picture(answers, labels, torch.arange(len(labels)))
    return {"test_accuracy": accuracy(answers, labels)} | hits


# %% [markdown]
# `lab.training.Arms` reads rows that were computed without `lab.arms`.

# %%
rows = {name: {operation: [] for operation in FROZEN[name]} for name in NAMED}
for (name, operation, shots, seed), made in lab.progress_bar(sets.items(), "linear heads"):
    texts, labels = made
    labelled = len(TASKS[name].rows(shots, seed))
    options = {"C": lab.chosen("gloss-head"), "balanced": True}
    head = methods.linear_head(features_of(texts), torch.tensor(labels), labelled, **options)
    reached = scored(head(features_of(tests[name][0])), name)
    rows[name][operation].append({"shots": shots, "seed": seed} | reached)
frozen = {
    name: lab.training.Arms(rows[name], axis="shots", unit="accuracy", clusters="glosses")
    for name in NAMED
}

# %% [markdown]
# ## Measure it: names instead of labels
#
# Before you pay for labels or copies, ask what is free. A sentence encoder can compare a gloss with the *name* of each class and take
# the nearest (**zero-shot**, 零样本). The words around the name were chosen on validation glosses. What the encoder read before counts
# here: a billion pairs of texts from the web, and whether definitions like ours were among them nobody has checked.

# %%
TEMPLATE = lab.chosen("gloss-names")
named, free = {}, {}
for name in NAMED:
    names = [TEMPLATE.format(name=one) for one in TASKS[name].classes]
    named[name] = scored(features_of(tests[name][0]) @ sentence_features(names).T, name)
    right = int(named[name]["test_hits"].sum())
    free[name] = lab.share_interval(right, len(tests[name][1]))
    print(f"{len(names)} classes, {names[0]!r} and so on: {free[name]}")

# %% [markdown]
# ## Read it
#
# Compare the distance between the curves of one figure with the distance between the two figures.


# %% folded=true
def learning_curves(learner, *, title, **options):
    """The figure of one learner."""
    shown = [op for op in ("none", "synonyms") if op in learner.rows]
    return lab.figures.curves(
        {operation: learner.curve(operation) for operation in shown},
        title=title,
        x="labels per class",
        y="test accuracy",
        log_x=True,
        ticks=learner.curve("none")[0],
        caption=f"{len(task.classes)} classes. Mean and 95 % interval over {len(FEW)} draws of "
        "the labels and the test glosses.",
        **options,
    )


level = {"names, no label": free[CLASSES].mean}
learning_curves(
    frozen[CLASSES],
    title="Frozen encoder: how many labels do the classes' names replace?",
    levels=level,
)

# %% folded=true
learning_curves(
    scratch[CLASSES],
    title="From scratch: how far right is the same accuracy without copies?",
)

# %%
main = {"frozen": frozen[CLASSES], "scratch": scratch[CLASSES]}
lab.record(
    frozen_k5_none=main["frozen"].interval("none", 5),
    frozen_k5_synonyms=main["frozen"].interval("synonyms", 5),
    frozen_k5_backtranslation=main["frozen"].interval("back-translation", 5),
    scratch_k5_none=main["scratch"].interval("none", 5),
    scratch_k5_synonyms=main["scratch"].interval("synonyms", 5),
    names_without_labels=free[CLASSES],
)


# %% [markdown]
# Are the names of the classes worth more than one label of each, with its copies?


# %%
def names_over_head(name):
    """What the names have over a head on 1 label per class with synonyms, draw by draw."""
    hits, sizes = frozen[name].hits("synonyms", 1)
    over = f"{len(hits)} seeds x {len(sizes)} glosses"
    return lab.crossed_interval(named[name]["test_hits"] - hits, sizes, "accuracy", over)


lab.verdict(
    "names-before-copies",
    five=names_over_head(CLASSES),
    all=names_over_head(OTHER),
    exploring=EXPLORING,
)

# %% [markdown]
# ## Read it: who gains?
#
# All operations at 5 labels per class, in pairs with *none*, for both learners.

# %%
gains = {
    f"{who}: {operation}": main[who].gain(operation, 5, over="none")
    for who in WHO
    for operation in ("synonyms", "back-translation", "eda")
}

# %% folded=true
lab.figures.bars(
    gains,
    title="Which copies help which learner?",
    x="test accuracy with copies - without",
    line=0.0,
    digits=3,
    caption=f"{len(task.classes)} classes, 5 labels per class. Mean and 95 % interval of the "
    f"paired difference over {len(FEW)} draws of the labels and the test glosses.",
)

# %% [markdown]
# Longpre et al. (2020) *fine-tuned* pretrained models and found that edits and back-translation give them little or nothing. Here the
# encoder is frozen, and only a head learns.

# %%
lab.verdict(
    "copies-help-pretrained",
    synonyms=gains["frozen: synonyms"],
    back_translation=gains["frozen: back-translation"],
    eda=gains["frozen: eda"],
    exploring=EXPLORING,
)

# %% [markdown]
# What could this experiment have found? From the width of an interval follows the smallest true gain that it would call larger than
# 0.01, the smallest effect of interest, in four of five repetitions. Read every “inconclusive” with this number beside it.

# %%
from scipy.stats import t


def detectable(gain):
    """The smallest true gain that lies above 0.01 by its 95 % interval in 80 % of repetitions."""
    error = (gain.high - gain.low) / 2 / t.ppf(0.975, gain.n - 1)
    return 0.01 + error * (t.ppf(0.975, gain.n - 1) + t.ppf(0.8, gain.n - 1))


for name, gain in gains.items():
    print(f"{name:>26}: {gain.short(signed=True)}, would find {detectable(gain):.3f} or more")

# %% [markdown]
# Who gains more? The difference of the two gains is taken draw by draw and gloss by gloss, on both tasks.


# %%
def more_for_scratch(name):
    """The gain from scratch - the gain on the frozen encoder, with the same draws of the labels."""
    network, head = scratch[name], frozen[name]
    hits, sizes = head.hits("synonyms", 5)
    on_frozen = hits - head.hits("none", 5)[0]
    from_nothing = network.hits("synonyms", 5)[0] - network.hits("none", 5)[0]
    over = f"{len(FEW)} seeds x {len(sizes)} glosses"
    rested = min(network.at_rest(operation, 5) for operation in ("synonyms", "none"))
    rest = [("scratch", rested)]  # a head is fitted to the end
    return lab.crossed_interval(from_nothing - on_frozen, sizes, "accuracy", over, rest)


more = {name: more_for_scratch(name) for name in NAMED}
lab.recall("who", f"gain from scratch - gain on the frozen encoder = {more[CLASSES]}")

# %%
lab.verdict("scratch-gains-more", five=more[CLASSES], all=more[OTHER], exploring=EXPLORING)

# %% [markdown]
# ## Measure it: the exchange rate
#
# How many labels is one label worth once there are copies? Chapter 02 derived it: go along the curve without augmentation until it
# reaches the accuracy with it. Where the curve is flat, a small gain is worth many labels, so a rate's interval is wide there.


# %%
def rate(learner, operation, k):
    """What a label with an operation's copies is worth at k labels per class."""
    shots, (answers, sizes) = learner.curve("none")[0], learner.hits("none")
    copied = learner.hits(operation, k)[0]
    rest = learner.rest("none") + learner.rest(operation, k)
    return lab.exchange_rate(shots, answers, k, copied, sizes, rest=rest, clusters="glosses")


ways = ("synonyms", "back-translation", "eda")
rates = {f"{who}: {way}": rate(main[who], way, 5) for who in WHO for way in ways}
elsewhere = rate(scratch[OTHER], "synonyms", 5)
rates[f"scratch, {len(other.classes)} classes: synonyms"] = elsewhere

# %% folded=true
lab.figures.bars(
    rates,
    title="Which copies save labels?",
    x="labels without copies that one label with copies is worth",
    line=1.0,
    caption="At 5 labels per class, 95 % intervals over draws of the labels and the test glosses. "
    "Left of the dashed line the copies cost labels.",
)

# %%
lab.record(
    exchange_rate_frozen_synonyms=rates["frozen: synonyms"],
    exchange_rate_frozen_backtranslation=rates["frozen: back-translation"],
    exchange_rate_scratch_synonyms=rates["scratch: synonyms"],
    exchange_rate_scratch_synonyms_elsewhere=elsewhere,
    headline="exchange_rate_scratch_synonyms",
)

# %% [markdown]
# Two conditions make the claim: a label with synonyms is worth more than one, and this worth falls as labels are added.

# %%
learner = scratch[CLASSES]
last = max(k for k in POINTS[CLASSES]["synonyms"] if k <= 20)
shots, (answers, sizes) = learner.curve("none")[0], learner.hits("none")
falls = lab.evidence.rate_ratio(
    shots,
    answers,
    (5, learner.hits("synonyms", 5)[0]),
    (last, learner.hits("synonyms", last)[0]),
    sizes,
    rest=learner.rest("none") + learner.rest("synonyms"),
    clusters="glosses",
)
lab.verdict(
    "C1b",
    worth_five=rates["scratch: synonyms"],
    worth_all=elsewhere,
    falls_five=falls,
    exploring=EXPLORING,
)

# %% [markdown]
# ## Derive: does a text still say the same?
#
# An edit leaves most words as they are, and one word can turn what a text says. The names of the classes gave us a reader that
# needs no label. Let it read each gloss before the edit and after it: with $f$ the encoder and $g_c$ the features of the name of
# class $c$, a gloss $x$ is about
#
# $$\operatorname*{arg\,max}_c \frac{f(x) \cdot g_c}{\lVert f(x) \rVert\, \lVert g_c \rVert}$$
#
# and its copy $x'$ keeps the **meaning**, as far as these names can tell, where that is the same class. Cosine similarity of
# sentence features is how such encoders are trained and tested (Reimers & Gurevych 2019).
#
# ## Write it


# %% exercise="meaning_kept"
def meaning_kept(before, after, names):
    """The share of texts that have the same nearest name before and after an edit.

    before, after: features of the texts and of their edited copies, floats (n, D), row by row.
    names: features of the names, (C, D). Rows have any length but 0. The nearest name of a text has
    the largest cosine similarity with it. Returns a number from 0 to 1.
    """
    ### BEGIN SOLUTION
    # The length of a text's own row is the same for all names and changes no order.
    directions = F.normalize(names, dim=1)
    nearest_before = (before @ directions.T).argmax(dim=1)
    nearest_after = (after @ directions.T).argmax(dim=1)
    return (nearest_before == nearest_after).float().mean().item()
    ### END SOLUTION


# %% [markdown]
# ## Measure it: which edit keeps what a text says?

# %%
kept_of = lab.yours_or_ours(meaning_kept)
class_names = sentence_features([TEMPLATE.format(name=name) for name in task.classes])
kept = {
    key: kept_of(features_of(judged_texts), features_of(copies), class_names)
    for key, copies in altered.items()
}
for key, share in kept.items():
    interval = lab.share_interval(round(share * len(judged)), len(judged))
    print(f"{key[0]:>17}, strength {key[1]}: {interval}")

# %% [markdown]
# Compare the edits at equal strength: which of them keep the words and only move them, and does their order matter to this
# encoder? Which put other words in their place, and are these always synonyms of what was meant? One limit: of a gloss that was
# nearest to a wrong name from the start, this share asks only that it stays there. For labels you need a reader that was right.
#
# ## Derive: does the label survive?
#
# Let a **judge** classify each gloss before the edit and after it: a linear head on MiniLM, trained on drawn glosses that it does
# not judge. Where it was right before and names another class after, the label has *flipped*. The share of flips is a share of
# independent glosses, so its interval is Wilson's. The judge errs too: a flip means that it *thinks* so.
#
# ## Write it

# %% exercise="flip_rate"
from scipy.stats import binomtest


def flip_rate(before, after, labels):
    """The share of labels that flip: of the glosses classified correctly, those whose copy is not.

    before, after: the judge's class numbers for gloss and copy, whole numbers (n,). labels: the
    true ones (n,); at least one gloss is classified correctly. Returns three numbers: share, low
    and high end of Wilson's 95 % interval: binomtest(flipped, n).proportion_ci(method="wilson").
    """
    ### BEGIN SOLUTION
    right = before == labels
    flipped, n = int((after[right] != labels[right]).sum()), int(right.sum())
    low, high = binomtest(flipped, n).proportion_ci(method="wilson")
    return flipped / n, low, high
    ### END SOLUTION


# %% [markdown]
# ## Measure it: flipped labels
#
# Another judge may say otherwise, so there are three. Each learned from a random half of the glosses.

# %%
from fewshot_lab.training import Estimate

flips_of = lab.yours_or_ours(flip_rate)
teaching = sorted({row for seed in FEW for row in task.rows(MOST, seed).tolist()} - set(judged))
teaching_features = features_of([task.train_texts[row] for row in teaching])
judged_labels = task.train_labels[judged]
judges = []
for seed in range(3):
    half = torch.randperm(len(teaching), generator=torch.Generator().manual_seed(seed))
    half = half[: len(teaching) // 2]
    taught = teaching_features[half], task.train_labels[teaching][half]
    judges.append(methods.linear_head(*taught, len(half), balanced=True))

# %%
flips = []  # a dictionary for each judge
for judge in judges:
    before = judge(features_of(judged_texts)).argmax(1)
    n_right = int((before == judged_labels).sum())
    print(f"A judge classifies {n_right} of {len(judged)} glosses correctly.")
    shares = {}
    for key, copies in altered.items():
        after = judge(features_of(copies)).argmax(1)
        shares[key] = Estimate(*flips_of(before, after, judged_labels), n_right, "share")
    flips.append(shares)
for key in altered:
    said = ", ".join(f"{shares[key].mean:.2f}" for shares in flips)
    print(f"{key[0]:>17}, strength {key[1]}: {said}")

# %% folded=true
lab.figures.curves(
    {name: (STRENGTHS, [flips[0][name, a] for a in STRENGTHS]) for name in EDITED},
    title="How often does a judge see the label flip?",
    x="strength α",
    y="share of flipped labels",
    ticks=STRENGTHS,
    levels={"back-translation": flips[0]["back-translation", STRENGTHS[0]].mean},
    caption="The first judge, on glosses that it classifies correctly; bands: Wilson's 95 % "
    "interval over these glosses, for this judge and these copies. At which strength do the edits "
    "differ? Dashed: back-translation, which has no strength.",
)

# %%
lab.record(
    label_flips_synonyms=flips[0]["synonyms", STRENGTHS[0]],
    label_flips_backtranslation=flips[0]["back-translation", STRENGTHS[0]],
)

# %% [markdown]
# ## See: what do *you* say?
#
# The judge sees words, you see meaning. Here are twenty copies at the mildest strength. Does each still describe
# something of its class?

# %%
asked = random.Random(SEED).sample(range(len(judged)), 20)
ways = [name for name in (*EDITED, "back-translation") for _ in range(4)]
shown = [altered[name, STRENGTHS[0]][row] for name, row in zip(ways, asked)]
marker = lab.widgets.LabelMarker(shown, [task.classes[judged_labels[row]] for row in asked])
marker

# %% [markdown]
# Run the next cell again when you have marked them.

# %%
changed, answered = marker.counts()
by_judge = int((judges[0](features_of(shown)).argmax(1) != judged_labels[asked]).sum())
yours = lab.share_interval(changed, answered) if answered else "no mark yet"
print(f"You: {yours}")
print(
    f"The judge names another class for {by_judge} of the same {len(shown)}, with its own errors "
    "on the glosses themselves."
)

# %% [markdown]
# ## Predict: texts that nobody wrote
#
# Edits say again what a labelled text says. A language model (语言模型) can write new ones: name a class, and what it writes is *of*
# that class, if it does as it was told. Such texts need no label (**ZeroGen**, Ye et al. 2022).

# %%
lab.predict(
    "written",
    "A small language model writes glosses for each class. What do they give a network from "
    "scratch that has 5 labels per class?",
    ["more than synonyms", "as much as synonyms", "less than synonyms"],
)

# %% [markdown]
# ## Derive: how it writes
#
# Token by token. After each one the model gives every token $v$ of its vocabulary a probability $P(v)$, and one is drawn. The most
# probable alone would write one text again and again; drawing from all lets an absurd one through now and then, since there are
# thousands of them. **Nucleus sampling** (核采样; Holtzman et al. 2020) draws from the smallest set of most probable tokens that
# together reach $p$:
#
# $$\sum_{v \in V^{(p)}} P(v) \ge p, \qquad P'(v) = \frac{P(v)}{\sum_{u \in V^{(p)}} P(u)} \text{ for } v \in V^{(p)}, \text{ else } 0$$
#
# ## Write it: the nucleus


# %% exercise="nucleus"
def nucleus(probabilities, p):
    """The distribution over the smallest set of most probable tokens that together reach p.

    probabilities: float tensor (n, V), each row sums to 1. p: above 0, at most 1. The set of a row
    is the smallest whose sum is at least p. Returns (n, V): 0 outside of the set, and inside the
    probabilities divided by their sum. Tokens stay in their places.
    """
    ### BEGIN SOLUTION
    ordered, tokens = probabilities.sort(dim=1, descending=True)
    before = ordered.cumsum(dim=1) - ordered
    kept = torch.zeros_like(probabilities).scatter(1, tokens, ordered * (before < p))
    return kept / kept.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% [markdown]
# ## See: what it writes
#
# The model is SmolLM2, with 135 million weights. Its prompt was set by hand and chosen by no accuracy; $p = 0.9$, among the 50 most
# probable tokens. Tokens that begin with the name of the class are barred, since the task has no gloss with it. Every draw of the labels
# gets texts of its own, so that intervals below also draw the writer anew. All texts grow together, and what the model computed for the
# tokens so far is kept (the KV cache of chapter 09).

# %%
from fewshot_lab.methods import prompts, written_texts
from fewshot_lab.models.language import smollm2_if_here

LM = smollm2_if_here(DEVICE)  # None, and a line that says why, where it cannot be had
ASKED = lab.quick_or_full(8 if CLASSES == "five" else 2, 40, smoke=6)  # per class and draw
meant = [label for label in range(len(task.classes)) for _ in range(ASKED)]
names = [task.classes[label] for label in meant] * len(FEW)
draws = [
    torch.rand(len(meant), written_texts.MOST_TOKENS, generator=torch.Generator().manual_seed(seed))
    for seed in FEW
]
asked = [written_texts.PROMPT.format(name=name) for name in names]
options = {
    "without": names,
    "nucleus": lab.yours_or_ours(nucleus),
    "progress": lambda batches: lab.progress_bar(batches, "batches of written texts"),
}
texts = written_texts.write(*LM, asked, torch.cat(draws), **options) if LM else []
raw = {seed: texts[n * len(meant) :][: len(meant)] for n, seed in enumerate(FEW) if LM}
for name, gloss in list(zip(names, texts))[: len(meant) : ASKED // 2]:
    print(f"{name:>10}: {gloss}")

# %% [markdown]
# ## Measure it: has it read the test?
#
# WordNet is in many collections of web texts, so the model may have read these very glosses. What it learned from them cannot be taken
# out again; what it *copies* can be found. Compare each text with the glosses of all nouns: a **near copy** shares three quarters of
# its words, in a row, with one of them. Near copies of a *test* gloss are thrown away, and so are texts that the task would not have
# (with the name of their class in them, or of fewer than three words) and repetitions.

# %%
from fewshot_lab.data.wordnet import synsets


def nearest(texts, sources):
    """For each text the gloss with its longest run of words, and the run's share of the text."""
    return dict(zip(texts, written_texts.longest_runs(texts, sources)))


every_text = sorted({text for texts in raw.values() for text in texts})
everywhere = nearest(every_text, [synset.gloss for synset in synsets("n")])
in_test = nearest(every_text, task.test_texts)
usable = {}  # {draw: (texts, labels)}
for seed, texts in raw.items():
    label_of = {
        text: label
        for text, label in zip(texts, meant)
        if written_texts.usable(text, task.classes[label]) and in_test[text][0] < written_texts.NEAR
    }
    usable[seed] = list(label_of), list(label_of.values())

# %%
if LM:
    near = [text for text in every_text if everywhere[text][0] >= written_texts.NEAR]
    test_copies = sum(share >= written_texts.NEAR for share, _ in in_test.values())
    near_copies = lab.share_interval(len(near), len(every_text))
    print(f"{near_copies} of the written texts are near copies, {test_copies} of a test gloss.")
    for gloss in sorted(near, key=len)[-3:]:
        print(f"{gloss}\n    {everywhere[gloss][1]}")
    left = sum(len(texts) for texts, _ in usable.values())
    print(f"{left} of {len(meant) * len(raw)} texts are usable.")

# %% [markdown]
# ## Derive: a filter without labels
#
# A small model does not always write what it was told. So let the same model *read* each text and name its class, as chapter 09 does:
# $s_c = \log P(\text{the name of class } c \mid \text{the text in a template})$, less the mean of $s_c$ over all texts of the draw
# (mean-logit calibration; the template is that of chapter 09). Keep a text when the class that it was written for leads all others
# by a margin. No label is needed, and no text that is not its own.
#
# ## Write it: the filter


# %% exercise="keep_read_back"
def keep_read_back(scores, meant, margin):
    """Which texts are read back as the class that they were written for.

    scores: float tensor (n, classes). meant: whole numbers (n,), the class that each was written
    for. margin: a number, 0 or more. Returns booleans (n,): True where the score of the meant
    class is at least `margin` above that of every other class.
    """
    ### BEGIN SOLUTION
    own = scores.gather(1, meant[:, None])[:, 0]
    others = scores.scatter(1, meant[:, None], -torch.inf).amax(dim=1)
    return own - others >= margin
    ### END SOLUTION


# %%
READ, MARGIN = lab.chosen("prompt-template"), 0.0
read_back_as_meant = lab.yours_or_ours(keep_read_back)
passed = {}  # as usable
for seed, (texts, labels) in usable.items():
    scores = prompts.continuation_scores(*LM, texts, READ, task.classes)
    calibrated = prompts.mean_logit_calibration(scores, scores)
    stays = read_back_as_meant(calibrated, torch.tensor(labels), MARGIN).tolist()
    passed[seed] = [[one for one, yes in zip(some, stays) if yes] for some in (texts, labels)]
if LM:
    stayed = sum(len(texts) for texts, _ in passed.values())
    print(f"{stayed} of {left} texts are read back as meant.")

# %% [markdown]
# ## Measure it: are the labels right?
#
# The judges from above are another model and learned from real glosses, so they can say how many written texts are of another class
# than the one asked for, before the filter and after it. They err too: look at what they say of real test glosses first.


# %%
def errors_by_judges(texts, labels):
    """The share of judges that name another class than the label, for each text."""
    z, truth = features_written(texts), torch.as_tensor(labels)
    return torch.stack([(judge(z).argmax(1) != truth).float() for judge in judges]).mean(0)


if LM:
    features_written = features_by_text(
        {text for texts, _ in usable.values() for text in texts}.union(tests[CLASSES][0]),
        device=DEVICE,
        progress=lambda batches: lab.progress_bar(batches, "batches of written texts"),
    )
    wrong = {
        name: [{"seed": s, "share": errors_by_judges(*some[s]).mean().item()} for s in FEW]
        for name, some in {"as written": usable, "kept": passed}.items()
    }
    wrong = lab.training.Arms(wrong, result="share", unit="share of labels")
    on_real = errors_by_judges(*tests[CLASSES])
    of_real = lab.mean_interval(on_real.tolist(), "share of labels").within(0, 1)
    label_errors = {"real test glosses": of_real}
    label_errors |= {name: wrong.interval(name).within(0, 1) for name in wrong.rows}

# %% folded=true
lab.figures.bars(
    label_errors,
    title=f"The judges see another class in {label_errors['as written'].mean:.0%} of "
    f"the written texts, in {label_errors['kept'].mean:.0%} of those kept",
    x="share of texts in which the judges see another class",
    caption=f"Mean of {len(judges)} judges and 95 % interval over {len(FEW)} draws of the "
    "written texts, for real glosses over the glosses. The judges err on real glosses too, and a "
    "text that writer and judges both misread counts as right.",
) if LM else None

# %%
lab.verdict(
    "filter-lowers-errors", kept=wrong.gain("kept", over="as written"), exploring=EXPLORING
) if LM else None

# %% [markdown]
# ## Measure it: how different are they?
#
# A training set of many texts that say one thing is a small one. In equally many texts, how many of the sequences of three words
# (trigrams) are different ones?


# %%
def distinct(texts_of_draw):
    """The share of different trigrams among equally many texts of every draw and kind."""
    chosen = [random.Random(seed).sample(texts_of_draw(seed), COMMON) for seed in FEW]
    shares = [written_texts.distinct_share(texts) for texts in chosen]
    return lab.mean_interval(shares, "share", f"{len(FEW)} draws").within(0, 1)


def copies_by_synonyms(seed):
    """The copies of the labelled glosses, without the glosses."""
    return training_set(task, "scratch", "synonyms", 5, seed)[0][5 * len(task.classes) :]


if LM:
    kinds = {
        "real glosses": lambda seed: task.draw(MOST, seed)[0],
        "written": lambda seed: passed[seed][0],
        "synonyms": copies_by_synonyms,
    }
    COMMON = min(len(texts_of_draw(seed)) for texts_of_draw in kinds.values() for seed in FEW)
    variety = {name: distinct(texts_of_draw) for name, texts_of_draw in kinds.items()}
    for name, share in variety.items():
        print(f"{name:>12}: {share.short()} of the trigrams of {COMMON} texts are different")

# %% [markdown]
# ## Measure it: what do they teach?
#
# Both learners again, with 5 labels per class and the texts that were kept. A head also learns from all usable texts, to see what the
# filter is worth, and from written texts alone, with no label at all.


# %%
def labelled_and_written(shots, seed, some=passed):
    """A draw's labelled glosses, then its written texts: texts and labels."""
    texts, labels = task.draw(shots, seed) if shots else ([], torch.tensor([], dtype=int))
    return texts + some[seed][0], labels.tolist() + some[seed][1]


def settings_written(shots, seed):
    """What a training from scratch gets."""
    return dict(zip(("texts", "labels"), labelled_and_written(shots, seed)))


if LM:
    same = {
        way: [row for row in some if row["seed"] in FEW]
        for way, some in scratch[CLASSES].rows.items()
    }
    reading = {"axis": "shots", "unit": "accuracy", "clusters": "glosses"}
    beside = {"scratch": lab.training.Arms(same, **reading), "frozen": main["frozen"]}
    beside["scratch"] |= lab.arms(
        from_scratch,
        {"written": settings_written},
        seeds=FEW,
        at={"written": [5]},
        classes=CLASSES,
        per_class=PER_CLASS[CLASSES],
        steps=STEPS[CLASSES],
        learning_rate=lab.chosen("gloss-rate"),
        **reading,
    )


# %%
def head_row(seed, shots, some):
    """What a head on the frozen encoder reaches with a draw's labels and written texts."""
    texts, labels = labelled_and_written(shots, seed, some)
    real = len(texts) - len(some[seed][0])
    z = torch.cat([features_of(texts[:real]), features_written(texts[real:])])
    # As many texts' weight as the labelled ones have, so that regularisation stays what it was.
    options = {"C": lab.chosen("gloss-head"), "balanced": True}
    head = methods.linear_head(z, torch.tensor(labels), 5 * len(task.classes), **options)
    return {"shots": 5, "seed": seed} | scored(head(features_of(tests[CLASSES][0])), CLASSES)


if LM:
    with_written = {"written": (5, passed), "written, all": (5, usable), "no label": (0, passed)}
    made = {name: [head_row(seed, *one) for seed in FEW] for name, one in with_written.items()}
    beside["frozen"] |= lab.training.Arms(made, **reading)
    alone = beside["frozen"].interval("no label", 5)
    print(f"A head on written texts, no label: {alone}; the classes' names: {free[CLASSES]}")

# %% [markdown]
# ## Read it
#
# Paired with the same labels without anything else, as before. Compare the two rows of the frozen encoder that hold written texts:
# in one of them the texts with wrong labels are still there.

# %% folded=true
gained = {
    f"{who}: {way}": beside[who].gain(way, 5, over="none")
    for who in (("scratch", "frozen") if LM else ())
    for way in ("written", "written, all", "synonyms", "back-translation")
    if way in beside[who].rows
}
lab.figures.bars(
    gained,
    title=f"From scratch, written texts add {gained['scratch: written'].mean:+.3f}, synonyms "
    f"{gained['scratch: synonyms'].mean:+.3f}",
    x="test accuracy with these texts - without",
    line=0.0,
    digits=3,
    caption=f"{len(task.classes)} classes, 5 labels per class, up to {ASKED} written texts per "
    f"class. Mean and 95 % interval over {len(FEW)} draws of labels and written texts and the "
    "test glosses. “written, all”: without the filter.",
) if LM else None

# %%
lab.record(
    written_k5=beside["scratch"].interval("written", 5),
    written_frozen_k5=beside["frozen"].interval("written", 5),
    written_no_label=alone,
    exchange_rate_written=rate(beside["scratch"], "written", 5),
    label_errors_as_written=label_errors["as written"],
    label_errors_kept=label_errors["kept"],
    written_near_copies=near_copies,
    distinct_trigrams_written=variety["written"],
) if LM else None

# %%
if LM:
    more_than_copies = beside["scratch"].gain("written", 5, over="synonyms")
    lab.recall("written", f"written texts - synonyms = {more_than_copies}")

# %%
lab.verdict(
    "written-texts-help",
    scratch=gained["scratch: written"],
    frozen=gained["frozen: written"],
    exploring=EXPLORING,
) if LM else None

# %% [markdown]
# The model that wrote has read more than any student here, and perhaps this dictionary: “5 labels” are 5 labels *from us*. Ye et al.
# wrote up to 200,000 texts with models of up to some ten times this size, for students that had no label at all. Others keep the texts that
# the writer finds most likely (SuperGen, Meng et al. 2022), or learn a weight for each (SunGen, Gao et al. 2023).

# %% [markdown]
# ## See: what people say
#
# A gloss has one right class, and the dictionary knows it. Of an *opinion* there is only what people think. Hutto & Gilbert
# (2014) asked 15 people or more about each of 23,703 sentences, from -4 (extremely negative) to 4. Here a sentence is
# *positive* or *negative* where more than half of its raters say so, and left out where no side has so many: such tasks are
# easier than life. Heads learn from film reviews, and settings are chosen on them; later some learn from product reviews, which
# are cut into sentences, and one review's sentences are in one part.

# %%
from fewshot_lab.data import opinions

films, products = opinions.task("films"), opinions.task("products")
print("Scores:", " ".join(f"{score:3d}" for score in opinions.SCORES))
for row in (*range(0, 900, 300), 900):
    counts = " ".join(f"{count:3d}" for count in films.train_counts[row].tolist())
    print(f"people: {counts}  {films.train_texts[row]}")

# %% [markdown]
# How well does one *person* do? Compare each rater with the majority of the others; who says 0 gives no answer, which counts as
# half. Only texts with a clear majority are here, the compared rater among those who made it: on all sentences people agree less.
# A classifier that reaches this is as good as one person. It is no strict ceiling: a model that learns what most people share can
# agree with them more often than one of them does.

# %%
people = {}
for domain in opinions.DOMAINS:
    counts, documents = opinions.task(domain).test_counts, opinions.task(domain).test_documents
    people[domain] = lab.clustered_interval(
        opinions.one_against_others(counts),
        documents,  # another review would bring all its sentences
        unit="accuracy",
        over=f"{len(documents.unique())} documents ({len(documents)} texts)",
    )

# %% folded=true
lowest = min(people, key=lambda domain: people[domain].mean)
lab.figures.bars(
    people,
    title=f"One rater agrees with the others least often on {lowest}: {people[lowest].mean:.2f}",
    x="accuracy of one rater, the majority of the others being right",
    line=0.5,
    caption="Test texts, both sides equally often; mean over their raters, 95 % interval over "
    "reviews and editorials (each film review and each tweet is one text). Only texts with a clear "
    "majority are here, the compared rater among those who made it: on all sentences people agree "
    "less.",
)

# %%
lab.record(human_ceiling=people["films"])

# %% [markdown]
# ## Measure it: edits, copies and shares on opinions
#
# The same frozen encoder and the same edits, without round trips, which were recorded for glosses only. A copy that lost its
# *not* is a new sort of flipped label. And one more way to use the same texts: instead of the majority's answer, the **shares**
# of the people on either side (soft labels, 软标签). They cost nothing where several people were asked anyway.

# %%
OPINION_EDITS = {op: lab.chosen(f"opinions-{op}") for op in ("synonyms", "deletion")}
HEADS = {
    kind: lab.chosen(name)
    for kind, name in {"majority": "opinions-head", "shares": "opinions-head-soft"}.items()
}
REVIEWS = {"films": films, "products": products}
OPINION_SHOTS = [1, 4, 16]
every_review = slice(None, None, lab.quick_or_full(1, smoke=20))
print(OPINION_EDITS, HEADS)


def opinion_set(domain, operation, shots, seed):
    """Labelled reviews and their copies: texts and labels; the labelled ones come first."""
    texts, labels = REVIEWS[domain].draw(shots, seed)
    chosen = OPINION_EDITS.get(operation, {"alpha": 0, "copies": 0})
    return enlarge(texts, labels.tolist(), copier(operation, chosen["alpha"]), chosen["copies"])


TRAINED = [("films", "none"), ("films", "synonyms"), ("films", "deletion"), ("products", "none")]
grid = lab.combinations(trained=TRAINED, shots=OPINION_SHOTS, seed=SEEDS)
made = [opinion_set(*one["trained"], one["shots"], one["seed"]) for one in grid]

# %%
reviews = {text for texts, _ in made for text in texts}
read_features = features_by_text(
    reviews.union(*(of.test_texts[every_review] for of in REVIEWS.values())),
    device=DEVICE,
    progress=lambda batches: lab.progress_bar(batches, "batches of reviews"),
)


def tested_on(domain, head):
    """Test accuracy of a head, and its correct answers by review, whose sentences stay together."""
    of = REVIEWS[domain]
    answers, labels = head(read_features(of.test_texts[every_review])), of.test_labels[every_review]
    hits = hits_by_picture(answers, labels, of.test_documents[every_review])
    return {"test_accuracy": accuracy(answers, labels)} | hits


# %%
rows_on = {domain: {} for domain in REVIEWS}
for one, (texts, labels) in zip(lab.progress_bar(grid, "heads"), made):
    (domain, operation), at = one["trained"], {name: one[name] for name in ("shots", "seed")}
    rows = REVIEWS[domain].rows(**at)
    z, y = read_features(texts), torch.tensor(labels)
    fitted = methods.linear_head(z, y, len(rows), C=HEADS["majority"], balanced=True)
    heads = {operation: fitted}
    if (domain, operation) == ("films", "none"):
        z, y = z[: len(rows)], opinions.soft_labels(REVIEWS[domain].train_counts[rows])
        heads["shares"] = methods.linear_head(z, y, len(rows), C=HEADS["shares"])
    for name, head in heads.items():
        if domain == "films":
            rows_on["films"].setdefault(name, []).append(at | tested_on("films", head))
        if name == "none":
            rows_on["products"].setdefault(domain, []).append(at | tested_on("products", head))
on = {
    domain: lab.training.Arms(some, axis="shots", unit="accuracy", clusters="reviews")
    for domain, some in rows_on.items()
}

# %% [markdown]
# ## Read it
#
# Look at the height first: how far is a head on 16 labels of each side from one person? Then at the distances between the
# curves.

# %% folded=true
reached = on["films"].mean("none", OPINION_SHOTS[-1])
lab.figures.curves(
    {name: on["films"].curve(name) for name in ("none", "synonyms", "deletion", "shares")},
    title=f"Film reviews: {reached:.2f} with {OPINION_SHOTS[-1]} labels per class; one rater "
    f"{people['films'].mean:.2f}",
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=OPINION_SHOTS,
    levels={"one rater": people["films"].mean},
    caption=f"Linear head on MiniLM. Mean and 95 % interval over {len(SEEDS)} draws of the labels "
    "and the test reviews. “shares”: the same texts as none, with the shares of the raters.",
)

# %%
lab.record(
    opinions_head_k4=on["films"].interval("none", 4),
    opinions_head_k16=on["films"].interval("none", 16),
    opinions_synonyms_k4=on["films"].interval("synonyms", 4),
    opinions_shares_k16=on["films"].interval("shares", 16),
)

# %%
lab.verdict(
    "copies-on-opinions",
    **{op: on["films"].gain(op, 4, over="none") for op in OPINION_EDITS},
)

# %%
lab.verdict(
    "shares-teach-more",
    k4=on["films"].gain("shares", 4, over="none"),
    k16=on["films"].gain("shares", 16, over="none"),
)

# %% [markdown]
# Another domain: sentences about DVD and music players, cameras and telephones. Is a label from there worth more than one from
# films?

# %% folded=true
there = {source: on["products"].mean(source, OPINION_SHOTS[-1]) for source in REVIEWS}
lab.figures.curves(
    {f"trained on {source}": on["products"].curve(source) for source in REVIEWS},
    title=f"Product reviews, {OPINION_SHOTS[-1]} labels per class: {there['products']:.2f} from "
    f"products, {there['films']:.2f} from films",
    x="labels per class",
    y="test accuracy on products",
    log_x=True,
    ticks=OPINION_SHOTS,
    levels={"one rater": people["products"].mean},
    caption=f"Linear head on MiniLM; settings chosen on films. Mean and 95 % interval over "
    f"{len(SEEDS)} draws of the labels and the test reviews, whose sentences stay together.",
)

# %%
lab.record(opinions_products_from_films_k16=on["products"].interval("films", 16))

# %%
lab.verdict("own-domain-pays", products=on["products"].gain("products", 16, over="films"))

# %% [markdown]
# ## Recap
#
# * Text has no small turn. Synonyms, edits and round trips each keep the label only most of the time: measure how often.
# * Compare copies with what costs less: the classes' names, a pretrained encoder, one more label. The exchange rate says when to
#   label instead.
# * Classes whose glosses have more synonyms get more copies. Let every class count the same, or you measure that.
# * A language model writes texts for a class, and not always of it: let it read them back, and look for copies of your test.
# * “We found no effect” needs its other half: how small an effect you would have found.
# * Opinions have no answer but people's. Ask several, and know how often one agrees with the others before you ask a
#   classifier for more.
#
# **A sentence to repair.** The article names “rotation, scaling, flip, crop, back-translation and text washing” in one breath, for
# images. An image is not in a language, so there is nothing to translate it into, and no words to wash. Both belong to text. What
# comes nearest for images is to describe one in words and draw it again, or to carry it to another style and back: each needs a
# generator, and chapter 08 shows what those get wrong.
#
# **Questions.** 1. Swapping words changes nothing for a model that counts words. Why can it still change the result of the
# convolutional network? 2. The judge and the encoder are the same model. What does that do to the flip rate? 3. You may
# back-translate *test* glosses and average the answers. Is that augmentation, and what could it gain?
#
# <details><summary>Short answers</summary>
#
# 1. The convolutional network reads windows of neighbouring words. A swap gives its filters other neighbours, hundreds of words it
# never saw side by side, and that can teach it to rely on single words, or spoil the pairs that matter. 2. What the encoder does
# not see of an edit, the judge does not see either, so such flips are missed. And an edit that confuses this model, though people read
# the same in it, counts as a flip and spoils the training on the encoder for one and the same reason. A judge of another kind, or people,
# would tell the two apart. 3. It changes no training, so it is test-time
# averaging (chapter 02 does it with views of a picture). It can gain where a round trip changes the words and not the meaning, since
# errors of single wordings then average out; where the translator loses the meaning it costs. And it is as dear as the translator.
#
# </details>
#
# **Going further.** Wei & Zou 2019 (EMNLP), EDA; Sennrich, Haddow & Birch 2016 (ACL), back-translation; Longpre et al. 2020
# (Findings of EMNLP), how effective is task-agnostic augmentation for pretrained transformers; Kobayashi 2018 (NAACL), contextual
# augmentation; Ye et al. 2022 (EMNLP), ZeroGen; Meng et al. 2022 (NeurIPS), SuperGen; Gao et al. 2023 (ICLR), SunGen; Holtzman et
# al. 2020 (ICLR), nucleus sampling; Xie et al. 2020 (NeurIPS), consistency training with back-translation; Hutto & Gilbert 2014 (ICWSM), the rated
# opinions; Kim 2014 (EMNLP), convolutional networks for sentences; Wang et al. 2020 (NeurIPS), MiniLM; Dai et al. 2023
# (arXiv:2302.13007), paraphrases by a large language model, which this chapter does not measure. In production: `nlpaug` for
# edits, a neural translator such as MarianMT of `transformers` for round trips.

# %% [markdown]
# ## On your own data
#
# Which edits change the label of *your* texts? Write the path of a table with a text and a label in
# each row (CSV, TSV or JSON lines) in place of `None`; until then 300 glosses stand in.

# %%
FILE = None  # "texts.csv": a table with a text and a label in each row
lab.own.edits(lab.own.texts(FILE))
