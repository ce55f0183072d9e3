"""Whom pruning hurts: a chart and a table of the classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lottery_ticket.analysis import ACCURACY, ClassDifferences, format_percent
from lottery_ticket.arms import TICKET
from lottery_ticket.plots import style_arms
from lottery_ticket.report._chart import Axis, Chart, Rule, Series, Stop, nulls
from lottery_ticket.report._numbers import padded, signed_text
from lottery_ticket.report._tables import ReportCell, ReportTable

__all__ = ["ReportClasses", "classes_of"]

MOST_SHOWN = 40


@dataclass(frozen=True)
class ReportClasses:
    """The section on classes.

    Args:
        sentence: what it says, or why it says nothing.
        chart: differences by class; None where there is nothing to draw.
        table: a row per class.
    """

    sentence: str
    chart: Chart | None
    table: ReportTable


def classes_of(found: ClassDifferences | str) -> ReportClasses:
    """The section, from the differences or from why there are none."""
    if isinstance(found, str):
        return ReportClasses(found, None, ReportTable([], []))
    return ReportClasses(found.sentence, _chart(found), _table(found))


def _chart(found: ClassDifferences) -> Chart:
    rows = found.table
    caption = ""
    if len(rows) > MOST_SHOWN:
        unlike = rows["unlike_others"].abs().to_numpy()
        rows = rows.iloc[np.argsort(-unlike, kind="stable")[:MOST_SHOWN]]
        caption = f" The {MOST_SHOWN} that differ most from the others; the table has all."
    rows = rows.sort_values(by="difference", kind="stable", ignore_index=True)
    shown = rows.to_dict("records")
    ends = 100 * rows[["low", "high", "difference"]].to_numpy(float).ravel()
    overall = 100 * found.difference
    stops = [
        Stop(float(i), f"{row['name']} · {row['num_images']:,} images", _tick(row["name"]))
        for i, row in enumerate(shown)
    ]
    line = Series(
        "− dense",
        style_arms([TICKET])[TICKET].color,
        nulls(100 * rows["difference"]),
        [
            f"{signed_text(row['difference'], 1.0, ACCURACY)} ({found.interval(row)})"
            for row in shown
        ],
        "o",
        nulls(100 * rows["low"]),
        nulls(100 * rows["high"]),
        [not row["is_beyond_chance"] for row in shown],
        is_bars=True,
        is_points=True,
    )
    return Chart(
        "classes",
        "Ticket minus dense, class by class",
        f"Level {found.level}, {format_percent(found.density)} of the weights; from the class that "
        "loses most. Bars: 95 % intervals for other replicates and other test images. Filled: "
        f"unlike the other classes beyond chance, 5 % over all of them.{caption}",
        "Differences in accuracy between ticket and dense by class, with intervals. The table of "
        "classes has the values.",
        Axis("class", "names", -0.5, len(shown) - 0.5),
        Axis("difference in accuracy (points)", "linear", *padded([*ends, overall, 0.0])),
        stops,
        [line],
        [Rule(overall, "all images")],
    )


def _tick(name: str) -> str:
    short = name.removeprefix("class ")
    return short if len(short) <= 12 else f"{short[:11]}…"


def _difference(row: Mapping[str, Any]) -> str:
    return signed_text(row["difference"], 1.0, ACCURACY)


def _table(found: ClassDifferences) -> ReportTable:
    columns = ["class", "images", "dense (%)", "ticket (%)", "difference", "95 % interval"]
    star = {True: " *", False: ""}
    rows = [
        [
            ReportCell(row["name"]),
            ReportCell(f"{row['num_images']:,}", row["num_images"]),
            *(ReportCell(f"{100 * row[name]:.2f}", row[name]) for name in ("dense", "ticket")),
            ReportCell(_difference(row) + star[row["is_beyond_chance"]], row["difference"]),
            ReportCell(found.interval(row)),
        ]
        for row in found.table.to_dict("records")
    ]
    return ReportTable(columns, rows)
