"""Chapter 10: entities from tags, entity F1, three averages of a table, alignment, the masked loss, mention replacement."""

import torch
import torch.nn.functional as F

from ..augment.mentions import replace_mention
from ..languages import say
from ..methods.entity_scores import entity_f1, f1_averages, spans, token_accuracy
from ..methods.tagging import IGNORED, align_labels, masked_loss
from .declare import Exercise, Mistake, Property

TYPES = ("LOC", "ORG", "PER")
TABLE = {"B-LOC": (0.9, 0.8, 0.847, 100), "I-LOC": (0.7, 0.6, 0.646, 20), "O": (0.98, 0.99, 0.985, 900)}


def _random_tags(generator, words=9):
    """BIO tags with entities side by side, at the end, and now and then an I- that continues nothing."""
    tags, before = [], "O"
    for _ in range(words):
        draw = torch.rand((), generator=generator).item()
        kind = TYPES[int(torch.randint(3, (), generator=generator))]
        if draw < 0.3 and before != "O":
            before = f"I-{before[2:]}"
        else:
            before = f"B-{kind}" if draw < 0.7 else f"I-{kind}" if draw < 0.8 else "O"
        tags.append(before)
    return tags


def _strict(tags):
    """Entities that begin with B- only."""
    return [(kind, start, end) for kind, start, end in spans(tags) if tags[start][0] == "B"]


def _joined(tags):
    """Entities of one type side by side are taken for one."""
    return spans([tag.replace("B-", "I-") for tag in tags])


def _any_type_continues(tags):
    """An I- of another type is taken for a continuation."""
    kind, mended = "", []
    for tag in tags:
        kind = tag[2:] if tag[:1] == "B" or not kind else kind
        kind = "" if tag == "O" else kind
        mended.append(tag if tag[:1] != "I" else f"I-{kind}")
    return spans(mended)


def _f1(right, there, given):
    return 2 * right / (there + given) if there + given else 0.0


def _sets(gold, predicted, key=lambda span: span):
    """F1 from sets of (sentence, key of an entity)."""
    both = [{(row, key(span)) for row, tags in enumerate(side) for span in spans(tags)} for side in (gold, predicted)]
    return _f1(len(both[0] & both[1]), len(both[0]), len(both[1]))


def _token_f1(gold, predicted):
    pairs = [pair for one, other in zip(gold, predicted, strict=True) for pair in zip(one, other, strict=True)]
    right = sum(a == b != "O" for a, b in pairs)
    return _f1(right, sum(a != "O" for a, _ in pairs), sum(b != "O" for _, b in pairs))


def _without_places(gold, predicted):
    """One set of spans for all sentences."""
    truth, answer = ({span for tags in side for span in spans(tags)} for side in (gold, predicted))
    return _f1(len(truth & answer), len(truth), len(answer))


def _mean_of_both(gold, predicted):
    """The arithmetic mean of precision and recall."""
    truth, answer = ({(row, s) for row, tags in enumerate(side) for s in spans(tags)} for side in (gold, predicted))
    right = len(truth & answer)
    return (right / len(answer) if answer else 0.0) / 2 + (right / len(truth) if truth else 0.0) / 2


def _mean_over_sentences(gold, predicted):
    return sum(entity_f1([one], [other]) for one, other in zip(gold, predicted, strict=True)) / len(gold)


def _one_sided(gold, predicted, side):
    truth, answer = ({(row, s) for row, tags in enumerate(part) for s in spans(tags)} for part in (gold, predicted))
    there = truth if side == "recall" else answer
    return len(truth & answer) / len(there) if there else 0.0


def _random_sentences(generator):
    gold = [_random_tags(generator, words=5 + row) for row in range(3)]
    predicted = [list(tags) for tags in gold]
    for tags in predicted:
        place = int(torch.randint(len(tags), (), generator=generator))
        tags[place] = "O" if tags[place] != "O" else "B-LOC"
    return gold, predicted


def _random_table(generator):
    names = ["B-LOC", "I-LOC", "B-PER", "O"]
    names = [names[place] for place in torch.randperm(4, generator=generator).tolist()]
    rows = 0.5 + 0.49 * torch.rand(len(names), 2, generator=generator)
    counts = torch.randint(20, 2000, (len(names),), generator=generator).tolist()
    return ({n: (p, r, 2 * p * r / (p + r), c) for n, (p, r), c in zip(names, rows.tolist(), counts, strict=True)},)


def _replaced(table, place, value):
    found = list(f1_averages(table))
    found[place] = value
    return tuple(found)


