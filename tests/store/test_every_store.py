"""What every kind of store has to do, asked through the verbs of `Store` alone."""

import contextlib
import inspect
import pickle
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from memory_store import MemoryBoard, MemoryStore
from small_cells import WEIGHTS, name_of, record_of, run_of

from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.store import LocalStore, RunEdit, RunLabels, Store
from lottery_ticket.store._label_changes import add_change
from lottery_ticket.store.remote import ObjectStore

LEASE_SECONDS = "3"  # long enough for a machine that is busy, and soon renewed
HOW = {"device": "cpu", "threads": 1, "train_seconds": 1.5}


@dataclass(frozen=True)
class Kind:
    """A kind of store.

    Args:
        type: its class.
        open: opens the one at a place, which is new for each test.
    """

    type: type[Store]
    open: Callable[[Path], Store]


class OneBucket(MemoryBucket):
    """The bucket of a place, for all who ask for it, pickled or not."""

    def __reduce__(self):
        return _bucket_at, (self.location,)


def _bucket_at(location: str) -> OneBucket:
    return _opened.setdefault(location, ObjectStore.over(OneBucket(location))).bucket


def in_a_bucket(place: Path) -> ObjectStore:
    """As `Store("s3://…")` opens it: a process has one client, and what that knows, for all."""
    location = f"memory://{place}"
    _bucket_at(location)
    return _opened[location]


_opened: dict[str, ObjectStore] = {}

KINDS = {
    "memory": Kind(MemoryStore, MemoryStore),
    "local": Kind(LocalStore, Store),
    "lease": Kind(LocalStore, lambda place: Store(place, claims="lease")),
    "bucket": Kind(ObjectStore, in_a_bucket),
}


@pytest.fixture(autouse=True)
def _lease_seconds(monkeypatch):
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", LEASE_SECONDS)


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


def opened(kind: Kind, place: Path) -> Store:
    store = kind.open(place)
    store.open_for_writing()
    return store


def committed(store: Store, number: int, data: bytes = b"\x00\x01", **results: Any) -> bool:
    """Make a cell; whether it was the first."""
    name = name_of(number)
    claim = store.claim(name)
    assert claim is not None
    files = {WEIGHTS: data}
    return store.commit(claim, record_of(name, files, **results), files, HOW)


def test_every_kind_has_every_verb(kind):
    verbs = {
        name: member.fget if isinstance(member, property) else member
        for name, member in vars(Store).items()
        if inspect.isfunction(member) or isinstance(member, property)
    }
    asked = {n for n, verb in verbs.items() if "NotImplementedError" in verb.__code__.co_names}
    assert len(asked) >= 20
    assert {name for name in asked if getattr(kind.type, name) is vars(Store)[name]} == set()


def test_a_store_is_there_once_it_was_made(kind, tmp_path):
    store, other = kind.open(tmp_path / "store"), kind.open(tmp_path / "store")
    assert (store.exists(), other.exists()) == (False, False)
    assert store.runs() == []
    assert not other.exists()
    store.open_for_writing()
    assert (store.exists(), other.exists()) == (True, True)
    assert kind.open(tmp_path / "store").exists()


# cells


def check_commits(kind: Kind, place: Path) -> None:
    """What was committed is there for all who look, whole, and as the first committed it."""
    store, other, name = opened(kind, place), kind.open(place), name_of(1)
    assert (store.get(name), store.finished(name), store.checked(name)) == (None, None, None)
    assert (store.cells(), store.cell_names()) == ({}, set())
    assert committed(store, 1, b"first", test_loss=2.5)
    for each in (store, other, kind.open(place)):
        record = each.get(name)
        assert record is not None
        assert record.results["test_loss"] == 2.5
        assert each.read(record, WEIGHTS) == b"first"
        assert each.execution(name) == HOW
        assert each.finished(name).record == each.checked(name).record == each.check(name) == record
        assert each.finished(name).kept == {WEIGHTS}
        assert each.strangers(each.finished(name)) == []
        assert each.cell_names() == {name}
        found = each.cells()[name]
        assert (found.content, found.execution) == (record.content, HOW)
        assert found.summary["test_loss"] == 2.5
        assert "history" not in found.summary
        with pytest.raises(DamagedError):
            each.read(record, "none.safetensors")
    assert not committed(other, 1, b"second", test_loss=7.5)
    for each in (store, other, kind.open(place)):
        assert each.check(name) == record
        assert each.read(record, WEIGHTS) == b"first"
    assert store.work_names() == set()


