"""`lottery runs`."""

import csv
import enum
import math
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lottery_ticket.store import Store

__all__ = ["runs"]

_SHARED = ("data", "model", "arms", "metric", "replicates")
_SPARE = ("created", "tags", "finished", "arms", "model", "matching at", "replicates", "sparsest")


class Format(enum.StrEnum):
    """How a table is printed."""

    text = "text"
    json = "json"
    csv = "csv"
    markdown = "markdown"


def runs(
    where: Where = None,
    tag: Tags = None,
    data: Data = None,
    since: Since = None,
    keys: Annotated[
        str,
        typer.Option(
            "--keys",
            metavar="KEYS",
            help="Of the recipes: differing (those in which the runs differ), all, or which: "
            "train.lr,prune.rate.",
        ),
    ] = "differing",
    sort: Sort = "created",
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.text,
    store: Stores = None,
    json: Json = False,
) -> None:
    """Put all runs into one table: what was run, and what came of it. `list` is quicker."""
    from lottery_ticket.runs import COLUMNS, Choice, run_rows

    if json and format is not Format.text:
        raise UsageError(f"--json and --format {format}: leave one of them out")
    choice = Choice(where or (), tag or (), data, since)
    asked = keys if keys in ("differing", "all") else [k.strip() for k in keys.split(",")]
    stores = opened(store)
    rows, shown = run_rows(stores, choice, keys=asked, sort=sort)
    columns = [*COLUMNS, *shown]
    if json or format is Format.json:
        print_json([{name: _json(name, row.get(name)) for name in columns} for row in rows])
    elif format is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(name, row.get(name)) for name in columns] for row in rows)
    elif not rows:
        console.print(_none(stores, is_filtered=bool(where or tag or data or since)))
    else:
        _print(rows, shown, has_stores=len(stores) > 1, is_markdown=format is Format.markdown)


def _none(stores: "Sequence[Store]", *, is_filtered: bool) -> str:
    if is_filtered and any(store.run_ids() for store in stores):
        return "none of the runs is such a one; `lottery list` has all"
    places = ", ".join(store.location for store in stores)
    return f"{places}: no runs yet; start one with `lottery run quickstart`"


def _json(name: str, value: Any) -> Any:
    return _plain(name, value) if name == "created" else value


def _plain(name: str, value: Any) -> Any:
    """A value of a file: one text or number."""
    if name == "created":
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))
    return ",".join(value) if isinstance(value, tuple) else value


def _print(
    rows: "Sequence[dict[str, Any]]", keys: "Sequence[str]", *, has_stores: bool, is_markdown: bool
) -> None:
    from lottery_ticket.spec import ABSENT, short_names

    short = short_names(keys)
    shown = [_texts(row, keys, short) for row in rows]
    metrics = {row["metric"] for row in shown} - {ABSENT}
    if len(metrics) == 1:  # of those that have results
        shown = [row | {"metric": min(metrics)} for row in shown]
    same = shared(shown, (*_SHARED, *short.values()))
    optional = [key for key in ("name", "tags") if any(run[key] for run in shown)]
    left = ["run", *(key for key in ("name", "data", "model", "arms", "tags", "store", "metric")
                     if _is_shown(key, same, optional, has_stores))]  # fmt: skip
    right = [key for key in ("replicates", "finished") if key not in same]
    recipe = [name for name in short.values() if name not in same]
    results = ["dense", "winning at", "matching at", "sparsest", "verdict"]
    header = [*left, *recipe, *right, *results, "created"]
    lines = [header, *([row[name] for name in header] for row in shown)]
    if is_markdown:
        for line in (lines[0], ["---"] * len(header), *lines[1:]):
            print(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |")
        return
    print_table(lines, num_left=len(left), spare=(*_SPARE, *reversed(recipe)))
    print_shared(shown[0], same)


def _is_shown(key: str, same: "Sequence[str]", optional: "Sequence[str]", has_stores: bool) -> bool:
    if key == "store":
        return has_stores
    return key in optional if key in ("name", "tags") else key not in same


def _texts(row: dict[str, Any], keys: "Sequence[str]", short: dict[str, str]) -> dict[str, str]:
    from lottery_ticket.analysis import SHORT, format_percent
    from lottery_ticket.spec import ABSENT, value_text

    def share(name: str) -> str:
        return "–" if row[name] is None else format_percent(row[name])

    def value(key: str) -> str:
        found = row.get(key)
        return ABSENT if found is None else found if isinstance(found, str) else value_text(found)

    sparsest = f"{_metric(row, 'sparsest')} at {100 * (row['sparsest_density'] or 0):.3g} %"
    return {
        "run": row["id"],
        "name": row["name"] if row["is_named"] else "",
        **{key: str(row[key]) for key in ("data", "model", "store", "replicates")},
        **{key: ", ".join(row[key]) for key in ("arms", "tags")},
        "metric": "accuracy (%)" if row["metric"] == "accuracy" else row["metric"] or ABSENT,
        "finished": f"{row['finished']} of {row['cells']}",
        **{short[key]: value(key) for key in keys},
        "dense": _metric(row, "dense"),
        "winning at": share("winning_density"),
        "matching at": share("matching_density"),
        "sparsest": "–" if row["sparsest"] is None else sparsest,
        "verdict": SHORT.get(row["verdict"], "–"),
        "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created"])),
    }


def _metric(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.2f}" if row["metric"] == "accuracy" else f"{value:.4g}"
