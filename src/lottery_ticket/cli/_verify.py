"""`lottery verify`."""

import typer

from lottery_ticket.cli._options import Json, StorePath, open_store
from lottery_ticket.cli._print import console, print_error, print_json
from lottery_ticket.errors import StoreError

__all__ = ["verify"]


def verify(store: StorePath = None, json: Json = False) -> None:
    """Read every file in the store and compare it with its checksum; exit 1 if one differs."""
    opened = open_store(store)
    names = sorted(opened.cell_names())
    damaged = []
    for name in names:
        try:
            opened.check(name)
        except StoreError as error:
            damaged.append(str(error))
    try:
        num_runs = len(opened.runs())
    except StoreError as error:
        damaged.append(str(error))
        num_runs = None
    if json:
        print_json({"num_cells": len(names), "num_runs": num_runs, "damaged": damaged})
    else:
        for message in damaged:
            print_error(message)
        state = f"{len(damaged)} damaged" if damaged else "all as written"
        console.print(f"{opened.root}: {len(names)} cells, {state}")
        if damaged:
            console.print("`lottery run` makes damaged cells anew, and what hung on other bytes")
    if damaged:
        raise typer.Exit(1)
