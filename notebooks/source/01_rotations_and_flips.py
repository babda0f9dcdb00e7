# ---
# jupyter:
#   question: What is a rotation, and which labels survive it?
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
# # 01 · Rotations and flips
#
# Turning, mirroring, scaling and leaning an image are the oldest kinds of data augmentation (数据增强). They are a 2 x 3
# matrix and a rule for reading between pixels. They rest on an assumption: **the label stays the same**. Is that so?
#
# **After this chapter you can** write the matrix of a rotation, a flip and any chain of them, warp an image without holes,
# compose the eight symmetries of a square, and measure which transformations keep which labels.
#
# **Time:** 60 minutes. **Under test:** the assumption "a rotated or flipped sample keeps its label".

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more training steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion"

# %%
import math

import torch

import fewshot_lab as lab
from fewshot_lab.augment import geometry

lab.setup("01", profile=PROFILE, seed=SEED, device=DEVICE)
task = lab.data.load(DATASET)
image = task.test_images[task.test_labels == 3][0].float() / 255  # (1, H, W), values from 0 to 1

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "half turn",
    "Of all the characters, which share is still read as itself after a turn by 180°?",
    ["under 20 %", "about 40 %", "about 60 %", "over 80 %"],
)

# %% [markdown]
# ## See: one matrix, one image
#
# Drag the angle, the scale and the shear. The grid moves with the image, and the matrix shows in numbers. Find out: which
# sliders change the determinant? What do all flips have in common?

# %%
lab.widgets.GeometryExplorer(DATASET)

# %% [markdown]
# The determinant is the factor by which areas grow. It is 1 for a rotation and for a shear, and negative for every flip.

# %% [markdown]
# ## Derive: the rotation matrix
#
# Put the origin at the **centre of the image**, let $x$ point right and $y$ point **up**, and count in pixels. The point
# $(1, 0)$, turned counter-clockwise by $\theta$, lands on $(\cos\theta, \sin\theta)$. The point $(0, 1)$ lands on
# $(-\sin\theta, \cos\theta)$. A linear map is known by what it does to these two, they are the columns of
#
# $$R(\theta) = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}$$
#
# Careful: $R$ acts on the **coordinates** of pixels, not on the vector of pixel values.
#
# ## Write it


