"""Runs whose truth is known: sd 0.15 points, 20 levels, as differences paired by replicate."""

from dataclasses import dataclass

import numpy as np

SD, MARGIN, LEVELS = 0.15, 0.2, 20


@dataclass(frozen=True)
class Runs:
    """Simulated runs.

    Args:
        dense, reinit: ticket − dense and ticket − reinit, (runs, replicates, levels).
        loses, gains: the true differences of each level.
    """

    dense: np.ndarray
    reinit: np.ndarray
    loses: np.ndarray
    gains: np.ndarray

    @property
    def is_false(self) -> np.ndarray:
        """Levels that are no winning tickets in truth."""
        return (self.loses <= -MARGIN) | (self.gains <= 0)


def simulated(n, *, loses=0.0, gains=0.0, seed=0, num_runs=2000, sd=SD) -> Runs:
    """Trainings that differ by noise alone, beside the true differences of their levels.

    `sd` may be one for each of the levels 0 … 20.
    """
    rng = np.random.default_rng([seed, n])
    loses, gains = (np.broadcast_to(np.asarray(v, float), LEVELS) for v in (loses, gains))
    shape = (num_runs, n, LEVELS + 1)
    ticket, reinit = (sd * rng.standard_normal(shape) for _ in range(2))
    dense = (ticket - ticket[..., :1])[..., 1:] + loses
    return Runs(dense, (ticket - reinit)[..., 1:] + gains, loses, gains)
