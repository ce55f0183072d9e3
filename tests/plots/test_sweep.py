"""A dense net pruned once to each of several sparsities: its own figures and numbers."""

import json
import re

import pytest
from test_verdict_figures import table_of

import lottery_ticket
from lottery_ticket.analysis import metric_of, summary, summary_text
from lottery_ticket.errors import UsageError
from lottery_ticket.plots import draw_sweep

NAMES = [
    *("accuracy_vs_pruning", "parameter_reduction", "accuracy_difference"),
    *("combined_metrics", "results_table"),
]


def test_figures_and_numbers_are_written(tmp_path):
    table = table_of()
    paths = draw_sweep(table, tmp_path / "new", title="tiny", formats=("png", "svg"))
    wanted = {f"{name}.{end}" for name in NAMES for end in ("png", "svg")}
    assert {path.name for path in paths} == wanted | {"experiment_results.json"}
    assert all(path.stat().st_size > 1000 for path in paths)
    values = json.loads((tmp_path / "new" / "experiment_results.json").read_text())
    assert [level["num_kept"] for level in values["levels"]] == [1000, 500, 250, 125]
    ticket = table.loc[(table["arm"] == "ticket") & (table["level"] == 2), "test_accuracy"]
    assert values["levels"][2]["ticket_mean"] == pytest.approx(ticket.mean(), abs=1e-15)
    both = table.loc[table["arm"].isin(["ticket", "reinit"]) & (table["level"] == 0)]
    first = both.loc[both["arm"] == "ticket", "test_accuracy"].mean()
    second = both.loc[both["arm"] == "reinit", "test_accuracy"].mean()
    dense = values["levels"][0]["ticket_minus_dense"]
    assert dense == pytest.approx((first - second) / 2, abs=1e-15)


def summary_rows() -> list[tuple[str, str]]:
    """Level and reinit's cell, as `lottery table --summary` prints them."""
    table = table_of()
    header, *rows = summary_text(summary(table), metric_of(table))
    return [(row[0], row[header.index("reinit (%)")]) for row in rows]


def test_what_the_figures_say(tmp_path):
    draw_sweep(table_of(), tmp_path, title="tiny", formats=("svg",))
    kept = (tmp_path / "parameter_reduction.svg").read_text()
    assert all(f"<!-- {count} -->" in kept for count in ("1,000", "500", "250", "125"))
    shown = (tmp_path / "results_table.svg").read_text()
    (reinit,) = {row[1] for row in summary_rows() if row[0] == "2"}
    assert f"<!-- {reinit} -->" in shown


def test_a_last_level_that_falls_far_is_told_in_every_figure(tmp_path):
    table = table_of({"ticket": [0.95, 0.951, 0.949, 0.945], "reinit": [0.95, 0.948, 0.944, 0.2]})
    draw_sweep(table, tmp_path, title="tiny", formats=("svg",))
    for name in ("accuracy_vs_pruning", "combined_metrics"):
        drawn = " ".join(re.findall("<!-- (.*?) -->", (tmp_path / f"{name}.svg").read_text()))
        assert "1 point is outside the axis (20)." in drawn


def test_a_regression_has_none(tmp_path):
    with pytest.raises(UsageError, match="has an accuracy"):
        draw_sweep(table_of(column="test_loss"), tmp_path, title="tiny")


def test_a_run_that_prunes_once_draws_them(tmp_path):
    spec = {
        "name": "tiny",
        "data": {"name": "digits"},
        "model": {"name": "LeNet300", "hidden": [20, 10]},
        "train": {"lr": 0.1, "batch_size": 64, "duration": "5it", "eval_every": "5it"},
        "prune": {"densities": [0.5, 0.2], "once": True},
        "arms": ["ticket"],
    }
    run = lottery_ticket.run(spec, store=tmp_path / "store", jobs=1, progress=False)
    names = {path.name for path in run.plot(tmp_path, formats=["png"])}
    assert {*(f"{name}.png" for name in NAMES), "experiment_results.json"} < names
