"""A tiny experiment on real digits, and ways to run and compare it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lottery_ticket.experiment import Context, Plan, inspect_inputs, plan, run_plan
from lottery_ticket.spec import Spec, spec_from_mapping
from lottery_ticket.store import Store

TINY = {
    "name": "tiny",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [20, 10]},
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "2ep"},
    "prune": {"rate": 0.4, "levels": 2},
    "arms": ["ticket", "reinit"],
    "replicates": 1,
}


@pytest.fixture
def tiny() -> Callable[..., Spec]:
    """A function that makes the tiny spec, with some of its keys replaced."""

    def make(**changes: object) -> Spec:
        values = {key: dict(v) if isinstance(v, dict) else v for key, v in TINY.items()}
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(values.get(key), dict):
                merged = values[key] | value  # None takes a key away
                values[key] = {k: v for k, v in merged.items() if v is not None}
            else:
                values[key] = value
        return spec_from_mapping(values)

    return make


def planned(spec: Spec, data_dir: Path | None = None) -> Plan:
    return plan(spec, inspect_inputs(spec, data_dir))


def run_in(folder: Path, spec: Spec, *, jobs: int = 1, **options):
    """Run a spec into a store; returns the store and the outcome."""
    observer = options.pop("observer", None)
    made = planned(spec, options.get("data_dir"))
    store = Store(folder)
    context = Context(store, **options)
    return store, run_plan(made, store, context, jobs=jobs, observer=observer)


def digests(folder: Path) -> dict[str, str]:
    """Every byte that a run's results consist of; how and when it ran is left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "cells").rglob("*"))
        if path.is_file() and path.name != "execution.json"
    }
