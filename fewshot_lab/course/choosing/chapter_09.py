"""Chapter 09: template, heads, soft prompts, demonstrations and fine-tuning, all chosen on validation texts.

A prompt's score is the mean of its raw and its calibrated accuracy, since chapter and rules look at both. The unlabelled texts
for the calibration are training texts, drawn for each seed without a look at their labels.
"""

import functools

import torch

from ...data import glosses, opinions, reviews_zh
from ...evidence import chosen
from ...methods import fine_tuning, in_context, lora, prompts, setfit, soft_prompts
from ...models import kv_cache, language, me5
from ...training import accuracy
from . import choice

K, UNLABELLED = 4, 100
SEEDS = range(500, 503)
DATA = "the 100 validation glosses"
OPTIONS = {"data": f"{DATA}, {K} labels per class", "seeds": SEEDS}


@functools.cache
def _model():
    tokenizer, model = language.smollm2("cpu")
    return tokenizer, model.requires_grad_(False)


@functools.cache
def _words() -> torch.Tensor:
    return prompts.label_tokens(_model()[0], glosses.FIVE)


def _pool(task, seed: int, shots: int = K) -> list[str]:
    """A seed's unlabelled texts, apart from those of which a head has labels."""
    rows = task.unlabelled_rows(UNLABELLED, seed, without=task.rows(shots, seed))
    return [task.train_texts[row] for row in rows]


@functools.cache
def _unlabelled(seed: int) -> tuple[str, ...]:
    return tuple(_pool(glosses.task(), seed))


def _texts(part: str, seed: int | None = None):
    """The validation texts, or a seed's unlabelled or its labelled texts, class after class."""
    if part == "validation":
        return glosses.task().validation_texts
    return _unlabelled(seed) if part == "unlabelled" else glosses.task().draw(K, seed)[0]


def _score(scores, unlabelled, labels=None) -> dict:
    """The mean of the raw and the calibrated validation accuracy, on glosses unless other labels are given."""
    labels = glosses.task().validation_labels if labels is None else labels
    both = accuracy(scores, labels), accuracy(prompts.mean_logit_calibration(scores, unlabelled), labels)
    return {"validation_accuracy": sum(both) / 2}


@choice("prompt-template", list(prompts.TEMPLATES), data=DATA, seeds=SEEDS)
def prompt_template(candidate, seed):
    """The template of the prompts"""
    texts = [*glosses.task().validation_texts, *_unlabelled(seed)]
    scores = prompts.label_scores(*_model(), texts, candidate, glosses.FIVE)
    return _score(*scores.split([len(texts) - UNLABELLED, UNLABELLED]))


# heads on frozen vectors


@functools.cache
def _vectors(kind: str, part: str, seed: int | None = None) -> torch.Tensor:
    texts = _texts(part, seed)
    if kind == "MiniLM":
        return language.sentence_features(texts, device="cpu")
    if kind == "template":
        return prompts.hidden_after(*_model(), texts, [chosen("prompt-template")])[chosen("prompt-template")]
    return prompts.text_hidden(*_model(), texts)[kind]


