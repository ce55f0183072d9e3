"""The result table: its columns, their types and its order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lottery_ticket.arms import ARMS
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.store import SCHEMA_VERSION, TABLE_COLUMNS

__all__ = ["ARM_ORDER", "as_table", "sort_arms"]

ARM_ORDER = tuple(ARMS)
"""The library's own arms in the order in which they are listed; others follow."""

# int and bool columns are nullable: a training without a validation split has no early-stop step
_DTYPES = {
    name: {str: "string", int: "Int64", float: "float64", bool: "boolean"}[kind]
    for name, kind in TABLE_COLUMNS.items()
}


def _rank(arm: str) -> tuple[int, str]:
    known = list(ARMS)
    return (known.index(arm) if arm in known else len(known), arm)


def sort_arms(arms: Iterable[str]) -> list[str]:
    """The distinct arms as they are listed: as registered, then alphabetically.

    Args:
        arms: names of arms, repeated or not.

    Returns:
        Each name once.

    >>> sort_arms(["mine", "finetune", "random", "ticket", "lr_rewind", "ticket"])
    ['ticket', 'random', 'lr_rewind', 'finetune', 'mine']
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
    frame = pd.DataFrame(full, columns=pd.Index(list(TABLE_COLUMNS))).astype(_DTYPES)
    rank = {arm: i for i, arm in enumerate(sort_arms(frame["arm"].dropna()))}
    return frame.sort_values(
        ["arm", "level", "replicate", "draw"],
        key=lambda column: column.map(rank) if column.name == "arm" else column,
        kind="stable",
        ignore_index=True,
    )
