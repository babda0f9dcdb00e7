"""A causal language model as a classifier: template, verbaliser, log-probabilities, surface forms and calibration.

A template T puts the text x into a sentence that wants one more word; the verbaliser v gives every label y its word:

    score(y) = log P(v(y) | T(x)) = sum over t of log P(v_t | T(x), v_<t)

(Brown et al. 2020, NeurIPS; Schick & Schütze 2021, EACL.) The answer is the label with the highest score. A word of one token
needs one forward pass for all labels; longer words share the template's keys and values (`models.kv_cache`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CourseError
from ..models.kv_cache import Prefix, encode_prefix, extend, token_embeddings, token_ids

PLACE = "{x}"
STRENGTH = 10.0  # of the head, chosen before any measurement: vectors have length 1
CONTENT_FREE = ("N/A", "something", "...")  # texts that say nothing, after Zhao et al. 2021

# What the words of the five classes compete with (Holtzman et al. 2021): other words that would be as right.
SYNONYMS = {
    "animal": ("animal", "bird", "fish", "mammal", "insect"),
    "plant": ("plant", "tree", "flower", "herb", "shrub"),
    "food": ("food", "dish", "meat", "fruit", "drink"),
    "person": ("person", "man", "woman", "someone", "worker"),
    "artifact": ("artifact", "tool", "device", "machine", "building"),
}


# formulas


def sequence_log_probability(logits: Tensor, tokens: Tensor, given: int) -> Tensor:
    """The sum of log P(tokens_t | tokens_<t) over t = given .. T-1, a scalar: what a continuation costs after its prompt.

    logits: (T, V), row t is what the model says after token t, so about token t + 1. tokens: (T,). given: how many tokens
    are the prompt, at least 1.
    """
    log_p = logits.log_softmax(dim=-1)[given - 1 : -1]  # (T - given, V)
    return log_p.gather(1, tokens[given:, None]).sum()


def class_log_probabilities(log_probabilities: Tensor, words: Sequence[Sequence[int]]) -> Tensor:
    """log of the summed probability of each class's words: log-probabilities (n, V), word numbers per class -> (n, classes)."""
    return torch.stack([log_probabilities[:, list(ids)].logsumexp(dim=1) for ids in words], dim=1)


def contextual_calibration(scores: Tensor, content_free: Tensor) -> Tensor:
    """Calibrated log-probabilities (n, classes): softmax(W p) without the softmax, W = diag(p_cf)^-1, renormalised.

    scores: (n, classes) log-probabilities of the label words. content_free: (m, classes), the same for m texts that say
    nothing; p_cf is the mean of their renormalised probabilities. Source: Zhao et al. 2021 (ICML), section 5.
    """
    p_cf = content_free.softmax(dim=1).mean(dim=0)  # (classes,)
    return (scores - p_cf.log()).log_softmax(dim=1)


def mean_logit_calibration(scores: Tensor, unlabelled: Tensor) -> Tensor:
    """Scores (n, classes) minus each class's mean score over unlabelled texts (m, classes).

    It assumes that the classes are equally frequent among the unlabelled texts.
    """
    return scores - unlabelled.mean(dim=0)


# templates and label words


def pieces(template: str) -> tuple[str, str, str]:
    """What stands before the text, what joins it to the text ("" or a space), and what stands after it.

    Tokens of this family of models carry the space before them, so a space at the joint belongs to the text. Raises
    CourseError unless the template holds {x} once and ends without a space.
    """
    if template.count(PLACE) != 1:
        raise CourseError(f"A template needs {PLACE} exactly once, where the text goes; this one is {template!r}.")
    before, after = template.split(PLACE)
    if not after or after != after.rstrip():
        raise CourseError(f"A template must go on after {PLACE} and must not end with a space; this one is {template!r}.")
    return before.rstrip(" "), " " if before.endswith(" ") else "", after


def label_tokens(tokenizer, words: Sequence[str]) -> Tensor:
    """The token number of each label word, with the space before it (classes,); raises CourseError for a word of several."""
    ids = [tokenizer(f" {word.strip()}", add_special_tokens=False)["input_ids"] for word in words]
    for word, tokens in zip(words, ids, strict=True):
        if len(tokens) != 1:
            spelt = tokenizer.batch_decode([[t] for t in tokens])
            raise CourseError(
                f"{word!r} is {len(tokens)} tokens ({spelt}); choose a word of one token, or use continuation_scores."
            )
    if len({tokens[0] for tokens in ids}) < len(words):
        raise CourseError(f"Two labels have the same word: {', '.join(words)}.")
    return torch.tensor([tokens[0] for tokens in ids])


