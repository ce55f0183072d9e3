"""Masks and weights of a run, read from its store; what training does to the weights kept."""

import hashlib
from collections.abc import Container, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save

from lottery_ticket.analysis.structure.density import effective_density
from lottery_ticket.analysis.structure.place import MaskPlace, joined
from lottery_ticket.arms import ARMS, Arm
from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.experiment import read_mask, read_weights, recorded_model
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import FORMS
from lottery_ticket.names import check_shape
from lottery_ticket.store import CellRecord, RunRecord, RunRow, Store

__all__ = ["kept_weights", "read_masks", "run_effective_density", "run_kept_weights"]


def kept_weights(
    mask: PruningMask,
    initial: Mapping[str, torch.Tensor],
    trained: Mapping[str, torch.Tensor],
) -> pd.DataFrame:
    """How the kept weights of a training look beside their initial ones, per layer and for `"all"`.

    Args:
        mask: what is kept.
        initial: θ₀, or whatever weights the training began with; a whole `state_dict` will do.
        trained: θ_T.

    Returns:
        layer, num_kept; `sign_kept`, the share of kept weights whose sign is that of θ₀;
        `magnitude_correlation`, Pearson's r between |θ₀| and |θ_T|; `mean_initial` and
        `mean_trained`, the mean magnitudes. Null where too few weights are kept to say.

    Raises:
        UsageError: `initial` or `trained` lacks a layer of the mask, or has another shape.

    >>> mask = PruningMask.from_tensors({"w": torch.tensor([True, True, True, False])})
    >>> before = {"w": torch.tensor([1.0, -2.0, 3.0, 4.0])}
    >>> after = {"w": torch.tensor([2.0, -4.0, -6.0, 0.0])}
    >>> frame = kept_weights(mask, before, after).set_index("layer")
    >>> [round(float(x), 3) for x in frame.loc["w", ["sign_kept", "magnitude_correlation"]]]
    [0.667, 1.0]

    Source: the question is Zhou et al. 2019's (Deconstructing lottery tickets).
    """
    before, after = _of_kept(mask, "initial", initial), _of_kept(mask, "trained", trained)
    rows = [_row(name, before[name], after[name]) for name in mask]
    whole = _row("all", torch.cat(list(before.values())), torch.cat(list(after.values())))
    return pd.DataFrame([*rows, whole])


def _of_kept(
    mask: PruningMask, what: str, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The kept weights of each layer, flat, in double precision."""
    for name, kept in mask.items():
        if name not in weights:
            raise UsageError(f"{what}: no {name!r}, which the mask names")
        check_shape(f"{what}: {name!r}", weights[name].shape, kept.shape, "its mask")
    return {name: weights[name].detach().double().cpu()[kept.cpu()] for name, kept in mask.items()}


def _row(layer: str, before: torch.Tensor, after: torch.Tensor) -> dict[str, object]:
    sizes = torch.stack([before.abs(), after.abs()])
    is_varied = before.numel() > 1 and bool((sizes.std(dim=1) > 0).all())
    nan = float("nan")
    return {
        "layer": layer,
        "num_kept": before.numel(),
        "sign_kept": float((before.sign() == after.sign()).double().mean()),
        "magnitude_correlation": float(torch.corrcoef(sizes)[0, 1]) if is_varied else nan,
        "mean_initial": float(sizes[0].mean()),
        "mean_trained": float(sizes[1].mean()),
    }


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

    The first are drawn anew from the seed and held against the checksum in the record; those of a
    search are kept. Trainings that began otherwise, or whose trained weights were not kept, have
    no rows.

    Args:
        store, run: where they are.
        arms: of which arms; None for all.

    Raises:
        UsageError: the run's model is not registered here.
        StoreError: a cell is damaged.
    """
    frames, known = {}, {}
    for row, record in _trainings(store, run, arms):
        initial = _initial_weights(store, record, known)
        has_weights = WEIGHTS not in store.execution(row.cell).get("not_kept", ())
        if initial is not None and has_weights:
            trained = read_weights(store, record.name)
            frames[_place(run, row)] = kept_weights(_mask(store, run, row), initial, trained)
    return joined(frames)


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
    store: Store, record: CellRecord, known: dict[str, Mapping[str, torch.Tensor]]
) -> Mapping[str, torch.Tensor] | None:
    """θ₀ of a training by its checksum, or None where the seed gives other weights; of a search
    that which it keeps, for arms that begin with it."""
    if "search" in record.inputs:
        begins = ARMS.get(record.input("arm"), Arm(weights="")).weights == "initial"
        parents = record.input("parents")
        return read_weights(store, parents["initial"]) if begins and "initial" in parents else None
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
