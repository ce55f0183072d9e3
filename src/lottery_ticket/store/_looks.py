"""When a staged run is looked at, and what each look may spend; which other runs share its looks.

A staged run (`until_decided` in its spec) is looked at with fixed numbers of replicates, and its
chances of a false claim are shared out among these looks. The rule stands in the spec that its
record keeps, which readers of earlier versions pass over. What a look showed is not stored: it is
a function of the trainings, and of the rule.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store._store import Store

__all__ = ["Looks", "complete_replicates", "looks_of", "shared_looks", "staged_id", "staged_runs"]

_STAGED = "-staged-"


@dataclass(frozen=True)
class Looks:
    """The rule of a staged run.

    Args:
        run: its id.
        replicates: how many there are at each look.
        alphas: the chance of a false claim that each look may have.
    """

    run: str
    replicates: tuple[int, ...]
    alphas: tuple[float, ...]

    def spent(self, number: int) -> float:
        """What the first looks have spent together."""
        return sum(self.alphas[:number])


def staged_id(name: str, suffix: str) -> str:
    """The id of a staged run, by which it is found without reading all runs.

    >>> staged_id("quickstart", "0fb253a2")
    'quickstart-staged-0fb253a2'
    """
    return f"{name}{_STAGED}{suffix}"


def looks_of(run: RunRecord) -> Looks | None:
    """The rule of a run; None where it is not staged."""
    rule: Any = run.spec.get("until_decided")
    return None if rule is None else Looks(run.id, tuple(rule["looks"]), tuple(rule["alphas"]))


def staged_runs(store: Store) -> Iterator[RunRecord]:
    """The staged runs of a store; those that are damaged are left out."""
    for run_id in store.run_ids():
        if _STAGED in run_id:
            run = store.earlier_run(run_id)
            if run is not None and looks_of(run) is not None:
                yield run


def shared_looks(run: RunRecord, staged: Callable[[], Iterable[RunRecord]]) -> Looks | None:
    """The rule that a run is judged by: its own; else that of a staged run whose tickets it has.

    Whoever raises `replicates` by hand looks at the same trainings again, under another id.

    Args:
        run: which.
        staged: gives the staged runs of its store.
    """
    own = looks_of(run)
    if own is not None or run.searches:
        return own
    cells = _judged_cells(run)
    found = [other for other in staged() if cells & _judged_cells(other)]
    return looks_of(min(found, key=lambda other: other.created)) if found else None


def _judged_cells(run: RunRecord) -> set[str]:
    """The trainings that a claim is made of; dense nets say nothing of a ticket."""
    return {row.cell for row in run.rows if row.level and row.arm in (TICKET, REINIT)}


def complete_replicates(run: RunRecord, finished: Container[str]) -> int:
    """How many replicates are finished, with all before them.

    Args:
        run: whose.
        finished: names of finished cells.
    """
    open_ones = {row.replicate for row in run.rows if row.cell not in finished}
    return min(open_ones, default=1 + max(row.replicate for row in run.rows))
