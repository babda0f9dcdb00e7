"""Prompt learning: cached scores are the plain ones, calibrations keep their laws, and searching and tuning lower the loss."""

import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot_lab.data import glosses
from fewshot_lab.errors import CourseError
from fewshot_lab.methods import fine_tuning, in_context, prompts, soft_prompts, triggers
from fewshot_lab.models import kv_cache, language
from fewshot_lab.models.kv_cache import encode_prefix, extend, last_hidden, token_embeddings, token_ids
from fewshot_lab.widgets import PromptExplorer

pytestmark = pytest.mark.assets
TEMPLATE = "Definition: {x}\nType:"
TEXTS = ["a small bird", "someone who bakes bread and cakes in the early morning", "a red fruit"]
WORDS = ["animal", "plant", "food", "person", "artifact"]
LONG = ["animal", "means of transport", "sweet food"]


@pytest.fixture(scope="module")
def lm():
    """The language model in float32, so that two ways to one number differ by rounding only."""
    tokenizer, model = language.smollm2("cpu")
    return tokenizer, model.float().requires_grad_(False)


@pytest.fixture(scope="module")
def labelled(lm):
    """Two draws of two labelled glosses a class as the model keeps them, which draw each is of, labels, label words' tokens."""
    (texts, labels), (more, more_labels) = (glosses.task().draw(2, seed) for seed in (0, 1))
    before, joint, _ = prompts.split_template(TEMPLATE)
    draws = torch.arange(2).repeat_interleave(10)
    ids = prompts.label_tokens(lm[0], WORDS)
    return prompts.encode_texts(*lm, texts + more, before, joint), draws, torch.cat([labels, more_labels]), ids


@pytest.mark.slow
def test_scores_with_shared_beginnings_are_those_of_one_forward_pass_each(lm):
    plain = prompts.naive_scores(*lm, TEXTS, TEMPLATE, WORDS)
    assert torch.allclose(prompts.label_scores(*lm, TEXTS, TEMPLATE, WORDS), plain, atol=2e-3)
    assert torch.allclose(prompts.continuation_scores(*lm, TEXTS, TEMPLATE, WORDS), plain, atol=2e-3)
    longer = prompts.naive_scores(*lm, TEXTS, TEMPLATE, LONG)
    assert torch.allclose(prompts.continuation_scores(*lm, TEXTS, TEMPLATE, LONG), longer, atol=2e-3)


def test_demonstrations_encoded_once_score_as_written_out(lm):
    prompt = in_context.demonstration_prompt(["a cat", "a rose"], torch.tensor([0, 1]), WORDS, "{x} ->", torch.tensor([1, 0]))
    assert prompt == "a rose -> plant\na cat -> animal\n"
    written_out = prompts.naive_scores(*lm, TEXTS, prompt + "{x} ->", WORDS)
    assert torch.allclose(in_context.in_context_scores(*lm, prompt, TEXTS, WORDS), written_out, atol=2e-3)


def test_texts_packed_behind_one_beginning_are_as_if_each_were_alone(lm, monkeypatch):
    tokenizer, model = lm
    shared = encode_prefix(tokenizer, model, ["a rose is a plant\n" * 5])
    texts = [*TEXTS, "a", "a longer text that has many more words than the others do", *TEXTS[::-1]]
    alone = torch.cat([encode_prefix(tokenizer, model, [text], after=shared).last() for text in texts])
    assert torch.allclose(last_hidden(tokenizer, model, texts, after=shared), alone, atol=1e-3)
    monkeypatch.setattr(kv_cache, "MAX_TOKENS", 8)  # several packs, and a text that is longer than one
    assert torch.allclose(last_hidden(tokenizer, model, texts, after=shared), alone, atol=1e-3)
    with pytest.raises(ValueError, match="Text number 1 is empty"):
        last_hidden(tokenizer, model, ["a", ""], after=shared)


def test_a_prefix_keeps_the_texts_order_and_is_extended_by_every_ending(lm):
    tokenizer, model = lm
    prefix = encode_prefix(tokenizer, model, TEXTS)
    for row, text in enumerate(TEXTS):
        alone = encode_prefix(tokenizer, model, [text])
        assert torch.allclose(prefix.last()[row], alone.last()[0], atol=1e-3)
    assert torch.equal(last_hidden(tokenizer, model, TEXTS), prefix.last())
    endings = torch.stack([token_embeddings(model, token_ids(tokenizer, model, ending)) for ending in (" is a", " has the")])
    both = extend(model, prefix, endings[:, None])
    assert both.shape == (2, 3, model.config.hidden_size)
    each = endings[torch.tensor([0, 1, 0])]  # another ending for every text
    mixed = extend(model, prefix, each[None])[0]
    for row, c in enumerate((0, 1, 0)):
        assert torch.allclose(mixed[row], both[c, row], atol=1e-3)
    with pytest.raises(ValueError, match="Text number 1 is empty"):
        encode_prefix(tokenizer, model, ["a", ""])


