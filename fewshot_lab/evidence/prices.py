"""The price list: what a label is worth under every method of the course, and its seconds, read from the chapters' records."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from .. import runtime
from ..html import table
from ..languages import later, say
from ..training.metrics import Estimate
from .course_records import ChapterRecord, exchange_rates
from .literature import published_records

IMAGES, TEXTS, MADE = later("changed images"), later("changed texts"), later("made examples")
MODELS, TASKS = later("pretrained models and names"), later("several stages, other tasks")
KINDS = (IMAGES, TEXTS, MADE, MODELS, TASKS)

# The words for a recorded exchange rate. One that is not here has its own name, and the kind of its chapter.
WORDS = {
    ("02", "exchange_rate_right"): (later("right policy, digits"), IMAGES),
    ("02", "exchange_rate_wrong"): (later("wrong policy, digits"), IMAGES),
    ("02", "exchange_rate_right_fashion"): (later("right policy, clothes"), IMAGES),
    ("02", "exchange_rate_right_glyphs"): (later("right policy, glyphs"), IMAGES),
    ("02", "exchange_rate_ood"): (later("right policy, tested on turned digits"), IMAGES),
    ("02", "exchange_rate_ood_noise"): (later("right policy, tested on noisy digits"), IMAGES),
    ("02", "exchange_rate_ood_fashion"): (later("right policy, tested on turned clothes"), IMAGES),
    ("02", "exchange_rate_ood_noise_fashion"): (later("right policy, tested on noisy clothes"), IMAGES),
    ("03", "exchange_rate_frozen_synonyms"): (later("synonyms, frozen encoder"), TEXTS),
    ("03", "exchange_rate_frozen_backtranslation"): (later("back-translation, frozen encoder"), TEXTS),
    ("03", "exchange_rate_scratch_synonyms"): (later("synonyms, from scratch, 5 classes"), TEXTS),
    ("03", "exchange_rate_scratch_synonyms_elsewhere"): (later("synonyms, from scratch, 25 classes"), TEXTS),
    ("03", "exchange_rate_written"): (later("texts written by a language model"), MADE),
    ("08", "exchange_rate_flow_k5"): (later("images of a flow"), MADE),
    ("08", "exchange_rate_gan_k5"): (later("images of a GAN"), MADE),
    ("08", "exchange_rate_copies_k5"): (later("augmented copies in their place"), IMAGES),
    ("09", "prompt_worth_k1"): (later("a prompt, at 1 label per class"), MODELS),
    ("09", "prompt_worth_k4"): (later("a prompt, at 4 labels per class"), MODELS),
    ("11", "exchange_rate_pipeline"): (later("four stages of the pipeline"), TASKS),
    ("12", "exchange_rate_hand"): (later("print made into handwriting"), MADE),
    ("12", "exchange_rate_no_skeletons"): (later("handwriting made without skeletons"), MADE),
    ("12", "exchange_rate_no_bending"): (later("handwriting made without bending"), MADE),
    ("12", "exchange_rate_one_pen"): (later("handwriting made with one pen"), MADE),
    ("12", "exchange_rate_turns_added"): (later("handwriting made, turns as classes"), MADE),
    ("13", "name_worth_labels"): (later("the name of a group of emoji"), MODELS),
    ("13", "name_worth_pictures"): (later("the name of an emoji"), MODELS),
    ("13", "name_beside_a_picture"): (later("the name beside a picture"), MODELS),
    ("14", "exchange_rate_over_logistic_k1"): (later("made-up tables, over logistic regression"), TASKS),
    ("14", "exchange_rate_over_trees_k5"): (later("made-up tables, over boosted trees"), TASKS),
}
_KIND_OF = {"03": TEXTS, "08": MADE, "09": MODELS, "11": TASKS, "12": MADE, "13": MODELS, "14": TASKS}

# Methods whose chapters record an accuracy with and one without them: (chapter, words, with, without, seconds).
PAIRS = (
    ("04", later("SimCLR before a probe, 5 labels"), "probe_simclr_k5", "probe_random_k5", ""),
    ("04", later("features of photographs, 5 labels"), "probe_efficientnet_k5", "probe_random_k5", ""),
    ("05", later("prototypes, 5-way 1-shot"), "prototypes_5way_1shot", "pixels_5way_1shot", ""),
    ("06", later("mean teacher, digits, 5 labels"), "mean_teacher_k5_digits", "student_augmented_k5_digits", ""),
    ("06", later("self-training, digits, 5 labels"), "student_self_trained_k5_digits", "student_augmented_k5_digits", ""),
    ("07", later("adversarial training, clean images"), "robust_model_clean", "clean_model_clean", ""),
    ("09", later("SetFit, 4 labels"), "setfit_k4", "linear_probe_minilm_k4", ""),
    ("09", later("LoRA, 4 labels"), "lora_k4", "linear_probe_k4", ""),
    ("09", later("soft prompt, 4 labels"), "soft_prompt_k4", "zero_shot_calibrated", ""),
    ("10", later("names swapped, 50 sentences (F1)"), "mentions_n50", "none_n50", ""),
    ("11", later("all six stages, 5 labels"), "pipeline_all_k5", "pipeline_nothing_k5", "pipeline_seconds"),
    ("13", later("probe that starts at the names"), "probe_from_names_k1", "probe_from_zero_k1", ""),
    ("14", later("made-up tables (AUC), over logistic"), "tables_auc", "logistic_auc", ""),
)
SECONDS = {("02", "exchange_rate_right"): "step_time_with_policy_over_without"}


@dataclass(frozen=True)
class Price:
    """A method, what a label is worth under it and what it costs.

    Args:
        chapter: that recorded it.
        what: the method in words, in the language of the list.
        kind: one of KINDS.
        rate: the exchange rate.
        seconds: what it costs: seconds, or how many times as long as without it; None where its chapter records neither.
        whole: the seconds of the whole chapter, of which the method is a part; NaN where they are not known.
        full: the exchange rate of the published full profile.
    """

    chapter: str
    what: str
    kind: str
    rate: Estimate
    seconds: Estimate | None = None
    full: Estimate | None = None
    whole: float = math.nan


@dataclass(frozen=True)
class Pair:
    """A method's accuracy with and without it, and its seconds where they are recorded."""

    chapter: str
    what: str
    using: Estimate
    without: Estimate
    seconds: Estimate | None = None
    whole: float = math.nan


