"""Stores of small runs that differ in their recipes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from small_cells import SPEC, name_of, record_of

from lottery_ticket.spec import parse_overrides
from lottery_ticket.spec._load import override_
from lottery_ticket.store import RunRecord, RunRow, Store


def spec_of(*overrides: str, name: str = "grid") -> dict[str, Any]:
    """The spec of small cells, changed as `--set` changes one."""
    spec = {key: dict(value) if isinstance(value, dict) else value for key, value in SPEC.items()}
    override_(spec, parse_overrides(overrides))
    return {**spec, "name": name}


def add_run(
    store: Store,
    number: int,
    spec: Mapping[str, Any],
    means: Mapping[str, Sequence[float]],
    *,
    finished: int | None = None,
    replicates: int = 3,
    **others: Any,
) -> RunRecord:
    """A run whose trainings have these accuracies, arm → one for each level.

    Args:
        finished: how many of its trainings are; None for all.
    """
    store.open_for_writing()
    rows, values = [], []
    for arm, levels in means.items():
        for level, mean in enumerate(levels):
            for replicate in range(replicates):
                cell = name_of(1000 * number + len(rows))
                rows.append(RunRow(arm, level, replicate, 0, 100 >> level, cell, None))
                values.append(mean + 0.0004 * (replicate - 1))
    spec = {**spec, "arms": [{"name": arm, "draws": 1} for arm in means], "replicates": replicates}
    run_id = f"{spec['name']}-{number:08x}"
    shape = {"fc1.weight": [10, 10]}
    run = RunRecord(run_id, 1_760_000_000.0 + number, spec, 100, shape, tuple(rows), **others)
    store.save_run(run)
    for row, value in list(zip(rows, values, strict=True))[:finished]:
        claim = store.claim(row.cell)
        assert claim is not None
        record = record_of(row.cell, {}, test_accuracy=value, num_test=10_000)
        store.commit(claim, record, {}, {"device": "cpu", "threads": 1, "train_seconds": 1.5})
    return run


WINS = {"ticket": [0.98, 0.981, 0.9], "reinit": [0.98, 0.95, 0.8]}
LOSES = {"ticket": [0.97, 0.93, 0.91], "reinit": [0.97, 0.96, 0.95]}


def grid(place: Path) -> Store:
    """Four runs of a grid, of which one wins, one has no result yet, and one has a name."""
    store = Store(place)
    for number, (lr, levels) in enumerate([(0.1, 2), (0.1, 3), (0.01, 2), (0.01, 3)]):
        spec = spec_of(f"train.lr={lr}", f"prune.levels={levels}")
        means = WINS if number == 1 else LOSES
        add_run(store, number, spec, means, finished=0 if number == 3 else None)
    return store