def test_what_is_committed_is_there(kind, tmp_path):
    check_commits(kind, tmp_path / "store")


def check_the_newest_is_listed(kind: Kind, place: Path) -> None:
    """A listing knows what was committed before it was asked for, and of that what was wanted."""
    store, other = opened(kind, place), kind.open(place)
    for number in range(4):
        assert committed(store, number)
        names = {name_of(n) for n in range(number + 1)}
        for each in (store, other):
            assert each.cell_names() == each.cells().keys() == names
            assert {name for name, _ in each.survey([*sorted(names), name_of(99)])} == names
    wanted = {name_of(1), name_of(2), name_of(99)}
    assert store.cells(wanted).keys() == {name_of(1), name_of(2)}


def test_a_listing_has_the_newest(kind, tmp_path):
    check_the_newest_is_listed(kind, tmp_path / "store")


class Looking(Mapping):
    """Files that tell whether the record was there before they were written."""

    def __init__(self, files: dict[str, bytes], is_there: Callable[[], bool]) -> None:
        self._files, self._is_there = files, is_there
        self.was_early = False

    def __getitem__(self, name: str) -> bytes:
        self.was_early |= self._is_there()
        return self._files[name]

    def __iter__(self):
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def check_the_record_is_last(kind: Kind, place: Path) -> None:
    store, other, name = opened(kind, place), kind.open(place), name_of(1)
    plain = {"a": b"1", "b": b"22"}
    files = Looking(plain, lambda: other.get(name) is not None)
    claim = store.claim(name)
    assert store.commit(claim, record_of(name, plain), files, HOW)
    assert not files.was_early
    record = other.check(name)
    assert {file: other.read(record, file) for file in record.files} == plain


def test_the_record_is_there_when_all_is(kind, tmp_path):
    check_the_record_is_last(kind, tmp_path / "store")


def check_discards(kind: Kind, place: Path) -> None:
    store, other = opened(kind, place), kind.open(place)
    committed(store, 1, b"first")
    committed(store, 2)
    store.discard(name_of(1))
    store.discard(name_of(3))  # there is none
    for each in (store, other):
        assert each.get(name_of(1)) is None
        assert each.cell_names() == each.cells().keys() == {name_of(2)}
    assert committed(other, 1, b"again")
    assert store.read(store.check(name_of(1)), WEIGHTS) == b"again"


def test_what_is_discarded_can_be_made_again(kind, tmp_path):
    check_discards(kind, tmp_path / "store")


# claims


def check_claims(kind: Kind, place: Path) -> None:
    """One holds a cell at a time; what it leaves is there for the next, until it is cleared."""
    store, other, name = opened(kind, place), kind.open(place), name_of(1)
    assert (store.work_names(), store.claimed_names()) == (set(), set())
    elsewhere = store.claim(name_of(2))
    tokens = {elsewhere.token}
    for number in range(12):  # however often it is given back
        claim = (store, other)[number % 2].claim(name)
        assert claim is not None
        assert not claim.is_lost()
        assert claim.num_losses == 0
        tokens.add(claim.token)
        assert (store.claim(name), other.claim(name)) == (None, None)
        assert store.claimed_names() == other.claimed_names() == {name, name_of(2)}
        if number == 0:
            claim.desk.write("checkpoint", b"so far")
        for desk in (claim.desk, store.desk(name), other.desk(name)):
            assert desk.read("checkpoint", 100) == b"so far"
        claim.release()
        assert store.claimed_names() == other.claimed_names() == {name_of(2)}
        assert name in store.work_names() & other.work_names()
        assert other.desk(name).read("checkpoint", 100) == b"so far"
    assert len(tokens) == 13
    elsewhere.clear()
    store.claim(name).clear()
    assert (store.work_names(), store.claimed_names()) == (set(), set())
    assert store.desk(name).read("checkpoint", 100) is None
    claim = other.claim(name)
    assert claim.desk.read("checkpoint", 100) is None
    claim.clear()
    assert other.work_names() == set()


