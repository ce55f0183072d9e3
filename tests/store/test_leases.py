"""Leases: who is alive, told by what is seen of it; real processes: `test_lease_processes.py`."""

import os
import threading
import time
from collections.abc import Callable

import memory_spots
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from memory_spots import MemorySpot

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store import Store
from lottery_ticket.store._lease import Heart, Lease, LeaseClaim, Watcher, silences, take_lease
from lottery_ticket.store.local.leases import FileSpot
from lottery_ticket.store.remote import ObjectStore

PATIENCE_SECONDS = 60.0


def wait_until(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until, "it hangs"
        time.sleep(0.01)


# the record


@given(
    st.builds(
        Lease,
        seconds=st.floats(0.001, 86400.0),
        beat=st.integers(0, 2**40),
        is_released=st.booleans(),
        num_losses=st.integers(0, 100),
        before=st.lists(st.from_regex("[0-9a-f]{16}", fullmatch=True), max_size=8).map(tuple),
    )
)
def test_a_lease_is_read_as_it_was_written(lease):
    data = lease.to_bytes()
    assert Lease.from_bytes(data, "there") == lease
    with pytest.raises(DamagedError, match="there: damaged"):
        Lease.from_bytes(data.replace(b'"beat"', b'"beet"'), "there")
    with pytest.raises(DamagedError):
        Lease.from_bytes(data[:-1], "there")


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan"), float("inf")])
def test_a_lease_that_would_last_for_ever_is_damaged(seconds):
    with pytest.raises((DamagedError, ValueError)):
        Lease.from_bytes(Lease(seconds=seconds).to_bytes(), "there")


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", "86401"])
def test_a_length_that_is_none_is_refused_before_any_work(text, tmp_path, monkeypatch):
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", text)
    with pytest.raises(UsageError, match=f"LOTTERY_LEASE_SECONDS: got '{text}', wanted"):
        Store(tmp_path / "store", claims="lease")
    assert not (tmp_path / "store").exists()
    Store(tmp_path / "store", claims="lock")  # which has no leases


# places


@pytest.fixture
def file_spot(tmp_path):
    return lambda: FileSpot(tmp_path / "work" / "cell")


@pytest.fixture(params=["memory", "file", "file without links"])
def spot(request, file_spot, monkeypatch):
    """What opens one place of a lease, again and again."""
    if request.param == "memory":
        one = MemorySpot()
        return lambda: one
    if request.param == "file without links":
        monkeypatch.setattr(os, "link", _no_link)
    return file_spot


def _no_link(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def check_spot(spot) -> None:
    """What is there is what was written last, by who knew what was there."""
    place = spot()
    assert place.look() is None
    first, second = Lease(), Lease()
    stamps = [place.create(first)]
    assert spot().look() == (first, stamps[0])
    assert spot().create(second) is None
    for _ in range(3):  # beats
        first = first.next()
        stamps.append(place.swap(first, stamps[-1]))
        assert spot().look() == (first, stamps[-1])
        assert spot().swap(second, stamps[0]) is None
        assert spot().swap(first.next(), stamps[0]) is None
    stamps.append(spot().swap(second, stamps[-1]))  # a takeover
    assert place.look() == (second, stamps[-1])
    assert place.swap(first.next(), stamps[-2]) is None
    spot().remove(stamps[-2])
    assert place.look() == (second, stamps[-1])
    spot().remove(stamps[-1])
    assert place.look() is None
    assert place.swap(second.next(), stamps[-1]) is None  # who wakes later brings nothing back
    assert place.look() is None
    third = Lease()
    stamps.append(place.create(third))
    assert spot().swap(first.next(), stamps[0]) is None
    assert spot().look() == (third, stamps[-1])
    place.remove(stamps[-1])
    assert None not in stamps
    assert len(set(stamps)) == len(stamps)


def test_a_place_holds_what_was_written_last(spot):
    check_spot(spot)


def raced(spot, take) -> list[tuple[Lease, str]]:
    """What many who write at once think to have written."""
    taken, barrier = [], threading.Barrier(8)

    def run() -> None:
        place, lease = spot(), Lease()
        barrier.wait()
        stamp = take(place, lease)
        if stamp is not None:
            taken.append((lease, stamp))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def check_races(spot) -> None:
    """Of many who write at once, one is right and knows it."""
    for _ in range(20):
        (first,) = raced(spot, lambda place, lease: place.create(lease))
        assert spot().look() == first
        (second,) = raced(spot, lambda place, lease, at=first[1]: place.swap(lease, at))
        assert spot().look() == second
        spot().remove(second[1])
        assert spot().look() is None


def test_of_those_who_write_at_once_one_does(spot):
    check_races(spot)


@pytest.mark.parametrize("wrong", ["WrittenByAll", "TakenByAll", "SameStamp", "StampOfItsCount",
                                   "RemovedByAll", "NeverRemoved"])  # fmt: skip
def test_places_that_break_a_law_are_caught(wrong):
    one = getattr(memory_spots, wrong)()
    with pytest.raises(AssertionError):
        check_spot(lambda: one)


@pytest.mark.parametrize("wrong", ["WrittenByAll", "TakenByAll"])
def test_places_that_many_take_at_once_are_caught(wrong):
    one = getattr(memory_spots, wrong)()
    with pytest.raises((AssertionError, ValueError)):
        check_races(lambda: one)


# files


def test_a_cleared_folder_is_gone_and_stays_so(file_spot, tmp_path):
    folder, place = tmp_path / "work" / "cell", file_spot()
    old = Lease()
    stamp = place.create(old)
    new = Lease()
    taken = file_spot().swap(new, stamp)
    assert sorted(path.name for path in folder.iterdir()) == ["lease.1", "lease.2"]
    file_spot().remove(taken)
    assert not folder.exists()
    assert place.swap(old.next(), stamp) is None
    assert file_spot().swap(Lease(), taken) is None
    assert not folder.exists()


def test_who_slept_while_the_folder_was_cleared_takes_nothing(file_spot, monkeypatch):
    """Between its look and its link others took the lease over, finished, and began anew."""
    stamp = file_spot().create(Lease())
    link, third = os.link, Lease()

    def slept(source, target):
        monkeypatch.setattr(os, "link", link)
        taken = file_spot().swap(Lease(), stamp)
        file_spot().remove(taken)
        assert file_spot().create(third) is not None
        link(source, target)

    monkeypatch.setattr(os, "link", slept)
    assert file_spot().swap(Lease(), stamp) is None
    assert file_spot().look()[0] == third


def test_an_answer_that_was_lost_is_no_loss(file_spot, monkeypatch):
    """A network file system may say that a name is there which it has just made for us."""
    link = os.link

    def twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    lease = Lease()
    stamp = file_spot().create(lease)
    assert file_spot().look() == (lease, stamp)


@pytest.mark.parametrize("data", [b"", b"{", b"x" * 100_000])
def test_what_is_no_lease_is_silent_and_can_be_taken(data, file_spot, tmp_path, monkeypatch):
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", "5")
    folder, now = tmp_path / "work" / "cell", [0.0]
    folder.mkdir(parents=True)
    (folder / "lease.3").write_bytes(data)
    watcher = Watcher(lambda: now[0])
    assert take_lease("cell", file_spot(), watcher, 1.0) is None  # it may be on its way
    now[0] = 5.0
    lease, stamp = take_lease("cell", file_spot(), watcher, 1.0)
    assert file_spot().look() == (lease, stamp)
    assert (folder / "lease.4").exists()


def test_a_listing_that_is_old_hides_no_holder(file_spot, monkeypatch):
    stamp = file_spot().create(Lease())
    new = Lease()
    taken = file_spot().swap(new, stamp)
    scandir = os.scandir

    class Old:
        def __init__(self, folder):
            self.entries = [e for e in scandir(folder) if e.name != "lease.2"]

        def __enter__(self):
            return self.entries

        def __exit__(self, *_):
            """Nothing is open."""

    monkeypatch.setattr(os, "scandir", Old)
    assert file_spot().look() == (new, taken)
    assert file_spot().swap(Lease(), stamp) is None


# who is silent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def check_watcher(watcher_of) -> None:
    """Expired is what was seen unchanged for its length, by the observer's own clock."""
    clock = Clock()
    watcher = watcher_of(clock)
    clock.now = 1000.0
    assert not watcher.is_expired("a", "1", 10.0)  # seen for the first time
    clock.now += 9.9
    assert not watcher.is_expired("a", "1", 10.0)
    assert not watcher.is_expired("b", "1", 10.0)
    clock.now += 0.2
    assert watcher.is_expired("a", "1", 10.0)
    assert not watcher.is_expired("b", "1", 10.0)
    assert not watcher.is_expired("a", "2", 10.0)  # it beats
    clock.now += 9.9
    assert not watcher.is_expired("a", "2", 10.0)
    assert watcher.is_expired("b", "1", 10.0)
    watcher.forget("b")
    assert not watcher.is_expired("b", "1", 10.0)


def test_who_is_silent_has_been_seen_so_for_its_length(spot):
    check_watcher(Watcher)


class Hasty(Watcher):
    def is_expired(self, name, stamp, seconds):
        return super().is_expired(name, stamp, seconds / 2)


class ByItsFirstLook(Watcher):
    def is_expired(self, name, stamp, seconds):
        return super().is_expired(name, "", seconds)


class OfOneLease(Watcher):
    def is_expired(self, name, stamp, seconds):
        return super().is_expired("", stamp, seconds)


@pytest.mark.parametrize("wrong", [Hasty, ByItsFirstLook, OfOneLease])
def test_watchers_that_break_the_law_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_watcher(wrong)


@given(
    wrong_seconds=st.floats(-200.0, 200.0),
    ages=st.lists(st.floats(0.0, 1e5), min_size=1, max_size=5),
    is_released=st.booleans(),
)
def test_who_is_silent_beyond_its_lease_is_told_by_how_old_that_is(
    wrong_seconds, ages, is_released
):
    """Where somebody lives, whatever our clock says; else where that may be wrong by minutes."""
    now, leases = 1e9, [Lease(seconds=60.0) for _ in ages]
    held = {str(n): (lease, now - ages[n]) for n, lease in enumerate(leases)}
    held["given back"] = Lease(seconds=60.0, is_released=True), now - 2e5
    clock = lambda: now + wrong_seconds  # noqa: E731
    told = silences(held, clock)
    assert {name for name in told if ages[int(name)] <= 60.0} == set()
    living = {"living": (Lease(seconds=60.0, is_released=is_released), now)}
    assert silences(held | living, clock) == {
        str(n): pytest.approx(age) for n, age in enumerate(ages) if now - (now - age) > 60.0
    }
    assert {name for name, age in enumerate(ages) if age > 600.0} <= {int(name) for name in told}


def test_a_lease_is_taken_when_it_is_free_given_back_or_silent(spot):
    clock = Clock()
    mine, theirs = Watcher(clock), Watcher(clock)
    first, at = take_lease("cell", spot(), mine, 10.0)
    assert (first.num_losses, first.before) == (0, ())
    assert take_lease("cell", spot(), theirs, 10.0) is None
    clock.now = 9.0
    at = spot().swap(first.next(), at)
    clock.now = 11.0
    assert take_lease("cell", spot(), theirs, 10.0) is None  # it beat meanwhile
    clock.now = 20.5
    assert take_lease("cell", spot(), mine, 10.0) is None  # which has not looked since
    clock.now = 21.0
    second, at = take_lease("cell", spot(), theirs, 10.0)
    assert (second.num_losses, second.before) == (1, (first.token,))
    at = spot().swap(second.next(is_released=True), at)
    third, at = take_lease("cell", spot(), mine, 10.0)  # at once
    assert (third.num_losses, third.before) == (0, (second.token, first.token))


# claims


class Unreachable(MemorySpot):
    """A place whose answers can be lost, or which cannot be reached."""

    how = ""

    def swap(self, lease, stamp):
        if self.how == "down":
            raise StoreError("down")
        found = super().swap(lease, stamp)
        if self.how == "answers are lost":
            raise StoreError("timeout")
        return found


def claimed(spot) -> LeaseClaim:
    taken = take_lease("cell", spot, Watcher(), 10.0)
    assert taken is not None
    spot.cleaned = []

    def clean(tokens):
        spot.cleaned.append((tokens, spot.look() is not None))

    return LeaseClaim("cell", spot, *taken, desk=None, clean=clean)


def test_a_claim_beats_until_it_is_given_back():
    spot = Unreachable()
    claim = claimed(spot)
    claim.beat()
    claim.beat()
    assert spot.look()[0].beat == 2
    claim.release()
    assert spot.look()[0].is_released
    assert claim.is_over
    claim.beat()
    claim.release()
    assert spot.look()[0].beat == 3
    assert spot.cleaned == []


@pytest.mark.parametrize("how", ["down", "answers are lost"])
def test_a_beat_that_may_have_arrived_is_no_loss(how):
    spot = Unreachable()
    claim = claimed(spot)
    spot.how = how
    for _ in range(3):
        with pytest.raises(StoreError):
            claim.beat()
    spot.how = ""
    claim.beat()
    assert not claim.is_lost()
    assert spot.look()[0].token == claim.token


def test_a_claim_that_was_taken_over_is_lost_and_touches_nothing():
    spot = Unreachable()
    claim = claimed(spot)
    lease, stamp = spot.look()
    other = lease.taken_over(10.0, is_lost=True)
    stamp = spot.swap(other, stamp)
    assert not claim.is_lost()  # it cannot know yet
    claim.beat()
    assert claim.is_lost()
    assert claim.is_over
    claim.beat()
    claim.release()
    claim.clear()
    assert spot.look() == (other, stamp)
    assert [tokens for tokens, _ in spot.cleaned] == [(claim.token,)]


def test_a_claim_clears_what_was_before_it_and_goes_last():
    spot = Unreachable()
    before = claimed(spot)
    before.release()
    claim = claimed(spot)
    claim.clear()
    assert spot.cleaned == [((claim.token, before.token), True)]
    assert spot.look() is None


class Counting:
    """What a heart renews."""

    seconds, is_over = 0.06, False

    def __init__(self) -> None:
        self.num_beats, self.is_failing = 0, False

    def beat(self) -> None:
        self.num_beats += 1
        if self.is_failing:
            raise StoreError("out of reach")


def test_a_heart_renews_all_it_keeps_and_rests_without_any():
    heart, first, second = Heart(), Counting(), Counting()
    others = set(threading.enumerate())
    first.is_failing = True
    heart.keep(first)
    heart.keep(second)
    wait_until(lambda: first.num_beats > 5 and second.num_beats > 5)
    second.is_over = True
    wait_until(lambda: first.num_beats > 10)
    beats = second.num_beats
    wait_until(lambda: first.num_beats > 15)
    assert second.num_beats <= beats
    first.is_over = True
    wait_until(lambda: set(threading.enumerate()) <= others)
    again = Counting()
    heart.keep(again)
    wait_until(lambda: again.num_beats > 3)
    again.is_over = True


@pytest.mark.parametrize("error", [RuntimeError("a defect"), MemoryError(), OSError(5, "EIO")])
def test_what_one_claim_raises_stops_no_other(error):
    class Failing(Counting):
        def beat(self):
            self.num_beats += 1
            raise error

    heart, failing, good = Heart(), Failing(), Counting()
    heart.keep(failing)
    heart.keep(good)
    wait_until(lambda: failing.num_beats > 3 and good.num_beats > 3)
    failing.is_over = good.is_over = True


def test_a_store_out_of_reach_stops_the_beats_of_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", "0.3")
    name, is_back = "a" * 64, threading.Event()

    class Away(MemoryBucket):
        is_asked = False

        def swap(self, key, data, tag):
            if key.startswith("claims/"):  # a beat
                self.is_asked = True
                is_back.wait(PATIENCE_SECONDS)
            return super().swap(key, data, tag)

    away = Away()
    stores = [ObjectStore.over(away), ObjectStore.over(MemoryBucket())]
    stores.append(Store(tmp_path / "store", claims="lease"))
    claims = []
    for store in stores:
        store.open_for_writing()
        claims.append(store.claim(name))
    wait_until(lambda: away.is_asked)
    try:
        before = [claim._lease.beat for claim in claims]
        wait_until(
            lambda: all(
                claim._lease.beat > beat + 2
                for claim, beat in zip(claims[1:], before[1:], strict=True)
            )
        )
    finally:
        is_back.set()
    for claim in claims:
        claim.clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks among threads
def test_a_forked_process_renews_nothing_of_its_parent():
    heart, counting = Heart(), Counting()
    heart.keep(counting)
    wait_until(lambda: counting.num_beats > 3)
    child = os.fork()
    if not child:
        own = Counting()
        heart.keep(own)  # begins a thread
        before = counting.num_beats
        until = time.monotonic() + PATIENCE_SECONDS
        while own.num_beats < 5 and time.monotonic() < until:
            time.sleep(0.01)
        os._exit(0 if own.num_beats >= 5 and counting.num_beats == before else 1)
    assert os.waitpid(child, 0)[1] == 0
    counting.is_over = True
