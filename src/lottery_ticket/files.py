"""Writing so that a file is either whole or not there, even after a power cut."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folder_aside", "sync_folder", "write_file", "write_synced"]


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


@contextlib.contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to fill and to move from; what is left of it is removed."""
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
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
