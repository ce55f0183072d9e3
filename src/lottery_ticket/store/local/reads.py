"""What has been read from a store and has not changed since: a command that shows a cell in five
tables and figures reads its files once."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["Reads", "stamp_of"]

Value = TypeVar("Value")

_MAX_BYTES = 1 << 26  # of files, in all
_MAX_FILE_BYTES = 1 << 24
_SETTLED_SECONDS = 0.1  # clocks of files tick in some milliseconds


def stamp_of(path: Path | str) -> tuple[int, ...] | None:
    """Something that changes when a file does; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Reads:
    """Values read from files, each with the stamp of its file when it was read; the oldest go
    first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, tuple[tuple[int, ...], object]] = OrderedDict()
        self._num_bytes = 0

    def known(self, path: Path, read: Callable[[Path], Value]) -> Value:
        """What `read` made of a file, called only where the file has changed."""
        entry = self._known.get(path)
        if entry is not None and entry[0] == stamp_of(path):
            self._known.move_to_end(path)
            return entry[1]  # type: ignore[return-value]  # of a path it is always the same kind
        return self.fresh(path, read)

    def fresh(self, path: Path, read: Callable[[Path], Value]) -> Value:
        """The same, called in any case."""
        self._forget(path)
        stamp, now = stamp_of(path), time.time_ns()
        value = read(path)
        # of a file that was written just now, a change might not be seen
        if stamp is not None and stamp[2] < now - _SETTLED_SECONDS * 1e9:
            self._keep(path, stamp, value)
        return value

    def keep(self, path: Path, value: object) -> None:
        """Take a value for what is in a file now: one that is right whatever that is."""
        stamp = stamp_of(path)
        if stamp is not None:
            self._keep(path, stamp, value)

    def _keep(self, path: Path, stamp: tuple[int, ...], value: object) -> None:
        self._forget(path)
        if stamp[1] > _MAX_FILE_BYTES:
            return
        self._known[path] = (stamp, value)
        self._num_bytes += stamp[1]
        while self._num_bytes > _MAX_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, path: Path) -> None:
        stamp, _ = self._known.pop(path, ((0, 0), None))
        self._num_bytes -= stamp[1]
