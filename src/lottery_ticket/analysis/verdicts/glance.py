"""The verdict of a run in a few numbers, quick enough for hundreds of runs.

It is the verdict's own judgement, of the same contrasts, without what takes it longer: words,
intervals, costs, and how many replicates would decide what is open.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from lottery_ticket.analysis.judging.contrasts import (
    DENSE,
    Contrasts,
    contrasts_between,
    without_noise,
)
from lottery_ticket.analysis.judging.levels import (
    DECIDED,
    Claim,
    absolute_margin,
    default_margin,
    judged_levels,
    run_label,
)
from lottery_ticket.analysis.judging.looks import taken_looks
from lottery_ticket.analysis.statistics.claims import ALPHA, fixed_sequence
from lottery_ticket.analysis.statistics.means import FRESH, LEAD
from lottery_ticket.analysis.statistics.tables import ACCURACY, LOSS, Metric
from lottery_ticket.store import Looks, RunClaim

__all__ = ["Glance", "glance", "stated_claim"]

Values = dict[str, dict[int, dict[int, float]]]
"""arm → level → replicate → the mean of its draws"""


@dataclass(frozen=True)
class Glance:
    """What a run came to. Values are in the metric's own unit; None: not known (yet).

    Args:
        metric: what is judged.
        dense: the dense nets' mean, as of `Verdict`.
        verdict: the label, as of `Verdict`; None where there is nothing to judge.
        winning_density: of the sparsest level that is claimed as winning.
        matching_density: of the sparsest that matches dense together with all before it.
        sparsest_density: of the sparsest level that is trained.
        sparsest: the ticket's mean there.
    """

    metric: Metric
    dense: float | None = None
    verdict: str | None = None
    winning_density: float | None = None
    matching_density: float | None = None
    sparsest_density: float | None = None
    sparsest: float | None = None


def glance(
    rows: Sequence[Mapping[str, Any]],
    *,
    margin: float | None = None,
    claim: RunClaim | None = None,
    looks: Looks | None = None,
    num_complete: int = 0,
) -> Glance:
    """Judge a run, as `verdict` does, or `staged_verdict`.

    Args:
        rows: of one run, as of `table_rows`.
        margin: points of accuracy, or per cent of the dense loss; else `default_margin`.
        claim: the level that the run is about, as it was stated.
        looks: the rule that the run is judged by; None for that of a run with a fixed number of
            replicates.
        num_complete: with `looks`: replicates that are finished.

    Raises:
        UsageError: the margin makes no sense.

    >>> glance([]).verdict is None
    True
    """
    if looks is None:
        return _glance(rows, margin, claim, ALPHA)
    if num_complete < looks.replicates[0]:  # nothing is to be judged before the first look
        found = _glance(rows, margin, claim, ALPHA)
        return replace(found, verdict=None, winning_density=None, matching_density=None)
    found = Glance(_metric(rows))
    for look in taken_looks(looks, num_complete):
        seen = [row for row in rows if row["replicate"] < look.num_replicates]
        found = _glance(seen, margin, claim, look.alpha)
        if found.verdict in DECIDED:
            break
    return found


def _glance(
    rows: Sequence[Mapping[str, Any]],
    margin: float | None,
    claim: RunClaim | None,
    alpha: float,
) -> Glance:
    metric = _metric(rows)
    values = _values(rows, metric.column)
    levels = sorted(values.get(LEAD, {}))
    if not levels or levels[0] != 0:
        return Glance(metric)
    means = {level: fmean(values[LEAD][level].values()) for level in levels}
    dense = _dense(values)
    if len(levels) == 1:
        return Glance(metric, dense)
    index = pd.Index(levels, name="level", dtype="int64")
    sizes = _sizes(rows, levels)
    num_test = min((row["num_test"] for row in rows if row.get("num_test")), default=None)
    default = default_margin(metric, num_test)
    stated = default if margin is None else margin
    absolute = absolute_margin(stated, metric, dense, num_test)
    contrasts = contrasts_between(_arrays(values, levels, metric), index)
    found = stated_claim(claim, margin, default)
    judged = judged_levels(contrasts, absolute, sizes, found, is_planned=False, alpha=alpha)
    claimed = [one.level for one in judged if one.is_claimed]
    density = sizes["density"].to_dict()
    return Glance(
        metric,
        dense,
        run_label(judged, found),
        density[max(claimed)] if claimed else None,
        _matching(contrasts, absolute, density, alpha),
        density[levels[-1]],
        means[levels[-1]],
    )


def stated_claim(claim: RunClaim | None, margin: float | None, default: float) -> Claim | None:
    """The claim of a run that is judged by a margin.

    Args:
        claim: as it was stated; None where there is none.
        margin: by which it is judged; None for `default`.
        default: the margin where none is stated.
    """
    if claim is None:
        return None
    one, other = (default if m is None else m for m in (claim.margin, margin))
    return Claim(claim.level, claim.num_trained, one == other)


def _matching(
    contrasts: Contrasts, margin: float, density: Mapping[int, float], alpha: float
) -> float | None:
    matching = fixed_sequence(contrasts.against[DENSE].p_above(-margin), alpha)
    levels = [int(level) for level in contrasts.levels[matching]]
    return density[max(levels)] if levels else None


def _metric(rows: Sequence[Mapping[str, Any]]) -> Metric:
    """`metric_of`, of plain rows."""
    own = next((row for row in rows if row.get("metric") is not None), None)
    if own is not None:
        return Metric("test_metric", f"test {own['metric']}", bool(own["higher_is_better"]), 1, "")
    has_accuracy = any(row.get("test_accuracy") is not None for row in rows)
    return ACCURACY if has_accuracy else LOSS


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> Values:
    draws: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    found: Values = {row["arm"]: {} for row in rows}
    for row in rows:
        if (value := row.get(column)) is not None and not np.isnan(value):
            draws[row["arm"], row["level"], row["replicate"]].append(value)
    for (arm, level, replicate), values in draws.items():
        found[arm].setdefault(level, {})[replicate] = sum(values) / len(values)
    return found


def _arrays(values: Values, levels: Sequence[int], metric: Metric) -> dict[str, np.ndarray]:
    """`arm_values`, of plain values."""
    replicates = sorted({r for arm in values.values() for level in arm.values() for r in level})
    sign = 1.0 if metric.higher_is_better else -1.0
    empty: dict[int, float] = {}
    return {
        arm: sign
        * without_noise(
            np.array(
                [[own.get(level, empty).get(r, np.nan) for level in levels] for r in replicates]
            )
        )
        for arm, own in values.items()
    }


def _dense(values: Values) -> float:
    """`dense_mean`, of plain values."""
    nets = [values[arm].get(0, {}) for arm in (LEAD, FRESH) if arm in values]
    replicates = {replicate for level in values[LEAD].values() for replicate in level}
    known = ([net[replicate] for net in nets if replicate in net] for replicate in replicates)
    return fmean(fmean(found) for found in known if found)


def _sizes(rows: Sequence[Mapping[str, Any]], levels: Sequence[int]) -> pd.DataFrame:
    """`size_by_level` of the ticket."""
    sizes = {name: defaultdict[int, list[float]](list) for name in ("density", "num_kept")}
    for row in rows:
        if row["arm"] == LEAD:
            for name, of in sizes.items():
                of[row["level"]].append(row[name])
    return pd.DataFrame(
        {
            "density": [_mean(sizes["density"][level]) for level in levels],
            "num_kept": [round(_mean(sizes["num_kept"][level])) for level in levels],
        },
        index=list(levels),
    )


def _mean(values: Sequence[float]) -> float:
    return values[0] if min(values) == max(values) else fmean(values)  # 0.09, not 0.09000000000001
