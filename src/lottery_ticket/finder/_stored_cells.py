"""The cells of a search in a store: their names, and what they hold.

What a training loop of the user's does, no name can say. So the cells of a search are named by a
random id, which the run's record keeps: no other run finds them, and none takes them for its own.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from safetensors.torch import save as save_tensors

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.chain import At
from lottery_ticket.finder._plain import row_of
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import PIPELINES, Pipeline
from lottery_ticket.spec import fingerprint

__all__ = [
    "MASK",
    "OPTIMIZER",
    "WEIGHTS",
    "CellOf",
    "Named",
    "of_mask",
    "of_row",
    "record_lock",
    "row_in",
    "saved",
    "tied",
]

MASK, OPTIMIZER, WEIGHTS = "mask.safetensors", "optimizer.safetensors", "weights.safetensors"


class CellOf(NamedTuple):
    """A cell of a search: its name, and what that is made from."""

    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Named:
    """The names of a search's cells.

    Args:
        id: the search's, at random.
        model: as records have it: its name, and options.
        pipeline: the ticket's.
    """

    id: str
    model: Mapping[str, Any]
    pipeline: Pipeline

    @property
    def start(self) -> CellOf:
        """θ₀, and the settings of the search."""
        return self._cell({"kind": "start"})

    @property
    def rewind_point(self) -> CellOf:
        """θ_k."""
        parents = {"initial": self.start.name}
        return self._cell({"kind": "train", "arm": "rewind point", "model": self.model}, parents)

    @property
    def lock(self) -> str:
        """What is claimed by the process that goes on with the search."""
        return self._cell({"kind": "search"}).name

    def mask(self, at: At) -> CellOf:
        """The mask of a place."""
        before = {"mask": self.mask(_before(at)).name} if at.arm == TICKET and at.level > 1 else {}
        return self._cell({"kind": "mask", **at._asdict()}, before)

    def training(self, at: At, mask: str | None, *, is_judged: bool = True) -> CellOf:
        """The training at a place.

        Args:
            at: the place.
            mask: the cell of its mask.
            is_judged: whether `eval_fn` has said what it is worth.
        """
        parents = {"initial": self.start.name} | ({} if mask is None else {"mask": mask})
        own = ARMS[at.arm].pipeline
        point = (self.pipeline if own is None else PIPELINES[own]).weights_from
        if at.level and point == "rewind":
            parents["weights"] = self.rewind_point.name
        if at.level and point == "end":
            parents["weights"] = self.ticket(at.level - 1 if at.arm == TICKET else 0).name
        told = {} if is_judged else {"judged": False}
        seeds: dict[str, int] = {}  # what a loop of the user's draws has none that it would tell
        inputs = {"kind": "train", **at._asdict(), "model": self.model, "seeds": seeds, **told}
        return self._cell(inputs, parents)

    def ticket(self, level: int, *, is_judged: bool = True) -> CellOf:
        """The ticket's training at a level."""
        at = At(level=level)
        return self.training(at, self.mask(at).name if level else None, is_judged=is_judged)

    def _cell(self, inputs: Mapping[str, Any], parents: Mapping[str, str] | None = None) -> CellOf:
        whole = {**inputs, "search": self.id, "parents": dict(parents or {})}
        return CellOf(fingerprint(whole), whole)


def record_lock(run_id: str) -> str:
    """What is claimed by the process that writes the record of a run of searches."""
    return fingerprint({"kind": "run", "run": run_id})


def _before(at: At) -> At:
    return at._replace(level=at.level - 1)


def of_mask(mask: PruningMask) -> dict[str, Any]:
    """The results of a mask's cell."""
    return {
        "num_kept": mask.num_kept,
        "num_prunable": mask.num_prunable,
        "layers": {name: int(kept.sum()) for name, kept in mask.items()},
    }


def of_row(row: Row, search: Search) -> dict[str, Any]:
    """The results of a training's cell; of an invalid one tables and verdicts have no value."""
    column = "test_accuracy" if search.settings["mode"] == "max" else "test_loss"
    is_valid = not row.problems and math.isfinite(row.metric)
    metric = row.metric if math.isfinite(row.metric) else str(row.metric)
    is_percent = search.is_percent or (search.settings["mode"] == "max" and row.metric > 1)
    return {
        column: row.metric / (100 if is_percent else 1) if is_valid else None,
        "num_steps": row.num_steps,
        "num_kept": row.num_kept,
        "num_prunable": search.num_prunable,
        "history": [],
        "row": {**asdict(row), "problems": list(row.problems), "metric": metric},
    }


def row_in(results: Mapping[str, Any]) -> Row:
    """The row that `of_row` wrote; raises `ValueError`, `KeyError` or `TypeError` if it is none."""
    values = dict(results["row"])
    return row_of(**{**values, "metric": float(values["metric"])})


def saved(state: Mapping[str, torch.Tensor]) -> bytes:
    """A state as a file: of what is tied each name has a copy, as files have."""
    return save_tensors({name: value.contiguous().clone() for name, value in state.items()})


def tied(state: Mapping[str, torch.Tensor], ties: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The state with what was tied tied again, in the order it had."""
    return {name: state[first] for name, first in ties.items()}
