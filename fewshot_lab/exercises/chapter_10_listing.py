"""Chapter 10: the repair of a printed script for named entities, each part of which has planted defects."""

import torch

from ..languages import say
from ..methods.tagging import IGNORED
from . import inspectors
from .declare import Exercise, Property
from .inspectors import CONLL_TAGS, CONLL_TYPES, TAGS


def listing_tags():
    return dict(CONLL_TAGS)


def listing_items(tokenizer, sentences, tags, numbers):
    from torch.utils.data import Dataset

    class Sentences(Dataset):
        def __init__(self):
            self.pieces = tokenizer(sentences, is_split_into_words=True, padding="max_length", max_length=32, truncation=True)

        def __len__(self):
            return len(sentences)

        def __getitem__(self, i):
            before, labels = None, []
            for word in self.pieces.word_ids(i):
                labels.append(-100 if word is None or word == before else numbers[tags[i][word]])
                before = word
            return {"input_ids": torch.tensor(self.pieces["input_ids"][i]), "labels": torch.tensor(labels)}

    return Sentences()


def listing_network(sizes, numbers, device):
    from transformers import BertConfig, BertForTokenClassification

    return BertForTokenClassification(BertConfig(**sizes, num_labels=len(numbers))).to(device)


def listing_optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=5e-5)


def listing_score(gold, predicted):
    from seqeval.metrics import f1_score

    return float(f1_score(gold, predicted, zero_division=0))


def _all_types(function, generator):
    numbers = function()
    missing = [kind for kind in CONLL_TYPES if not {f"B-{kind}", f"I-{kind}"} <= set(numbers)]
    if missing:
        return say(
            "{missing} is missing. CoNLL-2003 has {types}, each with B- and I-.",
            missing=", ".join(missing),
            types=", ".join(CONLL_TYPES),
        )
    if "O" not in numbers:
        return say("O is missing: most words are no entity.")
    if others := set(numbers) - set(CONLL_TAGS):
        return say("CoNLL-2003 has no {others}: each more logit only costs.", others=", ".join(map(str, others)))


def _numbers_from_zero(function, generator):
    numbers = function()
    used = sorted(numbers.values())
    if used != list(range(len(numbers))):
        return say(
            "The {count} tags need the numbers 0 to {last}, each once; they have {used}.",
            count=len(numbers),
            last=len(numbers) - 1,
            used=used,
        )


def _is_a_data_set(seen, generator):
    if isinstance(seen, str):
        return say("{seen}: import it, from torch.utils.data import Dataset.", seen=seen)
    if seen["count"] != len(seen["pieces"]):
        return say(
            "There are {sentences} sentences, and len() gives {count}.",
            sentences=len(seen["pieces"]),
            count=seen["count"],
        )


def _of_32(seen, generator):
    for shapes in seen["shapes"]:
        if shapes != [(32,), (32,)]:
            return say(
                "The shapes of an item's input_ids and labels are {ids} and {labels}; tensors of (32,) are needed, so that "
                "items can be stacked. Pad short sentences and cut long ones: max_length=32, truncation=True.",
                ids=shapes[0],
                labels=shapes[1],
            )


def _own_pieces(seen, generator):
    for found, pieces in zip(seen["input_ids"], seen["pieces"], strict=True):
        if not isinstance(found, list) or found[:31] != (pieces + [0] * 32)[:31]:  # the last may be [SEP] or a piece
            return say(
                "An item's input_ids are not the pieces of its sentence: [CLS], its words' pieces, [SEP], padding to 32."
            )


def _own_labels(seen, generator):
    first, second, _ = seen["labels"]
    if first == second:
        return say("Both sentences have the same labels: they come from the whole data set. Take those of item i alone.")


def _padding_ignored(seen, generator):
    for pieces, labels in zip(seen["pieces"], seen["labels"], strict=True):
        if labels[0] != IGNORED or any(label != IGNORED for label in labels[min(len(pieces), 32) - 1 :]):
            return say(
                "[CLS], [SEP] or padding has a tag's label: it is trained on, and counted. Use -100, which the loss ignores."
            )


def _aligned(seen, generator):
    if seen["labels"] != inspectors.tagged_items(listing_items)["labels"]:
        return say(
            "The labels are not those of the words' first pieces. Words are cut into pieces: ask word_ids(i) to which word "
            "each piece belongs, label the first piece, and give -100 to the others."
        )


def _class_exists(error, generator):
    if error:
        return say("{error}. The class for tagging is BertForTokenClassification.", error=error)


