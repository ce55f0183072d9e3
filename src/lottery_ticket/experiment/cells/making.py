"""What makes cells: a maker for each kind, what it reads, where it works, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors.torch import load as load_tensors

from lottery_ticket.errors import DamagedError, LotteryError
from lottery_ticket.experiment.cells.cell import MASK, WEIGHTS, Cell
from lottery_ticket.masks import PruningMask
from lottery_ticket.store import Desk

__all__ = [
    "Kind",
    "Made",
    "Pace",
    "Parents",
    "Reader",
    "Stopped",
    "Workspace",
    "mask_of",
    "tensors_of",
]

C = TypeVar("C", bound=Cell)

Reader = Callable[[str, str], bytes]
"""(cell, file) → bytes; raises `StoreError` if there is none."""


class Stopped(Exception):  # noqa: N818  # not an error: the work is checkpointed
    """A cell was checkpointed and given back because someone asked to stop."""


@dataclass(frozen=True)
class Made:
    """What making a cell gave.

    Args:
        files: name → bytes.
        results: what was measured; plain JSON values. Equal inputs give equal files and results.
        execution: how it was made, which may differ from time to time.
    """

    files: dict[str, bytes]
    results: dict[str, Any]
    execution: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parents:
    """The files of the cells that one is made from; where these lie only the reader knows.

    Args:
        names: role → name of the cell.
        reader: (cell, file) → bytes.
    """

    names: Mapping[str, str]
    reader: Reader

    def __contains__(self, role: str) -> bool:
        return role in self.names

    def mask(self, role: str = "mask") -> PruningMask | None:
        """The mask of a parent; None without one."""
        return mask_of(self.reader, self.names[role]) if role in self else None

    def tensors(self, role: str, file: str = WEIGHTS) -> dict[str, torch.Tensor]:
        """The tensors in a file of a parent; raises `StoreError` as `tensors_of`."""
        return tensors_of(self.reader, self.names[role], file)


def mask_of(reader: Reader, name: str) -> PruningMask:
    """The mask of a finished cell."""
    return PruningMask.from_bytes(reader(name, MASK), f"cell {name}")


def tensors_of(reader: Reader, name: str, file: str = WEIGHTS) -> dict[str, torch.Tensor]:
    """The tensors in a file of a finished cell.

    Raises:
        StoreError: the cell is gone, or what is sealed there are no tensors.
    """
    data = reader(name, file)
    try:
        return load_tensors(data)
    except Exception as error:  # safetensors has many ways to say so
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DamagedError(
            f"cell {name}: damaged: its {file} holds no tensors ({reason})"
        ) from error


@dataclass(frozen=True)
class Pace:
    """How often one looks after a training.

    Args:
        look_seconds: from one look to the next, which shows progress and heeds a stop sign.
        checkpoint_seconds: from one checkpoint to the next, at least.
        checkpoint_share: of the time, at most, that checkpoints take.
    """

    look_seconds: float = 0.5
    checkpoint_seconds: float = 15.0
    checkpoint_share: float = 0.02


@dataclass(frozen=True)
class Workspace:
    """Where and how a cell is made; none of it decides its bytes but by the rules of `kernels`.

    Args:
        desk: for what is written on the way: checkpoints, progress.
        data_dir: where data files are looked for; None for the defaults.
        device: `"cpu"`, `"cuda:1"`, …
        kernels: how steps are executed; see `lottery_ticket.train.KERNELS`.
        must_stop: whether to checkpoint now, and to raise `Stopped`.
        note: is told what there is to say.
        pace: how often progress is shown, and what there is checkpointed.
    """

    desk: Desk
    data_dir: Path | None = None
    device: str = "cpu"
    kernels: str = "auto"
    must_stop: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = lambda message: None
    pace: Pace = Pace()  # frozen


@dataclass(frozen=True)
class Kind(Generic[C]):
    """How cells of a kind are made.

    Args:
        cell: their record.
        make: (cell, parents, workspace) → what it is; a `LotteryError` if it failed.
        make_together: the same of several of one `batch_key`, if there are such: for each what it
            is, or why it failed. A `RuntimeError` of torch's vmap: they cannot be batched.
    """

    cell: type[C]
    make: Callable[[C, Parents, Workspace], Made]
    make_together: (
        Callable[[Sequence[C], Sequence[Parents], Sequence[Workspace]], list[Made | LotteryError]]
        | None
    ) = None
