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
# Turning, mirroring, scaling and shearing an image are the oldest kinds of data augmentation (数据增强). They are a 2 x 3
# matrix and a rule for reading between pixels. They rest on an assumption: **the label stays the same**. Is that so? And when
# a classifier gets a turned image wrong, is the label gone, or has the classifier just never seen such an image?
#
# **After this chapter you can** write the matrix of a rotation, a flip and any chain of them, warp an image without holes,
# compose the eight symmetries of a square, and tell a label that is lost from a classifier that fails.
#
# **Time:** 80 minutes. **Claim under test:** the assumption "a rotated or flipped sample keeps its label".

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 100 seconds on two cores; "full": more trainings and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
DATASET = "glyphs"  # "glyphs", "digits" or "fashion": shown in detail; verdicts need all three

# %%
import math

import torch

import fewshot_lab as lab
from fewshot_lab.augment import geometry

lab.setup("01", profile=PROFILE, seed=SEED, device=DEVICE)
task = lab.data.load(DATASET)

# %% [markdown]
# One image to look at. It is the one of its class whose middle lies nearest to the middle of the picture.

# %%
some = task.test_images[task.test_labels == 3].float() / 255  # (n, 1, H, W), values from 0 to 1
size = some.shape[-1]
from_middle = torch.arange(size) - (size - 1) / 2
by_column, by_row = some.sum(dim=(1, 2)), some.sum(dim=(1, 3))
offsets = torch.stack([by_column @ from_middle, by_row @ from_middle]) / by_row.sum(dim=1)
image = some[offsets.norm(dim=0).argmin()]  # (1, H, W)

# %% [markdown]
# ## Predict

# %%
lab.predict(
    "half turn",
    "A classifier knows 16 characters upright. What share does it classify correctly upside down?",
    ["under 20 %", "about 40 %", "about 60 %", "over 80 %"],
)

# %% [markdown]
# ## See: one matrix, one image
#
# Run the cell and drag the angle, the scale and the shear. The grid moves with the image, and the matrix shows in numbers.
# Find out: which sliders change the determinant? Then choose left-right and top-bottom at the switch *flip*: what do the
# determinants of both have in common? The answer stands at the flip's matrix, further down.

# %%
lab.widgets.GeometryExplorer(DATASET)

# %% [markdown]
# ## Derive: the rotation matrix
#
# Put the origin at the **centre of the image**, let $x$ point right and $y$ point **up**, and count in pixels. The point
# $(1, 0)$, turned counter-clockwise by $\theta$, lands on $(\cos\theta, \sin\theta)$. The point $(0, 1)$ lands on
# $(-\sin\theta, \cos\theta)$. A linear map is known by what it does to these two, they are the columns of
#
# $$R(\theta) = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}$$
#
# Careful: $R$ acts on the **coordinates** of pixels, not on the vector of pixel values. And mind the library: with $y$ pointing
# *down*, as in `torch.nn.functional.affine_grid`, the same matrix turns clockwise.
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
move = geometry.translation(0.15 * image.shape[-1], 0.0)[:2]
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
    "pixels, each the more the nearer it is.",
    alt="A character; the same enlarged with black holes; enlarged without holes; enlarged "
    "smoothly.",
)

# %% [markdown]
# ## Measure it: every resampling costs
#
# Turn an image twelve times by 30 degrees and it is back where it was, or is it? For comparison: *one* turn by the product of
# the twelve matrices, which is the identity. *Bicubic* reading lays cubic curves through the sixteen nearest pixels in place of
# straight lines through four, so that it keeps edges sharper.

# %%
sample = task.test_images[:200].float() / 255
step = torch.cat([rotation(math.pi / 6), torch.zeros(2, 1)], dim=1)
whole, after = step, {}
for _ in range(11):
    whole = chain(whole, step)
