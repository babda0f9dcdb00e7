"""A causal language model as a classifier: template, verbaliser, log-probabilities, surface forms and calibration.

A template T puts the text x into a sentence that wants one more word; the verbaliser v gives every label y its word:

    score(y) = log P(v(y) | T(x)) = sum over t of log P(v_t | T(x), v_<t)

(Brown et al. 2020, NeurIPS; Schick & Schütze 2021, EACL.) The answer is the label with the highest score. A word of one token
needs one forward pass for all labels; longer words share the template's keys and values (`models.kv_cache`).

Functions that take a tokenizer and a model take those of `models.language.smollm2`, or another causal model of transformers.
"""

import collections
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..errors import CourseError
from ..languages import later, say
from ..models.kv_cache import Prefix, encode_prefix, extend, token_embeddings, token_ids

SLOT = "{x}"
AT_A_TIME = 100  # texts whose keys and values are in memory together
# The same question in other words; all begin alike, so that a text is read once for all of them.
TEMPLATES = tuple(
    f"Dictionary definition: {{x}}{ending}" for ending in ("\nType:", "\nThis describes a", "\nCategory:", " is a kind of")
)
CONTENT_FREE = ("N/A", "something", "...")  # texts without content, after Zhao et al. 2021
# Questions about an opinion, each with the words for negative and positive that fit its end.
OPINION_PROMPTS = (
    {"template": "Review: {x}\nSentiment:", "words": ["negative", "positive"]},
    {"template": "Review: {x}\nThis review is", "words": ["negative", "positive"]},
    {"template": "{x} All in all, it was", "words": ["terrible", "great"]},
    {"template": "Review: {x}\nIn one word, it was", "words": ["bad", "good"]},
)
# The same in Chinese, whose words follow without a space.
CHINESE_PROMPTS = (
    {"template": "评论：{x}\n情感：", "words": ["负面", "正面"]},
    {"template": "评论：{x}\n这条评论是", "words": ["差评", "好评"]},
    {"template": "{x}总之，很", "words": ["差", "好"]},
    {"template": "评论：{x}\n满意吗？", "words": ["不满意", "满意"]},
)

# Words that would be as right as the label words, and compete with them for probability (Holtzman et al. 2021).
SYNONYMS = {
    "animal": ("animal", "bird", "fish", "mammal", "insect"),
    "plant": ("plant", "tree", "flower", "herb", "shrub"),
    "food": ("food", "dish", "meat", "fruit", "drink"),
    "person": ("person", "man", "woman", "someone", "worker"),
    "artifact": ("artifact", "tool", "device", "machine", "building"),
}


# formulas


def sequence_log_probability(logits: Tensor, tokens: Tensor, prompt_length: int) -> Tensor:
    """The log-probability of a continuation of a prompt: the sum of log P(tokens_t | tokens_<t) over its tokens, a scalar.

    logits: (T, V), row t is the model's prediction after token t, so of token t + 1. tokens: (T,), prompt and continuation.
    prompt_length: how many of them are the prompt, at least 1.
    """
    log_p = logits.log_softmax(dim=-1)[prompt_length - 1 : -1]  # (T - prompt_length, V)
    return log_p.gather(1, tokens[prompt_length:, None]).sum()


def class_log_probabilities(log_probabilities: Tensor, words: Sequence[Sequence[int]]) -> Tensor:
    """The log of the summed probability of each class's words, (n, classes).

    log_probabilities: (n, V). words: for each class the ids of its one-token words.
    """
    # logsumexp, because the probabilities themselves may be too small for float32.
    return torch.stack([log_probabilities[:, list(ids)].logsumexp(dim=1) for ids in words], dim=1)


