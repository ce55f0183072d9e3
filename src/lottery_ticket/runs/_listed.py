"""The runs of stores, each with what people call it and how much of it is finished."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lottery_ticket.spec import short_labels, spec_values, value_text
from lottery_ticket.store import (
    IndexedCell,
    Looks,
    RunLabels,
    RunRecord,
    Store,
    looks_of,
    shared_looks,
)

__all__ = ["BASICS", "IN_COLUMNS", "RESULTS", "ListedRun", "listed_runs", "told_apart"]

BASICS = (
    "id",
    "name",
    "created",
    "store",
    "data",
    "model",
    "arms",
    "replicates",
    "finished",
    "cells",
    "tags",
    "notes",
)
"""What is known of every run without looking at its results."""

RESULTS = (
    "metric",
    "dense",
    "winning_density",
    "matching_density",
    "sparsest_density",
    "sparsest",
    "verdict",
)
"""What is known of a run from its results."""

IN_COLUMNS = ("name", "data.name", "model.name", "arms", "replicates")
"""Keys of specs that are columns of every listing."""


@dataclass(frozen=True)
class ListedRun:
    """A run of a store.

    Args:
        store: where it is.
        record: what it is.
        labels: what people call it.
        cells: all finished cells of the store, by name.
        looks: the rule that it is judged by, its own or that of a staged run whose tickets it has.
    """

    store: Store
    record: RunRecord
    labels: RunLabels
    cells: Mapping[str, IndexedCell]
    looks: Looks | None = None

    @cached_property
    def basics(self) -> dict[str, Any]:
        """A value for each of `BASICS`."""
        run, names = self.record, self.record.cells()
        return {
            "id": run.id,
            "name": self.labels.name or run.name,
            "created": run.created,
            "store": self.store.location,
            "data": run.data_name,
            "model": run.spec["model"]["name"],
            "arms": tuple(arm["name"] for arm in run.spec["arms"]),
            "replicates": run.spec.get("replicates", 1),
            "finished": len(names & self.cells.keys()),
            "cells": len(names),
            "tags": self.labels.tags,
            "notes": self.labels.notes,
        }

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The values of its spec by dotted key; lists and mappings are texts, as `--set` has
        them."""
        return {
            key: value_text(value, key) if isinstance(value, list | dict) else value
            for key, value in spec_values(self.record.told).items()
        }


def listed_runs(stores: Sequence[Store]) -> list[ListedRun]:
    """All runs of stores, the oldest first; raises `StoreError` if one cannot be read."""
    found: list[ListedRun] = []
    for store in stores:
        runs = store.runs()
        cells, labels = (store.cells(), store.labels()) if runs else ({}, {})
        staged = [run for run in runs if looks_of(run) is not None]
        found += [
            ListedRun(
                store,
                run,
                labels.get(run.id, RunLabels()),
                cells,
                shared_looks(run, lambda staged=staged: staged) if staged else None,
            )
            for run in runs
        ]
    return sorted(found, key=lambda run: run.record.created)


def told_apart(runs: Sequence[ListedRun], *, but: Collection[str] = IN_COLUMNS) -> list[str]:
    """For each run the values of the keys in which it differs from others of its name.

    Args:
        runs: the runs that are listed together.
        but: keys that are told elsewhere.
    """
    return short_labels([run.record.told for run in runs], but=but, is_named=False)
