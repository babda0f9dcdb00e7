# ---
# jupyter:
#   question: What does the worst image teach, what does it cost, and when is robustness a bug?
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
# Augmentation shows a network changed images drawn at random. **Adversarial training** (对抗训练) shows it the *worst* ones: an
# attacker looks for the small change that hurts most, and the network learns from that. The article counts it among the means
# that improve few-shot training. Does it?
#
# **After this chapter you can** derive and write the attacks FGSM and PGD, train a network against them, measure what it gains and
# what it pays, and recognise a defence that only looks like one.
#
# **Time:** 80 minutes. **Claims under test:** C7 (adversarial training improves few-shot generalisation further; its other half,
# distillation, was tested in chapter 06), C10 (adversarial training improves robustness and generalisation).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import adversarial, attacks

lab.setup("07", profile=PROFILE, seed=SEED, device=DEVICE)
task = lab.data.load(DATASET)
OTHER = "digits" if DATASET != "digits" else "glyphs"  # a second data set, for claim C7
# How far every pixel may be moved, of the range 0..1.
RADIUS = {"glyphs": 0.05, "digits": 0.15, "fashion": 0.05}
EPSILON = RADIUS[DATASET]
SEEDS = list(range(SEED, SEED + lab.quick_or_full(5, 10)))
STEPS = lab.quick_or_full(360, 2000)  # with all labels
FEW_STEPS = lab.quick_or_full(80, 600)  # with few labels
RIGHT = {"policy": "affine", "strength": 0.25}  # the right policy of chapter 02

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "fall",
    "A network classifies most test images correctly. Now every pixel may be changed by "
    "{epsilon:.0%} of its range. How many does it still get right?",
    ["nearly as many", "about half", "hardly any"],
    epsilon=EPSILON,
)

# %% [markdown]
# ## Two networks
#
# Both are the same small convolutional net, trained on all labels with equally many steps and the same first weights. The *clean*
# one sees the training images. The *robust* one sees the worst images that two steps of an attack find near them. How it
# does that is what this chapter is about. Several seeds, in pairs.

# %%
PAIR = {"clean": {}, "robust": {"method": "adversarial", "epsilon": EPSILON, "inner_steps": 2}}


COMMON = {
    "dataset": DATASET,
    "test_epsilon": EPSILON,
    "seeds": SEEDS,
    "unit": "accuracy",
}
full = lab.arms(adversarial.fit_robust, PAIR, steps=STEPS, description="networks", **COMMON)
models = {name: full.rows[name][0]["model"] for name in PAIR}
for name in PAIR:
    print(f"{name:>6}: test {full.interval(name)}")

# %% [markdown]
# ## See: an attack
#
# Drag ε and the steps. At which ε does the *clean* model fall? What does the perturbation look like, compared with the one for the
# *robust* model? Is the loss steep along the gradient, and along a random direction?

# %%
lab.widgets.AttackExplorer(task, models, epsilon=2 * EPSILON)

# %% [markdown]
# Such images are called **adversarial examples** (对抗样本).
#
# ## Derive: the inner maximum and its linear solution
#
# The attacker looks for a perturbation $\delta$ in a ball, and the result must be an image:
#
# $$\max_{\|\delta\| \le \varepsilon} L(x + \delta, y), \qquad 0 \le x + \delta \le 1$$
#
# With the gradient $g = \nabla_x L$, to first order $L(x + \delta, y) \approx L(x, y) + \langle g, \delta \rangle$. By Hölder's inequality
# (赫尔德不等式)
#
# $$\langle g, \delta \rangle \le \|g\|_1 \, \|\delta\|_\infty \le \varepsilon \, \|g\|_1 \quad \text{with equality at} \quad \delta = \varepsilon\,
# \mathrm{sign}(g)$$
#
# That is the **fast gradient sign method** (快速梯度符号法, FGSM; Goodfellow et al. 2015). Every pixel moves by ε, and all the small
# gains add up: with $d$ pixels of similar gradient the loss grows by $\varepsilon\, d$ times it. In the $L_2$ ball the same argument, with
# Cauchy and Schwarz, gives $\delta = \varepsilon\, g / \|g\|_2$.
#
# ## Write it
#
# Here a loss is a function of images alone; `torch.autograd.grad(loss(x), x)` differentiates it.


