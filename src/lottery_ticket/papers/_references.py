"""Whom to cite for what: the table `citations.toml`, and its entries as BibTeX."""

import functools
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import lottery_ticket

__all__ = ["SOFTWARE", "bibtex", "papers", "short_text", "uses"]

SOFTWARE = "lotteryticket"
"""The key of this software itself."""

_OF_TEXTS = ("type", "authors")  # fields of ours


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(
        files("lottery_ticket.papers").joinpath("citations.toml").read_text("utf-8")
    )


def uses() -> Mapping[str, Mapping[str, list[str]]]:
    """Kind → name → keys of the papers that a thing of the library's own rests on.

    >>> uses()["criterion"]["snip"], uses()["criterion"]["random"]
    (['lee2019snip'], [])
    """
    return _table()["uses"]


def papers() -> Mapping[str, Mapping[str, str]]:
    """Key → the fields of its entry; this software among them, in the version that it is of."""
    return {**_table()["papers"], SOFTWARE: _software()}


def _software() -> dict[str, str]:
    return {
        "type": "misc",
        "authors": "lottery_ticket",
        "author": "{The lottery\\_ticket authors}",
        "title": "{lottery\\_ticket}: Find, Prove and Ship Winning Lottery Tickets",
        "note": f"Version {lottery_ticket.__version__}",
        "year": "2026",
    }


def short_text(key: str) -> str:
    """`"Frankle & Carbin 2019"`: how a text names a paper."""
    paper = papers()[key]
    return f"{paper['authors']} {paper['year']}"


def bibtex(keys: Iterable[str]) -> str:
    """The entries of papers, each once, in the order given.

    >>> print(bibtex(["holm1979simple"]).splitlines()[0])
    @article{holm1979simple,
    """
    known = papers()
    return "\n".join(_entry(key, known[key]) for key in dict.fromkeys(keys))


def _entry(key: str, paper: Mapping[str, str]) -> str:
    fields = {name: value for name, value in paper.items() if name not in _OF_TEXTS}
    if "eprint" in fields:
        fields["archiveprefix"] = "arXiv"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{paper['type']}{{{key},", *lines, "}", ""])
