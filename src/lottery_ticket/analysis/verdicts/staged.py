"""The verdict of a staged run: that of its first look at which it is decided, else of its last."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from lottery_ticket.analysis.judging.levels import DECIDED
from lottery_ticket.analysis.judging.looks import taken_looks
from lottery_ticket.analysis.verdicts.verdict import Verdict, verdict
from lottery_ticket.store import Looks

__all__ = ["staged_verdict"]


def staged_verdict(
    table: pd.DataFrame,
    looks: Looks,
    num_complete: int,
    *,
    images: Callable[[int], pd.DataFrame | None] = lambda num_replicates: None,
    **how: Any,
) -> Verdict:
    """Judge a run by the looks of a staged one.

    Each look has a part of the 5 % that all may spend, and the verdict's own procedure within it.
    Whatever looks have to do with one another, a false claim at any of them has the sum of their
    chances at most (a union bound). It is the same whenever it is asked: a function of the
    trainings and the rule.

    Args:
        table: as of `verdict`.
        looks: the rule.
        num_complete: replicates that are finished.
        images: what `image_intervals` returned of the first so many replicates.
        how: other arguments of `verdict`.

    Returns:
        The verdict of the first look that decides the run; where none does, that of the last one
        that was taken. Replicates beyond that look are not looked at.

    Raises:
        UsageError: no look is taken yet; as `verdict`.
    """
    found = None
    for look in taken_looks(looks, num_complete):
        n = look.num_replicates
        seen = table.loc[table["replicate"] < n]
        found = verdict(seen, images=images(n), look=look, **how)
        if found.label in DECIDED:
            break
    assert found is not None
    return found
