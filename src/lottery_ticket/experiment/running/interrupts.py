"""Ctrl-C (or SIGTERM): the first one asks a run to stop, the second one insists."""

import contextlib
import secrets
import signal
import threading
from collections.abc import Iterator
from typing import Any

from lottery_ticket.experiment.executors.stop import ask_to_stop, take_back
from lottery_ticket.store import Store

__all__ = ["interrupts", "new_stop"]


@contextlib.contextmanager
def new_stop(store: Store) -> Iterator[str]:
    """A token by which those who work for one call are asked to stop."""
    token = secrets.token_hex(8)
    try:
        yield token
    finally:
        take_back(store, token)


@contextlib.contextmanager
def interrupts(store: Store, token: str) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks to stop; a Ctrl-C after it raises.

    Python lets the main thread alone handle signals: a run in another one goes on to its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # None: of someone's C code, which Python could not put back
    before = {number: handler for number, handler in before.items() if handler is not None}

    def ask(number: int, frame: Any) -> None:
        # first: a store that is away makes one wait before it can be told
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ask_to_stop(store, token)

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
