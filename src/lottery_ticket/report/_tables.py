"""Tables of a report: text to read, and values to sort by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from lottery_ticket.analysis import (
    LOSS,
    MISSING,
    SHORT,
    Metric,
    RunTables,
    Verdict,
    format_percent,
    input_means,
    level_statistics,
    metric_of,
    number_text,
    overlap_means,
    sort_arms,
)
from lottery_ticket.charts import (
    VERDICT_STYLE,
    interval_text,
    is_known,
    levels_of,
    mean_text,
    reference_of,
    signed_text,
    value_text,
)
from lottery_ticket.report._headline import TONES

__all__ = [
    "ReportCell",
    "ReportTable",
    "contrast_rows",
    "level_rows",
    "structure_rows",
    "training_rows",
]

MOST_TRAININGS = 2000


@dataclass(frozen=True)
class ReportCell:
    """A cell: what it says, what it sorts by, and the class that colours it."""

    text: str
    value: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class ReportTable:
    """A table that sorts.

    Args:
        columns: their headers.
        rows: their cells.
        ids: the end of each row's id, where a link leads to it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[ReportCell]]
    ids: Sequence[str] = ()

    @cached_property  # asked for with each cell
    def is_text(self) -> list[bool]:
        """Which columns have no numbers to sort by: they are flush left."""
        return [
            all(cell.value is None for cell in column) for column in zip(*self.rows, strict=True)
        ]


def level_rows(tables: RunTables, verdict: Verdict | None) -> ReportTable:
    """A row per level: size, verdict, every arm, the ticket's differences."""
    levels, metric = levels_of(tables.table), metric_of(tables.table)
    stats = level_statistics(tables.table, metric.column)
    arms = sort_arms(stats["arm"])
    unit = f" ({metric.unit})" if metric.unit else ""
    controls = [] if verdict is None else list(dict.fromkeys(verdict.contrasts["control"]))
    columns = ["level", "density", "kept", *(["verdict"] if verdict is not None else [])]
    columns += [f"{arm}{unit}" for arm in arms]
    columns += [f"ticket − {control}" for control in controls]
    known = {(row["arm"], int(row["level"])): row for row in stats.to_dict("records")}
    rows = []
    for level, density, count in zip(levels.numbers, levels.densities, levels.counts, strict=True):
        cells = [_number(level), ReportCell(format_percent(density), density)]
        cells.append(ReportCell(f"{count:,}", count))
        if verdict is not None:
            cells.append(_label(verdict, level))
        cells += [_mean(known.get((arm, level), {}), metric) for arm in arms]
        if verdict is not None:
            cells += [_difference(verdict, level, control) for control in controls]
        rows.append(cells)
    return ReportTable(columns, rows, [f"level-{level}" for level in levels.numbers])


def _number(value: int) -> ReportCell:
    return ReportCell(str(value), value)


def _mean(row: dict[str, Any], metric: Metric) -> ReportCell:
    return ReportCell(mean_text(row, metric), row.get("mean"))


def _difference(verdict: Verdict, level: int, control: str) -> ReportCell:
    row = verdict.contrast(level, control)
    text = interval_text(row, verdict.metric, reference_of(verdict))
    return ReportCell(text, row.get("difference"))


def _label(verdict: Verdict, level: int) -> ReportCell:
    found = next((item for item in verdict.levels if item.level == level), None)
    if found is None:
        return ReportCell("dense")
    text = (
        f"{VERDICT_STYLE[found.label].sign} {SHORT[found.label]}{' *' if found.is_claimed else ''}"
    )
    return ReportCell(text, None, TONES[found.label])


def contrast_rows(verdict: Verdict) -> ReportTable:
    """A row per level and control: difference, spread, intervals with and without pooling, p."""
    metric, reference = verdict.metric, reference_of(verdict)

    def shown(row: dict[str, Any], *names: str) -> ReportCell:
        texts = [signed_text(row.get(name), reference, metric) for name in names]
        return ReportCell(" to ".join(texts) if texts[0] != MISSING else MISSING, row.get(names[0]))

    columns = ["level", "ticket minus", "difference", "sd", "n", "95 % interval, this level alone"]
    columns += ["95 % interval, pooled", "p (one-sided)", "95 % over test images"]
    rows = []
    for row in verdict.contrasts.to_dict("records"):
        sd = number_text(row["sd"], reference, metric) if is_known(row["sd"]) else MISSING
        p = f"{row['p']:.2g}" if is_known(row["p"]) else MISSING
        rows.append(
            [
                _number(int(row["level"])),
                ReportCell(str(row["control"])),
                shown(row, "difference"),
                ReportCell(sd, row["sd"]),
                _number(int(row["n"])),
                shown(row, "low", "high"),
                shown(row, "pooled_low", "pooled_high"),
                ReportCell(p, row["p"]),
                shown(row, "image_low", "image_high"),
            ]
        )
    return ReportTable(columns, rows)


