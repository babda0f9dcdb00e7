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
        ([0, 1, 1], [5, 6]),  # a tokenizer without special pieces
        ([1, 0, 1], [5, 6]),
    ],
    fresh=_random_pieces,
    idea=(
        "BERT reads pieces, but a tag belongs to a word, so the word's first piece carries its label. All other pieces get "
        "-100, the number that the loss ignores, and a word that is cut into many pieces weighs no more than a whole one."
    ),
    steps=(
        "Go through `word_ids` and add one number to your list for every piece, special pieces and padding included.",
        "A piece without a word gets -100: ask whether it is None, since word 0 counts as false in Python too.",
        (
            "A piece is the first of its word when the piece just before it has another word or none, so remember the entry "
            "before."
        ),
        "A first piece gets the label at its word's number; labels taken in turn go wrong where a tokenizer leaves a word out.",
    ),
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


@aligned_labels.mistake("Word 0 gets no label: 0 counts as false in Python. Ask `word is None`.")
def word_0_lost(word_ids, labels):
    return [label if word else IGNORED for word, label in zip(word_ids, aligned_labels(word_ids, labels), strict=True)]


@aligned_labels.mistake(
    "You take the next label at each new word. A tokenizer may leave a word out or take one up again: look up labels[word]."
)
def next_label(word_ids, labels):
    following = iter(labels)
    return [IGNORED if label == IGNORED else next(following) for label in aligned_labels(word_ids, labels)]


@aligned_labels.mistake(
    "You count the words yourself, and the count is not always the word's number: look up labels[word], as word_ids says."
)
def counted_words(word_ids, labels):
    count, aligned = 0, []
    for label in aligned_labels(word_ids, labels):
        aligned.append(IGNORED if label == IGNORED else labels[count])
        count += label != IGNORED
    return aligned


@aligned_labels.mistake(
    "A word that comes once more after a special piece has no label in your list. Compare with the piece just before, which "
    "may be None."
)
def seen_before(word_ids, labels):
    seen: set = set()
    aligned = []
    for word in word_ids:
        aligned.append(IGNORED if word is None or word in seen else labels[word])
        seen.add(word)
    return aligned


@aligned_labels.mistake(
    "You begin as if word 0 had come before the first piece, so it gets no label where no special piece stands first. Begin "
    "with None."
)
def begins_after_word_0(word_ids, labels):
    return aligned_labels([0, *word_ids], labels)[1:]


@aligned_labels.mistake(
    "You compare the first piece with the last one: word_ids[-1] is the end of the list. Nothing stands before the first."
)
def compared_with_the_last(word_ids, labels):
    return [IGNORED if w is None or w == word_ids[i - 1] else labels[w] for i, w in enumerate(word_ids)]


@aligned_labels.mistake(
    "Each word has the label of the word before it. word_ids counts words from 0 and has no number for [CLS]: labels[word]."
)
def label_of_word_before(word_ids, labels):
    return aligned_labels(word_ids, [*labels[-1:], *labels[:-1]])


@aligned_labels.mistake("Each word has the label of the next one. word_ids counts words from 0, as Python does: labels[word].")
def label_of_next_word(word_ids, labels):
    return [
        IGNORED if label == IGNORED else labels[word + 1]
        for word, label in zip(word_ids, aligned_labels(word_ids, labels), strict=True)
    ]


def _instead_of_ignored(value):
    """The labels with another value for what is ignored."""
    return lambda word_ids, labels: [value if label == IGNORED else label for label in aligned_labels(word_ids, labels)]


@aligned_labels.mistake("What has no label is -1 in your list. F.cross_entropy leaves out -100, and stops at -1.")
def minus_1(word_ids, labels):
    return _instead_of_ignored(-1)(word_ids, labels)


@aligned_labels.mistake("What has no label is None in your list, of which no tensor can be made. It gets -100.")
def none_for_ignored(word_ids, labels):
    return _instead_of_ignored(None)(word_ids, labels)


@aligned_labels.mistake(
    "Special pieces, padding and later pieces have label 0 (O): they would be trained on and counted. They get -100."
)
def all_others_o(word_ids, labels):
    return _instead_of_ignored(0)(word_ids, labels)


@aligned_labels.mistake("Special pieces and padding are left out. Each piece needs a label, also where it is -100.")
def special_left_out(word_ids, labels):
    return [label for word, label in zip(word_ids, aligned_labels(word_ids, labels), strict=True) if word is not None]