def test_a_cell_is_claimed_by_one_who_finds_what_was_left(kind, tmp_path):
    check_claims(kind, tmp_path / "store")


def test_what_a_finished_cell_left_of_its_making_can_be_freed(kind, tmp_path):
    store, name = opened(kind, tmp_path / "store"), name_of(1)
    committed(store, 1)
    claim = store.claim(name)
    claim.desk.write("checkpoint", b"so far")
    store.free_work(name)  # someone is at work there
    assert store.work_names() == store.claimed_names() == {name}
    claim.release()
    store.free_work(name)
    assert store.work_names() == set()
    assert store.check(name) is not None


def test_a_cell_can_be_written_to_its_desk(kind, tmp_path):
    store, name = opened(kind, tmp_path / "store"), name_of(1)
    claim = store.claim(name)
    desk = claim.desk
    desk.begin("history.jsonl", b"a\n")
    desk.append("history.jsonl", b"b\n")
    desk.show("progress.json", b"{}")
    reader = kind.open(tmp_path / "store").desk(name)
    assert reader.read("history.jsonl", 100) == b"a\nb\n"
    assert reader.read("progress.json", 100) == b"{}"
    desk.write("checkpoint", b"broken")
    assert desk.set_aside("checkpoint") != desk.where("checkpoint")
    assert reader.read("checkpoint", 100) is None
    claim.clear()


# notes


@given(
    notes=st.lists(
        st.tuples(
            st.sampled_from(["stop", "failed"]),
            st.sampled_from(["a", "b-1", "run.x"]),
            st.none() | st.binary(max_size=9),
        ),
        max_size=6,
    )
)
def test_everybody_sees_the_notes(notes, tmp_path_factory):
    for kind in KINDS.values():
        place = tmp_path_factory.mktemp("notes") / "store"
        store, other = opened(kind, place), kind.open(place)
        left: dict[tuple[str, str], bytes] = {}
        for what, name, data in notes:
            if data is None:
                store.board.remove(what, name)
                left.pop((what, name), None)
            else:
                store.board.put(what, name, data)
                left[what, name] = data
        for what in ("stop", "failed", "none"):
            there = {name: data for (each, name), data in sorted(left.items()) if each == what}
            assert other.board.names(what) == list(there)
            assert list(other.board.get_all(what).items()) == list(there.items())
            for name in ("a", "b-1", "run.x"):
                assert other.board.get(what, name) == left.get((what, name))


# runs


def check_runs(kind: Kind, place: Path) -> None:
    store, other = opened(kind, place), kind.open(place)
    assert (store.runs(), store.run_ids(), store.has_run("small-1")) == ([], [], False)
    assert store.earlier_run("small-1") is None
    with pytest.raises(UsageError, match="no runs here"):
        store.run("last")
    for number, run_id in enumerate(("small-1", "small-2", "other-1")):
        store.save_run(run_of([number], run_id))
    again = store.save_run(run_of([5], "small-1"))  # started again
    assert again.created == 1.0
    assert other.run_ids() == ["other-1", "small-1", "small-2"]
    assert other.read_run("small-1") == other.earlier_run("small-1") == again
    assert {run.id for run in other.runs()} == set(other.run_ids())
    assert other.run("last").id == "small-1"
    assert other.run("oth").id == "other-1"
    assert other.run("small-2").id == "small-2"
    for reference, said in (("small", "could be any"), ("none", "no run"), ("", "RUN is")):
        with pytest.raises(UsageError, match=said):
            other.run(reference)


