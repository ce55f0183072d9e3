"""Content → one self-contained page."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lottery_ticket.report._content import RunContent
from lottery_ticket.report._words import words

__all__ = ["html_page", "page_part"]


def html_page(runs: Sequence[RunContent]) -> str:
    """A page that asks nothing of the network: styles, script and data are in it.

    Args:
        runs: one section each.

    Returns:
        HTML. Whatever comes from a run is escaped.
    """
    environment = Environment(
        loader=PackageLoader("lottery_ticket.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tight"] = _tight
    named = {f"run-{number}": run for number, run in enumerate(runs, 1)}
    charts = {
        f"{run_id}-{name}": spec
        for run_id, run in named.items()
        for name, spec in run.charts.items()
    }
    page = environment.get_template("page.html.jinja").render(
        runs=named,
        charts=charts,
        shared=_shared_merits(runs),
        words=words(arm for run in runs for arm in run.arms),
        style=Markup(page_part("page.css")),
        script=Markup("\n".join(map(page_part, ("chart.js", "page.js")))),
        version=version("lottery-ticket"),
    )
    return page.lstrip()


def _tight(text: str) -> str:
    """A number and its unit are not parted at the end of a line."""
    parts = r"(?<=\d) (?=%|points?\b|replicates?\b)|(?<=\b[nk]) (?==)|(?<=\b[nk] =) (?=\d)"
    return re.sub(parts, "\N{NO-BREAK SPACE}", text)


def _shared_merits(runs: Sequence[RunContent]) -> list[str]:
    """The names of the numbers that every run has, for a table of the runs."""
    names = [[merit.name for merit in run.headline.merits] for run in runs]
    return [name for name in names[0] if all(name in others for others in names)] if names else []


def page_part(name: str) -> str:
    """The text of a file that the page is put together from: `"chart.js"` draws a `Chart`."""
    return (files("lottery_ticket.report") / "page" / name).read_text(encoding="utf-8")
