"""The link to a report's file, which Jupyter serves from the notebook's folder down."""

import re
from pathlib import Path

import pytest

from lottery_ticket.report import Page


def shown(file):
    return Page("<p>x</p>").called("r", "html", file)._repr_html_()


@pytest.mark.parametrize(
    ("file", "link"),
    [
        ("report.html", "report.html"),
        ("out/a <b>.html", "out/a%20%3Cb%3E.html"),
        ("out/../x:y.html", "x%3Ay.html"),
    ],
)
@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_file_below_is_a_link_from_here(file, link, is_absolute, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    html = shown(tmp_path / file if is_absolute else Path(file))
    assert re.findall('href="(.*?)"', html) == [link]
    assert "<b>" not in html


@pytest.mark.parametrize("file", ["/elsewhere/<i>.html", "../report.html"])
def test_a_file_elsewhere_is_named(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    html = shown(Path(file))
    assert "href" not in html
    assert file.replace("<i>", "&lt;i&gt;") in html
