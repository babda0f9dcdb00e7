"""Chapter 10: entities from tags, entity F1, three averages of a table."""

import torch

from ..methods import entity_scores
from .declare import exercise

TYPES = ("LOC", "ORG", "PER")


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


@exercise(
    "Entities from tags",
    cases=[
        (["O", "B-PER", "I-PER", "O", "B-LOC", "O"],),
        (["B-LOC", "B-LOC", "I-LOC", "O", "B-ORG"],),
        (["O", "I-PER", "I-PER", "O", "B-LOC", "I-ORG", "O"],),
        (["O", "O"],),
        (["B-BIRD", "I-BIRD", "O"],),
        (["B-art-music", "I-art-music", "I-art-film"],),  # types as Few-NERD has them
    ],
    fresh=lambda generator: (_random_tags(generator),),
    idea=(
        "A B- always begins an entity, and so does an I- that continues nothing. An entity goes on while I- of its own type "
        "follows, and its end is the first word after it."
    ),
    steps=(
        "Go through the tags from left to right and remember whether an entity is open: its first word and its type.",
        (
            "Ask of each tag whether it continues the open entity: only I- of the same type does. B-, O and an I- of another "
            "type end it."
        ),
        "When an entity ends, note its type without B- or I-, its start, and the present place as its end.",
        "A tag that continues nothing opens a new entity unless it is O, be it B- or I-.",
        "Do not lose an entity that is still open after the last tag: its end is the length of the list.",
    ),
)
def entity_spans(tags):
    return entity_scores.spans(tags)


@entity_spans.mistake("Your end is the entity's last word. The end is the first word after it, as in a Python slice.")
def end_inclusive(tags):
    return [(kind, start, end - 1) for kind, start, end in entity_spans(tags)]


@entity_spans.mistake("An entity at the end of the sentence is lost: when the tags are over, one may still be open.")
def last_lost(tags):
    return [span for span in entity_spans(tags) if span[2] < len(tags)]


@entity_spans.mistake("Two entities of one type side by side become one. That is what B- is for: it always begins a new one.")
def side_by_side_joined(tags):
    return entity_spans([tag.replace("B-", "I-") for tag in tags])


@entity_spans.mistake("An I- that continues nothing is dropped. The shared task's script lets it begin an entity.")
def b_needed(tags):
    return [(kind, start, end) for kind, start, end in entity_spans(tags) if tags[start][0] == "B"]


@entity_spans.mistake("I-ORG after B-LOC continues the LOC in your function. Another type begins another entity.")
def type_not_compared(tags):
    kind, changed = "", []
    for tag in tags:
        kind = tag[2:] if tag[:1] == "B" or not kind else kind
        kind = "" if tag == "O" else kind
        changed.append(tag if tag[:1] != "I" else f"I-{kind}")
    return entity_spans(changed)


@entity_spans.mistake("Your order is (start, end, type). The type comes first: (type, start, end).")
def type_last(tags):
    return [(start, end, kind) for kind, start, end in entity_spans(tags)]


@entity_spans.mistake("Every word is an entity of its own. An I- of the same type continues the entity before it.")
def every_word_alone(tags):
    return [(tag[2:], i, i + 1) for i, tag in enumerate(tags) if tag != "O"]


@entity_spans.mistake("Only the words with B- are found, each with the length 1. The I- that follow belong to the entity.")
def first_word_only(tags):
    return [(tag[2:], i, i + 1) for i, tag in enumerate(tags) if tag[0] == "B"]


@entity_spans.mistake("You count words from 1. In Python the first word is number 0, for start and for end.")
def counted_from_1(tags):
    return [(kind, start + 1, end + 1) for kind, start, end in entity_spans(tags)]


@entity_spans.mistake("Your start is one word too late: it is the entity's own first word.")
def start_too_late(tags):
    return [(kind, start + 1, end) for kind, start, end in entity_spans(tags)]


@entity_spans.mistake("The third number is the entity's length. It should say where the entity ends: the first word after it.")
def length_for_end(tags):
    return [(kind, start, end - start) for kind, start, end in entity_spans(tags)]


