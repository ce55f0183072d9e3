"""Claims of a folder on one machine: an operating-system lock, which a dead process loses at once,
however it died."""

import os
import secrets
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from lottery_ticket.errors import StoreError
from lottery_ticket.store._desk import Desk
from lottery_ticket.store._files import is_link
from lottery_ticket.store.local.desk import LocalDesk

__all__ = ["LockClaim"]

_MAX_TRIES = 100


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
        """Whether a living process has claimed a folder; raises as `take`."""
        if not (folder / "claim.lock").exists():
            return False
        claim = LockClaim.take(folder)
        if claim is None:
            return True
        claim.release()
        return False

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
