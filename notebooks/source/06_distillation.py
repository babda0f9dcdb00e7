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
    "teacher's soft answers. Who classifies new images better?",
    ["the one with the true labels", "both alike", "the one with the soft answers"],
)

# %% [markdown]
# ## The teacher
#
# Half of the training images are the teacher's, all labelled. The other half are the student's: 5 of each class are labelled, the
# others are not. So the teacher never saw the labels that the student lacks. For comparison, a net of the *student's* size is
# trained in the same way. The loop is the one of chapter 02, unchanged (`distillation.fit_teacher`).

# %%
TEACHERS = {"large": {"width": 64}, "small": {"width": 8}}
SCHOOL = {"dataset": DATASET, "steps": lab.quick_or_full(300, 1500), **RIGHT}
teachers = lab.arms(
    distillation.fit_teacher, TEACHERS, seeds=[SEED], description="teachers", **SCHOOL
)
[teacher], [small_teacher] = teachers.rows.values()
for name, row in {"Teacher": teacher, "The same training, student's size": small_teacher}.items():
    size = sum(weights.numel() for weights in row["teacher"].parameters())
    print(f"{name}: {size:,} parameters, test accuracy {row['test_accuracy']:.3f}.")
labelled = SHOTS * len(task.classes)
print(f"The student has {len(task.train_labels)} images, {labelled} of them with a label.")

# %%
lab.record(
    teacher=lab.share_interval(
        round(teacher["test_accuracy"] * len(task.test_labels)),
        len(task.test_labels),
        unit="accuracy",
    )
)

# %% [markdown]
# ## See: temperature
#
# These are the teacher's real answers to test images, the least certain ones first. Drag the temperature. At which $T$ can you
# see what the teacher finds similar? At which $T$ is nothing left to see?

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
    title="What the teacher finds most alike: " + ", ".join(pairs),
    caption="Row: true class. Each cell: the share of the wrong classes' probability, at T = "
    f"{TEMPERATURE:g}, that goes to this class.",
    alt="For each true class, how the teacher's wrong probability is spread. The largest shares: "
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
# Formula against automatic differentiation, on real answers: the small net plays the student. Then the size of the gradient over
# the temperature, with the factor and without.

# %%
soft_loss, gradient = lab.yours_or_ours(distillation_loss), lab.yours_or_ours(distillation_gradient)
z_s, z_t = small_teacher["test_logits"].requires_grad_(), teacher["test_logits"]
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
factors = {name: rows[-1].mean / rows[TEMPERATURES.index(8)].mean for name, rows in sizes.items()}
lab.figures.curves(
    {name: (TEMPERATURES, rows) for name, rows in sizes.items()},
    title=f"From T = 8 to {TEMPERATURES[-1]} the gradient changes by a factor "
    f"{factors['with T²']:.2g} with T², {factors['without']:.2g} without",
    x="temperature T",
    y="sum of |gradient| over an image's logits",
    log_x=True,
    ticks=TEMPERATURES,
    caption=f"Mean and 95 % interval over {len(z_s)} test images. Without the factor, the labels "
    "drown out the teacher at high temperatures.",
    alt="; ".join(
        f"{name}: " + ", ".join(f"T {T}: {e.mean:.2g}" for T, e in zip(TEMPERATURES, rows))
        for name, rows in sizes.items()
    ),
)

# %% [markdown]
# The factor was derived for *large* temperatures. At low ones, two nets that are sure of the same class hardly differ, and the
# gradient is small.
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


def change(images, generator):
    return get_policy(RIGHT["policy"])(images, RIGHT["strength"], generator)


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
# Fill the caches: once for the images as they are, once for all copies.

# %%
plain = distillation.cached_logits(teacher["teacher"], DATASET)  # (1, n, classes)
views = distillation.cached_logits(teacher["teacher"], DATASET, **RIGHT, copies=COPIES)
size = (plain.nbytes + views.nbytes) / 1e6
print(f"The caches hold {size:.1f} MB for {(len(plain) + len(views)) * plain.shape[1]:,} views.")

# %% [markdown]
# ## Measure it: augmentation, distillation, both
#
# A small student, 5 labels per class, several draws of the labels. The same seed draws the same labels and the same first weights
# for every kind of student, so they are compared in pairs. *Distilled* students also see the unlabelled images, with the teacher's
# answers. The *taught* student gets the teacher's answers for the 5 labelled images of each class only.
#
# Students learn by the loop of chapter 02. With a teacher its loss is another one: `distillation.cached_loss` calls your
# `mixed_loss`, and the labels that it takes are cached logits and labels side by side. Its `augment` picks one of the cached copies
# at random (`distillation.replaying`).