def test_runs_are_found_by_what_they_are_called(kind, tmp_path):
    check_runs(kind, tmp_path / "store")


def check_a_run_is_kept_while_it_is_run(kind: Kind, place: Path) -> None:
    store, other = opened(kind, place), kind.open(place)
    committed(store, 1)
    run = store.save_run(run_of([1]))
    with store.in_use(run.id):
        with pytest.raises(UsageError, match="is being run; stop it first"):
            other.remove_run(run)
        assert other.remove_run(run, dry_run=True).num_cells == 1
        assert other.collect_garbage().num_cells == 0
    claim = store.claim(name_of(1))
    with pytest.raises(UsageError, match="is being run; stop it first"):
        other.remove_run(run)
    claim.release()
    assert store.has_run(run.id)
    assert store.cell_names() == {name_of(1)}
    assert other.remove_run(run).num_cells == 1
    assert (store.run_ids(), store.cell_names(), store.work_names()) == ([], set(), set())


def test_a_run_is_kept_while_it_is_run(kind, tmp_path):
    check_a_run_is_kept_while_it_is_run(kind, tmp_path / "store")


def check_names(kind: Kind, place: Path) -> None:
    """What runs are called is no part of them; by a name a run is found as by its id."""
    store, other = opened(kind, place), kind.open(place)
    runs = [store.save_run(run_of([n], f"small-{n}")) for n in range(2)]
    assert (other.labels(), other.labels_of("small-0")) == ({}, RunLabels())
    edits = [
        RunEdit(name="böse eins", add_tags=["b", "a"], notes="two\nlines"),
        RunEdit(add_tags=["c"], remove_tags=["b", "none"]),
        RunEdit(name="other", notes=""),
        RunEdit(name=""),
    ]
    wanted = [
        RunLabels("böse eins", ("a", "b"), "two\nlines"),
        RunLabels("böse eins", ("a", "c"), "two\nlines"),
        RunLabels("other", ("a", "c"), ""),
        RunLabels("", ("a", "c"), ""),
    ]
    for edit, labels in zip(edits, wanted, strict=True):
        num_written = len(store.board.names("labels"))
        for _ in range(2):  # said twice it is said once
            assert store.edit_run("small-1", edit) == labels
        assert len(store.board.names("labels")) == num_written + 1
        assert other.labels() == {"small-1": labels}
        assert other.labels_of("small-1") == labels
        if labels.name:
            assert other.run(labels.name) == other.run("small-1")
        with pytest.raises(UsageError, match="no run 'none'"):
            other.run("none")
    assert store.edit_run("small-0", RunEdit(name="other")) == RunLabels("other")
    assert other.run("other") == runs[0]
    assert (other.runs(), other.run_ids()) == (runs, ["small-0", "small-1"])
    for name in ("other", "last", "small", "small-1", "new-0123abcd"):
        with pytest.raises(UsageError, match="name: "):
            other.edit_run("small-1", RunEdit(name=name))
    assert other.run("small-1") == runs[1]


def test_runs_are_called_by_names(kind, tmp_path):
    check_names(kind, tmp_path / "store")


def check_two_at_once(kind: Kind, place: Path) -> None:
    """Two who change what a run is called at once, each without having seen the other's."""
    stores = [opened(kind, place) for _ in range(2)]
    run = stores[0].save_run(run_of([1]))
    stores[0].edit_run(run.id, RunEdit(add_tags=["old"], notes="before"))
    gate = threading.Barrier(2)

    def change(number: int) -> None:
        gate.wait()
        for step in range(3):
            stores[number].edit_run(run.id, RunEdit(add_tags=[f"{number}-{step}"]))
        edit = RunEdit(name=f"by {number}", remove_tags=["old"], notes=f"said by {number}")
        stores[number].edit_run(run.id, edit)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(change, range(2)))
    found = stores[0].labels_of(run.id)
    assert found.tags == tuple(f"{number}-{step}" for number in range(2) for step in range(3))
    assert found.name in ("by 0", "by 1")
    assert set(found.notes.splitlines()) <= {"said by 0", "said by 1"}
    assert stores[1].labels_of(run.id) == found


