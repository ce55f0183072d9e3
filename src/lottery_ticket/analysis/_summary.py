"""One row per level: every arm's metric, and paired differences."""

import pandas as pd

from lottery_ticket.analysis._metric import metric_of
from lottery_ticket.analysis._statistics import (
    FRESH,
    LEAD,
    check_one_run,
    dense_means,
    size_by_level,
    values_by_arm,
)

__all__ = ["summary"]


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