def test_batches_hold_every_text_once_and_not_too_many_tokens(lm):
    texts = ["word " * count for count in (1, 300, 2, 700, 3, 900, 4)]
    found = list(kv_cache.padded_batches(lm[0], texts, "cpu"))
    assert sorted(torch.cat([rows for rows, *_ in found]).tolist()) == list(range(7))
    assert all(ids.numel() <= kv_cache.MAX_TOKENS or len(ids) == 1 for _, ids, _ in found) and len(found) > 2


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 6))
def test_the_log_probability_of_a_sequence_is_a_product_over_its_tokens(seed, length):
    generator = torch.Generator().manual_seed(seed)
    logits, tokens = torch.randn(length, 4, generator=generator).double(), torch.randint(4, (length,), generator=generator)
    p = 1.0
    for t in range(1, length):
        p *= logits[t - 1].softmax(0)[tokens[t]].item()
    assert prompts.sequence_log_probability(logits, tokens, 1).exp().item() == pytest.approx(p)
    parts = [prompts.sequence_log_probability(logits[: t + 1], tokens[: t + 1], t).item() for t in range(1, length)]
    assert prompts.sequence_log_probability(logits, tokens, 1).item() == pytest.approx(sum(parts))


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_calibration_forgives_a_constant_preference_for_a_word(seed):
    generator = torch.Generator().manual_seed(seed)
    scores, unlabelled = torch.randn(6, 3, generator=generator), torch.randn(20, 3, generator=generator)
    preference = torch.tensor([3.0, -2.0, 0.5])
    for calibrate in (prompts.mean_logit_calibration, prompts.contextual_calibration):
        plain = calibrate(scores, unlabelled[:1])
        assert torch.allclose(calibrate(scores + preference, unlabelled[:1] + preference), plain, atol=1e-4)
    words = prompts.class_log_probabilities(scores.log_softmax(1), [[0, 2], [1]])
    assert torch.allclose(words.exp().sum(1), torch.ones(6), atol=1e-5)


def test_templates_and_label_words_that_cannot_be_used_are_errors(lm):
    for template, words in (
        ("no place", "exactly once"),
        ("{x} {x} is", "exactly once"),
        ("{x} is ", "end with a space"),
        ("{x}", "go on"),
    ):
        with pytest.raises(CourseError, match=words):
            prompts.split_template(template)
    with pytest.raises(CourseError, match="choose a word of one token"):
        prompts.label_tokens(lm[0], ["animal", "hippopotamus"])
    with pytest.raises(CourseError, match="the same word"):
        prompts.label_tokens(lm[0], ["animal", " animal"])
    for score in (prompts.label_scores, prompts.continuation_scores):
        for texts, words, says in (
            ("one text", WORDS, r"this is one text: write \['one text'\]"),
            ([], WORDS, "There are no texts"),
            (["a"], "animal", "The label words are a list"),
            (["a"], ["animal", " "], "Label 2 has no word"),
        ):
            with pytest.raises(CourseError, match=says):
                score(*lm, texts, TEMPLATE, words)
    for read in (prompts.text_hidden, lambda *lm_and_texts: prompts.hidden_after(*lm_and_texts, [TEMPLATE])):
        with pytest.raises(CourseError, match="this is one text"):
            read(*lm, "one text")


@pytest.mark.slow
def test_a_soft_prompt_lowers_the_loss_and_leaves_the_model_as_it_is(lm, labelled):
    tokenizer, model = lm
    prefix, draws, labels, ids = labelled
    before = model.model.layers[3].mlp.up_proj.weight.clone()
    start = token_embeddings(model, token_ids(tokenizer, model, "\nType:"))
    P, losses = soft_prompts.tune_prompts(model, prefix, draws, labels, ids, start, steps=6, learning_rate=0.02)
    assert (losses[-1] < losses[0] - 0.1).all() and P.shape == (2, *start.shape)
    assert torch.equal(model.model.layers[3].mlp.up_proj.weight, before)
    zero_shot = soft_prompts.prompted_logits(model, prefix, start, ids)[:10].log_softmax(1)
    texts, _ = glosses.task().draw(2, seed=0)
    assert torch.allclose(zero_shot, prompts.label_scores(*lm, texts, TEMPLATE, WORDS).log_softmax(1), atol=5e-3)


