"""Numbers of a run as cells of LaTeX."""

import re
from collections.abc import Mapping
from typing import Any

from lottery_ticket.analysis import Metric, number_text
from lottery_ticket.charts import is_known

__all__ = ["MISSING", "bold", "count", "mean", "number", "percent", "spread"]

MISSING = "--"


def number(text: str) -> str:
    r"""A number that was printed as text, its sign and its exponent as LaTeX.

    >>> number("-0.50"), number("1.234e-05"), number("98.40")
    ('$-$0.50', '$1.234 \\times 10^{-5}$', '98.40')
    """
    if found := re.fullmatch(r"([+-]?[\d.]+)e([+-]\d+)", text):
        return f"${found[1]} \\times 10^{{{int(found[2])}}}$"
    return re.sub(r"^([+-])", r"$\1$", text)


def count(value: Any) -> str:
    """`266200` → `"266,200"`."""
    return f"{int(value):,}" if is_known(value) else MISSING


def percent(fraction: Any) -> str:
    """A share in percent, without the unit: two decimals, two digits where it is tiny."""
    if not is_known(fraction):
        return MISSING
    value = 100 * float(fraction)
    return f"{value:.2f}" if value >= 0.1 or value == 0 else number(f"{value:.2g}")


def mean(
    row: Mapping[str, Any], metric: Metric, error: str, *, has_n: bool = False, width: int = 0
) -> str:
    r"""`"98.38 $\pm$ 0.02"`, or with its interval, or alone.

    Args:
        row: mean, sd, n, low and high.
        metric: what they are of.
        error: `sd`, `ci` or `none`.
        has_n: whether n follows in brackets.
        width: as many characters as the longest sd of the column has, so that means stand below
            one another.
    """
    value: Any = row.get("mean")
    if not is_known(value):
        return MISSING
    text = number(number_text(value, value, metric))
    if error == "sd" and is_known(row["sd"]):
        sd = spread(row, metric)
        pad = f"\\phantom{{{'0' * (width - len(sd))}}}" if len(sd) < width else ""
        text += f" $\\pm$ {pad}{number(sd)}"
    if error == "ci" and is_known(row["low"]):
        low, high = (number(number_text(row[end], value, metric)) for end in ("low", "high"))
        text += f" {{[}}{low}, {high}{{]}}"
    return f"{text} ({row['n']})" if has_n else text


def spread(row: Mapping[str, Any], metric: Metric) -> str:
    """The standard deviation as text; empty where there is none."""
    return number_text(row["sd"], row["mean"], metric) if is_known(row["sd"]) else ""


def bold(cell: str) -> str:
    """The same in bold, its formulas too."""
    return f"{{\\bfseries\\boldmath {cell}}}"
