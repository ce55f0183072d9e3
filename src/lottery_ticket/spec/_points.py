"""The points of a grid, each a spec of its own."""

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.spec._apart import short_names, value_text
from lottery_ticket.spec._canonical import canonical
from lottery_ticket.spec._load import override_, spec_from_mapping
from lottery_ticket.spec._spec import Spec

__all__ = ["Point", "grid_points"]

MOST_POINTS = 1000


@dataclass(frozen=True)
class Point:
    """One point of a grid.

    Args:
        values: dotted key → its value there; None for none.
        label: `"lr=0.01, rewind=500it"`.
        spec: the spec with these values.
    """

    values: Mapping[str, Any]
    label: str
    spec: Spec


def grid_points(spec: Spec, grid: Mapping[str, Sequence[Any]]) -> tuple[Point, ...]:
    """All combinations of a grid's values; the last key varies fastest.

    Args:
        spec: what all points have in common.
        grid: dotted key → values, as `parse_grid` has them.

    Raises:
        UsageError: there are too many, or a point is no valid spec; it names the point.

    >>> from lottery_ticket.spec import load_spec
    >>> [point.label for point in grid_points(load_spec("quickstart"), {"train.lr": (0.05, 0.1)})]
    ['lr=0.05', 'lr=0.1']
    """
    number = 1
    for values in grid.values():
        number *= len(values)
    if number > MOST_POINTS:
        raise UsageError(
            f"sweep: the grid has {number:,} points, wanted at most {MOST_POINTS:,}; leave some out"
        )
    return tuple(
        _point(spec, dict(zip(grid, values, strict=True)))
        for values in itertools.product(*grid.values())
    )


def _point(spec: Spec, values: Mapping[str, Any]) -> Point:
    names = short_names(values)
    label = ", ".join(f"{names[key]}={value_text(value, key)}" for key, value in values.items())
    given = canonical(spec) | {"margin": spec.margin, "claim": canonical(spec.claim)}
    changed, paths = copy.deepcopy(given), {tuple(key.split(".")): v for key, v in values.items()}
    try:
        override_(changed, paths)
    except UsageError as error:
        raise UsageError(str(error).replace("--set", "--grid", 1)) from None
    where = f"{spec.name} at {label}"
    return Point(values, label, spec_from_mapping(changed, where, given=given, asked=[*paths]))