def _one_logit_per_tag(shape, generator):
    if shape != (1, 3, 9):
        return say("Three pieces give logits {shape}; (1, 3, 9) is needed: num_labels is the number of tags.", shape=shape)


def _sizes_kept(hidden, generator):
    if hidden != inspectors.SMALL_BERT["hidden_size"]:
        return say("The hidden size is {hidden}, not that of `sizes`: BertConfig(**sizes, num_labels=...).", hidden=hidden)


def _moved(devices, generator):
    if devices != ["meta"]:
        return say("The model is not on the device that was asked for: model.to(device).")


def _optimizer_exists(seen, generator):
    if isinstance(seen, str):
        return say("{seen}. It was removed from transformers: use torch.optim.AdamW.", seen=seen)
    if not seen["torch"]:
        return say("A {kind} is returned; torch.optim.AdamW is needed.", kind=seen["class"])


def _learns_all(seen, generator):
    if seen["count"] != 2:
        return say("Some parameters of the model do not learn: give model.parameters().")
    if any(rate != 5e-5 for rate in seen["rates"]):
        return say("The learning rate is {rate:g}; BERT is fine-tuned with a small one, here 5e-5.", rate=seen["rates"][0])


def _takes_sentences(seen, generator):
    if isinstance(seen, str):
        return say(
            "Lists of lists of tags stop it ({seen}). scikit-learn's report is for flat labels; seqeval takes sentences.",
            seen=seen,
        )


def _o_does_not_count(function, generator):
    nothing = [["O"] * len(tags) for tags in TAGS]
    if (score := function(TAGS, nothing)) > 0.01:
        return say(
            "A tagger that finds nothing scores {score:.3f}: O is counted as a class. That is token accuracy, not entity F1.",
            score=score,
        )


def _whole_entities(function, generator):
    half = [["B-PER", "O", "O", "B-PER"], ["O", "O", "B-LOC", "O", "O", "O"]]
    if abs((score := function(TAGS, half)) - 1 / 3) > 0.01:
        return say(
            "One of three entities is whole, the others are half read: entity F1 is 0.333, yours {score:.3f}. Count entities.",
            score=score,
        )


EXERCISES = [
    Exercise(
        "listing_tags",
        "10",
        "Listing: the tags",
        listing_tags,
        properties=(
            Property("Every type of CoNLL-2003 has B- and I-.", _all_types, "misc_missing"),
            Property("The numbers run from 0.", _numbers_from_zero, "numbers_with_gaps"),
        ),
    ),
    Exercise(
        "listing_items",
        "10",
        "Listing: the data set",
        listing_items,
        properties=(
            Property("It is a data set of the sentences.", _is_a_data_set, "dataset_not_imported", inspectors.tagged_items),
            Property("Items are tensors of 32 pieces.", _of_32, "not_32", inspectors.tagged_items),
            Property("Each item has its own pieces.", _own_pieces, "other_pieces", inspectors.tagged_items),
            Property("Each item has its own labels.", _own_labels, "labels_of_all", inspectors.tagged_items),
            Property("Special pieces and padding are ignored.", _padding_ignored, "padding_is_o", inspectors.tagged_items),
            Property("Labels stand on the first pieces of their words.", _aligned, "not_aligned", inspectors.tagged_items),
        ),
    ),
    Exercise(
        "listing_network",
        "10",
        "Listing: the network",
        listing_network,
        properties=(
            Property("The class exists.", _class_exists, "no_such_class", inspectors.network_error),
            Property("It gives one logit per tag.", _one_logit_per_tag, "wrong_number_of_tags", inspectors.tag_logits),
            Property("It has the sizes that were asked for.", _sizes_kept, "sizes_not_used", inspectors.network_hidden_size),
            Property("The model is on the device.", _moved, "network_not_moved", inspectors.network_devices),
        ),
    ),
    Exercise(
        "listing_optimizer",
        "10",
        "Listing: the optimizer",
        listing_optimizer,
        properties=(
            Property("It is an AdamW that exists.", _optimizer_exists, "adamw_removed", inspectors.optimizer_seen),
            Property("All parameters learn, at 5e-5.", _learns_all, "not_all_learn", inspectors.optimizer_seen),
        ),
    ),
    Exercise(
        "listing_score",
        "10",
        "Listing: the score",
        listing_score,
        properties=(
            Property("It takes sentences.", _takes_sentences, "lists_of_lists", inspectors.score_of_sentences),
            Property("The class O does not count.", _o_does_not_count, "o_counts"),
            Property("Entities count when they are whole.", _whole_entities, "tokens_counted"),
        ),
    ),
]