@entity_spans.mistake("Your type still has B- or I- before it. The type is what stands after the hyphen.")
def prefix_kept(tags):
    return [(tags[start], start, end) for _, start, end in entity_spans(tags)]


@entity_spans.mistake("A type may hold a hyphen, as art-music does. Take all that stands after B- or I-: tag[2:].")
def cut_at_the_hyphen(tags):
    kinds = [tag.split("-")[1] if tag != "O" else "" for tag in tags]
    return entity_spans([f"{tag[:2]}{kind}" if kind else tag for tag, kind in zip(tags, kinds, strict=True)])


@entity_spans.mistake(
    'strip("BI-") takes away all of these letters, those with which a type begins too. Cut off two characters: tag[2:].'
)
def letters_stripped(tags):
    return [(kind.lstrip("BI-"), start, end) for kind, start, end in entity_spans(tags)]


@entity_spans.mistake("Only the first entity comes back. Go on to the end of the sentence, and return the list after the loop.")
def first_entity_only(tags):
    return entity_spans(tags)[:1]


def _random_sentences(generator):
    gold = [_random_tags(generator, words=5 + row) for row in range(3)]
    predicted = [list(tags) for tags in gold]
    for tags in predicted:
        i = int(torch.randint(len(tags), (), generator=generator))
        tags[i] = "O" if tags[i] != "O" else "B-LOC"
    return gold, predicted


@exercise(
    "Entity F1",
    cases=[
        ([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]]),
        ([["B-PER", "O"], ["O", "B-LOC"]], [["B-PER", "O"], ["O", "B-ORG"]]),
        ([["B-LOC", "O", "B-PER"], ["O", "O", "O"]], [["O", "O", "B-PER"], ["B-LOC", "O", "O"]]),
        ([["B-LOC", "O", "B-PER", "I-PER"], ["B-ORG", "O", "O"]], [["B-LOC", "O", "B-PER", "O"], ["O", "B-LOC", "B-ORG"]]),
        ([["O", "O"]], [["O", "O"]]),
        ([["O", "B-PER"], ["I-PER", "O"]], [["O", "B-PER"], ["O", "O"]]),
    ],
    fresh=_random_sentences,
    idea=(
        "A name is right only as a whole: first word, last word and type. F1 weighs the right names against the true and the "
        "predicted ones, counted over all sentences together but compared sentence by sentence."
    ),
    steps=(
        "Go through the sentences in pairs, true and predicted, and get the entities of both with `spans_of`.",
        (
            "The right names of a sentence are those that both lists share, with type, start and end alike: intersect them as "
            "sets."
        ),
        "Add up three counts over all sentences: right, true and predicted names.",
        "Make one F1 of the three sums at the end, not a mean over sentences or types.",
        "Where neither side has any name the formula would divide by 0: the score is 0 then.",
    ),
)
def entity_score(gold, predicted):
    return entity_scores.entity_f1(gold, predicted)


@entity_score.mistake("That is the share of right tags. Most are O, so it is high for a tagger that finds nothing.")
def token_accuracy(gold, predicted):
    return entity_scores.token_accuracy(gold, predicted)


def _f1(right, true, predicted):
    """F1 from the number of right, of true and of predicted entities."""
    return 2 * right / (true + predicted) if true + predicted else 0.0


@entity_score.mistake(
    "That is F1 over tokens: half of a name counts half. An entity counts when it is whole, otherwise not at all."
)
def token_f1(gold, predicted):
    pairs = [pair for one, other in zip(gold, predicted, strict=True) for pair in zip(one, other, strict=True)]
    right = sum(a == b != "O" for a, b in pairs)
    return _f1(right, sum(a != "O" for a, _ in pairs), sum(b != "O" for _, b in pairs))


def _entities(sentences):
    """The set of (sentence, type, start, end)."""
    return {(row, *span) for row, tags in enumerate(sentences) for span in entity_spans(tags)}