def contextual_calibration(scores: Tensor, content_free: Tensor) -> Tensor:
    """Calibrated log-probabilities (n, classes): softmax(W p) without the softmax, W = diag(p_cf)^-1, renormalised.

    scores: (n, classes) log-probabilities of the label words. content_free: (m, classes), the same for m texts without
    content; p_cf is the mean of their renormalised probabilities. Source: Zhao et al. 2021 (ICML), section 5.
    """
    p_cf = content_free.softmax(dim=1).mean(dim=0)  # (classes,)
    return (scores - p_cf.log()).log_softmax(dim=1)


def mean_logit_calibration(scores: Tensor, unlabelled: Tensor) -> Tensor:
    """Scores (n, classes) minus each class's mean score over unlabelled texts (m, classes).

    It assumes that the classes are equally frequent among the unlabelled texts.
    """
    return scores - unlabelled.mean(dim=0)


# templates and label words


def split_template(template: str) -> tuple[str, str, str]:
    """What comes before the text, the space between the two (or ""), and what comes after the text.

    Raises CourseError unless the template holds {x} once and ends without a space.
    """
    if template.count(SLOT) != 1:
        raise CourseError(
            say(
                "A template needs {known} exactly once, where the text goes; this one is {template!r}.",
                known=SLOT,
                template=template,
            )
        )
    before, after = template.split(SLOT)
    if not after or after != after.rstrip():
        raise CourseError(
            say(
                "A template must go on after {known} and must not end with a space; this one is {template!r}.",
                known=SLOT,
                template=template,
            )
        )
    # Tokens of this family of models carry the space before them, so a space in front of the text belongs to its first token.
    return before.rstrip(" "), " " if before.endswith(" ") else "", after


def label_tokens(tokenizer, words: Sequence[str]) -> Tensor:
    """The token id of each label word with the space before it, (classes,); raises CourseError for a word of several tokens."""
    check_words(words)
    ids = [tokenizer(f" {word.strip()}", add_special_tokens=False)["input_ids"] for word in words]
    for word, tokens in zip(words, ids, strict=True):
        if len(tokens) != 1:
            spelt = tokenizer.batch_decode([[t] for t in tokens])
            raise CourseError(
                say(
                    "{word!r} is {tokens} tokens ({spelt}); choose a word of one token, or use continuation_scores.",
                    word=word,
                    tokens=len(tokens),
                    spelt=spelt,
                )
            )
    if len({tokens[0] for tokens in ids}) < len(words):
        raise CourseError(say("Two labels have the same word: {words}.", words=", ".join(words)))
    return torch.tensor([tokens[0] for tokens in ids])


def check_words(words: Sequence[str]) -> None:
    """Raises CourseError for label words that are no list, or of which one is empty: an empty word is as likely as nothing."""
    check_texts(words, later("label words"))
    if not all(word.strip() for word in words):
        raise CourseError(
            say(
                "Label {number} has no word. Give every label one.",
                number=[bool(word.strip()) for word in words].index(False) + 1,
            )
        )


def check_texts(texts: Sequence[str], what: str = later("texts")) -> None:
    """Raises CourseError for no texts, and for one text in the place of a list: it would be read letter by letter."""
    if isinstance(texts, str):
        raise CourseError(
            say("The {what} are a list, and this is one text: write [{texts!r}].", what=say(what), texts=texts[:40])
        )
    if not len(texts):
        raise CourseError(say("There are no {what}. Give one or more.", what=say(what)))


# scores by the model


def encode_texts(tokenizer, model, texts: Sequence[str], before: str = "", space: str = "") -> Prefix:
    """Encodes texts after the beginning of a template, which is computed once for all of them.

    Args:
        tokenizer: the model's.
        model: a causal language model.
        texts: N of them.
        before: the template's beginning, see `split_template`.
        space: what joins it to the text.
    """
    check_texts(texts)
    opening = encode_prefix(tokenizer, model, [before]) if before else None
    return encode_prefix(tokenizer, model, [space + text for text in texts], after=opening)


