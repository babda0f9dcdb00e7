# ---
# jupyter:
#   question: Does the whole pipeline add up, what would you buy with your budget, and what became of the claims?
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
# # 11 · Software 2.0, the capstone
#
# **When augmentation stops helping, what do you do then?** You have tried every stage alone. An article draws them as one
# pipeline (流水线): unlabelled data, self-supervision (自监督学习), augmentation (数据增强), adversarial training (对抗训练), few-shot
# training (小样本训练), distillation (知识蒸馏), instance generation (实例生成), prompt learning (提示学习). Does it work as a whole, and in
# that order?
#
# **After this chapter you can** take a pipeline apart by an ablation (消融实验), say whether gains add up, spend a budget of labels and
# minutes, read the verdicts on all the claims, move masks and boxes with their images, and enter a method of your own.
#
# **Time:** 90 minutes and a project. **Claim under test:** C12 (the stages stack, in that order).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "digits"  # "glyphs", "digits", "fashion" or "emoji"

# %%
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.augment import geometry
from fewshot_lab.augment.targets import polygon_boxes
from fewshot_lab.data import scenes
from fewshot_lab.evidence import budget, rate_words
from fewshot_lab.methods import generation, leaderboard, pipeline, text_pipeline

lab.setup("11", profile=PROFILE, seed=SEED, device=DEVICE)
task = generation.small_task(DATASET)  # at most 16 x 16 pixels, as chapter 08's generator makes
SEEDS = lab.seeds(4, 10)
SHOTS = 5  # labels per class: the budget of every pipeline
BEST_STEPS = lab.chosen("pipeline-steps")  # the quick profile takes fewer, for its time
STEPS = lab.quick_or_full(BEST_STEPS // 2, 2 * BEST_STEPS)  # of a first training
PATIENCE = 4 * STEPS // 3  # steps of a student, which has more images to learn from
STAGES = pipeline.STAGES
print(
    f"{SHOTS * len(task.classes)} labels, {len(task.train_labels):,} images without, "
    f"{len(task.test_labels)} to test on."
)

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "stack",
    "Six stages, each with a gain of its own. All six together gain ...",
    [
        "more than the sum of the six gains",
        "about the sum",
        "less than the sum",
        "less than the best stage alone",
    ],
)

# %%
lab.predict(
    "order",
    "Does the order of the stages matter?",
    ["no", "yes, the article's is the best", "yes, another one is better"],
)

# %% [markdown]
# ## The pipeline
#
# | stage | what it does here | from chapter |
# |---|---|---|
# | self-supervision | the network starts from SimCLR's weights, trained on all images without labels | 04 |
# | augmentation | every batch is changed by the right policy | 02 |
# | adversarial training | the network learns from adversarial examples of its images | 07 |
# | few-shot head | class means of the features classify in place of the trained linear layer | 05 |
# | distillation | what comes before is the *teacher*; a new network learns its answers to all images | 06 |
# | instance generation | a GAN of the labelled images adds images of its own | 08 |
# | prompt learning | on a text task, further down: images have no words | 09 |
#
# The article does not say what "in that order" means. This is our reading: **a stage is in force from its place on**. Without
# distillation there is one round of training. With it there are two, of as many steps together, and the order says which stages the
# *teacher* had; the student has all of them. All pipelines see the same K labels of each class, and all run the loop of chapter 02: a stage changes
# its start, its `augment`, its `loss` or its labels (`pipeline.fit_round`). A teacher that knew more labels would be smuggling them in.
#
# The policy's strength, the attack's radius, the student's loss and the GAN's game are those that the stages' chapters chose on
# validation images. Set by hand are SimCLR's steps, the 40 images that the GAN makes of each class, and the scale of the
# prototypes' logits.
#
# ## Derive: what "add up" means
#
# Let $a(S)$ be the test accuracy with the stages $S$. A stage $s$ has two gains: **alone** and as the **last** one of all $A$,
#
# $$g_{\text{alone}}(s) = a(\{s\}) - a(\emptyset), \qquad g_{\text{last}}(s) = a(A) - a(A \setminus \{s\})$$
#
# The second is the leave-one-out ablation. If gains add up, both are the same, and the **interaction** (交互作用) is zero:
#
# $$I = \big[a(A) - a(\emptyset)\big] - \sum_s g_{\text{alone}}(s)$$
#
# $I < 0$: the stages do the same work twice, or harm each other. $I > 0$: they need each other.
#
# ## Write it


# %% exercise="interaction"
def interaction(nothing, alone, joint):
    """What all stages together gain, minus the sum of what each gains alone, seed by seed.

    nothing: accuracies without any stage, float tensor (n,), one per seed. alone: with one stage
    each, (n, stages). joint: with all stages, (n,). Returns a float tensor (n,).
    """
    ### BEGIN SOLUTION
    return (joint - nothing) - (alone - nothing[:, None]).sum(dim=1)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: one by one, and one left out
#
# First the settings, and what all pipelines of a seed share: an encoder that saw no label, and a GAN that saw the K labels.


# %%
def recipe(dataset):
    """What the stages' chapters chose on validation images; the radius on emoji this chapter."""
    if dataset == "emoji":
        epsilon = lab.chosen("pipeline-radius-emoji")
    else:
        epsilon = lab.chosen(f"attack-radius-{dataset}") * lab.chosen(f"few-shot-radius-{dataset}")
    strength = lab.chosen(f"affine-strength-{dataset}")
    return pipeline.Recipe(strength, epsilon, **lab.chosen("self-training-loss"))


