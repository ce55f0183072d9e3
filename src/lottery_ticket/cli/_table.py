"""`lottery table`."""

import csv
import enum
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.cli._options import (
    Caption,
    Imports,
    Label,
    Margin,
    RunReference,
    StorePath,
    import_code,
    level_numbers,
    listed,
)
from lottery_ticket.cli._print import console, print_table
from lottery_ticket.errors import UsageError
from lottery_ticket.store import TABLE_COLUMNS

if TYPE_CHECKING:
    from lottery_ticket.api import RunResult

__all__ = ["print_summary", "table"]


class Format(enum.StrEnum):
    """How a table is printed."""

    text = "text"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"


class Error(enum.StrEnum):
    """What stands beside a mean."""

    sd = "sd"
    ci = "ci"
    none = "none"


# what a terminal has room for, and the metric where there is one of the run's own; the other
# formats have every column
_TEXT_COLUMNS = (
    "arm",
    "level",
    "replicate",
    "draw",
    "density",
    "sparsity",
    "num_kept",
    "test_metric",
    "test_accuracy",
    "test_loss",
    "val_accuracy",
    "early_stop_step",
    "num_steps",
    "train_seconds",
)
_SPARE = ("sparsity", "draw", "num_steps", "val_accuracy", "train_seconds")


def table(
    run: RunReference = "last",
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.text,
    summary: Annotated[
        bool | None,
        typer.Option(
            "--summary/--trainings",
            help="One row per level, as LaTeX has them by default, or one per training, as the "
            "others do.",
            show_default=False,
        ),
    ] = None,
    error: Annotated[
        Error | None,
        typer.Option(
            help="Of LaTeX: standard deviation (by default), 95 % interval, or nothing beside a "
            "mean.",
            show_default=False,
        ),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            metavar="ARM,ARM…", help="Of LaTeX: these arms alone, in this order.",
            show_default=False,
        ),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(metavar="0,5,10…", help="Of LaTeX: these levels alone.", show_default=False),
    ] = None,
    caption: Caption = None,
    label: Label = None,
    margin: Margin = None,
    imports: Imports = None,
    store: StorePath = None,
) -> None:  # fmt: skip
    """Print the table of a run: a row per (arm, level, replicate)."""
    from lottery_ticket.api import load_run

    of_latex = {
        "error": None if error is None else str(error),
        "arms": listed("--arms", arms),
        "levels": level_numbers(levels),
        "caption": caption,
        "label": label,
        "margin": margin,
    }
    given = {name: value for name, value in of_latex.items() if value is not None}
    if format is not Format.latex and given:
        raise UsageError(f"--{next(iter(given))}: has an effect with --format latex alone")
    import_code(imports)
    result = load_run(run, store=store)
    if format is Format.latex:
        print(result.to_latex(trainings=summary is False, **given), end="")
    elif summary:
        _print_summary(result, format)
    else:
        _print_rows(result, format)


def _print_rows(result: "RunResult", format: Format) -> None:
    rows = result.rows
    columns = tuple(TABLE_COLUMNS)
    full = [{column: row.get(column) for column in columns} for row in rows]
    if format is Format.json:
        print(json.dumps(full, indent=1))
    elif format is Format.csv:
        _print_csv(columns, full)
    elif format is Format.markdown:
        _print_markdown(full)
    else:
        _print_text(full, result.record.title)


def print_summary(result: "RunResult") -> None:
    """Print a run's summary for people: a row per level, and what to know of it."""
    from lottery_ticket.analysis import metric_of, still_falling_note, summary, summary_text

    table = result.table
    metric = metric_of(table)
    title = f"{result.record.title}: {metric.label}, mean ± sd (n)"
    print_table(summary_text(summary(table), metric), title=title, spare=("sparsity", "kept"))
    if {TICKET, REINIT} <= {*table.loc[table["level"] == 0, "arm"]}:
        console.print(f"dense: the mean of {TICKET}'s and {REINIT}'s level 0", soft_wrap=True)
    note = still_falling_note(table, result.record.spec.get("train", {}).get("duration"))
    if note is not None:
        console.print(note, soft_wrap=True)


def _print_summary(result: "RunResult", format: Format) -> None:
    from lottery_ticket.analysis import metric_of, summary_markdown

    if format is Format.text:
        print_summary(result)
        return
    frame = result.summary
    if format is Format.json:
        records = frame.astype(object).where(frame.notna(), None).to_dict("records")
        print(json.dumps(records, indent=1))
    elif format is Format.csv:
        frame.to_csv(sys.stdout, index=False)
    else:
        print(summary_markdown(frame, metric_of(result.table)), end="")


def _print_text(rows: list[dict[str, Any]], title: str) -> None:
    own = next((row["metric"] for row in rows if row["metric"] is not None), None)
    columns = [name for name in _TEXT_COLUMNS if own is not None or name != "test_metric"]
    lines = [[_short(row, column) for column in columns] for row in rows]
    header = [f"test_{own}" if name == "test_metric" else name for name in columns]
    print_table([header, *lines], title=title, spare=_SPARE)
    if any(row["is_still_falling"] for row in rows):
        console.print("+ a lower bound: the validation loss was still falling at the end")


def _print_markdown(rows: list[dict[str, Any]]) -> None:
    lines = [[_text(row[column]) for column in TABLE_COLUMNS] for row in rows]
    for line in ([*TABLE_COLUMNS], ["---"] * len(TABLE_COLUMNS), *lines):
        print(f"| {' | '.join(line)} |")


def _print_csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _short(row: dict[str, Any], column: str) -> str:
    """A cell of the table for a terminal, where the flag is a sign on the step it is about."""
    is_marked = column == "early_stop_step" and row["is_still_falling"]
    return f"{_text(row[column])}+" if is_marked else _text(row[column])


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
