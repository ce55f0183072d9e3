"""`lottery table`."""

import csv
import enum
import json
import sys
from typing import Annotated, Any

import typer

from lottery_ticket.cli._options import RunReference, StorePath
from lottery_ticket.cli._print import print_table
from lottery_ticket.store import TABLE_COLUMNS

__all__ = ["table"]


class Format(enum.StrEnum):
    """How a table is printed."""

    text = "text"
    json = "json"
    csv = "csv"
    markdown = "markdown"


# what a terminal has room for; the other formats have every column
_TEXT_COLUMNS = (
    "arm",
    "level",
    "replicate",
    "draw",
    "density",
    "sparsity",
    "num_kept",
    "test_accuracy",
    "test_loss",
    "val_accuracy",
    "early_stop_step",
    "num_steps",
    "train_seconds",
)


def table(
    run: RunReference = "last",
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.text,
    summary: Annotated[
        bool, typer.Option("--summary", help="One row per level instead of one per training.")
    ] = False,
    store: StorePath = None,
) -> None:
    """Print the table of a run: a row per (arm, level, replicate)."""
    from lottery_ticket.api import load_run

    result = load_run(run, store=store)
    if summary:
        _print_summary(result, format)
        return
    rows = result.rows
    columns = tuple(TABLE_COLUMNS)
    full = [{column: row.get(column) for column in columns} for row in rows]
    if format is Format.json:
        print(json.dumps(full, indent=1))
    elif format is Format.csv:
        _print_csv(columns, full)
    else:
        lines = [list(_TEXT_COLUMNS)] + [[_text(row[c]) for c in _TEXT_COLUMNS] for row in full]
        if format is Format.markdown:
            lines = [list(columns)] + [[_text(row[c]) for c in columns] for row in full]
            print(_markdown(lines), end="")
        else:
            print_table(lines, title=result.id)


def _print_summary(result: Any, format: Format) -> None:
    from lottery_ticket.analysis import metric_of, summary_markdown, summary_text

    frame, metric = result.summary, metric_of(result.table)
    if format is Format.json:
        records = frame.astype(object).where(frame.notna(), None).to_dict("records")
        print(json.dumps(records, indent=1))
    elif format is Format.csv:
        frame.to_csv(sys.stdout, index=False)
    elif format is Format.markdown:
        print(summary_markdown(frame, metric), end="")
    else:
        title = f"{result.id}: {metric.label}, mean ± sd (n)"
        print_table(summary_text(frame, metric), title=title)


def _print_csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _markdown(lines: list[list[str]]) -> str:
    header, *body = lines
    full = [header, ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in full)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
