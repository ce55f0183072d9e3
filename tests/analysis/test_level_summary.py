import math

import pandas as pd
import pytest

from lottery_ticket.analysis import as_table, summary
from lottery_ticket.errors import UsageError

SIZES = {0: (1.0, 1000), 1: (0.8, 800), 2: (0.64, 640)}


def table_of(*rows, column="test_accuracy"):
    """Rows of (arm, level, replicate, draw, value)."""
    return as_table(
        [
            {
                "run": "r",
                "arm": arm,
                "level": level,
                "replicate": replicate,
                "draw": draw,
                "density": SIZES[level][0],
                "sparsity": 1 - SIZES[level][0],
                "num_kept": SIZES[level][1],
                "num_prunable": 1000,
                column: value,
            }
            for arm, level, replicate, draw, value in rows
        ]
    )


# Replicate 2 is good everywhere, and its reinit is missing.
PAIRED = table_of(
    ("ticket", 0, 0, 0, 0.90),
    ("ticket", 0, 1, 0, 0.80),
    ("ticket", 0, 2, 0, 0.98),
    ("ticket", 1, 0, 0, 0.92),
    ("ticket", 1, 1, 0, 0.84),
    ("ticket", 1, 2, 0, 0.99),
    ("reinit", 1, 0, 0, 0.89),
    ("reinit", 1, 1, 0, 0.83),
)


def test_one_row_per_level_with_sizes():
    frame = summary(PAIRED)
    assert list(frame["level"]) == [0, 1]
    assert list(frame["density"]) == pytest.approx([1.0, 0.8])
    assert list(frame["sparsity"]) == pytest.approx([0.0, 0.2])
    assert list(frame["num_kept"]) == [1000, 800]
    assert list(frame["num_prunable"]) == [1000, 1000]


def test_columns_of_every_arm_then_the_differences():
    arms = [f"{arm}_{part}" for arm in ("ticket", "reinit") for part in ("mean", "sd", "n")]
    names = ("ticket_minus_dense", "reinit_minus_dense", "ticket_minus_reinit")
    differences = [name + part for name in names for part in ("", "_sd", "_n")]
    sizes = ["level", "density", "sparsity", "num_kept", "num_prunable"]
    assert list(summary(PAIRED).columns) == sizes + arms + differences


def test_mean_sd_and_n_are_over_replicates():
    level_1 = summary(PAIRED).iloc[1]
    assert level_1["ticket_mean"] == pytest.approx(2.75 / 3)
    assert level_1["ticket_n"] == 3
    assert level_1["reinit_mean"] == pytest.approx(0.86)
    assert level_1["reinit_sd"] == pytest.approx(0.06 / math.sqrt(2))
    assert level_1["reinit_n"] == 2


def test_differences_are_paired_by_replicate():
    level_1 = summary(PAIRED).iloc[1]
    # (0.92 − 0.89 + 0.84 − 0.83) / 2; the unpaired means differ by 0.0567
    assert level_1["ticket_minus_reinit"] == pytest.approx(0.02)
    unpaired = level_1["ticket_mean"] - level_1["reinit_mean"]
    assert unpaired == pytest.approx(0.17 / 3)
    assert level_1["ticket_minus_reinit_sd"] == pytest.approx(0.02 / math.sqrt(2))
    assert level_1["ticket_minus_reinit_n"] == 2


def test_dense_is_the_tickets_level_0_of_the_same_replicate():
    frame = summary(PAIRED)
    assert frame["ticket_minus_dense"].iloc[1] == pytest.approx((0.02 + 0.04 + 0.01) / 3)
    # −0.01 and +0.03; the unpaired means differ by −0.0333
    assert frame["reinit_minus_dense"].iloc[1] == pytest.approx(0.01)
    assert frame["ticket_minus_dense"].iloc[0] == 0
    assert pd.isna(frame["reinit_minus_dense"].iloc[0])


def test_draws_are_averaged_before_replicates():
    frame = summary(
        table_of(
            ("random", 1, 0, 0, 0.2),
            ("random", 1, 0, 1, 0.4),
            ("random", 1, 0, 2, 0.6),
            ("random", 1, 1, 0, 0.8),
        )
    )
    # the mean of all four draws would be 0.5
    assert frame["random_mean"].iloc[0] == pytest.approx(0.6)
    assert frame["random_sd"].iloc[0] == pytest.approx(0.4 / math.sqrt(2))
    assert frame["random_n"].iloc[0] == 2


def test_sd_is_null_at_one_replicate_even_with_draws():
    frame = summary(table_of(("ticket", 0, 0, 0, 0.9), ("ticket", 0, 0, 1, 0.7)))
    assert frame["ticket_mean"].iloc[0] == pytest.approx(0.8)
    assert pd.isna(frame["ticket_sd"].iloc[0])
    assert frame["ticket_n"].iloc[0] == 1


def test_without_a_ticket_arm_dense_is_the_arms_own_level_0():
    frame = summary(table_of(("lr_rewind", 0, 0, 0, 0.9), ("lr_rewind", 2, 0, 0, 0.95)))
    assert list(frame["level"]) == [0, 2]
    assert frame["lr_rewind_minus_dense"].iloc[1] == pytest.approx(0.05)


def test_without_a_dense_training_differences_are_null():
    frame = summary(table_of(("ticket", 1, 0, 0, 0.9), ("random", 0, 0, 0, 0.5)))
    assert frame["ticket_minus_dense"].isna().all()
    assert frame["random_minus_dense"].isna().all()
    assert list(frame["ticket_minus_dense_n"]) == [0, 0]


def test_a_regression_is_summarised_by_its_loss():
    frame = summary(
        table_of(("ticket", 0, 0, 0, 2.0), ("ticket", 1, 0, 0, 1.5), column="test_loss")
    )
    assert list(frame["ticket_mean"]) == [2.0, 1.5]
    assert list(frame["ticket_minus_dense"]) == [0.0, -0.5]


def test_a_null_value_is_not_counted():
    frame = summary(
        table_of(("ticket", 0, 0, 0, 0.9), ("ticket", 0, 1, 0, None), ("reinit", 1, 0, 0, None))
    )
    assert list(frame["ticket_n"]) == [1, 0]
    assert list(frame["reinit_n"]) == [0, 0]
    assert frame["reinit_mean"].isna().all()


def test_an_empty_table_has_no_levels():
    assert summary(as_table([])).empty


def test_several_runs_are_refused():
    table = table_of(("ticket", 0, 0, 0, 0.9), ("ticket", 0, 1, 0, 0.8))
    table["run"] = ["b", "a"]
    with pytest.raises(UsageError, match=r"2 runs \(a, b\)"):
        summary(table)
