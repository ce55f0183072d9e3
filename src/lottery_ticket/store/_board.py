"""Small notes that everybody who works with a store sees."""

from typing import Protocol

__all__ = ["Board"]


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

    def names(self, kind: str) -> list[str]:
        """The names of all notes of a kind, sorted; raises `StoreError` if they cannot be read."""
        ...

    def remove(self, kind: str, name: str) -> None:
        """Take a note away, if it is there."""
        ...
