"""A store in a bucket: a lost race costs no wrong byte, and what is finished is whole."""

import contextlib
import os
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from small_cells import WEIGHTS, commit, name_of, record_of, run_of
from wrong_buckets import CreatesAlways

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store import Store, is_store
from lottery_ticket.store._lease import MOST_BEFORE, Heart, Lease
from lottery_ticket.store.remote import ObjectStore, ObstoreBucket

FILES = {WEIGHTS: b"the weights"}
EXECUTION = {"device": "cpu", "threads": 1, "train_seconds": 1.5}
HOUR = 3600.0


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def opened(
    bucket, clock: Callable[[], float] = time.monotonic, kind=ObjectStore, lease_seconds=60.0
) -> ObjectStore:
    """A store of a process of its own, as far as it can tell."""
    store = kind.over(bucket, clock=clock, seconds=lease_seconds, heart=Heart())
    store.open_for_writing()
    return store


def objects(bucket, *folders: str) -> dict[str, bytes]:
    """What is there."""
    listed = [one.key for folder in folders or ("",) for one in bucket.list(folder)]
    return {key: found.data for key in listed if (found := bucket.get(key)) is not None}


@pytest.fixture(params=["memory", "moto"])
def bucket(request: pytest.FixtureRequest):
    if request.param == "memory":
        return MemoryBucket()
    return request.getfixturevalue("new_bucket")()


# two at one cell


def taken_over(bucket, kind=ObjectStore):
    """One store's claim of cell 0, with a checkpoint, and that of another that took it over."""
    clock = Clock()
    first, second = opened(bucket, clock, kind), opened(bucket, clock, kind)
    mine = first.claim(name_of(0))
    assert mine is not None
    mine.desk.write("checkpoint", b"of the first")
    assert second.claim(name_of(0)) is None
    clock.now += 59
    assert second.claim(name_of(0)) is None
    clock.now += 2
    theirs = second.claim(name_of(0))
    assert theirs is not None
    assert theirs.num_losses == 1
    return (first, mine), (second, theirs)


def check_a_lost_race_changes_nothing(bucket) -> None:
    """The law: of two that commit one wins; the other learns it, and touches nothing."""
    (first, mine), (second, theirs) = taken_over(bucket)
    name = name_of(0)
    assert second.commit(theirs, record_of(name, FILES), FILES, EXECUTION)
    won = objects(bucket)
    other = {WEIGHTS: b"what the first made of it"}
    assert not first.commit(mine, record_of(name, other), other, EXECUTION)
    assert objects(bucket, "cells", "files") == {
        key: data for key, data in won.items() if key.startswith(("cells/", "files/"))
    }
    for store in (first, second, opened(bucket)):
        record = store.get(name)
        assert record == record_of(name, FILES)
        assert store.read(record, WEIGHTS) == FILES[WEIGHTS]


def test_a_lost_race_changes_nothing(bucket):
    check_a_lost_race_changes_nothing(bucket)


def test_a_bucket_that_creates_always_breaks_that_law():
    class Probed(CreatesAlways):  # once it was found to keep its promises
        def create(self, key, data):
            is_cell = key.startswith("cells/")
            return super().create(key, data) if is_cell else MemoryBucket.create(self, key, data)

    with pytest.raises(AssertionError):
        check_a_lost_race_changes_nothing(Probed())


def check_a_takeover_writes_nowhere_else(bucket, kind=ObjectStore) -> None:
    """The law: who takes over reads the checkpoint of who was there, and writes elsewhere."""
    (_, mine), (_, theirs) = taken_over(bucket, kind)
    folder = f"work/{mine.token}"
    before = objects(bucket, folder)
    assert theirs.desk.read("checkpoint", 100) == b"of the first"
    theirs.desk.write("checkpoint", b"of the second")
    theirs.desk.write("other", b"of the second")
    theirs.desk.show("progress.json", b"{}")
    theirs.release()  # sends what was shown
    assert objects(bucket, folder) == before == {f"{folder}/checkpoint": b"of the first"}
    again = opened(bucket).claim(name_of(0))
    assert again is not None
    assert again.desk.read("checkpoint", 100) == b"of the second"
    again.clear()
    assert objects(bucket, "work", "claims") == {}


