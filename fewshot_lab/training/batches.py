"""Batches from tensors that stay on the device when they fit; the order is the same on every device."""

import torch
from torch import Tensor


class Batches:
    """Endless batches of exactly `batch_size` rows (all rows when there are fewer), from one shuffled pass after another.

    A pass whose last rows do not fill a batch goes on into the next one. A DataLoader would hand out the short batch: of one
    image, say, for which a batch norm has no variance.

    Args:
        images: (N, ...), of any type.
        labels: (N, ...).
        batch_size: rows of a batch, over all processes together.
        seed: of the order.
        device: where the batches are wanted.
        rank: which of the processes this is; it gets rows rank, rank + world_size, ... of each batch.
        world_size: how many processes there are.

    Raises ValueError when there is not one label per image and when the processes outnumber the rows of a batch.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        images, labels = torch.as_tensor(images), torch.as_tensor(labels)
        self.rows = min(batch_size, len(images))
        if len(images) != len(labels):
            raise ValueError(f"There are {len(images)} images but {len(labels)} labels; give one label per image.")
        if self.rows < world_size or self.rows < 1:
            raise ValueError(f"A batch of {self.rows} rows cannot be shared by {world_size} process(es); use more rows.")
        self.device = torch.device(device)
        # The data sets of the course are small: once they lie on the GPU, no step waits for a copy.
        self.resident = fits(images.nbytes + labels.nbytes, self.device)
        stored_on = self.device if self.resident else torch.device("cpu")
        self.images, self.labels = images.to(stored_on), labels.to(stored_on)
        self.rank, self.world_size = rank, world_size
        # What this process's share counts for in the mean over processes: 1, or a little off where shares are unequal.
        self.weight = len(range(rank, self.rows, world_size)) * world_size / self.rows
        # A generator on the CPU, whatever the device is: CUDA's would give another order for the same seed.
        self._generator = torch.Generator().manual_seed(seed)
        self._shuffle()

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch on the device: images (rows, ...) and labels (rows, ...), this process's share of them."""
        end = self._position + self.rows
        if end <= len(self._order):
            rows = self._order[self._position : end]
        else:
            rest = self._order[self._position :]
            self._shuffle()
            end -= len(self._order)
            rows = torch.cat([rest, self._order[:end]])
        self._position = end
        if self.world_size > 1:
            rows = rows[self.rank :: self.world_size]
        images, labels = self.images.index_select(0, rows), self.labels.index_select(0, rows)
        if not self.resident:
            # From pinned memory the copy runs beside the computation instead of before it.
            images = images.pin_memory().to(self.device, non_blocking=True)
            labels = labels.pin_memory().to(self.device, non_blocking=True)
        return images, labels

    def state_dict(self) -> dict:
        """What `load_state_dict` needs to go on from here with the same batches."""
        # The generator as it was before the pass was shuffled: its few bytes give the whole order again.
        return {"pass": self._before_pass, "position": self._position}

    def load_state_dict(self, state: dict) -> None:
        """Goes back to where the state was taken."""
        self._generator.set_state(state["pass"])
        self._shuffle()
        self._position = state["position"]

    def _shuffle(self) -> None:
        self._before_pass = self._generator.get_state()
        order = torch.randperm(len(self.images), generator=self._generator)
        self._order = order.to(self.images.device)
        self._position = 0


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes take less than half of the free memory of a GPU; always true elsewhere, where nothing is copied."""
    return device.type != "cuda" or size < torch.cuda.mem_get_info(device)[0] / 2
