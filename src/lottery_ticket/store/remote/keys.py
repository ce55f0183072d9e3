"""Every key of a store in a bucket lives here.

```
PREFIX/format.json            what lies here
PREFIX/cells/ab12…            a finished cell: its record, how it ran, and the token of its files
PREFIX/files/TOKEN/NAME       its files
PREFIX/claims/ab12…           a lease: who makes a cell, or made it last
PREFIX/work/TOKEN/NAME        what a claim wrote on the way: checkpoint, history, progress
PREFIX/work/unread-TOKEN/NAME a checkpoint that could not be continued
PREFIX/uses/RUN.TOKEN         a lease: a process is at work on that run
PREFIX/removals/TOKEN         a lease: a process is removing runs or cells
PREFIX/runs/NAME-1234abcd.json a run: its spec, and which cell is which row
PREFIX/board/KIND/NAME        a note, such as that a run was asked to stop
PREFIX/packs/DIGEST           many records in one object, to be read at once
PREFIX/probe/…                left by a proof that the server keeps its promises, if that was killed
```

A claim writes under its own token alone, and nothing under `cells`, `files` and `packs` is ever
written again: whoever is late can harm nobody.
"""

import re
import secrets

from lottery_ticket.errors import StoreError
from lottery_ticket.store._values import CELL_NAME, FILE_NAME, RUN_ID, Kind

__all__ = [
    "BOARD",
    "CELLS",
    "CLAIMS",
    "FILES",
    "FORMAT",
    "KEPT",
    "OWN",
    "PACKS",
    "PROBES",
    "REMOVALS",
    "RUNS",
    "USES",
    "WORK",
    "cell",
    "claim",
    "file",
    "folder_of_files",
    "folder_of_work",
    "last_of",
    "new_removal",
    "new_use",
    "note",
    "pack",
    "run",
    "run_of",
    "run_of_use",
    "token_of",
    "unread",
    "work",
]

FORMAT = "format.json"
CELLS, FILES, CLAIMS, WORK = "cells", "files", "claims", "work"
USES, REMOVALS, RUNS, BOARD = "uses", "removals", "runs", "board"
PACKS, PROBES = "packs", "probe"
KEPT = "runs/.kept"
"""Says that runs are kept here: without it, and without runs, they are gone."""

OWN = (FORMAT, CELLS, FILES, CLAIMS, WORK, USES, REMOVALS, RUNS, BOARD, PACKS, PROBES)

_TOKEN = Kind(
    "16 hex digits", lambda v: isinstance(v, str) and bool(re.fullmatch("[0-9a-f]{16}", v))
)
_UNREAD = "unread-"


def cell(name: str) -> str:
    """A finished cell; raises `StoreError` if that is no cell's name."""
    return f"{CELLS}/{_checked('cell', name, CELL_NAME)}"


def file(token: str, name: str) -> str:
    """A file of the cell that was made under a claim."""
    return f"{folder_of_files(token)}/{_checked('file', name, FILE_NAME)}"


def claim(name: str) -> str:
    """The lease of a cell; raises `StoreError` if that is no cell's name."""
    return f"{CLAIMS}/{_checked('cell', name, CELL_NAME)}"


def work(token: str, name: str) -> str:
    """What a claim writes under a name."""
    return f"{folder_of_work(token)}/{_checked('file', name, FILE_NAME)}"


def folder_of_files(token: str) -> str:
    """All files of a claim's cell."""
    return f"{FILES}/{_checked('token', token, _TOKEN)}"


def folder_of_work(token: str) -> str:
    """All that a claim writes on the way."""
    return f"{WORK}/{_checked('token', token, _TOKEN)}"


def unread(token: str, name: str) -> str:
    """Where what a claim cannot use is kept."""
    return f"{WORK}/{_UNREAD}{_checked('token', token, _TOKEN)}/{_checked('file', name, FILE_NAME)}"


def new_use(run_id: str) -> str:
    """A lease that says that this process is at work on a run."""
    return f"{USES}/{_checked('run', run_id, RUN_ID)}.{secrets.token_hex(8)}"


def run_of_use(key: str) -> str:
    """The run that a process is at work on."""
    return last_of(key).rpartition(".")[0]


def new_removal() -> str:
    """A lease that says that this process is removing."""
    return f"{REMOVALS}/{secrets.token_hex(8)}"


def run(run_id: str) -> str:
    """The record of a run; raises `StoreError` if that is no run's id."""
    return f"{RUNS}/{_checked('run', run_id, RUN_ID)}.json"


def run_of(key: str) -> str | None:
    """Of which run that is the record; None: of none."""
    run_id = last_of(key).removesuffix(".json")
    return run_id if key.endswith(".json") and RUN_ID.fits(run_id) else None


def note(kind: str, name: str) -> str:
    """A note; raises `StoreError` if nothing can be called so."""
    return f"{BOARD}/{_checked('note', kind, RUN_ID)}/{_checked('note', name, RUN_ID)}"


def pack(digest: str) -> str:
    """Many records in one object."""
    return f"{PACKS}/{_checked('pack', digest, CELL_NAME)}"


def last_of(key: str) -> str:
    """What something is called in its folder."""
    return key.rpartition("/")[2]


def token_of(key: str) -> str:
    """Under which claim's token a key of `files` or `work` is."""
    return key.split("/")[1].removeprefix(_UNREAD)


def _checked(what: str, value: str, kind: Kind) -> str:
    if not kind.fits(value):
        raise StoreError(f"{what}: got {value!r}, wanted {kind.wanted}")
    return value