for mode in ("nearest", "bilinear", "bicubic"):
    after[mode] = sample
    for _ in range(12):
        after[mode] = geometry.warp(after[mode], step, mode=mode)
after["once, bilinear"] = geometry.warp(sample, whole)
shown = task.test_pictures[:200]  # glyphs show a picture two or three times, each time moved
errors = {}
for name, moved in after.items():
    of_image = (moved - sample).square().mean(dim=(1, 2, 3)).sqrt()
    of_picture = [of_image[shown == picture].mean().item() for picture in shown.unique()]
    errors[name] = lab.mean_interval(of_picture, over=f"{len(of_picture)} pictures")

# %% folded=true
lab.figures.images(
    torch.stack([sample[0], *(moved[0] for moved in after.values())]),
    ["original", *after],
    columns=5,
    title="Twelve turns by 30°, and one turn by the product of their matrices",
    caption="Which of them would you rather learn from?",
    alt="An image; the same after twelve turns, jagged by nearest reading, blurred by bilinear, "
    "nearly sharp by bicubic reading; and unchanged after one turn by 360 degrees.",
)

# %% folded=true
lab.figures.bars(
    errors,
    title="Twelve turns by 30° do not give the image back, one by their product does",
    x="root mean square error, in grey values from 0 to 1",
    caption=f"200 test images. Mean and 95 % interval over the {len(shown.unique())} pictures "
    "that they show.",
    digits=3,
)

# %%
lab.record(resampling_error_bilinear=errors["bilinear"], unit="grey value (0 to 1)")

# %% [markdown]
# Two errors of different kinds. Bilinear reading takes an average at each turn, so twelve turns blur. Nearest reading blurs
# nothing, but puts pixels up to half a pixel away, and edges fray. A mean square error punishes blur more, so by this measure
# nearest reading need not be the worst. Both errors vanish when matrices are composed first and the image is read once. That
# is what `fewshot_lab.augment` does, and `RandomAffine` of torchvision for the maps that it draws itself; a *pipeline* of
# several torchvision transforms reads the image again at each of them.

# %% [markdown]
# ## Derive: the flip as a matrix
#
# The determinant of a matrix is the factor by which areas grow. It is 1 for a rotation and for a shear, and negative for
# every flip: a flip turns the plane over.
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
# As a policy D4 comes back in chapter 02, as a task without labels (which of four turns was it?) in chapter 04.

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
# The same eight positions of an emoji, in colour: choose a group and leaf through it. Five artists drew each emoji. The name
# under a position is that of the most similar picture by the *other four*, among 1,033 names. Find an emoji that a change makes
# into another one, and one that keeps its name in all eight positions. How often does this comparison get the picture wrong
# although nothing was changed?

# %%
lab.widgets.SymmetryExplorer("up right arrow")

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
# Augmentation assumes that a changed sample keeps its label. A typeset 6 turned upside down is a 9. Two things can go wrong,
# and they look alike in an accuracy: the **label** is gone, because the image now shows something else or nothing; or the
# **reader** fails, because it never saw such an image. Only the first speaks against the augmentation. The second is what
# augmentation is for.
#
# Be aware that the 16 glyphs were *picked* because many of them are another one mirrored or turned. Digits and clothes were
# not, so the chapter asks all three data sets.
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
# ## See: ask the pictures themselves
#
# No classifier first. Take the training pictures (the glyphs as they were rendered, before they were distorted), turn or flip
# each, and look for the *other* picture nearest to it, pixel by pixel. Some picture is always the nearest, so it has to be
# near enough: no farther than nine of ten pictures of its class lie from the rest of their class. Two classes are **partners**
# if at least half of the changed pictures of one are found to be of the other, and as many the other way when the change is
# undone: then the label is truly gone. All seven elements of D4 that move anything are tried.
#
# Test the instrument first, without a change: what share of the pictures of a class is found to be of this class?

# %%
from fewshot_lab.methods import label_preservation as preservation

