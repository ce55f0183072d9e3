"""The live page in a real browser, of runs that other processes make."""

import re
import signal
import subprocess

import pytest
from watched import (
    LOTTERY,
    finished_run,
    going,
    moved,
    run_command,
    wait_until,
    write_spec,
)

from lottery_ticket.store import RunEdit, Store

SLOW = {"duration: 2ep": "duration: 500ep"}


def marks(page, kind):
    return page.locator(f"#grid .mark.{kind}")


def wait_for(locator, **options):
    locator.wait_for(**options)


def test_levels_fill_in_until_the_run_is_finished(show, serve, tmp_path):
    store = tmp_path / "store"
    spec = write_spec(tmp_path, SLOW)
    with going(run_command(spec, store)) as run:
        wait_until(lambda: any(store.glob("runs/*.json")))
        url = serve(store, "last")
        page = show(url)
        wait_for(marks(page, "busy").first, state="attached")
        assert marks(page, "done").count() < 14
        assert page.locator("#makers tbody tr").count() >= 1
        assert "waiting" in page.locator("#words").inner_text()
        seen = []
        while run.poll() is None:
            seen.append(marks(page, "done").count())
            page.wait_for_timeout(200)
        assert run.returncode == 0
        wait_for(page.locator("#links"))
        assert page.locator("#headline").inner_text() == "Finished"
        assert marks(page, "done").count() == 16  # of two arms, four levels, two replicates
        assert seen == sorted(seen)
        assert len(set(seen)) > 2, "it came all at once"
        # figures and verdict follow, of all that is finished
        wait_for(page.locator("#figure-accuracy g.series path.line").first, state="attached")
        assert page.locator("#figure-accuracy g.series").count() == 2
        wait_for(page.locator("#verdict-state", has_text=re.compile("^Verdict$")))
        assert page.locator("#figures-title").inner_text() == "Figures"
        assert page.locator("#figure-progress").count() == 0
        assert page.title().startswith("Finished")


@pytest.mark.slow
def test_a_verdict_before_the_end_is_called_provisional(show, serve, tmp_path):
    store = tmp_path / "store"
    spec = write_spec(tmp_path)
    finished_run(spec, store)
    longer = write_spec(tmp_path, {"levels: 3": "levels: 4"})
    with going(run_command(longer, store)) as run:
        wait_until(lambda: len(list(store.glob("runs/*.json"))) == 2)
        run.send_signal(signal.SIGINT)  # after what the other run has made
        run.wait()
        url = serve(store, "last")
        page = show(url)
        wait_for(page.locator("#verdict"))
        assert "provisional" in page.locator("#verdict-state").inner_text()
        assert page.locator("#links").is_hidden()


def test_what_failed_is_shown_with_its_message(show, serve, tmp_path):
    store = tmp_path / "store"
    finished_run(write_spec(tmp_path, {"lr: 0.1": "lr: 1e30"}), store)
    url = serve(store, "last")
    page = show(url)
    wait_for(page.locator("#failed li").first)
    text = page.locator("#failed").inner_text()
    assert "ticket level 0, replicate 0" in text
    assert "not finite" in text or "NaN" in text or "nan" in text, text
    assert page.locator("#headline").inner_text() == "Failed"
    assert marks(page, "failed").count() >= 2
    page.locator("#grid button").first.click()
    assert "failed:" in page.locator("#cell").inner_text()
    titles = page.locator("#failed b").all_inner_texts()
    assert titles == sorted(titles, key=lambda title: (title.startswith("reinit"), title))
    narrow = show(url, width=390)  # a message has words as long as a path
    narrow.locator("#grid button").first.click()
    wait_for(narrow.locator("#cell", has_text="failed:"))
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_an_address_that_cannot_be_read_is_no_run(show, serve, made):
    store, _ = made
    page = show(f"{serve(store)}run/%E2")
    wait_for(page.locator("#problem", has_text="no such run"))


@pytest.mark.slow
def test_names_tags_and_notes_are_shown(show, serve, made):
    store, run_id = made
    edit = RunEdit(name="my <b>own", add_tags=["paper", "draft"], notes="one\ntwo")
    Store(store).edit_run(run_id, edit)
    url = serve(store)
    page = show(url)
    row = page.locator("#runs tr")
    wait_for(row)
    assert row.locator("td").all_inner_texts()[1:3] == ["my <b>own", "draft, paper"]
    assert page.locator("#list th:visible").all_inner_texts()[:3] == ["run", "name", "tags"]
    row.locator("a").click()
    wait_for(page.locator("#links"))
    assert page.locator("#title").inner_text().lower().startswith("my <b>own · small-")
    assert page.locator("#tags").inner_text() == "Tags: draft, paper"
    assert page.locator("#notes").inner_text() == "one\ntwo"