def shared(dataset, seeds):
    """The recipe, and one encoder and one generated set per seed, as `pipeline.measure` wants."""
    common = [{"dataset": dataset, "seed": seed} for seed in seeds]
    stages, (game, steps) = recipe(dataset), lab.chosen(f"gan-{dataset}")
    simclr = {"steps": lab.quick_or_full(160, 1000), "strength": stages.strength}
    gan = {"shots": SHOTS, "game": game, "steps": lab.quick_or_full(steps, 3 * steps, smoke=2)}
    return {
        **{"dataset": dataset, "seeds": seeds, "recipe": stages},
        "starts": lab.sweep(
            pipeline.fit_start, [c | simclr for c in common], description="encoders"
        ),
        "generated_sets": lab.sweep(
            pipeline.fit_generated, [c | gan for c in common], description="generators"
        ),
    }


# %% [markdown]
# Then every pipeline: nothing, each stage alone, all, all but one, three other orders, five packages for later, and the two that three
# stages still lack to be there in every combination. Equal seeds have equal labels and first weights, and what two pipelines share is
# trained once.


# %%
def but(stage):
    """The article's order without one stage."""
    return tuple(other for other in STAGES if other != stage)


ORDERS = {
    "distillation first": ("distillation", *but("distillation")),
    "distillation last": (*but("distillation"), "distillation"),
    "back to front": STAGES[::-1],
}
PACKAGES = {
    "labels only": (),
    "augmentation": STAGES[1:2],
    "+ self-supervision": STAGES[:2],
    "+ few-shot head": (*STAGES[:2], "few-shot head"),
    "+ distillation": (*STAGES[:2], "few-shot head", "distillation"),
}
arms = {"nothing": (), "all": STAGES, **{stage: (stage,) for stage in STAGES}, **ORDERS, **PACKAGES}
arms |= {f"without {stage}": but(stage) for stage in STAGES}
arms |= {f"{stage} and head": (stage, "few-shot head") for stage in STAGES[:2]}

# %% [markdown]
# A student has more images to learn from than its teacher, and gets more steps. A pipeline without distillation takes the steps of both
# in its only round, so that **all pipelines train equally long**. SimCLR's steps and the GAN's come on top, and count in the seconds.

# %%
equal_steps = {"steps": STEPS, "distilling_steps": PATIENCE}
settings = shared(DATASET, SEEDS) | equal_steps
rows = pipeline.measure(arms, shots=SHOTS, **settings)
pipelines = lab.training.Arms(rows, unit="accuracy")
print(f"With distillation {STEPS} + {PATIENCE} steps, without it {STEPS + PATIENCE}.")


# %% [markdown]
# ## Read it
#
# For each stage: what it gains alone, what it gains as the last one of six, and what it costs there. Is a stage that is good alone
# still good among the others?

# %%
alone = {stage: pipelines.gain(stage, over="nothing") for stage in STAGES}
last = {stage: pipelines.gain("all", over=f"without {stage}") for stage in STAGES}
costs = {  # a time is not still learning, so rest says nothing here
    stage: replace(pipelines.gain("all", over=f"without {stage}", of="seconds", unit="s"), rest=())
    for stage in STAGES
}

# %% folded=true
above = [stage for stage in STAGES if last[stage].low > 0]
lab.figures.panels(
    {"gain alone": alone, "gain as the last of six": last, "seconds that it costs": costs},
    title=f"Gains as the last of six after {STEPS + PATIENCE} steps, wholly above 0: "
    + (", ".join(above) or "none"),
    line=0.0,
    digits=3,
    caption=f"{task.name}, {SHOTS} labels per class. Paired differences in test accuracy and "
    f"time, 95 % intervals over {len(SEEDS)} seeds; accuracies also over the test pictures.",
)

# %% [markdown]
# What all six gain together, beside the sum of what each gains alone:

# %%
together = lab.yours_or_ours(interaction)
ARMS = ("nothing", *STAGES, "all")
# Not of accuracies but of the hits about each test picture, so that pictures are drawn anew too.
nothing, *singles, joint = (
    torch.as_tensor(pipelines.hits(arm)[0]).double().flatten() for arm in ARMS
)
pictures = pipelines.hits("all")[1]
apart = lab.crossed_interval(
    together(nothing, torch.stack(singles, dim=1), joint).reshape(len(SEEDS), -1),
    pictures,
    unit="accuracy",
    over=f"{len(SEEDS)} seeds x {len(pictures)} pictures",
    rest=sum((pipelines.rest(arm) for arm in ARMS), ()),
)
joint_gain = pipelines.gain("all", over="nothing")
best_stage = max(alone, key=lambda stage: alone[stage].mean)
summed = sum(value.mean for value in alone.values())
lab.recall(
    "stack",
    f"together {joint_gain.mean:+.3f}; the sum {summed:+.3f}; "
    f"the best alone ({best_stage}) {alone[best_stage].mean:+.3f}; interaction {apart}",
)

# %% [markdown]
# An interaction is a sum of seven numbers, and one of them can make it. Which single gain differs most from the same stage's gain as the
# last of six?

# %%
odd = max(STAGES, key=lambda stage: abs(last[stage].mean - alone[stage].mean))
print(
    f"{odd}: alone {alone[odd].short(True)}, as the last of six {last[odd].short(True)}. "
    f"Without its gain alone the sum would be {summed - alone[odd].mean:+.3f} and the interaction "
    f"{apart.mean + alone[odd].mean:+.3f}."
)

# %% [markdown]
# ## Read it: three stages in every combination
#
# Alone and as the last of six are two gains out of many. Self-supervision, augmentation and the few-shot head are there in all their
# $2^3 = 8$ combinations, a full factorial. It took no further training: the head needs none, so each round was tested with and without it.
#
# A stage's **main effect** is its gain in the mean over the four settings of the other two. The **interaction of two** is how much more
# one gains where the other is on than where it is off, in the mean over the third.

