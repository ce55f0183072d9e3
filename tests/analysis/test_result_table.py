import doctest
import math

import pandas as pd
import pytest

from lottery_ticket import analysis
from lottery_ticket.analysis import (
    as_table,
    metric_of,
    sort_arms,
)
from lottery_ticket.analysis.statistics import means, tables, text
from lottery_ticket.errors import UsageError
from lottery_ticket.store import SCHEMA_VERSION, TABLE_COLUMNS


def test_columns_are_the_schema_in_order():
    assert SCHEMA_VERSION == 1
    assert (
        *("run", "arm", "level", "replicate", "draw", "density", "sparsity"),
        *("num_kept", "num_prunable", "num_test"),
        *("test_accuracy", "test_loss", "val_accuracy", "val_loss"),
        *("early_stop_step", "is_still_falling"),
        *("test_accuracy_at_early_stop", "metric", "higher_is_better", "test_metric", "val_metric"),
        *("start_step", "num_steps", "pruned_step", "has_settled", "train_seconds"),
        *(
            "criterion",
            "scope",
            "precision",
            "device",
            "threads",
            "cpu",
            "versions",
            "cell",
            "schema_version",
        ),
    ) == tuple(TABLE_COLUMNS)


def test_rows_are_sorted_by_arm_level_replicate_draw():
    keys = [
        ("lr_rewind", 1, 0, 0),
        ("reinit", 1, 0, 1),
        ("reinit", 1, 0, 0),
        ("finetune", 1, 0, 0),
        ("ticket", 10, 0, 0),
        ("ticket", 2, 1, 0),
        ("ticket", 2, 0, 0),
    ]
    names = ("arm", "level", "replicate", "draw")
    table = as_table([dict(zip(names, key, strict=True)) for key in keys])
    assert [tuple(row) for row in table[list(names)].to_numpy()] == [
        ("ticket", 2, 0, 0),
        ("ticket", 2, 1, 0),
        ("ticket", 10, 0, 0),
        ("reinit", 1, 0, 0),
        ("reinit", 1, 0, 1),
        ("lr_rewind", 1, 0, 0),
        ("finetune", 1, 0, 0),
    ]
    assert list(table.index) == list(range(7))


def test_types_hold_with_nulls_and_without_rows():
    row = {"arm": "ticket", "level": 0, "early_stop_step": None, "test_accuracy": None}
    for table in (as_table([row]), as_table([])):
        assert tuple(table.columns) == tuple(TABLE_COLUMNS)
        assert table["early_stop_step"].dtype == "Int64"
        assert table["num_kept"].dtype == "Int64"
        assert table["is_still_falling"].dtype == "boolean"
        assert table["test_accuracy"].dtype == "float64"
        assert table["cell"].dtype == "string"
    assert as_table([row])["early_stop_step"].isna().all()
    assert as_table([row])["is_still_falling"].isna().all()
    assert list(as_table([row])["schema_version"]) == [SCHEMA_VERSION]


def test_an_unknown_key_names_the_nearest_column():
    with pytest.raises(UsageError, match="'test_acc' is no column; did you mean 'test_accuracy'"):
        as_table([{"arm": "ticket", "test_acc": 0.9}])


def test_arms_are_listed_once_in_order():
    arms = ["oneshot", "zebra", "random", "shuffled", "ant", "reinit", "ticket", "ticket"]
    assert sort_arms(arms) == [
        *("ticket", "reinit", "shuffled", "random", "oneshot"),
        *("ant", "zebra"),
    ]


def test_metric_is_accuracy_where_any_row_has_one():
    metric = metric_of(as_table([{"arm": "a", "test_accuracy": None}, {"test_accuracy": 0.5}]))
    assert (metric.column, metric.scale, metric.unit) == ("test_accuracy", 100.0, "%")
    assert metric.higher_is_better
    assert metric.axis_label == "test accuracy (%)"


def test_metric_of_a_regression_is_loss():
    metric = metric_of(as_table([{"arm": "ticket", "test_loss": 0.5}]))
    assert (metric.column, metric.scale, metric.unit) == ("test_loss", 1.0, "")
    assert not metric.higher_is_better
    assert metric.axis_label == "test loss"


def test_level_statistics_keep_each_arms_own_density():
    rows = [("ticket", 0, 0.5, 0.2), ("ticket", 1, 0.51, 0.4), ("random", 0, 0.6, 0.1)]
    table = as_table(
        [
            {"arm": arm, "level": 1, "replicate": rep, "density": d, "test_loss": loss}
            for arm, rep, d, loss in rows
        ]
    )
    stats = analysis.level_statistics(table, "test_loss")
    assert list(stats.columns) == ["arm", "level", "density", "mean", "sd", "n", "low", "high"]
    ticket, random = stats.to_dict("records")
    assert ticket["arm"] == "ticket"
    assert ticket["density"] == pytest.approx(0.505)
    assert ticket["mean"] == pytest.approx(0.3)
    assert ticket["sd"] == pytest.approx(0.2 / math.sqrt(2))
    assert (ticket["n"], random["n"]) == (2, 1)
    # t(1) at 97.5 % is 12.7062; the mean's standard error is 0.1
    assert (ticket["low"], ticket["high"]) == pytest.approx((0.3 - 1.27062, 0.3 + 1.27062))
    assert pd.isna([random["sd"], random["low"], random["high"]]).all()


@pytest.mark.parametrize("module", [tables, means, text])
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.failed == 0
