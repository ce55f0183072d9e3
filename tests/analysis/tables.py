"""Result tables from literal values."""

import pandas as pd

from lottery_ticket.analysis import as_table


def table_of(arms, *, column="test_accuracy", num_test=10_000, **others) -> pd.DataFrame:
    """A table from arm → level → one value per replicate (None where it was not measured)."""
    return as_table(
        [
            {
                "run": "r",
                "arm": arm,
                "level": level,
                "replicate": replicate,
                "draw": 0,
                "density": 0.5**level,
                "sparsity": 1 - 0.5**level,
                "num_kept": 1024 >> level,
                "num_prunable": 1024,
                "num_test": num_test,
                "num_steps": 100,
                column: value,
                **others,
            }
            for arm, levels in arms.items()
            for level, values in levels.items()
            for replicate, value in enumerate(values)
            if value is not None
        ]
    )
