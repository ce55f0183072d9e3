"""A desk in a bucket: what a claim writes lies under its token, and nobody else writes there.

A checkpoint is sent at once, so that what it costs is seen. What is only looked at is kept in
memory and sent every few seconds by a thread of its own, so that no training waits for it.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket

__all__ = ["BucketDesk", "Courier", "DeskOfOthers"]

_ROUND_SECONDS = 10.0
_FIRST_SECONDS = 2.0  # until it is said who is at a cell; shorter ones say nothing
_MOST_GLANCED_BYTES = 1 << 16
_ANY_SIZE = 1 << 62
_SET_ASIDE = b"lottery_ticket: set aside\n"  # hides what earlier claims left under the name


class BucketDesk:
    """Where the holder of a claim works.

    Args:
        bucket: where.
        token: of the claim.
        before: tokens of earlier claims of the cell, the newest first: what they left is read.
    """

    def __init__(self, bucket: Bucket, token: str, before: Iterable[str] = ()) -> None:
        self.token, self._bucket, self._before = token, bucket, tuple(before)
        self._shown: dict[str, bytearray] = {}
        self._unsent: set[str] = set()
        self._sent: set[str] = set()  # keys
        self._is_cleared = False
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """What was left under a name, by this claim or the newest before it that left something."""
        shown = self.shown(name)
        if shown is not None:
            return _fitting(shown, max_bytes, self.where(name))
        own = keys.work(self.token, name)
        tokens = (self.token, *self._before) if own in self._sent else self._before
        return left_under(self._bucket, tokens, name, max_bytes)

    def take_over(self) -> None:
        """Copy the newest of all that earlier claims left to where this one works.

        Raises:
            StoreError: the bucket cannot be read or written.
        """
        newest: dict[str, str] = {}
        for token in self._before:
            for one in self._bucket.list(keys.folder_of_work(token)):
                newest.setdefault(keys.last_of(one.key), one.key)
        for name, key in newest.items():
            found = self._bucket.get(key)
            if found is not None:
                self.write(name, found.data)

    def shown(self, name: str) -> bytes | None:
        """What is only looked at, as it is now; None if this claim showed nothing so named."""
        with self._lock:
            found = self._shown.get(name)
            return None if found is None else bytes(found)

    def write(self, name: str, data: bytes) -> None:
        """Send it now."""
        with self._lock:  # nothing that was shown under the name is sent any more
            self._shown.pop(name, None)
            self._unsent.discard(name)
        self._put(name, data)

    def _put(self, name: str, data: bytes) -> None:
        key = keys.work(self.token, name)
        self._bucket.put(key, data)
        self._sent.add(key)

    def show(self, name: str, data: bytes) -> None:
        """Send it with the next round, if it is not shown anew before."""
        with self._lock:
            self._shown[name] = bytearray(data)
            self._unsent.add(name)

    def append(self, name: str, data: bytes) -> None:
        """Add to what is shown, or else to what was left."""
        left = b"" if name in self._shown else self.read(name, _ANY_SIZE) or b""
        with self._lock:
            self._shown.setdefault(name, bytearray(left)).extend(data)
            self._unsent.add(name)

    def begin(self, name: str, data: bytes) -> None:
        """Show something new."""
        self.show(name, data)

    def set_aside(self, name: str) -> str:
        """Keep a copy where the next clean-up finds it, and hide what there is."""
        data = self.read(name, _ANY_SIZE)
        key = keys.unread(self.token, name)
        if data is not None:
            self._bucket.put(key, data)
            self.write(name, _SET_ASIDE)
        return f"{self._bucket.location}/{key}"

    def where(self, name: str) -> str:
        """The address of what this claim writes under a name."""
        return f"{self._bucket.location}/{keys.work(self.token, name)}"

    def send(self) -> None:
        """Send what is new of what is shown; raises `StoreError` if the bucket is out of reach."""
        with self._sending:
            with self._lock:
                if self._is_cleared:
                    return
                fresh = {name: bytes(self._shown[name]) for name in self._unsent}
                self._unsent.clear()
            for name, data in fresh.items():
                try:
                    self._put(name, data)
                except StoreError:
                    with self._lock:
                        self._unsent.add(name)
                    raise

    def clear(self) -> None:
        """Remove all that this claim wrote."""
        with self._lock:
            self._is_cleared = True
        with self._sending:  # what is on its way arrives first
            self._bucket.remove(sorted(self._sent))
            self._sent.clear()


class DeskOfOthers:
    """A desk to look at: to write there takes a claim.

    Args:
        bucket: where.
        name: of the cell.
        tokens: of its claims, the newest first.
        glance: the cell, what it was asked for, how to find it → that, as it was seconds ago.
    """

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        tokens: tuple[str, ...],
        glance: Callable[[str, str, Callable[[], bytes | None]], bytes | None],
    ) -> None:
        self._bucket, self._name, self._tokens, self._glance = bucket, name, tokens, glance

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """What the newest claim that left something there left."""

        def look() -> bytes | None:
            return left_under(self._bucket, self._tokens, name, max_bytes)

        if max_bytes > _MOST_GLANCED_BYTES:
            return look()
        return self._glance(self._name, f"{self.where(name)} {max_bytes}", look)

    def write(self, name: str, data: bytes) -> None:
        """Refused, as all that follows."""
        raise self._refusal()

    def show(self, name: str, data: bytes) -> None:
        raise self._refusal()

    def append(self, name: str, data: bytes) -> None:
        raise self._refusal()

    def begin(self, name: str, data: bytes) -> None:
        raise self._refusal()

    def set_aside(self, name: str) -> str:
        raise self._refusal()

    def where(self, name: str) -> str:
        """The address of what the newest claim writes under a name."""
        key = keys.work(self._tokens[0], name) if self._tokens else keys.claim(self._name)
        return f"{self._bucket.location}/{key}"

    def _refusal(self) -> StoreError:
        return StoreError(f"cell {self._name}: who writes to its desk has to claim it first")


def left_under(bucket: Bucket, tokens: Iterable[str], name: str, max_bytes: int) -> bytes | None:
    """What the first of some claims that left something under a name left there.

    Raises:
        DamagedError: more than `max_bytes`.
        StoreError: it cannot be read.
    """
    for token in tokens:
        key = keys.work(token, name)
        found = bucket.get(key)
        if found is None:
            continue
        if found.data == _SET_ASIDE:
            return None
        return _fitting(found.data, max_bytes, f"{bucket.location}/{key}")
    return None


def _fitting(data: bytes, max_bytes: int, where: str) -> bytes:
    """The same; raises `DamagedError` if there are more than `max_bytes`."""
    if len(data) > max_bytes:
        raise DamagedError(
            f"{where}: damaged: {len(data):,} bytes, at most {max_bytes:,} were written"
        )
    return data


class Courier:
    """Sends what desks show, every few seconds, from a thread of its own, while there are any."""

    def __init__(self) -> None:
        self._desks: dict[str, BucketDesk] = {}
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def take_on(self, desk: BucketDesk) -> None:
        """Send what a desk shows until it is let go."""
        with self._lock:
            self._desks[desk.token] = desk
            self._due[desk.token] = time.monotonic() + _FIRST_SECONDS
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="desks", daemon=True)
                self._thread.start()

    def let_go(self, desk: BucketDesk) -> None:
        """Send no more of it."""
        with self._lock:
            self._desks.pop(desk.token, None)
            self._due.pop(desk.token, None)

    def desk(self, token: str) -> BucketDesk | None:
        """A desk of this process, by its claim's token."""
        return self._desks.get(token)

    def _run(self) -> None:
        pause = threading.Event()
        while self._is_open():
            pause.wait(_FIRST_SECONDS / 2)
            for desk in self._due_desks():
                with contextlib.suppress(StoreError):  # out of reach: the next round may get there
                    desk.send()

    def _is_open(self) -> bool:
        with self._lock:
            if not self._desks:
                self._thread = None
            return bool(self._desks)

    def _due_desks(self) -> list[BucketDesk]:
        now = time.monotonic()
        with self._lock:
            due = [token for token, at in self._due.items() if at <= now]
            self._due |= dict.fromkeys(due, now + _ROUND_SECONDS)
            return [self._desks[token] for token in due]
