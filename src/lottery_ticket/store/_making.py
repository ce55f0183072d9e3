"""What a store has for whoever makes cells: the right to make one, a desk to work at, and a board
for notes to others."""

from typing import Protocol

__all__ = ["Board", "Claim", "Desk"]


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


class Claim(Protocol):
    """The right to make one cell, of which at most one is held at a time as far as anyone can tell.

    Where a holder can be taken for dead while it lives (it stood still for longer than its lease),
    two may work on one cell. That costs time and nothing else: the first that commits has made it.
    """

    @property
    def token(self) -> str:
        """What no other claim is called, of whatever cell."""
        ...

    @property
    def desk(self) -> Desk:
        """Where to work; it shows what earlier claims of the cell left."""
        ...

    @property
    def num_losses(self) -> int:
        """How many holders in a row were taken for dead before this one."""
        ...

    def is_lost(self) -> bool:
        """Whether another holds it by now; costs nothing."""
        ...

    def release(self) -> None:
        """Give the claim back and keep the work, so that it can be continued."""
        ...

    def clear(self) -> None:
        """Give the claim back and remove the work: the cell is finished."""
        ...


class Board(Protocol):
    """Notes by kind and name, such as that a run was asked to stop; nothing that is finished
    depends on them.

    Kinds and names are made of letters, digits, '.', '_' and '-'.
    """

    def put(self, kind: str, name: str, data: bytes) -> None:
        """Write a note, in place of an earlier one; raises `StoreError` if it cannot be."""
        ...

    def get(self, kind: str, name: str) -> bytes | None:
        """A note; None without one.

        Raises:
            StoreError: it cannot be read, or is no note.
        """
        ...

    def get_all(self, kind: str) -> dict[str, bytes]:
        """All notes of a kind, sorted by name, several read at once where that is quicker; one
        that is taken away meanwhile may be left out.

        Raises:
            StoreError: as `get`.
        """
        ...

    def names(self, kind: str) -> list[str]:
        """The names of all notes of a kind, sorted; raises `StoreError` if they cannot be read."""
        ...

    def remove(self, kind: str, name: str) -> None:
        """Take a note away, if it is there."""
        ...
