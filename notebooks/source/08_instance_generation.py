# ---
# jupyter:
#   question: Can generated images stand in for labels that you do not have?
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
# # 08 · Instance generation
#
# Augmentation changes the images that you have. It cannot draw an image that you do not have. **Instance generation** (实例生成)
# promises exactly that: a **generative adversarial network** (生成对抗网络, GAN) learns to draw new images of each class. Does a
# classifier with few labels gain from them?
#
# **After this chapter you can** write both losses of a conditional GAN, watch it train, catch **mode collapse** (模式崩溃) by a
# number, measure quality and diversity apart, rule out that images were memorised, and test whether generated images help.
#
# **Time:** 90 minutes. **Claim under test:** C8 (generated instances supply the diversity that augmentation lacks).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "digits"  # "digits", "glyphs" or "fashion"; images of more than 16 pixels are halved

# %%
import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import generated_instances, generation, generation_quality, variational

lab.setup("08", profile=PROFILE, seed=SEED, device=DEVICE)
# One half of the training images is the evaluator's, the other one the generator's.
evaluator_task, task = generation.small_task(DATASET).halves()
SEEDS = list(range(SEED, SEED + lab.quick_or_full(5, 10)))
STEPS = lab.quick_or_full(1500, 6000, smoke=20)  # of the GAN that you will watch
# Of each GAN where recipes are compared, and of each one where labels are.
SHORT, LONG = lab.quick_or_full((400, 500), (1500, 3000), smoke=(20, 2))
PER_CLASS = 60  # images that are drawn of each class

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "help",
    "A GAN learns from a classifier's own 5 labelled images per class, and the classifier learns "
    "from its images too. "
    "Against augmentation the classifier becomes ...",
    ["worse", "about the same", "better"],
)

# %% [markdown]
# ## The evaluator
#
# Somebody must say what a generated image shows. The **evaluator** (评估模型) is a classifier trained on *the other half* of the images:
# it never saw the generator's. Its last layer but one gives 32 numbers per image, the **features** (特征) in which distances
# mean more than between pixels. It is trained by the loop of chapter 02 with a mild policy (`generation_quality.fit_evaluator`).

# %%
evaluator, judge_accuracy = generation_quality.fit_evaluator(
    evaluator_task, steps=lab.quick_or_full(300, 1500), seed=SEED
)
n_test = len(task.test_labels)
print(
    f"The evaluator learned from {len(evaluator_task.train_labels)} images. The generator gets "
    f"{len(task.train_labels)} others."
)
lab.record(
    judge_accuracy=lab.share_interval(round(judge_accuracy * n_test), n_test, unit="accuracy")
)

# %% [markdown]
# ## Derive: two players
#
# The **generator** (生成器) turns noise $z$ and a class $y$ into an image $x' = G(z, y)$. The **discriminator** (判别器) gives any
# image a score $s = D(x, y)$; $\sigma(s)$ is how likely it holds the image for real. It is a classifier with two classes, so
# its loss is a cross-entropy. With $-\log\sigma(s) = \log(1 + e^{-s}) = \text{softplus}(-s)$ and
# $-\log(1 - \sigma(s)) = \text{softplus}(s)$:
#
# $$L_D = \frac1n \sum_i \text{softplus}\big(-D(x_i, y_i)\big) + \frac1m \sum_j \text{softplus}\big(D(x'_j, y_j)\big)$$
#
# (Goodfellow et al. 2014, equation 1, with its sign turned.)
#
# ## Write it


# %% exercise="discriminator_loss"
def discriminator_loss(real_scores, fake_scores):
    """The mean of -log sigmoid(s) over real scores + that of -log(1 - sigmoid(s)) over fake ones.

    real_scores (n,), fake_scores (m,): float tensors, any number from very low to very high.
    Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()
    ### END SOLUTION


# %% [markdown]
# ## Derive: the generator's loss
#
# The generator wants the opposite. It could minimise $\log(1 - \sigma(s))$, the discriminator's own term. Or it could minimise
# $-\log\sigma(s)$. Both fall when $s$ rises. Which one pushes a generator that is still bad? Write the second.
#
# ## Write it


# %% exercise="generator_loss"
def generator_loss(fake_scores):
    """The non-saturating loss: the mean of -log sigmoid(s) over the scores of generated images.

    fake_scores (n,): float tensor, any number from very low to very high. Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    return F.softplus(-fake_scores).mean()
    ### END SOLUTION


