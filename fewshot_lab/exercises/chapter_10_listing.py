"""Chapter 10: the repair of a printed script for named entities, each part of which has planted defects."""

import torch

from ..languages import say
from ..methods.tagging import IGNORED
from . import inspectors, sources
from .declare import exercise
from .inspectors import CONLL_TAGS, CONLL_TYPES, TAGS, said_by
from .training_steps import alike


@exercise(
    "Listing: the tags",
    idea=(
        "A tagger can answer only with tags that have a number, and each number is the place of a logit. So the dictionary "
        "must hold every tag of the corpus, numbered from 0 without a gap."
    ),
    steps=(
        "The check names what is missing: compare the dictionary, tag by tag, with the article's printed table further up.",
        "Look at the numbers too: every whole number from 0 on, each once, one for each tag.",
        "CoNLL-2003 has a fourth type, MISC: give its B- and its I- a number each.",
    ),
)
def listing_tags():
    return dict(CONLL_TAGS)


@listing_tags.property("Every type of CoNLL-2003 has B- and I-.", mistake="misc_missing")
def _all_types(function, generator):
    numbers = function()
    if numbers is None:
        return "nothing_returned", say("Your function returns nothing (None). Does its last line begin with `return`?")
    if not isinstance(numbers, dict):
        kind = type(numbers).__name__
        return "wrong_type", say(
            "Your function returns a value of type {kind}; {needed} is needed.", kind=kind, needed=say("a dictionary")
        )
    if set(CONLL_TAGS) <= {value for value in numbers.values() if isinstance(value, str)}:
        return "keys_and_values_exchanged", say("Your dictionary gives a tag for each number; give a number for each tag.")
    missing = [kind for kind in CONLL_TYPES if not {f"B-{kind}", f"I-{kind}"} <= set(numbers)]
    if missing:
        return "misc_missing" if missing == ["MISC"] else "types_missing", say(
            "{missing} is missing. CoNLL-2003 has {types}, each with B- and I-.",
            missing=", ".join(missing),
            types=", ".join(CONLL_TYPES),
        )
    if "O" not in numbers:
        return "o_missing", say("O is missing: most words are no entity.")
    if others := set(numbers) - set(CONLL_TAGS):
        return "tags_too_many", say(
            "CoNLL-2003 has no {others}: every extra logit only costs.", others=", ".join(map(str, others))
        )


@listing_tags.property("The numbers run from 0.", mistake="numbers_with_gaps")
def _numbers_from_zero(function, generator):
    numbers = function()
    if not all(isinstance(number, int) for number in numbers.values()):
        return "no_whole_numbers", say(
            "The numbers of the tags must be whole numbers of type int, such as 0, not text or floats."
        )
    used = sorted(numbers.values())
    if used != list(range(len(numbers))):
        name = "numbered_from_1" if used == list(range(1, len(numbers) + 1)) else "numbers_with_gaps"
        return "number_used_twice" if len(set(used)) < len(used) else name, say(
            "The {count} tags need the numbers 0 to {last}, each once; they have {used}.",
            count=len(numbers),
            last=len(numbers) - 1,
            used=used,
        )


@exercise(
    "Listing: the data set",
    idea=(
        "An item holds the pieces of one sentence and the labels that belong to exactly these pieces. The printed class takes "
        "its labels from elsewhere, so the network would learn tags that do not belong to the pieces beside them."
    ),
    steps=(
        "It stops with a NameError first: which name has nobody defined, and from where could it come?",
        (
            "Look at the length of an item's input_ids when the sentence is long: padding lengthens the short ones, but what "
            "cuts the long ones?"
        ),
        "Print the labels of two items: where in the loop that collects them does i occur?",
        (
            "Print the pieces of an item beside its labels: what stands at [CLS], [SEP] and padding, and at the second piece "
            "of a word?"
        ),
        (
            "The mend: import Dataset, let the tokenizer split lists of words and truncate at 32, and align the tags of "
            "sentence i as in aligned_labels, -100 elsewhere."
        ),
    ),
)
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


