"""How what runs are called is kept: bytes that later versions read, and clocks that are wrong."""

import re
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_cells import run_of

from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.store import DamagedLabelWarning, RunEdit, RunLabels, Store
from lottery_ticket.store._files import sealed_json

RUN = "small-00000000"
WRITTEN = {
    f"{RUN}.775739241fe4f033": b"""{
 "checksum": "76da01a8aac9ab8086ada339879fbfdbb13dd235b07177250e6ad5bd43e44c0c",
 "at": 1796115266.3796475,
 "name": "best",
 "notes": "the one"
}
""",
    f"{RUN}.ba21bbf183cd87c4": b"""{
 "checksum": "4ebbd1ee8a850a2292822add699d2a51bce8bd6ae3cc13a000c563084010a400",
 "add_tags": [
  "grid"
 ],
 "at": 1796115255.2834837
}
""",
}


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "store")
    store.open_for_writing()
    store.save_run(run_of([1], RUN))
    return store


def test_what_was_written_is_read(store):
    """These bytes are a promise."""
    for name, data in WRITTEN.items():
        store.board.put("labels", name, data)
    assert store.labels() == {RUN: RunLabels("best", ("grid",), "the one")}


def test_what_is_written_is_what_changes(store, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1796115266.3796475)
    store.edit_run(RUN, RunEdit("best", notes="the one"))
    (data,) = store.board.get_all("labels").values()
    assert data == WRITTEN[f"{RUN}.775739241fe4f033"]


def test_what_a_later_version_says_beside_is_left_alone(store):
    data = sealed_json({"at": 1.0, "name": "mine", "colour": "red"})
    store.board.put("labels", f"{RUN}.{'0' * 16}", data)
    assert store.labels_of(RUN) == RunLabels("mine")


@pytest.mark.parametrize("by", [-1e6, -1.0, 0.0, 1e6])
def test_who_has_seen_a_change_comes_after_it_whatever_the_clocks_say(by, store, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    store.edit_run(RUN, RunEdit("first", ["a", "b"], notes="first"))
    monkeypatch.setattr(time, "time", lambda: now + by)
    wanted = RunLabels("second", ("a", "c"), "second")
    edit = RunEdit("second", ["c"], ["b"], "second")
    assert store.edit_run(RUN, edit) == store.labels_of(RUN) == wanted


def test_notes_of_two_stand_until_somebody_writes_new_ones(store):
    store.edit_run(RUN, RunEdit(notes="before"))
    seen = dict(store.board.get_all("labels"))
    store.edit_run(RUN, RunEdit(notes="one"))
    ones = {k: v for k, v in store.board.get_all("labels").items() if k not in seen}
    for name in ones:
        store.board.remove("labels", name)
    store.edit_run(RUN, RunEdit(notes="other"))  # by somebody who has not seen the first
    for name, data in ones.items():
        store.board.put("labels", name, data)
    assert sorted(store.labels_of(RUN).notes.splitlines()) == ["one", "other"]
    assert store.edit_run(RUN, RunEdit(notes="both")).notes == "both"
    assert store.edit_run(RUN, RunEdit(notes="")).notes == ""


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"at": "now"},
        {"at": 1.0, "name": 3},
        {"at": 1.0, "name": "a\nb"},
        {"at": 1.0, "name": "x" * 81},
        {"at": 1.0, "add_tags": "ab"},
        {"at": 1.0, "add_tags": ["a,b"]},
        {"at": 1.0, "add_tags": [1]},
        {"at": 1.0, "notes": "\x1b[2J"},
        {"at": 1.0, "replaces": ["x"]},
        {"at": 1e999},
        {"at": 1e13},
        {"at": -1e300},
        {"at": 2**62},
    ],
)
def test_what_cannot_have_been_written_is_left_out(values, store):
    data = sealed_json(values) if values.get("at") != 1e999 else b'{"at": 1e999}'
    check_is_left_out(store, f"{RUN}.{'0' * 16}", data)


@pytest.mark.parametrize("name", [f"{RUN}.{'0' * 16}", "X"])
@pytest.mark.parametrize("data", [b"garbage\n", b"", b"{}", b"\x00" * (1 << 25)])
def test_what_somebody_put_there_is_left_out(data, name, store):
    check_is_left_out(store, name, data)