# %%
KINDS = {
    "hard labels": {},
    "augmentation": RIGHT,
    "distilled": {"images": "all", "teacher": plain},
    "both": {"images": "all", "teacher": views, **RIGHT},
    "taught": {"teacher": views, **RIGHT},
}
COMMON = {"dataset": DATASET, "shots": SHOTS, "steps": STEPS, "temperature": TEMPERATURE}
STUDENTS = {**COMMON, "mixed": lab.yours_or_ours(mixed_loss), "seeds": SEEDS, "unit": "accuracy"}
students = lab.arms(distillation.fit_student, KINDS, **STUDENTS, description="students")

# %% [markdown]
# ## Read it
#
# The upper half: what each adds to hard labels. The lower half: what one adds to the other.

# %%
PAIRS = [
    ("augmentation", "hard labels"),
    ("distilled", "hard labels"),
    ("both", "hard labels"),
    ("both", "augmentation"),
    ("both", "distilled"),
    ("taught", "augmentation"),
]
added = {f"{kind} - {other}": students.gain(kind, over=other) for kind, other in PAIRS}

# %% folded=true
alone = added["augmentation - hard labels"].mean + added["distilled - hard labels"].mean
lab.figures.bars(
    added,
    title=f"Both together add {added['both - hard labels'].mean:+.2f}, the sum of each alone is "
    f"{alone:+.2f}",
    x="difference in test accuracy",
    line=0.0,
    caption=f"{SHOTS} labels per class. Mean and 95 % interval of the paired difference over "
    f"{len(SEEDS)} draws of the labels, one teacher.",
)

# %%
lab.record(
    student_hard_k5=students.interval("hard labels"),
    student_augmented_k5=students.interval("augmentation"),
    student_distilled_k5=students.interval("distilled"),
    student_both_k5=students.interval("both"),
    headline="student_distilled_k5",
)

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
patient = {f"{kind}, long": {**KINDS[kind], "steps": LONG} for kind in ("distilled", "both")}
students |= lab.arms(distillation.fit_student, patient, **STUDENTS, description="students")
added["both - distilled, long"] = students.gain("both, long", over="distilled, long")

# %% folded=true
lab.figures.curves(
    {
        kind: ([STEPS, LONG], [students.interval(kind), students.interval(f"{kind}, long")])
        for kind in ("distilled", "both")
    },
    title=f"What augmentation adds to distillation: {added['both - distilled'].mean:+.2f}, with "
    f"patience {added['both - distilled, long'].mean:+.2f}",
    x="training steps",
    y="test accuracy",
    ticks=[STEPS, LONG],
    levels={"teacher": teacher["test_accuracy"]},
    caption=f"{SHOTS} labels per class and unlabelled images. Band: 95 % interval over "
    f"{len(SEEDS)} draws of the labels.",
)

# %%
lab.record(student_both_long_k5=students.interval("both, long"))

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
# The distilled student saw more images. Is that all? Four students see the *same* images, as they are, and differ only in their
# targets: the teacher's class as a hard **pseudo-label** (伪标签); its soft answer with the wrong classes **shuffled**, so that its
# confidence stays and the likeness is lost (Furlanello et al. 2018); the soft answer itself; or the true label of every image.

# %%
shuffled = distillation.shuffled_wrong_classes(plain, torch.Generator().manual_seed(SEED))
TARGETS = {
    "pseudo-labels": {"images": "all", "teacher": plain, "answers": "hard"},
    "shuffled": {"images": "all", "teacher": shuffled},
    "all true labels": {"images": "all"},
}
students |= lab.arms(distillation.fit_student, TARGETS, **STUDENTS, description="students")

# %% folded=true
levels = {
    kind: students.interval(kind)
    for kind in ("pseudo-labels", "shuffled", "distilled", "all true labels")
}
lab.figures.bars(
    levels,
    title=", ".join(f"{name} {level.mean:.2f}" for name, level in levels.items()),
    x="test accuracy",
    caption=f"Mean and 95 % interval over {len(SEEDS)} seeds. “distilled”: soft answers. All "
    "without augmentation.",
)

# %% [markdown]
# Two comparisons, in pairs: soft against hard answers, and soft ones against soft ones that say nothing about the wrong classes.

# %%
over_hard = students.gain("distilled", over="pseudo-labels")
over_shuffled = students.gain("distilled", over="shuffled")
lab.verdict(
    "dark-knowledge",
    "Soft answers teach more than hard ones because of what they say about the wrong classes.",
    [
        lab.Evidence("soft answers - pseudo-labels", over_hard, ">"),
        lab.Evidence("soft answers - shuffled", over_shuffled, ">"),
    ],
)

