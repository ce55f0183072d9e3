"""Whom pruning hurts: a chart and a table of the classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.analysis import ACCURACY, ClassDifferences
from lottery_ticket.charts import Chart, class_chart, signed_text
from lottery_ticket.report._tables import ReportCell, ReportTable

__all__ = ["ReportClasses", "classes_of"]


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
    return ReportClasses(found.sentence, class_chart(found), _table(found))


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
