"""`get`, `claim`, `commit`: what exists is complete."""

import json

import pytest
import wrong_stores
from small_cells import WEIGHTS, cell_folder, commit, everything, name_of, record_of

from lottery_ticket.errors import StoreError
from lottery_ticket.store import LockClaim, Store

NAME = name_of(1)


def test_nothing_is_made_until_something_is_written(tmp_path):
    store = Store(tmp_path / "store")
    assert store.get(NAME) is None
    assert (store.cells(), store.cell_names(), store.runs()) == ({}, set(), [])
    assert not (tmp_path / "store").exists()


def test_a_committed_cell_is_read_back(store):
    assert commit(store, 1, b"weights") == NAME
    record = store.get(NAME)
    assert record == record_of(NAME, {WEIGHTS: b"weights"})
    assert store.read(record, WEIGHTS) == b"weights"
    assert store.check(NAME) == record
    assert store.execution(NAME)["train_seconds"] == 1.5
    assert store.cell_names() == {NAME}
    assert Store(store.root).get(NAME) == record
    assert list((store.root / "work").iterdir()) == []


def test_nothing_is_seen_before_commit(store):
    claim = store.claim(NAME)
    (claim.folder / "checkpoint").write_bytes(b"half")
    assert store.get(NAME) is None
    assert (store.cells(), store.cell_names()) == ({}, set())
    claim.release()
    assert (store.work_folder(NAME) / "checkpoint").read_bytes() == b"half"


def check_claims_exclude(store):
    """A claim is of one cell, excludes others until it is given back, and then no more."""
    claim = store.claim(NAME)
    assert store.claim(NAME) is None
    assert store.claim(name_of(2)) is not None
    claim.release()
    again = store.claim(NAME)
    assert again is not None
    again.clear()
    assert not again.folder.exists()


def test_a_claim_is_exclusive_until_it_is_given_back(store):
    check_claims_exclude(store)


@pytest.mark.parametrize(
    "take",
    [
        wrong_stores.granted_to_all,
        wrong_stores.never_given_back,
        wrong_stores.of_the_whole_store,
    ],
)
def test_claims_that_exclude_too_little_or_too_much_are_caught(take, store, monkeypatch):
    monkeypatch.setattr(LockClaim, "take", take)
    with pytest.raises(AssertionError):
        check_claims_exclude(store)


def test_the_first_commit_of_a_cell_is_kept(store):
    commit(store, 1, b"first")
    before = everything(store.root)
    commit(store, 1, b"second", test_accuracy=0.9)
    assert everything(store.root) == before
    assert store.claim(NAME) is not None  # the second claim was given back


def test_a_commit_that_fails_leaves_no_half_cell(store):
    claim = store.claim(NAME)
    record = record_of(NAME, {WEIGHTS: b"w"})
    with pytest.raises(StoreError):
        store.commit(claim, record, {"no/such/folder": b"w"}, {})
    assert store.get(NAME) is None
    assert [path.name for path in claim.folder.iterdir()] == ["claim.lock"]
    store.commit(claim, record, {WEIGHTS: b"w"}, {})
    assert store.check(NAME) == record


def test_a_leftover_of_an_earlier_commit_is_written_over(store):
    claim = store.claim(NAME)
    aside = claim.folder / f"result-{claim.token}"
    aside.mkdir()
    (aside / "junk").write_bytes(b"killed before the end")
    record = record_of(NAME, {WEIGHTS: b"w"})
    store.commit(claim, record, {WEIGHTS: b"w"}, {})
    names = {path.name for path in cell_folder(store, NAME).iterdir()}
    assert names == {"record.json", "execution.json", WEIGHTS}


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def remove(path):
    path.unlink()


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flip, cut, remove, replace_by_a_folder])
@pytest.mark.parametrize("file_name", ["record.json", WEIGHTS])
def test_damage_is_found_and_named(damage, file_name, store):
    record = store.get(commit(store, 1, b"weights"))
    commit(store, 2)
    path = cell_folder(store, NAME) / file_name
    damage(path)
    with pytest.raises(StoreError) as error:
        store.check(NAME)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    if file_name == WEIGHTS:
        assert store.get(NAME) == record
        with pytest.raises(StoreError, match=WEIGHTS):
            store.read(record, WEIGHTS)
    assert store.check(name_of(2)) is not None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"\xff"])
def test_a_damaged_execution_record_is_named(data, store):
    commit(store, 1)
    path = cell_folder(store, NAME) / "execution.json"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"execution\.json: damaged"):
        store.check(NAME)
    path.unlink()
    with pytest.raises(StoreError, match=r"execution\.json: damaged: missing"):
        store.check(NAME)


def test_the_record_of_another_cell_is_damage(store):
    commit(store, 1)
    commit(store, 2)
    other = cell_folder(store, name_of(2)) / "record.json"
    (cell_folder(store, NAME) / "record.json").write_bytes(other.read_bytes())
    with pytest.raises(StoreError, match=f"it is the record of {name_of(2)}"):
        store.get(NAME)


def test_a_file_that_was_not_kept_is_not_missed(store):
    claim = store.claim(NAME)
    record = record_of(NAME, {WEIGHTS: b"w"})
    store.commit(claim, record, {}, {"not_kept": [WEIGHTS]})
    assert store.check(NAME) == record
    with pytest.raises(StoreError, match="damaged: missing"):
        store.read(record, WEIGHTS)


def test_a_discarded_cell_is_gone_and_can_be_made_anew(store):
    commit(store, 1, b"first")
    store.discard(NAME)
    store.discard(NAME)  # nothing to do
    assert store.get(NAME) is None
    assert list((store.root / "work").iterdir()) == []
    commit(store, 1, b"second")
    assert store.read(store.get(NAME), WEIGHTS) == b"second"


def test_stray_files_are_passed_over(store):
    commit(store, 1)
    for place in ("cells", f"cells/{NAME[:2]}", "work", "runs"):
        (store.root / place / ".DS_Store").write_bytes(b"a desktop was here")
    assert store.cell_names() == {NAME} == set(store.cells())
    assert store.runs() == []
    assert store.collect_garbage().num_cells == 1


def test_what_is_no_store_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StoreError, match="file: not a folder; choose another with --store"):
        Store(file)
    with pytest.raises(StoreError, match=r"below: cannot be read"):
        Store(file / "below")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "lottery_ticket.store"}'])
def test_another_format_is_refused(content, store):
    (store.root / "format.json").write_text(content)
    with pytest.raises(StoreError, match=r"format\.json: cannot be read|this version reads"):
        Store(store.root)


def test_a_later_format_is_refused(store):
    (store.root / "format.json").write_text(
        json.dumps({"format": "lottery_ticket.store", "version": 3})
    )
    with pytest.raises(StoreError, match=r"'version': 3.*this version reads .*'version': 1"):
        Store(store.root)