def _random_batch(generator):
    labels = torch.randint(0, 4, (3, 5), generator=generator)
    labels[0, 3:], labels[1, 2:], labels[2, 4:] = IGNORED, IGNORED, IGNORED
    return 2 * torch.randn(3, 5, 4, generator=generator), labels


@exercise(
    "The loss of labelled pieces",
    cases=[
        (torch.tensor([[[2.0, 0.0], [0.0, 1.0]]]), torch.tensor([[0, IGNORED]])),
        (torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [3.0, 0.0]]]), torch.tensor([[0, 1], [1, IGNORED]])),
        (torch.tensor([[[2.0, 0.0], [0.0, 1.0], [1.0, 3.0]]]), torch.tensor([[1, IGNORED, IGNORED]])),
        (torch.tensor([[[200.0, -200.0]]]), torch.tensor([[1]])),  # a probability that float32 rounds to 0
    ],
    fresh=_random_batch,
    gradient=("logits",),
    idea=(
        "Later pieces of a word, special pieces and padding have no label, so there is nothing to learn from them. The loss is "
        "the mean cross-entropy over the labelled pieces of the whole batch, however much padding stands beside them."
    ),
    steps=(
        "Find the pieces whose label is not -100, a table of truth values (sentences, pieces); 0 is the tag O and stays.",
        "Without any such piece a mean is NaN: return a zero that is computed from the logits, so that backward() still runs.",
        (
            "F.cross_entropy wants one row of logits per piece, as they are, without a softmax: (pieces, tags) and labels "
            "(pieces,). A reshape must not mix tags and pieces."
        ),
        "Its mean runs over all labelled pieces at once: no mean for each sentence, no division by the number of all pieces.",
    ),
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


@loss_of_labelled.mistake(
    "reshape cuts the numbers into new rows, so that classes and pieces are mixed. Exchange the axes: transpose(1, 2)."
)
def reshaped(logits, labels):
    return loss_of_labelled(logits.reshape(len(logits), logits.shape[2], -1).transpose(1, 2), labels)


@loss_of_labelled.mistake("You divide by the number of sentences. Divide by the number of labelled pieces.")
def divided_by_sentences(logits, labels):
    return summed(logits, labels) / len(labels)


@loss_of_labelled.mistake("The sign is the other way: the loss is *minus* the log-probability, so it is never negative.")
def sign(logits, labels):
    return -loss_of_labelled(logits, labels)


@loss_of_labelled.mistake("You take the softmax twice: F.cross_entropy does it itself. Hand it the logits as they are.")
def softmax_twice(logits, labels):
    return loss_of_labelled(logits.softmax(dim=2), labels)


@loss_of_labelled.mistake("You leave out label 0 too. O is a class like the others; only -100 is ignored.")
def o_left_out(logits, labels):
    return loss_of_labelled(logits, labels.where(labels > 0, IGNORED))


@loss_of_labelled.mistake(
    "You add one to the number of labelled pieces, so every loss is too small. Treat a batch without a label on its own."
)
def one_added(logits, labels):
    count = (labels != IGNORED).sum()
    return loss_of_labelled(logits, labels) * count / (count + 1)


@loss_of_labelled.mistake("That is 1 minus the mean probability of the right class. The loss is minus its logarithm.")
def no_logarithm(logits, labels):
    kept = labels != IGNORED
    return 1 - logits.softmax(dim=2)[kept].gather(1, labels[kept][:, None]).mean()


@loss_of_labelled.property("The loss of a batch without a label is 0.")
def _nothing_labelled(function, generator):
    logits = torch.randn(2, 3, 4, generator=generator, requires_grad=True)
    loss = function(logits, torch.full((2, 3), IGNORED))
    if not isinstance(loss, torch.Tensor) or loss != 0:
        shown = loss.item() if isinstance(loss, torch.Tensor) else f"the number {loss}"
        name = "no_tensor_without_labels"
        if isinstance(loss, torch.Tensor):
            name = "nan_without_labels" if loss.isnan().any() else "not_0_without_labels"
        return name, say(
            "A batch without any labelled piece gives {shown}. Its loss is a tensor of 0: return 0.0 * logits.sum().",
            shown=shown,
        )
    if not loss.requires_grad:
        return "no_gradient_without_labels", say(
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
        (["Doe", "met", "Doe"], ["B-PER", "O", "B-PER"], 2, 3, ["Jane", "Roe"]),
        (["on", "Blue"], ["O", "B-art-music"], 1, 2, ["Kind", "of", "Blue"]),  # a type as Few-NERD has them
    ],
    fresh=_random_mention,
    idea=(
        "When the words of a sentence change, its tags must change with them: the new mention may be longer or shorter than "
        "the old one. It has the old one's type, its first word has B-, and all that stands around it stays as it was."
    ),
    steps=(
        "Read the type from the old mention's first tag: what stands after the hyphen.",
        (
            "Make one tag for each word of the new mention: B- for the first, even where the old one began with I-, and I- for "
            "the rest."
        ),
        "Cut words and tags at the same two places: what comes before `start` stays, and so does everything from `end` on.",
        "Put the new words and the new tags in between, word by word, and return two lists of equal length, words first.",
    ),
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


