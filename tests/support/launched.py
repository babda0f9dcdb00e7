"""What tests/training/test_processes.py launches: every method that trains, for a few steps.

Alone, in several processes, or on a GPU.

Usage: launched.py OUT [name ...]. Writes {name: result} of the cases named, all by default. A case of EXACT trains networks
without batch norm on batches without random changes, so that it must end with the weights of one process; a case of CLOSE
trains as the chapters do and returns numbers that must be near those of one process. A case of REFUSED asks several processes
for what they cannot share and returns the error's message. All work on the device that the environment names, which is
pretended where there is none.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
from accelerate.utils import broadcast_object_list
from pretended import is_here, pretend
from torch import Tensor, nn

from fewshot_lab import data, runtime, training
from fewshot_lab.data import glosses
from fewshot_lab.data.episodes import draw_episodes, glyph_pool
from fewshot_lab.errors import CourseError
from fewshot_lab.methods import (
    adversarial,
    alternating_flip,
    contrastive,
    distillation,
    few_shot,
    fine_tuning,
    fixmatch,
    flow_matching,
    from_print,
    generated_instances,
    generation,
    label_preservation,
    linear_probe,
    maml,
    mean_teacher,
    prompts,
    prototypes,
    siamese,
    soft_prompts,
    supervised,
    tagging,
    text_augmentation,
    variational,
)
from fewshot_lab.models import conv_net, encoder_net, language
from fewshot_lab.models.kv_cache import token_embeddings, token_ids
from fewshot_lab.training import processes

DEVICE = os.environ.get("FEWSHOT_LAB_DEVICE", "cpu")
WORDS = ["animal", "plant", "food", "person", "artifact"]
networks: list[nn.Module] = []  # that the methods have made, the last one last


def plain_net(classes: int = 64, *, size: int = 28, channels: int = 1, width: int = 16) -> nn.Module:
    """Instead of a convolutional net: it has no batch norm, so a share of a batch is treated as the whole is."""
    networks.append(nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, 24), nn.ReLU(), nn.Linear(24, classes)))
    return networks[-1]


def plain_generator(*arguments, **options) -> nn.Module:
    networks.append(GENERATOR(*arguments, **options))
    networks[-1].layers[1] = networks[-1].layers[4] = nn.Identity()
    return networks[-1]


def plain_text_net(*arguments) -> nn.Module:
    networks.append(TEXT_NET(*arguments))
    networks[-1].dropout = nn.Identity()
    return networks[-1]


def in_order(images: Tensor, generator) -> Tensor:
    return images.float() / 255


def off_the_image(images: Tensor, epsilon: float) -> Tensor:
    """A start of attacks without chance, and not at the image itself, where TRADES has no gradient but rounding."""
    return (images + epsilon / 2).clamp(0, 1)


GENERATOR, TEXT_NET = generation.Generator, text_augmentation.TextNet
PLAIN = [
    mock.patch("fewshot_lab.models.networks.conv_net", plain_net),  # which `conv_net_for` calls
    mock.patch.object(contrastive, "conv_net", plain_net),
    mock.patch.object(prototypes, "encoder_net", plain_net),
    *(mock.patch.object(page, "mixed_jitter", in_order) for page in (prototypes, maml)),
    mock.patch.object(adversarial, "random_start", off_the_image),
    mock.patch.object(generation, "Generator", plain_generator),
    mock.patch.object(text_augmentation, "TextNet", plain_text_net),
]


def weights(*networks: nn.Module) -> Tensor:
    return torch.cat([weight.detach().cpu().flatten() for network in networks for weight in network.parameters()])


def weights_after(call: Callable[[], object]) -> Tensor:
    """The weights of the network that a call made last."""
    call()
    return weights(networks[-1])


def student(answers: str, **options) -> Tensor:
    torch.manual_seed(0)
    teacher = conv_net(10, size=8, width=8).eval()
    cached = teacher if answers == "online" else distillation.cached_logits(teacher, "digits")
    options = {"shots": 3, "seed": 0, "images": "all", "steps": 15, "device": DEVICE} | options
    options |= {} if answers == "online" else {"answers": answers}
    return weights_after(lambda: distillation.fit_student("digits", teacher=cached, **options))


def robust(method: str) -> Tensor:
    options = {"seed": 0, "passes": 24, "inner_steps": 2, "test_epsilon": None, "device": DEVICE}
    return weights_after(lambda: adversarial.fit_robust("digits", method=method, **options))


def episodes_together() -> Tensor:
    """Two episodes a step, which two processes have one each of."""
    pool = glyph_pool("train", jitter="none")
    drawn = draw_episodes(pool, 12, way=10, shots=1, queries=1, seed=0)
    torch.manual_seed(0)
    encoder = plain_net()

    def draw(rows, labels, generator):
        return in_order(pool.images[rows.flatten().cpu()].to(rows.device), generator), labels

    loss = prototypes.episode_loss(prototypes.prototype_rule, 10, 1)
    labels = drawn.query_labels.expand(12, -1)
    training.train(encoder, drawn.rows, labels, steps=6, batch_size=2, augment=draw, loss=loss, device=DEVICE)
    return weights(encoder)[:-64]  # distances do not feel the last bias: its gradient is rounding


def meta_learner(first_order: bool) -> Tensor:
    torch.manual_seed(0)
    learner, _ = maml.fit_maml(encoder_net(), steps=3, tasks=4, seed=0, first_order=first_order, device=DEVICE)
    return weights(learner)


def uneven() -> Tensor:
    """Batches of 33 images, of which two processes have 17 and 16."""
    task = data.load("digits")
    torch.manual_seed(0)
    net = plain_net(10, size=8)
    history = training.train(net, task.train_images, task.train_labels, steps=15, batch_size=33, device=DEVICE)
    return torch.cat([torch.tensor(history.losses), weights(net)])


def resumed() -> Tensor:
    """A training that breaks off in its twelfth step and goes on from the checkpoint of the tenth."""
    task = data.load("digits")
    calls = []

    def breaks_off(images, labels, generator):
        calls.append(0)
        if len(calls) == 12:
            raise ZeroDivisionError
        return images, labels

    with tempfile.TemporaryDirectory() as folder:
        shared = [folder]  # the first process writes the checkpoint, so all go by its folder
        if runtime.world_size() > 1:
            broadcast_object_list(shared)
        options = {"steps": 15, "batch_size": 33, "augment": breaks_off, "device": DEVICE}
        options |= {"checkpoint": Path(shared[0]) / "run.pt", "checkpoint_every": 5}
        for _ in range(2):
            torch.manual_seed(0)
            net = plain_net(10, size=8)
            with contextlib.suppress(ZeroDivisionError):
                history = training.train(net, task.train_images, task.train_labels, **options)
    assert len(calls) == 12 + 5
    return torch.cat([torch.tensor(history.losses), weights(net)])


def game() -> Tensor:
    gan = generation.fit_gan("digits", seed=0, steps=12, device=DEVICE)
    losses = torch.tensor([gan["history"].discriminator, gan["history"].generator])
    return torch.cat([losses.flatten(), weights(gan["generator"], gan["discriminator"])])


def from_scratch() -> Tensor:
    texts, labels = glosses.task().draw(10, 0)
    options = {"texts": texts, "labels": labels.tolist(), "seed": 0, "steps": 10, "per_class": 5}
    return weights_after(lambda: text_augmentation.fit_from_scratch("five", **options))


def instances() -> Tensor:
    generated = data.load("digits").train_images[:10].unflatten(0, (10, 1))
    options = {"shots": 2, "seed": 0, "generated": generated, "share": 1.0, "steps": 10, "device": DEVICE}
    return weights_after(lambda: generated_instances.fit_classifier("digits", **options))


def language_model():
    tokenizer, model = language.smollm2(DEVICE)
    return tokenizer, model.float().requires_grad_(False)


def soft_prompt(texts_a_class: int = 2) -> Tensor:
    lm = language_model()
    texts, labels = glosses.task().draw(texts_a_class, 0)
    before, joint, _ = prompts.split_template("Definition: {x}\nType:")
    prefix, ids = prompts.encode_texts(*lm, texts, before, joint), prompts.label_tokens(lm[0], WORDS)
    start = token_embeddings(lm[1], token_ids(*lm, "\nType:"))
    draws = torch.zeros(len(texts), dtype=torch.long)
    P, losses = soft_prompts.tune_prompts(lm[1], prefix, draws, labels, ids, start, steps=2)
    return torch.cat([losses.flatten(), P.cpu().flatten()])


def upper_layers(count: int = 9) -> Tensor:
    lm = language_model()
    texts, labels = glosses.task().draw(2, 0)
    batches = fine_tuning.lower_layers(*lm, [f"Definition: {text}\nType:" for text in texts[:count]], 1)
    head = lm[1].get_output_embeddings().weight[prompts.label_tokens(lm[0], WORDS)]
    network = fine_tuning.UpperLayers(lm[1], 1, head)
    # In float32: bfloat16 rounds by the shapes of the batches, and each process has its own.
    with mock.patch.object(fine_tuning, "autocast", lambda device: contextlib.nullcontext()):
        losses = fine_tuning.fine_tune(network, batches, labels[:count], steps=2)
        return torch.cat([torch.tensor(losses), fine_tuning.predict_logits(network, batches).flatten()])


def probe_head() -> Tensor:
    """A head that is fitted whole, not in steps: every process fits the same."""
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(40, 8, generator=generator), torch.arange(40) % 4
    return prompts.fit_head(features, labels, 4, unlabelled=features)(features).detach()


def swept(seed: int) -> dict:
    return {"weights": weights(supervised.fit_classifier("digits", seed=seed, steps=5, device=DEVICE))}


EXACT: dict[str, Callable[[], Tensor]] = {
    "few-shot": lambda: weights_after(lambda: supervised.fit_few_shot("digits", shots=5, seed=0, steps=15, device=DEVICE)),
    "alternating flips": lambda: weights_after(
        lambda: alternating_flip.fit_with_flips("digits", shots=5, epochs=15, seed=0, kind="alternating", device=DEVICE)
    ),
    "classifier": lambda: weights_after(lambda: supervised.fit_classifier("digits", steps=15, device=DEVICE)),
    # Without a turn: each process would draw its own.
    "reader": lambda: weights_after(
        lambda: label_preservation.fit_reader("digits", degrees=0, seed=0, steps=15, device=DEVICE)
    ),
    "uneven shares": uneven,
    "resumed": resumed,
    "rotations": lambda: weights_after(
        lambda: contrastive.rotation_prediction(data.load("digits").train_images, steps=8, device=DEVICE)
    ),
    "SimCLR": lambda: weights_after(
        lambda: contrastive.simclr(data.load("digits").train_images, (), batch_size=32, steps=8, device=DEVICE)
    ),
    "training on": lambda: weights_after(lambda: linear_probe.fit_from("digits", shots=5, seed=0, steps=10, device=DEVICE)),
    "encoder by classes": lambda: weights_after(lambda: prototypes.fit_by_classes(steps=5, seed=0, device=DEVICE)),
    "encoder by episodes": episodes_together,
    "MAML": lambda: meta_learner(first_order=False),
    "first-order MAML": lambda: meta_learner(first_order=True),
    "distillation": lambda: student("soft"),
    "pseudo-labels": lambda: student("hard"),
    "distillation, teacher online": lambda: student("online"),
    "mean teacher": lambda: weights(
        mean_teacher.fit_mean_teacher("digits", shots=3, seed=0, decay=0.9, weight=10.0, steps=15, device=DEVICE)["student"]
    ),
    "adversarial": lambda: robust("adversarial"),
    "TRADES": lambda: robust("trades"),
    "free adversarial": lambda: robust("free"),
    "GAN": game,
    "generated instances": instances,
    "text net": from_scratch,
    "soft prompt": soft_prompt,
    "upper layers": upper_layers,
    "head": probe_head,
    "sweep": lambda: torch.stack([row["weights"] for row in training.sweep(swept, [{"seed": 0}, {"seed": 1}])]),
}


def episodic() -> dict[str, float]:
    weights = few_shot.fit("prototypes", steps=25, seed=0, way=20, device=DEVICE)["weights"]
    pool = glyph_pool("test", jitter="mild")
    drawn = draw_episodes(pool, 200, way=5, shots=1, queries=5, seed=0)
    features = prototypes.embed(few_shot.encoder_of(weights), pool)
    return {"accuracy": prototypes.episode_accuracies(features, drawn).mean().item()}


def contrasted() -> dict[str, float]:
    views = (("affine", 0.5),)
    f, history = contrastive.simclr(data.load("digits").train_images, views, batch_size=64, steps=40, device=DEVICE)
    return {"loss": sum(history.losses[-10:]) / 10}


def agreed() -> dict[str, float]:
    pool = contrastive.unlabelled("digits")
    _, history = siamese.simsiam(pool, [("affine", 0.25)], steps=60, device=DEVICE)
    return {"loss": sum(history.losses[-10:]) / 10}


def matched() -> dict[str, float]:
    views = {"views": [("affine", 0.25)], "weak": [("affine", 0.1)], "strong": [("affine", 0.5)]}
    return {"accuracy": fixmatch.fit("digits", shots=5, seed=0, steps=60, device=DEVICE, **views)["test_accuracy"]}


def played() -> dict[str, float]:
    history = generation.fit_gan("digits", seed=0, steps=150, device=DEVICE)["history"]
    return {"discriminator": sum(history.discriminator[-50:]) / 50, "generator": sum(history.generator[-50:]) / 50}


def encoded() -> dict[str, float]:
    losses = variational.fit_vae("digits", seed=0, steps=150, device=DEVICE)["history"].losses
    return {"loss a pixel": sum(losses[-20:]) / 20 / 64}


def flowed() -> dict[str, float]:
    losses = flow_matching.fit_flow("digits", seed=0, steps=150, device=DEVICE)["history"].losses
    return {"loss": sum(losses[-50:]) / 50}


def tagged() -> dict[str, float]:
    tagger = tagging.fit_tagger(count=40, seed=0, steps=25, batch_size=8, layers=2, test_count=60, device=DEVICE)
    return {"accuracy": tagger["token_accuracy"]}


def from_type() -> dict[str, float]:
    row = from_print.fit(steps=25, seed=0, way=20, pools=("digits",), device=DEVICE)
    scored = from_print.score(from_print.digits_pool(), row["features"]["digits"], shots=1, seed=0, episodes=200)
    return {"accuracy": scored["test_accuracy"]}


CLOSE: dict[str, Callable[[], dict[str, float]]] = {
    "few-shot with augmentation": lambda: {
        "accuracy": supervised.fit_few_shot("digits", shots=20, seed=0, policy="affine", strength=0.3, steps=80, device=DEVICE)[
            "test_accuracy"
        ]
    },
    "robust network": lambda: {
        "accuracy": adversarial.fit_robust("digits", seed=0, method="trades", passes=180, test_epsilon=None, device=DEVICE)[
            "test_accuracy"
        ]
    },
    "SimCLR with views": contrasted,
    "SimSiam": agreed,
    "FixMatch": matched,
    "prototypes": episodic,
    "type alone": from_type,
    "GAN with batch norm": played,
    "VAE": encoded,
    "flow": flowed,
    "tagger": tagged,
}


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except CourseError as error:
        return str(error)
    return ""


REFUSED: dict[str, Callable[[], str]] = {
    "SimCLR, odd batch": lambda: refusal(lambda: contrastive.simclr(data.load("digits").train_images, (), batch_size=33)),
    "soft prompt, one text": lambda: refusal(lambda: soft_one_text()),
    "upper layers, one text": lambda: refusal(lambda: upper_layers(count=1)),
}


def soft_one_text() -> Tensor:
    draws = torch.arange(5)
    return soft_prompts.tune_prompts(None, None, draws, draws, draws, torch.zeros(1, 4), steps=1)


def differs(values: Tensor) -> float:
    """How far this process's numbers are from the mean over all of them."""
    mean = values.clone()
    processes.all_reduce_mean([mean])
    return (values - mean).abs().max().item()


def main(out: str, names: list[str]) -> None:
    torch.set_num_threads(1)
    report: dict[str, object] = {"processes": runtime.world_size()}
    several = runtime.world_size() > 1
    for name in names or [*EXACT, *CLOSE, *(REFUSED if several else ())]:
        if name in EXACT:
            with torch.random.fork_rng([]):
                for patch in PLAIN:
                    patch.start()
                values = EXACT[name]()
                mock.patch.stopall()
            report[name] = {"weights": values.flatten()[:: 1 + values.numel() // 400].tolist(), "differs": differs(values)}
        else:
            report[name] = CLOSE[name]() if name in CLOSE else REFUSED[name]()
    if processes.rank_and_world_size(DEVICE)[0] == 0:
        Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    with contextlib.nullcontext() if is_here(DEVICE) else pretend(DEVICE):
        main(sys.argv[1], sys.argv[2:])
