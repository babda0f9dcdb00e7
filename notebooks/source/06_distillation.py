# ---
# jupyter:
#   question: What does a teacher tell a student that labels do not?
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
# # 06 · Distillation
#
# You have a large model that reads well, and need a small one. **Knowledge distillation** (知识蒸馏) lets the large one, the
# *teacher* (教师模型), answer, and trains the small one, the *student* (学生模型), to give the same answers. The answers say more
# than a label: how much this *e* looks like an *a*.
#
# **After this chapter you can** soften an answer by a temperature (温度), derive the distillation loss, its factor $T^2$ and its
# gradient, cache a teacher's answers even with augmentation, and tell what augmentation, distillation and both together add.
#
# **Time:** 75 minutes. **Claims under test:** C7 (distillation improves few-shot generalisation further; its other half,
# adversarial training, is tested in chapter 07), C9 (a large pretrained teacher lifts a small student that has few labels), C13
# (augmentation with distillation lifts a network).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import distillation

lab.setup("06", profile=PROFILE, seed=SEED, device=DEVICE)
# The teacher has the other half of the training images; both are tested on the same ones.
_, task = lab.data.load(DATASET).halves()
SEEDS = list(range(SEED, SEED + lab.quick_or_full(5, 10)))
STEPS = lab.quick_or_full(160, 1000)
COPIES = lab.quick_or_full(16, 32)  # augmented copies of every image whose answers are cached
SHOTS, TEMPERATURE = 5, 4.0
RIGHT = {"policy": "affine", "strength": 0.25}  # the right policy of chapter 02

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "soft",
    "Two students learn from the same images. One gets the true labels of all of them, one a "
    "teacher's soft answers. Who reads new images better?",
    ["the one with the true labels", "both alike", "the one with the soft answers"],
)

# %% [markdown]
# ## The teacher
#
# Half of the training images are the teacher's, all labelled. The other half are the student's: 5 of each class are labelled, the
# others are not. So the teacher never saw the labels that the student lacks. For comparison a net of the *student's* size gets the
# same schooling as the teacher.

# %%
grades = [
    {
        "dataset": DATASET,
        "width": width,
        "steps": lab.quick_or_full(300, 1500),
        "seed": SEED,
        **RIGHT,
    }
    for width in (64, 8)
]
teacher, small_teacher = lab.sweep(distillation.fit_teacher, grades, description="teachers")
sizes = [sum(p.numel() for p in row["teacher"].parameters()) for row in (teacher, small_teacher)]
print(f"Teacher: {sizes[0]:,} parameters, test accuracy {teacher['test_accuracy']:.3f}.")
print(
    f"Same schooling, student's size: {sizes[1]:,} parameters, test accuracy "
    f"{small_teacher['test_accuracy']:.3f}."
)
print(
    f"The student has {len(task.train_labels)} images, {SHOTS * len(task.classes)} of them with a "
    "label."
)

# %%
n_test = len(task.test_labels)
lab.record(
    teacher=lab.share_interval(round(teacher["test_accuracy"] * n_test), n_test, unit="accuracy")
)

# %% [markdown]
# ## See: temperature
#
# These are the teacher's real answers to test images, those that it is least sure of first. Drag the temperature. At which $T$ can
# you read what the teacher finds similar? At which $T$ is nothing left to read?

# %%
lab.widgets.TemperatureExplorer(task, teacher["test_logits"])

# %% [markdown]
# Low temperatures give a hard label, high ones give every class the same. What the wrong classes say in between was called *dark
# knowledge* (暗知识) by Hinton.
#
# ## Derive: the softened softmax
#
# With logits $z$ and a temperature $T$, the teacher's answer is
#
# $$p_k^T = \frac{e^{z_k / T}}{\sum_j e^{z_j / T}}$$
#
# The *order* of the classes stays. Their *ratios* shrink: $p_i / p_j = e^{(z_i - z_j)/T}$ (Hinton et al. 2015, equation 1).
#
# ## Write it


# %% exercise="softened"
def softened(logits, temperature):
    """The probabilities of logits, softened by a temperature.

    logits: float tensor (n, classes). temperature: a number above 0. Returns a float tensor (n,
    classes).
    """
    ### BEGIN SOLUTION
    return (logits / temperature).softmax(dim=1)
    ### END SOLUTION