@listing_items.property("It is a data set of the sentences.", mistake="wrong_length", inspector=inspectors.tagged_items)
def _is_a_data_set(seen, generator):
    if isinstance(seen, str):
        if "'Dataset'" not in seen:
            return "name_not_defined", say("{seen}: is it spelled right, and imported?", seen=seen)
        return "dataset_not_imported", say("{seen}: import it, from torch.utils.data import Dataset.", seen=seen)
    if seen["count"] != len(seen["pieces"]):
        return say(
            "There are {sentences} sentences, and len() gives {count}.",
            sentences=len(seen["pieces"]),
            count=seen["count"],
        )


@listing_items.property("Items are tensors of 32 pieces.", mistake="not_32", inspector=inspectors.tagged_items)
def _of_32(seen, generator):
    for shapes in seen["shapes"]:
        if shapes != [(32,), (32,)]:
            return say(
                "The shapes of an item's input_ids and labels are {ids} and {labels}; tensors of (32,) are needed, so that "
                "items can be stacked. Pad short sentences and cut long ones: max_length=32, truncation=True.",
                ids=shapes[0],
                labels=shapes[1],
            )


@listing_items.property("Each item has its own pieces.", mistake="other_pieces", inspector=inspectors.tagged_items)
def _own_pieces(seen, generator):
    for ids, pieces in zip(seen["input_ids"], seen["pieces"], strict=True):
        if not isinstance(ids, list) or ids[:31] != (pieces + [0] * 32)[:31]:  # the last may be [SEP] or a piece
            return say(
                "An item's input_ids are not the pieces of its sentence: [CLS], its words' pieces, [SEP], padding to 32."
            )


@listing_items.property("Each item has its own labels.", mistake="labels_of_all", inspector=inspectors.tagged_items)
def _own_labels(seen, generator):
    first, second, _ = seen["labels"]
    if first == second:
        return say("Both sentences have the same labels: they come from the whole data set. Take those of item i alone.")


@listing_items.property("Special pieces and padding are ignored.", mistake="padding_is_o", inspector=inspectors.tagged_items)
def _padding_ignored(seen, generator):
    for pieces, labels in zip(seen["pieces"], seen["labels"], strict=True):
        if labels[0] != IGNORED or any(label != IGNORED for label in labels[min(len(pieces), 32) - 1 :]):
            return say(
                "[CLS], [SEP] or padding has a tag's label: it is trained on, and counted. Use -100, which the loss ignores."
            )


@listing_items.property(
    "Each label is on the first piece of its word.", mistake="not_aligned", inspector=inspectors.tagged_items
)
def _aligned(seen, generator):
    if seen["labels"] != inspectors.tagged_items(inspectors.run_here(listing_items), generator)["labels"]:
        return say(
            "The labels are not those of the words' first pieces. Words are cut into pieces: ask word_ids(i) to which word "
            "each piece belongs, label the first piece, and give -100 to the others."
        )


@listing_items.property("So it is for other sentences.", mistake="other_pieces", inspector=inspectors.items_drawn)
def _of_others(seen, generator):
    got, of = seen
    if got != of(listing_items.reference):
        return say("The items are right for the sentences of the other checks, but not for others like them.")


@exercise(
    "Listing: the network",
    idea=(
        "A tagger needs a network that answers for every piece, with one logit for each tag, on the device where the batches "
        "will be. The printed one asks the library for a class that it does not have."
    ),
    steps=(
        (
            "Read the error's last line: the class does not exist. The library names its classes after what they classify; "
            "look for the one that classifies tokens."
        ),
        (
            "Then look at the shape of the logits: its last number should be that of the tags. Does the configuration know how "
            "many there are?"
        ),
        "Look at the arguments: which of the three does your function still not use?",
        (
            "The mend: BertForTokenClassification, num_labels in its configuration beside the sizes, and the finished network "
            "moved to the device."
        ),
    ),
)
def listing_network(sizes, numbers, device):
    from transformers import BertConfig, BertForTokenClassification

    return BertForTokenClassification(BertConfig(**sizes, num_labels=len(numbers))).to(device)


