"""`fewshot-lab try`: what the course's methods say about your pictures, texts or tagged sentences, as a page."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from IPython.display import display

from ..data import ImageTask, own_images, own_sentences, own_texts
from ..data.own import existing, readable
from ..errors import CourseError
from ..files import write_atomically
from ..html import render
from ..languages import language, later, say
from ..training import Arms, progress_bar
from . import features, worth
from .measures import Trust, learning_curve, reliability, shots_for, too_few
from .section import Section, classified_section, features_section, growth_section, policy_section, suspects_section

SIZE = 128  # pixels a side at which pictures are read
MOST = 1500  # pictures in all: more would take longer than three minutes on two cores
MOST_CLASSES = 100  # of pictures
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

    def _ipython_display_(self) -> None:
        display(*self.sections)

    def as_page(self) -> str:
        """The page as HTML, whole in itself."""
        return render("own", language=language(), title=f"{self.name}: Few-Shot Lab", say=say, tried=self)


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
    path = existing(path, want=later("a folder of pictures, a table of texts or a file of tagged sentences"))
    kind = kind_of(path, options.get("encoding")) if kind == "auto" else kind
    if kind not in _OF_KIND:
        raise CourseError(say("kind is {kind!r}; choose one of {known} or auto.", kind=kind, known=", ".join(_OF_KIND)))
    if wrong := set(options) - _OPTIONS[kind]:
        takes = ", ".join(sorted(_OPTIONS[kind])) or say("none")
        raise CourseError(
            say("{kind} take no {wrong}; their options are {takes}.", kind=kind, wrong=", ".join(sorted(wrong)), takes=takes)
        )
    target = Path("runs", "try", time.strftime("%Y-%m-%d_%H-%M-%S")) if out is None else Path(out) if out != "" else None
    if target is not None and path.is_dir() and target.resolve().is_relative_to(path.resolve()):
        raise CourseError(
            say(
                "The page would be written into your data, {readable}. Choose another folder with --out.",
                readable=readable(path),
            )
        )
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
    common = _common(kinds, [read.files[row] for part in features.PARTS for row in read.rows(part).tolist()], task)
    measured = worth.of_policies(features.shrunk(task), seeds=SEEDS) if not too_few(task) else None
    policy = policy_section(measured, task, say("A small network, trained from nothing on your pictures."))
    named = [readable(Path(picture).name) for picture in classify]
    return read.name, read.report(), common.with_the_rest(policy, torch.stack(asked) if asked else None, named)


def _texts(path: Path, classify: Sequence[str], options: dict) -> tuple[str, str, list[Section]]:
    from ..assets import installed
    from ..data.synonyms import Thesaurus

    read = own_texts.read_texts(path, **options)
    task = read.task()
    kinds = features.of_texts(task)
    names = [text for part in features.PARTS for text in getattr(task, f"{part}_texts")]
    common = _common(kinds, names, None)
    english = sum(text.isascii() for text in names) > len(names) / 2
    edits = [edit for edit in worth.EDITS if edit != "synonyms" or english and installed("wordnet")]
    measured = None
    if not too_few(kinds.any):
        synonyms = Thesaurus() if "synonyms" in edits else {}
        measured = worth.of_edits(task, kinds, common.best, edits, common.curves, synonyms=synonyms)
    about = say("A linear probe on {kind}, with {n} changed copies of each text.", kind=say(common.best), n=worth.COPIES)
    policy = policy_section(measured, kinds.any, about)
    return read.name, read.report(), common.with_the_rest(policy, list(classify), list(classify))


@dataclass(frozen=True)
class _Common:
    """What is asked of pictures and texts alike, and what it was told from.

    sections: all but the policy's and that of examples to classify. kinds, best: the features, and those that are best on
    validation. curves: the learning curves. final: their classifier, features -> probabilities, with all labels. trust: in it.
    """

    sections: list[Section]
    kinds: features.Kinds
    best: str
    curves: Arms
    final: Callable[[torch.Tensor], torch.Tensor]
    trust: Trust

    def with_the_rest(self, policy: Section, asked, names: Sequence[str]) -> list[Section]:
        """All sections; `asked` are examples to classify, pictures or texts, and `names` theirs, which may be none."""
        sections = [self.sections[0], policy, *self.sections[1:]]
        if names:
            probabilities = self.final(self.kinds.embed[self.best](asked))
            sections.append(classified_section(probabilities, self.kinds.any.classes, self.trust, names))
        return sections


def _common(kinds: features.Kinds, names: Sequence[str], pictures: ImageTask | None) -> _Common:
    task, few = kinds.any, too_few(kinds.any)
    shots, best = shots_for(task), features.best_on_validation(kinds, SEEDS)
    curves = learning_curve(kinds.tasks, shots=shots, seeds=SEEDS, fit=kinds.fit)
    final = kinds.fit(kinds.tasks[best].train_images, task.train_labels, kinds.tasks[best].train_images)
    trust = reliability(final(kinds.tasks[best].test_images), task.test_labels, task.test_pictures)
    sections = [
        features_section(kinds, curves, best, shots, few),
        growth_section(curves, best, few),
        suspects_section(kinds, best, names, pictures),
        Section(say("How far can a classifier of your data be trusted?"), few and f"{trust} {few}" or str(trust)),
    ]
    return _Common(sections, kinds, best, curves, final, trust)


def _sentences(path: Path, classify: Sequence[str], options: dict) -> tuple[str, str, list[Section]]:
    from .tagged import sections_of

    task, report = own_sentences.read_tagged(path, **options)
    return readable(path.resolve().name), report, sections_of(task, classify)


_OPTIONS = {
    "images": {"classes", "labels", "colour", "most_per_class", "file_column", "label_column"},
    "texts": {"classes", "text", "label", "encoding"},
    "sentences": {"types", "encoding"},
}
_OF_KIND: dict[str, Callable] = {"images": _images, "texts": _texts, "sentences": _sentences}