def next_token_hidden(tokenizer, model, prefix: Prefix, endings: Sequence[str]) -> Tensor:
    """The hidden states (c, N, d) from which the next token is predicted when each text continues with each of c endings.

    They are float32, on the CPU.

    Args:
        tokenizer: the model's.
        model: the one that encoded the prefix.
        prefix: N texts.
        endings: what templates have after the text.
    """
    ids = [token_ids(tokenizer, model, ending) for ending in endings]
    # All endings together are faster than one by one. What pads the shorter ones comes after them, where they do not see it.
    padded = pad_sequence(ids, batch_first=True).to(model.device)
    with torch.no_grad():
        h = extend(model, prefix, token_embeddings(model, padded)[:, None], every=True)  # (c, N, m, d)
    return torch.stack([states[:, len(of_ending) - 1] for states, of_ending in zip(h, ids, strict=True)]).float().cpu()


def hidden_after(tokenizer, model, texts: Sequence[str], templates: Sequence[str]) -> dict[str, Tensor]:
    """The hidden states (N, d) from which the next token is predicted after each text in each template: {template: states}.

    Templates with one beginning read the texts once. A few texts at a time, so that few keys and values are in memory.

    Args:
        tokenizer: the model's.
        model: a causal language model.
        texts: N of them.
        templates: hold {x} once.
    """
    of_beginning = collections.defaultdict(dict)  # {beginning: {template: ending}}
    for template in templates:
        *beginning, ending = split_template(template)
        of_beginning[tuple(beginning)][template] = ending
    hidden = {template: [] for template in templates}
    check_texts(texts)
    for first in range(0, len(texts), AT_A_TIME):
        for beginning, endings in of_beginning.items():
            prefix = encode_texts(tokenizer, model, texts[first : first + AT_A_TIME], *beginning)
            after = next_token_hidden(tokenizer, model, prefix, list(endings.values()))
            for template, states in zip(endings, after, strict=True):
                hidden[template].append(states)
    return {template: torch.cat(parts) for template, parts in hidden.items()}


def text_hidden(tokenizer, model, texts: Sequence[str]) -> dict[str, Tensor]:
    """Two vectors (N, d) of each text alone, without a template: the hidden state of its "last" token and the "mean" of all."""
    check_texts(texts)
    last, mean = [], []
    for first in range(0, len(texts), AT_A_TIME):
        prefix = encode_prefix(tokenizer, model, texts[first : first + AT_A_TIME])
        last.append(prefix.last())
        sums = [(h.float() * mask[:, :, None]).sum(1) for h, mask in zip(prefix.hidden, prefix.masks, strict=True)]
        mean.append(prefix.ordered([total / mask.sum(1, True) for total, mask in zip(sums, prefix.masks, strict=True)]))
    return {"last": torch.cat(last).float().cpu(), "mean": torch.cat(mean).cpu()}


@torch.no_grad()
def next_token_log_probabilities(model, hidden: Tensor) -> Tensor:
    """The log-probability of every token of the vocabulary: hidden states (N, d) -> float32 (N, V), on the CPU."""
    head = model.get_output_embeddings()
    return head(hidden.to(head.weight)).float().log_softmax(dim=-1).cpu()


def label_scores(tokenizer, model, texts: Sequence[str], template: str, words: Sequence[str]) -> Tensor:
    """log P(word | template(text)) of one-token words: (N, classes), by one forward pass for all classes.

    Args:
        tokenizer: the model's.
        model: a causal language model.
        texts: N of them.
        template: holds {x} once.
        words: one for each class, each of one token.
    """
    before, space, ending = split_template(template)
    [hidden] = next_token_hidden(tokenizer, model, encode_texts(tokenizer, model, texts, before, space), [ending])
    return next_token_log_probabilities(model, hidden)[:, label_tokens(tokenizer, words)]


