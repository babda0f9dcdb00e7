"""Inspectors, and the functions that some exercises hand over as arguments. Imports nothing of ours: the sandbox runs it too.

An inspector `inspector(run, generator)` is the grader's own: it draws what the learner's function gets and measures what comes
back. `run(inside, *arguments)` is the value of `inside(function, *arguments)`, computed in the function's process: a function
of this module that hands over what cannot travel, such as a model, and returns plain numbers, words and tensors. A submission
can change all that happens in its process. So what `inside` says of a function (its mode, its device) only gives a mistake its
name; what earns a point is a result on `drawn` arguments that equals the reference's.
"""

import contextlib
import functools
import math
import numbers
import string
import unittest.mock
import warnings
from dataclasses import dataclass

import numpy as np
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

    `held` copies in a row have the same number, which begins with `first` and then grows by one, modulo `period`.
    """

    period: int
    held: int = 1
    first: int = 1

    def __call__(self, text: str, r: int) -> str:
        return text + "!" * ((r // self.held + self.first) % self.period)

    def __repr__(self) -> str:
        return "a change of which r = 0, 1, 2, 3 make " + ", ".join(repr(self("a dog", r)) for r in range(4)) + " of 'a dog'"


THINGS = (Noise, Shuffled, Bent, Exclamations)  # what the wire to the sandbox may carry


def run_here(function):
    """The `run` of a function in this process."""
    return lambda inside, *arguments: inside(function, *arguments)


def said_by(inside):
    """The inspector that believes what `inside` says, which must not be all that an exercise's points depend on."""

    @functools.wraps(inside)
    def inspector(run, generator):
        return run(inside)

    return inspector


def drawn(inside, draw):
    """An inspector on arguments that are drawn outside: (what came back, `inside` with these arguments for the reference).

    draw(generator): the arguments of `inside` after the function.
    """

    def inspector(run, generator):
        arguments = draw(generator)
        return run(inside, *arguments), lambda reference: inside(reference, *arguments)

    return inspector


def a_seed(generator):
    return int(torch.randint(2**40, (), generator=generator))


