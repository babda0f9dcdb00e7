"""The last section of every chapter: its question, asked of your own data, or of a small example where no folder is named.

Each takes a second or two on the example. Where a pretrained network would help and its asset is there, your own data get it.
"""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from .. import figures
from ..assets import installed
from ..augment import geometry
from ..augment.text import edit_text
from ..data import ImageTask, load
from ..data.conll import Sentence
from ..data.glosses import FIVE, TextTask
from ..data.glosses import task as glosses_task
from ..data.own_images import my_images
from ..data.own_sentences import words_of
from ..data.own_texts import my_texts
from ..data.synonyms import Thesaurus
from ..html import table
from ..languages import say
from ..methods.linear_probe import fit_probabilities
from ..methods.prototypes import prototype_rule
from ..methods.supervised import fit_classifier
from ..methods.tagging import predict_tags
from ..methods.text_augmentation import flip_rate
from ..training import Arms
from . import features, trying, worth
from .measures import learning_curve, reliability, share_of, shots_for, tested, too_few
from .section import Section, features_section, growth_section, policy_section
from .tagged import names as entities

EXAMPLE = 20  # pictures or texts of each class in the example
EXAMPLES = "example/"  # begins the names of the examples' tasks: no folder or file of yours is called so
SEEDS = range(3)


def images(folder: str | Path | None = None, **options) -> ImageTask:
    """Your pictures (see `lab.my_images`), or 200 handwritten digits that are written into a folder and read from it."""
    if folder:
        return my_images(folder, **options)
    from PIL import Image

    task = load("digits")
    with tempfile.TemporaryDirectory() as place:
        for label, name in enumerate(task.classes):
            of_class = Path(place, "digits", name)
            of_class.mkdir(parents=True)
            for row in (task.train_labels == label).nonzero()[:EXAMPLE, 0].tolist():
                Image.fromarray(task.train_images[row, 0].numpy()).save(of_class / f"{row}.png")
        return replace(my_images(Path(place, "digits"), size=16), name=f"{EXAMPLES}digits")


def texts(file: str | Path | None = None, **options) -> TextTask:
    """Your texts (see `lab.my_texts`), or 300 glosses that are written into a table and read from it."""
    if file:
        return my_texts(file, **options)
    import csv

    task = glosses_task(FIVE)
    with tempfile.TemporaryDirectory() as place:
        with open(Path(place, "glosses.csv"), "w", newline="", encoding="utf-8") as table_file:
            rows = csv.writer(table_file)
            rows.writerow(["text", "label"])
            for label, name in enumerate(task.classes):
                of_class = (task.train_labels == label).nonzero()[: 3 * EXAMPLE, 0].tolist()
                rows.writerows([task.train_texts[row], name] for row in of_class)
        return replace(my_texts(Path(place, "glosses.csv")), name=f"{EXAMPLES}glosses")


def _is_example(task: ImageTask | TextTask) -> bool:
    return task.name.startswith(EXAMPLES)


def _kinds(task: ImageTask) -> features.Kinds:
    """The features by which chapters judge pictures: pixels, and a pretrained network's where it is and the data are yours."""
    return features.of_images(task, pretrained=not _is_example(task) and installed("efficientnet-lite0"))


def _judge(task: ImageTask) -> tuple[features.Kinds, str]:
    """The kinds of features, and the one that is best on validation."""
    kinds = _kinds(task)
    return kinds, features.best_on_validation(kinds, SEEDS)