def _entities_only(table, weigh):
    inside = {name: row for name, row in table.items() if name != "O"}
    return sum(row[2] * weigh(row) for row in inside.values()) / sum(weigh(row) for row in inside.values())


def _random_pieces(generator):
    labels = torch.randint(0, 5, (6,), generator=generator).tolist()
    pieces = torch.randint(1, 4, (6,), generator=generator).tolist()
    padding = 1 + int(torch.randint(3, (), generator=generator))
    return [None, *(word for word, count in enumerate(pieces) for _ in range(count)), None, *[None] * padding], labels


def _by_place(word_ids, labels):
    """Labels one after the other, whatever the pieces are."""
    return (list(labels) + [IGNORED] * len(word_ids))[: len(word_ids)]


def _shifted(word_ids, labels):
    """Right but for [CLS], which is forgotten."""
    return align_labels(word_ids[1:], labels) + [IGNORED]


def _last_piece(word_ids, labels):
    return align_labels(word_ids[::-1], labels)[::-1]


def _random_batch(generator):
    labels = torch.randint(0, 4, (3, 5), generator=generator)
    labels[0, 3:], labels[1, 2:], labels[2, 4:] = IGNORED, IGNORED, IGNORED
    return 2 * torch.randn(3, 5, 4, generator=generator), labels


def _every_piece(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.clamp_min(0).flatten())


def _over_all(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="sum") / labels.numel()


def _by_sentence(logits, labels):
    return torch.stack([masked_loss(a[None], b[None]) for a, b in zip(logits, labels, strict=True)]).mean()


def _over_the_batch(logits, labels):
    """The softmax over the pieces in place of the classes."""
    kept = labels != IGNORED
    return -logits.log_softmax(dim=1)[kept].gather(1, labels[kept][:, None]).mean()


def _nothing_labelled(function, generator):
    logits = torch.randn(2, 3, 4, generator=generator, requires_grad=True)
    found = function(logits, torch.full((2, 3), IGNORED))
    if not isinstance(found, torch.Tensor) or found != 0:
        shown = found.item() if isinstance(found, torch.Tensor) else f"the number {found}"
        return say(
            "A batch without any labelled piece gives {shown}. Its loss is a tensor of 0: return 0.0 * logits.sum().",
            shown=shown,
        )


def _random_mention(generator):
    words = [f"w{place}" for place in range(7)]
    start = int(torch.randint(5, (), generator=generator))
    length = 1 + int(torch.randint(2, (), generator=generator))
    tags = ["O"] * 7
    tags[start : start + length] = ["B-ORG"] + ["I-ORG"] * (length - 1)
    return (
        words,
        tags,
        start,
        start + length,
        [f"new{place}" for place in range(3)][: 1 + int(torch.randint(3, (), generator=generator))],
    )


def _old_tags(words, tags, start, end, mention):
    return replace_mention(words, tags, start, end, mention)[0], list(tags)


def _retagged(inside):
    """Replacement whose new tags `inside(type, number of words)` gives."""

    def replace(words, tags, start, end, mention):
        changed, _ = replace_mention(words, tags, start, end, mention)
        return changed, [*tags[:start], *inside(tags[start][2:], len(mention)), *tags[end:]]

    return replace


