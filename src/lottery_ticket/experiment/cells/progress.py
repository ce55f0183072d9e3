"""How far a cell is, in a small file beside it: whoever looks can read it, other processes too."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lottery_ticket.errors import StoreError
from lottery_ticket.files import aside_of
from lottery_ticket.store import read_file

__all__ = ["Progress", "read_progress", "write_progress"]

_FILE = "progress.json"
_MAX_BYTES = 10_000


@dataclass(frozen=True)
class Progress:
    """A training cell's position."""

    step: int
    num_steps: int
    epoch: float
    loss: float | None
    accuracy: float | None

    @property
    def is_plain(self) -> bool:
        """Whether the numbers are numbers; a file may hold anything."""
        counts, epoch = (self.step, self.num_steps), self.epoch
        measured = [value for value in (self.loss, self.accuracy) if value is not None]
        return (
            all(type(count) is int and 0 <= count < 2**63 for count in counts)
            and all(type(value) in (int, float) for value in (epoch, *measured))
            and all(abs(value) < float("inf") for value in (epoch, *measured))
        )


def write_progress(folder: Path, progress: Progress) -> None:
    """Replace the progress file; not synced, since nothing depends on it."""
    aside = aside_of(folder / _FILE)
    try:
        aside.write_text(json.dumps(asdict(progress)))
        aside.replace(folder / _FILE)
    except OSError:  # a full disk is noticed by what matters
        with contextlib.suppress(OSError):
            aside.unlink()


def read_progress(folder: Path) -> Progress | None:
    """The progress of the cell whose work folder this is; None if there is none yet, or no more
    than what another version wrote."""
    try:
        progress = Progress(**json.loads(read_file(folder / _FILE, _MAX_BYTES)))
    except (StoreError, ValueError, TypeError, RecursionError):
        return None
    return progress if progress.is_plain else None
