"""Stopping work in progress without losing it."""

import contextlib
import os
from pathlib import Path

__all__ = ["StopSign", "ask_to_stop", "is_asked_to_stop", "take_back"]

# by this process: known here even where the file cannot be written
_asked: set[Path] = set()


def ask_to_stop(stop_file: Path) -> None:
    """Ask all who look at the stop file: this process at once, its workers by the file."""
    _asked.add(stop_file)
    with contextlib.suppress(OSError):  # no store any more: its workers find that out themselves
        stop_file.touch()


def take_back(stop_file: Path) -> None:
    """Nobody looks at the stop file any more."""
    _asked.discard(stop_file)
    with contextlib.suppress(OSError):
        stop_file.unlink()


def is_asked_to_stop(stop_file: Path | None) -> bool:
    """Whether someone asked."""
    return stop_file is not None and (stop_file in _asked or stop_file.exists())


class StopSign:
    """Whether a cell should stop: its run was asked to, or the process that started it is gone."""

    def __init__(self, stop_file: Path | None) -> None:
        self._file = stop_file
        self._parent = os.getppid()

    def is_raised(self) -> bool:
        """Look; costs a system call or two."""
        return os.getppid() != self._parent or is_asked_to_stop(self._file)
