"""How far a cell is, in a small file beside it: whoever looks can read it, other processes too."""

import contextlib
import json
import math
import os
from dataclasses import asdict, astuple, dataclass
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
        found = Progress(**json.loads((folder / _FILE).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    numbers = (value for value in astuple(found) if value is not None)
    are_numbers = all(type(value) in (int, float) and math.isfinite(value) for value in numbers)
    return found if are_numbers and None not in (found.step, found.num_steps, found.epoch) else None