def _redrawn(model, seed):
    """The model in evaluation mode with other weights, which follow from the seed and the order of its parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.1 * noise if weight.ndim == 1 else noise / math.sqrt(weight[0].numel()))
    return model.eval()


# Chapter 02: the parts of a training script


def _square_picture(width, height):
    """A black picture with a white square in the middle, half as wide as the shorter side."""
    from PIL import Image

    picture, half = Image.new("RGB", (width, height)), min(width, height) // 4
    picture.paste((255, 255, 255), (width // 2 - half, height // 2 - half, width // 2 + half, height // 2 + half))
    return picture


def _transformed(function, size, pictures, times):
    """Of both transforms, for each picture (H, W, 3): `times` images in a stack, or the name of what else it becomes.

    Or the text of the ValueError that stops them.
    """
    from PIL import Image

    def seen(transform, picture):
        images = [transform(Image.fromarray(picture.numpy())) for _ in range(times)]
        strange = [type(image).__name__ for image in images if not isinstance(image, torch.Tensor)]
        return strange[0] if strange else torch.stack([image.as_subclass(torch.Tensor) for image in images])

    try:
        return [[seen(transform, picture) for picture in pictures] for transform in function(size)]
    except ValueError as error:
        return str(error)


def _all_transformed(run, size, pictures, times):
    """The stacks of `_transformed` as floats; raises a ValueError where there are none."""
    seen = run(_transformed, size, [torch.from_numpy(np.array(picture)) for picture in pictures], times)
    if isinstance(seen, str):
        raise ValueError(seen)
    train, test = ([stack.float() for stack in stacks] for stacks in seen)
    return train, test


def picture_shapes(run, generator):
    """What the transforms of size 32 make of pictures of 28 x 28 and of 56 x 40: (shape, type of number), or what else it is.

    Or the text of the ValueError that stops them.
    """
    pictures = [torch.from_numpy(np.array(_square_picture(*sides))) for sides in ((28, 28), (56, 40))]
    seen = run(_transformed, 32, pictures, 1)
    if isinstance(seen, str):
        return seen
    train, test = seen
    return [
        (one, "") if isinstance(one, str) else (tuple(one.shape[1:]), str(one.dtype).removeprefix("torch."))
        for one in (*train, *test)
    ]


GREYS = 4


def picture_scales(run, generator):
    """What both transforms do to pictures of 160 x 80, over 30 passes of each.

    share: how much of the image an object fills that is half as wide and high as the shorter side; above 1, it is larger than
    the image. aspect: its width over its height. Both follow from how broad stripes of 10 pixels become, which tells the scale
    wherever a crop lies and whatever happens to colours. range: from black to white, those of an all black and an all white
    picture. greys: where grey pictures, drawn from the generator, lie between these two, and drawn: where they should.
    """
    greys = torch.randint(60, 200, (GREYS,), generator=generator).tolist()
    pictures = [np.full((80, 160, 3), level, np.uint8) for level in (0, 255, *greys)]
    stripes = [np.where(places // 10 % 2, 64, 192).astype(np.uint8) for places in np.mgrid[:80, :160]]
    pictures += [np.repeat(grey[..., None], 3, axis=2) for grey in stripes]
    seen = []
    for dark, light, *grey, below, beside in _all_transformed(run, 32, pictures, 30):
        span = (light.mean() - dark.mean()).item()
        width, height = (40 / 10 * _breadth(stripes) / 32 for stripes in (beside, below.mT))
        seen.append({"share": width * height, "aspect": width / height, "range": span})
        seen[-1]["greys"] = [((one.mean() - dark.mean()) / (span or 1)).item() for one in grey]
        seen[-1]["drawn"] = [level / 255 for level in greys]
    return seen


def _breadth(images):
    """How many pixels stripes are broad that stand side by side in images (passes, 3, rows, columns): the median over passes.

    A stripe counts between two edges in a row. Where no row shows two, it is as broad as the image at least.
    """
    grey = images.mean(dim=1)
    light = grey > (grey.amax(dim=(1, 2), keepdim=True) + grey.amin(dim=(1, 2), keepdim=True)) / 2
    edges = light[..., 1:] != light[..., :-1]
    places = torch.arange(edges.shape[-1], dtype=torch.float)
    first, last = places.where(edges, torch.inf).amin(dim=-1), places.where(edges, -torch.inf).amax(dim=-1)
    whole = (edges.sum(dim=-1) - 1).clamp(min=0)  # stripes in each row
    breadths = (last - first).where(whole > 0, 0).sum(dim=1) / whole.sum(dim=1)
    return breadths.nan_to_num(images.shape[-1]).median().item()


def passes(run, generator):
    """What differs between 80 passes of one picture, whose upper half is lighter and whose left half is redder.

    training, test: whether passes differ. moved: whether the training passes show other sections of it. upside_down: the share
    of them with the light half below. mirrored: of those that show where it is redder, the share with this to the right.
    """
    from PIL import Image

    picture = Image.new("RGB", (40, 40), (40, 40, 40))
    picture.paste((200, 200, 200), (0, 0, 40, 18))
    picture.paste((255, 60, 60), (0, 18, 15, 40))
    images = dict(zip(("training", "test"), (stack for [stack] in _all_transformed(run, 32, [picture], 80)), strict=True))
    seen = {name: any(not torch.equal(several[0], image) for image in several) for name, several in images.items()}
    grey = images["training"].mean(dim=1)
    light = (grey > grey.mean(dim=(1, 2), keepdim=True)).float().mean(dim=(1, 2))
    seen["moved"] = light.std().item() > 0.005
    seen["upside_down"] = (grey[:, :16].mean(dim=(1, 2)) < grey[:, 16:].mean(dim=(1, 2))).float().mean().item()
    red = images["training"][:, 0] - images["training"][:, 1:].mean(dim=1)
    to_the_left = red[..., :16].mean(dim=(1, 2)) - red[..., 16:].mean(dim=(1, 2))
    shown = to_the_left.abs() > 0.1 * (red.amax() - red.amin())
    seen["mirrored"] = (to_the_left[shown] < 0).float().mean().item() if shown.sum() > 20 else 0.5
    return seen


def model_warnings(function):
    """The texts of the warnings while the model is built, and whether it asks for weights that were trained before."""
    asked = []
    with warnings.catch_warnings(record=True) as caught, _no_download(asked):
        warnings.simplefilter("always")
        function(3, "cpu")
    return {"warnings": [str(warning.message) for warning in caught], "asked": bool(asked)}


@contextlib.contextmanager
def _no_download(asked):
    """Gives random weights to a model that asks for trained ones, which are 45 MB away, and notes in `asked` that it did."""
    from torchvision.models import WeightsEnum, resnet18

    def instead(weights, *arguments, **names):
        asked.append(weights)
        return resnet18(weights=None).state_dict()

    with unittest.mock.patch.object(WeightsEnum, "get_state_dict", instead):
        yield


def model_logits(function):
    """The shape of the logits for 2 pictures and 3 classes, and whether the last layer is linear, as no softmax or ReLU is."""
    model = _quietly(function, 3, "cpu").eval()
    one = 10 * torch.randn(1, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shape = tuple(model(torch.zeros(2, 3, 32, 32)).shape)
        middle, ends = model.fc(0 * one), (model.fc(one) + model.fc(-one)) / 2
    return {"shape": shape, "linear": middle.shape == ends.shape and torch.allclose(middle, ends, atol=1e-4)}


def model_weights(function):
    """Whether two models have different first filters, whether one's are constant, and whether all weights can be trained."""
    one, other = (_quietly(function, 3, "cpu") for _ in range(2))
    filters = [next(model.parameters()).detach() for model in (one, other)]
    seen = {"differ": not torch.equal(*filters), "constant": bool((filters[0] == filters[0].flatten()[0]).all())}
    return seen | {"trained": all(weight.requires_grad for weight in one.parameters())}


