"""`lottery watch`."""

import webbrowser
from typing import Annotated

import typer

from lottery_ticket.cli._options import StorePath, open_store
from lottery_ticket.cli._print import console
from lottery_ticket.errors import UsageError

__all__ = ["watch"]


def watch(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run's id, a unique prefix of it, its name, or 'last'; by default all of the "
            "store.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Where the page is; 0 for a port that is free.")] = 0,
    host: Annotated[
        str, typer.Option(help="127.0.0.1, localhost or ::1: other machines cannot reach the page.")
    ] = "127.0.0.1",
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address alone, open no browser.")
    ] = False,
    store: StorePath = None,
) -> None:
    """Show runs in a browser as they go: levels, curves, workers, time left; Ctrl-C ends it.

    The page reads the store alone, so that it does not matter who makes the run, or where.
    """
    from lottery_ticket.process import random_state_kept

    opened = open_store(store)
    if not opened.exists():
        raise UsageError(f"{opened.location}: no store is there yet; start a run in it first")
    chosen = None if run is None else opened.run(run).id
    with random_state_kept():  # rich draws a random number when it is imported
        from lottery_ticket.watch import open_watcher

    with open_watcher(opened.absolute().location, host=host, port=port) as watcher:
        url = watcher.url if chosen is None else watcher.url_of(chosen)
        console.print(
            f"watching {chosen or opened.location} at {url}", markup=False, soft_wrap=True
        )
        console.print("Ctrl-C ends it; the run goes on without it")
        if not no_open:
            _open(url)
        watcher.serve_forever()


def _open(url: str) -> None:
    """Where there is a browser with windows: one that draws text would take the terminal over."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is not webbrowser.GenericBrowser:
        browser.open(url)
