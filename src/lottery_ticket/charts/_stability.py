"""Charts of stability: barriers against the step that copies part at, and errors on the lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from lottery_ticket.analysis import Stability, format_percent, sort_arms
from lottery_ticket.charts._chart import Axis, Chart, Rule, Series, Stop, cut_note, nulls
from lottery_ticket.charts._limits import padded
from lottery_ticket.charts._style import level_colors, style_arms
from lottery_ticket.charts._text import is_known

__all__ = ["barrier_charts", "path_charts"]

Row = Mapping[Any, Any]


def barrier_charts(found: Stability) -> list[Chart]:
    """Mean barriers with 95 % intervals: against k, a line per level and a panel per arm; of one k
    against the level, a line per arm.

    Args:
        found: of one step or of several.
    """
    rows = found.table.to_dict("records")
    is_error, steps = _is_error(rows), sorted({row["step"] for row in rows})
    values = [_scaled(row["barrier"], is_error) for row in rows]
    threshold = 100 * found.threshold
    # as far as means and the threshold go: an interval of few replicates may be very long
    low, high = padded([*values, 0.0, *([1.25 * threshold] if is_error else [])])
    y = Axis("error barrier (points)" if is_error else "loss barrier", "linear", low, high)
    name = f"stable below {threshold:g} points"
    rules = (Rule(threshold, name, "dashed"),) if is_error else ()
    caption = _caption(rows, is_error)
    note = cut_note(_all_bars(rows, is_error), low, high)
    levels = sorted({row["level"] for row in rows})
    if len(steps) > 1:
        colors, arms = level_colors(levels), sort_arms(row["arm"] for row in rows)
        if note and len(arms) > 1:
            note = f" In all panels{note}"
        caption += note
        return [
            _against_steps(
                f"stability_{number}", steps, [row for row in rows if row["arm"] == arm], colors, y,
                rules, caption,
            )
            for number, arm in enumerate(arms, 1)
        ]  # fmt: skip
    density = {row["level"]: row["density"] for row in rows}
    stops = [
        Stop(float(i), _level_text(n, density[n]), _level_tick(n)) for i, n in enumerate(levels)
    ]
    styles = style_arms(row["arm"] for row in rows)
    series = []
    for arm, style in styles.items():
        of_level = {row["level"]: row for row in rows if row["arm"] == arm}
        ordered = [of_level.get(level) for level in levels]
        series.append(_bars(arm, style.color, style.marker, ordered, is_error))
    title = f"instability to the order of the data, from step {steps[0]:,}"
    x = Axis("level", "names", 0.0, float(len(levels) - 1))
    return [Chart("stability", title, caption + note, x, y, stops, series, rules)]


def path_charts(found: Stability, step: int) -> list[Chart]:
    """Mean error along the lines between copies that parted at a step: a panel per arm.

    Args:
        found: the measurements.
        step: k.
    """
    rows = found.table.to_dict("records")
    is_error = _is_error(rows)
    along = found.curves.loc[found.curves["step"] == step].to_dict("records")
    alphas = sorted({row["alpha"] for row in along})
    low, high = padded([_scaled(row["value"], is_error) for row in along])
    levels = sorted({row["level"] for row in along})
    density = {row["level"]: row["density"] for row in rows}
    colors = level_colors(levels)
    stops = [Stop(alpha, f"α = {alpha:.2f}") for alpha in alphas]
    charts = []
    for arm in sort_arms(row["arm"] for row in along):
        series = []
        for level in levels:
            place = {r["alpha"]: r for r in along if (r["arm"], r["level"]) == (arm, level)}
            y = [_scaled(place[a]["value"], is_error) if a in place else None for a in alphas]
            if any(value is not None for value in y):
                text = ["" if value is None else f"{value:.2f}" for value in y]
                series.append(Series(_level_text(level, density[level]), colors[level], y, text))
        charts.append(
            Chart(
                f"paths_{arm}",
                f"on the line between copies that part at step {step:,}",
                "Mean over lines and replicates. α = 0 and 1 are the copies themselves.",
                Axis("α, from one copy to the other", "linear", 0.0, 1.0),
                Axis("test error (%)" if is_error else "test loss", "linear", low, high),
                stops,
                series,
                panel=arm,
            )
        )
    return charts


def _against_steps(
    name: str,
    steps: Sequence[int],
    rows: Sequence[Row],
    colors: Mapping[int, str],
    y: Axis,
    rules: tuple[Rule, ...],
    caption: str,
) -> Chart:
    arm, series = rows[0]["arm"], []
    density = {row["level"]: row["density"] for row in rows}
    for level in sorted(density):
        of_step = {row["step"]: row for row in rows if row["level"] == level}
        ordered = [of_step.get(step) for step in steps]
        said = _level_text(level, density[level])
        series.append(_bars(said, colors[level], "o", ordered, bool(rules)))
    return Chart(
        name,
        "instability to the order of the data",
        caption,
        Axis("step k at which copies part", "names", 0.0, float(len(steps) - 1)),
        y,
        [Stop(float(i), f"k = {step:,}", f"{step:,}") for i, step in enumerate(steps)],
        series,
        rules,
        panel=arm,
    )


def _all_bars(rows: Sequence[Row], is_error: bool) -> list[Series]:
    return [_bars("", "#000000", "o", [row], is_error) for row in rows]


def _bars(name: str, color: str, marker: str, rows: Sequence[Row | None], is_error: bool) -> Series:
    y, low, high = (
        nulls([None if row is None else _scaled(row[end], is_error) for row in rows])
        for end in ("barrier", "low", "high")
    )
    text = ["" if row is None else _text(row, is_error) for row in rows]
    has_bars = any(end is not None for end in low)
    return Series(
        name, color, y, text, marker=marker, is_bars=has_bars,
        low=low if has_bars else None, high=high if has_bars else None,
    )  # fmt: skip


def _text(row: Row, is_error: bool) -> str:
    value, low, high = (_scaled(row[name], is_error) for name in ("barrier", "low", "high"))
    interval = f" [{low:.2f}, {high:.2f}]" if is_known(low) else ""
    state = f" · {row['state']}" if row["state"] else ""
    return f"{value:.2f}{interval} ({row['n']}){state}"


def _caption(rows: Sequence[Row], is_error: bool) -> str:
    n = sorted({row["n"] for row in rows})
    counts = f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    highest = "error" if is_error else "loss"
    norms = any(is_known(row["interpolated_barrier"]) for row in rows)
    refitted = " Statistics of batch norms are estimated anew at each point." if norms else ""
    return (
        f"Highest test {highest} on the straight line between two copies − the mean of its ends; "
        f"mean over replicates, 95 % intervals, {counts}.{refitted}"
    )


def _is_error(rows: Sequence[Row]) -> bool:
    return any(row["state"] for row in rows)


def _scaled(value: float, is_error: bool) -> float:
    return 100 * value if is_error else value


def _level_text(level: int, density: float) -> str:
    return f"level {level} · {format_percent(density)}" if level else "dense"


def _level_tick(level: int) -> str:
    return str(level) if level else "dense"
