"""Submitting a run to workers, and planning what was submitted again where one works."""

from collections.abc import Iterator

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.stop import take_back
from lottery_ticket.experiment.objects.build import inspect_inputs
from lottery_ticket.experiment.objects.inputs import Inputs
from lottery_ticket.experiment.objects.run_data import run_spec
from lottery_ticket.experiment.planning.plan import Plan, plan
from lottery_ticket.experiment.running.run import saved_run
from lottery_ticket.store import RunEdit, RunRecord, Store, Submission, forgive, submit

__all__ = ["planned_again", "submission_of", "submit_plan"]


def submission_of(plan: Plan, context: Context) -> Submission:
    """How workers are to make a plan's cells."""
    return Submission(
        context.kernels,
        context.keep,
        context.threads,
        dict(_sources(plan.inputs)),
        list(context.imports),
    )


def submit_plan(
    plan: Plan,
    store: Store,
    context: Context,
    *,
    retry_failed: bool = False,
    edit: RunEdit | None = None,
) -> RunRecord:
    """Let workers make what of a plan is not finished.

    Args:
        plan, store, context: what, where to, and how.
        retry_failed: whether cells that failed are tried again.
        edit: what the run is to be called.

    Returns:
        The run's record.

    Raises:
        StoreError: the store cannot be written.
        UsageError: the run claims another level since before its first result.
    """
    store.open_for_writing()
    with store.writing(), store.in_use(plan.id):
        run = saved_run(plan, store)
        if edit is not None:
            store.edit_run(run.id, edit)
        if retry_failed:
            forgive(store, plan.cells)
        take_back(store, plan.id)
        submit(store, plan.id, submission_of(plan, context))
    return run


def planned_again(run: RunRecord, submission: Submission, context: Context) -> Plan:
    """The plan of a submitted run, made anew from its spec and from the code and data that are
    here; nothing is imported or executed because of what stands in the store.

    Raises:
        UsageError: what was submitted is not what is here, or code is not imported.
        DataError: the data are not here, or are others.
    """
    try:
        spec = run_spec(run, {})
    except UsageError as error:
        if not submission.imports:
            raise
        raise UsageError(
            f"{error} (it was submitted with --import {' --import '.join(submission.imports)})"
        ) from None
    inputs = inspect_inputs(
        spec, context.data_dir, kernels=submission.kernels, device=context.device
    )
    made = plan(spec, inputs)
    differing = list(_differing(submission, inputs))
    if any(what.startswith("data") for what in differing):
        raise DataError(f"{run.id}: {', '.join(differing)}; see that all have the same files")
    if differing:
        raise UsageError(
            f"{run.id}: {', '.join(differing)}; bring the same code here, or submit the run anew"
        )
    if made.id != run.id:
        raise UsageError(
            f"{run.id}: here its spec makes {made.id}, as another version of lottery-ticket or of "
            "what it builds on would; install the same here"
        )
    return made


def _sources(inputs: Inputs, where: str = "") -> Iterator[tuple[str, str]]:
    """What decides cells' names beside the spec: by what it is called, a hash."""
    yield f"data{where}", inputs.data_digest
    for (kind, name), digest in inputs.sources.items():
        yield f"{kind} {name}{where}", digest
    if inputs.start is not None:
        yield f"weights to start from{where}", inputs.start
    if inputs.source is not None:
        yield from _sources(inputs.source, " of the source")


def _differing(submission: Submission, inputs: Inputs) -> Iterator[str]:
    here, there = dict(_sources(inputs)), submission.sources
    for what in {**there, **here}:
        found, wanted = here.get(what, "none"), there.get(what, "none")
        if found != wanted:
            yield f"{what} is {found[:12]} here and was {wanted[:12]} where it was submitted"
