"""The ticket against dense and against each control, as contrasts and as a table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lottery_ticket.analysis._contrast import Contrast, contrast_of
from lottery_ticket.analysis._metric import Metric
from lottery_ticket.analysis._sequence import ALPHA
from lottery_ticket.analysis._statistics import values_by_arm
from lottery_ticket.errors import UsageError

__all__ = ["DENSE", "LEAD", "contrast_table", "contrasts_of"]

LEAD = "ticket"
"""The arm that is judged."""

DENSE = "dense"
"""What contrasts call level 0 of the ticket's replicate."""


def contrasts_of(table: pd.DataFrame, metric: Metric) -> tuple[pd.Index, dict[str, Contrast]]:
    """The ticket's levels below dense, and its advantage over dense and over every other arm.

    The unit of n is the replicate: draws are averaged first, and a difference is taken within a
    replicate. It counts as an advantage (a fall of a loss is one), so that more is better.

    Args:
        table: a result table of one run.
        metric: what is judged.

    Raises:
        UsageError: the table has no ticket, or none beside the dense training.
    """
    own = table.loc[(table["arm"] == LEAD) & table[metric.column].notna(), "level"].dropna()
    if own.empty:
        raise UsageError(
            f"no row of arm {LEAD!r} has a {metric.label}: there is no ticket to judge yet"
        )
    finished = sorted({int(level) for level in own})
    if 0 not in finished:
        raise UsageError("the dense training (level 0) is missing: nothing to judge a ticket by")
    levels = pd.Index(finished[1:], name="level", dtype="int64")
    if levels.empty:
        raise UsageError("only the dense training is finished: there is no ticket to judge yet")
    wide = values_by_arm(table, metric.column, levels.insert(0, 0))
    ticket = wide.pop(LEAD)
    sign = 1.0 if metric.higher_is_better else -1.0
    against = {DENSE: ticket.sub(ticket.loc[0], axis="columns")}
    against |= {
        arm: ticket.sub(values.reindex(columns=ticket.columns)) for arm, values in wide.items()
    }
    # what a subtraction leaves in the last bits is no spread
    unit = 1e-12 * float(np.nanmax(np.abs(ticket.to_numpy("float64")))) or 1.0
    return levels, {
        arm: contrast_of(sign * unit * np.round(values.loc[levels].to_numpy("float64").T / unit))
        for arm, values in against.items()
    }


def contrast_table(
    levels: pd.Index, contrasts: Mapping[str, Contrast], metric: Metric, margin: float
) -> pd.DataFrame:
    """Contrasts as a table: a row for each level and control that were both measured.

    Args:
        levels, contrasts: what `contrasts_of` returned.
        metric: what is judged.
        margin: in the metric's own unit.

    Returns:
        A frame of level, control, difference (ticket − control, in the metric's own unit), sd, n,
        low and high (95 % t interval of the level alone), pooled_sd, df, pooled_low and
        pooled_high (95 %, with the spread of neighbouring levels), lower_bound and upper_bound
        (one-sided 95 %, pooled: what decides), p (one-sided, not adjusted: not worse than dense by
        the margin, better than a control).
    """
    parts = []
    for control, contrast in contrasts.items():
        ends = {
            ("low", "high"): contrast.interval(0.95, is_pooled=False),
            ("pooled_low", "pooled_high"): contrast.interval(0.95),
            ("lower_bound", "upper_bound"): contrast.interval(1 - 2 * ALPHA),
        }
        sign = 1.0 if metric.higher_is_better else -1.0
        columns: dict[str, object] = {"level": levels, "control": control}
        columns |= {"difference": sign * contrast.mean, "sd": contrast.sd, "n": contrast.n}
        columns |= {"pooled_sd": contrast.pooled_sd, "df": contrast.df}
        for names, (low, high) in ends.items():
            pair = (low, high) if metric.higher_is_better else (-high, -low)
            columns |= dict(zip(names, pair, strict=True))
        columns["p"] = contrast.p_above(-margin if control == DENSE else 0.0)
        parts.append(pd.DataFrame(columns).loc[np.asarray(contrast.n) > 0, list(_ORDER)])
    return pd.concat(parts, ignore_index=True)


_ORDER = (
    *("level", "control", "difference", "sd", "n", "low", "high", "pooled_sd", "df"),
    *("pooled_low", "pooled_high", "lower_bound", "upper_bound", "p"),
)