@listing_network.property("The class exists.", mistake="no_such_class", inspector=said_by(inspectors.network_error))
def _class_exists(error, generator):
    if error:
        return say("{error}. The class for tagging is BertForTokenClassification.", error=error)


@listing_network.property(
    "It gives one logit per tag.", mistake="wrong_number_of_tags", inspector=said_by(inspectors.tag_logits)
)
def _one_logit_per_tag(shapes, generator):
    for shape, count in zip(shapes, (9, 3), strict=True):
        if shape == (1, count):
            return "one_answer_per_sentence", say(
                "Three pieces give logits {shape}, one answer for the whole sentence. Tagging needs one for each piece: "
                "BertForTokenClassification.",
                shape=shape,
            )
        if shape != (1, 3, count):
            return say(
                "With {count} tags three pieces give logits {shape}; {needed} is needed: num_labels is the number of tags.",
                count=count,
                shape=shape,
                needed=(1, 3, count),
            )


@listing_network.property(
    "It has the sizes that were asked for.", mistake="sizes_not_used", inspector=said_by(inspectors.network_hidden_size)
)
def _sizes_kept(hidden, generator):
    if hidden != inspectors.SMALL_BERT["hidden_size"]:
        return say("The hidden size is {hidden}, not that of `sizes`: BertConfig(**sizes, num_labels=...).", hidden=hidden)


@listing_network.property("It computes what BERT with its weights does.", inspector=inspectors.network_drawn)
def _computes(seen, generator):
    got, of = seen
    if not alike(got, of(listing_network.reference)):
        return "another_network", say("With other weights in it, your network computes something else than BERT for tokens.")


@listing_network.property(
    "The model is on the device.",
    mistake="network_not_moved",
    inspector=said_by(inspectors.network_devices),
    shown=sources.hands_on(2),
)
def _moved(devices, generator):
    if devices != ["meta"]:
        return say("The model is not on the device that was asked for: model.to(device).")


@exercise(
    "Listing: the optimizer",
    idea=(
        "AdamW is the right optimizer, imported from a place where it no longer is. Libraries remove old parts, so a script "
        "can stop although its idea was never wrong."
    ),
    steps=(
        "Read the error's last line: which name could not be imported, and from which library?",
        "Look at what must stay: all parameters of the model, and the small learning rate of fine-tuning.",
        "The mend: the same optimizer is in torch.optim.",
    ),
)
def listing_optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=5e-5)


@listing_optimizer.property(
    "It is an AdamW that exists.",
    mistake="another_optimizer",
    inspector=said_by(inspectors.optimizer_seen),
    shown=sources.names("AdamW"),
)
def _optimizer_exists(seen, generator):
    if isinstance(seen, str):
        return "adamw_removed", say("{seen}. It was removed from transformers: use torch.optim.AdamW.", seen=seen)
    if not seen["torch"]:
        return say("What is returned is {kind}; torch.optim.AdamW is needed.", kind=seen["class"])


@listing_optimizer.property(
    "All parameters learn, at 5e-5.", mistake="not_all_learn", inspector=said_by(inspectors.optimizer_seen)
)
def _learns_all(seen, generator):
    if seen["count"] != 4:
        return say("Some parameters of the model do not learn: give model.parameters().")
    if any(rate != 5e-5 for rate in seen["rates"]):
        return "wrong_learning_rate", say(
            "The learning rate is {rate:g}; BERT is fine-tuned with a small one, here 5e-5.", rate=seen["rates"][0]
        )


@listing_optimizer.property("Its step is AdamW's.", mistake="another_optimizer", inspector=inspectors.optimizer_drawn)
def _steps(seen, generator):
    got, of = seen
    if not alike(got, of(listing_optimizer.reference)):
        return say("After one step the weights are not where AdamW with a rate of 5e-5 takes them.")


