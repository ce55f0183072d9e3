"""Thousands of cells; how long they take is benchmarks/bench_store.py's to say."""

import pytest
from small_cells import SPEC, name_of, record_of

from lottery_ticket.store import Execution, RunRecord, RunRow, Store, table_rows

NUM_RUNS = 10


@pytest.fixture(scope="module", params=[1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def num_cells(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def many(tmp_path_factory, num_cells) -> Store:
    """Real records, written without the syncs that make so many commits slow."""
    store = Store(tmp_path_factory.mktemp("many") / "store")
    store.open_for_writing()
    for number in range(num_cells):
        name = name_of(number)
        folder = store.root / "cells" / name[:2] / name
        folder.mkdir(parents=True)
        record = record_of(name, {}, test_accuracy=number / num_cells)
        (folder / "record.json").write_bytes(record.to_bytes())
        how = Execution({"device": "cpu", "threads": 1})
        (folder / "execution.json").write_bytes(how.to_bytes(name))
    for number in range(NUM_RUNS):
        store.save_run(run_at(number, num_cells // NUM_RUNS))
    return store


def run_at(number: int, share: int) -> RunRecord:
    rows = tuple(
        RunRow("ticket", i % 20, i // 20, 0, 100 - i % 20, name_of(number * share + i), None)
        for i in range(share)
    )
    return RunRecord(f"small-{number:08d}", float(number), SPEC, 100, {"w": [10, 10]}, rows)


def test_all_are_listed(many, num_cells):
    for _ in range(2):  # with the index cold, and warm
        cells = many.cells()
        assert len(cells) == num_cells == len(many.cell_names())
        found = [cells[name_of(i)].summary["test_accuracy"] for i in range(num_cells)]
        assert found == [i / num_cells for i in range(num_cells)]


def test_the_tables_and_runs_are_right(many, num_cells):
    assert [run.id for run in many.runs()] == [f"small-{i:08d}" for i in range(NUM_RUNS)]
    rows = table_rows(many, many.run("small-00000003"))
    share = num_cells // NUM_RUNS
    wanted = range(3 * share, 4 * share)
    assert [row["test_accuracy"] for row in rows] == [number / num_cells for number in wanted]
    assert [row["cell"] for row in rows] == [name_of(number) for number in wanted]
    assert {row["run"] for row in rows} == {"small-00000003"}
