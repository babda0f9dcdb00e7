"""Named entities with BERT (Devlin et al. 2019, NAACL): the label of a word is predicted from its first piece.

A pretrained encoder turns the pieces of a sentence into vectors h_t; a linear layer gives each its class,

    p(y_t | x) = softmax(W norm(h_t) + b)     (section 5.3; norm: mean 0 and variance 1, so that W learns as fast as the rest)

Only the first piece of a word has a label. The word's other pieces, [CLS], [SEP] and padding have IGNORED, which adds nothing
to the loss and is never counted. What counts in the end is the entity, whole and with its type (`entity_scores`).
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace as with_fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment.mentions import OPERATIONS, pools, replace_mention
from ..data.conll import Sentence, TaggingTask, Tags, load_corpus, spans
from ..models.language import autocast, compute_dtype, minilm
from ..models.me5 import me5
from ..models.tagger import Tagger
from ..runtime import choose_device, seed_everything
from ..training import outputs, train
from .entity_scores import entity_f1, scores_by_group, token_accuracy

IGNORED = -100  # what F.cross_entropy ignores by default
MAX_PIECES = 128  # of a sentence as the encoder sees it; a longer one is tagged in parts

ENCODERS = {"minilm": minilm, "me5": me5, "me5-characters": functools.partial(me5, characters=True)}

Align = Callable[[Sequence[int | None], Sequence[int]], list[int]]
TaggingLoss = Callable[[Tensor, Tensor], Tensor]
Replace = Callable[..., tuple[list[str], list[str]]]


@functools.cache
def load_task(corpus: str = "") -> TaggingTask:
    """The made sentences for "", the newspaper for "daily" (data/daily.py), else those in a folder of CoNLL files."""
    if corpus == "daily":
        from ..data.daily import task
    elif corpus:
        return load_corpus(corpus)
    else:
        from ..data.sentences import task

    return task()


# words, pieces and labels


def align_labels(word_ids: Sequence[int | None], labels: Sequence[int]) -> list[int]:
    """A label for each piece: a word's label on its first piece, IGNORED on its others and on special pieces (None).

    word_ids: the index of each piece's word, as a tokenizer's `word_ids()` gives them. labels: one for each word.
    """
    before, aligned = None, []
    for word in word_ids:
        aligned.append(IGNORED if word is None or word == before else labels[word])
        before = word
    return aligned


def encode(tokenizer, sentences: Sequence[Sentence], tags: Sequence[str], align: Align = align_labels) -> tuple[Tensor, Tensor]:
    """The ids of the pieces (N, T) and the labels (N, T), T that of the longest sentence.

    What is longer than the encoder can read, 512 pieces, is cut: `in_parts` before loses nothing.

    Args:
        tokenizer: the encoder's.
        sentences: N of them.
        tags: all tags of the task; a tag's index is its label.
        align: gives each piece its label, see `align_labels`.
    """
    label_of = {tag: index for index, tag in enumerate(tags)}
    pieces = _pieces(tokenizer, sentences, tokenizer.model_max_length)
    aligned = [align(pieces.word_ids(row), [label_of[tag] for tag in s.tags]) for row, s in enumerate(sentences)]
    return _tokens(tokenizer, pieces), nn.utils.rnn.pad_sequence([torch.tensor(row) for row in aligned], True, IGNORED)


def decode(tokenizer, sentences: Sequence[Sentence], logits: Tensor, tags: Sequence[str]) -> list[Tags]:
    """The predicted tag of every word, that of its first piece; O for words that `encode` cut off.

    Args:
        tokenizer: the one of `encode`.
        sentences: N of them.
        logits: (N, T, classes).
        tags: all tags of the task, by their labels.
    """
    pieces = _pieces(tokenizer, sentences, tokenizer.model_max_length)
    decoded = []
    for row, sentence in enumerate(sentences):
        word_tags, classes = ["O"] * len(sentence.words), logits[row].argmax(dim=1).tolist()
        # From the last piece to the first, so that a word's first piece is the one that remains.
        for index, word in reversed(list(enumerate(pieces.word_ids(row)))):
            if word is not None:
                word_tags[word] = tags[classes[index]]
        decoded.append(tuple(word_tags))
    return decoded


def in_parts(tokenizer, sentences: Sequence[Sentence]) -> list[tuple[int, Sentence]]:
    """The sentences, each with its row; one of more than MAX_PIECES pieces as several parts of whole words."""
    pieces, room = _pieces(tokenizer, sentences), MAX_PIECES - tokenizer.num_special_tokens_to_add()
    parts = []
    for row, sentence in enumerate(sentences):
        count, begin = Counter(pieces.word_ids(row)), 0
        for end in _ends([count[word] for word in range(len(sentence.words))], sentence.tags, room):
            parts.append((row, with_fields(sentence, words=sentence.words[begin:end], tags=sentence.tags[begin:end])))
            begin = end
    return parts


def _ends(sizes: list[int], tags: Tags, room: int) -> list[int]:
    """Where parts of a sentence end whose words have these numbers of pieces; not within an entity, if it fits into a part."""
    ends, begin = [], 0
    while sum(sizes[begin:]) > room and begin < len(sizes) - 1:
        longest = begin + 1
        while sum(sizes[begin : longest + 1]) <= room:
            longest += 1
        begin = next((end for end in range(longest, begin, -1) if tags[end][0] != "I"), longest)
        ends.append(begin)
    return [*ends, len(sizes)]


def _pieces(tokenizer, sentences: Sequence[Sentence], most: int | None = None):
    """The words as pieces, the way transformers gives them: "input_ids" and `word_ids(row)`; each word has one at least.

    most: pieces of a sentence, of which the others are cut off; None for no limit.
    """
    split = functools.partial(tokenizer, is_split_into_words=True, truncation=most is not None, max_length=most, verbose=False)
    words = [list(s.words) for s in sentences]
    pieces = split(words)
    # BERT's tokenizer makes no piece of a word of zero-width characters: it had no label, and an entity around it fell apart.
    bare = [set(range(len(some))) - set(pieces.word_ids(row)) for row, some in enumerate(words)]
    if not any(bare):
        return pieces
    for some, missing in zip(words, bare, strict=True):
        for index in missing:
            some[index] = tokenizer.unk_token
    return split(words)


def _tokens(tokenizer, pieces) -> Tensor:
    """The ids (N, T) of `_pieces`."""
    return nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in pieces["input_ids"]], True, tokenizer.pad_token_id)


# the loss


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of logits (B, T, classes) over the pieces whose label (B, T) is not IGNORED; 0 if all are."""
    kept = labels != IGNORED
    if not kept.any():
        return 0.0 * logits.sum()  # the mean over nothing is NaN; this zero still has a gradient
    return F.cross_entropy(logits[kept], labels[kept])


