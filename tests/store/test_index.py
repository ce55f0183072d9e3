"""The index is a cache: wrong or gone, it is made anew."""

import hashlib
import random
import sqlite3
import sys
from pathlib import Path

import pytest
from small_cells import WEIGHTS, cell_folder, commit, name_of, record_of

from lottery_ticket.store import Store


@pytest.fixture
def filled(store):
    for number in range(5):
        commit(store, number, test_accuracy=number / 10)
    store.cells()
    return store


def accuracies(store: Store) -> dict[str, float]:
    return {name: cell.summary["test_accuracy"] for name, cell in store.cells().items()}


ALL = {name_of(number): number / 10 for number in range(5)}


def test_what_is_listed(filled):
    assert accuracies(filled) == ALL
    cell = filled.cells()[name_of(3)]
    assert cell.content == filled.get(name_of(3)).content
    assert cell.summary == {
        "test_accuracy": 0.3, "test_loss": 1.25, "num_steps": 38, "val_loss": None,
    }  # fmt: skip
    assert cell.execution == filled.execution(name_of(3))
    assert set(filled.cells([name_of(1), "unknown"])) == {name_of(1)}
    assert filled.cells([]) == {}


def garbage(index):
    index.write_bytes(b"garbage" * 1000)


def empty(index):
    index.write_bytes(b"")


def damaged_page(index):
    data = bytearray(index.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    index.write_bytes(bytes(data))


def another_table(index):
    index.unlink()
    with sqlite3.connect(index) as database:
        database.execute("CREATE TABLE cells (other TEXT)")
    database.close()


def damaged_row(index):
    with sqlite3.connect(index) as database:
        database.execute("UPDATE cells SET summary = '{'")
    database.close()


def gone(index):
    index.unlink()


def a_folder(index):
    index.unlink()
    index.mkdir()


@pytest.mark.parametrize(
    "damage", [gone, garbage, empty, damaged_page, another_table, damaged_row, a_folder]
)
def test_a_damaged_index_is_made_anew(damage, filled):
    damage(filled.root / "index.sqlite")
    assert accuracies(filled) == ALL
    assert accuracies(Store(filled.root)) == ALL


def test_what_changes_is_seen(filled):
    commit(filled, 5, test_accuracy=0.5)
    assert accuracies(filled) == {**ALL, name_of(5): 0.5}
    filled.discard(name_of(5))
    assert accuracies(filled) == ALL
    filled.discard(name_of(2))
    commit(filled, 2, test_accuracy=0.99)
    assert accuracies(filled) == {**ALL, name_of(2): 0.99}


def test_another_process_cache_is_not_trusted_over_the_folders(filled):
    index = filled.root / "index.sqlite"
    before = index.read_bytes()
    filled.discard(name_of(0))
    assert name_of(0) not in accuracies(filled)
    index.write_bytes(before)  # an index from the past
    assert accuracies(filled) == {name: value for name, value in ALL.items() if name != name_of(0)}


def test_a_damaged_cell_is_not_listed(filled):
    (filled.root / "index.sqlite").unlink()
    (cell_folder(filled, name_of(1)) / "record.json").write_bytes(b"{}")
    (cell_folder(filled, name_of(2)) / "execution.json").unlink()
    assert set(accuracies(filled)) == {name_of(0), name_of(3), name_of(4)}


def check_is_used(store):
    """A listing opens the index and no record: otherwise the index would only cost time."""
    opened = []
    sys.addaudithook(
        lambda event, arguments: event == "open" and opened.append(Path(str(arguments[0])).name)
    )
    assert accuracies(store) == ALL
    assert opened.count("index.sqlite") == 1
    assert not {"record.json", "execution.json"} & set(opened)


def test_the_index_is_used(filled):
    check_is_used(Store(filled.root))


def test_an_index_that_is_not_used_is_caught(filled):
    (filled.root / "index.sqlite").write_bytes(b"")
    with pytest.raises(AssertionError):
        check_is_used(Store(filled.root))


def check_flips(store, flips=None, seal=lambda damaged: damaged):
    """No bit of the file changes what is listed."""
    index = store.root / "index.sqlite"
    written = index.read_bytes()
    for number in flips or random.Random(0).sample(range(8 * len(written)), 200):
        damaged = bytearray(written)
        damaged[number // 8] ^= 1 << number % 8
        index.write_bytes(seal(damaged))
        assert accuracies(store) == ALL, number


def test_no_flipped_bit_is_listed(filled):
    check_flips(filled)


def sealed_again(damaged):
    payload = damaged[: -hashlib.sha256().digest_size]
    return payload + hashlib.sha256(payload).digest()


def test_an_index_without_a_checksum_is_caught(filled):
    # 0.4 is shown as 0.5
    written = (filled.root / "index.sqlite").read_bytes()
    at = 8 * written.index(b'"test_accuracy": 0.4') + 8 * 19
    with pytest.raises(AssertionError, match=str(at)):
        check_flips(filled, [at], sealed_again)


def test_a_record_that_is_written_over_in_place_is_read_anew(filled):
    path = cell_folder(filled, name_of(1)) / "record.json"
    better = record_of(name_of(1), {WEIGHTS: b"\x00\x01\x02"}, test_accuracy=0.9)
    path.write_bytes(better.to_bytes())
    assert accuracies(filled) == {**ALL, name_of(1): 0.9}
    path.write_bytes(better.to_bytes().replace(b"0.9", b"0.8"))
    assert accuracies(filled) == {n: v for n, v in ALL.items() if n != name_of(1)}


def test_nothing_beside_the_index_is_opened(filled):
    """A journal left by a stranger would be rolled back, and what it names be deleted."""
    beside = [filled.root / f"index.sqlite{end}" for end in ("-journal", "-wal", "-shm")]
    for path in beside:
        path.write_bytes(b"a stranger's")
    assert accuracies(filled) == ALL
    assert all(path.read_bytes() == b"a stranger's" for path in beside)
