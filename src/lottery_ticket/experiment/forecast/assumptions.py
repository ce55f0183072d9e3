"""What a simulation assumes: what there is to make, and what workers and their store are like."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.cells.making import Pace

__all__ = ["IDEAL", "Assumptions", "Task"]

_CLAIM_REQUESTS = 4  # one after the other: is it finished, is it held, the claim, is it still open
_COMMIT_REQUESTS = 4  # the files side by side, the record, is the claim still ours, its end


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell as the simulation knows it.

    Args:
        parents: the cells it is made from; those that are no tasks are finished.
        seconds: that making it takes, beside the store.
        num_read: files of its parents that it reads.
        read_bytes: these together.
        num_written: files that it commits, beside its record.
        written_bytes: all that it commits.
        checkpoint_bytes: of a checkpoint; 0 where none is written.
        label: where it stands in the run.
    """

    parents: Collection[str] = ()
    seconds: float
    num_read: int = 0
    read_bytes: int = 0
    num_written: int = 0
    written_bytes: int = 0
    checkpoint_bytes: int = 0
    label: Label | None = None


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What workers, their store and their losses are like; the defaults are an object store in the
    region of its workers.

    Args:
        start_seconds: until a worker has started; one that was lost is replaced at once, and its
            successor takes as long.
        claim_seconds: to see that a cell is neither finished nor held, and to claim it.
        request_seconds: of any other request, beside its bytes: a record or a file of a parent, a
            checkpoint.
        commit_seconds: from the last step of a cell until all can see that it is finished and its
            worker is free again, beside its bytes.
        bytes_per_second: from the store to a worker, or back.
        requests_per_second: that the store answers, of all workers together; the others wait.
        poll_seconds: a worker that finds nothing ready looks again after so long, and each time
            after twice as long; 0 for one that is told.
        longest_poll_seconds: until it looks again, at most.
        beat_seconds: from one heartbeat to the next, of a cell in the making; 0 for none.
        checkpoint_seconds: from one checkpoint to the next, at least.
        checkpoint_share: of the time, at most, that checkpoints take.
        lease_seconds: from the loss of a worker until others may take over its cell.
        losses_per_hour: of a worker.
        price_per_hour: of a worker, in any currency; None where it is of no interest.

    Raises:
        UsageError: one of them makes no sense.
    """

    start_seconds: float = 15.0
    claim_seconds: float = 0.2
    request_seconds: float = 0.05
    commit_seconds: float = 0.2
    bytes_per_second: float = 50e6
    requests_per_second: float = 3_500.0
    poll_seconds: float = 2.0
    longest_poll_seconds: float = 10.0
    beat_seconds: float = 10.0
    checkpoint_seconds: float = Pace.checkpoint_seconds
    checkpoint_share: float = Pace.checkpoint_share
    lease_seconds: float = 60.0
    losses_per_hour: float = 0.0
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            is_open = value is None and name == "price_per_hour"
            if not is_open and not _is_possible(name, value):
                wanted = "more than 0" if name in _POSITIVE else "0 or more"
                raise UsageError(f"{name}: got {value!r}, wanted a number, {wanted}")

    @staticmethod
    def latencies(seconds: float) -> dict[str, float]:
        """What takes how long where each request takes so many seconds: arguments of this.

        >>> Assumptions(**Assumptions.latencies(0.02)).claim_seconds
        0.08
        """
        return {
            "claim_seconds": _CLAIM_REQUESTS * seconds,
            "request_seconds": seconds,
            "commit_seconds": _COMMIT_REQUESTS * seconds,
        }

    def with_ideal_store(self) -> "Assumptions":
        """The same workers with a store that takes no time."""
        store = {name: getattr(IDEAL, name) for name in _STORE}
        return Assumptions(**{**vars(self), **store})


_RATES = ("bytes_per_second", "requests_per_second")  # of which infinity makes sense
_POSITIVE = (*_RATES, "checkpoint_seconds", "checkpoint_share")
_STORE = (
    *_RATES, "claim_seconds", "request_seconds", "commit_seconds", "poll_seconds",
    "longest_poll_seconds",
)  # fmt: skip


def _is_possible(name: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    is_large_enough = value > 0 if name in _POSITIVE else value >= 0
    return is_large_enough and (value < math.inf or name in _RATES)


IDEAL = Assumptions(
    start_seconds=0.0,
    claim_seconds=0.0,
    request_seconds=0.0,
    commit_seconds=0.0,
    bytes_per_second=math.inf,
    requests_per_second=math.inf,
    poll_seconds=0.0,
    longest_poll_seconds=0.0,
    beat_seconds=0.0,
    lease_seconds=0.0,
)
"""Workers that start at once and are never lost, and a store that takes no time."""
