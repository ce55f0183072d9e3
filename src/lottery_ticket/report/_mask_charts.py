"""Charts of what the masks look like: layers, overlap, inputs."""

import pandas as pd

from lottery_ticket.analysis import RunTables, format_percent, layer_means, overlap_means
from lottery_ticket.arms import TICKET
from lottery_ticket.plots import (
    ARM_STYLE,
    UNREAD,
    InputImage,
    input_colors,
    input_images,
    layer_colors,
)
from lottery_ticket.report._chart import Axis, Chart, InputMap, Rule, Series
from lottery_ticket.report._levels import DENSITY, Levels
from lottery_ticket.report._numbers import num_replicates, padded

__all__ = ["input_map", "layer_chart", "overlap_charts"]

_NUM_COLORS = 64
_INK = {"is_ink": True, "dash": True}


def layer_chart(tables: RunTables) -> Chart:
    """The density of each layer against that of all."""
    levels, means = Levels(tables.table), layer_means(tables.layers)
    means = means.assign(
        y=100 * means["density"].where(means["density"] > 0),
        text=[format_percent(density) for density in means["density"]],
    )
    known = [value for value in means["y"].to_list() if value > 0] or [100.0]
    names = list(dict.fromkeys(means["layer"]))[:-1]
    return Chart(
        "layers",
        "What is left of each layer",
        f"Masks of the first arm, mean over {num_replicates(means['n'])}; both axes are "
        "logarithmic. Dashed: all prunable weights. A layer above it is pruned less than the rest.",
        f"Lines of density over the share of weights kept, one for each of {len(names)} layers.",
        DENSITY,
        Axis("kept in the layer (%)", "log", min(known) / 1.25, max(known) * 1.25),
        levels.stops,
        [*_layers(levels, means, names), _all(levels, means, "all layers")],
    )


def _layers(levels: Levels, frame: pd.DataFrame, names: list[str]) -> list[Series]:
    marker = "o" if len(names) <= 5 else ""
    return [
        levels.series(name, color, frame.loc[frame["layer"] == name], marker=marker)
        for name, color in layer_colors(names).items()
    ]


def _all(levels: Levels, frame: pd.DataFrame, name: str) -> Series:
    return levels.series(name, "#000000", frame.loc[frame["layer"] == "all"], **_INK)


def overlap_charts(tables: RunTables) -> list[Chart]:
    """What two replicates' masks share: in all beside chance, and layer by layer."""
    pairs = overlap_means(tables.overlap)
    if pairs.empty:
        return []
    levels = Levels(tables.table)
    whole = pairs.loc[pairs["layer"] == "all"]
    counts = sorted(set(whole["num_pairs"]))
    count = " to ".join(dict.fromkeys(str(n) for n in (counts[0], counts[-1])))
    shared = whole.assign(
        y=100 * whole["share"],
        low=100 * whole["low"],
        high=100 * whole["high"],
        text=[format_percent(share) for share in whole["share"]],
    )
    expected = whole[["level"]].assign(
        y=100 * whole["expected"], text=[format_percent(e) for e in whole["expected"]]
    )
    drawn = [v for v in [*shared["low"], *shared["high"], *expected["y"]] if v > 0] or [100.0]
    ratio = pairs["share"] / pairs["expected"]
    times = pairs[["level", "layer"]].assign(y=ratio, text=[f"{value:.2f}×" for value in ratio])
    names = [name for name in dict.fromkeys(pairs["layer"]) if name != "all"]
    ticket = ARM_STYLE[TICKET]
    return [
        Chart(
            "overlap",
            "Do replicates find the same mask?",
            "Of the weights that one replicate keeps, those that another keeps too: mean over "
            f"{count} pairs, band from the lowest pair to the highest. Chance: independent masks "
            "with the same number of weights in every layer.",
            "The share of weights that two replicates both keep, over the share of weights kept, "
            "beside what chance would give.",
            DENSITY,
            Axis("shared (%)", "log", min(drawn) / 1.2, max(drawn) * 1.2),
            levels.stops,
            [
                levels.series("shared", ticket.color, shared, marker=ticket.marker),
                levels.series("chance", "#000000", expected, **_INK),
            ],
        ),
        Chart(
            "times_chance",
            "Times chance, layer by layer",
            "The same in each layer, as a multiple of what chance would give there.",
            "Shared weights as a multiple of chance, one line for each layer.",
            DENSITY,
            Axis("times chance", "linear", *padded([*times["y"], 1.0])),
            levels.stops,
            _layers(levels, times, names),
            [Rule(1.0, "chance")],
        ),
    ]


def input_map(tables: RunTables, level: int | None) -> InputMap | None:
    """What the first layer still looks at, first at a level; None where the inputs are no image."""
    images = input_images(tables.inputs)
    if not images:
        return None
    levels = Levels(tables.table)
    where = dict(zip(levels.numbers, (stop.text for stop in levels.stops), strict=True))
    images = [image for image in images if image.level in where]
    most = max(float(image.pixels.max()) for image in images)
    numbers = [image.level for image in images]
    start = numbers.index(level) if level in numbers else (len(numbers) - 1) * 2 // 3
    return InputMap(
        "inputs",
        "What the first layer looks at",
        "The net's inputs as an image: the more weights of the first layer read an input, the "
        "brighter, up to the level's most; grey where none does in any replicate. Mean over "
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
