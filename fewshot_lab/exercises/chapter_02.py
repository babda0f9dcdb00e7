"""Chapter 02: mixup, the label of a CutMix image, the exchange rate, and the repair of a printed training script."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import models, transforms

from ..languages import say
from . import inspectors
from .declare import Exercise, Mistake, Property


def mixup_batch(images, labels, share, partner):
    mixed = share * images + (1 - share) * images[partner]
    return mixed, share * labels + (1 - share) * labels[partner]


def cutmix_share(top, left, side, height, width):
    rows = max(0, min(height, top + side) - max(0, top))
    columns = max(0, min(width, left + side) - max(0, left))
    return 1 - rows * columns / (height * width)


def labels_needed(labels, accuracies, reached):
    return _interpolated(labels, accuracies, reached, math.log2, lambda value: 2**value)


def _interpolated(labels, accuracies, reached, into, back):
    if reached <= accuracies[0]:
        return float(labels[0])
    for i in range(1, len(labels)):
        if reached <= accuracies[i]:
            part = (reached - accuracies[i - 1]) / (accuracies[i] - accuracies[i - 1])
            return float(back(into(labels[i - 1]) + part * (into(labels[i]) - into(labels[i - 1]))))
    return float(labels[-1])


def _random_batch(generator):
    images = torch.rand(3, 1, 2, 2, generator=generator)
    labels = torch.eye(4)[torch.randint(4, (3,), generator=generator)]
    return images, labels, torch.rand(1, generator=generator).item(), torch.randperm(3, generator=generator)


def _random_box(generator):
    top, left = (torch.randint(-4, 8, (2,), generator=generator)).tolist()
    return top, left, 1 + int(torch.randint(8, (1,), generator=generator)), 8, 10


def _random_curve(generator):
    accuracies = (0.2 + 0.7 * torch.rand(4, generator=generator)).sort().values.tolist()
    return [1, 2, 5, 20], accuracies, 0.1 + 0.85 * torch.rand(1, generator=generator).item()


# --- Repair the listing: the parts of a printed training script, each of which has planted defects.


def listing_transforms(size):
    train = transforms.Compose(
        [transforms.RandomResizedCrop(size, scale=(0.5, 1.0)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )
    test = transforms.Compose([transforms.Resize(size * 8 // 7), transforms.CenterCrop(size), transforms.ToTensor()])
    return train, test


def listing_model(classes, device):
    model = models.resnet18(weights=None)
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model.to(device)


def listing_loader(dataset, training):
    return DataLoader(dataset, batch_size=64, shuffle=training, num_workers=2)


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


def listing_schedule(optimizer, steps):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def _small_pictures_work(seen, generator):
    if isinstance(seen, str):
        return say("A picture of 28 x 28 stops it ({seen}). Resize while cropping: RandomResizedCrop does both.", seen=seen)
    for shape in seen:
        if shape != (3, 32, 32):
            return say(
                "With size 32 a picture becomes {shape}; (3, 32, 32) is needed: use `size`, not a fixed 224.",
                shape=shape,
            )


def _same_scale(seen, generator):
    if not 0.5 < seen[0] / max(seen[1], 1e-6) < 2.2:
        return say(
            "The same object fills {train:.0%} of a training image and {test:.0%} of a test image. Both must be resized: "
            "training sees things at another scale than the test.",
            train=seen[0],
            test=seen[1],
        )


def _augments_training_only(differ, generator):
    if differ["test"]:
        return say("Two passes of the test transform differ. A test image must not be drawn at random.")


def _augments_training(differ, generator):
    if not differ["training"]:
        return say("Twenty passes of the training transform are all alike: nothing is augmented. Crop or flip at random.")


def _model_is_current(warned, generator):
    if any("pretrained" in words for words in warned):
        return say("torchvision warns: `pretrained=` is deprecated since version 0.13. Say weights=None for random weights.")


def _one_logit_per_class(shape, generator):
    if shape != (2, 3):
        return say("For 2 pictures and 3 classes the logits have the shape {shape}; (2, 3) is needed.", shape=shape)


def _is_a_resnet(parameters, generator):
    if parameters != 11_176_512 + 513 * 3:
        return say(
            "A ResNet-18 for 3 classes has 11178051 parameters, yours {parameters}. Take models.resnet18, replace its `fc`.",
            parameters=parameters,
        )


def _model_moved(devices, generator):
    if devices != ["meta"]:
        return say("The model stays where it was made. Return model.to(device), or a GPU is never used.")


def _loads_in_parallel(seen, generator):
    if seen["workers"] < 1:
        return say("num_workers is 0: the training waits while one process reads pictures. Give it two.")


def _batches_of_64(seen, generator):
    if seen["batches"] != [64, 64]:
        return say("The batches for training and for the test hold {batches} items; 64 are asked for.", batches=seen["batches"])


def _shuffles_training(seen, generator):
    if seen["samplers"] != ["RandomSampler", "SequentialSampler"]:
        return say("Shuffle the training data, and only these: shuffle=training.")


def _in_eval_mode(seen, generator):
    if seen["training"]:
        return say("The model is in training mode: batch norm uses the batch and dropout drops. Call model.eval() first.")


def _without_gradients(seen, generator):
    if seen["gradients"]:
        return say("Gradients are recorded while evaluating, which costs memory and time: use `with torch.no_grad():`.")


def _mean_over_images(seen, generator):
    if not math.isclose(seen["accuracy"], 0.6, abs_tol=1e-4):
        return say(
            "The accuracy of 3 hits in a batch of 3 and none in one of 2 is 0.6; yours is {accuracy:.3f}.",
            accuracy=seen["accuracy"],
        )
    if not math.isclose(seen["loss"], inspectors.EVALUATION_LOSS, abs_tol=1e-4):
        return say(
            "Batches of 3 and 2 images: the mean loss over images is {loss:.3f}, yours {yours:.3f}. Weigh each batch by its "
            "size; the last one is often smaller.",
            loss=inspectors.EVALUATION_LOSS,
            yours=seen["loss"],
        )


def _batches_moved(seen, generator):
    if not seen["images sent"]:
        return say("The images are not moved to the model's device: images.to(device), and the labels too.")
    if not seen["labels sent"]:
        return say("The labels are not moved to the device on which the logits are: labels.to(device).")


def _rate_falls(rates, generator):
    if rates[-1] > 0.1 * max(rates):
        return say(
            "The learning rate ends at {last:.3g} of {most:.3g}. Let it fall towards 0, for example by a cosine.",
            last=rates[-1],
            most=max(rates),
        )


def _rate_starts(rates, generator):
    if max(rates[:25]) < 0.05:
        return say("The learning rate never comes near the optimizer's 0.1 (at most {most:.3g}).", most=max(rates[:25]))


EXERCISES = [
    Exercise(
        "mixup_batch",
        "02",
        "Mixup",
        mixup_batch,
        cases=(
            (torch.arange(4.0).reshape(2, 1, 1, 2), torch.eye(2), 0.75, torch.tensor([1, 0])),
            (torch.ones(2, 1, 1, 1), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), 0.5, torch.tensor([1, 0])),
        ),
        fresh=_random_batch,
        mistakes=(
            Mistake(
                "labels_not_mixed",
                lambda images, labels, share, partner: (mixup_batch(images, labels, share, partner)[0], labels),
                "The images are mixed, their labels are not. An image that is 30 % cat has a label that is 30 % cat.",
            ),
            Mistake(
                "shares_exchanged",
                lambda images, labels, share, partner: mixup_batch(images, labels, 1 - share, partner),
                "The shares are exchanged: `share` belongs to the image itself, 1 - share to its partner.",
            ),
            Mistake(
                "labels_exchanged",
                lambda images, labels, share, partner: (
                    mixup_batch(images, labels, share, partner)[0],
                    mixup_batch(images, labels, 1 - share, partner)[1],
                ),
                "Images and labels are mixed with opposite shares.",
            ),
            Mistake(
                "shares_not_one",
                lambda images, labels, share, partner: (
                    images + (1 - share) * images[partner],
                    labels + (1 - share) * labels[partner],
                ),
                "The two shares must add up to one: multiply the image itself by `share` as well.",
            ),
        ),
    ),
    Exercise(
        "cutmix_share",
        "02",
        "The label of a CutMix image",
        cutmix_share,
        cases=((0, 0, 2, 4, 4), (-1, -1, 2, 4, 4), (1, 3, 4, 4, 4), (5, 5, 2, 4, 4), (1, 6, 2, 4, 4), (5, 1, 2, 4, 4)),
        fresh=_random_box,
        mistakes=(
            Mistake(
                "not_clipped",
                lambda top, left, side, height, width: 1 - side * side / (height * width),
                "Part of the box may lie outside of the image: only what was really pasted counts.",
            ),
            Mistake(
                "pasted_share",
                lambda *box: 1 - cutmix_share(*box),
                "That is the pasted share. The question is which share of the label stays: 1 minus it.",
            ),
            Mistake(
                "one_side_only",
                lambda top, left, side, height, width: 1 - max(0, min(height, top + side) - max(0, top)) / height,
                "That is a share of the height. Use the share of the area.",
            ),
            Mistake(
                "upper_left_not_clipped",
                lambda top, left, side, height, width: (
                    1 - max(0, min(height, top + side) - top) * max(0, min(width, left + side) - left) / (height * width)
                ),
                "A box that begins above or left of the image is not clipped: its first row is max(0, top).",
            ),
        ),
    ),
    Exercise(
        "labels_needed",
        "02",
        "How many labels an accuracy is worth",
        labels_needed,
        cases=(
            ([1, 4], [0.2, 0.6], 0.4),
            ([1, 5, 20], [0.3, 0.5, 0.8], 0.5),
            ([1, 5, 20], [0.3, 0.5, 0.8], 0.9),
            ([2, 8], [0.3, 0.5], 0.1),
            ([1, 2, 4, 8, 32], [0.2, 0.3, 0.5, 0.6, 0.9], 0.55),
        ),
        fresh=_random_curve,
        mistakes=(
            Mistake(
                "not_logarithmic",
                lambda labels, accuracies, reached: _interpolated(labels, accuracies, reached, float, float),
                "You interpolate in the number of labels. Accuracy grows with its logarithm: interpolate in log2(labels).",
            ),
            Mistake(
                "next_larger",
                lambda labels, accuracies, reached: float(
                    next((n for n, a in zip(labels, accuracies, strict=True) if a >= reached), labels[-1])
                ),
                "You take the next measured point. Interpolate between it and the one before.",
            ),
            Mistake(
                "exponent_forgotten",
                lambda labels, accuracies, reached: _interpolated(labels, accuracies, reached, math.log2, float),
                "Your result is log2 of the number of labels. Turn it back: 2 ** result.",
            ),
        ),
    ),
    Exercise(
        "listing_transforms",
        "02",
        "Listing: what happens to a picture",
        listing_transforms,
        properties=(
            Property(
                "Pictures smaller than the crop work.", _small_pictures_work, "crop_without_resize", inspectors.small_pictures
            ),
            Property("Training and test see things at the same scale.", _same_scale, "scales_differ", inspectors.object_sizes),
            Property(
                "The test transform does not depend on chance.", _augments_training_only, "random_test", inspectors.passes
            ),
            Property("The training transform does.", _augments_training, "nothing_augmented", inspectors.passes),
        ),
    ),
    Exercise(
        "listing_model",
        "02",
        "Listing: the model",
        listing_model,
        properties=(
            Property(
                "The model is built without a warning.",
                _model_is_current,
                "pretrained_is_deprecated",
                inspectors.model_warnings,
            ),
            Property("It gives one logit per class.", _one_logit_per_class, "wrong_number_of_classes", inspectors.model_logits),
            Property("It is a ResNet-18.", _is_a_resnet, "another_model", inspectors.model_parameters),
            Property("The model is on the device.", _model_moved, "model_not_moved", inspectors.model_devices),
        ),
    ),
    Exercise(
        "listing_loader",
        "02",
        "Listing: the data loader",
        listing_loader,
        properties=(
            Property("Batches hold 64 items.", _batches_of_64, "batch_size", inspectors.loaders),
            Property("Pictures are read while the model trains.", _loads_in_parallel, "one_process", inspectors.loaders),
            Property("Only the training data are shuffled.", _shuffles_training, "shuffled_test", inspectors.loaders),
        ),
    ),
    Exercise(
        "listing_evaluate",
        "02",
        "Listing: the evaluation",
        listing_evaluate,
        properties=(
            Property("The images are on the model's device.", _batches_moved, "batch_not_moved", inspectors.evaluation),
            Property("The model is in evaluation mode.", _in_eval_mode, "training_mode", inspectors.evaluation),
            Property("No gradients are recorded.", _without_gradients, "gradients_recorded", inspectors.evaluation),
            Property(
                "Loss and accuracy are means over images, not over batches.",
                _mean_over_images,
                "batches_weigh_the_same",
                inspectors.evaluation,
            ),
        ),
    ),
    Exercise(
        "listing_schedule",
        "02",
        "Listing: the learning rate",
        listing_schedule,
        properties=(
            Property("The learning rate falls towards the end.", _rate_falls, "constant_rate", inspectors.rates),
            Property("It starts near the optimizer's own rate.", _rate_starts, "rate_too_small", inspectors.rates),
        ),
    ),
]