# %%
FACTORS = (*STAGES[:2], "few-shot head")
corners = {frozenset(some): arm for arm, some in arms.items() if set(some) <= set(FACTORS)}


def effect(*factors):
    """The main effect of a stage, or the interaction of two."""
    signs = {arm: np.prod([1 if f in on else -1 for f in factors]) for on, arm in corners.items()}
    answers = sum(sign * pipelines.hits(arm)[0] for arm, sign in signs.items())
    return lab.crossed_interval(
        answers * 2 ** len(factors) / len(corners),
        pictures,
        unit="accuracy",
        rest=sum((pipelines.rest(arm) for arm in signs), ()),
    )


main = {stage: effect(stage) for stage in FACTORS}
pairs = {" x ".join(two): effect(*two) for two in combinations(FACTORS, 2)}

# %% folded=true
told = [two for two, value in pairs.items() if value.low > 0 or value.high < 0]
lab.figures.bars(
    main | pairs,
    title="Interactions of two stages that can be told from 0: " + (", ".join(told) or "none"),
    x="difference in test accuracy",
    line=0.0,
    digits=3,
    caption=f"{task.name}, {SHOTS} labels per class. Three main effects, then three interactions "
    f"of two (x). 95 % intervals over {len(SEEDS)} seeds and the test pictures.",
)

# %% [markdown]
# A main effect close to the gain alone says that the other two stages change little about it. An interaction wholly below 0 says that two
# stages do some of the same work or harm each other, one wholly above 0 that they need each other. Where the interval holds 0, neither has
# been shown. Look at its length before you say that the two add up: only one that stays close to 0 says so.
#
# ## Read it: the order
#
# The student always has all six stages; only the teacher differs.

# %%
over_others = {f"stated order - {name}": pipelines.gain("all", over=name) for name in ORDERS}

# %% folded=true
means = {"stated order": pipelines.mean("all")} | {name: pipelines.mean(name) for name in ORDERS}
top = [name for name, mean in means.items() if np.isclose(mean, max(means.values()))]
lab.figures.bars(
    over_others,
    title=f"The highest mean of {len(means)} orders has: {', '.join(top)}",
    x="difference in test accuracy",
    line=0.0,
    digits=3,
    caption=f"Paired differences, 95 % intervals over {len(SEEDS)} seeds and the test pictures. "
    "Right of the dashed line the article's order is better.",
)

# %%
lab.recall("order", "; ".join(f"{name} {value}" for name, value in over_others.items()))

# %% [markdown]
# ## Measure it: prompting, on texts
#
# The last stage needs words. The task is that of chapters 03 and 09, broad classes of glosses (词典释义), with 2 labels per class and a
# linear head on the frozen encoder MiniLM. *Augmentation* adds copies with synonyms. *Prompting* asks SmolLM2 for the class of
# unlabelled glosses, calibrated and without any label, and the head learns from its answers too: distillation of a prompt. Each draw of
# the labels has unlabelled glosses of its own, and their mean score calibrates the prompt.

# %%
TEXT_SHOTS = 2
texts = text_pipeline.measure(
    shots=TEXT_SHOTS,
    seeds=SEEDS,
    unlabelled=lab.quick_or_full(40, 150),  # for each seed
    per_class=lab.quick_or_full(40, 100),
    device=DEVICE,
    progress=lambda batches: lab.progress_bar(batches, "batches of texts"),
)
text_arms = lab.training.Arms(texts, unit="accuracy", clusters="glosses")
prompting_last = text_arms.gain("both", over="augmentation")
prompting_alone = text_arms.gain("prompting", over="nothing")

# %% folded=true
lab.figures.bars(
    {arm: text_arms.interval(arm) for arm in texts},
    title=f"On texts, prompting gains {prompting_alone.mean:+.3f} alone and "
    f"{prompting_last.mean:+.3f} after augmentation",
    x="test accuracy",
    line=text_arms.mean("prompt alone"),
    digits=3,
    caption=f"{TEXT_SHOTS} labels per class, 95 % intervals over {len(SEEDS)} draws of the labels "
    "and of the unlabelled glosses, and over the test glosses. Dashed: the prompt's own answers "
    "about the test glosses, with no label.",
)

# %%
asked = text_arms.gain("both", over="prompt alone")
print(f"Both stages - the prompt alone: {asked}.")

# %% [markdown]
# Compare the arms with the dashed line. The difference just printed is that between both stages and the line. Wholly below 0, it would say
# that the head has learned the prompt's answers and made them worse. Where its interval holds 0, training on labels and answers together
# has not been shown to gain anything over *asking*. The unlabelled glosses were drawn without a look at their labels, and WordNet's glosses
# may be in the language model's training data (chapter 09).

# %% [markdown]
# ## Verdict
#
# "The stages add up when applied in the stated order" is three sentences, and each has its own verdict: **every stage adds** to the
# others ($g_{\text{last}} > 0$, also for prompting on texts), **gains add up** ($I$ is not below zero), and **the stated order**
# beats the others. One part that fails refutes its sentence. A verdict on stages is one *for so many steps*: a stage that
# makes the task harder needs longer training (chapter 06).

# %%
NAMES = {stage: stage.replace("-", "_").replace(" ", "_") for stage in STAGES}
C12 = lab.verdict(
    "C12", **{NAMES[stage]: value for stage, value in last.items()}, prompting=prompting_last
)
C12

# %%
lab.verdict("gains-add-up", interaction=apart)

# %%
lab.verdict(
    "order-matters", **{name.replace(" ", "_"): pipelines.gain("all", over=name) for name in ORDERS}
)

# %% [markdown]
# A weaker claim is worth a test of its own: is the whole pipeline better than no pipeline, and than augmentation alone?

# %%
lab.verdict(
    "pipeline-pays", nothing=joint_gain, augmentation=pipelines.gain("all", over="augmentation")
)