SETS = ("glyphs", "digits", "fashion")
tasks = {name: lab.data.load(name).capped(preservation.MOST_TEST) for name in SETS}
pictures = {name: preservation.training_pictures(name) for name in SETS}
shares = {}  # {(data set, change): (classes, classes + 1)}
for change, changed in ({"no change": lambda same: same} | preservation.SYMMETRIES).items():
    for name in SETS:
        count = len(tasks[name].classes)
        shares[name, change] = preservation.nearest_classes(*pictures[name], changed, count)
for name in SETS:
    own = shares[name, "no change"].diagonal()
    print(f"{name}: {own.min():.0%} to {own.max():.0%} of a class are found to be of it")

# %% [markdown]
# Now the changes. An arrow leads from a class to its partner, which the change makes of it.

# %%
partners = {}
for name in SETS:
    classes, without = tasks[name].classes, []
    for change, back in preservation.UNDONE_BY.items():
        found = preservation.partners(shares[name, change], shares[name, back])
        partners[name, change] = found
        pairs = ", ".join(f"{classes[one]} → {classes[other]}" for one, other in found.items())
        if found:
            print(f"{name}, {change}: {pairs}")
        else:
            without.append(change)
    print(f"{name}, no partner after: {', '.join(without)}")

# %% folded=true
half_turn = preservation.TRANSFORMATIONS["half turn"]
pairs = partners["glyphs", "half turn"]
glyphs, glyph_labels = pictures["glyphs"]
names = tasks["glyphs"].classes
firsts = [glyphs[glyph_labels == label][0] for label in range(len(names))]
lab.figures.images(
    torch.stack(
        [*(half_turn(firsts[one]) for one in pairs), *(firsts[two] for two in pairs.values())]
    ),
    [*(f"{names[one]}, turned" for one in pairs), *(names[other] for other in pairs.values())],
    columns=len(pairs),
    title="Glyphs that a half turn makes into another",
    caption="Above the turned picture, below the upright one of its partner, in one typeface.",
)

# %% [markdown]
# A typeset 6 is a typeset 9 upside down. Is a handwritten one?

# %%
of_six = shares["digits", "half turn"][6]
print(
    f"Of the handwritten 6s, half-turned, {of_six[9]:.0%} are found to be a 9, "
    f"{of_six[-1]:.0%} lie near no class."
)

# %% [markdown]
# Where no partner was found, no two classes change places. One side alone does not count: most T-shirts that are turned by a
# quarter come to lie near bags, but few bags that are turned back come to lie near T-shirts. Nor do the pictures say that a
# changed one still looks like its own class: that is for a person to judge, further down. And where unchanged pictures are
# often taken for those of another class, as some clothes are, the instrument is blunt.
#
# ## Measure it: which emoji keep their names?
#
# Sixteen characters were picked for their partners. Emoji were not: arrows, hands, faces, food, and five artists who drew the same
# 1,033 of them. As in the explorer, a changed picture gets the name of the most similar picture by the other four artists.

# %%
lab.predict(
    "mirrored emoji",
    "Of 100 emoji that such a comparison names correctly, how many keep their name in a mirror?",
    ["over 90", "about 75", "about 50", "under 30"],
)

# %% [markdown]
# The instrument first. Unchanged, most pictures are not found under their own name: a network would do better, but it would have
# learned from upright pictures. So count only those that are found, and ask how many of *them* still are after a change.

# %%
from fewshot_lab.data import emoji
from fewshot_lab.methods import symmetries

drawn = emoji.pictures()
answers = symmetries.find_names(symmetries.small_emoji())
named = answers.upright.float().mean()
print(
    f"Unchanged, {named:.0%} of {answers.upright.numel()} pictures are found under their own name."
)

CHANGES = {
    "left-right flip": (0, True),
    "top-bottom flip": (2, True),
    "diagonal flip": (1, True),
    "other diagonal": (3, True),
    "half turn": (2, False),
    "quarter turn": (1, False),
    "turn by 270°": (3, False),
}