# %% exercise="rotation_matrix"
def rotation_matrix(theta):
    """The matrix that turns points counter-clockwise (y up).

    theta: the angle in radians, a number. Returns a float tensor (2, 2).
    """
    ### BEGIN SOLUTION
    return torch.tensor([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    ### END SOLUTION


# %% [markdown]
# Use it: turn one character in steps of 30 degrees. The experiment takes your matrix if it passed.

# %%
rotation = lab.yours_or_ours(rotation_matrix)


def turned(picture, degrees, mode="bilinear"):
    linear = rotation(math.radians(degrees))
    return geometry.warp(picture, torch.cat([linear, torch.zeros(2, 1)], dim=1), mode=mode)


# %% folded=true
angles = list(range(0, 360, 30))
lab.figures.images(
    torch.stack([turned(image, angle) for angle in angles]),
    [f"{angle}°" for angle in angles],
    columns=12,
    title=f"{task.classes[3]!r}, turned counter-clockwise",
    caption="Positive angles turn counter-clockwise. "
    "At which angle would you no longer give it its label?",
    alt=f"The character {task.classes[3]} turned by 0 to 330 degrees in steps of 30.",
)

# %% [markdown]
# ## Derive: shifts, and two maps as one
#
# A shift is not linear, so we add a column: $x' = A x + b$ is written as the 2 x 3 matrix $(A \mid b)$. Doing
# $(A_1 \mid b_1)$ first and $(A_2 \mid b_2)$ then gives
#
# $$A_2 (A_1 x + b_1) + b_2 = (A_2 A_1)\,x + (A_2 b_1 + b_2)$$
#
# The order is from right to left, and the first shift is itself turned by the second map.
#
# ## Write it


# %% exercise="compose"
def compose(first, then):
    """One affine map that does `first` and after it `then`.

    first, then: float tensors (2, 3), linear part and shift in pixels. Returns a float tensor (2,
    3).
    """
    ### BEGIN SOLUTION
    linear = then[:, :2] @ first[:, :2]
    shift = then[:, :2] @ first[:, 2] + then[:, 2]
    return torch.cat([linear, shift[:, None]], dim=1)
    ### END SOLUTION


# %% [markdown]
# Turn and then shift, or shift and then turn? The same two maps in two orders:

# %%
chain = lab.yours_or_ours(compose)
turn = geometry.rotation(math.pi / 3)[:2]
move = geometry.translation(0.25 * image.shape[-1], 0.0)[:2]
lab.figures.images(
    torch.stack(
        [image, geometry.warp(image, chain(turn, move)), geometry.warp(image, chain(move, turn))]
    ),
    ["original", "turn, then shift", "shift, then turn"],
    columns=3,
    title="The order matters",
    caption="Shifted first, the character is carried around the centre by the turn.",
    alt="A character; turned by 60 degrees and then moved right; moved right and then turned, "
    "which carries it upwards.",
)

# %% [markdown]
# ## Derive: the inverse warp
#
# To draw the turned image one could push each pixel to its new place. But a turned pixel grid does not hit every pixel: holes
# remain. So go the other way: for every **output** pixel $q$, read the input at $M^{-1} q$. That point lies between pixels;
# the simplest reading takes the nearest one.
#
# Mind the coordinates: row 0 is at the **top**. With $H$ rows, a pixel in row $r$ has $y = \frac{H-1}{2} - r$, and a pixel in
# column $c$ has $x = c - \frac{W-1}{2}$.
#
# ## Write it


# %% exercise="inverse_warp"
def inverse_warp(image, matrix):
    """Moves an image by a linear map around its centre; reads the nearest pixel, and 0 outside.

    image: float tensor (H, W). matrix: float tensor (2, 2), acts on (x, y) with y up. Returns a
    float tensor (H, W).
    """
    ### BEGIN SOLUTION
    height, width = image.shape
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    points = torch.stack([column - middle_column, middle_row - row]).flatten(
        1
    )  # (2, H * W): x and y
    x, y = torch.linalg.inv(matrix) @ points
    source_row = (middle_row - y).round().long().reshape(height, width)
    source_column = (middle_column + x).round().long().reshape(height, width)
    inside = (
        (source_row >= 0) & (source_row < height) & (source_column >= 0) & (source_column < width)
    )
    result = torch.zeros_like(image)
    result[inside] = image[source_row[inside], source_column[inside]]
    return result
    ### END SOLUTION


# %% [markdown]
# Holes, seen: the same enlargement, pushed forward and read backward.

# %%
warp_backward = lab.yours_or_ours(inverse_warp)
enlarge = torch.diag(torch.tensor([1.6, 1.6])) @ rotation(math.pi / 9)
height, width = image.shape[-2:]
row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
points = enlarge @ torch.stack([column - (width - 1) / 2, (height - 1) / 2 - row]).flatten(1)
new_column = (points[0] + (width - 1) / 2).round().long().clamp(0, width - 1)
new_row = ((height - 1) / 2 - points[1]).round().long().clamp(0, height - 1)
pushed = torch.zeros_like(image[0])
pushed[new_row, new_column] = image[0].flatten()

# %% folded=true
backward = warp_backward(image[0], enlarge)
bilinear = geometry.warp(image, torch.cat([enlarge, torch.zeros(2, 1)], 1))
lab.figures.images(
    torch.stack([image, pushed[None], backward[None], bilinear]),
    ["original", "pushed forward", "read backward", "bilinear"],
    columns=4,
    title="Pushing leaves holes, reading does not",
    caption="Enlarged by 1.6 and turned by 20 degrees. Bilinear reading mixes the four nearest "
    "pixels.",
    alt="A character; the same enlarged with black holes; enlarged without holes; enlarged "
    "smoothly.",
)

# %% [markdown]
# ## Measure it: every resampling costs
#
# Reading between pixels blurs. Turn an image twelve times by 30 degrees and it is back where it was, or is it? We compare with
# the original and with *one* turn by 360 degrees, whose matrix is the identity.

# %%
sample = task.test_images[:200].float() / 255
errors = {}
for mode in ("nearest", "bilinear", "bicubic"):
    step = torch.cat([rotation(math.pi / 6), torch.zeros(2, 1)], dim=1)
    moved = sample
    for _ in range(12):
        moved = geometry.warp(moved, step, mode=mode)
    errors[mode] = (moved - sample).square().mean(dim=(1, 2, 3)).sqrt().tolist()  # one per image

# %% folded=true
lab.figures.bars(
    {mode: lab.mean_interval(values) for mode, values in errors.items()},
    title="Twelve turns by 30° do not give the image back",
    x="root mean square error, in grey values from 0 to 1",
    caption="Mean and 95 % interval over 200 images. So compose the matrices first, and resample "
    "once.",
    digits=3,
)

# %%
lab.record(resampling_error_bilinear=errors["bilinear"], unit="grey value (0 to 1)")

# %% [markdown]
# That is why `fewshot_lab.augment` multiplies all matrices of an image first and reads once. The library that does this in
# production, `torchvision.transforms.v2`, resamples at every step of a pipeline.

# %% [markdown]
# ## Derive: the flip as a matrix
#
# So far $x$ was counted from the centre, and a horizontal flip was $x \mapsto -x$. Counted in columns from 0 to $W-1$, the flip
# sends column $c$ to column $W-1-c$. As a 3 x 3 matrix on $(c, r, 1)$ it needs the shift $W-1$.
#
# ## Write it


# %% exercise="flip_matrix"
def flip_matrix(width):
    """The 3 x 3 matrix of a horizontal flip, acting on (column, row, 1).

    width: the number of columns; they are counted from 0. Returns a float tensor (3, 3).
    """
    ### BEGIN SOLUTION
    return torch.tensor([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ### END SOLUTION


# %% tags=["nbval-check-output"]
flip = lab.yours_or_ours(flip_matrix)(5)
columns = torch.stack([torch.arange(5.0), torch.zeros(5), torch.ones(5)])
print(
    "columns 0 to 4 go to",
    (flip @ columns)[0].int().tolist(),
    "and the determinant is",
    torch.linalg.det(flip).item(),
)

# %% [markdown]
# ## Derive: D4, the eight ways to lay a square on itself
#
# Quarter turns and flips move pixels to pixels: nothing is resampled, nothing is lost. Together they are the group **D4**. We
# write an element as *(quarter turns, flipped)*: flip left and right first if `flipped`, then turn counter-clockwise.

# %% folded=true
lab.figures.images(
    torch.stack([geometry.d4_apply(image, element) for element in geometry.D4]),
    [f"({turns}, {'flip' if flipped else '–'})" for turns, flipped in geometry.D4],
    columns=8,
    title="The eight elements of D4",
    caption="Four turns, and four turns of the mirrored image. Which of them still show the same "
    "character?",
    alt="A character in the eight positions of the group D4.",
)

# %% [markdown]
# What is a turn by $a$ followed by a flip? Mirrored, every turn goes the other way round: $F R^{a} = R^{-a} F$. Hence
#
# $$(R^{b} F^{g})(R^{a} F^{f}) = R^{\,b + (-1)^{g} a}\, F^{\,f + g}$$
#
# with turns counted modulo 4 and flips modulo 2.
#
# ## Write it


# %% exercise="d4_compose"
def d4_compose(first, then):
    """The element of D4 that does `first` and after it `then`.

    first, then: pairs (quarter turns 0..3, flipped True or False). Returns such a pair.
    """
    ### BEGIN SOLUTION
    turns = then[0] + (-first[0] if then[1] else first[0])
    return turns % 4, first[1] != then[1]
    ### END SOLUTION


# %% [markdown]
# Your table against the pixels: for all 64 pairs, composing on paper and doing one after the other must agree exactly.

# %% tags=["nbval-check-output"]
product = lab.yours_or_ours(d4_compose)
agree = [
    torch.equal(
        geometry.d4_apply(image, product(first, then)),
        geometry.d4_apply(geometry.d4_apply(image, first), then),
    )
    for first in geometry.D4
    for then in geometry.D4
]
commute = sum(product(a, b) == product(b, a) for a in geometry.D4 for b in geometry.D4)
print(
    f"{sum(agree)} of {len(agree)} products agree pixel for pixel; {commute} of 64 pairs commute."
)

# %% [markdown]
# ## Which transformations keep the label?
#
# Augmentation assumes that a changed sample keeps its label. A 6 turned upside down is a 9. To measure it, take a classifier
# that knows the characters well, change the test images, and see which keep their class.
#
# ## Write it


# %% exercise="label_kept"
def label_kept(before, after, classes):
    """For each class, the share of its images that are still given this class after a change.

    before, after: predicted classes of the same images before and after, whole numbers (n,).
    classes: how many there are. Returns a float tensor (classes,); a class without images gets 0.
    """
    ### BEGIN SOLUTION
    kept = torch.zeros(classes)
    for label in range(classes):
        of_class = before == label
        if of_class.any():
            kept[label] = (after[of_class] == label).float().mean()
    return kept
    ### END SOLUTION


# %% [markdown]
# ## Measure it
#
# The classifier is a small convolutional net, trained on all training images. Only test
# images that it classifies correctly count.

# %%
from fewshot_lab.methods.label_preservation import measure_label_preservation
from fewshot_lab.methods.supervised import fit_classifier

share_kept = lab.yours_or_ours(label_kept)
model = fit_classifier(DATASET, seed=SEED, steps=lab.quick_or_full(600, 3000), progress=True)
measured = measure_label_preservation(model, task, share_kept)
right = measured.before == task.test_labels[: len(measured.before)]
print(f"{right.float().mean():.1%} of {len(right)} test images are classified correctly.")

# %% [markdown]
# ## Read it
#
# A bright cell: the class survives the change. Look for rows that are bright everywhere, and for characters that survive a half
# turn but no flip.

# %% folded=true
lab.figures.matrix(
    torch.stack([measured.kept[name] for name in measured.kept], dim=1),
    list(task.classes),
    [name.replace(" ", "\n") for name in measured.kept],
    title="Share that keeps its class",
    caption="For each class (row) and change (column): the share of the correctly classified "
    "test images that keep their class.",
    alt="A matrix of shares; flips and turns turn most characters into others.",
)

# %% [markdown]
# What do they turn into? Choose a change and a class. Under each changed image you see the class that the
# classifier now gives it, and its confidence.

# %%
lab.widgets.LabelExplorer(measured)

# %% [markdown]
# Over all classes, what share of the images keeps its class?

# %%
shares = {
    name: lab.share_interval(int((after == measured.before)[right].sum()), int(right.sum()))
    for name, after in measured.after.items()
}
lab.record(
    label_kept_hflip=shares["left-right flip"],
    label_kept_rot180=shares["half turn"],
    units={"label_kept_hflip": "share of images", "label_kept_rot180": "share of images"},
    headline="label_kept_rot180",
)

# %%
lab.recall("half turn", f"{shares['half turn'].mean:.0%}")

# %% [markdown]
# ## Measure it: how far may a character turn?
#
# Labels do not break at once. Turn the test images by small and large angles and watch the share that keeps its class.

# %%
angles = [-180, -135, -90, -60, -45, -30, -15, 0, 15, 30, 45, 60, 90, 135, 180]
turns = {f"{angle}°": (lambda images, angle=angle: turned(images, angle)) for angle in angles}
by_angle = measure_label_preservation(model, task, share_kept, transformations=turns)
kept_at = {
    angle: lab.share_interval(int((after == by_angle.before)[right].sum()), int(right.sum()))
    for angle, after in zip(angles, by_angle.after.values())
}

# %% folded=true
lab.figures.curves(
    {task.name: (angles, list(kept_at.values()))},
    title=f"A turn by 15° keeps {kept_at[15].mean:.0%} of the labels, by 90° "
    f"{kept_at[90].mean:.0%}",
    x="turn in degrees, counter-clockwise",
    y="share that keeps its class",
    ticks=[-180, -90, -45, 0, 45, 90, 180],
    limits=(0, 1.02),
    caption="Band: 95 % interval (Wilson) over the correctly classified test images. "
    "A policy must stay where the curve is high.",
)

# %%
lab.record(label_kept_15_degrees=kept_at[15], units={"label_kept_15_degrees": "share of images"})

# %% [markdown]
# ## Verdict
#
# "The label stays similar" is a claim about data and transformation together. Two parts: small turns keep at least 80 % of the
# labels, half turns keep at least 80 % too. The claim as a whole, for *any* rotation, needs both.

# %%
lab.verdict(
    "labels-stay",
    "A rotated sample keeps its label.",
    [
        lab.Evidence("share kept under a turn by 15°", kept_at[15], ">", 0.8),
        lab.Evidence("share kept under a half turn", shares["half turn"], ">", 0.8),
    ],
)

# %% [markdown]
# ## Recap
#
# * A geometric augmentation is a matrix on coordinates plus a rule for reading between pixels, at the **inverse** map.
# * Compose matrices and resample once. Quarter turns and flips need no resampling: they are the group D4.
# * Whether a label survives depends on the class and on the strength. Measure it before you augment.
#
# **Questions.** 1. Why is the determinant of every flip -1? 2. Which characters of your language keep their label under a half turn?
# 3. A classifier says that a mirrored *s* is a *2*, with 90 % confidence. Is that a fault of the flip or of the classifier?
#
# **Going further.** Shorten & Khoshgoftaar 2019 (*Journal of Big Data*), a survey; Cohen & Welling 2016 (ICML), networks that know
# the group; Jaderberg et al. 2015 (NeurIPS), warps with gradients. In production: `torchvision.transforms.v2.RandomAffine`, or
# `kornia.augmentation` for batches on a GPU. Next: [02 · When augmentation stops](02_when_augmentation_stops.ipynb).