def test_a_takeover_writes_nowhere_else(bucket):
    check_a_takeover_writes_nowhere_else(bucket)


class WritesWhereItReads(ObjectStore):
    """A takeover continues where the checkpoint lies."""

    def claim(self, name):
        claim = super().claim(name)
        if claim is not None and claim.num_losses:
            claim.desk.token = claim._lease.before[0]
        return claim


def test_a_takeover_that_writes_where_it_reads_breaks_that_law():
    with pytest.raises(AssertionError):
        check_a_takeover_writes_nowhere_else(MemoryBucket(), WritesWhereItReads)


def test_what_cannot_be_used_is_hidden_from_those_who_come_after():
    bucket = MemoryBucket()
    (_, _), (second, theirs) = taken_over(bucket)
    where = theirs.desk.set_aside("checkpoint")
    assert theirs.desk.read("checkpoint", 100) is None
    theirs.release()
    again = second.claim(name_of(0))
    assert again is not None
    assert again.desk.read("checkpoint", 100) is None
    assert objects(bucket)[where.removeprefix(f"{bucket.location}/")] == b"of the first"
    second.commit(again, record_of(name_of(0), FILES), FILES, EXECUTION)
    assert where.removeprefix(f"{bucket.location}/") in objects(
        bucket
    )  # until garbage is collected


def test_others_see_what_is_shown_and_write_nothing(bucket):
    store, other = opened(bucket), opened(bucket)
    claim = store.claim(name_of(0))
    assert claim is not None
    claim.desk.begin("history.jsonl", b"one\n")
    claim.desk.append("history.jsonl", b"two\n")
    assert store.desk(name_of(0)).read("history.jsonl", 100) == b"one\ntwo\n"  # in this process
    claim.desk.send()
    desk = other.desk(name_of(0))
    assert desk.read("history.jsonl", 100) == b"one\ntwo\n"
    assert other.claimed_names() == other.work_names() == {name_of(0)}
    with pytest.raises(StoreError, match="claim it first"):
        desk.write("checkpoint", b"")
    with pytest.raises(DamagedError, match="8 bytes, at most 7"):
        desk.read("history.jsonl", 7)


def test_a_claim_that_cannot_begin_is_given_back():
    """What lies under the oldest claim that is named has to be copied, which may fail."""

    class Away(MemoryBucket):
        is_away = False

        def list(self, prefix):
            if self.is_away and prefix.startswith("work/"):
                raise StoreError("out of reach")
            return super().list(prefix)

    bucket = Away()
    store = opened(bucket)
    for _ in range(MOST_BEFORE):
        store.claim(name_of(0)).release()
    bucket.is_away = True
    with pytest.raises(StoreError, match="out of reach"):
        store.claim(name_of(0))
    bucket.is_away = False
    claim = opened(bucket).claim(name_of(0))
    assert claim is not None
    claim.clear()


# records and files


class Watched(MemoryBucket):
    """Sees to it that no record is there before its files."""

    def create(self, key, data):
        if key.startswith("cells/"):
            assert objects(self, "files"), "a record without files"
        return super().create(key, data)


class RecordFirst(ObjectStore):
    """Files follow their record."""

    def commit(self, claim, record, files, execution):
        is_first = super().commit(claim, record, {}, execution)
        self.bucket.put(f"files/{claim.token}/{WEIGHTS}", files[WEIGHTS])
        return is_first


def test_the_record_is_written_last():
    commit(opened(Watched()), 0)


def test_a_record_written_first_is_caught():
    with pytest.raises(AssertionError, match="without files"):
        commit(opened(Watched(), kind=RecordFirst), 0)


def test_the_record_is_the_one_that_a_folder_holds(bucket, tmp_path):
    store, folder = opened(bucket), Store(tmp_path / "store")
    folder.open_for_writing()
    name = commit(store, 3)
    assert commit(folder, 3) == name
    assert store.get(name) == folder.get(name)
    assert store.get(name).to_bytes() == folder.get(name).to_bytes()  # to the byte
    assert store.execution(name) == folder.execution(name)
    assert store.cells() == folder.cells()
    assert store.checked(name).kept == {WEIGHTS}
    with pytest.raises(DamagedError, match="knows of no 'other'"):
        store.read(store.get(name), "other")