def model_devices(function):
    """The devices of the parameters of a model for the device "meta"."""
    return sorted({parameter.device.type for parameter in _quietly(function, 3, "meta").parameters()})


def model_parameters(function):
    """The number of parameters of a model for 3 classes."""
    return sum(parameter.numel() for parameter in _quietly(function, 3, "meta").parameters())


def _model_redrawn(function, seed, images):
    """The logits of a model for 3 classes whose weights are drawn anew, and the gradient of their sum towards the first ones.

    A model that is not on the CPU or has frozen weights gives None instead of the gradient.
    """
    model = _redrawn(_quietly(function, 3, "cpu"), seed)
    logits, first = model(images), next(model.parameters())
    return logits.detach(), torch.autograd.grad(logits.sum(), first)[0] if first.requires_grad else None


model_drawn = drawn(_model_redrawn, lambda generator: (a_seed(generator), torch.rand(2, 3, 32, 32, generator=generator)))


def _quietly(function, *arguments):
    with warnings.catch_warnings(), _no_download([]):
        warnings.simplefilter("ignore")
        return function(*arguments)


def loaders(function):
    """Of both loaders, training first: the workers, and the rows of the batches in two passes over 150 items.

    The rows are read from the loader's sampler: to read the items themselves would start its processes.
    """
    from torch.utils.data import TensorDataset

    items = TensorDataset(torch.arange(150.0)[:, None], torch.arange(150))
    both = [function(items, training) for training in (True, False)]
    return {
        "workers": [loader.num_workers for loader in both],
        "rows": [[[list(batch) for batch in loader.batch_sampler] for _ in range(2)] for loader in both],
        "count": [len(loader.dataset) for loader in both],
    }


def _items_loaded(function, images, labels):
    """Of both loaders, training first: the batches of two passes over a data set of these images and labels."""
    from torch.utils.data import TensorDataset

    seen = []
    for training in (True, False):
        loader = function(TensorDataset(images, labels), training)
        if isinstance(loader, torch.utils.data.DataLoader):  # no processes: they take a second to start
            loader.num_workers = 0
        seen.append([[tuple(batch) for batch in loader] for _ in range(2)])
    return seen


def items_loaded(run, generator):
    """Of both loaders, training first: the rows of two passes over 150 drawn items; -1 for what is none of them.

    And the sizes of the batches: {"rows", "sizes"}, each [[pass, pass], [pass, pass]].
    """
    images = torch.rand(150, 2, generator=generator)
    labels = torch.randperm(1000, generator=generator)[:150]
    row_of = {(*image, label): row for row, (image, label) in enumerate(zip(images.tolist(), labels.tolist(), strict=True))}

    def rows(batches):
        items = [zip(x.tolist(), y.tolist(), strict=True) for x, y in batches]
        return [row_of.get((*image, label), -1) for batch in items for image, label in batch]

    seen = run(_items_loaded, images, labels)
    return {
        "rows": [[rows(one) for one in passes] for passes in seen],
        "sizes": [[[len(y) for _, y in one] for one in passes] for passes in seen],
    }


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


class _Loader(list):
    """Batches with the data set's length, as a DataLoader has them."""

    dataset = range(5)
    batch_size = 3