def test_two_who_change_what_a_run_is_called_lose_nothing(kind, tmp_path):
    check_two_at_once(kind, tmp_path / "store")


def check_garbage(kind: Kind, place: Path) -> None:
    """What a run has stays, and what is being made; all else goes."""
    store, other = opened(kind, place), kind.open(place)
    for number in range(4):
        committed(store, number, bytes(100))
    store.save_run(run_of([0, 1], "small-1"))
    doomed = store.save_run(run_of([1, 2, 6], "small-2"))
    for number in (1, 5, 6, 7):
        claim = store.claim(name_of(number))
        claim.desk.write("checkpoint", b"so far")
        if number != 7:
            claim.release()
    before = store.cell_names(), store.work_names()
    for dry_run in (True, False):
        assert (other.cell_names(), other.work_names()) == before
        freed = other.collect_garbage(dry_run=dry_run)
        assert freed.num_cells == 1
        assert freed.num_bytes >= 100
    names = {name_of(number) for number in (0, 1, 2)}
    assert store.cell_names() == store.cells().keys() == names
    assert store.work_names() == {name_of(6), name_of(7)}
    assert store.desk(name_of(6)).read("checkpoint", 100) == b"so far"
    assert store.remove_run(doomed).num_cells == 1
    assert other.cell_names() == {name_of(0), name_of(1)}
    assert other.run_ids() == ["small-1"]
    assert store.work_names() == {name_of(7)}
    assert not claim.is_lost()


def test_garbage_is_what_belongs_to_no_run(kind, tmp_path):
    check_garbage(kind, tmp_path / "store")


def notes(store: Store) -> dict[str, object]:
    kinds = ("submitted", "stop", "failed", "other")
    return {"labels": store.labels()} | {kind: store.board.names(kind) for kind in kinds}


def check_notes_go(kind: Kind, place: Path) -> None:
    """What was noted of a run, and of cells that no other has, goes with it; all else stays."""
    store = opened(kind, place)
    doomed, kept = (store.save_run(run_of([n, 2], f"small-{n}")) for n in range(2))
    call, failed = "0123456789abcdef", [name_of(number) for number in range(3)]
    for run in (doomed, kept):
        store.board.put("submitted", run.id, b"")
        store.board.put("stop", run.id, b"")
        store.edit_run(run.id, RunEdit(name=f"of {run.id}", add_tags=["a"]))
        store.edit_run(run.id, RunEdit(remove_tags=["a"]))
    for what, name in (("stop", call), ("other", "x"), *(("failed", name) for name in failed)):
        store.board.put(what, name, b"")
    before = notes(store)
    store.remove_run(doomed, dry_run=True)
    store.collect_garbage()
    assert notes(store) == before
    store.remove_run(doomed)
    with pytest.raises(UsageError, match="was it removed meanwhile"):
        store.edit_run(doomed.id, RunEdit(name="new"))
    left = {"submitted": [kept.id], "stop": sorted([call, kept.id]), "other": ["x"]}
    left["labels"] = {kept.id: RunLabels(f"of {kept.id}")}
    assert notes(store) == {**left, "failed": sorted([name_of(1), name_of(2)])}
    store.board.put("submitted", doomed.id, b"")  # as earlier versions left them
    store.board.put("stop", doomed.id, b"")
    store.board.put("failed", name_of(0), b"")
    add_change(store.board, store.location, doomed.id, RunEdit(name=f"of {doomed.id}"))
    store.collect_garbage(dry_run=True)
    assert notes(store) == before
    store.board.put("labels", f"{kept.id}.{'0' * 16}", b"garbage")
    store.collect_garbage()
    assert notes(store) == {**left, "failed": sorted([name_of(1), name_of(2)])}
    assert store.damaged_labels() == []


def test_notes_go_with_what_they_are_of(kind, tmp_path):
    check_notes_go(kind, tmp_path / "store")


# one store, opened in other ways


