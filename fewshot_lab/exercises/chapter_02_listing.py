"""Chapter 02: the repair of a printed training script, each part of which has planted defects."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import models, transforms

from ..languages import say
from . import inspectors
from .declare import exercise


@exercise("Listing: what happens to a picture")
def listing_transforms(size):
    train = transforms.Compose(
        [transforms.RandomResizedCrop(size, scale=(0.5, 1.0)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )
    test = transforms.Compose([transforms.Resize(size * 8 // 7), transforms.CenterCrop(size), transforms.ToTensor()])
    return train, test


@listing_transforms.property(
    "Pictures smaller than the crop work.", mistake="crop_without_resize", inspector=inspectors.small_pictures
)
def _small_pictures_work(shapes, generator):
    if isinstance(shapes, str):
        return say("A picture of 28 x 28 stops it ({seen}). Resize while cropping: RandomResizedCrop does both.", seen=shapes)
    for shape in shapes:
        if shape != (3, 32, 32):
            return say(
                "With size 32 a picture becomes {shape}; (3, 32, 32) is needed: use `size`, not a fixed 224.",
                shape=shape,
            )


@listing_transforms.property(
    "Training and test see things at the same scale.", mistake="scales_differ", inspector=inspectors.object_sizes
)
def _same_scale(sizes, generator):
    train, test = sizes
    if not 0.5 < train / max(test, 1e-6) < 2.2:
        return say(
            "The same object fills {train:.0%} of a training image and {test:.0%} of a test image. Both must be resized: "
            "training sees things at another scale than the test.",
            train=train,
            test=test,
        )


@listing_transforms.property(
    "The test transform does not depend on chance.", mistake="random_test", inspector=inspectors.passes
)
def _test_transform_is_fixed(differ, generator):
    if differ["test"]:
        return say("Two passes of the test transform differ. A test image must not be drawn at random.")


@listing_transforms.property("The training transform does.", mistake="nothing_augmented", inspector=inspectors.passes)
def _augments_training(differ, generator):
    if not differ["training"]:
        return say("Twenty passes of the training transform are all alike: nothing is augmented. Crop or flip at random.")


@exercise("Listing: the model")
def listing_model(classes, device):
    model = models.resnet18(weights=None)
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model.to(device)


@listing_model.property(
    "The model is built without a warning.", mistake="pretrained_is_deprecated", inspector=inspectors.model_warnings
)
def _no_deprecated_argument(warnings, generator):
    if any("pretrained" in words for words in warnings):
        return say("torchvision warns: `pretrained=` is deprecated since version 0.13. Say weights=None for random weights.")


@listing_model.property("It gives one logit per class.", mistake="wrong_number_of_classes", inspector=inspectors.model_logits)
def _one_logit_per_class(shape, generator):
    if shape != (2, 3):
        return say("For 2 pictures and 3 classes the logits have the shape {shape}; (2, 3) is needed.", shape=shape)


@listing_model.property("It is a ResNet-18.", mistake="another_model", inspector=inspectors.model_parameters)
def _is_a_resnet(parameters, generator):
    if parameters != 11_176_512 + 513 * 3:
        return say(
            "A ResNet-18 for 3 classes has 11178051 parameters, yours {parameters}. Take models.resnet18, replace its `fc`.",
            parameters=parameters,
        )


@listing_model.property("The model is on the device.", mistake="model_not_moved", inspector=inspectors.model_devices)
def _model_moved(devices, generator):
    if devices != ["meta"]:
        return say("The model stays on the device where it was built. Return model.to(device), or a GPU is never used.")


@exercise("Listing: the data loader")
def listing_loader(dataset, training):
    return DataLoader(dataset, batch_size=64, shuffle=training, num_workers=2)


@listing_loader.property("Batches hold 64 items.", mistake="batch_size", inspector=inspectors.loaders)
def _batches_of_64(seen, generator):
    if seen["batches"] != [64, 64]:
        return say("The batches for training and for the test hold {batches} items; 64 are asked for.", batches=seen["batches"])


@listing_loader.property("Pictures are read while the model trains.", mistake="one_process", inspector=inspectors.loaders)
def _loads_in_parallel(seen, generator):
    if seen["workers"] < 1:
        return say("num_workers is 0: the training waits while one process reads pictures. Give it two.")


@listing_loader.property("Only the training data are shuffled.", mistake="shuffled_test", inspector=inspectors.loaders)
def _shuffles_training(seen, generator):
    if seen["samplers"] != ["RandomSampler", "SequentialSampler"]:
        return say("Shuffle the training data, and only these: shuffle=training.")


@exercise("Listing: the evaluation")
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


@listing_evaluate.property("The images are on the model's device.", mistake="batch_not_moved", inspector=inspectors.evaluation)
def _batches_moved(seen, generator):
    if not seen["images sent"]:
        return say("The images are not moved to the model's device: images.to(device), and the labels too.")
    if not seen["labels sent"]:
        return say("The labels are not moved to the device on which the logits are: labels.to(device).")


@listing_evaluate.property("The model is in evaluation mode.", mistake="training_mode", inspector=inspectors.evaluation)
def _in_eval_mode(seen, generator):
    if seen["training"]:
        return say("The model is in training mode: batch norm uses the batch and dropout drops. Call model.eval() first.")


@listing_evaluate.property("No gradients are recorded.", mistake="gradients_recorded", inspector=inspectors.evaluation)
def _without_gradients(seen, generator):
    if seen["gradients"]:
        return say("Gradients are recorded while evaluating, which costs memory and time: use `with torch.no_grad():`.")


@listing_evaluate.property(
    "Loss and accuracy are means over images, not over batches.",
    mistake="batches_weigh_the_same",
    inspector=inspectors.evaluation,
)
def _mean_over_images(seen, generator):
    if not math.isclose(seen["accuracy"], 0.6, abs_tol=1e-4):
        return say(
            "The accuracy of 3 hits in a batch of 3 and none in one of 2 is 0.6; yours is {accuracy:.3f}.",
            accuracy=seen["accuracy"],
        )
    if not math.isclose(seen["loss"], inspectors.EVALUATION_LOSS, abs_tol=1e-4):
        return say(
            "Batches of 3 and 2 images: the mean loss over images is {loss:.3f}, yours {yours:.3f}. Weight each batch by its "
            "size; the last one is often smaller.",
            loss=inspectors.EVALUATION_LOSS,
            yours=seen["loss"],
        )


@exercise("Listing: the learning rate")
def listing_schedule(optimizer, steps):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


@listing_schedule.property("The learning rate falls towards the end.", mistake="constant_rate", inspector=inspectors.rates)
def _rate_falls(rates, generator):
    if rates[-1] > 0.1 * max(rates):
        return say(
            "The learning rate ends at {last:.3g} of {most:.3g}. Let it fall towards 0, for example by a cosine.",
            last=rates[-1],
            most=max(rates),
        )


@listing_schedule.property("It starts near the optimizer's own rate.", mistake="rate_too_small", inspector=inspectors.rates)
def _rate_starts(rates, generator):
    if max(rates[:25]) < 0.05:
        return say("The learning rate never comes near the optimizer's 0.1 (at most {most:.3g}).", most=max(rates[:25]))
