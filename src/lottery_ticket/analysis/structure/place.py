"""Where a mask stands in a run, and tables with a row for each part of each mask."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

from lottery_ticket.masks import PruningMask

__all__ = ["MaskPlace", "joined", "tabulated"]


class MaskPlace(NamedTuple):
    """Which mask it is: the coordinates of a row of the result table."""

    run: str = ""
    arm: str = "ticket"
    level: int = 0
    replicate: int = 0
    draw: int = 0


def joined(frames: Mapping[MaskPlace, pd.DataFrame]) -> pd.DataFrame:
    """The rows of every place below one another, their place in front of them."""
    if not frames:
        return pd.DataFrame()
    rows = pd.concat(list(frames.values()), ignore_index=True)
    places = [place for place, frame in frames.items() for _ in range(len(frame))]
    # once for all of them: a table of its own for each takes longer than to count its weights
    columns = pd.DataFrame(places, columns=pd.Index(MaskPlace._fields))
    return pd.concat([columns, rows], axis=1)


def tabulated(
    masks: Mapping[MaskPlace, PruningMask], rows_of: Callable[[PruningMask], pd.DataFrame]
) -> pd.DataFrame:
    """The rows of every mask, its place in front of them."""
    return joined({place: rows_of(mask) for place, mask in masks.items()})
