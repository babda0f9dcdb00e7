"""Chapter 02: the repair of a printed training script, each part of which has planted defects."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader

from ..languages import say
from . import inspectors, sources
from .declare import exercise
from .inspectors import said_by
from .training_steps import alike


@exercise(
    "Listing: what happens to a picture",
    idea=(
        "Training and test pictures have to reach the network at the size that was asked for, and with things at about the "
        "same scale. Chance belongs in training alone."
    ),
    steps=(
        (
            "Symptom: a picture of 28 x 28 stops the training transform, and test images do not come out at `size`. Look for "
            "numbers that are hard-coded."
        ),
        (
            "Then follow one object through both transforms. Which of them resizes a picture before it crops, and which one "
            "only crops? How large is the object in the end?"
        ),
        (
            "See where chance comes in: training needs a section that is drawn anew each time, the test a section that never "
            "changes. This part of the listing is sound; keep it so."
        ),
        (
            "Mend: derive every side from `size`, and let the training transform resize too, before the crop or while "
            "cropping, as RandomResizedCrop does."
        ),
    ),
)
def listing_transforms(size):
    from torchvision import transforms  # imports torch._dynamo, for a second that no check of another exercise should wait

    train = transforms.Compose(
        [transforms.RandomResizedCrop(size, scale=(0.5, 1.0)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )
    test = transforms.Compose([transforms.Resize(size * 8 // 7), transforms.CenterCrop(size), transforms.ToTensor()])
    return train, test


@listing_transforms.property(
    "Pictures of every size become (3, size, size).", mistake="crop_without_resize", inspector=inspectors.picture_shapes
)
def _all_sizes_work(seen, generator):
    if isinstance(seen, str):
        return say("A picture of 28 x 28 stops it ({seen}). Resize while cropping: RandomResizedCrop does both.", seen=seen)
    for shape, dtype in seen:
        if isinstance(shape, str):
            return "no_tensor", say("A picture becomes a {kind}; a tensor is needed. ToTensor makes one.", kind=shape)
        if shape != (3, 32, 32):
            size = say("With size 32 a picture becomes {shape}; (3, 32, 32) is needed.", shape=shape)
            return "fixed_size" if 224 in shape else "not_square", size
        if not dtype.startswith("float"):
            return "bytes", say("The pixels are {dtype}; floats are needed. ToTensor makes them, from 0 to 1.", dtype=dtype)


@listing_transforms.property(
    "The test transform does not depend on chance.", mistake="random_test", inspector=inspectors.passes
)
def _test_transform_is_fixed(seen, generator):
    if seen["test"] and not seen["training"]:
        return "order_swapped", say(
            "The first transform does not depend on chance and the second does: training comes first, then the test."
        )
    if seen["test"]:
        return say("Passes of the test transform differ. A test image must not be drawn at random.")


@listing_transforms.property(
    "The training transform crops at random and mirrors left to right in half of the passes; none stands on its head.",
    mistake="nothing_augmented",
    inspector=inspectors.passes,
)
def _augments_training(seen, generator):
    if not seen["training"]:
        return say("Eighty passes of the training transform are all alike: nothing is augmented.")
    if not seen["moved"]:
        return "no_crop", say("Eighty passes of the training transform show the same section of a picture: crop at random.")
    if seen["upside_down"] > 0.25:
        return "upside_down", say(
            "{share:.0%} of the training images stand on their heads. The printed script mirrors left and right.",
            share=seen["upside_down"],
        )
    if seen["mirrored"] < 0.2:
        return "not_mirrored", say("The training transform hardly ever mirrors left to right. It should in half of the passes.")
    if seen["mirrored"] > 0.8:
        return "always_mirrored", say(
            "The training transform mirrors {share:.0%} of the pictures left to right. Half of them should stay as they are.",
            share=seen["mirrored"],
        )


@listing_transforms.property(
    "Training and test see things at the same scale.", mistake="scales_differ", inspector=inspectors.picture_scales
)
def _same_scale(seen, generator):
    train, test = seen
    aspects = train["aspect"], test["aspect"]
    if not 0.65 < aspects[0] / aspects[1] < 1.5:
        return "distorted", say(
            "A square in a picture that is twice as wide as high is {train:.2f} times as wide as high in training and "
            "{test:.2f} times in the test.",
            train=aspects[0],
            test=aspects[1],
        )
    if not 0.5 < train["share"] / test["share"] < 2.2:
        return say(
            "The same object fills {train:.0%} of a training image and {test:.0%} of a test image.",
            train=min(train["share"], 1.0),
            test=min(test["share"], 1.0),
        )
    if not 0.6 < train["range"] / max(test["range"], 1e-6) < 1.6:
        return "normalised_once", say(
            "From black to white it is {train:.2f} in training and {test:.2f} in the test: both need the same normalisation.",
            train=train["range"],
            test=test["range"],
        )


@listing_transforms.property(
    "Grey stays between black and white, where it was.", mistake="other_colours", inspector=inspectors.picture_scales
)
def _keeps_grey(seen, generator):
    for view, far in zip(seen, (0.25, 0.02), strict=True):  # training may move colours at random
        if not all(abs(one - drawn) <= far for one, drawn in zip(view["greys"], view["drawn"], strict=True)):
            return say(
                "Grey pictures at {drawn} of the way from black to white become {greys}.",
                drawn=", ".join(f"{share:.2f}" for share in view["drawn"]),
                greys=", ".join(f"{share:.2f}" for share in view["greys"]),
            )


@exercise(
    "Listing: the model",
    idea=(
        "A network that begins with random weights needs one logit for each class, and it has to be on the device that does "
        "the computing. The printed lines warn of an old argument and leave another unused."
    ),
    steps=(
        "Build a model once and read the warning: which argument is deprecated, and which one has taken its place?",
        "Look at the last layer. It gives one logit for each class and nothing follows it: this line is sound.",
        (
            "Ask the returned model on which device its parameters are. Which argument of the function should decide that, and "
            "is it used anywhere?"
        ),
        "Mend: ask for random weights with weights=None, and return the model after it has moved to the device.",
    ),
)
def listing_model(classes, device):
    from torchvision import models

    model = models.resnet18(weights=None)
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model.to(device)


@listing_model.property(
    "The model is built without a warning, and without weights that were trained before.",
    mistake="pretrained_is_deprecated",
    inspector=said_by(inspectors.model_warnings),
    shown=sources.no_keyword("pretrained"),
)
def _no_deprecated_argument(seen, generator):
    if any("pretrained" in words for words in seen["warnings"]):
        return say("torchvision warns: `pretrained=` is deprecated since version 0.13. Say weights=None for random weights.")
    if seen["asked"]:
        return "trained_before", say(
            "The model asks for weights that were trained before; random ones are wanted: weights=None."
        )


@listing_model.property(
    "It gives one logit per class.", mistake="wrong_number_of_classes", inspector=said_by(inspectors.model_logits)
)
def _one_logit_per_class(seen, generator):
    if seen["shape"] != (2, 3):
        words = say("For 2 pictures and 3 classes the logits have the shape {shape}; (2, 3) is needed.", shape=seen["shape"])
        return words
    if not seen["linear"]:
        return "no_logits", say(
            "The last layer is not linear: a softmax, sigmoid or ReLU follows it. cross_entropy wants the logits themselves."
        )


@listing_model.property(
    "Its weights are random, and all are trained.", mistake="same_weights", inspector=said_by(inspectors.model_weights)
)
def _random_weights(seen, generator):
    if seen["constant"]:
        return "constant_weights", say(
            "All numbers of the first layer are the same, so all filters would learn the same. weights=None draws them."
        )
    if not seen["differ"]:
        return say(
            "Two models have the same first filters: they are copies of one, or read from a file. weights=None draws them."
        )
    if not seen["trained"]:
        return "frozen", say("Some weights have requires_grad=False, so training leaves them as they are.")


@listing_model.property("It is a ResNet-18.", mistake="another_model", inspector=said_by(inspectors.model_parameters))
def _is_a_resnet(parameters, generator):
    if parameters != 11_176_512 + 513 * 3:
        return say(
            "A ResNet-18 for 3 classes has 11178051 parameters, yours {parameters}. Take models.resnet18, replace its `fc`.",
            parameters=parameters,
        )


@listing_model.property("It computes what a ResNet-18 with its weights does.", inspector=inspectors.model_drawn)
def _computes(seen, generator):
    got, of = seen
    if not alike(got, of(listing_model.reference)):
        return "another_model", say("With other weights in it, your model computes something else than a ResNet-18.")


@listing_model.property(
    "The model is on the device.",
    mistake="model_not_moved",
    inspector=said_by(inspectors.model_devices),
    shown=sources.hands_on(1),
)
def _model_moved(devices, generator):
    if "meta" in devices and len(devices) > 1:
        return "partly_moved", say(
            "Only a part of the model is on the device. Move all of it, when every layer is in its place."
        )
    if devices != ["meta"]:
        return say("The model stays on the device where it was built. Return model.to(device), or a GPU is never used.")


@exercise(
    "Listing: the data loader",
    idea=(
        "One function makes the loader for training and the one for the test, and they differ: only training data come in a "
        "new order in each pass. For both, other processes should read the next pictures while the model computes."
    ),
    steps=(
        (
            "Symptom: two passes over the test data come in different orders. Which argument does that, and what ought it to "
            "depend on?"
        ),
        (
            "Symptom: the model waits while one process reads pictures. Look up in DataLoader's arguments how many others "
            "help; unless told otherwise it is none."
        ),
        "What is sound stays: batches of 64, and a last batch that is smaller, because every test item counts.",
        "Mend: let `training` decide whether the data are shuffled, and set num_workers to 1 or more.",
    ),
)
def listing_loader(dataset, training):
    return DataLoader(dataset, batch_size=64, shuffle=training, num_workers=2)


@listing_loader.property("Batches hold 64 items.", mistake="batch_size", inspector=said_by(inspectors.loaders))
def _batches_of_64(seen, generator):
    sizes = [len(passes[0][0]) for passes in seen["rows"]]
    if sizes != [64, 64]:
        return say("The first batches for training and for the test hold {sizes} items; 64 are asked for.", sizes=sizes)


@listing_loader.property(
    "Pictures are read while the model trains.",
    mistake="one_process",
    inspector=said_by(inspectors.loaders),
    shown=sources.keyword("num_workers"),
)
def _loads_in_parallel(seen, generator):
    if min(seen["workers"]) < 1:
        return say(
            "num_workers is {workers} for training and test: at 0 all waits while one process reads pictures.",
            workers=seen["workers"],
        )


@listing_loader.property(
    "Only the training data are shuffled, anew in each pass.", mistake="shuffled_test", inspector=said_by(inspectors.loaders)
)
def _shuffles_training(seen, generator):
    training, test = ([sum(batches, []) for batches in passes] for passes in seen["rows"])
    if any(rows != sorted(rows) for rows in test):
        return say("The test data are shuffled: only the training data need it.")
    if training[0] == sorted(training[0]) or training[0] == training[1]:
        return "not_shuffled", say("Two passes over the training data come in the same order: shuffle them anew in each.")


@listing_loader.property("Every test item comes, once.", mistake="test_items_lost", inspector=said_by(inspectors.loaders))
def _keeps_all_test_items(seen, generator):
    for rows in (sum(batches, []) for batches in seen["rows"][1]):
        if sorted(rows) != list(range(150)):
            return say("Of 150 test items {count} come: the last, smaller batch counts too.", count=len(set(rows)))


@listing_loader.property("The items themselves come, each once.", inspector=inspectors.items_loaded)
def _items_come(seen, generator):
    (first, second), test = seen["rows"]
    full = all(len(rows) >= 128 and len(set(rows)) == len(rows) and min(rows) >= 0 for rows in (first, second))
    shuffled = first != sorted(first) and first != second
    sized = all(sizes[:2] == [64, 64] for passes in seen["sizes"] for sizes in passes)
    if not (full and shuffled and sized and test == [list(range(150))] * 2):
        return "other_items", say("The loader does not hand on the items of the data set that it is given.")


@exercise(
    "Listing: the evaluation",
    idea=(
        "Loss and accuracy are means over all images, and a mean of the batches' means gives those of a smaller last batch too "
        "much weight. The model has to be judged as it will be used: in evaluation mode and without gradients."
    ),
    steps=(
        (
            "Symptom: the answer for an image depends on the other images of its batch. In which mode is the model, and what "
            "do batch norm and dropout do in that mode?"
        ),
        (
            "Symptom: on a GPU it stops at the first batch, and everywhere it takes more memory than it needs. Where are "
            "images and labels, and what is still recording gradients?"
        ),
        (
            "Symptom: batches of 3 and 2 images give wrong means. What weight does one image have in the larger batch, and "
            "what weight in the smaller one?"
        ),
        (
            "Mend: evaluation mode, no gradients, images and labels on the device. Add up losses (cross_entropy gives a "
            "batch's mean), hits and images over all batches; divide once at the end."
        ),
    ),
)
def listing_evaluate(model, loader, device):
    model.eval()
    loss = hits = count = 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            logits = model(images)
            loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            hits += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
    return loss / count, hits / count


@listing_evaluate.property(
    "The images are on the model's device.", mistake="batch_not_moved", inspector=said_by(inspectors.evaluation)
)
def _batches_moved(seen, generator):
    if not seen["images sent"]:
        return say("The images are not moved to the model's device: images.to(device), and the labels too.")
    if not seen["labels sent"]:
        return say("The labels are not moved to the device on which the logits are: labels.to(device).")


@listing_evaluate.property(
    "The model is in evaluation mode.", mistake="training_mode", inspector=said_by(inspectors.evaluation)
)
def _in_eval_mode(seen, generator):
    if seen["training"]:
        return say("The model is in training mode: batch norm uses the batch and dropout drops. Call model.eval() first.")


@listing_evaluate.property("No gradients are recorded.", mistake="gradients_recorded", inspector=said_by(inspectors.evaluation))
def _without_gradients(seen, generator):
    if seen["gradients"]:
        return say("Gradients are recorded while evaluating, which costs memory and time: use `with torch.no_grad():`.")


@listing_evaluate.property(
    "Loss and accuracy are means over images, not over batches.",
    mistake="batches_weigh_the_same",
    inspector=said_by(inspectors.evaluation),
)
def _mean_over_images(seen, generator):
    accuracy, loss, right = seen["accuracy"], seen["loss"], inspectors.EVALUATION_LOSS
    if _near(accuracy, right) and _near(loss, 0.6):
        return "order_swapped", say("Loss and accuracy have changed places: the loss comes first.")
    if not _near(accuracy, 0.6):
        told = say(
            "The accuracy of 3 hits in a batch of 3 and none in one of 2 is 0.6; yours is {accuracy:.3f}.", accuracy=accuracy
        )
        by_batch = inspectors.EVALUATION_LOSSES
        if any(_near(accuracy, a) and _near(loss, one) for a, one in zip((1.0, 0.0), by_batch, strict=True)):
            return "one_batch_only", say("{told} It is that of one batch: add up over all batches.", told=told)
        if _near(accuracy, 0) and _near(loss, right):
            return "whole_division", say("{told} `//` rounds down to a whole number: divide with `/`.", told=told)
        return _ACCURACIES.get(round(accuracy, 4), "accuracy"), told
    if not _near(loss, right):
        told = say(
            "Batches of 3 and 2 images: the mean loss over images is {loss:.3f}, yours {yours:.3f}.", loss=right, yours=loss
        )
        by_batch = inspectors.EVALUATION_LOSSES
        if _near(loss, sum(by_batch) / 2):
            return "batches_weigh_the_same", say(
                "{told} Weight each batch by its size; the last one is often smaller.", told=told
            )
        if _near(loss, 5 * right / 2):
            return "divided_by_batches", say("{told} You divide by the number of batches; divide by the images.", told=told)
        if _near(loss, sum(by_batch) / 5):
            return "batch_means_summed", say(
                "{told} You add the means of the batches and divide by the images: add sums instead.", told=told
            )
        if _near(loss, by_batch[0]) or _near(loss, by_batch[1]):
            return "one_batch_only", say("{told} It is the mean of one batch: add up over all batches.", told=told)
        if _near(loss, 5 * right) or _near(loss, sum(by_batch)):
            return "loss_summed", say("{told} It is a sum: divide it.", told=told)
        if _near(loss, 64 * sum(by_batch) / 5):
            return "batch_size_assumed", say("{told} You weight each batch by 64, and these have 3 and 2.", told=told)
        return "another_loss", say("{told} Is it the cross-entropy of the logits, without a softmax before it?", told=told)


@listing_evaluate.property("So it is for a model and images drawn at random.", inspector=inspectors.evaluation_drawn)
def _of_others(seen, generator):
    got, of = seen
    if not alike(got, right := of(listing_evaluate.reference)):
        return say(
            "On a model with batch norm and dropout the loss is {loss:.4f} and the accuracy {accuracy:.2f}; yours {yours}.",
            loss=right[0],
            accuracy=right[1],
            yours=got,
        )


# What the accuracy of 3 hits in a batch of 3 and none in one of 2 is after some mistakes.
_ACCURACIES = {
    60.0: "percent",
    3.0: "hits_counted",
    0.5: "batches_weigh_the_same",
    1.5: "divided_by_batches",
    0.4: "errors_for_hits",
    round(3 / 128, 4): "batch_size_assumed",
}


def _near(number, other):
    return math.isclose(number, other, abs_tol=1e-4)


@exercise(
    "Listing: the learning rate",
    idea=(
        "Training begins with large steps and ends with small ones, so the learning rate comes down from the optimizer's own "
        "towards 0. How fast it does so follows from the number of steps."
    ),
    steps=(
        (
            "Symptom: the rate after the last step is the same as before the first; print both to see it. What does the "
            "argument `steps` do in the listing?"
        ),
        (
            "Write down what you want: near the optimizer's own rate early on, never above it, close to 0 at the end, and no "
            "rise after the fall, for 50 steps as for 173."
        ),
        (
            "Mind how it is called: step() after each training step, without arguments. A schedule that waits for a metric "
            "does not fit, nor does one of a fixed length."
        ),
        (
            "Mend: take a schedule that is told `steps` and falls over all of them, such as CosineAnnealingLR, or LinearLR "
            "with 0 as its last factor."
        ),
    ),
)
def listing_schedule(optimizer, steps):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


@listing_schedule.property("The learning rate falls towards the end.", mistake="constant_rate", inspector=inspectors.rates)
def _rate_falls(seen, generator):
    for rates in seen:
        if isinstance(rates, str):
            return "wants_a_metric", say(
                "The loop calls schedule.step() alone, and this schedule wants more: {error}", error=rates
            )
        if not all(map(math.isfinite, rates)):
            return say("The learning rate is no number.")
        if rates[-1] > 0.15 * max(rates):
            if min(rates) < 0.5 * rates[-1]:
                return "rises_again", say("The learning rate rises again after it has fallen.")
            slow = "constant_rate" if max(rates) - min(rates) < 1e-6 else "ends_too_high"
            return slow, say(
                "After {steps} steps the learning rate ends at {last:.3g} of {most:.3g}. Let it fall towards 0 by then.",
                steps=len(rates),
                last=rates[-1],
                most=max(rates),
            )


@listing_schedule.property("It follows the number of steps.", mistake="steps_ignored", inspector=inspectors.rates)
def _rate_follows_steps(seen, generator):
    if any(isinstance(rates, str) for rates in seen):
        return None
    halves = [sum(rate > max(rates) / 2 for rate in rates) / len(rates) for rates in seen]
    if max(halves) - min(halves) > 0.1:
        return say(
            "Of 50 steps {short:.0%} are taken at more than half of the largest rate, of 173 steps {long:.0%}. The schedule "
            "must stretch with `steps`.",
            short=halves[0],
            long=halves[1],
        )


@listing_schedule.property(
    "It starts near the optimizer's own rate and comes down once.", mistake="rate_too_small", inspector=inspectors.rates
)
def _rate_is_the_optimizers(seen, generator):
    for rates in seen:
        if isinstance(rates, str):
            continue
        if min(rates) < -1e-9 or max(rates) > 0.101:
            ends = {"low": min(rates), "high": max(rates)}
            return "rate_out_of_range", say(
                "The learning rate goes from {low:.3g} to {high:.3g}; from 0 to 0.1 it may.", **ends
            )
        if max(rates[: len(rates) // 2]) < 0.05 or sum(rates) / len(rates) < 0.01:
            return say(
                "The learning rate hardly comes near the optimizer's 0.1 (its mean is {mean:.3g}).",
                mean=sum(rates) / len(rates),
            )
        after = rates[rates.index(max(rates)) :]
        if any(later > earlier + 1e-9 for earlier, later in zip(after, after[1:], strict=False)):
            return "rises_again", say("The learning rate rises again after it has fallen.")
