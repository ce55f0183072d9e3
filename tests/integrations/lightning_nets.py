"""Nets, data and Trainers that the tests of Lightning share, also with the processes they start."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from lottery_ticket.data import DataSet, load_dataset
from lottery_ticket.models import build

# tips, and which devices there are
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Net(L.LightningModule):
    """A net in a LightningModule, as a user writes one."""

    def __init__(
        self,
        net: nn.Module | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
        options: dict[str, Any] | None = None,
        interval: str = "step",
    ) -> None:
        super().__init__()
        self.net = small() if net is None else net
        self.make = optimizer
        self.options = {"lr": 0.1, "momentum": 0.9} if options is None else options
        self.interval = interval

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_acc", (self(x).argmax(1) == y).float().mean())

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        optimizer = self.make(self.parameters(), **self.options)
        every = 7 if self.interval == "step" else 1
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, every, 0.9)
        return [optimizer], [{"scheduler": schedule, "interval": self.interval}]


def small() -> nn.Module:
    """For 8×8 digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 50), nn.ReLU(), nn.Linear(50, 10))


def small_conv() -> nn.Module:
    """For 28×28 images, with a batch norm."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 10),
    )


def seeded_net(seed: int = 0, **options: Any) -> Net:
    """The net of a seed."""
    torch.manual_seed(seed)
    return Net(**options)


def lenet(**options: Any) -> Net:
    """LeNet-300-100."""
    return Net(build("LeNet300", 0), **options)


def digits() -> DataSet:
    """1,797 handwritten digits."""
    return load_dataset("digits")


def loader(data: Any, batch_size: int = 64, limit: int | None = None, **how: Any) -> DataLoader:
    """Batches of a split."""
    return DataLoader(TensorDataset(data.x[:limit], data.y[:limit]), batch_size, **how)


class EpochOrder(Sampler[int]):
    """Another order in each epoch, which follows from the epoch's number alone."""

    def __init__(self, size: int) -> None:
        self.size, self.epoch = size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        draws = torch.Generator().manual_seed(self.epoch)
        return iter(torch.randperm(self.size, generator=draws).tolist())

    def __len__(self) -> int:
        return self.size


def ordered(data: Any, batch_size: int = 64, limit: int | None = None) -> DataLoader:
    """Batches in an order that follows from the epoch."""
    size = len(data.x[:limit])
    return loader(data, batch_size, limit, sampler=EpochOrder(size))


def trainer(callbacks: Sequence[Any] = (), **options: Any) -> L.Trainer:
    """A Trainer that writes nothing."""
    quiet = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": any(isinstance(each, ModelCheckpoint) for each in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return L.Trainer(callbacks=list(callbacks), **{**quiet, **options})