# %% [markdown]
# Use it to see the dark knowledge. For the test images of each class, leave the true class out and ask: to which *wrong* classes does
# the rest of the answer go?

# %%
soften = lab.yours_or_ours(softened)
answers = soften(teacher["test_logits"], TEMPERATURE)  # (n, classes)
wrong = answers.masked_fill(F.one_hot(task.test_labels, len(task.classes)).bool(), 0.0)
shares = torch.stack([wrong[task.test_labels == k].mean(dim=0) for k in range(len(task.classes))])
shares = shares / shares.sum(dim=1, keepdim=True)  # (true class, wrong class), rows sum to one
values, places = shares.flatten().topk(4)
pairs = [
    f"{task.classes[int(i) // len(shares)]}→{task.classes[int(i) % len(shares)]} {v:.2f}"
    for v, i in zip(values, places)
]

lab.figures.matrix(
    shares,
    list(task.classes),
    [name[:5] for name in task.classes],
    title="What the teacher finds most alike: " + ", ".join(pairs),
    caption="Row: true class. Each cell: the share of the wrong classes' probability, at T = "
    f"{TEMPERATURE:g}, that goes to this class.",
    alt="For each true class, how the teacher's wrong probability is spread. The largest: "
    + ", ".join(pairs)
    + ".",
)

# %% [markdown]
# ## Read it
#
# Find your own pairs of look-alikes. Is the matrix symmetric? None of this is in a label.
#
# ## Derive: from cross-entropy to the distillation loss
#
# An article writes distillation as: maximise $\sum_x p_s(x) \log p_t(x)$ over the parameters of $p_t$, with $s$ the *source* and $t$
# the *target*. In our names, $t$ the teacher and $s$ the student, that is: minimise the **cross-entropy (交叉熵) to the teacher**
#
# $$H(p_t, p_s) = -\sum_k p_{t,k} \log p_{s,k} = \underbrace{\sum_k p_{t,k} \log \frac{p_{t,k}}{p_{s,k}}}_{KL(p_t \| p_s)} +
# \underbrace{\Big(-\sum_k p_{t,k} \log p_{t,k}\Big)}_{H(p_t)}$$
#
# $H(p_t)$ does not depend on the student, so cross-entropy and KL divergence (KL散度) have the same gradient. KL is zero when the
# student has learned all there is. Three things are missing in the article's formula: the temperature, a factor $T^2$, and the
# labels that you do have.
#
# **Why $T^2$?** Let both be softened. The gradient of $KL(p_t^T \| p_s^T)$ with respect to the student's logit $z_k$ is
#
# $$\frac{1}{T}\left(p_{s,k}^T - p_{t,k}^T\right) \approx \frac{1}{C\,T^2}\left(z_{s,k} - z_{t,k}\right) \quad \text{for large } T$$
#
# with $C$ classes and each image's logits centred. One $1/T$ comes from the chain rule, the other from the flattened
# probabilities. A factor $T^2$ undoes both, so that the loss means the same at every temperature:
#
# $$L_{\text{soft}} = T^2 \, \frac1n \sum_{i=1}^{n} KL\!\left(p_t^T(x_i) \,\|\, p_s^T(x_i)\right)$$
#
# ## Write it


