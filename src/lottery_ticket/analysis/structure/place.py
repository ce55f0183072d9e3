"""Where a mask stands in a run, and tables with a row for each part of each mask."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

from lottery_ticket.masks import PruningMask

__all__ = ["MaskPlace", "placed", "tabulated"]


class MaskPlace(NamedTuple):
    """Which mask it is: the coordinates of a row of the result table."""

    run: str = ""
    arm: str = "ticket"
    level: int = 0
    replicate: int = 0
    draw: int = 0


def placed(rows: pd.DataFrame, place: MaskPlace) -> pd.DataFrame:
    """The rows with their mask's place in front of them."""
    columns = {name: [value] * len(rows) for name, value in place._asdict().items()}
    return pd.concat([pd.DataFrame(columns, index=rows.index), rows], axis=1)


def tabulated(
    masks: Mapping[MaskPlace, PruningMask], rows_of: Callable[[PruningMask], pd.DataFrame]
) -> pd.DataFrame:
    """The rows of every mask, its place in front of them."""
    frames = [placed(rows_of(mask), place) for place, mask in masks.items()]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
