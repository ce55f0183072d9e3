"""Every file name of a store lives here.

```
STORE/format.json                    what this folder is
STORE/cells/ab/ab12…/record.json     a finished cell: its inputs, results and checksums
                     execution.json  where and how it ran, times included; not part of its name
                     *.safetensors … its files
STORE/work/ab12…/                    a cell in progress: claim, checkpoint, history so far
STORE/work/ab12…/lease.3             with claims by lease: who holds it, the third by now,
                 0123456789abcdef/   and what each has written, by the token of its claim
STORE/work/leases                    says that claims are held so, as format.json does
STORE/work/unread-ab12…              a checkpoint that could not be continued
STORE/work/discarded-ab12…           what is being removed
STORE/work/NAME-1234abcd.….run       a lock: a process is at work on that run
STORE/work/….removal                 a lock: a process is removing runs or cells
STORE/board/KIND/NAME                a note, such as that a run was asked to stop
STORE/runs/NAME-1234abcd.json        a run: its spec, and which cell is which row
STORE/index.sqlite                   a cache of the records; may be deleted at any time
```

What these folders hold beside them is not the store's, and is passed over. None of them is ever a
link: what is reached through one is not the store's either.
"""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store._files import is_link, scanned
from lottery_ticket.store._values import CELL_NAME, RUN_ID, check

__all__ = ["EXECUTION", "RECORD", "Paths"]

RECORD = "record.json"
EXECUTION = "execution.json"


_SHARD = re.compile("[0-9a-f]{2}")
_WORK = re.compile("[0-9a-f]{64}")
_LEFT = re.compile("(discarded|unread)-[0-9a-f]{64}(-[0-9a-f]+)?")
_RUN_LOCK = re.compile(r"(?P<run>.+)\.[0-9]+-[0-9a-f]{8}\.run")
_REMOVAL = re.compile(r"[0-9]+-[0-9a-f]{8}\.removal")


class Paths:
    """The places inside one store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.format = root / "format.json"
        self.cells = root / "cells"
        self.all_work = root / "work"
        self.leases = self.all_work / "leases"
        self.runs = root / "runs"
        self.board = root / "board"
        self.index = root / "index.sqlite"

    def check_own(self) -> None:
        """See that the store's own places are no links.

        Raises:
            StoreError: one is.
        """
        for path in (self.format, self.cells, self.all_work, self.runs, self.board, self.index):
            if is_link(path):
                raise StoreError(
                    f"{path}: a link, which a store does not follow; put what it leads to in its "
                    "place, or link the whole store"
                )

    # cells

    def cell(self, name: str) -> Path:
        """The folder of a finished cell; raises `StoreError` if that is no cell's name."""
        _check_name(name)
        return self.cells / name[:2] / name

    def real_cell(self, name: str) -> Path:
        """The same; raises `DamagedError` if it is reached through a link."""
        folder = self.cell(name)
        for path in (folder.parent, folder):
            if is_link(path):
                raise DamagedError(f"{path}: damaged: a link, which a store does not follow")
        return folder

    def cell_names(self) -> Iterator[str]:
        """The names of all finished cells; whatever else lies there is passed over.

        Raises:
            OSError: a folder of them cannot be read.
        """
        for shard in scanned(self.cells):
            if _SHARD.fullmatch(shard.name) and not shard.is_file(follow_symlinks=False):
                for entry in scanned(Path(shard.path)):
                    is_cell = CELL_NAME.fits(entry.name) and entry.name[:2] == shard.name
                    if is_cell and not entry.is_file(follow_symlinks=False):
                        yield entry.name

    # work

    def work(self, name: str) -> Path:
        """The folder of a cell in progress; raises `StoreError` if that is no cell's name."""
        _check_name(name)
        return self.all_work / name

    def new_discarded(self, name: str) -> Path:
        """Where what is being removed is moved to first."""
        return self.all_work / f"discarded-{name}-{secrets.token_hex(4)}"

    def work_names(self) -> set[str]:
        """The names of the cells in progress.

        Raises:
            OSError: they cannot be read.
        """
        found = [e.name for e in scanned(self.all_work) if e.is_dir(follow_symlinks=False)]
        return {name for name in found if _WORK.fullmatch(name)}

    def left_over(self) -> list[Path]:
        """What a removal left when it was killed, and checkpoints that could not be continued;
        raises `OSError` as `work_names`."""
        return [Path(e.path) for e in scanned(self.all_work) if _LEFT.fullmatch(e.name)]

    # locks

    def new_run_lock(self, run_id: str) -> Path:
        """A lock that says that this process is at work on a run."""
        check("run", run_id, RUN_ID)
        return self.all_work / f"{run_id}.{_token()}.run"

    def new_removal(self) -> Path:
        """A lock that says that this process is removing."""
        return self.all_work / f"{_token()}.removal"

    def run_locks(self) -> dict[Path, str]:
        """All locks on runs, also those of dead processes, and of which run each is."""
        matches = {path: _RUN_LOCK.fullmatch(path.name) for path in self._locks()}
        return {path: match["run"] for path, match in matches.items() if match}

    def removals(self) -> list[Path]:
        """All locks of those who remove, also those of dead processes."""
        return [path for path in self._locks() if _REMOVAL.fullmatch(path.name)]

    def _locks(self) -> list[Path]:
        entries = scanned(self.all_work)
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]

    # notes

    def note(self, kind: str, name: str) -> Path:
        """A note; raises `StoreError` if nothing can be called so."""
        for value in (kind, name):
            if not RUN_ID.fits(value):
                raise StoreError(f"note: got {value!r}, wanted {RUN_ID.wanted}")
        return self.board / kind / name

    # runs

    def run(self, run_id: str) -> Path:
        """The record of a run; raises `StoreError` if that is no run's id."""
        if not RUN_ID.fits(run_id):
            raise StoreError(f"run: got {run_id!r}, wanted {RUN_ID.wanted}")
        return self.runs / f"{run_id}.json"

    def run_entries(self) -> "dict[str, os.DirEntry[str]]":
        """What stands where records of runs do, by the id it should have.

        Raises:
            OSError: they cannot be read.
        """
        entries = [e for e in scanned(self.runs) if e.name.endswith(".json")]
        return {e.name.removesuffix(".json"): e for e in entries if not e.name.startswith(".")}


def _check_name(name: str) -> None:
    if not CELL_NAME.fits(name):
        raise StoreError(f"cell: got {name!r}, wanted {CELL_NAME.wanted}")


def _token() -> str:
    return f"{os.getpid()}-{secrets.token_hex(4)}"
