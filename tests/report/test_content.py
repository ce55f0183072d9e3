"""What charts, tables and the headline say is what the tables hold."""

from dataclasses import replace

import pandas as pd
import pytest
from small_runs import (
    NUM_LEVELS,
    accuracy,
    small_classes,
    small_content,
    small_stability,
    small_tables,
)

from lottery_ticket.analysis import ACCURACY, RunTables, verdict
from lottery_ticket.arms import ARMS
from lottery_ticket.charts import curve_charts
from lottery_ticket.report import ReportRun, content_of
from lottery_ticket.report._headline import headline
from lottery_ticket.report._words import words

CONTENT = small_content()
CHARTS = {chart.name: chart for chart in (*CONTENT.main, *CONTENT.learning, *CONTENT.structure)}


def series(chart):
    return {line.name: line for line in CHARTS[chart].series}


def mean(arm, level):
    return sum(accuracy(arm, level, r) for r in range(3)) / 3


def test_the_main_chart_has_each_arms_means_in_percent():
    chart = CHARTS["accuracy"]
    assert [stop.x for stop in chart.stops] == [100, 50, 25, 12.5]
    assert chart.stops[2].text == "level 2 · 25.00 % · 256 kept"
    for arm in ("ticket", "reinit"):
        line = series("accuracy")[arm]
        assert line.y == pytest.approx([100 * mean(arm, level) for level in range(NUM_LEVELS)])
        assert all(low < y < high for low, y, high in zip(line.low, line.y, line.high, strict=True))
    assert series("accuracy")["ticket"].text[0] == "90.07 ± 0.07 (3)"
    dense, margin = chart.rules
    assert dense.y == pytest.approx(100 * mean("ticket", 0))
    assert margin.y == pytest.approx(dense.y - 0.2)


def test_differences_are_the_verdicts_with_its_margin():
    lines = series("difference")
    assert list(lines) == ["minus dense", "minus reinit"]
    wanted = [100 * (mean("ticket", n) - mean("reinit", n)) for n in (1, 2, 3)]
    assert [stop.x for stop in CHARTS["difference"].stops] == [50, 25, 12.5]
    assert lines["minus reinit"].y == pytest.approx(wanted, rel=1e-4)
    assert lines["minus reinit"].is_bars
    assert [rule.y for rule in CHARTS["difference"].rules] == pytest.approx([0, -0.2])
    low, high = CHARTS["difference"].y.low, CHARTS["difference"].y.high
    assert low < -0.2
    assert high > 0


def test_early_stops_that_are_lower_bounds_are_hollow():
    line = series("early_stop")["ticket"]
    assert line.y == [10, 11, 12, 13]
    assert line.open == [False, False, False, True]
    assert line.text[3] == "≥ 13 (3)"


def test_learning_curves_are_named_by_density():
    assert list(series("curves_ticket")) == ["100 % kept", "50 % kept", "25 % kept", "12.5 % kept"]
    assert [stop.x for stop in CHARTS["curves_ticket"].stops] == [1, 10, 20]


def test_overlap_is_shown_beside_chance():
    assert [stop.x for stop in CHARTS["overlap"].stops] == pytest.approx([50, 25, 100 / 6])
    assert series("overlap")["shared"].y == pytest.approx([60, 30, 20])
    assert series("overlap")["chance"].y == pytest.approx([50, 25, 100 / 6])
    assert series("times_chance")["fc1.weight"].y == pytest.approx([1.2] * 3)


def test_the_map_keeps_what_is_read_apart_from_what_is_not():
    levels = CONTENT.inputs.levels
    assert CONTENT.inputs.side == 5
    assert [sum(value > 0 for value in level["values"]) for level in levels] == [25, 20, 15, 10]
    assert "15 of 25 inputs are read" in levels[2]["text"]
    assert max(levels[0]["values"]) == 999


def test_the_level_table_has_every_arm_and_difference():
    table = CONTENT.levels
    assert list(table.columns) == [
        *("level", "density", "kept", "verdict", "ticket (%)", "reinit (%)"),
        *("ticket − dense", "ticket − reinit"),
    ]
    assert [row[2].text for row in table.rows] == ["1,024", "512", "256", "128"]
    assert table.rows[3][6].value == pytest.approx(mean("ticket", 3) - mean("ticket", 0))
    assert table.rows[0][3].text == "dense"
    assert table.is_text == [False] * 3 + [True] + [False] * 4
    assert table.rows[1][4].value == pytest.approx(mean("ticket", 1))


