"""A desk that is a folder."""

import contextlib
import os
import secrets
from pathlib import Path

from lottery_ticket.errors import DamagedError
from lottery_ticket.files import aside_of, write_file
from lottery_ticket.store._files import read_file

__all__ = ["LocalDesk"]


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
        return str(_set_aside(self._folder / name))

    def where(self, name: str) -> str:
        return str(self._folder / name)


def _set_aside(checkpoint: Path) -> Path:
    """Move a checkpoint that cannot be continued out of its work folder, and return where it is.

    It stays there when its cell is finished, until garbage is collected.
    """
    folder = checkpoint.parent
    return checkpoint.rename(folder.with_name(f"unread-{folder.name}-{secrets.token_hex(4)}"))
