"""What is written while a cell is made: its checkpoint, its history, how far it is."""

import contextlib
import os
from pathlib import Path
from typing import Protocol

from lottery_ticket.errors import DamagedError
from lottery_ticket.files import aside_of, write_file
from lottery_ticket.store._claims import set_aside
from lottery_ticket.store._files import read_file

__all__ = ["Desk", "LocalDesk"]


class Desk(Protocol):
    """Where one cell is worked on. Whoever claims it anew finds what was left there; nothing that
    is finished depends on it."""

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """What was left under a name; None if nothing was.

        Raises:
            DamagedError: what is there was not written so.
            StoreError: it cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Replace what is under a name: whole or not at all, whatever happens."""
        ...

    def show(self, name: str, data: bytes) -> None:
        """The same for what is only looked at: it may be lost, and says nothing if it cannot be
        written."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Add to what is under a name, which whoever looks sees at once."""
        ...

    def begin(self, name: str, data: bytes) -> None:
        """What is appended to begins anew, with these bytes."""
        ...

    def set_aside(self, name: str) -> str:
        """Keep what cannot be used out of the way, and say where."""
        ...

    def where(self, name: str) -> str:
        """What people call the place of a name."""
        ...


class LocalDesk:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, max_bytes: int) -> bytes | None:
        path = self._folder / name
        try:
            return read_file(path, max_bytes)
        except DamagedError:
            if os.path.lexists(path):
                raise
            return None

    def write(self, name: str, data: bytes) -> None:
        write_file(self._folder / name, data)

    def show(self, name: str, data: bytes) -> None:
        path = self._folder / name
        aside = aside_of(path)
        try:
            aside.write_bytes(data)
            aside.replace(path)  # not synced, since nothing depends on it
        except OSError:  # a full disk is noticed by what matters
            with contextlib.suppress(OSError):
                aside.unlink()

    def append(self, name: str, data: bytes) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(data)

    def begin(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.unlink(missing_ok=True)  # it might be a link that leads elsewhere
        path.write_bytes(data)

    def set_aside(self, name: str) -> str:
        return str(set_aside(self._folder / name))

    def where(self, name: str) -> str:
        return str(self._folder / name)
