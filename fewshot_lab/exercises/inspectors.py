"""Inspectors, and the functions that some exercises hand over as arguments. Imports nothing of ours: the sandbox runs it too.

An inspector calls the learner's function and returns what it saw as plain numbers, words and tensors. The grader runs it in
the sandbox beside the function and judges outside what it returns.
"""

import functools
import math
import string
import warnings
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Noise:
    """A change for `replayed_copies` that adds uniform noise from 0 to `scale`."""

    scale: float

    def __call__(self, images, generator):
        return images + self.scale * torch.rand(images.shape, generator=generator)


@dataclass(frozen=True)
class Shuffled:
    """A change for `replayed_copies` that puts the columns into another order and keeps the type of the pixels."""

    def __call__(self, images, generator):
        return images[..., torch.randperm(images.shape[-1], generator=generator)]


@dataclass(frozen=True)
class Bent:
    """A loss for attacks: a curved function of the pixels, drawn from `seed`. The first pixel has no gradient."""

    seed: int

    def __call__(self, images):
        mask = torch.ones(images.shape[1:])
        mask[0, 0, 0] = 0
        images = images * mask
        generator = torch.Generator().manual_seed(self.seed)
        slopes, phases = torch.randn(2, *images.shape[1:], generator=generator)
        return (slopes * (3 * (images - 0.5) + phases).sin()).sum() + 0.3 * (images.flatten(1).sum(dim=1) ** 2).sin().sum()


