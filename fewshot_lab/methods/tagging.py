"""Named entities with BERT (Devlin et al. 2019, NAACL): the label of a word is predicted from its first piece.

A pretrained encoder turns the pieces of a sentence into vectors h_t; a linear layer gives each its class,

    p(y_t | x) = softmax(W norm(h_t) + b)     (section 5.3; norm: mean 0 and variance 1, so that W learns as fast as the rest)

Only the first piece of a word has a label. The word's other pieces, [CLS], [SEP] and padding have IGNORED, which adds nothing
to the loss and is never counted. What counts in the end is the entity, whole and with its type (`entity_scores`).
"""

import copy
import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment.mentions import OPERATIONS, pools, replace_mention
from ..data.conll import Sentence, TaggingTask, Tags, load_corpus, spans
from ..models.language import compute_dtype, minilm
from ..runtime import choose_device, seed_everything
from ..training import outputs, train
from .entity_scores import entity_f1, scores_by_group, token_accuracy

IGNORED = -100  # what F.cross_entropy ignores by default
PAD = 0  # the id of BERT's [PAD]
MAX_PIECES = 128  # of a sentence; what is longer is cut

Align = Callable[[Sequence[int | None], Sequence[int]], list[int]]
TaggingLoss = Callable[[Tensor, Tensor], Tensor]
Replace = Callable[..., tuple[list[str], list[str]]]


