"""The ticket against dense and against each control, as contrasts and as a table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lottery_ticket.analysis._contrast import Contrast, contrast_of, dense_contrast_of
from lottery_ticket.analysis._metric import Metric
from lottery_ticket.analysis._sequence import ALPHA
from lottery_ticket.analysis._statistics import FRESH, LEAD, values_by_arm
from lottery_ticket.errors import UsageError

__all__ = [
    "DENSE",
    "Contrasts",
    "arm_values",
    "contrast_table",
    "contrasts_of",
    "dense_contrast",
    "dense_nets",
    "difference_columns",
    "null_check",
]

DENSE = "dense"
"""What contrasts call the dense nets of a replicate: level 0 of `LEAD` and of `FRESH`."""


@dataclass(frozen=True)
class Contrasts:
    """The advantages of the ticket's levels below dense; more is better, of a loss a fall.

    Args:
        levels: those below dense.
        against: dense and every other arm → the contrast.
        null: the second dense net's advantage over the first, one level; None where only one was
            trained.
        fresh: the advantage of `FRESH` over dense; None where it was not trained.
    """

    levels: pd.Index
    against: dict[str, Contrast]
    null: Contrast | None
    fresh: Contrast | None


def contrasts_of(table: pd.DataFrame, metric: Metric) -> Contrasts:
    """The ticket against dense and against every other arm.

    The unit of n is the replicate: draws are averaged first, and so are the two dense nets, which
    share the order of the data. The mean of a difference is taken within replicates.

    Args:
        table: a result table of one run.
        metric: what is judged.

    Raises:
        UsageError: the table has no ticket, or none beside the dense training.
    """
    levels = _finished(table, metric)
    values = arm_values(table, metric, levels)
    dense = dense_nets(values)
    assert dense is not None
    against = {DENSE: dense_contrast(values, LEAD, dense)}
    fresh = dense_contrast(values, FRESH, dense) if FRESH in values else None
    own = values.pop(LEAD)
    beside = {arm: contrast_of(own, other) for arm, other in values.items()}
    against |= {arm: contrast[1:] for arm, contrast in beside.items()}
    has_null = FRESH in values and not np.isnan(values[FRESH][:, 0]).all()
    null = contrast_of(values[FRESH], own)[:1] if has_null else None
    return Contrasts(levels[1:], against, null, fresh)


def arm_values(table: pd.DataFrame, metric: Metric, levels: pd.Index) -> dict[str, np.ndarray]:
    """Arm → (replicates, levels), more being better; not a number where nothing was measured."""
    wide = values_by_arm(table, metric.column, levels)
    replicates = sorted({replicate for frame in wide.values() for replicate in frame.columns})
    sign = 1.0 if metric.higher_is_better else -1.0
    return {
        arm: sign * _without_noise(frame.reindex(columns=replicates).to_numpy("float64").T)
        for arm, frame in wide.items()
    }


def dense_nets(values: dict[str, np.ndarray]) -> np.ndarray | None:
    """(replicates, nets): level 0 of `LEAD` and of `FRESH`; None where neither is there.

    Args:
        values: what `arm_values` returned, level 0 first.
    """
    nets = [values[arm][:, :1] for arm in (LEAD, FRESH) if arm in values]
    nets = [net for net in nets if not np.isnan(net).all()]
    return np.concatenate(nets, axis=1) if nets else None


def dense_contrast(values: dict[str, np.ndarray], arm: str, dense: np.ndarray) -> Contrast:
    """An arm's levels below dense against the dense nets.

    Args:
        values: what `arm_values` returned, level 0 first.
        arm: whose levels.
        dense: what `dense_nets` returned.
    """
    level_0 = values[FRESH][:, :1] if arm == FRESH else dense[:, :1]
    return dense_contrast_of(values[arm][:, 1:], dense, level_0=level_0)


def _finished(table: pd.DataFrame, metric: Metric) -> pd.Index:
    """The levels of the ticket, dense and others."""
    own = table.loc[(table["arm"] == LEAD) & table[metric.column].notna(), "level"].dropna()
    if own.empty:
        raise UsageError(
            f"no row of arm {LEAD!r} has a {metric.label}: there is no ticket to judge yet"
        )
    levels = pd.Index(sorted({int(level) for level in own}), name="level", dtype="int64")
    if levels[0] != 0:
        raise UsageError("the dense training (level 0) is missing: nothing to judge a ticket by")
    if len(levels) == 1:
        raise UsageError("only the dense training is finished: there is no ticket to judge yet")
    return levels


def _without_noise(values: np.ndarray) -> np.ndarray:
    """What a mean leaves in the last bits is no spread."""
    if np.isnan(values).all():
        return values
    unit = 1e-12 * float(np.nanmax(np.abs(values))) or 1.0
    return unit * np.round(values / unit)


def contrast_table(contrasts: Contrasts, metric: Metric, margin: float) -> pd.DataFrame:
    """Contrasts as a table: a row for each level and control that were both measured.

    Args:
        contrasts: what `contrasts_of` returned.
        metric: what is judged.
        margin: in the metric's own unit.

    Returns:
        A frame of level, control, difference (ticket − control, in the metric's own unit), sd
        (of one replicate's difference, from the level alone), n, low and high (95 % t interval of
        the level alone), then what decides, with the spread that
        `spread_of` takes: pooled_sd (of one replicate's difference), df, pooled_low and pooled_high
        (95 %), lower_bound and upper_bound (one-sided 95 %), p (one-sided, not adjusted: not worse
        than dense by the margin, better than a control).
    """
    parts = []
    for control, contrast in contrasts.against.items():
        columns = {"level": contrasts.levels, "control": control}
        columns |= difference_columns(contrast, metric)
        columns["p"] = contrast.p_above(-margin if control == DENSE else 0.0)
        parts.append(pd.DataFrame(columns).loc[np.asarray(contrast.n) > 0])
    return pd.concat(parts, ignore_index=True)


def null_check(contrasts: Contrasts, metric: Metric) -> dict[str, float] | None:
    """The second dense net minus the first: nothing but chance should tell them apart.

    Returns:
        difference, sd, n, low and high (95 %), and a two-sided p; None where there is one net, or
        one replicate.
    """
    if contrasts.null is None or int(contrasts.null.n[0]) < 2:
        return None
    columns = difference_columns(contrasts.null, metric)
    own = {"difference": "difference", "sd": "pooled_sd", "n": "n"}
    names = own | {"low": "pooled_low", "high": "pooled_high"}
    ps = contrasts.null.p_above()[0], contrasts.null.p_below()[0]
    return {new: columns[old].item() for new, old in names.items()} | {"p": float(2 * min(ps))}


def difference_columns(contrast: Contrast, metric: Metric) -> dict[str, Any]:
    """A contrast in the metric's own unit: the columns of `contrast_table`."""
    ends = {
        ("low", "high"): contrast.interval(0.95, is_pooled=False),
        ("pooled_low", "pooled_high"): contrast.interval(0.95),
        ("lower_bound", "upper_bound"): contrast.interval(1 - 2 * ALPHA),
    }
    sign = 1.0 if metric.higher_is_better else -1.0
    columns = {"difference": sign * contrast.mean, "sd": contrast.own_sd, "n": contrast.n}
    for names, (low, high) in ends.items():
        if names[0] == "pooled_low":
            columns |= {"pooled_sd": contrast.sd, "df": contrast.df}
        pair = (low, high) if metric.higher_is_better else (-high, -low)
        columns |= dict(zip(names, pair, strict=True))
    return columns
