"""The options by which `lottery list` and `lottery runs` choose among runs, and how they print."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lottery_ticket.cli._execution import places
from lottery_ticket.cli._print import console
from lottery_ticket.store import Store, default_store_path

__all__ = ["Data", "Since", "Sort", "Stores", "Tags", "Where", "opened", "print_shared", "shared"]

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="KEY=VALUE",
        help="Those of which it holds: train.lr=0.1, 'lr <= 0.1', 'arms=reinit'. Repeatable.",
        show_default=False,
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Those with this tag. Repeatable."),
]
Data = Annotated[
    str | None, typer.Option("--data", help="Those on this data set.", show_default=False)
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Those started first since a date (2026-11-30), or an age ago (12h, 7d, 2w).",
        show_default=False,
    ),
]
Sort = Annotated[
    str,
    typer.Option("--sort", metavar="KEY", help="By which column; -KEY for the largest first."),
]
Stores = Annotated[
    list[str] | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        help="Where results are: a folder, or s3://bucket/prefix, gs://…, az://…; else "
        "$LOTTERY_STORE, else ./lottery_runs. Repeatable.",
        autocompletion=places,
        show_default=False,
    ),
]


def opened(stores: list[str] | None) -> list[Store]:
    """The stores that were asked for."""
    return [Store(place) for place in stores or [default_store_path()]]


def shared(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    """The columns in which several rows have one value, which is said once below them."""
    if len(rows) < 2:
        return []
    return [name for name in columns if all(row[name] == rows[0][name] for row in rows)]


def print_shared(row: dict[str, Any], columns: Sequence[str]) -> None:
    """Say what all runs have in common."""
    if columns:
        said = "; ".join(f"{name} {row[name]}" for name in columns)
        console.print(f"in all: {said}", soft_wrap=True)
