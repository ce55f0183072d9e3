"""Start cells: initial weights that are taken from a file, and kept in the store from then on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import save as save_tensors

from lottery_ticket.errors import DataError
from lottery_ticket.experiment.cells.cell import WEIGHTS, Cell
from lottery_ticket.experiment.cells.making import Made, Parents, Workspace
from lottery_ticket.experiment.objects.start import read_start, start_digest

__all__ = ["StartCell", "make_start"]


@dataclass(frozen=True, kw_only=True)
class StartCell(Cell):
    """Weights from a file.

    Args:
        digest: what they are.
        path: where they lie; no part of the name.
    """

    kind: ClassVar[str] = "start"

    digest: str
    path: Path

    def own_inputs(self) -> dict[str, Any]:
        return {"digest": self.digest}

    @property
    def title(self) -> str:
        return f"initial weights of {self.path}"


def make_start(cell: StartCell, parents: Parents, workspace: Workspace) -> Made:
    """The weights, if they are still those that the run was planned with."""
    tensors = read_start(cell.path)
    if start_digest(tensors) != cell.digest:
        raise DataError(
            f"{cell.path}: the weights have changed since the run was planned; run it again"
        )
    return Made({WEIGHTS: save_tensors(tensors)}, {"num_tensors": len(tensors)})
