"""Writing so that a file is either whole or not there, even after a power cut."""

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lottery_ticket.errors import LotteryError, UsageError

__all__ = [
    "beside",
    "folder_aside",
    "sync_folder",
    "usable_path",
    "write_file",
    "write_synced",
    "writing",
]

_NO_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ)


def usable_path(path: str | Path, what: str) -> Path:
    """The path, with `~` filled in.

    Args:
        path: of something that need not be there.
        what: what it is, for the error.

    Raises:
        UsageError: nothing can have this path.

    >>> usable_path("runs", "store").name
    'runs'
    """
    try:
        full = Path(path).expanduser()
        full.lstat()
    except (OSError, ValueError, RuntimeError) as error:
        is_impossible = not isinstance(error, OSError) or error.errno in _NO_NAMES
        if is_impossible:
            text, reason = str(path), getattr(error, "strerror", None) or error
            shown = repr(text if len(text) <= 80 else f"{text[:60]}…{text[-10:]}")
            raise UsageError(
                f"{what}: got {shown}, which nothing can be called ({reason}); choose another name"
            ) from None
    return Path(path).expanduser()


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A block that writes what is at `path`.

    Raises:
        UsageError: nothing can have this path.
        LotteryError: it cannot be written.
    """
    path = usable_path(path, "out")
    try:
        yield path
    except OSError as error:
        raise LotteryError(f"{path}: cannot be written ({error.strerror or error})") from error


_calls = itertools.count()
_KEPT_CHARACTERS = 40  # of a name that may itself be as long as the file system takes


def beside(path: Path) -> Path:
    """A hidden name beside `path` that no other process, thread or call is given."""
    return path.with_name(f".{path.name[:_KEPT_CHARACTERS]}.{os.getpid()}-{next(_calls)}")


def write_file(path: Path, data: bytes) -> None:
    """Write aside, fsync, move into place."""
    aside = beside(path)
    try:
        write_synced(aside, data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to fill and to move from; what is left of it is removed."""
    aside = beside(target)
    shutil.rmtree(aside, ignore_errors=True)  # of a process of this number that was killed
    aside.mkdir(parents=True)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    if os.name == "nt":  # Windows cannot open folders, and journals renames
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
