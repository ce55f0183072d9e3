"""The page in a real browser: what is drawn, switched, read out and sorted."""

import re
from dataclasses import replace

import numpy as np
import pytest
from small_runs import hostile_content, small_content, small_stability

from lottery_ticket.plots._render import chart_figure
from lottery_ticket.report import html_page

WIDTHS = {"wide": 1280, "phone": 390}


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page; at the end nothing was asked of the network, and nothing went wrong in it."""
    pages, wrong = [], []

    def opened(html, *, width=1280, **options):
        path = tmp_path / f"{len(pages)}.html"
        path.write_text(html, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.set_default_timeout(120_000)  # a busy machine draws slowly
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message) or dialog.dismiss())
        page.on("request", lambda r: r.url.startswith("file:") or wrong.append(r.url))
        page.goto(path.as_uri())
        page.wait_for_selector("figure svg path.line", state="attached")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert wrong == []


CONTENT = small_content(stability=small_stability())
HTML = html_page([CONTENT])


def lines_of(page, chart):
    """Names of the lines that a chart shows."""
    series = page.locator(f"#run-1-{chart} g.series")
    return [series.nth(i).get_attribute("data-name") for i in range(series.count())]


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_drawn_and_fits(show, width, scheme):
    page = show(HTML, width=width, color_scheme=scheme)
    charts = (*CONTENT.main, CONTENT.classes.chart, *CONTENT.learning, *CONTENT.structure)
    charts += (*CONTENT.stability.charts,)
    for chart in charts:
        assert lines_of(page, chart.name) == [series.name for series in chart.series]
        assert page.locator(f"#run-1-{chart.name} .key").count() == len(chart.series)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for svg in page.locator("figure svg").all():
        box = svg.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    colors = {scheme: page.evaluate("getComputedStyle(document.body).backgroundColor")}
    assert (colors[scheme] == "rgb(253, 253, 251)") == (scheme == "light")


def test_classes_are_marks_with_their_names(show):
    page = show(HTML)
    figure = page.locator("#run-1-classes")
    ticks = [text.inner_html() for text in figure.locator("text.tick").all()]
    assert {"ant", "bee", "cat"} <= set(ticks)
    assert figure.locator("g.series path.mark").count() == 3
    assert figure.locator("g.series path.mark.open").count() == 2
    assert figure.locator("g.series path.line").count() == 0


def test_lines_lie_where_their_values_are(show):
    """The first stop is left of the last, and the better arm above the worse."""
    page = show(HTML)
    marks = {}
    for arm in ("ticket", "reinit"):
        found = page.locator(f"#run-1-accuracy g.series[data-name={arm}] path.mark").all()
        marks[arm] = [mark.bounding_box() for mark in found]
    assert [len(boxes) for boxes in marks.values()] == [4, 4]
    for boxes in marks.values():
        assert [box["x"] for box in boxes] == sorted(box["x"] for box in boxes)
    assert marks["ticket"][3]["y"] < marks["reinit"][3]["y"]


def marks_of(page, chart, series):
    """Where the marks of a line stand, in pixels."""
    marks = page.locator(f'#run-1-{chart} g.series[data-name="{series}"] path.mark').all()
    found = [re.findall(r"[-\d.]+", mark.get_attribute("transform")) for mark in marks]
    return [[float(value) for value in pair] for pair in found]


def check_places(page, chart):
    """Marks stand where one scale for all lines puts the chart's values."""
    values = [y for line in chart.series for _, _, y in chart.points(line)]
    at = [y for line in chart.series for _, y in marks_of(page, chart.name, line.name)]
    assert len(values) == len(at) > 3
    slope, start = np.polyfit(values, at, 1)
    assert slope < 0
    assert np.abs(np.polyval([slope, start], values) - at).max() < 0.2  # pixels
    bottom, top = np.polyval([slope, start], [chart.y.low, chart.y.high])
    assert bottom - top > 150


@pytest.mark.parametrize("name", ["accuracy", "difference", "early_stop", "loss"])
def test_marks_stand_where_the_charts_values_are(show, name):
    page = show(HTML)
    chart = next(
        c for c in (*CONTENT.main, *CONTENT.learning, *CONTENT.structure) if c.name == name
    )
    check_places(page, chart)
    first, *rest = chart.series
    wrong = replace(first, y=[None if y is None else y + 0.5 * i for i, y in enumerate(first.y)])
    with pytest.raises(AssertionError):
        check_places(page, replace(chart, series=[wrong, *rest]))


def heights(values):
    """Of a box from its bottom (0) to its top (1); what lies beyond it, at its edge."""
    return np.clip(np.asarray(values, dtype=float), 0, 1)