def turns(task: ImageTask) -> Section:
    """Chapter 01: which elements of D4 keep the class of your pictures, as a reader of upright pictures sees it."""
    kinds, best = _judge(task)
    known = kinds.tasks[best]
    reader = fit_probabilities(known.train_images, known.train_labels, known.train_images)
    upright = reader(known.test_images).argmax(1) == task.test_labels
    kept = {}
    for element in geometry.D4[1:]:
        turned = geometry.d4_apply(task.test_images[upright], element)
        right = reader(kinds.embed[best](turned)).argmax(1) == task.test_labels[upright]
        kept[_name(element)] = share_of(right) if len(right) else None
    question = say("Which turns and flips keep the class of your pictures?")
    if too_few(task) or None in kept.values():
        return Section(question, too_few(task))
    most = max(kept, key=lambda name: kept[name].mean)
    answer = say(
        "The reader, trained on upright pictures, still names {share} of the pictures after {name}, the most. Where few "
        "keep their class, the label is gone or the reader has not seen such a change: look at some before you augment.",
        share=kept[most].short(),
        name=most,
    )
    picture = figures.bars(
        kept,
        title=say("The most pictures keep their class under: {most}", most=most),
        x=say("share of the correctly classified test pictures"),
        caption=say("A linear probe on {kind}; intervals over test pictures.", kind=say(best)),
    )
    return Section(question, answer, (picture,))


def _name(element: tuple[int, bool]) -> str:
    quarter, flipped = element
    if not quarter:
        return say("flip")
    return say("flip, turn {angle}°", angle=90 * quarter) if flipped else say("turn {angle}°", angle=90 * quarter)


def policy(task: ImageTask) -> Section:
    """Chapter 02: how many labels the best of a few policies is worth on your pictures, for a linear probe on their pixels."""
    found = None if too_few(task) else worth.of_policies_by_probe(task, seeds=SEEDS)
    return policy_section(found, task, say("A linear probe on pixels; a network may profit more."))


def edits(task: TextTask) -> Section:
    """Chapter 03: which text edits change the label of your texts, as a judge sees it that was trained on them."""
    kinds = features.of_texts(task, pretrained=not _is_example(task) and installed("minilm"))
    kind = list(kinds.tasks)[-1]
    known = kinds.tasks[kind]
    judge = kinds.fit(known.train_images, known.train_labels, known.train_images)
    before = judge(known.test_images).argmax(1)
    rows, shares = [], {}
    for edit in worth.EDITS:
        synonyms = Thesaurus() if edit == "synonyms" else {}
        changed = [edit_text(text, edit, 0.2, synonyms, random.Random(text)) for text in task.test_texts]
        share, low, high = flip_rate(before, judge(kinds.embed[kind](changed)).argmax(1), task.test_labels)
        shares[say(edit)] = share
        rows.append((say(edit), f"{share:.2f} [{low:.2f}, {high:.2f}]", changed[0][:80]))
    question = say("Which edits change the label of your texts?")
    answer = too_few(known) or say(
        "Of the texts that a judge ({kind}) classifies correctly, {edit} of a fifth of the words makes it name another class "
        "most often: for {share:.0%}. It has errors of its own: read some before you augment.",
        edit=max(shares, key=shares.__getitem__),
        share=max(shares.values()),
        kind=say(kind),
    )
    return Section(question, answer, (table([say("edit"), say("share that flips"), say("such as")], rows, numbers=(1,)),))


def which_features(task: ImageTask) -> Section:
    """Chapter 04: which features suit your pictures, by linear probes."""
    kinds = features.of_images(task, pretrained=installed("efficientnet-lite0"))
    shots, best = shots_for(task), features.best_on_validation(kinds, SEEDS)
    curves = learning_curve(kinds.tasks, shots=shots, seeds=SEEDS)
    return features_section(kinds, curves, best, shots, too_few(task))


