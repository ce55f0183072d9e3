"""Mean and spread over replicates; draws inside a replicate are averaged first."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis._table import sort_arms
from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.errors import UsageError

__all__ = [
    "FRESH",
    "LEAD",
    "check_one_run",
    "dense_means",
    "level_statistics",
    "num_test_of",
    "replicate_means",
    "size_by_level",
    "values_by_arm",
]

LEAD = TICKET
"""The arm that is judged."""

FRESH = REINIT
"""The arm whose level 0 is a dense net too: from other initial weights."""

_CELL = ["arm", "level", "replicate"]


def check_one_run(table: pd.DataFrame) -> None:
    """Refuse a table of several runs: their replicates of one number are not one replicate.

    Args:
        table: a result table.

    Raises:
        UsageError: the column `run` holds more than one name.
    """
    runs = sorted({str(run) for run in table["run"].dropna()}) if "run" in table else []
    if len(runs) > 1:
        raise UsageError(
            f"the table holds {len(runs)} runs ({', '.join(runs)}); pass one at a time"
        )


def num_test_of(table: pd.DataFrame) -> int | None:
    """How many examples the smallest test set of a table has; None where that is not known."""
    known = table["num_test"].dropna() if "num_test" in table else ()
    return int(min(known)) if len(known) else None


def replicate_means(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One value per (arm, level, replicate): the mean over its draws that have one.

    Args:
        table: a result table.
        column: the column to average; its nulls are left out.

    Returns:
        A frame of arm, level, replicate and `column`.

    >>> rows = {"arm": "random", "level": 1, "replicate": 0, "loss": [1.0, 2.0]}
    >>> float(replicate_means(pd.DataFrame(rows), "loss")["loss"].iloc[0])
    1.5
    """
    known = table.loc[:, [*_CELL, column]].dropna()
    known = known.astype({"arm": "str", "level": "int64", "replicate": "int64", column: "float64"})
    return known.groupby(_CELL, as_index=False)[column].mean()


def level_statistics(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Per arm and level: mean, sd, n and 95 % t interval over replicates, and the mean density.

    Args:
        table: a result table.
        column: the column to summarise.

    Returns:
        A frame of arm, level, density (the arm's own), mean, sd (ddof 1), n, low and high (the
        ends of the interval; like sd they are null at n = 1), arms in the order of `sort_arms`.
        An arm's level without a value has no row.
    """
    keys = ["arm", "level"]
    values = replicate_means(table, column).rename(columns={column: "value"})
    found = values.groupby(keys, as_index=False).agg(
        mean=("value", "mean"), sd=("value", "std"), n=("value", "count")
    )
    densities = replicate_means(table, "density").groupby(keys, as_index=False)
    found = found.merge(densities.agg(density=("density", "mean")), on=keys, how="left")
    with np.errstate(invalid="ignore"):
        half = -special.stdtrit(found["n"] - 1, 0.025) * found["sd"] / np.sqrt(found["n"])
    found = found.assign(low=found["mean"] - half, high=found["mean"] + half)
    rank = {arm: i for i, arm in enumerate(sort_arms(found["arm"]))}
    return found.sort_values(
        ["arm", "level"],
        key=lambda key: key.map(rank) if key.name == "arm" else key,
        ignore_index=True,
    ).loc[:, ["arm", "level", "density", "mean", "sd", "n", "low", "high"]]


def values_by_arm(table: pd.DataFrame, column: str, levels: pd.Index) -> dict[str, pd.DataFrame]:
    """Per arm: a column's values with a row per level and a column per replicate.

    Args:
        table: a result table.
        column: the column; draws are averaged.
        levels: the rows, whether the arm has them or not.

    Returns:
        The frames, arms in the order of `sort_arms`.
    """
    means = replicate_means(table, column)
    return {
        arm: means[means["arm"] == arm]
        .pivot(index="level", columns="replicate", values=column)
        .reindex(levels)
        for arm in sort_arms(table["arm"].dropna())
    }


def dense_means(wide: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Per replicate: the mean of its dense nets, level 0 of `LEAD` and of `FRESH`.

    They share the order of the data and differ in their initial weights; a replicate that has only
    one of them counts with that.

    Args:
        wide: what `values_by_arm` returned, `LEAD` among it.
    """
    nets = [wide[arm].reindex([0]) for arm in (LEAD, FRESH) if arm in wide]
    return pd.concat(nets).mean().reindex(wide[LEAD].columns)


def size_by_level(table: pd.DataFrame) -> pd.DataFrame:
    """Per level: density, sparsity, num_kept, num_prunable of the first arm that is there.

    Args:
        table: a result table.

    Returns:
        A frame indexed by level: means over that arm's rows, counts rounded to whole numbers.
        (Rows of one level agree unless the budget was reached differently by each replicate.)
    """
    columns = ["density", "sparsity", "num_kept", "num_prunable"]
    rows = table.loc[:, ["arm", "level", *columns]].astype(
        {"arm": "str", "level": "int64"} | dict.fromkeys(columns, "Float64")
    )
    rank = {arm: i for i, arm in enumerate(sort_arms(rows["arm"]))}
    rows["arm"] = rows["arm"].map(rank)
    first = rows[rows["arm"] == rows.groupby("level")["arm"].transform("min")]
    sizes = first.groupby("level")[columns].mean()
    counts = {name: sizes[name].round().astype("Int64") for name in columns[2:]}
    return sizes.astype("float64").assign(**counts)
