"""Ctrl-C (or SIGTERM): the first one asks a run to stop, the second one insists."""

import contextlib
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["ignore_interrupts", "interrupts", "new_stop_file"]


@contextlib.contextmanager
def new_stop_file() -> Iterator[Path]:
    """A place for a file that asks the run's workers to stop once it exists."""
    with tempfile.TemporaryDirectory(prefix="lottery-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "stop"


@contextlib.contextmanager
def interrupts(stop_file: Path) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) makes the stop file; a Ctrl-C after it raises."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        stop_file.touch()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """In a worker: Ctrl-C reaches every process of a terminal, but only the parent acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
