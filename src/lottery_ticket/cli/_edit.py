"""`lottery edit`."""

from dataclasses import asdict
from typing import Annotated

import typer

from lottery_ticket.cli._execution import AddTags, Notes
from lottery_ticket.cli._options import Json, RunReference, StorePath, open_store
from lottery_ticket.cli._print import console, print_json
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.store import RunEdit, RunLabels

__all__ = ["edit"]


def edit(
    run: RunReference,
    name: Annotated[
        str | None,
        typer.Option(
            help='By which to ask for it, beside its id; "" takes its name away.',
            show_default=False,
        ),
    ] = None,
    tag: AddTags = None,
    untag: Annotated[
        list[str] | None,
        typer.Option("--untag", metavar="TAG", help="A tag to take away. Repeatable."),
    ] = None,
    notes: Notes = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Give a run a name, tags and notes, or others; its id and its results stay as they are."""
    opened = open_store(store)
    asked = RunEdit(name, tuple(tag or ()), tuple(untag or ()), notes)
    record = opened.run(run)
    labels = opened.labels_of(record.id)
    for missing in asked.remove_tags:
        if missing not in labels.tags:
            hint = nearest(missing, labels.tags) or "; it has none"
            raise UsageError(f"--untag: {record.id} has no tag {missing!r}{hint}")
    if asked != RunEdit():
        labels = opened.edit_run(record.id, asked)
    if json:
        print_json({"run": record.id, **asdict(labels)})
    else:
        _print(record.id, labels)


def _print(run_id: str, labels: RunLabels) -> None:
    lines = {
        "run": run_id,
        "name": labels.name or "–",
        "tags": ", ".join(labels.tags) or "–",
        "notes": labels.notes.replace("\n", "\n       ") or "–",
    }
    for what, said in lines.items():
        console.print(f"{what:5}  {said}", soft_wrap=True)