def structure_rows(tables: RunTables) -> ReportTable:
    """A row per level: what the masks look like, means over replicates."""
    levels = levels_of(tables.table)
    columns: dict[str, dict[int, ReportCell]] = {}
    if not tables.effective.empty:
        whole = tables.effective.loc[tables.effective["layer"] == "all"]
        means = whole.groupby("level", as_index=False).agg(
            kept=("num_kept", "mean"),
            effective=("num_effective", "mean"),
            density=("effective_density", "mean"),
        )
        columns["on a path"] = _column(means, "effective", "{:,.0f}")
        columns["effective density"] = {
            int(row["level"]): ReportCell(format_percent(row["density"]), row["density"])
            for row in means.to_dict("records")
        }
    if not tables.inputs.empty:
        read = input_means(tables.inputs).drop_duplicates("level")
        columns["inputs read"] = _column(read, "num_read", "{:,.0f}")
    pairs = overlap_means(tables.overlap)
    if not pairs.empty:
        whole = pairs.loc[pairs["layer"] == "all"]
        columns["shared by replicates (%)"] = _column(whole.assign(s=100 * whole["share"]), "s")
        columns["by chance (%)"] = _column(whole.assign(s=100 * whole["expected"]), "s")
    if not tables.kept_weights.empty:
        kept = tables.kept_weights
        own = kept.loc[(kept["layer"] == "all") & (kept["arm"] == sort_arms(kept["arm"])[0])]
        means = own.groupby("level", as_index=False).agg(
            signs=("sign_kept", "mean"), r=("magnitude_correlation", "mean")
        )
        columns["signs kept (%)"] = _column(means.assign(s=100 * means["signs"]), "s", "{:.1f}")
        columns["r of magnitudes"] = _column(means, "r")
    rows = [
        [
            _number(level),
            ReportCell(f"{count:,}", count),
            *(cells.get(level, ReportCell(MISSING)) for cells in columns.values()),
        ]
        for level, count in zip(levels.numbers, levels.counts, strict=True)
    ]
    return ReportTable(["level", "kept", *columns], rows if columns else [])


def _column(frame: pd.DataFrame, name: str, form: str = "{:.2f}") -> dict[int, ReportCell]:
    return {
        int(row["level"]): ReportCell(form.format(row[name]), row[name])
        if is_known(row[name])
        else ReportCell(MISSING)
        for row in frame.to_dict("records")
    }


def training_rows(tables: RunTables) -> ReportTable:
    """A row per training; none where there are more than a page should hold."""
    table, metric = tables.table, metric_of(tables.table)
    columns = ["arm", "level", "replicate", "draw", "kept", metric.axis_label]
    columns += [LOSS.label] if metric != LOSS else []
    columns += ["early-stop step", "steps", "seconds"]
    if len(table) > MOST_TRAININGS:
        return ReportTable(columns, [])
    records: list[dict[str, Any]] = (
        table.astype(object).where(table.notna(), None).to_dict("records")
    )
    return ReportTable(columns, [_training(row, metric) for row in records])


def _training(row: dict[str, Any], metric: Metric) -> list[ReportCell]:
    cells = [ReportCell(str(row["arm"]))]
    cells += [_count(row[name]) for name in ("level", "replicate", "draw", "num_kept")]
    for one in (metric, LOSS) if metric != LOSS else (metric,):
        value = row[one.column]
        text = value_text(None if value is None else one.scale * value, one)
        cells.append(ReportCell(text.removesuffix(" %"), value))
    stop = _count(row["early_stop_step"])
    cells.append(ReportCell(f"≥ {stop.text}", stop.value) if row["is_still_falling"] else stop)
    cells.append(_count(row["num_steps"]))
    seconds = row["train_seconds"]
    cells.append(ReportCell(MISSING if seconds is None else f"{seconds:.1f}", seconds))
    return cells


def _count(value: Any) -> ReportCell:
    return ReportCell(MISSING) if value is None else ReportCell(f"{value:,}", value)
