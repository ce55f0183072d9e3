"""`lottery verify`."""

from dataclasses import dataclass, field

import typer

from lottery_ticket.cli._options import Json, StorePath, open_store
from lottery_ticket.cli._print import console, print_error, print_json
from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store import Store

__all__ = ["verify"]


@dataclass
class _Findings:
    """What was found in a store."""

    num_cells: int = 0
    num_runs: int | None = None
    damaged: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    num_notes: int = 0
    num_of_searches: int = 0
    num_unsealed: int = 0
    strangers: list[str] = field(default_factory=list)

    def take(self, error: StoreError) -> None:
        """Note a file that is damaged, or that cannot be read."""
        kind = self.damaged if isinstance(error, DamagedError) else self.unreadable
        kind.append(str(error))


def verify(store: StorePath = None, json: Json = False) -> None:
    """Read every file in the store and compare it with its checksum; exit 1 if one differs."""
    opened = open_store(store)
    found = _Findings()
    searched = _read_runs(opened, found)
    _read_cells(opened, found, searched)
    if json:
        print_json(vars(found))
    else:
        _print(opened, found)
    if found.damaged or found.unreadable:
        raise typer.Exit(1)


def _read_cells(store: Store, found: _Findings, searched: set[str]) -> None:
    try:
        names = sorted(store.cell_names())
    except StoreError as error:
        found.take(error)
        return
    found.num_cells = len(names)
    for name in names:
        try:
            cell = store.checked(name)
            if cell is not None:
                found.num_unsealed += not cell.execution.is_sealed
                found.strangers += store.strangers(cell)
        except StoreError as error:
            found.take(error)
            found.num_of_searches += name in searched


def _read_runs(store: Store, found: _Findings) -> set[str]:
    """Read the runs; returns the names of cells that only a search can make."""
    searched: set[str] = set()
    try:
        run_ids = store.run_ids()
    except StoreError as error:
        found.take(error)
        return searched
    num_whole = 0
    for run_id in run_ids:
        try:
            run = store.read_run(run_id)
            searched |= run.cells() if run.searches else set()
            num_whole += 1
        except StoreError as error:
            found.take(error)
    if num_whole == len(run_ids):
        found.num_runs = num_whole
    try:
        notes = store.damaged_labels()
        found.damaged += map(str, notes)
        found.num_notes = len(notes)
    except StoreError as error:
        found.take(error)
    return searched


def _print(store: Store, found: _Findings) -> None:
    for message in (*found.damaged, *found.unreadable):
        print_error(message)
    counts = {
        "damaged": len(found.damaged) - found.num_notes,
        "damaged among names, tags and notes": found.num_notes,
        "unreadable": len(found.unreadable),
    }
    state = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "all as written"
    console.print(f"{store.location}: {found.num_cells} cells, {state}", soft_wrap=True)
    if found.num_of_searches:
        console.print(
            f"{found.num_of_searches} of them are of searches with a training loop of their own: "
            "find_winning_ticket(…, resume=STORE) makes them anew",
            soft_wrap=True,
        )
    if len(found.damaged) > found.num_of_searches + found.num_notes:
        console.print("`lottery run` makes damaged cells anew, and what hung on other bytes")
    for path in found.strangers:
        console.print(f"not the store's, and not checked: {path}", soft_wrap=True)
    if found.num_unsealed:
        console.print(
            f"how it ran has no checksum in {found.num_unsealed} cells of an earlier version: "
            "`lottery doctor --repair` gives them one, of what they say now",
            soft_wrap=True,
        )
