"""Means over replicates, draws inside a replicate averaged first; what figures are made of."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis.statistics.tables import metric_of, sort_arms
from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.errors import UsageError

__all__ = [
    "FRESH",
    "LEAD",
    "check_one_run",
    "curve_means",
    "dense_mean",
    "dense_means",
    "input_means",
    "layer_means",
    "level_statistics",
    "num_test_of",
    "overlap_means",
    "replicate_means",
    "sign_statistics",
    "size_by_level",
    "summary",
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


def dense_mean(table: pd.DataFrame, column: str = "test_accuracy") -> float:
    """What the ticket's differences from dense are taken against, over all replicates.

    The dense nets of a replicate are averaged first, see `dense_means`.

    Args:
        table: a result table of one run; rows may be missing.
        column: the column.

    Returns:
        The mean; not a number where no dense net of `LEAD` is known.

    Example:
        >>> rows = {"arm": ["ticket", "reinit"], "level": 0, "replicate": 0, "draw": 0}
        >>> dense_mean(pd.DataFrame({**rows, "test_accuracy": [0.75, 0.25]}))
        0.5
    """
    wide = values_by_arm(table, column, pd.Index([0], name="level"))
    if LEAD not in wide or bool(wide[LEAD].isna().to_numpy().all()):
        return math.nan
    return float(dense_means(wide).mean())


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


def curve_means(history: pd.DataFrame, column: str) -> pd.DataFrame:
    """Learning curves: per arm, level and step the mean of a column; draws are averaged first.

    Args:
        history: arm, level, replicate, step and the column.
        column: what to average; its nulls are left out.

    Returns:
        A frame of arm, level, step, mean and n (replicates).
    """
    known = history.loc[:, ["arm", "level", "replicate", "step", column]].dropna()
    known = known.astype({column: "float64", "level": "int64", "step": "int64"})
    keys = ["arm", "level", "step"]
    means = known.groupby([*keys, "replicate"], as_index=False).agg(value=(column, "mean"))
    return means.groupby(keys, as_index=False).agg(mean=("value", "mean"), n=("value", "count"))


def layer_means(layers: pd.DataFrame) -> pd.DataFrame:
    """The density of each layer and of all together, of the first arm of `sort_arms`.

    Args:
        layers: arm, level, replicate, draw, layer, num_kept, num_prunable; layers in model order.

    Returns:
        A frame of level, layer (the last is `"all"`), density and n, by level.
    """
    rows = layers.loc[layers["arm"] == sort_arms(layers["arm"])[0]]
    keys = ["level", "replicate", "draw"]
    whole = rows.groupby(keys, as_index=False).agg(
        num_kept=("num_kept", "sum"), num_prunable=("num_prunable", "sum")
    )
    rows = pd.concat([rows, whole.assign(layer="all")], ignore_index=True)
    rows = rows.assign(density=rows["num_kept"] / rows["num_prunable"])
    keys = ["level", "layer"]
    means = rows.groupby([*keys, "replicate"], sort=False, as_index=False).agg(
        density=("density", "mean")
    )
    found = means.groupby(keys, sort=False, as_index=False).agg(
        density=("density", "mean"), n=("density", "count")
    )
    return found.sort_values("level", kind="stable", ignore_index=True)


def overlap_means(overlap: pd.DataFrame) -> pd.DataFrame:
    """Per pruned level and layer: what pairs of replicates share, beside chance.

    Args:
        overlap: `structure.overlap_table` across replicates, of one arm.

    Returns:
        A frame of level, layer, density, share, low and high (the lowest and the highest pair),
        expected (under chance), num_pairs; empty without a pair of pruned masks.
    """
    rows = overlap.loc[overlap["level"] > 0] if not overlap.empty else overlap
    if rows.empty:
        return pd.DataFrame()
    rows = rows.assign(density=rows["num_kept"] / rows["num_prunable"])
    return rows.groupby(["level", "layer"], sort=False, as_index=False).agg(
        density=("density", "mean"),
        share=("share", "mean"),
        low=("share", "min"),
        high=("share", "max"),
        expected=("expected_share", "mean"),
        num_pairs=("share", "size"),
    )


def input_means(inputs: pd.DataFrame) -> pd.DataFrame:
    """Per level and input of the net: the mean share of the first layer's weights that read it.

    Args:
        inputs: `structure.input_density` of one arm.

    Returns:
        A frame of level, input, density, and `num_read`, the mean number of inputs of the level
        that any weight reads.
    """
    means = inputs.groupby(["level", "input"], as_index=False).agg(density=("density", "mean"))
    read = inputs.assign(num_read=(inputs["num_kept"] > 0).astype("int64"))
    by_replicate = read.groupby(["level", "replicate", "draw"], as_index=False).agg(
        num_read=("num_read", "sum")
    )
    counts = by_replicate.groupby("level", as_index=False).agg(num_read=("num_read", "mean"))
    return means.merge(counts, on="level")


def sign_statistics(kept_weights: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Per arm and level: the share of kept weights whose sign training did not change.

    Args:
        kept_weights: `structure.run_kept_weights`.
        table: the result table, which knows the densities.

    Returns:
        What `level_statistics` returns.
    """
    keys = ["arm", "level", "replicate", "draw"]
    rows = kept_weights.loc[kept_weights["layer"] == "all", [*keys, "sign_kept"]]
    return level_statistics(rows.merge(table[[*keys, "density"]], on=keys), "sign_kept")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Every arm's metric at every level, and its differences from dense and from reinit.

    The unit of n is the replicate: the draws of a replicate are averaged first. A difference is
    the mean over the replicates that have *both* values. Dense is the mean of the dense nets of
    the same replicate: level 0 of `ticket` and of `reinit`; in a table without a `ticket` arm,
    level 0 of the arm itself.

    Args:
        table: a result table of one run; rows may be missing.

    Returns:
        A frame of level, density, sparsity, num_kept, num_prunable; for each arm `{arm}_mean`,
        `{arm}_sd` (ddof 1; null at n = 1) and `{arm}_n`; then `{arm}_minus_dense`, and
        `{arm}_minus_reinit` where there is a reinit arm, each with its `_sd` and `_n`.
        Values are in the unit of the table: accuracies are fractions.

    Raises:
        UsageError: the table holds several runs.
    """
    check_one_run(table)
    sizes = size_by_level(table)
    wide = values_by_arm(table, metric_of(table).column, sizes.index)
    columns: dict[str, pd.Series] = {}
    for arm, values in wide.items():
        columns |= _moments(values, arm, mean_suffix="_mean")
    for arm, values in wide.items():
        dense = dense_means(wide) if LEAD in wide else values.reindex([0]).loc[0]
        columns |= _moments(values.sub(dense, axis="columns"), f"{arm}_minus_dense")
    for arm, values in wide.items() if FRESH in wide else ():
        if arm != FRESH:
            columns |= _moments(values.sub(wide[FRESH]), f"{arm}_minus_reinit")
    return pd.concat([sizes, pd.DataFrame(columns, index=sizes.index)], axis=1).reset_index()


def _moments(values: pd.DataFrame, name: str, *, mean_suffix: str = "") -> dict[str, pd.Series]:
    return {
        f"{name}{mean_suffix}": values.mean(axis="columns"),
        f"{name}_sd": values.std(axis="columns", ddof=1),
        f"{name}_n": values.count(axis="columns"),
    }
