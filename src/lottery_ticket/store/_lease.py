"""Claims where no operating system tells who is alive: leases, which their holders renew.

A lease is a small record in a place that all see. Its holder writes it anew again and again (it
*beats*). Whoever saw it unchanged for as long as it says, by a clock of his own, takes its holder
for dead and takes it over. No two clocks are ever compared.

A holder that stood still may be alive after all. It learns at its next beat that its lease is lost;
until then two work on one cell, each in a place of its own, and the first that commits has made it.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, TypeVar

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store._files import sealed_json, sha256, unsealed_json
from lottery_ticket.store._making import Desk
from lottery_ticket.store._values import COUNT, NUMBER, TEXT, Kind, check

__all__ = [
    "HEART",
    "LEASE_SECONDS",
    "MOST_BEFORE",
    "WATCHER",
    "Beating",
    "Heart",
    "Lease",
    "LeaseClaim",
    "Spot",
    "Watcher",
    "lease_seconds",
    "silences",
    "take_lease",
    "watched",
]

LEASE_SECONDS = 60.0
"""How long a holder may be silent, unless told otherwise."""

_BEATS = 6  # in the time of a lease
_LOOKS = 20  # of one who waits whether it is silent
MOST_BEFORE = 8
"""How many earlier claims a lease names: their checkpoints may be continued."""
_MOST_SECONDS = 86400.0
_MOST_WRONG_SECONDS = 300.0  # a clock, without anybody noticing

Key = TypeVar("Key", bound=Hashable)


def lease_seconds() -> float:
    """`$LOTTERY_LEASE_SECONDS`, else 60; raises `UsageError` if that is no length of a lease."""
    text = os.environ.get("LOTTERY_LEASE_SECONDS") or str(LEASE_SECONDS)
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= _MOST_SECONDS:
            return float(text)
    raise UsageError(
        f"LOTTERY_LEASE_SECONDS: got {text!r}, wanted seconds above 0, at most {_MOST_SECONDS:.0f}"
    )


_TOKEN = Kind("16 hex digits", lambda v: isinstance(v, str) and len(v) == 16 and _is_hex(v))
_FLAG = Kind("true or false", lambda value: isinstance(value, bool))
_LENGTH = Kind(
    "seconds above 0, a day at most",
    lambda value: NUMBER.fits(value) and 0 < value <= _MOST_SECONDS,
)
_KINDS = {
    "token": _TOKEN,
    "host": TEXT,
    "process": COUNT,
    "seconds": _LENGTH,
    "beat": COUNT,
    "is_released": _FLAG,
    "num_losses": COUNT,
    "before": Kind(
        "a list of tokens", lambda value: isinstance(value, list) and all(map(_TOKEN.fits, value))
    ),
}


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789abcdef")


@dataclass(frozen=True)
class Lease:
    """Who holds a claim, as everybody sees it.

    Args:
        token: of the claim.
        host, process: who holds it, for people.
        seconds: unchanged for so long, it may be taken over.
        beat: how often it was renewed.
        is_released: whether it was given back.
        num_losses: how many holders in a row were taken for dead before this one.
        before: tokens of earlier claims whose work is there, the newest first.
    """

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    seconds: float = LEASE_SECONDS
    beat: int = 0
    is_released: bool = False
    num_losses: int = 0
    before: tuple[str, ...] = ()

    def next(self, **changes: bool) -> "Lease":
        """The same, renewed."""
        return replace(self, beat=self.beat + 1, **changes)

    def taken_over(self, seconds: float, *, is_lost: bool) -> "Lease":
        """The lease of whoever takes this one over."""
        before = (self.token, *self.before)[:MOST_BEFORE]
        num_losses = self.num_losses + 1 if is_lost else 0
        return Lease(seconds=seconds, num_losses=num_losses, before=before)

    def to_bytes(self) -> bytes:
        """The bytes of its record."""
        return sealed_json(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> "Lease":
        """Read a record; raises `DamagedError` that names its place."""
        try:
            values = unsealed_json(data)
            if values.keys() != _KINDS.keys():
                raise ValueError(f"it holds {sorted(values)}")
            for name, kind in _KINDS.items():
                check(name, values[name], kind)
            return cls(**{**values, "before": tuple(values["before"])})
        except ValueError as error:
            raise DamagedError(f"{where}: damaged: {error}") from None

    @classmethod
    def seen(cls, data: bytes, where: object) -> "Lease":
        """The same; what is damaged, or of another version, is a lease of somebody unknown. It is
        held as long as it changes, and can be taken over once it is seen to be silent."""
        try:
            return cls.from_bytes(data, where)
        except DamagedError:
            return cls(token=sha256(data)[:16], seconds=lease_seconds())


class Spot(Protocol):
    """The place of one lease. Of several that write there at once, one is right and knows it."""

    def look(self) -> tuple[Lease, str] | None:
        """What is there, and a stamp that changes whenever it is written; None if nothing is.

        What is no lease is `Lease.seen` as one. Raises `StoreError` if it cannot be read.
        """
        ...

    def create(self, lease: Lease) -> str | None:
        """Write it where nothing is; its stamp, or None if something is."""
        ...

    def swap(self, lease: Lease, stamp: str) -> str | None:
        """Write it in place of what has that stamp; its stamp, or None if that is there no more."""
        ...

    def remove(self, stamp: str) -> None:
        """Clear the place, if what has that stamp is still there."""
        ...


class Watcher:
    """Tells which leases have expired: those that it saw unchanged for as long as they say."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}  # name → stamp, since when

    def is_expired(self, name: str, stamp: str, seconds: float) -> bool:
        """Look at a lease; the first time that it is seen so, it has not."""
        now = self._clock()
        known, since = self._seen.get(name, ("", now))
        if known != stamp:
            self._seen[name] = (stamp, now)
            return False
        return now - since >= seconds

    def forget(self, name: str) -> None:
        """It is of no interest any more."""
        self._seen.pop(name, None)


