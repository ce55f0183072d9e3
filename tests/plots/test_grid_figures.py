"""The figure of a sweep."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lottery_ticket import UsageError, sweep
from lottery_ticket.charts import grid_charts, grid_maps
from lottery_ticket.plots import grid_figure, save

SMALL = [
    *("replicates=2", "prune.levels=2", "train.duration=2ep", "model.hidden=[12, 8]"),
    "arms=[ticket,reinit,shuffled]",
]
QUIET = {"jobs": 1, "threads": 1, "progress": False}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("grids") / "store"


@pytest.fixture(scope="module")
def lines(store):
    return sweep("quickstart", {"train.lr": [0.01, 0.1]}, overrides=SMALL, store=store, **QUIET)


@pytest.fixture(scope="module")
def maps(store):
    grid = {"train.lr": [0.01, 0.1], "rewind": ["0it", "5it"]}
    return sweep("quickstart", grid, overrides=SMALL, store=store, **QUIET)


def test_lines_have_the_means_and_the_chosen_points_are_filled(lines):
    charts = grid_charts(lines)
    sizes = ["level 1 · 70.02 %", "level 2 · 49.05 %"]
    assert [chart.y.label.split(":")[0] for chart in charts] == sizes
    chosen = {(r["arm"], r["level"]): r["point"] for r in lines.choice.to_dict("records")}
    for level, chart in zip((1, 2), charts, strict=True):
        assert [series.name for series in chart.series] == ["dense", "ticket", "reinit", "shuffled"]
        assert [stop.x for stop in chart.stops] == [-2.0, -1.0]  # a log axis
        assert [stop.tick for stop in chart.stops] == ["0.01", "0.1"]
        for series in chart.series:
            at = level if series.name != "dense" else 0
            own = lines.points.loc[
                (lines.points["arm"] == series.name) & (lines.points["level"] == at)
            ]
            assert series.y == pytest.approx((100 * own["mean"]).tolist())
            assert series.open is not None
            assert [i for i, hollow in enumerate(series.open) if not hollow] == [
                chosen[series.name, at]
            ]


def test_maps_have_the_means_and_a_frame(maps):
    found = {(each.arm, each.level): each for each in grid_maps(maps)}
    assert len(found) == 1 + 3 * 2
    chosen = {(r["arm"], r["level"]): r["point"] for r in maps.choice.to_dict("records")}
    for place, each in found.items():
        own = maps.points.loc[(maps.points["arm"] == place[0]) & (maps.points["level"] == place[1])]
        assert each.values.ravel() == pytest.approx((100 * own["mean"]).to_numpy())
        assert each.chosen == divmod(chosen[place], 2)
    figure = grid_figure(maps)
    frames = [p for ax in figure.axes for p in ax.patches if isinstance(p, Rectangle)]
    assert len(frames) == len(found)
    values = np.array([float(t.get_text()) for ax in figure.axes for t in ax.texts])
    assert len(values) == 4 * len(found)


@pytest.mark.parametrize("style", ["default", "paper", "talk"])
def test_figures_are_drawn_in_every_style(lines, maps, style, tmp_path):
    for name, found in (("lines", lines), ("maps", maps)):
        width = "6in" if name == "maps" else None
        figure = grid_figure(found, style=style, width=width, title="tiny")
        assert save(figure, tmp_path / f"{name}.png").stat().st_size > 5000


def test_three_keys_are_points(store):
    grid = {"train.lr": [0.01, 0.1], "rewind": ["0it"], "train.momentum": [0, 0.9]}
    found = sweep("quickstart", grid, overrides=SMALL, store=store, **QUIET)
    chart = grid_charts(found, [2])[0]
    assert [s.tick for s in chart.stops] == ["0.01, 0it, 0", "0.01, 0it, 0.9", "0.1, 0it, 0",
                                             "0.1, 0it, 0.9"]  # fmt: skip
    assert all(series.is_points for series in chart.series)


def test_what_cannot_be_drawn_is_said(lines, maps):
    with pytest.raises(UsageError, match="levels: got 7, wanted some of 1, 2"):
        grid_figure(lines, levels=[7])
    with pytest.raises(UsageError, match="heat maps are several panels"):
        grid_figure(maps, ax=Figure().subplots())
    ax = Figure().subplots()
    grid_figure(lines, levels=[2], ax=ax)
    assert ax.get_xlabel() == "train.lr"