# %% [markdown]
# How hard does each of the two losses push the generator? The size of their derivatives says it, for every score.

# %%
loss_d, loss_g = lab.yours_or_ours(discriminator_loss), lab.yours_or_ours(generator_loss)
SCORES = torch.linspace(-6, 6, 13)


def push(loss):
    """The size of the loss's derivative at each score, each taken alone."""
    s = SCORES[:, None].clone().requires_grad_()
    return torch.autograd.grad(sum(loss(one) for one in s), s)[0][:, 0].abs().tolist()


pushes = {
    "non-saturating: -log σ(s)": push(loss_g),
    "saturating: log(1 - σ(s))": push(lambda s: -F.softplus(s).mean()),
}

# %% [markdown]
# At the beginning of a training all fakes are at the left. Which loss still pushes them there?

# %% folded=true
steep, flat = (values[0] for values in pushes.values())
lab.figures.curves(
    {
        name: (SCORES.tolist(), [lab.mean_interval([value]) for value in values])
        for name, values in pushes.items()
    },
    title=f"A fake with the score {SCORES[0]:g} is pushed {steep / flat:.0f} times as hard by the "
    "non-saturating loss",
    x="score s of a generated image (low: recognised as fake)",
    y="size of the push |dL/ds|",
    caption="Exact values, without an interval. Left: the discriminator is sure that it is a fake.",
)

# %% [markdown]
# ## Derive: conditioning by projection
#
# The discriminator must ask two things: is this a good image at all, and is it a good image *of class y*? With features
# $\phi(x)$ from its layers, a vector $v$, and one vector $V_y$ per class (Miyato & Koyama 2018, equation 3):
#
# $$D(x, y) = v^\top \phi(x) + V_y^\top \phi(x)$$
#
# ## Write it


# %% exercise="projection_score"
def projection_score(features, v, V, labels):
    """The scores v . phi(x) + V_y . phi(x) of images of given classes.

    features phi(x): float tensor (n, d). v: (d,). V: one row for each class, (classes, d). labels:
    class numbers (n,), from 0. Returns a float tensor (n,).
    """
    ### BEGIN SOLUTION
    return features @ v + (features * V[labels]).sum(dim=1)
    ### END SOLUTION


# %% [markdown]
# ## Derive: a collapse alarm
#
# A generator that draws *one* perfect 3 wins against a forgetful discriminator. That is mode collapse, and no loss tells you. A
# number can. Let $d$ be the mean distance between two different images. For every class $k$
#
# $$a_k = \frac{d(\text{generated images of class } k)}{d(\text{real images of class } k)}$$
#
# It is 1 for images that are as varied as real ones, and 0 when all are alike. We let the alarm ring below 0.5.
#
# ## Write it


# %% exercise="collapse_alarm"
def collapse_alarm(generated, labels, real, real_labels):
    """For each class: the mean distance between generated images over that between real ones.

    generated: float tensor (n, 1, H, W), labels (n,) its class numbers; real (m, 1, H, W),
    real_labels (m,). Distances are Euclidean over all pixels, between different images (torch.pdist
    gives each pair once). Returns (classes,).
    """

    ### BEGIN SOLUTION
    def spread(images):
        return torch.pdist(images.flatten(1).double()).mean()

    classes = range(int(real_labels.max()) + 1)
    return torch.stack(
        [spread(generated[labels == k]) / spread(real[real_labels == k]) for k in classes]
    )
    ### END SOLUTION


# %% [markdown]
# ## Watch it train
#
# Now both play and take turns, a step each: this loop has two networks, two losses and two optimisers (`generation.train_gan`). One
# more term in $L_D$ keeps the game stable: $\frac{\gamma}{2} |\partial D / \partial x|^2$ at the real images, called **R1** (Mescheder
# et al. 2018). It is compared with other regularisers further down. Watch the samples, both losses and your alarm. Can you tell
# from the losses when the images become good?

