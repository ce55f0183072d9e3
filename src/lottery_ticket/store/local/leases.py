"""Claims of a folder that machines share, where a lock may hold on each machine alone.

A cell has its leases in its work folder, `lease.1`, `lease.2`, …: the highest number counts, and
each is created once, by whoever comes first. Its holder writes it anew as it beats; whoever takes
it over creates the next. No number is used again until the folder is cleared.

What is to be put in place is written aside first, within the folder, and only then it is looked
what is there: were the folder cleared meanwhile, what lies aside would be gone with it. So nobody
who slept brings a lease, or a folder, back.

A holder that beats at the very moment at which it is taken over may not see it. It does at its next
beat. Each claim works in a folder of its own, so that this costs time and nothing else.
"""

import contextlib
import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.files import aside_of
from lottery_ticket.store._files import (
    is_link,
    linked,
    read_file,
    remove,
    scanned,
    store_errors,
)
from lottery_ticket.store._lease import (
    HEART,
    WATCHER,
    Lease,
    LeaseClaim,
    lease_seconds,
    silences,
    take_lease,
    watched,
)
from lottery_ticket.store._making import Desk
from lottery_ticket.store.local.desk import LeasedDesk, LocalDesk

__all__ = ["FileSpot", "Leases", "has_leases"]

_MAX_TRIES = 100
_MAX_BYTES = 1 << 16
_LEASE = re.compile(r"lease\.([1-9][0-9]{0,17})")
_TOKEN = re.compile("[0-9a-f]{16}")

Seen = tuple[Lease, str]


class FileSpot:
    """The place of a cell's lease: files `lease.N` of its work folder; see `Spot`.

    A stamp is `N.BEAT.TOKEN`.

    Args:
        folder: the cell's work folder; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look(self) -> Seen | None:
        """What the highest number holds; one that is damaged is silent, and can be taken over."""
        with store_errors(self._folder):
            for _ in range(_MAX_TRIES):
                newest = max(self._numbers(), default=0)
                found = self._read(newest)
                # over a network, a listing may be old
                while (later := self._read(newest + 1)) is not None:
                    found, newest = later, newest + 1
                if found is not None or not newest:
                    return found
        raise StoreError(f"{self._folder}: its leases change more quickly than they can be read")

    def dated(self) -> tuple[Lease, float] | None:
        """The same lease, and when it was written; None if there is none, or it goes meanwhile."""
        found = self.look()
        if found is None:
            return None
        number = int(found[1].split(".")[0])
        with contextlib.suppress(FileNotFoundError):
            return found[0], self._path(number).stat().st_mtime
        return None

    def create(self, lease: Lease) -> str | None:
        """Write `lease.1`, and the folder where it is missing."""
        with store_errors(self._folder):
            for _ in range(_MAX_TRIES):
                self._folder.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # cleared by its holder at this moment
                    return self._put(1, lease, None, linked)
        return None

    def swap(self, lease: Lease, stamp: str) -> str | None:
        """Write the holder's own file anew, or the next one."""
        number, _, token = stamp.split(".")
        with store_errors(self._folder):
            try:
                if lease.token != token:
                    return self._put(int(number) + 1, lease, stamp, linked)
                new = self._put(int(number), lease, stamp, _replaced)
                return None if self._read(int(number) + 1) else new
            except FileNotFoundError:
                return None  # cleared: the cell was finished

    def remove(self, stamp: str) -> None:
        """Clear away the leases, the one that counts at last, and the folder if it is empty."""
        found = self.look()
        if found is None or found[1] != stamp:
            return
        own = int(stamp.split(".")[0])
        with store_errors(self._folder):
            for entry in scanned(self._folder):
                if entry.name.startswith(".lease."):
                    Path(entry.path).unlink(missing_ok=True)
            for number in sorted(number for number in self._numbers() if number <= own):
                self._path(number).unlink(missing_ok=True)
        _remove_empty(self._folder)

    def _put(
        self, number: int, lease: Lease, stamp: str | None, put: Callable[[Path, Path], bool]
    ) -> str | None:
        """Write one aside and put it in place, if what is there still has the stamp."""
        aside = aside_of(self._path(number))
        try:
            aside.write_bytes(lease.to_bytes())
            found = self.look()
            if (found and found[1]) == stamp and put(aside, self._path(number)):
                return _stamp(number, lease)
            return None
        finally:
            aside.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"lease.{number}"

    def _numbers(self) -> list[int]:
        found = [_LEASE.fullmatch(entry.name) for entry in scanned(self._folder)]
        return [int(match[1]) for match in found if match]

    def _read(self, number: int) -> Seen | None:
        return _seen(self._path(number), number) if number else None


def _stamp(number: int, lease: Lease) -> str:
    return f"{number}.{lease.beat}.{lease.token}"


def _seen(path: Path, number: int) -> Seen | None:
    """The lease in a file, and its stamp; None where it is missing.

    One that is short may be on its way. What is none at all is held until it is seen to be silent.
    """
    try:
        data = read_file(path, _MAX_BYTES)
    except DamagedError:
        if not os.path.lexists(path):
            return None
        data = b""
    except StoreError as error:
        if getattr(error.__context__, "errno", None) == errno.ESTALE:
            return None  # replaced on another machine while it was read
        raise
    lease = Lease.seen(data, path)
    return lease, _stamp(number, lease)


def _replaced(aside: Path, target: Path) -> bool:
    aside.replace(target)
    return True


