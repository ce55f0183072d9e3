"""`lottery status`."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lottery_ticket.cli._options import Json, RunReference, StorePath, open_store
from lottery_ticket.cli._print import console, print_json
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.experiment import RunStatus, Working

__all__ = ["status"]

_WATCH_SECONDS = 2.0
_MOST_LINES = 40


def status(
    run: RunReference = "last",
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds, until it is over.")
    ] = False,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Say how far a run is, whoever makes it: what is done, who is at what, what failed.

    Exit code 1 if something failed.
    """
    from lottery_ticket.workers import status as look

    if watch and json:
        raise UsageError("--watch and --json: choose one")
    opened = open_store(store)
    found = look(run, store=opened)
    name = opened.labels_of(found.run_id).name
    if json:
        print_json({**_values(found), "name": name})
    elif watch and console.is_terminal:
        with Live(_shown(found, name), console=console, refresh_per_second=4) as live:
            while not found.is_over:
                time.sleep(_WATCH_SECONDS)
                found = look(found.run_id, store=opened)
                live.update(_shown(found, name))
    else:
        console.print(_shown(found, name), soft_wrap=True)
        while watch and not found.is_over:
            time.sleep(_WATCH_SECONDS)
            before, found = found, look(found.run_id, store=opened)
            if _head(found, name) != _head(before, name):
                console.print(_head(found, name), soft_wrap=True)
    if found.failed:
        raise typer.Exit(1)


def _values(found: "RunStatus") -> dict[str, Any]:
    return {**asdict(found), "num_waiting": found.num_waiting, "is_over": found.is_over}


def _shown(found: "RunStatus", name: str) -> RenderableType:
    bar = ProgressBar(total=found.num_cells, completed=found.num_finished, width=40)
    parts: list[RenderableType] = [Text(_head(found, name)), bar, Text("")]
    if begun := found.working + found.silent:
        parts.append(_working(begun))
    for title, message in found.failed.items():
        parts.append(Text(f"failed: {title}: {message}", style="red"))
    if found.failed:
        again = "`lottery submit SPEC --retry-failed`" if found.is_submitted else "the same command"
        parts.append(Text(f"{again} tries these again"))
    return Group(*parts)


def _head(found: "RunStatus", name: str) -> str:
    from lottery_ticket.progress import status_words

    called = f"{name} ({found.run_id})" if name else found.run_id
    return f"{called}: {', '.join(status_words(found))}"


def _working(working: "tuple[Working, ...]") -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("running", "where", "device", "since", "how far"):
        table.add_column(name, no_wrap=True, justify="left")
    for one in working[:_MOST_LINES]:
        table.add_row(*map(Text, _line(one)))
    if len(working) > _MOST_LINES:
        table.add_row(Text(f"and {len(working) - _MOST_LINES} more"))
    return table


def _line(one: "Working") -> tuple[str, ...]:
    from lottery_ticket.progress import time_text

    where, device, since = "", "", ""
    if one.maker is not None:
        where, device = f"{one.maker.host}:{one.maker.process}", one.maker.device
        since = f"{time_text(max(0.0, time.time() - one.maker.since))} ago"
    if one.silent_seconds is not None:
        since = f"silent for {time_text(one.silent_seconds)}"
    if one.progress is None or not one.progress.num_steps:
        return one.title, where, device, since, ""
    share = 100 * one.progress.step / one.progress.num_steps
    return one.title, where, device, since, f"{share:.0f} % ({one.progress.step:,} steps)"
