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
# Augmentation changes the images that you have. It cannot draw an image that you do not have. **Instance generation**
# (实例生成) promises exactly that: a **generative adversarial network** (生成对抗网络, GAN) learns to draw new images of each class.
# Does a classifier with few labels gain from them?
#
# **After this chapter you can** write both losses of a conditional GAN and a step of each player, read its training loop, catch
# **mode collapse** (模式崩溃) by a number, measure quality and diversity apart, tell a copyist from an artist, test whether
# generated images help, and write the path, the step and the guidance of flow matching.
#
# **Time:** 110 minutes. **Claim under test:** C8 (generated instances supply the diversity that augmentation lacks). It is
# tested on *this* GAN, and read a second time with a **flow** (流) of the same size: small fully connected networks, trained
# from scratch on images of 8 to 14 pixels a side. They stand for no modern generator, and a verdict about them is none about
# models that have seen the images of the web.

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more seeds and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "digits"  # "digits", "glyphs" or "fashion"; images of more than 16 pixels are halved

# %%
import math

import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.methods import flow_matching, generated_instances, generation, generation_quality

lab.setup("08", profile=PROFILE, seed=SEED, device=DEVICE)
# One half of the training images is the evaluators', the other one the generators'.
evaluator_task, task = generation.halves(DATASET)
DATASETS = list(dict.fromkeys([DATASET, "digits", "glyphs", "fashion"]))
EXPLORING = "" if DATASET == "digits" else f"DATASET={DATASET}"
SEEDS = lab.seeds(4, 10)
FEWER = SEEDS[: lab.quick_or_full(3, 10)]  # of the other data sets
STEPS = lab.quick_or_full(600, 2000, smoke=20)  # of every generator that learns from its whole half
PER_CLASS = 60  # images that are made of each class

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
# ## The evaluators
#
# Somebody must say what a generated image shows. An **evaluator** (评估模型) is a classifier trained on *the other half* of the
# images: it never saw a generator's. Its last layer but one gives 32 numbers per image, the **features** (特征) in which
# distances mean more than between pixels. One evaluator may be wrong in its own way, so every seed below has one of its
# own. Each was trained by the loop of chapter 02 with small turns and shifts, as strong as suited the *validation* images.
# The *test* images are kept for the numbers below.


# %%
def evaluators_of(names, seeds):
    """The evaluators of some data sets, trained together so that no core waits for another."""
    strength = {name: lab.chosen(f"evaluator-strength-{name}") for name in names}
    return lab.arms(
        generation_quality.fit_evaluator,
        {name: {"dataset": name, "strength": strength[name]} for name in names},
        seeds=seeds,
        steps=lab.quick_or_full(150, 600, smoke=2),
        description="evaluators",
    )


evaluators = evaluators_of([DATASET], SEEDS), evaluators_of(DATASETS[1:], FEWER)
judges = {
    (name, row["seed"]): row["evaluator"]
    for some in evaluators
    for name, rows in some.rows.items()
    for row in rows
}

# %% [markdown]
# The glyphs are rendered: the generators learn from some typefaces, the evaluators from others of the same family, and the
# test images show another one. So their evaluators are tested on typefaces that they never saw.

# %%
print(
    f"The evaluators learned from {len(evaluator_task.train_labels)} images. The generators get "
    f"{len(task.train_labels)} others."
)
lab.record(
    judge_accuracy=evaluators[0].interval(DATASET, unit="accuracy"),
    **{
        f"judge_accuracy_{name}": evaluators[1].interval(name, unit="accuracy")
        for name in DATASETS[1:]
    },
)

# %% [markdown]
# ## Derive: two players
#
# The **generator** (生成器) turns noise $z$ and a class $y$ into an image $x' = G(z, y)$. The **discriminator** (判别器) gives
# any image a score $s = D(x, y)$; $\sigma(s)$ is how likely it holds the image for real. It is a classifier with two
# classes, so its loss is a cross-entropy. With $-\log\sigma(s) = \log(1 + e^{-s}) = \text{softplus}(-s)$ and $-\log(1 -
# \sigma(s)) = \text{softplus}(s)$:
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
# The generator wants the opposite. It could minimise $\log(1 - \sigma(s))$, the discriminator's own term. Or it could
# minimise $-\log\sigma(s)$. Both fall when $s$ rises. Which one pushes a generator that is still bad? Write the second.
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
# A generator that draws *one* perfect 3 wins against a forgetful discriminator. That is mode collapse, and no loss tells
# you. A number can. Let $d$ be the mean distance between two different images. For every class $k$
#
# $$a_k = \frac{d(\text{generated images of class } k)}{d(\text{real images of class } k)}$$
#
# the **spread**. It is 1 for images that are as varied as the real ones that the generator learned from, and 0 when all are
# alike. Below which spread should an alarm ring? Not where it looks right: that would be a rule made for the case at hand.
# Ten healthy games were played for it, and the alarm's threshold is the highest at which it rings for at most 1 in 100 of
# the classes that they drew ([choices](../docs/choices.md)).
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
# ## Derive: a step of each player
#
# The players take turns, a step each (Goodfellow et al. 2014, algorithm 1): two networks, two losses, two optimisers. Whose
# weights move in a step?
#
# * In the **discriminator's** step a generated image is data, like a real one. Its gradient ends at the images: the graph
#   that leads back into the generator is cut off there.
# * In the **generator's** step the gradient comes *through* the discriminator: from the score to the image, from there to
#   the generator's weights. The discriminator's weights do not move. But `backward` leaves gradients in them, which must not
#   be added to those of its next step.
#
# ## Write it


