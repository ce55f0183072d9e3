"""What workers wrote of cells, as the server took it: who claimed what, who made it."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from faulty_proxy import Exchange

from lottery_ticket.store._lease import Lease

__all__ = ["Ledger", "Takeover", "Written"]


@dataclass(frozen=True)
class Written:
    """A lease as it was taken by the server.

    Args:
        cell: whose.
        lease: what it says.
        began, ended: between these moments.
    """

    cell: str
    lease: Lease
    began: float
    ended: float

    @property
    def is_claim(self) -> bool:
        """Whether somebody new holds it, else it is a beat."""
        return self.lease.beat == 0


@dataclass(frozen=True)
class Commit:
    """A record that somebody sent, and whether it was the first."""

    cell: str
    token: str
    is_first: bool
    ended: float


class Takeover(NamedTuple):
    """A claim that was taken from somebody who had not given it back."""

    cell: str
    silent_seconds: float
    """At most so long nothing was heard of the one before."""
    lease_seconds: float


class Ledger:
    """Listens to all that is written through a proxy."""

    def __init__(self) -> None:
        self.leases: list[Written] = []
        self.commits: list[Commit] = []
        self._lock = threading.Lock()

    def hear(self, exchange: Exchange) -> None:
        """Take note of a request that was answered."""
        if exchange.method != "PUT":
            return
        folder, _, name = urlsplit(exchange.path).path.rpartition("/")
        is_taken = exchange.status < 300
        with self._lock:
            if folder.endswith("/claims") and is_taken:
                lease = Lease.from_bytes(exchange.body, name)
                self.leases.append(Written(name, lease, exchange.began, exchange.ended))
            elif folder.endswith("/cells"):
                token = json.loads(exchange.body)["token"]
                self.commits.append(Commit(name, token, is_taken, exchange.ended))

    @property
    def num_claims(self) -> int:
        """How often a cell was claimed."""
        with self._lock:
            return sum(one.is_claim for one in self.leases)

    def finished(self) -> dict[str, Commit]:
        """Cell → the commit that made it."""
        with self._lock:
            return {one.cell: one for one in self.commits if one.is_first}

    def held(self, process: int | None = None) -> dict[str, str]:
        """The cells that a process, or any, has claimed and not finished → its claims' tokens."""
        finished = self.finished()
        newest = {one.cell: one.lease for one in self._history()}
        return {
            cell: lease.token
            for cell, lease in newest.items()
            if process in (None, lease.process) and not lease.is_released and cell not in finished
        }

    def made_by(self) -> dict[str, set[str]]:
        """Cell → the tokens of all claims under which it was trained to its end."""
        tokens: dict[str, set[str]] = defaultdict(set)
        with self._lock:
            for one in self.commits:
                tokens[one.cell].add(one.token)
        return dict(tokens)

    def takeovers(self) -> Iterator[Takeover]:
        """All claims that were taken from somebody who had not given them back."""
        before: dict[str, Written] = {}
        for one in self._history():
            last = before.get(one.cell)
            if one.is_claim and one.lease.num_losses and last is not None:
                yield Takeover(one.cell, one.ended - last.began, last.lease.seconds)
            before[one.cell] = one

    def resumed(self, cell: str, token: str, since: float) -> float | None:
        """When a cell that a claim had was taken by another, or was finished; None: never."""
        moments = [
            one.ended for one in self._history() if one.cell == cell and one.lease.token != token
        ]
        with self._lock:
            moments += [one.ended for one in self.commits if one.cell == cell and one.is_first]
        return min((moment for moment in moments if moment > since), default=None)

    def next_work(self, since: float) -> float | None:
        """When a cell was claimed or finished for the first time after a moment."""
        moments = [one.ended for one in self._history() if one.is_claim]
        moments += [one.ended for one in self.finished().values()]
        return min((moment for moment in moments if moment > since), default=None)

    def text(self) -> str:
        """All of it, for people."""
        lines = [(one.ended, f"{one.cell[:12]} lease {one.lease}") for one in self._history()] + [
            (one.ended, f"{one.cell[:12]} {one}") for one in self.commits
        ]
        return "\n".join(f"{ended:.3f} {line}" for ended, line in sorted(lines))

    def _history(self) -> list[Written]:
        with self._lock:
            return sorted(self.leases, key=lambda one: one.ended)