@torch.no_grad()
def continuation_scores(
    tokenizer, model, texts: Sequence[str], template: str, words: Sequence[str], joint: str = " "
) -> Tensor:
    """log P(word | template(text)) for words of any number of tokens: (N, classes); other arguments as in `label_scores`.

    The filled template is encoded once. A word's first token is scored from there; for its later tokens the template is
    extended by the word, and only these few tokens are computed, those of all words of one length together. A few texts at a
    time, as in `hidden_after`.

    joint: what stands between the template and a word: "" in a script without spaces.
    """
    before, space, ending = split_template(template)
    check_words(words)
    check_texts(texts)
    ids_of_words = [token_ids(tokenizer, model, joint + word.strip()) for word in words]
    parts = []
    for first in range(0, len(texts), AT_A_TIME):
        filled = [text + ending for text in texts[first : first + AT_A_TIME]]
        prefix = encode_texts(tokenizer, model, filled, before, space)
        parts.append(_word_scores(model, prefix, ids_of_words))
    return torch.cat(parts)


def _word_scores(model, prefix: Prefix, ids_of_words: Sequence[Tensor]) -> Tensor:
    """log P(word | text) of words given by their token ids: (N, classes)."""
    following = next_token_log_probabilities(model, prefix.last())  # (N, V)
    scores = torch.stack([following[:, ids[0]] for ids in ids_of_words], dim=1)
    for length in sorted({len(ids) for ids in ids_of_words} - {1}):
        words_of_length = [label for label, ids in enumerate(ids_of_words) if len(ids) == length]
        beginnings = torch.stack([ids_of_words[label][:-1] for label in words_of_length])
        h = extend(model, prefix, token_embeddings(model, beginnings)[:, None], every=True)  # (words, N, length - 1, d)
        for label, states in zip(words_of_length, h, strict=True):
            for t, token in enumerate(ids_of_words[label][1:]):
                scores[:, label] += next_token_log_probabilities(model, states[:, t])[:, token]
    return scores


@torch.no_grad()
def naive_scores(tokenizer, model, texts: Sequence[str], template: str, words: Sequence[str], joint: str = " ") -> Tensor:
    """The same as `continuation_scores` by one full forward pass per text and word: the reference, short and slow."""
    scores = torch.empty(len(texts), len(words))
    for row, text in enumerate(texts):
        prompt = template.replace(SLOT, text)
        prompt_length = len(token_ids(tokenizer, model, prompt))
        for label, word in enumerate(words):
            tokens = token_ids(tokenizer, model, prompt + joint + word.strip())
            scores[row, label] = sequence_log_probability(model(tokens[None]).logits[0].float(), tokens, prompt_length)
    return scores


# the same task as a head on frozen features


def fit_head(
    features: Tensor, labels: Tensor, classes: int, *, unlabelled: Tensor, start: Tensor | None = None, variance: float = 10.0
):
    """A linear head on frozen features, pulled towards `start`; returns a function, features (n, d) -> logits (n, classes).

    Minimises cross-entropy, summed over the texts, + ||W - start||^2 / (2 variance) by L-BFGS. With the label words'
    output embeddings as `start` the untrained head is the prompt's own, calibrated by mean logits; with zeros it knows nothing
    (the comparison of Le Scao & Rush 2021, NAACL, with a frozen backbone).

    Args:
        features: (n, d), of the labelled texts.
        labels: (n,) class numbers.
        classes: how many classes there are.
        unlabelled: (N, d), features by whose mean and mean length all features are centred and scaled.
        start: (classes, d), None for zeros.
        variance: how far the labels may pull W from its start, for features of a mean length of 1.
    """
    mean = unlabelled.mean(dim=0)
    length = (unlabelled - mean).norm(dim=1).mean()
    z = (features - mean) / length
    W0 = torch.zeros(classes, z.shape[1]) if start is None else start.float().cpu() * length
    # The difference to the start is what is learned, so that the penalty is plain weight decay.
    D = torch.zeros_like(W0, requires_grad=True)
    optimizer = torch.optim.LBFGS([D], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(z @ (W0 + D).T, labels, reduction="sum") + (D**2).sum() / (2 * variance)
        loss.backward()
        return loss

    optimizer.step(closure)
    W = (W0 + D).detach()
    return lambda x: (x - mean) / length @ W.T
