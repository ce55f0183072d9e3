"""What a clean-up freed."""

from dataclasses import dataclass

__all__ = ["Freed"]


@dataclass(frozen=True)
class Freed:
    """What a clean-up removed (or would remove)."""

    num_cells: int
    num_bytes: int
