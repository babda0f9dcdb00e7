"""multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672): a BERT of 12 layers and width 384 for a hundred languages.

The asset is one file with the weights in 4 bits, the format Q4_0 of GGUF. Numbers are little-endian:

    "E5S1", version 1
    width, layers, heads, width inside a layer, rows of the word embedding, positions, token types: int32; epsilon: float32; 32
    pieces, then the ids of <s>, </s>, <pad>, <unk>: int32; the bytes of all pieces: uint64
    pieces + 1 offsets: uint32; a score for each piece: float32; the pieces' bytes, UTF-8
    the normalisation of single characters: their number int32, bytes uint32, a table      (not needed: it is NFKC and Nmt)
    tensors: int32; for each the length of its name uint16, name, type uint8, numbers uint32, where uint64, bytes uint64

A tensor of type 0 is float32. One of type 1 comes in blocks of 32 weights: a scale d in float16 and 16 bytes, of which byte j
holds weight j in its low and weight j + 16 in its high four bits: a weight is d (q - 8) with q from 0 to 15.
"""

import functools
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..assets import fetch
from ..files import cached_on_disk
from ..languages import later
from ..runtime import choose_device
from .language import convert_once, embed_all, quietly

CONVERSION = "1"  # part of the folder's name: raise it when the conversion changes
QK = 32  # weights per block
LAYER = {  # the file's names and those of transformers' BertModel
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
SPECIAL = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
FULL_WIDTH_TILDE, STAND_IN = "\uff5e", "\ue000"


def me5(device: str = "auto", *, characters: bool = False):
    """multilingual-e5-small: (tokenizer, model in evaluation mode) of transformers; fetches the asset when it is not installed.

    The first call on a machine converts the asset's 4-bit weights to bfloat16 in the cache folder (about 10 s). A text for a
    sentence embedding begins with "query: " or "passage: ", as in the model's training; the embedding is the mean of the
    token vectors. The id of padding is 1, not BERT's 0.

    device: see `choose_device`. characters: only the pieces of one character, for scripts without spaces: a character that the
    model knows is one piece, and model and tokenizer take 0.1 GB of memory instead of 0.8.
    """
    from transformers import AutoModel, AutoTokenizer

    name = f"me5{'-characters' * characters}-bfloat16-{CONVERSION}"
    title = later("the multilingual encoder, once for this machine (about 10 s)")
    folder = convert_once(name, title, functools.partial(_convert, characters))
    with quietly():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False)
    return tokenizer, model.eval().to(choose_device(device))


def sentence_features(texts: Sequence[str], *, device: str = "auto", progress=iter) -> torch.Tensor:
    """Embeddings (N, 384) of length 1 by the model that reads characters, kept in the cache folder.

    Every text is read as a "query: ", which is the model's own form for classification. progress(batches): a bar around the
    loop.
    """

    def compute() -> torch.Tensor:
        return embed_all(*me5(device, characters=True), [f"query: {text}" for text in texts], progress)

    return cached_on_disk(f"me5-characters-{CONVERSION}", json.dumps(list(texts)).encode(), compute)


def _convert(characters: bool, folder: Path) -> None:
    from transformers import BertConfig, BertModel

    content = (fetch("me5") / "e5-small-q4.bin").read_bytes()
    sizes, pieces, scores, tensors = _read(content)
    if characters:
        kept = [index for index, piece in enumerate(pieces) if len(piece) == 1 or piece in SPECIAL.values()]
        pieces, scores = [pieces[index] for index in kept], scores[kept]
        tensors["emb.word"] = tensors["emb.word"].view(-1, sizes[0])[kept]
        sizes = (*sizes[:4], len(kept), *sizes[5:])
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    settings = dict(zip((*names, "max_position_embeddings", "type_vocab_size", "layer_norm_eps"), sizes, strict=True))
    model = BertModel(BertConfig(**settings, pad_token_id=1), add_pooling_layer=False)
    width = settings["hidden_size"]
    weights = {f"embeddings.{name}.weight": tensors[f"emb.{short}"].view(-1, width) for short, name in EMBEDDINGS.items()}
    weights |= {f"embeddings.LayerNorm.{long}": tensors[f"emb.ln.{short}"] for short, long in (("w", "weight"), ("b", "bias"))}
    for layer in range(settings["num_hidden_layers"]):
        for short, name in LAYER.items():
            weights[f"encoder.layer.{layer}.{name}.weight"] = tensors[f"l{layer}.{short}.w"]
            weights[f"encoder.layer.{layer}.{name}.bias"] = tensors[f"l{layer}.{short}.b"]
    own = model.state_dict()
    # The file gives a matrix as a row of numbers: (out, in), as torch has it.
    model.load_state_dict({name: weights[name].view(value.shape) for name, value in own.items() if name in weights})
    model.to(torch.bfloat16).save_pretrained(folder)
    _tokenizer(pieces, scores, characters).save_pretrained(folder)


def _read(content: bytes) -> tuple[tuple, list[str], np.ndarray, dict[str, torch.Tensor]]:
    """The sizes of the network, its pieces, their scores, and the tensors by the file's names, flat and in float32."""
    place = 0

    def take(layout: str) -> tuple:
        nonlocal place
        values = struct.unpack_from(f"<{layout}", content, place)
        place += struct.calcsize(f"<{layout}")
        return values

    magic, version, *sizes, block, count, _, _, _, _, size = take("4sI7if2i4iQ")
    if (magic, version, block) != (b"E5S1", 1, QK):
        raise ValueError(f"{magic!r} {version} with blocks of {block} is not the format that is read here.")
    offsets = np.frombuffer(content, "<u4", count + 1, place)
    scores = np.frombuffer(content, "<f4", count, place + offsets.nbytes)
    place += offsets.nbytes + scores.nbytes
    blob = content[place : place + size]
    place += size
    pieces = [blob[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    _, table = take("iI")
    place += table
    tensors = {}
    for _ in range(*take("i")):
        (length,) = take("H")
        name, kind, numbers, where, size = take(f"{length}sBIQQ")
        values = _dequantized(content, where, numbers) if kind else np.frombuffer(content, "<f4", numbers, where)
        tensors[name.decode()] = torch.from_numpy(values.copy())
    return tuple(sizes), pieces, scores, tensors


def _dequantized(content: bytes, where: int, numbers: int) -> np.ndarray:
    blocks = np.frombuffer(content, np.dtype([("d", "<f2"), ("q", "u1", QK // 2)]), numbers // QK, where)
    q = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1).astype(np.float32)  # (blocks, 32)
    return ((q - 8) * blocks["d"].astype(np.float32)[:, None]).ravel()


def _tokenizer(pieces: list[str], scores: np.ndarray, characters: bool):
    """XLM-RoBERTa's tokenizer (Kudo 2018, ACL: the likeliest split under a unigram model), whose pieces the file has."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, map(float, scores), strict=True)), unk_id=pieces.index("<unk>")))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(FULL_WIDTH_TILDE, STAND_IN),  # SentencePiece's rules leave this one character as it is
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(STAND_IN, FULL_WIDTH_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    # A mark before every word, where characters are no words of their own.
    prepend = "never" if characters else "always"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, **{f"{name}_token": token for name, token in SPECIAL.items()}
    )