# %%
def mean_name(values):
    """The mean of one value per emoji; those that look alike, such as clock faces, count as one."""
    families = symmetries.by_family(values, drawn.families)
    return lab.mean_interval(
        families,
        unit="share of names",
        over=f"{len(families)} families of emoji, by these five artists",
    )


keep = {change: answers.kept(element) for change, element in CHANGES.items()}  # (emoji,) each
names_kept = {change: mean_name(values) for change, values in keep.items()}
lab.record(
    emoji_kept_hflip=names_kept["left-right flip"], emoji_kept_rot180=names_kept["half turn"]
)

# %%
mirrored = names_kept["left-right flip"]
lab.recall("mirrored emoji", f"{100 * mirrored.mean:.0f} of 100", mirrored)

# %% folded=true
ordered = dict(sorted(names_kept.items(), key=lambda item: -item[1].mean))
mildest, worst = list(ordered)[0], list(ordered)[-1]
lab.figures.bars(
    ordered,
    title=f"{ordered[mildest].mean:.0%} keep their name after a {mildest}, "
    f"{ordered[worst].mean:.0%} after a {worst}",
    x="share of emoji that keep their name",
    caption="Of the pictures that are found under their own name unchanged, the share that is "
    "after the change. Mean and 95 % interval over families of emoji that look alike.",
)

# %%
PARTS = {
    "half_turn": "half turn",
    "top_bottom": "top-bottom flip",
    "quarter_turn": "quarter turn",
    "diagonal": "diagonal flip",
    "other_diagonal": "other diagonal",
    "turn_270": "turn by 270°",
}
flipped = keep["left-right flip"]
lab.verdict(
    "mirror-mildest",
    **{part: mean_name(flipped - keep[change]) for part, change in PARTS.items()},
)

# %% [markdown]
# The mildest change is not a mild one: a picture may turn its head, hold its pen in the other hand or wear its light on the other
# side, and pixels call it another. Compare groups and look for the changes that one group survives and others do not.

# %% folded=true
groups = sorted(set(drawn.groups))
of_group = {one: torch.tensor([group == one for group in drawn.groups]) for one in groups}
by_group = torch.stack(
    [torch.stack([keep[c][of_group[one]].nanmean() for c in ordered]) for one in groups]
)
best_of, least_of = (
    groups[int(row)] for row in (by_group.mean(1).argmax(), by_group.mean(1).argmin())
)
lab.figures.matrix(
    by_group,
    [f"{one} ({int(of_group[one].sum())})" for one in groups],
    [f"({CHANGES[c][0]},\n{'flip' if CHANGES[c][1] else '–'})" for c in ordered],
    title=f"{best_of} keep their names best, {least_of} worst",
    caption="Share of the emoji that keep their name, by group (how many emoji it has) and element "
    "of D4, as (quarter turns, flip), in the order of the figure above.",
)

# %% [markdown]
# Signs have no top and no light, so many of them survive a half turn; a person upside down keeps its name hardly ever.
# Food lies on the plate along a diagonal, and one diagonal flip leaves it there.
#
# Which labels *may* be gone? As above, those of partners: most artists' pictures of the first are found to be the second, and back.

# %%
partner_emoji = {
    change: [
        (drawn.names[one], drawn.names[other])
        for one, other in answers.renamed(CHANGES[change])
        if one < other or change == "quarter turn"  # done twice, the other two change nothing
    ]
    for change in ("left-right flip", "half turn", "quarter turn")
}
for change, found in partner_emoji.items():
    arrow = "→" if change == "quarter turn" else "↔"
    print(f"{change}:", "; ".join(f"{one} {arrow} {other}" for one, other in found))

