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
# You have a large model that classifies well, and need a small one. **Knowledge distillation** (知识蒸馏) lets the large one, the
# *teacher* (教师模型), answer, and trains the small one, the *student* (学生模型), to give the same answers. The answers say more
# than a label: how much this *e* looks like an *a*. But a teacher that knows more labels than its student also hands these on. So
# this chapter asks twice: what does a student learn from a teacher, and what is left of it when both know the same labels?
#
# **After this chapter you can** soften an answer by a temperature (温度), derive the distillation loss, its factor $T^2$ and its
# gradient, cache a teacher's answers even with augmentation, tell what a teacher adds to labels that both know, and how to find
# out whether soft answers are more than smoothed labels.
#
# **Time:** 75 minutes. **Claims under test:** C7 (distillation adds to few-shot accuracy; its other half, adversarial training,
# is tested in chapter 07), C9 (a pretrained teacher lifts a small student that has few labels), C13 (augmentation with
# distillation brings a network to a quoted accuracy: not testable here, and why).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import dark_knowledge, distillation, mean_teacher, pretrained_teachers

lab.setup("06", profile=PROFILE, seed=SEED, device=DEVICE)
DATASETS = [DATASET, *(name for name in ("glyphs", "digits", "fashion") if name != DATASET)]
# Teachers and students have different halves of the training images and the same test images.
_, task = lab.data.load(DATASET).halves()
SEEDS, SHOTS = lab.seeds(4, 10), 5
FEW = lab.quick_or_full(200, 600)  # as many steps as fit the chapter
STEPS = {"glyphs": lab.quick_or_full(300, 1200), "digits": FEW, "fashion": FEW}
COPIES = lab.quick_or_full(16, 32)  # augmented copies of every image whose answers are cached
# The rules of the verdicts on one data set are about glyphs; with another one the chapter explores.
EXPLORING = "" if DATASET == "glyphs" else f"DATASET={DATASET}"

# %% [markdown]
# Chosen on validation images, before anything was tested, were the policy's strength for a small student of each data set, the
# teachers' width, temperatures with the teacher's share $\alpha$, how far labels are smoothed, the heads of the pretrained teachers, and a
# mean teacher's decay and weight ([choices](../docs/choices.md) tells from what). Set by hand were the steps and the cached copies, as
# many as fit the chapter; the students' width; and for the glosses $\alpha = 0.5$ and, in self-training, the temperature that was
# chosen for MiniLM.
#
# Of settings within 0.01 of the best the first is taken. So teachers with few labels answer at $T = 1$, not softened at all: no other
# temperature gained that much.

# %%
RIGHT = {
    name: {"policy": "affine", "strength": lab.chosen(f"student-strength-{name}")}
    for name in DATASETS
}
WIDTH, LOSS = lab.chosen("teacher-width"), lab.chosen("self-training-loss")
INFORMED_LOSS = lab.chosen("informed-loss")
TEMPERATURE = INFORMED_LOSS["temperature"]
print("Strength of the policy:", {name: right["strength"] for name, right in RIGHT.items()})
print(f"Width of the teachers {WIDTH}, of the students 8. Steps: {STEPS}.")
print(f"Informed teachers: {INFORMED_LOSS}. Teachers with the same labels: {LOSS}.")

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "soft",
    "Two students learn from the same images. One gets the true labels of all of them, one a "
    "teacher's soft answers. Who classifies new images better?",
    ["the one with the true labels", "both alike", "the one with the soft answers"],
)

# %%
lab.predict(
    "same labels",
    f"A teacher learns from {SHOTS} labels per class and answers for images without a label. A "
    "student learns from the same labels and from these answers. What do the answers add?",
    ["they harm", "nothing", "1 to 5 points of accuracy", "more than 5 points"],
)

# %% [markdown]
# ## The teacher
#
# To see how answers are passed on, begin with a teacher that answers well. Half of the training images are the teacher's, *all
# labelled*; call it the **informed teacher**. The other half are the student's: 5 of each class are labelled, the others are not.
# The halves share no image and, of the glyphs, no typeface (but all typefaces of both are of one family, DejaVu, and a slanted
# face is nearly a sheared upright one; the test images are of another family, Computer Modern). Glyphs are *rendered*: the policy
# moves them in the ways in which their test images were moved.
#
# Mind what this teacher is: it knows labels of the same classes that the student does not have. Chapter 08 calls that smuggled
# labels. So what its students reach is an *upper bound*, and beside it belongs a net of the *student's* size that is trained on
# the teacher's labels directly. Here are both, one for every seed, by the loop of chapter 02 (`distillation.fit_teacher`).

# %%
TEACHERS = {"informed teacher": {"width": WIDTH}, "the teacher's labels": {"width": 8}}
SCHOOL = {"dataset": DATASET, "steps": STEPS[DATASET], "seeds": SEEDS, "unit": "accuracy"}
teachers = lab.arms(
    distillation.fit_teacher, TEACHERS, description="teachers", **SCHOOL, **RIGHT[DATASET]
)
teacher, narrow = (teachers.rows[name][0] for name in TEACHERS)
for name, row in {"Informed teacher": teacher, "The student's size": narrow}.items():
    size = sum(weights.numel() for weights in row["teacher"].parameters())
    accuracies = teachers.interval(list(TEACHERS)[row is narrow])
    print(f"{name}: {size:,} parameters, test accuracy {accuracies.short()}.")
known = len(lab.data.load(DATASET).halves()[0].train_labels)
labelled = SHOTS * len(task.classes)
print(f"The teacher knows {known} labels, the student {labelled} of its {len(task.train_labels)}.")

