"""What all stores at one address have together in a process: the bucket's client, what was proved
and read of it, and the threads that look after what this process holds there."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lottery_ticket.store._lease import Heart, Watcher, lease_seconds
from lottery_ticket.store.remote.bucket import Bucket
from lottery_ticket.store.remote.cache import Cache, cache_folder
from lottery_ticket.store.remote.desk import Courier
from lottery_ticket.store.remote.format import check_format, make_writable
from lottery_ticket.store.remote.leases import Leases
from lottery_ticket.store.remote.obstore_bucket import ObstoreBucket
from lottery_ticket.store.remote.opening import address_of
from lottery_ticket.store.remote.reads import FileReads
from lottery_ticket.store.remote.records import Records

__all__ = ["Place"]

_T = TypeVar("_T")

_GLANCE_SECONDS = 5.0
_MOST_GLANCES = 10_000  # cells


class Place:
    """A bucket as this process uses it.

    Args:
        bucket: where.
        seconds: the length of the leases that are taken; None for `$LOTTERY_LEASE_SECONDS`.
        clock: by which leases of others are watched.
        heart: renews the leases that this process holds there; None for one of its own.
        cache: a folder for what this machine remembers of its records; None for none.

    Raises:
        StoreError: no store of this version is there, nor room for one.
    """

    def __init__(
        self,
        bucket: Bucket,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        heart: Heart | None = None,
        cache: Path | None = None,
    ) -> None:
        self.bucket = bucket
        self.lease_seconds = lease_seconds() if seconds is None else seconds
        self.watcher, self.heart, self.courier = Watcher(clock), heart or Heart(), Courier()
        self.leases = Leases(bucket, self.watcher)
        self.records, self.files = Records(bucket, Cache(cache)), FileReads(bucket)
        self._glances: dict[str, dict[str, tuple[float, object]]] = {}
        self._lock = threading.Lock()
        self._is_writable = False
        check_format(bucket)

    @classmethod
    def at(cls, location: str) -> "Place":
        """The one of this process at an address."""
        address = str(address_of(location))
        with _opening:
            if address not in _places:
                _places[address] = cls(ObstoreBucket(address), cache=cache_folder(address))
            return _places[address]

    def open_for_writing(self) -> None:
        """See once that the bucket can be written, and keeps its promises.

        Raises:
            StoreError: it cannot, or does not.
        """
        with self._lock:
            if not self._is_writable:
                make_writable(self.bucket)
                self._is_writable = True

    def glance(self, cell: str, what: str, look: Callable[[], _T]) -> _T:
        """What `look` said of a cell's work, at most some seconds ago: for what is shown several
        times a second."""
        now = time.monotonic()
        since, value = self._glances.get(cell, {}).get(what, (float("-inf"), None))
        if now - since < _GLANCE_SECONDS:
            return value  # type: ignore[return-value]  # of a name it is always the same kind
        if len(self._glances) > _MOST_GLANCES:
            self._glances.clear()
        seen = look()
        self._glances.setdefault(cell, {})[what] = now, seen
        return seen

    def look_anew(self, cell: str) -> None:
        """The next glance looks: this process has changed something there."""
        self._glances.pop(cell, None)


_places: dict[str, Place] = {}
_opening = threading.Lock()