# %% folded=true
mirror = partner_emoji["left-right flip"][:9]
of_noto = [[drawn.images[drawn.names.index(name), 0] for name in pair] for pair in mirror]
lab.figures.images(
    torch.stack([shown for one, other in of_noto for shown in (one.flip(-1), other)]),
    [label for one, other in mirror for label in (f"{one},\nmirrored", other)],
    columns=6,
    title="Emoji that the mirror makes into others",
    caption="In pairs: the mirrored picture of an emoji, and its partner as it is, both by one "
    "artist. Which labels are gone, and where is the comparison too coarse?",
)

# %% [markdown]
# Arrows, hands, phases of the moon and charts that rise lose their labels in the mirror: a policy with flips teaches a network that
# they are one. The list also holds pairs that no person would confuse, for 16 x 16 pixels see little else than shape and colour.
# So the list says where to look; whether a label is gone, your eyes decide. About emoji that are not on it, it says nothing.

# %% [markdown]
# ## Measure it: what does a reader answer that never saw a turn?
#
# The reader is a small convolutional net, trained on upright images (as upright as the glyphs are: they lean up to 20° either
# way). We train three kinds of readers, several of each: one without turns, one whose training images are turned by up to 45°
# either way, one for which every angle is equally likely. All learn from 1,500 images (of the digits there are 897) for the
# same number of steps. That is a short training: the tables below say who had come to rest, and points of readers that were
# still learning are hollow.

# %%
READERS = {"never saw turns": 0, "turns up to 45°": 45, "every turn": 180}
STEPS = lab.quick_or_full(800, 2500)
grid = lab.combinations(dataset=SETS, degrees=list(READERS.values()), seed=lab.seeds(3, 6))
trained = lab.sweep(preservation.fit_reader, [one | {"steps": STEPS} for one in grid])


def rows_of(dataset):
    return {
        name: [row for row in trained if (row["dataset"], row["degrees"]) == (dataset, degrees)]
        for name, degrees in READERS.items()
    }


upright_readers = [row["model"] for row in rows_of(DATASET)["never saw turns"]]

# %% [markdown]
# First the readers that never saw a turn, and four of the seven changes. Only test images that a reader classifies correctly
# before the change count. The intervals are over trainings and classes: they speak of other trainings, and of other classes
# *picked as these were*. Sixteen glyphs that were picked for their partners say little about letters at large.

# %%
share_kept = lab.yours_or_ours(label_kept)
measured = [
    preservation.measure_label_preservation(model, tasks[DATASET], share_kept)
    for model in upright_readers
]
kept = {  # (trainings, classes)
    change: torch.stack([one.kept[change] for one in measured])
    for change in preservation.TRANSFORMATIONS
}
drawn_anew = f"{len(measured)} trainings x {len(task.classes)} classes"
shares = {
    change: lab.crossed_interval(
        values, [1] * len(task.classes), unit="share of labels", over=drawn_anew
    ).within(0, 1)
    for change, values in kept.items()
}
lab.record(
    label_kept_hflip=shares["left-right flip"],
    label_kept_rot180=shares["half turn"],
    headline="label_kept_rot180",
)

# %%
turned = shares["half turn"]
lab.recall("half turn", f"{turned.mean:.0%} of those that it gets right upright", turned)

# %% [markdown]
# ## Read it
#
# A bright cell: the reader gives the changed images their old class. Rows are sorted, so classes that survive most changes
# stand on top. Compare with the list of partners above: which dark cells are lost labels, and which are answers that the
# reader was forced to give, because it has no way to say "none of these"?

# %% folded=true
table = torch.stack([values.mean(dim=0) for values in kept.values()], dim=1)
order = table.sum(dim=1).argsort(descending=True).tolist()
lab.figures.matrix(
    table[order],
    [task.classes[label] for label in order],
    [change.replace(" ", "\n") for change in kept],
    title="Share that keeps its class, for a reader that never saw turns",
    caption="For each class (row) and change (column): of the test images that are classified "
    f"correctly upright, the share that keeps its class. Mean of {len(measured)} trainings.",
)

