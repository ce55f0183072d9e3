"""Runs: finding them, and what is removed with one."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from small_cells import cell_folder, commit, everything, name_of, record_of, run_of

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store import (
    SCHEMA_VERSION,
    TABLE_COLUMNS,
    RunClaim,
    RunRecord,
    Store,
    correct_rows,
    default_store_path,
    history_rows,
    table_rows,
)
from lottery_ticket.store._files import remove


@pytest.fixture
def three(store):
    """Cells 0 … 5: one run has 0 … 2, another one 2 … 3; 4 and 5 belong to none."""
    for number in range(6):
        commit(store, number, bytes(1000))
    store.save_run(run_of(range(3), "one-11111111"))
    other = run_of([2, 3], "other-22222222")
    store.save_run(RunRecord(**{**vars(other), "created": 2.0}))
    return store


def test_runs_are_found(three):
    assert [run.id for run in three.runs()] == ["one-11111111", "other-22222222"]
    for reference in ("one-11111111", "one", "one-1"):
        assert three.run(reference).id == "one-11111111"
    assert three.run("last").id == "other-22222222"
    assert three.run("one").name == "small"
    assert three.run("one") == run_of(range(3), "one-11111111")


def test_an_id_that_begins_another_one_is_itself(three):
    three.save_run(run_of([1], "one"))
    assert three.run("one").id == "one"


def test_runs_that_cannot_be_found(three, tmp_path):
    with pytest.raises(UsageError, match="'o' could be any of: one-11111111, other-22222222"):
        three.run("o")
    with pytest.raises(UsageError, match="no run 'ona-11111111'; did you mean 'one-11111111'"):
        three.run("ona-11111111")
    with pytest.raises(UsageError, match=r"no runs here; start one with `lottery run quickstart`"):
        Store(tmp_path / "none").run("last")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"rows": [[1]]}', b"\xff\xff", b"7"])
def test_a_damaged_run_file_is_named_and_can_be_written_anew(data, three):
    path = three.root / "runs" / "one-11111111.json"
    path.write_bytes(data)
    for look in (three.runs, lambda: three.run("one"), lambda: three.run("last")):
        with pytest.raises(StoreError, match=r"one-11111111\.json: damaged run record") as error:
            look()
        assert "run its spec again" in str(error.value)
    with pytest.raises(StoreError):  # what it held must not be taken for garbage
        three.collect_garbage()
    three.save_run(run_of(range(3), "one-11111111"))
    assert three.run("one") == run_of(range(3), "one-11111111")


def test_a_run_keeps_its_time_of_creation(three):
    again = RunRecord(**{**vars(run_of(range(3), "one-11111111")), "created": 99.0})
    assert three.save_run(again).created == 1.0
    assert three.run("one").created == 1.0


def test_the_bytes_of_a_run(store):
    run = run_of([1])
    values = json.loads(run.to_bytes())
    assert values["rows"] == [["ticket", 0, 0, 0, 100, name_of(1), None]]
    # off: runs of an earlier version are the same bytes
    assert not {"others", "model", "margin", "claim"} & values.keys()
    layers = {"z.weight": [1, 2], "a.weight": [3]}
    more = {"num_prunable": 5, "layers": layers, "others": (name_of(2), name_of(3)), "margin": 0.5}
    more |= {"claim": RunClaim(2, 7, 0.5), "rows": (replace(run.rows[0], level=2),)}
    ordered = RunRecord(**{**vars(run), **more})
    again = RunRecord.from_bytes(ordered.to_bytes(), "here")
    assert again == ordered
    assert list(again.layers) == ["z.weight", "a.weight"]
    assert again.cells() == {name_of(number) for number in (1, 2, 3)}


def test_removing_a_run_leaves_what_others_need(three):
    run = three.run("one")
    before = everything(three.root)
    would = three.remove_run(run, dry_run=True)
    assert everything(three.root) == before
    size = sum(
        path.stat().st_size
        for number in (0, 1)
        for path in cell_folder(three, name_of(number)).iterdir()
    )
    assert (would.num_cells, would.num_bytes) == (2, size)
    assert three.remove_run(run) == would
    assert three.cell_names() == {name_of(number) for number in (2, 3, 4, 5)}
    assert [left.id for left in three.runs()] == ["other-22222222"]
    assert three.check(name_of(2)) is not None
    assert list((three.root / "work").iterdir()) == []


def test_garbage_is_what_no_run_needs(three):
    busy = three.claim(name_of(4))
    three.save_run(run_of([2, 3, 6], "other-22222222"))
    checkpoint = three.claim(name_of(6))  # a cell of a run, in the making
    (checkpoint.folder / "checkpoint").write_bytes(b"half")
    checkpoint.release()
    leftover = three.claim(name_of(77))
    (leftover.folder / "checkpoint").write_bytes(b"x" * 500)
    leftover.release()
    before = everything(three.root)
    would = three.collect_garbage(dry_run=True)
    assert everything(three.root) == before
    freed = three.collect_garbage()
    assert freed == would
    assert freed.num_cells == 1
    assert freed.num_bytes > 1500
    assert three.cell_names() == {name_of(number) for number in (0, 1, 2, 3, 4)}
    assert (three.work_folder(name_of(6)) / "checkpoint").read_bytes() == b"half"
    assert not three.work_folder(name_of(77)).exists()
    busy.release()
    assert three.collect_garbage().num_cells == 1
    assert three.cell_names() == {name_of(number) for number in range(4)}
    assert three.collect_garbage().num_bytes == 0


def test_cells_that_fill_no_row_are_kept_for_the_run(three):
    three.save_run(run_of([2, 3], "other-22222222", others=(name_of(4),)))
    three.collect_garbage()
    assert name_of(4) in three.cell_names()
    assert name_of(5) not in three.cell_names()


def test_two_may_remove_the_same(tmp_path):
    """`gc` finds what `rm` has set aside, and both go on."""
    for _ in range(5):
        folder = tmp_path / "discarded"
        folder.mkdir()
        for number in range(400):
            (folder / str(number)).touch()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(remove, [folder] * 3))
        assert not folder.exists()


def test_a_row_of_the_table(three):
    commit(three, 9, test_accuracy=0.25, val_accuracy=None, early_stop_step=19)
    (row,) = table_rows(three, run_of([9]))
    assert set(row) == set(TABLE_COLUMNS)
    assert row["schema_version"] == SCHEMA_VERSION
    assert (row["run"], row["cell"]) == ("small-00000000", name_of(9))
    assert (row["density"], row["num_kept"], row["num_prunable"]) == (1.0, 100, 100)
    assert (row["test_accuracy"], row["val_accuracy"], row["early_stop_step"]) == (0.25, None, 19)
    assert (row["device"], row["threads"], row["train_seconds"]) == ("cpu", 1, 1.5)
    for column, kind in TABLE_COLUMNS.items():
        assert row[column] is None or type(row[column]) is kind, column


def test_which_test_images_were_right(three):
    files = {"test_correct.bits": b"\x05\x81"}
    record = record_of(name_of(9), files, num_test=10)
    claim = three.claim(record.name)
    assert claim is not None
    three.commit(claim, record, files, {})
    # cell 0 is a regression: it has none, and no row
    (row,) = correct_rows(three, run_of([0, 9]))
    assert (row["arm"], row["level"], row["replicate"], row["draw"]) == ("ticket", 1, 0, 0)
    assert [int(is_right) for is_right in row["correct"]] == [1, 0, 1, 0, 0, 0, 0, 0, 1, 0]


def test_images_that_do_not_fit_are_damage(three):
    """A count beyond the bits would be filled up with wrong ones, or take all memory."""
    for number, num_test in ((10, 16), (11, 17), (12, 8), (13, 0), (14, 2**62)):
        record = record_of(name_of(number), {"test_correct.bits": b"\x05\x81"}, num_test=num_test)
        claim = three.claim(record.name)
        assert claim is not None
        three.commit(claim, record, {"test_correct.bits": b"\x05\x81"}, {})
        rows = correct_rows(three, run_of([10, number]))
        if number == 10:
            assert len(list(rows)) == 2
        else:
            with pytest.raises(DamagedError, match=f"{name_of(number)}: damaged: 2 bytes for"):
                list(rows)


@pytest.mark.parametrize(
    "measured",
    [{"test_loss": 1.0}, {"step": -1}, {"step": 0.5}, {"step": 2**70}, {"step": 1, "level": 7}],
)
def test_a_history_without_its_steps_is_damage(measured, three):
    commit(three, 9, history=[{"step": 1, "test_loss": 1.0}, measured])
    with pytest.raises(DamagedError, match=f"{name_of(9)}: damaged: its history holds"):
        history_rows(three, run_of([0, 9]))


@pytest.mark.parametrize("file_name", ["record.json", "execution.json"])
def test_a_table_says_that_a_training_is_damaged(file_name, three):
    path = cell_folder(three, name_of(1)) / file_name
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(DamagedError, match=f"{file_name}: damaged"):
        table_rows(three, run_of(range(3)))


def test_only_finished_trainings_have_a_row(three):
    assert [row["level"] for row in table_rows(three, run_of([0, 1000, 1]))] == [0, 2]


def test_where_the_store_is(monkeypatch):
    monkeypatch.delenv("LOTTERY_STORE", raising=False)
    assert str(default_store_path()) == "lottery_runs"
    monkeypatch.setenv("LOTTERY_STORE", "/elsewhere")
    assert str(default_store_path()) == "/elsewhere"