def trim_padding(loss: TaggingLoss = masked_loss) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """A loss for `training.train` that first cuts off the columns that are padding in the whole batch."""

    def compute(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
        length = _rounded(int(model.mask(x).sum(dim=1).max()))
        return loss(model(x[:, :length]).float(), labels[:, :length])

    return compute


Batches = list[tuple[list[int], Tensor]]


@torch.no_grad()
def lower_batches(tagger: Tagger, tokenizer, sentences: Sequence[Sentence], batch_size: int = 32) -> Batches:
    """What the frozen layers give for sentences, in batches of like lengths: indices of the sentences, h (B, T, width).

    Of a sentence with more than MAX_PIECES pieces the others are cut off: see `in_parts`.
    """
    order = sorted(range(len(sentences)), key=lambda row: len(sentences[row].words))  # like lengths: little padding
    device, batches = next(tagger.parameters()).device, []
    for rows in (order[start : start + batch_size] for start in range(0, len(order), batch_size)):
        tokens = _tokens(tokenizer, _pieces(tokenizer, [sentences[row] for row in rows], MAX_PIECES))
        with autocast(device):
            padded = nn.functional.pad(tokens, (0, _rounded(tokens.shape[1]) - tokens.shape[1]), value=tokenizer.pad_token_id)
            batches.append((rows, tagger.lower(padded.to(device))))
    return batches


def _rounded(length: int) -> int:
    # A CPU keeps a compiled product for every shape that it has met: some 50 MB for each training where lengths are any number.
    return -(-length // 8) * 8


@torch.inference_mode()
def predict_tags(
    tagger: Tagger, tokenizer, sentences: Sequence[Sentence], tags: Sequence[str], batches: Batches | None = None
) -> list[Tags]:
    """The predicted tags of every sentence, in the order of the sentences.

    Args:
        tagger: a trained one.
        tokenizer: the encoder's.
        sentences: their tags are not used.
        tags: all tags of the task, by their labels.
        batches: of `lower_batches` for the parts of these sentences without tags, where they are known.
    """
    split = in_parts(tokenizer, [Sentence.untagged(s.words) for s in sentences]) if sentences else []
    parts = [part for _, part in split]
    of_part: list[Tags] = [()] * len(parts)
    for rows, h in lower_batches(tagger, tokenizer, parts) if batches is None else batches:
        with autocast(h.device):
            logits = outputs(tagger, h)
        for row, some in zip(rows, decode(tokenizer, [parts[row] for row in rows], logits.float(), tags), strict=True):
            of_part[row] = some
    predicted: list[Tags] = [()] * len(sentences)
    for (row, _), some in zip(split, of_part, strict=True):
        predicted[row] += some
    return predicted


def augmented_sentences(
    sentences: Sequence[Sentence],
    augmentation: str,
    *,
    copies: int,
    share: float,
    seed: int,
    replace: Replace = replace_mention,
) -> list[Sentence]:
    """The sentences, then their changed copies, round after round; raises ValueError for an unknown augmentation.

    Args:
        sentences: the originals; new words and mentions come from them alone.
        augmentation: one of `augment.mentions.OPERATIONS`.
        copies: of each sentence.
        share: the probability, 0 to 1, that a word or a mention is replaced.
        seed: of all draws.
        replace: puts one mention in the place of another.
    """
    if augmentation not in OPERATIONS:
        raise ValueError(f"The augmentation is {augmentation!r}; choose one of {', '.join(OPERATIONS)}.")
    with_spans = [(s.words, s.tags, spans(s.tags)) for s in sentences]
    change, drawn_from, generator = OPERATIONS[augmentation], pools(with_spans), torch.Generator().manual_seed(seed)
    copied = [change(*sentence, drawn_from, share, generator, replace) for _ in range(copies) for sentence in with_spans]
    return [*sentences, *(Sentence(tuple(words), tuple(tags)) for words, tags in filter(None, copied))]


# training


def fit_tagger(
    corpus: str | TaggingTask = "",
    *,
    encoder: str = "minilm",
    count: int,
    seed: int,
    steps: int,
    batch_size: int = 16,
    layers: int = 6,
    frozen_layers: int = 0,
    learning_rate: float = 5e-4,
    augmentation: str = "none",
    copies: int = 3,
    share: float = 0.3,
    replace: Replace = replace_mention,
    align: Align = align_labels,
    loss: TaggingLoss = masked_loss,
    trained_pieces: int = MAX_PIECES,
    test_count: int | None = None,
    validation: bool = False,
    device: str = "auto",
) -> dict[str, object]:
    """Fine-tunes a pretrained encoder with AdamW and a warm-up over a tenth of the steps, and tags test sentences.

    The frozen layers give the same for a sentence at every step, so they see each sentence once.

    Returns predicted (the tags of every test sentence), entity_f1, token_accuracy, what `scores_by_group` adds to them,
    at_rest (whether the training came to rest) and seconds (of the training, without the test).

    Args:
        corpus: see `load_task`; or a task of one's own.
        encoder: one of ENCODERS.
        count: how many training sentences are drawn.
        seed: of the draw, the copies, the weights and the batches.
        steps: of training, the same number with and without augmentation.
        batch_size: sentences per step.
        layers: of the encoder that are used, from the lowest.
        frozen_layers: of these, how many are not trained, from the lowest.
        learning_rate: the largest, at the end of the warm-up.
        augmentation, copies, share, replace: see `augmented_sentences`.
        align: gives each piece its label.
        loss: of logits (B, T, classes) and labels (B, T).
        trained_pieces: where the parts of training sentences are cut, for time.
        test_count: how many test sentences are tagged, from the first; None for all.
        validation: whether the validation sentences are the test, which is how settings are chosen.
        device: see `choose_device`.
    """
    task = load_task(corpus) if isinstance(corpus, str) else corpus
    task = task.on_validation() if validation else task
    train_sentences = augmented_sentences(
        task.draw(count, seed), augmentation, copies=copies, share=share, seed=seed, replace=replace
    )
    tokenizer, pretrained = _pretrained(encoder)
    train_sentences = [part for _, part in in_parts(tokenizer, train_sentences)]
    _, labels = encode(tokenizer, train_sentences, task.tags, align)
    seed_everything(seed)
    tagger = Tagger(pretrained, len(task.tags), layers=layers, frozen_layers=frozen_layers).to(choose_device(device))
    began = time.perf_counter()
    h = _padded(lower_batches(tagger, tokenizer, train_sentences))
    labels = nn.functional.pad(labels, (0, h.shape[1] - labels.shape[1]), value=IGNORED)
    seconds = time.perf_counter() - began
    history = train(
        tagger,
        h[:, :trained_pieces],
        labels[:, :trained_pieces],
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=0.01,
        loss=trim_padding(loss),
        # The new head's first gradients are of no use to the pretrained layers below it.
        warmup=max(1, steps // 10),
        seed=seed,
        precision="bf16" if compute_dtype(choose_device(device)) == torch.bfloat16 else "no",
        device=device,
    )
    test = task.test[:test_count]
    key = (encoder, frozen_layers, corpus, validation, test_count, str(next(tagger.parameters()).device))
    gold = [s.tags for s in test]
    predicted = predict_tags(tagger, tokenizer, test, task.tags, _test_batches(key, tagger, tokenizer, test))
    return {
        "predicted": predicted,
        "entity_f1": entity_f1(gold, predicted),
        "token_accuracy": token_accuracy(gold, predicted),
        **scores_by_group(gold, predicted, task.test_groups[:test_count]),
        "at_rest": history.at_rest,
        "seconds": seconds + history.seconds,
    }


def _padded(batches: Batches) -> Tensor:
    """The batches' hidden states as one tensor (N, T, width) on the CPU, in the order of the sentences."""
    rows = {row: h[i] for indices, h in batches for i, row in enumerate(indices)}
    return nn.utils.rnn.pad_sequence([rows[row] for row in range(len(rows))], True).cpu()


_kept: dict[tuple, Batches] = {}


def _test_batches(key: tuple, tagger: Tagger, tokenizer, test: Sequence[Sentence]) -> Batches:
    """`lower_batches`, kept while the next training has the same `key`: many trainings in a row share their test."""
    if key not in _kept:
        _kept.clear()
        untagged = [Sentence.untagged(s.words) for s in test]
        _kept[key] = lower_batches(tagger, tokenizer, [part for _, part in in_parts(tokenizer, untagged)])
    return _kept[key]


@functools.cache
def _pretrained(encoder: str = "minilm"):
    """(tokenizer, encoder), loaded once in a process; a `Tagger` copies what it trains."""
    return ENCODERS[encoder]("cpu")
