"""Probe cells: what is measured on a stored training, with rows of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from lottery_ticket.experiment.cells.cell import WEIGHTS, Cell
from lottery_ticket.experiment.cells.making import Made, Parents, Workspace
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.initial import (
    Described,
    Initial,
    drawn_model,
    initial_model,
)
from lottery_ticket.experiment.objects.probes import probe_rows
from lottery_ticket.experiment.objects.recipe import loss_of
from lottery_ticket.experiment.objects.travel import INITIAL, TRAINED
from lottery_ticket.masks import PruningMask, layer_weights
from lottery_ticket.process import random_state_kept, seed_
from lottery_ticket.seeds import generator
from lottery_ticket.spec import TrainSpec

__all__ = ["Beginning", "ProbeCell", "make_probe"]


@dataclass(frozen=True)
class Beginning:
    """Where a training began, for a probe that asks for it.

    Args:
        seed: of θ₀; None where a file holds it, or nobody knows it.
        change: how what it draws is changed.
        moment: what the weights of the parent `start` are, if there is one.
    """

    seed: int | None = None
    change: Initial | None = None
    moment: str | None = None

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        said = {"seed": self.seed, "moment": self.moment}
        changed = {} if self.change is None else {"change": self.change.inputs()}
        return {name: value for name, value in said.items() if value is not None} | changed


@dataclass(frozen=True, kw_only=True)
class ProbeCell(Cell):
    """A measurement. Its parents: `weights`, the training; `mask`, what that keeps; `initial`, θ₀
    where a file held it; `start`, the weights that the training went on from.

    Args:
        probe: a registered name.
        options: its own.
        numerics: the probe's.
        model: of the training.
        train: its recipe, which says the loss.
        described: which data it looks at; None if it looks at none.
        sources: what of it is a user's own code → hash of the source.
        beginning: of the training; None if the probe does not ask for it.
    """

    kind: ClassVar[str] = "probe"
    reads: ClassVar[Mapping[str, str]] = {**Cell.reads, "start": WEIGHTS}

    probe: str
    options: Mapping[str, Any]
    numerics: int
    model: Described
    train: TrainSpec
    described: Described | None
    sources: Mapping[str, str]
    beginning: Beginning | None = None

    def own_inputs(self) -> dict[str, Any]:
        described, sources = self.described, self.sources
        loss: dict[str, Any] = {"loss": self.train.loss}
        if self.train.loss_options:
            loss["loss_options"] = dict(self.train.loss_options)
        return {
            "probe": self.probe,
            "options": dict(self.options),
            "numerics": self.numerics,
            "model": self.model.inputs(),
            **loss,
            **({} if described is None else {"data": described.inputs()}),
            **({"sources": dict(sources)} if sources else {}),
            **({} if self.beginning is None else {"beginning": self.beginning.inputs()}),
        }

    @property
    def title(self) -> str:
        return f"{self.probe} of {self.label}"


def make_probe(cell: ProbeCell, parents: Parents, workspace: Workspace) -> Made:
    """The rows of a measurement."""
    data = None
    if cell.data is not None and cell.described is not None:
        digest = cell.described.digest
        data = load_data(cell.data, workspace.data_dir, workspace.device, digest=digest)
    with random_state_kept([workspace.device]):
        model = drawn_model(cell.model, 0)
        model.load_state_dict(parents.tensors("weights"))
        model.to(workspace.device).eval()
        mask = parents.mask()
        if mask is None:
            found = layer_weights(model).items()
            kept = {name: torch.ones_like(value, dtype=torch.bool) for name, value in found}
        else:
            kept = dict(mask.to(workspace.device))
        seed_(0, [workspace.device])  # each measures the same however often it is asked
        rows = probe_rows(
            cell.probe,
            model=model,
            mask=kept,
            data=data,
            loss=loss_of(cell.train),
            generator=generator(0, "probe", cell.name),
            options=cell.options,
            points=_points(cell, parents, model, mask),
        )
    return Made({}, {"rows": rows})


def _points(
    cell: ProbeCell, parents: Parents, model: nn.Module, mask: PruningMask | None
) -> dict[str, dict[str, torch.Tensor]] | None:
    """Moment → the weights then, in the order of time; None where nobody asks for them."""
    begun = cell.beginning
    if begun is None:
        return None
    file = parents.tensors("initial") if "initial" in parents else None
    found: dict[str, dict[str, torch.Tensor]] = {}
    if begun.seed is not None:
        found[INITIAL] = initial_model(
            cell.model, begun.seed, begun.change, mask, file
        ).state_dict()
    elif file is not None:
        found[INITIAL] = file
    if begun.moment is not None:
        found[begun.moment] = parents.tensors("start")
    found[TRAINED] = model.state_dict()
    device = next(model.parameters()).device
    return {name: {n: v.to(device) for n, v in state.items()} for name, state in found.items()}
