"""A report inside a notebook, in a real browser: it is drawn, and cannot reach the notebook."""

import pytest
from samples import SMALL

import lottery_ticket
from lottery_ticket.report import Page

REACH = "(() => { try { return parent.document.title } catch (error) { return error.name } })()"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    result = lottery_ticket.run("quickstart", overrides=SMALL, store=store, jobs=1, progress=False)
    return result.report()


def opened(browser, tmp_path, html):
    path = tmp_path / "notebook.html"
    path.write_text(f"<title>the notebook</title><p>a cell</p>{html}", encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(path.as_uri())
    frame = page.frames[1]
    frame.wait_for_selector("figure svg path.line", state="attached")
    return page, frame


def test_a_report_is_drawn_in_a_frame_of_its_own(browser, report, tmp_path):
    page, frame = opened(browser, tmp_path, report._repr_html_())
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    assert frame.locator("h1, h2").first.is_visible()
    assert frame.evaluate(REACH) == "SecurityError"
    assert page.locator("body > p").inner_text() == "a cell"
    assert wrong == []
    page.close()


def test_a_frame_that_is_not_shut_off_is_told_from_one_that_is(browser, report, tmp_path):
    open_frame = report._repr_html_().replace('sandbox="allow-scripts"', "")
    page, frame = opened(browser, tmp_path, open_frame)
    assert frame.evaluate(REACH) == "the notebook"
    page.close()


def test_a_page_stays_text(report, tmp_path):
    import pickle

    assert report.startswith("<!doctype html>") or report.startswith("<!DOCTYPE html>")
    assert len(repr(report)) < 100
    again = pickle.loads(pickle.dumps(report))
    assert isinstance(again, Page)
    assert again == report
    assert again._repr_html_() == report._repr_html_()
    assert Page("x").called("r", "markdown")._repr_html_() is None
