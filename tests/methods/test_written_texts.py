"""Written texts: the nucleus against transformers, sampling against whole forward passes, copies against difflib."""

import difflib

import pytest
import torch

from fewshot_lab.methods import written_texts
from fewshot_lab.methods.written_texts import words_of
from fewshot_lab.models import kv_cache, language


@pytest.fixture(scope="module")
def lm():
    """The language model in float32, so that two ways to one token differ by rounding only."""
    tokenizer, model = language.smollm2("cpu")
    return tokenizer, model.float().requires_grad_(False)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.99])
def test_the_nucleus_is_the_one_of_transformers(p):
    from transformers import TopPLogitsWarper

    logits = 3 * torch.randn(20, 100, generator=torch.Generator().manual_seed(0)).double()
    ours = written_texts.nucleus(logits.softmax(1), p)
    assert torch.allclose(ours, TopPLogitsWarper(p)(None, logits).softmax(1))
    assert ((ours > 0).sum(1) >= 1).all()


def test_a_draw_falls_on_a_token_as_often_as_it_is_probable_and_never_on_one_that_was_left_out():
    distribution = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]])
    draws = (torch.arange(1000) + 0.5) / 1000
    counts = written_texts.drawn(distribution.expand(1000, -1), draws).bincount(minlength=6)
    assert counts.tolist() == [0, 250, 0, 500, 250, 0]
    # 0 and 1 themselves, and sums that are rounded down.
    short = torch.tensor([[0.0, 0.3, 0.699999, 0.0]]).expand(2, -1)
    assert written_texts.drawn(short, torch.tensor([0.0, 1.0])).tolist() == [1, 2]


@pytest.mark.assets
def test_texts_written_together_are_those_written_alone_by_whole_forward_passes(lm):
    tokenizer, model = lm
    without = ["plant", "artifact", "plant", "food"]
    asked = [written_texts.PROMPT.format(name=name) for name in without]
    draws = torch.rand(4, 12, generator=torch.Generator().manual_seed(1))
    together = written_texts.write(tokenizer, model, asked, draws, without=without)
    vocabulary = tokenizer.batch_decode([[number] for number in range(len(tokenizer))])
    ends = [any(sign in token for sign in '".“”\n') or token in tokenizer.all_special_tokens for token in vocabulary]
    for prompt, word, of_text, text in zip(asked, without, draws, together, strict=True):
        barred = torch.tensor([token.removeprefix(" ").lower().startswith(word) for token in vocabulary])
        ids = kv_cache.token_ids(tokenizer, model, prompt)
        start = len(ids)
        for draw in of_text:
            likely, candidates = model(ids[None]).logits[0, -1].topk(written_texts.TOP_K)
            likely = likely.masked_fill(barred[candidates], -torch.inf)
            distribution = written_texts.nucleus(likely.softmax(0)[None], written_texts.P)
            token = candidates[written_texts.drawn(distribution, draw[None])]
            if ends[token]:
                break
            ids = torch.cat([ids, token])
        assert text == tokenizer.decode(ids[start:]).strip(" ,;:")
    assert together[0] != together[2]  # one prompt, other draws
    assert not any(sign in text for text in together for sign in '"\n.')


@pytest.mark.assets
def test_a_prefix_grows_by_a_token_as_if_it_had_been_encoded_with_it(lm):
    tokenizer, model = lm
    prefix = kv_cache.encode_prefix(tokenizer, model, ["a small dog that barks", "a rose", "a house"])
    rows, ids = torch.tensor([2, 0, 2]), torch.cat([kv_cache.token_ids(tokenizer, model, w) for w in (" of", " and", " in")])
    grown = kv_cache.append_token(model, prefix, rows, ids)
    whole = kv_cache.encode_prefix(tokenizer, model, ["a house of", "a small dog that barks and", "a house in"])
    assert torch.allclose(grown.last(), whole.last(), atol=1e-3)
    again = kv_cache.append_token(model, grown, torch.tensor([1]), ids[:1])
    assert torch.allclose(again.last(), kv_cache.last_hidden(tokenizer, model, ["a small dog that barks and of"]), atol=1e-3)
    assert prefix.masks[0].shape[1] == whole.masks[0].shape[1] - 1, "the shorter one stays as it was"


def test_texts_stay_whose_own_class_leads_by_the_margin():
    scores, meant = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, -1.0]]), torch.tensor([0, 2, 1])
    assert written_texts.keep_read_back(scores, meant).tolist() == [True, False, True]
    assert written_texts.keep_read_back(scores, meant, 1.0).tolist() == [True, False, False]
    assert written_texts.keep_read_back(scores - 50, meant, 1.0).tolist() == [True, False, False]


def test_a_text_is_usable_that_the_task_could_have():
    assert written_texts.usable("a small bird of the coast", "animal")
    assert not written_texts.usable("a bird", "animal")
    assert not written_texts.usable("one of the Animals of the coast", "animal")
    assert written_texts.usable("an animated film of the coast", "animal")


def test_distinct_share_counts_every_sequence_of_words_once():
    assert written_texts.distinct_share(["a b c d", "A, b c"], 3) == pytest.approx(2 / 3)
    assert written_texts.distinct_share(["a a a a"], 1) == 0.25
    with pytest.raises(ValueError, match="None of these texts has 3 words"):
        written_texts.distinct_share(["a b", "c"])


def test_the_longest_run_is_that_of_difflib():
    draw = torch.Generator().manual_seed(0)
    made = [" ".join("abc"[i] for i in torch.randint(3, (9,), generator=draw)) for _ in range(60)]
    texts, sources = made[:20], made[20:]
    for text, (share, source) in zip(texts, written_texts.longest_runs(texts, sources), strict=True):
        runs = [
            difflib.SequenceMatcher(None, words_of(text), words_of(one), autojunk=False).find_longest_match().size
            for one in sources
        ]
        longest = max(runs)
        expected = (longest / 9, sources[runs.index(longest)]) if longest >= written_texts.RUN else (0.0, "")
        assert (share, source) == expected


def test_short_texts_and_texts_without_words_are_copies_of_nothing():
    assert written_texts.longest_runs(["a b c", "...", "a b c d"], ["a b c", "x a b c d y"]) == [
        (0.0, ""),
        (0.0, ""),
        (1.0, "x a b c d y"),
    ]
