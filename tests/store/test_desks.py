"""Where a cell is worked on: whoever claims it anew finds what was left, as it was left."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from memory_store import MemoryDesk

from lottery_ticket.errors import DamagedError
from lottery_ticket.store import Desk, LocalDesk
from lottery_ticket.store.remote.desk import BucketDesk


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    count = iter(range(10**6))
    folder = tmp_path_factory.mktemp("desks")

    def new() -> Path:
        place = folder / str(next(count)) / "desk"
        place.mkdir(parents=True)
        return place

    return new


DESKS = {
    "local": LocalDesk,
    "memory": lambda folder: MemoryDesk(),
    "bucket": lambda folder: BucketDesk(MemoryBucket(), "0" * 16),
}
NAMES = st.sampled_from(["checkpoint", "history.jsonl", "progress.json"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "show", "begin", "append"]), NAMES, st.binary(max_size=9)),
    max_size=8,
)


def check_desk(desk: Desk, steps) -> None:
    """What is read is what was written last, and all that was appended since."""
    left: dict[str, bytes] = {}
    for how, name, data in steps:
        getattr(desk, how)(name, data)
        left[name] = left.get(name, b"") + data if how == "append" else data
        for each in ("checkpoint", "history.jsonl", "progress.json"):
            assert desk.read(each, 1000) == left.get(each)
    for name in left:
        kept = desk.set_aside(name)
        assert kept != desk.where(name)
        assert desk.read(name, 1000) is None


@pytest.mark.parametrize("name", DESKS)
@given(steps=STEPS)
def test_a_desk_keeps_what_is_left(name, steps, places):
    check_desk(DESKS[name](places()), steps)


@pytest.mark.parametrize("name", DESKS)
def test_what_is_too_large_was_not_written_so(name, places):
    desk = DESKS[name](places())
    desk.write("checkpoint", b"12345")
    assert desk.read("checkpoint", 5) == b"12345"
    with pytest.raises(DamagedError):
        desk.read("checkpoint", 4)


def test_another_desk_at_the_place_finds_it(places):
    place = places()
    LocalDesk(place).write("checkpoint", b"so far")
    assert LocalDesk(place).read("checkpoint", 100) == b"so far"


class Forgets(MemoryDesk):
    def begin(self, name, data):
        """Goes on with what was there."""
        self.append(name, data)


class Mixes(MemoryDesk):
    def write(self, name, data):
        super().write("checkpoint", data)


class Keeps(MemoryDesk):
    def set_aside(self, name):
        return f"unread-{name}"


@pytest.mark.parametrize("wrong", [Forgets, Mixes, Keeps])
def test_other_desks_are_caught(wrong):
    steps = [("write", "checkpoint", b"a"), ("append", "history.jsonl", b"b"),
             ("begin", "history.jsonl", b"c"), ("write", "progress.json", b"d")]  # fmt: skip
    with pytest.raises(AssertionError):
        check_desk(wrong(), steps)
