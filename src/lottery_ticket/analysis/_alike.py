"""Whether what is compared was trained alike: on one kind of device, with the same versions."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lottery_ticket.analysis._statistics import FRESH, LEAD

__all__ = ["Unlike", "unlike_trainings"]

_HOW = ("device", "cpu", "precision", "versions")
_PLACE = ["arm", "level", "replicate"]


@dataclass(frozen=True)
class Unlike:
    """Trainings of one run that were not executed alike.

    Args:
        counts: what differs, a column of the result table → its value → trainings.
        num_contrasts: differences of the ticket's levels to dense and to other arms.
        num_mixed: those of them whose two sides were not trained alike in some replicate.
    """

    counts: Mapping[str, Mapping[str, int]]
    num_contrasts: int
    num_mixed: int


def unlike_trainings(table: pd.DataFrame) -> Unlike | None:
    """What differs in how the trainings of a table were executed; None where nothing is known to.

    The count of threads is left out: it rounds otherwise, like another batch size of a kernel.

    Args:
        table: a result table of one run.

    Example:
        >>> rows = {"arm": "ticket", "level": [0, 1], "replicate": 0, "device": ["cpu", "cuda"]}
        >>> unlike_trainings(pd.DataFrame(rows))
        Unlike(counts={'device': {'cpu': 1, 'cuda': 1}}, num_contrasts=1, num_mixed=1)
    """
    counts = {}
    for name in _HOW:
        if name in table:
            found = table[name].dropna().astype(str).value_counts().sort_index()
            if len(found) > 1:
                counts[name] = {str(value): int(count) for value, count in found.items()}
    if not counts:
        return None
    how = table[list(counts)].astype("string").fillna("").agg("|".join, axis=1)
    ways = how.groupby([table[name] for name in _PLACE]).agg(frozenset).to_dict()
    own = [place for place in ways if place[0] == LEAD and place[1]]
    mixed: dict[tuple[str, int], bool] = {}
    for _, level, replicate in own:
        ticket = ways[LEAD, level, replicate]
        for arm in {place[0] for place in ways} - {LEAD}:
            if (arm, level, replicate) in ways:
                is_mixed = len(ticket | ways[arm, level, replicate]) > 1
                mixed[arm, level] = mixed.get((arm, level), False) or is_mixed
        dense = frozenset().union(*(ways.get((arm, 0, replicate), ()) for arm in (LEAD, FRESH)))
        if dense:
            mixed["", level] = mixed.get(("", level), False) or len(ticket | dense) > 1
    return Unlike(counts, len(mixed), sum(mixed.values()))