def figures_band(chart):
    """The corners of the band in the figure of a chart: how high each stands in its axes."""
    (ax,) = chart_figure([chart], title="").axes
    (band,) = ax.collections
    corners = (ax.transData - ax.transAxes).transform(band.get_paths()[0].vertices)[:, 1]
    return sorted(set(heights(corners).round(2)))


def pages_band(page, chart):
    """The same of the page's."""
    path = page.locator(f"#run-1-{chart.name} path.band").get_attribute("d")
    corners = [float(text.split()[1]) for text in path.strip("Mz").split("L")]
    rect = page.locator(f"#run-1-{chart.name} clipPath rect")
    top, height = (float(rect.get_attribute(name)) for name in ("y", "height"))
    box = top + 2, top + height - 2  # the clip is two pixels wider than the axes
    return sorted(set(heights((box[1] - np.array(corners)) / (box[1] - box[0])).round(2)))


@pytest.mark.parametrize("zero", ["low", "y", "all"])
def test_a_zero_on_a_log_axis_is_below_it_in_page_and_figure(show, zero):
    chart = next(chart for chart in CONTENT.structure if chart.name == "overlap")
    first, *rest = chart.series
    ends = {"y": [*first.y], "low": [0.8 * y for y in first.y], "high": [1.2 * y for y in first.y]}
    for name in ("y", "low", "high") if zero == "all" else ("low", zero):
        ends[name][1] = 0.0
    chart = replace(chart, series=[replace(first, **ends), *rest])
    page = show(html_page([replace(CONTENT, structure=[chart])]))
    assert pages_band(page, chart) == pytest.approx(figures_band(chart), abs=0.011)
    assert pages_band(page, chart)[0] == 0
    for line in page.locator("#run-1-overlap path.line").all():
        assert not re.search("NaN|Infinity", line.get_attribute("d"))
    edge = page.locator("#run-1-overlap g.outside path.mark")
    assert edge.count() == len(chart.outside(chart.series[0])) == (zero != "low")


def test_what_the_axis_does_not_reach_stands_at_its_edge(show):
    lines = CONTENT.main[0].series
    fallen = [replace(line, y=[*line.y[:-1], 1.0 + i]) for i, line in enumerate(lines)]
    chart = replace(CONTENT.main[0], series=fallen)
    page = show(html_page([replace(CONTENT, main=[chart])]))
    axis = page.locator("#run-1-accuracy line.axis").bounding_box()
    for line in fallen:
        marks = page.locator(f"#run-1-accuracy g.outside[data-name={line.name}] path.mark.open")
        assert marks.count() == len(chart.outside(line)) > 0
        box = marks.last.bounding_box()
        assert box["y"] < axis["y"] < box["y"] + box["height"]
    page.locator("#run-1-accuracy .key", has_text="reinit").click()
    assert page.locator("#run-1-accuracy g.outside").count() == len(fallen) - 1


def test_a_bar_that_the_axis_cuts_ends_in_an_arrowhead(show):
    chart = next(chart for chart in CONTENT.main if chart.name == "difference")
    first, *rest = chart.series
    long = replace(first, low=[chart.y.low - 1, *first.low[1:]], high=[chart.y.high + 1] * 3)
    page = show(html_page([replace(CONTENT, main=[replace(chart, series=[long, *rest])])]))
    heads = page.locator("#run-1-difference g.cut path.mark")
    assert heads.count() == len(replace(chart, series=[long]).cut(long)) == 4
    axis = page.locator("#run-1-difference line.axis").bounding_box()
    box = heads.first.bounding_box()
    assert abs(box["y"] + box["height"] - axis["y"]) < 3  # its tip, with its stroke
    assert show(HTML).locator("#run-1-difference g.cut path").count() == 0


def test_names_of_rules_stand_on_the_lines_and_inside(show):
    page = show(HTML)
    names = page.locator("#run-1-accuracy .rulename")
    assert sorted(names.all_text_contents()) == sorted(
        r.name for r in CONTENT.main[0].rules if r.name
    )
    order = "n => n.compareDocumentPosition(document.querySelector('#run-1-accuracy g.series')) & 2"
    frame = page.locator("#run-1-accuracy .frame svg").bounding_box()
    for name in names.all():
        assert name.evaluate(order)  # the lines come before it
        box = name.bounding_box()
        assert frame["y"] <= box["y"] < box["y"] + box["height"] < frame["y"] + frame["height"]


def test_several_runs_stand_in_a_table_that_no_window_cuts(show):
    title = "a-run-of-a-grid-00000000 (mlp-digits-1234): lr=0.1, rate=0.2, batch_size=64"
    page = show(html_page([replace(CONTENT, title=title)] * 3), width=1100)
    table = page.locator(".scroll").first
    assert table.evaluate("element => element.scrollWidth - element.clientWidth") <= 0


