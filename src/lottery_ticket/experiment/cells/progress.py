"""How far a cell is, said where it is worked on: whoever looks can read it, others too."""

import json
from dataclasses import asdict, dataclass

from lottery_ticket.errors import StoreError
from lottery_ticket.store import Desk

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


def write_progress(desk: Desk, progress: Progress) -> None:
    """Say how far a cell is."""
    desk.show(_FILE, json.dumps(asdict(progress)).encode())


def read_progress(desk: Desk) -> Progress | None:
    """The progress of the cell that is worked on there; None if there is none yet, or no more than
    what another version wrote."""
    try:
        progress = Progress(**json.loads(desk.read(_FILE, _MAX_BYTES) or b"null"))
    except (StoreError, ValueError, TypeError, RecursionError):
        return None
    return progress if progress.is_plain else None
