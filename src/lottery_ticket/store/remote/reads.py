"""Files of cells, read once: what lies under a token is never written again."""

import threading
from collections import OrderedDict

from lottery_ticket.store.remote.bucket import Bucket

__all__ = ["FileReads"]

_MAX_BYTES = 1 << 26  # in all
_MAX_FILE_BYTES = 1 << 24


class FileReads:
    """Files by key; of what was read the oldest goes first."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def known(self, key: str) -> bytes | None:
        """A file, from memory where it was read before; None if there is none."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        return self.fresh(key)

    def fresh(self, key: str) -> bytes | None:
        """The same, read in any case."""
        found = self._bucket.get(key)
        with self._lock:
            self._forget(key)
            if found is not None and len(found.data) <= _MAX_FILE_BYTES:
                self._known[key] = found.data
                self._num_bytes += len(found.data)
            while self._num_bytes > _MAX_BYTES:
                self._forget(next(iter(self._known)))
        return None if found is None else found.data

    def forget(self, key: str) -> None:
        """It is gone, or not as it was written."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._num_bytes -= len(self._known.pop(key, b""))
