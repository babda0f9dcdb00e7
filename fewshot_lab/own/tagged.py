"""Your own tagged sentences: a fine-tuned BERT against a list of known names, and what more sentences would bring."""

from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from ..augment.mentions import OPERATIONS
from ..data.conll import Sentence, TaggingTask, spans
from ..data.own_sentences import words_of
from ..html import table
from ..languages import later, say
from ..methods.entity_scores import f1_gain, score_intervals
from ..methods.name_lookup import lookup
from ..methods.tagging import fit_tagger
from ..training import progress_bar
from .section import Section

FEWEST_TESTED = 20  # sentences
MOST_TESTED = 200
COUNTS = (20, 50, 100, 200, 500)
SETTINGS = {"steps": 60, "batch_size": 8, "layers": 3, "learning_rate": 1e-3}


def sections_of(task: TaggingTask, classify: Sequence[str] = ()) -> list[Section]:
    """The sections of the page; of one training each, which intervals over test sentences say nothing about."""
    test = task.test[:MOST_TESTED]
    asked = [Sentence.untagged(words_of(text)) for text in classify]
    task = replace(task, test=(*test, *asked))
    gold = [s.tags for s in test]
    most = min(len(task.train), COUNTS[-1])
    counts = [*(count for count in COUNTS if count < most), most][-2:]
    operations = [name for name in OPERATIONS if name != "none"]
    runs = [(count, "none") for count in counts] + [(counts[-1], name) for name in operations]
    predicted = {
        run: fit_tagger(task, count=run[0], augmentation=run[1], seed=0, **SETTINGS)["predicted"]
        for run in progress_bar(runs, later("trainings"))
    }
    answers = [names(s.words, tags) for s, tags in zip(asked, predicted[counts[-1], "none"][len(test) :], strict=True)]
    predicted = {run: tags[: len(test)] for run, tags in predicted.items()}
    known = [lookup(task.draw(counts[-1], 0), s.words) for s in test]
    few = (
        say("Too few to tell: {n} test sentences; {needed} are needed.", n=len(test), needed=FEWEST_TESTED)
        if len(test) < FEWEST_TESTED
        else ""
    )
    groups = task.test_groups[: len(test)]  # of one text, whose sentences are no independent ones

    def f1(tags) -> str:
        return score_intervals(gold, tags, groups)["entity F1"].short()

    largest = (counts[-1], "none")
    over = f1_gain(gold, predicted[largest], known, groups)
    answer = say(
        "Entity F1 {f1} of MiniLM, fine-tuned on {n} sentences; a list of their names has {names}, a difference of {gain}.",
        f1=f1(predicted[largest]),
        n=counts[-1],
        names=f1(known),
        gain=over.short(),
    )
    sections = [Section(say("Which tagger?"), few or answer)]
    rows = []
    for name in operations:
        gain = f1_gain(gold, predicted[counts[-1], name], predicted[largest], groups)
        rows.append((say(name), f1(predicted[counts[-1], name]), gain.short(signed=True)))
    heads = [say("augmentation"), say("entity F1"), say("gain over none")]
    told = say("One training each on {n} sentences: a gain whose interval holds 0 says nothing.", n=counts[-1])
    sections.append(Section(say("Which augmentation?"), few or told, (table(heads, rows, numbers=(1, 2)),)))
    question = say("How many more sentences would bring how much?")
    if len(counts) > 1:
        gain = f1_gain(gold, predicted[largest], predicted[counts[0], "none"], groups)
        told = say("From {before} to {after} sentences F1 changed by {gain}.", before=counts[0], after=counts[-1],
                   gain=gain.short(signed=True))  # fmt: skip
        sections.append(Section(question, few or told))
    else:
        sections.append(Section(question, say("Too few to tell: {n} sentences make no curve.", n=counts[-1])))
    sections.append(_hard(test, predicted[largest]))
    if asked:
        sections.append(Section(say("How are these classified?"), "; ".join(answers)))
    return sections


def _hard(test: Sequence[Sentence], predicted) -> Section:
    rows: list[tuple[Markup | str, str, str]] = []
    for sentence, tags in zip(test, predicted, strict=True):
        if sentence.tags != tags:
            rows.append((" ".join(sentence.words)[:160], names(sentence.words, sentence.tags), names(sentence.words, tags)))
    heads = [say("sentence"), say("your tags"), say("tagger")]
    answer = say("{n} of {all} test sentences are tagged otherwise than by you.", n=len(rows), all=len(test))
    return Section(
        say("Which sentences are probably mislabelled, or hard?"), answer, (table(heads, rows[:12]),) if rows else ()
    )


def names(words: Sequence[str], tags: Sequence[str]) -> str:
    """The entities of a sentence in words, such as "Oslo (LOC), Ada Lovelace (PER)"."""
    return ", ".join(f"{' '.join(words[start:end])} ({kind})" for kind, start, end in spans(tags)) or "–"
