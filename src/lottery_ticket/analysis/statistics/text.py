"""A summary as text, and what to know of it."""

import math
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd

from lottery_ticket.analysis.statistics.tables import Metric
from lottery_ticket.arms import REINIT
from lottery_ticket.steps import Duration

__all__ = [
    "MISSING",
    "format_percent",
    "number_text",
    "still_falling_note",
    "summary_markdown",
    "summary_text",
]


MISSING = "–"


def format_percent(fraction: float) -> str:
    """A fraction as percent: two decimals, and two significant digits when it is tiny.

    Args:
        fraction: for example a density.

    Returns:
        Text with the unit.

    >>> format_percent(0.107374), format_percent(0.000123)
    ('10.74 %', '0.012 %')
    """
    percent = 100 * fraction
    return f"{percent:.2f} %" if percent >= 0.1 or percent == 0 else f"{percent:.2g} %"


def summary_text(summary: pd.DataFrame, metric: Metric) -> list[list[str]]:
    """A summary as a table of strings.

    Args:
        summary: what `summary` returned.
        metric: what `metric_of` returned for the same table.

    Returns:
        The header and one list per level. Arms read "mean ± sd (n)". Differences are given for
        the first arm; the number of pairs follows where it is not that arm's n.
    """
    arms = [name.removesuffix("_mean") for name in summary.columns if name.endswith("_mean")]
    lead = next((arm for arm in arms if arm != REINIT), arms[0] if arms else "")
    differences = [
        name for name in (f"{lead}_minus_dense", f"{lead}_minus_reinit") if name in summary
    ]
    unit = f" ({metric.unit})" if metric.unit else ""
    points = " (points)" if metric.unit == "%" else ""
    header = ["level", "density", "sparsity", "kept"]
    header += [f"{arm}{unit}" for arm in arms]
    header += [name.replace("_minus_", " − ") + points for name in differences]
    rows = []
    for row in summary.to_dict("records"):
        cells = [str(row["level"])]
        cells += [_percent_or_missing(row[name]) for name in ("density", "sparsity")]
        cells += [_count(row["num_kept"])]
        cells += [_arm_cell(row, arm, metric) for arm in arms]
        cells += [_difference_cell(row, name, lead, metric) for name in differences]
        rows.append(cells)
    return [header, *rows]


def summary_markdown(summary: pd.DataFrame, metric: Metric) -> str:
    """A summary as a GitHub table.

    Args:
        summary: what `summary` returned.
        metric: what `metric_of` returned for the same table.

    Returns:
        Lines of Markdown that end with a newline.
    """
    header, *rows = summary_text(summary, metric)
    lines = [header, ["---:"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def still_falling_note(table: pd.DataFrame, duration: str | None = None) -> str | None:
    """How many trainings ended while their validation loss still fell, and what that means.

    Args:
        table: a result table.
        duration: how long its trainings are by their spec, such as `"8ep"`; the line then says
            how to ask for three times as long.

    Returns:
        One line, or None where no training did.

    >>> table = pd.DataFrame({"is_still_falling": pd.array([True, False, None], "boolean")})
    >>> still_falling_note(table, "8ep")  # doctest: +ELLIPSIS
    'validation loss still falling at the end of 1 of 2 trainings: ...train.duration=24ep)'
    """
    flags = table["is_still_falling"].dropna().astype("bool").tolist()
    if not any(flags):
        return None
    how = ""
    if duration is not None:
        given = Duration.parse(duration)
        how = f" (--set train.duration={3 * given.count}{given.unit})"
    return (
        f"validation loss still falling at the end of {sum(flags)} of {len(flags)} trainings: "
        "these nets were still getting better, and an arm that is ahead may only be the faster "
        f"one; train longer to know{how}"
    )


def _percent_or_missing(fraction: float) -> str:
    return MISSING if pd.isna(fraction) else format_percent(fraction)


def _count(number: int) -> str:
    return MISSING if pd.isna(number) else f"{number:,}"


def _arm_cell(row: dict, arm: str, metric: Metric) -> str:
    mean, sd, n = row[f"{arm}_mean"], row[f"{arm}_sd"], row[f"{arm}_n"]
    if pd.isna(mean):
        return MISSING
    spread = "" if pd.isna(sd) else f" ± {number_text(sd, mean, metric)}"
    return f"{number_text(mean, mean, metric)}{spread} ({n})".replace("-", "−")


def _difference_cell(row: dict, name: str, arm: str, metric: Metric) -> str:
    difference, pairs = row[name], row[f"{name}_n"]
    if pd.isna(difference):
        return MISSING
    text = number_text(difference, row[f"{arm}_mean"], metric, sign="+")
    if float(text) == 0:
        text = text.lstrip("+-")
    count = "" if pairs == row[f"{arm}_n"] else f" ({pairs})"
    return text.replace("-", "−") + count


def number_text(value: float, reference: float, metric: Metric, *, sign: str = "") -> str:
    """`value` with the decimals that suit `reference`: 2 for percent, 4 significant for losses.

    Halves are rounded away from zero. A mean of accuracies is often one, but for the last bits of
    its float, which depend on the order in which it was summed: they decide nothing.

    >>> from lottery_ticket.analysis import ACCURACY
    >>> number_text(0.4517499999999999, 1.0, ACCURACY), number_text(0.45175, 1.0, ACCURACY)
    ('45.18', '45.18')
    """
    if metric.unit == "%":
        return _fixed(metric.scale * value, 2, sign)
    size = abs(metric.scale * reference)
    if size != 0 and not 1e-4 <= size < 1e6:
        return f"{metric.scale * value:{sign}.3e}"
    decimals = 4 if size == 0 else max(0, 3 - math.floor(math.log10(size)))
    return _fixed(metric.scale * value, decimals, sign)


def _fixed(value: float, decimals: int, sign: str) -> str:
    if not math.isfinite(value):
        return f"{value:{sign}.{decimals}f}"
    exact = Decimal(f"{value:.11g}")  # a float has 15 to 17 digits, and sums spoil the last
    return f"{exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):{sign}f}"