def evaluation(function):
    """How a model was evaluated on a batch of 3 hits and one of 2 misses, and the loss and accuracy that came out."""
    model = _WatchedModel().train()
    _Watched.sent.clear()
    batches = [
        (torch.tensor([[4.0], [4.0], [-4.0]]), torch.tensor([0, 0, 1])),
        (torch.tensor([[4.0], [-4.0]]), torch.tensor([1, 0])),
    ]
    watched = _Loader((_watched(images, "images"), _watched(labels, "labels")) for images, labels in batches)
    loss, accuracy = function(model, watched, "cpu")
    sent = {part for part in ("images", "labels", "logits") if _Watched.sent.count(part) >= len(batches)}
    seen = {"training": any(model.modes), "gradients": any(model.gradients), "images sent": "images" in sent}
    seen["labels sent"] = bool(sent & {"labels", "logits"})  # moving the logits to the labels' device will do too
    return seen | {"loss": float(loss), "accuracy": float(accuracy)}


class _Elsewhere(torch.Tensor):
    """A batch of which the numbers are others until it is moved to a device."""

    def to(self, *arguments, **names):
        return self.moved

    def cpu(self):
        return self.moved

    @classmethod
    def holding(cls, moved):
        tensor = moved.flip(0, -1).as_subclass(cls)
        tensor.moved = moved
        return tensor


class _FickleModel(nn.Module):
    """Images (n, 4) to logits (n, 3); other ones in training mode, and where gradients are recorded."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), _Thinned(), nn.Tanh(), nn.Linear(6, 3))

    def forward(self, images):
        logits = 2 * self.layers(images)
        return -logits if torch.is_grad_enabled() and not torch.is_inference_mode_enabled() else logits


def _evaluated(function, seed, images, labels):
    """The loss and accuracy of a model whose weights follow from the seed, on batches of 5, 4 and 2 of these images."""
    with torch.random.fork_rng(devices=[]):
        model = _redrawn(_FickleModel(), seed).train()
    sizes = (5, 4, 2)
    batches = zip(images.split(sizes), labels.split(sizes), strict=True)
    loss, accuracy = function(model, _Loader((_Elsewhere.holding(x), y) for x, y in batches), "cpu")
    return float(loss), float(accuracy)


def _pictures_to_judge(generator):
    images, labels = torch.randn(11, 4, generator=generator), torch.randint(3, (11,), generator=generator)
    return a_seed(generator), images, labels


evaluation_drawn = drawn(_evaluated, _pictures_to_judge)
EVALUATION_LOSSES = (math.log1p(math.exp(-4)), math.log1p(math.exp(4)))  # of an image in the two batches of `evaluation`
EVALUATION_LOSS = (3 * EVALUATION_LOSSES[0] + 2 * EVALUATION_LOSSES[1]) / 5  # the mean over the images


def rates(run, generator):
    """The learning rates under the schedule of an optimizer with rate 0.1, for 50, 173 and drawn steps; or an error's text."""
    lengths = (50, 173, int(torch.randint(60, 400, (), generator=generator)))
    seen = [run(_rates, steps) for steps in lengths]
    if any(len(one) != steps for one, steps in zip(seen, lengths, strict=True) if not isinstance(one, str)):
        raise ValueError("there are rates for another number of steps")
    return seen


