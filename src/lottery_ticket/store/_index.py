"""A table of finished cells in a file, so that ten thousand are quick to list. It is a cache, and
can be deleted at any time.

It is an SQLite database that is read and written as a whole, with its checksum behind it: what is
shown from it was read from records that were right. SQLite itself never opens the file, nor
journals beside it.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from lottery_ticket.errors import LotteryError
from lottery_ticket.files import aside_of
from lottery_ticket.store._answers import IndexedCell
from lottery_ticket.store._execution import Execution
from lottery_ticket.store._files import read_file
from lottery_ticket.store._record import CellRecord

__all__ = ["Row", "cell_of", "read_index", "row_of", "write_index"]

_SCHEMA = """
CREATE TABLE cells (
    name TEXT PRIMARY KEY, stamp TEXT NOT NULL, content TEXT NOT NULL,
    summary TEXT NOT NULL, execution TEXT NOT NULL
) WITHOUT ROWID
"""
_SEAL_BYTES = hashlib.sha256().digest_size
_MAX_BYTES = 1 << 28

Row = tuple[str, str, str, str, str]
"""name; stamp, which changes when the cell does; content, summary, execution"""


def row_of(stamp: str, record: CellRecord, execution: Execution) -> Row:
    """The row of a cell as it was read when it had that stamp."""
    summary = {k: v for k, v in record.results.items() if not isinstance(v, list | dict)}
    values = json.dumps(summary), json.dumps(dict(execution.values))
    return record.name, stamp, record.content, *values


def cell_of(row: Row) -> IndexedCell:
    """What a row says."""
    name, _, content, summary, execution = row
    return IndexedCell(name, content, json.loads(summary), json.loads(execution))


def read_index(path: Path) -> dict[str, Row]:
    """The rows of a file; none where it is missing, damaged or of another version."""
    try:
        data = read_file(path, _MAX_BYTES)
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


def write_index(path: Path, rows: Iterable[Row]) -> None:
    """Replace a file; not synced, and left where it cannot be: nothing depends on it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(_SCHEMA)
        with database:
            database.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", rows)
        payload = database.serialize()
    aside = aside_of(path)
    try:
        aside.write_bytes(payload + hashlib.sha256(payload).digest())
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
