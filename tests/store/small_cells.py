"""Small finished cells and runs, made through the store's own verbs."""

from pathlib import Path
from typing import Any

from lottery_ticket.store import CellRecord, RunRecord, RunRow, Store

SPEC = {
    "name": "small",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300"},
    "train": {"optimizer": "sgd", "lr": 0.1, "batch_size": 64, "duration": "2ep"},
    "rewind": "0it",
    "prune": {"criterion": "magnitude", "scope": "global", "rate": 0.5, "levels": 9},
    "arms": [{"name": "ticket", "draws": 1}],
    "replicates": 1,
}
WEIGHTS = "weights.safetensors"


def name_of(number: int) -> str:
    """A cell's name: 64 hex digits, spread over the shards."""
    return f"{number * 2654435761 % 2**32:08x}" + f"{number:056x}"


def record_of(name: str, files: dict[str, bytes], **results: Any) -> CellRecord:
    """The record of a training."""
    measured = {"test_accuracy": 0.5, "test_loss": 1.25, "num_steps": 38, "val_loss": None}
    inputs = {"kind": "train", "train": {"lr": 1e-05}, "seeds": {"init": 3}}
    return CellRecord.of(name, inputs, {}, files, {**measured, "history": [], **results})


def commit(store: Store, number: int, data: bytes = b"\x00\x01\x02", **results: Any) -> str:
    """Commit cell `number`; returns its name."""
    name = name_of(number)
    claim = store.claim(name)
    assert claim is not None
    files = {WEIGHTS: data}
    execution = {"device": "cpu", "threads": 1, "precision": "fp32", "train_seconds": 1.5}
    store.commit(claim, record_of(name, files, **results), files, execution)
    return name


def run_of(numbers: range | list[int], run_id: str = "small-00000000", **others: Any) -> RunRecord:
    """A run whose rows are those cells, one per level."""
    rows = tuple(
        RunRow("ticket", level, 0, 0, 100 - level, name_of(number), None)
        for level, number in enumerate(numbers)
    )
    return RunRecord(run_id, 1.0, SPEC, 100, {"fc1.weight": [10, 10]}, rows, **others)


def cell_folder(store: Store, name: str) -> Path:
    """Where a finished cell lies."""
    return store.root / "cells" / name[:2] / name


def everything(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
