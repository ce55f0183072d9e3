"""Every figure of a run, written into a folder."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lottery_ticket.analysis import RunTables, Verdict, metric_of
from lottery_ticket.charts import input_images, run_charts
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._figures import density_figure
from lottery_ticket.plots._inputs import inputs_figure
from lottery_ticket.plots._render import chart_figure
from lottery_ticket.plots._style import save
from lottery_ticket.plots._verdict import verdict_figure

__all__ = ["draw_all", "draw_summary_figure"]

# as they are read: what was found, how it was learnt, what the masks look like
_ORDER = (
    *("accuracy", "metric", "loss", "verdict", "difference", "early_stop", "layers"),
    *("learning_curves", "inputs", "overlap", "signs"),
)


def draw_all(
    tables: RunTables,
    out: Path,
    *,
    title: str,
    run: str = "",
    verdict: Verdict | None = None,
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Write every figure that the tables have values for.

    Args:
        tables: of one run; rows may be missing, and all but the result table may be empty.
        out: the folder to write into; it is made.
        title: the run's name; empty for no titles.
        run: the run's id, for the small print.
        verdict: of the run; without it there is no figure of it.
        formats: suffixes that matplotlib can write.

    Returns:
        The files written: `accuracy`, `loss`, `verdict`, `difference`, `early_stop`, `layers`,
        `learning_curves`, `inputs`, `overlap` and `signs`, each in every format; `metric` instead
        of `accuracy` where the run has a metric of its own that is better lower. `imp_recovery`,
        once a second figure of the loss of a regression, is that of `density_figure` with
        `is_linear=True`.

    Raises:
        UsageError: no training has a value of the metric, or the table holds several runs.
    """
    figures = _figures(tables, verdict, title, run)
    if not figures:
        raise UsageError(f"no training has a {metric_of(tables.table).label}; nothing to draw")
    return [
        save(figures[name], Path(out) / f"{name}.{suffix}")
        for name in _ORDER
        if name in figures
        for suffix in formats
    ]


def _figures(tables: RunTables, verdict: Verdict | None, title: str, run: str) -> dict[str, Figure]:
    """File name → figure."""
    figures = {
        name: chart_figure(charts, title=title, run=run)
        for name, charts in run_charts(tables, verdict).items()
    }
    if verdict is not None and verdict.levels:
        figures["verdict"] = verdict_figure(verdict, title=title, run=run)
    if input_images(tables.inputs):
        figures["inputs"] = inputs_figure(tables.inputs, title=title, run=run)
    return figures


def draw_summary_figure(
    table: pd.DataFrame, path: str | Path, *, title: str = "", run: str = ""
) -> Path:
    """Write the one figure that says it all: the metric against the weights kept, per arm.

    Args:
        table: the result table of one run; rows may be missing.
        path: the file to write, its format by its suffix; its folder is made.
        title: the run's name; without one there is no title.
        run: the run's id, for the small print.

    Returns:
        The path.

    Raises:
        UsageError: there is nothing to draw, or the table holds several runs.
    """
    return save(density_figure(table, metric_of(table), title=title, run=run), path)
