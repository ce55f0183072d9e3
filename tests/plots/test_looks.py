"""Laws of figures in any style: as large as asked for, readable, and nothing else is changed."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_figures import TABLE, TABLES
from test_verdict_figures import VERDICT

from lottery_ticket.analysis import metric_of
from lottery_ticket.errors import UsageError
from lottery_ticket.plots import (
    STYLES,
    compare_figure,
    density_figure,
    difference_figure,
    inches,
    run_figure,
    run_figures,
    save,
    verdict_figure,
)

NAMES = [*run_figures(TABLES, verdict=VERDICT)]
KINDS = ["density", "inputs", "learning_curves", "verdict"]  # one of each way to draw
LOOKS = [
    {"style": "paper", "width": "3.3in", "font": "serif"},
    {"style": "default", "width": "3.3in", "font": "sans-serif"},
    {"style": "paper", "width": "3.3in", "font": "sans-serif"},
    {"style": "paper", "width": "6.75in", "font": "serif"},
]


def most_are_slow(values, num_quick):
    """The first ones stand for the others, which are looked at with the slow tests."""
    others = [value if isinstance(value, tuple) else (value,) for value in values[num_quick:]]
    return [*values[:num_quick], *(pytest.param(*each, marks=pytest.mark.slow) for each in others)]


def figures(**look):
    return run_figures(TABLES, title="tiny", run="tiny-1", verdict=VERDICT, **look)


def boxes_of(texts, renderer):
    found = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found]


def check_readable(figure, least):
    """Letters large enough, none on another, legends beside the data, all of it inside."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() >= least, text
    for ax in figure.axes:
        if not ax.get_visible():
            continue
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [
                tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high
            ]
            for (one, a), (other, b) in combinations(boxes_of(shown, renderer), 2):
                assert not a.overlaps(b), f"{one} on {other}"
        legend = ax.get_legend()
        if legend is not None:
            box = legend.get_window_extent(renderer)
            assert box.y0 >= ax.get_window_extent(renderer).y1 - 1, "the legend is on the data"
            assert box.x1 <= figure.bbox.x1 + 1, "the legend goes beyond the figure"
        for text, box in boxes_of([ax.xaxis.label, ax.yaxis.label], renderer):
            assert box.x0 >= -1, text
            assert box.y0 >= -1, text
            assert box.x1 <= figure.bbox.x1 + 1, text
            assert box.y1 <= figure.bbox.y1 + 1, text


@pytest.mark.parametrize("look", most_are_slow(LOOKS, 2), ids=lambda look: "-".join(look.values()))
def test_every_figure_can_be_read(look):
    for figure in figures(**look).values():
        check_readable(figure, 7.0)


def low_figure(name, height):
    look = {"style": "paper", "width": "3.3in", "height": height}
    return run_figure(name, TABLES, verdict=VERDICT, **look)


@pytest.mark.parametrize("name", most_are_slow(NAMES, 3))
def test_a_low_figure_can_be_read_or_is_refused(name):
    figures = []
    for height in (2.4, 2, 1.6, 1.3, 1):
        with suppress(UsageError):
            figures.append(low_figure(name, height))
    assert figures
    for figure in figures:
        check_readable(figure, 7.0)


def test_a_figure_without_room_for_its_ticks_is_refused():
    with pytest.raises(UsageError, match="has no room for data beside its letters"):
        low_figure("layers", 1.2)


RUNS = [replace(VERDICT, run=f"grid-{i:08d}") for i in range(4)]
KEYS = "lr=0.1, rate=0.2, batch_size=64, rewind=100it, hidden=[300, 100]"
LONG = [f"{one.run}: {KEYS}" for one in RUNS]