def check_is_left_out(store, name, data):
    """What is damaged takes nothing away from what is not, is told of, and goes with garbage."""
    store.edit_run(RUN, RunEdit("mine"))
    store.board.put("labels", name, data)
    place = re.escape(f"{store.location}/board/labels/{name}")
    with pytest.warns(DamagedLabelWarning, match=place):
        assert store.labels() == {RUN: RunLabels("mine")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedLabelWarning)
        assert store.run(RUN).id == store.run("mine").id == RUN
        assert store.labels_of(RUN) == RunLabels("mine")
        assert store.edit_run(RUN, RunEdit(add_tags=["a"])) == RunLabels("mine", ("a",))
    (found,) = store.damaged_labels()
    assert store.location in str(found)
    assert name in str(found)
    store.collect_garbage(dry_run=True)
    assert len(store.damaged_labels()) == 1
    store.collect_garbage()
    assert store.damaged_labels() == []
    assert store.labels() == {RUN: RunLabels("mine", ("a",))}


def test_a_folder_among_the_changes_stops_nobody(store, tmp_path):
    store.edit_run(RUN, RunEdit("mine"))
    (tmp_path / "store" / "board" / "labels" / "X").mkdir()
    with pytest.warns(DamagedLabelWarning):
        assert store.labels() == {RUN: RunLabels("mine")}
    store.collect_garbage()
    assert len(store.damaged_labels()) == 1  # it is not the store's to remove


@pytest.mark.parametrize("at", [4e9, 1e11, 999_999_999_000.0])
def test_who_has_seen_a_change_of_the_far_future_comes_after_it(at, store):
    store.board.put("labels", f"{RUN}.{'f' * 16}", sealed_json({"at": at, "name": "first"}))
    for name in ("second", "third"):
        assert store.edit_run(RUN, RunEdit(name)) == store.labels_of(RUN) == RunLabels(name)


def test_what_can_come_after_nothing_is_said(store):
    at = 999_999_999_999.9998
    store.board.put("labels", f"{RUN}.{'f' * 16}", sealed_json({"at": at, "name": "first"}))
    with pytest.raises(StoreError, match="at the end of time"):
        store.edit_run(RUN, RunEdit("second"))
    assert store.labels_of(RUN) == RunLabels("first")


def test_a_name_is_not_lost_when_an_id_begins_with_it(store):
    store.edit_run(RUN, RunEdit("sweep"))
    store.save_run(run_of([2], "sweep-00000001"))
    store.save_run(run_of([3], "sweep-00000002"))
    assert store.run("sweep").id == RUN
    assert store.run("sweep-00000001").id == "sweep-00000001"
    store.edit_run(RUN, RunEdit(""))
    with pytest.raises(UsageError, match="could be any of: sweep-00000001, sweep-00000002"):
        store.run("sweep")


TEXTS = st.text(max_size=90)


def refused(call) -> str:
    """What a call was refused with; nothing where it was not."""
    try:
        call()
    except UsageError as error:
        return str(error)
    return ""


@given(name=TEXTS, tags=st.lists(TEXTS, max_size=3), notes=TEXTS)
def test_whatever_is_taken_is_kept_and_found(name, tags, notes, tmp_path_factory):
    """Any text is refused with a word of what was wanted, or is there when one asks."""
    said = refused(lambda: RunEdit(name, tags, notes=notes))
    assert said.isprintable()
    if said:
        return
    edit = RunEdit(name, tags, notes=notes)
    store = Store(tmp_path_factory.mktemp("texts") / "store")
    store.open_for_writing()
    store.save_run(run_of([1], RUN))
    if said := refused(lambda: store.edit_run(RUN, edit)):
        assert said.startswith("name: got ")
        return
    found = Store(store.location).labels_of(RUN)
    assert (found.name, found.notes) == (edit.name, edit.notes)
    assert found.tags == tuple(sorted(set(edit.add_tags)))
    if found.name:
        assert store.run(name).id == store.run(found.name).id == RUN