# %%
alarm, score = lab.yours_or_ours(collapse_alarm), lab.yours_or_ours(projection_score)
players = {"losses": (loss_d, loss_g), "score": score}
with lab.widgets.GanMonitor(task, alarm=alarm) as live:
    gan = generation.fit_gan(
        DATASET,
        seed=SEED,
        steps=STEPS,
        watch=live,
        watch_every=STEPS // 20,
        progress=True,
        **players,
    )

# %% [markdown]
# Does the evaluator see in each image what was ordered? And in every class?

# %%
images, labels = generation.sample(gan["generator"], PER_CLASS, seed=SEED)
shares = generation_quality.recognised(evaluator, images, labels)
worst = int(shares.argmin())
intended = lab.share_interval(round(shares.sum().item() * PER_CLASS), len(labels))
lowest = lab.share_interval(round(shares[worst].item() * PER_CLASS), PER_CLASS)

# %% [markdown]
# Look for yourself, too: would you classify them as the label above them says?

# %% folded=true
lab.figures.images(
    torch.cat([images[labels == k][:2] for k in range(len(task.classes))]),
    [name[:6] for name in task.classes for _ in range(2)],
    columns=len(task.classes),
    title=f"The evaluator sees the intended class in {intended.mean:.1%}, "
    f"in “{task.classes[worst]}” least ({lowest.mean:.0%})",
    caption=f"Two of {PER_CLASS} generated images of each class. The evaluator classifies "
    f"{judge_accuracy:.1%} of the real test images correctly.",
)

# %%
lab.record(generated_intended_class=intended, headline="generated_intended_class")

# %%
lab.verdict(
    "recognisable",
    "The generated images show what was ordered, in every class.",
    [
        lab.Evidence("share recognised as the intended class", intended, ">", 0.85),
        lab.Evidence(f"the same in the worst class, {task.classes[worst]}", lowest, ">", 0.5),
    ],
)

# %% [markdown]
# ## See: between two classes, between two noises
#
# A generator that knows more than its training images draws something sensible *between* them. Walk from class to class and
# from noise to noise. Then turn the truncation down to 0: what is left?

# %%
lab.widgets.LatentExplorer(gan["generator"], task.classes)

# %% [markdown]
# ## Derive: the Fréchet distance
#
# How far are generated images from real ones, as two clouds of features? Fit a Gaussian to each, with mean $\mu$ and
# covariance $C$. The **Fréchet distance** (弗雷歇距离) between the two is (Heusel et al. 2017, equation 6; squared, as is the
# custom)
#
# $$d^2 = |\mu_a - \mu_b|^2 + \text{tr}\big(C_a + C_b - 2\,(C_a C_b)^{1/2}\big)$$
#
# The root is that of a *matrix*. You need its trace only, the sum of its eigenvalues. $C_a C_b$ has the eigenvalues of the
# symmetric $C_a^{1/2} C_b C_a^{1/2}$, which `eigvalsh` finds safely; the root of $C_a = Q \Lambda Q^\top$ is
# $Q \Lambda^{1/2} Q^\top$.
#
# ## Write it


# %% exercise="frechet_distance"
def frechet_distance(a, b):
    """The squared Fréchet distance between Gaussians fitted to two sets of features.

    a (n, d), b (m, d): float tensors; compute in float64 (a.double()), with covariances that divide
    by n - 1 (torch.cov; it wants features as rows: a.T.cov()). Rounding can make an eigenvalue
    slightly negative: clamp it to 0. Returns a number.
    """
    ### BEGIN SOLUTION
    a, b = a.double(), b.double()
    C_a, C_b = a.T.cov(), b.T.cov()
    values, vectors = torch.linalg.eigh(C_a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    trace_of_root = torch.linalg.eigvalsh(root @ C_b @ root).clamp_min(0).sqrt().sum()
    return (
        (a.mean(dim=0) - b.mean(dim=0)).square().sum()
        + C_a.trace()
        + C_b.trace()
        - 2 * trace_of_root
    ).item()
    ### END SOLUTION


# %% [markdown]
# ## Derive: precision and recall
#
# One distance mixes two questions. Are the images good? Are they *all* there? Lay a ball around every real feature vector that
# reaches to its $k$-th nearest real neighbour; all balls together are the real **manifold** (流形). Then (Kynkäänniemi et al.
# 2019)
#
# * **precision** (精确率) is the share of generated features within the real manifold;
# * **recall** (召回率) is the share of real features within the generated manifold.
#
# ## Write it


# %% exercise="precision_recall"
def precision_recall(real, generated, k=3):
    """The share of generated features within the real manifold, and of real ones within the other.

    real (n, d), generated (m, d): float tensors. k: each ball reaches to the k-th nearest *other*
    point of its own set, the rim included; torch.cdist gives all distances, kthvalue the smallest
    ones. Returns two numbers from 0 to 1.
    """

    ### BEGIN SOLUTION
    def within(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) <= radii).any(dim=1).double().mean().item()

    return within(generated, real), within(real, generated)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: quality against diversity