@swapped_mention.mistake(
    "You keep the tag of the old first word. Where it was I-, the new mention begins with I- too: its first word has B-."
)
def old_first_tag(words, tags, start, end, mention):
    changed, new_tags = swapped_mention(words, tags, start, end, mention)
    return changed, [*new_tags[:start], tags[start], *new_tags[start + 1 :]]


@swapped_mention.mistake("Every new word has the tag of the old first word. Only the first has B-, the others I-.")
def first_tag_repeated(words, tags, start, end, mention):
    changed, _ = swapped_mention(words, tags, start, end, mention)
    return changed, [*tags[:start], *[tags[start]] * len(mention), *tags[end:]]


@swapped_mention.mistake("There are as many new tags as the old mention had words. Count the words of the new one.")
def old_length(words, tags, start, end, mention):
    changed, _ = swapped_mention(words, tags, start, end, mention)
    return changed, swapped_mention(words, tags, start, end, words[start:end])[1]


@swapped_mention.mistake("The new mention became one word with spaces in it. Put its words in one by one, each with a tag.")
def joined(words, tags, start, end, mention):
    return swapped_mention(words, tags, start, end, [" ".join(mention)])


@swapped_mention.mistake(
    "The words of the new mention became one word with spaces in it, while each has a tag. Put them in one by one."
)
def joined_words(words, tags, start, end, mention):
    return joined(words, tags, start, end, mention)[0], swapped_mention(words, tags, start, end, mention)[1]


@swapped_mention.mistake("The old mention is still there, behind the new one. Go on from `end`, in words and in tags.")
def inserted(words, tags, start, end, mention):
    return _cut(words, tags, start, end, mention, start)


@swapped_mention.mistake("You replace every place with the same words. Only the mention from `start` to `end` - 1 changes.")
def replaced_everywhere(words, tags, start, end, mention):
    old, place, new_words, new_tags = words[start:end], 0, [], []
    while place < len(words):
        here = words[place : place + len(old)] == old
        some = swapped_mention(old, tags[start:end], 0, len(old), mention) if here else ([words[place]], [tags[place]])
        new_words, new_tags, place = new_words + some[0], new_tags + some[1], place + (len(old) if here else 1)
    return new_words, new_tags


@swapped_mention.mistake("A type may hold a hyphen, as art-music does. Take all that stands after B- or I-: tag[2:].")
def cut_at_the_hyphen(words, tags, start, end, mention):
    kind = tags[start].split("-")[1]
    return swapped_mention(words, [*tags[:start], f"B-{kind}", *tags[start + 1 :]], start, end, mention)


@swapped_mention.mistake("You mark last words by E- and single words by S-. In this course there are B- and I- alone.")
@_retagged
def bioes(kind, count):
    return [f"S-{kind}"] if count == 1 else [f"B-{kind}", *[f"I-{kind}"] * (count - 2), f"E-{kind}"]


@swapped_mention.mistake("The order is words, tags.")
def tags_first(words, tags, start, end, mention):
    return swapped_mention(words, tags, start, end, mention)[::-1]


@swapped_mention.mistake(
    "Your new tags have two prefixes, such as B-B-PER. The type is what stands after the old tag's hyphen."
)
def two_prefixes(words, tags, start, end, mention):
    changed, _ = swapped_mention(words, tags, start, end, mention)
    new_tags = [f"B-{tags[start]}", *[f"I-{tags[start]}"] * (len(mention) - 1)]
    return changed, [*tags[:start], *new_tags, *tags[end:]]


@swapped_mention.mistake("Your new tags are the type alone. The first has B- before it, the others I-.")
@_retagged
def no_prefix(kind, count):
    return [kind] * count