@pytest.mark.slow
def test_a_run_that_is_removed_is_said_and_stays_on_the_page(show, serve, made):
    store, run_id = made
    url = serve(store, run_id)
    page = show(url)
    wait_for(page.locator("#links"))
    subprocess.run([*LOTTERY, "rm", run_id, "--yes", "--store", str(store)], check=True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(page.locator("#problem"))
    assert "not in the store any more" in page.locator("#problem").inner_text()
    assert marks(page, "done").count() == 16


@pytest.mark.slow
def test_a_store_that_goes_and_comes_back(show, serve, made):
    store, run_id = made
    url = serve(store, run_id)
    page = show(url)
    wait_for(page.locator("#links"))
    aside = moved(store)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(page.locator("#problem", has_text="not there any more"))
    aside.rename(store)
    wait_for(page.locator("#problem"), state="hidden")
    assert page.locator("#headline").inner_text() == "Finished"


@pytest.mark.slow
def test_two_browsers_see_the_same_and_one_may_leave(show, serve, made, browser):
    store, run_id = made
    url = serve(store, run_id)
    one, other = show(url), show(url, width=390)
    for page in (one, other):
        wait_for(page.locator("#links"))
    texts = [page.locator("#grid").inner_text() for page in (one, other)]
    assert texts[0] == texts[1]
    leaving = browser.new_page()
    leaving.goto(url)
    leaving.close()
    one.reload()
    wait_for(one.locator("#links"))


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
        pytest.param(390, "light", marks=pytest.mark.slow),
        (390, "dark"),
    ],
)
def test_it_fits_and_can_be_read_in_the_dark(show, serve, made, width, scheme):
    store, run_id = made
    url = serve(store, run_id)
    page = show(url, width=width, color_scheme=scheme, reduced_motion="reduce")
    wait_for(page.locator("figure svg path.line").first, state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (color == "rgb(253, 253, 251)") == (scheme == "light")
    moving = "getComputedStyle(document.querySelector('#bar i')).transitionDuration"
    assert page.evaluate(moving) == "0s"


@pytest.mark.slow
def test_the_keyboard_reaches_every_cell(show, serve, made):
    store, run_id = made
    url = serve(store, run_id)
    page = show(url)
    wait_for(page.locator("#links"))
    cells = page.locator("#grid button")
    assert cells.count() == 8
    assert page.locator("#grid button[tabindex='0']").count() == 1
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("reinit, level 1, 50 % of the weights: 2 finished, mean test acc")
    page.keyboard.press("Enter")
    assert "replicate 1: test accuracy" in page.locator("#cell").inner_text()


def test_the_list_leads_to_the_run_and_the_run_to_its_report(show, serve, made):
    store, run_id = made
    url = serve(store)
    page = show(url)
    page.locator("#runs a", has_text=run_id).click()
    wait_for(page.locator("#links"))
    page.locator("#report").click()
    wait_for(page.locator("figure svg path.line").first, state="attached")
    assert "lottery_ticket report" in page.locator(".masthead").inner_text()


@pytest.mark.slow
def test_a_message_that_is_html_is_shown_and_not_run(show, serve, tmp_path):
    attack = "</script><img src=x onerror=alert(1)>"
    code = tmp_path / "mine.py"
    code.write_text(
        "import torch\nfrom lottery_ticket import register_loss\n"
        "from torch.nn.functional import cross_entropy\n"
        "calls = []\n"
        "@register_loss('bad')\ndef bad(output, target):\n"
        f"    if len(output) == 64: raise RuntimeError({attack!r})\n"
        "    return cross_entropy(output, target)\n"
    )
    spec = write_spec(tmp_path, {"lr: 0.1": "loss: bad, lr: 0.1"})
    store = tmp_path / "store"
    subprocess.run(run_command(spec, store, "--import", str(code)), capture_output=True)
    url = serve(store, "last")
    page = show(url)
    wait_for(page.locator("#failed li").first)
    assert attack in page.locator("#failed").inner_text()
    assert page.locator("img").count() == 0
