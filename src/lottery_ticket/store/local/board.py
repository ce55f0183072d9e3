"""A board that is a folder, with a folder for each kind."""

from pathlib import Path

from lottery_ticket.errors import DamagedError
from lottery_ticket.files import write_file
from lottery_ticket.store._files import is_there, read_file, reading, scanned, store_errors
from lottery_ticket.store._values import RUN_ID
from lottery_ticket.store.local.paths import Paths

__all__ = ["LocalBoard"]

_MAX_BYTES = 1 << 24


class LocalBoard:
    """The notes of a local store."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def put(self, kind: str, name: str, data: bytes) -> None:
        path = self._paths.note(kind, name)
        with store_errors(self._paths.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, data)

    def get(self, kind: str, name: str) -> bytes | None:
        path = self._paths.note(kind, name)
        with reading(self._paths.root):
            if not is_there(path):
                return None
            try:
                return read_file(path, _MAX_BYTES)
            except DamagedError:
                if is_there(path):
                    raise
                return None  # taken away meanwhile

    def get_all(self, kind: str) -> dict[str, bytes]:
        found = {name: self.get(kind, name) for name in self.names(kind)}
        return {name: data for name, data in found.items() if data is not None}

    def names(self, kind: str) -> list[str]:
        with reading(self._paths.root):
            return [e.name for e in scanned(self._folder(kind)) if RUN_ID.fits(e.name)]

    def remove(self, kind: str, name: str) -> None:
        with store_errors(self._paths.root):
            self._paths.note(kind, name).unlink(missing_ok=True)

    def _folder(self, kind: str) -> Path:
        return self._paths.note(kind, "any").parent
