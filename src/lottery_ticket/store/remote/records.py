"""Records of finished cells: which are there a listing says, what they are is read but once."""

import threading
import time
from collections.abc import Iterable, Iterator

from lottery_ticket.errors import DamagedError
from lottery_ticket.store._values import CELL_NAME
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket, Found
from lottery_ticket.store.remote.envelope import Envelope

__all__ = ["Records"]

_FEW = 100  # cells: that many are asked for one by one rather than by listing all
_RECENT_SECONDS = 5.0
_MAX_BYTES = 1 << 27


class Records:
    """The records under `cells/`, and what this process knows of them.

    A tag stands for what an object holds, so that what was read under it need not be read again.
    That a cell is there is never remembered for longer than some seconds.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: dict[str, tuple[str, Envelope, int]] = {}  # name → tag, envelope, bytes
        self._num_bytes = 0
        self._listed: tuple[float, dict[str, str]] = (float("-inf"), {})
        self._lock = threading.RLock()

    def names(self) -> dict[str, str]:
        """The names of all finished cells, with their tags."""
        found = {keys.last_of(one.key): one.tag for one in self._bucket.list(keys.CELLS)}
        tags = {name: tag for name, tag in found.items() if CELL_NAME.fits(name)}
        with self._lock:
            self._listed = time.monotonic(), tags
        return dict(tags)

    def fresh(self, name: str) -> Envelope | None:
        """A finished cell as it is now; None if there is none.

        Raises:
            DamagedError: it is not as it was written.
            StoreError: it cannot be read.
        """
        found = self._bucket.get(keys.cell(name))
        return None if found is None else self._envelope(name, found)

    def recent(self, name: str) -> Envelope | None:
        """The same, without asking where a listing of the last seconds showed it and it is
        known."""
        with self._lock:
            at, tags = self._listed
            known = self._known.get(name)
            is_recent = time.monotonic() - at < _RECENT_SECONDS
            if known is not None and is_recent and tags.get(name) == known[0]:
                return known[1]
        return self.fresh(name)

    def known(self, name: str) -> Envelope | None:
        """A cell as it was when it was read last; None if it was not."""
        with self._lock:
            return self._known[name][1] if name in self._known else None

    def create(self, envelope: Envelope) -> bool:
        """Write a finished cell where none is; whether none was."""
        name, data = envelope.found.record.name, envelope.to_bytes()
        tag = self._bucket.create(keys.cell(name), data)
        if tag is not None:
            self._keep(name, tag, envelope, len(data))
        return tag is not None

    def survey(
        self, wanted: Iterable[str] | None = None
    ) -> Iterator[tuple[str, Envelope | DamagedError]]:
        """Of those cells (or all) that are finished what they are, or what is wrong with them."""
        names = None if wanted is None else list(dict.fromkeys(filter(CELL_NAME.fits, wanted)))
        if names is not None and len(names) <= _FEW:
            yield from self._read(names)
            return
        tags = self.names()
        names = list(tags) if names is None else [name for name in names if name in tags]
        with self._lock:
            known = {
                name: self._known[name][1]
                for name in names
                if name in self._known and self._known[name][0] == tags[name]
            }
        yield from known.items()
        yield from self._read([name for name in names if name not in known])

    def forget(self, name: str) -> None:
        """A cell was removed, or another is there now."""
        with self._lock:
            self._drop(name)
            self._listed[1].pop(name, None)

    def _read(self, names: Iterable[str]) -> Iterator[tuple[str, Envelope | DamagedError]]:
        for key, found in self._bucket.get_many(map(keys.cell, names)):
            name = keys.last_of(key)
            if found is not None:
                try:
                    yield name, self._envelope(name, found)
                except DamagedError as error:
                    yield name, error

    def _envelope(self, name: str, found: Found) -> Envelope:
        with self._lock:
            known = self._known.get(name)
        if known is not None and known[0] == found.tag:
            return known[1]
        where = f"{self._bucket.location}/{keys.cell(name)}"
        envelope = Envelope.from_bytes(found.data, name, where)
        self._keep(name, found.tag, envelope, len(found.data))
        return envelope

    def _keep(self, name: str, tag: str, envelope: Envelope, num_bytes: int) -> None:
        with self._lock:
            self._drop(name)
            self._known[name] = tag, envelope, num_bytes
            self._num_bytes += num_bytes
            while self._num_bytes > _MAX_BYTES:
                self._drop(next(iter(self._known)))

    def _drop(self, name: str) -> None:
        self._num_bytes -= self._known.pop(name, ("", None, 0))[2]