@pytest.mark.parametrize("harm", ["missing", "differ"])
def test_a_file_that_is_found_damaged_is_made_anew(harm, bucket):
    store = opened(bucket)
    name = commit(store, 0)
    (key,) = objects(bucket, "files")
    bucket.remove([key]) if harm == "missing" else bucket.put(key, b"\x00\x01\x03")
    store = opened(bucket)
    assert [found.record.name for _, found in store.survey([name])] == [name]  # nobody has looked
    with pytest.raises(DamagedError, match=f"{key}: damaged: .*{harm}"):
        store.read(store.get(name), WEIGHTS)
    later = opened(bucket)
    ((_, error),) = later.survey([name, name_of(1)])
    assert isinstance(error, DamagedError)
    with pytest.raises(DamagedError, match=key):
        later.checked(name)
    later.discard(name)
    assert later.get(name) is None
    assert objects(bucket, "cells", "files", "board") == {}
    commit(later, 0)
    ((_, found),) = opened(bucket).survey([name])
    assert not isinstance(found, DamagedError)


def test_a_note_of_damage_that_was_mended_goes():
    bucket = MemoryBucket()
    store = opened(bucket)
    name = commit(store, 0)
    store.board.put("damaged", name, b"")
    ((_, found),) = store.survey([name])
    assert not isinstance(found, DamagedError)
    assert store.board.names("damaged") == []


@settings(max_examples=200)
@given(st.integers(0), st.integers(1, 255))
def test_no_bit_of_a_record_can_flip_unseen(at, change):
    bucket = MemoryBucket()
    name = commit(opened(bucket), 0)
    ((key, data),) = objects(bucket, "cells").items()
    flipped = bytearray(data)
    flipped[at % len(data)] ^= change
    bucket.put(key, bytes(flipped))
    with pytest.raises(DamagedError, match=key):
        opened(bucket).get(name)
    store = opened(bucket)
    ((_, error),) = store.survey([name])
    assert isinstance(error, DamagedError)
    assert store.cells() == {}
    store.discard(name)
    assert store.cell_names() == set()


def test_a_record_of_another_cell_is_damaged():
    bucket = MemoryBucket()
    store = opened(bucket)
    name = commit(store, 0)
    bucket.put(f"cells/{name_of(1)}", objects(bucket)[f"cells/{name}"])
    with pytest.raises(DamagedError, match=f"it is the record of {name}"):
        store.get(name_of(1))


# killed


class Killed(BaseException):
    """What no code catches."""


class Deadly(MemoryBucket):
    """Kills who writes for the n-th time: before that is there, or after."""

    lives = -1
    is_after = False

    def _write(self, kind, key, data):
        self.lives -= 1
        if self.lives == 0 and not self.is_after:
            raise Killed
        tag = super()._write(kind, key, data)
        if self.lives == 0:
            raise Killed
        return tag


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("lives", range(1, 6))
def test_killed_at_any_write_it_is_made_once_and_nothing_stays(lives, is_after):
    server = Clock()
    bucket = Deadly(clock=server)
    opened(bucket).save_run(run_of([0]))
    bucket.lives, bucket.is_after = lives, is_after
    with contextlib.suppress(Killed):
        store = opened(bucket)
        claim = store.claim(name_of(0))
        claim.desk.write("checkpoint", b"half way")
        store.commit(claim, record_of(name_of(0), FILES), FILES, EXECUTION)
    bucket.lives = -1
    clock = Clock()
    later = opened(bucket, clock)
    if (claim := later.claim(name_of(0))) is None:
        clock.now += 61
        claim = later.claim(name_of(0))
    if later.get(name_of(0)) is None:
        assert later.commit(claim, record_of(name_of(0), FILES), FILES, EXECUTION)
    else:
        claim.clear()
    assert later.checked(name_of(0)).record == record_of(name_of(0), FILES)
    server.now += 2 * HOUR
    later.collect_garbage()
    assert later.checked(name_of(0)) is not None
    left = {key.partition("/")[0] for key in objects(bucket)}
    assert left == {"format.json", "runs", "cells", "files"}
    assert len(objects(bucket, "files")) == 1


