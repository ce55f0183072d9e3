"""The rows of a run's table, as plain values: quick to make and to print, without pandas."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lottery_ticket.arms import ARMS, Arm
from lottery_ticket.errors import DamagedError
from lottery_ticket.store._answers import IndexedCell
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunRecord, RunRow
from lottery_ticket.store._values import COUNT
from lottery_ticket.store.local.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "SCHEMA_VERSION",
    "TABLE_COLUMNS",
    "correct_rows",
    "example_rows",
    "history_rows",
    "layer_rows",
    "probe_rows",
    "rows_of",
    "table_rows",
    "versions_text",
]

# raised when a column goes, or changes its name or its meaning; a new one breaks no reader
SCHEMA_VERSION = 1

# the columns of the result table, in order, and what they hold
TABLE_COLUMNS: dict[str, type] = {
    "run": str,
    "arm": str,
    "level": int,
    "replicate": int,
    "draw": int,
    "density": float,
    "sparsity": float,
    "num_kept": int,
    "num_prunable": int,
    "num_test": int,
    "test_accuracy": float,
    "test_loss": float,
    "val_accuracy": float,
    "val_loss": float,
    "early_stop_step": int,
    "is_still_falling": bool,
    "test_accuracy_at_early_stop": float,
    "metric": str,
    "higher_is_better": bool,
    "test_metric": float,
    "val_metric": float,
    "start_step": int,
    "num_steps": int,
    "pruned_step": int,
    "has_settled": bool,
    "train_seconds": float,
    "criterion": str,
    "scope": str,
    "precision": str,
    "device": str,
    "threads": int,
    "cpu": str,
    "versions": str,
    "cell": str,
    "schema_version": int,
}

_MEASURED = (
    "num_test",
    "test_accuracy",
    "test_loss",
    "val_accuracy",
    "val_loss",
    "early_stop_step",
    "is_still_falling",
    "test_accuracy_at_early_stop",
    "metric",
    "higher_is_better",
    "test_metric",
    "val_metric",
    "num_steps",
)
_OF_POLICIES = ("pruned_step", "has_settled")  # of `early_bird`
_CORRECT = "test_correct.bits"
_EXAMPLES = "test_examples.safetensors"
_EXECUTION = ("train_seconds", "precision", "device", "threads", "cpu")


def table_rows(store: Store, run: RunRecord) -> list[dict[str, Any]]:
    """One row per finished training of the run, with the columns of the result table.

    Raises:
        DamagedError: a training is finished, but not as it was written.
    """
    cells = store.cells(row.cell for row in run.rows)
    for row in run.rows:
        if row.cell not in cells:
            store.finished(row.cell)  # says so if it is damaged: what is left is not the run
    return rows_of(run, cells)


def rows_of(run: RunRecord, cells: Mapping[str, IndexedCell]) -> list[dict[str, Any]]:
    """The same of a run of which the index says what is finished."""
    prune = run.spec["prune"]
    rows = []
    for row in run.rows:
        if row.cell not in cells:
            continue
        summary, execution = cells[row.cell].summary, cells[row.cell].execution
        arm = ARMS.get(row.arm, Arm())
        rows.append(
            {
                "run": run.id,
                **_place(row),
                "density": row.num_kept / run.num_prunable,
                "sparsity": 1 - row.num_kept / run.num_prunable,
                "num_kept": row.num_kept,
                "num_prunable": run.num_prunable,
                **{name: summary.get(name) for name in _MEASURED},
                "start_step": summary.get("start_step", 0),
                **{name: summary.get(f"policy_{name}") for name in _OF_POLICIES},
                "criterion": arm.criterion or prune["criterion"],
                # without a structure, random masks are random over all layers
                "scope": "global"
                if arm.mask == "random" and prune["scope"] == "layerwise"
                else prune["scope"],
                **{name: execution.get(name) for name in _EXECUTION},
                "versions": versions_text(execution),
                "cell": row.cell,
                "schema_version": SCHEMA_VERSION,
            }
        )
    return rows


def versions_text(execution: Mapping[str, Any]) -> str | None:
    """What a training was executed with, in a line; None where that is not known."""
    versions = execution.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or None


def layer_rows(store: Store, run: RunRecord) -> list[dict[str, Any]]:
    """One row per (training, layer): how much of the layer its mask keeps; a narrower net has
    none."""
    sizes = {name: _product(shape) for name, shape in run.layers.items()}
    rows = []
    for row, record in _finished(store, run, "mask"):
        if record is None and row.num_kept != run.num_prunable:
            continue  # a narrower net has other layers
        kept = sizes if record is None else _result(record, "layers")
        if record is not None and not sizes.keys() <= kept.keys():
            raise DamagedError(f"cell {record.name}: its mask is of other layers than the run's")
        for name, size in sizes.items():
            counts = {"num_kept": kept[name], "num_prunable": size}
            rows.append({**_place(row), "layer": name, "density": kept[name] / size, **counts})
    return rows


def history_rows(store: Store, run: RunRecord) -> list[dict[str, Any]]:
    """One row per measurement along each training."""
    return [
        {**_place(row), **_measurement(record, measured)}
        for row, record in _finished(store, run, "cell")
        if record is not None
        for measured in _result(record, "history")
    ]


def _measurement(record: CellRecord, measured: dict[str, Any]) -> dict[str, Any]:
    """What was measured at a step; raises `DamagedError` if it says no step, or another place."""
    is_of_step = COUNT.fits(measured.get("step"))
    if not is_of_step or not measured.keys().isdisjoint(_PLACE):
        raise DamagedError(f"cell {record.name}: damaged: its history holds {measured!r:.80}")
    return measured


def correct_rows(store: Store, run: RunRecord) -> Iterator[dict[str, Any]]:
    """One row per finished training of a classifier: which test images it got right.

    Its `correct` is a vector of booleans, the images in the order of the data set.
    """
    num_images = None
    for row, record in _finished(store, run, "cell"):
        if record is not None and _CORRECT in record.files:
            bits, num_test = store.read(record, _CORRECT), _result(record, "num_test")
            num_images = num_test if num_images is None else num_images
            if num_test != num_images or len(bits) != -(-num_test // 8):
                raise DamagedError(
                    f"cell {record.name}: damaged: {len(bits):,} bytes for {num_test:,} test "
                    f"images, of which the run has {num_images:,}"
                )
            yield {**_place(row), "correct": _unpacked(bits, num_test)}


def example_rows(store: Store, run: RunRecord) -> Iterator[dict[str, Any]]:
    """One row per finished training: how it did on each test example, by what the run is judged by.

    Its `correct` is a vector in the order of the data set: whether it was right, or the run's own
    metric of each example. Nothing of a run whose metric has no value for an example.
    """
    judged_by = run.spec.get("train", {}).get("metric")
    if judged_by is None:
        yield from correct_rows(store, run)
        return
    for row, record in _finished(store, run, "cell"):
        if record is not None and _EXAMPLES in record.files:
            yield {**_place(row), "correct": _values(record, store.read(record, _EXAMPLES))}


def probe_rows(store: Store, run: RunRecord) -> list[dict[str, Any]]:
    """One row per value that was measured on a finished training: run, probe, arm, level,
    replicate, draw, density, what the probe says of it, and `value`.

    Raises:
        DamagedError: a measurement is not as it was written.
    """
    finished, places = store.cell_names(), {}
    for row in run.rows:
        places.setdefault(row.cell, []).append(row)
    rows = []
    for probe in run.probes:
        if probe.cell not in finished or probe.training not in places:
            continue
        record = store.get(probe.cell)
        assert record is not None
        for measured in _result(record, "rows"):
            if not isinstance(measured, dict):
                raise DamagedError(f"cell {record.name}: damaged: it measured {measured!r:.80}")
            rows += [
                {
                    "run": run.id,
                    "probe": probe.probe,
                    **_place(row),
                    "density": row.num_kept / run.num_prunable,
                    **{key: value for key, value in measured.items() if key not in _PLACE},
                    "cell": probe.cell,
                }
                for row in places[probe.training]
            ]
    return rows


def _values(record: CellRecord, data: bytes) -> "NDArray[Any]":
    from safetensors.numpy import load

    wanted = (_result(record, "num_test"),)
    try:
        values = load(data)["metric"]
    except Exception as error:  # safetensors has many ways to say so
        raise DamagedError(f"cell {record.name}: damaged: no values of examples") from error
    if values.shape != wanted:
        raise DamagedError(
            f"cell {record.name}: damaged: values of shape {values.shape}, wanted {wanted}"
        )
    return values


def _unpacked(bits: bytes, count: int) -> "NDArray[Any]":
    """One bit for each image, the first in the lowest bit."""
    import numpy as np

    packed = np.frombuffer(bits, np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(bool)


def _finished(
    store: Store, run: RunRecord, role: str
) -> Iterator[tuple[RunRow, CellRecord | None]]:
    """The rows whose training is finished, with the record of their cell or mask."""
    finished = store.cell_names()
    for row in run.rows:
        name = getattr(row, role)
        if row.cell in finished and (name is None or name in finished):
            yield row, None if name is None else store.get(name)


def _result(record: CellRecord, name: str) -> Any:
    """A result that every cell of its kind has; raises `DamagedError` if this one has not."""
    if name not in record.results:
        raise DamagedError(f"cell {record.name}: damaged: its record holds no {name}")
    return record.results[name]


_PLACE = ("arm", "level", "replicate", "draw")


def _place(row: RunRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _PLACE}


def _product(shape: list[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