def _rates(function, steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule, rates = function(optimizer, steps), []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        try:
            schedule.step()
        except TypeError as error:  # ReduceLROnPlateau wants a metric
            return str(error)
    return rates


# Chapter 03: lists that must be new


def given_list_returned(function):
    """Whether words that all stay, one or two of them, come back in the very list that was given."""
    given = [["dog"], ["a", "dog"]]
    return any(function(words, [0.9] * len(words), 0.1) is words for words in given)


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

WORDS = [["jane", "doe", "met", "bo"], ["so", "a", "u.s.", "york", "bank", "said"]]
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


def _items(function, sentences, tags):
    """The data set's length, what is in its items; or the text of a NameError."""
    try:
        items = function(small_tokenizer(), sentences, tags, CONLL_TAGS)
    except NameError as error:
        return str(error)
    seen = {"count": len(items), "shapes": [_shapes(items[row]) for row in range(len(sentences))]}
    for part in ("input_ids", "labels"):
        seen[part] = [torch.as_tensor(items[row][part]).tolist() for row in range(len(sentences))]
    return seen


def tagged_items(run, generator):
    """What `_items` sees of three sentences, and the pieces of each."""
    sentences, tags = [*WORDS, ["amsterdam"] * 4], [*TAGS, ["B-LOC"] * 4]  # the third has more than 32 pieces
    seen = run(_items, sentences, tags)
    if isinstance(seen, str):
        return seen
    return seen | {"pieces": [small_tokenizer()(words, is_split_into_words=True)["input_ids"] for words in sentences]}


def _draw_sentences(generator):
    """Four sentences of at most 6 words of at most 5 letters, and tags."""

    def number(most):
        return int(torch.randint(1, most + 1, (), generator=generator))

    sentences = [["".join(chr(96 + number(26)) for _ in range(number(5))) for _ in range(number(6))] for _ in range(4)]
    return sentences, [draw_tags(len(words), generator) for words in sentences]


def draw_tags(count, generator):
    """Tags of a sentence, whose names begin with B-."""
    tags = []
    for start, kind in torch.randint(4, (count, 2), generator=generator).tolist():
        goes_on = start == 1 and tags and tags[-1] != "O"
        tags.append("O" if start == 0 else f"I-{tags[-1][2:]}" if goes_on else f"B-{CONLL_TYPES[kind]}")
    return tags


items_drawn = drawn(_items, _draw_sentences)


def _shapes(item):
    """The shapes of an item's two parts; the type's name of a part that is no tensor."""
    parts = [item["input_ids"], item["labels"]]
    return [tuple(part.shape) if isinstance(part, torch.Tensor) else type(part).__name__ for part in parts]


def network_error(function):
    """The text of the ImportError that stops the network, "" when there is none."""
    return _import_error(function, SMALL_BERT, CONLL_TAGS, "cpu")


def tag_logits(function):
    """The shapes of the logits for three pieces, with nine tags and with three."""
    pieces = torch.tensor([[2, 5, 3]])
    few = {"O": 0, "B-PER": 1, "I-PER": 2}
    return [tuple(function(SMALL_BERT, tags, "cpu")(pieces).logits.shape) for tags in (CONLL_TAGS, few)]


def network_hidden_size(function):
    """The hidden size of the network."""
    return function(SMALL_BERT, CONLL_TAGS, "cpu").config.hidden_size


def network_devices(function):
    """The devices of the parameters of a network for the device "meta"."""
    return sorted({parameter.device.type for parameter in function(SMALL_BERT, CONLL_TAGS, "meta").parameters()})


def _network_redrawn(function, seed, pieces):
    """The logits (n, T, 9) of a small network whose weights are drawn anew."""
    with torch.no_grad():
        return _redrawn(function(SMALL_BERT, CONLL_TAGS, "cpu"), seed)(pieces).logits


network_drawn = drawn(
    _network_redrawn, lambda generator: (a_seed(generator), torch.randint(5, 60, (2, 7), generator=generator))
)


def _optimized(function, gradients):
    """Where weights of 0 are after a step with these gradients (2, 6), in millionths."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    optimizer = function(model)
    for layer, gradient in zip(model, gradients, strict=True):
        layer.weight.grad, layer.bias.grad = gradient[:4].view(2, 2).clone(), gradient[4:].clone()
    optimizer.step()
    return 1e6 * _row(model.parameters())


def _gradients_drawn(generator):
    return (torch.randn(2, 6, generator=generator),)


optimizer_drawn = drawn(_optimized, _gradients_drawn)


def optimizer_seen(function):
    """The optimizer's class, how many of a model's four parameters it has, and its rates; or the text of an ImportError."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    if error := _import_error(function, model):
        return error
    optimizer = function(model)
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


# Chapters 02, 04, 07, 08 and 10: one step of a training

SEEDS = (3, 4)  # of the two worlds in which mistakes get their names
_GAME_SEEDS = (20, 30)
_GAMES = ((2, 4, 2, 6), (3, 2, 3, 5))  # classes, noise, side, images


class _Thinned(nn.Module):
    """Dropout that drops the same features every time: passes in training mode agree, those in evaluation mode differ."""

    def forward(self, features):
        return 1.5 * features * (torch.arange(features.shape[-1]) % 3 > 0) if self.training else features


class _SmallNet(nn.Module):
    """Images (n, 2, 2, 3) to outputs (n, 3)."""

    def __init__(self, normed):
        super().__init__()
        # Without running statistics: a pass more, to tell the clean loss for instance, is no mistake.
        middle = [nn.BatchNorm1d(7, track_running_stats=False), _Thinned()] if normed else []
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), *middle, nn.Tanh(), nn.Linear(7, 3))

    def forward(self, images):
        return self.layers(images)


class _SmallGenerator(nn.Module):
    """Noise (n, noise) and classes (n, classes), one-hot, to images (n, 1, side, side)."""

    def __init__(self, classes, noise, side):
        super().__init__()
        self.classes, self.noise = classes, noise
        self.layers = nn.Sequential(
            *(nn.Linear(noise + classes, 6), nn.BatchNorm1d(6), nn.LeakyReLU(0.2)),
            *(nn.Linear(6, side * side), nn.Sigmoid(), nn.Unflatten(1, (1, side, side))),
        )

    def forward(self, z, y):
        return self.layers(torch.cat([z, y], dim=1))


