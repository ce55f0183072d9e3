"""An SQLite cache of the records, so that 10,000 cells are quick to list. It can be deleted at any
time: the folders are the truth, and what they say is read anew where it changed."""

import contextlib
import os
from collections.abc import Iterable
from functools import partial

from lottery_ticket.errors import DamagedError
from lottery_ticket.store._answers import IndexedCell
from lottery_ticket.store._execution import Execution
from lottery_ticket.store._index import Row, cell_of, read_index, row_of, write_index
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._values import CELL_NAME
from lottery_ticket.store.local.paths import EXECUTION, RECORD, Paths
from lottery_ticket.store.local.reads import Reads, stamp_of

__all__ = ["synced_cells"]


def synced_cells(
    paths: Paths, wanted: Iterable[str] | None, reads: Reads
) -> dict[str, IndexedCell]:
    """All finished cells (or those `wanted`), from the index where it is up to date.

    Raises:
        OSError, StoreError: a cell cannot be read. A damaged one is left out.
    """
    known = reads.known(paths.index, read_index)
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
        write_index(paths.index, rows.values())
        reads.keep(paths.index, rows)  # each row is held against the stamp of its cell
    return {
        name: cell_of(rows[name])
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
    return row_of(stamp, record, execution)
