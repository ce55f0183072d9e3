"""What failed in a run of one process is said to whoever looks, and forgotten by the next."""

import pytest

from lottery_ticket.api import prepare
from lottery_ticket.experiment import look_at, run_status
from lottery_ticket.store import Failure, Store, note_failure, read_failures
from lottery_ticket.workers import submit

SPEC = {
    "name": "small",
    "data": {"name": "digits"},
    "model": {"name": "MLP", "hidden": [8]},
    "train": {"lr": 0.1, "batch_size": 64, "duration": "1ep"},
    "prune": {"rate": 0.5, "levels": 1},
    "arms": ["ticket", "reinit"],
}
FAILING = {**SPEC, "train": {**SPEC["train"], "lr": 1e30}}


def made(spec, folder):
    return prepare(spec, store=folder, jobs=1, threads=1).run(progress=False)


def test_status_says_what_failed_here(tmp_path):
    result = made(FAILING, tmp_path / "store")
    store = Store(tmp_path / "store")
    found = run_status(store, store.run(result.id))
    assert {"ticket level 0, replicate 0", "reinit level 0, replicate 0"} == set(found.failed)
    assert all("nan" in message for message in found.failed.values())
    assert found.num_waiting == found.num_cells - 2
    # no worker is kept from it
    assert read_failures(store, store.run(result.id).cells()) == {}


def test_the_next_run_forgives_it(tmp_path):
    result = made(FAILING, tmp_path / "store")
    store = Store(tmp_path / "store")
    names = store.run(result.id).cells()
    note_failure(store, sorted(names)[0], Failure("of before", "host", 1, 0.0), is_final=False)
    made(FAILING, tmp_path / "store")
    again = read_failures(store, names, is_final=False)
    assert {failure.message for failure in again.values()} != {"of before"}
    assert len(again) == 2


def test_a_run_that_is_submitted_waits_for_workers_again(tmp_path):
    result = made(FAILING, tmp_path / "store")
    submit(FAILING, store=tmp_path / "store")
    store = Store(tmp_path / "store")
    found = run_status(store, store.run(result.id))
    assert found.failed == {}
    assert found.num_waiting == found.num_cells


def test_what_was_seen_finished_is_not_asked_for_again(tmp_path):
    result = made(SPEC, tmp_path / "store")
    store, asked = Store(tmp_path / "store"), []

    class Counting(type(store)):
        def cells(self, wanted=None):
            asked.append(set(wanted or ()))
            return super().cells(wanted)

    counting = Counting(str(tmp_path / "store"))
    run = counting.run(result.id)
    first = look_at(counting, run)
    second = look_at(counting, run, first.finished)
    assert first == second
    assert asked == [run.cells(), set()]
    some = dict(list(first.finished.items())[:2])
    assert look_at(counting, run, some) == first
    assert asked[-1] == run.cells() - some.keys()


@pytest.mark.parametrize("spec", [SPEC, FAILING], ids=["fine", "failing"])
def test_a_look_given_is_the_look_taken(spec, tmp_path):
    result = made(spec, tmp_path / "store")
    store = Store(tmp_path / "store")
    run = store.run(result.id)
    assert run_status(store, run, look_at(store, run)) == run_status(store, run)