#
# Everything is compared with the real test images. First the floor: the generator's own *real* training images. Then these
# images augmented. Then the GAN, with full noise and truncated. And a contrast, the **variational autoencoder** (变分自编码器, VAE):
# an encoder and a decoder, no game, but the loop of chapter 02 with another loss (`variational.vae_loss`). Its pixel noise $\sigma$
# says how much detail may stay unexplained.

# %%
measures = {
    "frechet": lab.yours_or_ours(frechet_distance),
    "within": lab.yours_or_ours(precision_recall),
    "alarm": alarm,
}


def measured(images, labels):
    """The measures of a set of images against the real test images."""
    return generation_quality.quality(evaluator, images, labels, evaluator_task, **measures)


STRENGTHS = {
    "mild": {"policy": "affine", "strength": 0.1},
    "strong": {"policy": "affine", "strength": 0.25},
}
SIGMAS = [0.1, 0.2, 0.4]
grid = lab.combinations(dataset=[DATASET], seed=[SEED], steps=[STEPS], sigma=SIGMAS)
vaes = lab.sweep(variational.fit_vae, grid, description="VAEs")

# %% [markdown]
# Now the sets of images, and the measures of each.

# %%
sets = {"real, the other half": (task.train_images, task.train_labels)}
for name, policy in STRENGTHS.items():
    moved = generated_instances.augmented(task.train_images, seed=SEED, **policy)
    sets[f"augmented, {name}"] = (moved, task.train_labels)
DRAW = {"per_class": PER_CLASS, "seed": SEED}
sets["GAN"] = generation.sample(gan["generator"], **DRAW)
for truncation in (0.6, 0.3):
    drawn = generation.sample(gan["generator"], **DRAW, truncation=truncation)
    sets[f"GAN, truncation {truncation:g}"] = drawn
for row in vaes:
    sets[f"VAE, σ {row['sigma']:g}"] = generation.sample(row["generator"], **DRAW)
table = {name: measured(*images_and_labels) for name, images_and_labels in sets.items()}
floor = table["real, the other half"]

# %% [markdown]
# Follow each line from point to point. Which dial trades diversity for quality, and which setting is worse at both?

# %% folded=true
DIALS = {
    "real, the other half": ["real, the other half"],
    "GAN: truncation 0.3, 0.6, 1": ["GAN, truncation 0.3", "GAN, truncation 0.6", "GAN"],
    "VAE: σ 0.4, 0.2, 0.1": [f"VAE, σ {sigma:g}" for sigma in reversed(SIGMAS)],
    "real, augmented: mild, strong": ["augmented, mild", "augmented, strong"],
}
lab.figures.curves(
    {
        dial: (
            [table[name]["recall"] for name in names],
            [lab.mean_interval([table[name]["precision"]]) for name in names],
        )
        for dial, names in DIALS.items()
    },
    title=f"Recall of the GAN {table['GAN']['recall']:.2f}, of real images {floor['recall']:.2f}",
    x="recall (diversity)",
    y="precision (quality)",
    caption="One generator each, so without an interval. A line joins the settings of one dial. "
    "Right and high is best.",
    alt="; ".join(
        f"{name}: precision {row['precision']:.2f}, recall {row['recall']:.2f}"
        for name, row in table.items()
    )
    + ".",
)

# %% [markdown]
# One number for both questions, the Fréchet distance. The dashed line is the floor: a distance below it would be suspicious.

