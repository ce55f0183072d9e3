"""The figures that a verdict is drawn as."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from lottery_ticket.analysis import as_table, learning_speed, verdict
from lottery_ticket.charts import compare_chart
from lottery_ticket.errors import UsageError
from lottery_ticket.plots import (
    ARM_STYLE,
    VERDICT_STYLE,
    compare_figure,
    difference_figure,
    difference_limits,
    early_stop_figure,
    verdict_figure,
)

DENSITY = [1.0, 0.5, 0.25, 0.125]
# by level; replicates differ by up to 0.02 points around it
ACCURACY = {"ticket": [0.95, 0.96, 0.95, 0.90], "reinit": [0.95, 0.955, 0.93, 0.70]}
JITTER = [0.0, 0.0001, -0.0002]


def table_of(accuracy=ACCURACY, *, column="test_accuracy", stops=True):
    return as_table(
        [
            {"run": "tiny", "arm": arm, "level": level, "replicate": replicate, "draw": 0}
            | {"density": DENSITY[level], "sparsity": 1 - DENSITY[level]}
            | {"num_kept": int(1000 * DENSITY[level]), "num_prunable": 1000}
            | {column: value + jitter * (1 + (level + replicate + (arm == "reinit")) % 2)}
            | ({"early_stop_step": 10 * level + replicate} if stops else {})
            | ({"is_still_falling": level == 3} if stops else {})
            for arm, values in accuracy.items()
            for level, value in enumerate(values)
            for replicate, jitter in enumerate(JITTER)
        ]
    )


TABLE = table_of()
VERDICT = verdict(TABLE, margin=0.2)


def lines_of(figure):
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def caption_of(figure):
    return figure.get_supxlabel().replace("\n", " ")


def test_differences_are_those_of_the_verdict_in_points():
    figure = difference_figure(VERDICT, title="tiny")
    lines = lines_of(figure)
    assert [name for name in lines if name.startswith("minus")] == ["minus dense", "minus reinit"]
    for control in ("dense", "reinit"):
        rows = VERDICT.contrasts[VERDICT.contrasts["control"] == control]
        assert lines[f"minus {control}"].get_ydata() == pytest.approx(100 * rows["difference"])
        assert lines[f"minus {control}"].get_xdata() == pytest.approx([50, 25, 12.5], rel=0.1)
    assert lines["margin"].get_ydata() == pytest.approx([-0.2, -0.2])
    assert lines["minus reinit"].get_color() == ARM_STYLE["reinit"].color
    assert figure.axes[0].get_xscale() == "log"


def test_intervals_are_the_pooled_ones_and_stand_side_by_side():
    figure = difference_figure(VERDICT, title="tiny")
    dense, reinit = figure.axes[0].collections
    rows = VERDICT.contrasts[VERDICT.contrasts["control"] == "reinit"]
    drawn = np.array([segment[:, 1] for segment in reinit.get_segments()])
    assert drawn == pytest.approx(100 * rows[["pooled_low", "pooled_high"]].to_numpy())
    places = [
        [bars.get_transform().transform(segment)[0, 0] for segment in bars.get_segments()]
        for bars in (dense, reinit)
    ]
    gaps = np.diff(places[0])
    assert all(x < other < x + gap for x, other, gap in zip(*places, [*gaps, gaps[0]], strict=True))


def test_a_control_that_collapsed_does_not_flatten_what_matters():
    low, high = difference_limits(VERDICT)
    assert low < -5
    assert 1 < high < 21  # reinit ends 20 points below the ticket, which ends 5 below dense
    assert "1 point is outside the axis" in caption_of(difference_figure(VERDICT, title="tiny"))
    near = verdict(table_of({**ACCURACY, "reinit": [0.95, 0.955, 0.93, 0.88]}), margin=0.2)
    assert "outside" not in caption_of(difference_figure(near, title="tiny"))


def test_of_a_loss_what_is_worse_is_up():
    losses = {arm: [1 - value for value in values] for arm, values in ACCURACY.items()}
    judged = verdict(table_of(losses, column="test_loss"))
    low, high = difference_limits(judged)
    assert high > 0.05
    assert low < 0
    lines = lines_of(difference_figure(judged, title="tiny"))
    assert lines["margin"].get_ydata()[0] > 0
    assert lines["minus dense"].get_ydata() == pytest.approx([-0.01, 0, 0.05], abs=1e-3)


def test_the_strip_has_a_cell_per_level_and_says_it_without_colour():
    figure = verdict_figure(VERDICT, title="tiny")
    ax = figure.axes[0]
    labels = [found.label for found in VERDICT.levels]
    assert len(ax.patches) == len(labels) == 3
    for patch, text, found in zip(ax.patches, ax.texts, VERDICT.levels, strict=True):
        style = VERDICT_STYLE[found.label]
        assert to_hex(patch.get_facecolor()) == to_hex(style.color)
        assert text.get_text() == style.sign
        assert (patch.get_facecolor() == to_rgba(style.color)) == found.is_claimed
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["50", "25", "12.5"]
    numbers = [tick.get_text() for tick in ax.get_xticklabels(minor=True)]
    assert numbers == [f"{found.level}" for found in VERDICT.levels]
    assert all(label in caption_of(figure) for label in labels)
    assert figure.get_suptitle() == f"tiny: {VERDICT.label}"


def test_verdicts_differ_in_colour_and_in_sign():
    colors, signs = zip(*VERDICT_STYLE.values(), strict=True)
    assert len(set(colors)) == len(set(signs)) == len(VERDICT_STYLE)


def test_early_stops_are_means_and_lower_bounds_are_hollow():
    figure = early_stop_figure(learning_speed(TABLE), TABLE, title="tiny")
    lines = lines_of(figure)
    assert lines["ticket"].get_xdata() == pytest.approx([100, 50, 25, 12.5])
    assert lines["ticket"].get_ydata() == pytest.approx([1, 11, 21, 31])
    hollow = [line for line in lines.values() if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [[12.5], [12.5]]
    assert "Hollow: a lower bound" in caption_of(figure)


def test_without_a_validation_split_there_is_no_early_stop():
    table = table_of(stops=False)
    with pytest.raises(UsageError, match="validation split"):
        early_stop_figure(learning_speed(table), table, title="tiny")


def test_a_verdict_without_levels_is_refused():
    only_dense = replace(VERDICT, levels=(), contrasts=VERDICT.contrasts.iloc[:0])
    with pytest.raises(UsageError, match="nothing to draw"):
        verdict_figure(only_dense, title="tiny")
    with pytest.raises(UsageError, match="nothing to draw"):
        difference_figure(only_dense, title="tiny")


def test_runs_are_compared_each_with_its_own_dense_net():
    one = verdict(table_of())
    lower = {arm: [value - 0.1 for value in values] for arm, values in ACCURACY.items()}
    two = replace(verdict(table_of(lower)), run="other")
    (ax,) = compare_figure([one, two]).axes
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["tiny", "other"]
    for line in lines.values():
        assert list(line.get_xdata()) == [50, 25, 12.5]
        assert line.get_ydata() == pytest.approx([1.0, 0.0, -5.0], abs=0.05)
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    is_winning = [level.label == "winning" for level in one.levels]
    assert any(is_winning)
    assert not all(is_winning)
    places = [level.density for level, wins in zip(one.levels, is_winning, strict=True) if not wins]
    assert list(hollow[0].get_xdata()) == [100 * density for density in places]


def at_rate(keep):
    """A run that keeps this share at each level."""
    table = table_of()
    return verdict(table.assign(density=[keep**level for level in table["level"]]))


def test_runs_of_other_densities_have_ticks_where_each_has_values():
    dense, sparse = at_rate(0.7), at_rate(0.25)
    chart = compare_chart([dense, replace(sparse, run="other")])
    wanted = [100 * keep**level for keep in (0.7, 0.25) for level in (1, 2, 3)]
    assert [stop.x for stop in chart.stops] == pytest.approx(sorted(wanted, reverse=True))
    for series, own in zip(chart.series, (dense, sparse), strict=True):
        places = [chart.stops[stop].x for stop, _, _ in chart.points(series)]
        assert places == pytest.approx([100 * level.density for level in own.levels])
        assert [x for _, x, _ in chart.points(series)] == pytest.approx(places)
    ticks = compare_figure([dense, sparse]).axes[0].get_xticks()
    assert min(ticks) == pytest.approx(100 * 0.25**3)
    assert max(ticks) == pytest.approx(70)


def test_what_cannot_be_drawn_together():
    loss = verdict(table_of(column="test_loss"))
    with pytest.raises(UsageError, match="2 metrics"):
        compare_figure([verdict(table_of()), loss])
    with pytest.raises(UsageError, match="0 metrics"):
        compare_figure([])
