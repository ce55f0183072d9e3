"""Path cells: the nets on the straight line between two trained ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from lottery_ticket.connectivity import (
    LinearPath,
    angle,
    distance,
    has_running_statistics,
    refit_statistics_,
    sign_flips,
)
from lottery_ticket.data import DataSet, Split, take
from lottery_ticket.experiment.cells.cell import MASK, WEIGHTS, Cell
from lottery_ticket.experiment.cells.making import Made, Parents, Stopped, Workspace
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.initial import Described, drawn_model
from lottery_ticket.experiment.objects.recipe import loss_of
from lottery_ticket.masks import PruningMask
from lottery_ticket.process import random_state_kept, seed_
from lottery_ticket.spec import TrainSpec
from lottery_ticket.train import EVALUATED_TOGETHER, Evaluation, called, evaluate

__all__ = ["INTERPOLATED", "REFITTED", "PathCell", "make_path"]

_NUMERICS = 1  # raised when the same nets give other values

_TOGETHER = 500  # examples, at most, of a batch that statistics are estimated on

INTERPOLATED, REFITTED = "interpolated", "refitted"
"""Of batch norms: as they lie between those of the ends; estimated anew for each net."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PathCell(Cell):
    """The line between two trainings of one model. Its parents: `weights` and `other_weights`, its
    ends; `mask` and `other_mask`, what these keep.

    Args:
        points: how many nets on it, its ends among them.
        num_train: training examples that each is evaluated on, and statistics are estimated on.
        model, train: of both trainings; the loss is the recipe's.
        described: the data.
        sources: what of it is a user's own code → hash of the source.
    """

    kind: ClassVar[str] = "path"
    reads: ClassVar[Mapping[str, str]] = {
        **Cell.reads,
        "other_weights": WEIGHTS,
        "other_mask": MASK,
    }

    points: int
    num_train: int
    model: Described
    train: TrainSpec
    described: Described
    sources: Mapping[str, str]

    def own_inputs(self) -> dict[str, Any]:
        loss: dict[str, Any] = {"loss": self.train.loss}
        if self.train.loss_options:
            loss["loss_options"] = dict(self.train.loss_options)
        return {
            "points": self.points,
            "num_train": self.num_train,
            "numerics": _NUMERICS,
            "model": self.model.inputs(),
            **loss,
            "data": self.described.inputs(),
            **({"sources": dict(self.sources)} if self.sources else {}),
        }


def make_path(cell: PathCell, parents: Parents, workspace: Workspace) -> Made:
    """Error and loss along a line, and how far its ends are from one another.

    Raises:
        Stopped: the run was asked to stop; it is measured from its start again.
    """
    assert cell.data is not None
    device = workspace.device
    data = load_data(cell.data, workspace.data_dir, device, digest=cell.described.digest)
    path = LinearPath(parents.tensors("weights"), parents.tensors("other_weights"))
    masks = [parents.mask("mask"), parents.mask("other_mask")]
    with random_state_kept([device]):
        model = drawn_model(cell.model, 0).to(device).eval()
        seed_(0, [device])  # each measures the same however often it is asked
        rows = [
            *_ends(path, model, data.test, masks),
            *_along(cell, path, model, data, workspace),
        ]
    return Made({}, {"rows": rows})


def _along(
    cell: PathCell, path: LinearPath, model: nn.Module, data: DataSet, workspace: Workspace
) -> Iterator[Row]:
    """Error and loss of each net, on both splits, for each way to have its statistics."""
    seen = _spread(data.train, cell.num_train)
    ways = [INTERPOLATED, REFITTED] if has_running_statistics(model) else [INTERPOLATED]
    loss, num_batches = loss_of(cell.train), -(-len(seen) // _TOGETHER)
    batch_size = -(-len(seen) // num_batches)  # alike: one example alone has no variance
    for number in range(cell.points):
        alpha = number / (cell.points - 1)
        for way in ways:
            path.put_(model, alpha)
            if way == REFITTED:
                refit_statistics_(model, seen.pieces(batch_size), partial(called, model))
            for name, split in (("test", data.test), ("train", seen)):
                if workspace.must_stop():
                    raise Stopped
                place = {"split": name, "statistics": way, "alpha": alpha}
                yield from _values(evaluate(model, split, loss), place)


def _spread(split: Split, size: int) -> Split:
    """So many examples at equal distances: a data set may be sorted by class."""
    if size >= len(split):
        return split
    rows = torch.arange(size, device=split.device) * len(split) // size
    return Split(take(split.x, rows), split.y[rows])


def _values(found: Evaluation, place: Row) -> Iterator[Row]:
    if found.accuracy is not None:
        yield {**place, "metric": "error", "value": 1 - found.accuracy}
    yield {**place, "metric": "loss", "value": found.loss}


def _ends(
    path: LinearPath, model: nn.Module, test: Split, masks: list[PruningMask | None]
) -> Iterator[Row]:
    """How far the ends are apart."""
    parameters = dict(model.named_parameters())
    a, b = ({n: v for n, v in end.items() if n in parameters} for end in (path.a, path.b))
    kept = masks[0] if masks[1] is None else masks[1]  # of the sparser, where they differ
    for metric, value in (
        ("distance", distance(a, b)),
        ("angle", angle(a, b)),
        ("sign_flips", sign_flips(a if kept is None else {n: a[n] for n in kept}, b, kept)),
        ("union", _num_kept(masks)),
        ("disagreement", _disagreement(path, model, test)),
    ):
        yield {"metric": metric, "value": value}


def _num_kept(masks: list[PruningMask | None]) -> int | None:
    """How many prunable weights are not zero all along: those that either end keeps."""
    one, other = masks
    if one is None or other is None:
        return None  # a dense end: all of them
    return sum(int((one[name] | other[name]).sum()) for name in one)


@torch.no_grad()
def _disagreement(path: LinearPath, model: nn.Module, test: Split) -> float | None:
    """The share of test examples of which the ends say different classes."""
    if test.y.is_floating_point():
        return None
    said: list[torch.Tensor] = []
    for alpha in (0, 1):
        path.put_(model, alpha)
        pieces = test.pieces(EVALUATED_TOGETHER)
        said.append(torch.cat([called(model, x).argmax(1).cpu() for x, _ in pieces]))
    return float((said[0] != said[1]).double().mean())
