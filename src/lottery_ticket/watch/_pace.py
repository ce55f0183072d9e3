"""How often to look: a page that is open day and night costs a store little."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Pace"]

_SHARE = 0.1


class Pace:
    """When to look again: some seconds after the last look, and so that looking takes at most a
    tenth of the time, however slow the store or large the run.

    Args:
        seconds: the least.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    @contextmanager
    def looking(self) -> Iterator[None]:
        """A block that looks."""
        begun = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self._next = now + max(self._seconds, (now - begun) / _SHARE)
