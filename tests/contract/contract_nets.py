"""The nets that every contract is held against: each has something that the others have not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.criteria import CRITERIA, Criterion
from lottery_ticket.models import LeNet5, ResNet20

__all__ = ["BUILT_IN", "NETS", "SCOPES", "Case", "Net", "brief", "built", "rows", "train_steps"]

BUILT_IN = [name for name in CRITERIA if not CRITERIA.entry(name).is_user]
SCOPES = ("global", "layerwise", "erk")


class RowsInOrder(nn.Module):
    """A two-way LSTM of two layers over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0].mean(1))


class RowsAsTokens(nn.Module):
    """A transformer layer over the rows of an image; its projections are one packed parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.place = nn.Parameter(0.1 * torch.randn(8, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.embed(x) + self.place).mean(1))


def bias_free_mlp() -> nn.Module:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, 24, bias=False), nn.ReLU()),
        *(nn.Linear(24, 16, bias=False), nn.ReLU(), nn.Linear(16, 10, bias=False)),
    )


@dataclass(frozen=True)
class Net:
    """A model, and what is special about it.

    Args:
        build: makes it.
        images: what it looks at.
        odd_layers: those whose inputs are no multiple of four.
        flow_shape: what SynFlow may send through it, if that is quicker than an image.
    """

    build: Callable[[], nn.Module]
    images: str
    odd_layers: tuple[str, ...] = ()
    flow_shape: tuple[int, ...] | None = None


NETS = {
    "MLP": Net(bias_free_mlp, "8x8"),
    "LSTM": Net(RowsInOrder, "8x8"),
    "attention": Net(RowsAsTokens, "8x8"),
    "LeNet5": Net(LeNet5, "28x28", odd_layers=("conv1", "conv2")),
    "ResNet20": Net(ResNet20, "3x32x32", odd_layers=("conv1",), flow_shape=(3, 8, 8)),
}


def built(net: str) -> nn.Module:
    """The net with the same initial weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NETS[net].build()


@dataclass(frozen=True)
class Case:
    """A net that was trained a little, and all that a criterion could ask for.

    Args:
        net: its name.
        model: with the trained weights.
        initial: its state before.
        batches: real images and their classes.
    """

    net: str
    model: nn.Module
    initial: dict[str, torch.Tensor]
    batches: list[tuple[torch.Tensor, torch.Tensor]]

    @property
    def given(self) -> dict[str, Any]:
        """The keyword arguments of `score` and `prune`."""
        shape = NETS[self.net].flow_shape or tuple(self.batches[0][0].shape[1:])
        return {"initial": self.initial, "batches": self.batches, "input_shape": shape}


def train_steps(
    model: nn.Module,
    batches: Sequence[tuple[torch.Tensor, torch.Tensor]],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """One optimiser step per batch."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def brief(criterion: str) -> Criterion:
    """The criterion in four rounds if it has more: the next are as those before."""
    entry = CRITERIA[criterion]
    return replace(entry, rounds=min(entry.rounds, 4))


def takes_long(net: str, criterion: str) -> bool:
    """Whether a score does: SynFlow's rounds, or ResNet-20 run at all."""
    entry = CRITERIA[criterion]
    return entry.rounds > 1 or (net == "ResNet20" and "model" in entry.needs)


def is_second_name(criterion: str) -> bool:
    """Whether the criterion is filed under an earlier name too."""
    earlier = BUILT_IN[: BUILT_IN.index(criterion)]
    return any(CRITERIA[name] is CRITERIA[criterion] for name in earlier)


def rows(*, nets: Sequence[str] = tuple(NETS), has_long: bool = True) -> list[tuple[str, str, str]]:
    """(net, criterion, scope): all of them, but for what takes long.

    That comes in one scope, or only with the MLP. Second names come with the MLP alone.
    """
    return [
        (net, criterion, scope)
        for net in nets
        for criterion in BUILT_IN
        for scope in SCOPES
        if net == "MLP" or not is_second_name(criterion)
        if not takes_long(net, criterion) or ((has_long or net == "MLP") and scope == "global")
    ]
