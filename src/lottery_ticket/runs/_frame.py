"""All runs of a store, or of several, as one frame."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.runs._listed import BASICS, RESULTS, listed_runs
from lottery_ticket.runs._results import results_of
from lottery_ticket.runs._select import Choice, recipe_keys, sort_rows
from lottery_ticket.store import Store, default_store_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "frame_of", "load_runs", "opened_stores", "run_rows"]

Place = str | Path | Store

COLUMNS = (*BASICS[:-2], *RESULTS, *BASICS[-2:])
"""The columns of every frame; those of recipes follow."""


@known_keywords("load_runs")
def load_runs(
    store: Place | Sequence[Place] | None = None,
    *,
    where: str | Sequence[str] = (),
    tags: str | Sequence[str] = (),
    data: str | None = None,
    since: str | datetime | None = None,
    keys: str | Sequence[str] = "differing",
    sort: str = "created",
) -> "pd.DataFrame":
    """All runs, a row for each: what was run, how much of it is finished, and what came of it.

    Args:
        store: a folder, an address, what was opened there, or several of them; None for
            `$LOTTERY_STORE`, else `./lottery_runs`.
        where: conditions that all hold: `"train.lr=0.1"`, `"lr <= 0.1"`, `"dense > 0.97"`,
            `"verdict=winning"`, `"arms=reinit"`. A key is a column, or one of the recipe.
        tags: that the runs have, all of them.
        data: the name of their data.
        since: when they were started first: a date, or an age such as `"7d"`.
        keys: the columns of their recipes: `"differing"`, the keys in which these runs differ;
            `"all"`; or which, by their dotted paths as `--set` has them.
        sort: by which column; `"-dense"` has the largest first.

    Returns:
        A frame of id, name, created, store, data, model, arms, replicates, finished and cells (how
        many of how many), metric, dense (the dense nets' mean), winning_density and
        matching_density (of the sparsest level that is claimed to be so; accuracies and densities
        are fractions), sparsest_density and sparsest (the ticket's mean at its sparsest level),
        verdict, tags, notes, and a column for each key. What is not known is null.

    Raises:
        UsageError: a key, tag or data set that no run has, or something that cannot be read.
        StoreError: a store cannot be read.

    >>> load_runs(where="train.lr <= 0.1", sort="-dense")  # doctest: +SKIP
    """
    choice = Choice(where, tags, data, since)
    rows, shown = run_rows(opened_stores(store), choice, keys=keys, sort=sort)
    return frame_of(rows, shown)


def opened_stores(store: Place | Sequence[Place] | None) -> list[Store]:
    """The stores that are meant, opened."""
    places = [store] if store is None or isinstance(store, Place) else store
    if not isinstance(places, list | tuple):
        raise UsageError(
            f"store: got {store!r:.40}, wanted a folder, an address, or a list of them"
        )
    named = [default_store_path() if place is None else place for place in places]
    return [place if isinstance(place, Store) else Store(place) for place in named]


def run_rows(
    stores: Sequence[Store],
    choice: Choice,
    *,
    keys: str | Sequence[str] = "differing",
    sort: str = "created",
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of `load_runs` as plain values, and the keys of recipes that are shown.

    Args:
        stores: whose runs.
        choice: which of them.
        keys, sort: as of `load_runs`.
    """
    listed = listed_runs(stores)
    known = [*COLUMNS, *dict.fromkeys(key for run in listed for key in run.recipe)]
    runs = choice.plain(listed)
    of = {f"{run.store.location} {run.record.id}": run for run in runs}
    rows = [
        {"_": name, "is_named": bool(run.labels.name), **run.recipe, **run.basics}
        for name, run in of.items()
    ]
    if listed:
        choice.check(known)
    rows = choice.matching(rows, known, {*known} - {*RESULTS})
    rows = [row | results_of(of[row["_"]]) for row in rows]
    rows = choice.matching(rows, known, RESULTS)
    shown = recipe_keys([of[row["_"]] for row in rows], keys)
    return sort_rows(rows, sort, known) if listed else rows, shown


def frame_of(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> "pd.DataFrame":
    """Rows as a frame.

    Args:
        rows: of `run_rows`.
        keys: of recipes.
    """
    import pandas as pd

    columns = [*COLUMNS, *keys]
    frame = pd.DataFrame([{name: row.get(name) for name in columns} for row in rows], None, columns)
    counts = dict.fromkeys(("replicates", "finished", "cells"), "int64")
    values = ("dense", "winning_density", "matching_density", "sparsest_density", "sparsest")
    frame = frame.astype(counts | dict.fromkeys(values, "float64"))
    frame["created"] = pd.to_datetime(frame["created"].astype("float64"), unit="s", utc=True)
    return frame
