"""Styles and fonts as settings of matplotlib, which are the process's: how they are held."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib import style as mpl_style
from matplotlib.font_manager import fontManager

from lottery_ticket.errors import UsageError, nearest

__all__ = ["SCREEN", "STYLES", "Style", "fonts_of", "settings", "style_settings"]

Style: TypeAlias = str | Path | Mapping[str, Any] | Sequence[str | Path | Mapping[str, Any]]
"""`"default"`, `"paper"`, `"talk"`, any style of matplotlib's, settings of its, or several."""

_COMMON = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e8e8e8",
}
# letters that can be read when a figure is shrunk to the column of a paper, two thirds of its size
SCREEN: dict[str, Any] = {
    **_COMMON,
    "figure.figsize": (5.4, 4.0),
    "font.size": 10.0,
    "xtick.labelsize": 9.5,
    "axes.labelsize": 10.5,
    "legend.fontsize": 9.5,
    "figure.titlesize": 11.0,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "grid.linewidth": 0.7,
}
STYLES: dict[str, dict[str, Any]] = {
    "default": SCREEN,
    # letters as large as those of a caption, at the width of a column: it is printed as it is
    "paper": {
        **_COMMON,
        "figure.figsize": (3.3, 2.4),
        "font.size": 8.0,
        "xtick.labelsize": 8.0,
        "axes.labelsize": 8.0,
        "legend.fontsize": 8.0,
        "figure.titlesize": 8.0,
        "lines.linewidth": 1.1,
        "lines.markersize": 3.2,
        "grid.linewidth": 0.5,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
    },
    "talk": {
        **_COMMON,
        "figure.figsize": (9.0, 6.0),
        "font.size": 17.0,
        "xtick.labelsize": 17.0,
        "axes.labelsize": 18.0,
        "legend.fontsize": 17.0,
        "figure.titlesize": 18.0,
        "lines.linewidth": 2.6,
        "lines.markersize": 8.0,
        "grid.linewidth": 1.0,
    },
}
"""The library's own styles, as settings of matplotlib."""

# generic family → fonts that come with matplotlib, so that figures are alike everywhere
_FAMILIES = {
    "serif": ("STIXGeneral", "DejaVu Serif", "DejaVu Sans"),
    "sans-serif": ("DejaVu Sans",),
    "monospace": ("DejaVu Sans Mono", "DejaVu Sans"),
}
_ALIASES = {"sans": "sans-serif", "mono": "monospace"}
_OF_NO_FIGURE = ("backend", "backend_fallback", "interactive", "toolbar")
_lock = threading.RLock()


@contextmanager
def settings(changed: Mapping[str, Any]) -> Iterator[None]:
    """A block with other settings of matplotlib, one at a time in a process.

    They are the process's. Two threads that each put back what they found would leave behind what
    the other had set.
    """
    if not changed:
        yield
        return
    rc: Any = dict(changed)
    with _lock, mpl.rc_context(rc):
        yield


def style_settings(style: Style) -> tuple[str, dict[str, Any]]:
    """A style as the name of ours that it is based on, and the settings that come on top.

    Returns:
        The name is empty where styles of matplotlib's stand by themselves.

    Raises:
        UsageError: there is no such style, file or setting.

    >>> style_settings(["paper", {"lines.linewidth": 2}])
    ('paper', {'lines.linewidth': 2.0})
    >>> style_settings("ggplot")[0]
    ''
    """
    parts = [style] if isinstance(style, str | Path | Mapping) else [*style]
    ours = [part for part in parts if isinstance(part, str) and part in STYLES]
    foreign = [part for part in parts if isinstance(part, str | Path) and part not in ours]
    found: dict[str, Any] = {}
    for part in parts:
        if part not in ours:
            found |= _given(part) if isinstance(part, Mapping) else _named(part)
    return (ours or ([] if foreign else ["default"]) or [""])[-1], found


def _named(style: str | Path) -> dict[str, Any]:
    """The settings of a style of matplotlib's."""
    if Path(style).suffix == ".mplstyle":
        if not Path(style).is_file():
            raise UsageError(f"style: there is no file {str(style)!r}")
        read: Any = mpl.rc_params_from_file(style, use_default_template=False)
        return {key: value for key, value in read.items() if key not in _OF_NO_FIGURE}
    if not isinstance(style, str) or style not in mpl_style.available:
        known = [*STYLES, *mpl_style.available]
        raise UsageError(f"style: unknown style {str(style)!r}{nearest(style, known)}")
    known: Any = mpl_style.library
    return dict(known[style])


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as matplotlib reads them."""
    known: Any = mpl.rcParams.copy()
    for key, value in values.items():
        if key not in known or key in _OF_NO_FIGURE:
            raise UsageError(f"style: {key!r} is no setting of a figure{_near(key, known)}")
        try:
            known[key] = value
        except ValueError as error:
            raise UsageError(f"style: {key}: {error}") from None
    return {key: known[key] for key in values}


def _near(key: object, known: Iterable[str]) -> str:
    hint = nearest(key, known)
    return hint if "did you mean" in hint else "; matplotlib.rcParams has all"


def fonts_of(font: str) -> tuple[str, ...]:
    """The families of a font, the first that has a letter wins.

    Args:
        font: `"serif"`, `"sans-serif"`, `"monospace"`, or the name of one that is installed.

    Raises:
        UsageError: there is none of that name: matplotlib would take another without a word.

    >>> fonts_of("serif")[0], fonts_of("dejavu sans mono")
    ('STIXGeneral', ('DejaVu Sans Mono', 'DejaVu Sans'))
    """
    if not isinstance(font, str):
        raise UsageError(f"font: got {font!r}, wanted a name such as 'serif'")
    name = font.strip().lower()
    if families := _FAMILIES.get(_ALIASES.get(name, name)):
        return families
    installed = {one.name.lower(): one.name for one in fontManager.ttflist}
    if name not in installed:
        near = nearest(name, installed)
        near = near if "did you mean" in near else ""
        raise UsageError(
            f"font: {font!r} is not installed where matplotlib looks; wanted serif, sans-serif, "
            f"monospace, or one of the {len(set(installed))} installed{near}"
        )
    return tuple(dict.fromkeys((installed[name], "DejaVu Sans")))
