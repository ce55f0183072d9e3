"""A desk that is a folder."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from lottery_ticket.errors import DamagedError
from lottery_ticket.files import aside_of, write_file
from lottery_ticket.store._files import read_file

__all__ = ["LeasedDesk", "LocalDesk"]


class LocalDesk:
    """A folder.

    Args:
        folder: where to write.
        place: the cell's work folder, beside which is kept what cannot be used; else the same.
    """

    def __init__(self, folder: Path, place: Path | None = None) -> None:
        self.folder, self._place = folder, place or folder

    def read(self, name: str, max_bytes: int) -> bytes | None:
        path = self.folder / name
        try:
            return read_file(path, max_bytes)
        except DamagedError:
            if os.path.lexists(path):
                raise
            return None

    def write(self, name: str, data: bytes) -> None:
        write_file(self.folder / name, data)

    def show(self, name: str, data: bytes) -> None:
        path = self.folder / name
        aside = aside_of(path)
        try:
            aside.write_bytes(data)
            aside.replace(path)  # not synced, since nothing depends on it
        except OSError:  # a full disk is noticed by what matters
            with contextlib.suppress(OSError):
                aside.unlink()

    def append(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(data)

    def begin(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)  # it might be a link that leads elsewhere
        path.write_bytes(data)

    def set_aside(self, name: str) -> str:
        """It stays there when its cell is finished, until garbage is collected."""
        aside = self._place.with_name(f"unread-{self._place.name}-{secrets.token_hex(4)}")
        return str((self.folder / name).rename(aside))

    def where(self, name: str) -> str:
        return str(self.folder / name)


class LeasedDesk(LocalDesk):
    """A folder that goes with its claim: whoever was taken for dead finds it cleared, and what it
    writes then is lost, and says nothing. It learns by its lease that it is to stop."""

    def write(self, name: str, data: bytes) -> None:
        with self._while_it_lasts():
            super().write(name, data)

    def append(self, name: str, data: bytes) -> None:
        with self._while_it_lasts():
            super().append(name, data)

    def begin(self, name: str, data: bytes) -> None:
        with self._while_it_lasts():
            super().begin(name, data)

    @contextlib.contextmanager
    def _while_it_lasts(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            if self.folder.exists():
                raise
