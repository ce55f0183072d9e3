"""How figures look: their size, their letters and lines; for a screen, a paper or a talk.

What is drawn is in `lottery_ticket.charts`. A look is read off settings of matplotlib, ours or
those of any style, and handed to all that draws.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import font_scalings

from lottery_ticket.errors import UsageError, check_keywords
from lottery_ticket.plots._lengths import Length, inches
from lottery_ticket.plots._settings import (
    SCREEN,
    STYLES,
    Style,
    fonts_of,
    settings,
    style_settings,
)

__all__ = ["DEFAULT", "Look", "LookOptions", "look_of", "look_on"]

_BARE = ("paper", "talk")  # without title and small print: page and slide have their own
_LEAST_POINTS, _LEAST_SMALL = 8.0, 7.0
_WORD_INCHES = 0.75  # of a title and two lines of small print
_MOST_HEIGHT = 3.2  # of a figure of one panel in a paper
_INK, _GREY = "#000000", "#555555"
_LETTERS = ("xtick.labelsize", "axes.labelsize", "legend.fontsize", "figure.titlesize")


class LookOptions(TypedDict, total=False):
    """How a figure looks.

    Args:
        style: `"default"`, `"paper"` (8-point letters at the width of a column, neither title nor
            small print), `"talk"`; a style of matplotlib's by name or file; its settings as a
            mapping; or several of them, the later ones winning.
        width, height: inches, or text with a unit: `"84mm"`, `"242pt"`. Letters stay readable.
        font: `"serif"`, `"sans-serif"`, `"monospace"`, or a font that is installed.
    """

    style: Style | None
    width: Length | None
    height: Length | None
    font: str | None


@dataclass(frozen=True)
class Look:
    """Sizes and colours of a figure.

    Args:
        width, height: of a figure of one panel, in inches.
        tick, label, legend, title, small: sizes of letters, in points.
        line, mark: of lines and marks, in points.
        ink, grey, paper: colours of letters, of what is behind the data, and of the ground.
        has_words: whether there is a title and small print.
        is_dressed: whether grid and box are ours, and not those of a style of matplotlib's.
        is_tall: whether the height is as it was asked for, whatever is to be drawn.
        fonts: families, the first that has a letter wins; empty for matplotlib's settings.
        changed: settings of matplotlib that hold while it is drawn; empty for none.
    """

    width: float
    height: float
    tick: float
    label: float
    legend: float
    title: float
    small: float
    line: float
    mark: float
    ink: str = _INK
    grey: str = _GREY
    paper: Any = "white"
    has_words: bool = True
    is_dressed: bool = True
    is_tall: bool = False
    fonts: tuple[str, ...] = ()
    changed: Mapping[str, Any] = field(default_factory=dict)

    def tall(self, default: float) -> float:
        """The height of a figure that is `default` inches high in the default style."""
        if self.is_tall:
            return self.height
        times = self.height / SCREEN["figure.figsize"][1]
        words = _WORD_INCHES if self.has_words and times < 1 else 0.0  # as high where it is narrow
        return words + (default - words) * times

    def color(self, color: str) -> str:
        """A colour; black is what can be read on this ground, and what is dark is lighter there."""
        if color == _INK or self.ink == _INK:
            return self.ink if color == _INK else color
        red, green, blue = to_rgb(color)
        is_dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.3
        lighter = (0.55 * red + 0.45, 0.55 * green + 0.45, 0.55 * blue + 0.45)
        return to_hex(lighter) if is_dark else color

    @property
    def is_default(self) -> bool:
        """Whether nothing was asked for."""
        return not self.changed and not self.is_tall and self.width == SCREEN["figure.figsize"][0]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which what matplotlib makes has this look."""
        with settings(self.changed):
            yield


def look_of(**options: Any) -> Look:
    """Read a look off its options, see `LookOptions`.

    Raises:
        UsageError: there is no such option, style, setting or font, or no figure is of that size.
    """
    check_keywords("look", options, LookOptions.__annotations__)
    style, width, height, font = (options.get(name) for name in LookOptions.__annotations__)
    known: Any = mpl.rcParams
    base, own = style_settings("default" if style is None else style)
    changed = {**_grown(STYLES.get(base, {}), own), **own}
    if font is not None:
        fonts = fonts_of(font)
        changed["font.family"] = [*fonts]
        changed["mathtext.fontset"] = "stix" if fonts[0] == "STIXGeneral" else "dejavusans"
    is_plain = base == "default" and not own and font is None
    look = replace(
        _read(ChainMap(changed, known), is_dressed=bool(base), has_words=base not in _BARE),
        fonts=tuple(changed.get("font.family", ())) if font is not None else (),
        changed={} if is_plain else changed,
    )
    if width is not None:
        look = _widened(look, inches(width), shrinks=base == "default")
        if base == "paper":  # over two columns it is wider, and hardly higher
            look = replace(look, height=min(look.height, _MOST_HEIGHT))
    if height is not None:
        look = replace(look, height=inches(height, "height"), is_tall=True)
    return look


def look_on(ax: Any, **options: Any) -> Look:
    """The look of what is drawn on axes of somebody's, whose size is theirs.

    Raises:
        UsageError: it is no axes; a width or a height; as `look_of`.
    """
    for name in ("width", "height"):
        if ax is not None and options.get(name) is not None:
            raise UsageError(
                f"{name} has no effect with ax: the figure of ax has a size of its own"
            )
    return look_of(**options)


def _grown(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A style of ours, all of its letters grown where only `font.size` is given another value."""
    if not base or "font.size" not in own:
        return dict(base)
    times = float(own["font.size"]) / base["font.size"]
    return {**base, **{name: times * base[name] for name in _LETTERS}}


def _widened(look: Look, width: float, *, shrinks: bool) -> Look:
    """A look at another width; what is made for a screen has smaller letters where it is narrow,
    which can still be read."""
    times = width / look.width
    sized = replace(look, width=width, height=look.height * times)
    if not shrinks or times >= 1:
        return sized

    def points(size: float, least: float) -> float:
        return min(size, max(least, size * times))

    return replace(
        sized,
        **{
            name: points(getattr(look, name), _LEAST_POINTS)
            for name in ("tick", "label", "legend", "title")
        },
        small=points(look.small, _LEAST_SMALL),
        line=points(look.line, 1.0),
        mark=points(look.mark, 3.0),
    )


def _read(rc: Mapping[str, Any], *, is_dressed: bool, has_words: bool) -> Look:
    """Sizes and colours as settings have them."""
    size = float(rc["font.size"])

    def points(name: str) -> float:
        value = rc[name]
        return size * font_scalings[value] if isinstance(value, str) else float(value)

    width, height = (float(side) for side in rc["figure.figsize"])
    ground = rc["axes.facecolor"]
    is_dark = sum(to_rgb(ground)) < 1.5
    tick, label, legend, title = map(points, _LETTERS)
    return Look(
        width,
        height,
        tick,
        label,
        legend,
        title,
        small=max(_LEAST_SMALL, 0.8 * size),
        line=float(rc["lines.linewidth"]),
        mark=float(rc["lines.markersize"]),
        ink=str(rc["text.color"]) if is_dark else _INK,
        grey="#aaaaaa" if is_dark else _GREY,
        paper=ground,
        has_words=has_words,
        is_dressed=is_dressed,
    )


_defaults: Any = mpl.rcParamsDefault
DEFAULT = _read(ChainMap(SCREEN, _defaults), is_dressed=True, has_words=True)
"""For a screen: with a title and small print, which say all that one must know to read it."""
