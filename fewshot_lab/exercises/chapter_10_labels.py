"""Chapter 10: labels for pieces of words, the loss of labelled pieces, mention replacement."""

import functools

import torch
import torch.nn.functional as F

from ..augment import mentions
from ..languages import say
from ..methods import tagging
from ..methods.tagging import IGNORED
from .declare import exercise


def _random_pieces(generator):
    labels = torch.randint(0, 5, (6,), generator=generator).tolist()
    pieces = torch.randint(1, 4, (6,), generator=generator).tolist()
    padding = 1 + int(torch.randint(3, (), generator=generator))
    return [None, *(word for word, count in enumerate(pieces) for _ in range(count)), None, *[None] * padding], labels


@exercise(
    "Labels for pieces of words",
    cases=[
        ([None, 0, 1, 1, None], [0, 3]),
        ([None, 0, 0, 0, 1, None, None, None], [1, 0]),
        ([None, 0, 1, 2, 2, None, None], [5, 6, 0, 4]),
        ([None, 0, 2, 2, None], [5, 6, 7]),
        ([None, 0, None, 0, 1, 1, None], [5, 6]),
    ],
    fresh=_random_pieces,
)
def aligned_labels(word_ids, labels):
    return tagging.align_labels(word_ids, labels)


@aligned_labels.mistake(
    "Every piece has its word's label, so a B- word of three pieces becomes three entities. Label the first only."
)
def every_piece(word_ids, labels):
    return [IGNORED if word is None else labels[word] for word in word_ids]


@aligned_labels.mistake("Special pieces and padding have label 0 (O): they would be trained on and counted. They get -100.")
def padding_is_o(word_ids, labels):
    return [0 if word is None else label for word, label in zip(word_ids, aligned_labels(word_ids, labels), strict=True)]


@aligned_labels.mistake("Labels follow one another without looking at word_ids: pieces and words are out of step.")
def by_place(word_ids, labels):
    return (list(labels) + [IGNORED] * len(word_ids))[: len(word_ids)]


@aligned_labels.mistake("Your labels are one position too early: the first piece is [CLS], which has none.")
def cls_forgotten(word_ids, labels):
    return aligned_labels(word_ids[1:], labels) + [IGNORED]


@aligned_labels.mistake("You label the last piece of each word. This course (like BERT's paper) labels the first.")
def last_piece(word_ids, labels):
    return aligned_labels(word_ids[::-1], labels)[::-1]


@aligned_labels.mistake(
    "Later pieces of a word have label 0 (O): the model would learn to end names after one piece. They get -100."
)
def o_on_continuations(word_ids, labels):
    return [
        0 if word is not None and label == IGNORED else label
        for word, label in zip(word_ids, aligned_labels(word_ids, labels), strict=True)
    ]


def _random_batch(generator):
    labels = torch.randint(0, 4, (3, 5), generator=generator)
    labels[0, 3:], labels[1, 2:], labels[2, 4:] = IGNORED, IGNORED, IGNORED
    return 2 * torch.randn(3, 5, 4, generator=generator), labels


@exercise(
    "The loss of labelled pieces",
    cases=[
        (torch.tensor([[[2.0, 0.0], [0.0, 1.0]]]), torch.tensor([[0, IGNORED]])),
        (torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [3.0, 0.0]]]), torch.tensor([[0, 1], [1, IGNORED]])),
    ],
    fresh=_random_batch,
    gradient=("logits",),
)
def loss_of_labelled(logits, labels):
    return tagging.masked_loss(logits, labels)


@loss_of_labelled.mistake("Ignored pieces are trained as class 0 (O). Keep those whose label is not -100.")
def padding_is_o(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.clamp_min(0).flatten())


@loss_of_labelled.mistake("You divide by all pieces, ignored ones too: the more padding, the smaller the loss.")
def mean_over_all(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="sum") / labels.numel()


@loss_of_labelled.mistake("You take the mean of the sentences' means. Every labelled piece counts the same.")
def mean_over_sentences(logits, labels):
    return torch.stack([loss_of_labelled(a[None], b[None]) for a, b in zip(logits, labels, strict=True)]).mean()


@loss_of_labelled.mistake("You add up the pieces. Take their mean, so that the loss does not depend on the number of words.")
def summed(logits, labels):
    return loss_of_labelled(logits, labels) * (labels != IGNORED).sum()


