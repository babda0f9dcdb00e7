"""Named entities with BERT (Devlin et al. 2019, NAACL): a label for every word, read off its first piece.

A pretrained encoder turns the pieces of a sentence into vectors h_t; a linear layer gives each its class,

    p(y_t | x) = softmax(W norm(h_t) + b)     (section 5.3; norm: mean 0 and variance 1, so that W learns as fast as the rest)

Only the first piece of a word has a label. The word's other pieces, [CLS], [SEP] and padding have IGNORED, which costs nothing
and counts nowhere. What counts is the entity: all its words and its type, or nothing (`entity_f1`).
"""

import copy
import functools
from collections import Counter
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment.mentions import mention_replacement, pools, replace_mention, token_replacement
from ..data.conll import Sentence, Span, TaggingTask, corpus, spans
from ..models.language import compute_dtype, minilm
from ..runtime import choose_device, seed_everything
from ..training import outputs, train
from ..training.metrics import Estimate, bootstrap_interval

IGNORED = -100
PAD = 0  # the number of BERT's [PAD]
LONGEST = 128  # pieces of a sentence that are read
METHODS = ("none", "tokens", "mentions")
KINDS = ("boundary", "type", "boundary and type", "missed", "invented")

Align = Callable[[Sequence[int | None], Sequence[int]], list[int]]
Loss = Callable[[Tensor, Tensor], Tensor]
Replace = Callable[..., tuple[list[str], list[str]]]


def align_labels(word_ids: Sequence[int | None], labels: Sequence[int]) -> list[int]:
    """A label for each piece: a word's label on its first piece, IGNORED on its others and on special pieces (None).

    word_ids: which word each piece belongs to, as a tokenizer's `word_ids()` says.
    """
    before, aligned = None, []
    for word in word_ids:
        aligned.append(IGNORED if word is None or word == before else labels[word])
        before = word
    return aligned


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of logits (B, T, classes) over the pieces whose label (B, T) is not IGNORED; 0 if all are."""
    kept = labels != IGNORED
    if not kept.any():
        return 0.0 * logits.sum()
    return F.cross_entropy(logits[kept], labels[kept])


def entity_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F1 over entities, 0 to 1, of BIO tags sentence by sentence: right only with the same words and the same type.

    The measure of CoNLL-2003 (Tjong Kim Sang & De Meulder 2003); 0 when neither side has an entity.
    """
    right = there = given = 0
    for one, other in zip(gold, predicted, strict=True):
        truth, answer = set(spans(one)), set(spans(other))
        right, there, given = right + len(truth & answer), there + len(truth), given + len(answer)
    return 2 * right / (there + given) if there + given else 0.0


