"""The index is a cache: wrong or gone, it is made anew."""

import sqlite3

import pytest
from small_cells import cell_folder, commit, name_of

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


def test_the_index_is_used(filled):
    """Its rows are what is listed: otherwise it would only cost time."""
    with sqlite3.connect(filled.root / "index.sqlite") as database:
        database.execute("UPDATE cells SET summary = json_set(summary, '$.test_accuracy', 0.77)")
    database.close()
    assert set(accuracies(filled).values()) == {0.77}