# %% exercise="fgsm"
def fgsm(loss, images, epsilon):
    """One step of the fast gradient sign method.

    loss: a function of images that returns a scalar tensor. images: float tensor (n, C, H, W) in
    0..1. epsilon: how far every pixel may move. Returns images of the same shape, in 0..1, with a
    larger loss (to first order).
    """
    ### BEGIN SOLUTION
    x = images.clone().requires_grad_()
    gradient = torch.autograd.grad(loss(x), x)[0]
    return (images + epsilon * gradient.sign()).clamp(0, 1)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: the sign, and chance
#
# Your step against random signs of the same size, for the clean model. `attacks.eval_without_weight_gradients` protects the model
# while it is attacked. It is in evaluation mode, so that batch norm neither mixes the images nor learns from them, and its weights
# collect no gradients.

# %%
one_step = lab.yours_or_ours(fgsm)
images, labels = adversarial.images_to_attack(DATASET, 256)  # test images of all classes
device = next(models["clean"].parameters()).device
x, y = images.float().to(device) / 255, labels.to(device)
with attacks.eval_without_weight_gradients(models["clean"]):
    signed = one_step(attacks.cross_entropy_of(models["clean"], y), x, EPSILON)
chance = torch.rand(x.shape, generator=torch.Generator().manual_seed(SEED)).to(device) - 0.5
noisy = (x + EPSILON * chance.sign()).clamp(0, 1)

shares = {}
for name, shown in {"as it is": x, "chance": noisy, "FGSM": signed}.items():
    correct = attacks.is_correct(models["clean"], shown, y)
    shares[name] = lab.share_interval(int(correct.sum()), len(y))

# %% [markdown]
# Every pixel moves equally far in both. How much of the damage is due to the size of the change, and how much to its direction?