# %%
lab.recall(
    "soft",
    f"soft answers - true labels = {students.gain('distilled', over='all true labels')}",
)

# %% [markdown]
# ## Measure it: temperature and mixture
#
# First the temperature, for the distilled student. Then the teacher's share $\alpha$, for the taught student, which has a label for
# every image. At $\alpha = 0$ it sees the same copies and no teacher.

# %%
TRIED, SHARES = lab.quick_or_full([1, 4, 16], [1, 2, 4, 8, 16]), [0.0, 0.5, 1.0]
others = {
    f"T {T}": {**KINDS["distilled"], "temperature": float(T)} for T in TRIED if T != TEMPERATURE
}
others |= {
    f"alpha {share:g}": {**KINDS["taught"], "alpha": share} for share in SHARES if share != 0.5
}
students |= lab.arms(distillation.fit_student, others, **STUDENTS, description="students")
# The students above had temperature 4 and a share of 0.5.
by_temperature = {T: "distilled" if T == TEMPERATURE else f"T {T}" for T in TRIED}
by_share = {share: "taught" if share == 0.5 else f"alpha {share:g}" for share in SHARES}
best = max(TRIED, key=lambda T: students.mean(by_temperature[T]))

# %% folded=true
lab.figures.curves(
    {"distilled": (TRIED, [students.interval(by_temperature[T]) for T in TRIED])},
    title=f"The mean is highest at T = {best}",
    x="temperature T",
    y="test accuracy",
    log_x=True,
    ticks=TRIED,
    levels={"all true labels": students.mean("all true labels")},
    caption="Unlabelled images without augmentation. Do the intervals tell neighbouring "
    "temperatures apart?",
)

# %% [markdown]
# Is the teacher worth more than the label where there is a label?

# %% folded=true
at_share = [students.interval(by_share[share]) for share in SHARES]
lab.figures.curves(
    {"taught": (SHARES, at_share)},
    title=f"On the labelled images: labels alone {at_share[0].mean:.2f}, half "
    f"{at_share[1].mean:.2f}, teacher alone {at_share[2].mean:.2f}",
    x="the teacher's share α",
    y="test accuracy",
    ticks=SHARES,
    levels={"fresh augmentation, no teacher": students.mean("augmentation")},
    caption=f"{SHOTS} labelled images per class in {COPIES} cached copies. Dashed: a new view at "
    "every step instead of cached copies.",
)

# %% [markdown]
# ## Measure it: who sees which view, and what it costs
#
# Three ways to combine augmentation with a teacher: *fixed*, the student sees copies and the teacher's answer to the image as it
# was; *same view*, cached for the copies; *online*, a new view for both at every step (`distillation.online_loss` runs the teacher
# on every batch).

# %%
WAYS = {
    "fixed": {"images": "all", "teacher": plain.expand(COPIES, -1, -1), **RIGHT},
    "online": {"images": "all", "teacher": teacher["teacher"], **RIGHT},
}
students |= lab.arms(distillation.fit_student, WAYS, **STUDENTS, description="students")
cached_over_fixed = students.gain("both", over="fixed")
cached_over_online = students.gain("both", over="online")

# %% folded=true
views_of = {"fixed": "fixed", "same view, cached": "both", "same view, online": "online"}
lab.figures.bars(
    {name: students.interval(kind) for name, kind in views_of.items()},
    title=f"Same view - fixed: {cached_over_fixed.mean:+.3f}; cached - online: "
    f"{cached_over_online.mean:+.3f}",
    x="test accuracy",
    caption=f"{SHOTS} labels per class and unlabelled images, {STEPS} steps. Mean and 95 % "
    f"interval over {len(SEEDS)} seeds.",
)

# %% [markdown]
# And the price? Time one epoch over the student's images, with cached logits and with the teacher online, in turn, without
# augmentation. Both must end with the same student.