@entity_score.mistake("Your function compares the words only. The type must be right too.")
def type_ignored(gold, predicted):
    true, answer = ({(row, start, end) for row, _, start, end in _entities(side)} for side in (gold, predicted))
    return _f1(len(true & answer), len(true), len(answer))


@entity_score.mistake(
    "An entity of one sentence matches one of another in your function. Compare sentence by sentence, then add up."
)
def sentences_mixed(gold, predicted):
    true, answer = ({span for tags in side for span in entity_spans(tags)} for side in (gold, predicted))
    return _f1(len(true & answer), len(true), len(answer))


@entity_score.mistake("You take the mean of the sentences' F1. Count entities over all sentences first, then one F1.")
def mean_over_sentences(gold, predicted):
    return sum(entity_score([one], [other]) for one, other in zip(gold, predicted, strict=True)) / len(gold)


def _share_of(sentences, others):
    """Which share of the entities of `sentences` is among those of `others`; 0 when there are none."""
    entities = _entities(sentences)
    return len(entities & _entities(others)) / len(entities) if entities else 0.0


@entity_score.mistake("That is (precision + recall) / 2. F1 is their harmonic mean: 2 right / (true + predicted).")
def arithmetic_mean(gold, predicted):
    return _share_of(predicted, gold) / 2 + _share_of(gold, predicted) / 2


@entity_score.mistake("That is recall alone. Invented entities must cost too.")
def recall(gold, predicted):
    return _share_of(gold, predicted)


@entity_score.mistake("That is precision alone. Missed entities must cost too.")
def precision(gold, predicted):
    return _share_of(predicted, gold)


def _counts(gold, predicted):
    """The numbers of right, of true and of predicted entities."""
    true, answer = _entities(gold), _entities(predicted)
    return len(true & answer), len(true), len(answer)


@entity_score.mistake("Where neither side has an entity, you divide 0 by 0. Ask for that first: the score is 0 then.")
def zero_by_zero(gold, predicted):
    right, true, answer = _counts(gold, predicted)
    return 2 * right / (true + answer)


@entity_score.mistake(
    "Where nothing is right, your precision and recall lead to a division by 0. 2 right / (true + predicted) needs no such "
    "care, except where both sides have no entity."
)
def nothing_right_divides_by_0(gold, predicted):
    right, true, answer = _counts(gold, predicted)
    precision, recall = right / answer, right / true
    return 2 * precision * recall / (precision + recall)


@entity_score.mistake("Where neither side has an entity, your score is 1. In this exercise it is 0: nothing was found.")
def one_for_nothing(gold, predicted):
    return entity_score(gold, predicted) if sum(_counts(gold, predicted)) else 1.0


@entity_score.mistake(
    "You divide by the union of true and predicted entities, which is the Jaccard index. F1 is 2 right / (true + predicted)."
)
def jaccard(gold, predicted):
    right, true, answer = _counts(gold, predicted)
    return right / (true + answer - right) if true + answer else 0.0


@entity_score.mistake(
    "Your score is half of F1: a perfect tagger would have 0.5. The 2 of 2 right / (true + predicted) is missing."
)
def factor_2_missing(gold, predicted):
    return entity_score(gold, predicted) / 2


def _mean_over(types, gold, predicted):
    """The mean of the F1 of these types alone."""
    scores = []
    for kind in types:
        true, answer = ({span for span in _entities(side) if span[1] == kind} for side in (gold, predicted))
        scores.append(_f1(len(true & answer), len(true), len(answer)))
    return sum(scores) / len(scores) if scores else 0.0


@entity_score.mistake("You take the mean of the true types' F1, a macro average. Count the entities of all types together.")
def mean_over_true_types(gold, predicted):
    return _mean_over({span[1] for span in _entities(gold)}, gold, predicted)


@entity_score.mistake("You take the mean of F1 over the types, a macro average. Count the entities of all types together.")
def mean_over_types(gold, predicted):
    return _mean_over({span[1] for span in _entities(gold) | _entities(predicted)}, gold, predicted)


