"""The page: self-contained, well-formed, and nothing of a run's text is more than text."""

import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from small_runs import FACTS, HOSTILE, hostile_content, small_content, small_stability, small_tables

import lottery_ticket
from lottery_ticket.plots import ARM_STYLE
from lottery_ticket.report import ReportRun, content_of, html_page

VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Elements, attributes and text; raises where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = Counter(), [], [], []
        self.raw = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.raw if self.open and self.open[-1] in ("script", "style") else self.texts).append(
            data
        )

    def values(self, name):
        return [value for _, other, value in self.attributes if other == name]

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


CONTENT = small_content(stability=small_stability())
HTML = html_page([CONTENT])
PAGE = Page(HTML)


def test_the_verdict_is_the_first_heading():
    assert (
        re.search(r"<h1>(.*?)</h1>", HTML)[1]
        == "A winning ticket at 12.50\N{NO-BREAK SPACE}% of the weights"
    )
    assert HTML.index("<h1>") < HTML.index("<h2")
    assert CONTENT.headline.sentence.split(":")[0] in PAGE.text.replace("\xa0", " ")


def check_self_contained(html):
    """Nothing in the page makes a browser ask for anything."""
    page = Page(html)
    assert not {"link", "img", "iframe", "object", "embed", "base", "video"} & set(page.tags)
    assert not page.values("src")
    assert all(value.startswith("#") for value in page.values("href"))
    for text in page.raw:
        assert not re.search(
            r"@import|url\((?!['\"]?(#|data:))|import\(|fetch\(|XMLHttp",
            text.replace("url(#${clip})", ""),
        ), text[:80]
    policies = [value for value in page.values("content") if "default-src" in str(value)]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    ]


def test_the_page_is_self_contained():
    check_self_contained(HTML)


@pytest.mark.parametrize(
    "more",
    [
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<img src="a.png" alt="">',
        "<style>@import 'a.css';</style>",
        "<style>p { background: url(a.png) }</style>",
        '<a href="https://example.org">x</a>',
    ],
)
def test_pages_that_ask_for_more_are_caught(more):
    with pytest.raises(AssertionError):
        check_self_contained(HTML.replace("</main>", f"{more}</main>"))


def test_ids_are_unique_and_links_lead_somewhere():
    ids = Counter(PAGE.values("id"))
    assert set(ids.values()) == {1}
    assert {link[1:] for link in PAGE.values("href")} <= set(ids)
    assert len([link for link in PAGE.values("href") if "level-" in link]) == 3
    for name in ("for", "aria-labelledby"):
        assert set(PAGE.values(name)) <= set(ids)


def test_every_chart_of_the_content_has_a_figure_and_its_data():
    data = json.loads(re.search(r'id="charts">(.*?)</script>', HTML, re.S)[1])
    assert set(data) == {f"run-1-{name}" for name in CONTENT.charts}
    assert set(data) <= set(PAGE.values("id"))
    assert PAGE.tags["figure"] == len(data)
    assert {"accuracy", "difference", "loss", "early_stop", "layers", "overlap", "inputs"} <= set(
        CONTENT.charts
    )


def check_only_text(html, hostile):
    """The hostile text is read, and is neither an element nor an attribute."""
    page = Page(html)
    assert page.tags == PAGE.tags or not {"b", "img"} & set(page.tags) - set(PAGE.tags)
    assert page.tags["script"] == PAGE.tags["script"]
    assert page.tags["img"] == 0
    assert not page.values("onerror")
    assert " ".join(hostile.split()) in page.text


def test_hostile_names_are_only_text():
    check_only_text(html_page([hostile_content()]), HOSTILE)


def test_pages_that_do_not_escape_are_caught():
    wrong = (
        html_page([hostile_content()])
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#34;", '"')
    )
    with pytest.raises(AssertionError):
        check_only_text(wrong, HOSTILE)


def test_a_run_without_a_verdict_says_why():
    tables = small_tables(("reinit",))
    page = html_page([content_of(ReportRun("mine", tables, "there is no ticket", FACTS))])
    assert "No ticket to judge" in page
    assert "There is no ticket" in page
    assert 'class="strip"' not in page


def test_one_replicate_gives_numbers_and_no_verdict():
    page = html_page([small_content(replicates=1)])
    assert "Numbers, but no verdict" in page
    assert "no interval" in page


def test_a_regression_is_reported_by_its_loss():
    content = small_content(regression=True)
    assert content.main[0].y.label == "test loss"
    assert "accuracy" not in content.charts
    assert Page(html_page([content])).tags["figure"] == len(content.charts)


def test_several_runs_are_side_by_side_first():
    page = html_page([small_content("one"), small_content("two", replicates=1)])
    parsed = Page(page)
    assert set(Counter(parsed.values("id")).values()) == {1}
    rows = re.findall(r'<tr><td class="left"><a href="#(run-\d)">(\w+)</a>', page)
    assert rows == [("run-1", "one"), ("run-2", "two")]
    assert page.index('href="#run-1"') < page.index("<h1>")


def test_too_many_trainings_are_left_out(monkeypatch):
    monkeypatch.setattr("lottery_ticket.report._tables.MOST_TRAININGS", 10)
    page = html_page([small_content()])
    assert "Its 24 trainings are too many for a page" in page


def test_it_says_which_version_made_it():
    assert f"Made by lottery_ticket {lottery_ticket.__version__}" in PAGE.text


def test_every_marker_has_a_mark_of_its_own():
    script = html_page([small_content()])
    (table,) = re.findall(r"const MARKS = \{(.*?)\};", script, re.S)
    marks = dict(re.findall(r'^\s+"?([^\s":]+)"?: "(.+)",$', table, re.M))
    assert {style.marker for style in ARM_STYLE.values()} <= set(marks)
    assert len(set(marks.values())) == len(marks)
