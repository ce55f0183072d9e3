"""What a machine remembers of records, and packs of them: quick, and never believed for more than
the bucket says."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from small_cells import WEIGHTS, name_of, record_of

from lottery_ticket.errors import StoreError
from lottery_ticket.store.remote import ObjectStore
from lottery_ticket.store.remote.envelope import Envelope
from lottery_ticket.store.remote.packs import digest_of, pack_bytes, unpacked

NUM = 1200  # in two pages of a listing
EXECUTION = {"device": "cpu", "threads": 1, "train_seconds": 1.5}


def filled(num: int = NUM, bucket: MemoryBucket | None = None) -> MemoryBucket:
    """A bucket with finished cells."""
    bucket = bucket or MemoryBucket()
    ObjectStore.over(bucket).open_for_writing()
    for number in range(num):
        bucket.create(f"cells/{name_of(number)}", envelope(number))
    return bucket


def envelope(number: int, accuracy: float = 0.5) -> bytes:
    record = record_of(name_of(number), {WEIGHTS: b"w"}, test_accuracy=accuracy)
    return Envelope.of(f"{number:016x}", record, EXECUTION).to_bytes()


def asked(bucket: MemoryBucket, folder: Path | None, ask=ObjectStore.cells):
    """What a new process says of a bucket, and the requests that it takes."""
    bucket.requests.clear()
    store = ObjectStore.over(bucket, cache=folder)
    bucket.requests.clear()  # of the format
    return ask(store), dict(bucket.requests)


@pytest.fixture(scope="module")
def packed() -> MemoryBucket:
    """A bucket whose cells somebody has listed before; nobody may change it."""
    bucket = filled()
    asked(bucket, None)
    return bucket


def test_whoever_lists_first_packs_for_others(tmp_path, packed):
    truth, cold = asked(filled(), None)
    assert cold == {"list": 3, "get": NUM, "put": 1}
    assert len(truth) == NUM
    others, few = asked(packed, tmp_path)
    assert few == {"list": 3, "get": 1}
    again, fewer = asked(packed, tmp_path)
    assert fewer == {"list": 2}
    assert truth == others == again
    assert asked(packed, tmp_path, lambda store: store.cells([name_of(3)]))[1] == {"get": 1}


def test_records_are_remembered_too(tmp_path, packed):
    def read(store: ObjectStore) -> int:
        return sum(store.get(name).results["test_accuracy"] == 0.5 for name in store.cell_names())

    asked(packed, tmp_path)
    assert asked(packed, tmp_path, read) == (NUM, {"list": 2})


def says_what_is_there(bucket: MemoryBucket, folder: Path) -> None:
    """The law: with whatever is remembered, the bucket's own records are told."""
    known, _ = asked(bucket, folder)
    truth, _ = asked(bucket, None)
    assert known == truth


def test_what_changed_is_told(tmp_path):
    bucket = filled()
    says_what_is_there(bucket, tmp_path)
    bucket.remove([f"cells/{name_of(0)}"])
    bucket.put(f"cells/{name_of(1)}", envelope(1, 0.9))
    bucket.put(f"cells/{name_of(2)}", b"rotten")
    bucket.put(f"cells/{name_of(NUM)}", envelope(NUM))
    says_what_is_there(bucket, tmp_path)
    found, _ = asked(bucket, tmp_path)
    assert found.keys() == {name_of(number) for number in (1, *range(3, NUM + 1))}
    assert found[name_of(1)].summary["test_accuracy"] == 0.9


class Believing(ObjectStore):
    """Takes what is remembered for what is there."""

    def cells(self, wanted=None):
        from lottery_ticket.store._index import cell_of

        rows = self._place.records._cache.rows
        return {name: cell_of(row) for name, row in rows.items()} or super().cells(wanted)


def test_who_believes_what_is_remembered_breaks_that_law(tmp_path):
    bucket = filled(3)
    asked(bucket, tmp_path)
    bucket.remove([f"cells/{name_of(0)}"])
    known = Believing.over(bucket, cache=tmp_path).cells()
    assert known != ObjectStore.over(bucket).cells()


@settings(max_examples=10)
@given(data=st.data())
def test_damage_to_what_is_remembered_is_only_slow(data, packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    truth, _ = asked(packed, folder)
    for path in folder.iterdir():
        held = bytearray(path.read_bytes())
        harm = data.draw(st.sampled_from(["flip", "cut", "gone"]))
        at = data.draw(st.integers(0, len(held) - 1))
        held[at] ^= 1
        path.write_bytes(held if harm == "flip" else held[:at])
        if harm == "gone":
            path.unlink()
    assert asked(packed, folder)[0] == truth


def test_packs_of_others_are_held_against_the_listing_and_their_seals():
    bucket = filled(600)
    tags = {one.key.rpartition("/")[2]: one.tag for one in bucket.list("cells")}
    wrong = {
        name_of(0): (tags[name_of(0)], envelope(0)[:-3] + b"..\n"),  # its seal is broken
        name_of(1): ("another", envelope(1, 0.9)),
        name_of(2): (tags[name_of(2)], envelope(3)),  # of another cell
    }
    pack = pack_bytes(wrong)
    bucket.put(f"packs/{digest_of(pack)}", pack)
    bucket.put(f"packs/{digest_of(b'x')}", b"is not called so")
    bucket.put(f"packs/{digest_of(b'no pack')}", b"no pack")
    found, _ = asked(bucket, None)
    assert len(found) == 600
    assert {cell.summary["test_accuracy"] for cell in found.values()} == {0.5}


@given(st.dictionaries(st.text(), st.tuples(st.text(), st.binary()), max_size=5), st.integers(0))
def test_packs_hold_what_was_packed_and_survive_any_harm(records, at):
    data = pack_bytes(records)
    assert unpacked(data) == records
    assert isinstance(unpacked(data[: at % len(data)]), dict)


class ReadOnly(MemoryBucket):
    is_closed = False

    def put(self, key, data):
        if self.is_closed:
            raise StoreError("read-only")
        return super().put(key, data)


def test_who_may_not_write_packs_for_himself(tmp_path):
    bucket = filled(600, ReadOnly())
    bucket.is_closed = True
    assert len(asked(bucket, tmp_path)[0]) == 600
    assert list(bucket.list("packs")) == []
    assert asked(bucket, tmp_path, lambda store: len(list(store.survey(store.cell_names()))))[
        1
    ] == {"list": 3}


def test_packs_of_what_is_gone_are_garbage(packed):
    bucket = filled(600)
    asked(bucket, None)
    assert len(list(bucket.list("packs"))) == 1
    store = ObjectStore.over(bucket)
    store.collect_garbage()  # no run has them
    assert {one.key for one in bucket.list("")} == {"format.json", "runs/.kept"}