# tidying


def test_what_belongs_to_no_run_is_garbage(bucket):
    store = opened(bucket)
    for number in range(3):
        commit(store, number)
    store.save_run(run_of([0, 1]))
    dry = store.collect_garbage(dry_run=True)
    assert dry.num_cells == 1
    assert len(store.cell_names()) == 3
    assert store.collect_garbage() == dry
    assert store.cell_names() == {name_of(0), name_of(1)}
    assert len(objects(bucket, "files")) == 2
    store.save_run(run_of([1], "other-00000000"))
    assert store.remove_run(store.read_run("small-00000000")).num_cells == 1
    assert store.run_ids() == ["other-00000000"]
    assert store.cell_names() == {name_of(1)}
    assert len(objects(bucket, "files")) == 1


def test_the_work_of_the_living_is_no_garbage():
    server = Clock()
    bucket = MemoryBucket(clock=server)
    store = ObjectStore.over(bucket, seconds=0.5)
    store.open_for_writing()
    store.save_run(run_of([0]))
    waiting, stranger = store.claim(name_of(0)), store.claim(name_of(5))
    for claim in (waiting, stranger):
        claim.desk.write("checkpoint", b"half way")
    server.now += 2 * HOUR
    store.collect_garbage()
    assert len(objects(bucket, "work")) == 2  # one is needed, of the other the lease is renewed
    for claim in (waiting, stranger):
        claim.release()
    store.collect_garbage()
    assert list(objects(bucket, "work", "claims")) == [
        f"work/{waiting.token}/checkpoint",
        f"claims/{name_of(0)}",
    ]


class Turns(MemoryBucket):
    """Who collects garbage and who makes a cell take turns, request by request."""

    def __init__(self, turns: list[bool], clock: Clock) -> None:
        super().__init__(clock=clock)
        self.turns, self.collector, self.are_done = list(turns), None, {False: True, True: True}
        self.changed = threading.Condition()

    def _wait_for_turn(self) -> None:
        if threading.current_thread().name == "leases":  # which are renewed all the time
            return
        is_collector = threading.current_thread() is self.collector
        with self.changed:
            self.changed.wait_for(
                lambda: (
                    not self.turns
                    or self.turns[0] == is_collector
                    or self.are_done[not is_collector]
                )
            )
            if self.turns and not self.are_done[not is_collector]:
                self.turns.pop(0)
            self.changed.notify_all()

    def end(self, *, is_collector: bool) -> None:
        with self.changed:
            self.are_done[is_collector] = True
            self.changed.notify_all()

    def get(self, key):
        self._wait_for_turn()
        return super().get(key)

    def list(self, prefix):
        self._wait_for_turn()
        return iter(list(super().list(prefix)))

    def remove(self, keys):
        self._wait_for_turn()
        super().remove(keys)

    def put(self, key, data):
        self._wait_for_turn()
        return super().put(key, data)

    def create(self, key, data):
        self._wait_for_turn()
        return super().create(key, data)

    def swap(self, key, data, tag):
        self._wait_for_turn()
        return super().swap(key, data, tag)


def check_what_is_being_made_is_kept(turns: list[bool], kind=ObjectStore) -> None:
    """The law: whatever the turns, and however old all seems, a cell that is made is whole."""
    server = Clock()
    bucket = Turns(turns, server)
    maker, tidier = opened(bucket, lease_seconds=0.2), opened(bucket, kind=kind, lease_seconds=0.2)
    maker.save_run(run_of([0, 1]))
    commit(maker, 1)
    server.now += 2 * HOUR
    problems: list[BaseException] = []

    def collect() -> None:
        try:
            tidier.collect_garbage()
        except BaseException as error:
            problems.append(error)
        bucket.end(is_collector=True)

    bucket.collector = threading.Thread(target=collect)
    bucket.are_done = {False: False, True: False}
    bucket.collector.start()
    try:
        commit(maker, 0)
    finally:
        bucket.end(is_collector=False)
        bucket.collector.join()
    assert problems == []
    assert maker.checked(name_of(0)) is not None
    assert maker.checked(name_of(1)) is not None


