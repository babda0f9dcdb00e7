"""Chapter 02: one step of training on a batch that is augmented anew, and the rows that are held out for validation."""

import functools

import torch
import torch.nn.functional as F

from ..languages import say
from . import inspectors
from .declare import exercise
from .training_steps import SOFTMAX_TWICE, SUMMED, alike, declare_common_mistakes, declare_mistakes, judge_steps, take


@exercise(
    "A training step",
    idea=(
        "A step looks at one batch: it changes the batch at random, asks how wrong the network is about it, and moves every "
        "weight a little against its gradient. Gradients add up in PyTorch until somebody clears them."
    ),
    steps=(
        "Let `augment` change the batch; the network sees what it returns, and never the images as they came.",
        "Compute the mean cross-entropy of the logits with the labels. The loss takes logits, so no softmax comes before it.",
        "Clear the gradients before the backward pass: whatever the weights hold from before would be added to yours.",
        "After the backward pass the optimizer takes its step. It knows the rate, the momentum and which weights are its own.",
        "Return the loss of this forward pass as a plain number, without the graph that led to it.",
    ),
)
def training_step(model, optimizer, images, labels, augment):
    return take(optimizer, lambda: F.cross_entropy(model(augment(images)), labels))


def _step(batch=lambda augment, images: augment(images), loss=F.cross_entropy, half=take, ready=lambda *_: None):
    """The step with another batch, another loss, another second half or something before the weights move."""

    def step(model, optimizer, images, labels, augment):
        images = batch(augment, images)
        return half(optimizer, lambda: loss(model(images), labels), functools.partial(ready, model))

    return step


def _told(tell):
    """The right step that returns something else: `tell(loss, logits, labels)`."""

    def step(model, optimizer, images, labels, augment):
        logits = model(augment(images))
        loss = take(optimizer, lambda: F.cross_entropy(logits, labels))
        return tell(loss, logits, labels)

    return step


def _unused(augment, images):
    augment(images)
    return images


declare_mistakes(
    training_step,
    nothing_augmented=(
        "The batch is not augmented: the network sees the images as they came. Give it augment(images).",
        _step(lambda augment, images: images),
    ),
    augmented_images_not_used=(
        "You call augment and do not use what it returns. It changes no images in place: it returns new ones.",
        _step(_unused),
    ),
    augmented_twice=(
        "You augment the batch twice. One call of augment changes it as strongly as was asked for.",
        _step(lambda augment, images: augment(augment(images))),
    ),
    both_batches=(
        "The network learns from the images as they came as well as from the augmented ones. Only the augmented batch counts.",
        _step(
            lambda augment, images: torch.cat([images, augment(images)]),
            lambda logits, labels: F.cross_entropy(logits, labels.repeat(2)),
        ),
    ),
    one_image_at_a_time=(
        "Every picture is augmented on its own. Give augment the whole batch, (n, C, H, W).",
        _step(lambda augment, images: torch.stack([augment(image) for image in images])),
    ),
)
declare_common_mistakes(training_step, lambda half: _step(half=half))
declare_mistakes(
    training_step,
    summed=(SUMMED, _step(loss=functools.partial(F.cross_entropy, reduction="sum"))),
    softmax_twice=(SOFTMAX_TWICE, _step(loss=lambda logits, labels: F.cross_entropy(logits.softmax(1), labels))),
    gradients_clipped=(
        "You clip the gradients. That is a step of another method; follow them as they are.",
        _step(ready=lambda model: torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)),
    ),
    loss_times_images=(
        "You return the loss times the number of images. The mean itself is asked for.",
        _told(lambda loss, logits, labels: loss * len(labels)),
    ),
    loss_divided_twice=(
        "You divide the loss by the number of images once more: it is a mean already.",
        _told(lambda loss, logits, labels: loss / len(labels)),
    ),
    accuracy_returned=(
        "You return the accuracy. The loss is asked for: the mean cross-entropy of the augmented batch.",
        _told(lambda loss, logits, labels: (logits.argmax(1) == labels).float().mean().item()),
    ),
)


def _another_batch(world, right):
    if alike([world["given"], world["shown"]], [right["given"], right["shown"]]):
        return None
    shown, calls = world["shown"][0], len(world["given"][0])
    return "another_batch", say(
        "In the first step the network saw {count} batches, {right} of them as augment returned them, and augment was called "
        "{calls} times. Once each is right.",
        count=len(shown),
        right=shown.count("augmented"),
        calls=calls,
    )


