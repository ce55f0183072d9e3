"""Writing so that a file is either whole or not there, even after a power cut."""

import os
from pathlib import Path

__all__ = ["sync_folder", "write_file", "write_synced"]


def write_file(path: Path, data: bytes) -> None:
    """Write aside, fsync, move into place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_synced(aside, data)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    if os.name == "nt":  # Windows cannot open folders, and journals renames
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
