"""Readers that do what none may: the fuzzer has to notice each of them."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import bombs
from fuzz.formats import in_json
from fuzz.reader import Reader
from lottery_ticket.errors import DataError

__all__ = ["READERS"]

FILE = "value.json"
WRITTEN = b'{"value": [1, 2, 3]}'


def careful(folder: Path) -> Any:
    """Refuses whatever is not as written."""
    data = (folder / FILE).read_bytes()
    if data != WRITTEN:
        raise DataError("it differs")
    return data


def believing(folder: Path) -> Any:
    """Gives what it finds."""
    return (folder / FILE).read_bytes()


def raising(folder: Path) -> Any:
    """Says a damaged file with an error of Python's own."""
    if (data := believing(folder)) != WRITTEN:
        raise KeyError("value")
    return data


_seen: list[Path] = []


def suspicious(folder: Path) -> Any:
    """Refuses everything but the first time."""
    _seen.append(folder)
    if len(_seen) > 1:
        raise DataError("again?")
    return believing(folder)


def greedy(folder: Path) -> Any:
    """Makes room first, and looks then."""
    room = np.ones(600 << 20, np.uint8) if believing(folder) != WRITTEN else None
    del room
    return careful(folder)


def asking(folder: Path) -> Any:
    """Asks for more than there is, and takes the refusal for damage."""
    try:
        return believing(folder) if believing(folder) == WRITTEN else np.ones(2**45)
    except MemoryError as error:
        raise DataError("it cannot be read") from error


def roaming(folder: Path) -> Any:
    """Removes what lies outside."""
    if believing(folder) != WRITTEN:
        (folder.parent / "canary" / "kept").unlink()
    return careful(folder)


def obeying(folder: Path) -> Any:
    """Runs code."""
    if believing(folder) != WRITTEN:
        os.environ[bombs.RAN] = "yes"
    return careful(folder)


def hanging(folder: Path) -> Any:
    """Never comes back."""
    while believing(folder) != WRITTEN:
        time.sleep(0.01)
    return WRITTEN


def dying(folder: Path) -> Any:
    """Takes the process with it."""
    if believing(folder) != WRITTEN:
        os._exit(7)
    return WRITTEN


def reader(read: Callable[[Path], Any], **more: Any) -> Reader:
    """A reader of one small file."""
    write = {"good": lambda folder: (folder / FILE).write_bytes(WRITTEN)}
    return Reader(write, read, (FILE,), (in_json,), is_sealed=True, **more)


READERS: dict[str, Reader] = {
    read.__name__: reader(read)
    for read in (
        *(careful, believing, raising, suspicious, greedy, asking, roaming, obeying),
        *(hanging, dying),
    )
}