# %% exercise="discriminator_step"
def discriminator_step(generator, discriminator, optimizer, real, labels, noise):
    """One step of the discriminator. Returns its loss before the step, a number.

    The two are networks in training mode: generator(noise, one-hot classes as floats) makes images
    of generator.classes classes, discriminator(images, labels) gives scores (n,). optimizer: has
    the discriminator's weights. real: images (n, 1, H, W). labels: class numbers (n,), of the real
    images and of those to be made. noise: (n, d). The loss is that of the game, loss_d.

    Only the discriminator's weights move, by this step's gradient alone, whatever gradients they
    hold before. The generator's weights get no gradient.
    """
    ### BEGIN SOLUTION
    fake = generator(noise, F.one_hot(labels, generator.classes).float()).detach()
    loss = loss_d(discriminator(real, labels), discriminator(fake, labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown]
# The generator's answer is shorter: it needs no real image.


# %% exercise="generator_step"
def generator_step(generator, discriminator, optimizer, labels, noise):
    """One step of the generator. Returns its loss before the step, a number.

    optimizer: has the generator's weights. The rest is as in discriminator_step, the loss loss_g.
    Only the generator's weights move, by this step's gradient alone, whatever gradients they hold
    before; the discriminator can learn afterwards as it could before.
    """
    ### BEGIN SOLUTION
    fake = generator(noise, F.one_hot(labels, generator.classes).float())
    loss = loss_g(discriminator(fake, labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% [markdown]
# That is a GAN. Here your two steps play a short game.

# %%
step_d, step_g = lab.yours_or_ours(discriminator_step), lab.yours_or_ours(generator_step)
TURNS = lab.quick_or_full(300, 1000, smoke=5)
torch.manual_seed(SEED)
shape = {"classes": len(task.classes), "size": task.train_images.shape[-1]}
player_g = generation.Generator(**shape)
player_d = generation.Discriminator(**shape, score=generation.projection_score)
adam_g, adam_d = (
    torch.optim.Adam(player.parameters(), lr=2e-3, betas=(0.0, 0.99))
    for player in (player_g, player_d)
)

# %%
threads = torch.get_num_threads()
torch.set_num_threads(1)  # networks this small only wait for a second thread
for _ in range(TURNS):
    turn = torch.randint(len(task.train_labels), (64,))
    z = torch.randn(64, player_g.noise)
    batch = task.train_images[turn] / 255, task.train_labels[turn], z
    value_d = step_d(player_g, player_d, adam_d, *batch)
    value_g = step_g(player_g, player_d, adam_g, *batch[1:])
torch.set_num_threads(threads)
print(f"After {TURNS} turns of each player: L_D {value_d:.2f}, L_G {value_g:.2f}.")

# %% folded=true
drawn_soon, _ = generation.sample(player_g, 2, seed=SEED)
lab.figures.images(
    drawn_soon,
    [name[:6] for name in task.classes for _ in range(2)],
    columns=len(task.classes),
    title=f"Your game after {TURNS} turns of each player: which classes can you see?",
    caption="Two images of each class. This game has no R1, no average of the weights and a fixed "
    "learning rate.",
)

# %% [markdown]
# ## See: the game
#
# The course's game takes the same two steps, with fewer calls: the images that are made once serve both players. Find the
# line that hides the generator from the discriminator's step (`detach`), and the two that say whose weights move. A term is
# added to $L_D$ which keeps the game stable, $\frac{\gamma}{2} |\partial D / \partial x|^2$ at the real images, called **R1**
# (Mescheder et al. 2018): it makes a steep discriminator pay.

# %%
lab.source(generation.train_gan, "for step in")

# %% [markdown]
# ## Watch it train
#
# Watch the samples, both losses and your alarm. Can you tell from the losses when the images become good? A discriminator
# that can no longer tell gives every image the score 0, "half and half": softplus(0) is ln 2. So the dotted lines stand at
# 2 ln 2 for $L_D$ and at ln 2 for $L_G$.

# %%
alarm, score = lab.yours_or_ours(collapse_alarm), lab.yours_or_ours(projection_score)
ALARM = lab.chosen("alarm")
GAME = lab.chosen("gan-game")  # which of the games below this one is
players = {"losses": (loss_d, loss_g), "score": score}
HEALTHY = {**players, **generation.GAMES[GAME]}
with lab.widgets.GanMonitor(task, alarm=alarm, threshold=ALARM) as live:
    gan = generation.fit_gan(
        DATASET,
        seed=SEEDS[0],
        steps=STEPS,
        watch=live,
        watch_every=STEPS // 20,
        progress=True,
        **HEALTHY,
    )

# %% [markdown]
# Does the spread still rise at the last step? A GAN's losses do not say when it has come to rest, and the course's rule for rest reads
# losses. So every sentence below is about a GAN *after so many steps of the game*. More of them may make it better, as the full profile
# can show.
#
# You watched one game. A sentence about the recipe needs several, each with its own first weights, batches and noise. The
# measures of each are taken here, by your functions as you write them; the evaluator is that of the same seed.

# %%
measures = {"alarm": alarm}


def measured(seed, images, labels, name=DATASET):
    """What the seed's evaluator and your functions say about a set of images."""
    judge, judged = judges[name, seed], generation.halves(name)[1]
    found = generation_quality.quality(judge, images, labels, judged, **measures)
    return {"seed": seed, **found}


def with_measures(rows, name=DATASET):
    """Rows of generated sets with the measures of each."""
    pairs = [generated_instances.images_and_labels(row["generated"]) for row in rows]
    return [row | measured(row["seed"], *pair, name) for row, pair in zip(rows, pairs, strict=True)]


# %%
fit = generated_instances.fit_generated_set
MANY = {"dataset": DATASET, "shots": None, "steps": STEPS, "per_class": PER_CLASS, "seeds": SEEDS}
healthy = lab.arms(fit, {GAME: HEALTHY}, kind="gan", description="GANs", **MANY)
seen = lab.training.Arms({GAME: with_measures(healthy.rows[GAME])})
intended, lowest = (seen.interval(GAME, of=of, unit="share") for of in ("intended", "worst_class"))

# %% [markdown]
# Do the evaluators see in each image what was ordered? And in every class? Look for yourself, too.

# %% folded=true
images, labels = generation.sample(gan["generator"], PER_CLASS, seed=SEED)
lab.figures.images(
    torch.cat([images[labels == k][:2] for k in range(len(task.classes))]),
    [name[:6] for name in task.classes for _ in range(2)],
    columns=len(task.classes),
    title="Would you classify each as the label above it says?",
    caption=f"Two generated images of each class, after {STEPS} steps. The evaluators of "
    f"{len(SEEDS)} such generators see the class that was ordered in {intended.mean:.1%}, in a "
    f"generator's worst class in {lowest.mean:.0%}.",
)

# %%
lab.record(generated_intended_class=intended, headline="generated_intended_class")

# %%
lab.verdict("recognisable", intended=intended, worst=lowest, exploring=EXPLORING)

# %% [markdown]
# ## See: between two classes, between two noises
#
# A generator that knows more than its training images draws something sensible *between* them. Walk from class to class and
# from noise to noise. The **temperature** multiplies the noise (Kingma & Dhariwal 2018): at 1 it is the noise of the
# training, nearer to 0 all images come nearer to the class's most typical one. Turn it down to 0: what is left? And where the
# rows hardly differ, turn it up to 2: in some classes the noise changes images of 8 pixels a side only a little. (BigGAN's
# *truncation* is a relative: it draws every value beyond a threshold again, Brock et al. 2019.)

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
# One distance mixes two questions. Are the images good? Are they *all* there? Lay a ball around every real feature vector
# that reaches to its $k$-th nearest real neighbour; all balls together are the real **manifold** (流形). Then (Kynkäänniemi
# et al. 2019)
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
# Everything is compared with the real test images. First the floor: real images, those that the generators learned from.
# Then these images augmented, more and more strongly. Then the GAN at three temperatures. And a contrast, the **variational
# autoencoder** (变分自编码器, VAE; Kingma & Welling 2014). It plays no game. An encoder describes an image by a noise vector, a
# decoder draws the image from it; the loss asks that the drawing resembles the image and that the noise resembles the noise
# which we draw later (`variational.vae_loss`). Its pixel noise $\sigma$ says how much detail may stay unexplained.

# %%
measures |= {
    "frechet": lab.yours_or_ours(frechet_distance),
    "within": lab.yours_or_ours(precision_recall),
}
SIGMAS, TEMPERATURES, STRENGTHS = [0.1, 0.2, 0.4], [0.3, 0.6, 1.0], [0.1, 0.25, 0.5]
kinds = {f"VAE, σ {sigma:g}": {"sigma": sigma} for sigma in SIGMAS}
length = {"steps": lab.quick_or_full(200, 2000, smoke=2)}
vaes = lab.arms(fit, kinds, kind="vae", description="VAEs", **MANY | length)

# %% [markdown]
# Now the sets of images, one of each kind for every seed, and the measures of each.

# %%
real, real_labels = task.train_images, task.train_labels
EQUAL = min(len(real), PER_CLASS * len(task.classes))  # both measures depend on a set's size


def counted(seed, images, labels):
    """The measures of EQUAL images of a set, drawn by the seed."""
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:EQUAL]
    return measured(seed, images[rows], labels[rows])


def moved(seed, strength):
    """The real images, each moved a little."""
    return generated_instances.augmented(real, seed=seed, policy="affine", strength=strength)


makers = {"real": lambda seed, i: (real, real_labels)}
for s in STRENGTHS:
    makers[f"augmented, {s:g}"] = lambda seed, i, s=s: (moved(seed, s), real_labels)
for t in TEMPERATURES:
    options = {"per_class": PER_CLASS, "temperature": t}
    makers[f"GAN, temperature {t:g}"] = lambda seed, i, options=options: generation.sample(
        healthy.rows[GAME][i]["generator"], seed=seed, **options
    )
for name, rows in vaes.rows.items():
    makers[name] = lambda seed, i, rows=rows: generated_instances.images_and_labels(
        rows[i]["generated"]
    )

# %%
sets = {
    name: [counted(seed, *maker(seed, i)) for i, seed in enumerate(SEEDS)]
    for name, maker in makers.items()
}
table = lab.training.Arms(sets)
print(f"{EQUAL} images in each set, {len(task.test_labels)} test images.")

# %% [markdown]
# Follow each line from point to point. A dial *trades* when one number rises as the other falls. Where both fall, turning
# it further gains nothing. Which settings are worse at both than another one?

# %%
DIALS = {
    "real images": ["real"],
    "GAN: temperature": [f"GAN, temperature {t:g}" for t in TEMPERATURES],
    "VAE: σ": [f"VAE, σ {sigma:g}" for sigma in SIGMAS],
    "real, augmented: strength": [f"augmented, {s:g}" for s in STRENGTHS],
}

# %% folded=true
lab.figures.curves(
    {
        dial: (
            [table.mean(name, of="recall") for name in names],
            [table.interval(name, of="precision").within(0, 1) for name in names],
        )
        for dial, names in DIALS.items()
    },
    notes={  # at the ends of a line alone: settings between them may lie close together
        dial: [names[0].split()[-1], *[""] * len(names[2:]), names[-1].split()[-1]]
        for dial, names in DIALS.items()
        if names[1:]
    },
    title="Which dial trades quality for diversity, and which one loses both?",
    x="recall (diversity)",
    y="precision (quality)",
    caption=f"Means over {len(SEEDS)} seeds, each with its own generator and evaluator; band: 95 % "
    "interval of the precision. Numbers: the dial's lowest and highest setting. Right and high is "
    "best.",
    alt="; ".join(
        f"{name}: precision {table.mean(name, of='precision'):.2f}, "
        f"recall {table.mean(name, of='recall'):.2f}"
        for name in sets
    )
    + ".",
)

# %% [markdown]
# One number for both questions, the Fréchet distance. The dashed line is the floor, two sets of real images. A distance
# below it would be suspicious.

# %% folded=true
floor = table.mean("real", of="frechet")
ordered = sorted(sets, key=lambda name: table.mean(name, of="frechet"))
made = [name for name in ordered if name != "real"]
lab.figures.bars(
    {name: table.interval(name, of="frechet") for name in ordered},
    title=f"Nearest to new real images after other real ones: “{made[0]}”",
    x="Fréchet distance to the test images (squared, in the evaluator's features)",
    line=floor,
    caption=f"{EQUAL} images of each kind. Mean and 95 % interval over {len(SEEDS)} generators and "
    "evaluators. Dashed: the floor.",
)

# %% [markdown]
# ## Read it
#
# Ask two questions of either dial, the temperature and the VAE's $\sigma$. Turned up, does it give more variety or less? And
# does it pay for them in quality over its whole range, or are there settings at which both fall? (A large $\sigma$ lets detail
# stay unexplained: what is the best drawing of a class if no detail counts?) Then follow the augmented images. They are real
# ones, moved a little, and still the Fréchet distance dislikes them the more, the further they are moved. Why? Who says where
# the real images lie?

# %%
lab.record(
    frechet_gan=table.interval("GAN, temperature 1", of="frechet"),
    frechet_real_halves=table.interval("real", of="frechet"),
    unit="squared distance",
)

# %% [markdown]
# ## Measure it: which game, and a failure on purpose
#
# Other games are played, too. The **hinge** losses (Lim & Ye 2017) stop pushing a score that is on the right side by
# 1: $L_D = \text{mean} \max(0, 1 - s) + \text{mean} \max(0, 1 + s')$, $L_G = -\text{mean}\, s'$. **Spectral normalisation**
# (谱归一化; Miyato et al. 2018) divides each weight matrix of $D$ by its largest singular value, so that no layer stretches any
# direction by more than 1: a steep discriminator is made impossible instead of being punished. And one game has no
# regulariser at all.
#
# The last game is set up to fail. No regulariser, small batches, and a generator that learns many times faster than the
# discriminator: it finds one image that is believed and stays with it, and the discriminator comes too late. First watch
# that one.

# %%
PLANTED = {"regularise": "none", "rates": (2e-2, lab.chosen("planted-rate")), "batch_size": 16}
with lab.widgets.GanMonitor(task, alarm=alarm, threshold=ALARM) as failing:
    generation.fit_gan(
        DATASET,
        seed=SEEDS[0],
        steps=STEPS,
        watch=failing,
        watch_every=STEPS // 20,
        **players,
        **PLANTED,
    )

# %% [markdown]
# The losses of both games, at the end: compare them with what a discriminator has that says "half and half" to everything.

# %%
for name, monitor in {"the first game": live, "the one set up to fail": failing}.items():
    L_D, L_G = (
        sum(losses[-50:]) / len(losses[-50:])
        for losses in (monitor.history.discriminator, monitor.history.generator)
    )
    even = math.log(2)
    print(f"{name}: L_D {L_D:.2f} (2 ln 2 = {2 * even:.2f}), L_G {L_G:.2f} (ln 2 = {even:.2f})")

# %% [markdown]
# A discriminator that cannot tell may face a perfect generator, or be a poor one itself. Both games end near these two
# numbers, so the losses do not say which it is.
#
# Now with every seed. The quick profile plays the first game and the one set up to fail; the others, which
# [choices](../docs/choices.md) compares on validation images, are played in the full profile.

# %%
NAMES = lab.quick_or_full([GAME], list(generation.GAMES))
RECIPES = {name: {**players, **generation.GAMES[name]} for name in NAMES}
RECIPES["planted failure"] = {**players, **PLANTED}
others = {name: options for name, options in RECIPES.items() if name != GAME}
played = lab.arms(fit, others, kind="gan", description="GANs", **MANY) | healthy
games = lab.training.Arms({name: with_measures(played.rows[name]) for name in RECIPES})

# %% [markdown]
# Compare the last row with the others, panel by panel. Which measures would have warned you clearly, and which one hardly?

# %% folded=true
SHOWN = {
    "recognised as ordered": "intended",
    "Fréchet distance": "frechet",
    "recall": "recall",
    "spread (your alarm)": "spread",
}
lab.figures.panels(
    {
        title: {
            name: games.interval(name, of=measure)
            if measure == "frechet"
            else games.interval(name, of=measure).within(0, 1)
            for name in RECIPES
        }
        for title, measure in SHOWN.items()
    },
    title="Which measures tell the failure from the healthy games?",
    caption=f"Mean and 95 % interval over {len(SEEDS)} trainings of {STEPS} steps, each with "
    "its own "
    "evaluator.",
)

# %% [markdown]
# Quality and diversity of the failure against the healthy game, in pairs. The alarm rings for a class; so count the classes.
# Do not marvel at these two counts: the failure was planted so that it rings, the alarm set so that healthy games are silent.
# They show that both carry over to other seeds, no more. And where no class rang, that does not mean that none ever will: the
# intervals of both counts are Wilson's, as if the classes were drawn one by one.


# %%
def ringing(name):
    """The share of all classes of a recipe's generators for which the alarm rings."""
    rings = torch.stack([row["spreads"] for row in games.rows[name]]) < ALARM
    return lab.share_interval(int(rings.sum()), rings.numel(), over=f"{rings.numel()} classes")


lab.verdict(
    "quality-hides-collapse",
    recognised=games.gain("planted failure", over=GAME, of="intended", unit="share"),
    recall=games.gain("planted failure", over=GAME, of="recall", unit="share"),
    rings=ringing("planted failure"),
    silent=ringing(GAME),
    exploring=EXPLORING,
)

# %%
lab.record(
    collapsed_spread=games.interval("planted failure", of="spread"),
    healthy_spread=games.interval(GAME, of="spread"),
    unit="of real spread",
)

# %% [markdown]
# ## Measure it: does it help?
#
# Now the claim. A classifier has $K$ labels per class. **The generator gets the same $K$ labels and nothing else.** One
# that has seen more smuggles labels in. We show one too, as an upper bound: the GANs from above, which learned from a whole
# half of the training images.
#
# The rival is what you would do without a GAN: augmented **copies** of the same $K$ images. Both arms are alike in
# everything else: 60 made images of every class in a fixed pool, from which half of every batch is drawn, the same steps,
# and four candidates on validation images (of the GAN's game and steps, of the copies' strength). The tuning is not quite equal:
# three times the GAN's steps had to be worth 0.02, while 0.01 was enough for another strength. And for its time the quick profile
# plays at most 750 of the chosen steps. In the loop of chapter 02 the pool is the `augment`: `generated_instances.mixed_in` exchanges
# images of a batch, the labels stay.

# %%
SHOTS = {"digits": [1, 5, 20], "glyphs": [1, 2, 5], "fashion": [1, 5, 20]}[DATASET]
AT = {name: SHOTS if name == DATASET else [5] for name in DATASETS}
DRAWS = {name: SEEDS if name == DATASET else FEWER for name in DATASETS}


def few_games(names, seeds):
    """The GANs of K labels on some data sets, trained together so that no core waits."""
    games = {}
    for name in names:
        game, steps = lab.chosen(f"gan-{name}")
        steps = lab.quick_or_full(min(steps, 750), 3 * steps, smoke=2)
        games[name] = {"dataset": name, "steps": steps, **players, **generation.GAMES[game]}
    return lab.arms(
        fit,
        games,
        axis="shots",
        at={name: AT[name] for name in names},
        seeds=seeds,
        kind="gan",
        per_class=PER_CLASS,
        description="GANs of K labels",
    ).rows


few_gans = few_games([DATASET], SEEDS) | few_games(DATASETS[1:], FEWER)

# %% [markdown]
# The pool of a GAN, and one of as many copies, for every data set, K and seed. The strength was chosen for the copies. The *views*
# further down use it too and are not tuned here; chapter 02 shows what they reach.

# %%
COPIES = {
    name: {"policy": "affine", "strength": lab.chosen(f"copies-strength-{name}")}
    for name in DATASETS
}
pools = {name: {"GAN": few_gans[name]} for name in DATASETS}
for name in DATASETS:
    pools[name]["copies"] = [
        {
            "shots": k,
            "seed": seed,
            "generated": generated_instances.augmented_set(
                name, shots=k, seed=seed, per_class=PER_CLASS, **COPIES[name]
            ),
        }
        for k in AT[name]
        for seed in DRAWS[name]
    ]

# %% [markdown]
# ## Measure it: did it memorise?
#
# Before anything else: is the GAN's pool more than copies? A generator that stores its training images passes every test so
# far. So look for the nearest training image of each sample. How near is too near? *Held-out real images* say: they cannot
# have been copied. But they must be compared with the *same* training images: among hundreds there is one near to anything,
# among 50 there may be none. And nearness is not yet copying: an average of five images is near to all of them and copies none.

# %%
held_out = evaluator_task.train_images / 255  # no generator saw them
few = [row for row in pools[DATASET]["GAN"] if row["shots"] == 5]
originals = {  # for each seed, the images that its generator learned from
    "many images": [task.train_images / 255] * len(SEEDS),
    "5 per class": [generation.training_images(DATASET, 5, seed)[0] / 255 for seed in SEEDS],
}
drawn = {
    "many images": [row["generated"].flatten(0, 1) / 255 for row in healthy.rows[GAME]],
    "5 per class": [row["generated"].flatten(0, 1) / 255 for row in few],
}

# %% [markdown]
# Some pairs in the upper rows look like copies. So do some of the pairs below them, although those are not copies. That is why
# pictures do not decide.

# %% folded=true
first = originals["5 per class"][0]
ours = generated_instances.generated_set(few[0]["generator"], 1, SEED).flatten(0, 1)[:10] / 255
theirs = torch.stack([held_out[evaluator_task.train_labels == k][0] for k in range(len(ours))])
rows = [ours, first[generation_quality.nearest(ours, first)[1]]]
rows += [theirs, first[generation_quality.nearest(theirs, first)[1]]]
lab.figures.images(
    torch.cat(rows),
    [word for word in ("generated", "nearest", "held out", "nearest") for _ in range(len(ours))],
    columns=len(ours),
    title="Which pairs are nearer than they should be?",
    caption="A generated image of each class and, under it, the nearest of the 5 per class that "
    "its "
    "GAN learned from. Below: held-out real images and the nearest of the same training images.",
    alt="Generated images and held-out real ones, each over its nearest training image.",
)

# %% [markdown]
# Now all of them, by distance. Compare each GAN's curve with that of the held-out images *for the same training images*: does
# it rise far earlier?

# %% folded=true
far = generation_quality.nearest(held_out, first)[0].quantile(0.95).item()
marks = torch.linspace(0, far, 12)


def curve_of(queries, training):
    """The share of queries within each distance of the nearest training image."""
    within = torch.stack(
        [
            (generation_quality.nearest(q, t)[0][:, None] <= marks).double().mean(dim=0)
            for q, t in zip(queries, training, strict=True)
        ]
    )
    return marks.tolist(), [lab.mean_interval(column).within(0, 1) for column in within.T]


lab.figures.curves(
    {
        f"{kind}: {name}": curve_of(queries, originals[kind])
        for kind in originals
        for name, queries in {"GAN": drawn[kind], "held out": [held_out] * len(SEEDS)}.items()
    },
    title="Is a GAN's image nearer to its training images than a new real one?",
    x="distance to the nearest training image",
    y="share of images within that distance",
    caption=f"Cumulative shares; mean and 95 % interval over {len(SEEDS)} GANs.",
)

# %% [markdown]
# One in 20 held-out images is nearer to a training image than the 5 % quantile of all their distances. How many generated ones
# are that near? A generator whose images lie where new real ones do would have 0.05, too; one that strays from all real images
# has less, so a low share alone is no praise.

# %%
near = {
    kind: [
        generation_quality.share_near(queries, training, held_out)
        for queries, training in zip(drawn[kind], originals[kind], strict=True)
    ]
    for kind in originals
}
share = lab.mean_interval(near["many images"], "share", f"{len(SEEDS)} GANs")
lab.verdict("no-copies", near=share, exploring=EXPLORING)

# %% [markdown]
# And the GANs that matter for a few-shot task, of 5 labels per class, on all data sets. Two controls copy nothing by way of a GAN: the
# augmented copies, and the mean image of each class. So where a control lies as near as the GAN's images, or nearer, their nearness is
# no proof of copying. (The glyphs' held-out images are of other typefaces and lie farther off, so larger shares count as near
# than if they were of the same typefaces.)


# %%
def near_labels(name, kind):
    """How near the images of a kind are to the 5 labelled images per class that they come from."""
    new, shares = generation.halves(name)[0].train_images / 255, []
    for row in pools[name]["copies" if kind == "copies" else "GAN"]:
        if row["shots"] == 5:
            own = generation.training_images(name, 5, row["seed"])[0] / 255
            means = own.unflatten(0, (-1, 5)).mean(dim=1)
            made = means if kind == "class means" else row["generated"].flatten(0, 1) / 255
            shares.append(generation_quality.share_near(made, own, new))
    return lab.mean_interval(shares, "share", f"{len(shares)} draws of the labels")


nearness = {
    name: {kind: near_labels(name, kind) for kind in ("GAN", "copies", "class means")}
    for name in DATASETS
}

# %% folded=true
lab.figures.panels(
    {
        name: {kind: share.within(0, 1) for kind, share in kinds.items()}
        for name, kinds in nearness.items()
    },
    title="Which share lies nearer to the 5 labels per class than 95 % of new images?",
    line=0.05,
    digits=3,
    shared=True,
    caption=f"Mean and 95 % interval over {len(SEEDS)} draws of the labels ({len(FEWER)} for the "
    "other data sets). Dashed: new real images. Copies: augmented ones.",
)

# %%
lab.verdict(
    "few-lie-near", **{name: nearness[name]["GAN"] for name in ("digits", "glyphs", "fashion")}
)

# %% [markdown]
# ## Measure it: does it add diversity?
#
# The claim speaks of diversity. So count it: how much of the real test images lies within the manifold of the generated
# ones, and of as many copies of the same $K$ images? One warning: recall lays its balls around the *made* images, and a
# stray one, far from all others, has a huge ball. **Coverage** (覆盖率; Naeem et al. 2020) lays the balls around the real
# images and asks how many of them hold a made one. A stray image covers nothing.

# %%
covered = {
    name: lab.training.Arms(
        {kind: with_measures(rows, name) for kind, rows in pools[name].items()},
        axis="shots",
        result="recall",
    )
    for name in DATASETS
}

# %% [markdown]
# Higher covers more. Compare GAN and copies by one measure, then by the other. Does their order change as K grows?

# %% folded=true
KINDS = {"GAN": "GAN", "copies": "augmented copies"}
MEASURES = ("recall", "coverage")
lab.figures.curves(
    {
        f"{measure}, {long}": covered[DATASET].curve(kind, of=measure)
        for measure in MEASURES
        for kind, long in KINDS.items()
    },
    title="How much of the real images do made ones cover?",
    x="labels per class K that the images were made from",
    y="share of real test images",
    log_x=True,
    ticks=SHOTS,
    levels={
        f"{measure}, {EQUAL} real images": table.mean("real", of=measure) for measure in MEASURES
    },
    limits=(-0.03, 1.05),
    caption=f"{DATASET}, {PER_CLASS} images per class. 95 % intervals over {len(SEEDS)} "
    "seeds (labels, GAN, evaluator) and the test pictures.",
)

# %%
CLAIM = ("digits", "glyphs", "fashion")
more = {name: covered[name].gain("GAN", 5, over="copies", unit="share") for name in CLAIM}
lab.record(
    recall_gan_k5=covered[DATASET].interval("GAN", 5),
    recall_copies_k5=covered[DATASET].interval("copies", 5),
    unit="share",
)

# %%
lab.verdict("C8a", **{f"recall_{name}": gain for name, gain in more.items()})

# %%
reach = {name: covered[name].gain("GAN", 5, over="copies", of="coverage") for name in CLAIM}
lab.verdict("more-by-coverage", **reach)

# %% [markdown]
# Compare the two tables data set by data set. Where recall and coverage disagree they do not contradict each other: recall counts real
# images that lie between made ones, coverage those that have a made one close by. And mind how a sentence about three data sets
# is refuted: one of them is enough, so read the parts before you repeat the verdict.
#
# ## Measure it: does the classifier gain?
#
# Beside the two pools stand the *views*: the copies' policy, but drawn anew in every step, as you would really use it, with
# the GAN and without. They are no equal rival of a fixed pool, they see more images, so they get bars of their own. *GAN
# only* sees no real image: its accuracy on real test images is the **classification accuracy score** (Ravuri & Vinyals
# 2019).


# %%
def with_pool(name, kind, **settings):
    """The settings of an arm with a pool of made images, by shots and seed."""
    of = {(row["shots"], row["seed"]): row["generated"] for row in pools[name][kind]}
    return lambda shots, seed: {"generated": of[shots, seed], **settings}


def arms_of(name):
    """The arms that are compared on a data set."""
    return {
        "real": {},
        "real + copies": with_pool(name, "copies"),
        "real + GAN": with_pool(name, "GAN"),
        "real + views": COPIES[name],
        "real + GAN + views": with_pool(name, "GAN", **COPIES[name]),
    }


MORE = "real + GAN of more labels"
more_labels = {row["seed"]: row["generated"] for row in healthy.rows[GAME]}
EXTRA = {
    "GAN only": with_pool(DATASET, "GAN", share=1.0),
    MORE: lambda shots, seed: {"generated": more_labels[seed]},
}

# %% [markdown]
# The quick profile takes the fewest steps after which the trainings on copies had come to rest, in trials with other seeds; the full
# profile takes twice as many.

# %%
CURVES = ["real", "real + copies", "real + GAN", "GAN only"]  # for all K; the others for 5
learned = {}
for name in DATASETS:
    arms = arms_of(name) | (EXTRA if name == DATASET else {})
    steps = lab.chosen(f"pool-steps-{name}")
    learned[name] = lab.arms(
        generated_instances.fit_classifier,
        arms,
        axis="shots",
        at={arm: AT[name] if arm in CURVES else [5] for arm in arms},
        seeds=DRAWS[name],
        dataset=name,
        steps=lab.quick_or_full(steps, 2 * steps, smoke=2),
        unit="accuracy",
        description="classifiers",
    )
here = learned[DATASET]

# %% [markdown]
# All arms of a seed have the same labels, so each is compared with *real* in pairs: the zero line is a classifier that sees
# its K labels alone. Which arms leave the line, to which side, and does that change with K?

# %% folded=true
lab.figures.panels(
    {
        f"{k} label{'s' * (k > 1)} per class": {
            arm: here.gain(arm, k, over="real") for arm in CURVES[1:]
        }
        for k in SHOTS
    },
    title="What do made images add to the accuracy of K labels?",
    line=0,
    digits=3,
    shared=True,
    caption=f"{DATASET}. Test accuracy minus that of the K labels alone; 95 % intervals over "
    f"{len(SEEDS)} seeds (labels, GANs, classifiers) and the test pictures.",
)

# %%
lab.record(
    real_k5=here.interval("real", 5),
    real_k5_augmented=here.interval("real + copies", 5),
    real_k5_generated=here.interval("real + GAN", 5),
    real_k5_views=here.interval("real + views", 5),
    classification_accuracy_score_k5=here.interval("GAN only", 5),
    headline="real_k5_generated",
)

# %% [markdown]
# The same at 5 labels per class, on all three data sets. That copies suit the glyphs is no wonder: the program that rendered
# their images moved them in the same ways.

# %% folded=true
lab.figures.panels(
    {
        name: {arm: some.gain(arm, 5, over="real") for arm in arms_of(name) if arm != "real"}
        for name, some in learned.items()
    },
    title="At 5 labels per class: what each arm adds to the labels alone",
    line=0,
    digits=3,
    caption="Test accuracy minus that of the labels alone. 95 % intervals over "
    f"{len(SEEDS)} seeds ({len(FEWER)} for the other data sets) and the test pictures.",
)

# %% [markdown]
# ## Verdict
#
# Fixed pool against fixed pool, at 5 labels per class:


# %%
def gains(arm, over):
    """An arm's gain over another at 5 labels per class, on the three data sets of the claim."""
    return {name: learned[name].gain(arm, 5, over=over) for name in CLAIM}


instead = gains("real + GAN", "real + copies")
lab.verdict("C8b", **{f"instead_{name}": gain for name, gain in instead.items()})

# %% [markdown]
# Is it the rival's strength, or the GAN's weakness? Against the labels alone:

# %%
lab.verdict("gan-helps-labels", **gains("real + GAN", "real"))

# %% [markdown]
# Perhaps the two know different things, and add up?

# %%
lab.verdict("gan-adds-to-views", **gains("real + GAN + views", "real + views"))

# %% [markdown]
# How much better does generation look when its GAN was given labels that the classifier does not have?

# %%
lab.verdict("smuggled-labels", smuggled=here.gain(MORE, 5, over="real + GAN"), exploring=EXPLORING)

# %% [markdown]
# And without any real image?

# %%
alone = [here.gain("GAN only", k, over="real") for k in SHOTS]
lab.verdict(
    "instances-replace-images",
    **dict(zip(("k1", "k5", "k20"), alone, strict=True)),
    exploring=EXPLORING,
)

# %% [markdown]
# Look at one label per class. If the mean is above zero there, do not read it as a generator that knows more than its image: a GAN of one
# image per class can only blur and bend it, which is an augmentation, and beside *real* stands a classifier without any. Does its
# interval leave zero out? And the figure above has the copies at one label: are they behind?

# %%
lab.recall("help", f"at 5 labels, real + GAN - real + copies = {instead[CLAIM[0]]}")

# %% [markdown]
# Can diversity grow while accuracy gains little or nothing? Think of what a generator with 5 labels can know. It sees 5 images
# and a game, and whatever it draws besides these 5 is a guess about the others. A policy is a guess too, but yours: you knew
# before you saw any image that a digit moved by a pixel is the same digit. Compare the bars: where the copies gain, that
# knowledge is what the K images did not hold.

# %% [markdown]
# ## Derive: no game at all
#
# Is it the claim that fails, or the GAN? Try another generator. Most of those that draw photographs today play no game: they
# learn by a regression. **Flow matching** (流匹配; Lipman et al. 2023; Liu et al. 2023) takes noise $x_0$ and a real image $x_1$
# and connects them by a straight line. At the time $t$, from 0 to 1,
#
# $$x_t = (1 - t)\, x_0 + t\, x_1, \qquad u = \frac{dx_t}{dt}$$
#
# A network $v$ sees $x_t$, $t$ and the class, and learns the velocity $u$ by least squares: $L = \text{mean}\, |v(x_t, t, y) -
# u|^2$. Many lines cross in a point, so it learns the *mean* of their velocities there. Whoever follows these means from noise
# arrives at images that are distributed as the real ones are (Liu et al. 2023, theorem 3.3). What is $u$ on a straight line?
#
# ## Write it


# %% exercise="flow_pair"
def flow_pair(noise, images, times):
    """Points x_t = (1 - t) x_0 + t x_1 on the way from noise to images, and the velocities there.

    noise x_0, images x_1: float tensors (n, 1, H, W). times t: (n,), from 0 to 1, one for each
    image. Returns two tensors like images: x_t, and its derivative with respect to t.
    """
    ### BEGIN SOLUTION
    t = times.reshape(-1, 1, 1, 1)
    return (1 - t) * noise + t * images, images - noise
    ### END SOLUTION


# %% [markdown]
# ## Derive: from noise to an image, step by step
#
# To draw an image, begin at noise, $t = 0$, ask the network for the velocity, go a short step along it, ask again. That is
# **Euler's method** (欧拉法): $x_{t + h} = x_t + h\, v(x_t, t, y)$. The way ends at $t = 1$. A last step that is longer than what
# is left would lead beyond the image, so $h$ is the smaller of the two.
#
# ## Write it


# %% exercise="euler_step"
def euler_step(x, velocity, t, dt):
    """A step of length dt along the velocity, shorter where less than dt is left until the time 1.

    x, velocity: float tensors (n, 1, H, W). t: the time, a number from 0 to 1. dt: a number above
    0. Returns the new x, a new tensor, and the new time, a number that is never above 1.
    """
    ### BEGIN SOLUTION
    h = min(dt, 1 - t)
    return x + h * velocity, t + h
    ### END SOLUTION


# %% [markdown]
# ## Derive: guidance
#
# In one of ten images of its training the network is not told the class. So it knows two velocities, with a class and without,
# and their difference is what the class changes. **Classifier-free guidance** (无分类器引导; Ho & Salimans 2022) goes this
# difference $w$ times:
#
# $$v_w = v_{\text{without}} + w\, (v_{\text{with}} - v_{\text{without}})$$
#
# With $w = 0$ there is no class, $w = 1$ is what the network learned of the class, and more exaggerates what is particular to
# it. (The paper counts from there: its $w$ is this one less 1.)
#
# ## Write it


# %% exercise="guided_velocity"
def guided_velocity(conditional, unconditional, weight):
    """The velocity with guidance: weight 0 is the unconditional one, weight 1 the conditional one.

    conditional, unconditional: float tensors (n, 1, H, W), the velocities with a class and without.
    weight: a number from 0 on, usually above 1. Returns a tensor like them.
    """
    ### BEGIN SOLUTION
    return unconditional + weight * (conditional - unconditional)
    ### END SOLUTION


# %% [markdown]
# The whole training is the loop of chapter 02 with this loss, which calls your pair. Find the line that hides some labels.

# %%
lab.source(flow_matching.flow_loss)

# %% [markdown]
# ## Measure it: the same judge, the same seconds
#
# A fair race needs equal means. The flow's one network has about as many weights as the GAN's two players. A step of the game
# takes several times as long as a step of the flow, so the flow takes more steps: about as many as took the GAN's processor
# seconds in trials ([choices](../docs/choices.md)). The seconds printed below are by the clock: they also count the drawing,
# and whatever else the computer did. Like the GAN's game, its guidance is one of four candidates on validation images.

# %%
flow_parts = {
    "pair": lab.yours_or_ours(flow_pair),
    "step": lab.yours_or_ours(euler_step),
    "guide": lab.yours_or_ours(guided_velocity),
}
FLOW = {**flow_parts, "weight": lab.chosen("flow-guidance")}
longer = {"steps": lab.chosen("flow-steps") * STEPS}  # they take the seconds of the GAN's STEPS
flows = lab.arms(fit, {"flow": FLOW}, kind="flow", description="flows", **MANY | longer)
seen |= lab.training.Arms({"flow": with_measures(flows.rows["flow"])})

# %% [markdown]
# ## See: the way from noise to an image
#
# Drag the time: when can you tell the class, and what is decided last? Drag the guidance to 0: does the image still follow the
# class? Then to its end: the one image may become clearer, but what happens to the differences between the others?

# %%
lab.widgets.FlowExplorer(flows.rows["flow"][0]["generator"], task.classes)

# %% [markdown]
# Now the evaluators' word on both, by the yardsticks of this chapter. The last one is the share that lies nearer to a training
# image than 95 % of new images do.

# %%
near["flow"] = [
    generation_quality.share_near(row["generated"].flatten(0, 1) / 255, training, held_out)
    for row, training in zip(flows.rows["flow"], originals["many images"], strict=True)
]
for name, kind in {GAME: "many images", "flow": "flow"}.items():
    for row, value in zip(seen.rows[name], near[kind], strict=True):
        row["near"] = value

# %% folded=true
YARDSTICKS = {
    "recognised as ordered": "intended",
    "Fréchet distance": "frechet",
    "recall": "recall",
    "near a training image": "near",
}
lab.figures.panels(
    {
        title: {
            kind: seen.interval(name, of=measure)
            if measure == "frechet"
            else seen.interval(name, of=measure).within(0, 1)
            for kind, name in {"GAN": GAME, "flow": "flow"}.items()
        }
        for title, measure in YARDSTICKS.items()
    },
    title="After equal seconds: in what does the flow lead, and in what the GAN?",
    caption=f"Mean and 95 % interval over {len(SEEDS)} generators of each kind; both kinds have "
    "the same evaluators.",
)

# %%
for kind, arms, name in (("GAN", healthy, GAME), ("flow", flows, "flow")):
    seconds, precision = arms.mean(name, of="seconds"), seen.mean(name, of="precision")
    print(f"A {kind} took {seconds:.1f} s to train and to draw; precision {precision:.2f}.")
lab.record(
    flow_recognised=seen.interval("flow", of="intended", unit="share"),
    gan_recognised=intended,
)

# %%
lab.verdict(
    "flow-against-gan",
    recognised=seen.gain("flow", over=GAME, of="intended", unit="share"),
    recall=seen.gain("flow", over=GAME, of="recall", unit="share"),
    exploring=EXPLORING,
)

# %% [markdown]
# ## Measure it: does another generator know more?
#
# Now C8 a second time. The verdict above says whether a flow of many images is the better generator; here the flow gets the
# classifier's 5 labels per class, as the GAN did, and the GAN's seconds. Others report
# that generation pays: 5 real images per class together with generated ones beat 10 real ones on three of four fine-grained
# benchmarks (BOB, Yang et al. 2025, arXiv 2510.24078; it follows DataDream, Kim et al. 2024, arXiv 2407.10910). Their generator
# had learned from a large part of the web before it saw these 5. In the course's currency their sentence is an exchange rate
# above 2.

# %%
lab.predict(
    "flow",
    "A flow learns from a classifier's own 5 labels per class. "
    "With its images, a label is worth ...",
    ["less than a label", "about a label", "up to two labels", "more than two labels"],
)

# %%
game_steps = lab.chosen(f"gan-{DATASET}")[1]
game_steps = lab.quick_or_full(game_steps, 3 * game_steps, smoke=2)
few_flow = {**flow_parts, "weight": lab.chosen("flow-guidance-k5")}
own_labels = {"shots": 5, "steps": lab.chosen("flow-steps") * game_steps}
few_flows = lab.arms(fit, {"flow": few_flow}, kind="flow", description="flows", **MANY | own_labels)
few_sets = covered[DATASET].at(5) | lab.training.Arms(
    {"flow": with_measures(few_flows.rows["flow"])}
)

# %% [markdown]
# First the images. Do they cover more of the real ones than the GAN's and the copies do, and are they more than near copies of
# the labels?

# %% folded=true
near_flow = [
    generation_quality.share_near(row["generated"].flatten(0, 1) / 255, own, held_out)
    for row, own in zip(few_flows.rows["flow"], originals["5 per class"], strict=True)
]
near_few = {kind: nearness[DATASET][kind] for kind in ("GAN", "copies")}
near_few["flow"] = lab.mean_interval(near_flow, "share", f"{len(near_flow)} draws of the labels")
FEW_YARDSTICKS = {"recognised as ordered": "intended", "recall": "recall"}
lab.figures.panels(
    {
        title: {kind: few_sets.interval(kind, of=of).within(0, 1) for kind in near_few}
        for title, of in FEW_YARDSTICKS.items()
    }
    | {"near a label": {kind: share.within(0, 1) for kind, share in near_few.items()}},
    title="Made from 5 labels per class: what do a GAN, copies and a flow draw?",
    caption=f"{DATASET}. Mean and 95 % interval over {len(SEEDS)} draws of the labels, each with "
    "its own generator and evaluator. Near: nearer to a label than 95 % of new images.",
)

# %% [markdown]
# Then the classifiers: with the flow's images, and with those of the flow that learned from the whole half, which smuggles labels
# in.

# %%
made_by = {
    "real + flow": {row["seed"]: row["generated"] for row in few_flows.rows["flow"]},
    "real + flow of more labels": {row["seed"]: row["generated"] for row in flows.rows["flow"]},
}
with_flows = lab.arms(
    generated_instances.fit_classifier,
    {arm: lambda shots, seed, of=of: {"generated": of[seed]} for arm, of in made_by.items()},
    axis="shots",
    at=[5],
    seeds=SEEDS,
    dataset=DATASET,
    steps=lab.quick_or_full(*(n * lab.chosen(f"pool-steps-{DATASET}") for n in (1, 2)), smoke=2),
    description="classifiers",
)
every = here | with_flows

# %% folded=true
COMPARED = ["real + copies", "real + GAN", *made_by, MORE]
lab.figures.bars(
    {arm: every.gain(arm, 5, over="real") for arm in COMPARED},
    title="At 5 labels per class: what do generated images add?",
    x="test accuracy minus that of the labels alone",
    line=0,
    digits=3,
    caption=f"{DATASET}. 95 % intervals over {len(SEEDS)} seeds (labels, generators, "
    "classifiers) and the test pictures. The generators of more labels know what the classifier "
    "does not.",
)


# %%
def worth(arm):
    """How many labels one label is worth at 5 per class, once an arm's images stand beside it."""
    answers, sizes = every.hits("real")
    rest = every.rest("real") + every.rest(arm, 5)
    return lab.exchange_rate(SHOTS, answers, 5, every.hits(arm, 5)[0], sizes, rest=rest)


lab.record(
    exchange_rate_flow_k5=worth("real + flow"),
    exchange_rate_gan_k5=worth("real + GAN"),
    exchange_rate_copies_k5=worth("real + copies"),
)

# %%
helps = every.gain("real + flow", 5, over="real")
lab.verdict("flow-helps-labels", helps=helps, exploring=EXPLORING)

# %%
lab.verdict("five-beat-ten", rate=worth("real + flow"), exploring=EXPLORING)

# %%
lab.recall("flow", f"at 5 labels, a label with the flow's images is worth {worth('real + flow')}")

# %% [markdown]
# Does another hand know more? Look at the section's first figure again. Of new real images 5 in 100 lie near a label. Where no more
# of the flow's do, it has not learned its labels by heart, and a high recall says that its images spread among the real ones. But
# an image can be new and still not show its class, and stray images raise recall: compare how many are recognised as ordered.
# New images are not yet new knowledge. Whether they hold any is what the classifier's gain measures, with a verdict of its own.
#
# So ask where a generator's images could get what the 5 labels do not hold. From the network: it fills the room between and around
# the labels in its own way, which is a policy that nobody chose, and which need not be what the class does there. From other images:
# that is what the papers' generators bring, and what the bar of more labels stands for here. So no verdict of this section contradicts
# them. Count what the generator has seen as labels, or as data, of its own.
#
# ## Recap
#
# * A GAN's losses say whether the discriminator can tell, not whether the images are good. Judge them by classifiers that
#   never saw the generator's images, and diversity by its own numbers.
# * Quality and diversity are two things. The temperature trades one for the other; a generator that fails to spread can
#   look like quality.
# * Compare a generator with held-out images against its *own* training images. With few of them, new real images are
#   far from them.
# * Test generation with the labels that the classifier has, against as many copies. Everything else smuggles labels in, or
#   images.
# * Flow matching is a regression: a straight path, its velocity, and Euler's steps. How well a generator draws and how much it
#   knows that the labels do not are two questions; measure the second in labels.
#
# **Questions.** 1. Your GAN's Fréchet distance is below the floor of two real halves. What may have happened? 2. Your alarm
# looks at pixels. Which collapse would it miss, and in which space would you see it? 3. Somebody trains a large image model
# on the whole web and generates images for a few-shot task, which helps. Is it a few-shot result?
#
# <details><summary>Short answers</summary>
#
# 1. It may have copied real images, test images among them if they were in its training set, or the two sets differ in size.
# 2. One to images that differ in pixels alone, such as one digit shifted about; in an evaluator's features these lie close together.
# 3. Of the task, if no label and no test image of it was on the web; the model as a whole has seen very many images of these classes, so
# compare it with other methods that start from such a model.
#
# </details>
#
# **Going further.** Goodfellow et al. 2014 (NeurIPS), GANs; Miyato et al. 2018 and Miyato & Koyama 2018 (ICLR), spectral
# normalisation and projection; Mescheder et al. 2018 (ICML), which GAN trainings converge; Heusel et al. 2017 and
# Kynkäänniemi et al. 2019 (NeurIPS), Fréchet distance, precision and recall; Naeem et al. 2020 (ICML), density and
# coverage; Ravuri & Vinyals 2019 (NeurIPS), classification accuracy score; Antoniou et al. 2017 (arXiv 1711.04340), DAGAN,
# which learns on other classes; Karras et al. 2020 and Zhao et al. 2020 (NeurIPS), GANs from few images by augmenting
# inside the game; Ho et al. 2020 (NeurIPS), diffusion models, which avoid the game; Lipman et al. 2023 and Liu et al. 2023
# (ICLR), flow matching and rectified flow; Ho & Salimans 2022 (arXiv 2207.12598), guidance without a classifier; Azizi et al. 2023 (TMLR), a pretrained one whose images raised ImageNet accuracy. In production: `diffusers` for models,
# `torchmetrics` for the distances.

# %% [markdown]
# ## On your own data
#
# Do generated pictures help on *your* data? The simplest generator draws from a Gaussian of each
# class. Write the path of a folder with a folder of pictures for each class in place of `None`;
# until then 200 digits stand in.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.generated(lab.own.images(FOLDER))
