"""A worker: makes ready cells of submitted runs, beside any number of others."""

import contextlib
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from lottery_ticket.errors import DamagedError, LotteryError, StoreError
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.executor import Executes
from lottery_ticket.experiment.executors.local import local_executor
from lottery_ticket.experiment.executors.stop import StopSign, ask_to_stop, is_asked_to_stop
from lottery_ticket.experiment.objects.user_code import registered_elsewhere
from lottery_ticket.experiment.planning.plan import Plan
from lottery_ticket.experiment.running.group import group_size
from lottery_ticket.experiment.running.interrupts import interrupts, new_stop
from lottery_ticket.experiment.running.observer import Observer
from lottery_ticket.experiment.running.peers import Crew
from lottery_ticket.experiment.running.scheduler import Scheduler
from lottery_ticket.experiment.running.submission import planned_again
from lottery_ticket.store import (
    Store,
    Submission,
    read_submission,
    submitted_runs,
    take_back_submission,
)

__all__ = ["Worked", "work"]

_MOST_WAIT_SECONDS = 10.0
_MOST_REFUSALS = 10  # looks in a row that the store refused, each after all its own tries
_LOOK_SECONDS = 0.1  # for Ctrl-C, while there is nothing to do


@dataclass
class Worked:
    """What a worker did.

    Args:
        num_made: run → cells that it made.
        failures: run → what failed, here or elsewhere, by cell name.
        refused: run → why it could not be worked on here.
        is_stopped: whether it was asked to stop.
        seconds: how long it worked, waiting included.
    """

    num_made: dict[str, int] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    is_stopped: bool = False
    seconds: float = 0.0


def work(
    store: Store,
    context: Context,
    *,
    jobs: int = 1,
    runs: Collection[str] = (),
    is_forever: bool = False,
    has_group: bool = False,
    observer: Observer | None = None,
    executor: Executes | None = None,
) -> Worked:
    """Make cells of submitted runs, until nothing of them is left.

    Ctrl-C (or SIGTERM) checkpoints what is in progress and gives it back; others continue it.

    Args:
        store: where runs are submitted.
        context: how cells are made here; what the submission says goes before.
        jobs: cells at a time.
        runs: ids; by default all that are submitted, now or while it works.
        is_forever: whether to wait for more when nothing is left.
        has_group: whether the context says how many trainings are made as one batch.
        observer: is told how it goes; `begin` once for each run.
        executor: context → what executes the cells; by default this machine.

    Raises:
        StoreError: the store cannot be read or written.
    """
    store.open_for_writing()
    context = replace(context, registered=registered_elsewhere())
    with new_stop(store) as token, contextlib.ExitStack() as held:
        held.enter_context(interrupts(store, token))
        executes = executor or (lambda context: local_executor(jobs, context))
        worker = _Worker(store, context, token, held, executes, has_group, observer or Observer())
        try:
            worker.work(runs, is_forever)
        except BaseException:
            ask_to_stop(store, token)  # its processes checkpoint and come home
            raise
        return worker.told()


@dataclass
class _Joined:
    """A run that is worked on here.

    Args:
        submission: by which it was planned; after a later one it is planned anew.
        scheduler: of its cells.
        held: what is kept for it, such as processes.
    """

    submission: Submission
    scheduler: Scheduler
    held: contextlib.ExitStack