judge_steps(
    training_step,
    inspectors.training_steps,
    before=("The network sees the batch once, as augment returns it.", _another_batch, ("given", "shown")),
    loss="It returns the loss of the batch as a number.",
)


# The rows that are held out

# Row numbers of classes in no order, of several sizes, with numbers that leave gaps; and how many of each validate.
_SETS = (
    (torch.tensor([0, 0, 0, 1, 1, 1]), 1),
    (torch.tensor([7, 2, 5, 2, 7, 7, 2, 5, 2, 7, 2, 5]), 2),
    (torch.tensor([3, 0, 0, 3, 0, 3, 1, 3, 0, 1, 1, 0, 1, 3, 0, 0]), 3),
)


@exercise(
    "Training and validation rows",
    idea=(
        "Pictures that choose a setting must neither train nor test, so some labelled ones are held out before. Each class "
        "gives equally many, drawn at random, so that the held-out pictures resemble those to come."
    ),
    steps=(
        "Go through the classes that occur; their numbers may have gaps. For each of them find the rows of its pictures.",
        "Put these rows into a random order with torch.randperm and the generator that is given.",
        "The first `per_class` of them validate, all others train. Collect both over the classes.",
        "Return row numbers of the whole set, not places within a class: first those that train, then those that validate.",
    ),
)
def validation_split(labels, per_class, generator):
    train, validate = [], []
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        validate.append(rows[:per_class])
        train.append(rows[per_class:])
    return torch.cat(train), torch.cat(validate)


def _parts(function, labels, per_class, generator):
    """What the function returns for a copy of the labels: two lists of row numbers, or (mistake, words) on what else it is."""
    result = function(labels.clone(), per_class, generator)
    if result is None:
        return "nothing_returned", say("Your function returns nothing (None). Does its last line begin with `return`?")
    if not isinstance(result, tuple | list) or len(result) != 2:
        kind = type(result).__name__
        return "wrong_type", say("Your function returns a {kind}; two tensors of row numbers are needed.", kind=kind)
    parts = []
    for part in result:
        if not isinstance(part, torch.Tensor):
            try:
                part = torch.as_tensor(part)
            except (TypeError, ValueError, RuntimeError):
                return "wrong_type", say("A part of your result holds no plain list of numbers: return two tensors of rows.")
        if part.dtype == torch.bool:
            return "masks_returned", say(
                "Your parts are True and False for every row. Row numbers are asked for: nonzero finds them."
            )
        if part.dim() != 1:
            return "wrong_shape", say(
                "A part of your result has the shape {shape}; one row number after the other is needed.",
                shape=tuple(part.shape),
            )
        if part.is_floating_point() and len(part):
            return "floats_returned", say("Your row numbers are floats, which can pick no rows. Whole numbers are needed.")
        parts.append(part.tolist())
    return parts


def _each(function):
    """(labels, per_class, training rows, validation rows) of every set; (mistake, words) when a result is no such thing."""
    found, drawing = [], torch.Generator().manual_seed(11)
    for labels, per_class in _SETS * 3:  # several draws: rows of all classes together may have the right counts by luck
        parts = _parts(function, labels, per_class, drawing)
        if isinstance(parts, tuple):
            return parts
        found.append((labels, per_class, *parts))
    return found


def _counts(labels, rows):
    """{class: how many of these rows have it}, of the classes that occur."""
    of_rows = labels[rows].tolist()
    return {label: of_rows.count(label) for label in labels.unique().tolist()}


@validation_split.property("It returns rows that train and rows that validate.", mistake="stops_with_error")
def _gives_rows(function, generator):
    found = _each(function)
    if isinstance(found, tuple):
        return found
    if all(sorted(train + validate) == labels.sort().values.tolist() for labels, _, train, validate in found):
        return "labels_returned", say("You return the labels of the rows. Return the numbers of the rows themselves.")
    for labels, _, train, validate in found:
        rows = sorted({*train, *validate})
        if any(not 0 <= row < len(labels) for row in rows):
            return "no_such_row", say("There are {count} rows, counted from 0; you name {rows}.", count=len(labels), rows=rows)
    if all(set(_counts(labels, train).values()) == {per_class} for labels, per_class, train, _ in found):
        return "order_swapped", say(
            "In every class per_class rows train and the others validate: the two have changed places. Those that train come "
            "first."
        )


