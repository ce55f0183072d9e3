"""Who makes a cell and how far it is, said where it is worked on: whoever looks can read it."""

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, field

from lottery_ticket.errors import StoreError
from lottery_ticket.store import Desk

__all__ = ["Maker", "Progress", "read_maker", "read_progress", "write_maker", "write_progress"]

_FILE, _MAKER_FILE = "progress.json", "maker.json"
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


@dataclass(frozen=True)
class Maker:
    """Who makes a cell: a process of some machine.

    Args:
        device: that it is made on.
        host, process: where.
        since: when it began, by that machine's clock.
    """

    device: str
    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    since: float = field(default_factory=time.time)

    @property
    def is_plain(self) -> bool:
        """Whether the values are what they say; a file may hold anything."""
        is_text = all(
            isinstance(text, str) and text.isprintable() for text in (self.device, self.host)
        )
        is_count = type(self.process) is int and 0 <= self.process < 2**63
        return is_text and is_count and type(self.since) in (int, float) and 0 <= self.since < 1e11


def write_maker(desk: Desk, maker: Maker) -> None:
    """Say who makes a cell."""
    desk.show(_MAKER_FILE, json.dumps(asdict(maker)).encode())


def read_maker(desk: Desk) -> Maker | None:
    """Who makes the cell that is worked on there, or made it last; None if nobody said so."""
    try:
        maker = Maker(**json.loads(desk.read(_MAKER_FILE, _MAX_BYTES) or b"null"))
    except (StoreError, ValueError, TypeError, RecursionError):
        return None
    return maker if maker.is_plain else None
