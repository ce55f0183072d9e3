"""Who is at work on a store: a lock for each process that runs a run, and each that removes.

Every lock is a file of its own, which its process holds in the way of the store's claims: several
may run one run together, and a dead process loses its lock. Both sides take their lock before they
look for the other's, so that at least one of them sees it.
"""

import contextlib
import errno
import time
from collections.abc import Iterator

from lottery_ticket.errors import StoreError
from lottery_ticket.store.local.claims import Locks
from lottery_ticket.store.local.leases import Leases
from lottery_ticket.store.local.paths import Paths

__all__ = ["being_removed", "removing", "run_in_use", "runs_in_use"]

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0

Claims = Locks | Leases


@contextlib.contextmanager
def run_in_use(paths: Paths, run_id: str, claims: Claims) -> Iterator[None]:
    """Keeps others from removing a run, and begins when nobody removes anything.

    Raises:
        StoreError: someone does for a minute.
        OSError: the lock cannot be made.
    """
    with claims.held(paths.new_run_lock(run_id)):
        until = time.monotonic() + _PATIENCE_SECONDS
        while being_removed(paths, claims):
            if time.monotonic() > until:
                raise StoreError(
                    f"{paths.root}: another process is removing runs or cells; run the same "
                    "command again when it is done"
                )
            time.sleep(_POLL_SECONDS)
        yield


@contextlib.contextmanager
def removing(paths: Paths, claims: Claims) -> Iterator[None]:
    """Keeps others from beginning a run; look at `runs_in_use` inside.

    Raises:
        OSError: the lock cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(claims.held(paths.new_removal()))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise  # on a full disk nobody can begin a run either
        yield


def runs_in_use(paths: Paths, claims: Claims) -> set[str]:
    """The ids of the runs that a living process is at work on; raises `OSError`."""
    runs = paths.run_locks()
    return {runs[path] for path in claims.living(runs)}


def being_removed(paths: Paths, claims: Claims) -> bool:
    """Whether a living process removes runs or cells; raises `OSError`."""
    return bool(claims.living(paths.removals()))
