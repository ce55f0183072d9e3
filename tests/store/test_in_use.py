"""A run that is being run is not removed: a lock for each process at work on it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_cells import commit, name_of, run_of

from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.store.local import in_use as _in_use
from lottery_ticket.store.local.claims import Locks

HERE = Path(__file__).parent
RUN = "small-00000000"

HOLD = """
import sys
from lottery_ticket.store import Store
with Store(sys.argv[1]).in_use(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(store):
    """Processes that are at work on a run."""
    started = []

    def hold(run_id: str = RUN) -> subprocess.Popen[str]:
        line = [sys.executable, "-c", HOLD, str(store.root), run_id]
        pipe = subprocess.PIPE
        process = subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def check_is_kept_while_run(store, hold):
    """The law: as long as one process runs it; a dead one counts no more."""
    commit(store, 0)
    run = store.save_run(run_of([0]))
    first, second = hold(), hold()  # two may run it together
    for end in (lambda: first.communicate(""), lambda: second.send_signal(signal.SIGKILL)):
        with pytest.raises(UsageError, match="is being run; stop it first"):
            store.remove_run(run)
        assert store.cell_names() == {name_of(0)}
        end()
    second.wait()
    assert store.remove_run(run).num_cells == 1
    assert list((store.root / "work").iterdir()) == []


def test_a_run_is_kept_as_long_as_someone_runs_it(store, hold):
    check_is_kept_while_run(store, hold)


def test_a_lock_that_a_process_keeps_to_itself_is_caught(store, hold, monkeypatch):
    monkeypatch.setattr(Locks, "living", lambda claims, paths: set())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_is_kept_while_run(store, hold)


def test_a_lock_that_outlives_its_process_is_caught(store, hold, monkeypatch):
    monkeypatch.setattr(Locks, "living", lambda claims, paths: set(paths))
    with pytest.raises((AssertionError, UsageError)):
        check_is_kept_while_run(store, hold)


def test_other_runs_can_be_removed_meanwhile(store, hold):
    commit(store, 0)
    commit(store, 1)
    store.save_run(run_of([0], "small.x-1"))
    other = store.save_run(run_of([0, 1], "small-1"))
    hold("small.x-1")
    assert store.remove_run(other).num_cells == 1
    assert store.cell_names() == {name_of(0)}


def test_garbage_is_not_collected_from_a_run_whose_record_is_gone(store, hold):
    commit(store, 0)
    hold()
    with pytest.raises(StoreError, match=r"small-00000000\.json: missing, while it is being run"):
        store.collect_garbage()
    assert store.cell_names() == {name_of(0)}
    store.save_run(run_of([0]))
    assert store.collect_garbage().num_cells == 0


def test_a_run_begins_when_nobody_removes(store, monkeypatch):
    monkeypatch.setattr(_in_use, "_PATIENCE_SECONDS", 0.0)
    with (
        _in_use.removing(store._paths, Locks()),
        pytest.raises(StoreError, match="is removing"),
        store.in_use(RUN),
    ):
        pytest.fail("it began")
    with store.in_use(RUN), _in_use.removing(store._paths, Locks()):
        assert _in_use.runs_in_use(store._paths, Locks()) == {RUN}
    assert list((store.root / "work").iterdir()) == []


def test_a_read_only_look_takes_no_lock(store, hold):
    commit(store, 0)
    run = store.save_run(run_of([0]))
    before = list((store.root / "work").iterdir())
    assert store.remove_run(run, dry_run=True).num_cells == 1
    assert store.collect_garbage(dry_run=True).num_cells == 0
    assert list((store.root / "work").iterdir()) == before == []
