"""The longest chains of work: what no number of workers makes quicker."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.forecast.assumptions import Task

__all__ = ["children_of", "critical_path", "path_text", "remaining_seconds"]


def children_of(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """Name → the tasks that are made from it."""
    children: dict[str, list[str]] = defaultdict(list)
    for name, task in tasks.items():
        for parent in set(task.parents):
            children[parent].append(name)
    return children


def remaining_seconds(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Name → the seconds of the longest chain that begins with it.

    Args:
        tasks: parents first.
    """
    below: dict[str, float] = defaultdict(float)
    remaining = {}
    for name in reversed(list(tasks)):
        task = tasks[name]
        remaining[name] = task.seconds + below[name]
        for parent in task.parents:
            below[parent] = max(below[parent], remaining[name])
    return remaining


def critical_path(tasks: Mapping[str, Task]) -> list[str]:
    """The longest chain, from its beginning.

    Args:
        tasks: parents first.
    """
    remaining, children = remaining_seconds(tasks), children_of(tasks)
    path: list[str] = []
    following: Sequence[str] = list(tasks)
    while following:
        path.append(max(following, key=remaining.__getitem__))
        following = children.get(path[-1], ())
    return path


def path_text(labels: Iterable[Label]) -> str:
    """A chain for people.

    >>> path_text([Label("ticket", level, 3, 0, 1.0) for level in range(21)])
    'ticket levels 0–20 of replicate 3'
    """
    parts: dict[int, list[str]] = defaultdict(list)
    for (replicate, arm, draw), chain in groupby(labels, lambda x: (x.replicate, x.arm, x.draw)):
        levels = sorted({label.level for label in chain})
        of_draw = f", draw {draw}," if draw else ""
        which = f"level {levels[0]}" if len(levels) == 1 else f"levels {levels[0]}–{levels[-1]}"
        parts[replicate].append(f"{arm} {which}{of_draw}")
    return "; ".join(
        f"{', '.join(said)} of replicate {replicate}" for replicate, said in parts.items()
    )
