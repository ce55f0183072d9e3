"""What a run claims, and what was known when that was stated."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.experiment.planning.plan import Plan
from lottery_ticket.store import RunClaim, RunRecord, RunRow, Store

__all__ = ["stated_claim"]


def stated_claim(plan: Plan, store: Store, before: RunRecord | None) -> RunClaim | None:
    """What a run claims, with what could be known when that was first stated.

    A claim that was stated before any result stays, whatever later specs leave out. Replicates may
    be added to it: trainings of earlier runs that stated the same claim before them do not count.

    Args:
        plan: of the run.
        store: where it will be.
        before: the run's record, if it was started before.

    Raises:
        UsageError: the run claims another level since before its first result.
    """
    earlier = None if before is None else before.claim
    if plan.claim is None:
        return earlier
    seen = {row.cell for row in plan.rows if row.level} & store.cell_names()
    if earlier is not None and earlier.level == plan.claim and seen:
        return earlier
    if earlier is not None and not earlier.num_trained and seen:
        raise UsageError(
            f"claim: {plan.id} claims level {earlier.level} since before its first training, and "
            f"{len(seen)} trainings are finished; leave claim out, and ask for another level with "
            f"`lottery verdict {plan.id} --level {plan.claim}`"
        )
    kept = _kept(plan.rows, plan.claim)
    for record in _records(store):
        is_same = record.claim == RunClaim(plan.claim, 0, plan.spec.margin)
        if is_same and _kept(record.rows, plan.claim) == kept:
            seen -= record.cells()
    return RunClaim(plan.claim, len(seen), plan.spec.margin)


def _kept(rows: Iterable[RunRow], level: int) -> set[int]:
    """How many weights the tickets of a level keep."""
    return {row.num_kept for row in rows if row.arm == TICKET and row.level == level}


def _records(store: Store) -> Iterator[RunRecord]:
    for run in store.run_ids():
        with suppress(DamagedError):
            yield store.read_run(run)
