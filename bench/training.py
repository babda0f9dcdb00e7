"""Rows of the training loop against plain PyTorch, Lightning and the transformers Trainer, and of sweeps.

All train the same network on the same 2,000 images, one thread, as many steps, without bars, logs and checkpoints. Lightning
and the Trainer get their batches from torch's DataLoader, as their users do; each side's time is that of its training call.
"""

import warnings
from collections.abc import Callable
from importlib.metadata import version

import gpu
import torch
from measure import one_thread, row, seconds
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from fewshot_lab.models import conv_net
from fewshot_lab.training import combinations, sweep, train

STEPS, BATCH, CLASSES, RATE = 150, 32, 16, 1e-3


def images_and_labels() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2000, 1, 28, 28), dtype=torch.uint8, generator=generator)
    return images, torch.randint(CLASSES, (2000,), generator=generator)


def against(peer_name: str, peer: Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], float], **how_long: float) -> dict:
    """Steps a second of our loop against the peer's; peer(model, images, labels) returns the seconds of its training call."""
    images, labels = images_and_labels()

    def ours() -> float:
        model = conv_net(CLASSES, size=28)
        options = {"steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "optimizer": torch.optim.AdamW, "device": "cpu"}
        return STEPS / seconds(lambda: train(model, images, labels, **options))

    name = f"training loop, 28x28 conv net, batch {BATCH}, one thread"

    def theirs() -> float:
        return STEPS / peer(conv_net(CLASSES, size=28).train(), images, labels)

    measured = one_thread(lambda: row(name, peer_name, "steps/s", ours, theirs, **how_long))
    return measured | {"gpu": gpu.loop_on_gpu(images, labels, STEPS, BATCH)}


def plain(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def steps() -> None:
        done = 0
        while done < STEPS:
            for rows in torch.randperm(len(images)).split(BATCH)[: STEPS - done]:
                loss = cross_entropy(model(images[rows].float() / 255), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1

    return seconds(steps)


def lightning(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    import logging

    import pytorch_lightning as pl

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch, number):
            x, y = batch
            return cross_entropy(self.model(x.float() / 255), y)

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=RATE, fused=True)

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    quiet = {"enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False, "logger": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(max_steps=STEPS, accelerator="cpu", devices=1, **quiet)
        loader = DataLoader(TensorDataset(images, labels), BATCH, shuffle=True)
        module = Module()
        return seconds(lambda: trainer.fit(module, loader))


def transformers_trainer(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    import tempfile

    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    class WithLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x, labels):
            logits = self.model(x.float() / 255)
            return {"loss": cross_entropy(logits, labels), "logits": logits}

    class Rows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
            return {"x": images[number], "labels": labels[number]}

    with tempfile.TemporaryDirectory() as folder:
        quiet = {"report_to": "none", "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
        work = {"max_steps": STEPS, "per_device_train_batch_size": BATCH, "learning_rate": RATE, "max_grad_norm": 0.0}
        arguments = TrainingArguments(folder, optim="adamw_torch_fused", use_cpu=True, **work, **quiet)
        trainer = Trainer(WithLoss(), arguments, train_dataset=Rows())
        trainer.remove_callback(PrinterCallback)
        return seconds(trainer.train)


def small_training(seed: int) -> dict:
    images, labels = images_and_labels()
    return {"loss": train(conv_net(CLASSES, size=28), images, labels, steps=100, seed=seed, device="cpu").losses[-1]}


def sweeps() -> dict:
    """Eight trainings of 100 steps, two at once against one after the other, one thread each; the workers are warm."""
    grid = combinations(seed=range(8))
    timed = {jobs: lambda jobs=jobs: seconds(lambda: sweep(small_training, grid, jobs=jobs)) for jobs in (1, 2)}
    return row("sweep of eight trainings, two at once", "the same one by one", "s", timed[2], timed[1])


ROWS = {
    "training loop plain": lambda: against(f"plain PyTorch {torch.__version__}", plain, lasting=30),  # some percent apart
    "training loop Lightning": lambda: against(f"pytorch-lightning {version('pytorch-lightning')}", lightning),
    "training loop Trainer": lambda: against(f"transformers {version('transformers')} Trainer", transformers_trainer),
    "sweep": sweeps,
}
