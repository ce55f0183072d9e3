"""What is made in each round, and what it has to become: the cells of an undisturbed run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lottery_ticket.experiment import Context, Plan, inspect_inputs, plan, run_plan
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.store import Store

__all__ = ["RUNS", "Cell", "held", "planned", "undisturbed"]

SMALL = {
    "data": {"name": "digits"},
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 64},
    "prune": {"rate": 0.4, "levels": 2},
}
RUNS: tuple[dict[str, Any], ...] = (
    SMALL
    | {
        "name": "long",
        "model": {"name": "LeNet300", "hidden": [60, 30]},
        "train": {**SMALL["train"], "duration": "120ep"},
        "arms": ["ticket", "reinit", "random"],
        "replicates": 2,
    },
    SMALL
    | {
        "name": "short",
        "model": {"name": "LeNet300", "hidden": [20, 10]},
        "train": {**SMALL["train"], "duration": "20ep"},
        "arms": ["ticket", "reinit"],
        "replicates": 2,
    },
)
"""Trainings of a second and of a tenth of it, and masks of no time."""


class Cell(NamedTuple):
    """All that a finished cell consists of, but for how and when it ran."""

    record: bytes
    """With the checksum of each file."""
    kept: frozenset[str]
    """The files that are there; they were read, and are as the record says."""


def planned() -> list[Plan]:
    """The plans of all runs."""
    specs = [spec_from_mapping(values) for values in RUNS]
    return [plan(spec, inspect_inputs(spec, None)) for spec in specs]


def undisturbed(plans: list[Plan], folder: Path) -> Mapping[str, Cell]:
    """What becomes of the plans where nothing happens: one process, one folder."""
    store = Store(folder)
    for made in plans:
        outcome = run_plan(made, store, Context(store, threads=1))
        assert outcome.is_complete, outcome.failures
    return held(store)


def held(store: Store) -> dict[str, Cell]:
    """All finished cells of a store, whose files are read.

    Raises:
        DamagedError: one is not as it was written.
    """
    found = {name: store.checked(name) for name in sorted(store.cell_names())}
    return {name: Cell(one.record.to_bytes(), one.kept) for name, one in found.items() if one}
