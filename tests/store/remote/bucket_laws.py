"""What every bucket keeps: each law is asked of a new, empty one."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lottery_ticket.store.remote import Bucket

NUM_RACING = 16

_T = TypeVar("_T")


def raced(num: int, take: Callable[[int], _T]) -> list[_T]:
    """What `take(0)`, … bring that all start at once."""
    start = threading.Barrier(num)

    def started(number: int) -> _T:
        start.wait()
        return take(number)

    with ThreadPoolExecutor(num) as pool:
        return list(pool.map(started, range(num)))


def reads_what_was_written(bucket: Bucket) -> None:
    for number, data in enumerate([b"", b"\0", bytes(range(256)) * 40, b"text\r\n\0\0"]):
        key = f"folder/{number}.bin"
        tag = bucket.put(key, data)
        found = bucket.get(key)
        assert found is not None
        assert (found.data, found.tag) == (data, tag)
        head = bucket.head(key)
        assert head is not None
        assert (head.key, head.tag, head.num_bytes) == (key, tag, len(data))


def knows_what_is_missing(bucket: Bucket) -> None:
    assert bucket.get("a/b") is None
    assert bucket.head("a/b") is None
    assert list(bucket.list("a")) == []
    bucket.remove(["a/b"])
    bucket.remove([])
    tag = bucket.put("a/b", b"1")
    assert bucket.get("a") is None  # a folder is no object
    bucket.remove(["a/b", "a/c"])
    assert bucket.get("a/b") is None
    assert bucket.swap("a/b", b"2", tag) is None
    assert bucket.get("a/b") is None


def creates_once(bucket: Bucket) -> None:
    tag = bucket.create("a", b"first")
    assert tag is not None
    assert bucket.create("a", b"second") is None
    found = bucket.get("a")
    assert found is not None
    assert (found.data, found.tag) == (b"first", tag)
    bucket.remove(["a"])
    assert bucket.create("a", b"third") is not None


def swaps_what_has_not_changed(bucket: Bucket) -> None:
    first = bucket.put("a", b"1")
    second = bucket.swap("a", b"2", first)
    assert second is not None
    assert second != first
    assert bucket.swap("a", b"3", first) is None
    third = bucket.put("a", b"4")
    assert bucket.swap("a", b"5", second) is None
    assert bucket.swap("a", b"6", third) is not None
    found = bucket.get("a")
    assert found is not None
    assert found.data == b"6"


def one_of_many_creates(bucket: Bucket) -> None:
    for round_ in range(4):
        key = f"claims/{round_}"
        tags = raced(NUM_RACING, lambda i, key=key: bucket.create(key, b"by %d" % i))
        winners = [number for number, tag in enumerate(tags) if tag is not None]
        found = bucket.get(key)
        assert found is not None
        assert [b"by %d" % number for number in winners] == [found.data]


def one_of_many_swaps(bucket: Bucket) -> None:
    for round_ in range(4):
        key = f"claims/{round_}"
        old = bucket.put(key, b"old")
        tags = raced(NUM_RACING, lambda i, key=key, old=old: bucket.swap(key, b"by %d" % i, old))
        winners = [number for number, tag in enumerate(tags) if tag is not None]
        found = bucket.get(key)
        assert found is not None
        assert [b"by %d" % number for number in winners] == [found.data]


def lists_folders(bucket: Bucket) -> None:
    keys = ["cells-old/a", "cells.json", "cells/A", "cells/a", "cells/a-b", "cells/a/b", "cells2"]
    for number, key in enumerate(reversed(keys)):
        bucket.put(key, b"x" * number)
    assert [one.key for one in bucket.list("")] == sorted(keys)
    assert [one.key for one in bucket.list("cells")] == [
        "cells/A",
        "cells/a",
        "cells/a-b",
        "cells/a/b",
    ]
    for one in bucket.list(""):
        assert one == bucket.head(one.key)
    times = [one.modified for one in bucket.list("")]
    assert max(times) - min(times) < 3600


def lists_reads_and_removes_pages(bucket: Bucket) -> None:
    keys = [f"many/{number:04}" for number in range(1003)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: bucket.put(key, key.encode()), reversed(keys)))
    before = bucket.requests.copy()
    assert [one.key for one in bucket.list("many")] == keys
    assert (bucket.requests - before) == {"list": 2}
    bucket.remove(iter(keys[:-1]))
    assert (bucket.requests - before) == {"list": 2, "remove": 2}
    assert [one.key for one in bucket.list("many")] == keys[-1:]


def reads_many(bucket: Bucket) -> None:
    keys = [f"a/{number:02}" for number in range(50)]
    for key in keys[::2]:
        bucket.put(key, key.encode())
    got = list(bucket.get_many(iter(keys)))
    assert [key for key, _ in got] == keys
    assert [found and found.data for _, found in got] == [
        key.encode() if number % 2 == 0 else None for number, key in enumerate(keys)
    ]
    assert next(iter(bucket.get_many(keys)))[0] == keys[0]  # and the rest is not wanted


def counts_what_it_does(bucket: Bucket) -> None:
    tag = bucket.put("a", b"123")
    bucket.create("b", b"12")
    bucket.swap("a", b"1234", tag)
    bucket.get("a")
    bucket.head("a")
    list(bucket.list(""))
    bucket.remove(["a", "b"])
    kinds = ["put", "create", "swap", "get", "head", "list", "remove"]
    assert bucket.requests == dict.fromkeys(kinds, 1)
    assert (bucket.bytes_in, bucket.bytes_out) == (4, 9)


LAWS = {
    law.__name__: law
    for law in (
        reads_what_was_written,
        knows_what_is_missing,
        creates_once,
        swaps_what_has_not_changed,
        one_of_many_creates,
        one_of_many_swaps,
        lists_folders,
        lists_reads_and_removes_pages,
        reads_many,
        counts_what_it_does,
    )
}
