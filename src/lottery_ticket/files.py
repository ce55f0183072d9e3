"""Writing so that a file is either whole or not there, even after a power cut."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from lottery_ticket.errors import LotteryError, UsageError

__all__ = [
    "aside_of",
    "check_folder",
    "check_replaceable",
    "folder_aside",
    "make_folder",
    "sync_folder",
    "usable_path",
    "write_file",
    "write_synced",
    "writing",
]

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
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


def write_file(path: Path, data: bytes) -> None:
    """Write aside, fsync, move into place.

    Raises:
        UsageError: something is there that is not to be replaced, see `check_replaceable`.
    """
    check_replaceable(path)
    aside = aside_of(path)
    try:
        write_synced(aside, data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def check_replaceable(path: Path) -> None:
    """See that writing a file there replaces nothing, or another file.

    Raises:
        UsageError: a device, a pipe, a socket, a folder or a link is there: moved into its place,
            the file would take its name from it, and what a link leads to is not ours to write.
    """
    _check_name(path)
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # nothing is there; whether it can be written is said when it is
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise UsageError(f"{path}: {kind} is there, which is not replaced; name another file")


def _check_name(path: Path) -> None:
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r}: no name of a file or folder: it holds a null character")


def check_folder(path: Path) -> None:
    """See that a path is that of a folder, or free; raises `UsageError` if it is not."""
    _check_name(path)
    if os.path.lexists(path) and not path.is_dir():
        raise UsageError(f"{path}: not a folder; name another one")


def make_folder(folder: Path) -> None:
    """Make a folder to write into, and those that lead to it, unless it is there.

    Raises:
        UsageError: something else is there.
        OSError: it cannot be made.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{error.filename}: not a folder; name another one") from None


def aside_of(path: Path) -> Path:
    """A new name beside `path`, which no other process or thread has."""
    # cut short: a name that is as long as names may be has room for this one, too
    return path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}")


def write_synced(path: Path, data: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to fill and to move from; what is left of it is removed."""
    aside = aside_of(target)
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
