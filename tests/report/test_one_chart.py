"""Law: a chart is made once, and both who draw it show its numbers, all of them and no others."""

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.markers import CARETDOWN, CARETUP
from small_runs import (
    FACTS,
    result_table,
    small_classes,
    small_content,
    small_stability,
    small_tables,
)

from lottery_ticket.analysis import LOSS, RunTables, verdict
from lottery_ticket.charts import (
    Axis,
    Chart,
    Rule,
    Series,
    Stop,
    barrier_charts,
    class_chart,
    compare_chart,
    difference_chart,
    fit_limits,
    layer_chart,
    metric_chart,
    run_charts,
)
from lottery_ticket.plots._render import chart_figure
from lottery_ticket.report import ReportRun, content_of, html_page

SIX = ("ticket", "reinit", "shuffled", "random", "oneshot", "snip")
LAYERS = small_tables(layers={f"conv{i}.weight": 40 + i for i in range(22)}).layers


def collapsed(levels=4):
    """A run whose reinit falls so far at its last level that no axis can show it."""
    table = result_table(levels=levels)
    is_last = (table["arm"] == "reinit") & (table["level"] == levels - 1)
    return table.assign(test_accuracy=table["test_accuracy"].mask(is_last, 0.1))


def wide_intervals():
    """A verdict, two of whose intervals against reinit reach far below those against dense."""
    found = verdict(small_tables().table)
    rows = found.contrasts
    places = rows.index[rows["control"] == "reinit"][:2]
    low = rows["pooled_low"].where(~rows.index.isin(places), -0.016)
    return replace(
        found, contrasts=rows.assign(pooled_low=low.where(low.index != places[1], -0.015))
    )


def charts():
    """One of every kind, and those that are drawn otherwise."""
    tables = small_tables()
    found = {
        chart.name: chart
        for panels in run_charts(tables, verdict(tables.table)).values()
        for chart in panels
    }
    six = result_table(SIX)
    fallen = collapsed(levels=8)
    return {
        **found,
        "classes": class_chart(small_classes()),
        "six arms": metric_chart(six, LOSS),
        "22 layers": layer_chart(LAYERS),
        "a collapse": metric_chart(fallen, verdict(fallen).metric, verdict=verdict(fallen)),
        "cut bars": difference_chart(wide_intervals()),
        "pruned": metric_chart(fallen, verdict(fallen).metric, over="pruned"),
        "linear": metric_chart(six, LOSS, over="kept, linear"),
        "one level": metric_chart(result_table(levels=1), LOSS),
        "barriers": barrier_charts(small_stability())[0],
        "barriers of random masks": barrier_charts(small_stability())[1],
        "barriers of one step": barrier_charts(small_stability(steps=(0,)))[0],
        "compare": compare_chart([verdict(tables.table), replace(verdict(fallen), run="other")]),
    }


CHARTS = charts()


def figure_of(chart):
    return chart_figure([chart], title="tiny")


def payload_of(chart):
    """What the script of a page is given to draw."""
    tables = small_tables()
    content = content_of(ReportRun("tiny", tables, verdict(tables.table), FACTS))
    page = html_page([replace(content, main=[chart], learning=[], structure=[], inputs=None)])
    data = json.loads(re.search(r'id="charts">(.*?)</script>', page, re.S)[1])
    assert list(data) == [f"run-1-{chart.name}"]
    return data[f"run-1-{chart.name}"]