# %% folded=true
ordered = sorted(table, key=lambda name: table[name]["frechet"])
nearest_name = next(name for name in ordered if name != "real, the other half")
lab.figures.bars(
    {name: lab.mean_interval([table[name]["frechet"]]) for name in ordered},
    title=f"Nearest to the floor of {floor['frechet']:.1f} is “{nearest_name}” with "
    f"{table[nearest_name]['frechet']:.1f}",
    x="Fréchet distance to the test images (squared, in the evaluator's features)",
    line=floor["frechet"],
    caption="One generator each, so without an interval. Dashed: the floor, two sets of real "
    "images.",
)

# %% [markdown]
# ## Read it
#
# Follow the truncation, then the VAE's $\sigma$. Each is a dial between quality and diversity. Which models are better at
# *both* than another one? And look at the augmented images: they are real ones, moved a little. Why does the Fréchet distance
# dislike them?

# %%
lab.record(
    frechet_gan=table["GAN"]["frechet"],
    frechet_real_halves=floor["frechet"],
    unit="squared distance",
)

# %% [markdown]
# ## Measure it: which game, and a collapse on purpose
#
# Another loss, the **hinge** (Lim & Ye 2017). Another regulariser of the discriminator, **spectral normalisation** (谱归一化; Miyato et
# al. 2018). No regulariser. And last, a game that is set up to collapse: no regulariser, small batches, a generator with a learning
# rate 20 times the discriminator's. First watch that one.

# %%
COLLAPSE = {"regularise": "none", "rates": (2e-2, 1e-3), "batch_size": 16}
with lab.widgets.GanMonitor(task, alarm=alarm) as live:
    generation.fit_gan(
        DATASET, seed=SEED, steps=SHORT, watch=live, watch_every=SHORT // 20, **COLLAPSE, **players
    )

# %% [markdown]
# Now every recipe with every seed.

# %%
RECIPES = {
    "R1": players,
    "hinge, R1": {**players, "losses": generation.hinge_losses()},
    "spectral": {**players, "regularise": "spectral"},
    "no regulariser": {**players, "regularise": "none"},
    "collapse": {**players, **COLLAPSE},
}
GAN = {"dataset": DATASET, "kind": "gan", "per_class": PER_CLASS}
trained = lab.arms(
    generated_instances.fit_generated_set,
    RECIPES,
    seeds=SEEDS,
    shots=None,
    steps=SHORT,
    description="GANs",
    **GAN,
)

# %% [markdown]
# The measures are taken here, by your functions. `lab.training.Arms` reads rows that were not made by `lab.arms`.


# %%
def with_measures(rows):
    """Rows of generated sets, each with its measures."""
    pairs = [(row, generated_instances.images_and_labels(row["generated"])) for row in rows]
    return [{**row, **measured(*images_and_labels)} for row, images_and_labels in pairs]


games = lab.training.Arms({name: with_measures(rows) for name, rows in trained.rows.items()})

# %% [markdown]
# Compare the last row with the others, panel by panel. Which measure would have warned you?

# %% folded=true
MEASURES = {
    "recognised as intended": "intended",
    "Fréchet distance": "frechet",
    "recall": "recall",
    "spread (your alarm)": "spread",
}
seen = max(RECIPES, key=lambda name: games.mean(name, of="intended"))
varied = max(RECIPES, key=lambda name: games.mean(name, of="recall"))
lab.figures.panels(
    {
        title: {name: games.interval(name, of=measure) for name in RECIPES}
        for title, measure in MEASURES.items()
    },
    title=f"Most often recognised: “{seen}”; highest recall: “{varied}”",
    caption=f"Mean and 95 % interval over {len(SEEDS)} trainings of {SHORT} steps.",
)

# %% [markdown]
# Quality and diversity of the collapse against R1, in pairs.

# %%
quality_gain = games.gain("collapse", over="R1", of="intended")
recall_gain = games.gain("collapse", over="R1", of="recall")
alarms = {name: games.interval(name, of="spread") for name in ("collapse", "R1")}
lab.verdict(
    "quality-hides-collapse",
    "A collapsed generator is recognised no worse than a healthy one (within 0.03), and only its "
    "diversity gives it away.",
    [
        lab.Evidence("recognised: collapse - R1", quality_gain, ">", -0.03),
        lab.Evidence("recall: collapse - R1", recall_gain, "<"),
        lab.Evidence("alarm of the collapse", alarms["collapse"], "<", generation_quality.ALARM),
        lab.Evidence("alarm of R1", alarms["R1"], ">", generation_quality.ALARM),
    ],
)

