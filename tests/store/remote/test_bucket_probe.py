"""Servers are asked to prove their promises, and those that cannot are refused."""

from collections.abc import Callable

import pytest
import wrong_buckets
from faulty_proxy import FaultyProxy
from memory_bucket import MemoryBucket

from lottery_ticket.errors import StoreError
from lottery_ticket.store.remote import Bucket, ObstoreBucket, Patience, probe

NewBucket = Callable[..., ObstoreBucket]


def test_honest_buckets_pass_and_keep_nothing(new_bucket: NewBucket) -> None:
    buckets: list[Bucket] = [MemoryBucket(), new_bucket()]
    for bucket in buckets:
        probe(bucket)
        assert bucket.requests == {"create": 2, "swap": 2, "list": 1, "remove": 1}
        assert list(bucket.list("")) == []


@pytest.mark.parametrize("wrong", ["CreatesAlways", "IgnoresTags"])
def test_buckets_without_conditions_do_not(wrong: str) -> None:
    bucket = getattr(wrong_buckets, wrong)()
    with pytest.raises(StoreError, match="ignores conditional writes"):
        probe(bucket)
    assert list(bucket.list("")) == []


@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
def test_a_server_without_conditions(header: str, moto: str, new_bucket: NewBucket) -> None:
    with FaultyProxy(moto, without_headers=[header]) as proxy:
        bucket = new_bucket(endpoint=proxy.url)
        with pytest.raises(StoreError) as raised:
            probe(bucket)
    message = str(raised.value)
    assert message.startswith(f"{bucket.location}: its server ignores conditional writes (lets ")
    assert "so two workers could take one cell; use a server that honours If-Match" in message


def test_a_store_that_may_only_be_read(moto: str, new_bucket: NewBucket) -> None:
    with FaultyProxy(moto, forbid=lambda method, path: method in {"PUT", "POST"}) as proxy:
        bucket = new_bucket(endpoint=proxy.url)
        assert bucket.get("a") is None
        with pytest.raises(StoreError) as raised:
            probe(bucket)
    assert f"{bucket.location} cannot be written (403 AccessDenied)" in str(raised.value)


def test_an_honest_server_with_bad_moments_passes(moto: str, new_bucket: NewBucket) -> None:
    with FaultyProxy(moto, share=0.3, seed=3, late_seconds=0.01) as proxy:
        bucket = new_bucket(endpoint=proxy.url, patience=Patience(first_seconds=0.01))
        for _ in range(10):
            probe(bucket)
    assert proxy.counts.total() > proxy.counts["none"] >= 60
    assert list(new_bucket().list("")) == []
