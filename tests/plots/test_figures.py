import re
import struct
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from test_verdict_figures import TABLE as VERDICT_TABLE
from test_verdict_figures import VERDICT

from lottery_ticket.analysis import RunTables, as_table, learning_speed, metric_of
from lottery_ticket.errors import UsageError
from lottery_ticket.plots import (
    ARM_STYLE,
    compare_figure,
    curves_figure,
    density_figure,
    difference_figure,
    draw_all,
    draw_summary_figure,
    early_stop_figure,
    inputs_figure,
    layers_figure,
    overlap_figure,
    run_figures,
    save,
    signs_figure,
    verdict_figure,
)

DENSITY = {0: 1.0, 1: 0.5, 2: 0.25}
ROWS = [
    ("ticket", 0, 0, 0.90),
    ("ticket", 0, 1, 0.92),
    ("ticket", 1, 0, 0.93),
    ("ticket", 1, 1, 0.95),
    ("ticket", 2, 0, 0.94),
    ("reinit", 1, 0, 0.88),
    ("reinit", 1, 1, 0.90),
    ("reinit", 2, 0, 0.80),
]


def table_of(rows, *, regression=False):
    return as_table(
        [
            {
                "run": "tiny",
                "arm": arm,
                "level": level,
                "replicate": replicate,
                "draw": 0,
                "density": DENSITY[level] + 1e-6 * replicate,
                "sparsity": 1 - DENSITY[level],
                "num_kept": int(100 * DENSITY[level]),
                "num_prunable": 100,
                "test_accuracy": None if regression else value,
                "test_loss": 1 - value,
            }
            for arm, level, replicate, value in rows
        ]
    )


def layers_of(rows):
    names = ("arm", "level", "replicate", "draw", "layer", "density", "num_kept", "num_prunable")
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows], columns=list(names))


TABLE = table_of(ROWS)
LAYERS = layers_of(
    [
        ("ticket", 0, 0, 0, "fc2", 1.0, 80, 80),
        ("ticket", 0, 0, 0, "fc1", 1.0, 20, 20),
        ("ticket", 1, 0, 0, "fc2", 0.4, 32, 80),
        ("ticket", 1, 0, 0, "fc1", 0.9, 18, 20),
        ("ticket", 1, 1, 0, "fc2", 0.5, 40, 80),
        ("ticket", 1, 1, 0, "fc1", 0.5, 10, 20),
        ("reinit", 1, 0, 0, "fc2", 0.1, 8, 80),
    ]
)
HISTORY = pd.DataFrame(
    [
        {"arm": arm, "level": level, "replicate": replicate, "draw": 0, "step": step}
        | {"test_accuracy": value + 0.001 * step, "test_loss": 1 - value}
        for arm, level, replicate, value in ROWS
        for step in (0, 5, 10)
    ]
)
EMPTY = layers_of([])
OVERLAP = pd.DataFrame(
    [
        {"level": level, "replicate": pair[0], "replicate_other": pair[1], "layer": layer}
        | {"num_kept": kept, "num_prunable": 100, "share": share, "expected_share": chance}
        for level, pair, layer, kept, share, chance in [
            (0, (0, 1), "all", 100, 1.0, 1.0),
            (1, (0, 1), "fc", 50, 0.6, 0.4),
            (1, (0, 1), "all", 50, 0.6, 0.5),
            (1, (0, 2), "fc", 50, 0.8, 0.4),
            (1, (0, 2), "all", 50, 0.7, 0.5),
            (2, (0, 1), "fc", 25, 0.5, 0.25),
            (2, (0, 1), "all", 25, 0.4, 0.25),
        ]
    ]
)
INPUTS = pd.DataFrame(
    [
        {"arm": "ticket", "level": level, "replicate": replicate, "draw": 0, "input": pixel}
        | {"num_kept": kept, "num_prunable": 4, "density": kept / 4}
        for level in (0, 1, 2)
        for replicate in (0, 1)
        for pixel in range(25)
        for kept in [4 if level == 0 else int(pixel < 10 * replicate + 5)]
    ]
)
KEPT_WEIGHTS = pd.DataFrame(
    [
        {"arm": arm, "level": level, "replicate": replicate, "draw": 0, "layer": layer}
        | {"sign_kept": share}
        for arm, level, replicate, share in [
            ("ticket", 0, 0, 0.8), ("ticket", 0, 1, 0.9), ("ticket", 1, 0, 0.95),
            ("reinit", 1, 0, 0.6),
        ]
        for layer in ("fc", "all")
    ]
)  # fmt: skip
TABLES = RunTables(TABLE, LAYERS, HISTORY, OVERLAP, INPUTS, kept_weights=KEPT_WEIGHTS)


