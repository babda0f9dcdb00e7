"""Pretrained language models: they load as they should, read and write sense, and padding changes nothing."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from fewshot_lab.models import language

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def smollm2():
    return language.smollm2("cpu")


def test_the_causal_model_knows_a_capital_and_ends_every_text_with_a_known_token(smollm2):
    tokenizer, model = smollm2
    assert tokenizer.padding_side == "left" and tokenizer.pad_token_id == tokenizer.eos_token_id
    written = model.generate(**tokenizer("The capital of France is", return_tensors="pt"), max_new_tokens=1, do_sample=False)
    assert tokenizer.decode(written[0]).endswith(" Paris")
    assert model.dtype == language.compute_dtype("cpu") and not model.training
    assert sum(p.numel() for p in model.parameters()) == 134_515_008


def test_left_padding_changes_no_next_word_when_positions_are_given(smollm2):
    tokenizer, model = smollm2
    texts = ["The capital of France is", "Once upon a time there was a king, and the capital of Italy is"]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    positions = (tokens["attention_mask"].cumsum(1) - 1).clamp_min(0)
    together = model(**tokens, position_ids=positions).logits[:, -1]
    for row, text in enumerate(texts):
        alone = model(**tokenizer(text, return_tensors="pt")).logits[0, -1]
        assert together[row].argmax() == alone.argmax()
        assert (together[row] - alone).abs().max() < 0.5  # bfloat16 keeps three digits, logits are up to 30


@pytest.mark.slow
def test_the_converted_model_is_made_once_and_loads_without_a_bar(smollm2):
    folder = language._converted()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    code = "from fewshot_lab.models import language; language.smollm2('cpu'); language.minilm('cpu')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_a_chapter_that_can_do_without_the_model_is_told_what_is_missing(monkeypatch, capsys):
    def nowhere(name):
        raise language.AssetError(f"{name} cannot be fetched.")

    monkeypatch.setattr(language, "fetch", nowhere)
    assert language.smollm2_if_here("cpu") is None
    assert capsys.readouterr().out == "smollm2 cannot be fetched.\n"


def test_who_waits_for_a_conversion_is_told_which_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    folder, told = tmp_path / "models" / "tiny", []
    folder.parent.mkdir()
    with FileLock(folder.with_name(".tiny.lock")):
        waiting = threading.Thread(target=language.convert_once, args=("tiny", "a tiny model", lambda work: work.mkdir()))
        waiting.start()
        while waiting.is_alive() and not told:
            told += capsys.readouterr().err.splitlines()
    waiting.join()
    assert told == ["tiny is being converted by another process; waiting for it."] and folder.is_dir()


def test_a_converted_model_can_be_read_by_others_who_share_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))

    def convert(work: Path) -> None:
        work.mkdir()
        (work / "model.safetensors").touch(mode=0o600)  # as safetensors leaves it

    [file] = language.convert_once("tiny", "a tiny model", convert).iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


def test_sentence_embeddings_have_length_one_do_not_see_padding_and_find_the_near_meaning():
    tokenizer, model = language.minilm("cpu")
    texts = ["a small dog", "a puppy", "the stock market fell sharply after the announcement of the central bank this morning"]
    z = language.embed(tokenizer, model, texts)
    assert z.shape == (3, 384) and torch.allclose(z.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(z[0], language.embed(tokenizer, model, texts[:1])[0], atol=1e-5)
    assert z[0] @ z[1] > z[0] @ z[2] + 0.3


def test_embeddings_come_back_in_the_texts_order_and_from_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("fewshot_lab.files.home", lambda: tmp_path)
    texts = ["a very long text about a house in the hills", "short", "of middle length"]
    first = language.sentence_features(texts, device="cpu")
    tokenizer, model = language.minilm("cpu")
    assert torch.allclose(first[1], language.embed(tokenizer, model, ["short"])[0], atol=1e-5)
    monkeypatch.setattr(language, "embed_all", lambda *_: pytest.fail("computed again"))
    assert torch.equal(language.sentence_features(texts, device="cpu"), first)


def test_features_are_looked_up_by_text_however_often_one_is_asked_for():
    features_of = language.features_by_text(["a puppy", "short", "a puppy"], device="cpu")
    z = language.sentence_features(["short", "a puppy"], device="cpu")
    assert torch.allclose(features_of(["a puppy", "short", "a puppy"]), z[[1, 0, 1]], atol=1e-5)
    with pytest.raises(KeyError):
        features_of(["a kitten"])
