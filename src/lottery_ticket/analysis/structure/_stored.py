"""Masks and weights of a run, read from its store."""

import hashlib
from collections.abc import Container, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save

from lottery_ticket.analysis.structure._effective import effective_density
from lottery_ticket.analysis.structure._kept_weights import kept_weights
from lottery_ticket.analysis.structure._place import MaskPlace, placed
from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.experiment import read_mask, read_weights, recorded_model
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import FORMS
from lottery_ticket.store import CellRecord, RunRecord, RunRow, Store

__all__ = ["read_masks", "run_effective_density", "run_kept_weights"]

WEIGHTS = "weights.safetensors"


def read_masks(
    store: Store, run: RunRecord, *, arm: str = "ticket", levels: Container[int] | None = None
) -> dict[MaskPlace, PruningMask]:
    """The masks of an arm's finished trainings by place; level 0 keeps everything.

    Args:
        store: where the run is.
        run: the run.
        arm: whose masks; an arm that is trained on the ticket's has those.
        levels: which levels; None for all.

    Raises:
        UsageError: the run has no such arm.
        StoreError: a mask is damaged.
    """
    arms = {row.arm for row in run.rows}
    if arm not in arms:
        raise UsageError(f"{run.id}: no arm {arm!r}; it has {', '.join(sorted(arms))}")
    finished = store.cell_names()
    return {
        _place(run, row): _mask(store, run, row)
        for row in run.rows
        if row.arm == arm and row.cell in finished and (levels is None or row.level in levels)
    }


def run_effective_density(
    store: Store,
    run: RunRecord,
    *,
    arm: str = "ticket",
    levels: Container[int] | None = None,
) -> pd.DataFrame:
    """`effective_density` of an arm's masks, in the run's own model.

    Args:
        store, run, arm, levels: as `read_masks`.

    Raises:
        UsageError: as `read_masks`; the model is not registered here, or its paths cannot be
            followed, or the shape of its input is not known.
    """
    masks = read_masks(store, run, arm=arm, levels=levels)
    record = next((r for _, r in _trainings(store, run, {arm})), None)
    if record is None:
        return pd.DataFrame()
    model = recorded_model(record)
    return effective_density(masks, model, _input_shape(record.input("model"), run.layers))


def run_kept_weights(
    store: Store, run: RunRecord, *, arms: Container[str] | None = None
) -> pd.DataFrame:
    """`kept_weights` of every training whose first and last weights are to be had.

    The first are drawn anew from the seed and held against the checksum in the record. Trainings
    that began otherwise, or whose trained weights were not kept, have no rows.

    Args:
        store, run: where they are.
        arms: of which arms; None for all.

    Raises:
        UsageError: the run's model is not registered here.
        StoreError: a cell is damaged.
    """
    frames, known = [], {}
    for row, record in _trainings(store, run, arms):
        initial = _initial_weights(record, known)
        has_weights = WEIGHTS not in store.execution(row.cell).get("not_kept", ())
        if initial is not None and has_weights:
            trained = read_weights(store, record.name)
            rows = kept_weights(_mask(store, run, row), initial, trained)
            frames.append(placed(rows, _place(run, row)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _place(run: RunRecord, row: RunRow) -> MaskPlace:
    return MaskPlace(run.id, row.arm, row.level, row.replicate, row.draw)


def _mask(store: Store, run: RunRecord, row: RunRow) -> PruningMask:
    """The mask of a row; raises `DamagedError` if it is of other layers than the run's."""
    if row.mask is not None:
        mask = read_mask(store, row.mask)
        if {name: list(layer.shape) for name, layer in mask.items()} != dict(run.layers):
            raise DamagedError(f"cell {row.mask}: its mask is of other layers than the run's")
        return mask
    if row.num_kept == run.num_prunable:  # not a narrower net
        _check_size(store, run, row)
    return PruningMask.from_tensors(
        {name: torch.ones(shape, dtype=torch.bool) for name, shape in run.layers.items()}
    )


def _check_size(store: Store, run: RunRecord, row: RunRow) -> None:
    """See that a dense training has the weights that its run counts, before room is made for
    them."""
    record = store.get(row.cell)
    described = {} if record is None else record.files.get(WEIGHTS, {})
    if described.get("bytes", 0) < run.num_prunable:
        raise DamagedError(
            f"cell {row.cell}: damaged: it has fewer than {run.num_prunable:,} weights"
        )


def _trainings(
    store: Store, run: RunRecord, arms: Container[str] | None = None
) -> Iterator[tuple[RunRow, CellRecord]]:
    finished = store.cell_names()
    for row in run.rows:
        if row.cell in finished and (arms is None or row.arm in arms):
            record = store.get(row.cell)
            if record is not None:
                yield row, record


def _initial_weights(
    record: CellRecord, known: dict[str, Mapping[str, torch.Tensor]]
) -> Mapping[str, torch.Tensor] | None:
    """θ₀ of a training by its checksum, or None where the seed gives other weights."""
    digest = record.results.get("initial_sha256", "")
    if digest not in known:
        weights = {name: v.clone() for name, v in recorded_model(record).state_dict().items()}
        known[hashlib.sha256(save(weights)).hexdigest()] = weights
    return known.get(digest)


def _input_shape(model: Mapping[str, Any], layers: Mapping[str, list[int]]) -> tuple[int, ...]:
    """The shape of one example: what the model is meant for, or what a first linear layer reads."""
    if "input_size" in model:
        return (model["input_size"],)
    for form in FORMS:
        is_of_form = all(model.get(key) == value for key, value in form.options.items())
        if form.name == model["name"] and is_of_form:
            return form.input_shape
    first = next(iter(layers.values()))
    if len(first) == 2:
        return (first[1],)
    raise UsageError(f"model {model['name']!r}: the shape of its input is not known")