class _SmallDiscriminator(nn.Module):
    """Images (n, 1, side, side) and class numbers (n,) to scores (n,)."""

    def __init__(self, classes, side):
        super().__init__()
        self.phi = nn.Sequential(nn.Flatten(), nn.Linear(side * side, 7), nn.LeakyReLU(0.2), _Thinned())
        self.v, self.V = nn.Linear(7, 1), nn.Linear(7, classes, bias=False)

    def forward(self, x, y):
        phi = self.phi(x)
        return self.v(phi)[:, 0] + (phi * self.V.weight[y]).sum(dim=1)


class _SmallTagger(nn.Module):
    """Ids of pieces (n, T), 0 for padding, to logits (n, T, tags); a piece sees its sentence's mean. Embeddings are frozen."""

    def __init__(self, ids, tags):
        super().__init__()
        self.embeddings, self.hidden = nn.Embedding(ids, 6).requires_grad_(False), nn.Linear(12, 8)
        self.thinned, self.head = _Thinned(), nn.Linear(8, tags)

    def forward(self, tokens):
        real = (tokens != 0)[..., None].float()
        h = self.embeddings(tokens) * real
        mean = h.sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
        return self.head(self.thinned(self.hidden(torch.cat([h, mean.expand_as(h)], dim=2)).tanh()))


class _Change:
    """An augmentation that changes a batch in another way at every call, and keeps what it was given and what it made of it."""

    def __init__(self, count):
        self.count, self.given, self.made = count, [], None

    def __call__(self, images):
        self.count += 1
        self.given.append(tuple(images.shape))
        changed = (0.6 * images + 0.3 * self.count).roll(self.count, dims=-1)
        self.made = changed.detach().clone()
        return changed


class _Views:
    """An `augment` that adds noise: the j-th view of an image is the same in whichever order and batches views are drawn."""

    def __init__(self, images, generator):
        self.images, self.drawn, self.strangers = images, [0] * len(images), 0
        self.noise = 0.4 * torch.randn(4, *images.shape, generator=generator)

    def __call__(self, images):
        if images.ndim != 4:
            raise ValueError(f"augment takes images (n, C, H, W), not {tuple(images.shape)}")
        return torch.stack([self._view(image) for image in images])

    def _view(self, image):
        for row, own in enumerate(self.images):
            if _same(own, image.detach()):
                self.drawn[row] += 1
                return image + self.noise[min(self.drawn[row], 3) - 1, row]
        self.strangers += 1
        return image + self.noise[3, (self.strangers - 1) % len(self.images)]


class _Attack:
    """A careless attack: it leaves gradients in the weights, and its result holds the graph. It restores the model's modes."""

    def __init__(self):
        self.met = None  # the weights, images and labels of its last call

    def __call__(self, model, images, labels):
        self.met = _row(model.parameters()), images.detach().clone(), labels.clone()
        modes, passes = [part.training for part in model.modules()], len(model.passes)
        model.eval()
        with torch.enable_grad():
            x = images.detach().clone().requires_grad_()
            loss = nn.functional.cross_entropy(model(x), labels)
            gradient = torch.autograd.grad(loss, x, create_graph=True)[0]
            loss.backward(retain_graph=True)
            moved = (x + 0.3 * (20 * gradient).tanh()).clamp(0, 1)
        for part, training in zip(model.modules(), modes, strict=True):
            part.training = training
        del model.passes[passes:]  # its own are none of the step
        return moved


def training_steps(function, seeds=SEEDS):
    """What three steps on augmented images do in two worlds, see `_steps`. given: the shapes that `augment` got in each.

    shown: "augmented", "given" or "other" for every batch that the network saw.
    """

    def batches(model, generator):
        for step, (images, labels) in enumerate(_pictures(generator)):
            change = _Change(step)

            def seen(images=images, change=change):
                shown = [_origin(batch, change.made, images) for _, (batch,) in model.passes]
                return {"given": change.given, "shown": shown}

            yield (images, labels, change), seen

    return [_steps(function, *_one_net(normed, seed), batches) for normed, seed in zip((False, True), seeds, strict=True)]


