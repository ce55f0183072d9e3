"""Many machines: submitting runs to the workers of a store, working there, and asking how far it
is."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.api import context_and_jobs, prepare
from lottery_ticket.errors import UsageError
from lottery_ticket.store import RunRecord, Store, default_store_path

if TYPE_CHECKING:
    from lottery_ticket.experiment import Observer, RunStatus, Worked
    from lottery_ticket.spec import Spec

__all__ = ["status", "stop", "submit", "work"]


def submit(
    spec: "Spec | Mapping[str, Any] | str | Path",
    *,
    retry_failed: bool = False,
    **how: Any,
) -> RunRecord:
    """Let the workers of a store make a run, and do not wait for them.

    Args:
        spec: as of `run`.
        retry_failed: whether cells that failed are tried again.
        how: the other arguments of `run`; `threads`, `kernels` and `keep` are for all workers.

    Returns:
        The run's record.

    Raises:
        LotteryError: something does not fit; said before anything is submitted.

    >>> submit("quickstart", store="shared/runs").id  # doctest: +SKIP
    """
    if "executor" in how:
        raise UsageError("executor: submitted runs are made by workers; leave it out, or use run")
    return prepare(spec, executor="workers", **how).submit(retry_failed=retry_failed)


def work(
    store: str | Path | Store | None = None,
    *,
    runs: Collection[str] = (),
    is_forever: bool = False,
    data_dir: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    per_device: int = 1,
    group: int | None = None,
    imports: Sequence[str] = (),
    observer: "Observer | None" = None,
) -> "Worked":
    """Make cells of submitted runs, beside any number of others, until nothing of them is left.

    Ctrl-C (or SIGTERM) checkpoints what is in progress and gives it back; others continue it.

    Args:
        store: where runs are submitted; else `$LOTTERY_STORE`, else `./lottery_runs`.
        runs: ids or prefixes of them; by default all that are submitted, now or while it works.
        is_forever: whether to wait for more when nothing is left.
        data_dir, device, jobs, group, imports: as of `run`. Nothing but these modules is imported:
            what is in the store is data.
        per_device: cells on a GPU at a time, if `jobs` is not said.
        observer: is told how it goes.

    Returns:
        What was made, what failed, and which runs could not be worked on here.

    Raises:
        UsageError: an argument does not fit, or there is no such store or run.
        StoreError: the store cannot be read or written.

    >>> work("shared/runs").num_made  # doctest: +SKIP
    """
    from lottery_ticket import experiment

    if per_device < 1:
        raise UsageError(f"per_device: got {per_device}, wanted at least 1")
    opened = _opened(store)
    if not opened.exists():
        raise UsageError(f"{opened.location}: no store is there; submit a run to it first")
    runs = [runs] if isinstance(runs, str) else runs
    context, jobs = context_and_jobs(
        opened, data_dir=data_dir, device=device, jobs=jobs, group=group, imports=imports,
        per_device=per_device,
    )  # fmt: skip
    experiment.import_user_code(context.imports, refresh=True)
    return experiment.work(
        opened,
        context,
        jobs=jobs,
        runs=[opened.run(run).id for run in runs],
        is_forever=is_forever,
        has_group=group is not None,
        observer=observer,
    )


def status(reference: str = "last", *, store: str | Path | Store | None = None) -> "RunStatus":
    """How far a run is, whoever makes it.

    Args:
        reference: its id, a unique prefix of it, or `"last"`.
        store: as of `work`.

    Raises:
        UsageError: there is no such run.
        StoreError: the store cannot be read.
    """
    from lottery_ticket.experiment import run_status

    opened = _opened(store)
    return run_status(opened, opened.run(reference))


def stop(reference: str, *, store: str | Path | Store | None = None) -> RunRecord:
    """Ask all who make a run to stop: what is in progress is checkpointed and given back. It goes
    on when the run is run or submitted again.

    Args:
        reference, store: as of `status`.

    Raises:
        UsageError: there is no such run.
        StoreError: the store cannot be written.
    """
    from lottery_ticket.experiment import ask_others_to_stop

    opened = _opened(store)
    run = opened.run(reference)
    ask_others_to_stop(opened, run.id)
    return run


def _opened(store: str | Path | Store | None) -> Store:
    if isinstance(store, Store):
        return store
    return Store(default_store_path() if store is None else store)