def lines_of(figure, panel=0):
    return {line.get_label(): line for line in figure.axes[panel].get_lines()}


def size_of(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) > 10_000
    return struct.unpack(">II", data[16:24])


def caption_of(figure):
    return figure.get_supxlabel().replace("\n", " ")


def names_of(paths):
    return [path.name for path in paths]


def test_every_figure_of_a_classification(tmp_path):
    paths = draw_all(TABLES, tmp_path / "new" / "plots", title="tiny")
    names = ["accuracy", "loss", "layers", "learning_curves", "inputs", "overlap", "signs"]
    assert names_of(paths) == [f"{name}.{suffix}" for name in names for suffix in ("png", "svg")]
    assert sorted((tmp_path / "new" / "plots").iterdir()) == sorted(paths)
    assert {size_of(path)[0] for path in paths if path.suffix == ".png"} == {1080}
    for path in paths:
        if path.suffix == ".svg":
            assert "<svg" in path.read_text("utf-8")


def test_every_figure_of_a_regression(tmp_path):
    history = HISTORY.assign(test_accuracy=None)
    tables = RunTables(table_of(ROWS, regression=True), LAYERS, history)
    paths = draw_all(tables, tmp_path, title="tiny", formats=["png"])
    assert names_of(paths) == ["loss.png", "layers.png", "learning_curves.png"]
    assert "`imp_recovery`" in draw_all.__doc__  # the twin that is gone is not gone silently


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[5:], [ROWS[0], ROWS[4]], [("mine", 2, 0, 0.5)]])
def test_partial_runs_are_drawn(tmp_path, rows):
    arms = {arm for arm, *_ in rows}
    history = HISTORY[HISTORY["arm"].isin(arms)]
    layers = LAYERS[LAYERS["arm"].isin(arms)]
    tables = RunTables(table_of(rows), layers, history)
    expected = ["accuracy.png", "loss.png"]
    expected += ["layers.png"] if len(layers) else []
    expected += ["learning_curves.png"] if len(history) else []
    assert names_of(draw_all(tables, tmp_path, title="part", formats=["png"])) == expected


def test_a_table_without_values_is_refused(tmp_path):
    with pytest.raises(UsageError, match="nothing to draw"):
        draw_all(RunTables(as_table([])), tmp_path, title="none")
    assert list(tmp_path.iterdir()) == []


def test_summary_figure_is_the_accuracy_figure(tmp_path):
    path = draw_summary_figure(TABLE, tmp_path / "docs" / "readme.png", title="tiny")
    again = tmp_path / "accuracy.png"
    density_figure(TABLE, metric_of(TABLE), title="tiny").savefig(again, dpi=200)
    assert path == tmp_path / "docs" / "readme.png"
    assert path.read_bytes() == again.read_bytes()


def test_drawn_accuracies_are_the_tables_means_in_percent():
    lines = lines_of(density_figure(TABLE, metric_of(TABLE), title="tiny"))
    assert list(lines) == ["ticket", "reinit", "dense"]
    assert lines["ticket"].get_xdata() == pytest.approx([100, 50, 25], abs=1e-3)
    assert lines["ticket"].get_ydata() == pytest.approx([91, 94, 94])
    assert lines["reinit"].get_ydata() == pytest.approx([89, 80])
    assert lines["dense"].get_ydata() == pytest.approx([91, 91])
    for arm in ("ticket", "reinit"):
        assert (lines[arm].get_color(), lines[arm].get_marker()) == ARM_STYLE[arm]