def simclr_steps(function, seeds=SEEDS):
    """What three steps of SimCLR do in two worlds, see `_steps`; drawn: how often each image was augmented in each step.

    strangers: of how many images something was augmented that is none of them.
    """

    def batches(model, generator, temperature):
        for images, _ in _pictures(generator):
            augment = _Views(images, generator)
            given = images, augment, temperature
            yield given, lambda augment=augment: {"drawn": augment.drawn, "strangers": augment.strangers}

    worlds = zip((False, True), (0.7, 0.2), seeds, strict=True)
    return [_steps(function, *_one_net(n, seed), functools.partial(batches, temperature=t)) for n, t, seed in worlds]


def adversarial_steps(function, seeds=SEEDS):
    """What three steps on attacked images do in two worlds, see `_steps`; attacked: whether `attack` was called in each.

    as_it_is: whether it was last called with the weights from before the step. right_batch: and with images and labels as they
    came.
    """

    def batches(model, generator):
        for images, labels in _pictures(generator):
            attack, wanted = _Attack(), (_row(model.parameters()), images, labels)

            def seen(attack=attack, wanted=wanted):
                same = [_same(*pair) for pair in zip(wanted, attack.met or (), strict=False)] or [False] * 3
                return {"attacked": attack.met is not None, "as_it_is": same[0], "right_batch": all(same[1:])}

            yield (images, labels, attack), seen

    return [_steps(function, *_one_net(normed, seed), batches) for normed, seed in zip((False, True), seeds, strict=True)]


def discriminator_steps(function, seeds=_GAME_SEEDS):
    """What three steps of the discriminator do in two games, see `_played`."""
    return [_played(function, "discriminator", seed, *game) for seed, game in zip(seeds, _GAMES, strict=True)]


def generator_steps(function, seeds=_GAME_SEEDS):
    """What three steps of the generator do in two games, see `_played`."""
    return [_played(function, "generator", seed, *game) for seed, game in zip(seeds, _GAMES, strict=True)]


def _played(function, player, seed, classes, noise, side, count):
    """What three steps of a player do, see `_steps`. noise: whether the generator ever got the noise that was handed over."""
    generator = torch.Generator().manual_seed(seed)
    G = _with_weights(generator, _SmallGenerator, classes, noise, side)
    D = _with_weights(generator, _SmallDiscriminator, classes, side)

    def batches(G, D, generator):
        for _ in range(3):
            real = torch.rand(count, 1, side, side, generator=generator)
            labels = torch.randint(classes, (count,), generator=generator)
            z = torch.randn(count, noise, generator=generator)
            given = (real, labels, z) if player == "discriminator" else (labels, z)
            yield given, lambda z=z: {"noise": any(_same(z, one) for _, (one, *_) in G.passes)}

    return _steps(function, (G, D), (D if player == "discriminator" else G).parameters(), generator, batches)


def tagger_steps(function, seeds=(3, 3)):
    """What three steps do to two taggers, see `_steps`; the first one's gradients are longer than 1, the second's shorter."""
    worlds = []
    for scale, seed in zip((1.3, 0.15), seeds, strict=True):
        generator = torch.Generator().manual_seed(seed)
        tagger = _with_weights(generator, _SmallTagger, 12, 4)
        with torch.no_grad():
            for weight in tagger.parameters():
                weight.mul_(scale)
        held = [weight for weight in tagger.parameters() if weight.requires_grad]
        worlds.append(_steps(function, [tagger], held, generator, _sentences))
    return worlds


def _sentences(tagger, generator):
    for lengths in ((8, 3), (4, 7, 3), (6, 6)):  # pieces of each sentence, [CLS] and [SEP] among them
        tokens = torch.zeros(len(lengths), max(lengths) + 1, dtype=torch.long)
        labels = torch.full_like(tokens, -100)
        for row, length in enumerate(lengths):
            tokens[row, :length] = torch.randint(1, 12, (length,), generator=generator)
            labels[row, 1 : length - 1] = torch.randint(4, (length - 2,), generator=generator)
        labels[0, 2] = -100  # a later piece of its word
        yield (tokens, labels), dict


def _pictures(generator):
    """Three batches of images (n, 2, 2, 3) with labels (n,) of three classes."""
    for count in (5, 4, 6):
        yield torch.rand(count, 2, 2, 3, generator=generator), torch.randint(3, (count,), generator=generator)


def _one_net(normed, seed):
    """A plain network, all of which learns; or one with batch norm and dropout, whose last layer learns alone.

    Returns ([network], weights for the optimizer, generator).
    """
    generator = torch.Generator().manual_seed(seed)
    model = _with_weights(generator, _SmallNet, normed)
    return [model], (model.layers[-1] if normed else model).parameters(), generator


def _with_weights(generator, network, *arguments):
    """A network of this class whose weights come from the generator; the global one stays where it was."""
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights, which are replaced
        made = network(*arguments)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return made


