"""The kinds of cells: a row for each."""

from typing import Any

from lottery_ticket.experiment.cells.making import Kind
from lottery_ticket.experiment.cells.mask import MaskCell, make_mask
from lottery_ticket.experiment.cells.path import PathCell, make_path
from lottery_ticket.experiment.cells.probe import ProbeCell, make_probe
from lottery_ticket.experiment.cells.start import StartCell, make_start
from lottery_ticket.experiment.cells.train import TrainCell
from lottery_ticket.experiment.cells.training import make_together, make_training

__all__ = ["KINDS"]

KINDS: dict[str, Kind[Any]] = {
    TrainCell.kind: Kind(TrainCell, make_training, make_together),
    MaskCell.kind: Kind(MaskCell, make_mask),
    PathCell.kind: Kind(PathCell, make_path),
    ProbeCell.kind: Kind(ProbeCell, make_probe),
    StartCell.kind: Kind(StartCell, make_start),
}
