# ---
# jupyter:
#   question: What do adversarial examples teach, what do they cost, and when is robustness a bug?
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
# # 07 · Adversarial training
#
# Augmentation shows a network images that were changed at random. **Adversarial training** (对抗训练) shows it images that were
# changed on purpose: an attacker looks for the small change that hurts most, and the network learns from what it finds. The
# article that this course tests counts it among the means that improve few-shot training. Does it?
#
# **After this chapter you can** derive and write the attacks FGSM and PGD, train a network against them, measure what it
# gains and what it pays, and recognise a defence that only looks like one.
#
# **Time:** 90 minutes. **Claims under test:** C7 (adversarial training adds to few-shot accuracy; its other half,
# distillation, is tested in chapter 06), C10 (adversarial training makes a network more robust and more accurate).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more seeds and passes
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import copy

import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import adversarial, attack_ensemble, attacks

lab.setup("07", profile=PROFILE, seed=SEED, device=DEVICE)
task = lab.data.load(DATASET)
DATASETS = [DATASET, *(name for name in ("glyphs", "digits", "fashion") if name != DATASET)]
SEEDS = lab.seeds(4, 10)
# How far every pixel may be moved, of the range 0..1.
RADIUS = {name: lab.chosen(f"attack-radius-{name}") for name in DATASETS}
EPSILON = RADIUS[DATASET]
TEST_STEPS = lab.chosen("test-attack")["steps"]  # of the attack that networks are tested with
# The rules on honest numbers are about the glyphs; with another set their verdicts explore.
EXPLORING = "" if DATASET == "glyphs" else f"DATASET={DATASET}"

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "fall",
    "A network classifies most test images correctly. Now every pixel may be changed by "
    "{epsilon:.1%} of its range. How many does it still classify correctly?",
    ["nearly as many", "about half", "hardly any"],
    epsilon=EPSILON,
)

# %% [markdown]
# ## Two networks
#
# Both are the same small convolutional net with the same first weights, trained on all labels. The *clean* one sees the
# training images. The *robust* one sees adversarial examples, which an attack makes of them anew at every step. How it does
# that is what this chapter is about. Several seeds, in pairs.
#
# An attack takes time, so the two are given equally many **passes**, forward and backward, over batches of 64 images. The
# clean network spends each on an update of its weights; the robust one spends some on the attack and makes fewer updates.
# How far the attack goes (its radius ε), in how many steps, and how many passes a training has was chosen on validation
# images ([choices](../docs/choices.md) tells from what). Here the quick profile takes half of those passes, the full one
# twice as many.
#
# Mind how the radius was chosen: as the one at which training against an attack saves most images. So “more robust” will be
# measured where that gain is the largest of those tried; at other radii it may be smaller.