@exercise(
    "Listing: the score",
    idea=(
        "Entity F1 counts whole names, and O is no name. The printed line uses a report that is made for flat labels and "
        "counts single tags, O among them: its accuracy is the token accuracy."
    ),
    steps=(
        "It stops at lists of lists: sentences stand apart here, and scikit-learn's report wants one flat list of labels.",
        "Flattening would make it run, but try a tagger that finds nothing: what does the entry “accuracy” give it?",
        (
            "Ask of any other measure what it counts: half of a name counts for nothing, and no name may go on in the next "
            "sentence."
        ),
        "The mend: the F1 of seqeval.metrics takes sentences as they are and counts whole names.",
    ),
)
def listing_score(gold, predicted):
    from seqeval.metrics import f1_score

    return float(f1_score(gold, predicted, zero_division=0))


@listing_score.property("It takes sentences.", mistake="lists_of_lists", inspector=said_by(inspectors.score_of_sentences))
def _takes_sentences(seen, generator):
    if isinstance(seen, str):
        return say(
            "Lists of lists of tags stop it ({seen}). scikit-learn's report is for flat labels; seqeval takes sentences.",
            seen=seen,
        )


@listing_score.property("The class O does not count.", mistake="o_counts")
def _o_does_not_count(function, generator):
    nothing = [["O"] * len(tags) for tags in TAGS]
    if not (score := function(TAGS, nothing)) <= 0.01:
        return say(
            "A tagger that finds nothing scores {score:.3f}: O is counted as a class. That is token accuracy, not entity F1.",
            score=score,
        )


@listing_score.property("Entities count when they are whole.", mistake="tokens_counted")
def _whole_entities(function, generator):
    # Two of three entities are found, and three that are none. Precision is 2/5, recall 2/3; sentences that are joined make one
    # name of the end of the first and the beginning of the second. Strict readers count no name that begins with I-.
    found = [["B-PER", "O", "B-PER", "B-PER"], ["I-PER", "O", "B-LOC", "I-LOC", "O", "O"]]
    score = function(TAGS, found)
    if not min(abs(score - 1 / 2), abs(score - 4 / 7)) <= 0.01:
        told = say(
            "Two of three entities are found, and three that are none: entity F1 is 0.5, yours {score:.3f}.", score=score
        )
        if abs(score - 2 / 5) < 0.01:
            return "precision", say("{told} That is the precision.", told=told)
        # Recall is 2/3 here, but so are the mean over the types and the precision of single tags.
        second = function(TAGS, [TAGS[0], ["O"] * len(TAGS[1])]) if abs(score - 2 / 3) < 0.01 else 0.0
        if abs(second - 2 / 3) < 0.01:
            return "recall", say("{told} That is the recall.", told=told)
        if abs(second - 1 / 2) < 0.01:
            return "mean_over_types", say("{told} That is the mean over the types: count the entities of all types.", told=told)
        if abs(score - 2 / 7) < 0.01:
            return "sentences_joined", say("{told} Sentences stand apart: a name never goes on in the next one.", told=told)
        # F1, precision, recall and accuracy of single tags; where it is none of them, nobody knows what was counted.
        tokens = abs(second - 1) < 0.01 or any(abs(score - known) < 0.01 for known in (8 / 11, 4 / 5, 7 / 10))
        return "tokens_counted" if tokens else None, say("{told} Count whole entities.", told=told)


@listing_score.property("So it is for tags drawn at random.", mistake="another_score")
def _of_others(function, generator):
    for _ in range(5):
        gold, found = ([inspectors.draw_tags(count, generator) for count in (9, 4, 7, 12)] for _ in range(2))
        score, right = function(gold, found), listing_score.reference(gold, found)
        if not abs(score - right) <= 1e-3:
            return say("On other tags entity F1 is {right:.3f}, yours {score:.3f}.", right=right, score=score)
