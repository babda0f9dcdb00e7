"""Chapter 10: the repair of a printed script for named entities, each part of which has planted defects."""

import functools
import string

import torch

from ..methods.tagging import IGNORED
from .declare import Exercise, Property

CONLL_TYPES = ("LOC", "MISC", "ORG", "PER")
SMALL = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
WORDS = [["jane", "doe", "met", "bo"], ["so", "a", "new", "york", "bank", "said"]]
TAGS = [["B-PER", "I-PER", "O", "B-PER"], ["O", "O", "B-LOC", "I-LOC", "O", "O"]]


def listing_tags():
    return {tag: place for place, tag in enumerate(["O", *(f"{edge}-{kind}" for kind in CONLL_TYPES for edge in "BI")])}


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


@functools.cache
def small_tokenizer():
    """A tokenizer of the kind that BERT has, whose pieces are single letters: no file is needed, and every word is cut."""
    from transformers import BertTokenizer

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *string.ascii_lowercase,
        *(f"##{a}" for a in string.ascii_lowercase),
    ]
    return BertTokenizer(vocab={piece: place for place, piece in enumerate(pieces)})


def _all_types(function, generator):
    numbers = function()
    missing = [kind for kind in CONLL_TYPES if not {f"B-{kind}", f"I-{kind}"} <= set(numbers)]
    if missing:
        return f"{', '.join(missing)} is missing. CoNLL-2003 has {', '.join(CONLL_TYPES)}, each with B- and I-."
    if "O" not in numbers:
        return "O is missing: most words are no entity."


def _numbers_from_zero(function, generator):
    numbers = function()
    used = sorted(numbers.values())
    if used != list(range(len(numbers))):
        return f"The {len(numbers)} tags need the numbers 0 to {len(numbers) - 1}, each once; they have {used}."


def _items(function):
    return function(small_tokenizer(), WORDS, TAGS, listing_tags())


def _is_a_data_set(function, generator):
    try:
        items = _items(function)
        if len(items) != len(WORDS):
            return f"There are {len(WORDS)} sentences, and len() gives {len(items)}."
    except NameError as error:
        return f"{error}: import it, from torch.utils.data import Dataset."


def _labels(function):
    items = _items(function)
    return [torch.as_tensor(items[i]["labels"]).tolist() for i in range(len(WORDS))]


def _own_labels(function, generator):
    first, second = _labels(function)
    if first == second:
        return "Both sentences have the same labels: they come from the whole data set. Take those of item i alone."


def _padding_ignored(function, generator):
    ids = [small_tokenizer()(words, is_split_into_words=True)["input_ids"] for words in WORDS]
    for row, labels in enumerate(_labels(function)):
        if labels[0] != IGNORED or any(label != IGNORED for label in labels[len(ids[row]) - 1 :]):
            return "[CLS], [SEP] or padding has a tag's label: it is trained on, and counted. Use -100, which the loss ignores."


def _aligned(function, generator):
    if _labels(function) != _labels(listing_items):
        return (
            "The labels are not those of the words' first pieces. Words are cut into pieces: ask word_ids(i) to which word "
            "each piece belongs, label the first piece, and give -100 to the others."
        )


def _short(error):
    """An error's text without the path of the library's file."""
    return str(error).partition(" (")[0]


def _class_exists(function, generator):
    try:
        function(SMALL, listing_tags(), "cpu")
    except ImportError as error:
        return f"{_short(error)}. The class for tagging is BertForTokenClassification."


def _one_logit_per_tag(function, generator):
    logits = function(SMALL, listing_tags(), "cpu")(torch.tensor([[2, 5, 3]])).logits
    if logits.shape != (1, 3, 9):
        return f"Three pieces give logits {tuple(logits.shape)}; (1, 3, 9) is needed: num_labels is the number of tags."


def _moved(function, generator):
    model = function(SMALL, listing_tags(), "meta")
    if next(model.parameters()).device.type != "meta":
        return "The model is not on the device that was asked for: model.to(device)."


def _optimizer_exists(function, generator):
    try:
        optimizer = function(torch.nn.Linear(2, 2))
    except ImportError as error:
        return f"{_short(error)}. It was removed from transformers: use torch.optim.AdamW."
    if not isinstance(optimizer, torch.optim.AdamW):
        return f"A {type(optimizer).__name__} is returned; torch.optim.AdamW is needed."


def _learns_all(function, generator):
    model = torch.nn.Linear(2, 2)
    groups = function(model).param_groups
    if sum(len(group["params"]) for group in groups) != 2:
        return "Some parameters of the model do not learn: give model.parameters()."
    if any(group["lr"] != 5e-5 for group in groups):
        return f"The learning rate is {groups[0]['lr']:g}; BERT is fine-tuned with a small one, here 5e-5."


def _takes_sentences(function, generator):
    try:
        function(TAGS, TAGS)
    except ValueError as error:
        said = str(error).partition(".")[0]
        return f"Lists of lists of tags stop it ({said}). scikit-learn's report is for flat labels; seqeval takes sentences."


def _o_does_not_count(function, generator):
    nothing = [["O"] * len(tags) for tags in TAGS]
    if (score := function(TAGS, nothing)) > 0.01:
        return (
            f"A tagger that finds nothing scores {score:.3f}: O is counted as a class. That is token accuracy, not entity F1."
        )


def _whole_entities(function, generator):
    half = [["B-PER", "O", "O", "B-PER"], ["O", "O", "B-LOC", "O", "O", "O"]]
    if abs((score := function(TAGS, half)) - 1 / 3) > 0.01:
        return (
            f"One of three entities is whole, the others are half read: entity F1 is 0.333, yours {score:.3f}. Count entities."
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
            Property("It is a data set of the sentences.", _is_a_data_set, "dataset_not_imported"),
            Property("Each item has its own labels.", _own_labels, "labels_of_all"),
            Property("Special pieces and padding are ignored.", _padding_ignored, "padding_is_o"),
            Property("Labels stand on the first pieces of their words.", _aligned, "not_aligned"),
        ),
    ),
    Exercise(
        "listing_network",
        "10",
        "Listing: the network",
        listing_network,
        properties=(
            Property("The class exists.", _class_exists, "no_such_class"),
            Property("It gives one logit per tag.", _one_logit_per_tag, "wrong_number_of_tags"),
            Property("The model is on the device.", _moved, "network_not_moved"),
        ),
    ),
    Exercise(
        "listing_optimizer",
        "10",
        "Listing: the optimizer",
        listing_optimizer,
        properties=(
            Property("It is an AdamW that exists.", _optimizer_exists, "adamw_removed"),
            Property("All parameters learn, at 5e-5.", _learns_all, "not_all_learn"),
        ),
    ),
    Exercise(
        "listing_score",
        "10",
        "Listing: the score",
        listing_score,
        properties=(
            Property("It takes sentences.", _takes_sentences, "lists_of_lists"),
            Property("The class O does not count.", _o_does_not_count, "o_counts"),
            Property("Entities count when they are whole.", _whole_entities, "tokens_counted"),
        ),
    ),
]