def test_the_headline_has_the_numbers_behind_the_verdict():
    head = CONTENT.headline
    assert head.title == "A winning ticket at 12.50 % of the weights"
    assert head.merit("Dense network") == "90.07 %"
    assert head.merit("Ticket") == f"{100 * mean('ticket', 3):.2f} %"
    assert (
        head.merit("Ticket − reinit")
        == f"+{100 * (mean('ticket', 3) - mean('reinit', 3)):.2f} points"
    )
    assert head.merit("Replicates") == "3"
    assert [mark.level for mark in head.marks] == [1, 2, 3]
    assert any("initial values" in note.lower() for note in head.notes)
    *_, falling = head.notes
    assert falling.startswith(
        "Validation loss still falling at the end of 6 of 24 trainings: these"
    )
    assert falling.endswith("train longer to know (--set train.duration=60ep).")


def test_trainings_are_all_there():
    assert len(CONTENT.trainings.rows) == CONTENT.num_trainings == 24
    cells = dict(zip(CONTENT.trainings.columns, CONTENT.trainings.rows[3], strict=True))
    assert (cells["arm"].text, cells["level"].text, cells["replicate"].text) == ("ticket", "1", "0")
    assert cells["test accuracy (%)"].text == f"{100 * accuracy('ticket', 1, 0):.2f}"


def test_a_run_with_nothing_but_its_table():
    full = small_tables()
    content = content_of(ReportRun("r", RunTables(full.table), verdict(full.table), CONTENT.facts))
    assert [chart.name for chart in content.main] == ["accuracy", "difference"]
    assert content.structure == []
    assert content.inputs is None
    assert not content.structure_table.rows


def test_a_level_that_an_arm_lacks_is_a_gap():
    tables = small_tables()
    lacks = (tables.table["arm"] == "reinit") & (tables.table["level"] == 2)
    fewer = RunTables(tables.table[~lacks])
    content = content_of(ReportRun("r", fewer, verdict(fewer.table), CONTENT.facts))
    line = next(line for line in content.main[0].series if line.name == "reinit")
    assert [value is None for value in line.y] == [False, False, True, False]
    assert line.text[2] == ""


def test_words_that_the_page_uses_are_explained():
    for word in ("dense", "density", "level", "ticket", "reinit", "replicate", "margin", "winning"):
        assert word in words([])
    assert words(["snip"]).keys() - words([]).keys() == {"snip"}
    assert ARMS.values() == [arm for arm in ARMS.values() if arm.meaning]
    assert all(meaning.endswith((".", ")")) for meaning in words(ARMS).values())


def test_long_histories_are_thinned_and_say_so():
    tables = small_tables()
    row = {"arm": "ticket", "level": 0, "replicate": 0, "draw": 0}
    history = pd.DataFrame([{**row, "step": s, "test_accuracy": 0.5} for s in range(1000)])
    long = RunTables(tables.table, history=history)
    chart = content_of(ReportRun("r", long, "none", CONTENT.facts)).learning[0]
    assert 100 < len(chart.stops) <= 121
    assert chart.stops[-1].x == 999
    assert "Every 9th measurement is drawn." in chart.caption


def test_classes_stand_from_the_one_that_loses_most():
    chart = CONTENT.classes.chart
    assert [stop.tick for stop in chart.stops] == ["cat", "ant", "bee"]
    assert chart.stops[0].text == "cat · 30 images"
    (line,) = chart.series
    assert line.y == pytest.approx([-100 / 3, 0, 0], rel=1e-5)
    assert line.open == [False, True, True]  # beyond chance, and not
    assert line.low[0] < line.y[0] < line.high[0]
    assert line.low[1] is None  # nothing varies
    assert chart.rules[0].y == pytest.approx(-100 / 9)
    texts = [[cell.text for cell in row] for row in CONTENT.classes.table.rows]
    assert texts[2][:5] == ["cat", "30", "100.00", "66.67", "−33.33 *"]
    assert "beyond what chance gives it differs for cat by −33.33" in CONTENT.classes.sentence


def test_of_many_classes_the_chart_shows_those_that_differ_most():
    names = tuple(f"n{i:02d}" for i in range(50))
    chart = small_content(classes=small_classes(names)).classes.chart
    assert len(chart.stops) == 40
    assert chart.stops[0].tick == "n49"
    assert "The 40 that differ most" in chart.caption


