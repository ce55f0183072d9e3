"""Making copies of a run's trainings, and the lines between them; resumed like any cell."""

from dataclasses import replace
from functools import partial

from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.planning.copies import Copies
from lottery_ticket.experiment.planning.plan import Plan
from lottery_ticket.experiment.running.observer import Observer, RunOutcome
from lottery_ticket.experiment.running.run import recorded, run_work
from lottery_ticket.store import RunRecord, Store

__all__ = ["run_copies"]


def run_copies(
    plan: Plan,
    work: Copies,
    store: Store,
    context: Context,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
) -> RunOutcome:
    """Make those of the cells that are not finished, and remember that the run has them.

    Raises:
        StoreError: the store cannot be written, or a finished cell not be read.
        UsageError: the run claims another level since before its first result.
    """
    with_copies = partial(_with_copies, plan, work, store)
    return run_work(work, store, context, with_copies, jobs=jobs, observer=observer)


def _with_copies(plan: Plan, work: Copies, store: Store, earlier: RunRecord | None) -> RunRecord:
    run = recorded(plan, store, earlier)
    probes = {probe.cell: probe for probe in (*run.probes, *work.measured)}
    others = set(run.others) | work.trained
    return replace(run, probes=tuple(probes.values()), others=tuple(sorted(others)))
