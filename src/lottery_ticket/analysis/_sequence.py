"""Claims over all levels of a run, from tests in an order that was fixed beforehand."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "ALPHA_NONINFERIOR", "ALPHA_SUPERIOR", "claimed_levels", "fixed_sequence"]

ALPHA = 0.05
"""Of each one-sided test of a level, and of a run's claim over all its levels."""

ALPHA_NONINFERIOR, ALPHA_SUPERIOR = 0.04, 0.01
"""How the two sequences behind a run's claim share `ALPHA`."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def fixed_sequence(p: Floats, alpha: float) -> Bools:
    """Which hypotheses are rejected, when each is tested only after all before it were rejected.

    Whatever their dependence, a true one among them is rejected with probability `alpha` at most:
    the first true one must be.

    Args:
        p: (..., hypotheses) in the fixed order; not a number counts as not rejected.
        alpha: of each test.

    Source: Maurer, Hothorn & Lehmacher (1995).

    Example:
        >>> fixed_sequence(np.array([0.01, 0.04, 0.20, 0.001]), 0.05)
        array([ True,  True, False, False])
    """
    return np.logical_and.accumulate(p <= alpha, axis=-1)


def claimed_levels(p_noninferior: Floats, p_superior: Floats) -> Bools:
    """The levels that a run may call winning together, with `ALPHA` for the whole claim.

    Non-inferiority to dense is tested from dense to sparse, superiority over the control from
    sparse to dense; the levels where both are rejected are claimed. A false claim takes a false
    rejection in one of the sequences, so that their alphas add up. (With `ALPHA` in each, a run
    whose levels fail for different reasons would be falsely called winning up to twice as often.)
    Superiority gets the smaller share, since it is rarely what is in doubt.

    Args:
        p_noninferior, p_superior: (..., levels), from dense to sparse.

    Example:
        >>> claimed_levels(np.array([0.001, 0.01, 0.3]), np.array([0.6, 0.004, 0.001]))
        array([False,  True, False])
    """
    noninferior = fixed_sequence(p_noninferior, ALPHA_NONINFERIOR)
    superior = fixed_sequence(p_superior[..., ::-1], ALPHA_SUPERIOR)[..., ::-1]
    return noninferior & superior