def test_many_layers_are_a_bar_of_colours(show):
    content = small_content(layers={f"conv{i}.weight": 40 + i for i in range(22)})
    page = show(html_page([content]))
    legend = page.locator("#run-1-layers .legend")
    assert legend.locator(".ramp i").count() == 22
    assert "conv0.weight" in legend.inner_text()
    assert "conv21.weight" in legend.inner_text()
    assert [key.inner_text() for key in legend.locator(".key").all()] == ["all layers"]
    plot = page.locator("#run-1-layers .frame svg").first.bounding_box()
    assert legend.bounding_box()["height"] < plot["height"] / 3
    assert len(lines_of(page, "layers")) == 23
    frame = page.locator("#run-1-layers .frame")
    frame.hover()
    assert page.locator("#run-1-layers .tip .row").count() == 16


def test_arms_are_switched_off_and_on_everywhere(show):
    page = show(HTML)
    key = page.locator("#run-1-accuracy .key", has_text="reinit")
    key.click()
    for chart in ("accuracy", "loss", "early_stop", "signs"):
        assert lines_of(page, chart) == ["ticket"]
    assert key.get_attribute("aria-pressed") == "false"
    page.locator("#run-1-loss .key", has_text="reinit").click()
    assert lines_of(page, "accuracy") == ["ticket", "reinit"]
    assert key.get_attribute("aria-pressed") == "true"


def test_arms_of_another_run_stay(show):
    page = show(html_page([small_content("one"), small_content("two")]))
    page.locator("#run-1-accuracy .key", has_text="reinit").click()
    assert page.locator("#run-1-accuracy g.series").count() == 1
    assert page.locator("#run-2-accuracy g.series").count() == 2


def test_the_pointer_and_the_arrow_keys_show_values(show):
    page = show(HTML)
    frame, tip = page.locator("#run-1-accuracy .frame"), page.locator("#run-1-accuracy .tip")
    assert tip.is_hidden()
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 60)
    assert "level 3 · 12.50 % · 128 kept" in tip.inner_text()
    ticket = CONTENT.main[0].series[0].text
    assert ticket[3] in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    frame.focus()
    page.keyboard.press("ArrowRight")
    assert ticket[0] in tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert ticket[1] in tip.inner_text()
    assert ticket[1] in page.locator("#run-1-accuracy .unseen").inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_tables_sort_by_value_both_ways(show):
    page = show(HTML)
    named = page.locator("th", has_text="reinit (%)")
    table = page.locator("table.sorts").filter(has=named).first
    header = table.locator("th", has_text="reinit (%)").first
    column = CONTENT.levels.columns.index("reinit (%)")

    def shown():
        return table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()

    before = shown()
    header.locator("button").click()
    assert shown() == before[::-1]  # reinit falls with the level
    assert header.get_attribute("aria-sort") == "ascending"
    header.locator("button").press("Enter")
    assert shown() == before
    assert header.get_attribute("aria-sort") == "descending"


def test_the_map_follows_its_slider(show):
    page = show(HTML)
    said = page.locator("#run-1-inputs output")
    slider = page.locator("#run-1-slider")
    slider.focus()
    page.keyboard.press("Home")
    assert "25 of 25 inputs are read" in said.inner_text()
    page.keyboard.press("End")
    assert "10 of 25 inputs are read" in said.inner_text()
    corners = """() => {
        const {data} = document.querySelector("canvas").getContext("2d").getImageData(0, 0, 5, 5);
        return [data.slice(0, 3).join(), data.slice(-4, -1).join()];
    }"""
    first, last = page.evaluate(corners)
    assert last == "255,255,255" != first  # of the last level no weight reads the last input


def test_hostile_names_are_shown_and_not_run(show):
    page = show(html_page([hostile_content()]))
    assert page.locator("img").count() == 0
    assert page.locator("h1").count() == 1
    assert "<script>alert('x')</script>" in page.locator("p.eyebrow").inner_text()
    assert "onerror=alert(1)" in page.locator("#run-1-accuracy .legend").inner_text()


def test_it_prints_in_black_on_white_without_buttons(show):
    page = show(HTML, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("button.copy").is_hidden()
    assert page.locator("h1").is_visible()


def test_without_scripts_the_verdict_and_the_tables_are_there(browser, tmp_path):
    path = tmp_path / "plain.html"
    path.write_text(HTML, encoding="utf-8")
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    assert "A winning ticket" in page.locator("h1").inner_text()
    assert page.locator("table.sorts tbody tr").first.is_visible()
    assert "drawn by a script" in page.locator("body").inner_text()
    page.close()