# %% [markdown]
# And the question of the course, asked of the stages themselves: **when do you stop adding them?** Three stages, without adversarial
# training, distillation and instance generation, beside all six, which train for as many steps:

# %%
three = pipelines.gain("+ few-shot head", over="all")
spared = pipelines.gain("all", over="+ few-shot head", of="seconds", unit="s")
print(f"Three stages - six: {three}. The other three cost {spared}.")

# %%
lab.verdict("three-are-enough", three=three)

# %%
MATTERS = 0.01  # the smallest effect of interest of an accuracy
kept = [stage for stage in STAGES if last[stage].low > MATTERS]
spare = [stage for stage in STAGES if last[stage].high < MATTERS]
open_ = [stage for stage in STAGES if stage not in kept + spare]
print("Gains more than 0.01 as the last of six:", ", ".join(kept) or "none")
print("Gains less than that:", ", ".join(spare) or "none")
print("Cannot be told yet:", ", ".join(open_) or "none")

# %% [markdown]
# So stop at the stage whose gain *on top of the others* lies below what would matter to you with its whole interval. One that cannot be
# told asks for more seeds, or longer training where its arms still learn, before it asks for a place in the pipeline. What these lists
# say, they say after so many steps: where the verdicts read "still learning", longer training may move a stage from one to another.

# %% [markdown]
# ## Once more, in colour and by another artist
#
# Digits are small and grey. **Emoji** are in colour, and five artists drew the same ones. The classes are now eight groups, such as
# food or animals. Three artists drew what networks learn from, a fourth drew the emoji that settings were chosen on, and the test is
# *other emoji by a fifth*: neither the thing nor the hand that drew it was seen. A group is an idea, and not a shape as a digit is.
#
# All images have 16 x 16 pixels. Strength, radius and GAN were chosen on the fourth artist's emoji, the steps and the student's loss
# are those of digits. Five pipelines are compared; the last but one is the three stages.

# %%
lab.predict(
    "emoji",
    "On emoji by an artist that training never saw, all six stages gain ... over the labels alone.",
    ["more than on digits", "about as much", "less", "nothing, or they cost accuracy"],
)

# %%
emoji = generation.small_task("emoji")
EMOJI_SEEDS = lab.seeds(3, 6)
EMOJI_ARMS = {
    "nothing": (),
    "augmentation": STAGES[1:2],
    "+ self-supervision": STAGES[:2],
    "+ few-shot head": (*STAGES[:2], "few-shot head"),
    "all six": STAGES,
}
on_emoji = lab.training.Arms(
    pipeline.measure(EMOJI_ARMS, shots=SHOTS, **shared("emoji", EMOJI_SEEDS), **equal_steps),
    unit="accuracy",
)

# %% folded=true
largest = emoji.test_labels.bincount().max().item() / len(emoji.test_labels)
leader = max(EMOJI_ARMS, key=on_emoji.mean)
lab.figures.bars(
    {arm: on_emoji.interval(arm) for arm in EMOJI_ARMS},
    title=f"On another artist's emoji: {on_emoji.mean('nothing'):.3f} with labels alone, "
    f"{on_emoji.mean('all six'):.3f} with six stages",
    x="test accuracy",
    line=largest,
    digits=3,
    caption=f"{SHOTS} labels of each of {len(emoji.classes)} groups, 95 % intervals over "
    f"{len(EMOJI_SEEDS)} seeds and the {len(emoji.test_labels)} test emoji. Dashed: always to "
    f"answer with the largest group; to guess is {1 / len(emoji.classes):.3f}.",
)

# %%
emoji_gain = on_emoji.gain("all six", over="nothing")
emoji_three = on_emoji.gain("+ few-shot head", over="all six")
lab.recall("emoji", f"six stages {emoji_gain}; on {task.name} {joint_gain}; highest mean: {leader}")
print(f"Three stages - six on emoji: {emoji_three}; on {task.name}: {three}.")

# %%
lab.verdict(
    "pipeline-pays-emoji",
    nothing=emoji_gain,
    augmentation=on_emoji.gain("all six", over="augmentation"),
)

# %%
lab.verdict("three-are-enough-emoji", three=emoji_three)

# %% [markdown]
# Compare the points with the dashed line. Its answer needs no picture, only the shares of the groups in the test, which no pipeline was
# told: all groups have as many labels. The stages know that a small turn leaves a name as it is, and how emoji look in general. That a
# carrot and a cake are both food is not among what they know, and five labels hardly say it. Which five were drawn matters much, too: look
# at the length of the intervals before you call one pipeline better. Chapter 04 brings features of photographs to the same groups.

# %%
lab.record(
    pipeline_nothing_k5=pipelines.interval("nothing"),
    pipeline_all_k5=pipelines.interval("all"),
    pipeline_interaction_k5=apart,
    pipeline_seconds=pipelines.interval("all", of="seconds", unit="s"),
    texts_all_k2=text_arms.interval("both"),
    pipeline_emoji_nothing_k5=on_emoji.interval("nothing"),
    pipeline_emoji_three_k5=on_emoji.interval("+ few-shot head"),
    pipeline_emoji_all_k5=on_emoji.interval("all six"),
    headline="pipeline_all_k5",
)

# %% [markdown]
# ## Spend your budget
#
# A stage costs machine time, a label costs a person's. The four packages without distillation are on sale: they are now measured with
# fewer and with more labels as well.

# %%
COUNTS = [2, SHOTS, 10 if DATASET == "glyphs" else 20]  # of the glyphs there are 12 a class
ON_SALE = {package: some for package, some in PACKAGES.items() if "distillation" not in some}
bought = {
    k: lab.training.Arms(pipeline.measure(ON_SALE, shots=k, **settings), unit="accuracy")
    for k in COUNTS
    if k != SHOTS
}
bought = {k: bought.get(k, pipelines) for k in COUNTS}


