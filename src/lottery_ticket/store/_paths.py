"""Every file name of a store lives here.

```
STORE/format.json                    what this folder is
STORE/cells/ab/ab12…/record.json     a finished cell: its inputs, results and checksums
                     execution.json  where and how it ran, times included; not part of its name
                     *.safetensors … its files
STORE/work/ab12…/                    a cell in progress: claim, checkpoint, history so far
STORE/work/.stop-12ab                a run was asked to stop
STORE/runs/NAME-1234abcd.json        a run: its spec, and which cell is which row
STORE/index.sqlite                   a cache of the records; may be deleted at any time
```
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Paths", "default_store_path"]

RECORD = "record.json"
EXECUTION = "execution.json"


def default_store_path() -> Path:
    """`$LOTTERY_STORE`, else `./lottery_runs`."""
    return Path(os.environ.get("LOTTERY_STORE") or "lottery_runs")


_CELL = re.compile("[0-9a-f]{64}")
_WORK = re.compile("(discarded-)?[0-9a-f]{64}(-[0-9]+)?")


class Paths:
    """The places inside one store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.format = root / "format.json"
        self.cells = root / "cells"
        self.all_work = root / "work"
        self.runs = root / "runs"
        self.index = root / "index.sqlite"

    def cell(self, name: str) -> Path:
        """The folder of a finished cell."""
        return self.cells / name[:2] / name

    def cell_folders(self) -> "Iterator[os.DirEntry[str]]":
        """The folders of all finished cells; whatever else lies there is passed over."""
        if self.cells.exists():
            for shard in os.scandir(self.cells):
                if shard.is_dir():
                    entries = os.scandir(shard.path)
                    yield from (entry for entry in entries if _CELL.fullmatch(entry.name))

    def work_names(self) -> set[str]:
        """The names of the cells in progress, and of what a clean-up left when it was killed."""
        found = (path.name for path in self.all_work.glob("*") if path.is_dir())
        return {name for name in found if _WORK.fullmatch(name)}

    def work(self, name: str) -> Path:
        """The folder of a cell in progress."""
        return self.all_work / name

    def stop(self, token: str) -> Path:
        """What asks the workers of a run to stop."""
        return self.all_work / f".stop-{token}"

    def run(self, run_id: str) -> Path:
        """The record of a run."""
        return self.runs / f"{run_id}.json"