# %% [markdown]
# What do they turn into? Choose a change and a class. Under each changed image you see the class that one of these readers now
# gives it, and its confidence.

# %%
lab.widgets.LabelExplorer(measured[0])

# %% [markdown]
# ## Measure it: label or reader?
#
# Now all readers, and all angles. Here every test image counts, also one that is misclassified upright, so that the readers
# are compared on the same images. If a reader that has seen turns classifies what the other one does not, the label was there,
# even if that reader is still learning.

# %%
correct = {
    name: preservation.correct_by_turn(rows_of(name), tasks[name], share_kept) for name in SETS
}

# %% folded=true
at_thirty = {name: correct[DATASET].mean(name, 30) for name in READERS}
lab.figures.curves(
    {name: correct[DATASET].curve(name) for name in READERS},
    title=f"Turned by 30°: {at_thirty['never saw turns']:.0%} correct without turns in training, "
    f"{at_thirty['turns up to 45°']:.0%} with",
    x="turn of the test images in degrees, either way",
    y="share classified correctly",
    ticks=preservation.TURNS,
    limits=(0, 1.02),
    caption=f"{DATASET}, after {STEPS} steps. Bands: 95 % interval over trainings and classes. "
    "Where the curves part, the reader fails and not the label. What happens near 180°?",
)

# %% folded=true
lab.figures.panels(
    {
        f"correct at 30°, {name}": {
            reader: correct[name].interval(reader, 30) for reader in READERS
        }
        for name in SETS
    },
    shared=True,
    title="The same turn on rendered glyphs, handwritten digits and photographed clothes",
    caption=f"Test images turned by 30° either way, after {STEPS} "
    "steps. 95 % intervals over trainings and classes.",
)

# %%
few = "turns up to 45°"
lab.record(
    correct_at_30_never_saw_turns=correct[DATASET].interval("never saw turns", 30),
    correct_at_30_saw_turns=correct[DATASET].interval(few, 30),
)

# %%
lab.verdict(
    "small-turns",
    **{name: correct[name].gain(few, 0, over=(few, 15)) for name in SETS},
)

# %%
lab.verdict(
    "reader-not-label",
    **{name: correct[name].gain(few, 30, over=("never saw turns", 30)) for name in SETS},
)

# %% [markdown]
# ## Measure it: who pays for the whole circle?
#
# A reader that learns from every turn is told that an upright *b* may be a *q* upside down. If that costs anything, upright
# characters with a partner should pay: the reader can no longer know which of the two it sees. Characters without one lose no
# label, but they may pay in two other coins. The position in which a class always appears is a clue, and a reader of every
# turn must do without it. And there is more to learn, in no more steps. So what the *partners* cost is what characters with
# one pay beyond those without. Partners share their luck, so the two of a pair count as one case.

# %%
half_turns = {name: partners[name, "half turn"] for name in SETS}
pairs = {name: sorted({tuple(sorted(p)) for p in half_turns[name].items()}) for name in SETS}
others = {
    name: [label for label in range(len(tasks[name].classes)) if label not in half_turns[name]]
    for name in SETS
}


def every_turn(name, classes):
    """The readers' answers about some classes' upright test images, as arms."""
    return preservation.correct_by_turn(rows_of(name), tasks[name], share_kept, classes)


def lost_hits(name, classes):
    """Correct answers without turns in training less those with every turn, and the sizes."""
    arms = every_turn(name, classes)
    (without, sizes), (with_all, _) = (arms.hits(r, 0) for r in ("never saw turns", "every turn"))
    return without - with_all, sizes


groups = {f"{name} with a partner": (name, pairs[name]) for name in SETS if len(pairs[name]) > 1}
groups |= {f"{name} without": (name, others[name]) for name in SETS}
costs = {
    group: every_turn(*some).gain("never saw turns", 0, over=("every turn", 0))
    for group, some in groups.items()
}