@settings(max_examples=100)
@given(st.lists(st.booleans(), max_size=40))
def test_what_is_being_made_is_kept(turns):
    check_what_is_being_made_is_kept(turns)


class AsksNoClaims(ObjectStore):
    """Takes what no cell names for nobody's."""

    def collect_garbage(self, *, dry_run=False):
        named = {f.token for _, f in self._place.records.survey() if not isinstance(f, Exception)}
        listed = [one.key for one in self.bucket.list("files")]
        self.bucket.remove([key for key in listed if key.split("/")[1] not in named])
        return super().collect_garbage(dry_run=dry_run)


def test_who_asks_no_claims_breaks_that_law():
    num_broken = 0
    for num_before in range(20):
        try:
            check_what_is_being_made_is_kept([False] * num_before + [True] * 40, AsksNoClaims)
        except DamagedError:
            num_broken += 1
    assert num_broken


def test_what_is_young_and_nobodys_stays_for_an_hour():
    server = Clock()
    bucket = MemoryBucket(clock=server)
    store = opened(bucket)
    for key in ("files/0123456789abcdef/late", "work/0123456789abcdef/late", "probe/late"):
        bucket.put(key, b"1234")
    assert store.collect_garbage().num_bytes == 0
    server.now += 2 * HOUR
    assert store.collect_garbage().num_bytes == 12
    assert set(objects(bucket)) == {"format.json", "runs/.kept"}


def test_what_the_dead_had_in_use_goes_after_a_day():
    server = Clock()
    bucket = MemoryBucket(clock=server)
    store = opened(bucket)
    run = store.save_run(run_of([0]))
    dead = {f"uses/{run.id}.0123456789abcdef", "removals/0123456789abcdef"}
    living = {f"uses/{run.id}.fedcba9876543210"}
    for key in dead | living:
        bucket.put(key, Lease(seconds=0.5).to_bytes())
    server.now += 23 * HOUR
    store.collect_garbage()
    assert objects(bucket, "uses", "removals").keys() == dead | living
    for key in living:  # renewed, as all the time before
        bucket.put(key, Lease(seconds=0.5).next().to_bytes())
    server.now += 2 * HOUR
    store.collect_garbage()
    assert objects(bucket, "uses", "removals").keys() == living


def test_a_run_in_use_is_not_removed():
    bucket = MemoryBucket()
    store, other = opened(bucket, lease_seconds=0.5), opened(bucket, lease_seconds=0.5)
    commit(store, 0)
    run = store.save_run(run_of([0]))
    with store.in_use(run.id), pytest.raises(UsageError, match="is being run; stop it first"):
        other.remove_run(run)
    claim = store.claim(name_of(0))
    with pytest.raises(UsageError, match="is being run; stop it first"):
        other.remove_run(run)
    claim.release()
    assert other.remove_run(run).num_cells == 1


def test_who_died_while_it_ran_or_removed_is_waited_for_no_longer_than_its_lease():
    bucket = MemoryBucket()
    store = opened(bucket, lease_seconds=0.5)
    commit(store, 0)
    run = store.save_run(run_of([0]))
    dead = Lease(seconds=0.5).to_bytes()
    bucket.put(f"uses/{run.id}.0123456789abcdef", dead)
    bucket.put("removals/0123456789abcdef", dead)
    with store.in_use(run.id):
        pass
    assert store.remove_run(run).num_cells == 1


