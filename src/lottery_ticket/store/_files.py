"""Records sealed with their checksum, folders published whole, and what the disk refuses."""

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lottery_ticket.errors import StoreError
from lottery_ticket.files import sync_folder, write_synced

__all__ = [
    "json_bytes",
    "publish_folder",
    "sealed_json",
    "sha256",
    "size_of",
    "store_errors",
    "unsealed_json",
]


def sha256(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def json_bytes(value: Any) -> bytes:
    """Canonical JSON with a final newline."""
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def sealed_json(values: Mapping[str, Any]) -> bytes:
    """JSON whose first key is the checksum of all its other bytes."""
    body = json_bytes(values)
    return _seal(body) + body[1:]


def unsealed_json(data: bytes) -> dict[str, Any]:
    """The values of `sealed_json`; raises `ValueError` if any byte differs."""
    # of the bytes, not of the values: 1e-05 and 1E-05 are the same value
    if data[:_SEAL_BYTES] != _seal(b"{" + data[_SEAL_BYTES:]):
        raise ValueError("it differs from what was written")
    values = json.loads(data)
    del values["checksum"]
    return values


def _seal(body: bytes) -> bytes:
    return f'{{\n "checksum": "{sha256(body)}",'.encode()


_SEAL_BYTES = len(_seal(b""))


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
                f"{root}: the store cannot be written ({error.strerror}); "
                "choose another with --store or LOTTERY_STORE"
            ) from error
        raise StoreError(f"{error.filename or root}: {error.strerror or error}") from error


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


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())
