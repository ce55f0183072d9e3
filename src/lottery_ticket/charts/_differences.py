"""Charts of differences: the ticket minus dense and minus its controls, by level, run and class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lottery_ticket.analysis import (
    ACCURACY,
    WINNING,
    ClassDifferences,
    Metric,
    Verdict,
    format_percent,
)
from lottery_ticket.arms import TICKET
from lottery_ticket.charts._chart import Axis, Chart, Rule, Series, Stop, cut_note, nulls
from lottery_ticket.charts._levels import Levels
from lottery_ticket.charts._limits import padded
from lottery_ticket.charts._style import ARM_STYLE, DENSE_STYLE, RUN_STYLES, ArmStyle, style_arms
from lottery_ticket.charts._text import (
    interval_text,
    num_replicates,
    outside_note,
    reference_of,
    signed_text,
)
from lottery_ticket.errors import UsageError

__all__ = [
    "class_chart",
    "compare_chart",
    "control_styles",
    "difference_chart",
    "difference_limits",
]

MOST_CLASSES = 40
_SAME = 1e-3  # of a density


def control_styles(verdict: Verdict) -> dict[str, ArmStyle]:
    """How each control that the ticket was held against is drawn, dense first."""
    controls = set(verdict.contrasts["control"])
    return {
        control: style
        for control, style in {"dense": DENSE_STYLE, **style_arms(controls - {"dense"})}.items()
        if control in controls
    }


def difference_limits(verdict: Verdict) -> tuple[float, float]:
    """Limits, in the printed unit, in which the differences from dense can be told apart.

    A control that has collapsed lies ten times as far off as anything that the verdict turns on.
    Then the axis ends where the differences from dense would if they were as large upwards, or with
    what is claimed.
    """
    rows = verdict.contrasts
    sign = verdict.metric.scale * (1 if verdict.metric.higher_is_better else -1)
    margin = -abs(verdict.metric.scale * verdict.margin)
    ends = sign * rows[["difference", "pooled_low", "pooled_high"]]
    known = ends.loc[rows["control"] == "dense"].to_numpy(dtype="float64")
    known = [*known[np.isfinite(known)], margin, 0.0]
    everything = np.nan_to_num(ends.to_numpy(dtype="float64")).ravel()
    span = max(known) - min(known)
    most = float(max([*everything, *known]))
    if most > 3 * span:
        is_claimed = rows["level"] <= (verdict.level or 0)
        claimed = np.nan_to_num(ends.loc[is_claimed].to_numpy(dtype="float64")).ravel()
        most = max([*known, *claimed.tolist(), span])
    least = float(min(known))  # what is worse than dense is what the verdict turns on
    pad = 0.05 * (most - least) or 0.5
    low, high = sorted((np.sign(sign) * (least - pad), np.sign(sign) * (most + pad)))
    return float(low), float(high)


def difference_chart(verdict: Verdict) -> Chart:
    """The ticket minus dense and minus each control, with 95 % intervals.

    Args:
        verdict: of the run.

    Raises:
        UsageError: no level has a difference.
    """
    metric = verdict.metric
    rows = _differences(verdict)
    if rows.empty:
        raise UsageError("no level of the ticket has a difference; nothing to draw")
    levels = _levels(verdict)
    series = [
        levels.series(
            f"minus {control}",
            style.color,
            rows.loc[rows["control"] == control],
            marker=style.marker,
            is_bars=True,
        )
        for control, style in control_styles(verdict).items()
    ]
    side, sign = ("above", -1) if metric.higher_is_better else ("below", 1)
    low, high = difference_limits(verdict)
    return Chart(
        "difference",
        "ticket minus dense and controls",
        f"Differences, mean over {num_replicates(rows['n'])}, with 95 % intervals (Welch's t), "
        "their spread pooled with neighbouring levels; dashed: as much worse than dense as still "
        f"matches it. Winning: {side} that against dense and {side} zero against reinit, each "
        "tested one-sided, so that intervals may touch."
        f"{outside_note(rows['y'], low, high)}{cut_note(series, low, high)}",
        levels.axis(series),
        Axis(f"difference in {metric.label}{_points(metric)}", "linear", low, high),
        levels.stops,
        series,
        [Rule(0.0, "", "solid"), Rule(sign * metric.scale * verdict.margin, "margin")],
    )


def _levels(verdict: Verdict) -> Levels:
    found = verdict.levels
    return Levels(
        [one.level for one in found],
        [one.density for one in found],
        [one.num_kept for one in found],
    )


def _differences(verdict: Verdict) -> pd.DataFrame:
    """What is known of a verdict's contrasts, in the printed unit and in words."""
    metric, reference = verdict.metric, reference_of(verdict)
    rows = verdict.contrasts.dropna(subset=["difference"])
    return rows.assign(
        y=metric.scale * rows["difference"],
        low=metric.scale * rows["pooled_low"],
        high=metric.scale * rows["pooled_high"],
        text=[interval_text(row, metric, reference) for row in rows.to_dict("records")],
    )


def _points(metric: Metric) -> str:
    return " (points)" if metric.unit == "%" else ""