@entity_score.mistake(
    "You join the sentences, so that an I- at the beginning of one continues the name before it. Take each sentence alone."
)
def sentences_joined(gold, predicted):
    return entity_score([[tag for tags in gold for tag in tags]], [[tag for tags in predicted for tag in tags]])


@entity_score.mistake("Type and first word suffice in your function. The end must be right too.")
def end_ignored(gold, predicted):
    true, answer = ({(row, kind, start) for row, kind, start, _ in _entities(side)} for side in (gold, predicted))
    return _f1(len(true & answer), len(true), len(answer))


@entity_score.mistake("That is the share of sentences without any error. Count entities, over all sentences.")
def whole_sentences(gold, predicted):
    return sum(entity_spans(one) == entity_spans(other) for one, other in zip(gold, predicted, strict=True)) / len(gold)


TABLE = {"B-LOC": (0.9, 0.8, 0.847, 100), "I-LOC": (0.7, 0.6, 0.646, 20), "O": (0.98, 0.99, 0.985, 900)}


def _random_table(generator):
    names = ["B-LOC", "I-LOC", "B-PER", "O"]
    names = [names[i] for i in torch.randperm(4, generator=generator).tolist()]
    rows = 0.5 + 0.49 * torch.rand(len(names), 2, generator=generator)
    counts = torch.randint(20, 2000, (len(names),), generator=generator).tolist()
    return ({n: (p, r, 2 * p * r / (p + r), c) for n, (p, r), c in zip(names, rows.tolist(), counts, strict=True)},)


@exercise(
    "Three averages of one table",
    cases=[
        (TABLE,),
        ({"B-PER": (0.5, 0.4, 0.444, 10), "I-PER": (0.9, 0.9, 0.9, 50), "O": (0.95, 0.97, 0.96, 500)},),
        ({"O": (0.9, 0.8, 0.847, 300), "B-ORG": (0.8, 0.5, 0.615, 31), "I-ORG": (0.6, 0.7, 0.646, 44)},),
    ],
    fresh=_random_table,
    idea=(
        "The table's shares give counts back: recall times support are a tag's right tokens, and these divided by precision "
        "its predicted tokens. The three averages differ in what weighs the same, tokens or tags, and in whether O takes part."
    ),
    steps=(
        (
            "For each tag compute its right tokens and its predicted tokens, and keep all decimals: the table is rounded, your "
            "counts need not be whole."
        ),
        "First number: the right tokens of all tags over all tokens, O included.",
        "Second number: the mean of the table's own F1, in which every tag counts the same.",
        (
            "Third number: drop the tag O by its name, wherever its row stands, and add up right, predicted and true tokens of "
            "the others; then one F1 of the sums."
        ),
    ),
)
def three_averages(table):
    return entity_scores.f1_averages(table)


def _with(table, index, value):
    """The three averages, one of them replaced."""
    numbers = list(three_averages(table))
    numbers[index] = value
    return tuple(numbers)


@three_averages.mistake("Your third number still counts the class O. Leave its row out of all three sums.")
def o_included(t):
    return _with(t, 2, three_averages(t)[0])


@three_averages.mistake("Your micro average weights the F1 by support. Count: right tokens are recall times support.")
def micro_weighted_f1(t):
    return _with(t, 0, sum(row[2] * row[3] for row in t.values()) / sum(row[3] for row in t.values()))


@three_averages.mistake("Your macro average weights the classes by their size. In it every class counts the same.")
def macro_weighted(t):
    return _with(t, 1, three_averages(t)[0])


def _entities_only(table, weigh):
    """The mean F1 of all classes but O, weighted by `weigh(row)`."""
    inside = {name: row for name, row in table.items() if name != "O"}
    return sum(row[2] * weigh(row) for row in inside.values()) / sum(weigh(row) for row in inside.values())


@three_averages.mistake(
    "Your third number is a macro average. Add up right, predicted and true tokens over the classes, then one F1."
)
def entities_macro(t):
    return _with(t, 2, _entities_only(t, lambda row: 1))


@three_averages.mistake(
    "Your third number weights F1 by support. Add up right, predicted (right / precision) and true tokens first."
)
def entities_weighted(t):
    return _with(t, 2, _entities_only(t, lambda row: row[3]))


