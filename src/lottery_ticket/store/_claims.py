"""Claims: who works on a cell. The lease is an operating-system lock, which a dead process loses at
once, however it died."""

import os
import secrets
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from lottery_ticket.errors import StoreError
from lottery_ticket.store._files import is_link

__all__ = ["Claim", "set_aside"]

_MAX_TRIES = 100


class Claim:
    """The right to make one cell, and the folder to make it in.

    Args:
        folder: the cell's work folder; it may hold a checkpoint of an earlier claim.
        lock: held.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def take(cls, folder: Path) -> "Claim | None":
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


def set_aside(checkpoint: Path) -> Path:
    """Move a checkpoint that cannot be continued out of its work folder, and return where it is.

    It stays there when its cell is finished, until garbage is collected.
    """
    folder = checkpoint.parent
    return checkpoint.rename(folder.with_name(f"unread-{folder.name}-{secrets.token_hex(4)}"))