@dataclass(frozen=True)
class PriceList:
    """All prices, the highest first, and the pairs; `missing` are chapters of which there is no record."""

    prices: tuple[Price, ...]
    pairs: tuple[Pair, ...]
    missing: tuple[str, ...] = ()

    def above_one(self) -> list[Price]:
        """The methods whose whole interval lies above 1: a label is worth more than one."""
        return [price for price in self.prices if price.rate.has_interval and price.rate.limits[0] > 1]

    def below_one(self) -> list[Price]:
        """The methods whose whole interval lies below 1: they cost labels."""
        return [price for price in self.prices if price.rate.has_interval and price.rate.limits[1] < 1]

    def __str__(self) -> str:
        lines = [f"{price.what} ({price.chapter}): {price.rate.short()}" for price in self.prices]
        lines += [f"{one.what} ({one.chapter}): {one.using.short()}, {one.without.short()}" for one in self.pairs]
        return "\n".join([*lines, *self._not_here()])

    __repr__ = __str__

    def _repr_html_(self) -> Markup:
        rates = [
            (price.what, price.chapter, say(price.kind), price.rate.short(), _short(price.full), _cost(price))
            for price in self.prices
        ]
        heads = (say("method"), say("chapter"), say("what it adds"), say("labels per label"), say("full profile"))
        first = table((*heads, say("cost")), rates, caption=say("What a label is worth"), numbers=[3, 4])
        pairs = [(one.what, one.chapter, one.using.short(), one.without.short(), _cost(one)) for one in self.pairs]
        heads = (say("method"), say("chapter"), say("with it"), say("without it"), say("cost"))
        second = table(heads, pairs, caption=say("Methods that are recorded as accuracies"), numbers=[2, 3])
        below = Markup("").join(Markup("<p>{}</p>").format(line) for line in [*self._not_here(), self._no_seconds()])
        return Markup("<div>{}{}{}</div>").format(first, second, below)

    def _not_here(self) -> list[str]:
        chapters = ", ".join(self.missing)
        said = say("No record of chapter {chapters} is here: run what is missing, then this chapter again.", chapters=chapters)
        return [said] if self.missing else []

    def _no_seconds(self) -> str:
        return say("Cost: where a chapter records no seconds of a method, those of the whole chapter, or –.")


def price_list(records: Iterable[ChapterRecord], *, seconds: Mapping[tuple[str, str], Estimate] | None = None) -> PriceList:
    """The price list from the records of the course.

    Args:
        records: from `course_records`; chapters that are not among them are named as missing.
        seconds: {(chapter, name of the exchange rate): seconds}, measured elsewhere than in the method's chapter.
    """
    records, seconds = list(records), dict(seconds or {})
    by_chapter = {record.chapter: record.results for record in records}
    whole = {record.chapter: record.seconds for record in records}
    published = [] if runtime.current().profile == "full" else published_records()
    full = {(chapter, name): rate for chapter, name, rate in exchange_rates(published)}
    prices = []
    for chapter, name, rate in exchange_rates(records):
        _, kind = WORDS.get((chapter, name), ("", _KIND_OF.get(chapter, IMAGES)))
        cost = seconds.get((chapter, name)) or _recorded(by_chapter[chapter], SECONDS.get((chapter, name), ""))
        what = rate_words(chapter, name)
        prices.append(Price(chapter, what, kind, rate, cost, full.get((chapter, name)), whole[chapter]))
    pairs = [
        Pair(chapter, say(what), results[using].estimate, results[without].estimate, _recorded(results, cost), whole[chapter])
        for chapter, what, using, without, cost in PAIRS
        if using in (results := by_chapter.get(chapter, {})) and without in results
    ]
    needed = {chapter for chapter, _ in WORDS} | {chapter for chapter, *_ in PAIRS}
    missing = sorted(chapter for chapter in needed if not by_chapter.get(chapter))
    return PriceList(tuple(sorted(prices, key=lambda price: -price.rate.mean)), tuple(pairs), tuple(missing))


def rate_words(chapter: str, name: str) -> str:
    """A recorded exchange rate in words, in the language that is set; one without words keeps its own name."""
    words, _ = WORDS.get((chapter, name), (name.removeprefix("exchange_rate_").replace("_", " "), ""))
    return say(words)


def _recorded(results: Mapping, name: str) -> Estimate | None:
    return results[name].estimate if name in results else None


def _short(estimate: Estimate | None) -> str:
    return estimate.short() if estimate else "–"


def _cost(one: Price | Pair) -> str:
    estimate = one.seconds
    if estimate is None:
        return "–" if math.isnan(one.whole) else say("its chapter: {seconds:.0f} s", seconds=one.whole)
    if estimate.unit == "ratio":
        return say("{times:.2f} times a step", times=estimate.mean)
    return say("{seconds:.2g} s", seconds=estimate.mean)