@three_averages.mistake("Micro and macro have changed places: micro counts tokens, macro takes the mean over classes.")
def swapped(t):
    micro, macro, entities = three_averages(t)
    return macro, micro, entities


@three_averages.mistake(
    "Your third number is recall: without O, the wrongly predicted tokens are no longer the wrongly missed ones."
)
def entities_recall(t):
    inside = [row for name, row in t.items() if name != "O"]
    return _with(t, 2, sum(row[1] * row[3] for row in inside) / sum(row[3] for row in inside))


@three_averages.mistake(
    "Your micro average weights precision by support. Precision is a share of the *predicted* tokens: take recall."
)
def micro_weighted_precision(t):
    return _with(t, 0, sum(row[0] * row[3] for row in t.values()) / sum(row[3] for row in t.values()))


@three_averages.mistake("Your micro average leaves O out. The first number counts the tokens of all classes.")
def micro_without_o(t):
    return _with(t, 0, entities_recall(t)[2])


@three_averages.mistake("Your macro average leaves O out. The second number is the mean over all classes.")
def macro_without_o(t):
    return _with(t, 1, _entities_only(t, lambda row: 1))


@three_averages.mistake("Your macro average weights each F1 by its class's support. In it every class counts the same.")
def macro_weighted_f1(t):
    return _with(t, 1, micro_weighted_f1(t)[0])


@three_averages.mistake(
    "You compute F1 anew from precision and recall, which the table has rounded. Your macro average should take the table's F1."
)
def f1_computed_anew(t):
    return _with(t, 1, sum(2 * row[0] * row[1] / (row[0] + row[1]) for row in t.values()) / len(t))


@three_averages.mistake(
    "Your macro average is the F1 of the mean precision and the mean recall. Take the mean of the F1 themselves."
)
def f1_of_means(t):
    precision, recall = (sum(row[i] for row in t.values()) / len(t) for i in (0, 1))
    return _with(t, 1, 2 * precision * recall / (precision + recall))


def _inside(rows, factor=2.0, predicted=lambda row: row[1] * row[3] / row[0]):
    """F1 over the tokens of these rows."""
    right = sum(row[1] * row[3] for row in rows)
    return factor * right / sum(predicted(row) + row[3] for row in rows)


def _without_o(table):
    return [row for name, row in table.items() if name != "O"]


@three_averages.mistake("Your third number adds up the class O too. Leave its row out of all three sums.")
def o_added_up(t):
    return _with(t, 2, _inside(list(t.values())))


@three_averages.mistake("You leave out the last class, which is not always O. Ask for the name.")
def last_left_out(t):
    return _with(t, 2, _inside(list(t.values())[:-1]))


@three_averages.mistake("You leave out the first class in the third number, which is not always O. Ask for the name.")
def first_left_out(t):
    return _with(t, 2, _inside(list(t.values())[1:]))


@three_averages.mistake(
    "In your third number precision and recall have changed places. Precision is a share of the predicted tokens."
)
def predicted_upside_down(t):
    return _with(t, 2, _inside(_without_o(t), predicted=lambda row: row[0] * row[3] / row[1]))


@three_averages.mistake("Your third number is half of F1: the 2 of 2 right / (true + predicted) is missing.")
def factor_2_missing(t):
    return _with(t, 2, _inside(_without_o(t), factor=1.0))


@three_averages.mistake("Your third number is precision. F1 asks for the true tokens too: 2 right / (true + predicted).")
def entities_precision(t):
    rows = _without_o(t)
    return _with(t, 2, sum(row[1] * row[3] for row in rows) / sum(row[1] * row[3] / row[0] for row in rows))


@three_averages.mistake("In your third number the right tokens are rounded to whole numbers. Compute on with all decimals.")
def right_rounded(t):
    right = sum(round(row[1] * row[3]) for row in _without_o(t))
    return _with(t, 2, 2 * right / sum(row[1] * row[3] / row[0] + row[3] for row in _without_o(t)))
