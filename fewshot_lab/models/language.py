"""Pretrained language models with their tokenizers: SmolLM2, a causal model, and MiniLM, a BERT encoder."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..assets import AssetError, fetch
from ..files import cached_on_disk, in_cache, locked
from ..languages import later, say
from ..runtime import choose_device

BATCH = 64
CONVERSION = "1"  # part of the folder's name: raise it when the conversion changes


def smollm2(device: str = "auto"):
    """SmolLM2-135M-Instruct: (tokenizer, model in evaluation mode) of transformers; fetches the asset when it is not installed.

    The first call on a machine converts the asset's 4-bit weights to bfloat16 in the cache folder (about 15 s); later calls
    take under 2 s. The model computes in bfloat16 where the device does so in hardware, else in float32. It has no token for
    the beginning of a text and pads with the end-of-text token: pad on the left (the tokenizer does) and pass position ids.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = _converted()
    device = choose_device(device)
    with quietly():
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=compute_dtype(device))
    return tokenizer, model.eval().to(device)


def smollm2_if_here(device: str = "auto"):
    """As `smollm2`; or None, and a line that says what is missing, where the model is not installed and cannot be fetched."""
    try:
        fetch("smollm2")
    except AssetError as error:
        print(error)
        return None
    return smollm2(device)


def minilm(device: str = "auto"):
    """all-MiniLM-L6-v2, a BERT encoder of 6 layers and width 384: (tokenizer, model in evaluation mode) of transformers."""
    from transformers import AutoModel, AutoTokenizer

    folder = fetch("minilm")
    with quietly():
        return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval().to(choose_device(device))


def sentence_features(texts: Sequence[str], *, device: str = "auto", progress=iter) -> Tensor:
    """MiniLM's sentence embeddings (N, 384) of length 1, kept in the cache folder.

    An embedding is the mean of a text's token vectors (Reimers & Gurevych 2019, EMNLP). progress(batches): a bar around the
    loop.
    """
    return cached_on_disk(
        "minilm", json.dumps(list(texts)).encode(), lambda: embed_all(*minilm(choose_device(device)), texts, progress)
    )


def features_by_text(texts: Iterable[str], **options) -> Callable[[Sequence[str]], Tensor]:
    """A function that looks texts up among these: n of them -> their `sentence_features` (n, 384).

    Each different text is read once; options: those of `sentence_features`. The function raises KeyError for another text.
    """
    texts = sorted(set(texts))
    features, row_of = sentence_features(texts, **options), {text: row for row, text in enumerate(texts)}
    return lambda some: features[[row_of[text] for text in some]]


@torch.inference_mode()
def embed(tokenizer, model, texts: Sequence[str]) -> Tensor:
    """The embeddings (N, 384) of one batch of texts."""
    # 256 tokens: where this sentence encoder cuts by default.
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt").to(model.device)
    h, mask = model(**tokens).last_hidden_state, tokens["attention_mask"][:, :, None]  # (N, T, 384), (N, T, 1)
    return F.normalize((h * mask).sum(1) / mask.sum(1), dim=1)


def compute_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device multiplies in it in hardware, else float32 (emulated bfloat16 is slower, not faster)."""
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device == "cpu" and torch.cpu._is_avx512_bf16_supported() else torch.float32


def autocast(device: torch.device | str) -> torch.autocast:
    """A context in which float32 weights multiply in bfloat16 where `compute_dtype` says so: half the time."""
    device = torch.device(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=compute_dtype(str(device)) == torch.bfloat16)


def embed_all(tokenizer, model, texts: Sequence[str], progress=iter) -> Tensor:
    """The embeddings (N, d) of texts, on the CPU; progress(batches): a bar around the loop."""
    # Texts of similar lengths in one batch, so that little is padded.
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    features = torch.empty(len(texts), model.config.hidden_size)
    for rows in progress(torch.tensor(order, dtype=torch.long).split(BATCH)):
        features[rows] = embed(tokenizer, model, [texts[row] for row in rows]).cpu()
    return features


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Turns transformers' progress bars and its list of unused weights off while a model loads."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def convert_once(name: str, title: str, convert: Callable[[Path], None]) -> Path:
    """The folder `name` of converted models in the cache folder; convert(empty folder) fills it where it is not there.

    It is filled beside its place and renamed when complete, so that an interrupted conversion is never loaded. title: what is
    converted and how long it takes, for the message.
    """
    folder = in_cache("models", name)
    if not folder.is_dir():
        with locked(folder, say("{name} is being converted by another process; waiting for it.", name=name)):
            if not folder.is_dir():  # asked again: another process may have converted it while this one waited
                work = folder.with_name(f".{folder.name}.work")
                shutil.rmtree(work, ignore_errors=True)
                print(say("Converting {title} ...", title=say(title)), flush=True)
                with quietly():
                    convert(work)
                for file in work.rglob("*"):
                    if file.is_file():
                        file.chmod(0o644)  # safetensors leaves its files to their owner alone, but others may share the cache
                os.replace(work, folder)
    return folder


def _converted() -> Path:
    """The folder of the converted SmolLM2; converts it when it is not there."""
    # Loading the 4-bit file takes 20 s, the converted model 1 s: it is worth keeping in the format that transformers saves.
    return convert_once(
        f"smollm2-bfloat16-{CONVERSION}", later("the language model, once for this machine (about 15 s)"), _convert_smollm2
    )


def _convert_smollm2(work: Path) -> None:
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = fetch("smollm2")
    [gguf] = source.glob("*.gguf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"gguf_file": gguf.name, "dtype": torch.bfloat16}
        if hasattr(transformers, "GgufConfig"):  # newer versions keep the weights quantised by default, and cannot save those
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
        AutoModelForCausalLM.from_pretrained(source, **options).save_pretrained(work)
        AutoTokenizer.from_pretrained(source, gguf_file=gguf.name).save_pretrained(work)