# %% exercise="distillation_loss"
def distillation_loss(student_logits, teacher_logits, temperature):
    """T squared times KL(teacher || student) of the softened answers, the mean over the images.

    student_logits, teacher_logits: float tensors (n, classes). temperature: a number above 0.
    Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    log_p_t = (teacher_logits / temperature).log_softmax(dim=1)
    log_p_s = (student_logits / temperature).log_softmax(dim=1)
    return temperature**2 * (log_p_t.exp() * (log_p_t - log_p_s)).sum(dim=1).mean()
    ### END SOLUTION


# %% [markdown]
# ## Write it: the gradient
#
# No framework is needed for this one. What does $L_{\text{soft}}$ push on each logit of the student?


# %% exercise="distillation_gradient"
def distillation_gradient(student_logits, teacher_logits, temperature):
    """The gradient of the distillation loss (with its T squared) with respect to the student's logits.

    student_logits, teacher_logits: float tensors (n, classes). temperature: a number above 0.
    Returns a float tensor (n, classes).
    """
    ### BEGIN SOLUTION
    p_s = (student_logits / temperature).softmax(dim=1)
    p_t = (teacher_logits / temperature).softmax(dim=1)
    return temperature * (p_s - p_t) / len(student_logits)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: what the factor does
#
# Formula against automatic differentiation, on real answers: the small net plays the student. Then the size of the gradient over
# the temperature, with the factor and without.

# %%
soft_loss, gradient = lab.yours_or_ours(distillation_loss), lab.yours_or_ours(distillation_gradient)
z_s, z_t = small_teacher["test_logits"].requires_grad_(), teacher["test_logits"]
TEMPERATURES = [1, 2, 4, 8, 16, 32]
found = {T: torch.autograd.grad(soft_loss(z_s, z_t, T), z_s)[0] for T in TEMPERATURES}
z_s = z_s.detach()
differ = max((gradient(z_s, z_t, T) - found[T]).abs().max().item() for T in TEMPERATURES)
print(f"Formula and automatic differentiation differ by at most {differ:.0e}.")

pushes = {
    T: found[T].abs().sum(dim=1) * len(z_s) for T in TEMPERATURES
}  # (n,): the whole push on one image's logits
sized = {
    "with T²": [pushes[T] for T in TEMPERATURES],
    "without": [pushes[T] / T**2 for T in TEMPERATURES],
}
estimates = {name: [lab.mean_interval(values) for values in rows] for name, rows in sized.items()}
factors = {
    name: rows[-1].mean / rows[TEMPERATURES.index(8)].mean for name, rows in estimates.items()
}

# %%
lab.figures.curves(
    {name: (TEMPERATURES, rows) for name, rows in estimates.items()},
    title=f"From T = 8 to {TEMPERATURES[-1]} the gradient changes by a factor "
    f"{factors['with T²']:.2g} with T², {factors['without']:.2g} without",
    x="temperature T",
    y="sum of |gradient| over an image's logits",
    log_x=True,
    ticks=TEMPERATURES,
    caption=f"Mean and 95 % interval over {len(z_s)} test images. Without the factor, the teacher "
    "falls silent beside the labels.",
    alt="; ".join(
        f"{name}: " + ", ".join(f"T {T}: {e.mean:.2g}" for T, e in zip(TEMPERATURES, rows))
        for name, rows in estimates.items()
    ),
)

# %% [markdown]
# The factor was derived for *large* temperatures. At low ones two nets that are sure of the same class have little to say to
# each other.
#
# ## Derive: hard and soft targets mixed
#
# Where an image has a label $y$, use it. With a share $\alpha$ for the teacher, every image costs
#
# $$L = \alpha\, T^2\, KL(p_t^T \| p_s^T) \;+\; (1-\alpha)\,[\text{it has a label}]\,(-\log p_{s,y})$$
#
# The hard part is at temperature 1. An image without a label has the soft part only. Take the mean over *all* images of the batch.
#
# ## Write it
#
# `soft_loss` is your distillation loss, or the course's.


# %% exercise="mixed_loss"
def mixed_loss(student_logits, teacher_logits, labels, temperature, alpha):
    """alpha times the soft loss plus 1 - alpha times the cross-entropy to the labels, the mean over all n images.

    student_logits, teacher_logits: float tensors (n, classes). labels: whole numbers (n,), -1 where
    there is none. temperature: a number above 0. alpha: the teacher's share, 0 to 1. Returns a
    scalar tensor.
    """
    ### BEGIN SOLUTION
    hard = F.cross_entropy(student_logits, labels, ignore_index=-1, reduction="sum") / len(labels)
    return alpha * soft_loss(student_logits, teacher_logits, temperature) + (1 - alpha) * hard
    ### END SOLUTION


# %% [markdown]
# ## Derive: a cache that survives augmentation
#
# The teacher does not change, so why ask it the same thing twice? Compute its logits once and **cache** (缓存) them. But
# augmentation shows the student a new view at every step, and the teacher should see *the same view* (Beyer et al. 2022). Two ways:
#
# * ask the teacher *online*, at every step: right, and slow;
# * fix $R$ augmented copies of every image, **drawn from seeds**. The cache holds $R \cdot n \cdot C$ logits, no images: the views
#   are drawn again, by any process, from the same seeds.
#
# ## Write it


# %% exercise="replayed_copies"
def replayed_copies(images, change, copies, seed):
    """Augmented copies of all images; copy r can be drawn again alone.

    images: tensor (n, C, H, W). change(images, generator): returns changed images, drawn with a
    torch.Generator. copies: how many. seed: copy r is drawn with a new generator that was seeded
    with seed + r. Returns a tensor (copies, n, C, H, W).
    """
    ### BEGIN SOLUTION
    return torch.stack(
        [change(images, torch.Generator().manual_seed(seed + r)) for r in range(copies)]
    )
    ### END SOLUTION


# %% [markdown]
# Look at some copies. The last row draws copy 2 again, alone, from its own seed.

# %%
from fewshot_lab.augment import get_policy


def jolt(images, generator):
    return get_policy(RIGHT["policy"])(images, RIGHT["strength"], generator)


replay = lab.yours_or_ours(replayed_copies)
some = torch.stack([task.test_images[task.test_labels == k][0] for k in range(8)])
drawn, again = replay(some, jolt, 3, 0), replay(some, jolt, 1, 2)
same = torch.equal(drawn[2], again[0])
lab.figures.images(
    torch.cat([*drawn, *again]),
    [f"copy {r}" for r in (0, 1, 2) for _ in some] + ["again"] * len(some),
    columns=len(some),
    title=f"Copy 2, drawn again from its seed, is {'the same' if same else 'another one'}",
    caption="Three copies of eight images, each row from its own seed, and the third row once "
    "more.",
    alt="Eight characters in three augmented copies; the last row repeats copy 2 "
    f"{'exactly' if same else 'with differences'}.",
)

# %% [markdown]
# Fill the caches: once for the images as they are, once for all copies.

# %%
mixed = lab.yours_or_ours(mixed_loss)
plain = distillation.cached_logits(teacher["teacher"], DATASET)  # (1, n, classes)
views = distillation.cached_logits(
    teacher["teacher"], DATASET, **RIGHT, copies=COPIES
)  # (copies, n, classes)
print(
    f"The caches hold {(plain.nbytes + views.nbytes) / 1e6:.1f} MB for "
    f"{plain[..., 0].numel() + views[..., 0].numel():,} views."
)

# %% [markdown]
# ## Measure it: augmentation, distillation, both
#
# A small student, 5 labels per class, several draws of the labels. The same seed draws the same labels and the same first weights
# for every kind of student, so they are compared in pairs. *Distilled* students also see the unlabelled images, with the teacher's
# answers. The *taught* student gets the teacher's answers for the 5 labelled images of each class only.

# %%
COMMON = {
    "dataset": DATASET,
    "shots": SHOTS,
    "steps": STEPS,
    "temperature": TEMPERATURE,
    "mixed": mixed,
}


def students(kinds):
    """Trains each kind of student (name: options) for every seed; returns {name: rows}."""
    grid = [{**COMMON, "seed": seed, **options} for options in kinds.values() for seed in SEEDS]
    rows = lab.sweep(distillation.fit_student, grid, description="students")
    return {name: rows[i * len(SEEDS) :][: len(SEEDS)] for i, name in enumerate(kinds)}


def scores(name, what="test_accuracy"):
    """One number per seed for a kind of student."""
    return [row[what] for row in trained[name]]


KINDS = {
    "hard labels": {},
    "augmentation": RIGHT,
    "distilled": {"images": "all", "teacher": plain},
    "both": {"images": "all", "teacher": views, **RIGHT},
    "taught": {"teacher": views, **RIGHT},
}
trained = students(KINDS)


def gain(first, second):
    """What one kind of student has over another, in accuracy, in pairs."""
    return lab.paired_difference(scores(first), scores(second), unit="accuracy")


# %% [markdown]
# ## Read it
#
# The upper half: what each adds to hard labels. The lower half: what one adds to the other.

# %%
added = {
    "augmentation - hard labels": gain("augmentation", "hard labels"),
    "distilled - hard labels": gain("distilled", "hard labels"),
    "both - hard labels": gain("both", "hard labels"),
    "both - augmentation": gain("both", "augmentation"),
    "both - distilled": gain("both", "distilled"),
    "taught - augmentation": gain("taught", "augmentation"),
}
alone = added["augmentation - hard labels"].mean + added["distilled - hard labels"].mean
lab.figures.bars(
    added,
    title=f"Both together add {added['both - hard labels'].mean:+.2f}, the sum of each alone is "
    f"{alone:+.2f}",
    x="difference in test accuracy",
    line=0.0,
    caption=f"{SHOTS} labels per class. Mean and 95 % interval of the paired difference over "
    f"{len(SEEDS)} draws of the labels, one teacher.",
    alt="Differences in accuracy: "
    + "; ".join(f"{name} {value.mean:+.2f}" for name, value in added.items())
    + ".",
)

# %%
lab.record(student_hard_k5=scores("hard labels"), unit="accuracy")

# %%
lab.record(student_augmented_k5=scores("augmentation"), unit="accuracy")

# %%
lab.record(
    student_distilled_k5=scores("distilled"), unit="accuracy", headline="student_distilled_k5"
)

# %%
lab.record(student_both_k5=scores("both"), unit="accuracy")

# %%
lab.verdict(
    "C9",
    "A large pretrained teacher lifts a small student that has few labels.",
    [
        lab.Evidence(
            "distilled on unlabelled images - hard labels", added["distilled - hard labels"], ">"
        ),
        lab.Evidence(
            "taught on the labelled images alone - augmentation",
            added["taught - augmentation"],
            ">",
        ),
    ],
)

# %%
lab.verdict(
    "C7",
    "Distillation improves few-shot generalisation further (chapter 07 tests the other half, "
    "adversarial training).",
    [lab.Evidence("both - augmentation", added["both - augmentation"], ">")],
)

# %% [markdown]
# ## Measure it: patience
#
# A student that sees a new view at every step has more to learn. Was it stopped too early? Train *distilled* and *both* three times
# as long.

# %%
LONG = 3 * STEPS
patient = {
    f"{name}, long": {**options, "steps": LONG}
    for name, options in KINDS.items()
    if name in ("distilled", "both")
}
trained |= students(patient)
lengths = {
    name: [lab.mean_interval(scores(kind)) for kind in (name, f"{name}, long")]
    for name in ("distilled", "both")
}
added["both - distilled, long"] = gain("both, long", "distilled, long")
lab.figures.curves(
    {name: ([STEPS, LONG], rows) for name, rows in lengths.items()},
    title=f"What augmentation adds to distillation: {added['both - distilled'].mean:+.2f}, with "
    f"patience {added['both - distilled, long'].mean:+.2f}",
    x="training steps",
    y="test accuracy",
    ticks=[STEPS, LONG],
    levels={"teacher": teacher["test_accuracy"]},
    caption=f"{SHOTS} labels per class and unlabelled images. Band: 95 % interval over "
    f"{len(SEEDS)} draws of the labels.",
    alt="; ".join(
        f"{name}: {rows[0].mean:.2f} at {STEPS} steps, {rows[1].mean:.2f} at {LONG}"
        for name, rows in lengths.items()
    )
    + ".",
)

# %%
lab.record(student_both_long_k5=scores("both, long"), unit="accuracy")

# %% [markdown]
# “A good teacher is patient” (Beyer et al. 2022). Look at how far each student stays below its teacher.
#
# Chapter 02 left C13 half open: its listing promised distillation and had none. The printed number belongs to another network, data
# set and computer; what can be tested is whether the two *together* beat hard labels and each alone.

# %%
lab.verdict(
    "C13",
    "Augmentation together with distillation lifts a network beyond hard labels and beyond either "
    "alone.",
    [
        lab.Evidence("both - hard labels", added["both - hard labels"], ">"),
        lab.Evidence("both - augmentation", added["both - augmentation"], ">"),
        lab.Evidence(f"both - distilled, {LONG} steps", added["both - distilled, long"], ">"),
    ],
)

# %% [markdown]
# ## Measure it: is it the dark knowledge?
#
# The distilled student saw more images. Is that all? Four students see the *same* images, as they are, and differ only in what they
# are told: the teacher's class as a hard **pseudo-label** (伪标签); its soft answer with the wrong classes **shuffled**, so that its
# confidence stays and the likeness is lost (Furlanello et al. 2018); the soft answer itself; or the true label of every image.

# %%
shuffled = distillation.shuffled_wrong_classes(plain, torch.Generator().manual_seed(SEED))
told = {
    "pseudo-labels": {"images": "all", "teacher": plain, "answers": "hard"},
    "shuffled": {"images": "all", "teacher": shuffled},
    "all true labels": {"images": "all"},
}
trained |= students(told)
kinds = ["pseudo-labels", "shuffled", "distilled", "all true labels"]
levels = {name: lab.mean_interval(scores(name)) for name in kinds}
lab.figures.bars(
    levels,
    title=", ".join(f"{name} {level.mean:.2f}" for name, level in levels.items()),
    x="test accuracy",
    caption=f"Mean and 95 % interval over {len(SEEDS)} seeds. “distilled”: soft answers. All "
    "without augmentation.",
    alt="Test accuracy: "
    + ", ".join(f"{name} {level.mean:.2f}" for name, level in levels.items())
    + ".",
)

# %%
lab.verdict(
    "dark-knowledge",
    "Soft answers teach more than hard ones because of what they say about the wrong classes.",
    [
        lab.Evidence("soft answers - pseudo-labels", gain("distilled", "pseudo-labels"), ">"),
        lab.Evidence("soft answers - shuffled", gain("distilled", "shuffled"), ">"),
    ],
)

# %%
lab.recall("soft", f"soft answers - true labels = {gain('distilled', 'all true labels')}")

# %% [markdown]
# ## Measure it: temperature and mixture
#
# First the temperature, for the distilled student. Then the teacher's share $\alpha$, for the taught student, which has a label for
# every image. At $\alpha = 0$ it sees the same copies and no teacher.

# %%
TRIED, SHARES = lab.quick_or_full([1, 4, 16], [1, 2, 4, 8, 16]), [0.0, 0.5, 1.0]
trained |= students(
    {
        f"T {T}": {"images": "all", "teacher": plain, "temperature": float(T)}
        for T in TRIED
        if T != TEMPERATURE
    }
)
trained |= students(
    {f"alpha {a:g}": {"teacher": views, "alpha": a, **RIGHT} for a in SHARES if a != 0.5}
)
by_temperature = [
    lab.mean_interval(scores("distilled" if T == TEMPERATURE else f"T {T}")) for T in TRIED
]
by_share = [lab.mean_interval(scores("taught" if a == 0.5 else f"alpha {a:g}")) for a in SHARES]
best = TRIED[max(range(len(TRIED)), key=lambda i: by_temperature[i].mean)]

lab.figures.curves(
    {"distilled": (TRIED, by_temperature)},
    title=f"The mean is highest at T = {best}",
    x="temperature T",
    y="test accuracy",
    log_x=True,
    ticks=TRIED,
    levels={"all true labels": levels["all true labels"].mean},
    caption="Unlabelled images without augmentation. Do the intervals tell neighbouring "
    "temperatures apart?",
    alt="Test accuracy: "
    + ", ".join(f"T {T}: {e.mean:.2f}" for T, e in zip(TRIED, by_temperature))
    + ".",
)

# %%
lab.figures.curves(
    {"taught": (SHARES, by_share)},
    title=f"On the labelled images: labels alone {by_share[0].mean:.2f}, half "
    f"{by_share[1].mean:.2f}, teacher alone {by_share[2].mean:.2f}",
    x="the teacher's share α",
    y="test accuracy",
    ticks=SHARES,
    levels={"fresh augmentation, no teacher": sum(scores("augmentation")) / len(SEEDS)},
    caption=f"{SHOTS} labelled images per class in {COPIES} cached copies. Dashed: a new view at "
    "every step instead of cached copies.",
    alt="Test accuracy: "
    + ", ".join(f"alpha {a:g}: {e.mean:.2f}" for a, e in zip(SHARES, by_share))
    + ".",
)

# %% [markdown]
# ## Measure it: who sees which view, and what it costs
#
# Three ways to combine augmentation with a teacher: *fixed*, the student sees copies and the teacher's answer to the image as it
# was; *same view*, cached for the copies; *online*, a new view for both at every step.

# %%
trained |= students(
    {
        "fixed": {"images": "all", "teacher": plain.expand(COPIES, -1, -1), **RIGHT},
        "online": {"images": "all", "teacher": teacher["teacher"], **RIGHT},
    }
)
shown = {"fixed": "fixed", "same view, cached": "both", "same view, online": "online"}
by_view = {name: lab.mean_interval(scores(kind)) for name, kind in shown.items()}
lab.figures.bars(
    by_view,
    title=f"Same view - fixed: {gain('both', 'fixed').mean:+.3f}; cached - online: "
    f"{gain('both', 'online').mean:+.3f}",
    x="test accuracy",
    caption=f"{SHOTS} labels per class and unlabelled images, {STEPS} steps. Mean and 95 % "
    f"interval over {len(SEEDS)} seeds.",
    alt="Test accuracy: "
    + ", ".join(f"{name} {level.mean:.2f}" for name, level in by_view.items())
    + ".",
)

# %% [markdown]
# And the price? Time one epoch over the student's images, with cached logits and with the teacher online, by turns, without
# augmentation. Both must end with the same student.

# %%
once = {
    **COMMON,
    "steps": len(task.train_labels) // 64,
    "seed": SEED,
    "images": "all",
    "mixed": distillation.mixed_loss,
}
ways = {"cached": plain, "online": teacher["teacher"]}
turns = [
    {**once, "teacher": asked}
    for _ in range(lab.quick_or_full(7, 30, smoke=4))
    for asked in ways.values()
]
timed = lab.sweep(
    distillation.fit_student, turns, jobs=1, description="epochs"
)  # one process, one thread
epochs = {name: timed[i::2] for i, name in enumerate(ways)}
seconds = {
    name: [row["seconds"] for row in rows[2:]] for name, rows in epochs.items()
}  # the first ones warm up
apart = (epochs["cached"][0]["test_logits"] - epochs["online"][0]["test_logits"]).abs().max().item()
print(f"The two students' logits differ by at most {apart:.0e}.")
print(
    f"Cache: {views[..., 0].numel():,} answers, once. Online: {STEPS * 64:,} answers for each of "
    f"{len(SEEDS)} students."
)

# %%
lab.record(
    cached_epoch_speedup=[a / b for a, b in zip(seconds["online"], seconds["cached"])],
    unit="times online",
)

# %% [markdown]
# The cache pays off when it is asked more often than it was filled. Here all students share it. With fresh views the two students are
# not the same any more, but are they as good?

# %%
lab.verdict(
    "cached-is-enough",
    "A cache of replayed views trains the same student as a teacher online (within 0.03).",
    [
        lab.Evidence("cached - online", gain("both", "online"), ">", -0.03),
        lab.Evidence("cached - online", gain("both", "online"), "<", 0.03),
    ],
)

# %%
lab.verdict(
    "consistent-views",
    "Teacher and student must see the same view.",
    [lab.Evidence("same view, cached - fixed", gain("both", "fixed"), ">")],
)

# %% [markdown]
# ## Measure it: does the teacher have to be large?
#
# Two other teachers. The net of the student's size that went to the teacher's school. And **self-distillation** (自蒸馏): each
# augmented student teaches a second one of its own kind, on the same 5 images per class (born-again networks, Furlanello et al. 2018).

# %%
small_plain = distillation.cached_logits(small_teacher["teacher"], DATASET)
trained |= students({"small teacher": {"images": "all", "teacher": small_plain}})
second = [
    {**COMMON, "seed": row["seed"], "teacher": row["student"], **RIGHT}
    for row in trained["augmentation"]
]
trained["self-distilled"] = lab.sweep(
    distillation.fit_student, second, description="second generations"
)
by_teacher = {
    "large teacher - small teacher": gain("distilled", "small teacher"),
    "small teacher - hard labels": gain("small teacher", "hard labels"),
    "self-distilled - augmentation": gain("self-distilled", "augmentation"),
}
lab.figures.bars(
    by_teacher,
    title="; ".join(f"{name}: {value.mean:+.2f}" for name, value in list(by_teacher.items())[::2]),
    x="difference in test accuracy",
    line=0.0,
    caption=f"Paired differences and 95 % intervals over {len(SEEDS)} draws. The teachers' own "
    "accuracies are printed at their training.",
    alt="Differences in accuracy: "
    + "; ".join(f"{name} {value.mean:+.2f}" for name, value in by_teacher.items())
    + ".",
)

# %%
lab.verdict(
    "larger-teacher",
    "A larger teacher is a better teacher.",
    [
        lab.Evidence(
            "large teacher - small teacher", by_teacher["large teacher - small teacher"], ">"
        )
    ],
)

# %%
lab.verdict(
    "self-distillation",
    "A student gains from a teacher of its own size and data.",
    [
        lab.Evidence(
            "self-distilled - augmentation", by_teacher["self-distilled - augmentation"], ">"
        )
    ],
)

# %% [markdown]
# ## Derive: fidelity is not accuracy
#
# Did the student become a copy of the teacher? **Fidelity** (保真度) compares their answers, without any label: the share of images
# on which both give the same class, and the mean $KL(p_t \| p_s)$ at $T = 1$ (Stanton et al. 2021).
#
# ## Write it


# %% exercise="fidelity"
def fidelity(student_logits, teacher_logits):
    """How well the student imitates the teacher: the share of agreement and the mean divergence.

    student_logits, teacher_logits: float tensors (n, classes). Returns two numbers: the share of
    images on which both have the same largest logit, and the mean over the images of KL(p_t || p_s)
    at temperature 1, in nats.
    """
    ### BEGIN SOLUTION
    agreement = (student_logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean()
    log_p_t, log_p_s = teacher_logits.log_softmax(dim=1), student_logits.log_softmax(dim=1)
    divergence = (log_p_t.exp() * (log_p_t - log_p_s)).sum(dim=1).mean()
    return agreement.item(), divergence.item()
    ### END SOLUTION


# %% [markdown]
# A student that is often right agrees with a teacher that is often right, imitation or not. So look where it matters: at the tenth
# of the test images that the teacher is least sure of.

# %%
faithful = lab.yours_or_ours(fidelity)
unsure = z_t.softmax(dim=1).max(dim=1).values.argsort()[: len(z_t) // 10]
compared = ["augmentation", "pseudo-labels", "distilled", "both", "all true labels"]
agreed = {
    name: [faithful(row["test_logits"][unsure], z_t[unsure])[0] for row in trained[name]]
    for name in compared
}
right = {
    name: [
        (row["test_logits"][unsure].argmax(dim=1) == task.test_labels[unsure]).float().mean().item()
        for row in trained[name]
    ]
    for name in compared
}
imitation = {name: lab.paired_difference(agreed[name], right[name]) for name in compared}
points = {
    name: (
        lab.mean_interval(agreed[name]).mean,
        lab.mean_interval(right[name]).mean,
        imitation[name].mean,
    )
    for name in compared
}
teacher_right = (z_t[unsure].argmax(dim=1) == task.test_labels[unsure]).float().mean().item()
nearest, best_there = (max(points, key=lambda name: points[name][i]) for i in (0, 1))

# %%
lab.figures.scatter(
    points,
    title=f"Where the teacher is unsure: nearest to it is “{nearest}”, most accurate "
    f"“{best_there}”",
    x="agreement with the teacher (share of images)",
    y="accuracy on the same images",
    colour="agreement - accuracy",
    caption=f"{len(unsure)} images, means over {len(SEEDS)} seeds. The teacher reads "
    f"{teacher_right:.0%} of them rightly.",
    alt="; ".join(f"{n}: agreement {a:.2f}, accuracy {y:.2f}" for n, (a, y, _) in points.items())
    + ".",
)

# %%
closeness = [faithful(row["test_logits"], z_t)[0] for row in trained["distilled"]]
lab.record(fidelity_distilled=closeness, unit="share of agreement")

# %%
lab.verdict(
    "imitation",
    "Where the teacher is unsure, a distilled student follows it more than the truth.",
    [lab.Evidence("distilled: agreement - accuracy", imitation["distilled"], ">")],
)

# %% [markdown]
# ## Recap
#
# * The distillation loss is a cross-entropy to softened answers; $T^2$ keeps its gradient's size, labels are mixed in by $\alpha$.
# * A teacher's answers are computed once. With augmentation, replay the views from their seeds: same view for both.
# * Ask what each part adds: more images, soft answers, the likeness of classes, augmentation. Their gains overlap.
#
# **Questions.** 1. Why does cross-entropy to the teacher never reach 0, and does that matter? 2. Your teacher reached 100 % on the
# images that it now answers for. What has become of its dark knowledge, and what can you do? 3. A student agrees with its teacher on
# 99 % of the images and is less accurate than one that agrees on 95 %. How can that be?
#
# **Going further.** Hinton, Vinyals & Dean 2015 (arXiv 1503.02531), distillation; Beyer et al. 2022 (CVPR), a good teacher is patient and
# consistent; Stanton et al. 2021 (NeurIPS), does distillation really work; Furlanello et al. 2018 (ICML), born-again networks; Zhao et
# al. 2022 (CVPR), decoupled distillation: target and wrong classes apart. A pretrained ImageNet network such as the course's
# EfficientNet-Lite0 reads some tens of images a second on two cores: too slow as a teacher here, with a GPU it is worth a try. In
# production: `torch.nn.functional.kl_div` with `reduction="batchmean"`, the recipes of `timm` and the distillation tokens of DeiT.
