"""Running a plan: whatever of it is not finished, and the record of the run."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.executor import Executes
from lottery_ticket.experiment.executors.local import local_executor
from lottery_ticket.experiment.executors.stop import StopSign, ask_to_stop, take_back
from lottery_ticket.experiment.executors.workers import Workers
from lottery_ticket.experiment.objects.user_code import registered_elsewhere
from lottery_ticket.experiment.planning.plan import Plan, Work
from lottery_ticket.experiment.running.claim import stated_claim
from lottery_ticket.experiment.running.interrupts import interrupts, new_stop
from lottery_ticket.experiment.running.looks import check_rule, is_beyond
from lottery_ticket.experiment.running.observer import Observer, RunOutcome
from lottery_ticket.experiment.running.scheduler import Scheduler
from lottery_ticket.models import model_label
from lottery_ticket.spec import canonical
from lottery_ticket.store import RunClaim, RunEdit, RunRecord, Store, forgive

__all__ = ["finished_cells", "recorded", "run_part", "run_plan", "run_work", "saved_run"]


def run_plan(
    plan: Plan,
    store: Store,
    context: Context,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
    executor: Executes | None = None,
    edit: RunEdit | None = None,
) -> RunOutcome:
    """Make every cell of the plan that is not finished.

    Ctrl-C checkpoints what is in progress and returns; calling again continues.

    While it lasts, the run cannot be removed.

    Args:
        plan, store, context: what, where to, and how.
        jobs: cells at a time.
        observer: is told how it goes.
        executor: context → what executes the cells; by default this machine, with so many jobs.
        edit: what the run is to be called.

    Raises:
        StoreError: the store cannot be written, or a finished cell not be read.
        UsageError: the run claims another level since before its first result.
    """

    return run_work(
        plan,
        store,
        context,
        partial(recorded, plan, store),
        stops=(plan.id,),
        jobs=jobs,
        observer=observer,
        executor=executor,
        edit=edit,
    )


def run_work(
    work: Work,
    store: Store,
    context: Context,
    record_of: Callable[[RunRecord | None], RunRecord],
    *,
    stops: tuple[str, ...] = (),
    jobs: int = 1,
    observer: Observer | None = None,
    executor: Executes | None = None,
    edit: RunEdit | None = None,
) -> RunOutcome:
    """Make cells that belong to a run; as `run_plan`.

    Args:
        record_of: the run's record as it was, if it was started before → as it is to be.
        stops: what it is asked to stop by from elsewhere (`stop.ask_to_stop`); who asked before
            meant those who worked then.
    """
    store.open_for_writing()
    with store.writing(), store.in_use(work.id), new_stop(store) as stop:
        earlier = store.earlier_run(work.id)
        run = store.save_run(record_of(earlier), earlier)
        if edit is not None:
            store.edit_run(run.id, edit)
        for token in stops:
            take_back(store, token)
        context = replace(
            context, run_id=run.id, stops=(stop, *stops), registered=registered_elsewhere()
        )
        watching = observer or Observer()
        made = local_executor(jobs, context) if executor is None else executor(context)
        if not isinstance(made, Workers):
            forgive(store, work.cells)  # all that failed is tried again here
        with interrupts(store, stop), made as executing:
            try:
                outcome = Scheduler(work, store, context, executing, watching).run()
            except BaseException:
                ask_to_stop(store, stop)  # the workers checkpoint and come home
                raise
            is_asked = StopSign(store, (stop, *stops)).is_raised()
        if not store.has_run(run.id):  # somebody removed it by hand
            store.save_run(run)
        store.cells(work.cells)  # bring the index up to date
    return replace(outcome, record=run, is_asked=is_asked)


def run_part(
    plan: Plan,
    part: Work,
    store: Store,
    context: Context,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
) -> RunOutcome:
    """Make some of a plan's cells, or cells that are kept with its run; as `run_plan`.

    Args:
        plan: of the run, which there is from now on.
        part: the cells.
    """

    def record_of(earlier: RunRecord | None) -> RunRecord:
        known = recorded(plan, store, earlier)
        shown = {row.cell for row in plan.rows} | {row.mask for row in plan.rows}
        return replace(known, others=tuple(sorted({*known.others, *part.cells} - shown)))

    return run_work(part, store, context, record_of, stops=(plan.id,), jobs=jobs, observer=observer)


def saved_run(plan: Plan, store: Store) -> RunRecord:
    """Write the record of a plan's run as it is now.

    Raises:
        UsageError: the run claims another level since before its first result.
    """
    earlier = store.earlier_run(plan.id)
    return store.save_run(recorded(plan, store, earlier), earlier)


def recorded(plan: Plan, store: Store, earlier: RunRecord | None) -> RunRecord:
    """The record of a plan's run, with what the earlier one knows beyond the plan.

    Raises:
        UsageError: the run claims another level since before its first result, or is looked at
            by another rule.
    """
    check_rule(plan, store, earlier)
    claim = stated_claim(plan, store, earlier)
    if earlier is not None and is_beyond(plan, earlier):
        return earlier
    return _run_record(plan, claim, earlier)


def finished_cells(plan: Work, store: Store) -> set[str]:
    """The cells of a plan that are in the store with what other cells read of them, made from
    their parents as these are now."""
    known = store.cells(plan.cells)
    return {
        name
        for name, cell in plan.cells.items()
        if name in known
        and cell.feeds.isdisjoint(known[name].execution.get("not_kept", ()))
        and all(parent in known for parent in cell.parents.values())
    }


def _run_record(plan: Plan, claim: RunClaim | None, earlier: RunRecord | None) -> RunRecord:
    trained = {row.cell for row in plan.rows}
    probes, beyond = ((), ()) if earlier is None else (earlier.probes, earlier.others)
    shown = {row.cell for row in plan.rows} | {row.mask for row in plan.rows}
    return RunRecord(
        plan.id,
        time.time(),
        canonical(plan.spec),
        sum(plan.inputs.sizes.values()),
        {name: list(shape) for name, shape in plan.inputs.layers.items()},
        plan.rows,
        tuple(sorted({*plan.cells, *beyond} - shown)),
        model_label(plan.spec.model.name, plan.spec.model.options),
        plan.spec.margin,
        claim,
        tuple(probe for probe in probes if probe.training in trained),
    )