def check_stability(found, section):
    """Law: a panel per arm with its barriers against k, and a table of all that was found."""
    rows = found.table.to_dict("records")
    drawn = {
        (chart.panel, line.name.split(" ·")[0], stop.text): (y, low, high)
        for chart in section.charts
        for line in chart.series
        for stop, y, low, high in zip(chart.stops, line.y, line.low, line.high, strict=True)
    }
    assert drawn == {
        (r["arm"], f"level {r['level']}" if r["level"] else "dense", f"k = {r['step']:,}"): (
            pytest.approx(100 * r["barrier"]),
            pytest.approx(100 * r["low"]),
            pytest.approx(100 * r["high"]),
        )
        for r in rows
    }
    table = [dict(zip(section.table.columns, row, strict=True)) for row in section.table.rows]
    names = {"step k": "step", "barrier (points)": "barrier", "on train (points)": "train_barrier"}
    for told, row in zip(table, rows, strict=True):
        for name in ("step k", "level", "density", "n", "barrier (points)", "on train (points)"):
            assert told[name].value == row[names.get(name, name)]
        low, high = (f"{100 * row[end]:.2f}".replace("-", "−") for end in ("low", "high"))
        assert told["95 % interval"].text == f"{low} to {high}"
        assert (told["arm"].text, told["state"].text) == (row["arm"], row["state"])


def test_stability_is_a_panel_per_arm_and_a_table():
    found = small_stability()
    section = small_content(stability=found).stability
    check_stability(found, section)
    tones = {(row["state"].text, row["state"].tone) for row in _named(section.table)}
    assert tones == {("stable", "winning"), ("unstable", "not"), ("not decided", "open")}
    assert section.summary == (
        "The dense net is stable from initialisation on. Ticket at levels 1–3 is stable from "
        "k = 100 on. Random at levels 1–3 is unstable at initialisation, k = 100."
    )
    assert section.note == ""


def _named(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("wrong", ["an arm less", "other values", "a step less"])
def test_other_stability_is_caught(wrong):
    found = small_stability()
    other = {
        "an arm less": lambda: small_stability(arms=("ticket",)),
        "other values": lambda: replace(found, table=found.table.assign(barrier=0.01)),
        "a step less": lambda: small_stability(steps=(100,)),
    }[wrong]()
    with pytest.raises((AssertionError, ValueError, TypeError)):
        check_stability(found, small_content(stability=other).stability)


def test_of_one_step_barriers_stand_against_the_level():
    (chart,) = small_content(stability=small_stability(steps=(0,))).stability.charts
    assert [stop.tick for stop in chart.stops] == ["dense", "1", "2", "3"]
    assert [line.name for line in chart.series] == ["ticket", "random"]


def test_batch_norms_are_told_where_there_are_any():
    section = small_content(stability=small_stability(norms=True)).stability
    assert "statistics of batch norms" in section.note
    assert section.table.columns[-1] == "statistics interpolated (points)"
    row = next(row for row in _named(section.table) if row["level"].value == 3)
    own, other = (row[n].value for n in ("barrier (points)", section.table.columns[-1]))
    assert other == pytest.approx(3 * own)


def test_loss_barriers_have_no_states():
    section = small_content(stability=small_stability(metric="loss")).stability
    assert "state" not in section.table.columns
    assert "points" not in section.question
    assert "highest loss minus" in section.question


def test_arms_that_were_copied_are_explained():
    """Also those that the run itself does not train."""
    assert "random" in small_content(stability=small_stability()).arms
    assert "random" not in CONTENT.arms


def test_why_there_are_no_classes_is_said():
    section = small_content(classes="Not known without the data.").classes
    assert (section.sentence, section.chart) == ("Not known without the data.", None)


def test_a_curve_that_ends_outside_is_told_with_its_arm():
    tables = small_tables()
    history = tables.history.copy()
    is_fallen = (history["arm"] == "reinit") & (history["level"] == 3)
    history.loc[is_fallen, "test_accuracy"] = 0.1
    charts = curve_charts(history, tables.table, ACCURACY)
    assert [chart.panel for chart in charts] == ["ticket", "reinit"]
    for chart in charts:
        assert "1 curve of reinit ends there (10)" in chart.caption


@pytest.mark.parametrize(
    ("margin", "words"), [(1.0, "within 1 point?"), (0.5, "within 0.5 points?")]
)
def test_a_margin_of_one_is_one_point(margin, words):
    found = verdict(small_tables().table, margin=margin)
    assert words in headline(found).question
