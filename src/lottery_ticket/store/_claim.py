"""The right to make a cell."""

from typing import Protocol

from lottery_ticket.store._desk import Desk

__all__ = ["Claim"]


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