# %%
EPOCH = {**COMMON, "steps": len(task.train_labels) // 64, "images": "all", "seed": SEED}
turns = [
    {**EPOCH, "teacher": answers}
    for _ in range(lab.quick_or_full(7, 30, smoke=4))
    for answers in (plain, teacher["teacher"])
]
timed = lab.sweep(distillation.fit_student, turns, jobs=1, description="epochs")  # one thread
cached, online = timed[::2], timed[1::2]
speedups = [slow["seconds"] / fast["seconds"] for fast, slow in zip(cached, online)]
apart = (cached[0]["test_logits"] - online[0]["test_logits"]).abs().max().item()
print(f"The two students' logits differ by at most {apart:.0e}.")
print(f"Cache: {len(views) * views.shape[1]:,} answers, once.")
print(f"Online: {STEPS * 64:,} answers for each of {len(SEEDS)} students.")

# %%
lab.record(cached_epoch_speedup=speedups[2:], unit="times online")  # the first ones warm up

# %% [markdown]
# The cache pays off when it is asked more often than it was filled. Here all students share it. With fresh views the two students are
# not the same any more, but are they as good?

# %%
lab.verdict(
    "cached-is-enough",
    "A cache of replayed views trains the same student as a teacher online (within 0.03).",
    [
        lab.Evidence("cached - online", cached_over_online, ">", -0.03),
        lab.Evidence("cached - online", cached_over_online, "<", 0.03),
    ],
)

# %%
lab.verdict(
    "consistent-views",
    "Teacher and student must see the same view.",
    [lab.Evidence("same view, cached - fixed", cached_over_fixed, ">")],
)

# %% [markdown]
# ## Measure it: does the teacher have to be large?
#
# Two other teachers. One is the net of the student's size that was trained like the teacher. The other is a student: in
# **self-distillation** (自蒸馏) each augmented student teaches a second one of its own kind, on the same 5 images per class
# (born-again networks, Furlanello et al. 2018).

# %%
first_generation = {row["seed"]: row["student"] for row in students.rows["augmentation"]}
small_plain = distillation.cached_logits(small_teacher["teacher"], DATASET)
OTHERS = {
    "small teacher": {"images": "all", "teacher": small_plain},
    "self-distilled": lambda seed: {"teacher": first_generation[seed], **RIGHT},
}
students |= lab.arms(distillation.fit_student, OTHERS, **STUDENTS, description="students")
by_teacher = {
    "large teacher - small teacher": students.gain("distilled", over="small teacher"),
    "small teacher - hard labels": students.gain("small teacher", over="hard labels"),
    "self-distilled - augmentation": students.gain("self-distilled", over="augmentation"),
}

# %% folded=true
lab.figures.bars(
    by_teacher,
    title="; ".join(f"{name}: {value.mean:+.2f}" for name, value in list(by_teacher.items())[::2]),
    x="difference in test accuracy",
    line=0.0,
    caption=f"Paired differences and 95 % intervals over {len(SEEDS)} draws. The teachers' own "
    "accuracies are printed at their training.",
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
# A student that is often right agrees with a teacher that is often right, imitation or not. So look where it matters: at the
# tenth of the test images of which the teacher is least sure.


# %%
faithful = lab.yours_or_ours(fidelity)
unsure = z_t.softmax(dim=1).max(dim=1).values.argsort()[: len(z_t) // 10]


def agreement(row):
    """The share of these images that a student gives the teacher's class."""
    return faithful(row["test_logits"][unsure], z_t[unsure])[0]


def correct(row):
    """A student's accuracy on these images."""
    return lab.training.accuracy(row["test_logits"][unsure], task.test_labels[unsure])


def imitation(row):
    """How much more a student agrees with the teacher than with the truth."""
    return agreement(row) - correct(row)


# %% folded=true
points = {
    kind: tuple(students.mean(kind, of=measure) for measure in (agreement, correct, imitation))
    for kind in ("augmentation", "pseudo-labels", "distilled", "both", "all true labels")
}
nearest, most_accurate = (max(points, key=lambda kind: points[kind][i]) for i in (0, 1))
lab.figures.scatter(
    points,
    title=f"Where the teacher is unsure: nearest to it is “{nearest}”, most accurate "
    f"“{most_accurate}”",
    x="agreement with the teacher (share of images)",
    y="accuracy on the same images",
    colour="agreement - accuracy",
    caption=f"{len(unsure)} images, means over {len(SEEDS)} seeds. The teacher classifies "
    f"{correct(teacher):.0%} of them correctly.",
)

# %% [markdown]
# Below, the agreement over *all* test images.

# %%
lab.record(
    fidelity_distilled=students.interval(
        "distilled",
        of=lambda row: faithful(row["test_logits"], z_t)[0],
        unit="share of agreement",
    )
)

# %%
lab.verdict(
    "imitation",
    "Where the teacher is unsure, a distilled student follows it more than the truth.",
    [
        lab.Evidence(
            "distilled: agreement - accuracy", students.interval("distilled", of=imitation), ">"
        )
    ],
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
# EfficientNet-Lite0 classifies some tens of images a second on two cores: too slow as a teacher here, with a GPU it is worth a try. In
# production: `torch.nn.functional.kl_div` with `reduction="batchmean"`, the recipes of `timm` and the distillation tokens of DeiT.
