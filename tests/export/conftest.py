"""A tiny run, with all weights kept and with only those that are needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lottery_ticket.api import RunResult, load_run, run
from lottery_ticket.export import FORMATS

SPEC = {
    "name": "tiny",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [12, 8]},
    "train": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "1ep"},
    "prune": {"criterion": "magnitude", "scope": "global", "rate": 0.5, "levels": 2},
    "arms": ["ticket", {"reinit": {"draws": 2}}, "signed_constant", "dense_small", "finetune"],
    "rewind": "5it",
    "replicates": 2,
}


@pytest.fixture(scope="session")
def tiny(shared_folder) -> RunResult:
    return load_run(store=shared_folder("tiny", lambda store: run_tiny(store, "all")))


@pytest.fixture(scope="session")
def thrifty(shared_folder) -> RunResult:
    return load_run(store=shared_folder("thrifty", lambda store: run_tiny(store, "needed")))


def run_tiny(store: Path, keep: str) -> None:
    run(SPEC, store=store, jobs=1, progress=False, keep=keep)


@pytest.fixture
def forgotten_formats() -> Iterator[None]:
    """The formats that a test adds are there for its own time."""
    with FORMATS.restored():
        yield
