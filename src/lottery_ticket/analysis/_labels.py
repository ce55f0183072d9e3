"""The verdict of a level, from its two contrasts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lottery_ticket.analysis._contrast import Contrast
from lottery_ticket.analysis._power import replicates_needed
from lottery_ticket.analysis._sequence import ALPHA

__all__ = [
    "MATCHING",
    "NOT_A_TICKET",
    "NOT_DECIDED",
    "NO_VERDICT",
    "WINNING",
    "Judgement",
    "level_labels",
    "level_needs",
]

WINNING = "winning"
MATCHING = "matching but not better than reinit"
NOT_A_TICKET = "not a ticket"
NOT_DECIDED = "not decided"
NO_VERDICT = "no verdict"
"""There is no spread to judge by: one replicate, or several that agree to the last digit."""


@dataclass(frozen=True)
class Judgement:
    """What four one-sided tests at 5 % say of a level; arrays are (..., levels).

    Args:
        is_matching: not worse than dense by the margin.
        is_worse: worse than dense by more than the margin.
        is_better: better than reinit.
        is_no_better: not better than reinit by the margin.
        has_spread: whether there was anything to test with.
    """

    is_matching: NDArray[np.bool_]
    is_worse: NDArray[np.bool_]
    is_better: NDArray[np.bool_]
    is_no_better: NDArray[np.bool_]
    has_spread: NDArray[np.bool_]

    @classmethod
    def of(cls, dense: Contrast, reinit: Contrast, margin: float) -> "Judgement":
        """The judgement of two contrasts at a margin in their unit."""
        return cls(
            dense.p_above(-margin) <= ALPHA,
            dense.p_below(-margin) <= ALPHA,
            reinit.p_above() <= ALPHA,
            reinit.p_below(margin) <= ALPHA,
            ~np.isnan(dense.error),
        )


def level_labels(judgement: Judgement) -> NDArray[np.str_]:
    """The verdict of each level, pointwise.

    *Winning* takes two rejections, each at 5 %: not worse than dense by the margin, and better than
    reinit. Both must hold, so nothing is corrected between them (an intersection–union test).
    That a level is not better than reinit is a finding of its own, at the same margin; without
    it, or without either finding about dense, a level is *not decided*.

    Source: Berger (1982).
    """
    matching, better = judgement.is_matching, judgement.is_better
    verdicts = {
        NO_VERDICT: ~judgement.has_spread,
        WINNING: matching & better,
        NOT_A_TICKET: judgement.is_worse,
        MATCHING: matching & judgement.is_no_better,
    }
    return np.select(list(verdicts.values()), list(verdicts), default=NOT_DECIDED)


def level_needs(dense: Contrast, reinit: Contrast, margin: float) -> list[int | None]:
    """Per level: how many replicates would decide what is open, see `replicates_needed`.

    At this spread, that many tell a difference of the margin from none in 80 % of runs, or one as
    large as the measured one where that is larger. A level that has them and is still open lies
    close to a bound; then it is as many as would show what was measured. None above 1,000, and
    where nothing is open.
    """
    judgement = Judgement.of(dense, reinit, margin)
    is_open = level_labels(judgement) == NOT_DECIDED
    opens = (
        (dense, is_open & ~judgement.is_matching, np.abs(dense.mean + margin)),
        # either finding would do: that it is better, or that it is not by the margin
        (
            reinit,
            is_open & ~judgement.is_better & ~judgement.is_no_better,
            np.maximum(reinit.mean, margin - reinit.mean),
        ),
    )
    needs: list[int | None] = [None] * len(is_open)
    for level in np.flatnonzero(is_open):
        found = [
            _need(contrast, int(level), margin, float(measured[level]))
            for contrast, is_undecided, measured in opens
            if is_undecided[level] and contrast.n[level] > 1
        ]
        if found and None not in found:
            needs[level] = max(n for n in found if n is not None)
    return needs


def _need(contrast: Contrast, level: int, margin: float, measured: float) -> int | None:
    n, sd = int(contrast.n[level]), float(contrast.sd[level])
    share = float(contrast.df[level]) / (n - 1)
    planned = replicates_needed(max(margin, measured), sd, share)
    if planned is None or planned > n:
        return planned
    needed = replicates_needed(measured, sd, share)
    return None if needed is None else max(needed, n + 1)
