"""Fashion: Fashion-MNIST, 70,000 pictures of clothing, 28 x 28 (Xiao, Rasul & Vollgraf 2017), and as an image folder."""

from pathlib import Path

import torch

from ..assets import fetch
from ..files import writing_failed
from .images import ImageTask

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
VALIDATION = 10_000


def task() -> ImageTask:
    """50,000 training, 10,000 validation and 10,000 test images, uint8 (N, 1, 28, 28); fetches the asset "fashion".

    The validation images are the last ones of the publishers' training part; the test part is the publishers'.
    """
    from torchvision.datasets import FashionMNIST

    root = fetch("fashion")
    train, test = (FashionMNIST(str(root), train=part, download=False) for part in (True, False))
    images, labels = train.data[:, None], train.targets
    rest = len(labels) - VALIDATION
    return ImageTask(
        "fashion", CLASSES, images[:rest], labels[:rest], images[rest:], labels[rest:], test.data[:, None], test.targets
    )


def write_image_folder(root: Path, task: ImageTask, *, train_per_class: int, test_per_class: int, seed: int = 0) -> Path:
    """Writes a task as PNG files in ImageNet's layout: root/train/CLASS/00001.png and root/val/CLASS/00001.png.

    Returns root. Raises CourseError when the folder cannot be written.

    Args:
        root: the folder, which need not exist.
        task: grey images.
        train_per_class: images drawn from the training part of each class.
        test_per_class: images drawn from the test part of each class.
        seed: of the draws.
    """
    from PIL import Image

    generator = torch.Generator().manual_seed(seed)
    parts = (
        ("train", task.train_images, task.train_labels, train_per_class),
        ("val", task.test_images, task.test_labels, test_per_class),
    )
    try:
        for part, images, labels, count in parts:
            for label, name in enumerate(task.classes):
                folder = Path(root) / part / name
                folder.mkdir(parents=True, exist_ok=True)
                rows = (labels == label).nonzero().squeeze(1)
                for number, row in enumerate(rows[torch.randperm(len(rows), generator=generator)][:count]):
                    # RGB, because folders of photographs are: what reads them expects three channels.
                    Image.fromarray(images[row, 0].numpy()).convert("RGB").save(folder / f"{number:05d}.png")
    except OSError as error:
        raise writing_failed(Path(root), error) from error
    return Path(root)