def token_accuracy(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """The share of words with the right tag, the many O included."""
    pairs = [pair for one, other in zip(gold, predicted, strict=True) for pair in zip(one, other, strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


def errors(gold: Sequence[str], predicted: Sequence[str]) -> list[tuple[str, Span | None, Span | None]]:
    """The errors of a sentence as (kind of KINDS, the true entity, the predicted one).

    A wrong prediction belongs to the wrongly read entity with which it shares most words: other words, another type, or both.
    Entities that are left over are missed, predictions that are left over are invented.
    """
    truth, answer = spans(gold), spans(predicted)
    lost, wrong = [s for s in truth if s not in answer], [s for s in answer if s not in truth]
    shared = [(min(g[2], p[2]) - max(g[1], p[1]), g, p) for g in lost for p in wrong]
    found = []
    for common, g, p in sorted(shared, key=lambda pair: (-pair[0], pair[1][1], pair[2][1])):
        if common > 0 and g in lost and p in wrong:
            kind = "type" if g[1:] == p[1:] else "boundary" if g[0] == p[0] else "boundary and type"
            found.append((kind, g, p))
            lost.remove(g)
            wrong.remove(p)
    return found + [("missed", g, None) for g in lost] + [("invented", None, p) for p in wrong]


def count_errors(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, int]:
    """How many errors there are of each kind."""
    counted = Counter(kind for one, other in zip(gold, predicted, strict=True) for kind, *_ in errors(one, other))
    return {kind: counted[kind] for kind in KINDS}


def averages(table: dict[str, tuple[float, float, float, int]]) -> tuple[float, float, float]:
    """Three F1 of one table of tokens: micro over all classes, macro over all classes, micro without the class "O".

    table: for each class precision, recall and F1 (above 0, up to 1) and the number of true tokens. Over all classes every
    wrong token is once a false positive and once a false negative, so micro precision, recall and F1 are all the accuracy.
    """
    right = {name: recall * support for name, (_, recall, _, support) in table.items()}
    given = {name: right[name] / precision for name, (precision, *_) in table.items()}
    inside = [name for name in table if name != "O"]
    micro = sum(right.values()) / sum(row[3] for row in table.values())
    macro = sum(row[2] for row in table.values()) / len(table)
    entities = 2 * sum(right[n] for n in inside) / sum(given[n] + table[n][3] for n in inside)
    return micro, macro, entities


def within_rounding(table: dict[str, tuple[float, float, float, int]], average=averages, digits: int = 3) -> list[Estimate]:
    """`averages` of a printed table, each with the lowest and highest value that rounding to `digits` allows.

    All three grow with every precision, recall and F1, so the ends are those of all entries together.
    """
    half, tokens = 0.5 * 10**-digits, sum(row[3] for row in table.values())

    def moved(by: float) -> tuple[float, float, float]:
        return average({n: (*(min(1.0, value + by) for value in row[:3]), row[3]) for n, row in table.items()})

    return [Estimate(*three, tokens) for three in zip(average(table), moved(-half), moved(half), strict=True)]


def over_sentences(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Estimate]:
    """Token accuracy and entity F1 of one tagger with bootstrap intervals over the sentences."""
    counts = []
    for one, other in zip(gold, predicted, strict=True):
        truth, answer = set(spans(one)), set(spans(other))
        same = sum(a == b for a, b in zip(one, other, strict=True))
        counts.append((len(truth & answer), len(truth) + len(answer), same, len(one)))

    def f1(rows) -> float:
        right, both = rows[:, 0].sum(), rows[:, 1].sum()
        return 2 * right / both if both else 0.0

    return {
        "token accuracy": bootstrap_interval(lambda rows: rows[:, 2].sum() / rows[:, 3].sum(), counts),
        "entity F1": bootstrap_interval(f1, counts),
    }


def lookup(train: Sequence[Sentence], words: Sequence[str]) -> tuple[str, ...]:
    """The baseline without a network: the longest entities of the training sentences, each with its most frequent type."""
    known, longest = _mentions(tuple(train))
    tags, place = ["O"] * len(words), 0
    while place < len(words):
        for end in range(min(len(words), place + longest), place, -1):
            if kind := known.get(tuple(words[place:end])):
                tags[place:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - place - 1)
                place = end - 1
                break
        place += 1
    return tuple(tags)


class Tagger(nn.Module):
    """The first `layers` of a BERT encoder and a linear layer; embeddings and the first `frozen` layers keep their weights.

    The top layers of an encoder that was trained for whole sentences help a word little at first, at the price of the others.
    """

    def __init__(self, encoder: nn.Module, classes: int, *, layers: int, frozen: int = 0) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        encoder.pooler = None  # a summary of the sentence, which no word needs
        encoder.encoder.layer = encoder.encoder.layer[:layers]
        self.encoder, self.norm, self.head = encoder, nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, classes)
        for part in (encoder.embeddings, *encoder.encoder.layer[:frozen]):
            part.requires_grad_(False)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: piece numbers (B, T), PAD at the end. Returns logits (B, T, classes)."""
        h = self.encoder(input_ids=tokens, attention_mask=(tokens != PAD).long()).last_hidden_state  # (B, T, width)
        return self.head(self.norm(h))


def encode(tokenizer, sentences: Sequence[Sentence], tags: Sequence[str], align: Align = align_labels) -> tuple[Tensor, Tensor]:
    """Piece numbers (N, T) and labels (N, T), T that of the longest sentence; a tag's place in `tags` is its label."""
    number = {tag: place for place, tag in enumerate(tags)}
    pieces = _pieces(tokenizer, sentences)
    aligned = [align(pieces.word_ids(row), [number[tag] for tag in s.tags]) for row, s in enumerate(sentences)]
    tokens = nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in pieces["input_ids"]], True, PAD)
    return tokens, nn.utils.rnn.pad_sequence([torch.tensor(row) for row in aligned], True, IGNORED)


def decode(tokenizer, sentences: Sequence[Sentence], logits: Tensor, tags: Sequence[str]) -> list[tuple[str, ...]]:
    """The predicted tag of every word: that of its first piece; O for words behind the last piece that was read."""
    pieces = _pieces(tokenizer, sentences)
    decoded = []
    for row, sentence in enumerate(sentences):
        found, classes = ["O"] * len(sentence.words), logits[row].argmax(dim=1).tolist()
        for place, word in reversed(list(enumerate(pieces.word_ids(row)))):
            if word is not None:
                found[word] = tags[classes[place]]
        decoded.append(tuple(found))
    return decoded


def _pieces(tokenizer, sentences: Sequence[Sentence]):
    """The words cut into pieces, as transformers gives them: "input_ids" and `word_ids(row)`."""
    return tokenizer([list(s.words) for s in sentences], is_split_into_words=True, truncation=True, max_length=LONGEST)


