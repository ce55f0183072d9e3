"""The one level that a run is about."""

from dataclasses import dataclass

__all__ = ["Claim"]


@dataclass(frozen=True)
class Claim:
    """The level that a run is about, by its spec.

    Args:
        level: which.
        num_trained: trainings below dense that were finished when it was stated. 0: before anything
            could be seen, so that this level alone is tested.
        is_margin_same: whether it was stated with the margin that it is judged by.
    """

    level: int
    num_trained: int = 0
    is_margin_same: bool = True

    @property
    def is_stated_before(self) -> bool:
        """Whether it was stated, margin and all, before there was anything to see."""
        return self.num_trained == 0 and self.is_margin_same
