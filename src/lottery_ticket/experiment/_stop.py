"""Stopping work in progress without losing it."""

import os
from pathlib import Path

__all__ = ["StopSign", "Stopped"]


class Stopped(Exception):  # noqa: N818  # not an error: the work is checkpointed
    """A cell was checkpointed and given back because someone asked to stop."""


class StopSign:
    """Whether a cell should stop: its run was asked to, or the process that started it is gone."""

    def __init__(self, stop_file: Path | None) -> None:
        self._file = stop_file
        self._parent = os.getppid()

    def is_raised(self) -> bool:
        """Look; costs a system call or two."""
        is_orphan = os.getppid() != self._parent
        return is_orphan or (self._file is not None and self._file.exists())
