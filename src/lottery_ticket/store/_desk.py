"""What is written while a cell is made: its checkpoint, its history, how far it is."""

from typing import Protocol

__all__ = ["Desk"]


class Desk(Protocol):
    """Where one cell is worked on. Whoever claims it anew finds what was left there; nothing that
    is finished depends on it."""

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """What was left under a name; None if nothing was.

        Raises:
            DamagedError: what is there was not written so.
            StoreError: it cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Replace what is under a name: whole or not at all, whatever happens."""
        ...

    def show(self, name: str, data: bytes) -> None:
        """The same for what is only looked at: it may be lost, and says nothing if it cannot be
        written."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Add to what is under a name, which whoever looks sees at once."""
        ...

    def begin(self, name: str, data: bytes) -> None:
        """What is appended to begins anew, with these bytes."""
        ...

    def set_aside(self, name: str) -> str:
        """Keep what cannot be used out of the way, and say where."""
        ...

    def where(self, name: str) -> str:
        """What people call the place of a name."""
        ...
