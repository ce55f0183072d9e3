"""What the controls say of why a ticket wins: its values, its positions, its search."""

from dataclasses import dataclass

import numpy as np

from lottery_ticket.analysis._contrasts import Contrasts
from lottery_ticket.analysis._sequence import ALPHA, fixed_sequence
from lottery_ticket.arms import ARMS

__all__ = ["Finding", "findings_of"]


@dataclass(frozen=True)
class Finding:
    """Whether something about the ticket matters, at this recipe.

    Args:
        what: what the arm's row says, such as `"mask positions"`.
        control: the arm that lacks it and shares the rest.
        levels: where the ticket beats the control, from dense to sparse; tested from sparse to
            dense, 5 % for all of them together. Empty where it is not shown.
    """

    what: str
    control: str
    levels: tuple[int, ...]

    @property
    def is_shown(self) -> bool:
        """Whether there is such a level."""
        return bool(self.levels)


def findings_of(contrasts: Contrasts) -> tuple[Finding, ...]:
    """A finding for each control that shows something, trained in two replicates or more."""
    found = []
    for control, arm in ARMS.items():
        if not arm.shows or control not in contrasts.against:
            continue
        contrast = contrasts.against[control]
        trained = np.asarray(contrast.n) > 0
        if not (np.asarray(contrast.n) > 1).any():
            continue
        from_sparse = contrast.p_above()[trained][::-1]
        is_shown = fixed_sequence(from_sparse, ALPHA)[::-1]
        shown = tuple(int(level) for level in contrasts.levels[trained][is_shown])
        found.append(Finding(arm.shows, control, shown))
    return tuple(found)