def test_a_store_travels(kind, tmp_path, monkeypatch):
    store = opened(kind, tmp_path / "store")
    committed(store, 1)
    held = store.claim(name_of(2))
    for each in (store.absolute(), pickle.loads(pickle.dumps(store))):
        assert type(each) is type(store)
        assert each.cell_names() == {name_of(1)}
        assert each.claim(name_of(2)) is None
        assert str(tmp_path / "store") in each.location
        assert "1 cells" in each.state()
    held.clear()


def test_what_is_sent_before_the_store_is_made_has_its_claims(kind, tmp_path):
    """A run tells its workers of the store before it has made it."""
    store = kind.open(tmp_path / "store")
    sent = [store.absolute(), pickle.loads(pickle.dumps(store))]
    store.open_for_writing()
    held = store.claim(name_of(1))
    with store.writing():
        assert [each.claim(name_of(1)) for each in sent] == [None, None]
    held.clear()


# at random, held against the plainest store

NUMBERS = st.integers(0, 3)
RUNS = st.sampled_from(["small-1", "small-2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["commit", "discard", "begin", "release", "clear"]), NUMBERS),
        st.tuples(st.just("save"), RUNS, st.lists(NUMBERS, min_size=1, max_size=3, unique=True)),
        st.tuples(st.sampled_from(["rm", "use"]), RUNS),
        st.tuples(st.just("gc")),
    ),
    max_size=12,
)


class Stepper:
    """Does to a store what it is told, and says what came of it."""

    def __init__(self, store: Store) -> None:
        self.store, self._claims, self._count = store, {}, 0

    def commit(self, number: int) -> object:
        name = name_of(number)
        claim = self._claims.pop(number, None) or self.store.claim(name)
        if claim is None:
            return None
        self._count += 1
        files = {WEIGHTS: bytes([self._count])}
        return self.store.commit(claim, record_of(name, files), files, HOW)

    def discard(self, number: int) -> None:
        self.store.discard(name_of(number))

    def begin(self, number: int) -> object:
        claim = self.store.claim(name_of(number))
        if claim is not None:
            self._count += 1
            left = claim.desk.read("checkpoint", 100)
            claim.desk.write("checkpoint", bytes([self._count]))
            self._claims[number] = claim
            return left
        return "held"

    def release(self, number: int) -> None:
        if number in self._claims:
            self._claims.pop(number).release()

    def clear(self, number: int) -> None:
        if number in self._claims:
            self._claims.pop(number).clear()

    def save(self, run_id: str, numbers: list[int]) -> None:
        self.store.save_run(run_of(numbers, run_id))

    def rm(self, run_id: str) -> object:
        if not self.store.has_run(run_id):
            return None
        try:
            return self.store.remove_run(self.store.read_run(run_id)).num_cells
        except UsageError as error:
            return "is being run" in str(error)

    def use(self, run_id: str) -> object:
        with self.store.in_use(run_id):
            return self.rm(run_id)

    def gc(self) -> object:
        return self.store.collect_garbage().num_cells

    def seen(self) -> object:
        store = self.store
        records = {name: store.check(name) for name in store.cell_names()}
        return (
            {name: store.read(record, WEIGHTS) for name, record in records.items()},
            store.cells().keys() == records.keys(),
            store.work_names(),
            store.claimed_names(),
            {name: store.desk(name).read("checkpoint", 100) for name in store.work_names()},
            {run.id: run.cells() for run in store.runs()},
        )

    def end(self) -> None:
        for claim in self._claims.values():
            claim.clear()


def check_as_the_oracle(store: Store, steps) -> None:
    oracle = Stepper(MemoryStore(f"oracle-{secrets.token_hex(8)}"))
    asked = Stepper(store)
    try:
        for what, *arguments in steps:
            wanted, got = (getattr(each, what)(*arguments) for each in (oracle, asked))
            assert (what, arguments, got) == (what, arguments, wanted)
            assert asked.seen() == oracle.seen()
    finally:
        asked.end()


