"""Making a mask cell: from trained weights and the mask before, from another mask, or from a
model as it is at initialisation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors

from lottery_ticket.criteria import CRITERIA, inverse
from lottery_ticket.data import Split
from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.experiment._build import load_data
from lottery_ticket.experiment._cell import WEIGHTS, Cell
from lottery_ticket.experiment._context import Context
from lottery_ticket.experiment._initial import drawn_model
from lottery_ticket.masks import SCOPES, Budget, PruningMask, shuffle
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import generator
from lottery_ticket.store import Store
from lottery_ticket.train import LOSSES

__all__ = ["MASK", "make_mask", "read_mask", "read_parent", "read_weights"]

MASK = "mask.safetensors"


def make_mask(
    cell: Cell, context: Context, store: Store, folder: Path
) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    """The files and results of a mask cell; there is but one way to execute it."""
    parent = read_mask(store, cell.parents["mask"]) if "mask" in cell.parents else None
    if cell.inputs["how"] == "shuffle":
        assert parent is not None
        mask = shuffle(parent, generator(cell.inputs["seed"]), **_structure(cell))
    else:
        mask = _pruned(cell, parent, _scored(cell, context, store))
    results = {
        "num_kept": mask.num_kept,
        "num_prunable": mask.num_prunable,
        "layers": {name: int(kept.sum()) for name, kept in mask.items()},
    }
    return {MASK: mask.to_bytes()}, results, {}


def read_mask(store: Store, name: str) -> PruningMask:
    """The mask of a finished mask cell."""
    return PruningMask.from_bytes(read_parent(store, name, MASK), f"cell {name}")


def read_parent(store: Store, name: str, file_name: str) -> bytes:
    """A file of a finished cell; raises `StoreError` if the cell is gone."""
    record = store.get(name)
    if record is None:
        raise StoreError(f"{store.root}: cell {name} was removed meanwhile; run again to remake it")
    return store.read(record, file_name)


def read_weights(store: Store, name: str, file_name: str = WEIGHTS) -> dict[str, torch.Tensor]:
    """The tensors in a file of a finished cell.

    Raises:
        StoreError: the cell is gone, or what is sealed there are no tensors.
    """
    data = read_parent(store, name, file_name)
    try:
        return load_tensors(data)
    except Exception as error:  # safetensors has many ways to say so
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DamagedError(
            f"cell {name}: damaged: its {file_name} holds no tensors ({reason})"
        ) from error


def _scored(cell: Cell, context: Context, store: Store) -> dict[str, Any]:
    """What the criterion looks at."""
    inputs = cell.inputs
    if "init" in inputs:
        return _at_init(cell, context)
    stream = generator(inputs.get("seed", 0))
    if "weights" not in cell.parents:
        return {"generator": stream, "weights": {name: torch.empty(s) for name, s in _shapes(cell)}}
    weights = read_weights(store, cell.parents["weights"])
    return {"generator": stream, "weights": weights}


def _at_init(cell: Cell, context: Context) -> dict[str, Any]:
    """The model before any training, on the CPU whatever the device, so that the mask is the same
    everywhere; and a few training examples, without augmentation."""
    inputs = cell.inputs
    given: dict[str, Any] = {"model": drawn_model(inputs["model"], inputs["init"])}
    if "input_shape" in inputs:
        given["input_shape"] = inputs["input_shape"]
    if cell.data is not None:
        data = load_data(cell.data, context.data_dir, digest=inputs["data"]["digest"])
        num_examples = inputs["examples_per_output"] * data.output_size
        order = torch.randperm(len(data.train), generator=generator(inputs["examples_seed"]))
        given["batches"] = _batches(data.train, order[:num_examples], inputs["batch_size"])
        given["loss"] = LOSSES[inputs["loss"]]
    return given


def _batches(
    split: Split, rows: torch.Tensor, batch_size: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(split.x[part], split.y[part]) for part in rows.split(batch_size)]


def _pruned(cell: Cell, parent: PruningMask | None, given: Mapping[str, Any]) -> PruningMask:
    if parent is None:
        ones = {name: torch.ones(shape, dtype=torch.bool) for name, shape in _shapes(cell)}
        parent = PruningMask.from_tensors(ones)
    criterion = CRITERIA[cell.inputs["criterion"]]
    if cell.inputs.get("inverted"):
        criterion = inverse(criterion)
    keep = _budget(cell.inputs["keep"], parent)
    return next_mask(criterion, parent, keep, **_structure(cell), **given)


def _structure(cell: Cell) -> dict[str, Any]:
    """Which weights are kept or pruned together: scopes beside the plain ones are structures."""
    scope = cell.inputs.get("scope", "global")
    structure = "unstructured" if scope in SCOPES else scope
    return {"structure": structure, "input_dims": cell.inputs.get("input_dims")}


def _shapes(cell: Cell) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(shape)) for name, shape in cell.inputs["layers"]]


def _budget(keep: int | Mapping[str, int], layers: Mapping[str, Any]) -> Budget:
    if isinstance(keep, int):
        return Budget(keep)
    return Budget(sum(keep.values()), tuple((name, keep[name]) for name in layers))