# the model


def read_texts(tokenizer, model, texts: Sequence[str], before: str = "", joint: str = "") -> Prefix:
    """Reads texts after the beginning of a template (see `pieces`), which is computed once for all of them."""
    opening = encode_prefix(tokenizer, model, [before]) if before else None
    return encode_prefix(tokenizer, model, [joint + text for text in texts], after=opening)


def next_word_vectors(tokenizer, model, prefix: Prefix, after: str) -> Tensor:
    """The last vector (N, d) when each text goes on with the template's end; float32, on the CPU."""
    with torch.no_grad():
        return extend(model, prefix, token_embeddings(model, token_ids(tokenizer, model, after))[None, None])[0].float().cpu()


@torch.no_grad()
def next_word_log_probabilities(model, hidden: Tensor) -> Tensor:
    """log P(word | what was read) for every token of the vocabulary: vectors (N, d) -> float32 (N, V), on the CPU."""
    head = model.get_output_embeddings()
    return head(hidden.to(head.weight)).float().log_softmax(dim=-1).cpu()


def label_scores(tokenizer, model, texts: Sequence[str], template: str, words: Sequence[str]) -> Tensor:
    """log P(word | template(text)) of one-token words: (N, classes), one forward pass for all classes."""
    before, joint, after = pieces(template)
    hidden = next_word_vectors(tokenizer, model, read_texts(tokenizer, model, texts, before, joint), after)
    return next_word_log_probabilities(model, hidden)[:, label_tokens(tokenizer, words)]


@torch.no_grad()
def continuation_scores(tokenizer, model, texts: Sequence[str], template: str, words: Sequence[str]) -> Tensor:
    """log P(word | template(text)) for words of any number of tokens: (N, classes).

    The filled template is read once. A word's first token is scored from there; for its others the text goes on with the
    word's beginning, and only these few tokens are computed.
    """
    before, joint, after = pieces(template)
    prefix = read_texts(tokenizer, model, [text + after for text in texts], before, joint)
    first = next_word_log_probabilities(model, prefix.last())  # (N, V)
    spelt = [token_ids(tokenizer, model, f" {word.strip()}") for word in words]
    scores = torch.stack([first[:, ids[0]] for ids in spelt], dim=1)
    for label, ids in enumerate(spelt):
        for t in range(1, len(ids)):
            h = extend(model, prefix, token_embeddings(model, ids[:t])[None, None])[0]
            scores[:, label] += next_word_log_probabilities(model, h)[:, ids[t]]
    return scores


@torch.no_grad()
def naive_scores(tokenizer, model, texts: Sequence[str], template: str, words: Sequence[str]) -> Tensor:
    """The same scores, one full forward pass per text and label: short, right, and slow."""
    scores = torch.empty(len(texts), len(words))
    for row, text in enumerate(texts):
        prompt = template.replace(PLACE, text)
        given = len(token_ids(tokenizer, model, prompt))
        for label, word in enumerate(words):
            tokens = token_ids(tokenizer, model, f"{prompt} {word.strip()}")
            scores[row, label] = sequence_log_probability(model(tokens[None]).logits[0].float(), tokens, given)
    return scores


# the same task as a head on frozen vectors


def fit_head(features: Tensor, labels: Tensor, classes: int, *, like: Tensor, start: Tensor | None = None):
    """A linear head on frozen vectors that is pulled towards `start`; returns a function, vectors (n, d) -> logits.

    Minimises cross-entropy, summed over the texts, + ||W - start||^2 / (2 STRENGTH) by L-BFGS. Vectors are centred by the mean
    of the unlabelled `like` (N, d) and scaled to a mean length of 1. features: (n, d), labels: (n,), start: (classes, d) or
    None for zeros. With the label words' output vectors as `start` the head is the prompt's own, calibrated by mean logits;
    with zeros it knows nothing (the comparison of Le Scao & Rush 2021, NAACL, with a frozen body).
    """
    mean = like.mean(dim=0)
    length = (like - mean).norm(dim=1).mean()
    z = (features - mean) / length
    W0 = torch.zeros(classes, z.shape[1]) if start is None else start.float().cpu() * length
    D = torch.zeros_like(W0, requires_grad=True)
    optimizer = torch.optim.LBFGS([D], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(z @ (W0 + D).T, labels, reduction="sum") + (D**2).sum() / (2 * STRENGTH)
        loss.backward()
        return loss

    optimizer.step(closure)
    W = (W0 + D).detach()
    return lambda x: (x - mean) / length @ W.T