@dataclass(frozen=True)
class Exclamations:
    """A change for `augmented_set`: appends exclamation marks, so that some copies are alike or unchanged.

    `held` copies in a row have the same number, which then grows by one, modulo `period`.
    """

    period: int
    held: int = 1

    def __call__(self, text: str, r: int) -> str:
        return text + "!" * ((r // self.held + 1) % self.period)

    def __repr__(self) -> str:
        return "a change of which r = 0, 1, 2, 3 make " + ", ".join(repr(self("a dog", r)) for r in range(4)) + " of 'a dog'"


THINGS = (Noise, Shuffled, Bent, Exclamations)  # what the wire to the sandbox may carry


# Chapter 02: the parts of a training script


def _square_picture(side):
    """A black picture with a white square in the middle, half as wide as the picture."""
    from PIL import Image

    picture = Image.new("RGB", (side, side))
    picture.paste((255, 255, 255), (side // 4, side // 4, side - side // 4, side - side // 4))
    return picture


def small_pictures(function):
    """The shapes that the transforms of size 32 make of a picture of 28 x 28, or the text of the ValueError that stops them."""
    try:
        return [tuple(transform(_square_picture(28)).shape) for transform in function(32)]
    except ValueError as error:
        return str(error)


def object_sizes(function):
    """The share of an image that the same object fills: the mean of 30 training images, and that of a test image."""
    train, test = function(32)
    return [torch.stack([transform(_square_picture(120)) for _ in range(30)]).mean().item() for transform in (train, test)]


def passes(function):
    """Whether results for one picture differ: of 20 passes through the training transform, of 2 through the test transform."""
    picture = _square_picture(40)
    picture.paste((255, 0, 0), (0, 0, 10, 30))
    train, test = function(32)
    images = {"training": [train(picture) for _ in range(20)], "test": [test(picture) for _ in range(2)]}
    return {name: any(not torch.equal(several[0], image) for image in several) for name, several in images.items()}


def model_warnings(function):
    """The texts of the warnings while the model is built."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(3, "cpu")
    return [str(warning.message) for warning in caught]


def model_logits(function):
    """The shape of the logits for 2 pictures and 3 classes."""
    return tuple(_quietly(function, 3, "cpu").eval()(torch.zeros(2, 3, 32, 32)).shape)


def model_devices(function):
    """The devices of the parameters of a model for the device "meta"."""
    return sorted({parameter.device.type for parameter in _quietly(function, 3, "meta").parameters()})


def model_parameters(function):
    """The number of parameters of a model for 3 classes."""
    return sum(parameter.numel() for parameter in _quietly(function, 3, "meta").parameters())


def _quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


def loaders(function):
    """The number of workers of the training loader; the batch sizes and the samplers of both loaders, training first."""
    from torch.utils.data import TensorDataset

    ten = TensorDataset(torch.arange(10.0)[:, None], torch.arange(10))
    both = [function(ten, training) for training in (True, False)]
    samplers = [type(loader.sampler).__name__ for loader in both]
    return {"workers": both[0].num_workers, "batches": [loader.batch_size for loader in both], "samplers": samplers}


class _WatchedModel(nn.Module):
    """A model that records in which mode it was called; its logits for image x are (x, 0)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.modes, self.gradients = [], []

    def forward(self, images):
        self.modes.append(self.training)
        self.gradients.append(torch.is_grad_enabled() and not torch.is_inference_mode_enabled())
        first = self.weight * images.flatten(1)[:, :1]
        return _watched(torch.cat([first, torch.zeros_like(first)], dim=1), "logits")


class _Watched(torch.Tensor):
    """A part of a batch that records its moves to a device."""

    sent: list[str] = []

    def to(self, *arguments, **names):
        _Watched.sent.append(getattr(self, "part", ""))
        return self.as_subclass(torch.Tensor).to(*arguments, **names)

    def cpu(self):
        return self.to("cpu")


def _watched(tensor, part):
    tensor = tensor.as_subclass(_Watched)
    tensor.part = part
    return tensor


def evaluation(function):
    """How a model was evaluated on a batch of 3 hits and one of 2 misses, and the loss and accuracy that came out."""
    model = _WatchedModel().train()
    _Watched.sent.clear()
    batches = [
        (torch.tensor([[4.0], [4.0], [-4.0]]), torch.tensor([0, 0, 1])),
        (torch.tensor([[4.0], [-4.0]]), torch.tensor([1, 0])),
    ]
    watched = [(_watched(images, "images"), _watched(labels, "labels")) for images, labels in batches]
    loss, accuracy = function(model, watched, "cpu")
    sent = {part for part in ("images", "labels", "logits") if _Watched.sent.count(part) >= len(batches)}
    seen = {"training": any(model.modes), "gradients": any(model.gradients), "images sent": "images" in sent}
    seen["labels sent"] = bool(sent & {"labels", "logits"})  # moving the logits to the labels' device will do too
    return seen | {"loss": float(loss), "accuracy": float(accuracy)}


EVALUATION_LOSS = (3 * math.log1p(math.exp(-4)) + 2 * math.log1p(math.exp(4))) / 5  # the mean over the images of `evaluation`


def rates(function):
    """The learning rate of each of 50 steps under the schedule of an optimizer with rate 0.1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule, rates = function(optimizer, 50), []
    for _ in range(50):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates


# Chapter 04: on which device new tensors are made


def similarities_elsewhere(function):
    """The text of the error that tensors on two devices raise, "" when there is none."""
    return _device_error(function)


def loss_elsewhere(function):
    """The same for a function that takes a temperature too."""
    return _device_error(function, 0.5)


def _device_error(function, *more) -> str:
    """Tries the device "meta", which every machine has."""
    try:
        function(torch.empty(4, 3, device="meta"), *more)
    except (RuntimeError, NotImplementedError) as error:
        # A meta tensor holds no numbers, which stops some right answers too: only an error about two devices counts.
        return str(error) if "expected device" in str(error) or "same device" in str(error) else ""
    return ""


# Chapter 10: the parts of a script that trains a tagger

WORDS = [["jane", "doe", "met", "bo"], ["so", "a", "new", "york", "bank", "said"]]
TAGS = [["B-PER", "I-PER", "O", "B-PER"], ["O", "O", "B-LOC", "I-LOC", "O", "O"]]
CONLL_TYPES = ("LOC", "MISC", "ORG", "PER")
CONLL_TAGS = {tag: n for n, tag in enumerate(["O", *(f"{edge}-{kind}" for kind in CONLL_TYPES for edge in "BI")])}
SMALL_BERT = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@functools.cache
def small_tokenizer():
    """A BERT tokenizer whose pieces are single letters: it needs no file, and it splits every longer word."""
    from transformers import BertTokenizer

    letters = string.ascii_lowercase
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})


def tagged_items(function):
    """The data set's length, what is in its items, and the pieces of each sentence; or the text of a NameError."""
    sentences, tags = [*WORDS, ["amsterdam"] * 4], [*TAGS, ["B-LOC"] * 4]  # the third has more than 32 pieces
    try:
        items = function(small_tokenizer(), sentences, tags, CONLL_TAGS)
    except NameError as error:
        return str(error)
    seen = {"count": len(items), "shapes": [_shapes(items[row]) for row in range(len(sentences))]}
    for part in ("input_ids", "labels"):
        seen[part] = [torch.as_tensor(items[row][part]).tolist() for row in range(len(sentences))]
    return seen | {"pieces": [small_tokenizer()(words, is_split_into_words=True)["input_ids"] for words in sentences]}


def _shapes(item):
    """The shapes of an item's two parts; the type's name of a part that is no tensor."""
    parts = [item["input_ids"], item["labels"]]
    return [tuple(part.shape) if isinstance(part, torch.Tensor) else type(part).__name__ for part in parts]


def network_error(function):
    """The text of the ImportError that stops the network, "" when there is none."""
    return _import_error(function, SMALL_BERT, CONLL_TAGS, "cpu")


def tag_logits(function):
    """The shape of the logits for three pieces."""
    return tuple(function(SMALL_BERT, CONLL_TAGS, "cpu")(torch.tensor([[2, 5, 3]])).logits.shape)


def network_hidden_size(function):
    """The hidden size of the network."""
    return function(SMALL_BERT, CONLL_TAGS, "cpu").config.hidden_size


def network_devices(function):
    """The devices of the parameters of a network for the device "meta"."""
    return sorted({parameter.device.type for parameter in function(SMALL_BERT, CONLL_TAGS, "meta").parameters()})


def optimizer_seen(function):
    """The optimizer's class, how many of a model's two parameters it has, and its rates; or the text of an ImportError."""
    if error := _import_error(function, nn.Linear(2, 2)):
        return error
    optimizer = function(nn.Linear(2, 2))
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    return {
        "class": type(optimizer).__name__,
        "torch": isinstance(optimizer, torch.optim.AdamW),
        "count": count,
        "rates": rates,
    }


def score_of_sentences(function):
    """The score of the right tags, or the text of the ValueError that a list of sentences raises."""
    try:
        return float(function(TAGS, TAGS))
    except ValueError as error:
        return str(error).partition(".")[0]


def _import_error(function, *arguments) -> str:
    """The text of an ImportError without the path of the library's file, "" when there is none."""
    try:
        function(*arguments)
    except ImportError as error:
        return str(error).partition(" (")[0]
    return ""