# %%
lab.record(collapsed_spread=alarms["collapse"], unit="of real spread")

# %% [markdown]
# ## Measure it: did it memorise?
#
# A generator that stores its training images would pass every test so far. So look for the nearest training image of each
# sample. How near is too near? *Held-out real images* say: they cannot have been copied. For comparison, a generator that had
# 5 images per class only.

# %%
few = generation.fit_gan(DATASET, shots=5, seed=SEED, steps=LONG, **players)
few_images, _, _ = generation.training_images(DATASET, 5, SEED)
few_samples, _ = generation.sample(few["generator"], PER_CLASS, seed=SEED)
queries = {  # images, and those to which they are compared
    "GAN": (images, task.train_images),
    "held-out real": (task.test_images / 255, task.train_images),
    "GAN of 5 per class": (few_samples, few_images),
}
distances = {
    name: generation_quality.nearest(query, originals / 255)[0]
    for name, (query, originals) in queries.items()
}

# %% [markdown]
# Compare each generated image with the training image below it: the same one, or a relative?

# %% folded=true
shown = torch.stack([images[labels == k][0] for k in range(len(task.classes))][:10])
_, rows = generation_quality.nearest(shown, task.train_images / 255)
lab.figures.images(
    torch.cat([shown, task.train_images[rows] / 255]),
    ["generated"] * len(shown) + ["nearest"] * len(shown),
    columns=len(shown),
    title="Median distance to the nearest: "
    + ", ".join(f"{name} {d.median():.2f}" for name, d in distances.items()),
    caption="Above: a generated image of each class. Below: the training image that is nearest to "
    "it, pixel by pixel.",
    alt="Generated images and, under each, its nearest training image.",
)

# %% [markdown]
# Now all of them. One in 20 held-out images is nearer to a training image than `near`, by chance. How many generated ones are?

# %%
near = distances["held-out real"].quantile(0.05).item()
far = distances["held-out real"].quantile(0.95).item()


def share_within(distance):
    """Per set of images, the share that is no farther from the nearest training image."""
    return {
        name: lab.share_interval(int((d <= distance).sum()), len(d))
        for name, d in distances.items()
    }


close = share_within(near)

# %% [markdown]
# A curve far to the left of the held-out images' belongs to a generator that copies.

# %% folded=true
steps = torch.linspace(0, far, 12).tolist()
lab.figures.curves(
    {name: (steps, [share_within(step)[name] for step in steps]) for name in queries},
    title="Nearer than 95 % of held-out images: "
    + ", ".join(f"{name} {share.mean:.0%}" for name, share in close.items()),
    x="distance to the nearest image that the generator was trained on",
    y="share of images within that distance",
    caption="Cumulative shares with 95 % intervals. Held-out real images cannot have been copied.",
)

# %%
lab.verdict(
    "no-copies",
    "The generator's images are no more copies than new real images are (at most twice as many "
    "are that near).",
    [lab.Evidence("share nearer than 95 % of held-out images", close["GAN"], "<", 0.1)],
)

# %% [markdown]
# ## Measure it: does it help?
#
# Now the claim. A classifier has $K$ labels per class. **The generator gets the same $K$ labels and nothing else.** One that
# has seen more smuggles labels in. We show one too, as an upper bound where $K$ is small: the GAN that you watched, which
# learned from its whole half of the training images.
#
# In every batch, half of the images are generated ones of the same class. *Generated only* sees no real image: its accuracy on
# real test images is the **classification accuracy score** (Ravuri & Vinyals 2019). In the loop of chapter 02 this is the `augment`:
# `generated_instances.mixed_in` exchanges images of a batch, the labels stay. First the generated sets.

# %%
SHOTS = [1, 5, 20, 100]
LABELS = {"seeds": SEEDS, "axis": "shots", "at": SHOTS}
fit = generated_instances.fit_generated_set
generators = lab.arms(fit, {"GAN": players}, steps=LONG, description="GANs", **GAN, **LABELS)
generated = {(row["shots"], row["seed"]): row["generated"] for row in generators.rows["GAN"]}
more = generated_instances.generated_set(gan["generator"], PER_CLASS, SEED)