def measured_arm(package):
    """A package's accuracy and seconds at each number of labels."""
    return budget.MeasuredArm(
        labels=tuple(k * len(task.classes) for k in COUNTS),
        accuracy=tuple(bought[k].interval(package) for k in COUNTS),
        seconds=tuple(bought[k].mean(package, of="seconds") for k in COUNTS),
    )


packages = {package: measured_arm(package) for package in ON_SALE}

# %% [markdown]
# You have some minutes, and a label takes you some seconds. What do you buy? Between the measured numbers of labels the curves are
# interpolated on a straight line. Then make the machine slower: a network like one of today takes a thousand times our seconds.

# %%
lab.widgets.BudgetExplorer(packages, len(task.classes))

# %% [markdown]
# The same in the unit of this course. How many labels is one label worth when distillation is added to all of that?

# %%
curve = np.stack([bought[k].hits("labels only")[0] for k in COUNTS], axis=1)  # seeds, K, pictures
reached, sizes = bought[SHOTS].hits("+ distillation")
learning = sum((bought[k].rest("labels only") for k in COUNTS), ())
learning += bought[SHOTS].rest("+ distillation")
worth = lab.exchange_rate(COUNTS, curve, SHOTS, reached, sizes, rest=learning)
lab.record(exchange_rate_pipeline=worth)

# %% [markdown]
# ## The claims ledger
#
# Every claim of the course, with the verdicts that the chapters computed: in the run that this notebook is a part of, else in the latest
# run on this machine, else in the notebooks as they were stored; the line below says which. Nothing is typed. Of what the article says,
# the course tests one or more sentences, about different halves of it. No vote is taken: if their verdicts disagree the overall one is
# *mixed*, and if some are supported and the others not decided yet, *supported in part*. With so many verdicts some are luck. **Holm's** procedure (1979) multiplies the smallest p value of $m$ tests by
# $m$, the next by $m - 1$ and so on; a verdict *stands* if its p value stays below 0.05 then.

# %%
records = lab.course_records(".", chapter="11", here=[C12])
claims = lab.ledger(records)
tested = "all" if claims.complete else "not all"
print(f"{len(claims.overall)} claims, {tested} tested: {claims.counts()}.")
claims

# %% [markdown]
# And what everything was worth in labels. At 1 a method changes nothing, below 1 it costs labels.

# %% folded=true
found = [*lab.exchange_rates(records), ("11", "exchange_rate_pipeline", worth)]
found.sort(key=lambda one: -one[2].mean)
sources = sorted({chapter for chapter, *_ in found})
rates = {f"{rate_words(chapter, name)} ({chapter})": rate for chapter, name, rate in found}
worths = [f"{rate.bound} {rate.mean:.2f}".strip() for rate in rates.values()]
above_one = sum(rate.has_interval and rate.limits[0] > 1 for rate in rates.values())
lab.figures.bars(
    rates,
    title=f"From {worths[-1]} to {worths[0]}; wholly above 1: {above_one} of {len(rates)}",
    x="exchange rate (labels per label)",
    line=1.0,
    caption=f"Rates of chapters {', '.join(sources)}, in brackets which; that of 11 is the package "
    "with distillation. 95 % bootstrap intervals over the seeds and the test pictures, texts, "
    "classes or rows of its chapter; an arrow where one leaves the measured range, and >= or <= "
    "where the rate itself does.",
)

# %% [markdown]
# Look for what lies above 1 with its whole interval, and ask what these methods have in common: most *know* something that the labels do
# not say, such as which changes leave a letter the same. The glyphs make that easy: a program drew them and moved them in the very ways in
# which the right policy moves images, so their rate is one for a policy of the family that made the test set. Where chapter 02 turned the
# test images itself, it is the same. The digits' and clothes' own test images were moved by nobody. But look also for methods that know
# something and are not there: synonyms know what words mean, and a policy that is right for letters may be worth little elsewhere.
# **Knowledge is needed and not enough**: it must be knowledge that the labels lack and the task asks for. A method that only reshuffles the
# labelled examples has nothing to pay with. What if one that saw nothing but the labelled images, such as the GAN, lies above 1 all the
# same? Compare it with the augmented copies in the same figure, and remember that of so many intervals some miss by luck.
#
# ## Software 2.0
#
# Karpathy (2017) called trained networks **Software 2.0** (软件2.0): you do not write the program, you collect examples and a goal, and
# a search finds the program. The source code is the data set. The article goes further and says that domain knowledge replaces labels.
#
# Your ledger lets you say it more carefully. An augmentation policy is a line of source code: "a letter stays the same when it is turned
# a little". If it is true of your data, it is worth labels; if it is not, training believes it all the same, and you pay. So a Software
# 2.0 programmer has three duties that no pipeline takes over: **to know what must not change a label**, **to test each stage against
# the stages that are already there**, since a gain alone promises no gain on top, and **to give every number its interval**, or else
# luck writes the program.
#
# When augmentation stops helping, then, ask what is missing. Variety that you can describe? Write another policy. Structure of the
# inputs? Unlabelled data and self-supervision. Knowledge of the world? A pretrained model, by distillation or by a prompt. The truth
# about rare cases? Labels, and nothing else.

