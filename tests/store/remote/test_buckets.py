"""Every bucket keeps the laws, and no law holds of a bucket that breaks it."""

import signal
from collections import Counter
from collections.abc import Callable

import pytest
import wrong_buckets
from bucket_laws import LAWS
from hypothesis import given
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from moto_server import KEYS

from lottery_ticket.store.remote import Bucket, ObstoreBucket

LAW = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@LAW
def test_a_bucket_in_memory(law: Callable[[Bucket], None]) -> None:
    law(MemoryBucket())


@LAW
def test_a_bucket_of_s3(law: Callable[[Bucket], None], new_bucket: Callable[..., Bucket]) -> None:
    law(new_bucket())


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ("CreatesAlways", "creates_once"),
        ("CreatesAlways", "one_of_many_creates"),
        ("IgnoresTags", "swaps_what_has_not_changed"),
        ("IgnoresTags", "one_of_many_swaps"),
        ("SwapsWhatIsGone", "knows_what_is_missing"),
        ("ListsOnePage", "lists_reads_and_removes_pages"),
        ("ListsByText", "lists_folders"),
        ("ListsBackwards", "lists_folders"),
        ("SkipsWhatIsMissing", "reads_many"),
        ("RemovesOnePage", "lists_reads_and_removes_pages"),
        ("CutsOff", "reads_what_was_written"),
        ("CreatesAfterALook", "one_of_many_creates"),
    ],
)
def test_a_law_catches_its_mutant(wrong: str, law: str) -> None:
    with pytest.raises(AssertionError):
        LAWS[law](getattr(wrong_buckets, wrong)())


def test_large_objects_arrive_whole(new_bucket: Callable[..., Bucket]) -> None:
    bucket, data = new_bucket(), bytes(range(256)) * (36 << 10)  # 9 MiB: sent in parts
    tag = bucket.put("large", data)
    found = bucket.get("large")
    assert found is not None
    assert found.data == data
    assert bucket.swap("large", b"small", tag) is not None


def test_prefixes_do_not_see_one_another(
    moto: str, new_bucket: Callable[..., Bucket], s3_url: str
) -> None:
    one = new_bucket()
    other = ObstoreBucket(f"{s3_url}-too", endpoint=moto, **KEYS)
    one.put("a", b"1")
    assert other.get("a") is None
    assert other.create("a", b"2") is not None
    assert [found.num_bytes for found in one.list("")] == [1]
    other.remove(["a"])
    assert one.get("a") is not None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "create", "swap", "swap stale", "remove", "get"]),
        st.sampled_from(["a", "b/c", "b/d"]),
    ),
    max_size=30,
)


@given(STEPS)
def test_any_sequence_is_as_of_a_dict(steps: list[tuple[str, str]]) -> None:
    follows_a_dict(MemoryBucket(), steps)


def follows_a_dict(bucket: Bucket, steps: list[tuple[str, str]]) -> None:
    held: dict[str, bytes] = {}
    tags: dict[str, list[str]] = {}
    for number, (step, key) in enumerate(steps):
        data, known = b"data %d" % number, tags.setdefault(key, [])
        tag = None
        if step == "put":
            tag = bucket.put(key, data)
        elif step == "create":
            tag = bucket.create(key, data)
            assert (tag is None) == (key in held)
        elif step == "swap" and known:
            tag = bucket.swap(key, data, known[-1])
            assert (tag is None) == (key not in held)
        elif step == "swap stale" and known[:-1]:
            assert bucket.swap(key, data, known[0]) is None
        elif step == "remove":
            bucket.remove([key])
            held.pop(key, None)
        if tag is not None:
            held[key] = data
            known.append(tag)
        found = bucket.get(key)
        assert (found and found.data) == held.get(key)
    assert {one.key: one.num_bytes for one in bucket.list("")} == {
        k: len(v) for k, v in held.items()
    }


def test_a_signal_in_a_request_can_ask_something(new_bucket: Callable[..., ObstoreBucket]) -> None:
    """Whoever is asked to stop says so to others at once, amid whatever it does."""
    bucket = new_bucket()

    class Interrupted(Counter[str]):
        """Whoever counts a request is interrupted once."""

        def __setitem__(self, kind: str, count: int) -> None:
            super().__setitem__(kind, count)
            if kind == "get" and count == 1:
                signal.raise_signal(signal.SIGUSR1)

    def hangs(number: int, frame: object) -> None:
        raise AssertionError("it waits for itself")

    before = {
        signal.SIGUSR1: signal.signal(signal.SIGUSR1, lambda *_: bucket.put("stop", b"please")),
        signal.SIGALRM: signal.signal(signal.SIGALRM, hangs),
    }
    signal.alarm(60)
    try:
        bucket.requests = Interrupted()
        assert bucket.get("nothing") is None
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
    found = bucket.get("stop")
    assert found is not None
    assert found.data == b"please"
