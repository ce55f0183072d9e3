"""Pieces of HTML: a card, a table, a bar.

Styles are inline and there are no scripts, since that is all that every notebook shows: JupyterLab,
VS Code, Colab, GitHub. Text has the notebook's own colour, so that it can be read on light and on
dark. Whatever is filled in is escaped and cut, so that a page stays small.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

__all__ = [
    "BLUE",
    "MOST_ROWS",
    "Cell",
    "badge",
    "card",
    "code",
    "cut",
    "details",
    "facts",
    "paragraph",
    "picture",
    "table",
]

MOST_ROWS = 24  # of a table; the ones in the middle of a longer one are left out
BLUE = "#3A86C8"  # can be told from white and from black
_MOST_CHARACTERS = 300
_RULE = "1px solid rgba(128,128,128,.35)"
_BAR_EMS = 7
_LONG = 48  # a text that may take several lines


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        text: what it says.
        share: how long its bar is, from 0 to 1; None for none.
        color: of a badge around the text; empty for none.
        is_bold: whether it stands out.
    """

    text: str
    share: float | None = None
    color: str = ""
    is_bold: bool = False


def cut(text: object, most: int = _MOST_CHARACTERS) -> str:
    """A text that is not too long, in one line.

    >>> cut("one\\ntwo three", 9)
    'one two …'
    """
    flat = " ".join(str(text)[: 4 * most].split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def card(title: str, *parts: Markup, about: str = "", color: str = BLUE) -> Markup:
    """A heading and what belongs to it, beside a line in a colour."""
    heading = Markup('<div style="font-weight:600">{}</div>').format(cut(title))
    if about:
        heading += paragraph(about, is_small=True)
    style = f"border-left:3px solid {color};padding:.1em 0 .1em .8em;margin:.3em 0;line-height:1.45"
    return Markup('<div style="{}">{}{}</div>').format(style, heading, Markup().join(parts))


def paragraph(text: str, *, is_small: bool = False) -> Markup:
    """A paragraph; the small print is paler."""
    style = "font-size:.85em;opacity:.75" if is_small else "margin:.3em 0;max-width:52em"
    return Markup('<div style="{}">{}</div>').format(style, cut(text, 1500))


def code(text: str) -> Markup:
    """Lines as they are, at most a screen of them."""
    lines = text.rstrip("\n").split("\n")
    shown = [line if len(line) <= 400 else f"{line[:399]}…" for line in lines[:60]]
    more = [f"… {len(lines) - 60} more lines"] if len(lines) > 60 else []
    style = (
        "margin:.3em 0;padding:.4em .6em;border:" + _RULE + ";font:.85em monospace;overflow-x:auto"
    )
    return Markup('<pre style="{}">{}</pre>').format(style, "\n".join([*shown, *more]))


def details(summary: str, *parts: Markup) -> Markup:
    """What opens on a click, without a script."""
    return Markup(
        '<details style="margin:.3em 0"><summary style="cursor:pointer;font-size:.9em">{}</summary>'
        "{}</details>"
    ).format(cut(summary), Markup().join(parts))


def badge(text: str, color: str, *, is_full: bool = True, title: str = "") -> Markup:
    """A word or a sign on a colour; a paler one says the same with less weight."""
    ink = f"background:{color};color:#fff" if is_full else f"border:1px solid {color}"
    style = f"{ink};border-radius:3px;padding:0 .4em;margin-right:1px;white-space:nowrap"
    return Markup('<span style="{}" title="{}">{}</span>').format(style, cut(title), cut(text))


def picture(png: bytes, text: str, *, width: int) -> Markup:
    """An image, and what it shows in words for those who cannot see it."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    style = "max-width:100%;height:auto;border-radius:4px;background:#fff;margin:.3em 0"
    return Markup('<img src="{}" alt="{}" width="{}" style="{}">').format(
        source, cut(text), width, style
    )


def facts(rows: Mapping[str, object]) -> Markup:
    """Names and what they are, a row each."""
    return table([], [[Cell(name), Cell(cut(value))] for name, value in rows.items()], left=(0, 1))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell | str]],
    *,
    left: Sequence[int] = (0,),
    most: int = MOST_ROWS,
) -> Markup:
    """A table; of more rows than `most` the first and the last.

    Args:
        columns: the headers; none for no header.
        rows: their cells; a text is a cell without anything else.
        left: which columns are flush left.
        most: how many rows.
    """
    known = [[Cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    hidden = len(known) - most
    shown = known if hidden <= 0 else [*known[: most // 2], *known[len(known) - most // 2 :]]
    lines = [_row(row, left) for row in shown]
    if hidden > 0:
        gap = Markup(
            '<tr><td colspan="{}" style="text-align:left;opacity:.7">… {:,} more</td></tr>'
        )
        lines.insert(most // 2, gap.format(max(map(len, known)), len(known) - 2 * (most // 2)))
    head = Markup("<thead><tr>{}</tr></thead>").format(
        Markup().join(
            Markup('<th style="{}">{}</th>').format(_style(place in left), cut(name, 80))
            for place, name in enumerate(columns)
        )
    )
    return Markup(
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:.9em;'
        'margin:.3em 0">{}<tbody>{}</tbody></table></div>'
    ).format(head if columns else "", Markup().join(lines))


def _row(cells: Sequence[Cell], left: Sequence[int]) -> Markup:
    return Markup("<tr>{}</tr>").format(
        Markup().join(
            Markup('<td style="{}">{}</td>').format(
                _style(place in left, is_bold=cell.is_bold, is_short=len(cell.text) < _LONG),
                _inside(cell),
            )
            for place, cell in enumerate(cells)
        )
    )


def _style(is_left: bool, *, is_bold: bool = False, is_short: bool = False) -> str:
    side = "left" if is_left else "right"
    more = ";font-weight:600" if is_bold else ""
    more += ";white-space:nowrap" if is_short else ""
    return f"text-align:{side};padding:.1em .6em;border:0;border-bottom:{_RULE}{more}"


def _inside(cell: Cell) -> Markup:
    if cell.color:
        return badge(cell.text, cell.color)
    text = Markup("{}").format(cut(cell.text))
    if cell.share is None:
        return text
    style = "display:inline-block;min-width:4.5em;text-align:right"  # bars stand below one another
    return _bar(cell.share) + Markup('<span style="{}">{}</span>').format(style, text)


def _bar(share: float) -> Markup:
    """A bar beside a number; what strips styles shows the number alone."""
    length = _BAR_EMS * min(max(share, 0.0), 1.0)
    style = "display:inline-block;vertical-align:middle;height:.7em;"
    whole = f"{style}width:{_BAR_EMS}em;background:rgba(128,128,128,.22);margin-right:.6em"
    part = f"display:block;height:.7em;width:{max(length, 0.1):.2f}em;background:{BLUE}"
    if not share:
        part = "display:none"
    return Markup('<span style="{}"><span style="{}"></span></span>').format(whole, part)