# %% [markdown]
# ## Other fields: targets that move
#
# The article names more fields. The question is everywhere the same: which changes of the input leave the target as it is, and
# which change it *in a way that you can compute*?
#
# | field | leaves the target as it is | moves it, computably | breaks it |
# |---|---|---|---|
# | detection (目标检测) | brightness, noise, blur | geometry: boxes move along | a crop that cuts most of an object off |
# | segmentation (图像分割) | brightness, noise, blur | geometry: the mask moves along | interpolated class numbers |
# | translation (机器翻译) | back-translation of the *source* side | the same name replaced on both sides | a swap of words in one language only |
# | robot control (机器人控制) | camera jitter, colours, friction within bounds | a mirror: left and right commands swap | a mirror, with the commands kept |
# | biomedicine (生物医学) | stain and scanner changes, small turns | elastic bends: the contour bends along | a left-right flip where the heart's side matters |
#
# ## Write it: masks
#
# A mask is an image of class numbers. It moves with its image by the same matrix (chapter 01: origin in the centre, $y$ up, look-up at
# $A^{-1} q$), but numbers of classes cannot be averaged.


# %% exercise="warp_mask"
def warp_mask(mask, matrix):
    """Moves a mask with its image: each pixel takes the class nearest to where it came from.

    mask: whole numbers (H, W). matrix: float tensor (3, 3), in pixels from the centre of the image,
    x right, y up. What comes in from outside is 0. Returns whole numbers (H, W).
    """
    ### BEGIN SOLUTION
    height, width = mask.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = column - (width - 1) / 2, (height - 1) / 2 - row
    q = torch.stack([x, y, torch.ones_like(x)]).flatten(1).double()  # (3, H * W)
    x, y, _ = torch.linalg.inv(matrix.double()) @ q
    column, row = (x + (width - 1) / 2).round().long(), ((height - 1) / 2 - y).round().long()
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    moved = torch.zeros(height * width, dtype=mask.dtype)
    moved[inside] = mask[row[inside], column[inside]]
    return moved.reshape(height, width)
    ### END SOLUTION


# %% [markdown]
# ## Write it: boxes
#
# A box is two corners, (x0, y0, x1, y1), which detection libraries count **from the upper left corner, y down**. A turned box is not
# upright any more: take the upright hull of its *four* corners, and cut it at the image's edges.


# %% exercise="warp_boxes"
def warp_boxes(boxes, matrix, height, width):
    """Moves boxes with their image: the upright hull of the moved corners, cut at the edges.

    boxes: float tensor (n, 4), rows x0, y0, x1, y1 in pixels from the upper left corner, y down.
    matrix: float tensor (3, 3), in pixels from the image's centre (width / 2, height / 2), x right,
    y up. Returns a float tensor (n, 4), x0 <= x1 and y0 <= y1.
    """
    ### BEGIN SOLUTION
    x = boxes[:, [0, 2, 2, 0]] - width / 2  # (n, 4): one column per corner
    y = height / 2 - boxes[:, [1, 1, 3, 3]]
    moved = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ matrix[:2].T  # (n, 4, 2)
    x = (moved[..., 0] + width / 2).clamp(0, width)
    y = (height / 2 - moved[..., 1]).clamp(0, height)
    return torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], dim=1)
    ### END SOLUTION


# %% [markdown]
# ## See it
#
# Change the angle or the seed. In the picture on the right the mask went through the interpolation that is right for the *image*: red
# pixels have a class that no thing in the scene has, and along each edge a thing may wear another one's number.

# %%
ANGLE, WHICH = 30.0, SEED
move_mask, move_boxes = lab.yours_or_ours(warp_mask), lab.yours_or_ours(warp_boxes)
shown = scenes.scene(WHICH)
height, width = shown.mask.shape
A = geometry.compose(geometry.shearing(0.2), geometry.rotation(torch.tensor(ANGLE).deg2rad()))
image, boxes = geometry.warp(shown.image, A), move_boxes(shown.boxes, A, height, width)

