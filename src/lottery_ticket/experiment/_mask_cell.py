"""Making a mask cell: from trained weights and the mask before, or from another mask."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors

from lottery_ticket.errors import StoreError
from lottery_ticket.experiment._context import Context
from lottery_ticket.experiment._plan import Cell
from lottery_ticket.masks import Budget, PruningMask, shuffle
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import generator
from lottery_ticket.store import Store

__all__ = ["MASK", "make_mask", "read_mask"]

MASK = "mask.safetensors"


def make_mask(
    cell: Cell, context: Context, store: Store, folder: Path
) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    """The files and results of a mask cell; there is but one way to execute it."""
    parent = read_mask(store, cell.parents["mask"]) if "mask" in cell.parents else None
    stream = generator(cell.inputs.get("seed", 0))
    if cell.inputs["how"] == "shuffle":
        assert parent is not None
        mask = shuffle(parent, stream)
    else:
        mask = _pruned(cell, store, parent, stream)
    results = {
        "num_kept": mask.num_kept,
        "num_prunable": mask.num_prunable,
        "layers": {name: int(kept.sum()) for name, kept in mask.items()},
    }
    return {MASK: mask.to_bytes()}, results, {}


def read_mask(store: Store, name: str) -> PruningMask:
    """The mask of a finished mask cell."""
    return PruningMask.from_bytes(_read_parent(store, name, MASK), f"cell {name}")


def _read_parent(store: Store, name: str, file_name: str) -> bytes:
    record = store.get(name)
    if record is None:
        raise StoreError(f"{store.root}: cell {name} was removed meanwhile; run again to remake it")
    return store.read(record, file_name)


def _pruned(
    cell: Cell, store: Store, parent: PruningMask | None, stream: torch.Generator
) -> PruningMask:
    shapes = {name: tuple(shape) for name, shape in cell.inputs["layers"]}
    if parent is None:
        parent = PruningMask.from_tensors(
            {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
        )
    if "weights" in cell.parents:
        data = _read_parent(store, cell.parents["weights"], "weights.safetensors")
        weights = load_tensors(data)
    else:
        weights = {name: torch.empty(shape) for name, shape in shapes.items()}
    budget = _budget(cell.inputs["keep"], shapes)
    return next_mask(cell.inputs["criterion"], parent, budget, weights=weights, generator=stream)


def _budget(keep: int | Mapping[str, int], layers: Mapping[str, Any]) -> Budget:
    if isinstance(keep, int):
        return Budget(keep)
    return Budget(sum(keep.values()), tuple((name, keep[name]) for name in layers))
