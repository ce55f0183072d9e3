"""How far a cell is, in a small file beside it: whoever looks can read it, other processes too."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Progress", "read_progress", "write_progress"]

_FILE = "progress.json"


@dataclass(frozen=True)
class Progress:
    """A training cell's position."""

    step: int
    num_steps: int
    epoch: float
    loss: float | None
    accuracy: float | None


def write_progress(folder: Path, progress: Progress) -> None:
    """Replace the progress file; not synced, since nothing depends on it."""
    aside = folder / f".{_FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):  # a full disk is noticed by what matters
        aside.write_text(json.dumps(asdict(progress)))
        aside.replace(folder / _FILE)


def read_progress(folder: Path) -> Progress | None:
    """The progress of the cell whose work folder this is; None if there is none yet."""
    try:
        return Progress(**json.loads((folder / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
