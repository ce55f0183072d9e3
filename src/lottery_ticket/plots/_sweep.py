"""A dense net pruned once to each of several sparsities: what those who share such runs draw."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lottery_ticket.analysis import metric_of, sort_arms, summary, summary_text
from lottery_ticket.charts import Chart, metric_chart, num_replicates, style_arms
from lottery_ticket.errors import UsageError
from lottery_ticket.files import write_file
from lottery_ticket.plots._look import Look, LookOptions, look_of
from lottery_ticket.plots._render import chart_figure, draw_chart, draw_legend
from lottery_ticket.plots._style import finish, new_figure, save

__all__ = ["SWEEP_FIGURES", "draw_sweep", "save_sweep", "sweep_figures"]

SWEEP_FIGURES = (
    *("accuracy_vs_pruning", "parameter_reduction", "accuracy_difference", "combined_metrics"),
    "results_table",
)

KEPT_COLOR = "#999999"
ROW_INCHES = 0.3


def draw_sweep(
    table: pd.DataFrame,
    out: Path,
    *,
    title: str,
    run: str = "",
    formats: Sequence[str] = ("png",),
    **look: Unpack[LookOptions],
) -> list[Path]:
    """Write the figures of a sweep over sparsities, and its numbers as `experiment_results.json`.

    Args:
        table: the result table of one run; rows may be missing.
        out: the folder to write into; it is made.
        title: the run's name; empty for no titles.
        run: the run's id, for the small print.
        formats: suffixes that matplotlib can write.
        look: as of `density_figure`.

    Returns:
        The files written: `accuracy_vs_pruning`, `parameter_reduction`, `accuracy_difference`,
        `combined_metrics` and `results_table` in every format, and the JSON file.

    Raises:
        UsageError: the table has no accuracy, or holds several runs.
    """
    figures = sweep_figures(table, title=title, run=run, **look)
    paths = [save(made, out / f"{name}.{end}") for name, made in figures.items() for end in formats]
    return [*paths, save_sweep(table, out, run or title)]


def save_sweep(table: pd.DataFrame, out: Path, run: str) -> Path:
    """Write the numbers of a sweep, a row per level, as `experiment_results.json`."""
    levels = summary(table)
    results = out / "experiment_results.json"
    rows = levels.astype(object).where(levels.notna(), None).to_dict("records")
    values = [{key: _plain(value) for key, value in row.items()} for row in rows]
    write_file(results, json.dumps({"run": run, "levels": values}, indent=1).encode())
    return results


def sweep_figures(
    table: pd.DataFrame,
    *,
    title: str = "",
    run: str = "",
    only: Sequence[str] | None = None,
    **look: Unpack[LookOptions],
) -> dict[str, Figure]:
    """The figures of a sweep over sparsities: name → figure.

    Args:
        table: the result table of one run; rows may be missing.
        title, run, look: as of `density_figure`.
        only: which of them; None for all.

    Raises:
        UsageError: the table has no accuracy, or holds several runs.
    """
    metric = metric_of(table)
    if not metric.higher_is_better:
        raise UsageError("no row of the table has an accuracy; nothing to draw")
    levels, seen = summary(table), look_of(**look)
    chart = metric_chart(table, metric, over="pruned")
    makers: dict[str, Callable[[], Figure]] = {
        "accuracy_vs_pruning": lambda: chart_figure([chart], title=title, run=run, look=seen),
        "parameter_reduction": lambda: _parameters(levels, title, run, seen),
        "accuracy_difference": lambda: _difference(levels, title, run, seen),
        "combined_metrics": lambda: _combined(chart, levels, title, run, seen),
        "results_table": lambda: _results(levels, title, run, seen),
    }
    with seen.applied():
        return {name: make() for name, make in makers.items() if only is None or name in only}


def _parameters(levels: pd.DataFrame, title: str, run: str, look: Look) -> Figure:
    figure, (ax,) = new_figure(look=look)
    places = np.arange(len(levels))
    bars = ax.bar(places, levels["num_kept"].astype("float64"), color=KEPT_COLOR, width=0.7)
    ax.bar_label(
        bars,
        [f"{count:,}" for count in levels["num_kept"]],
        fontsize=look.small * 8.5 / 8,
        padding=2,
    )
    ax.set_xticks(places, [f"{100 * sparsity:.0f}" for sparsity in levels["sparsity"]])
    ax.set_xlabel("weights pruned (%)")
    ax.set_ylabel("weights kept")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    total = levels["num_prunable"].iloc[0]
    caption = f"Of {total:,} prunable weights; biases are not pruned."
    finish(figure, title=title, what="weights kept", caption=caption, run=run, look=look)
    return figure


def _difference(levels: pd.DataFrame, title: str, run: str, look: Look) -> Figure:
    pruned = levels.loc[levels["level"] > 0]
    figure, (ax,) = new_figure(look=look)
    styles = style_arms(_arms(levels))
    width = 0.8 / len(styles)
    places = np.arange(len(pruned))
    for index, (arm, style) in enumerate(styles.items()):
        values, spread = (
            100 * pruned[f"{arm}_minus_dense{end}"].astype("float64") for end in ("", "_sd")
        )
        ax.bar(
            places + width * (index - (len(styles) - 1) / 2), values, width,
            yerr=np.nan_to_num(spread), color=look.color(style.color), label=arm, ecolor=look.grey,
            capsize=2,
        )  # fmt: skip
    ax.axhline(0, color=look.grey, linewidth=1)
    ax.set_xticks(places, [f"{100 * sparsity:.0f}" for sparsity in pruned["sparsity"]])
    ax.set_xlabel("weights pruned (%)")
    ax.set_ylabel("accuracy minus dense (points)")
    num_rows = draw_legend(ax, ax.get_legend_handles_labels()[0], look)
    counts = num_replicates(levels[f"{next(iter(styles))}_n"])
    caption = f"Paired within replicates: mean over {counts}, bars ±1 sd."
    what = "test accuracy minus dense"
    finish(figure, title=title, what=what, caption=caption, run=run, num_rows=num_rows, look=look)
    return figure


def _combined(chart: Chart, levels: pd.DataFrame, title: str, run: str, look: Look) -> Figure:
    figure, (ax,) = new_figure(look=look)
    num_rows = draw_chart(ax, chart, look)
    other = ax.twinx()
    x = 100 * levels["sparsity"].to_numpy(dtype="float64")
    kept = levels["num_kept"].to_numpy(dtype="float64")
    other.plot(x, kept, color=KEPT_COLOR, linestyle=":", marker=".", linewidth=look.line)
    other.set_ylabel("weights kept (dotted)", color=look.grey, size=look.label)
    other.set_ylim(0, 1.05 * kept.max())
    other.yaxis.set_major_formatter("{x:,.0f}")
    other.tick_params(labelsize=look.tick, colors=look.grey)
    other.spines[["top"]].set_visible(False)
    caption = f"Left: {chart.caption} Right: weights kept, dotted."
    what = "accuracy and weights kept"
    finish(figure, title=title, what=what, caption=caption, run=run, num_rows=num_rows, look=look)
    return figure


def _results(levels: pd.DataFrame, title: str, run: str, look: Look) -> Figure:
    header, *rows = summary_text(levels, metric_of(pd.DataFrame({"test_accuracy": [1.0]})))
    width = 1.3 * len(header)
    # what its letters take, whatever the width of other figures
    width, height = (size * look.tick / 9.5 for size in (width, ROW_INCHES * (len(rows) + 5)))
    figure, (ax,) = new_figure(width=width, height=height, look=look)
    ax.axis("off")
    header = [name.replace(" (", "\n(") for name in header]
    grid = ax.table(rows, colLabels=header, cellLoc="center", loc="center")
    grid.auto_set_font_size(False)
    grid.set_fontsize(look.tick)
    for (row, _), cell in grid.get_celld().items():
        cell.visible_edges = "B"
        cell.set_edgecolor("#d0d0d0")
        cell.set_height((1.9 if row == 0 else 1.0) / (len(rows) + 2))
    caption = "Accuracies: mean ± sd (n); differences are paired."
    finish(figure, title=title, what="", caption=caption, run=run, look=look)
    return figure


def _plain(value: Any) -> Any:
    """A number of pandas as one of Python, for JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _arms(levels: pd.DataFrame) -> list[str]:
    return sort_arms(
        name.removesuffix("_mean") for name in levels.columns if name.endswith("_mean")
    )