def test_prompts_that_learn_side_by_side_learn_what_each_learns_alone(lm, labelled):
    tokenizer, model = lm
    prefix, draws, labels, ids = labelled
    start = token_embeddings(model, token_ids(tokenizer, model, "\nType:"))
    both, losses = soft_prompts.tune_prompts(model, prefix, draws, labels, ids, start, steps=2)
    texts, labels = glosses.task().draw(2, seed=1)
    before, joint, _ = prompts.split_template(TEMPLATE)
    one = prompts.encode_texts(*lm, texts, before, joint)
    nothing = torch.zeros(10, dtype=torch.long)
    alone, its_losses = soft_prompts.tune_prompts(model, one, nothing, labels, ids, start, steps=2)
    assert torch.allclose(losses[:, 1], its_losses[:, 0], atol=2e-3)
    assert (both[1] - alone[0]).norm() < 0.1 * (alone[0] - start).norm()


@pytest.fixture(scope="module")
def search(lm, labelled):
    """A search on the first draw's texts, from words that say nothing, with the first 20,000 words."""
    tokenizer, model = lm
    _, _, labels, ids = labelled
    before, joint, _ = prompts.split_template(TEMPLATE)
    prefix = prompts.encode_texts(*lm, glosses.task().draw(2, seed=0)[0], before, joint)
    allowed = torch.zeros(model.config.vocab_size, dtype=torch.bool)
    allowed[:20_000] = True

    def run(start=" the the", **more):
        settings = {"candidates": 3, "allowed": allowed} | more
        return triggers.search_trigger(model, prefix, labels[:10], ids, token_ids(tokenizer, model, start), **settings)

    return run


@pytest.mark.slow
def test_a_search_starts_at_the_given_words_gets_better_with_every_swap_and_never_writes_the_answer(lm, labelled, search):
    found, stopped = search(max_steps=20), search(max_steps=1)
    assert found.ended and len(found.triggers) == len(found.losses) > 1
    assert not stopped.ended and torch.equal(stopped.triggers, found.triggers[:2])
    assert (found.losses[1:] < found.losses[:-1]).all(), "no swap is kept that does not lower the loss"
    assert ((found.triggers[1:] != found.triggers[:-1]).sum(1) == 1).all(), "one word is swapped in a step"
    assert not set(found.triggers.flatten().tolist()) & set(labelled[3].tolist()) and found.triggers.max() < 20_000
    scores = prompts.label_scores(*lm, glosses.task().draw(2, seed=0)[0], "Definition: {x} the the", WORDS)
    expected = torch.nn.functional.cross_entropy(scores, labelled[2][:10])
    assert found.losses[0].item() == pytest.approx(expected.item(), abs=5e-3)


@pytest.mark.slow
def test_a_search_whose_candidates_are_all_worse_is_at_its_end(search):
    only_itself = torch.zeros(49152, dtype=torch.bool)
    only_itself[search(max_steps=0).triggers[0]] = True
    found = search(allowed=only_itself, candidates=1)
    assert found.ended and len(found.triggers) == 1


def test_the_estimate_of_a_swap_is_the_slope_of_the_loss(lm, labelled):
    """A hundredth of the way to another word changes the loss by a hundredth of the estimate."""
    tokenizer, model = lm
    prefix, draws, labels, ids = labelled
    current = token_ids(tokenizer, model, " is a")
    e = token_embeddings(model, current).detach().expand(2, -1, -1)  # (D, m, d)
    loss, gradient = soft_prompts.loss_gradients(model, prefix, e, draws, labels, ids)
    table = model.get_input_embeddings().weight
    estimates = triggers.swap_estimates(gradient[0], current, table)
    for word in (300, 5000, 12345):
        moved = e.clone()
        moved[0, 1] += 1e-2 * (table[word] - table[current[1]])
        found = soft_prompts.label_losses(model, prefix, moved[None], draws, labels, ids)[0]
        assert (found - loss)[0].item() == pytest.approx(1e-2 * estimates[1, word].item(), abs=2e-3)
        assert (found - loss)[1].abs() < 1e-4, "the draws share nothing"
    assert estimates[[0, 1], current].abs().max() < 1e-5


