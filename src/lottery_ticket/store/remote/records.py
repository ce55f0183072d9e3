"""Records of finished cells: which are there a listing says, what they are is read but once."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store._answers import IndexedCell
from lottery_ticket.store._index import Row, cell_of, row_of
from lottery_ticket.store._values import CELL_NAME
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket, Found
from lottery_ticket.store.remote.cache import Cache
from lottery_ticket.store.remote.envelope import Envelope
from lottery_ticket.store.remote.packs import digest_of, packs_of, unpacked

__all__ = ["Records"]

_PAGE = 1000  # keys of a listing
_RECENT_SECONDS = 5.0
_MAX_BYTES = 1 << 27
_WORTH_PACKS = 50  # records that are missing here: packs are looked for
_WORTH_PACKING = 500  # records that are in no pack: one is made


class Records:
    """The records under `cells/`, and what this process and this machine know of them.

    A tag stands for what an object holds, so that what was read under it need not be read again.
    That a cell is there is never remembered for longer than some seconds.

    Args:
        bucket: where they are.
        cache: what this machine remembers.
    """

    def __init__(self, bucket: Bucket, cache: Cache) -> None:
        self._bucket, self._cache = bucket, cache
        self._known: dict[str, tuple[str, Envelope, int]] = {}  # name → tag, envelope, bytes
        self._num_bytes = 0
        self._listed: tuple[float, dict[str, str]] = (float("-inf"), {})
        self._lock = threading.RLock()

    # one

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
            tag = tags.get(name) if time.monotonic() - at < _RECENT_SECONDS else None
        known = None if tag is None else self._remembered(name, tag)
        return self.fresh(name) if known is None else known

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

    def forget(self, name: str) -> None:
        """A cell was removed, or another is there now."""
        with self._lock:
            self._drop(name)
            self._listed[1].pop(name, None)

    # many

    def names(self) -> dict[str, str]:
        """The names of all finished cells, with their tags."""
        found = {keys.last_of(one.key): one.tag for one in self._bucket.list(keys.CELLS)}
        tags = {name: tag for name, tag in found.items() if CELL_NAME.fits(name)}
        with self._lock:
            self._listed = time.monotonic(), tags
        return dict(tags)

    def survey(
        self, wanted: Iterable[str] | None = None
    ) -> Iterator[tuple[str, Envelope | DamagedError]]:
        """Of those cells (or all) that are finished what they are, or what is wrong with them."""
        names = None if wanted is None else _cells(wanted)
        if names is not None and len(names) <= self._num_pages():
            yield from self._read(names)
            return
        tags = self.names()
        yield from self._found(tags, tags if names is None else [n for n in names if n in tags])

    def cells(self, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
        """Those cells (or all) that are finished, but for damaged ones, by the table of this
        machine where it is right."""
        names = None if wanted is None else _cells(wanted)
        if names is not None and len(names) <= self._num_pages():
            return {
                name: cell_of(row) for name, row in self._rows_of(self._read(names), {}).items()
            }
        tags, rows = self.names(), self._cache.rows
        names = list(tags) if names is None else [name for name in names if name in tags]
        old = [name for name in names if name not in rows or rows[name][1] != tags[name]]
        fresh = self._rows_of(self._found(tags, old), tags)
        kept = {name: row for name, row in rows.items() if tags.get(name) == row[1]}
        if fresh or len(kept) < len(rows):
            rows = kept | fresh
            self._cache.write_rows(rows)
        return {name: cell_of(rows[name]) for name in names if name in rows}

    def _num_pages(self) -> int:
        """How many requests a listing takes, as far as is known."""
        return max(len(self._listed[1]), len(self._cache.rows)) // _PAGE + 1

    def _rows_of(
        self, found: Iterable[tuple[str, Envelope | DamagedError]], tags: dict[str, str]
    ) -> dict[str, Row]:
        return {
            name: row_of(tags.get(name, ""), envelope.found.record, envelope.found.execution)
            for name, envelope in found
            if not isinstance(envelope, DamagedError)
        }

    def _found(
        self, tags: dict[str, str], names: Iterable[str]
    ) -> Iterator[tuple[str, Envelope | DamagedError]]:
        """What listed cells are: from memory, else from packs, else one by one."""
        missing = [name for name in names if not self._is_remembered(name, tags[name])]
        if len(missing) > _WORTH_PACKS:
            self._fetch_packs()
            missing = [name for name in missing if not self._is_remembered(name, tags[name])]
        left = set(missing)
        for name in names:
            if name not in left:
                known = self._remembered(name, tags[name])
                if known is None:  # it was dropped meanwhile, or is damaged here
                    missing.append(name)
                else:
                    yield name, known
        packing = len(missing) >= _WORTH_PACKING
        new: dict[str, tuple[str, bytes]] = {}
        for name, found in self._asked(missing):
            if packing:
                new[name] = found.tag, found.data
            yield self._opened(name, found)
        if new:
            self._pack(new)

    def _read(self, names: Iterable[str]) -> Iterator[tuple[str, Envelope | DamagedError]]:
        return (self._opened(name, found) for name, found in self._asked(names))

    def _asked(self, names: Iterable[str]) -> Iterator[tuple[str, Found]]:
        for key, found in self._bucket.get_many(map(keys.cell, names)):
            if found is not None:
                yield keys.last_of(key), found

    def _opened(self, name: str, found: Found) -> tuple[str, Envelope | DamagedError]:
        try:
            return name, self._envelope(name, found)
        except DamagedError as error:
            return name, error

    # packs

    def _fetch_packs(self) -> None:
        listed = [keys.last_of(one.key) for one in self._bucket.list(keys.PACKS)]
        wanted = [digest for digest in listed if digest not in self._cache.packs]
        for key, found in self._bucket.get_many(keys.pack(digest) for digest in wanted):
            if found is not None and digest_of(found.data) == keys.last_of(key):
                self._cache.add(found.data)

    def _pack(self, records: dict[str, tuple[str, bytes]]) -> None:
        for data in packs_of(records):
            self._cache.add(data)
            with contextlib.suppress(StoreError):  # who may only read makes it for himself
                self._bucket.put(keys.pack(digest_of(data)), data)

    def spent_packs(self, tags: dict[str, str]) -> dict[str, int]:
        """Packs of which most is of no use any more, by key, with their bytes."""
        spent = {}
        for one in list(self._bucket.list(keys.PACKS)):
            found = self._bucket.get(one.key)
            held = {} if found is None else unpacked(found.data)
            num_used = sum(tags.get(name) == tag for name, (tag, _) in held.items())
            if 2 * num_used <= len(held):
                spent[one.key] = one.num_bytes
        return spent

    # memory

    def _is_remembered(self, name: str, tag: str) -> bool:
        with self._lock:
            if name in self._known and self._known[name][0] == tag:
                return True
        return self._cache.record(name, tag) is not None

    def _remembered(self, name: str, tag: str) -> Envelope | None:
        with self._lock:
            if name in self._known and self._known[name][0] == tag:
                return self._known[name][1]
        data = self._cache.record(name, tag)
        if data is None:
            return None
        with contextlib.suppress(DamagedError):  # here, and perhaps only here
            return self._envelope(name, Found(data, tag))
        return None

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


def _cells(wanted: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(CELL_NAME.fits, wanted)))