@loss_of_labelled.mistake("Your softmax runs over the pieces. Each piece chooses among the classes.")
def softmax_over_pieces(logits, labels):
    kept = labels != IGNORED
    return -logits.log_softmax(dim=1)[kept].gather(1, labels[kept][:, None]).mean()


@loss_of_labelled.property("The loss of a batch without a label is 0.")
def _nothing_labelled(function, generator):
    logits = torch.randn(2, 3, 4, generator=generator, requires_grad=True)
    loss = function(logits, torch.full((2, 3), IGNORED))
    if not isinstance(loss, torch.Tensor) or loss != 0:
        shown = loss.item() if isinstance(loss, torch.Tensor) else f"the number {loss}"
        return say(
            "A batch without any labelled piece gives {shown}. Its loss is a tensor of 0: return 0.0 * logits.sum().",
            shown=shown,
        )
    if not loss.requires_grad:
        return say(
            "The 0 of a batch without any labelled piece has no gradient, so loss.backward() stops there: return "
            "0.0 * logits.sum()."
        )


def _random_mention(generator):
    words = [f"w{i}" for i in range(7)]
    start = int(torch.randint(5, (), generator=generator))
    length = 1 + int(torch.randint(2, (), generator=generator))
    tags = ["O"] * 7
    tags[start : start + length] = ["B-ORG"] + ["I-ORG"] * (length - 1)
    mention = [f"new{i}" for i in range(1 + int(torch.randint(3, (), generator=generator)))]
    return words, tags, start, start + length, mention


@exercise(
    "A mention replaced by another",
    cases=[
        (["in", "Oslo", "today"], ["O", "B-LOC", "O"], 1, 2, ["New", "York"]),
        (["Jane", "M.", "Doe", "said"], ["B-PER", "I-PER", "I-PER", "O"], 0, 3, ["Bo"]),
        (["at", "Red", "Star"], ["O", "B-ORG", "I-ORG"], 1, 3, ["Bank", "of", "Oslo"]),
        (["said", "Doe"], ["O", "I-PER"], 1, 2, ["Jane", "Doe"]),
    ],
    fresh=_random_mention,
)
def swapped_mention(words, tags, start, end, mention):
    return mentions.replace_mention(words, tags, start, end, mention)


@swapped_mention.mistake("The tags stayed as they were. A mention of another length needs as many tags as it has words.")
def old_tags(words, tags, start, end, mention):
    return swapped_mention(words, tags, start, end, mention)[0], list(tags)


def _retagged(new_tags):
    """Turns `new_tags(type, number of words)` into a replacement that tags the new mention so."""

    @functools.wraps(new_tags)
    def replace(words, tags, start, end, mention):
        changed, _ = swapped_mention(words, tags, start, end, mention)
        return changed, [*tags[:start], *new_tags(tags[start][2:], len(mention)), *tags[end:]]

    return replace


@swapped_mention.mistake("Every new word has B-: that is several entities. Only the first word has B-, the others I-.")
@_retagged
def all_begin(kind, count):
    return [f"B-{kind}"] * count


@swapped_mention.mistake(
    "The new mention begins with I-. Beside an entity of its type it would melt into it: the first word has B-."
)
@_retagged
def none_begins(kind, count):
    return [f"I-{kind}"] * count


@swapped_mention.mistake("The new words are tagged O. They are a mention of the old type.")
@_retagged
def no_entity(kind, count):
    return ["O"] * count


def _cut(words, tags, start, end, mention, rest):
    """The mention is right, but what follows it begins at the word `rest`."""
    new_tags = swapped_mention(words, tags, start, end, mention)[1][start : start + len(mention)]
    return [*words[:start], *mention, *words[rest:]], [*tags[:start], *new_tags, *tags[rest:]]


@swapped_mention.mistake("Only the first word of the old mention goes; the rest of it stays. Cut from start to end.")
def one_word_only(words, tags, start, end, mention):
    return _cut(words, tags, start, end, mention, start + 1)


@swapped_mention.mistake("The word after the mention is gone too: end is already the first word after it.")
def one_too_many(words, tags, start, end, mention):
    return _cut(words, tags, start, end, mention, end + 1)