# %% folded=true
spread = shown.mask * 2  # classes 2, 4, 6: what lies between two of them is no class
blended = geometry.warp(spread[None].float(), A)[0].round().long()
wrong = (blended % 2 == 1).float().mean().item()
interpolated = torch.where(blended % 2 == 1, len(shown.names) + 1, blended // 2)
lab.figures.scenes(
    {
        "before": (shown.image, shown.mask, shown.boxes),
        "after, nearest": (image, move_mask(shown.mask, A), boxes),
        "after, interpolated": (image, interpolated, boxes),
    },
    shown.names,
    title=f"Interpolating class numbers makes {wrong:.1%} of the pixels a class that is not there",
    caption=f"Turned by {ANGLE:g} degrees and sheared. Frames: the moved boxes, the hull of four "
    "corners. Red: no class of this scene.",
    alt=f"A scene of {', '.join(shown.names)} with mask and boxes, before and after a turn, the "
    "mask by nearest pixel and interpolated.",
)

# %% [markdown]
# ## Write it: ellipses
#
# The hull of a turned box has corners where nothing is. Few things fill the corners of their box, so let the *ellipse* in it turn
# instead (Kalra et al. 2021). One with half-axes $a$ and $b$ reaches, after a linear map $M$, to both sides of its centre
#
# $$r_x = \sqrt{(m_{00}\,a)^2 + (m_{01}\,b)^2}, \qquad r_y = \sqrt{(m_{10}\,a)^2 + (m_{11}\,b)^2}$$


# %% exercise="ellipse_boxes"
def ellipse_boxes(boxes, matrix, height, width):
    """Moves boxes with their image: the upright box of each box's moved ellipse, cut at the edges.

    boxes: float tensor (n, 4), rows x0, y0, x1, y1 in pixels from the upper left corner, y down.
    matrix: float tensor (3, 3), in pixels from the image's centre (width / 2, height / 2), x right,
    y up. Returns a float tensor (n, 4), x0 <= x1 and y0 <= y1.
    """
    ### BEGIN SOLUTION
    x = (boxes[:, 0] + boxes[:, 2]) / 2 - width / 2
    y = height / 2 - (boxes[:, 1] + boxes[:, 3]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2  # (n, 2): a and b
    centre = torch.stack([x, y, torch.ones_like(x)], dim=1) @ matrix[:2].T  # (n, 2)
    reach = ((matrix[:2, :2] * half[:, None]) ** 2).sum(dim=2).sqrt()  # (n, 2)
    x, y = centre[:, 0] + width / 2, height / 2 - centre[:, 1]
    x0, x1 = ((x + sign * reach[:, 0]).clamp(0, width) for sign in (-1, 1))
    y0, y1 = ((y + sign * reach[:, 1]).clamp(0, height) for sign in (-1, 1))
    return torch.stack([x0, y0, x1, y1], dim=1)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: a moved box is not the box of the moved thing
#
# How much too large does a moved box get? Compare it with the tight box around the moved *mask*, by the overlap (intersection over
# union, 交并比). Detectors are scored at 0.5 to 0.95 of it. The remedies know more and more of the thing: nothing but its box, which
# turns as an ellipse; a polygon of its 8 outermost points; its mask, which *is* the tight box here.

# %%
ANGLES = [0, 10, 20, 30, 45]
move_ellipses = lab.yours_or_ours(ellipse_boxes)


def box_overlaps(angle, seed):
    """The mean overlaps of a scene's moved boxes with the tight boxes of its moved mask, by way."""
    one = scenes.scene(seed)
    turned = geometry.rotation(torch.tensor(float(angle)).deg2rad())
    tight = scenes.tight_boxes(move_mask(one.mask, turned), len(one.names))
    polygons = scenes.polygons(one.mask, len(one.names))
    moved = {
        "four corners": move_boxes(one.boxes, turned, *one.mask.shape),
        "ellipse": move_ellipses(one.boxes, turned, *one.mask.shape),
        "polygon of 8": polygon_boxes(polygons, turned, *one.mask.shape),
    }
    whole = (tight[:, 2:] > tight[:, :2]).all(dim=1)  # what has left the image has no box
    return {way: scenes.iou(boxes, tight)[whole].mean().item() for way, boxes in moved.items()}


# %%
SCENES = lab.seeds(20, 20)
overlaps = {angle: [box_overlaps(angle, seed) for seed in SCENES] for angle in ANGLES}
by_way = {
    way: [
        lab.mean_interval([one[way] for one in overlaps[angle]], over=f"{len(SCENES)} scenes")
        for angle in ANGLES
    ]
    for way in overlaps[0][0]
}
by_angle = dict(zip(ANGLES, by_way["four corners"]))
closer = [one["ellipse"] - one["four corners"] for one in overlaps[30]]

# %% folded=true
lab.figures.curves(
    {way: (ANGLES, those) for way, those in by_way.items()},
    title=f"A turn by {ANGLES[-1]} degrees leaves an overlap of "
    + ", ".join(f"{those[-1].mean:.2f} ({way})" for way, those in by_way.items()),
    x="angle of the turn (degrees)",
    y="overlap with the tight box",
    ticks=ANGLES,
    limits=(0, 1.02),
    caption=f"{len(SCENES)} scenes of three things. Bands: 95 % intervals over the scenes. A "
    "detector trained on boxes of four corners learns to draw them too large.",
)

# %% [markdown]
# At 0 degrees an ellipse gives the box itself. Where does its curve cross that of the corners, if it does, and which things are worse
# off as ellipses? A letter like L fills the corners of its box.

# %%
lab.verdict("boxes-survive-turns", overlap=by_angle[30])

# %%
lab.verdict("ellipses-turn-better", gain=lab.mean_interval(closer, over=f"{len(SCENES)} scenes"))

# %% [markdown]
# ## Write it: a few-shot method of your own
#
# Now the other way round: no recipe. Write *any* method that recognises letters from 5 pictures of each. Its grade is what it does on
# episodes (chapter 05) of alphabets that you have not seen, in all their jitter. The floor is the mean image of each class, compared
# pixel by pixel; you must be better than that by more than 0.1, with the whole interval. Only torch is at hand, and nothing has to be trained.


# %% exercise="few_shot_method" points=3
def few_shot_method(support, labels, queries):
    """The class of each query, from a few labelled images.

    support: float tensor (n, 1, 28, 28) in 0..1, white ink on black, with noise. labels: whole
    numbers (n,), 0..way-1, in any order. queries: float tensor (m, 1, 28, 28). Returns whole
    numbers (m,), the class of each query.
    """

    ### BEGIN SOLUTION
    def features(images):
        ink = (images - 0.3).clamp(min=0)  # less noise
        share = ink / ink.sum((2, 3), keepdim=True).clamp_min(1e-6)
        place = torch.linspace(-1, 1, images.shape[-1])
        centre = torch.stack(
            [(share * place).sum((1, 2, 3)), (share * place[:, None]).sum((1, 2, 3))], dim=1
        )  # (n, 2)
        theta = torch.cat([torch.eye(2).expand(len(images), 2, 2), centre[:, :, None]], dim=2)
        grid = F.affine_grid(theta, images.shape, align_corners=True)
        blurred = F.avg_pool2d(F.grid_sample(ink, grid, align_corners=True), 3, 1, 1).flatten(1)
        return F.normalize(blurred - blurred.mean(1, keepdim=True), dim=1)

    z, known = features(queries), features(support)
    c = torch.stack([known[labels == k].mean(0) for k in range(int(labels.max()) + 1)])
    return (z @ F.normalize(c, dim=1).T).argmax(1)
    ### END SOLUTION


# %% [markdown]
# ## The leaderboard
#
# Enter it. All entries answer the same held-out episodes, so they are compared in pairs: the rank is 1 plus the number of methods that
# are *significantly* better, and the last column names those that cannot be told apart. Entries stay on this machine;
# `leaderboard.withdraw("few_shot_method")` takes one out again. Go on improving: what else differs between two pictures of one letter?

# %%
channels, size = task.train_images.shape[1:3]
backbone = lab.models.networks.conv_net(128, size=size, channels=channels)
backbone.load_state_dict(settings["starts"][0]["start"])
ours = leaderboard.prototypes_of(backbone, size=size, channels=channels)
lab.enter(
    lab.yours_or_ours(few_shot_method),
    "few_shot_method",
    beside={f"self-supervised on {task.name} (this chapter)": ours},
)

# %% [markdown]
# As long as you have not written one, the course's method is on the board. It trains nothing: it moves the ink of each picture to the
# middle and compares pixels. Without the move it would do no better than the two rows of plain pixels. The program that made these pictures
# moved the letters about, so *where* the ink is says nothing about the class, and whoever knows that can simply say it. The two networks
# were hardly told. An untrained one still sees where the ink is, much as plain pixels do, and the self-supervised one learned from other
# pictures (digits in the middle, unless you chose another data set), which its views moved a little. Would moving the ink first save the
# two? Enter that and see. Before you train an encoder, ask which difference between two pictures of one class you can take out by hand.

# %% [markdown]
# ## Final project
#
# Choose a task of your own with few labels: your images, your texts, or one of the course's data sets in a setting that no chapter has.
# Answer this course's question for it: *when does augmentation stop helping, and what do you do then?* Write at most two pages in the
# cell below, and hand in the notebook that made your figures. A person marks it, 10 points:
#
# | points | part | full points when |
# |---|---|---|
# | 2 | question and data | the task, its labels and their number, and what may not change a label are said; test data are set apart first |
# | 2 | baseline | labels alone, and a pretrained or nearest-prototype baseline, tuned with the same care as your method |
# | 2 | experiment | at least three stages or policies, alone and left out; five or more seeds, in pairs; one thing is changed at a time |
# | 2 | evidence | every number has its interval; an exchange rate or a learning curve; verdicts follow from thresholds set before the run |
# | 1 | price | seconds, labels and memory of what you recommend, beside those of the baseline |
# | 1 | honesty | what failed, what was tried and not shown, for which data the answer would be another one |

# %% [markdown] answer="final_project" points=10
# ### BEGIN SOLUTION
# **What a good answer has.** *Question and data:* "Which of 12 kinds of bolts is on the photograph? 8 labels a kind; a bolt may be turned
# and lit in any way, but not mirrored, since a thread has a hand. 40 photographs a kind, taken on another day, are the test." *Baseline:*
# labels alone, and a linear probe on a pretrained network, each with its learning rate chosen on the same 2 held-out labels a kind.
# *Experiment:* turns, light, mirror and distillation, each alone and each left out, six draws of the labels in pairs. *Evidence:* a
# table of paired differences with 95 % intervals, the learning curve without augmentation, the exchange rate of each policy read off
# it, and a verdict for each policy by thresholds that were written down before. *Price:* minutes at the machine and minutes for the
# labels that would have bought the same. *Honesty:* the mirror, which was expected to harm and could not be told from nothing; the
# two learning rates that diverged; and that another supplier's bolts were not seen.
#
# **How to mark.** Give each row of the rubric its points only for what is *shown*. A result of "inconclusive" with a good experiment gets
# full points; a gain without interval gets none for evidence.
# ### END SOLUTION

# %% [markdown]
# ## Recap
#
# * A stage has two gains, alone and on top of the others. Only the second one is what you get when you add it.
# * Gains add up when the interaction is zero. An order is tested by changing nothing but the order.
# * When do you stop adding stages? This chapter compared three stages with all six, and the verdict on `three-are-enough` is its answer,
#   whichever it is. In trainings this short it is an answer for equally many steps, not for pipelines at rest: where it says “still
#   learning”, the other three stages may pay later.
# * Labels and stages are bought with the same minutes. Which to buy depends on prices, and can be computed.
# * A target moves with its image, by the same matrix and with its own rules.
#
# **Questions.** 1. Two stages gain 0.05 each alone and 0.05 together. What can be the reason, and how would you find out which? 2. A stage
# has a negative gain as the last one and a positive gain alone. Should it be removed? 3. In 95 % of cases an interval holds the truth. How
# many of a ledger's verdicts would you expect to be luck, and which ones would you repeat first?
#
# <details><summary>Short answers</summary>
#
# 1. Both supply the same thing, so that the second finds it there (leave each out of the pair: neither costs anything), or one undoes
# half of the other (look at pairs with weaker settings). 2. For its accuracy here, yes, if the interval lies wholly below zero after
# training to rest; it may be kept for something else that you measure, such as robustness. 3. One in twenty of those whose
# effect is none, so of 20 such verdicts about one; repeat first those with the largest p value that decided something.
#
# </details>
#
# **Going further.** Karpathy 2017 (“Software 2.0”); Sculley et al. 2015 (NeurIPS), hidden technical debt in machine learning systems; Chen et
# al. 2020 (NeurIPS), big self-supervised models are strong semi-supervised learners; Xie et al. 2020 (CVPR), noisy student; Goldblum et al.
# 2020 (AAAI), adversarially robust distillation; Lipton & Steinhardt 2019 (ACM Queue), troubling trends in machine learning
# scholarship, on ablations; Kalra et al. 2021 (ICCV), boxes and rotations. In production: `torchvision.transforms.v2`, which moves masks
# and boxes along when they are wrapped as `tv_tensors`; `albumentations`; `accelerate` for the training.

# %% [markdown]
# ## On your own data
#
# What do all these methods say about *your* data? Write the path of a folder of pictures, a table
# of texts or a file of tagged sentences in place of `None`, and give it three minutes; until then
# 200 digits stand in, and only two of the questions are asked.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.whole(FOLDER)
