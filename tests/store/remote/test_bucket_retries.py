"""Buckets behind a server that fails: what was lost on the way, and who won."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from bucket_laws import NUM_RACING, raced
from faulty_proxy import AMBIGUOUS, FAULTS, FaultyProxy
from wrong_buckets import Credulous

from lottery_ticket.errors import StoreError
from lottery_ticket.store.remote import Bucket, ObstoreBucket, Patience

QUICK = Patience(total_seconds=60, first_seconds=0.01, longest_seconds=0.05, answer_seconds=0.5)
NONE = Patience(total_seconds=0, answer_seconds=0.5)

NewBucket = Callable[..., ObstoreBucket]


@pytest.fixture
def proxy(moto: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(moto, late_seconds=1.0) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_survived(fault: str, proxy: FaultyProxy, new_bucket: NewBucket) -> None:
    bucket = new_bucket(endpoint=proxy.url, patience=QUICK)
    put = bucket.put("put", b"1")
    steps: list[Callable[[], object]] = [
        lambda: bucket.put("put", b"1") == put,
        lambda: bucket.create("created", b"2") is not None,
        lambda: bucket.swap("put", b"3", put) is not None,
        lambda: found.data == b"3" if (found := bucket.get("put")) else False,
        lambda: bucket.head("put") is not None,
        lambda: [one.key for one in bucket.list("")] == ["created", "put"],
        lambda: bucket.remove(["put"]) is None and bucket.get("put") is None,
    ]
    for number, step in enumerate(steps):
        proxy.plan.append(fault)
        assert step(), f"step {number}"
    assert proxy.counts[fault] == len(steps)


@pytest.mark.parametrize("fault", AMBIGUOUS)
def test_who_won_is_told_though_the_answer_was_lost(
    fault: str, proxy: FaultyProxy, new_bucket: NewBucket
) -> None:
    told_after_a_lost_answer(
        fault, proxy, new_bucket(endpoint=proxy.url, patience=QUICK), new_bucket()
    )


@pytest.mark.parametrize("fault", AMBIGUOUS)
def test_who_believes_any_answer_is_caught(
    fault: str, proxy: FaultyProxy, new_bucket: NewBucket
) -> None:
    bucket = Credulous(new_bucket(endpoint=proxy.url, patience=NONE))
    with pytest.raises(AssertionError):
        told_after_a_lost_answer(fault, proxy, bucket, new_bucket())


def told_after_a_lost_answer(
    fault: str, proxy: FaultyProxy, bucket: Bucket | Credulous, other: Bucket
) -> None:
    proxy.plan.append(fault)
    tag = bucket.create("a", b"ours")
    assert tag is not None
    proxy.plan.append(fault)
    assert bucket.swap("a", b"ours, again", tag) is not None
    found = other.get("a")
    assert found is not None
    assert found.data == b"ours, again"


@pytest.mark.parametrize("fault", ["500", "409", "dropped"])
def test_who_lost_is_told_after_a_failure(
    fault: str, proxy: FaultyProxy, new_bucket: NewBucket
) -> None:
    bucket, other = new_bucket(endpoint=proxy.url, patience=QUICK), new_bucket()
    other.put("a", b"theirs")
    proxy.plan.append(fault)
    assert bucket.create("a", b"ours") is None
    proxy.plan.append(fault)
    assert bucket.swap("a", b"ours", "0" * 32) is None
    proxy.plan.append(fault)
    assert bucket.swap("gone", b"ours", "0" * 32) is None
    found = other.get("a")
    assert found is not None
    assert found.data == b"theirs"


def test_a_conflict_with_what_is_there_is_an_answer(
    proxy: FaultyProxy, new_bucket: NewBucket
) -> None:
    """Azure says 409 of what exists, as S3 does of two at once: only a look can tell."""
    bucket = new_bucket(endpoint=proxy.url, patience=QUICK)
    new_bucket().put("a", b"theirs")
    proxy.plan.append("409")
    assert bucket.create("a", b"ours") is None
    assert bucket.requests == {"create": 1, "get": 1}


def test_a_lost_answer_and_a_successor(proxy: FaultyProxy, new_bucket: NewBucket) -> None:
    """Our swap arrived, and was replaced before we asked again: it is lost, and stays replaced."""
    bucket, other = new_bucket(endpoint=proxy.url, patience=QUICK), new_bucket()
    tag = bucket.put("a", b"old")

    def replace(method: str, path: str) -> bool:
        if proxy.counts["done, then 500"] and (found := other.get("a")):
            other.swap("a", b"successor", found.tag)
        return False

    proxy.forbid = replace
    proxy.plan.append("done, then 500")
    assert bucket.swap("a", b"ours", tag) is None
    found = other.get("a")
    assert found is not None
    assert found.data == b"successor"


def test_one_winner_under_faults(moto: str, new_bucket: NewBucket) -> None:
    with FaultyProxy(moto, share=0.3, seed=1, late_seconds=0.05) as proxy:
        bucket = new_bucket(endpoint=proxy.url, patience=QUICK)
        for round_ in range(6):
            key = f"claims/{round_}"
            tags = raced(NUM_RACING, lambda i, key=key: bucket.create(key, b"by %d" % i))
            winners = [number for number, tag in enumerate(tags) if tag is not None]
            found = new_bucket().get(key)
            assert found is not None
            assert [b"by %d" % number for number in winners] == [found.data]
    assert sum(proxy.counts[fault] for fault in AMBIGUOUS) > 0
    assert bucket.requests["create"] > 6 * NUM_RACING


def test_no_update_is_lost_under_faults(moto: str, new_bucket: NewBucket) -> None:
    """Whoever is told that they counted has counted, and nobody else counted to the same number."""
    num_threads, num_each = 4, 5
    with FaultyProxy(moto, share=0.3, seed=2, late_seconds=0.05) as proxy:
        bucket = new_bucket(endpoint=proxy.url, patience=QUICK)
        bucket.put("count", _count(0))

        def count_on(_: int) -> list[int]:
            counted: list[int] = []
            while len(counted) < num_each:
                found = bucket.get("count")
                assert found is not None
                number = json.loads(found.data)["count"] + 1
                if bucket.swap("count", _count(number), found.tag) is not None:
                    counted.append(number)
            return counted

        told = [number for some in raced(num_threads, count_on) for number in some]
    found = new_bucket().get("count")
    assert found is not None
    last = json.loads(found.data)["count"]
    assert len(set(told)) == len(told) == num_threads * num_each
    # one that arrived, unheard of, and was counted on from before it was looked for
    unheard = last - len(told)
    assert 0 <= unheard <= sum(proxy.counts[fault] for fault in AMBIGUOUS)


def _count(number: int) -> bytes:
    return json.dumps({"count": number, "token": uuid.uuid4().hex}).encode()


def test_a_listing_goes_on_where_it_broke_off(proxy: FaultyProxy, new_bucket: NewBucket) -> None:
    keys = [f"a/{number:04}" for number in range(1001)]
    direct = new_bucket()
    raced(4, lambda i: [direct.put(key, b"") for key in keys[i::4]])
    bucket = new_bucket(endpoint=proxy.url, patience=replace(QUICK, answer_seconds=15))
    proxy.plan.extend(["500", None, "dropped", "503"])
    assert [one.key for one in bucket.list("a")] == keys
    assert proxy.counts["none"] == 2
    assert bucket.requests["list"] == 5


def test_a_server_that_comes_back_is_waited_for(proxy: FaultyProxy, new_bucket: NewBucket) -> None:
    bucket = new_bucket(endpoint=proxy.url, patience=QUICK)
    proxy.go_down(0.5)
    assert bucket.create("a", b"1") is not None
    assert proxy.counts["dropped"] > 1


def test_a_server_that_stays_away_is_given_up(proxy: FaultyProxy, new_bucket: NewBucket) -> None:
    bucket = new_bucket(
        endpoint=proxy.url, patience=Patience(total_seconds=0.3, first_seconds=0.01)
    )
    proxy.go_down(600)
    began = time.monotonic()
    with pytest.raises(StoreError) as raised:
        bucket.put("a", b"1")
    assert time.monotonic() - began < 10
    message = str(raised.value)
    assert bucket.location in message
    assert "(no connection): given up after 0.3 seconds; start again when it answers" in message


def test_what_no_time_heals_is_said_at_once(proxy: FaultyProxy, new_bucket: NewBucket) -> None:
    bucket = new_bucket(endpoint=proxy.url)
    proxy.forbid = lambda method, path: True
    for request in (
        lambda: bucket.get("a"),
        lambda: bucket.put("a", b""),
        lambda: bucket.create("a", b""),
        lambda: bucket.swap("a", b"", "0"),
        lambda: bucket.head("a"),
        lambda: list(bucket.list("a")),
        lambda: bucket.remove(["a"]),
    ):
        with pytest.raises(StoreError, match=r"cannot be (read|written) \(403"):
            request()
    assert set(bucket.requests.values()) == {1}


def test_pauses_grow_to_a_limit_and_end() -> None:
    pauses = Patience(total_seconds=0.05, first_seconds=0.0, longest_seconds=0.0).pauses()
    assert all(pause == 0 for pause in pauses)  # which ends
    many = [pause for _, pause in zip(range(400), Patience(600, 0.1, 5.0).pauses(), strict=False)]
    assert max(many[:1]) <= 0.1
    assert max(many[:3]) <= 0.4
    assert 2.5 < max(many) <= 5.0
    assert min(many[10:]) < 2.5