# %% folded=true
lab.figures.bars(
    costs,
    title="What training on every turn costs upright images",
    x="accuracy without turns - with every turn in training",
    line=0,
    caption="Upright test images, by half-turn partner; equally many steps. 95 % intervals over "
    "trainings and classes, partners as one.",
)

# %%
for group, cost in costs.items():
    if group.endswith("without") and cost.low > 0:
        learning = cost.rest and min(share for _, share in cost.rest) < 0.8
        told = "; not all of these readers had come to rest" if learning else ""
        print(f"{group} partners pay too, {cost.mean:.2f}, and no label is lost there{told}.")

# %%
rest = every_turn("glyphs", None)
lab.verdict(
    "partners-pay",
    glyphs=lab.crossed_difference(
        lost_hits("glyphs", pairs["glyphs"]),
        lost_hits("glyphs", others["glyphs"]),
        unit="accuracy",
        over=f"{len(rest.seeds)} seeds x {len(pairs['glyphs'])} pairs and {len(others['glyphs'])} "
        "other classes",
        rest=rest.rest("never saw turns", 0) + rest.rest("every turn", 0),
    ),
)

# %%
lab.verdict("others-pay-nothing", **{name: costs[f"{name} without"] for name in SETS})

# %% [markdown]
# ## Measure it: "none of these"
#
# A classifier has to name one of its classes, even for a picture of none. Let it decline instead when its largest probability
# is low. The threshold is chosen on upright **validation** images, so that 95 % of them are accepted. What does a reader that
# never saw turns then say about half-turned images?


# %%
NEVER = "never saw turns"


def answers_of(name, change, classes=None):
    """What readers without turns say of changed test images, as one arm."""
    return preservation.outcomes(
        rows_of(name)[NEVER],
        tasks[name],
        change,
        classes,
        partners=half_turns[name],
        reader=NEVER,
    )


asked = {"with a partner": pairs[DATASET], "without a partner": others[DATASET]}
found = {
    group: answers_of(DATASET, half_turn, classes) for group, classes in asked.items() if classes
}
answers = {
    "its own class": "own",
    "its partner": "partner",
    "another class": "another",
    "none of these": "none",
}
outcomes = {
    words: {group: arms.interval(NEVER, of=answer) for group, arms in found.items()}
    for words, answer in answers.items()
}

# %% folded=true
lab.figures.panels(
    {
        words: {group: share.within(0, 1) for group, share in of_group.items()}
        for words, of_group in outcomes.items()
    },
    shared=True,
    title=f"Half-turned {DATASET}: what a reader answers that may say “none of these”",
    caption="Shares of the half-turned test images, by classes with and without a partner. "
    "95 % intervals over trainings and classes, partners as one, cut at 0 and 1.",
)

# %% [markdown]
# For a class with a partner its partner is the right answer (the picture *is* a *q* now); every other class is a wrong one, and
# so it is for a class without. A reader that knew what it does not know would decline where there is no partner, and there alone.

# %%
upright = answers_of(DATASET, lambda images: images)
declined = {group: share.mean for group, share in outcomes["none of these"].items()}
for group, share in declined.items():
    print(f"Half-turned {DATASET} {group}: {share:.0%} declined.")
print(f"Upright ones: {upright.mean(NEVER, of='none'):.0%}. It was set to decline 5 % of these.")

# %% [markdown]
# Compare the three numbers: a reader that declines hardly more turned images than upright ones is *sure* of answers about
# pictures of a kind that it never saw.

# %%
lab.verdict(
    "none-of-these",
    **{
        name: answers_of(name, half_turn, others[name]).interval(NEVER, of="spared")
        for name in SETS
    },
)

# %% [markdown]
# ## See: what do *you* say?
#
# Readers saw 1,500 images, you have read all your life. Here are sixteen changed test images with their labels. Would
# you still call each by its label?