EXERCISES = [
    Exercise(
        "entity_spans",
        "10",
        "Entities from tags",
        spans,
        cases=(
            (["O", "B-PER", "I-PER", "O", "B-LOC", "O"],),
            (["B-LOC", "B-LOC", "I-LOC", "O", "B-ORG"],),
            (["O", "I-PER", "I-PER", "O", "B-LOC", "I-ORG", "O"],),
            (["O", "O"],),
        ),
        fresh=lambda generator: (_random_tags(generator),),
        mistakes=(
            Mistake(
                "end_inclusive",
                lambda tags: [(kind, start, end - 1) for kind, start, end in spans(tags)],
                "Your end is the entity's last word. The end is the first word behind it, as in a Python slice.",
            ),
            Mistake(
                "last_lost",
                lambda tags: [span for span in spans(tags) if span[2] < len(tags)],
                "An entity at the end of the sentence is lost: when the tags are over, one may still be open.",
            ),
            Mistake(
                "side_by_side_joined",
                _joined,
                "Two entities of one type side by side become one. That is what B- is for: it always begins a new one.",
            ),
            Mistake(
                "b_needed",
                _strict,
                "An I- that continues nothing is dropped. The shared task's script lets it begin an entity.",
            ),
            Mistake(
                "type_not_compared",
                _any_type_continues,
                "I-ORG after B-LOC continues the LOC in your function. Another type begins another entity.",
            ),
        ),
    ),
    Exercise(
        "entity_score",
        "10",
        "Entity F1",
        entity_f1,
        cases=(
            ([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]]),
            ([["B-PER", "O"], ["O", "B-LOC"]], [["B-PER", "O"], ["O", "B-ORG"]]),
            ([["B-LOC", "O", "B-PER"], ["O", "O", "O"]], [["O", "O", "B-PER"], ["B-LOC", "O", "O"]]),
            ([["B-LOC", "O", "B-PER", "I-PER"], ["B-ORG", "O", "O"]], [["B-LOC", "O", "B-PER", "O"], ["O", "B-LOC", "B-ORG"]]),
            ([["O", "O"]], [["O", "O"]]),
        ),
        fresh=_random_sentences,
        mistakes=(
            Mistake(
                "token_accuracy",
                token_accuracy,
                "That is the share of right tags. Most are O, so it is high for a tagger that finds nothing.",
            ),
            Mistake(
                "token_f1",
                _token_f1,
                "That is F1 over tokens: a half-read name counts half. An entity counts when it is whole, else not at all.",
            ),
            Mistake(
                "type_ignored",
                lambda gold, predicted: _sets(gold, predicted, key=lambda span: span[1:]),
                "Your function compares the words only. The type must be right too.",
            ),
            Mistake(
                "sentences_mixed",
                _without_places,
                "An entity of one sentence matches one of another in your function. Compare sentence by sentence, then add up.",
            ),
            Mistake(
                "mean_over_sentences",
                _mean_over_sentences,
                "You take the mean of the sentences' F1. Count entities over all sentences first, then one F1.",
            ),
            Mistake(
                "arithmetic_mean",
                _mean_of_both,
                "That is (precision + recall) / 2. F1 is their harmonic mean: 2 right / (true + predicted).",
            ),
            Mistake(
                "recall", lambda g, p: _one_sided(g, p, "recall"), "That is recall alone. Invented entities must cost too."
            ),
            Mistake(
                "precision",
                lambda g, p: _one_sided(g, p, "precision"),
                "That is precision alone. Missed entities must cost too.",
            ),
        ),
    ),
    Exercise(
        "three_averages",
        "10",
        "Three averages of one table",
        f1_averages,
        cases=((TABLE,), ({"B-PER": (0.5, 0.4, 0.444, 10), "I-PER": (0.9, 0.9, 0.9, 50), "O": (0.95, 0.97, 0.96, 500)},)),
        fresh=_random_table,
        mistakes=(
            Mistake(
                "o_included",
                lambda t: _replaced(t, 2, f1_averages(t)[0]),
                "Your third number still counts the class O. Leave its row out of all three sums.",
            ),
            Mistake(
                "micro_weighted_f1",
                lambda t: _replaced(t, 0, sum(row[2] * row[3] for row in t.values()) / sum(row[3] for row in t.values())),
                "Your micro average weighs the F1 by support. Count: right tokens are recall times support.",
            ),
            Mistake(
                "macro_weighted",
                lambda t: _replaced(t, 1, f1_averages(t)[0]),
                "Your macro average weighs the classes by their size. In it every class counts the same.",
            ),
            Mistake(
                "entities_macro",
                lambda t: _replaced(t, 2, _entities_only(t, lambda row: 1)),
                "Your third number is a macro average. Add up right, predicted and true tokens over the classes, then one F1.",
            ),
            Mistake(
                "entities_weighted",
                lambda t: _replaced(t, 2, _entities_only(t, lambda row: row[3])),
                "Your third number weighs F1 by support. Add up right, predicted (right / precision) and true tokens first.",
            ),
            Mistake(
                "swapped",
                lambda t: (f1_averages(t)[1], f1_averages(t)[0], f1_averages(t)[2]),
                "Micro and macro have changed places: micro counts tokens, macro takes the mean over classes.",
            ),
            Mistake(
                "entities_recall",
                lambda t: _replaced(
                    t, 2, sum(r[1] * r[3] for n, r in t.items() if n != "O") / sum(r[3] for n, r in t.items() if n != "O")
                ),
                "Your third number is recall: without O, wrongly predicted tokens are not the wrongly missed ones any more.",
            ),
        ),
    ),
    Exercise(
        "aligned_labels",
        "10",
        "Labels for pieces of words",
        align_labels,
        cases=(
            ([None, 0, 1, 1, None], [0, 3]),
            ([None, 0, 0, 0, 1, None, None, None], [1, 0]),
            ([None, 0, 1, 2, 2, None, None], [5, 6, 0, 4]),
        ),
        fresh=_random_pieces,
        mistakes=(
            Mistake(
                "every_piece",
                lambda word_ids, labels: [IGNORED if word is None else labels[word] for word in word_ids],
                "Every piece has its word's label, so a B- word of three pieces becomes three entities. Label the first only.",
            ),
            Mistake(
                "padding_is_o",
                lambda word_ids, labels: [
                    0 if word is None else label for word, label in zip(word_ids, align_labels(word_ids, labels), strict=True)
                ],
                "Special pieces and padding have label 0 (O): they would be trained on and counted. They get -100.",
            ),
            Mistake(
                "by_place",
                _by_place,
                "Labels follow one another without looking at word_ids: pieces and words are out of step.",
            ),
            Mistake(
                "cls_forgotten", _shifted, "Your labels are one place too early: the first piece is [CLS], which has none."
            ),
            Mistake(
                "last_piece",
                _last_piece,
                "You label the last piece of each word. This course (and BERT's paper) label the first.",
            ),
            Mistake(
                "o_on_continuations",
                lambda word_ids, labels: [
                    0 if word is not None and label == IGNORED else label
                    for word, label in zip(word_ids, align_labels(word_ids, labels), strict=True)
                ],
                "Later pieces of a word have label 0 (O): the model would learn to end names after one piece. They get -100.",
            ),
        ),
    ),
    Exercise(
        "loss_of_labelled",
        "10",
        "The loss of labelled pieces",
        masked_loss,
        cases=(
            (torch.tensor([[[2.0, 0.0], [0.0, 1.0]]]), torch.tensor([[0, IGNORED]])),
            (torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [3.0, 0.0]]]), torch.tensor([[0, 1], [1, IGNORED]])),
        ),
        fresh=_random_batch,
        mistakes=(
            Mistake(
                "padding_is_o", _every_piece, "Ignored pieces are trained as class 0 (O). Keep those whose label is not -100."
            ),
            Mistake(
                "mean_over_all",
                _over_all,
                "You divide by all pieces, ignored ones too: the more padding, the smaller the loss.",
            ),
            Mistake(
                "mean_over_sentences",
                _by_sentence,
                "You take the mean of the sentences' means. Every labelled piece counts the same.",
            ),
            Mistake(
                "summed",
                lambda logits, labels: masked_loss(logits, labels) * (labels != IGNORED).sum(),
                "You add up the pieces. Take their mean, so that the loss does not depend on the number of words.",
            ),
            Mistake(
                "softmax_over_pieces",
                _over_the_batch,
                "Your softmax runs over the pieces. Each piece chooses among the classes.",
            ),
        ),
        properties=(Property("The loss of a batch without a label is 0.", _nothing_labelled),),
    ),
    Exercise(
        "swapped_mention",
        "10",
        "A mention replaced by another",
        replace_mention,
        cases=(
            (["in", "Oslo", "today"], ["O", "B-LOC", "O"], 1, 2, ["New", "York"]),
            (["Jane", "M.", "Doe", "said"], ["B-PER", "I-PER", "I-PER", "O"], 0, 3, ["Bo"]),
            (["at", "Red", "Star"], ["O", "B-ORG", "I-ORG"], 1, 3, ["Bank", "of", "Oslo"]),
        ),
        fresh=_random_mention,
        mistakes=(
            Mistake(
                "old_tags",
                _old_tags,
                "The tags stayed as they were. A mention of another length needs as many tags as it has words.",
            ),
            Mistake(
                "all_begin",
                _retagged(lambda kind, count: [f"B-{kind}"] * count),
                "Every new word has B-: that is several entities. Only the first word has B-, the others I-.",
            ),
            Mistake(
                "none_begins",
                _retagged(lambda kind, count: [f"I-{kind}"] * count),
                "The new mention begins with I-. Beside an entity of its type it would melt into it: the first word has B-.",
            ),
            Mistake(
                "no_entity",
                _retagged(lambda kind, count: ["O"] * count),
                "The new words are tagged O. They are a mention of the old type.",
            ),
            Mistake(
                "one_word_only",
                lambda w, t, a, b, m: (
                    [*w[:a], *m, *w[a + 1 :]],
                    [*t[:a], *replace_mention(w, t, a, b, m)[1][a : a + len(m)], *t[a + 1 :]],
                ),
                "Only the first word of the old mention goes; the rest of it stays. Cut from start to end.",
            ),
            Mistake(
                "one_too_many",
                lambda w, t, a, b, m: (
                    [*w[:a], *m, *w[b + 1 :]],
                    [*t[:a], *replace_mention(w, t, a, b, m)[1][a : a + len(m)], *t[b + 1 :]],
                ),
                "The word behind the mention is gone too: end is already the first word behind it.",
            ),
        ),
    ),
]