def _head(seed: int, kind: str, variance: float, start) -> dict:
    """The mean of the validation accuracies of heads on 1 and on K labels per class."""
    z = {part: _vectors(kind, part, seed) for part in ("unlabelled", "labelled")}
    reached = []
    for shots in (1, K):
        rows = torch.arange(len(glosses.FIVE) * K).unflatten(0, (-1, K))[:, :shots].flatten()
        settings = {"unlabelled": z["unlabelled"], "start": start, "variance": variance}
        classify = prompts.fit_head(z["labelled"][rows], rows // K, len(glosses.FIVE), **settings)
        reached.append(accuracy(classify(_vectors(kind, "validation")), glosses.task().validation_labels))
    return {"validation_accuracy": sum(reached) / len(reached)}


VARIANCES = [10.0, 1.0, 100.0, 1000.0]  # the first version's, which was set without a measurement, and others
HEADS = {"data": f"{DATA}, the mean of 1 and {K} labels per class"}


@choice("head-bare", [{"vectors": v, "variance": one} for v in ("mean", "last") for one in VARIANCES], **HEADS)
def head_bare(candidate, seed):
    """Which vectors of SmolLM2 stand for a text without a template, and the variance of the head's weights"""
    return _head(seed, candidate["vectors"], candidate["variance"], None)


@choice("head-template", VARIANCES, **HEADS)
def head_template(candidate, seed):
    """The variance of the weights of a head on SmolLM2's vectors after the template"""
    return _head(seed, "template", candidate, None)


@choice("head-template-names", VARIANCES, **HEADS)
def head_template_names(candidate, seed):
    """The same for a head that starts at the label words' output vectors"""
    return _head(seed, "template", candidate, _model()[1].get_output_embeddings().weight[_words()].float())


@choice("head-minilm", VARIANCES, **HEADS)
def head_minilm(candidate, seed):
    """The variance of the weights of a head on MiniLM's vectors"""
    return _head(seed, "MiniLM", candidate, None)


@choice("head-minilm-names", [{"weight": w, "variance": v} for w in (10.0, 5.0, 20.0) for v in VARIANCES], **HEADS)
def head_minilm_names(candidate, seed):
    """The length of the label names' vectors at which a head on MiniLM starts, and the variance of its weights"""
    names = language.sentence_features(glosses.FIVE, device="cpu")
    return _head(seed, "MiniLM", candidate["variance"], candidate["weight"] * names)


# what learns from K labels per class


@functools.cache
def _prefix(part: str, seed: int | None = None):
    before, joint, _ = prompts.split_template(chosen("prompt-template"))
    return prompts.encode_texts(*_model(), _texts(part, seed), before, joint)


@functools.cache
def _ending() -> torch.Tensor:
    return kv_cache.token_ids(*_model(), prompts.split_template(chosen("prompt-template"))[2])


def _prompted(seed: int, ending) -> dict:
    read = [_prefix("validation"), _prefix("unlabelled", seed)]
    return _score(*(soft_prompts.prompted_logits(_model()[1], prefix, ending, _words()) for prefix in read))


SOFT = [{"steps": 5, "learning_rate": 0.01}, {"steps": 5, "learning_rate": 0.003}, {"steps": 15, "learning_rate": 0.003}]


@choice("soft-prompt", SOFT, **OPTIONS)
def soft_prompt(candidate, seed):
    """Steps and learning rate of a soft prompt"""
    start, y = kv_cache.token_embeddings(_model()[1], _ending()), glosses.task().draw(K, seed)[1]
    examples = (_model()[1], _prefix("labelled", seed), torch.zeros(len(y), dtype=torch.long), y, _words())
    learned, _ = soft_prompts.tune_prompts(*examples, start, **candidate)
    return _prompted(seed, learned[0])


def _demonstrations() -> list[str]:
    return [in_context.DEMONSTRATION, chosen("prompt-template")]


@choice("demonstration-template", _demonstrations, **OPTIONS)
def demonstration_template(candidate, seed):
    """The template of the demonstrations in a prompt"""
    texts, y = glosses.task().draw(K, seed)
    order = in_context.random_order(len(texts), seed)
    shown = in_context.demonstration_prompt(texts, y, glosses.FIVE, candidate, order)
    asked = [*glosses.task().validation_texts, *_unlabelled(seed)]
    scores = in_context.in_context_scores(*_model(), shown, asked, glosses.FIVE, candidate)
    return _score(*scores.split([len(asked) - UNLABELLED, UNLABELLED]))


LAYERS, RANK = 2, 4
# As many steps and as many rates for the one as for the other; LoRA's are those of a part that starts at zero.
TUNING = [{"steps": 4, "learning_rate": rate} for rate in (4e-4, 2e-4, 1e-4, 8e-4)]
LORA = [{"steps": 4, "learning_rate": rate} for rate in (5e-3, 2e-3, 1e-2, 2e-2)]


@functools.cache
def _lower(part: str, seed: int | None = None):
    filled = [chosen("prompt-template").replace(prompts.SLOT, text) for text in _texts(part, seed)]
    return fine_tuning.lower_layers(*_model(), filled, LAYERS)


def _tuned(seed: int, candidate: dict, rank: int | None) -> dict:
    """The validation accuracy after training SmolLM2's upper layers, in full or by LoRA."""
    model, y = _model()[1], glosses.task().draw(K, seed)[1]
    network = fine_tuning.UpperLayers(model, LAYERS, model.get_output_embeddings().weight[_words()])
    if rank:
        lora.add_lora(network.backbone.layers, rank, seed=seed)
    fine_tuning.fine_tune(network, _lower("labelled", seed), y, **candidate)
    scores = fine_tuning.predict_logits(network, _lower("validation"))
    return {"validation_accuracy": accuracy(scores, glosses.task().validation_labels)}


@choice("fine-tuning", TUNING, **OPTIONS)
def fine_tune(candidate, seed):
    """The learning rate of four steps of fine-tuning of SmolLM2's upper two layers"""
    return _tuned(seed, candidate, None)


@choice("lora", LORA, **OPTIONS)
def low_rank(candidate, seed):
    """The learning rate of four steps of LoRA of rank 4 in SmolLM2's upper two layers"""
    return _tuned(seed, candidate, RANK)


# Steps and rates around those of the paper's own recipe, 20 pairs a text at 2e-5, for larger steps that see all pairs.
SETFIT = [{"steps": steps, "learning_rate": rate} for steps in (10, 20) for rate in (1e-4, 3e-5, 3e-4, 1e-3)]


@functools.cache
def _read_by_minilm(seed: int):
    """MiniLM, and what its lower layers give for a seed's labelled, its unlabelled and the validation texts."""
    tokenizer, encoder = language.minilm("cpu")
    texts = [*_texts("labelled", seed), *_texts("unlabelled", seed), *_texts("validation")]
    return encoder, setfit.read_lower(tokenizer, encoder, texts, LAYERS)


@choice("setfit", SETFIT, **OPTIONS)
def from_pairs(candidate, seed):
    """Steps and learning rate of MiniLM's upper two layers on pairs of texts, before the head that was chosen for MiniLM"""
    encoder, read = _read_by_minilm(seed)
    y = glosses.task().draw(K, seed)[1]
    z, _ = setfit.fit(encoder, read, torch.arange(len(y)), y, layers=LAYERS, device="cpu", **candidate)
    labelled, unlabelled, validation = z.split([len(y), UNLABELLED, len(z) - len(y) - UNLABELLED])
    options = {"unlabelled": unlabelled, "variance": chosen("head-minilm")}
    classify = prompts.fit_head(labelled, y, len(glosses.FIVE), **options)
    return {"validation_accuracy": accuracy(classify(validation), glosses.task().validation_labels)}


# opinions: prompt and head for film reviews


@functools.cache
def _read_opinions(template: str, words: tuple[str, ...], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A prompt's scores of the validation texts and of a seed's unlabelled ones."""
    task = opinions.task("films")
    texts = [*task.validation_texts, *_pool(task, seed)]
    return prompts.label_scores(*_model(), texts, template, words).split([len(texts) - UNLABELLED, UNLABELLED])


@choice("opinions-prompt", list(prompts.OPINION_PROMPTS), data="150 validation texts about films, no labels", seeds=SEEDS)
def opinions_prompt(candidate, seed):
    """Template and label words of a prompt for opinions"""
    scores, unlabelled = _read_opinions(candidate["template"], tuple(candidate["words"]), seed)
    return _score(scores, unlabelled, opinions.task("films").validation_labels)


@choice("opinions-head-minilm", VARIANCES, data="150 validation texts about films, the mean of 1, 4 and 16 labels per class")
def opinions_head_minilm(candidate, seed):
    """The variance of the weights of a head on MiniLM's vectors, on opinions"""
    return _review_head(opinions.task("films"), None, seed, candidate, language.sentence_features)


def _review_head(task, read: int | None, seed: int, variance: float, features) -> dict:
    """The mean validation accuracy, on the first `read` texts, of heads that saw 1, 4 and 16 labels per class."""
    unlabelled, answers = (features(texts, device="cpu") for texts in (_pool(task, seed, 16), task.validation_texts[:read]))
    reached = []
    for shots in (1, K, 16):
        texts, y = task.draw(shots, seed)
        z = features(texts, device="cpu")
        classify = prompts.fit_head(z, y, len(task.classes), unlabelled=unlabelled, variance=variance)
        reached.append(accuracy(classify(answers), task.validation_labels[:read]))
    return {"validation_accuracy": sum(reached) / len(reached)}


# reviews-zh: prompt and head for short reviews in Chinese

SHORT, READ = 40, 150  # characters of a review, validation reviews
CHINESE = f"{READ} validation reviews in Chinese of at most {SHORT} characters"


@functools.cache
def _read_chinese(template: str, words: tuple[str, ...], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A prompt's scores of the validation reviews and of a seed's unlabelled ones."""
    task = reviews_zh.task(SHORT)
    texts = [*task.validation_texts[:READ], *_pool(task, seed, 16)]
    return prompts.continuation_scores(*_model(), texts, template, words, joint="").split([READ, UNLABELLED])


@choice("reviews-zh-prompt", list(prompts.CHINESE_PROMPTS), data=f"{CHINESE}, no labels", seeds=SEEDS)
def reviews_zh_prompt(candidate, seed):
    """Template and label words of a prompt in Chinese"""
    scores, unlabelled = _read_chinese(candidate["template"], tuple(candidate["words"]), seed)
    return _score(scores, unlabelled, reviews_zh.task(SHORT).validation_labels[:READ])


@choice("reviews-zh-head", VARIANCES, data=f"{CHINESE}, the mean of 1, 4 and 16 labels per class", seeds=SEEDS)
def reviews_zh_head(candidate, seed):
    """The variance of the weights of a head on the multilingual encoder's vectors, on Chinese reviews"""
    return _review_head(reviews_zh.task(SHORT), READ, seed, candidate, me5.sentence_features)