# %%
generator = torch.Generator().manual_seed(SEED)
chosen = torch.randperm(len(tasks[DATASET].test_labels), generator=generator)[:16]
asked, asked_labels = tasks[DATASET].test_images[chosen], tasks[DATASET].test_labels[chosen]
changes = [
    lambda images: preservation.turned(images, 30),
    *(preservation.TRANSFORMATIONS[n] for n in ("quarter turn", "half turn", "left-right flip")),
]
shown = torch.cat([change(asked[4 * i : 4 * i + 4]) for i, change in enumerate(changes)])
marker = lab.widgets.PictureMarker(shown, [task.classes[label] for label in asked_labels])
marker

# %% [markdown]
# Run the next cell again when you have marked them.

# %%
marks = marker.answered()
print("You:", ", ".join(f"{marks.count(mark)} {mark}" for mark in marker.MARKS))
yours = torch.tensor([mark == marker.MARKS[1] for mark in marks])
for name, rows in rows_of(DATASET).items():
    answers, _ = preservation.classify_or_decline(rows[0]["model"], tasks[DATASET], shown)
    right = answers == asked_labels
    both = f", {int((right & yours).sum())} of the {int(yours.sum())} that you call so"
    print(f"A reader, {name}: {int(right.sum())} of 16 by their label{both if yours.any() else ''}")

# %% [markdown]
# Where you call an image by its label and a reader does not, the reader fails. Where you do not either, the label is gone, and
# an augmentation that makes such images teaches wrong labels.
#
# ## Recap
#
# * A geometric augmentation is a matrix on coordinates plus a rule for reading between pixels, at the **inverse** map.
# * Compose matrices and resample once. Quarter turns and flips need no resampling: they are the group D4.
# * A classifier that errs on a changed image does not prove that the label is gone. Ask another one that has seen such
#   changes, ask the pictures, ask a person.
# * Where a change makes one class into another the label is gone, for both: a chart that falls is one that rises, mirrored. Look at your classes before you augment.
# * A policy should go where labels still hold and the model does *not* yet.
#
# **Questions.** 1. Why is the determinant of every flip -1? 2. Which characters of your language keep their label under a half
# turn? 3. A classifier says that a mirrored *s* is a *2*, with 90 % confidence. Is that a fault of the flip or of the
# classifier? 4. Would you train a reader of house numbers on every turn? One of machine parts on a conveyor belt?
#
# <details><summary>Short answers</summary>
#
# 1. It keeps areas (1) and turns the plane over (the sign). 2. In Latin capitals H, I, N, O, S, X, Z do. 3. Of the classifier:
# a mirrored *s* is no *2*. It was never shown a mirrored *s*, and it was not allowed to decline. 4. House numbers no: they hang
# upright, and 6 and 9 would pay. Parts on a belt lie as they fall: yes, if no part is another one turned.
#
# </details>
#
# **Going further.** Shorten & Khoshgoftaar 2019 (*Journal of Big Data*), a survey; Cohen & Welling 2016 (ICML), networks that know
# the group; Jaderberg et al. 2015 (NeurIPS), warps with gradients; Hendrycks & Gimpel 2017 (ICLR), declining by confidence;
# Northcutt et al. 2021 (NeurIPS), labels that people got wrong. In production: `torchvision.transforms.v2.RandomAffine`, or
# `kornia.augmentation` for batches on a GPU. Next: [02 · When augmentation stops](02_when_augmentation_stops.ipynb).

# %% [markdown]
# ## On your own data
#
# Which turns and flips keep the class of *your* pictures? Write the path of a folder that has a
# folder of pictures for each class in place of `None`; until then 200 digits stand in. Your files
# are only read.

# %%
FOLDER = None  # "pictures": a folder with a folder of pictures for each class
lab.own.turns(lab.own.images(FOLDER))