def compare_chart(verdicts: Sequence[Verdict], labels: Sequence[str] | None = None) -> Chart:
    """Each run's ticket minus its own dense net; what is winning is filled.

    Args:
        verdicts: of the runs, judged by one metric, see `analysis.compare`.
        labels: what each is called in the legend; None for the runs' ids.

    Raises:
        UsageError: no run has a difference to draw, or the metrics differ.
    """
    metrics = {verdict.metric for verdict in verdicts}
    if len(metrics) != 1:
        raise UsageError(f"compare: got {len(metrics)} metrics, wanted one or more runs of one")
    (metric,) = metrics
    labels = [verdict.run for verdict in verdicts] if labels is None else labels
    densities = _densities(verdicts)
    levels = Levels(range(len(densities)), densities)
    series = [
        _run_series(levels, verdict, label, RUN_STYLES[index % len(RUN_STYLES)])
        for index, (verdict, label) in enumerate(zip(verdicts, labels, strict=True))
    ]
    ends = [value for line in series for part in (line.y, line.low or (), line.high or ())
            for value in part if value is not None]  # fmt: skip
    if not ends:
        raise UsageError("compare: no ticket has a difference to dense; nothing to draw")
    return Chart(
        "compare",
        "ticket minus dense",
        "Each ticket minus the dense nets of its own run, with 95 % intervals; filled: "
        "winning, level by level. Runs are not tested against each other.",
        levels.axis(series),
        Axis(f"{metric.label} minus dense{_points(metric)}", "linear", *padded([*ends, 0.0])),
        [Stop(100 * density, format_percent(density)) for density in densities],
        series,
        [Rule(0.0, "", "solid")],
    )


def _densities(verdicts: Sequence[Verdict]) -> list[float]:
    """Those of all levels of all runs; what a rounded number of weights makes of one is one."""
    found: list[float] = []
    for density in sorted((one.density for v in verdicts for one in v.levels), reverse=True):
        if not found or density < found[-1] * (1 - _SAME):
            found.append(density)
    return found


def _run_series(levels: Levels, verdict: Verdict, label: str, style: ArmStyle) -> Series:
    found = {one.level: one for one in verdict.levels}
    rows = _differences(verdict)
    rows = rows.loc[(rows["control"] == "dense") & rows["level"].isin(found)]
    own = [found[int(level)] for level in rows["level"]]
    stops = [_stop(levels, one.density) for one in own]
    rows = rows.assign(level=stops, x=[100 * one.density for one in own])
    winning = {_stop(levels, one.density) for one in found.values() if one.label == WINNING}
    return levels.series(
        label,
        style.color,
        rows,
        marker=style.marker,
        open=[stop not in winning for stop in levels.numbers],
        is_bars=True,
    )


def _stop(levels: Levels, density: float) -> int:
    """The stop of a density: the nearest."""
    return int(np.argmin(np.abs(np.log(np.asarray(levels.densities) / density))))


def class_chart(found: ClassDifferences) -> Chart:
    """The ticket of a level minus dense, class by class, from the one that loses most.

    Args:
        found: what `class_differences` returned.
    """
    rows = found.table
    caption = ""
    if len(rows) > MOST_CLASSES:
        unlike = rows["unlike_others"].abs().to_numpy()
        rows = rows.iloc[np.argsort(-unlike, kind="stable")[:MOST_CLASSES]]
        caption = f" The {MOST_CLASSES} that differ most from the others; the table has all."
    rows = rows.sort_values(by="difference", kind="stable", ignore_index=True)
    shown = rows.to_dict("records")
    ends = 100 * rows[["low", "high", "difference"]].to_numpy(float).ravel()
    line = Series(
        "minus dense",
        ARM_STYLE[TICKET].color,
        nulls(100 * rows["difference"]),
        [
            f"{signed_text(row['difference'], 1.0, ACCURACY)} ({found.interval(row)})"
            for row in shown
        ],
        marker="o",
        low=nulls(100 * rows["low"]),
        high=nulls(100 * rows["high"]),
        open=[not row["is_beyond_chance"] for row in shown],
        is_bars=True,
        is_points=True,
    )
    return Chart(
        "classes",
        "ticket minus dense, class by class",
        f"Level {found.level}, {format_percent(found.density)} of the weights; from the class that "
        "loses most. Bars: 95 % intervals for other replicates and other test images. Filled: "
        f"unlike the other classes beyond chance, 5 % over all of them.{caption}",
        Axis("class", "names", 0.0, max(len(shown) - 1.0, 0.0)),
        Axis(
            "difference in accuracy (points)",
            "linear",
            *padded([*ends, 100 * found.difference, 0.0]),
        ),
        [
            Stop(float(place), f"{row['name']} · {row['num_images']:,} images", _tick(row["name"]))
            for place, row in enumerate(shown)
        ],
        [line],
        [Rule(100 * found.difference, "all images")],
    )


def _tick(name: str) -> str:
    short = name.removeprefix("class ")
    return short if len(short) <= 12 else f"{short[:11]}…"