def from_few(task: ImageTask, shots: int = 5) -> Section:
    """Chapter 05: how well your pictures are classified by prototypes from a few of each class."""
    kinds, best = _judge(task)
    known = kinds.tasks[best]
    shots = min(shots, shots_for(task)[-1])
    rows = []
    for seed in SEEDS:
        z, _ = known.draw(shots, seed)
        support = z.unflatten(0, (len(task.classes), shots))[None]
        logits = prototype_rule(support, known.test_images[None])[0]
        rows.append({"seed": seed} | tested(logits, known))
    names = [f"{task.classes[answer]} ({task.classes[label]})" for answer, label in _three(logits, task.test_labels)]
    found = Arms({"prototypes": rows}, unit="accuracy").interval("prototypes").within(0, 1)
    answer = too_few(task) or say(
        "From {k} pictures of each class, prototypes on {kind} classify {share} of the others correctly; chance is "
        "{chance:.2f}. Three of them are called, with your label behind: {names}.",
        k=shots,
        kind=say(best),
        share=found.short(),
        chance=1 / len(task.classes),
        names=", ".join(names),
    )
    return Section(say("How well are your pictures classified from a few of each class?"), answer)


def _three(logits: torch.Tensor, labels: torch.Tensor) -> list[tuple[int, int]]:
    """(answer, label) of three test pictures, always the same ones."""
    rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:3]
    return list(zip(logits[rows].argmax(1).tolist(), labels[rows].tolist(), strict=True))


def temperature(task: ImageTask) -> Section:
    """Chapter 06: the temperature at which your classifier's soft answers can be believed (Guo et al. 2017, ICML)."""
    kinds, best = _judge(task)
    known = kinds.tasks[best]
    classify = fit_probabilities(known.train_images, known.train_labels, known.train_images)
    logits = {part: classify(getattr(known, f"{part}_images")).clamp_min(1e-9).log() for part in ("validation", "test")}
    grid = [0.1 * 1.15**n for n in range(40)]
    at = min(grid, key=lambda T: F.cross_entropy(logits["validation"] / T, known.validation_labels).item())
    before, after = (reliability((logits["test"] / T).softmax(1), known.test_labels, known.test_pictures) for T in (1.0, at))
    answer = too_few(task) or say(
        "At temperature {T:.2f}, chosen on validation, the mean confidence on the test is {after:.2f} ({before:.2f} at "
        "temperature 1), and {accuracy} of the answers are correct. Above 1 the classifier was too sure of itself, below 1 not "
        "sure enough.",
        T=at,
        after=after.confidence,
        before=before.confidence,
        accuracy=after.accuracy.short(),
    )
    return Section(say("Can the confidence of a classifier of your data be believed?"), answer)


def robustness(task: ImageTask, epsilons=(2 / 255, 8 / 255, 16 / 255)) -> Section:
    """Chapter 07: how many of your pictures a small network classifies correctly when an attack may change every pixel."""
    from ..methods.attacks import survives

    small = features.shrunk(task).capped(100)
    model = fit_classifier(small, steps=60)
    clean, shown = small.test_images.float() / 255, []
    for epsilon in (0.0, *epsilons):
        options = {"epsilon": epsilon, "steps": 5, "step_size": max(epsilon / 3, 1e-6)}
        right = survives(model, clean, small.test_labels, **options)
        shown.append((f"{255 * epsilon:.0f} / 255", share_of(right)))
    answer = too_few(task) or say(
        "A small network classifies {clean} of your test pictures correctly, and {attacked} when an attack may change every "
        "pixel by {epsilon}. Train against attacks where somebody may want to fool you.",
        clean=shown[0][1].short(),
        attacked=shown[-1][1].short(),
        epsilon=shown[-1][0],
    )
    heads = [say("change of a pixel"), say("classified correctly")]
    rows = [(name, share.short()) for name, share in shown]
    return Section(say("How easily is a network for your pictures fooled?"), answer, (table(heads, rows, numbers=(1,)),))