def test_bands_are_one_sd_where_there_are_two_replicates():
    figure = density_figure(TABLE, metric_of(TABLE), title="tiny")
    bands = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    assert len(bands) == 2
    edges = bands[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == pytest.approx((91 - np.sqrt(2), 94 + np.sqrt(2)))
    caption = caption_of(figure)
    assert "n = 1–2 replicates, band ±1 sd" in caption
    assert "dashed: dense (ticket, level 0)" in caption


def test_one_replicate_has_points_but_no_band():
    table = TABLE[TABLE["replicate"] == 0]
    figure = density_figure(table, metric_of(table), title="tiny")
    assert not figure.axes[0].collections
    assert caption_of(figure).startswith("Mean over n = 1 replicate; dashed")


def test_sparser_is_to_the_right_on_a_log_or_a_linear_axis():
    metric = metric_of(TABLE)
    ax = density_figure(TABLE, metric, title="tiny").axes[0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[0] > 100 > 25 > ax.get_xlim()[1]
    assert list(ax.get_xticks()) == pytest.approx([100, 50, 25], abs=1e-3)
    assert [ax.xaxis.get_major_formatter()(tick) for tick in ax.get_xticks()] == ["100", "50", "25"]
    ax = density_figure(TABLE, metric, title="tiny", is_linear=True).axes[0]
    assert ax.get_xscale() == "linear"
    assert ax.get_xlim() == pytest.approx(
        (103, 22)
    )  # the sparsest is 25 %: nothing is drawn beyond
    assert list(ax.get_xticks()) == [100, 80, 60, 40]


def test_a_collapsed_arm_does_not_flatten_the_rest_and_is_told():
    table = table_of([*ROWS, ("random", 2, 0, 0.11)])
    figure = density_figure(table, metric_of(table), title="tiny")
    low, high = figure.axes[0].get_ylim()
    assert 11 < low < 80
    assert high > 94
    assert "1 point is outside the axis (11)." in caption_of(figure)
    # at the edge, below its place and with its value: no figure hides what was measured
    (edge,) = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert edge.get_xydata().tolist() == [pytest.approx([25, low], abs=1e-3)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["11"]


def test_titles_carry_the_runs_name_and_the_small_print_its_id():
    figure = density_figure(TABLE, metric_of(TABLE), title="my-run", run="my-run-1234abcd")
    assert figure.get_suptitle() == "my-run: test accuracy"
    assert caption_of(figure).endswith(" Run my-run-1234abcd.")
    assert "Run" not in caption_of(density_figure(TABLE, metric_of(TABLE), title="my-run"))


def top_of(figure):
    """Where the highest thing on a figure ends, as a share of its height."""
    figure.canvas.draw()
    return figure.get_tightbbox().y1 / figure.get_figheight()


def test_without_a_title_there_is_no_room_for_one():
    titled = density_figure(TABLE, metric_of(TABLE), title="tiny")
    plain = density_figure(TABLE, metric_of(TABLE), title="")
    assert plain._suptitle is None
    assert top_of(plain) > 0.97
    assert top_of(titled) > 0.97
    higher = [figure.axes[0].get_position().height for figure in (titled, plain)]
    assert higher[1] > higher[0] + 0.04
    assert caption_of(plain) == caption_of(titled)


MANY = layers_of([("ticket", 0, 0, 0, f"conv{i}", 1.0, 10, 10) for i in range(22)])
ON_AXES = {
    "density": partial(density_figure, TABLE, metric_of(TABLE)),
    "layers": partial(layers_figure, LAYERS),
    "many layers": partial(layers_figure, MANY),
    "signs": partial(signs_figure, KEPT_WEIGHTS, TABLE),
    "difference": partial(difference_figure, VERDICT),
    "early stop": partial(early_stop_figure, learning_speed(VERDICT_TABLE), VERDICT_TABLE),
    "verdict": partial(verdict_figure, VERDICT),
    "compare": partial(compare_figure, [VERDICT]),
}


@pytest.mark.parametrize("draw", ON_AXES.values(), ids=ON_AXES)
def test_a_figure_of_one_panel_is_drawn_on_axes_that_are_given(draw):
    figure = Figure(figsize=(10, 4), layout="constrained")
    other, ax = figure.subplots(1, 2)
    assert draw(ax=ax, title="tiny") is figure
    assert figure._suptitle is None
    assert figure._supxlabel is None
    assert figure.axes == [other, ax]
    assert not other.has_data()
    own = draw(title="tiny").axes[0]
    drawn = [[line.get_xydata().tolist() for line in one.lines] for one in (ax, own)]
    assert drawn[0] == drawn[1]
    assert len(ax.patches) == len(own.patches)
    assert (ax.get_xlim(), ax.get_ylim()) == (own.get_xlim(), own.get_ylim())


def test_axes_of_a_part_of_a_figure_are_fine():
    figure = Figure(figsize=(8, 4))
    part, _ = figure.subfigures(1, 2)
    assert density_figure(TABLE, metric_of(TABLE), ax=part.subplots()) is figure


def arms_table(num_arms):
    arms = list(ARM_STYLE)[:num_arms]
    return table_of([(arm, level, r, 0.9 - 0.01 * r) for arm in arms for level in (0, 1, 2)
                     for r in (0, 1)])  # fmt: skip


@pytest.mark.parametrize(("num_arms", "kind"), [(4, "band"), (5, "bars"), (14, "bars")])
def test_from_five_arms_on_spreads_are_bars_side_by_side(num_arms, kind):
    table = arms_table(num_arms)
    figure = density_figure(table, metric_of(table), title="tiny")
    assert f"{kind} ±1 sd" in caption_of(figure)
    (ax,) = figure.axes
    shown = {"band": PolyCollection, "bars": LineCollection}[kind]
    assert [isinstance(c, shown) for c in ax.collections] == [True] * num_arms
    if kind == "bars":
        ends = [bars.get_segments()[1][0] for bars in ax.collections]
        places = [
            bars.get_transform().transform(end)[0]
            for bars, end in zip(ax.collections, ends, strict=True)
        ]
        assert len({round(place, 2) for place in places}) == num_arms
        left, right = ax.transData.transform([(100, 90), (50, 90)])[:, 0]
        assert max(places) - min(places) < right - left  # they stay with their level


@pytest.mark.parametrize("num_arms", [3, 8, 14])
def test_a_legend_of_many_arms_stays_inside_the_figure(num_arms):
    table = arms_table(num_arms)
    figure = density_figure(table, metric_of(table), title="tiny")
    figure.canvas.draw()
    box = figure.axes[0].get_legend().get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure._suptitle.get_window_extent().y0
    assert figure.axes[0].get_position().height * figure.get_figheight() > 2


def test_a_suffix_says_the_format_and_others_are_refused(tmp_path):
    figure = density_figure(TABLE, metric_of(TABLE), title="tiny")
    assert save(figure, f"{tmp_path}/new/a.png") == tmp_path / "new" / "a.png"
    size_of(tmp_path / "new" / "a.png")
    for path in (tmp_path / "b.PDF", str(tmp_path / "c.svg")):
        assert save(figure, path).stat().st_size > 1000
    with pytest.raises(UsageError, match=r"got the suffix '\.txt', wanted one of .*\.pdf.*\.png"):
        save(figure, tmp_path / "a.txt")
    with pytest.raises(UsageError, match="got the suffix ''"):
        save(figure, tmp_path / "a")
    assert not (tmp_path / "a.txt").exists()


def test_every_suffix_that_is_listed_works(tmp_path):
    figure = density_figure(TABLE, metric_of(TABLE), title="tiny")
    with pytest.raises(UsageError) as refused:
        save(figure, tmp_path / "a.txt")
    suffixes = re.findall(r"\.\w+", str(refused.value).partition("wanted one of")[2])
    assert len(suffixes) > 5
    for suffix in suffixes:
        assert save(figure, tmp_path / f"a{suffix}").stat().st_size > 1000


def test_layers_are_in_model_order_and_averaged_over_replicates():
    figure = layers_figure(LAYERS, title="tiny")
    lines = lines_of(figure)
    assert list(lines) == ["fc2", "fc1", "all layers"]
    assert lines["fc2"].get_xdata() == pytest.approx([100, 50])
    assert lines["fc2"].get_ydata() == pytest.approx([100, 45])
    assert lines["fc1"].get_ydata() == pytest.approx([100, 70])
    assert lines["all layers"].get_ydata() == pytest.approx([100, 50])
    assert figure.axes[0].get_yscale() == "log"
    assert "n = 1–2 replicates" in caption_of(figure)


def test_an_empty_layer_is_told_not_drawn():
    layers = LAYERS.assign(num_kept=[80, 20, 0, 18, 0, 10, 8])
    figure = layers_figure(layers, title="tiny")
    assert lines_of(figure)["fc2"].get_xydata().tolist() == [[100, 100]]
    assert "1 empty layer" in caption_of(figure)


def many_layers(num_layers):
    names = [f"conv{i}" for i in range(num_layers)]
    rows = LAYERS[LAYERS["layer"] == "fc2"]
    return pd.concat([rows.assign(layer=name) for name in names])


def test_a_handful_of_layers_is_a_legend_that_fits():
    figure = layers_figure(many_layers(9), title="deep")
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        *(f"conv{i}" for i in range(9)),
        "all layers",
    ]
    figure.canvas.draw()
    box, whole = legend.get_window_extent(), figure.bbox
    assert box.x1 <= whole.x1
    assert box.y1 <= figure._suptitle.get_window_extent().y0  # and does not touch the title


@pytest.mark.parametrize("num_layers", [22, 60])
def test_many_layers_are_a_bar_of_colours_with_its_ends_named(num_layers):
    figure = layers_figure(many_layers(num_layers), title="deep")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["all layers"]
    (bar,) = ax.child_axes
    assert bar.images[0].get_array().shape == (1, num_layers)
    said = [text.get_text() for text in bar.texts]
    assert said == ["conv0", f"conv{num_layers - 1}", f"{num_layers} layers, first to last"]
    figure.canvas.draw()
    assert max(text.get_window_extent().y1 for text in bar.texts) <= (
        figure._suptitle.get_window_extent().y0
    )
    assert figure.get_figwidth() == layers_figure(LAYERS, title="tiny").get_figwidth()


def test_curves_are_means_over_replicates_with_a_panel_per_arm():
    figure = curves_figure(HISTORY, TABLE, metric_of(TABLE), title="tiny")
    ticket, reinit = figure.axes
    assert [ax.texts[0].get_text() for ax in (ticket, reinit)] == ["ticket", "reinit"]
    lines = lines_of(figure)
    assert list(lines) == ["100 % kept", "50 % kept", "25 % kept"]
    assert lines["50 % kept"].get_xdata() == pytest.approx([0, 5, 10])
    assert lines["50 % kept"].get_ydata() == pytest.approx([94, 94.5, 95])
    assert lines_of(figure, 1)["25 % kept"].get_ydata() == pytest.approx([80, 80.5, 81])
    assert ticket.get_ylim() == reinit.get_ylim()
    assert "n = 1–2 replicates" in caption_of(figure)


def test_overlap_is_the_mean_over_pairs_beside_chance():
    figure = overlap_figure(OVERLAP, title="tiny")
    lines = lines_of(figure)
    assert lines["shared"].get_xdata() == pytest.approx([50, 25])
    assert lines["shared"].get_ydata() == pytest.approx([65, 40])
    assert lines["chance"].get_ydata() == pytest.approx([50, 25])
    (band,) = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    edges = band.get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == pytest.approx((40, 70))
    assert lines_of(figure, 1)["fc"].get_ydata() == pytest.approx([0.7 / 0.4, 2])
    assert "mean over 1–2 pairs" in caption_of(figure)


@pytest.mark.parametrize("overlap", [pd.DataFrame(), OVERLAP[OVERLAP["level"] == 0]])
def test_no_pair_of_masks_is_no_figure(overlap):
    with pytest.raises(UsageError, match="no two replicates"):
        overlap_figure(overlap, title="tiny")


def test_inputs_are_drawn_where_they_lie_and_grey_where_nothing_reads_them():
    figure = inputs_figure(INPUTS, title="tiny")
    panel = figure.axes[0]
    assert (
        panel.get_title(loc="left") == "10 % of layer\n10 inputs read"
    )  # level 1, not the dense 0
    image = panel.images[0].get_array()
    assert image.shape == (5, 5)
    assert image.filled(0).ravel().tolist() == [0.25] * 5 + [0.125] * 10 + [0.0] * 10
    assert image.mask.ravel().tolist() == [False] * 15 + [True] * 10
    assert "image of 5 × 5" in caption_of(figure)


def test_inputs_that_are_no_image_are_refused():
    with pytest.raises(UsageError, match="the inputs are no square image"):
        inputs_figure(INPUTS[INPUTS["input"] < 24], title="tiny")


def test_signs_are_shares_in_percent_per_arm():
    figure = signs_figure(KEPT_WEIGHTS, TABLE, title="tiny")
    lines = lines_of(figure)
    assert lines["ticket"].get_xdata() == pytest.approx([100, 50], abs=1e-3)
    assert lines["ticket"].get_ydata() == pytest.approx([85, 95])
    assert lines["reinit"].get_ydata() == pytest.approx([60])
    with pytest.raises(UsageError, match="nothing to draw"):
        signs_figure(pd.DataFrame(), TABLE, title="tiny")


def test_fonts_can_be_read_in_a_column():
    """At 3.5 inches, the column of a paper, labels are 6 points or more."""
    for figure in (
        density_figure(TABLE, metric_of(TABLE), title="tiny"),
        curves_figure(HISTORY, TABLE, metric_of(TABLE), title="tiny"),
        overlap_figure(OVERLAP, title="tiny"),
    ):
        shrunk = 3.5 / figure.get_figwidth()
        for label in figure.axes[-1].get_xticklabels():
            assert label.get_fontsize() * shrunk >= 6


def test_arms_differ_in_colour_and_in_marker():
    colors, markers = zip(*ARM_STYLE.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == len(ARM_STYLE)


def seen(color):
    """A colour in Oklab, where distances are as the eye sees them; its lightness by half, which
    hardly tells thin lines apart."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.63]])
    lab = np.array([[0.2105, 0.7936, -0.0041], [1.978, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    return lab @ np.cbrt(cones @ linear) * (0.5, 1, 1)


TOGETHER = [
    *("ticket", "reinit", "shuffled", "random", "oneshot", "lth", "lr_rewind", "finetune"),
    *("magnitude_init", "snip", "grasp", "synflow"),
]


def check_colors(colors):
    """Any two of the arms that are often drawn together can be told apart."""
    for one, other in combinations(TOGETHER, 2):
        assert np.linalg.norm(seen(colors[one]) - seen(colors[other])) > 0.095, (one, other)


def test_arms_that_are_often_drawn_together_can_be_told_apart():
    colors = {arm: style.color for arm, style in ARM_STYLE.items()}
    check_colors(colors)
    for arm, purple in (("snip", "#6040DF"), ("grasp", "#002060")):  # as lth, as magnitude_init
        with pytest.raises(AssertionError, match=arm):
            check_colors({**colors, arm: purple})


def test_a_notebook_shows_figures_in_columns_of_one_width():
    shown = run_figures(TABLES, only=["density", "layers"])._repr_html_()
    assert shown.startswith('<div style="columns:')
    assert shown.count("width:100%") == shown.count("break-inside:avoid") == 2
    assert "inline-block" not in shown  # whose rows have holes where heights differ
