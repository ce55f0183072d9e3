"""`lottery list`."""

import time
from typing import Any

from lottery_ticket.cli._listing import (
    Data,
    Since,
    Sort,
    Stores,
    Tags,
    Where,
    opened,
    print_shared,
    shared,
)
from lottery_ticket.cli._options import Json
from lottery_ticket.cli._print import console, print_json, print_table

__all__ = ["list_runs"]

_TEXTS = ("run", "name", "differs", "data", "model", "arms", "tags", "store")
_LEAST, _OTHERS = 24, 56  # characters: of what differs, and of a line without it
_NUMBERS = ("replicates", "finished", "created")


def list_runs(
    where: Where = None,
    tag: Tags = None,
    data: Data = None,
    since: Since = None,
    sort: Sort = "created",
    store: Stores = None,
    json: Json = False,
) -> None:
    """List the runs in the store, the oldest first: how far they are, and in what they differ."""
    from lottery_ticket.runs import BASICS, Choice, listed_runs, sort_rows, told_apart

    choice = Choice(where or (), tag or (), data, since)
    stores = opened(store)
    listed = listed_runs(stores)
    known = [*BASICS, *dict.fromkeys(key for run in listed for key in run.recipe)]
    rows = [{**run.recipe, **run.basics, "run": run} for run in choice.plain(listed)]
    if listed:
        rows = sort_rows(choice.matching(rows, known, known), sort, known)
    labels = told_apart([row["run"] for row in rows])
    runs = [_said(row, label) for row, label in zip(rows, labels, strict=True)]
    if json:
        print_json(runs)
    elif not listed:
        places = ", ".join(each.location for each in stores)
        console.print(f"{places}: no runs yet; start one with `lottery run quickstart`")
    elif not runs:
        console.print(f"none of {len(listed)} runs is such a one")
    else:
        _print(runs, has_stores=len(stores) > 1)


def _said(row: dict[str, Any], label: str) -> dict[str, Any]:
    named = row["name"] if row["run"].labels.name else ""
    return {
        "run": row["id"],
        "name": named,
        "differs": label,
        **{key: row[key] for key in ("data", "model")},
        "arms": list(row["arms"]),
        **{key: row[key] for key in ("replicates", "finished", "cells")},
        "tags": list(row["tags"]),
        "notes": row["notes"],
        "store": row["store"],
        "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created"])),
    }


def _print(runs: list[dict[str, Any]], *, has_stores: bool) -> None:
    shown = [
        {
            **{key: str(value) for key, value in run.items()},
            "arms": ", ".join(run["arms"]),
            "tags": ", ".join(run["tags"]),
            "differs": _cut(run["differs"]),
            "finished": f"{run['finished']} of {run['cells']}",
        }
        for run in runs
    ]
    same = shared(shown, ("data", "model", "arms", "replicates"))
    empty = [key for key in ("name", "differs", "tags") if not any(run[key] for run in runs)]
    left_out = {*same, *empty, *(() if has_stores else ("store",))}
    texts = [key for key in _TEXTS if key not in left_out]
    numbers = [key for key in _NUMBERS if key not in left_out]
    rows = [[row[key] for key in (*texts, *numbers)] for row in shown]
    print_table([[*texts, *numbers], *rows], num_left=len(texts), spare=("created", "tags", "arms"))
    print_shared(shown[0], same)
    if any(row["differs"].endswith("…") for row in shown):
        console.print("…: in more keys; `lottery runs` has a column for each")


def _cut(label: str) -> str:
    """As many keys as a line has room for; `lottery runs` has a column for each."""
    most = max(_LEAST, console.width - _OTHERS)
    if len(label) <= most:
        return label
    head = label[:most].rpartition(", ")[0] or label[:most]
    return f"{head}, …"