def test_who_died_while_it_ran_or_removed_is_waited_for_once():
    bucket = MemoryBucket()
    store = opened(bucket, lease_seconds=0.5)
    commit(store, 0)
    commit(store, 1)
    first, other = store.save_run(run_of([0])), store.save_run(run_of([1], "other-00000000"))
    dead = Lease(seconds=0.5).to_bytes()
    bucket.put("removals/0123456789abcdef", dead)
    for run in (first, other):
        bucket.put(f"uses/{run.id}.0123456789abcdef", dead)
    with opened(bucket, lease_seconds=0.5).in_use(first.id):
        assert objects(bucket, "removals") == {}
    opened(bucket, lease_seconds=0.5).remove_run(first)
    assert list(objects(bucket, "uses")) == [f"uses/{other.id}.0123456789abcdef"]  # unwatched


def test_who_was_taken_for_dead_and_lives_is_seen_to():
    """Its mark was removed while it stood still: it writes it anew, and goes with it."""
    bucket = MemoryBucket()
    store, other = opened(bucket, lease_seconds=0.5), opened(bucket, lease_seconds=0.5)
    run = store.save_run(run_of([0]))
    with store.in_use(run.id):
        (key,) = objects(bucket, "uses")
        bucket.remove([key])
        until = time.monotonic() + 60
        while key not in objects(bucket, "uses"):
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(UsageError, match="is being run; stop it first"):
            other.remove_run(run)
    assert objects(bucket, "uses", "removals") == {}


@pytest.mark.parametrize("data", [b"", b"{", b'{"version": 9}'])
def test_what_is_no_lease_is_silent_and_can_be_taken(data, monkeypatch):
    """A lease that is damaged, or of another version, stops nobody for longer than its time."""
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", "0.5")
    bucket, clock = MemoryBucket(), Clock()
    store = opened(bucket, clock, lease_seconds=0.5)
    commit(store, 0)
    run = store.save_run(run_of([0, 1]))
    for key in (f"claims/{name_of(1)}", f"uses/{run.id}.0123456789abcdef", "removals/0123"):
        bucket.put(key, data)
    assert store.claimed_names() == {name_of(1)}
    assert store.claim(name_of(1)) is None
    bucket.put(f"claims/{name_of(1)}", data + b" ")  # whoever it is, it lives
    clock.now += 0.6
    assert store.claim(name_of(1)) is None
    clock.now += 0.6
    assert store.claimed_names() == set()
    claim = store.claim(name_of(1))
    assert claim.num_losses == 1
    claim.release()
    bucket.put(f"claims/{name_of(1)}", data)
    later = opened(bucket, lease_seconds=0.5)
    with later.in_use(run.id):
        pass
    assert later.collect_garbage().num_cells == 0
    assert later.remove_run(run).num_cells == 1


def test_who_has_been_silent_is_told_at_the_first_look():
    """By the server's clock; it can be claimed only once it was watched."""
    server = Clock()
    server.now = time.time()
    bucket = MemoryBucket(clock=server)
    store = opened(bucket)
    dead, living, given_back = (store.claim(name_of(number)) for number in range(3))
    server.now += 3 * HOUR
    given_back.release()
    assert opened(bucket).silent_seconds().keys() == {dead.name, living.name}
    living.beat()
    found = opened(bucket)
    assert found.silent_seconds() == {dead.name: 3 * HOUR}
    assert found.claim(dead.name) is None
    dead.beat()
    assert found.silent_seconds() == {}


def test_without_records_of_runs_no_cell_is_garbage():
    bucket = MemoryBucket()
    store = opened(bucket)
    commit(store, 0)
    bucket.remove(["runs/.kept"])
    for refused in (store.run_ids, store.collect_garbage, opened(bucket, kind=Lazy).open_anew):
        with pytest.raises(StoreError, match="missing, so nobody knows whose the cells are"):
            refused()
    assert store.cell_names() == {name_of(0)}


class Lazy(ObjectStore):
    """Opened for writing later."""

    def open_for_writing(self):
        pass

    def open_anew(self):
        super().open_for_writing()


# what is there already


