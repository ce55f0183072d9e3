"""Barriers on straight lines between nets, from what was measured along them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lottery_ticket.analysis.statistics.means import level_statistics

__all__ = [
    "STABLE",
    "THRESHOLD",
    "UNDECIDED",
    "UNSTABLE",
    "barrier_statistics",
    "barriers",
    "curves",
]

THRESHOLD = 0.02
"""The error barrier below which nets are called connected, 2 points: Frankle et al. 2020."""

STABLE = "stable"
"""The interval of the mean barrier lies below the threshold."""

UNSTABLE = "unstable"
"""It lies above."""

UNDECIDED = "not decided"
"""Neither."""

Row = Mapping[Any, Any]

_PLACE = ["arm", "level", "replicate"]
_ENDS = ["distance", "angle", "sign_flips", "disagreement", "union"]
_OTHERS = ["end", "train_barrier", "loss_barrier", "interpolated_barrier", *_ENDS]


def barriers(measured: pd.DataFrame) -> pd.DataFrame:
    """A row per line: its barriers, and how far its ends are apart.

    The barrier of a line is its highest value − the mean of those at its ends. Nets with batch
    norms have it twice: with statistics that were interpolated, and with refitted ones. The latter
    count, as no net of the line is used with the former.

    Args:
        measured: rows of a path: arm, level, replicate, density, cell, metric, value; and of values
            along it split, statistics, alpha.

    Returns:
        A frame of arm, level, replicate, density, cell; `barrier`, the error's on the test split
        (the loss's of a regression); `train_barrier`, `loss_barrier`, `interpolated_barrier`
        (null where there are no batch norms); `end`, the mean value at the ends; `distance`,
        `angle`, `sign_flips`, `disagreement`, `union`.
    """
    lines: dict[str, list[Row]] = {}
    for row in measured.to_dict("records"):
        lines.setdefault(row["cell"], []).append(row)
    return pd.DataFrame([_line(rows) for rows in lines.values()])


def _line(rows: Sequence[Row]) -> dict[str, Any]:
    first, ends = rows[0], {row["metric"]: row["value"] for row in rows if _is_null(row["alpha"])}
    along = [row for row in rows if not _is_null(row["alpha"])]
    metric = "error" if any(row["metric"] == "error" for row in along) else "loss"
    is_refitted = any(row["statistics"] == "refitted" for row in along)
    own = "refitted" if is_refitted else "interpolated"
    barrier, end = _barrier(along, metric, "test", own)
    return {
        **{name: first[name] for name in (*_PLACE, "density", "cell")},
        "metric": metric,
        "barrier": barrier,
        "end": end,
        "train_barrier": _barrier(along, metric, "train", own)[0],
        "loss_barrier": _barrier(along, "loss", "test", own)[0],
        "interpolated_barrier": _barrier(along, metric, "test", "interpolated")[0]
        if is_refitted
        else None,
        **{name: ends.get(name) for name in _ENDS},
    }


def _barrier(along: Sequence[Row], metric: str, split: str, statistics: str) -> tuple[float, float]:
    """Highest − mean of the ends, and that mean; not a number where one of the line is none."""
    wanted = (metric, split, statistics)
    line = sorted(
        (row["alpha"], row["value"])
        for row in along
        if (row["metric"], row["split"], row["statistics"]) == wanted
    )
    values = [math.nan if _is_null(value) else value for _, value in line]
    end = (values[0] + values[-1]) / 2
    return (math.nan if any(map(math.isnan, values)) else max(values) - end), end


def _is_null(value: float | None) -> bool:
    return value is None or value != value


def curves(measured: pd.DataFrame, metric: str = "error", split: str = "test") -> pd.DataFrame:
    """Mean values along the lines of each arm and level: arm, level, alpha, value."""
    along = measured.dropna(subset=["alpha"])
    own = "refitted" if "refitted" in set(along["statistics"]) else "interpolated"
    is_it = (along["metric"] == metric) & (along["split"] == split) & (along["statistics"] == own)
    lines = along.loc[is_it, ["arm", "level", "alpha", "value"]].astype({"value": "float64"})
    return lines.groupby(["arm", "level", "alpha"], as_index=False).agg(value=("value", "mean"))


def barrier_statistics(lines: pd.DataFrame, threshold: float = THRESHOLD) -> pd.DataFrame:
    """A row per arm and level: the mean barrier over replicates, its interval, and what it says.

    Lines of one replicate are averaged first. *Stable*: the upper end of the 95 % t interval lies
    below the threshold; *unstable*: its lower end lies above; else not decided, as from one
    replicate.

    Args:
        lines: from `barriers`.
        threshold: of the error, a fraction. Losses have none, and no state.

    Returns:
        A frame of arm, level, density, n, barrier, sd, low, high, state, and means of the others.
    """
    found = level_statistics(lines, "barrier").rename(columns={"mean": "barrier"})
    means = {name: (name, "mean") for name in _OTHERS}
    values = lines.astype(dict.fromkeys(_OTHERS, "float64"))
    found = found.merge(
        values.groupby(["arm", "level"], as_index=False).agg(**means), on=["arm", "level"]
    )
    is_error = bool((lines["metric"] == "error").all())
    bounds = zip(found["low"], found["high"], strict=True)
    return found.assign(
        state=[_state(low, high, threshold) if is_error else "" for low, high in bounds]
    )


def _state(low: float, high: float, threshold: float) -> str:
    if high < threshold:
        return STABLE
    return UNSTABLE if low > threshold else UNDECIDED
