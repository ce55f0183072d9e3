"""Means over replicates of the tables that figures are drawn from."""

import pandas as pd

from lottery_ticket.analysis._statistics import level_statistics
from lottery_ticket.analysis._table import sort_arms

__all__ = ["curve_means", "input_means", "layer_means", "overlap_means", "sign_statistics"]


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
