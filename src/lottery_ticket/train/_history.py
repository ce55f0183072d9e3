"""What is measured along a training, and the step that early stopping would have chosen."""

import math
from typing import Any

__all__ = ["COLUMNS", "History", "early_stop"]

History = list[dict[str, Any]]

COLUMNS = (
    "step",
    "lr",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
)


def early_stop(history: History) -> dict[str, Any]:
    """The record of the lowest validation loss (ties: the first), chosen on validation alone.

    Returns:
        `early_stop_step`, `test_accuracy_at_early_stop`, `is_still_falling` (the lowest loss is
        the last one); all None without a validation split.

    >>> early_stop([{"step": 5, "val_loss": 1.0, "test_accuracy": 0.5},
    ...             {"step": 9, "val_loss": 2.0, "test_accuracy": 0.6}])["early_stop_step"]
    5
    """
    measured = [
        record
        for record in history
        if record.get("val_loss") is not None and math.isfinite(record["val_loss"])
    ]
    if not measured:
        names = ("early_stop_step", "test_accuracy_at_early_stop", "is_still_falling")
        return dict.fromkeys(names)
    best = min(measured, key=lambda record: record["val_loss"])  # min keeps the first
    return {
        "early_stop_step": best["step"],
        "test_accuracy_at_early_stop": best.get("test_accuracy"),
        "is_still_falling": best is measured[-1],
    }