@pytest.mark.parametrize("look", [{}, *LOOKS], ids=lambda look: "-".join(look.values()) or "none")
def test_runs_that_differ_in_many_keys_can_be_read(look):
    figure = compare_figure(RUNS, labels=LONG, **look)
    check_readable(figure, 7.0)
    ax = figure.axes[0]
    assert ax.get_position().width > 0.6
    assert ax.get_position().height * figure.get_figheight() > 1.2
    said = [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]
    assert said == LONG


def test_letters_of_a_paper_are_of_eight_points():
    figure = figures(style="paper", only=["density"])["accuracy"]
    ax = figure.axes[0]
    sizes = [label.get_fontsize() for label in (*ax.get_xticklabels(), ax.xaxis.label)]
    sizes += [text.get_fontsize() for text in ax.get_legend().get_texts()]
    assert set(sizes) == {8.0}


def test_letters_that_are_too_large_are_caught(monkeypatch):
    monkeypatch.setitem(STYLES["paper"], "legend.fontsize", 30.0)
    with pytest.raises((AssertionError, UsageError)):
        check_readable(figures(style="paper", only=["density"])["accuracy"], 7.0)


def test_letters_that_are_too_small_are_caught(monkeypatch):
    monkeypatch.setitem(STYLES["paper"], "axes.labelsize", 4.0)
    with pytest.raises(AssertionError):
        check_readable(figures(style="paper", only=["density"])["accuracy"], 7.0)


@pytest.mark.parametrize(
    ("length", "wanted"),
    most_are_slow(
        [(3.3, 3.3), ("84mm", 84 / 25.4), ("3.3in", 3.3), ("8.4 cm", 84 / 25.4),
         ("242.66885pt", 242.66885 / 72.27), ("252bp", 3.5)], 2,
    ),
)  # fmt: skip
def test_a_figure_is_as_wide_as_asked_for(length, wanted, tmp_path):
    assert inches(length) == pytest.approx(wanted)
    for style in ("default", "paper", "talk", "ggplot", "dark_background"):
        figure = figures(style=style, width=length, height="3in", only=["density"])["accuracy"]
        assert tuple(figure.get_size_inches()) == pytest.approx((wanted, 3.0))
    data = save(figure, tmp_path / "x.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", data)
    assert [float(side) / 72 for side in box.groups()] == pytest.approx([wanted, 3.0], abs=1e-3)


def test_the_size_holds_whatever_matplotlib_is_told(tmp_path):
    with mpl.rc_context({"savefig.bbox": "tight"}):
        data = save(
            figures(width=3.3, height=2, only=["loss"])["loss"], tmp_path / "x.png"
        ).read_bytes()
    assert data[16:24] == (660).to_bytes(4, "big") + (400).to_bytes(4, "big")


def keeps_settings(act):
    before = mpl.rcParams.copy()
    try:
        act()
    finally:
        after = mpl.rcParams.copy()
        assert after == before


@pytest.mark.parametrize(
    "style", most_are_slow([*STYLES, {"font.size": 9}, "ggplot", "dark_background"], 2)
)
def test_settings_are_as_they_were(style, tmp_path):
    """Law 16."""
    ax = Figure().subplots()
    keeps_settings(lambda: figures(style=style, font="serif", only=KINDS))
    keeps_settings(lambda: difference_figure(VERDICT, ax=ax, style=style))
    keeps_settings(lambda: save(figures(style=style, only=["loss"])["loss"], tmp_path / "x.pdf"))
    for wrong in ({"only": ["nothing"]}, {"width": 0.1}, {"height": 1, "width": 2}):
        with pytest.raises(UsageError):
            keeps_settings(lambda wrong=wrong: figures(style=style, **{"only": KINDS, **wrong}))


def test_settings_that_stay_are_caught():
    with mpl.rc_context(), pytest.raises(AssertionError):
        keeps_settings(lambda: mpl.rcParams.update({"font.size": 3}))