def test_fine_tuning_moves_copies_of_the_upper_layers_only(lm, monkeypatch):
    tokenizer, model = lm
    texts, labels = glosses.task().draw(1, seed=0)
    batches = fine_tuning.lower_layers(tokenizer, model, [TEMPLATE.replace("{x}", text) for text in texts], 2)
    head = model.get_output_embeddings().weight[prompts.label_tokens(tokenizer, WORDS)]
    network = fine_tuning.UpperLayers(model, 2, head)
    scores = prompts.label_scores(*lm, texts, TEMPLATE, WORDS).log_softmax(1)
    for rows, h, mask in batches:
        assert torch.allclose(network(h, mask).log_softmax(1), scores[rows], atol=5e-2)
        with monkeypatch.context() as exactly:
            exactly.setattr(fine_tuning, "autocast", lambda device: contextlib.nullcontext())
            assert torch.allclose(network(h, mask).log_softmax(1), scores[rows], atol=5e-3)
    before = model.model.layers[-1].mlp.up_proj.weight.clone()
    losses = fine_tuning.fine_tune(network, batches, labels, steps=5, learning_rate=3e-4)
    assert losses[-1] < losses[0] - 0.2
    assert torch.equal(model.model.layers[-1].mlp.up_proj.weight, before)
    assert not torch.equal(network.backbone.layers[-1].mlp.up_proj.weight, before)


def test_the_vectors_of_a_text_are_its_own_however_it_is_batched(lm, monkeypatch):
    templates = [TEMPLATE, "{x} is a kind of", "Definition: {x} is a kind of"]
    monkeypatch.setattr(prompts, "AT_A_TIME", 2)
    bare, after = prompts.text_hidden(*lm, TEXTS), prompts.hidden_after(*lm, TEXTS, templates)
    tokenizer, model = lm
    for row, text in enumerate(TEXTS):
        states = model.model(token_ids(tokenizer, model, text)[None]).last_hidden_state[0]
        assert torch.allclose(bare["last"][row], states[-1], atol=2e-2) and torch.allclose(
            bare["mean"][row], states.mean(0), atol=2e-2
        )
        for template in templates:
            ids = token_ids(tokenizer, model, template.replace("{x}", text))
            assert torch.allclose(after[template][row], model.model(ids[None]).last_hidden_state[0, -1], atol=2e-2)


def test_unlabelled_texts_are_drawn_without_their_labels_and_without_the_labelled_ones():
    task = glosses.task()
    labelled = task.rows(16, 0)
    rows = task.unlabelled_rows(100, 0, without=labelled)
    assert len(set(rows.tolist())) == 100 and not torch.isin(rows, labelled).any()
    assert torch.equal(rows, task.unlabelled_rows(100, 0, without=labelled))
    counts = [task.train_labels[task.unlabelled_rows(100, seed, without=labelled)].bincount() for seed in range(5)]
    assert any((count != 20).any() for count in counts), "a draw that ignores labels is not balanced by them"


def test_a_head_pulled_to_the_prompt_starts_there_and_learns():
    generator = torch.Generator().manual_seed(0)
    like, start = torch.randn(50, 8, generator=generator), torch.randn(3, 8, generator=generator)
    nothing = prompts.fit_head(like[:0], torch.empty(0, dtype=torch.long), 3, unlabelled=like, start=start)
    assert torch.allclose(nothing(like), (like - like.mean(0)) @ start.T, atol=1e-4)
    labels = torch.arange(3).repeat(10)
    features = 3 * torch.eye(8)[labels] + 0.1 * torch.randn(30, 8, generator=generator)
    learned = prompts.fit_head(features, labels, 3, unlabelled=features)
    assert (learned(features).argmax(1) == labels).all()
    held = prompts.fit_head(features, labels, 3, unlabelled=features, variance=1e-6)
    assert held(features).abs().max() < 1e-2 < learned(features).abs().max(), "a small variance holds the head at its start"


def test_the_explorer_answers_to_template_words_and_calibration_and_says_what_is_wrong(lm):
    shown = PromptExplorer(*lm, glosses.task(), TEMPLATE)
    seen = {shown.html}
    shown.controls["template"].value = "{x} is a kind of"
    seen.add(shown.html)
    shown.controls["calibrated"].value = shown.controls["calibrated"].options[1]
    seen.add(shown.html)
    shown.controls["words"].value = "bird, tree, meal, man, tool"
    seen.add(shown.html)
    assert len(seen) == 4 and "role='alert'" not in "".join(seen)
    shown.controls["words"].value = "bird, tree"
    assert "role='alert'" in shown.html and "5 label words" in shown.html
    shown.controls["words"].value = "<b>, tree, meal, man, tool"
    assert "<b>" not in shown.html
    assert all(control.description and control.tooltip for control in shown.controls.values())
    assert PromptExplorer(*lm, glosses.task(), TEMPLATE).still().alt
