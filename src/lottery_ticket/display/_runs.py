"""Runs and searches: what was found, a figure, a table."""

import pandas as pd
from markupsafe import Markup

from lottery_ticket.analysis import RunTables, Verdict, format_percent, metric_of
from lottery_ticket.api import RunResult
from lottery_ticket.arms import TICKET
from lottery_ticket.charts import VERDICT_STYLE
from lottery_ticket.display._blocks import BLUE, card, code, details, paragraph, picture, table
from lottery_ticket.display._verdicts import level_strip, verdict_notes
from lottery_ticket.errors import UsageError
from lottery_ticket.finder import LotteryTicketFinder, TicketResults
from lottery_ticket.plots import density_figure, figure_png
from lottery_ticket.report import headline, level_rows, no_ticket

__all__ = ["finder_html", "result_html", "search_html"]

_WIDTH = 540


def result_html(result: RunResult) -> Markup:
    """The verdict first, then accuracy against density, then a row per level."""
    rows, record = result.rows, result.record
    about = f"{record.title}: {len(rows):,} of {len(record.rows):,} trainings finished"
    if not rows:
        return card(record.name, paragraph("No training is finished yet."), about=about)
    try:
        verdict, reason = result.verdict(), ""
    except UsageError as error:
        verdict, reason = None, str(error).removeprefix(f"{result.id}: ")
    head = no_ticket(reason) if verdict is None else headline(verdict)
    strip = [] if verdict is None else [level_strip(verdict)]
    return card(
        head.title,
        *strip,
        paragraph(head.sentence),
        *_figure(result.table, verdict),
        _levels(result.table, verdict),
        *([] if verdict is None else verdict_notes(verdict)),
        about=about,
        color=BLUE if verdict is None else VERDICT_STYLE[verdict.label].color,
    )


def _figure(frame: pd.DataFrame, verdict: Verdict | None) -> list[Markup]:
    """The one figure that says it all; none where there is no value to draw."""
    metric = metric_of(frame)
    try:
        figure = density_figure(frame, metric, verdict=verdict)
    except UsageError:
        return []
    text = f"{metric.label} against the weights kept, per arm"
    return [picture(figure_png(figure, dpi=150), text, width=_WIDTH)]


def _levels(frame: pd.DataFrame, verdict: Verdict | None) -> Markup:
    shown = level_rows(RunTables(frame), verdict)
    # their intervals are the verdict's to show
    rows = [[cell.text.partition(" [")[0] for cell in row] for row in shown.rows]
    return table(shown.columns, rows, left=(3,) if verdict is not None else ())


def search_html(results: TicketResults) -> Markup:
    """What a search found: dense, ticket and controls, a figure, a row per training."""
    lines = str(results).split("\n")
    if not any(row.arm == TICKET for row in results.rows):
        return card(lines[0])
    problems = [] if results.is_valid else [paragraph("Invalid: " + "; ".join(results.problems))]
    mask = results.mask
    title = (
        f"{mask.num_kept:,} weights kept, {format_percent(mask.density)} of {mask.num_prunable:,}"
    )
    return card(
        title,
        *problems,
        code("\n".join(lines[1:])),
        *_figure(results.table, None),
        details(
            f"{len(results.rows):,} trainings", code("\n".join(map(results.line, results.rows)))
        ),
        about=lines[0],
        color=BLUE if results.is_valid else "#B04A00",
    )


def finder_html(finder: LotteryTicketFinder) -> Markup:
    """What it found last."""
    try:
        found = finder.results
    except UsageError:
        return card("LotteryTicketFinder", paragraph("It has not searched yet."))
    return card("LotteryTicketFinder", search_html(found))