# %% folded=true
lab.figures.bars(
    shares,
    title=", ".join(f"{name} {share.mean:.2f}" for name, share in shares.items()),
    x="share of test images classified correctly",
    caption=f"Clean model, {len(y)} test images, every pixel moved by {EPSILON:g}: by random "
    "signs, and by those of the gradient.",
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
    numbers from 0. Returns a float tensor (n, C, H, W).
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
# **Robust accuracy** (鲁棒准确率) is the share of test images that the model still classifies correctly under attack. From here on
# your loop does the attacks and the trainings. First over ε, with 20 steps from a random start in the ball.

# %%
loop = lab.yours_or_ours(pgd)
REACH = [0.0, 0.5 * EPSILON, EPSILON, 1.5 * EPSILON]
few_images, few_labels = images[:128], labels[:128]


def robust_accuracy(model, epsilon, steps=20, **options):
    """The share of the few test images that survives PGD."""
    generator = torch.Generator().manual_seed(SEED)
    options = {"steps": steps, "generator": generator, "loop": loop, **options}
    survived = attacks.survives(model, few_images, few_labels, epsilon=epsilon, **options)
    return survived.float().mean().item()


levels = {
    name: [lab.mean_interval([robust_accuracy(row["model"], e) for row in rows]) for e in REACH]
    for name, rows in full.rows.items()
}

# %% [markdown]
# Follow each curve from ε = 0, its accuracy without an attack, to the right. Which one pays at the start, and which one falls?

# %% folded=true
lab.figures.curves(
    {f"{name} model": (REACH, reached) for name, reached in levels.items()},
    title=f"At ε = {EPSILON:g} the clean model gets {levels['clean'][2].mean:.0%} right, "
    f"the robust one {levels['robust'][2].mean:.0%}",
    x="ε of the attack (of the range 0..1)",
    y="robust accuracy (PGD-20)",
    ticks=REACH,
    limits=(-0.02, 1.02),
    caption=f"{len(few_labels)} test images. Band: 95 % interval over {len(SEEDS)} seeds. "
    "At ε = 0 it is the clean accuracy.",
)

# %%
lab.recall(
    "fall",
    f"{levels['clean'][0].mean:.0%} without an attack, {levels['clean'][2].mean:.0%} after it",
)

# %% [markdown]
# Now over the number of steps, for the robust model. FGSM is one step of size ε; PGD's steps have the size 2.5 ε / steps.

# %%
COUNTS = [1, 2, 5, 10, 20]
networks = [row["model"] for row in full.rows["robust"][:5]]
by_steps = [
    lab.mean_interval([robust_accuracy(net, EPSILON, steps=count) for net in networks])
    for count in COUNTS
]
ONE_STEP = {"steps": 1, "step_size": EPSILON, "random": False}
fgsm_level = lab.mean_interval([robust_accuracy(net, EPSILON, **ONE_STEP) for net in networks])

# %% [markdown]
# Where does the curve become flat? That many steps are enough, for this model.

# %% folded=true
lab.figures.curves(
    {"PGD": (COUNTS, by_steps)},
    title=f"FGSM leaves {fgsm_level.mean:.2f}, PGD with {COUNTS[-1]} steps {by_steps[-1].mean:.2f}",
    x="steps of the attack",
    y="robust accuracy",
    log_x=True,
    ticks=COUNTS,
    levels={"FGSM": fgsm_level.mean},
    caption=f"Robust model, ε = {EPSILON:g}, {by_steps[0].n} seeds. Mean and 95 % interval; "
    "dashed: FGSM.",
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
# Four random starts against the robust model, one by one and together.

# %%
survivors = lab.yours_or_ours(surviving_share)
STARTS = 4
survived = torch.stack(
    [
        attacks.survives(
            models["robust"],
            few_images,
            few_labels,
            epsilon=EPSILON,
            generator=torch.Generator().manual_seed(start),
            loop=loop,
        )
        for start in range(STARTS)
    ]
)
alone = ", ".join(f"{survivors(survived[start : start + 1]):.3f}" for start in range(STARTS))
print(f"Each start alone leaves {alone}; together {survivors(survived):.3f}.")

# %% [markdown]
# ## See: a targeted attack, in both balls
#
# A **targeted** attack (有目标攻击) goes *downhill* on the loss of a class that you choose. Here the target of each image is
# the class of the next one. The $L_2$ ball has the radius $\varepsilon\sqrt{d}$, $d$ the number of pixels: as long as moving every pixel by ε.

# %%
originals = torch.stack([task.test_images[task.test_labels == k][0] for k in range(8)])
own = torch.arange(8)
targets = own.roll(-1)
radii = {"linf": 2 * EPSILON, "l2": 2 * EPSILON * originals[0].numel() ** 0.5}
options = {"steps": 40, "targets": targets, "random": False}
targeted = {"original": originals.float() / 255}
for norm, radius in radii.items():
    adversarial_images = attacks.attack(
        models["clean"], originals, own, epsilon=radius, norm=norm, **options
    )
    targeted[norm] = adversarial_images.cpu()
answers = {
    name: lab.training.outputs(models["clean"], shown).argmax(dim=1)
    for name, shown in targeted.items()
}

# %% [markdown]
# Look at the two lower rows: where does each attack put its changes, and can you still read the original?

# %% folded=true
hits = {norm: int((answers[norm] == targets).sum()) for norm in radii}
lab.figures.images(
    torch.cat(list(targeted.values())),
    [f"“{task.classes[k]}”" for answer in answers.values() for k in answer],
    columns=8,
    title=f"Reach the target: L∞ {hits['linf']} of 8, L2 {hits['l2']} of 8",
    caption="Rows: original, L∞, L2. Over each image the clean model's answer; the target is "
    "the class of the image to the right.",
    alt=f"Eight images and two perturbed versions of each; {hits['linf']} and {hits['l2']} of 8 "
    "are classified as their targets.",
)

# %% [markdown]
# ## Derive: adversarial training
#
# Train on the answer of the inner problem (Madry et al. 2018):
#
# $$\min_\theta \; \mathbb{E}_{(x, y)} \; \max_{\|\delta\|_\infty \le \varepsilon} L(\theta, x + \delta, y)$$
#
# By Danskin's theorem the gradient at the inner maximum is a descent direction of the whole, so a step is: attack the batch, then
# step on the attacked batch. With $m$ inner steps it costs $m + 1$ times as much as plain training. The loop is that of chapter 02,
# with another loss:

# %%
lab.source(adversarial.adversarial_loss)

# %% [markdown]
# Two variants:
#
# * **TRADES** (Zhang et al. 2019) keeps accuracy and robustness apart. The attacked image should get the *same answer* as the
#   clean one, and β says how much that weighs:
#
# $$L = -\log p_y(x) + \beta \, KL\big(p(x) \,\|\, p(x + \delta)\big)$$
#
# * **Free** training (Shafahi et al. 2019) keeps each batch for $m$ steps. One backward pass gives the gradient for the weights
#   *and* for δ, which goes on from step to step. No pass is spent on the attack alone.
#
# TRADES is again a loss (`adversarial.trades_training`). Free training changes two lines of the loop, the loss and the augment, which
# hands out the same batch again (`adversarial.free_training`).
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
# Back to the two networks with all labels, whose inner loop attacked as yours does. Two differences in pairs, seed by seed: what does
# the robust one have under attack, and what on clean images?

# %%
costs = full.gain("robust", over="clean")
gains = full.gain("robust", over="clean", of="robust_accuracy", unit="accuracy")

# %%
lab.record(
    clean_model_clean=full.interval("clean"),
    clean_model_pgd20=full.interval("clean", of="robust_accuracy"),
    robust_model_clean=full.interval("robust"),
    robust_model_pgd20=full.interval("robust", of="robust_accuracy"),
    unit="accuracy",
    headline="robust_model_pgd20",
)

# %%
lab.verdict(
    "C10",
    "Adversarial training makes a model both more robust and more accurate.",
    [
        lab.Evidence(
            f"robust accuracy (PGD-20, ε = {EPSILON:g}): robust model - clean model", gains, ">"
        ),
        lab.Evidence("test accuracy: robust model - clean model", costs, ">"),
    ],
)

# %% [markdown]
# ## Measure it: as an augmentation, with few labels
#
# Is the worst image a good augmentation where labels are few? Four kinds of training: without anything, with the right policy of
# chapter 02, with an attack of half the radius, and with the policy first and the attack on top. Same labels, same steps.

# %%
lab.predict(
    "few",
    "At 5 labels per class, on top of the right policy, adversarial training makes the test "
    "accuracy ...",
    ["higher", "neither", "lower"],
)

# %% [markdown]
# The policy is the loop's `augment`, the attack its loss, so one network can have both.

# %%
ATTACKED = {"method": "adversarial", "epsilon": EPSILON / 2, "inner_steps": 2, "loop": loop}
KINDS = {
    "nothing": {},
    "policy": RIGHT,
    "attack": ATTACKED,
    "policy + attack": {**RIGHT, **ATTACKED},
}
SHOTS = [1, 5, 20]
few_shot = lab.arms(
    adversarial.fit_robust,
    KINDS,
    axis="shots",
    at=SHOTS,
    steps=FEW_STEPS,
    description="networks",
    **COMMON,
)

# %% [markdown]
# ## Read it
#
# Compare *attack* with *nothing*, then *policy + attack* with *policy*. First the accuracy on clean test images, then under attack.

# %% folded=true
lab.figures.curves(
    {name: few_shot.curve(name) for name in KINDS},
    title="At 5 labels per class: "
    + ", ".join(f"{name} {few_shot.mean(name, 5):.2f}" for name in KINDS),
    x="labels per class",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    caption=f"{task.name}, {FEW_STEPS} steps, attack in training with ε = {EPSILON / 2:g}. Band: "
    f"95 % interval over {len(SEEDS)} draws of labels.",
)

# %% [markdown]
# Robustness needs more labels than accuracy does (Schmidt et al. 2018). Does the same kind of training lie highest in both figures?

# %% folded=true
lab.figures.curves(
    {name: few_shot.curve(name, of="robust_accuracy") for name in KINDS},
    title="Under attack, 5 labels: "
    + ", ".join(f"{name} {few_shot.mean(name, 5, of='robust_accuracy'):.2f}" for name in KINDS),
    x="labels per class",
    y=f"robust accuracy (PGD-20, ε = {EPSILON:g})",
    log_x=True,
    ticks=SHOTS,
    caption="The same networks under attack. Compare with the figure above: which of the two "
    "curves of a training rises later?",
)

# %% [markdown]
# The differences in pairs, and two more questions. Was the training too short for a network that has more to learn (*long*: three
# times the steps, for both sides)? And is it the same on another data set, again with patience?

# %%
PAIRED = {name: KINDS[name] for name in ("policy", "policy + attack")}
LONG = {**COMMON, "shots": 5, "steps": 3 * FEW_STEPS, "test_epsilon": None}
patient = lab.arms(adversarial.fit_robust, PAIRED, description="networks", **LONG)
there = {name: {**kind, "epsilon": RADIUS[OTHER] / 2} for name, kind in PAIRED.items()}
LONG |= {"dataset": OTHER}
elsewhere = lab.arms(adversarial.fit_robust, there, description="networks", **LONG)

# %% [markdown]
# `gain` takes the difference seed by seed. The attack helps where the whole interval lies right of 0, and costs where it lies left.

# %%
added = {f"attack - nothing, K = {k}": few_shot.gain("attack", k, over="nothing") for k in SHOTS}
added |= {
    f"policy + attack - policy, K = {k}": few_shot.gain("policy + attack", k, over="policy")
    for k in SHOTS
}
LATE = "policy + attack - policy, K = 5, long"
added[LATE] = patient.gain("policy + attack", over="policy")
added[f"{LATE}, {OTHER}"] = elsewhere.gain("policy + attack", over="policy")

# %% folded=true
helps = sum(value.low > 0 for value in added.values())
harms = sum(value.high < 0 for value in added.values())
lab.figures.bars(
    added,
    title=f"Of {len(added)} comparisons, the attack helps in {helps} and costs in {harms}",
    x="difference in test accuracy on clean images",
    line=0.0,
    caption=f"K labels per class. Paired differences, 95 % intervals over {len(SEEDS)} draws. "
    "Right of the dashed line the attack helps.",
)

# %%
lab.record(
    gain_attack_k5=added["attack - nothing, K = 5"],
    gain_attack_over_policy_k5=added["policy + attack - policy, K = 5"],
    headline="gain_attack_k5",
)

# %%
lab.recall("few", f"policy + attack - policy = {added['policy + attack - policy, K = 5']}")

# %% [markdown]
# “Further” in C7 means: beyond what the right augmentation gives. The patient pairs decide, so that a network with more to learn is
# not judged before it has learned.

# %%
lab.verdict(
    "C7",
    "Adversarial training improves few-shot generalisation further (chapter 06 tests the other "
    "half, distillation).",
    [
        lab.Evidence(
            f"policy + attack - policy, K = 5, {name}, {3 * FEW_STEPS} steps",
            trained.gain("policy + attack", over="policy"),
            ">",
        )
        for name, trained in ((DATASET, patient), (OTHER, elsewhere))
    ],
)

# %%
lab.verdict(
    "attack-as-augmentation",
    "Where there is no other augmentation, the attack is one: it lifts the accuracy on clean "
    "images.",
    [
        lab.Evidence(f"attack - nothing, K = {k}", added[f"attack - nothing, K = {k}"], ">")
        for k in (1, 5)
    ],
)

# %% [markdown]
# The same difference under attack.

# %%
hardened = few_shot.gain("policy + attack", 5, over="policy", of="robust_accuracy", unit="accuracy")
lab.verdict(
    "robust-with-few-labels",
    "With 5 labels per class adversarial training makes a network more robust.",
    [lab.Evidence("robust accuracy: policy + attack - policy", hardened, ">")],
)

# %% [markdown]
# ## Measure it: the trade-off
#
# At 20 labels per class the radius of the training grows, at equal steps. What does robustness cost on clean images? (A part of
# this price is time: a network that sees the worst images learns more slowly. The patient pairs above showed how much.)

# %%
INNER = {"epsilon": EPSILON, "inner_steps": 2, "loop": loop}
BETA, trades = 6.0, lab.yours_or_ours(trades_loss)
WAYS = {
    "Madry": {"method": "adversarial", **INNER},
    "Madry, 2 ε": {"method": "adversarial", **INNER, "epsilon": 2 * EPSILON},
    "TRADES": {"method": "trades", **INNER, "beta": BETA, "trades": trades},
    "free": {"method": "free", "epsilon": EPSILON, "inner_steps": 3, "steps": 3 * FEW_STEPS},
}
ways = lab.arms(
    adversarial.fit_robust, WAYS, shots=20, steps=FEW_STEPS, description="networks", **COMMON
)
ways |= few_shot.at(20)
SIDES = {"clean": "test_accuracy", f"under attack (ε = {EPSILON:g})": "robust_accuracy"}

# %% [markdown]
# Where is the network most robust, and how far below its start is the clean curve there?

# %% folded=true
RADII = {"nothing": 0.0, "attack": EPSILON / 2, "Madry": EPSILON, "Madry, 2 ε": 2 * EPSILON}
best = max(RADII, key=lambda way: ways.mean(way, of="robust_accuracy"))
lab.figures.curves(
    {
        side: (list(RADII.values()), [ways.interval(way, of=result) for way in RADII])
        for side, result in SIDES.items()
    },
    title=f"Most robust at a training ε of {RADII[best]:g}; on clean images "
    f"{ways.gain(best, over='nothing').mean:+.2f}",
    x="ε of the attack in training (0: none)",
    y="accuracy",
    ticks=list(RADII.values()),
    caption=f"20 labels per class, {FEW_STEPS} steps. Band: 95 % interval over {len(SEEDS)} draws "
    "of the labels.",
)

# %% [markdown]
# Three ways to train with the same ε. *Free* makes three times as many, cheaper steps: as many passes through the network in all.
# Compare the pairs of bars, then the seconds in the title.

# %% folded=true
SAME = ("Madry", "TRADES", "free")
seconds = ", ".join(f"{way} {ways.mean(way, of='seconds'):.1f}" for way in SAME)
lab.figures.bars(
    {
        f"{way}, {side.split(' (')[0]}": ways.interval(way, of=result)
        for way in SAME
        for side, result in SIDES.items()
    },
    title=f"Seconds of a training: {seconds}",
    x="accuracy",
    caption=f"20 labels per class, ε = {EPSILON:g}, β = {BETA:g}. Mean and 95 % interval "
    f"over {len(SEEDS)} draws of the labels.",
)

# %% [markdown]
# Is the cheaper one as good under attack?

# %%
cheaper = ways.gain("free", over="Madry", of="robust_accuracy", unit="accuracy")
lab.verdict(
    "free-is-enough",
    "Free training is as robust as PGD training that makes as many passes (within 0.03).",
    [lab.Evidence("robust accuracy: free - Madry", cheaper, ">", -0.03)],
)

# %% [markdown]
# ## Predict
#
# Somebody brings you a defence. It needs no training: put it around the clean model, and PGD-20 finds next to nothing.

# %%
lab.predict(
    "bug",
    "Almost no image falls to PGD-20. The defence ...",
    ["works", "breaks the attack, not the error", "breaks the clean accuracy"],
)

# %% [markdown]
# Here it is. Besides both accuracies, look at the gradient with respect to the images, the only thing that PGD follows.

# %%
defence = adversarial.Saturated(models["clean"])
x_gradient = attacks.input_gradient(attacks.cross_entropy_of(defence.eval(), y), x)
silent = (x_gradient.flatten(1) == 0).all(dim=1).float().mean().item()
PGD_20 = {"epsilon": EPSILON, "loop": loop}
generator = torch.Generator().manual_seed(SEED)
kept = attacks.survives(defence, images, labels, **PGD_20, generator=generator)
clean = attacks.is_correct(defence, x, y).float().mean()
print(f"Clean accuracy {clean:.3f}, robust accuracy under PGD-20 {kept.float().mean():.3f}.")
print(f"For {silent:.0%} of the images the gradient is exactly zero.")

# %% [markdown]
# ## Derive: masked gradients
#
# The defence multiplies the logits by 1,000. No answer changes. But the softmax is now 1 to the last bit, and the gradient of the
# cross-entropy, $p_k - [k = y]$ times that of the logits, is *exactly* zero in floating point. The attack does not move. The images that
# fool the model are where they were: the **gradient is masked** (梯度掩蔽).
#
# So a robust accuracy is a claim about *your attack*, and 99 % is a bug until shown otherwise. Three checks (Athalye et al. 2018):
#
# 1. An attack **through another model**, which cannot see the defence, must not do better than one with its own gradient.
# 2. **More steps** must do better than one.
# 3. **Without a bound**, ε = 1, every image can become any other one: nothing may survive.
#
# ## Write it


# %% exercise="warning_signs"
def warning_signs(one_step, many_steps, transfer, unbounded):
    """The three signs of masked gradients, in numbers.

    Each argument: bool tensor (n,), whether each image survives an attack: one step, many steps,
    adversarial examples of another model, many steps with epsilon 1. Returns three numbers: the
    accuracy under many steps minus that under transfer (alarm above 0), the accuracy under many
    steps minus that under one step (alarm unless below 0), and the accuracy without a bound (alarm
    above 0).
    """
    ### BEGIN SOLUTION
    one, many, other, left = (
        right.float().mean().item() for right in (one_step, many_steps, transfer, unbounded)
    )
    return many - other, many - one, left
    ### END SOLUTION


# %% [markdown]
# ## Measure it: three checks, for the defence and for an honest model
#
# The other model is a clean one from the next seed. All attacks begin at the image itself, not at noise. Which of the three alarms goes off?

# %%
stranger = full.rows["clean"][1]["model"]
with attacks.eval_without_weight_gradients(stranger):
    # All 20 steps, also for images that fool the stranger earlier: the defence may need more.
    transferred = loop(attacks.cross_entropy_of(stranger, y), x, x, EPSILON, EPSILON / 8, 20)
ATTACKS = {
    "one step": {"epsilon": EPSILON, "steps": 1, "step_size": EPSILON},
    "many steps": {"epsilon": EPSILON, "steps": 40},
    "unbounded": {"epsilon": 1.0, "steps": 40},
}


def survived_by(model):
    """Which test images a model classifies correctly, as they are and under four attacks."""
    survived = {
        name: attacks.survives(model, images, labels, **options, random=False, loop=loop)
        for name, options in ATTACKS.items()
    }
    survived["transfer"] = attacks.is_correct(model, transferred, y)
    return {"as it is": attacks.is_correct(model, x, y), **survived}


# %% [markdown]
# Now your three signs, for both models.

# %%
signs = lab.yours_or_ours(warning_signs)
report = {"defence": survived_by(defence), "robust model": survived_by(models["robust"])}
ORDER = ("one step", "many steps", "transfer", "unbounded")
alarms = {name: signs(*(right[attack] for attack in ORDER)) for name, right in report.items()}
for name, (transfer, more, unbounded) in alarms.items():
    print(
        f"{name:>12}: white box - transfer {transfer:+.3f}, many - one {more:+.3f}, "
        f"unbounded {unbounded:.3f}"
    )

# %% [markdown]
# In which column does the defence look best? In which is it found out?

# %% folded=true
columns = ["as it is", *ORDER]
raised = {name: (a > 0.01) + (b > -0.01) + (c > 0.01) for name, (a, b, c) in alarms.items()}
lab.figures.matrix(
    [[right[attack].float().mean().item() for attack in columns] for right in report.values()],
    list(report),
    ["as it\nis", "one\nstep", "many\nsteps", "trans-\nfer", "no\nbound"],
    title=f"Alarms: defence {raised['defence']} of 3, robust model {raised['robust model']} of 3",
    caption=f"Share of {len(labels)} test images that survive, as they are and under four attacks.",
    alt="; ".join(
        f"{name}: " + ", ".join(f"{a} {right[a].float().mean():.2f}" for a in columns)
        for name, right in report.items()
    )
    + ".",
)

# %% [markdown]
# And the attack that knows the defence goes around it: it follows the gradient of the logits *before* they are multiplied.

# %%
generator = torch.Generator().manual_seed(SEED)
around = attacks.attack(defence.model, images, labels, **PGD_20, generator=generator)
adaptive = attacks.is_correct(defence, around, y)
lab.record(
    defence_claimed=lab.share_interval(int(kept.sum()), len(kept)),
    defence_adaptive=lab.share_interval(int(adaptive.sum()), len(adaptive)),
    units={"defence_claimed": "accuracy", "defence_adaptive": "accuracy"},
)

# %% [markdown]
# The three checks again, each with its interval: paired by image, so that a difference of a few images is not taken for a sign.


# %%
def honesty(name):
    """The three checks of a model as evidence that its robustness is real."""
    survived = {attack: right.float().tolist() for attack, right in report[name].items()}
    transfer = lab.paired_difference(survived["many steps"], survived["transfer"])
    more = lab.paired_difference(survived["many steps"], survived["one step"])
    unbounded = lab.share_interval(int(report[name]["unbounded"].sum()), len(labels))
    return [
        lab.Evidence("many steps - transfer", transfer, "<", 0.01),
        lab.Evidence("many steps - one step", more, "<", 0.0),
        lab.Evidence("without a bound", unbounded, "<", 0.05),
    ]


lab.verdict("defence-is-honest", "The defence's robust accuracy is robustness.", honesty("defence"))

# %%
lab.verdict(
    "robust-model-is-honest",
    "The robust model's robust accuracy is robustness.",
    honesty("robust model"),
)

# %%
lab.recall(
    "bug",
    f"{kept.float().mean():.0%} survive PGD-20, {adaptive.float().mean():.0%} an attack that goes "
    "around the defence",
)

# %% [markdown]
# ## Recap
#
# * An attack is a maximisation in a ball. To first order its solution is the sign of the gradient; PGD repeats it and projects.
# * Adversarial training learns from the worst images. Say what it gave under attack *and* on clean images, with how many steps.
# * Before you believe a robust accuracy: a transferred attack, more steps, no bound. Then attack what the defence does.
#
# **Questions.** 1. Why is $\mathrm{sign}(g)$ the best step in $L_\infty$ and $g / \|g\|_2$ in $L_2$? What is it in $L_1$? 2. A network that
# answers at random has which robust accuracy, and does it pass the three checks? 3. You have 5 labels per class and an hour of
# computing. Policy, attack, or both: what would you measure first?
#
# **Going further.** Goodfellow, Shlens & Szegedy 2015 (ICLR), FGSM; Madry et al. 2018 (ICLR), PGD; Zhang et al. 2019 (ICML), TRADES; Shafahi
# et al. 2019 (NeurIPS), free training; Wong, Rice & Kolter 2020 (ICLR), one random step is nearly enough; Athalye, Carlini & Wagner 2018
# (ICML), obfuscated gradients; Schmidt et al. 2018 (NeurIPS), robust generalisation needs more data; Tsipras et al. 2019 (ICLR), robustness
# may be at odds with accuracy; Xie et al. 2020 (CVPR), AdvProp: separate batch norms let attacks help clean accuracy. In production:
# `torchattacks`, `foolbox`, and AutoAttack (Croce & Hein 2020, ICML) as the standard that a reported number should survive.
