"""`lottery report`."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from lottery_ticket.cli._options import (
    DataDir,
    DataOptions,
    Imports,
    Margin,
    StorePath,
    data_options,
    import_code,
    open_store,
)
from lottery_ticket.cli._print import size_text, step_shown

__all__ = ["report"]


class Format(enum.StrEnum):
    """What a report is written as."""

    html = "html"
    markdown = "markdown"


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN…]", help="Ids, unique prefixes of them, or names.", show_default="last"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write; by default report.html. Markdown is printed.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="A page that opens offline, or text for a pull request.")
    ] = Format.html,
    margin: Margin = None,
    data_dir: DataDir = None,
    data: DataOptions = None,
    imports: Imports = None,
    store: StorePath = None,
) -> None:
    """Write a report that can be sent: verdict, figures, tables, and what was run, in one file."""
    from lottery_ticket.api import load_run
    from lottery_ticket.api import report as written
    from lottery_ticket.errors import LotteryError

    import_code(imports)
    opened = open_store(store)
    results = [load_run(run, store=opened) for run in runs or ["last"]]
    path = Path("report.html") if out is None and format is Format.html else out
    try:
        options = {"margin": margin, "data_dir": data_dir, "data": data_options(data)}
        with step_shown() as said:
            said(f"reading {', '.join(result.id for result in results)}, and writing the report")
            page = written(results, path, format=str(format), **options)
    except OSError as error:
        raise LotteryError(f"{path}: cannot be written ({error.strerror or error})") from None
    print(
        page if path is None else f"{path} ({size_text(len(page.encode()))})",
        end="\n" if path else "",
    )