def check_figure(chart, figure):
    """matplotlib's lines, spreads, hollow marks, edge marks, rules and limits are the chart's."""
    ax = figure.axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    for series in chart.series:
        points = [[x, y] for _, x, y in chart.points(series)]
        assert lines[series.name].get_xydata().tolist() == points
        assert series.color == lines[series.name].get_color()
    bars = iter([c for c in ax.collections if isinstance(c, LineCollection)])
    bands = iter([c for c in ax.collections if isinstance(c, PolyCollection)])
    for series in filter(chart.spread, chart.series):
        x, low, high = np.array(chart.spread(series)).T
        if series.is_bars:
            drawn = np.array(next(bars).get_segments())
            assert drawn[:, 0].tolist() == np.stack([x, low], 1).tolist()
            assert drawn[:, 1].tolist() == np.stack([x, high], 1).tolist()
        else:
            drawn = {tuple(corner) for corner in next(bands).get_paths()[0].vertices.tolist()}
            wanted = {*zip(x, low, strict=True), *zip(x, high, strict=True)}
            assert wanted == drawn
    assert not [*bars, *bands]
    white = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    edges = [line for line in white if len(line.get_xdata()) == 1 and not line.get_clip_on()]
    hollow = [line.get_xydata().tolist() for line in white if line not in edges]
    assert [points for points in hollow if points] == [
        points
        for series in chart.series
        for points in [[[x, y] for i, x, y in chart.points(series) if (series.open or {i: 0})[i]]]
        if points
    ]
    assert [line.get_xydata().tolist() for line in edges] == [
        [[x, chart.y.low if y < chart.y.low else chart.y.high]]
        for series in chart.series
        if series.marker
        for _, x, y in chart.outside(series)
    ]
    heads = [line for line in ax.lines if line.get_marker() in (CARETDOWN, CARETUP)]
    found = [(*line.get_xydata()[0].tolist(), line.get_marker()) for line in heads]
    assert found == heads_of(chart)
    for rule in chart.rules:
        assert [rule.y, rule.y] in [list(line.get_ydata()) for line in ax.lines]
    assert ax.get_ylim() == (chart.y.low, chart.y.high)
    assert ax.get_ylabel().replace("\n", " ") == chart.y.label
    assert chart.caption in figure.get_supxlabel().replace("\n", " ")


def heads_of(chart):
    """Arrowheads: where the mark of a bar is on the axis, and its end is not."""
    found = []
    for series in chart.series:
        for stop, x, y in chart.points(series) if series.is_bars and series.low else ():
            if series.low[stop] is None:
                continue
            if series.low[stop] < chart.y.low <= y:
                found.append((x, chart.y.low, CARETDOWN))
            if series.high[stop] > chart.y.high >= y:
                found.append((x, chart.y.high, CARETUP))
    return found


def check_payload(chart, payload):
    """What the page draws are the chart's numbers to the six digits that are sent."""

    def same(sent, known):
        assert [value is None for value in sent] == [value is None for value in known]
        sent, known = ([v for v in values if v is not None] for values in (sent, known))
        assert sent == pytest.approx(known, rel=1e-5, abs=1e-300)

    assert [line["name"] for line in payload["series"]] == [line.name for line in chart.series]
    for sent, series in zip(payload["series"], chart.series, strict=True):
        same(sent["y"], series.y)
        for end in ("x", "low", "high"):
            assert (sent[end] is None) == (getattr(series, end) is None)
            same(sent[end] or [], getattr(series, end) or [])
        said = ("color", "marker", "text", "open", "is_bars", "is_points", "is_ink")
        assert all(sent[name] == getattr(series, name) for name in said)
    same([stop["x"] for stop in payload["stops"]], [stop.x for stop in chart.stops])
    same([rule["y"] for rule in payload["rules"]], [rule.y for rule in chart.rules])
    for sent, axis in ((payload["x"], chart.x), (payload["y"], chart.y)):
        same([sent["low"], sent["high"]], [axis.low, axis.high])
        assert (sent["label"], sent["scale"]) == (axis.label, axis.scale)


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_matplotlib_shows_the_charts_numbers(chart):
    check_figure(chart, figure_of(chart))


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_the_page_is_given_the_charts_numbers(chart):
    check_payload(chart, payload_of(chart))


def other_value(chart):
    """One value is another by a thousandth."""
    first, *rest = chart.series
    y = [value if value is None else 1.001 * value for value in first.y]
    return replace(chart, series=[replace(first, y=y), *rest])


def fewer_lines(chart):
    return replace(chart, series=chart.series[1:])


def other_spread(chart):
    first, *rest = chart.series
    return replace(chart, series=[replace(first, high=first.y), *rest])


def other_limits(chart):
    return replace(chart, y=replace(chart.y, low=chart.y.low - 1))


