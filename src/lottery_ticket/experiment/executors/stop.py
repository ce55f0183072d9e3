"""Stopping work in progress without losing it.

Who asks writes a note on the store's board: of one call of a run (its token), or of a run (its
id), so that whoever sees the store can ask from anywhere.
"""

import contextlib
import time
from collections.abc import Sequence

from lottery_ticket.errors import LotteryError
from lottery_ticket.store import Store

__all__ = ["StopSign", "ask_others_to_stop", "ask_to_stop", "is_asked_to_stop", "take_back"]

_KIND = "stop"

# by this process: known here even where the note cannot be written
_asked: set[str] = set()


def ask_to_stop(store: Store, token: str) -> None:
    """Ask all who look for the token: this process at once, others by the store."""
    _asked.add(token)
    with contextlib.suppress(LotteryError):  # no store any more: others find that out themselves
        ask_others_to_stop(store, token)


def ask_others_to_stop(store: Store, token: str) -> None:
    """Ask by the store alone.

    Raises:
        StoreError: it cannot be written, so that nobody is asked.
    """
    store.board.put(_KIND, token, b"")


def take_back(store: Store, token: str) -> None:
    """Nobody is asked any more."""
    _asked.discard(token)
    with contextlib.suppress(LotteryError):
        store.board.remove(_KIND, token)


def is_asked_to_stop(store: Store, token: str) -> bool:
    """Whether someone asked."""
    return token in _asked or store.board.get(_KIND, token) is not None


class StopSign:
    """Whether someone asked to stop.

    Args:
        store: on whose board one is asked.
        tokens: what is looked for there.
    """

    def __init__(self, store: Store, tokens: Sequence[str]) -> None:
        self._store, self._tokens = store, tokens
        self._next_look = 0.0
        self._was_asked = False

    def look_anew(self) -> None:
        """Look at the next chance, however short ago the last one was."""
        self._next_look = 0.0

    def is_raised(self) -> bool:
        """Look; costs a system call or two, or a request now and then."""
        if not _asked.isdisjoint(self._tokens):
            return True
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._store.look_seconds
            with contextlib.suppress(LotteryError):  # who cannot ask now will ask again
                self._was_asked = any(is_asked_to_stop(self._store, t) for t in self._tokens)
        return self._was_asked