@pytest.mark.parametrize("name", [name for name in KINDS if name != "memory"])
@settings(max_examples=15)
@given(steps=STEPS)
def test_whatever_is_done_it_is_as_in_the_plainest_store(name, steps, tmp_path_factory):
    check_as_the_oracle(opened(KINDS[name], tmp_path_factory.mktemp(name) / "store"), steps)


# stores that break a law


class ClaimsForAll(MemoryStore):
    def claim(self, name):
        self.world.held.pop(name, None)
        return super().claim(name)


class Forgetful(MemoryStore):
    def claim(self, name):
        self.world.work.pop(name, None) if name not in self.world.held else None
        return super().claim(name)


class RecordFirst(MemoryStore):
    def commit(self, claim, record, files, execution):
        self.world.cells[record.name] = record, {}, dict(execution)
        return super().commit(claim, record, files, execution)


class Replaces(MemoryStore):
    def commit(self, claim, record, files, execution):
        self.discard(record.name)
        return super().commit(claim, record, files, execution)


class NeverDiscards(MemoryStore):
    def discard(self, name):
        """Forgets to."""


class OldListing(MemoryStore):
    def cells(self, wanted=None):
        found = super().cells(wanted)
        newest = next(reversed(self.world.cells), None)
        return {name: cell for name, cell in found.items() if name != newest}


class RemovesWhatIsRun(MemoryStore):
    def in_use(self, run_id):
        return contextlib.nullcontext()


class RemovesTooMuch(MemoryStore):
    def _needed(self, but=None):
        return set()


class KeepsNotes(MemoryStore):
    def _forget(self):
        """Forgets to."""


class TakesAllNotes(MemoryStore):
    def _forget(self):
        self.world.notes.clear()


class LosesNotes(MemoryStore):
    """One note for a run, in place of one for each change."""

    @property
    def board(self):
        return _OneForEach(self.world.notes)


class _OneForEach(MemoryBoard):
    def put(self, kind, name, data):
        for each, other in list(self._notes):
            if (each, other.rpartition(".")[0]) == (kind, name.rpartition(".")[0]):
                del self._notes[each, other]
        super().put(kind, name, data)


class NamesAnything(MemoryStore):
    def check_name(self, run_id, name):
        """Forgets to."""


class NeverStartedAgain(MemoryStore):
    def _write_run(self, run):
        self.world.runs.setdefault(run.id, (run, next(self.world.clock)))


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (check_claims, ClaimsForAll),
        (check_claims, Forgetful),
        (check_the_record_is_last, RecordFirst),
        (check_commits, Replaces),
        (check_discards, NeverDiscards),
        (check_the_newest_is_listed, OldListing),
        (check_a_run_is_kept_while_it_is_run, RemovesWhatIsRun),
        (check_garbage, RemovesTooMuch),
        (check_notes_go, KeepsNotes),
        (check_notes_go, TakesAllNotes),
        (check_runs, NeverStartedAgain),
        (check_names, LosesNotes),
        (check_names, NamesAnything),
        (check_two_at_once, LosesNotes),
    ],
)
def test_stores_that_break_a_law_are_caught(check, wrong, tmp_path):
    with pytest.raises((AssertionError, AttributeError, DamagedError, pytest.fail.Exception)):
        check(Kind(wrong, wrong), tmp_path / "store")


WRONG_STEPS = [
    ("save", "small-1", [0, 1]), ("commit", 0), ("begin", 1), ("begin", 1), ("release", 1),
    ("begin", 1), ("use", "small-1"), ("commit", 1), ("commit", 1), ("commit", 2), ("gc",),
    ("discard", 0), ("rm", "small-1"),
]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [ClaimsForAll, Forgetful, Replaces, NeverDiscards, OldListing, RemovesTooMuch],
)
def test_the_oracle_catches_them_too(wrong, tmp_path):
    check_as_the_oracle(MemoryStore(tmp_path / "right"), WRONG_STEPS)
    with pytest.raises((AssertionError, AttributeError)):
        check_as_the_oracle(wrong(tmp_path / "wrong"), WRONG_STEPS)