def trimmed(loss: Loss = masked_loss) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """A loss for `training.train` on token numbers: the columns that are padding in the whole batch are cut off first."""

    def compute(model: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
        length = int((tokens != PAD).sum(dim=1).max())
        return loss(model(tokens[:, :length]).float(), labels[:, :length])

    return compute


@torch.inference_mode()
def tag(
    tagger: Tagger, tokenizer, sentences: Sequence[Sentence], tags: Sequence[str], batch: int = 32
) -> list[tuple[str, ...]]:
    """The predicted tags of every sentence, computed in batches of like lengths."""
    order = sorted(range(len(sentences)), key=lambda row: len(sentences[row].words))
    device = next(tagger.parameters()).device
    found: list[tuple[str, ...]] = [()] * len(sentences)
    precise = compute_dtype(str(device)) == torch.float32
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        some = [sentences[row] for row in rows]
        tokens, _ = encode(tokenizer, [Sentence(s.words, ("O",) * len(s.words)) for s in some], ["O"])
        with torch.autocast(device.type, torch.bfloat16, enabled=not precise):
            logits = outputs(tagger, tokens)
        for row, answer in zip(rows, decode(tokenizer, some, logits.float(), tags), strict=True):
            found[row] = answer
    return found


@functools.cache
def load(folder: str = "") -> TaggingTask:
    """The task in a folder of CoNLL files, or the made sentences when there is none."""
    if folder:
        return corpus(folder)
    from ..data.sentences import task

    return task()


def augmented(
    sentences: Sequence[Sentence], method: str, *, copies: int, share: float, seed: int, replace: Replace = replace_mention
) -> list[Sentence]:
    """The sentences and `copies` changed ones of each; new words and mentions come from the given sentences alone.

    method: "tokens" (label-wise token replacement), "mentions" (mention replacement), or "none".
    """
    if method not in METHODS:
        raise ValueError(f"The method is {method!r}; choose one of {', '.join(METHODS)}.")
    made, generator = list(sentences), torch.Generator().manual_seed(seed)
    if method == "none":
        return made
    tokens, mentions = pools([(s.words, s.tags, spans(s.tags)) for s in sentences])
    for _ in range(copies):
        for s in sentences:
            if method == "tokens":
                changed = token_replacement(s.words, s.tags, tokens, share, generator)
            else:
                changed = mention_replacement(s.words, s.tags, spans(s.tags), mentions, share, generator, replace)
            made.append(Sentence(*map(tuple, changed)))
    return made


def fit_tagger(
    folder: str = "",
    *,
    count: int,
    seed: int,
    steps: int,
    batch: int = 16,
    layers: int = 6,
    frozen: int = 0,
    learning_rate: float = 5e-4,
    augmentation: str = "none",
    copies: int = 3,
    share: float = 0.3,
    replace: Replace = replace_mention,
    align: Align = align_labels,
    loss: Loss = masked_loss,
    tested: int | None = None,
    device: str = "auto",
) -> dict[str, object]:
    """Fine-tunes MiniLM with AdamW and a warm-up of a tenth on `count` sentences, and tags the test's first `tested`.

    folder: of CoNLL files, "" for the made sentences. augmentation, copies, share, replace: see `augmented`; with and without
    it the steps are as many. Returns predicted (the tags of every test sentence), entity_f1, token_accuracy, and seconds (of
    the training alone).
    """
    task, place = load(folder), choose_device(device)
    some = augmented(task.draw(count, seed), augmentation, copies=copies, share=share, seed=seed, replace=replace)
    tokenizer, encoder = _pretrained()
    tokens, labels = encode(tokenizer, some, task.tags, align)
    seed_everything(seed)
    tagger = Tagger(copy.deepcopy(encoder), len(task.tags), layers=layers, frozen=frozen)
    history = train(
        tagger,
        tokens,
        labels,
        steps=steps,
        batch_size=batch,
        learning_rate=learning_rate,
        weight_decay=0.01,
        loss=trimmed(loss),
        warmup=max(1, steps // 10),
        seed=seed,
        precision="bf16" if compute_dtype(place) == torch.bfloat16 else "no",
        device=device,
    )
    test = task.test[:tested]
    gold, predicted = [s.tags for s in test], tag(tagger, tokenizer, test, task.tags)
    return {
        "predicted": predicted,
        "entity_f1": entity_f1(gold, predicted),
        "token_accuracy": token_accuracy(gold, predicted),
        "seconds": history.seconds,
    }


@functools.cache
def _pretrained():
    """MiniLM once for a process; who trains takes a copy."""
    return minilm("cpu")


@functools.cache
def _mentions(train: tuple[Sentence, ...]) -> tuple[dict[tuple[str, ...], str], int]:
    """The most frequent type of every entity, and the number of words of the longest."""
    seen: dict[tuple[str, ...], Counter] = {}
    for sentence in train:
        for kind, start, end in spans(sentence.tags):
            seen.setdefault(sentence.words[start:end], Counter())[kind] += 1
    return {words: kinds.most_common(1)[0][0] for words, kinds in seen.items()}, max(map(len, seen), default=0)
