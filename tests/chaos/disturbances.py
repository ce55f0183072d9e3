"""What is done to workers and to their server, and when.

Moments are counted in cells that were claimed, so that a slow machine is disturbed as often.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from chaos.crew import Crew, Worker
from chaos.ledger import Ledger

__all__ = ["KINDS", "OUTAGE_SECONDS", "Disturbance", "Disturber", "Done", "drawn"]

OUTAGE_SECONDS = 10.0
KINDS = ("kill", "stop", "outage")
_WEIGHTS = (3, 3, 2)
_ALL_WORK = 0.9  # of all claims that an undisturbed run takes: at the end nobody is left to disturb
_AT_THE_START = 0.3  # how often the server is gone while workers start
_OF_HOLDERS = 0.8  # how often one that has a cell is chosen, if there is one


class Disturbance(NamedTuple):
    """Something that is to happen.

    Args:
        kind: one of `KINDS`.
        after: so many claims.
        pause_seconds: and so long after that.
        leases: how long a worker stands still, in lengths of a lease.
    """

    kind: str
    after: int
    pause_seconds: float
    leases: float

    def __str__(self) -> str:
        return f"{self.kind}@{self.after}"


def drawn(chance: random.Random, num_cells: int) -> list[Disturbance]:
    """Two to four of them; the server is gone once at most."""
    kinds = chance.choices(KINDS, _WEIGHTS, k=chance.randint(2, 4))
    while kinds.count("outage") > 1:
        kinds.remove("outage")
    return sorted((_drawn(chance, kind, num_cells) for kind in kinds), key=lambda one: one.after)


def _drawn(chance: random.Random, kind: str, num_cells: int) -> Disturbance:
    after = chance.randint(0, int(_ALL_WORK * num_cells))
    if kind == "outage" and chance.random() < _AT_THE_START:
        after = 0
    return Disturbance(kind, after, chance.uniform(0.0, 0.5), chance.uniform(1.2, 3.0))


@dataclass
class Done:
    """What was done.

    Args:
        kind: one of `KINDS`.
        at: when it ended that anything could be done about it: the kill, the beginning of a stop,
            the end of an outage.
        held: cell → token of what the worker had.
    """

    kind: str
    at: float
    held: dict[str, str] = field(default_factory=dict)

    def resumed_seconds(self, ledger: Ledger) -> float | None:
        """How long until somebody went on with all that was disturbed; None where nothing was, or
        nobody did."""
        if self.kind == "outage":
            moments = [ledger.next_work(self.at)]
        else:
            moments = [ledger.resumed(cell, token, self.at) for cell, token in self.held.items()]
        known = [moment for moment in moments if moment is not None]
        return max(known) - self.at if known else None


class Disturber:
    """Does what was drawn when it is time.

    Args:
        plan: what is to happen, the first at the front.
        crew: to whom.
        ledger: by which time is counted.
        go_down: keeps the server away for so many seconds.
        lease_seconds: the length of a lease.
        chance: chooses whom it meets.
    """

    def __init__(
        self,
        plan: list[Disturbance],
        crew: Crew,
        ledger: Ledger,
        go_down: Callable[[float], object],
        lease_seconds: float,
        chance: random.Random,
    ) -> None:
        self._plan, self._crew, self._ledger = list(plan), crew, ledger
        self._go_down, self._lease_seconds, self._chance = go_down, lease_seconds, chance
        self._due: float | None = None
        self._paused: dict[int, tuple[float, Worker]] = {}
        self.done: list[Done] = []

    def look(self) -> None:
        """Do what it is time for."""
        now = time.monotonic()
        for pid, (until, worker) in list(self._paused.items()):
            if now >= until:
                self._crew.resume(worker)
                del self._paused[pid]
        if not self._plan or self._ledger.num_claims < self._plan[0].after:
            return
        self._due = self._due or now + self._plan[0].pause_seconds
        if now >= self._due:
            self._due = None
            self._do(self._plan.pop(0))

    def _do(self, what: Disturbance) -> None:
        if what.kind == "outage":
            self._go_down(OUTAGE_SECONDS)
            self.done.append(Done(what.kind, time.monotonic() + OUTAGE_SECONDS))
            return
        worker = self._victim()
        if worker is None:
            return
        if what.kind == "kill":
            self._crew.end(worker)
            self._crew.start()
        else:
            self._crew.pause(worker)
            until = time.monotonic() + what.leases * self._lease_seconds
            self._paused[worker.pid] = until, worker
        self.done.append(Done(what.kind, time.monotonic(), self._ledger.held(worker.pid)))

    def _victim(self) -> Worker | None:
        """One that is at work, more likely one that has a cell."""
        there = [one for one in self._crew.at_work if one.pid not in self._paused]
        holders = [one for one in there if self._ledger.held(one.pid)]
        if holders and self._chance.random() < _OF_HOLDERS:
            there = holders
        return self._chance.choice(there) if there else None
