"""A bucket in memory, as S3 behaves: equal data have equal tags."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from lottery_ticket.store.remote.bucket import Found, Listed


class MemoryBucket:
    """A `Bucket` over a dict. Whoever is given the same one sees the same objects.

    Args:
        location: what it is called.
        clock: the server's, for when objects were written.
    """

    def __init__(
        self, location: str = "memory://bucket", clock: Callable[[], float] = time.time
    ) -> None:
        self.location, self._clock = location, clock
        self.requests: Counter[str] = Counter()
        self.bytes_in = self.bytes_out = 0
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.RLock()

    def get(self, key: str) -> Found | None:
        with self._lock:
            self.requests["get"] += 1
            if key not in self._objects:
                return None
            data, _ = self._objects[key]
            self.bytes_in += len(data)
            return Found(data, _tag(data))

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Found | None]]:
        for key in keys:
            yield key, self.get(key)

    def put(self, key: str, data: bytes) -> str:
        return self._write("put", key, data)

    def create(self, key: str, data: bytes) -> str | None:
        with self._lock:
            if key in self._objects:
                self.requests["create"] += 1
                return None
            return self._write("create", key, data)

    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        with self._lock:
            if key not in self._objects or _tag(self._objects[key][0]) != tag:
                self.requests["swap"] += 1
                return None
            return self._write("swap", key, data)

    def head(self, key: str) -> Listed | None:
        with self._lock:
            self.requests["head"] += 1
            return self._listed(key) if key in self._objects else None

    def list(self, prefix: str) -> Iterator[Listed]:
        folder = f"{prefix.strip('/')}/" if prefix else ""
        with self._lock:
            keys = sorted((key for key in self._objects if key.startswith(folder)), key=str.encode)
            found = [self._listed(key) for key in keys]
            self.requests["list"] += len(found) // 1000 + 1
        yield from found

    def remove(self, keys: Iterable[str]) -> None:
        with self._lock:
            for count, key in enumerate(keys):
                self.requests["remove"] += count % 1000 == 0
                self._objects.pop(key, None)

    def _write(self, kind: str, key: str, data: bytes) -> str:
        with self._lock:
            self.requests[kind] += 1
            self.bytes_out += len(data)
            self._objects[key] = bytes(data), self._clock()
            return _tag(data)

    def _listed(self, key: str) -> Listed:
        data, modified = self._objects[key]
        return Listed(key, _tag(data), len(data), modified)


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
