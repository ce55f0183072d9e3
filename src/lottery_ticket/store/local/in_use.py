"""Who is at work on a store: a lock for each process that runs a run, and each that removes.

Every lock is a file of its own, which its process holds by an operating-system lock: several may
run one run together, and a dead process loses its lock at once. Both sides take their lock before
they look for the other's, so that at least one of them sees it.
"""

import contextlib
import errno
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lottery_ticket.errors import StoreError
from lottery_ticket.store.local.paths import Paths

__all__ = ["being_removed", "removing", "run_in_use", "runs_in_use"]

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def run_in_use(paths: Paths, run_id: str) -> Iterator[None]:
    """Keeps others from removing a run, and begins when nobody removes anything.

    Raises:
        StoreError: someone does for a minute.
        OSError: the lock cannot be made.
    """
    with _held(paths.new_run_lock(run_id)):
        until = time.monotonic() + _PATIENCE_SECONDS
        while being_removed(paths):
            if time.monotonic() > until:
                raise StoreError(
                    f"{paths.root}: another process is removing runs or cells; run the same "
                    "command again when it is done"
                )
            time.sleep(_POLL_SECONDS)
        yield


@contextlib.contextmanager
def removing(paths: Paths) -> Iterator[None]:
    """Keeps others from beginning a run; look at `runs_in_use` inside.

    Raises:
        OSError: the lock cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_held(paths.new_removal()))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise  # on a full disk nobody can begin a run either
        yield


def runs_in_use(paths: Paths) -> set[str]:
    """The ids of the runs that a living process is at work on; raises `OSError`."""
    return {run_id for path, run_id in paths.run_locks().items() if _is_held(path)}


def being_removed(paths: Paths) -> bool:
    """Whether a living process removes runs or cells; raises `OSError`."""
    return any(map(_is_held, paths.removals()))


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, is_singleton=False)
    lock.acquire(timeout=0)
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    """Whether its process lives; the lock of a dead one is cleared away."""
    lock = FileLock(path, is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except (Timeout, PermissionError):  # another user's: who cannot tell takes it for held
        return True
    lock.release()
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return False