@functools.cache
def load_task(folder: str = "") -> TaggingTask:
    """The task in a folder of CoNLL files, or the made sentences when there is none."""
    if folder:
        return load_corpus(folder)
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

    Args:
        tokenizer: BERT's.
        sentences: N of them.
        tags: all tags of the task; a tag's index is its label.
        align: gives each piece its label, see `align_labels`.
    """
    label_of = {tag: index for index, tag in enumerate(tags)}
    pieces = _pieces(tokenizer, sentences)
    aligned = [align(pieces.word_ids(row), [label_of[tag] for tag in s.tags]) for row, s in enumerate(sentences)]
    tokens = nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in pieces["input_ids"]], True, PAD)
    return tokens, nn.utils.rnn.pad_sequence([torch.tensor(row) for row in aligned], True, IGNORED)


def decode(tokenizer, sentences: Sequence[Sentence], logits: Tensor, tags: Sequence[str]) -> list[Tags]:
    """The predicted tag of every word, that of its first piece; O for words that were cut off (MAX_PIECES).

    Args:
        tokenizer: the one of `encode`.
        sentences: N of them.
        logits: (N, T, classes).
        tags: all tags of the task, by their labels.
    """
    pieces = _pieces(tokenizer, sentences)
    decoded = []
    for row, sentence in enumerate(sentences):
        word_tags, classes = ["O"] * len(sentence.words), logits[row].argmax(dim=1).tolist()
        # From the last piece to the first, so that a word's first piece is the one that remains.
        for index, word in reversed(list(enumerate(pieces.word_ids(row)))):
            if word is not None:
                word_tags[word] = tags[classes[index]]
        decoded.append(tuple(word_tags))
    return decoded


def _pieces(tokenizer, sentences: Sequence[Sentence]):
    """The words cut into pieces, as transformers gives them: "input_ids" and `word_ids(row)`."""
    return tokenizer([list(s.words) for s in sentences], is_split_into_words=True, truncation=True, max_length=MAX_PIECES)


# the network and its loss


class Tagger(nn.Module):
    """The first `layers` of a BERT encoder and a linear layer; embeddings and the first `frozen_layers` keep their weights."""

    def __init__(self, encoder: nn.Module, classes: int, *, layers: int, frozen_layers: int = 0) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        encoder.pooler = None  # a summary of the sentence, which no word needs
        # MiniLM was trained for whole sentences: its top layers help a word little at first and cost as much as the others.
        encoder.encoder.layer = encoder.encoder.layer[:layers]
        # Without dropout these short trainings score the same; it took a fifth of their time. Eager attention is the quickest
        # without it, for sentences of twenty pieces.
        encoder.set_attn_implementation("eager")
        for module in encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.encoder, self.norm, self.head = encoder, nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, classes)
        for part in (encoder.embeddings, *encoder.encoder.layer[:frozen_layers]):
            part.requires_grad_(False)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: ids of pieces (B, T), PAD at the end. Returns logits (B, T, classes)."""
        h = self.encoder(input_ids=tokens, attention_mask=(tokens != PAD).long()).last_hidden_state  # (B, T, width)
        return self.head(self.norm(h))


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of logits (B, T, classes) over the pieces whose label (B, T) is not IGNORED; 0 if all are."""
    kept = labels != IGNORED
    if not kept.any():
        return 0.0 * logits.sum()  # the mean over nothing is NaN; this zero still has a gradient
    return F.cross_entropy(logits[kept], labels[kept])


def trim_padding(loss: TaggingLoss = masked_loss) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """A loss for `training.train` that first cuts off the columns that are padding in the whole batch."""

    def compute(model: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
        length = int((tokens != PAD).sum(dim=1).max())
        return loss(model(tokens[:, :length]).float(), labels[:, :length])

    return compute


@torch.inference_mode()
def predict_tags(
    tagger: Tagger, tokenizer, sentences: Sequence[Sentence], tags: Sequence[str], batch_size: int = 32
) -> list[Tags]:
    """The predicted tags of every sentence, in the order of the sentences.

    Args:
        tagger: a trained one.
        tokenizer: the encoder's.
        sentences: their tags are not used.
        tags: all tags of the task, by their labels.
        batch_size: sentences at a time.
    """
    order = sorted(range(len(sentences)), key=lambda row: len(sentences[row].words))  # like lengths: little padding
    device = next(tagger.parameters()).device
    predicted: list[Tags] = [()] * len(sentences)
    full_precision = compute_dtype(str(device)) == torch.float32
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = [sentences[row] for row in rows]
        tokens, _ = encode(tokenizer, [Sentence(s.words, ("O",) * len(s.words)) for s in batch], ["O"])
        with torch.autocast(device.type, torch.bfloat16, enabled=not full_precision):
            logits = outputs(tagger, tokens)
        for row, sentence_tags in zip(rows, decode(tokenizer, batch, logits.float(), tags), strict=True):
            predicted[row] = sentence_tags
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
    folder: str = "",
    *,
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
    test_count: int | None = None,
    validation: bool = False,
    device: str = "auto",
) -> dict[str, object]:
    """Fine-tunes MiniLM with AdamW and a warm-up over a tenth of the steps, and tags test sentences.

    Returns predicted (the tags of every test sentence), entity_f1, token_accuracy, what `scores_by_group` adds to them,
    at_rest (whether the training came to rest) and seconds (of the training alone).

    Args:
        folder: of CoNLL files, "" for the made sentences.
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
        test_count: how many test sentences are tagged, from the first; None for all.
        validation: whether the validation sentences are the test, which is how settings are chosen.
        device: see `choose_device`.
    """
    task = load_task(folder).on_validation() if validation else load_task(folder)
    train_sentences = augmented_sentences(
        task.draw(count, seed), augmentation, copies=copies, share=share, seed=seed, replace=replace
    )
    tokenizer, encoder = _pretrained()
    tokens, labels = encode(tokenizer, train_sentences, task.tags, align)
    seed_everything(seed)
    tagger = Tagger(copy.deepcopy(encoder), len(task.tags), layers=layers, frozen_layers=frozen_layers)
    history = train(
        tagger,
        tokens,
        labels,
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
    gold, predicted = [s.tags for s in test], predict_tags(tagger, tokenizer, test, task.tags)
    return {
        "predicted": predicted,
        "entity_f1": entity_f1(gold, predicted),
        "token_accuracy": token_accuracy(gold, predicted),
        **scores_by_group(gold, predicted, task.test_groups[:test_count]),
        "at_rest": history.at_rest,
        "seconds": history.seconds,
    }


@functools.cache
def _pretrained():
    """MiniLM, loaded once in a process: copy it before you train it."""
    return minilm("cpu")
