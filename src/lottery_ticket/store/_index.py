"""An SQLite cache of the records, so that 10,000 cells are quick to list. It can be deleted at any
time: the folders are the truth, and what they say is read anew where it changed."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import StoreError
from lottery_ticket.store._paths import EXECUTION, RECORD, Paths
from lottery_ticket.store._record import CellRecord

__all__ = ["IndexedCell", "synced_cells"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    name TEXT PRIMARY KEY, stamp TEXT NOT NULL, content TEXT NOT NULL,
    summary TEXT NOT NULL, execution TEXT NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class IndexedCell:
    """What the index knows of a finished cell: its scalar results, and how it ran."""

    name: str
    content: str
    summary: dict[str, Any]
    execution: dict[str, Any]


def synced_cells(paths: Paths, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
    """All finished cells (or those `wanted`), from the index where it is up to date."""
    stamps = _stamps(paths)
    try:
        with contextlib.closing(_open(paths)) as database:
            return _sync(database, paths, stamps, wanted)
    except (sqlite3.DatabaseError, ValueError):  # damaged: it is only a cache
        with contextlib.suppress(OSError):
            paths.index.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.execute(_SCHEMA)
            return _sync(database, paths, stamps, wanted)


def _open(paths: Paths) -> sqlite3.Connection:
    # looking leaves no file where no store is yet; a read-only one is listed from memory
    is_writable = paths.format.exists() and os.access(paths.root, os.W_OK)
    database = sqlite3.connect(paths.index if is_writable else ":memory:", timeout=10)
    database.execute(_SCHEMA)
    return database


def _stamps(paths: Paths) -> dict[str, str]:
    """name → something that changes when the cell is made anew."""
    stamps = {}
    for entry in paths.cell_folders():
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            status = entry.stat()
            stamps[entry.name] = f"{status.st_ino}.{status.st_mtime_ns}"
    return stamps


def _sync(
    database: sqlite3.Connection,
    paths: Paths,
    stamps: dict[str, str],
    wanted: Iterable[str] | None,
) -> dict[str, IndexedCell]:
    known = dict(database.execute("SELECT name, stamp FROM cells"))
    fresh = [row for n, s in stamps.items() if known.get(n) != s and (row := _read(paths, n, s))]
    gone = [(name,) for name in known if name not in stamps]
    if fresh or gone:
        with database:
            database.executemany("DELETE FROM cells WHERE name = ?", gone)
            database.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?)", fresh)
    chosen = None if wanted is None else set(wanted)
    query = database.execute("SELECT name, content, summary, execution FROM cells")
    return {
        name: IndexedCell(name, content, json.loads(summary), json.loads(execution))
        for name, content, summary, execution in query
        if chosen is None or name in chosen
    }


def _read(paths: Paths, name: str, stamp: str) -> tuple[str, ...] | None:
    folder = paths.cell(name)
    try:
        record = CellRecord.from_bytes((folder / RECORD).read_bytes(), folder / RECORD)
        execution = (folder / EXECUTION).read_text()
        json.loads(execution)
    except (OSError, ValueError, StoreError):
        return None  # damaged: `verify` and `run` say so; it is not listed as finished
    summary = {k: v for k, v in record.results.items() if not isinstance(v, list | dict)}
    return name, stamp, record.content, json.dumps(summary), execution
