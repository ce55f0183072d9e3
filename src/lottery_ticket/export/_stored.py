"""A level of a run in the store as a `PrunedModel`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from safetensors.torch import load
from torch import nn

from lottery_ticket.arms import ARMS, Arm
from lottery_ticket.data import DataSet
from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.experiment import (
    WEIGHTS,
    read_mask,
    read_weights,
    recorded_initial,
    recorded_model,
    rederive,
    run_data,
    run_spec,
)
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.masks import PruningMask, find_parameters
from lottery_ticket.process import neutral_settings
from lottery_ticket.seeds import generator
from lottery_ticket.spec import Spec, fingerprint
from lottery_ticket.store import CellRecord, RunRecord, RunRow, Store, table_rows
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin, versions

__all__ = ["stored_model"]

_NUM_RANDOM = 64  # inputs that an export of a search is tried on


@neutral_settings()
def stored_model(
    store: Store,
    run: RunRecord,
    level: int,
    *,
    arm: str = "ticket",
    replicate: int = 0,
    draw: int = 0,
    data_dir: Path | None = None,
    data: Mapping[str, Any] | None = None,
    rederive: bool = False,
) -> PrunedModel:
    """A trained level of a run, with the data to try it on and all that its card says.

    Args:
        store, run: where it is.
        level: 0 is dense.
        arm, replicate, draw: which of the trainings of the level.
        data_dir: where data files are; None for `$LOTTERY_DATA`, else a per-user cache.
        data: options of the data set that are others here: `{"path": "moved.npz"}`.
        rederive: train it again where its trained weights were not kept; it ends in the same bytes.

    Raises:
        UsageError: there is no such training, its weights were not kept, or its code is not
            imported.
        DataError: the data are not to be had, or are not those that it was trained on.
        StoreError: something in the store is damaged.
    """
    row = _row(run, level, arm, replicate, draw)
    record = store.get(row.cell)
    if record is None:
        again = "resume its search" if run.searches else "`lottery run` the spec to its end"
        raise UsageError(f"{_place(run, row)}: not trained yet; {again}")
    if run.searches:
        if data:
            raise UsageError(f"{run.id}: a search tells no data set, so --data has no effect")
        return _searched(store, run, row, record)
    spec = run_spec(run, data or {})
    loaded = run_data(run, spec, record, data_dir)
    weights = _weights(store, run, spec, row, data_dir, may_train=rederive)
    model = _filled(record, weights)
    mask = _dense_mask(run, model) if row.mask is None else read_mask(store, row.mask)
    return PrunedModel.of(
        model,
        loaded.test.tensor,
        mask=mask,
        calibration=loaded.train.tensor,
        test=loaded.test,
        dense=model if row.level == 0 else _dense(store, run, row),
        ticket=_ticket(store, run, row, record, mask, model),
        facts=_facts(store, run, row, record, loaded),
    )


def _searched(store: Store, run: RunRecord, row: RunRow, record: CellRecord) -> PrunedModel:
    """A level that a search found. Its data are the user's: the export is tried on random numbers
    of the same shape and range, and has no accuracy of its own."""
    start = store.get(record.input("parents").get("initial", ""))
    example = None if start is None else start.results.get("example")
    if start is None or not isinstance(example, dict):
        raise UsageError(
            f"{_place(run, row)}: nobody knows what its model reads: export takes models of one "
            "tensor; from Python, lottery_ticket.export.export(PrunedModel.of(model, example), …)"
        )
    model = _filled(record, read_weights(store, row.cell))
    mask = _dense_mask(run, model) if row.mask is None else read_mask(store, row.mask)
    name, options = _architecture(record)
    facts = {
        "title": f"{run.title}, {row.arm} at level {row.level}",
        "model": {"name": name, "options": options},
        "run": {"id": run.id, **_where(row), "cell": row.cell, "searches": list(run.searches)},
        "metrics": _metrics(store, run, row, record),
    }
    return PrunedModel.of(
        model,
        _random_inputs(example),
        mask=mask,
        dense=model if row.level == 0 else _dense(store, run, row),
        ticket=_searched_ticket(store, row, record, start, mask, model),
        facts=facts,
    )


def _random_inputs(example: Mapping[str, Any]) -> torch.Tensor:
    """Inputs like those that the model was seen to read: as many numbers, in the same range."""
    dtype = getattr(torch, example["dtype"].removeprefix("torch."))
    draws = torch.rand(_NUM_RANDOM, *example["shape"], generator=generator(0), dtype=torch.float64)
    values = example["low"] + draws * (example["high"] - example["low"])
    return (values if dtype.is_floating_point else values.round()).to(dtype)


def _searched_ticket(
    store: Store,
    row: RunRow,
    record: CellRecord,
    start: CellRecord,
    mask: PruningMask,
    model: nn.Module,
) -> Ticket | None:
    """The ticket of a search; None of a control that begins with other weights."""
    if ARMS.get(row.arm, Arm(weights="")).weights != "initial":
        return None
    (name, options), settings = _architecture(record), start.results["settings"]
    parents = record.input("parents")
    is_rewound = settings["pipeline"]["weights_from"] == "rewind" and "weights" in parents
    initial = read_weights(store, parents["weights"] if is_rewound else start.name)
    step = settings["rewind_step"] if is_rewound else 0
    return Ticket(
        mask,
        WeightsOrigin(initial, step, model=name, options=options),
        metrics={"metric": record.results["row"]["metric"]},
        provenance={**versions(), "cell": row.cell, **_where(row)},
        trained=model.state_dict(),
    )


def _dense_mask(run: RunRecord, model: nn.Module) -> PruningMask:
    """Of what the run prunes, all kept, in the shapes of the model: it may be a narrower one."""
    weights = find_parameters(model, run.layers)
    return PruningMask.from_tensors(
        {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
    )


def _row(run: RunRecord, level: int, arm: str, replicate: int, draw: int) -> RunRow:
    """The row at a place; an error says what there is instead."""
    rows = list(run.rows)
    for name, wanted in (("arm", arm), ("level", level), ("replicate", replicate), ("draw", draw)):
        there = list(dict.fromkeys(getattr(row, name) for row in rows))
        rows = [row for row in rows if getattr(row, name) == wanted]
        if not rows:
            known = ", ".join(map(str, there))
            raise UsageError(f"{run.id}: no {name} {wanted!r}; it has {known}")
    return rows[0]


def _place(run: RunRecord, row: RunRow) -> str:
    draw = f", draw {row.draw}" if row.draw else ""
    return f"{run.id}, {row.arm} level {row.level}, replicate {row.replicate}{draw}"


def _weights(
    store: Store,
    run: RunRecord,
    spec: Spec,
    row: RunRow,
    data_dir: Path | None,
    *,
    may_train: bool,
) -> Mapping[str, torch.Tensor]:
    if _has_weights(store, row):
        return read_weights(store, row.cell)
    if not may_train:
        raise UsageError(
            f"{_place(run, row)}: its trained weights were not kept (--keep needed); --rederive "
            "(rederive=True) trains it again, to the same bytes"
        )
    return load(rederive(store, run, row.cell, spec=spec, data_dir=data_dir))


def _has_weights(store: Store, row: RunRow) -> bool:
    return WEIGHTS not in store.execution(row.cell).get("not_kept", ())


def _filled(record: CellRecord, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """The training's model with its trained weights."""
    model = recorded_model(record)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(
            f"model {record.input('model')['name']!r}: its code is not what was trained ({error})"
        ) from error
    return model


