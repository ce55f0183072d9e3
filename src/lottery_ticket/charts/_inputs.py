"""What the first layer still looks at, as images."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lottery_ticket.analysis import input_means

__all__ = ["UNREAD", "InputImage", "input_images", "num_channels"]

UNREAD = "#ffffff"
"""The colour of an input that no weight reads."""


class InputImage(NamedTuple):
    """The inputs of a net as an image, at one level.

    Args:
        level: of the masks.
        pixels: (side, side), the share of the first layer's weights that read each input, mean
            over replicates; over colours too, where an image has them.
        num_read: how many inputs any weight reads, mean over replicates.
    """

    level: int
    pixels: NDArray[np.float64]
    num_read: float


def input_images(inputs: pd.DataFrame) -> list[InputImage]:
    """The inputs at each level as images; empty where they are not the pixels of a square.

    Args:
        inputs: what `structure.input_density` returned, of one arm.
    """
    size = len(set(inputs["input"])) if not inputs.empty else 0
    channels = num_channels(size)
    if channels is None:
        return []
    side = math.isqrt(size // channels)
    means = input_means(inputs)
    return [
        InputImage(
            int(str(level)),
            rows["density"].to_numpy("float64").reshape(channels, side, side).mean(axis=0),
            float(rows["num_read"].iloc[0]),
        )
        for level, rows in means.groupby("level")
    ]


def num_channels(num_inputs: int) -> int | None:
    """1 where the inputs fill a square image, 3 where they fill one of three colours, else None.

    Images of fewer than 5 × 5 are taken for something else.

    >>> num_channels(784), num_channels(3 * 32 * 32), num_channels(9), num_channels(100 * 7)
    (1, 3, None, None)
    """
    for channels in (1, 3):
        side = math.isqrt(num_inputs // channels)
        if side >= 5 and channels * side**2 == num_inputs:
            return channels
    return None