@pytest.mark.parametrize(
    ("key", "data", "said"),
    [
        (
            "format.json",
            b'{"format": "lottery_ticket.store", "version": 4}',
            "takes a later version",
        ),
        ("format.json", b'{"format": "lottery_ticket.store", "version": 1}', "if this is a store"),
        ("format.json", b"\xff", "cannot be read"),
        ("photo.jpg", b"", "not a store: it holds 'photo.jpg' but no format.json; choose another"),
        ("cells/ab", b"", "but no format.json.*if this is a store, put .* back"),
    ],
)
def test_what_is_no_store_of_this_version_is_refused(key, data, said, bucket):
    bucket.put(key, data)
    with pytest.raises(StoreError, match=said):
        ObjectStore.over(bucket)
    assert objects(bucket) == {key: data}


def test_a_store_is_made_by_what_is_written_first(bucket):
    store = ObjectStore.over(bucket)
    assert store.run_ids() == []
    assert store.cells() == {}
    said = store.state()
    assert said.startswith(f"0 runs, 0 cells, {sum(bucket.requests.values())} requests")
    assert objects(bucket) == {}
    store.open_for_writing()
    assert objects(bucket) == {
        "format.json": b'{\n "format": "lottery_ticket.store",\n "version": 3\n}\n',
        "runs/.kept": b"",
    }
    before = sum(bucket.requests.values())
    store.open_for_writing()
    assert sum(bucket.requests.values()) == before  # proved once


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("lives", range(1, 6))
def test_a_store_whose_maker_was_killed_is_made_by_the_next(lives, is_after):
    """At any write; so it is, too, while somebody else is making it."""
    bucket = Deadly()
    bucket.lives, bucket.is_after = lives, is_after
    with contextlib.suppress(Killed):
        opened(bucket)
    bucket.lives = -1
    commit(opened(bucket), 0)
    assert {"format.json", "runs/.kept"} <= objects(bucket).keys()


def test_a_server_without_conditions_is_refused_before_anything_is_written():
    bucket = CreatesAlways()
    with pytest.raises(StoreError, match="ignores conditional writes"):
        ObjectStore.over(bucket).open_for_writing()
    assert objects(bucket) == {}


class ReadOnly(MemoryBucket):
    """Once it is `closed`."""

    closed = False

    def _write(self, kind, key, data):
        if self.closed:
            raise StoreError(f"{self.location} cannot be written")
        return super()._write(kind, key, data)


def test_a_store_that_cannot_be_written_can_be_read():
    bucket = ReadOnly()
    name = commit(opened(bucket), 0)
    opened(bucket).save_run(run_of([0]))
    bucket.closed = True
    store = ObjectStore.over(bucket)
    with pytest.raises(StoreError, match="cannot be written"):
        store.open_for_writing()
    assert store.run("last").cells() == set(store.cells()) == {name}
    assert store.read(store.get(name), WEIGHTS) == b"\x00\x01\x02"
    assert [n for n, _ in store.survey([name])] == [name]
    assert store.collect_garbage(dry_run=True).num_cells == 0
    bucket._objects = {k: v for k, v in bucket._objects.items() if not k.startswith("files/")}
    with pytest.raises(DamagedError, match="missing"):
        ObjectStore.over(bucket).read(store.get(name), WEIGHTS)


# addresses


def test_an_address_opens_a_store_everywhere(s3):
    store = Store(s3)
    assert isinstance(store, ObjectStore)
    assert isinstance(store.bucket, ObstoreBucket)
    store.open_for_writing()
    name = commit(store, 0)
    again = pickle.loads(pickle.dumps(store))
    assert again.location == s3
    assert again.bucket is store.bucket  # one client of a process
    assert again.get(name) == store.absolute().get(name)
    assert is_store(s3)
    assert (
        os.environ["AWS_SECRET_ACCESS_KEY"] not in f"{pickle.dumps(store)!r}{store!r}{vars(store)}"
    )


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("ftp://host/store", "begins with s3://, gs://, az://, not ftp://"),
        (Path("s3://bucket/prefix"), "pass an address as text"),
        ("s3://key:secret@bucket/prefix", "without user names, keys and questions"),
    ],
)
def test_other_addresses_are_refused(location, said):
    with pytest.raises(UsageError, match=said) as caught:
        Store(location)
    assert "secret" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_said_at_once(s3):
    with pytest.raises(StoreError, match="bucket"):
        Store(f"s3://not-{s3.removeprefix('s3://')}")
