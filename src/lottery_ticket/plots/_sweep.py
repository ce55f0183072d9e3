"""A dense net pruned once to each of several sparsities: what those who share such runs draw."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lottery_ticket.analysis import metric_of, sort_arms, summary, summary_text
from lottery_ticket.charts import Chart, metric_chart, num_replicates, style_arms
from lottery_ticket.errors import UsageError
from lottery_ticket.files import write_file
from lottery_ticket.plots._render import chart_figure, draw_chart, draw_legend
from lottery_ticket.plots._style import GREY, finish, new_figure, save

__all__ = ["draw_sweep"]

KEPT_COLOR = "#999999"
ROW_INCHES = 0.3


def draw_sweep(
    table: pd.DataFrame,
    out: Path,
    *,
    title: str,
    run: str = "",
    formats: Sequence[str] = ("png",),
) -> list[Path]:
    """Write the figures of a sweep over sparsities, and its numbers as `experiment_results.json`.

    Args:
        table: the result table of one run; rows may be missing.
        out: the folder to write into; it is made.
        title: the run's name; empty for no titles.
        run: the run's id, for the small print.
        formats: suffixes that matplotlib can write.

    Returns:
        The files written: `accuracy_vs_pruning`, `parameter_reduction`, `accuracy_difference`,
        `combined_metrics` and `results_table` in every format, and the JSON file.

    Raises:
        UsageError: the table has no accuracy, or holds several runs.
    """
    metric = metric_of(table)
    if not metric.higher_is_better:
        raise UsageError("no row of the table has an accuracy; nothing to draw")
    levels = summary(table)
    accuracies = metric_chart(table, metric, over="pruned")
    figures = {
        "accuracy_vs_pruning": chart_figure([accuracies], title=title, run=run),
        "parameter_reduction": _parameters(levels, title, run),
        "accuracy_difference": _difference(levels, title, run),
        "combined_metrics": _combined(accuracies, levels, title, run),
        "results_table": _results(levels, title, run),
    }
    paths = [save(made, out / f"{name}.{end}") for name, made in figures.items() for end in formats]
    results = out / "experiment_results.json"
    rows = levels.astype(object).where(levels.notna(), None).to_dict("records")
    values = [{key: _plain(value) for key, value in row.items()} for row in rows]
    write_file(results, json.dumps({"run": run or title, "levels": values}, indent=1).encode())
    return [*paths, results]


def _parameters(levels: pd.DataFrame, title: str, run: str) -> Figure:
    figure, (ax,) = new_figure()
    places = np.arange(len(levels))
    bars = ax.bar(places, levels["num_kept"].astype("float64"), color=KEPT_COLOR, width=0.7)
    ax.bar_label(bars, [f"{count:,}" for count in levels["num_kept"]], fontsize=8.5, padding=2)
    ax.set_xticks(places, [f"{100 * sparsity:.0f}" for sparsity in levels["sparsity"]])
    ax.set_xlabel("weights pruned (%)")
    ax.set_ylabel("weights kept")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    total = levels["num_prunable"].iloc[0]
    caption = f"Of {total:,} prunable weights; biases are not pruned."
    finish(figure, title=title, what="weights kept", caption=caption, run=run)
    return figure


def _difference(levels: pd.DataFrame, title: str, run: str) -> Figure:
    pruned = levels.loc[levels["level"] > 0]
    figure, (ax,) = new_figure()
    styles = style_arms(_arms(levels))
    width = 0.8 / len(styles)
    places = np.arange(len(pruned))
    for index, (arm, style) in enumerate(styles.items()):
        values, spread = (
            100 * pruned[f"{arm}_minus_dense{end}"].astype("float64") for end in ("", "_sd")
        )
        ax.bar(
            places + width * (index - (len(styles) - 1) / 2), values, width,
            yerr=np.nan_to_num(spread), color=style.color, label=arm, ecolor=GREY, capsize=2,
        )  # fmt: skip
    ax.axhline(0, color=GREY, linewidth=1)
    ax.set_xticks(places, [f"{100 * sparsity:.0f}" for sparsity in pruned["sparsity"]])
    ax.set_xlabel("weights pruned (%)")
    ax.set_ylabel("accuracy minus dense (points)")
    num_rows = draw_legend(ax, ax.get_legend_handles_labels()[0])
    counts = num_replicates(levels[f"{next(iter(styles))}_n"])
    caption = f"Paired within replicates: mean over {counts}, bars ±1 sd."
    what = "test accuracy minus dense"
    finish(figure, title=title, what=what, caption=caption, run=run, num_rows=num_rows)
    return figure


def _combined(chart: Chart, levels: pd.DataFrame, title: str, run: str) -> Figure:
    figure, (ax,) = new_figure()
    num_rows = draw_chart(ax, chart)
    other = ax.twinx()
    x = 100 * levels["sparsity"].to_numpy(dtype="float64")
    kept = levels["num_kept"].to_numpy(dtype="float64")
    other.plot(x, kept, color=KEPT_COLOR, linestyle=":", marker=".", linewidth=1.5)
    other.set_ylabel("weights kept (dotted)", color=GREY, size=10.5)
    other.set_ylim(0, 1.05 * kept.max())
    other.yaxis.set_major_formatter("{x:,.0f}")
    other.tick_params(labelsize=9.5, colors=GREY)
    other.spines[["top"]].set_visible(False)
    caption = f"Left: {chart.caption} Right: weights kept, dotted."
    what = "accuracy and weights kept"
    finish(figure, title=title, what=what, caption=caption, run=run, num_rows=num_rows)
    return figure


def _results(levels: pd.DataFrame, title: str, run: str) -> Figure:
    header, *rows = summary_text(levels, metric_of(pd.DataFrame({"test_accuracy": [1.0]})))
    width = 1.3 * len(header)
    figure, (ax,) = new_figure(width=width, height=ROW_INCHES * (len(rows) + 5))
    ax.axis("off")
    header = [name.replace(" (", "\n(") for name in header]
    grid = ax.table(rows, colLabels=header, cellLoc="center", loc="center")
    grid.auto_set_font_size(False)
    grid.set_fontsize(9.5)
    for (row, _), cell in grid.get_celld().items():
        cell.visible_edges = "B"
        cell.set_edgecolor("#d0d0d0")
        cell.set_height((1.9 if row == 0 else 1.0) / (len(rows) + 2))
    caption = "Accuracies: mean ± sd (n); differences are paired."
    finish(figure, title=title, what="", caption=caption, run=run)
    return figure


def _plain(value: Any) -> Any:
    """A number of pandas as one of Python, for JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _arms(levels: pd.DataFrame) -> list[str]:
    return sort_arms(
        name.removesuffix("_mean") for name in levels.columns if name.endswith("_mean")
    )