_SEED = 20_041


def _steps(function, networks, held, generator, batches):
    """What three steps do to networks in training mode; the optimizer, with momentum, holds the weights `held`.

    `batches(*networks, generator)` yields a step's arguments after the networks and the optimizer, and a function that tells
    what else it saw as a dictionary. The second and the third step find gradients that are not theirs.

    Of each step a list. weights, gradients: of all networks in a row, 0 where there is no gradient. left: whether a held weight
    has a gradient other than 0. leaked: whether those of other weights changed. losses: what was returned, see `_number`. And
    what `batches` saw.
    Of all steps. before: the weights before the first. own: which of them are held. reached: "no" where no gradient ever came
    to these, even if it was cleared again, "0" where each was 0, else "yes". training: whether every pass was in training mode.
    data, settings: whether arguments, modes, requires_grad and the optimizer's settings stayed. reseeded: whether torch's seed
    was set.
    """
    held, weights = list(held), [weight for network in networks for weight in network.parameters()]
    own = torch.cat([torch.full((w.numel(),), any(w is one for one in held)) for w in weights])
    optimizer, reached = torch.optim.SGD(held, lr=0.4, momentum=0.8), []
    for network in networks:
        network.register_forward_pre_hook(lambda seen, inputs: seen.passes.append((seen.training, [*map(_copy, inputs)])))
        network.passes = []  # of this step: its mode, and what it was shown
        network.train()
    for weight in held:
        weight.register_hook(lambda gradient: reached.append(bool(gradient.any())))
    of_steps, settings = {}, _settings(networks, optimizer)
    seen = {"before": _row(weights), "own": own, "training": True, "data": True, "settings": True}
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        for number, (given, others) in enumerate(batches(*networks, generator)):
            for network in networks:
                network.train()
                network.passes.clear()
            for weight in weights if number else ():
                if weight.requires_grad:
                    weight.grad = torch.full_like(weight, 0.3)
            copies, left = [*map(_copy, given)], _gradients(weights)
            value = function(*networks, optimizer, *copies)
            gradients = _gradients(weights)
            strange = gradients[~own]
            step = {"weights": _row(weights), "gradients": gradients, "left": bool(gradients[own].any())}
            # To clear the others' gradients does no harm.
            step |= {"leaked": bool((strange != left[~own]).any() and strange.any()), "losses": _number(value)} | others()
            for name, one in step.items():
                of_steps.setdefault(name, []).append(one)
            seen["training"] &= all(training for network in networks for training, _ in network.passes)
            seen["data"] &= all(_same(*pair) for pair in zip(given, copies, strict=True) if isinstance(pair[0], torch.Tensor))
            seen["settings"] &= _settings(networks, optimizer) == settings
        seen["reseeded"] = torch.initial_seed() != _SEED
    return seen | of_steps | {"reached": "no" if not reached else "yes" if any(reached) else "0"}


def _row(weights):
    """All weights in a row."""
    return torch.cat([weight.detach().flatten() for weight in weights])


def _gradients(weights):
    """All their gradients in a row, 0 where there is none."""
    return _row([torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights])


def _copy(value):
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def _same(before, after):
    """Whether a tensor is another one, and asks for no gradient."""
    return before.shape == after.shape and bool((before == after).all()) and not after.requires_grad


def _settings(networks, optimizer):
    """The mode of every part, whether each weight may learn, and the optimizer's numbers."""
    modes = [part.training for network in networks for part in network.modules()]
    learn = [weight.requires_grad for network in networks for weight in network.parameters()]
    return (
        modes,
        learn,
        [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups],
    )


def _origin(batch, made, given):
    """Whether a batch is what the augmentation made last, what the function was given, or something else."""
    return next((name for name, one in (("augmented", made), ("given", given)) if _same_images(batch, one)), "other")


def _same_images(batch, other):
    """Whether two batches hold the same images, in whatever order: the mean loss does not depend on it."""
    if other is None or batch.shape != other.shape:
        return False
    one, two = (images[images.flatten(1)[:, 0].argsort()] for images in (batch.float(), other.float()))
    return torch.allclose(one, two, atol=1e-5)


def _number(value):
    """What a step returned: its kind and its number. The kind is "" for a number, and "graph" for one that holds its graph."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return "graph" if value.requires_grad else "", float(value.detach())
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return "", float(value)
    return type(value).__name__, 0.0


@contextlib.contextmanager
def _one_thread():
    """Networks this small only wait for a second thread, on a busy machine for seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
