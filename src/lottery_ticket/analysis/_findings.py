"""What the controls say of why a ticket wins: its values, its positions, its search."""

from dataclasses import dataclass

import numpy as np

from lottery_ticket.analysis._contrasts import Contrasts
from lottery_ticket.analysis._sequence import ALPHA, fixed_sequence

__all__ = ["FINDINGS", "Finding", "findings_of"]

FINDINGS = {
    "reinit": "initial values",
    "reinit_scaled": "more than the scale of initial values",
    "values_permuted": "which weight has which value",
    "shuffled": "mask positions",
    "oneshot": "the iterative search",
}
"""Control → what matters where the ticket beats it."""


@dataclass(frozen=True)
class Finding:
    """Whether something about the ticket matters, at this recipe.

    Args:
        what: a value of `FINDINGS`, such as `"mask positions"`.
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
    """A finding for each control of `FINDINGS` that was trained in two replicates or more."""
    found = []
    for control, what in FINDINGS.items():
        if control not in contrasts.against:
            continue
        contrast = contrasts.against[control]
        trained = np.asarray(contrast.n) > 0
        if not (np.asarray(contrast.n) > 1).any():
            continue
        from_sparse = contrast.p_above()[trained][::-1]
        is_shown = fixed_sequence(from_sparse, ALPHA)[::-1]
        shown = tuple(int(level) for level in contrasts.levels[trained][is_shown])
        found.append(Finding(what, control, shown))
    return tuple(found)
