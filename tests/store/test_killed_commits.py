"""A process killed at any moment of a commit leaves the whole cell, or none and its checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_cells import commit, everything, name_of

from lottery_ticket.store import Store

HERE = Path(__file__).parent
NAME = name_of(1)
DATA = bytes(range(100))

# for each moment a process of its own, in a store of its own
COMMIT = """
import os, signal, sys
from pathlib import Path
import wrong_stores
from small_cells import commit, name_of
from lottery_ticket.store import LocalStore, Store, _files
from lottery_ticket.store.local import store as _store

publish, commits = sys.argv[2:]
if publish != "right":
    _store.publish_folder = getattr(wrong_stores, publish)
if commits != "right":
    LocalStore.commit = getattr(wrong_stores, commits)
write_synced = _files.write_synced
now = lambda: None

def writes(path, data):
    path.write_bytes(data[: len(data) // 2])
    now()
    write_synced(path, data)
    now()

_files.write_synced = writes
changes = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
sys.addaudithook(lambda event, _: now() if event in changes else None)

def dies_at(moment):
    for count in range(1, moment):
        yield
    os.kill(os.getpid(), signal.SIGKILL)

for moment in range(1, 100):
    pid = os.fork()
    if not pid:
        store = Store(Path(sys.argv[1]) / str(moment))
        store.open_for_writing()
        claim = store.claim(name_of(1))
        (claim.folder / "checkpoint").write_bytes(b"so far")
        claim.release()
        now = dies_at(moment).__next__
        commit(store, 1, bytes(range(100)))
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        break
print(moment)
"""


def check_killed_commits(folder, publish="right", commits="right"):
    """All of a cell or nothing is there; what is left is enough to make the same cell."""
    done = subprocess.run(
        [sys.executable, "-c", COMMIT, folder, publish, commits],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    whole = int(done.stdout)  # the first one that came to its end
    wanted = everything(folder / str(whole) / "cells")
    is_finished = []
    for moment in range(1, whole):
        store = Store(folder / str(moment))
        is_finished.append(NAME in store.cell_names())
        if is_finished[-1]:
            assert everything(store.root / "cells") == wanted
        else:
            work = everything(store.work_folder(NAME))
            assert work.get("checkpoint") == b"so far"
        commit(store, 1, DATA)
        assert everything(store.root / "cells") == wanted
        assert list((store.root / "work").iterdir()) == []
    assert is_finished == sorted(is_finished)
    assert len(set(is_finished)) == 2  # some kills came before it was there, some after


def test_a_commit_killed_at_any_moment_is_whole_or_not_there(tmp_path):
    check_killed_commits(tmp_path)


@pytest.mark.parametrize("publish", ["in_place", "in_place_the_record_first", "file_by_file"])
def test_publishing_bit_by_bit_is_caught(publish, tmp_path):
    with pytest.raises(AssertionError):
        check_killed_commits(tmp_path, publish=publish)


def test_clearing_the_claim_before_the_cell_is_there_is_caught(tmp_path):
    with pytest.raises(AssertionError):
        check_killed_commits(tmp_path, commits="clears_its_claim_first")