def _remove_empty(folder: Path) -> None:
    """Remove a folder in which nothing is; another's work stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


class Mark:
    """A file that says that its process is at work. Nobody takes it over: who was taken for dead
    and is alive writes it anew.

    Args:
        path: that no other process has.
        seconds: unchanged for so long, it may be cleared away.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._lease = path, Lease(seconds=seconds)
        self._lock = threading.Lock()  # the heart beats in a thread of its own
        self.seconds, self.is_over = seconds, False

    def beat(self) -> None:
        """Write it anew."""
        with self._lock, store_errors(self._path):
            if not self.is_over:
                self.write()

    def write(self) -> None:
        """The same, and raise `OSError` if it cannot be."""
        aside = aside_of(self._path)
        try:
            aside.write_bytes(self._lease.to_bytes())
            aside.replace(self._path)
        finally:
            aside.unlink(missing_ok=True)
        self._lease = self._lease.next()

    def end(self) -> None:
        """Take it away."""
        with self._lock:
            self.is_over = True
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Leases:
    """Who is at work on a store, told by leases; see `Locks`."""

    kind = "lease"

    def __init__(self) -> None:
        self.seconds = lease_seconds()

    def take(self, folder: Path) -> LeaseClaim | None:
        """Claim a cell's work folder; None while another holds it, or was quicker."""
        _check_no_link(folder)
        spot = FileSpot(folder)
        taken = take_lease(_name(folder), spot, WATCHER, self.seconds)
        if taken is None:
            return None
        lease, stamp = taken
        desk = LeasedDesk(folder / lease.token, folder)
        claim = LeaseClaim(folder.name, spot, lease, stamp, desk, partial(_clean, folder))
        HEART.keep(claim)
        try:
            _adopt(folder, lease)
        except FileNotFoundError:  # cleared by one who was taken for dead
            claim.release()
            return None
        except BaseException:
            claim.release()
            raise
        return claim

    def is_held(self, folder: Path) -> bool:
        """Whether somebody seems to hold a claim; who is dead seems to until its time is over."""
        found = FileSpot(folder).look()
        if found is None or found[0].is_released:
            return False
        return not WATCHER.is_expired(_name(folder), found[1], found[0].seconds)

    def silent(self, folders: Iterable[Path]) -> Mapping[str, float]:
        """By the names of folders, for how long those holders have been silent who should not be;
        raises `OSError`."""
        seen = {folder.name: FileSpot(folder).dated() for folder in folders}
        return silences({name: each for name, each in seen.items() if each is not None})

    def desk(self, folder: Path) -> Desk:
        """Where whoever holds the claim works, or worked last."""
        found = FileSpot(folder).look()
        if found is None:
            return LocalDesk(folder)
        lease = found[0]
        return LocalDesk(_work_of(folder, (lease.token, *lease.before)) or folder / lease.token)

    def settle(self, folders: Iterable[Path], files: Iterable[Path]) -> None:
        """Wait until it is known which of these claims, and files, are of the dead: as long as a
        lease at most, for all of them together. What the dead claimed can be taken then."""
        looks = {_name(folder): FileSpot(folder).look for folder in folders}
        watched(looks | {_name(file): partial(_seen, file, 1) for file in files})

    @contextlib.contextmanager
    def held(self, path: Path) -> Iterator[None]:
        """A file that says, as long as it is there and beats, that this process lives."""
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = Mark(path, self.seconds)
        mark.write()
        HEART.keep(mark)
        try:
            yield
        finally:
            mark.end()

    def living(self, paths: Iterable[Path]) -> set[Path]:
        """Those of such files whose processes live; the others are cleared away. It takes as long
        as a lease to be sure that one is dead."""
        names = {_name(path): path for path in paths}
        found = watched({name: partial(_seen, path, 1) for name, path in names.items()})
        for name, is_alive in found.items():
            if not is_alive:
                with contextlib.suppress(OSError):
                    names[name].unlink(missing_ok=True)
        return {names[name] for name, is_alive in found.items() if is_alive}


def has_leases(work: Path) -> bool:
    """Whether cells of a store are, or were, claimed by leases."""
    folders = [Path(e.path) for e in scanned(work) if e.is_dir(follow_symlinks=False)]
    return any(_LEASE.fullmatch(entry.name) for each in folders for entry in scanned(each))


def _name(path: Path) -> str:
    """By which the watcher of this process knows a lease of whatever store."""
    return str(path.absolute())


def _check_no_link(folder: Path) -> None:
    if is_link(folder):
        raise StoreError(f"{folder}: a link, which a store does not follow; remove it")


def _work_of(folder: Path, tokens: Iterable[str]) -> Path | None:
    """The first of these claims' folders that is there."""
    places = (folder / token for token in tokens)
    return next((place for place in places if place.is_dir() and not is_link(place)), None)


def _adopt(folder: Path, lease: Lease) -> None:
    """Make the folder of a new claim, with what the one before has left in its own."""
    own, last = folder / lease.token, _work_of(folder, lease.before)
    if last is None:
        own.mkdir()
    elif not lease.num_losses and last.name == lease.before[0]:
        last.rename(own)  # given back: nobody is at work there
    else:
        _copy(last, own)
    kept = {lease.token, *lease.before}
    for entry in scanned(folder):
        if _TOKEN.fullmatch(entry.name) and entry.name not in kept:
            remove(Path(entry.path))


def _copy(last: Path, own: Path) -> None:
    """The whole or nothing of a folder whose owner may be alive, and at work there."""
    aside = aside_of(own)
    aside.mkdir()
    try:
        for entry in scanned(last):
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(entry.path, aside / entry.name, follow_symlinks=False)
        aside.rename(own)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _clean(folder: Path, tokens: tuple[str, ...]) -> None:
    """Remove the work of these claims; of others, nothing."""
    with store_errors(folder):
        for token in tokens:
            remove(folder / token)
    _remove_empty(folder)
