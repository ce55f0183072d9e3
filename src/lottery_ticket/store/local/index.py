"""An SQLite cache of the records, so that 10,000 cells are quick to list. It can be deleted at any
time: the folders are the truth, and what they say is read anew where it changed.

The database is read and written as a whole, with its checksum behind it: what is shown from it was
read from records that were right. SQLite itself never opens the file, nor journals beside it.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from lottery_ticket.errors import DamagedError, LotteryError
from lottery_ticket.files import aside_of
from lottery_ticket.store._execution import Execution
from lottery_ticket.store._files import read_file
from lottery_ticket.store._finished import IndexedCell
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._values import CELL_NAME
from lottery_ticket.store.local.paths import EXECUTION, RECORD, Paths
from lottery_ticket.store.local.reads import Reads, stamp_of

__all__ = ["synced_cells"]

_SCHEMA = """
CREATE TABLE cells (
    name TEXT PRIMARY KEY, stamp TEXT NOT NULL, content TEXT NOT NULL,
    summary TEXT NOT NULL, execution TEXT NOT NULL
) WITHOUT ROWID
"""
_SEAL_BYTES = hashlib.sha256().digest_size
_MAX_BYTES = 1 << 28

Row = tuple[str, str, str, str, str]  # name, stamp, content, summary, execution


def synced_cells(
    paths: Paths, wanted: Iterable[str] | None, reads: Reads
) -> dict[str, IndexedCell]:
    """All finished cells (or those `wanted`), from the index where it is up to date.

    Raises:
        OSError, StoreError: a cell cannot be read. A damaged one is left out.
    """
    known = reads.known(paths.index, _known)
    names = set(paths.cell_names() if wanted is None else filter(CELL_NAME.fits, wanted))
    stamps = {name: stamp for name in names if (stamp := _stamp(paths, name)) is not None}
    fresh = {
        name: row
        for name, stamp in stamps.items()
        if (name not in known or known[name][1] != stamp)
        and (row := _read(paths, name, stamp, reads)) is not None
    }
    is_gone = (known.keys() if wanted is None else names) - stamps.keys()
    rows = {name: row for name, row in (known | fresh).items() if name not in is_gone}
    if rows != known:
        _write(paths.index, rows.values())
        reads.keep(paths.index, rows)  # each row is held against the stamp of its cell
    return {
        name: _cell(rows[name])
        for name, stamp in stamps.items()
        if name in rows and rows[name][1] == stamp
    }


def _stamp(paths: Paths, name: str) -> str | None:
    """Something that changes when a cell, or a record in it, is written anew; None without one."""
    # of ten thousand, making a Path takes longer than asking for its status
    folder = f"{paths.cells}/{name[:2]}/{name}"
    places = (folder, f"{folder}/{RECORD}", f"{folder}/{EXECUTION}")
    stamps = list(map(stamp_of, places))
    if None in stamps:  # not finished, removed meanwhile, or damaged
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            list(map(os.lstat, places))  # one that may not be looked at is not missing
        return None
    return repr(stamps)


def _read(paths: Paths, name: str, stamp: str, reads: Reads) -> Row | None:
    try:
        folder = paths.real_cell(name)
        record = reads.known(folder / RECORD, CellRecord.of_file)
        execution = reads.known(folder / EXECUTION, partial(Execution.of_file, name))
    except DamagedError:
        return None  # `verify` and `run` say so; it is not listed as finished
    if record.name != name:
        return None
    summary = {k: v for k, v in record.results.items() if not isinstance(v, list | dict)}
    return name, stamp, record.content, json.dumps(summary), json.dumps(execution.values)


def _cell(row: Row) -> IndexedCell:
    name, _, content, summary, execution = row
    return IndexedCell(name, content, json.loads(summary), json.loads(execution))


# the file


def _known(index: Path) -> dict[str, Row]:
    """The rows of the index; none where it is missing, damaged or of another version."""
    try:
        data = read_file(index, _MAX_BYTES)
        payload, seal = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
        if not _is_sealed(payload, seal):
            return {}
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(payload)
            return {row[0]: row for row in database.execute("SELECT * FROM cells")}
    except (LotteryError, sqlite3.Error):
        return {}


def _is_sealed(payload: bytes, seal: bytes) -> bool:
    return hashlib.sha256(payload).digest() == seal


def _write(index: Path, rows: Iterable[Row]) -> None:
    """Replace the index; not synced, and left where it cannot be: nothing depends on it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(_SCHEMA)
        with database:
            database.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", rows)
        payload = database.serialize()
    aside = aside_of(index)
    try:
        aside.write_bytes(payload + hashlib.sha256(payload).digest())
        aside.replace(index)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
