"""What this machine remembers of a bucket's records: a table of them, and packs.

All of it can be deleted at any time. Nothing that it says is believed for longer than the tags
agree, and a record is held against its checksum wherever it comes from: what is damaged here is
read from the bucket again.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

from lottery_ticket.errors import LotteryError
from lottery_ticket.files import aside_of
from lottery_ticket.store._files import read_file
from lottery_ticket.store._index import Row, read_index, write_index
from lottery_ticket.store._values import CELL_NAME
from lottery_ticket.store.remote.packs import digest_of, unpacked

__all__ = ["Cache", "cache_folder"]

_MOST_PACKS = 64  # the oldest go first
_MAX_PACK_BYTES = 1 << 28


def cache_folder(location: str) -> Path:
    """Where the user's caches are, a folder for each store."""
    import platformdirs

    digest = hashlib.sha256(location.encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("lottery_ticket") / "stores" / digest


class Cache:
    """A folder of this machine; or nothing but memory.

    Args:
        folder: which; None for none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rows: dict[str, Row] | None = None
        self._records: dict[str, tuple[str, bytes]] = {}
        self._packs: set[str] | None = None

    @property
    def rows(self) -> dict[str, Row]:
        """The table by name, as it was written last."""
        if self._rows is None:
            self._rows = {} if self._folder is None else read_index(self._folder / "index.sqlite")
        return self._rows

    def write_rows(self, rows: dict[str, Row]) -> None:
        """Replace the table."""
        self._rows = rows
        if self._made():
            write_index(self._path("index.sqlite"), rows.values())

    @property
    def packs(self) -> set[str]:
        """The digests of the packs that are here."""
        if self._packs is None:
            self._packs = set()
            for path in self._pack_files():
                with contextlib.suppress(LotteryError):
                    data = read_file(path, _MAX_PACK_BYTES)
                    if digest_of(data) == path.name:
                        self._records |= unpacked(data)
                        self._packs.add(path.name)
        return self._packs

    def record(self, name: str, tag: str) -> bytes | None:
        """The bytes of a record that a tag stands for; None if they are not here."""
        known = self._records.get(name) if self.packs else None
        return None if known is None or known[0] != tag else known[1]

    def add(self, data: bytes) -> None:
        """Keep a pack."""
        digest = digest_of(data)
        if digest in self.packs:
            return
        self._records |= unpacked(data)
        self.packs.add(digest)
        if self._made():
            path = self._path(digest)
            aside = aside_of(path)
            with contextlib.suppress(OSError):
                aside.write_bytes(data)
                aside.replace(path)
            for old in list(self._pack_files())[:-_MOST_PACKS]:
                with contextlib.suppress(OSError):
                    old.unlink()

    def _made(self) -> bool:
        if self._folder is None:
            return False
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            return True
        return False

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / name

    def _pack_files(self) -> Iterable[Path]:
        """The oldest first."""
        if self._folder is None:
            return []
        try:
            found = [path for path in self._folder.iterdir() if CELL_NAME.fits(path.name)]
            return sorted(found, key=lambda path: path.stat().st_mtime_ns)
        except OSError:
            return []