@validation_split.property("No row trains and validates, and none comes twice.", mistake="rows_in_both")
def _are_disjoint(function, generator):
    found = _each(function)
    if isinstance(found, tuple):
        return found
    if all(set(train) == set(range(len(labels))) for labels, _, train, _ in found):
        return "all_rows_train", say("All rows train, those that validate too: take them out of the training rows.")
    for labels, _, train, validate in found:
        rows, largest = [*train, *validate], max(_counts(labels, list(range(len(labels)))).values())
        if len(set(rows)) < len(rows) and max(rows) < largest:
            return "places_in_the_class", say(
                "Your rows are all below {count}, the size of the largest class: they look like places within a class. Look up "
                "which rows of `labels` these are.",
                count=largest,
            )
        if shared := sorted(set(train) & set(validate)):
            return say("Rows {rows} train and validate: they would choose what they have taught.", rows=shared)
        if len(set(rows)) < len(rows):
            return "drawn_twice", say("A row comes twice. Draw without replacement, as torch.randperm does.")


@validation_split.property("Every row is in one of the two.", mistake="rows_left_out")
def _are_complete(function, generator):
    found = _each(function)
    if isinstance(found, tuple):
        return found
    for labels, _, train, validate in found:
        rows = [*train, *validate]
        if missing := sorted(set(range(len(labels))) - set(rows)):
            told = say("Of {count} rows {missing} are in neither part.", count=len(labels), missing=missing)
            classes = {label for label, count in _counts(labels, rows).items() if not count}
            if set(labels[missing].tolist()) == classes:
                return "classes_missed", say(
                    "{told} Their classes are missed: labels.unique() lists all that occur.", told=told
                )
            return told


@validation_split.property("per_class rows of every class validate.", mistake="not_per_class")
def _holds_out_per_class(function, generator):
    found = _each(function)
    if isinstance(found, tuple):
        return found
    of_all = all(len(validate) == per_class for _, per_class, _, validate in found)
    for labels, per_class, _, validate in found:
        counts = _counts(labels, validate)
        if set(counts.values()) == {per_class}:
            continue
        told = say(
            "With per_class = {per_class} the classes have {counts} validation rows.", per_class=per_class, counts=counts
        )
        if of_all:
            return "per_class_of_all", say("{told} per_class counts the rows of each class, not of all together.", told=told)
        return "not_per_class" if len(validate) == per_class * len(counts) else "another_count", told


_FOUR = torch.tensor([4, 1, 1, 4, 1, 4, 4, 1])


@validation_split.property("Which rows validate is drawn anew, and any of a class may be among them.", mistake="not_random")
def _is_drawn(function, generator):
    # Two of four rows of each of two classes: six choices each. In 200 draws one is missing with a probability of 1e-15.
    drawing = torch.Generator().manual_seed(23)
    chosen = {1: set(), 4: set()}
    for _ in range(200):
        parts = _parts(function, _FOUR, 2, drawing)
        if isinstance(parts[0], str):
            return parts
        for label, rows in chosen.items():
            rows.add(tuple(sorted(row for row in parts[1] if _FOUR[row] == label)))
    for rows in chosen.values():
        if len(rows) == 1:
            return say("Two hundred draws all hold out rows {rows} of a class. Draw them at random.", rows=list(*rows))
        if len(rows) < 6:
            return "few_choices", say(
                "Two of four rows can be chosen in 6 ways; two hundred draws gave {count}. Put a class's rows into a random "
                "order (torch.randperm) and take the first ones.",
                count=len(rows),
            )


@validation_split.property("torch's global generator stays as it was.", mistake="global_generator")
def _keeps_the_global_generator(function, generator):
    before = torch.get_rng_state()
    function(_FOUR.clone(), 2, generator)
    if not torch.equal(torch.get_rng_state(), before):
        return say("Your function moves torch's global generator: pass `generator=generator` to every draw.")


@validation_split.property("Generators of the same seed give the same rows.", mistake="generator_not_used")
def _repeats(function, generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    twice = [_parts(function, _SETS[2][0], 3, torch.Generator().manual_seed(seed)) for _ in range(2)]
    if [sorted(part) for part in twice[0]] != [sorted(part) for part in twice[1]]:
        return say("Two generators of the same seed give different rows: draw with `generator` and with nothing else.")


@validation_split.property("The labels stay as they are.", mistake="input_changed")
def _leaves_the_labels(function, generator):
    labels = _SETS[1][0].clone()
    function(labels, 2, generator)
    if not torch.equal(labels, _SETS[1][0]):
        return say("Your function changes its labels. Work on a copy: x = x.clone().")
