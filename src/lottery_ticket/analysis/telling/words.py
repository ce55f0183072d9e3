"""The words and numbers that verdicts are written with."""

import math
import textwrap
from collections.abc import Sequence

from lottery_ticket.analysis.judging.facts import VerdictFacts
from lottery_ticket.analysis.judging.levels import (
    MATCHING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
    LevelVerdict,
)
from lottery_ticket.analysis.statistics.tables import Metric
from lottery_ticket.analysis.statistics.text import MISSING, format_percent, number_text

__all__ = [
    "SHORT",
    "aligned",
    "alpha_text",
    "bound_of",
    "confidence_text",
    "density",
    "difference",
    "levels_text",
    "margin",
    "margin_text",
    "replicates",
    "signed",
    "signed_number",
    "size",
    "wrapped",
]


WIDTH = 80

SHORT = {
    WINNING: "winning",
    MATCHING: "matching",
    NOT_A_TICKET: "not a ticket",
    NOT_DECIDED: "not decided",
    NO_VERDICT: MISSING,
}
"""Label → what it is called where there is little room."""


def wrapped(text: str) -> list[str]:
    """Lines of 80 columns; those after the first are indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ") if text else []


def alpha_text(verdict: VerdictFacts) -> str:
    """The chance of a false claim that its tests have: 5 %, or what its look may spend."""
    return f"{100 * verdict.alpha:.3g} %"


def confidence_text(verdict: VerdictFacts) -> str:
    """That of the bounds that decide, one-sided: the rest of `alpha_text`."""
    return f"{100 - 100 * verdict.alpha:.4g} %"


def bound_of(verdict: VerdictFacts) -> tuple[str, str]:
    """The column of the bound that decides, and what it is called.

    The same word for accuracies and losses: of a negative bound, "at least" reads as a size.
    """
    return "lower_bound" if verdict.metric.higher_is_better else "upper_bound", "at worst"


def signed(verdict: VerdictFacts, value: float | None) -> str:
    """A difference with its sign, in the metric's printed unit."""
    if value is None or math.isnan(value):
        return MISSING
    return signed_number(value, float(verdict.arms["mean"].to_numpy().mean()), verdict.metric)


def signed_number(value: float, reference: float, metric: Metric) -> str:
    """A difference with its sign, in a metric's printed unit; `reference` as in `number_text`."""
    text = number_text(value, reference, metric, sign="+")
    return (text.lstrip("+-") if float(text) == 0 else text).replace("-", "−")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of texts: flush right, but for the last column."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return ["  ".join([*map(str.rjust, row, widths), row[-1]]).rstrip() for row in rows]


def difference(verdict: VerdictFacts, level: int, control: str) -> str:
    """A level's difference from a control, with the bound that decides."""
    row = verdict.contrast(level, control)
    column, word = bound_of(verdict)
    unit = " points" if verdict.metric.unit == "%" else ""
    value, edge = (signed(verdict, row.get(name)) for name in ("difference", column))
    return f"{value}{unit} against {control} ({word} {edge})"


def density(verdict: VerdictFacts, level: int) -> str:
    """A level's density."""
    return format_percent(verdict.at(level).density)


def size(found: LevelVerdict) -> str:
    """A level by all its names."""
    where = f"level {found.level}, {found.num_kept:,}"
    return f"{format_percent(found.density)} of the weights ({where})"


def replicates(verdict: VerdictFacts) -> str:
    """How many there are."""
    n = verdict.num_replicates
    return f"{n} replicate{'s' if n != 1 else ''}"


def margin(verdict: VerdictFacts) -> str:
    """The margin as it was stated."""
    return margin_text(verdict.margin_stated, verdict.metric)


def margin_text(stated: float, metric: Metric) -> str:
    """A margin in points of accuracy, or per cent of the dense loss."""
    if metric.unit == "%":
        return f"{stated:g} point{'s' if stated != 1 else ''}"
    return f"{stated:g} % of the dense {metric.short}"


def levels_text(levels: Sequence[int]) -> str:
    """Levels by their numbers.

    >>> levels_text([1, 2, 3, 7]), levels_text([4])
    ('levels 1–3, 7', 'level 4')
    """
    runs: list[list[int]] = []
    for level in sorted(levels):
        if runs and level == runs[-1][-1] + 1:
            runs[-1].append(level)
        else:
            runs.append([level])
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return f"level{'s' if len(levels) > 1 else ''} {', '.join(parts)}"