# %% [markdown]
# Now the classifiers. An arm is a function of the shots and the seed where its settings depend on them.

# %%
MORE = f"real + GAN of {len(task.train_labels)} labels"


def with_gan(**settings):
    """The settings of an arm that gets the GAN of the same labels."""
    return lambda shots, seed: {"generated": generated[shots, seed], **settings}


ARMS = {
    "real": {},
    "real + mild augmentation": STRENGTHS["mild"],
    "real + strong augmentation": STRENGTHS["strong"],
    "real + GAN": with_gan(),
    "real + GAN + mild augmentation": with_gan(**STRENGTHS["mild"]),
    "GAN only": with_gan(share=1.0),
    MORE: {"generated": more},
}
FIT = {"dataset": DATASET, "steps": lab.quick_or_full(100, 300), "unit": "accuracy"}
fit = generated_instances.fit_classifier
learned = lab.arms(fit, ARMS, description="classifiers", **FIT, **LABELS)

# %% [markdown]
# Which strength of augmentation is the rival? The one with the higher accuracy over all K: one number per seed.


# %%
def over_shots(arms, name):
    """The mean over K, one number per seed."""
    return arms.table(name).mean(axis=1)


augmentations = ("real + mild augmentation", "real + strong augmentation")
rival = max(augmentations, key=lambda name: over_shots(learned, name).mean())
print(f"Of the two strengths of augmentation, “{rival}” did better over all K.")

# %% [markdown]
# Where does the GAN's curve leave that of the real images alone, and to which side?

# %% folded=true
lab.figures.curves(
    {name: learned.curve(name) for name in ARMS if name != "real + GAN + mild augmentation"},
    title="At 5 labels: "
    + ", ".join(f"{name} {learned.mean(name, 5):.2f}" for name in ("real", rival, "real + GAN")),
    x="labels per class K",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    caption=f"Mean and 95 % interval over {len(SEEDS)} draws. The generators learned from the "
    "same K labels, the last one apart.",
)

# %%
lab.record(
    real_k5=learned.interval("real", 5),
    real_k5_augmented=learned.interval(rival, 5),
    real_k5_generated=learned.interval("real + GAN", 5),
    classification_accuracy_score_k20=learned.interval("GAN only", 20),
    headline="real_k5_generated",
)

# %% [markdown]
# ## Read it
#
# How much of the uppermost curve's lead is due to generation, and how much to labels that the classifier was not supposed to have?
#
# ## Measure it: does it add diversity?
#
# The claim speaks of diversity. So count it: how much of the real test images lies within the manifold of the generated ones,
# and of as many augmented copies of the same $K$ images?


# %%
def augmented_set(policy, shots, seed):
    """As many augmented copies of the K real images per class as the GAN draws."""
    options = {"shots": shots, "seed": seed, "per_class": PER_CLASS, **policy}
    return generated_instances.augmented_set(DATASET, **options)


copies = {
    name: [
        {"shots": k, "seed": seed, "generated": augmented_set(policy, k, seed)}
        for k in SHOTS
        for seed in SEEDS
    ]
    for name, policy in STRENGTHS.items()
}
covered = lab.training.Arms(
    {name: with_measures(rows) for name, rows in (generators.rows | copies).items()},
    axis="shots",
    result="recall",
)

# %% [markdown]
# Higher covers more. Does the order of the three change as K grows?

# %% folded=true
NAMES = {"GAN": "GAN", "mild": "mild augmentation", "strong": "strong augmentation"}
lab.figures.curves(
    {long: covered.curve(name) for name, long in NAMES.items()},
    title="Covered from 5 labels: "
    + ", ".join(f"{long} {covered.mean(name, 5):.2f}" for name, long in NAMES.items()),
    x="labels per class K that the images were made from",
    y="recall: share of real images covered",
    log_x=True,
    ticks=SHOTS,
    levels={"real images": floor["recall"]},
    limits=(-0.03, 1.05),
    caption=f"{PER_CLASS} images per class. Mean and 95 % interval over {len(SEEDS)} draws. "
    "Dashed: the real images of a half.",
)

