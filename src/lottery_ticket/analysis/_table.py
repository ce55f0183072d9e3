"""The result table: its columns, their types and its order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lottery_ticket.errors import UsageError, nearest

__all__ = ["ARM_ORDER", "SCHEMA_VERSION", "TABLE_COLUMNS", "as_table", "sort_arms"]

SCHEMA_VERSION = 1
"""Raised when a column changes its name or its meaning."""

ARM_ORDER = ("ticket", "reinit", "shuffled", "random", "oneshot")
"""The order in which arms are listed; the others follow, alphabetically."""

_DTYPES = {
    "run": "string",
    "arm": "string",
    "level": "Int64",
    "replicate": "Int64",
    "draw": "Int64",
    "density": "float64",
    "sparsity": "float64",
    "num_kept": "Int64",
    "num_prunable": "Int64",
    "test_accuracy": "float64",
    "test_loss": "float64",
    "val_accuracy": "float64",
    "val_loss": "float64",
    "early_stop_step": "Int64",
    "test_accuracy_at_early_stop": "float64",
    "num_steps": "Int64",
    "train_seconds": "float64",
    "criterion": "string",
    "scope": "string",
    "precision": "string",
    "device": "string",
    "threads": "Int64",
    "cell": "string",
    "schema_version": "Int64",
}

TABLE_COLUMNS = tuple(_DTYPES)
"""The columns of the result table, in order."""


def _rank(arm: str) -> tuple[int, str]:
    return (ARM_ORDER.index(arm) if arm in ARM_ORDER else len(ARM_ORDER), arm)


def sort_arms(arms: Iterable[str]) -> list[str]:
    """The distinct arms in the order of `ARM_ORDER`, then alphabetically.

    Args:
        arms: names of arms, repeated or not.

    Returns:
        Each name once.

    >>> sort_arms(["lr_rewind", "random", "ticket", "finetune", "ticket"])
    ['ticket', 'random', 'finetune', 'lr_rewind']
    """
    return sorted({str(arm) for arm in arms}, key=_rank)


def as_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as the result table: all columns in order, typed, sorted.

    Args:
        rows: one mapping per training; a column that a row lacks is null, except
            `schema_version`, which is this version's.

    Returns:
        A table sorted by arm (see `sort_arms`), level, replicate and draw.

    Raises:
        UsageError: a row has a key that is no column.

    >>> table = as_table([{"arm": "reinit", "level": 1}, {"arm": "ticket", "level": 2}])
    >>> list(table["arm"]), table.columns[-1]
    (['ticket', 'reinit'], 'schema_version')
    """
    for row in rows:
        for key in row:
            if key not in _DTYPES:
                raise UsageError(f"{key!r} is no column{nearest(key, TABLE_COLUMNS)}")
    full = [{"schema_version": SCHEMA_VERSION, **row} for row in rows]
    frame = pd.DataFrame(full, columns=pd.Index(TABLE_COLUMNS)).astype(_DTYPES)
    rank = {arm: i for i, arm in enumerate(sort_arms(frame["arm"].dropna()))}
    return frame.sort_values(
        ["arm", "level", "replicate", "draw"],
        key=lambda column: column.map(rank) if column.name == "arm" else column,
        kind="stable",
        ignore_index=True,
    )
