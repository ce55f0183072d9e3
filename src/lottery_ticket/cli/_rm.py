"""`lottery rm`."""

import sys
from typing import Annotated

import typer

from lottery_ticket.cli._options import DryRun, StorePath, open_store
from lottery_ticket.cli._print import console, size_text
from lottery_ticket.errors import UsageError

__all__ = ["rm"]


def rm(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, a unique prefix of it, or its name.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    store: StorePath = None,
) -> None:
    """Remove a run and the cells that no other run uses; says how much that frees."""
    opened = open_store(store)
    record = opened.run(run)
    freed = opened.remove_run(record, dry_run=True)
    what = f"{record.id}: {freed.num_cells} cells, {size_text(freed.num_bytes)}"
    if dry_run:
        console.print(f"would remove {what}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"would remove {what}; say --yes where nobody can be asked")
        typer.confirm(f"remove {what}?", abort=True)
    opened.remove_run(record)
    console.print(f"removed {what}")