def _dense(store: Store, run: RunRecord, row: RunRow) -> nn.Module | None:
    """The same arm's dense net, or that of its search, where its weights are to be had."""
    place = ("ticket", row.replicate, 0) if run.searches else (row.arm, row.replicate, row.draw)
    other = _row(run, 0, *place)
    record = store.get(other.cell)
    if record is None or not _has_weights(store, other):
        return None
    return _filled(record, read_weights(store, other.cell))


def _ticket(
    store: Store,
    run: RunRecord,
    row: RunRow,
    record: CellRecord,
    mask: PruningMask,
    model: nn.Module,
) -> Ticket | None:
    """The ticket of a training; None where what it began with is not in the store any more."""
    parents, (name, options) = record.input("parents"), _architecture(record)
    if "weights" in parents:
        try:
            initial = read_weights(store, parents["weights"])
        except StoreError:
            return None
        step = record.inputs.get("start_step", 0)
        origin = WeightsOrigin(initial, step, model=name, options=options)
    elif "initial" in record.inputs:
        start = read_weights(store, parents["initial"]) if "initial" in parents else None
        initial = recorded_initial(record, mask, start).state_dict()
        origin = WeightsOrigin(initial, model=name, options=options)
    else:
        origin = ModelOrigin.of(name, record.input("seeds")["init"], **options)
    return Ticket(
        mask,
        origin,
        metrics=_results(record),
        provenance={**versions(), "run": run.id, "cell": row.cell, **_where(row)},
        trained=model.state_dict(),
    )


