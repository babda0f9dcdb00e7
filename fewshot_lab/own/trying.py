"""`fewshot-lab try`: what the course's methods say about your pictures, texts or tagged sentences, as a page."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from markupsafe import Markup

from .. import figures
from ..data import ImageTask, own_images, own_sentences, own_texts
from ..data.own import existing, readable
from ..errors import CourseError
from ..files import write_atomically
from ..html import render, table
from ..languages import language, later, say
from ..training import progress_bar
from . import features, worth
from .measures import growth, learning_curve, out_of_fold, planted_found, reliability, shots_for, suspects, too_few
from .section import Section

SIZE = 128  # pixels a side at which pictures are read
MOST = 1500  # pictures in all: more would take longer than three minutes on two cores
MOST_CLASSES = 100  # of pictures
LISTED = 12  # suspicious or surest examples that are shown
SEEDS = range(5)
COLUMNS, OBJECTS = {".csv", ".tsv"}, {".json", ".jsonl", ".ndjson"}  # of files: tables, and what may hold texts or sentences


@dataclass(frozen=True)
class Tried:
    """What was found: the report of what was read, the sections, and where the page is."""

    name: str
    report: str
    sections: tuple[Section, ...]
    seconds: float
    page: Path | None = None

    def __str__(self) -> str:
        return "\n".join([self.report, *(f"\n{section.question}\n  {section.answer}" for section in self.sections)])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        html = Markup("").join(section._repr_mimebundle_()["text/html"] for section in self.sections)
        return {"text/html": html, "text/plain": str(self)}

    def as_page(self) -> str:
        """The page as HTML, whole in itself."""
        return render("own", language=language(), title=f"{self.name}: Few-Shot Lab", tried=self)


def try_data(
    path: str | Path, *, kind: str = "auto", classify: Sequence[str] = (), out: str | Path | None = None, **options
) -> Tried:
    """Measures on your own data which augmentation and features help, what more labels would bring, and what is suspicious.

    Args:
        path: of a folder or file, as `lab.my_images`, `lab.my_texts` and `lab.my_sentences` take it.
        kind: "images", "texts", "sentences", or "auto", which looks at what is there.
        classify: pictures (paths) or texts that are to be classified besides.
        out: folder of the page; None: `runs/try/<time>`, or no page for "".
        **options: of the function that reads the data.

    Raises CourseError, which says what to do, for data that cannot be tried.
    """
    began = time.perf_counter()
    path = existing(path, want="a folder of pictures, a table of texts or a file of tagged sentences")
    kind = kind_of(path, options.get("encoding")) if kind == "auto" else kind
    if kind not in _OF_KIND:
        raise CourseError(f"kind is {kind!r}; choose one of {', '.join(_OF_KIND)} or auto.")
    if wrong := set(options) - _OPTIONS[kind]:
        takes = ", ".join(sorted(_OPTIONS[kind])) or "none"
        raise CourseError(f"{kind} take no {', '.join(sorted(wrong))}; their options are {takes}.")
    target = Path("runs", "try", time.strftime("%Y-%m-%d_%H-%M-%S")) if out is None else Path(out) if out != "" else None
    if target is not None and path.is_dir() and target.resolve().is_relative_to(path.resolve()):
        raise CourseError(f"The page would be written into your data, {readable(path)}. Choose another folder with --out.")
    name, report, sections = _OF_KIND[kind](path, classify, options)
    tried = Tried(name, report, tuple(sections), time.perf_counter() - began, target and target / "index.html")
    if tried.page:
        write_atomically(tried.page, tried.as_page())
    return tried


def kind_of(path: Path, encoding: str | None = None) -> str:
    """What a path holds, in a file of that encoding: "images", "texts" or "sentences"."""
    if path.is_dir():
        below = [p.suffix.lower() for _, p in zip(range(2000), path.rglob("*"), strict=False) if p.is_file()]
        if below and below.count(".txt") > len(below) / 2 and any(p.is_dir() for p in path.iterdir()):
            return "texts"
        named = {p.name for p in path.iterdir()}
        return "sentences" if any(n.endswith((".conll", ".bio")) or n.startswith("eng.") for n in named) else "images"
    if path.suffix.lower() in COLUMNS:
        return "texts"
    return "sentences" if path.suffix.lower() not in OBJECTS or own_sentences.holds_tags(path, encoding) else "texts"


def _images(path: Path, classify: Sequence[str], options: dict) -> tuple[str, str, list[Section]]:
    bar = lambda files: progress_bar(files, later("pictures"))  # noqa: E731
    most = None if "most_per_class" in options else MOST
    read = own_images.read_images(path, size=SIZE, most=most, most_classes=MOST_CLASSES, progress=bar, **options)
    task = read.task()
    # Before anything is measured: a mistyped path is told at once.
    asked = [own_images.read_picture(picture, size=SIZE, colour=task.train_images.shape[1] == 3) for picture in classify]
    kinds = features.of_images(task)
    sections, best = _common(kinds, [read.files[row] for part in features.PARTS for row in read.rows(part).tolist()], task)
    measured = worth.of_policies(features.shrunk(task), seeds=SEEDS) if not too_few(task) else None
    sections.insert(1, _policy_section(measured, task, say("A small network, trained from nothing on your pictures.")))
    if classify:
        embed = features.lite0 if best == features.LITE0 else features.pixels
        sections.append(_classified(kinds, best, embed(torch.stack(asked)), [readable(Path(p).name) for p in classify]))
    return read.name, read.report(), sections


def _texts(path: Path, classify: Sequence[str], options: dict) -> tuple[str, str, list[Section]]:
    from ..assets import installed
    from ..data.synonyms import Thesaurus

    read = own_texts.read_texts(path, **options)
    task = read.task()
    kinds, embed = features.of_texts(task)
    names = [text for part in features.PARTS for text in getattr(task, f"{part}_texts")]
    sections, best = _common(kinds, names, None)
    english = sum(text.isascii() for text in names) > len(names) / 2
    edits = [edit for edit in worth.EDITS if edit != "synonyms" or english and installed("wordnet")]
    measured = None
    if not too_few(kinds.any):
        synonyms = Thesaurus() if "synonyms" in edits else {}
        measured = worth.of_edits(task, kinds.tasks[best], embed[best], edits, seeds=SEEDS, synonyms=synonyms)
    about = say("A linear probe on {kind}, with {n} changed copies of each text.", kind=say(best), n=worth.COPIES)
    sections.insert(1, _policy_section(measured, kinds.any, about))
    if classify:
        sections.append(_classified(kinds, best, embed[best](list(classify)), list(classify)))
    return read.name, read.report(), sections


def _common(kinds: features.Kinds, names: Sequence[str], pictures: ImageTask | None) -> tuple[list[Section], str]:
    """What is asked of pictures and texts alike; also the kind of features that is best on validation."""
    task, few = kinds.any, too_few(kinds.any)
    shots = shots_for(task)
    on_validation = {name: of_kind.on_validation() for name, of_kind in kinds.tasks.items()}
    choosing = learning_curve(on_validation, shots=shots[-1:], seeds=SEEDS, fit=kinds.fit)
    best = max(kinds.tasks, key=lambda name: choosing.mean(name, shots[-1]))
    curves = learning_curve(kinds.tasks, shots=shots, seeds=SEEDS, fit=kinds.fit)
    final = kinds.fit(kinds.tasks[best].train_images, task.train_labels, kinds.tasks[best].train_images)
    trust = reliability(final(kinds.tasks[best].test_images), task.test_labels, task.test_pictures)
    sections = [
        _features_section(kinds, curves, best, shots, few),
        _growth_section(curves, best, few),
        _suspects_section(kinds, best, names, pictures),
        Section(say("How far can a classifier of your data be trusted?"), few and f"{trust} {few}" or str(trust)),
    ]
    return sections, best


def _features_section(kinds, curves, best: str, shots: list[int], few: str) -> Section:
    k = shots[-1]
    answer = say("{best}, chosen on validation: {accuracy} on the test, at {k} labels per class.", best=say(best), k=k,
                 accuracy=curves.interval(best, k).within(0, 1).short())  # fmt: skip
    for other in (name for name in kinds.tasks if name != best):
        gain = curves.gain(best, k, over=other)
        words = (
            say("That is {gain} more than with {other}.", gain=gain.short(signed=True), other=say(other))
            if gain.limits[0] > 0
            else say("Too few to tell it from {other}: {gain}.", gain=gain.short(signed=True), other=say(other))
        )
        answer = f"{answer} {words}"
    picture = figures.curves(
        {name: curves.curve(name) for name in kinds.tasks},
        title=f"{best}: accuracy {curves.mean(best, k):.2f} at {k} labels per class",
        x="labels per class",
        y="test accuracy",
        caption=say("Linear probes on five draws of the labels; bands are 95 % intervals over draws and test examples."),
        log_x=True,
        ticks=shots,
    )
    return Section(say("Which features?"), " ".join(filter(None, [answer, *kinds.missing, few])), (picture.as_html(),))


def _growth_section(curves, best: str, few: str) -> Section:
    question = say("How many more labels would bring how much?")
    if few or len(curves.curve(best)[0]) < 2:
        return Section(question, few or say("Too few to tell: one label per class makes no curve."))
    found = growth(curves, best)
    told = {"before": found.before, "after": found.after, "gain": found.gain.short(signed=True)}
    answer = say("From {before} to {after} labels per class accuracy changed by {gain}.", **told)
    if found.gain.limits[0] <= 0 <= found.gain.limits[1]:
        answer = f"{answer} {say('Too few to tell that from no change.')}"
    if found.predicted is None:
        more = say("No forecast is made: no law fits the curve well enough to be carried on.")
    else:
        told = {"accuracy": found.predicted, "k": 2 * found.after}
        more = say("A power law that foretold the last point gives {accuracy:.2f} at {k}: a forecast, no measurement.", **told)
    return Section(question, f"{answer} {more}")


def _policy_section(found: worth.Worth | None, task, about: str) -> Section:
    question = say("Which augmentation is worth how many labels?")
    if found is None:
        return Section(question, too_few(task))
    rows = [(str(say(name)), estimate.within(0, 1).short()) for name, estimate in found.validation.items()]
    shown = table([say("policy"), say("accuracy on validation")], rows, numbers=(1,))
    points = found.curves.curve("none")
    picture = figures.curves(
        {"none": points, found.chosen: found.curves.curve(found.chosen)},
        title=f"{found.chosen}: one label is worth {found.rate.short()}",
        x="labels per class",
        y="test accuracy",
        caption=say("The exchange rate is read off along the curve without the policy. {about}", about=about),
        log_x=True,
        ticks=points[0],
    )
    return Section(question, str(found), (picture.as_html(), shown))


def _suspects_section(kinds, best: str, names: Sequence[str], pictures: ImageTask | None) -> Section:
    task = kinds.tasks[best]
    z, labels, groups = features.everything(task)
    probabilities = out_of_fold(z, labels, groups, len(task.classes), fit=kinds.fit)
    rows = suspects(probabilities, labels)
    recall, listed = planted_found(z, labels, groups, len(task.classes), fit=kinds.fit)
    answer = say("{n} of {all} examples.", n=len(rows), all=len(labels))
    if recall.n:
        known = say("Of {n} labels made wrong on purpose such a list of {listed} held {recall}.", n=recall.n, listed=listed,
                    recall=recall.short())  # fmt: skip
        answer = f"{answer} {known}"
    surest, answers = (values[rows[:LISTED]] for values in probabilities.max(1))
    shown = [
        (f"{number}: {names[row][:80]}", task.classes[labels[row]], task.classes[int(answer)], f"{float(sure):.2f}")
        for number, (row, answer, sure) in enumerate(zip(rows[:LISTED].tolist(), answers, surest, strict=True), 1)
    ]
    parts = []
    if pictures is not None and len(rows):
        images = torch.cat([getattr(pictures, f"{part}_images") for part in features.PARTS])[rows[:LISTED]]
        parts.append(
            figures.images(
                images,
                [str(number) for number in range(1, len(images) + 1)],  # names may be in a script that the font lacks
                columns=6,
                title="Probably mislabelled, or hard",
                caption=say("Their labels stand in the table, with what a classifier says that did not learn from them."),
            ).as_html()
        )
    if shown:
        heads = [say("example"), say("your label"), say("classifier"), say("confidence")]
        parts.append(table(heads, shown, numbers=(3,)))
    return Section(say("Which examples are probably mislabelled, or hard?"), answer, tuple(parts))


def _classified(kinds, best: str, z: torch.Tensor, names: Sequence[str]) -> Section:
    task = kinds.tasks[best]
    final = kinds.fit(task.train_images, task.train_labels, task.train_images)
    confidence, answer = final(z).max(1)
    trust = reliability(final(task.test_images), task.test_labels, task.test_pictures)
    rows = [(n[:80], task.classes[int(a)], f"{float(c):.2f}") for n, a, c in zip(names, answer, confidence, strict=True)]
    words = "; ".join(f"{name}: {of} ({sure})" for name, of, sure in rows)
    shown = table([say("example"), say("classifier"), say("confidence")], rows, numbers=(2,))
    return Section(say("How are these classified?"), f"{words}. {trust}", (shown,))


def _sentences(path: Path, classify: Sequence[str], options: dict) -> tuple[str, str, list[Section]]:
    from .tagged import sections_of

    if path.is_dir():
        task = own_sentences.load_corpus(path)
        return readable(path.name), say("{n} sentences to learn from.", n=len(task.train)), sections_of(task, classify)
    read = own_sentences.read_sentences(path, **options)
    return read.name, read.report(), sections_of(read.task(), classify)


_OPTIONS = {
    "images": {"classes", "labels", "colour", "most_per_class", "file_column", "label_column"},
    "texts": {"classes", "text", "label", "encoding"},
    "sentences": {"types", "encoding"},
}
_OF_KIND: dict[str, Callable] = {"images": _images, "texts": _texts, "sentences": _sentences}
