"""A browser, and a run that is finished."""

import contextlib
import shutil

import pytest
from watched import finished_run, watching, write_spec


@pytest.fixture(scope="session")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    return folder / "store", finished_run(write_spec(folder), folder / "store")


@pytest.fixture
def made(_made, tmp_path):
    """A store with a finished run, and the run's id."""
    shutil.copytree(_made[0], tmp_path / "store")
    return tmp_path / "store", _made[1]


@pytest.fixture
def serve():
    """Starts `lottery watch` of a store, and says where the page is."""
    with contextlib.ExitStack() as watchers:
        yield lambda *of: watchers.enter_context(watching(*of))[0]


@pytest.fixture
def show(browser, serve):  # pages are closed before what serves them
    """Opens a page; at the end nothing was asked of another host, and nothing went wrong in it."""
    pages, wrong = [], []

    def opened(url, *, width=1280, **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.set_default_timeout(120_000)  # a busy machine draws slowly
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message) or dialog.dismiss())
        own = url.split("/run/")[0]
        page.on("request", lambda r: r.url.startswith((own, "data:")) or wrong.append(r.url))
        page.goto(url)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert wrong == []
