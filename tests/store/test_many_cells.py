"""Ten thousand cells; how long they take is benchmarks/bench_store.py's to say."""

import pytest
from small_cells import SPEC, name_of, record_of

from lottery_ticket.store import Execution, RunRecord, RunRow, Store, table_rows

NUM_CELLS = 10_000
NUM_RUNS = 10


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Store:
    """Real records, written without the syncs that make 10,000 commits slow."""
    store = Store(tmp_path_factory.mktemp("many") / "store")
    store.open_for_writing()
    for number in range(NUM_CELLS):
        name = name_of(number)
        folder = store.root / "cells" / name[:2] / name
        folder.mkdir(parents=True)
        record = record_of(name, {}, test_accuracy=number / NUM_CELLS)
        (folder / "record.json").write_bytes(record.to_bytes())
        how = Execution({"device": "cpu", "threads": 1})
        (folder / "execution.json").write_bytes(how.to_bytes(name))
    for number in range(NUM_RUNS):
        store.save_run(run_at(number))
    return store


def run_at(number: int) -> RunRecord:
    share = NUM_CELLS // NUM_RUNS
    rows = tuple(
        RunRow("ticket", i % 20, i // 20, 0, 100 - i % 20, name_of(number * share + i), None)
        for i in range(share)
    )
    return RunRecord(f"small-{number:08d}", float(number), SPEC, 100, {"w": [10, 10]}, rows)


def test_all_are_listed(many):
    for _ in range(2):  # with the index cold, and warm
        cells = many.cells()
        assert len(cells) == NUM_CELLS == len(many.cell_names())
        found = [cells[name_of(i)].summary["test_accuracy"] for i in range(NUM_CELLS)]
        assert found == [i / NUM_CELLS for i in range(NUM_CELLS)]


def test_the_tables_and_runs_are_right(many):
    assert [run.id for run in many.runs()] == [f"small-{i:08d}" for i in range(NUM_RUNS)]
    rows = table_rows(many, many.run("small-00000003"))
    assert len(rows) == 1000
    assert [row["test_accuracy"] for row in rows] == [(3000 + i) / NUM_CELLS for i in range(1000)]
    assert [row["cell"] for row in rows] == [name_of(3000 + i) for i in range(1000)]
    assert {row["run"] for row in rows} == {"small-00000003"}
