"""Which number a table is judged by."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["ACCURACY", "LOSS", "Metric", "metric_of"]


@dataclass(frozen=True)
class Metric:
    """A column to judge by, and how to print it.

    Args:
        column: its name in the result table.
        label: its name in words.
        higher_is_better: whether more is better.
        scale: what a stored value is multiplied by when it is printed or drawn.
        unit: the unit of the scaled value; empty when it has none.
    """

    column: str
    label: str
    higher_is_better: bool
    scale: float
    unit: str

    @property
    def short(self) -> str:
        """The label without the split it is of."""
        return self.label.removeprefix("test ")

    @property
    def axis_label(self) -> str:
        """The label with its unit, for an axis or a caption."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


ACCURACY = Metric("test_accuracy", "test accuracy", True, 100.0, "%")
LOSS = Metric("test_loss", "test loss", False, 1.0, "")


def metric_of(table: pd.DataFrame) -> Metric:
    """The run's own metric where it has one, else test accuracy, else test loss.

    Args:
        table: a result table.

    Returns:
        The metric; the table's values stay as they are (accuracies are fractions).

    >>> metric_of(pd.DataFrame({"test_accuracy": [None, 0.98]})).axis_label
    'test accuracy (%)'
    >>> metric_of(pd.DataFrame({"test_accuracy": [None], "test_loss": [0.1]})).column
    'test_loss'
    """
    own = table.loc[table["metric"].notna()] if "metric" in table else table.iloc[:0]
    if len(own):
        first = own.iloc[0]
        is_higher = bool(first["higher_is_better"])
        return Metric("test_metric", f"test {first['metric']}", is_higher, 1.0, "")
    has_accuracy = "test_accuracy" in table and bool(table["test_accuracy"].notna().any())
    return ACCURACY if has_accuracy else LOSS
