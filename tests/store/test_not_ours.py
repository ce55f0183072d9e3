"""What the store did not write, and what someone is working on, is never removed."""

import pytest
from small_cells import commit, everything, name_of, run_of

from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.store import Store


def test_a_folder_of_other_files_is_no_store(tmp_path):
    thesis = tmp_path / "work" / "thesis" / "chapter.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(StoreError, match="not a store: it holds 'work'"):
        Store(tmp_path)
    assert thesis.read_text() == "years of work"


def test_an_empty_or_new_folder_becomes_a_store(tmp_path):
    for folder in (tmp_path, tmp_path / "deep" / "new"):
        Store(folder).open_for_writing()
        assert Store(folder).runs() == []


def test_strangers_in_a_store_are_passed_over(store):
    commit(store, 0)
    store.save_run(run_of([0]))
    for place in ("work/thesis", "cells/aa/mydata"):
        (store.root / place).mkdir(parents=True)
        (store.root / place / "mine.txt").write_text("mine")
    before = everything(store.root)
    assert store.collect_garbage().num_bytes == 0
    assert store.cell_names() == {name_of(0)}
    assert everything(store.root) == before


def test_a_run_that_is_being_run_is_not_removed(store):
    commit(store, 0)
    run = store.save_run(run_of([0, 1]))
    claim = store.claim(name_of(1))
    assert claim is not None
    with pytest.raises(UsageError, match="is being run; stop it first"):
        store.remove_run(run)
    assert store.get(name_of(0)) is not None
    claim.release()
    assert store.remove_run(run).num_cells == 1
    assert store.cell_names() == set()


def test_looking_into_an_empty_folder_leaves_it_empty(tmp_path):
    assert Store(tmp_path).cells() == {}
    assert list(tmp_path.iterdir()) == []
    Store(tmp_path).open_for_writing()
