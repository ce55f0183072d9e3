"""Who is at work on a store: a lease for each process that runs a run, and each that removes.

Both sides take their lease before they look for the other's, so that at least one of them sees it.
"""

import contextlib
import time
from collections.abc import Iterator

from lottery_ticket.errors import StoreError
from lottery_ticket.store._lease import Lease, LeaseClaim
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.desk import BucketDesk
from lottery_ticket.store.remote.leases import BucketSpot
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
        while place.leases.held(keys.REMOVALS):
            if time.monotonic() > until:
                raise StoreError(
                    f"{place.bucket.location}: another process is removing runs or cells; run the "
                    "same command again when it is done"
                )
            time.sleep(min(_POLL_SECONDS, place.lease_seconds / 10))
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
    return {keys.run_of_use(key) for key in living}


@contextlib.contextmanager
def _held(place: Place, key: str) -> Iterator[None]:
    spot, lease = BucketSpot(place.bucket, key), Lease(seconds=place.lease_seconds)
    stamp = spot.create(lease)
    if stamp is None:
        raise StoreError(f"{place.bucket.location}/{key}: somebody else wrote there")
    desk = BucketDesk(place.bucket, lease.token)  # on which nothing is written
    claim = LeaseClaim(keys.last_of(key), spot, lease, stamp, desk, lambda tokens: None)
    place.heart.keep(claim)
    try:
        yield
    finally:
        claim.clear()
