"""Which point of a grid each arm is held at: chosen on validation, by the mean over replicates."""

import numpy as np
import pandas as pd
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis.statistics.means import FRESH, LEAD
from lottery_ticket.analysis.statistics.tables import Metric, sort_arms
from lottery_ticket.errors import UsageError

__all__ = ["DENSE_ARM", "chosen_points", "point_means", "validation_metric"]

DENSE_ARM = "dense"
"""What the dense nets are called, level 0 of all arms, which are held at one point."""

_DIGITS = 12  # what a mean leaves beyond these is no difference


def validation_metric(table: pd.DataFrame) -> Metric:
    """The run's own metric on validation where it has one, else accuracy, else loss.

    Args:
        table: trainings; only columns of validation are looked at.

    Raises:
        UsageError: none of them has a value.

    >>> validation_metric(pd.DataFrame({"val_accuracy": [None, 0.9]})).axis_label
    'validation accuracy (%)'
    """

    def has(column: str) -> bool:
        return column in table and bool(table[column].notna().any())

    if has("val_metric"):
        first = table.loc[table["metric"].notna()].iloc[0]
        is_higher, name = bool(first["higher_is_better"]), first["metric"]
        return Metric("val_metric", f"validation {name}", is_higher, 1.0, "")
    if has("val_accuracy"):
        return Metric("val_accuracy", "validation accuracy", True, 100.0, "%")
    if has("val_loss"):
        return Metric("val_loss", "validation loss", False, 1.0, "")
    raise UsageError("sweep: no training has a value on validation, so there is nothing to choose")


def point_means(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Per arm, level and point of the grid: the mean over replicates, draws averaged first.

    The dense nets of a replicate, level 0 of `ticket` and of `reinit`, are averaged first too.

    Args:
        table: a row per planned training: point (its place in the grid), arm, level, replicate,
            draw, density, cell and the metric's column, which is null where it is not finished.
        metric: of validation.

    Returns:
        A frame of arm (`"dense"` for level 0), level, density, point, mean, sd, n, low and high
        (95 % t interval), is_complete (every planned training has a value), and same_as: the first
        point whose trainings are the very same, since what differs has no effect on the arm.
    """
    rows = table.astype({"arm": "str", metric.column: "float64"})
    rows = rows.loc[(rows["level"] > 0) | rows["arm"].isin([LEAD, FRESH])]
    rows = rows.assign(net=rows["arm"], arm=rows["arm"].where(rows["level"] > 0, DENSE_ARM))
    keys = ["arm", "level", "point"]
    nets = rows.groupby([*keys, "replicate", "net"], as_index=False)[metric.column].mean()
    values = nets.groupby([*keys, "replicate"], as_index=False)[metric.column].mean()
    found = values.groupby(keys, as_index=False)[metric.column].agg(["mean", "std", "count"])
    found = found.rename(columns={"std": "sd", "count": "n"})
    sizes = rows.groupby(keys, as_index=False).agg(density=("density", "mean"))
    complete = rows.assign(is_complete=rows[metric.column].notna())
    complete = complete.groupby(keys, as_index=False).agg(is_complete=("is_complete", "all"))
    found = found.merge(sizes, on=keys).merge(complete, on=keys).merge(_same(rows), on=keys)
    with np.errstate(invalid="ignore"):
        half = -special.stdtrit(found["n"] - 1, 0.025) * found["sd"] / np.sqrt(found["n"])
    found = found.assign(low=found["mean"] - half, high=found["mean"] + half)
    rank = {arm: i for i, arm in enumerate([DENSE_ARM, *sort_arms(table["arm"])])}
    columns = [*keys[:2], "density", "point", "mean", "sd", "n", "low", "high"]
    return found.sort_values(
        keys, key=lambda key: key.map(rank) if key.name == "arm" else key, ignore_index=True
    ).loc[:, [*columns, "is_complete", "same_as"]]


def _same(rows: pd.DataFrame) -> pd.DataFrame:
    """Per arm, level and point: the first point of the same trainings."""
    keys = ["arm", "level", "point"]
    cells = rows.groupby(keys)["cell"].agg(lambda names: tuple(sorted(names))).reset_index()
    same = cells.groupby(["arm", "level", "cell"])["point"].transform("min")
    return cells.assign(same_as=same).drop(columns="cell")


def chosen_points(means: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Of each arm and level the point that is best on validation.

    What is not complete is not chosen. Of equal points it is the first one of the grid.

    Args:
        means: what `point_means` returned.
        metric: of validation.

    Returns:
        The rows of these points, without is_complete and same_as, and num_points: among how many
        different points each was chosen.
    """
    rows = means.loc[means["is_complete"] & (means["point"] == means["same_as"])]
    if rows.empty:
        return rows.drop(columns=["is_complete", "same_as"]).assign(num_points=0)
    sign = -1.0 if metric.higher_is_better else 1.0
    scale = float(rows["mean"].abs().max()) or 1.0
    rows = rows.assign(
        cost=(sign * rows["mean"] / scale).round(_DIGITS),
        num_points=rows.groupby(["arm", "level"], sort=False)["point"].transform("count"),
    )
    best = rows.sort_values(["cost", "point"], kind="stable").drop_duplicates(["arm", "level"])
    return best.sort_index().drop(columns=["is_complete", "same_as", "cost"]).reset_index(drop=True)