def test_pyplot_is_not_touched():
    """Neither it nor its backend is loaded, in any style."""
    code = (
        "import sys; sys.path[:0] = ['tests/plots']\n"
        "from test_looks import figures\n"
        "figures(style='ggplot', font='serif', only=['density'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=120)


def test_pdf_has_truetype_letters_and_no_date(tmp_path):
    for font in ("serif", "sans-serif"):
        figure = figures(style="paper", font=font, only=["density"])["accuracy"]
        data = save(figure, tmp_path / f"{font}.pdf").read_bytes()
        assert b"/FontFile2" in data
        assert b"/Type3" not in data
        assert b"CreationDate" not in data
        assert (b"STIXGeneral" in data) == (font == "serif")


@pytest.mark.slow
def test_files_are_the_same_bytes_in_every_process(tmp_path):
    code = (
        "import sys; sys.path[:0] = ['tests/plots']\n"
        "from test_looks import KINDS, figures\n"
        "from lottery_ticket.plots import save\n"
        "for name, figure in figures(style='paper', font='serif', only=KINDS).items():\n"
        "    for end in ('pdf', 'svg'): save(figure, f'{sys.argv[1]}/{name}.{end}')"
    )
    root = Path(__file__).parents[2]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path / seed)]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, check=True, cwd=root, env=env, timeout=240)
    one, other = (sorted((tmp_path / seed).iterdir()) for seed in ("1", "2"))
    assert len(one) == 2 * len(KINDS)
    for path, again in zip(one, other, strict=True):
        assert path.read_bytes() == again.read_bytes(), path.name


@pytest.mark.parametrize("style", ["paper", "talk"])
def test_page_and_slide_have_words_of_their_own(style):
    for figure in figures(style=style, only=KINDS).values():
        assert figure.get_suptitle() == figure.get_supxlabel() == ""
    assert figures(only=["loss"])["loss"].get_suptitle().startswith("tiny")


def test_signs_of_the_verdict_are_told_without_small_print():
    legend = figures(style="paper", only=["verdict"])["verdict"].axes[0].get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    assert "✓ winning" in texts
    assert len(texts) == len({found.label for found in VERDICT.levels})


def families_of(figure):
    return {
        tuple(text.get_fontfamily())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip()
    }


@pytest.mark.parametrize("style", ["default", "paper", "ggplot"])
def test_a_font_is_that_of_every_letter(style):
    for figure in figures(style=style, font="serif", only=KINDS).values():
        figure.draw_without_rendering()
        assert {family[0] for family in families_of(figure)} == {"STIXGeneral"}


def test_on_axes_of_ones_own():
    figure = Figure(figsize=(7, 3))
    left, right = figure.subplots(1, 2)
    density_figure(TABLE, metric_of(TABLE), ax=left, style="paper")
    assert run_figure("verdict", TABLES, verdict=VERDICT, ax=right, font="serif") is figure
    assert left.xaxis.label.get_fontsize() == 8
    assert figure.get_suptitle() == figure.get_supxlabel() == ""
    assert tuple(figure.get_size_inches()) == (7, 3)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in
                                  ("inputs", "learning_curves", "overlap")])  # fmt: skip
def test_every_figure_of_one_panel_takes_axes(name):
    ax = Figure().subplots()
    assert run_figure(name, TABLES, verdict=VERDICT, ax=ax) is ax.figure
    assert ax.has_data() or ax.patches


@pytest.mark.parametrize("name", ["inputs", "learning_curves", "overlap"])
def test_axes_are_room_for_one_panel(name):
    with pytest.raises(UsageError, match=r"panels, and axes are room for one"):
        run_figure(name, TABLES, verdict=VERDICT, ax=Figure().subplots())


@pytest.mark.parametrize("wrong", [Figure(), Figure().subplots(1, 2), "axes"])
def test_what_is_no_axes(wrong):
    for draw in (
        lambda: run_figure("density", TABLES, ax=wrong),
        lambda: verdict_figure(VERDICT, ax=wrong),
        lambda: compare_figure([VERDICT], ax=wrong),
    ):
        with pytest.raises(UsageError, match="wanted the axes of matplotlib"):
            draw()