# %%
lab.record(
    teacher=teachers.interval("informed teacher"),
    student_size_on_the_teachers_labels=teachers.interval("the teacher's labels"),
)

# %% [markdown]
# ## See: temperature
#
# These are the first teacher's real answers to test images, the surest ones first. Drag the temperature: at which $T$ can you see
# what the teacher finds similar, and at which is nothing left to see? Then look at the images of which it is least sure.

# %%
lab.widgets.TemperatureExplorer(task, teacher["test_logits"])

# %% [markdown]
# Low temperatures give a hard label, high ones give every class the same probability. Hinton called what the wrong classes say in
# between *dark knowledge* (暗知识).
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

# %% folded=true
pairs = []
for cell in shares.flatten().topk(4).indices.tolist():
    true, other = divmod(cell, len(shares))
    pairs.append(f"{task.classes[true]}→{task.classes[other]} {shares[true, other]:.2f}")
lab.figures.matrix(
    shares,
    list(task.classes),
    [name[:5] for name in task.classes],
    title="What the first teacher finds most alike: " + ", ".join(pairs),
    caption="Row: true class. Each cell: the share of the wrong classes' probability, at T = "
    f"{TEMPERATURE:g}, that goes to this class. One teacher, that of the first seed.",
    alt="For each true class, how the first teacher's wrong probability is spread. The largest: "
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
# The student is to give the teacher's answers. With $t$ the teacher and $s$ the student, minimise the **cross-entropy (交叉熵) to the
# teacher**
#
# $$H(p_t, p_s) = -\sum_k p_{t,k} \log p_{s,k} = \underbrace{\sum_k p_{t,k} \log \frac{p_{t,k}}{p_{s,k}}}_{KL(p_t \| p_s)} +
# \underbrace{\Big(-\sum_k p_{t,k} \log p_{t,k}\Big)}_{H(p_t)}$$
#
# $H(p_t)$ does not depend on the student, so cross-entropy and KL divergence (KL散度) have the same gradient. KL is zero when the
# student has learned all there is. (In this order KL asks the student to give weight to every class that the teacher gives weight to;
# in the reverse order it could leave some out.) The article that this course examines writes no more than $\sum_x p_s(x) \log p_t(x)$,
# with $s$ for the *source*, our teacher. Three things are missing there: the temperature, a factor $T^2$, and the labels that you have.
#
# **Why $T^2$?** Let both be softened. The gradient of $KL(p_t^T \| p_s^T)$ with respect to the student's logit $z_k$ is
#
# $$\frac{1}{T}\left(p_{s,k}^T - p_{t,k}^T\right) \approx \frac{1}{C\,T^2}\left(z_{s,k} - z_{t,k}\right) \quad \text{for large } T$$
#
# with $C$ classes and each image's logits centred. One $1/T$ comes from the chain rule, the other from the flattened
# probabilities. Where $T$ is large against the logits, a factor $T^2$ undoes both: there another temperature does not change how
# much the teacher weighs beside the labels. At small $T$ it still does, as you will measure.
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
# No framework is needed for this one. How hard does $L_{\text{soft}}$ push each logit of the student, and which way?


# %% exercise="distillation_gradient"
def distillation_gradient(student_logits, teacher_logits, temperature):
    """The gradient of the distillation loss with respect to the student's logits.

    The loss has its factor T squared. student_logits, teacher_logits: float tensors (n, classes).
    temperature: a number above 0. Returns a float tensor (n, classes).
    """
    ### BEGIN SOLUTION
    p_s = (student_logits / temperature).softmax(dim=1)
    p_t = (teacher_logits / temperature).softmax(dim=1)
    return temperature * (p_s - p_t) / len(student_logits)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: what the factor does
#
# Formula against automatic differentiation, on real answers: the net of the student's size plays the student. Then the size of the
# gradient over the temperature, with the factor and without.

# %%
soft_loss, gradient = lab.yours_or_ours(distillation_loss), lab.yours_or_ours(distillation_gradient)
z_s, z_t = narrow["test_logits"].clone().requires_grad_(), teacher["test_logits"]
TEMPERATURES = [1, 2, 4, 8, 16, 32]
automatic = {T: torch.autograd.grad(soft_loss(z_s, z_t, T), z_s)[0] for T in TEMPERATURES}
z_s = z_s.detach()
differ = max((gradient(z_s, z_t, T) - automatic[T]).abs().max().item() for T in TEMPERATURES)
print(f"Formula and automatic differentiation differ by at most {differ:.0e}.")

# The whole push on the logits of each image, (n,)
pushes = {T: automatic[T].abs().sum(dim=1) * len(z_s) for T in TEMPERATURES}
sizes = {
    "with T²": [lab.mean_interval(push) for push in pushes.values()],
    "without": [lab.mean_interval(push / T**2) for T, push in pushes.items()],
}

# %% folded=true
grow = {name: rows[-1].mean / rows[0].mean for name, rows in sizes.items()}
last = sizes["with T²"][-1].mean / sizes["with T²"][TEMPERATURES.index(8)].mean
lab.figures.curves(
    {name: (TEMPERATURES, rows) for name, rows in sizes.items()},
    title=f"From T = 1 to {TEMPERATURES[-1]} the gradient changes by a factor of "
    f"{grow['with T²']:.2g} with T², {grow['without']:.2g} without",
    x="temperature T",
    y="sum of |gradient| over an image's logits",
    log_x=True,
    log_y=True,
    ticks=TEMPERATURES,
    caption=f"Mean and 95 % interval over {len(z_s)} test images, two nets. With T² and from T = 8 "
    f"on: a factor of {last:.2g}. Without T², labels drown out the teacher at high temperatures.",
    alt="; ".join(
        f"{name}: " + ", ".join(f"T {T}: {e.mean:.2g}" for T, e in zip(TEMPERATURES, rows))
        for name, rows in sizes.items()
    ),
)

# %% [markdown]
# The factor was derived for *large* temperatures, and there it does its work. At low ones, two nets that are sure of the same class
# hardly differ, and the gradient is small: the temperature and $\alpha$ must be chosen together.
#
# ## Derive: hard and soft targets mixed
#
# Where an image has a label $y$, use it. With a share $\alpha$ for the teacher, every image costs
#
# $$L = \alpha\, T^2\, KL(p_t^T \| p_s^T) \;+\; (1-\alpha)\,[\text{it has a label}]\,(-\log p_{s,y})$$
#
# The hard part is at temperature 1. An image without a label has the soft part only. Take the mean over *all* images of the batch.
# No formula gives $\alpha$: it is chosen on validation images, together with $T$.
#
# ## Write it
#
# `soft_loss` is your distillation loss, or the course's.


# %% exercise="mixed_loss"
def mixed_loss(student_logits, teacher_logits, labels, temperature, alpha):
    """The soft loss and the cross-entropy to the labels, mixed, as the mean over all n images.

    It is alpha times the soft loss plus 1 - alpha times the hard one. student_logits,
    teacher_logits: float tensors (n, classes). labels: whole numbers (n,), -1 where there is none.
    temperature: a number above 0. alpha: the teacher's share, 0 to 1. Returns a scalar tensor.
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
# * ask the teacher *online*, at every step: exact, and slow;
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

right = RIGHT[DATASET]


def change(images, generator):
    return get_policy(right["policy"])(images, right["strength"], generator)


replay = lab.yours_or_ours(replayed_copies)
some = torch.stack([task.test_images[task.test_labels == k][0] for k in range(8)])
drawn, again = replay(some, change, 3, 0), replay(some, change, 1, 2)
same = torch.equal(drawn[2], again[0])

# %% folded=true
lab.figures.images(
    torch.cat([*drawn, *again]),
    [f"copy {r}" for r in (0, 1, 2) for _ in some] + ["again"] * len(some),
    columns=len(some),
    title=f"Copy 2, drawn again from its seed, is {'the same' if same else 'another one'}",
    caption="Three copies of eight images, each row from its own seed, and the third row once "
    "more.",
)

# %% [markdown]
# Fill a cache for the informed teacher: of all copies of the student's images.

# %%
views = {
    row["seed"]: distillation.cached_logits(row["teacher"], DATASET, **right, copies=COPIES)
    for row in teachers.rows["informed teacher"]
}
one = next(iter(views.values()))  # (copies, n, classes)
print(f"The cache of a teacher holds {one.nbytes / 1e6:.1f} MB for {one[..., 0].numel():,} views.")

# %% [markdown]
# ## Measure it: a teacher that knows the same labels
#
# Now take the smuggled labels away. In **self-training** (自训练) the teacher learns from the student's own K labels, answers for
# the unlabelled images of the student's half, and the student learns from labels and answers (Lee 2013, pseudo-labels; Xie et al.
# 2020, noisy student). Beside it stands training on the labels alone. Neither knows a label more than the other, and neither has more
# steps: the teacher takes half of them and the student the other half. Every seed draws its own labels and trains its own
# teacher. Three data sets; the right policy in all arms.
#
# Students learn by the loop of chapter 02. With a teacher its loss is another one: `distillation.cached_loss` calls your
# `mixed_loss`, and the labels that it takes are cached logits and labels side by side. Its `augment` picks one of the cached copies
# at random (`distillation.replaying`).

# %%
COMMON = {"shots": SHOTS, "seeds": SEEDS, "unit": "accuracy"}
COMMON["mixed"] = lab.yours_or_ours(mixed_loss)
SAME = {"teacher with the same labels": {"shots": SHOTS, "width": WIDTH}}
FROM_FEW = {"images": "all", **LOSS}  # how students learn from teachers that know few labels


def taught(name, kinds):
    """Students of a data set, each kind with all seeds."""
    options = {"dataset": name, "steps": STEPS[name], **COMMON, **RIGHT[name]}
    return lab.arms(distillation.fit_student, kinds, description="students", **options)


def self_trained(name):
    """Labels alone, a teacher that knows no more than these, and its student."""
    few = {"dataset": name, "seeds": SEEDS, "steps": STEPS[name] // 2, **RIGHT[name]}
    school = lab.arms(distillation.fit_teacher, SAME, description="teachers", **few)
    answers = {
        row["seed"]: distillation.cached_logits(row["teacher"], name, **RIGHT[name], copies=COPIES)
        for row in school.rows["teacher with the same labels"]
    }
    kinds = {
        "labels alone": {},
        "self-training": lambda seed: {"teacher": answers[seed], "steps": few["steps"], **FROM_FEW},
    }
    return school | taught(name, kinds)


students = {name: self_trained(name) for name in DATASETS}

# %% [markdown]
# ## Read it
#
# The teachers are wider than their students, so look at them too: where the student ends below its own teacher, and you may keep the
# wide net, compare with *it*. A hollow point was still learning. There the order may be a matter of steps: labels alone had twice as many
# as the student. On glyphs many trainings do not come to rest in their steps, so the claims below say “after equally many steps”.

# %% folded=true
same_labels = ("labels alone", "teacher with the same labels", "self-training")
added = {name: students[name].gain("self-training", over="labels alone") for name in DATASETS}
lab.figures.panels(
    {f"test accuracy, {n}": {k: students[n].interval(k) for k in same_labels} for n in DATASETS},
    title="Self-training - labels alone: "
    + ", ".join(f"{name} {gain.mean:+.3f}" for name, gain in added.items()),
    caption=f"{SHOTS} labels per class, {len(SEEDS)} draws of them, a teacher for each. 95 % "
    "intervals, draws and test pictures drawn anew.",
)

# %%
for name, arms in students.items():
    behind = arms.gain("self-training", over="teacher with the same labels")
    print(f"{name}: student - its own teacher {behind.short(signed=True)}")

# %%
lab.record(
    **{f"student_augmented_k5_{n}": students[n].interval("labels alone") for n in DATASETS},
    **{f"student_self_trained_k5_{n}": students[n].interval("self-training") for n in DATASETS},
    headline=f"student_self_trained_k5_{DATASET}",
)

# %%
from dataclasses import replace


def with_teachers(gain, arms, *kinds):
    """The same estimate, which also says how many of the teachers' trainings came to rest."""
    return replace(gain, rest=sum((arms.rest(kind) for kind in kinds), gain.rest))


own = "teacher with the same labels"
lab.verdict("C7a", **{n: with_teachers(gain, students[n], own) for n, gain in added.items()})

# %%
lab.recall("same labels", "; ".join(f"{name} {gain}" for name, gain in added.items()))

# %% [markdown]
# ## Measure it: what a teacher with more labels passes on
#
# The same student, taught by the informed teachers, with as many steps as these had. Beside it stands the net of its size on the
# teacher's labels, trained above. Which of the two ways from these labels to a small net is the better one?

# %%
SOFT = {"images": "all", **INFORMED_LOSS}
INFORMED = {"informed teacher's student": lambda seed: {"teacher": views[seed], **SOFT}}
students[DATASET] |= taught(DATASET, INFORMED)
ladder = students[DATASET] | teachers

# %% folded=true
kinds = {
    f"labels alone ({labelled})": "labels alone",
    f"self-training ({labelled})": "self-training",
    f"informed teacher's student ({labelled} + {known})": "informed teacher's student",
    f"the teacher's labels ({known})": "the teacher's labels",
}
rows = {name: ladder.interval(kind) for name, kind in kinds.items()}
through, directly = (
    ladder.mean(kind) - ladder.mean("labels alone")
    for kind in ("informed teacher's student", "the teacher's labels")
)
lab.figures.bars(
    rows,
    title=f"{known} more labels: {through:+.2f} through a teacher, {directly:+.2f} directly",
    x="test accuracy",
    caption=f"Nets of the student's size on {DATASET}; in brackets, how many labels are behind "
    "them. The lower two are upper bounds. 95 % intervals, seeds and test pictures drawn anew.",
)

# %%
lab.record(student_both_k5_informed=ladder.interval("informed teacher's student"))

# %%
over_its_labels = ladder.gain("informed teacher's student", over="the teacher's labels")
lab.verdict(
    "labels-of-the-teacher",
    glyphs=with_teachers(over_its_labels, teachers, "informed teacher"),
    exploring=EXPLORING,
)

# %% [markdown]
# ## Measure it: is it the dark knowledge?
#
# What is it in soft answers that teaches? Students of the informed teachers see the *same* images, as they are, and differ only in
# their targets: the teacher's class as a hard **pseudo-label** (伪标签); its soft answer with the wrong classes **shuffled**, so that
# its confidence stays and the likeness is wrong (Furlanello et al. 2018); with the wrong classes made **level**, so that its
# confidence stays and nothing is said of likeness; and the soft answer itself. Two more have the true label of every image, as it is
# and with **label smoothing** (标签平滑), which spreads a part of it over all classes. This is the known rival of soft answers
# (Müller et al. 2019; Yuan et al. 2020): it needs no teacher. “Level” is the same with the teacher's confidence in each image.

# %%
plain = {
    row["seed"]: distillation.cached_logits(row["teacher"], DATASET)  # (1, n, classes)
    for row in teachers.rows["informed teacher"]
}


def level(seed):
    answers = dark_knowledge.uniform_wrong_classes(plain[seed], TEMPERATURE)
    return {"teacher": answers, **SOFT}


def shuffled(seed):
    generator = torch.Generator().manual_seed(seed)
    return {"teacher": dark_knowledge.shuffled_wrong_classes(plain[seed], generator), **SOFT}


TARGETS = {
    "pseudo-labels": lambda seed: {"teacher": plain[seed], "answers": "hard", "images": "all"},
    "shuffled": shuffled,
    "level": level,
    "soft answers": lambda seed: {"teacher": plain[seed], **SOFT},
    "true labels": {"images": "all"},
    "smoothed labels": {"images": "all", "smoothing": lab.chosen("label-smoothing-glyphs")},
}
STILL = {"dataset": DATASET, "steps": FEW, "description": "students", **COMMON}
targets = lab.arms(distillation.fit_student, TARGETS, **STILL)

# %% folded=true
levels = {kind: targets.interval(kind) for kind in TARGETS}
lab.figures.bars(
    levels,
    title="Soft answers - "
    + ", ".join(
        f"{kind} {levels['soft answers'].mean - levels[kind].mean:+.2f}"
        for kind in ("pseudo-labels", "level", "smoothed labels")
    ),
    x="test accuracy",
    caption=f"{DATASET}, without augmentation, {STILL['steps']} steps, T = {TEMPERATURE:g}. A "
    f"teacher for each of {len(SEEDS)} seeds. 95 % intervals, seeds and test pictures drawn anew.",
)

# %% [markdown]
# Three comparisons, in pairs. Only if all three are positive does the gain come from what the answers say about the wrong classes.

# %%
controls = {"hard": "pseudo-labels", "level": "level", "shuffled": "shuffled"}
parts = {part: targets.gain("soft answers", over=kind) for part, kind in controls.items()}
parts = {part: with_teachers(gain, teachers, "informed teacher") for part, gain in parts.items()}
lab.verdict("dark-knowledge", **parts, exploring=EXPLORING)

# %%
lab.record(student_distilled_k5_informed=targets.interval("soft answers"))

# %%
lab.recall(
    "soft",
    f"soft answers - true labels = {targets.gain('soft answers', over='true labels')}",
)

# %% [markdown]
# Where soft answers beat the *true* labels of the same images, do not credit dark knowledge at once. A net that sees the same images
# again and again without augmentation soon fits any label; softer targets keep it from being certain. How much of the gap do
# “level” and the smoothed labels close, which know nothing of likeness, and how much is left? In pairs:

# %%
for kind in ("soft answers", "level", "smoothed labels"):
    print(f"{kind} - true labels: {targets.gain(kind, over='true labels').short(signed=True)}")
for kind in ("level", "smoothed labels"):
    print(f"soft answers - {kind}: {targets.gain('soft answers', over=kind).short(signed=True)}")

# %% [markdown]
# ## See: how temperature and share were chosen
#
# Both were chosen before, together, with other seeds, on validation images. This is what the choosing saw. The test images play no
# part in it: the best of ten settings on *them* would be the luckiest one, too.

# %% folded=true
from fewshot_lab.evidence.choices import recorded_choices

choice = recorded_choices()["informed-loss"]
found = {}
for one in choice.candidates:
    temperatures, scores = found.setdefault(f"α = {one.value['alpha']:g}", ([], []))
    temperatures.append(one.value["temperature"])
    scores.append(lab.evidence.Estimate(one.score, one.low, one.high, len(choice.seeds)))
lab.figures.curves(
    found,
    title=f"On validation images: T = {choice.chosen['temperature']:g} and "
    f"α = {choice.chosen['alpha']:g} were chosen",
    x="temperature T",
    y="validation accuracy",
    log_x=True,
    ticks=temperatures,
    caption=f"Glyphs, without augmentation, seeds {choice.seeds[0]} to {choice.seeds[-1]}. The "
    f"first setting whose mean is within {choice.margin:g} of the best is taken. Do the intervals "
    "tell neighbours apart?",
)

# %% [markdown]
# ## Measure it: a pretrained teacher
#
# A teacher may know much without a label of your classes: a network that was trained on other data. Freeze it, fit a **linear head**
# on the K labels, and let it answer for the unlabelled images. The network here is EfficientNet-Lite0, trained on 1.3 million
# labelled *photographs in colour*. It gets grey images of 28 or 8 pixels, enlarged; whether what it knows is of use there is
# the question. Its features do not change, so they are computed once and kept in the cache folder; the student sees new copies, and
# the teacher's answer to the image as it was.

# %%
HEAD = {"C": lab.chosen("efficientnet-head"), "side": lab.chosen("efficientnet-side")}


def with_a_bar(batches):
    return lab.progress_bar(batches, "batches")


def far_teacher(name, seed):
    """The head on EfficientNet-Lite0; a copy gets the answers to its image."""
    options = {"shots": SHOTS, "seed": seed, "device": DEVICE, "progress": with_a_bar}
    answers = pretrained_teachers.image_answers(name, **options, **HEAD)
    return {"teacher": answers.expand(COPIES, -1, -1), **FROM_FEW}


try:
    for name in DATASETS:
        kinds = {"pretrained teacher": lambda seed, name=name: far_teacher(name, seed)}
        students[name] |= taught(name, kinds)
except lab.CourseError as error:
    print(f"Without EfficientNet-Lite0, whose weights are not here: {error}")

# %% [markdown]
# The same with short texts, where the pretrained network is close to the task: MiniLM, trained on a billion pairs of English
# sentences, answers for 500 glosses of five classes; the student is the text network of chapter 03, from scratch.

# %%
NEAR = dict(lab.chosen("minilm-teacher"))
TEXTS = {"shots": SHOTS, "seeds": SEEDS, "steps": lab.quick_or_full(200, 400)}
TEXTS |= {"unit": "accuracy", "temperature": NEAR.pop("temperature"), "description": "students"}


def near_teacher(seed):
    options = {"shots": SHOTS, "seed": seed, "device": DEVICE, "progress": with_a_bar}
    return {"teacher": pretrained_teachers.text_answers(**options, **NEAR)}


HALF = {
    "steps": TEXTS["steps"] // 2
}  # teacher and student of self-training have as many as the others
kinds = {"labels alone": {}, "teacher with the same labels": HALF}
texts = lab.arms(pretrained_teachers.fit_text_student, kinds, **TEXTS)
told = {row["seed"]: row["pool_logits"] for row in texts.rows["teacher with the same labels"]}
kinds = {"self-training": lambda seed: {"teacher": told[seed], **HALF}}
kinds["pretrained teacher"] = near_teacher
try:
    texts |= lab.arms(pretrained_teachers.fit_text_student, kinds, **TEXTS)
except lab.CourseError as error:
    print(f"Without MiniLM, whose weights are not here: {error}")

# %% [markdown]
# ## Read it
#
# Compare the pretrained teacher's student with training on the labels alone, and then with self-training, whose teacher saw nothing
# but these images. Where the second comparison is negative, what was seen elsewhere was worth less than the few images here. Mind one
# difference: with images, self-training's students get answers to the view that they see, and the pretrained teacher's to the image as
# it was. What that costs an informed teacher's student is measured further down (consistent-views); subtract it in your mind.

# %% folded=true
measured = students | {"glosses": texts}
shown = ("labels alone", "self-training", "pretrained teacher")
lifted = {
    name: arms.gain("pretrained teacher", over="labels alone")
    for name, arms in measured.items()
    if "pretrained teacher" in arms.rows
}
lab.figures.panels(
    {
        f"accuracy, {name}": {kind: arms.interval(kind) for kind in shown if kind in arms.rows}
        for name, arms in measured.items()
    },
    title="Pretrained teacher - labels alone: "
    + ", ".join(f"{name} {gain.mean:+.2f}" for name, gain in lifted.items()),
    caption=f"Test accuracy of the students, {SHOTS} labels per class. 95 % intervals over "
    f"{len(SEEDS)} draws of the labels and over test pictures or texts.",
)

# %%
for name in lifted:
    rival = measured[name].gain("pretrained teacher", over="self-training")
    print(f"{name}: pretrained teacher - self-training {rival.short(signed=True)}")

# %%
NOT_MEASURED = lab.evidence.Estimate(float("nan"), float("nan"), float("nan"), 0)  # no weights
lab.verdict("C9a", **{name: lifted.get(name, NOT_MEASURED) for name in DATASETS})

# %%
lab.verdict("C9b", texts=lifted.get("glosses", NOT_MEASURED))

# %%
lab.record(
    **{
        f"student_pretrained_k5_{name}": arms.interval("pretrained teacher")
        for name, arms in measured.items()
        if "pretrained teacher" in arms.rows
    }
)

# %% [markdown]
# “Pretrained” alone says little: ask on what. Large teachers of this decade are pretrained on so much that they are near to most
# tasks; a test like this one tells you whether yours is.
#
# ## Measure it: who sees which view, and what it costs
#
# Two ways to combine augmentation with the informed teacher, without running it at every step: *same view*, cached for the copies,
# which the student above had; and *image as it was*: the student sees copies, the answer is to the image before the change.

# %%
AS_IT_WAS = {
    "image as it was": lambda seed: {"teacher": plain[seed].expand(COPIES, -1, -1), **SOFT},
}
students[DATASET] |= taught(DATASET, AS_IT_WAS)
same_view = students[DATASET].gain("informed teacher's student", over="image as it was")

# %%
same_view = with_teachers(same_view, teachers, "informed teacher")
lab.verdict("consistent-views", glyphs=same_view, exploring=EXPLORING)

# %% [markdown]
# And the price of asking at every step (`distillation.online_loss`)? Time one epoch over the student's images, with cached logits
# and with the teacher online, in turn, without augmentation. Both must end with the same student.

# %%
EPOCH = {"dataset": DATASET, "shots": SHOTS, "seed": SEED, "images": "all"}
EPOCH |= {"steps": len(task.train_labels) // 64, **INFORMED_LOSS}
turns = [
    {**EPOCH, "teacher": answers}
    for _ in range(lab.quick_or_full(7, 30, smoke=4))
    for answers in (plain[SEEDS[0]], teacher["teacher"])
]
timed = lab.sweep(distillation.fit_student, turns, jobs=1, description="epochs")  # one thread
cached, online = timed[::2], timed[1::2]
ratios = [slow["seconds"] / fast["seconds"] for fast, slow in zip(cached, online)][2:]  # warm
apart = (cached[0]["test_logits"] - online[0]["test_logits"]).abs().max().item()
print(f"The two students' logits differ by at most {apart:.0e}.")
print(f"Cache: {COPIES * len(task.train_labels):,} answers, once.")
print(f"Online: {STEPS[DATASET] * 64:,} answers for each student.")

# %%
print(f"An online epoch takes {min(ratios):.2f} to {max(ratios):.2f} times as long.")
lab.record(cached_epoch_speedup=sum(ratios) / len(ratios), unit="times as long online")

# %% [markdown]
# These are epochs of one process on one machine, not independent measurements, so no 95 % interval is claimed. The cache pays off when it
# is asked more often than it was filled.
#
# ## Measure it: does the teacher have to be large?
#
# Other teachers: the nets of the *student's* width that were trained on the informed teachers' labels, one for every seed. Their
# students learn like those of the soft answers, from the images as they are. A teacher of the student's own kind is what
# **self-distillation** (自蒸馏) takes, too (born-again networks, Furlanello et al. 2018). Read the two differences side by side: a better
# teacher need not teach more.

# %%
by_narrow = {
    row["seed"]: distillation.cached_logits(row["teacher"], DATASET)
    for row in teachers.rows["the teacher's labels"]
}
NARROW = {"narrow teacher": lambda seed: {"teacher": by_narrow[seed], **SOFT}}
targets |= lab.arms(distillation.fit_student, NARROW, **STILL)
wider = targets.gain("soft answers", over="narrow teacher")
apart = teachers.gain("informed teacher", over="the teacher's labels")
print(f"wide - narrow: the teachers {apart.short(signed=True)}, their students {wider.short(True)}")

# %%
wider = with_teachers(wider, teachers, *TEACHERS)
lab.verdict("larger-teacher", glyphs=wider, exploring=EXPLORING)

# %% [markdown]
# ## A teacher that is its own past
#
# Take the last thing away that a teacher could have over its student: size, labels, images, and even another network. In **born-again
# networks** (Furlanello et al. 2018) the teacher is an earlier training of the *same* network on the *same* images and labels. If what
# answers say of likeness teaches, it must teach here too. The control is a *second training* on the labels alone. It and the
# born-again student start from the same first weights, which are not the teacher's, and see the same views; only the answers differ.
#
# The **mean teacher** (均值教师, Tarvainen & Valpola 2017) goes further: it is never trained at all. It is the average of its student's own
# weights, of which it forgets the old ones, and it changes at every step.

# %%
lab.predict(
    "own past",
    f"With {SHOTS} labels per class, what does a teacher add that is the average of its student's "
    "own past weights?",
    ["it harms", "nothing", "1 to 5 points of accuracy", "more than 5 points"],
)

# %% [markdown]
# ## Derive: the moving average
#
# With $\theta_t$ the student's weights after step $t$ and the decay $\gamma$, the teacher's are their exponential **moving average**
# (滑动平均)
#
# $$\theta'_t = \gamma\,\theta'_{t-1} + (1-\gamma)\,\theta_t = (1-\gamma) \sum_{j \ge 0} \gamma^{\,j}\, \theta_{t-j}$$
#
# A state $j$ steps ago has the weight $(1-\gamma)\gamma^j$: about $1/(1-\gamma)$ steps count. At the decay of 0.99 these are 100. What
# jumps about from step to step cancels in the average, so it may classify better than the network that it follows. That is what makes
# it a teacher. The student learns the labels that there are, and for *every* image pays a **consistency cost**, the mean squared
# difference of its probabilities for one view from the teacher's for another. No gradient reaches the teacher.
#
# ## Write it


# %% exercise="moving_average"
def moving_average(average, weights, decay):
    """The average of a layer's weights, one step further.

    average, weights: float tensors of one shape, the teacher's and the student's; neither changes.
    decay: what the average keeps of itself, 0 to 1. Returns a new tensor of that shape, without a
    gradient.
    """
    ### BEGIN SOLUTION
    return (decay * average + (1 - decay) * weights).detach()
    ### END SOLUTION


# %% [markdown]
# ## Measure it: born again, and a mean teacher
#
# On digits. Born again: all labels of the student's half. The teacher sees every view (`online_loss`); labels and answers count half and
# half at $T = 1$, as in the paper without a temperature, set by hand. Mean teacher: 5 labels per class, with as many steps as
# self-training's teacher and student had together. Half of each batch is labelled, the weight of the consistency rises in the first
# quarter of the steps, and what is tested is the average. Its batch norm is not averaged: it takes mean and variance of the batch at
# hand, and keeps running statistics of its own for the test. Each of its steps also runs the teacher.

# %%
FRESH = {"dataset": "digits", "steps": STEPS["digits"], "unit": "accuracy"}
FRESH |= {"description": "students", **RIGHT["digits"]}
ALL = {"shots": None, "images": "all", "mixed": COMMON["mixed"], **FRESH}
first = lab.arms(
    distillation.fit_student, {"first training": {}}, seeds=[s + 100 for s in SEEDS], **ALL
)
parents = dict(zip(SEEDS, (row["student"] for row in first.rows["first training"])))


def born_again(seed):
    return {"teacher": parents[seed], "temperature": 1.0, "alpha": 0.5}


kinds = {"second training": {}, "born again": born_again}
born = lab.arms(distillation.fit_student, kinds, seeds=SEEDS, **ALL)

# %%
averaged = {"mean teacher": {**lab.chosen("mean-teacher"), "shots": SHOTS}}
averaged["mean teacher"]["average"] = lab.yours_or_ours(moving_average)
averages = lab.arms(mean_teacher.fit_mean_teacher, averaged, seeds=SEEDS, **FRESH)
pasts = students["digits"] | averages

# %% folded=true
again = born.gain("born again", over="second training")
averaging = pasts.gain("mean teacher", over="labels alone")
compared = {"all labels, first (teacher)": first.interval("first training")}
compared |= {f"all labels, {kind}": born.interval(kind) for kind in kinds}
few = ("labels alone", "self-training", "mean teacher")
compared |= {f"{SHOTS} per class, {kind}": pasts.interval(kind) for kind in few}
lab.figures.bars(
    compared,
    title=f"Over labels alone: born again {again.mean:+z.3f}, mean teacher {averaging.mean:+z.3f}",
    x="test accuracy",
    digits=3,
    caption=f"Digits, nets of one size, {STEPS['digits']} steps. 95 % intervals, {len(SEEDS)} "
    "seeds and test pictures drawn anew.",
)

# %% [markdown]
# Look at the second training first: how far it lies from the first is what chance alone does. What a born-again student has over *it* is
# what the answers say. Mind the room that is left: where labels alone are nearly always correct, no teacher can add much. A gain of
# the mean teacher has two parts that these bars do not part, the unlabelled images and the average itself.

# %%
lab.record(
    born_again_digits=born.interval("born again"),
    mean_teacher_k5_digits=pasts.interval("mean teacher"),
)

# %%
lab.verdict("born-again-helps", digits=with_teachers(again, first, "first training"))

# %%
over_its_rival = pasts.gain("mean teacher", over="self-training")
lab.verdict(
    "mean-teacher-helps", alone=averaging, self_training=with_teachers(over_its_rival, pasts, own)
)

# %%
lab.recall("own past", f"mean teacher - labels alone = {averaging}")

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
# A student that is often right agrees with a teacher that is often right, imitation or not. So look where it matters: at the test
# images that the teacher *misclassifies*. There a student can make the teacher's error, correct it, or make another one. Students of
# the true labels, who never heard a teacher, make some of these errors too, since some images are hard for everybody: they are
# what to compare with.


# %%
faithful = lab.yours_or_ours(fidelity)
told = {row["seed"]: row["test_logits"] for row in teachers.rows["informed teacher"]}


def counted(kind, what):
    """The errors of each seed's teacher, or what its student made of them, (seeds, pictures)."""
    answers = {row["seed"]: row["test_logits"] for row in targets.rows[kind]}
    shown = task.test_labels, task.test_pictures
    made = [dark_knowledge.errors_by_picture(answers[s], told[s], *shown) for s in SEEDS]
    return torch.stack([by_picture[what] for by_picture in made])


def agreement(row):
    """The share of all test images to which a student gives its teacher's class."""
    return faithful(row["test_logits"], told[row["seed"]])[0]


# %% folded=true
heard = ("soft answers", "level", "shuffled", "pseudo-labels", "true labels")
errors = counted("soft answers", "errors")
seen = {"the teacher's error": "copied", "classified correctly": "corrected"}
on_errors = {
    name: {
        kind: dark_knowledge.share_of_errors(counted(kind, what), errors, rest=targets.rest(kind))
        for kind in heard
    }
    for name, what in seen.items()
}
shares = [on_errors["the teacher's error"][kind].mean for kind in ("soft answers", "true labels")]
lab.figures.panels(
    on_errors,
    title=f"Of its teacher's errors a student of soft answers makes {shares[0]:.0%}, one of true "
    f"labels {shares[1]:.0%}",
    caption=f"Shares of the test images that the teacher misclassifies, {errors.sum(1).mean():.0f} "
    f"on average. 95 % intervals; {len(SEEDS)} seeds, each with its own teacher, and "
    f"{errors.shape[1]} pictures are drawn anew.",
)

# %%
more = dark_knowledge.share_of_errors(
    counted("soft answers", "copied"),
    errors,
    less=counted("true labels", "copied"),
    rest=targets.rest("soft answers") + targets.rest("true labels"),
)
more = with_teachers(more, teachers, "informed teacher")
lab.verdict("imitation", errors=more, exploring=EXPLORING)

# %%
lab.record(
    fidelity_distilled=targets.interval("soft answers", of=agreement, unit="share of agreement")
)

# %% [markdown]
# ## The printed number
#
# Chapter 02 repaired a listing of the article that this course examines: “image classification with augmentation and distillation”.
# Its text credits distillation for 71.9 % on ImageNet, and nothing in it distils. Can the number be tested here? Not on a laptop, and it
# would prove little: torchvision's ordinary ResNet-50, without any teacher, reaches 76.13 %, its ResNet-18 69.76 %. So 71.9 % lies
# *below* an undistilled ResNet-50 and needs no distillation to explain it.

# %%
lab.verdict("C13")

# %% [markdown]
# ## Recap
#
# * The distillation loss is a cross-entropy to softened answers; $T^2$ keeps its gradient's size where $T$ is large, labels are mixed
#   in by $\alpha$.
# * A teacher's answers are computed once. With augmentation, replay the views from their seeds: same view for both.
# * Ask first what the teacher *knows*: more labels, other data, or what its student knows. Then what each part of its answers adds: the
#   class, the confidence, the likeness of classes. Put beside it the plain rival that knows as much.
#
# **Questions.** 1. Why does cross-entropy to the teacher never reach 0, and does that matter? 2. Your teacher reached 100 % on the
# images that it now answers for. What has become of its dark knowledge, and what can you do? 3. A student agrees with its teacher on
# 99 % of the images and is less accurate than one that agrees on 95 %. How can that be?
#
# <details><summary>Short answers</summary>
#
# 1. It is the divergence plus the teacher's entropy, which stays when the divergence is 0. No: the entropy does not depend on the
# student, so the gradient is the same. 2. The teacher is nearly certain of them, so its answers are nearly their labels. Raise the
# temperature, ask it about images or views that it was not trained on, or stop its training earlier. 3. It has learned its teacher's
# errors too; the other one disagrees where the teacher errs, and classifies some of these images correctly.
#
# </details>
#
# **Going further.** Hinton, Vinyals & Dean 2015 (arXiv 1503.02531), distillation; Beyer et al. 2022 (CVPR), a good teacher is patient and
# consistent; Stanton et al. 2021 (NeurIPS), does distillation really work; Lee 2013 (ICML workshop), pseudo-labels; Xie et al. 2020
# (CVPR), noisy student; Müller, Kornblith & Hinton 2019 (NeurIPS), when label smoothing helps; Yuan et al. 2020 (CVPR), distillation
# as label smoothing; Furlanello et al. 2018 (ICML), born-again networks; Tarvainen & Valpola 2017
# (NeurIPS), mean teacher; Zhao et al. 2022 (CVPR), decoupled distillation: target and
# wrong classes apart. In production: `torch.nn.functional.kl_div` with `reduction="batchmean"`, the recipes of `timm` and the
# distillation tokens of DeiT.

# %% [markdown]
# ## On your own data
#
# Can the confidence of a classifier of *your* pictures be believed, and at which temperature? Write
# the path of a folder with a folder of pictures for each class in place of `None`; until then 200
# digits stand in.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.temperature(lab.own.images(FOLDER))