# %% [markdown]
# ## Verdict
#
# One number per draw of the labels: the mean over the four $K$. Augmentation came in two strengths; each comparison is with
# the one that did better in it. That is fair to augmentation, and it is a choice: what would the other one have said?

# %%
diverse = max(STRENGTHS, key=lambda name: over_shots(covered, name).mean())
recall_gain = lab.paired_difference(over_shots(covered, "GAN"), over_shots(covered, diverse))
mean_of = {name: over_shots(learned, name) for name in ARMS}
instead = lab.paired_difference(mean_of["real + GAN"], mean_of[rival])
on_top = lab.paired_difference(
    mean_of["real + GAN + mild augmentation"], mean_of["real + mild augmentation"]
)
lab.verdict(
    "C8",
    "Generated instances supply the diversity that augmentation lacks: they cover more, and "
    "classifiers gain.",
    [
        lab.Evidence(f"recall: GAN - {diverse} augmentation", recall_gain, ">"),
        lab.Evidence(f"accuracy: real + GAN - {rival}", instead, ">"),
        lab.Evidence("accuracy: GAN + augmentation - augmentation", on_top, ">"),
    ],
)

# %% [markdown]
# An inconclusive verdict has two possible reasons: too few draws, or nothing there. Ask the interval: how large could a gain
# still be?

# %%
lab.verdict(
    "little-gain",
    "Put in the place of augmentation, generated images gain less than 0.02 of accuracy.",
    [lab.Evidence(f"accuracy: real + GAN - {rival}", instead, "<", 0.02)],
)

# %% [markdown]
# What did the labels do that the upper bound was given and the classifier was not?

# %%
smuggled = learned.gain(MORE, 5, over="real + GAN")
lab.verdict(
    "smuggled-labels",
    "A generator that saw more labels than the classifier makes generation look better than it is.",
    [lab.Evidence("at 5 labels: GAN of more labels - GAN of the same labels", smuggled, ">")],
)

# %% [markdown]
# And without any real image?

# %%
losses = {k: learned.gain("GAN only", k, over="real") for k in SHOTS}
lab.verdict(
    "instances-replace-images",
    "A classifier that sees generated images only is as good as one with the real ones (within "
    "0.02), whatever K.",
    [lab.Evidence(f"K = {k}: GAN only - real", loss, ">", -0.02) for k, loss in losses.items()],
)

# %%
lab.recall(
    "help", f"at 5 labels, real + GAN - {rival} = {learned.gain('real + GAN', 5, over=rival)}"
)

# %% [markdown]
# Can diversity grow while accuracy does not? Think of what a generator with 5 labels can know: it moves *between* those 5
# images. Augmentation moves them in directions that you knew to be harmless. That knowledge is yours, not in the images.
#
# ## Recap
#
# * A GAN's losses say who is winning, not whether the images are good. Judge them by a classifier, and diversity by its own
#   numbers.
# * Quality and diversity are two things. Truncation and the VAE's $\sigma$ trade one for the other; a collapse can look like
#   quality.
# * Test generation with the labels that the classifier has. Everything else smuggles labels in.
#
# **Questions.** 1. Your GAN's Fréchet distance is below the floor of two real halves. What may have happened? 2. Your alarm
# looks at pixels. Which collapse would it miss, and in which space would you see it? 3. Somebody trains a large image model on
# the whole web and generates images for a few-shot task, which helps. Is it a few-shot result?
#
# **Going further.** Goodfellow et al. 2014 (NeurIPS), GANs; Miyato et al. 2018 and Miyato & Koyama 2018 (ICLR), spectral
# normalisation and projection; Mescheder et al. 2018 (ICML), which GAN trainings converge; Heusel et al. 2017 and Kynkäänniemi
# et al. 2019 (NeurIPS), Fréchet distance, precision and recall; Ravuri & Vinyals 2019 (NeurIPS), classification accuracy
# score; Antoniou et al. 2017 (arXiv 1711.04340), DAGAN, which learns on other classes; Karras et al. 2020 and Zhao et al. 2020
# (NeurIPS), GANs from few images by augmenting inside the game; Ho et al. 2020 (NeurIPS), diffusion models, which avoid the
# game. In production: `diffusers` for models, `torchmetrics` for the distances.
