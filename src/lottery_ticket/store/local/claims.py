"""Claims of a folder on one machine: an operating-system lock, which a dead process loses at once,
however it died; and the table of the ways to claim."""

import contextlib
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from lottery_ticket.errors import StoreError
from lottery_ticket.store._files import is_link
from lottery_ticket.store._making import Claim, Desk
from lottery_ticket.store.local.desk import LocalDesk
from lottery_ticket.store.local.leases import Leases

if sys.platform != "win32":
    import fcntl

__all__ = ["CLAIMS", "LockClaim", "Locks"]

_MAX_TRIES = 100
# by another; or there are no such locks, and the file itself is one
_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOSYS)


class LockClaim:
    """The right to make one cell, and the folder to make it in.

    Args:
        folder: the cell's work folder; it may hold a checkpoint of an earlier claim.
        lock: held.
    """

    num_losses = 0  # a dead holder leaves no trace

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.token = secrets.token_hex(8)
        self._lock = lock

    @property
    def desk(self) -> Desk:
        """The folder."""
        return LocalDesk(self.folder)

    def is_lost(self) -> bool:
        """Never: the lock is held as long as the process lives."""
        return False

    @classmethod
    def take(cls, folder: Path) -> "LockClaim | None":
        """Claim the folder, or None if another process holds it.

        Raises:
            StoreError: the folder, or its lock, is a link: what it leads to is not ours.
            OSError: it cannot be made.
        """
        for path in (folder, folder / "claim.lock"):
            if is_link(path):
                raise StoreError(f"{path}: a link, which a store does not follow; remove it")
        lock = FileLock(folder / "claim.lock", is_singleton=False)
        for tries_left in reversed(range(_MAX_TRIES)):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
                return cls(folder, lock)
            except Timeout:
                return None
            except (FileNotFoundError, FileExistsError):  # cleared by its owner at this moment
                if not tries_left:
                    raise
        return None

    @staticmethod
    def is_held(folder: Path) -> bool:
        """Whether a living process has claimed a folder, as far as one can tell; makes nothing.

        Raises:
            OSError: it cannot be looked at now.
        """
        return _is_locked(folder / "claim.lock")

    def release(self) -> None:
        """Give the claim back and keep the folder, so that the work can be continued."""
        self._lock.release()

    def clear(self) -> None:
        """Give the claim back and remove the folder: the cell is finished.

        Another process that waits for this very lock finds the cell finished once it gets it.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        if os.name == "nt":  # Windows keeps locked files; elsewhere a new claim may be here by now
            shutil.rmtree(self.folder, ignore_errors=True)


class Locks:
    """Who is at work on a store, told by the operating system: of the dead, at once."""

    kind = "lock"

    def take(self, folder: Path) -> Claim | None:
        """Claim a cell's work folder; None while another process holds it."""
        return LockClaim.take(folder)

    def is_held(self, folder: Path) -> bool:
        """Whether somebody seems to hold a claim."""
        return LockClaim.is_held(folder)

    def silent(self, folders: Iterable[Path]) -> Mapping[str, float]:
        """By the names of folders, for how long their holders have been silent: none is."""
        return {}

    def desk(self, folder: Path) -> Desk:
        """Where whoever holds the claim works, or worked last."""
        return LocalDesk(folder)

    def settle(self, folders: Iterable[Path], files: Iterable[Path]) -> None:
        """Wait until it is known which of them are of the dead: it always is."""

    @contextlib.contextmanager
    def held(self, path: Path) -> Iterator[None]:
        """A file that says, as long as it is there, that this process lives."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, is_singleton=False)
        lock.acquire(timeout=0)
        try:
            yield
        finally:
            lock.release()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def living(self, paths: Iterable[Path]) -> set[Path]:
        """Those of such files whose processes live; the others are cleared away."""
        return set(filter(_is_held, paths))


def _is_locked(path: Path) -> bool:
    """Whether a process holds a lock of which there may be no file, which is not made then."""
    if sys.platform == "win32":
        return path.exists() and _is_held(path)
    try:
        opened = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:  # another user's: who cannot tell takes it for held
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return True
    finally:
        os.close(opened)
    return False


def _is_held(path: Path) -> bool:
    lock = FileLock(path, is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except (Timeout, PermissionError):  # another user's: who cannot tell takes it for held
        return True
    lock.release()
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return False


CLAIMS: Mapping[str, Callable[[], "Locks | Leases"]] = {"lock": Locks, "lease": Leases}
"""How claims are held: `--claims`."""
