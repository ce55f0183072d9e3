"""Buckets that break one promise each, over a right one."""

import threading
from collections.abc import Iterable, Iterator
from itertools import islice

from bucket_laws import NUM_RACING
from memory_bucket import MemoryBucket

from lottery_ticket.errors import StoreError
from lottery_ticket.store.remote import Bucket, Found, Listed


class CreatesAlways(MemoryBucket):
    def create(self, key: str, data: bytes) -> str | None:
        return self.put(key, data)


class CreatesAfterALook(MemoryBucket):
    """Looks and writes, but not in one step: all that race have looked before one writes."""

    def __init__(self) -> None:
        super().__init__()
        self.all_have_looked = threading.Barrier(NUM_RACING)

    def create(self, key: str, data: bytes) -> str | None:
        is_there = self.head(key) is not None
        self.all_have_looked.wait()
        return None if is_there else self.put(key, data)


class IgnoresTags(MemoryBucket):
    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        return self.put(key, data)


class SwapsWhatIsGone(MemoryBucket):
    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        return super().swap(key, data, tag) if self.head(key) else self.put(key, data)


class ListsOnePage(MemoryBucket):
    def list(self, prefix: str) -> Iterator[Listed]:
        return islice(super().list(prefix), 1000)


class ListsByText(MemoryBucket):
    """`cells` lists `cells-old/a` too."""

    def list(self, prefix: str) -> Iterator[Listed]:
        return (one for one in super().list("") if one.key.startswith(prefix))


class ListsBackwards(MemoryBucket):
    def list(self, prefix: str) -> Iterator[Listed]:
        return reversed(list(super().list(prefix)))


class SkipsWhatIsMissing(MemoryBucket):
    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Found | None]]:
        return ((key, found) for key, found in super().get_many(keys) if found)


class RemovesOnePage(MemoryBucket):
    def remove(self, keys: Iterable[str]) -> None:
        super().remove(list(keys)[:1000])


class CutsOff(MemoryBucket):
    def put(self, key: str, data: bytes) -> str:
        return super().put(key, data.rstrip(b"\0"))


class Credulous:
    """Over a bucket without patience: tries again, and believes whatever answer arrives."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def create(self, key: str, data: bytes) -> str | None:
        while True:
            try:
                return self.bucket.create(key, data)
            except StoreError:
                continue

    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        while True:
            try:
                return self.bucket.swap(key, data, tag)
            except StoreError:
                continue
