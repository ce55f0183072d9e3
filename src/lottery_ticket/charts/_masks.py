"""Charts of what the masks look like: layers, and what replicates share."""

from collections.abc import Sequence

import pandas as pd

from lottery_ticket.analysis import format_percent, layer_means, overlap_means, sort_arms
from lottery_ticket.arms import TICKET
from lottery_ticket.charts._chart import Axis, Chart, Rule, Series
from lottery_ticket.charts._levels import Levels
from lottery_ticket.charts._limits import log_limits, padded
from lottery_ticket.charts._style import ARM_STYLE, INK, layer_colors
from lottery_ticket.charts._text import num_replicates
from lottery_ticket.errors import UsageError

__all__ = ["layer_chart", "overlap_charts"]

_MOST_NAMES = 9  # of layers in a legend; more are the ends of a bar of colours


def layer_chart(layers: pd.DataFrame) -> Chart:
    """The density of each layer against that of all: the first arm, mean over replicates.

    Args:
        layers: arm, level, replicate, draw, layer, num_kept, num_prunable; layers in model order.

    Raises:
        UsageError: the table is empty.
    """
    if layers.empty:
        raise UsageError("the table of layers is empty; nothing to draw")
    arm = sort_arms(layers["arm"])[0]
    means = layer_means(layers)
    means = means.assign(
        y=100 * means["density"].where(means["density"] > 0),
        text=[format_percent(density) for density in means["density"]],
    )
    names = list(dict.fromkeys(means["layer"]))[:-1]
    levels = _levels(means)
    series = [*_layers(levels, means, names), _whole(levels, means, "all layers")]
    num_empty = int((means["density"] == 0).to_numpy().sum())
    empty = f" {num_empty} empty layers cannot be drawn on a log axis." if num_empty else ""
    return Chart(
        "layers",
        "density per layer",
        f"Masks of the {arm} arm, mean over {num_replicates(means['n'])}; dashed: all prunable "
        f"weights. A layer above it is pruned less than the rest.{empty}",
        levels.axis(series),
        Axis("weights kept in the layer (%)", "log", *log_limits(means["y"])),
        levels.stops,
        series,
        ramp=_ramp(names),
    )


def overlap_charts(overlap: pd.DataFrame) -> list[Chart]:
    """The share of weights that two replicates both keep, and how many times that is chance.

    Args:
        overlap: what `structure.overlap_table` returned, across replicates; of one arm.

    Returns:
        A chart of all layers together, with the lowest and the highest pair as a band, and one
        layer by layer.

    Raises:
        UsageError: there is no pair of pruned masks.
    """
    pairs = overlap_means(overlap)
    if pairs.empty:
        raise UsageError("no two replicates have a mask of one level; nothing to compare")
    levels = _levels(pairs)
    return [_shares(levels, pairs.loc[pairs["layer"] == "all"]), _times_chance(levels, pairs)]


def _shares(levels: Levels, whole: pd.DataFrame) -> Chart:
    shared, chance = (
        whole[["level", "layer"]].assign(
            y=100 * whole[column], text=[format_percent(share) for share in whole[column]]
        )
        for column in ("share", "expected")
    )
    shared = shared.assign(low=100 * whole["low"], high=100 * whole["high"])
    color, marker = ARM_STYLE[TICKET]
    series = [
        levels.series("shared", color, shared, marker=marker),
        _whole(levels, chance, "chance"),
    ]
    counts = sorted(set(whole["num_pairs"]))
    count = "–".join(dict.fromkeys(str(n) for n in (counts[0], counts[-1])))
    return Chart(
        "overlap",
        "do replicates find the same mask?",
        "Shared: weights that two replicates both keep, of those that one keeps; mean over "
        f"{count} pair{'' if count == '1' else 's'} of replicates, band from the lowest to the "
        "highest. Chance: independent masks with the same number of weights in every layer.",
        levels.axis(series),
        Axis(
            "shared weights (%)",
            "log",
            *log_limits([*shared["low"], *shared["high"], *chance["y"]]),
        ),
        levels.stops,
        series,
    )


def _times_chance(levels: Levels, pairs: pd.DataFrame) -> Chart:
    times = pairs["share"] / pairs["expected"]
    # the lowest and the highest pair are shares, not multiples of chance
    plain = pairs.drop(columns=["low", "high"])
    times = plain.assign(y=times, text=[f"{value:.2f}×" for value in times])
    names = [name for name in dict.fromkeys(pairs["layer"]) if name != "all"]
    own = times.loc[times["layer"] != "all", "y"]
    series = _layers(levels, times, names)
    return Chart(
        "times_chance",
        "times chance, layer by layer",
        "Layer by layer: the same as a multiple of what chance would give there.",
        levels.axis(series),
        Axis("times chance", "linear", *padded([*own, 1.0])),
        levels.stops,
        series,
        [Rule(1.0, "chance")],
        ramp=_ramp(names),
    )


def _levels(frame: pd.DataFrame) -> Levels:
    """The levels of a frame that has a row for all layers together."""
    whole = frame.loc[frame["layer"] == "all"]
    return Levels([int(level) for level in whole["level"]], whole["density"].to_list())


def _layers(levels: Levels, frame: pd.DataFrame, names: Sequence[str]) -> list[Series]:
    marker = "" if _ramp(names) else "o"
    return [
        levels.series(name, color, frame.loc[frame["layer"] == name], marker=marker)
        for name, color in layer_colors(names).items()
    ]


def _whole(levels: Levels, frame: pd.DataFrame, name: str) -> Series:
    return levels.series(name, INK, frame.loc[frame["layer"] == "all"], is_ink=True)


def _ramp(names: Sequence[str]) -> str:
    return f"{len(names)} layers" if len(names) > _MOST_NAMES else ""