def generated(task: ImageTask) -> Section:
    """Chapter 08: whether pictures drawn from a Gaussian of each class help a probe on pixels that has only a few real ones."""
    pixels = task.with_images(features.pixels)
    shots, rows = min(5, shots_for(task)[-1]), {"real": [], "real and generated": []}
    for seed in SEEDS:
        z, labels = pixels.draw(shots, seed)
        generator = torch.Generator().manual_seed(seed)
        mean = z.unflatten(0, (len(task.classes), shots)).mean(1)[labels]
        spread = (z - mean).std(0, correction=1).clamp_min(1e-3)  # one for all classes: a few pictures have none of their own
        drawn = mean + spread * torch.randn(z.shape, generator=generator)
        for name, some in (("real", z), ("real and generated", torch.cat([z, drawn]))):
            repeats = len(some) // len(z)
            classify = fit_probabilities(some, labels.repeat(repeats), pixels.train_images, 1 / repeats)
            rows[name].append({"seed": seed} | tested(classify(pixels.test_images), pixels))
    arms = Arms(rows, unit="accuracy")
    gain = arms.gain("real and generated", over="real")
    low, high = gain.limits
    told = say("help") if low > 0 else say("harm") if high < 0 else say("cannot be told from nothing")
    answer = too_few(task) or say(
        "With {k} real pictures of each class accuracy is {real}; as many that a Gaussian of each class draws {told}: {gain}.",
        k=shots,
        real=arms.interval("real").within(0, 1).short(),
        told=told,
        gain=gain.short(signed=True),
    )
    return Section(say("Do generated pictures help on your data?"), answer)


def prompted(task: TextTask, tokenizer, model, template: str, most: int = 12) -> Section:
    """Chapter 09: how well a language model classifies your texts when it is asked for the names of your classes.

    Args:
        task: your texts; the classes' names should say what they are.
        tokenizer, model: a causal language model.
        template: holds {x} once.
        most: test texts that are asked about.
    """
    from ..methods.prompts import continuation_scores, mean_logit_calibration

    rows = torch.randperm(len(task.test_texts), generator=torch.Generator().manual_seed(0))[:most]
    asked, labels = [task.test_texts[row] for row in rows], task.test_labels[rows]
    scores = continuation_scores(tokenizer, model, asked, template, list(task.classes))
    raw, calibrated = (share_of(some.argmax(1) == labels) for some in (scores, mean_logit_calibration(scores, scores)))
    answer = say(
        "Asked for the names of the classes, the model classifies {raw} of {n} test texts correctly, and {calibrated} when "
        "each name's mean score over these texts is taken off; chance is {chance:.2f}. So few texts tell little.",
        raw=raw.short(),
        n=len(labels),
        calibrated=calibrated.short(),
        chance=1 / len(task.classes),
    )
    return Section(say("What does a language model know about your texts without a label?"), answer)


def whole(folder: str | Path | None = None) -> Section | trying.Tried:
    """Chapter 11: all that `fewshot-lab try` says about your data; of the example, how far a classifier can be trusted."""
    if folder:
        return trying.try_data(folder, out="")
    task = images()
    kinds = _kinds(task)
    known = kinds.any
    curves = learning_curve(kinds.tasks, shots=shots_for(task), seeds=SEEDS)
    more = growth_section(curves, features.PIXELS, too_few(task))
    classify = fit_probabilities(known.train_images, known.train_labels, known.train_images)
    trust = reliability(classify(known.test_images), known.test_labels, known.test_pictures)
    return Section(say("What do the course's methods say about your data?"), f"{trust} {more.answer}")


def tags(texts: Sequence[str], tagger, tokenizer, names: Sequence[str]) -> Section:
    """Chapter 10: the entities that a trained tagger finds in your sentences.

    Args:
        texts: sentences, in words as you would write them.
        tagger, tokenizer: of chapter 10.
        names: all tags of its task.
    """
    sentences = [Sentence.untagged(words_of(text)) for text in texts]
    found = predict_tags(tagger, tokenizer, sentences, names)
    rows = [(text, entities(s.words, of)) for text, s, of in zip(texts, sentences, found, strict=True)]
    answer = "; ".join(of for _, of in rows)
    return Section(say("Which entities are in your sentences?"), answer, (table([say("sentence"), say("tagger")], rows),))