def _where(row: RunRow) -> dict[str, Any]:
    return {"arm": row.arm, "level": row.level, "replicate": row.replicate, "draw": row.draw}


def _results(record: CellRecord) -> dict[str, Any]:
    names = ("test_accuracy", "test_loss", "val_accuracy", "val_loss", "num_steps")
    return {name: record.results[name] for name in names if record.results.get(name) is not None}


def _facts(
    store: Store, run: RunRecord, row: RunRow, record: CellRecord, data: DataSet
) -> dict[str, Any]:
    name, options = _architecture(record)
    return {
        "title": f"{run.title}, {row.arm} at level {row.level}",
        "model": {"name": name, "options": options},
        "data": {
            **record.input("data"),
            "task": data.task,
            "num_classes": data.num_classes,
            "num_train": len(data.train),
            "num_test": len(data.test),
            "normalisation": None if data.normalisation is None else asdict(data.normalisation),
            "licence": data.licence,
            **({} if data.classes is None else {"classes": list(data.classes)}),
        },
        "run": {
            "id": run.id,
            **_where(row),
            "cell": row.cell,
            "spec_fingerprint": fingerprint(run.spec),
            "seed": run.spec.get("seed", 0),
            "seeds": dict(record.input("seeds")),
            "trained_with": store.execution(row.cell).get("versions"),
            "spec": dict(run.spec),
        },
        "metrics": _metrics(store, run, row, record),
    }


def _architecture(record: CellRecord) -> tuple[str, dict[str, Any]]:
    """The model's name and options; the hash of a user's code is neither."""
    options = {key: value for key, value in record.input("model").items() if key != "source"}
    return options.pop("name"), options


def _metrics(store: Store, run: RunRecord, row: RunRow, record: CellRecord) -> dict[str, Any]:
    """Accuracy and loss on the test set: of this training, over replicates, and of dense."""
    rows = [found for found in table_rows(store, run) if found["arm"] == row.arm]
    metrics = {}
    for name in ("accuracy", "loss"):
        if (value := record.results.get(f"test_{name}")) is not None:
            metrics[name] = {
                "this": value,
                "replicates": _over_replicates(rows, row.level, f"test_{name}"),
                "dense": _over_replicates(rows, 0, f"test_{name}"),
            }
    return metrics


def _over_replicates(rows: list[dict[str, Any]], level: int, column: str) -> dict[str, Any] | None:
    """Mean, standard deviation and n; draws within a replicate count once."""
    draws: dict[int, list[float]] = {}
    for row in rows:
        if row["level"] == level and row[column] is not None:
            draws.setdefault(row["replicate"], []).append(row[column])
    values = [mean(found) for found in draws.values()]
    if not values:
        return None
    spread = stdev(values) if len(values) > 1 else None
    return {"mean": mean(values), "sd": spread, "n": len(values)}
