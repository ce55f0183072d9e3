"""How arms, levels, layers and verdicts look, everywhere."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lottery_ticket.analysis import (
    MATCHING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
    sort_arms,
)
from lottery_ticket.arms import ARMS, Arm

__all__ = [
    "ARM_STYLE",
    "DENSE_STYLE",
    "INK",
    "RUN_STYLES",
    "VERDICT_STYLE",
    "ArmStyle",
    "VerdictStyle",
    "input_colors",
    "layer_colors",
    "level_colors",
    "style_arms",
]

INK = "#000000"


class ArmStyle(NamedTuple):
    """How an arm is drawn, in every figure."""

    color: str
    marker: str


# Okabe and Ito's colours, which colour-blind readers tell apart, and others as far from them and
# from one another as so many can be; the marker says it again.
ARM_STYLE = {name: ArmStyle(arm.color, arm.marker) for name, arm in ARMS.items()}
"""How the library's own arms are drawn."""

DENSE_STYLE = ArmStyle("#777777", "h")

# Okabe and Ito's colours and as many markers; further runs begin anew
RUN_STYLES = (
    ArmStyle("#0072B2", "o"),
    ArmStyle("#D55E00", "s"),
    ArmStyle("#009E73", "^"),
    ArmStyle("#CC79A7", "D"),
    ArmStyle("#E69F00", "v"),
    ArmStyle("#56B4E9", "P"),
    ArmStyle("#000000", "X"),
)

_OTHERS = (
    ArmStyle("#882255", "*"),
    ArmStyle("#999933", "<"),
    ArmStyle("#332288", ">"),
    ArmStyle("#777777", "h"),
)


def style_arms(arms: Iterable[str]) -> dict[str, ArmStyle]:
    """Each arm with its style, in the order of `sort_arms`; those without one share a few more."""
    names = sort_arms(arms)
    rows = {name: ARMS.get(name, Arm()) for name in names}
    plain = [name for name in names if not (rows[name].color and rows[name].marker)]
    extra = {name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(plain)}
    return {
        name: ArmStyle(
            rows[name].color or extra[name].color, rows[name].marker or extra[name].marker
        )
        for name in names
    }


class VerdictStyle(NamedTuple):
    """How a verdict is drawn: a colour, and a sign that says it again."""

    color: str
    sign: str


VERDICT_STYLE = {
    WINNING: VerdictStyle("#00795A", "✓"),
    MATCHING: VerdictStyle("#B98300", "="),
    NOT_A_TICKET: VerdictStyle("#B04A00", "✗"),
    NOT_DECIDED: VerdictStyle("#777777", "?"),
    NO_VERDICT: VerdictStyle("#BBBBBB", "·"),
}
"""How the verdict of a level is drawn, by its label."""

# the scales viridis and cividis, which are even to the eye: a twelfth of each to a colour
_VIRIDIS = "440154 482173 433e85 38588c 2d708e 25858e 1e9b8a 2ab07f 52c569 86d549 c2df23 fde725"
_CIVIDIS = "00224e 013271 2f426d 48526c 5e636f 727374 878478 9d9576 b6a96f cebc63 e7d150 fee838"


def layer_colors(names: Sequence[str]) -> dict[str, str]:
    """A colour per layer, from the first to the last."""
    return dict(zip(names, _shades(_VIRIDIS, np.linspace(0, 0.88, len(names))), strict=True))


def level_colors(levels: Sequence[int]) -> dict[int, str]:
    """A colour per level, darker where sparser."""
    return dict(zip(levels, _shades(_VIRIDIS, np.linspace(0.92, 0, len(levels))), strict=True))


def input_colors(num_colors: int) -> list[str]:
    """Colours from few to many."""
    return _shades(_CIVIDIS, np.linspace(0, 1, num_colors))


def _shades(scale: str, places: Iterable[float]) -> list[str]:
    """Colours of a scale at places from 0 to 1."""
    known = np.array([list(bytes.fromhex(color)) for color in scale.split()])
    at = np.linspace(0, 1, len(known))
    mixed = [[round(np.interp(place, at, part)) for part in known.T] for place in places]
    return [f"#{bytes(color).hex()}" for color in mixed]