def moved_rule(chart):
    return replace(chart, rules=[replace(rule, y=rule.y + 0.01) for rule in chart.rules])


@pytest.mark.parametrize(
    "mutant", [other_value, fewer_lines, other_spread, other_limits, moved_rule]
)
@pytest.mark.parametrize("name", ["accuracy", "difference", "six arms", "barriers"])
def test_whoever_draws_something_else_is_caught(mutant, name):
    chart = CHARTS[name]
    with pytest.raises((AssertionError, KeyError)):
        check_figure(chart, figure_of(mutant(chart)))
    with pytest.raises(AssertionError):
        check_payload(chart, payload_of(mutant(chart)))


def test_a_bar_that_ends_at_the_edge_without_a_mark_is_caught():
    chart = CHARTS["cut bars"]
    assert len(heads_of(chart)) == 2
    assert "2 bars go on beyond the axis, at an arrowhead (to −1.6 and −1.5)." in chart.caption
    figure = figure_of(chart)
    next(line for line in figure.axes[0].lines if line.get_marker() == CARETDOWN).remove()
    with pytest.raises(AssertionError):
        check_figure(chart, figure)


def test_a_value_that_is_hidden_at_the_edge_is_caught():
    chart = CHARTS["a collapse"]
    figure = figure_of(chart)
    edge = next(line for line in figure.axes[0].lines if not line.get_clip_on())
    edge.remove()
    with pytest.raises(AssertionError):
        check_figure(chart, figure)


FINITE = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def any_chart(draw):
    """Lines with gaps, spreads and hollow marks over densities, on an axis that may cut them."""
    num_stops = draw(st.integers(1, 5))
    lists = partial(st.lists, min_size=num_stops, max_size=num_stops)
    series = []
    for number in range(draw(st.integers(1, 6))):
        y = draw(lists(st.none() | FINITE))
        width = draw(st.none() | lists(st.floats(0, 10)))
        ends = [
            None if width is None else [
                None if value is None else value + sign * half
                for value, half in zip(y, width, strict=True)
            ]
            for sign in (-1, 1)
        ]  # fmt: skip
        style = {"is_bars": draw(st.booleans()), "open": draw(st.none() | lists(st.booleans()))}
        marker = draw(st.sampled_from("os^"))
        series.append(
            Series(f"arm {number}", "#0072B2", y, [""] * num_stops, None, marker, *ends, **style)
        )
    low = draw(FINITE)
    high = low + draw(st.floats(0.01, 1e3))  # limits are padded: none are next to one another
    stops = [Stop(100 * 0.7**level, f"level {level}") for level in range(num_stops)]
    axes = Axis("kept", "density", stops[0].x, stops[-1].x), Axis("accuracy", "linear", low, high)
    return Chart("any", "any", "Said.", *axes, stops, series, [Rule(0.0, "zero")])


@settings(max_examples=30, deadline=None)
@given(any_chart())
def test_any_chart_is_drawn_as_it_is(chart):
    check_figure(chart, figure_of(chart))
    check_payload(chart, json.loads(json.dumps(chart.to_dict())))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.booleans())
def test_an_axis_reaches_the_best_value_and_most_others(values, higher_is_better):
    low, high = fit_limits(values, higher_is_better=higher_is_better)
    assert low <= (max if higher_is_better else min)(values) <= high
    assert sum(low <= value <= high for value in values) >= len(values) / 2


def test_what_both_draw_is_all_that_a_run_has():
    """Every chart of a run is in its page: none is left out on the way."""
    tables = small_tables()
    charts = run_charts(tables, verdict(tables.table))
    names = {chart.name for panels in charts.values() for chart in panels}
    assert names | {"inputs", "classes"} == set(small_content().charts)
    barriers = {chart.name for chart in barrier_charts(small_stability())}
    assert names | barriers | {"inputs", "classes"} == set(
        small_content(stability=small_stability()).charts
    )
    assert run_charts(RunTables(tables.table)).keys() == {"accuracy", "loss"}
    assert pd.DataFrame(tables.table).equals(small_tables().table)  # and tables stay as they were
