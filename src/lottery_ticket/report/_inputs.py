"""What the first layer still looks at, for a canvas and a slider."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lottery_ticket.analysis import RunTables, format_percent
from lottery_ticket.charts import (
    UNREAD,
    InputImage,
    input_colors,
    input_images,
    levels_of,
    num_replicates,
)

__all__ = ["InputMap", "input_map"]

_NUM_COLORS = 64


@dataclass(frozen=True)
class InputMap:
    """A map of the net's inputs at each level.

    Args:
        name, heading, caption: as of a `Chart`.
        side: pixels of a row.
        levels: for each its text, and a value per input.
        start: which of them is shown first.
        colors: from few to many.
        unread: the colour of inputs that no weight reads.
    """

    name: str
    heading: str
    caption: str
    side: int
    levels: Sequence[Mapping[str, Any]]
    start: int
    colors: Sequence[str]
    unread: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page's script."""
        values = asdict(self)
        return {name: values[name] for name in ("side", "levels", "colors", "unread")}


def input_map(tables: RunTables, level: int | None) -> InputMap | None:
    """What the first layer still looks at, first at a level; None where the inputs are no image."""
    images = input_images(tables.inputs)
    if not images:
        return None
    levels = levels_of(tables.table)
    where = dict(zip(levels.numbers, (stop.text for stop in levels.stops), strict=True))
    images = [image for image in images if image.level in where]
    most = max(float(image.pixels.max()) for image in images)
    numbers = [image.level for image in images]
    start = numbers.index(level) if level in numbers else (len(numbers) - 1) * 2 // 3
    return InputMap(
        "inputs",
        "What the first layer looks at",
        "The net's inputs as an image: the more weights of the first layer read an input, the "
        "brighter, up to the level's most; white where none does in any replicate. Mean over "
        f"{num_replicates(tables.inputs.groupby('level')['replicate'].nunique())}.",
        len(images[0].pixels),
        [_map_level(image, where[image.level], most) for image in images],
        start,
        input_colors(_NUM_COLORS),
        UNREAD,
    )


def _map_level(image: InputImage, where: str, most: float) -> dict[str, object]:
    pixels = [float(value) for value in image.pixels.ravel()]
    return {
        "text": f"{where}: {image.num_read:.0f} of {len(pixels)} inputs are read, the one "
        f"read most by {format_percent(max(pixels))} of units",
        # whole numbers are short; what is read at all stays above zero
        "values": [max(1, round(999 * value / most)) if value > 0 else 0 for value in pixels],
    }
