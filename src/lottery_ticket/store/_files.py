"""Records sealed with their checksum, folders published whole, and what the disk refuses."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.files import sync_folder, write_synced

__all__ = [
    "is_link",
    "is_there",
    "json_bytes",
    "json_mapping",
    "linked",
    "publish_folder",
    "read_file",
    "reading",
    "remove",
    "scanned",
    "seal_of",
    "sealed_json",
    "sha256",
    "size_of",
    "store_errors",
    "unsealed_json",
]

# of a file system without hard links
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EMLINK)
_MAX_JSON_BYTES = 1 << 28  # a record is a few kB, with its history at every step some MB


def sha256(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


# JSON


def json_bytes(value: Any) -> bytes:
    """Canonical JSON with a final newline."""
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def json_mapping(data: bytes) -> dict[str, Any]:
    """A JSON mapping; raises `ValueError` for everything else."""
    try:
        values = json.loads(data, parse_constant=_refused)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("not a mapping")
    return values


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def sealed_json(values: Mapping[str, Any]) -> bytes:
    """JSON whose first key is the checksum of all its other bytes."""
    body = json_bytes(values)
    return seal_of(body) + body[1:]


def unsealed_json(data: bytes) -> dict[str, Any]:
    """The values of `sealed_json`; raises `ValueError` if any byte differs."""
    # of the bytes, not of the values: 1e-05 and 1E-05 are the same value
    if data[:_SEAL_BYTES] != seal_of(b"{" + data[_SEAL_BYTES:]):
        raise ValueError("it differs from what was written")
    values = json_mapping(data)
    del values["checksum"]
    return values


def seal_of(body: bytes) -> bytes:
    """What stands before a body of JSON in place of its `{`."""
    return f'{{\n "checksum": "{sha256(body)}",'.encode()


_SEAL_BYTES = len(seal_of(b""))


# reading


def read_file(path: Path, max_bytes: int = _MAX_JSON_BYTES) -> bytes:
    """The bytes of a file of the store.

    Raises:
        DamagedError: it is missing, too large, or no file: links are not followed.
        StoreError: it cannot be read now; that says nothing of what it holds.
    """
    try:
        with os.fdopen(os.open(path, _PLAIN), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedError(f"{path}: damaged: not a file")
            if status.st_size > max_bytes:
                raise DamagedError(
                    f"{path}: damaged: {status.st_size:,} bytes, at most {max_bytes:,} were written"
                )
            return file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise DamagedError(f"{path}: damaged: missing") from None
        if error.errno == errno.EISDIR or (error.errno in _NO_FILE and not path.is_file()):
            raise DamagedError(f"{path}: damaged: not a file") from None
        if is_link(path):
            raise DamagedError(f"{path}: damaged: a link, which a store does not follow") from None
        raise _unreadable(error, path) from None


_NO_FILE = (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP)


# what is no link, without waiting for the other end of a pipe, and on Windows byte for byte
_PLAIN = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)


@contextlib.contextmanager
def reading(root: Path) -> Iterator[None]:
    """Turns what cannot be read into an error that names it."""
    try:
        yield
    except OSError as error:
        raise _unreadable(error, root) from error


def _unreadable(error: OSError, path: Path) -> StoreError:
    return StoreError(f"{error.filename or path}: cannot be read ({_reason(error)})")


def _reason(error: OSError) -> str:
    said = error.strerror or str(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{said}; raise the limit, `ulimit -n 1024`, and run the same command again"
    return said


def scanned(folder: Path) -> "list[os.DirEntry[str]]":
    """What lies in a folder, in the order of its names; nothing if it is not there.

    Raises:
        OSError: it cannot be read, or is a link or no folder.
    """
    if is_link(folder):
        raise OSError(errno.ELOOP, "a link, which a store does not follow", str(folder))
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def is_there(path: Path) -> bool:
    """Whether something is there; raises `OSError` if that cannot be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_link(path: Path) -> bool:
    """Whether a symbolic link (or a junction of Windows) is there, wherever it leads."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION


_JUNCTION = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; a link is followed nowhere.

    Raises:
        OSError: a part of it cannot be read.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    return sum(size_of(Path(entry.path)) for entry in scanned(path))


# writing


@contextlib.contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turns what the operating system refuses into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"{root}: no space left on the disk. Nothing finished was lost: free some space "
                "(`lottery gc`, `lottery rm RUN`) and run the same command again"
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StoreError(
                f"{root}: the store cannot be written ({error.strerror}: "
                f"{error.filename or root}); choose another with --store or LOTTERY_STORE"
            ) from error
        raise StoreError(f"{error.filename or root}: {_reason(error)}") from error


def publish_folder(files: Mapping[str, bytes], aside: Path, target: Path) -> bool:
    """Write files into the folder `aside` in order, fsync all, and move it to `target`.

    Returns:
        False if `target` was there already; it is left as it was.
    """
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        for name, data in files.items():
            write_synced(aside / name, data)
        sync_folder(aside)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.rename(target)
        except OSError:
            if not target.exists():
                raise
            return False
        sync_folder(target.parent)
        return True
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def linked(aside: Path, target: Path) -> bool:
    """Give a file a second name, at which nothing may be yet.

    Returns:
        False if something is there; of several that write there at once, one is right.
    """
    try:
        os.link(aside, target)
    except FileExistsError:
        return aside.stat().st_nlink > 1  # it was us, and the first answer was lost
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _created(target, aside.read_bytes())
    return True


def _created(target: Path, data: bytes) -> bool:
    """Where there are no links: whoever reads it at this moment finds it short."""
    try:
        with target.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file, a link itself, or a folder with all in it; nothing if nothing is there.

    Others may remove the same: `gc` takes what a removal that is not done has set aside.

    Raises:
        OSError: a part of it cannot be removed.
    """
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_folder:
        path.unlink(missing_ok=True)
        return
    while os.path.lexists(path):
        with contextlib.suppress(FileNotFoundError):  # of a part that went meanwhile
            shutil.rmtree(path)  # follows no links