def silences(
    held: Mapping[str, tuple[Lease, float]], clock: Callable[[], float] = time.time
) -> dict[str, float]:
    """For how long those have been silent that are so beyond their lease, as their place dates what
    is written there. That is for people: whose lease can be taken over is told by watching.

    It is now what was written last; or, should nobody live, what our clock says, which may be wrong
    by a few minutes.

    Args:
        held: name → a lease, and when it was written.
        clock: of this machine.
    """
    dates = [written for _, written in held.values()]
    now = max((clock() - _MOST_WRONG_SECONDS, *dates))
    return {
        name: now - written
        for name, (lease, written) in held.items()
        if not lease.is_released and now - written > lease.seconds
    }


def watched(looks: Mapping[Key, Callable[[], tuple[Lease, str] | None]]) -> dict[Key, bool]:
    """Whether each of some leases is held by someone alive: it is renewed, or proves to be silent.

    This takes as long as the longest of them at most. Those that are silent can be taken then.

    Args:
        looks: by the name under which `WATCHER` knows a lease, what looks at it.
    """
    first = {name: look() for name, look in looks.items()}
    waiting = {name: seen for name, seen in first.items() if seen and not seen[0].is_released}
    is_alive = dict.fromkeys(looks, False)
    while waiting:
        for name, (lease, stamp) in list(waiting.items()):
            now = looks[name]()
            is_alive[name] = now is not None and not now[0].is_released and now[1] != stamp
            is_gone = now is None or now[0].is_released
            if is_alive[name] or is_gone or WATCHER.is_expired(str(name), stamp, lease.seconds):
                del waiting[name]
        if waiting:
            time.sleep(min(lease.seconds for lease, _ in waiting.values()) / _LOOKS)
    return is_alive