# %%
INNER = lab.chosen("attack-steps")  # of the attack in training
CHOSEN = {name: lab.chosen(f"passes-{name}") for name in DATASETS}
PASSES = {name: lab.quick_or_full(passes // 2, 2 * passes) for name, passes in CHOSEN.items()}


def tested(dataset):
    return {"test_epsilon": RADIUS[dataset], "test_steps": TEST_STEPS}


def nothing(seed, dataset):
    return {"passes": PASSES[dataset]} | tested(dataset)


def attack(seed, dataset, **more):
    method = {"method": "adversarial", "epsilon": RADIUS[dataset], "inner_steps": INNER}
    return nothing(seed, dataset) | method | more


# %% [markdown]
# `lab.arms` trains each kind with every seed.

# %%
COMMON = {"seeds": SEEDS, "axis": "dataset", "unit": "accuracy", "description": "networks"}
TWO = {"nothing": nothing, "attack": attack}
full = lab.arms(adversarial.fit_robust, TWO, at=[DATASET], **COMMON)
networks = {
    "clean": [row["model"] for row in full.rows["nothing"]],
    "robust": [row["model"] for row in full.rows["attack"]],
}
models = {name: trained[0] for name, trained in networks.items()}
for name, arm in zip(models, TWO):
    print(f"{name:>6}: {full.rows[arm][0]['steps']} updates, test {full.interval(arm, DATASET)}")

# %% [markdown]
# ## See: an attack
#
# Drag ε and the steps. At which ε does the *clean* model fall? Then choose the *robust* one under “model”: at which ε does
# it fall, and what does the perturbation look like now? Is the loss steep along the gradient, and along a random direction?

# %%
lab.widgets.AttackExplorer(task, models, epsilon=EPSILON)

# %% [markdown]
# Such images are called **adversarial examples** (对抗样本).
#
# ## Derive: the inner maximum and its linear solution
#
# The attacker looks for a perturbation $\delta$ in a ball, and the result must be an image:
#
# $$\max_{\|\delta\| \le \varepsilon} L(x + \delta, y), \qquad 0 \le x + \delta \le 1$$
#
# With the gradient $g = \nabla_x L$, to first order $L(x + \delta, y) \approx L(x, y) + \langle g, \delta \rangle$. In the
# $L_\infty$ ball each pixel has its own budget ε and is free of the others: $g_i \delta_i$ is largest where $\delta_i$ is
# as large as allowed and has the sign of $g_i$. Added up over the pixels (Hölder's inequality, 赫尔德不等式)
#
# $$\langle g, \delta \rangle \le \|g\|_1 \, \|\delta\|_\infty \le \varepsilon \, \|g\|_1 \quad \text{with equality at} \quad \delta = \varepsilon\,
# \mathrm{sign}(g)$$
#
# That is the **fast gradient sign method** (快速梯度符号法, FGSM; Goodfellow et al. 2015). Every pixel moves by ε, and all the
# small gains add up: with $d$ pixels the loss grows by about $\varepsilon\, d$ times the mean size of a pixel's gradient. In
# the $L_2$ ball the pixels share one budget, the length of the whole change. The best direction is then the gradient's own, $\delta =
# \varepsilon\, g / \|g\|_2$ (Cauchy and Schwarz).
#
# ## Write it
#
# Here a loss is a function of images alone. To differentiate it, mark a copy of the images, `x =
# images.clone().requires_grad_()`; `torch.autograd.grad(loss(x), x)` then returns a tuple with one gradient.


# %% exercise="fgsm"
def fgsm(loss, images, epsilon):
    """One step of the fast gradient sign method.

    loss: a function of images that returns a scalar tensor. images: float tensor (n, C, H, W) in
    0..1. epsilon: how far every pixel may move. Returns images of the same shape, in 0..1, with a
    larger loss (to first order), and without a graph.
    """
    ### BEGIN SOLUTION
    x = images.clone().requires_grad_()
    gradient = torch.autograd.grad(loss(x), x)[0]
    return (images + epsilon * gradient.sign()).clamp(0, 1)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: the sign, and chance
#
# Your step against random signs of the same size, for the clean models. `attacks.eval_without_weight_gradients` protects a
# model while it is attacked. It is in evaluation mode, so that batch norm neither mixes the images nor learns from them,
# and its weights collect no gradients.

# %%
one_step = lab.yours_or_ours(fgsm)
images, labels, pictures = adversarial.images_to_attack(DATASET)  # test images of all classes
device = next(models["clean"].parameters()).device
x, y = images.float().to(device) / 255, labels.to(device)
chance = torch.rand(x.shape, generator=torch.Generator().manual_seed(SEED)).to(device) - 0.5
noisy = (x + EPSILON * chance.sign()).clamp(0, 1)

correct = {"as it is": [], "chance": [], "FGSM": []}
for model in networks["clean"]:
    with attacks.eval_without_weight_gradients(model):
        signed = one_step(attacks.cross_entropy_of(model, y), x, EPSILON)
    for name, shown in zip(correct, (x, noisy, signed)):
        correct[name].append(attacks.is_correct(model, shown, y))
shares = {
    name: adversarial.share_over_networks(each, pictures, full.rest("nothing", DATASET))
    for name, each in correct.items()
}

# %% [markdown]
# Every pixel moves equally far in both. How much of the damage is due to the size of the change, and how much to its direction?

# %% folded=true
before, by_chance, by_sign = (share.mean for share in shares.values())
lab.figures.bars(
    shares,
    title=f"The same change costs {before - by_chance:z.0%} of the images by chance, "
    f"{before - by_sign:z.0%} by the gradient",
    x="share of test images classified correctly",
    caption=f"Clean models, {len(y)} test images, every pixel moved by {EPSILON:g}: by random "
    "signs, and by those of the gradient. 95 % intervals; networks and pictures are drawn anew.",
)

# %% [markdown]
# ## Derive: projected gradient descent
#
# A loss is not linear, so many small steps find more than a large one. After each step the image goes back to the nearest allowed
# one, by a **projection** (投影) $\Pi$:
#
# $$x^{t+1} = \Pi\big(x^t + \alpha\, \mathrm{sign}(\nabla_x L(x^t, y))\big)$$
#
# This is **projected gradient descent** (投影梯度下降, PGD; Madry et al. 2018), a descent on $-L$. The nearest point of the $L_\infty$ ball
# is found pixel by pixel. In the $L_2$ ball an image that is too far comes back on the straight line to the original.
#
# ## Write it


# %% exercise="project_linf"
def project_linf(moved, images, epsilon):
    """The images nearest to `moved` in which no pixel is more than epsilon from the originals.

    moved, images: float tensors (n, C, H, W), images in 0..1. epsilon: a number from 0. Returns a
    float tensor (n, C, H, W), within 0..1.
    """
    ### BEGIN SOLUTION
    return moved.clamp(images - epsilon, images + epsilon).clamp(0, 1)
    ### END SOLUTION


# %% [markdown]
# In the $L_2$ ball it is one distance per image, over all its pixels.


# %% exercise="project_l2"
def project_l2(moved, images, epsilon):
    """Every moved image, pulled straight towards its original until it is at most epsilon away.

    moved, images: float tensors (n, C, H, W), images in 0..1. epsilon: the largest Euclidean
    distance of an image from its original, over all its pixels. Returns a float tensor (n, C, H,
    W), clamped to 0..1 at the end.
    """
    ### BEGIN SOLUTION
    delta = moved - images
    length = delta.flatten(1).norm(dim=1)  # (n,)
    factor = (epsilon / length.clamp_min(1e-12)).clamp(max=1)
    return (images + factor[:, None, None, None] * delta).clamp(0, 1)
    ### END SOLUTION


# %% [markdown]
# ## Write it: the loop
#
# `project` is your projection onto the $L_\infty$ ball, or the course's.

# %%
project = lab.yours_or_ours(project_linf)

# %% [markdown]
# It goes on from `start`, and stays in the ball around `images`.


# %% exercise="pgd"
def pgd(loss, images, start, epsilon, step_size, steps):
    """Projected gradient descent in the L-inf ball: steps uphill, each followed by the projection.

    loss: a function of images that returns a scalar tensor. images, start: float tensors (n, C, H,
    W) in 0..1; the ball is around `images`, the first step goes from `start`. epsilon, step_size:
    numbers from 0. Returns a float tensor (n, C, H, W) without a graph.
    """
    ### BEGIN SOLUTION
    moved = start
    for _ in range(steps):
        x = moved.clone().requires_grad_()
        gradient = torch.autograd.grad(loss(x), x)[0]
        moved = project(moved + step_size * gradient.sign(), images, epsilon)
    return moved
    ### END SOLUTION


# %% [markdown]
# ## Measure it: robust accuracy
#
# **Robust accuracy** (鲁棒准确率) is the share of test images that the model still classifies correctly under attack. From here
# on your loop does the attacks and the trainings. First over ε, from a random start in the ball; the number of steps was
# chosen on validation images.

# %%
loop = lab.yours_or_ours(pgd)
REACH = [0.0, 0.5 * EPSILON, EPSILON, 1.5 * EPSILON]
ARM = {"clean": "nothing", "robust": "attack"}


def surviving(name, epsilon, steps=TEST_STEPS, **options):
    """Which images survive PGD, for each network of that name."""
    steps = steps if epsilon else 0  # in a ball without a radius every step ends where it began
    options = {"epsilon": epsilon, "steps": steps, "loop": loop, **options}
    survived = []
    for model in networks[name]:
        generator = torch.Generator().manual_seed(SEED)
        survived.append(attacks.survives(model, images, labels, generator=generator, **options))
    return survived


def over_networks(name, numbers):
    """Their mean, one row of numbers for each network of that name, with its interval."""
    return adversarial.share_over_networks(numbers, pictures, full.rest(ARM[name], DATASET))


def robust_accuracy(name, *attack, **options):
    """The share of the images that survives PGD, over the networks of that name."""
    return over_networks(name, surviving(name, *attack, **options))


levels = {name: [robust_accuracy(name, e) for e in REACH] for name in networks}

# %% [markdown]
# Follow each curve from ε = 0, its accuracy without an attack, to the right. Does either pay at the start, and which one
# falls faster?

# %% folded=true
lab.figures.curves(
    {f"{name} model": (REACH, reached) for name, reached in levels.items()},
    title=f"At ε = {EPSILON:g} the clean model classifies {levels['clean'][2].mean:.0%} correctly, "
    f"the robust one {levels['robust'][2].mean:.0%}",
    x="ε of the attack (of the range 0..1)",
    y=f"robust accuracy (PGD-{TEST_STEPS})",
    ticks=REACH,
    limits=(-0.02, 1.02),
    caption=f"{len(labels)} test images. Band: 95 % interval; networks ({len(SEEDS)}) and "
    "pictures are drawn anew. At ε = 0 it is the clean accuracy.",
)

# %%
lab.recall(
    "fall",
    f"{levels['clean'][0].mean:.0%} without an attack, {levels['clean'][2].mean:.0%} after it",
    levels["clean"][0],
)

# %% [markdown]
# Now over the number of steps, for the robust models. FGSM is one step of size ε; PGD's steps have the size 2.5 ε / steps.

# %%
COUNTS = [1, 2, 5, 10, 20, 40]
by_steps = [
    levels["robust"][2] if count == TEST_STEPS else robust_accuracy("robust", EPSILON, steps=count)
    for count in COUNTS
]
fgsm_level = robust_accuracy("robust", EPSILON, steps=1, step_size=EPSILON, random=False)

# %% [markdown]
# More steps find more adversarial examples at first, and soon hardly any more. Enough are those after which all further
# steps together take less than 0.01, the smallest difference that counts in this course; the title says how many.

# %% folded=true
last = by_steps[-1].mean
enough = next(count for count, level in zip(COUNTS, by_steps) if level.mean - last < 0.01)
found = f"After {enough} steps, more of them take less than 0.01"
lab.figures.curves(
    {"PGD": (COUNTS, by_steps)},
    title=found if enough < COUNTS[-1] else f"Even after {COUNTS[-2]} steps, more find more",
    x="steps of the attack",
    y="robust accuracy",
    log_x=True,
    ticks=COUNTS,
    levels={"FGSM": fgsm_level.mean},
    caption=f"Robust models, ε = {EPSILON:g}. Dashed: FGSM. Band: 95 % interval; networks "
    f"({len(SEEDS)}) and test pictures are drawn anew. "
    "The points of a curve share both, so its shape is surer than its height. "
    f"The tests here take {TEST_STEPS} steps, chosen on validation images: on these images that "
    f"leaves {by_steps[COUNTS.index(TEST_STEPS)].mean - last:.3f} more than {COUNTS[-1]} steps do.",
)

# %% [markdown]
# ## Write it: several attacks
#
# One start may fail where another works, so an attack is restarted. The attacker needs a single success per image.


# %% exercise="surviving_share"
def surviving_share(right):
    """The robust accuracy under several attacks together.

    right: bool tensor (attacks, n), whether each of n images is still classified correctly under
    each attack. Returns a number, 0..1.
    """
    ### BEGIN SOLUTION
    return right.all(dim=0).float().mean().item()
    ### END SOLUTION


# %% [markdown]
# Four random starts against the first robust network, one by one and together. If all leave as many, then the start was not what
# limited the attack. What a chapter or a paper calls robust accuracy is that of *its* attack: the worst of four starts is
# an upper bound as well, at best a tighter one.

# %%
survivors = lab.yours_or_ours(surviving_share)
STARTS = 4
survived = torch.stack(
    [
        attacks.survives(
            models["robust"],
            images,
            labels,
            epsilon=EPSILON,
            steps=TEST_STEPS,
            generator=torch.Generator().manual_seed(start),
            loop=loop,
        )
        for start in range(STARTS)
    ]
)
alone = ", ".join(f"{survivors(survived[start : start + 1]):.3f}" for start in range(STARTS))
print(f"PGD-{TEST_STEPS}, one network: each start alone leaves {alone},")
print(f"the worst of the {STARTS} {survivors(survived):.3f}.")

# %% [markdown]
# ## See: a targeted attack, in both balls
#
# A **targeted** attack (有目标攻击) goes *downhill* on the loss of a class that you choose. Here the target of each image is
# the class of the next one, and both balls are twice as large as before: $2\varepsilon$, and in $L_2$
# $2\varepsilon\sqrt{d}$ with $d$ the number of pixels, as long as moving every pixel by $2\varepsilon$. The originals are the
# first test image of each class that the network classifies correctly, where there is one.

# %%
right = lab.training.outputs(models["clean"], task.test_images).argmax(dim=1) == task.test_labels
shown = [(task.test_labels == k).nonzero().flatten() for k in range(8)]
originals = task.test_images[[rows[right[rows].int().argmax()].item() for rows in shown]]
own = torch.arange(8)
targets = own.roll(-1)
radii = {"L∞": 2 * EPSILON, "L2": 2 * EPSILON * originals[0].numel() ** 0.5}
options = {"steps": 40, "targets": targets, "random": False}
targeted = {"original": originals.float() / 255}
for norm, radius in radii.items():
    ball = {"norm": norm.lower().replace("∞", "inf"), "epsilon": radius}
    targeted[norm] = attacks.attack(models["clean"], originals, own, **ball, **options).cpu()
answers = {
    name: lab.training.outputs(models["clean"], pictures_of).argmax(dim=1)
    for name, pictures_of in targeted.items()
}

# %% [markdown]
# Under each adversarial example stands its change: where does each attack put it, and can you still recognise the original?

# %% folded=true
hits = {norm: int((answers[norm] == targets).sum()) for norm in radii}
changes = {norm: (targeted[norm] - targeted["original"]).abs() for norm in radii}
tenth = {  # the share of the change that the most changed tenth of an image's pixels carries
    norm: (change.flatten(1).topk(change[0].numel() // 10).values.sum() / change.sum()).item()
    for norm, change in changes.items()
}
grid, words = [], []
for name, adversarial_images in targeted.items():
    grid += [adversarial_images] + ([5 * changes[name]] if name in changes else [])
    words += [f"“{task.classes[k]}”" for k in answers[name]]
    words += ["|δ| × 5"] * (8 if name in changes else 0)
lab.figures.images(
    torch.cat(grid),
    words,
    columns=8,
    title=f"A tenth of the pixels carries {tenth['L∞']:.0%} of the change in L∞, "
    f"{tenth['L2']:.0%} in L2",
    caption="Rows: original, L∞ and its change, L2 and its change. Over each image the clean "
    "model's answer; the target is the class of the image to the right. "
    f"L∞ reaches {hits['L∞']} of 8, L2 {hits['L2']} of 8.",
    alt="Eight images, two adversarial examples of each and their changes; "
    f"{hits['L∞']} and {hits['L2']} of 8 are classified as their targets.",
)

# %% [markdown]
# ## Derive: adversarial training
#
# Train on the answer of the inner problem (Madry et al. 2018):
#
# $$\min_\theta \; \mathbb{E}_{(x, y)} \; \max_{\|\delta\|_\infty \le \varepsilon} L(\theta, x + \delta, y)$$
#
# How do you differentiate a maximum? Hold the point where it is reached: at that $\delta$ the loss's gradient with respect
# to θ is that of the maximum (Danskin's theorem). So a step is: attack the batch, then step on the attacked batch. With $m$
# inner steps it costs $m + 1$ passes instead of one. The loop is that of chapter 02, with another loss:

# %%
lab.source(adversarial.adversarial_loss)

# %% [markdown]
# The attack starts at a random point and takes steps of 2.5 ε / $m$, a single one of 1.25 ε. With 2.5 ε a single step would
# end in a corner of the ball wherever it starts, and the network would learn to withstand the corners alone: after a while
# it falls to every attack of more steps, which is called catastrophic overfitting (Wong et al. 2020).
#
# ## Write it: one step
#
# Danskin's theorem says what may get into the step: the attacked images, as if they had always been there. The way to them may
# not. An attack makes backward passes of its own, and a careless one leaves *their* gradients in the weights; its result may
# still hold the graph of the computation. The attack of this exercise is careless.


# %% exercise="adversarial_step"
def adversarial_step(model, optimizer, images, labels, attack):
    """One step of adversarial training (Madry et al. 2018).

    model: a module, images (n, C, H, W) to logits (n, classes), in training mode. optimizer: holds
    the weights that learn. images: float tensor in 0..1. labels: whole numbers (n,). attack: a
    function (model, images, labels) that returns attacked images of the same shape; it may leave
    gradients in the weights, and its result may hold the graph. The attack meets the weights as
    they are, then the optimizer makes one step along the gradient of the mean cross-entropy of the
    attacked images alone. Returns this loss, from before the step, as a number.
    """
    ### BEGIN SOLUTION
    attacked = attack(model, images, labels).detach()
    loss = F.cross_entropy(model(attacked), labels)
    optimizer.zero_grad()  # after the attack, which has filled them
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown]
# ## See it: a few dozen of your steps
#
# Take a clean network and train it on with your step, against PGD from a random start as in the source above. Each loss that
# is printed is that of a single batch, and varies from batch to batch; the test images that survive tell more.

# %%
step = lab.yours_or_ours(adversarial_step)
PGD_LOOP = {"epsilon": EPSILON, "steps": INNER, "loop": loop}


def pgd_attack(model, images, labels):
    """The attack of a training step: PGD with the learner's loop."""
    loss = attacks.cross_entropy_of(model, labels)
    return adversarial.adversarial_examples(model, images, loss, **PGD_LOOP)


torch.manual_seed(SEED)  # of the random starts
hardening = copy.deepcopy(models["clean"]).train()
optimizer = torch.optim.AdamW(hardening.parameters(), lr=1e-3)
own_losses = []
for _ in range(lab.quick_or_full(40, 40)):
    rows = torch.randint(len(task.train_labels), (64,))
    batch = task.train_images[rows].float().to(device) / 255
    own = task.train_labels[rows].to(device)
    own_losses.append(step(hardening, optimizer, batch, own, pgd_attack))

# %%
for name, model in {"before": models["clean"], "after": hardening}.items():
    start = torch.Generator().manual_seed(SEED)
    options = {"epsilon": EPSILON, "steps": TEST_STEPS, "generator": start, "loop": loop}
    share = attacks.survives(model, images, labels, **options).float().mean()
    print(f"{name:>6}: {share:.0%} of {len(labels)} test images survive PGD-{TEST_STEPS}.")
print(f"Loss on attacked images: {own_losses[0]:.2f} at first, {own_losses[-1]:.2f} at last.")

# %% [markdown]
# Two variants of this step:
#
# * **TRADES** (Zhang et al. 2019) keeps accuracy and robustness apart. The attacked image should get the *same answer* as
#   the clean one, and β says how much that weighs:
#
# $$L = -\log p_y(x) + \beta \, KL\big(p(x) \,\|\, p(x + \delta)\big)$$
#
# * **Free** training (Shafahi et al. 2019) keeps each batch for $m$ steps. One backward pass gives the gradient for the
#   weights *and* for δ, which goes on from step to step. No pass is spent on the attack alone.
#
# TRADES is again a loss (`adversarial.trades_training`). Free training changes two lines of the loop, the loss and the
# augment, which hands out the same batch again (`adversarial.free_training`).
#
# ## Write it: TRADES


# %% exercise="trades_loss"
def trades_loss(clean_logits, worst_logits, labels, beta):
    """Cross-entropy of the clean images plus beta times KL(p_clean || p_worst).

    clean_logits, worst_logits: float tensors (n, classes), of the images and of the attacked
    images. labels: whole numbers (n,). beta: a number from 0. Returns a scalar tensor: the mean
    over the images.
    """
    ### BEGIN SOLUTION
    log_p, log_q = clean_logits.log_softmax(dim=1), worst_logits.log_softmax(dim=1)
    return (
        F.cross_entropy(clean_logits, labels)
        + beta * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()
    )
    ### END SOLUTION


# %% [markdown]
# ## Measure it: more robust, and more accurate?
#
# Four kinds of training on three data sets, on each with the same passes: with *nothing* else, with the *attack*, with the
# right *policy* of chapter 02, its strength chosen anew for so many labels, and with both, the policy first and the attack
# on top. The policy is the loop's `augment`, the attack its loss, so one network can have both. Glyphs are rendered, and
# the policy changes them as the program that made the test images did; digits and clothes are real.
#
# Most networks that learn from all images under an attack go on learning for longer than this course can wait, and some
# others do too. So the claims of this section are about *equal passes*, not about the end of learning. Hollow points and the
# column “at rest” say which trainings were still learning; what more time does is a question further down.


# %%
def policy(seed, dataset):
    strength = lab.chosen(f"affine-strength-all-{dataset}")
    return nothing(seed, dataset) | {"policy": "affine", "strength": strength}


def both(seed, dataset):
    return policy(seed, dataset) | attack(seed, dataset, loop=loop)


KINDS = TWO | {"policy": policy, "policy + attack": both}
MISSING = {name: DATASETS if "policy" in name else DATASETS[1:] for name in KINDS}
trained = lab.arms(adversarial.fit_robust, KINDS, at=MISSING, **COMMON)
rows = {name: full.rows.get(name, []) + trained.rows[name] for name in KINDS}
everywhere = lab.training.Arms(rows, axis="dataset", unit="accuracy")

# %% [markdown]
# What each kind has over *nothing*, seed by seed. First on clean images: compare the attack with the policy, and see
# whether the attack still adds where the policy is there already.


# %% folded=true
def over_nothing(of):
    """What each kind of training has over nothing, {data set: {kind: difference}}."""
    return {
        dataset: {
            name: everywhere.gain(name, dataset, over="nothing", of=of, unit="accuracy")
            for name in KINDS
            if name != "nothing"
        }
        for dataset in DATASETS
    }


lab.figures.panels(
    over_nothing("test_accuracy"),
    title="On clean images, does the attack do more than the policy?",
    line=0.0,
    digits=3,
    caption="Accuracy on clean test images minus that of training with nothing; passes: "
    + ", ".join(f"{PASSES[dataset]} on {dataset}" for dataset in DATASETS)
    + ". 95 % intervals; "
    f"trainings ({len(SEEDS)}) and test pictures are drawn anew. Mind the different scales.",
)

# %% [markdown]
# Look at the policy alone: in chapter 02 it was the right one for few labels. Has it still something to add when all are there?

# %%
for dataset in DATASETS:
    alone = everywhere.gain("policy", dataset, over="nothing")
    print(f"{dataset}: policy - nothing {alone.short(signed=True)}")

# %% [markdown]
# Then under attack.

# %% folded=true
lab.figures.panels(
    over_nothing("robust_accuracy"),
    title="Under attack, does the policy do what the attack does?",
    line=0.0,
    caption=f"Robust accuracy (PGD-{TEST_STEPS}) minus that of training with nothing. Radius: "
    + ", ".join(f"{RADIUS[dataset]:g} on {dataset}" for dataset in DATASETS)
    + f". 95 % intervals; trainings ({len(SEEDS)}) and test pictures are drawn anew.",
)

# %%
ROBUST = {"of": "robust_accuracy", "unit": "accuracy"}
lab.record(
    clean_model_clean=everywhere.interval("nothing", DATASET),
    clean_model_pgd=everywhere.interval("nothing", DATASET, **ROBUST),
    robust_model_clean=everywhere.interval("attack", DATASET),
    robust_model_pgd=everywhere.interval("attack", DATASET, **ROBUST),
    unit="accuracy",
    headline="robust_model_pgd",
)

# %% [markdown]
# C10 claims both halves at once, so it needs both on every data set, with the policy in both arms: a gain that any
# augmentation would have brought is none of adversarial training. “More robust” is measured at the radius where training saves
# most validation images, so that half has its best chance; the other half has no such help.

# %%
MORE = {"over": "policy", "unit": "accuracy"}
halves = {
    f"{half}_{dataset}": everywhere.gain("policy + attack", dataset, of=of, **MORE)
    for dataset in DATASETS
    for half, of in (("robust", "robust_accuracy"), ("clean", "test_accuracy"))
}
lab.verdict("C10", **halves)

# %% [markdown]
# And without the policy? An attack shows a network images that it has not seen, so it may be an augmentation where there is
# no other.

# %%
lab.verdict(
    "attack-as-augmentation",
    **{name: everywhere.gain("attack", name, over="nothing") for name in DATASETS},
)

# %%
lab.verdict(
    "policy-beats-attack",
    **{name: everywhere.gain("policy", name, over="attack") for name in DATASETS},
)

# %% [markdown]
# Read both tables row by row, for the data sets may well disagree. Tsipras et al. (2019) argue that on some data accuracy and
# robustness are at odds: what is useful for classifying clean images can be just what an attacker uses.
#
# ## Measure it: with few labels
#
# Is an adversarial example a good augmentation where labels are few? Five labels per class, with the right policy, and with
# the policy first and the attack on top. The attack's radius *in training* was chosen anew on validation images, to give it
# its best chance.

# %%
lab.predict(
    "few",
    "At 5 labels per class, on top of the right policy, adversarial training makes the accuracy "
    "on clean test images ...",
    ["higher", "neither", "lower"],
)

# %%
CHOSEN = {name: lab.chosen(f"few-shot-passes-{name}") for name in DATASETS}
FEW_PASSES = {name: lab.quick_or_full(passes, 2 * passes) for name, passes in CHOSEN.items()}
# On glyphs no attacked training comes to rest in all of them, so the quick profile makes half.
FEW_PASSES["glyphs"] = lab.quick_or_full(CHOSEN["glyphs"] // 2, 2 * CHOSEN["glyphs"])


def few_policy(seed, dataset):
    augmented = {"policy": "affine", "strength": lab.chosen(f"affine-strength-{dataset}")}
    return augmented | tested(dataset) | {"shots": 5, "passes": FEW_PASSES[dataset]}


def few_both(seed, dataset):
    epsilon = lab.chosen(f"few-shot-radius-{dataset}") * RADIUS[dataset]
    method = {"method": "adversarial", "epsilon": epsilon, "inner_steps": INNER, "loop": loop}
    return few_policy(seed, dataset) | method


FEW_KINDS = {"policy": few_policy, "policy + attack": few_both}
few_shot = lab.arms(adversarial.fit_robust, FEW_KINDS, at=DATASETS, **COMMON)

# %% [markdown]
# `gain` takes the difference seed by seed. The title counts what the rule of the verdict below says: the attack helps where
# the whole interval lies above 0.01, costs where it lies below -0.01, and neither is said of trainings that were still learning.

# %% folded=true
added = {name: few_shot.gain("policy + attack", name, over="policy") for name in DATASETS}
hardened = {
    name: few_shot.gain("policy + attack", name, of="robust_accuracy", **MORE) for name in DATASETS
}
few_labels = lab.verdict("C7b", **added)
outcomes = [part.outcome for part in few_labels.parts]
lab.figures.panels(
    {"clean test images": added, f"under attack (PGD-{TEST_STEPS})": hardened},
    title=f"With few labels the attack helps clean accuracy on {outcomes.count('supported')} of "
    f"{len(added)} data sets, costs on {outcomes.count('refuted')}",
    line=0.0,
    digits=3,
    caption="Accuracy with policy and attack minus accuracy with the policy, 5 labels per class. "
    f"95 % intervals; draws of the labels ({len(SEEDS)}) and test pictures are drawn anew.",
)

# %%
lab.record(
    gain_attack_over_policy_k5=added[DATASET],
    **{f"gain_attack_over_policy_k5_{name}": added[name] for name in DATASETS[1:]},
    unit="accuracy",
    headline="gain_attack_over_policy_k5",
)

# %%
lab.recall("few", f"policy + attack - policy on {DATASET} = {added[DATASET]}")

# %%
few_labels

# %%
lab.verdict("robust-with-few-labels", **hardened)

# %% [markdown]
# ## Measure it: the price, and time
#
# What does robustness cost on clean images? A network that learns from adversarial examples learns more slowly, so a
# comparison after a fixed, short training measures who is faster. Keep that in mind for the differences above, each of
# which has one number of passes. Here are twenty labels per class of the handwritten digits, no policy, the full radius,
# for longer and longer trainings; both curves have equally many passes at each point.

# %%
LENGTHS = lab.quick_or_full([50, 100, 400], [50, 100, 200, 400, 800], smoke=[2, 4])
FAR = RADIUS["digits"]
PGD = {"method": "adversarial", "epsilon": FAR, "inner_steps": INNER, "loop": loop}
TWENTY = {"dataset": "digits", "shots": 20, "seeds": SEEDS}
TWENTY |= tested("digits") | {"unit": "accuracy", "description": "networks"}
BOTH = {"nothing": {}, "attack": PGD}
longer = lab.arms(adversarial.fit_robust, BOTH, axis="passes", at=LENGTHS, **TWENTY)
prices = {passes: longer.gain("attack", passes, over="nothing") for passes in LENGTHS}

# %% [markdown]
# Compare the distance of the two curves at the first point and at the last. Which part of the price was time?

# %% folded=true
SHORT, LONG = LENGTHS[0], LENGTHS[-1]
lab.figures.curves(
    {name: longer.curve(name) for name in BOTH},
    title=f"What the attack adds on clean images: {prices[SHORT].mean:+z.3f} after {SHORT} passes, "
    f"{prices[LONG].mean:+z.3f} after {LONG}",
    x="passes of the training",
    y="accuracy on clean test images",
    log_x=True,
    ticks=LENGTHS,
    limits=(0, 1),
    caption="Digits, 20 labels per class. Band: 95 % interval; draws of the labels "
    f"({len(longer.seeds)}) and test pictures are drawn anew.",
)

# %%
(late, sizes), (late_nothing, _) = longer.hits("attack", LONG), longer.hits("nothing", LONG)
(early, _), (early_nothing, _) = longer.hits("attack", SHORT), longer.hits("nothing", SHORT)
shrinks = (late - late_nothing) - (early - early_nothing)
learned = sum((longer.rest(kind, at) for kind in BOTH for at in (SHORT, LONG)), ())
shrinks = lab.crossed_interval(shrinks, sizes, "accuracy", rest=learned)
lab.verdict("price-is-time", digits=shrinks)

# %%
lab.record(gain_attack_short=prices[SHORT], gain_attack_long=prices[LONG])

# %% [markdown]
# ## Measure it: the trade-off
#
# After the longest of these trainings: how does the radius of the attack in training trade clean accuracy for robustness?

# %%
trades = lab.yours_or_ours(trades_loss)
BETA = lab.chosen("trades-beta")
# As many updates of the weights as PGD training makes, each in one pass.
UPDATES = max(1, LONG // adversarial.passes_of_a_step("adversarial", INNER))
REPLAYS = lab.chosen("free-replays")
WAYS = {
    "PGD, double": PGD | {"epsilon": 2 * FAR, "passes": LONG},
    "TRADES": PGD | {"method": "trades", "beta": BETA, "trades": trades, "passes": LONG},
    "free": {"method": "free", "epsilon": FAR, "inner_steps": REPLAYS, "passes": UPDATES},
}
ways = lab.arms(adversarial.fit_robust, WAYS, **TWENTY)
there = longer.at(LONG)
ways |= lab.training.Arms({"nothing": there.rows["nothing"], "PGD": there.rows["attack"]})
SIDES = {"clean images": "test_accuracy", f"under attack (ε = {FAR:g})": "robust_accuracy"}

# %% [markdown]
# Follow both curves from left to right. What does a larger radius in training give under the attack of the test, and what
# does it take on clean images?

# %% folded=true
RADII = {"nothing": 0.0, "PGD": FAR, "PGD, double": 2 * FAR}
clean, hard = (ways.gain("PGD, double", over="PGD", of=result).mean for result in SIDES.values())
lab.figures.curves(
    {
        side: (list(RADII.values()), [ways.interval(way, of=result) for way in RADII])
        for side, result in SIDES.items()
    },
    title=f"Twice the radius in training: {hard:+z.2f} under attack, {clean:+z.2f} on clean images",
    x="ε of the attack in training (0: none)",
    y="accuracy",
    ticks=list(RADII.values()),
    limits=(0, 1),
    caption=f"Digits, 20 labels per class, {LONG} passes. Band: 95 % interval; draws of the labels "
    f"({len(ways.seeds)}) and test pictures are drawn anew.",
)

# %% [markdown]
# Three ways to train with the same ε. TRADES makes as many passes as PGD training. *Free* makes as many updates of the
# weights as PGD training does, and none of the passes in between; as it replays every batch $m$ times, it also sees only one
# of $m$ batches that PGD training sees.

# %% folded=true
SAME = ("PGD", "TRADES", "free")
seconds = ", ".join(f"{way} {ways.mean(way, of='seconds'):.1f}" for way in SAME)
lab.figures.panels(
    {side: {way: ways.interval(way, of=of) for way in SAME} for side, of in SIDES.items()},
    title=f"What does free training lose with {UPDATES / LONG:.0%} of the passes?",
    caption=f"20 labels per class, ε = {FAR:g}, β = {BETA:g}. 95 % intervals; draws of the "
    f"labels ({len(ways.seeds)}) and test pictures are drawn anew. Seconds: {seconds}.",
)

# %%
cheaper = ways.gain("free", over="PGD", of="robust_accuracy", unit="accuracy")
lab.verdict("free-is-enough", digits=cheaper)

# %% [markdown]
# ## Predict
#
# Somebody brings you a defence. It needs no training: put it around the clean model, and PGD finds next to nothing.

# %%
lab.predict(
    "bug",
    "Almost no image falls to PGD. The defence ...",
    ["works", "breaks the attack, not the error", "breaks the clean accuracy"],
)

# %% [markdown]
# Here it is, once around each clean model. Besides both accuracies, look at the gradient with respect to the images, the
# only thing that PGD follows.

# %%
networks["defence"] = [adversarial.Saturated(model) for model in networks["clean"]]
ARM["defence"] = "nothing"
claimed = robust_accuracy("defence", EPSILON)
defence = networks["defence"][0]
x_gradient = attacks.input_gradient(attacks.cross_entropy_of(defence.eval(), y), x)
silent = (x_gradient.flatten(1) == 0).all(dim=1).float().mean().item()
print(f"Clean accuracy {shares['as it is'].mean:.3f}, under PGD-{TEST_STEPS} {claimed.mean:.3f}.")
print(f"For {silent:.0%} of the images the gradient is exactly zero.")

# %% [markdown]
# ## Derive: masked gradients
#
# The defence multiplies the logits by 1,000. No answer changes. But for nearly every image that is classified correctly the
# softmax is now 1 to the last bit, and the gradient of the cross-entropy, $p_k - [k = y]$ times that of the logits, is
# *exactly* zero in floating point. There the attack does not move. The images that fool the model are where they were: the
# **gradient is masked** (梯度掩蔽).
#
# So a robust accuracy is a claim about *your attack*, and one near the clean accuracy is a bug until shown otherwise. Three checks (Athalye et al.
# 2018):
#
# 1. An attack **through another model**, which cannot see the defence, must not do better than one with its own gradient.
# 2. **More steps** must do better than one.
# 3. **Without a bound**, ε = 1, every image can become any other one: nothing may survive.
#
# `attacks.warning_signs` makes three numbers of them: the accuracy under many steps minus that under transfer (alarm above 0), the
# accuracy under many steps minus that under one step (alarm unless below 0), and the accuracy without a bound (alarm above 0).
#
# ## Measure it: three checks, for the defence and for robust models
#
# The other model is the clean one of the next seed. All attacks begin at the image itself, not at noise.


# %%
def transferred(stranger):
    """The images, attacked through another model."""
    with attacks.eval_without_weight_gradients(stranger):
        # All 20 steps, also for images that fool the stranger earlier: the defence may need more.
        return loop(attacks.cross_entropy_of(stranger, y), x, x, EPSILON, EPSILON / 8, 20)


ATTACKS = {
    "one step": {"epsilon": EPSILON, "steps": 1, "step_size": EPSILON},
    "many steps": {"epsilon": EPSILON, "steps": 40},
    "unbounded": {"epsilon": 1.0, "steps": 20},
}


def survived_by(model, stranger):
    """Which test images a model classifies correctly, as they are and under four attacks."""
    white_box = {
        name: attacks.survives(model, images, labels, **options, random=False, loop=loop)
        for name, options in ATTACKS.items()
    }
    white_box["transfer"] = attacks.is_correct(model, transferred(stranger), y)
    return {"as it is": attacks.is_correct(model, x, y), **white_box}


# %% [markdown]
# Now the three signs, for each network, and their mean over the seeds.

# %%
strangers = networks["clean"][1:] + networks["clean"][:1]
report = {
    name: [survived_by(*pair) for pair in zip(networks[name], strangers)]
    for name in ("defence", "robust")
}
ORDER = ("one step", "many steps", "transfer", "unbounded")
for name, rows in report.items():
    told = [attacks.warning_signs(*(right[attack] for attack in ORDER)) for right in rows]
    transfer, more, unbounded = (sum(values) / len(values) for values in zip(*told))
    print(
        f"{name:>7}: white box - transfer {transfer:+z.3f}, many - one {more:+z.3f}, "
        f"unbounded {unbounded:.3f}"
    )

# %% [markdown]
# In which column does the defence look best? In which is it found out?

# %% folded=true
columns = ["as it is", *ORDER]
survival = {
    name: [torch.stack([right[c] for right in rows]).float().mean().item() for c in columns]
    for name, rows in report.items()
}
lab.figures.matrix(
    list(survival.values()),
    [f"{name} models" for name in survival],
    ["as it\nis", "one\nstep", "many\nsteps", "trans-\nfer", "no\nbound"],
    title="Which model survives what it should not?",
    caption=f"Share of {len(labels)} test images that survive, as they are and under four attacks; "
    f"means over {len(SEEDS)} networks.",
    alt="; ".join(
        f"{name}: " + ", ".join(f"{c} {share:.2f}" for c, share in zip(columns, values))
        for name, values in survival.items()
    )
    + ".",
)

# %% [markdown]
# And the attack that knows the defence goes around it: it follows the gradient of the logits *before* they are multiplied.

# %%
networks["around"], ARM["around"] = [model.model for model in networks["defence"]], "nothing"
adaptive = robust_accuracy("around", EPSILON)  # the same answers, so the same survivors
lab.record(
    defence_claimed=claimed,
    defence_adaptive=adaptive,
    units={"defence_claimed": "accuracy", "defence_adaptive": "accuracy"},
)

# %% [markdown]
# ## Predict
#
# Even where a model shows none of the three signs, the number that PGD gives it may be too high. By how much, for the robust
# models?

# %%
lab.predict(
    "ensemble",
    "Of 100 test images that a robust model classifies correctly under PGD with 20 steps, how many "
    "does it misclassify under an ensemble of stronger attacks?",
    ["at most 1", "2 to 5", "6 to 20", "more than 20"],
)

# %% [markdown]
# ## Derive: a loss that no scale can blind, and steps that find their own size
#
# To go around the defence somebody had to read it. Croce and Hein (2020) asked for attacks that need no such insight, and
# replaced two things that can make PGD fail. The first is its loss. With the logits $z$ of an image, in decreasing order
# $z_{\pi_1} \ge z_{\pi_2} \ge \dots$, the **difference of logits ratio** (logit 差比, DLR) is
#
# $$\mathrm{DLR}(x, y) = - \frac{z_y - \max_{i \ne y} z_i}{z_{\pi_1} - z_{\pi_3}}$$
#
# It is above 0 exactly where the image is misclassified. Multiply all logits by 1,000 or add 7 to them, and it stays as it
# is. The denominator takes the third logit, not the second: with the second, the ratio of every correct image would be -1.
#
# The other thing is the step size. **APGD**, auto-PGD, begins with steps of 2ε, adds momentum, and looks back at some
# checkpoints. An image whose loss rose in fewer than three quarters of the steps since the last one gets steps of half the size and
# goes on from its best point. So does one that found nothing better since then, unless its steps were halved just before:

# %%
lab.source(attack_ensemble.halves)

# %% [markdown]
# ## Write it: the difference of logits ratio


# %% exercise="dlr_loss"
def dlr_loss(logits, labels):
    """The difference of logits ratio, one value per image (Croce & Hein 2020, equation 6).

    logits: float tensor (n, classes), of at least three classes. labels: whole numbers (n,).
    Returns a float tensor (n,): minus the quotient of two differences. Above the line, the label's
    logit minus the largest logit of the other classes; below it, the largest minus the third
    largest of all logits, plus 1e-12, since three equal ones would make it 0.
    """
    ### BEGIN SOLUTION
    right = logits.gather(1, labels[:, None]).squeeze(1)  # (n,)
    other = logits.scatter(1, labels[:, None], -torch.inf).max(dim=1).values
    first, _, third = logits.topk(3, dim=1).values.T
    return -(right - other) / (first - third + 1e-12)
    ### END SOLUTION


# %% [markdown]
# ## See: the defence meets another loss
#
# APGD with 20 steps against the first defence, from the same random start: once on the cross-entropy, once on your ratio.
# Neither knows that there is a defence.

# %%
ratio = lab.yours_or_ours(dlr_loss)
for name, loss in {"cross-entropy": attack_ensemble.cross_entropy, "DLR": ratio}.items():
    options = {"epsilon": EPSILON, "steps": 20, "generator": torch.Generator().manual_seed(SEED)}
    with attacks.eval_without_weight_gradients(defence):
        moved = attack_ensemble.apgd(defence, x, y, loss, **options)
    share = attacks.is_correct(defence, moved, y).float().mean().item()
    print(f"APGD, {name:>13}: {share:.0%} of {len(y)} test images survive.")

# %% [markdown]
# ## Measure it: does PGD's number survive?
#
# **AutoAttack** is an **ensemble** (攻击集成) of such attacks, and a reported number should survive it. Here are three of its
# four. APGD on the cross-entropy comes first; then APGD on a *targeted* ratio, which aims at one other class at a time,
# beginning with the likeliest; then **Square** (方块攻击; Andriushchenko et al. 2020), which uses no gradient: it sets random squares
# of an image to the border of the ball and keeps what lowers the margin. Each sees only the images that have survived so
# far. (The fourth, FAB, looks for the nearest misclassified image, not for one in the ball.)
#
# The networks are the robust ones, the images those of all tests above.

# %%
BUDGET = {
    "steps": lab.quick_or_full(20, 100),
    "targets": lab.quick_or_full(3, 9),
    "queries": lab.quick_or_full(200, 1000, smoke=20),
}
after = {"PGD-20": surviving("robust", EPSILON, steps=20)}
for model in networks["robust"]:
    start = torch.Generator().manual_seed(SEED)
    options = {"epsilon": EPSILON, "generator": start, **BUDGET}
    for name, right in attack_ensemble.ensemble(model, images, labels, **options).items():
        after.setdefault(name, []).append(right)
left = {name: over_networks("robust", rows) for name, rows in after.items()}
pairs = zip(after["Square"], after["PGD-20"])
lost = over_networks("robust", [worst.float() - pgd.float() for worst, pgd in pairs])

# %% [markdown]
# From the second line on the numbers can only fall, since each attack sees what those above it left. Which of them finds
# more, and how far does the last one end below PGD's?

# %% folded=true
lab.figures.bars(
    {
        name if position < 2 else f"and {name}": share
        for position, (name, share) in enumerate(left.items())
    },
    title=f"The ensemble leaves {left['Square'].mean:.0%}, "
    f"PGD with 20 steps {left['PGD-20'].mean:.0%}",
    x="share of test images classified correctly",
    caption=f"Robust models, {len(labels)} test images, ε = {EPSILON:g}; APGD with "
    f"{BUDGET['steps']} steps, {BUDGET['targets']} targets, {BUDGET['queries']} queries of Square. "
    "95 % intervals; networks and pictures are drawn anew. The lines share both, so their order is "
    f"surer than their height. Ensemble - PGD-20: {lost.short(signed=True)}.",
)

# %%
lab.record(
    ensemble_minus_pgd20=lost,
    robust_model_ensemble=left["Square"],
    unit="accuracy",
)

# %%
before, worst = torch.stack(after["PGD-20"]), torch.stack(after["Square"])
fallen = (before & ~worst).sum().item() / max(1, before.sum().item())
lab.recall("ensemble", f"{100 * fallen:.1f} of 100")

# %% [markdown]
# So what PGD gives is an upper bound of the robust accuracy, and so is what an ensemble gives. How far PGD's may be off
# before it misleads is written in the rules: 0.05, about what networks lost whose robustness is no longer in doubt, such as
# Madry's own (0.03 on CIFAR-10); the verdict wants the whole interval 0.01 clear of it. Defences that hide their gradient
# lost 0.1 and more.
#
# The three checks again, each with its interval and the threshold of the rules: a difference must go the right way by more
# than 0.01. A difference of exactly 0 is a sign too, even where its interval is too wide for a verdict: all further steps
# gained nothing. For the attack without a bound the table counts the pictures of which any network lets an image survive.


# %%
def checks(name):
    """The parts of the verdict on a kind of network, over all its networks."""
    rows = report[name]

    def more_than(first, second):
        differences = [right[first].float() - right[second].float() for right in rows]
        return over_networks(name, differences)

    survives_any = torch.stack([right["unbounded"] for right in rows]).any(dim=0)
    survivors, shown = len(pictures[survives_any].unique()), len(pictures.unique())
    return {
        "transfer": more_than("many steps", "transfer"),
        "more_steps": more_than("many steps", "one step"),
        "unbounded": lab.share_interval(survivors, shown, over=f"{shown} pictures"),
    }


lab.verdict("defence-is-honest", **checks("defence"), exploring=EXPLORING)

# %%
lab.verdict(
    "robust-model-is-honest",
    **checks("robust"),
    ensemble=lost,
    exploring=EXPLORING,
)

# %%
lab.recall(
    "bug",
    f"{claimed.mean:.0%} survive PGD, {adaptive.mean:.0%} an attack that goes around the defence",
    claimed,
)

# %% [markdown]
# ## Recap
#
# * An attack is a maximisation in a ball. To first order its solution is the sign of the gradient; PGD repeats it and
#   projects.
# * Adversarial training learns from what an attack finds. Say what it gave under attack *and* on clean images, with which
#   other augmentation, and after how many passes: a price that is measured too early is a price of time.
# * Before you believe a robust accuracy: a transferred attack, more steps, no bound. Then an ensemble of attacks that need
#   no tuning, and one that knows what the defence does.
#
# **Questions.** 1. Why is $\mathrm{sign}(g)$ the best step in $L_\infty$ and $g / \|g\|_2$ in $L_2$? What is it in $L_1$?
# 2. A network that answers at random has which robust accuracy, and does it pass the three checks? 3. You have 5 labels per
# class and an hour of computing. Policy, attack, or both: what would you measure first?
#
# <details><summary>Short answers</summary>
#
# 1. In $L_\infty$ every pixel spends its own budget, in the direction that helps; in $L_2$ they share one, and it is spent where
# the gradient is. In $L_1$ all of it goes to the pixel with the largest $|g_i|$, as far as the image allows. 2. One over the
# number of classes, whatever the attack does. It fails all three: its own gradient does no better than a stranger's, more steps
# no better than one, and without a bound as many survive. The checks ask whether the attack works; here nothing could. 3. The
# policy: an update takes one pass. Then both, at equal passes and more than one length, on validation images, and under attack
# only if somebody will attack.
#
# </details>
#
# **Going further.** Goodfellow, Shlens & Szegedy 2015 (ICLR), FGSM; Madry et al. 2018 (ICLR), PGD; Zhang et al. 2019
# (ICML), TRADES; Shafahi et al. 2019 (NeurIPS), free training; Wong, Rice & Kolter 2020 (ICLR), one random step is nearly
# enough; Athalye, Carlini & Wagner 2018 (ICML), obfuscated gradients; Schmidt et al. 2018 (NeurIPS), robust generalisation
# needs more data; Rice, Wong & Kolter 2020 (ICML), robust networks overfit; Tsipras et al. 2019 (ICLR), robustness may be
# at odds with accuracy; Xie et al. 2020 (CVPR), AdvProp: separate batch norms let attacks help clean accuracy; Croce & Hein
# 2020 (ICML), AutoAttack; Andriushchenko et al. 2020 (ECCV), Square. In production: `torchattacks`, `foolbox`, and
# AutoAttack with its full budget as the standard that a reported number should survive.

# %% [markdown]
# ## On your own data
#
# How easily is a network for *your* pictures fooled? Write the path of a folder with a folder of
# pictures for each class in place of `None`; until then 200 digits stand in.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.robustness(lab.own.images(FOLDER))