class _Worker:
    def __init__(
        self,
        store: Store,
        context: Context,
        token: str,
        held: contextlib.ExitStack,
        executes: Executes,
        has_group: bool,
        observer: Observer,
    ) -> None:
        self.store, self.context, self.token, self.held = store, context, token, held
        self.executes, self.has_group, self.observer = executes, has_group, observer
        self.sign = StopSign(store, [token])
        self.joined: dict[str, _Joined] = {}
        self.over: dict[str, Submission | None] = {}  # nothing is left of these for this worker
        self.deferred: dict[str, int] = {}  # how often the store refused to be read for these
        self.num_refusals = 0
        self.said: set[str] = set()
        self.worked = Worked()
        self.started = time.monotonic()

    def work(self, wanted: Collection[str], is_forever: bool) -> None:
        """Go from run to run, as long as there is something to do."""
        pause = self.store.retry_seconds
        while not self.sign.is_raised():
            has_worked = False
            try:
                open_runs = self._open_runs(wanted)
                if not (open_runs or self.deferred or is_forever):
                    return
                has_worked = sum(map(self._advance, open_runs)) > 0  # each of them
                self.num_refusals = 0
            except StoreError as error:  # one that is away may come back
                self.num_refusals += 1
                if self.num_refusals > _MOST_REFUSALS:
                    raise
                self._say(f"{error}; looking again")
            if not has_worked:
                self._wait(pause)
            pause = self.store.retry_seconds if has_worked else min(2 * pause, _MOST_WAIT_SECONDS)

    def _say(self, message: str) -> None:
        if message not in self.said:
            self.said.add(message)
            self.observer.note(message)

    def told(self) -> Worked:
        """What was done."""
        for run_id in list(self.joined):
            self._leave(run_id)
        self.worked.is_stopped = self.sign.is_raised()
        self.worked.seconds = time.monotonic() - self.started
        return self.worked

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.sign.is_raised():
            time.sleep(_LOOK_SECONDS)

    def _advance(self, joined: _Joined) -> bool:
        """Work on a run as long as there is something to do; whether there was."""
        has_worked = False
        while not joined.scheduler.is_over and joined.scheduler.step():
            has_worked = True
        return has_worked

    # which runs

    def _open_runs(self, wanted: Collection[str]) -> list[_Joined]:
        """The runs that something is left of, having joined those that are new."""
        submitted = dict(self._submitted(wanted))
        self.deferred = {run: n for run, n in self.deferred.items() if run in submitted}
        for run_id, joined in list(self.joined.items()):
            if submitted.get(run_id) != joined.submission:
                self._leave(run_id)
        for run_id, submission in submitted.items():
            if run_id not in self.joined and self.over.get(run_id) != submission:
                self._join(run_id, submission)
        for run_id, joined in list(self.joined.items()):
            if not (joined.scheduler.waiting or joined.scheduler.running):
                self._end(run_id, joined)
        return list(self.joined.values())

    def _submitted(self, wanted: Collection[str]) -> Iterator[tuple[str, Submission]]:
        for run_id in submitted_runs(self.store):
            if not wanted or run_id in wanted:
                try:
                    submission = read_submission(self.store, run_id)
                except DamagedError as error:
                    self._refuse(run_id, None, error)
                    continue
                if submission is not None and not is_asked_to_stop(self.store, run_id):
                    yield run_id, submission

    def _join(self, run_id: str, submission: Submission) -> None:
        """Plan a run here, if that can be done."""
        num_before = self.deferred.pop(run_id, 0)
        try:
            self.joined[run_id] = self._joined(run_id, submission)
            self.worked.refused.pop(run_id, None)
        except LotteryError as error:
            is_away = isinstance(error, StoreError) and not isinstance(error, DamagedError)
            if is_away and num_before < _MOST_REFUSALS:
                self.deferred[run_id] = num_before + 1
                self._say(f"{error}; looking again")
            else:
                self._refuse(run_id, submission, error)

    def _refuse(self, run_id: str, submission: Submission | None, error: LotteryError) -> None:
        self.over[run_id] = submission
        self.worked.refused[run_id] = str(error)
        self._say(f"{error}; this worker leaves {run_id} to others")

    def _joined(self, run_id: str, submission: Submission) -> _Joined:
        context = replace(
            self.context,
            kernels=submission.kernels,
            keep=submission.keep,
            threads=submission.threads,
            run_id=run_id,
            stops=(self.token, run_id),
        )
        made = planned_again(self.store.read_run(run_id), submission, context)
        with contextlib.ExitStack() as held:
            held.enter_context(self.store.in_use(run_id))
            context = self._grouping(made, context)
            executing = held.enter_context(self.executes(context))
            crew = Crew(self.store, made, self.token)
            scheduler = Scheduler(made, self.store, context, executing, self.observer, crew)
            scheduler.begin()
            kept = self.held.enter_context(held.pop_all())
        return _Joined(submission, scheduler, kept)

    def _grouping(self, made: Plan, context: Context) -> Context:
        if self.has_group or context.kernels != "auto":
            return context
        return replace(context, group=group_size(made.spec, context.data_dir, context.device))

    def _end(self, run_id: str, joined: _Joined) -> None:
        """Nothing is left to do of a run, so nobody need look again: what failed stands on the
        board."""
        self.over[run_id] = joined.submission
        if read_submission(self.store, run_id) == joined.submission:
            take_back_submission(self.store, run_id)
        self._leave(run_id)

    def _leave(self, run_id: str) -> None:
        joined = self.joined.pop(run_id)
        outcome, made = joined.scheduler.outcome(), self.worked.num_made
        made[run_id] = made.get(run_id, 0) + outcome.num_made
        if outcome.failures:
            self.worked.failures[run_id] = dict(outcome.failures)
        joined.held.close()
