"""Who is at work on a store: a lease for each process that runs a run, and each that removes.

Both sides take their lease before they look for the other's, so that at least one of them sees it.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from lottery_ticket.errors import StoreError
from lottery_ticket.store._lease import Lease
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket
from lottery_ticket.store.remote.place import Place

__all__ = ["removing", "run_in_use", "runs_in_use"]

_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def run_in_use(place: Place, run_id: str) -> Iterator[None]:
    """Keeps others from removing a run, and begins when nobody removes anything.

    Raises:
        StoreError: someone does for a minute, or the bucket cannot be written.
    """
    with _held(place, keys.new_use(run_id)):
        # who was killed while it removed seems to live for as long as a lease lasts
        until = time.monotonic() + _PATIENCE_SECONDS + place.lease_seconds
        has_waited = False
        while place.leases.held(keys.REMOVALS):
            has_waited = True
            if time.monotonic() > until:
                raise StoreError(
                    f"{place.bucket.location}: another process is removing runs or cells; run the "
                    "same command again when it is done"
                )
            time.sleep(min(_POLL_SECONDS, place.lease_seconds / 10))
        if has_waited:
            place.leases.bury(keys.REMOVALS)
        yield


@contextlib.contextmanager
def removing(place: Place) -> Iterator[float]:
    """Keeps others from beginning a run; gives the time by the server's clock.

    Raises:
        StoreError: the bucket cannot be written.
    """
    key = keys.new_removal()
    with _held(place, key):
        own = place.bucket.head(key)
        yield 0.0 if own is None else own.modified  # 0: nothing is old


def runs_in_use(place: Place, *, but: set[str]) -> set[str]:
    """The ids of the runs that a living process is at work on, but for some; watches those that
    may be dead for as long as a lease lasts."""
    living = place.leases.living(keys.USES, lambda key: keys.run_of_use(key) not in but)
    place.leases.bury(keys.USES)
    return {keys.run_of_use(key) for key in living}


@contextlib.contextmanager
def _held(place: Place, key: str) -> Iterator[None]:
    mark = Mark(place.bucket, key, place.lease_seconds)
    mark.beat()
    place.heart.keep(mark)
    try:
        yield
    finally:
        mark.end()


class Mark:
    """An object that says that its process is at work. Nobody takes it over: who was taken for dead
    and is alive writes it anew.

    Args:
        bucket: where.
        key: that no other process has.
        seconds: unchanged for so long, it may be removed.
    """

    def __init__(self, bucket: Bucket, key: str, seconds: float) -> None:
        self._bucket, self._key, self._lease = bucket, key, Lease(seconds=seconds)
        self._lock = threading.Lock()  # the heart beats in a thread of its own
        self.seconds, self.is_over = seconds, False

    def beat(self) -> None:
        """Write it anew; raises `StoreError` if it cannot be now."""
        with self._lock:
            if not self.is_over:
                self._bucket.put(self._key, self._lease.to_bytes())
                self._lease = self._lease.next()

    def end(self) -> None:
        """Take it away; where that cannot be now, it is found to be of no use before long."""
        with self._lock:
            self.is_over = True
        with contextlib.suppress(StoreError):
            self._bucket.remove([self._key])