def test_axes_keep_their_size():
    for what in ("width", "height"):
        with pytest.raises(UsageError, match=f"{what} has no effect with ax"):
            difference_figure(VERDICT, ax=Figure().subplots(), **{what: 3})


def test_names():
    assert [*figures(only=["density"])] == ["accuracy"]
    assert [*figures(only=["signs", "density", "accuracy"])] == ["signs", "accuracy"]
    assert [*figures(only=["curves"])] == ["learning_curves"]
    assert [*figures()] == NAMES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"only": ["denisty"]}, "no figure 'denisty'; did you mean 'density'"),
        ({"only": "density"}, r"wanted a list of names, such as \['density'\]"),
        ({"only": []}, "got no name"),
        ({"only": ["results_table"]}, "has no values for the figure 'results_table'; it has"),
        ({"width": "0.1in"}, r"width: got 0.1in \(0.1 inches\), wanted 2 to 40"),
        ({"width": 100}, "width: got 100 inches, wanted 2 to 40; .*write 100pt|wanted 2 to 40"),
        ({"width": "242.67"}, "write 242.67pt"),
        ({"width": "3.3 furlongs"}, "unknown unit 'furlongs'"),
        ({"width": "wide"}, "wanted a length"),
        ({"width": float("nan")}, "wanted a length"),
        ({"width": True}, "wanted a length"),
        ({"height": 0}, "height: got 0 inches, wanted 1 to 40"),
        ({"height": "-3in"}, "height: got -3in"),
        ({"font": "Comic Sans MT 3000"}, "'Comic Sans MT 3000' is not installed"),
        ({"font": "dejavu sanz"}, "did you mean 'dejavu sans'"),
        ({"font": 3}, "font: got 3"),
        ({"style": "papr"}, "unknown style 'papr'; did you mean 'paper'"),
        ({"style": "mine.mplstyle"}, "there is no file 'mine.mplstyle'"),
        ({"style": {"font.sise": 3}}, "'font.sise' is no setting of a figure; did you mean"),
        ({"style": {"font.size": "big"}}, "style: font.size: "),
        ({"style": {"backend": "agg"}}, "'backend' is no setting of a figure"),
        ({"style": ["paper", "papr"]}, "unknown style 'papr'"),
        ({"witdh": 3}, "unknown argument 'witdh'; did you mean 'width'"),
        ({"width": 2, "height": 1}, "has no room for data beside its letters"),
    ],
)
def test_wrong_looks(options, said):
    with pytest.raises(UsageError, match=said):
        figures(**options)


def test_settings_of_ones_own(tmp_path):
    (tmp_path / "mine.mplstyle").write_text("lines.linewidth: 4\nfigure.figsize: 6, 3\n")
    figure = figures(style=tmp_path / "mine.mplstyle", only=["density"])["accuracy"]
    assert figure.axes[0].get_lines()[0].get_linewidth() == 4
    assert figure.get_figwidth() == 6
    mixed = figures(style=["paper", {"lines.linewidth": 2}], only=["density"])["accuracy"]
    assert mixed.axes[0].get_lines()[0].get_linewidth() == 2
    assert mixed.get_figwidth() == 3.3
    grown = figures(style={"font.size": 12}, only=["density"])["accuracy"].axes[0]
    assert grown.xaxis.label.get_fontsize() == pytest.approx(12.6)
    assert grown.get_legend().get_texts()[0].get_fontsize() == pytest.approx(11.4)


def test_black_is_white_on_black():
    figure = density_figure(TABLE.assign(arm=TABLE["arm"].str.replace("reinit", "lr_rewind")),
                            metric_of(TABLE), style="dark_background")  # fmt: skip
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert lines["lr_rewind"].get_color() == "white"
    assert lines["ticket"].get_color() != lines["lr_rewind"].get_color()
