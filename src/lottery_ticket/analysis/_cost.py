"""What a ticket cost to find."""

from dataclasses import dataclass

import pandas as pd

from lottery_ticket.arms import TICKET

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True)
class Cost:
    """What one replicate spends on the ticket of a level, on average.

    Args:
        level: whose ticket.
        search_steps: optimiser steps of all trainings before it, which found its mask.
        ticket_steps: of its own training.
        dense_steps: of the dense training.
        search_seconds, ticket_seconds, dense_seconds: their wall-clock time, where it is known.
    """

    level: int
    search_steps: float
    ticket_steps: float
    dense_steps: float
    search_seconds: float | None
    ticket_seconds: float | None
    dense_seconds: float | None


def cost_of(table: pd.DataFrame, level: int, *, is_once: bool = False) -> Cost | None:
    """The cost of a level's ticket; None where a training before it is missing.

    Args:
        table: a result table of one run.
        level: of the ticket, 1 or more.
        is_once: whether each level was pruned once from the dense net, so that the trainings in
            between found nothing.

    Example:
        >>> rows = {"arm": "ticket", "level": [0, 1, 2], "num_steps": [100, 100, 80]}
        >>> table = pd.DataFrame({**rows, "train_seconds": [3.0, 2.0, 1.0]})
        >>> cost = cost_of(table, 2)
        >>> cost.search_steps, cost.ticket_steps, cost.search_seconds
        (200.0, 80.0, 5.0)
    """
    found_by = range(1 if is_once else level)
    columns = ("num_steps", "train_seconds")
    steps, seconds = (_parts(table, name, found_by, level) for name in columns)
    return None if steps is None else Cost(level, *steps, *(seconds or (None, None, None)))


def _parts(
    table: pd.DataFrame, column: str, found_by: range, level: int
) -> tuple[float, float, float] | None:
    """Of the search, the ticket and dense: means over replicates; None where one is missing."""
    chain = table.loc[(table["arm"] == TICKET) & table[column].notna(), ["level", column]]
    means = {int(at): float(rows[column].mean()) for at, rows in chain.groupby("level")}
    if level not in means or not all(at in means for at in found_by):
        return None
    return sum(means[at] for at in found_by), means[level], means[0]