class LeaseClaim:
    """A claim by lease; see `Claim`.

    Args:
        name: of the cell.
        spot: where its lease is.
        lease, stamp: as it was written there.
        desk: where to work.
        clean: removes the work of these tokens.
    """

    def __init__(
        self,
        name: str,
        spot: Spot,
        lease: Lease,
        stamp: str,
        desk: Desk,
        clean: Callable[[tuple[str, ...]], None],
    ) -> None:
        self.name, self.desk = name, desk
        self._spot, self._lease, self._stamp, self._clean = spot, lease, stamp, clean
        self._is_lost = self._is_over = False
        self._lock = threading.Lock()  # the heart beats in a thread of its own

    @property
    def token(self) -> str:
        """The lease's."""
        return self._lease.token

    @property
    def num_losses(self) -> int:
        """The lease's."""
        return self._lease.num_losses

    @property
    def seconds(self) -> float:
        """The lease's length."""
        return self._lease.seconds

    def is_lost(self) -> bool:
        """Whether the last beat found another's lease."""
        return self._is_lost

    def beat(self) -> None:
        """Renew the lease; raises `StoreError` if the place cannot be reached now."""
        with self._lock:
            if not (self._is_lost or self._is_over):
                self._write(self._lease.next())

    def release(self) -> None:
        """Give the lease back; where that cannot be said now, it expires."""
        if self._end():
            with self._lock, contextlib.suppress(StoreError):
                self._write(self._lease.next(is_released=True))

    def clear(self) -> None:
        """Remove the work of this claim and of earlier ones, and the lease at last."""
        is_ours = self._end()
        tokens = (self.token, *self._lease.before) if is_ours else (self.token,)
        with contextlib.suppress(StoreError):  # garbage, at worst
            self._clean(tokens)
            if is_ours:
                self._spot.remove(self._stamp)

    def _end(self) -> bool:
        """From now on it is not renewed; whether it was ours so far.

        What follows may take its time: meanwhile the heart waits for no lock of this claim.
        """
        with self._lock:
            is_ours = not self.is_over
            self._is_over = True
            return is_ours

    @property
    def is_over(self) -> bool:
        """Whether it was given back, or lost."""
        return self._is_over or self._is_lost

    def _write(self, lease: Lease) -> None:
        stamp = self._spot.swap(lease, self._stamp)
        if stamp is None:  # another's, or ours by a beat of which we never heard that it arrived
            found = self._spot.look()
            if found is not None and found[0].token == self.token:
                stamp = self._spot.swap(lease, found[1])
        if stamp is None:
            self._is_lost = True
        else:
            self._lease, self._stamp = lease, stamp


def take_lease(
    name: str, spot: Spot, watcher: Watcher, seconds: float = LEASE_SECONDS
) -> tuple[Lease, str] | None:
    """Take a lease that is free, given back or expired.

    Args:
        name: by which the watcher knows it.
        spot: where it is.
        watcher: which has to have seen an expired one before.
        seconds: for how long the new one is.

    Returns:
        The lease and its stamp; None while somebody holds it, or was quicker.

    Raises:
        StoreError: the place cannot be read or written.
    """
    found = spot.look()
    if found is None:
        lease = Lease(seconds=seconds)
        stamp = spot.create(lease)
    else:
        seen, at = found
        is_lost = not seen.is_released
        if is_lost and not watcher.is_expired(name, at, seen.seconds):
            return None
        lease = seen.taken_over(seconds, is_lost=is_lost)
        stamp = spot.swap(lease, at)
    if stamp is None:
        return None
    watcher.forget(name)
    return lease, stamp


class Beating(Protocol):
    """What is renewed."""

    @property
    def seconds(self) -> float:
        """For how long it may not be."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it is of no use any more."""
        ...

    def beat(self) -> None:
        """Renew it; raises `StoreError` if its place cannot be reached now."""
        ...


class Heart:
    """Renews the claims of one place from a thread of its own, as long as there are any. Each place
    has its own: one that is out of reach may let a beat wait for a minute."""

    def __init__(self) -> None:
        _hearts.add(self)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Keep none; in a process that was forked what its parent holds is its parent's."""
        self._due: dict[Beating, float] = {}  # claim → its next beat
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._added = threading.Event()

    def keep(self, claim: Beating) -> None:
        """Renew a claim until it is over."""
        with self._lock:
            self._due[claim] = time.monotonic() + claim.seconds / _BEATS
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        self._added.set()

    def _run(self) -> None:
        while due := self._open():
            if self._added.wait(max(0.0, min(due.values()) - time.monotonic())):
                self._added.clear()  # what was added may be due earlier
                continue
            now = time.monotonic()
            for claim in [claim for claim, at in due.items() if at <= now]:
                with contextlib.suppress(Exception):  # whatever it was: the next may get there
                    claim.beat()
                with self._lock:
                    self._due[claim] = now + claim.seconds / _BEATS

    def _open(self) -> dict[Beating, float]:
        with self._lock:
            self._due = {claim: at for claim, at in self._due.items() if not claim.is_over}
            if not self._due:
                self._thread = None
            return dict(self._due)


_hearts: weakref.WeakSet[Heart] = weakref.WeakSet()

# of this process: workers open their store anew for each cell, and what was seen has to last
HEART = Heart()
"""Renews all that this process holds in folders."""
WATCHER = Watcher()
"""What this process has seen of the leases of others, by names that tell the store, too."""


def _begin_anew() -> None:
    for heart in list(_hearts):
        heart.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
