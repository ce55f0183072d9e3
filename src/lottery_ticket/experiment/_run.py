"""Running a plan: whatever is not finished, in an order the plan's DAG allows, in this process or
in a pool of worker processes."""

import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lottery_ticket.errors import StoreError
from lottery_ticket.experiment._context import Context
from lottery_ticket.experiment._execute import WEIGHTS, Outcome, execute, is_current
from lottery_ticket.experiment._plan import Cell, Plan
from lottery_ticket.experiment._user_code import registered_elsewhere
from lottery_ticket.spec import canonical
from lottery_ticket.store import RunRecord, Store

__all__ = ["Observer", "RunOutcome", "finished_cells", "run_plan"]

_POLL_SECONDS = 0.25
_RETRY_SECONDS = 0.5  # how often to look whether another process has finished a cell
_MAX_CRASHES = 2  # a cell whose worker died so often while it ran alone has failed


class Observer:
    """Is told how a run goes; override what you want to see."""

    def begin(self, plan: Plan, finished: set[str], store: Store) -> None:
        """The run starts; `finished` cells are in the store already."""

    def started(self, cell: Cell) -> None:
        """A cell was handed to an executor."""

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """A cell is finished, was found finished, failed or was stopped."""

    def note(self, message: str) -> None:
        """Something to read, such as a damaged file."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Args:
        run_id: the run's id.
        num_made: cells made by this call.
        num_found: cells that were finished already or made by another process.
        failures: what failed, by cell name.
        num_blocked: cells that could not be made since something before them failed.
        is_stopped: whether it was interrupted; the same call continues.
        seconds: wall-clock time.
    """

    run_id: str
    num_made: int
    num_found: int
    failures: Mapping[str, str]
    num_blocked: int
    is_stopped: bool
    seconds: float

    @property
    def is_complete(self) -> bool:
        """Whether every cell of the plan is finished."""
        return not (self.failures or self.num_blocked or self.is_stopped)


def run_plan(
    plan: Plan, store: Store, context: Context, *, jobs: int = 1, observer: Observer | None = None
) -> RunOutcome:
    """Make every cell of the plan that is not finished.

    Ctrl-C checkpoints what is in progress and returns; calling again continues.

    Raises:
        StoreError: the store cannot be written.
    """
    store.open_for_writing()
    store.save_run(_run_record(plan))
    with _stop_file() as stop_file:
        context = replace(
            context, stop_file=stop_file, registered=registered_elsewhere(context.imports)
        )
        scheduler = _Scheduler(plan, store, context, jobs, observer or Observer())
        with _interrupts(stop_file):
            try:
                outcome = scheduler.run()
            except BaseException:
                stop_file.touch()  # the workers checkpoint and come home
                raise
    store.save_run(_run_record(plan))  # in case it was removed meanwhile
    store.cells()  # bring the index up to date
    return outcome


def finished_cells(plan: Plan, store: Store) -> set[str]:
    """The cells of a plan that are in the store, made from their parents as these are now."""
    known = store.cells(plan.cells)
    return {
        name
        for name, cell in plan.cells.items()
        if name in known and all(parent in known for parent in cell.parents.values())
    }


class _Scheduler:
    def __init__(
        self, plan: Plan, store: Store, context: Context, jobs: int, observer: Observer
    ) -> None:
        self.plan = plan
        self.store = store
        self.context = context
        self.jobs = jobs
        self.observer = observer
        self.contents: dict[str, str] = {}  # finished cell → content
        self.failures: dict[str, str] = {}
        self.blocked: set[str] = set()
        self.waiting = dict(plan.cells)
        self.running: dict[Future[Outcome], Cell] = {}
        self.retry_at: dict[str, float] = {}
        self.crashes: dict[str, int] = {}
        self.suspects: set[str] = set()  # ran when a worker died; each is tried again alone
        self.num_made = 0
        self.damaged = self._damaged()

    def run(self) -> RunOutcome:
        started = time.monotonic()
        self._take_finished()
        self.observer.begin(self.plan, set(self.contents), self.store)
        if self.waiting:
            with _Workers(self.jobs, self.context) as workers:
                while (self.waiting or self.running) and not (self._stopping and not self.running):
                    self._submit(workers)
                    self._collect(workers)
        return RunOutcome(
            self.plan.id,
            self.num_made,
            len(self.contents) - self.num_made,
            dict(self.failures),
            len(self.blocked),
            self._stopping and bool(self.waiting),
            time.monotonic() - started,
        )

    @property
    def _stopping(self) -> bool:
        return self.context.stop_file is not None and self.context.stop_file.exists()

    def _damaged(self) -> set[str]:
        """Read every file of every finished cell, and name what is not as it was written."""
        damaged = set()
        for name in self.plan.cells:
            try:
                self.store.check(name)
            except StoreError as error:
                self.observer.note(f"{error}; it will be made anew")
                damaged.add(name)
        return damaged

    def _take_finished(self) -> None:
        for name, cell in list(self.waiting.items()):  # parents come first
            if self._parents_are_finished(cell):
                self._take_if_finished(name, cell)

    def _take_if_finished(self, name: str, cell: Cell) -> bool:
        """Whether the cell is finished; one that is damaged or stale is discarded instead."""
        try:
            record = None if name in self.damaged else self.store.get(name)
        except StoreError as error:
            self.observer.note(f"{error}; it will be made anew")
            self.damaged.add(name)
            record = None
        if record is not None and is_current(record, self._contents_of(cell)):
            if not (cell.feeds_mask and WEIGHTS in self._not_kept(name)):
                self.contents[name] = record.content
                del self.waiting[name]
                return True
        elif record is not None:
            self.observer.note(f"{_place(cell)}: what it was made from has changed; made anew")
        if record is not None or name in self.damaged:
            self._discard(name)
        return False

    def _discard(self, name: str) -> None:
        claim = self.store.claim(name)
        if claim is None:
            return  # someone is making it anew already
        if not (name in self.damaged and self._is_whole(name)):  # made anew meanwhile
            self.store.discard(name)
        self.damaged.discard(name)
        claim.release()

    def _is_whole(self, name: str) -> bool:
        try:
            return self.store.check(name) is not None
        except StoreError:
            return False

    def _not_kept(self, name: str) -> list[str]:
        return self.store.execution(name).get("not_kept", [])

    def _parents_are_finished(self, cell: Cell) -> bool:
        return all(parent in self.contents for parent in cell.parents.values())

    def _contents_of(self, cell: Cell) -> dict[str, str]:
        return {role: self.contents[parent] for role, parent in cell.parents.items()}

    def _submit(self, workers: "_Workers") -> None:
        for name, cell in list(self.waiting.items()):
            if len(self.running) >= (1 if self.suspects else self.jobs) or self._stopping:
                return
            if self.suspects and name not in self.suspects:
                continue
            if any(p in self.failures or p in self.blocked for p in cell.parents.values()):
                self.blocked.add(name)
                del self.waiting[name]
            elif self._parents_are_finished(cell) and time.monotonic() >= self.retry_at.get(
                name, 0.0
            ):
                if self._take_if_finished(name, cell):
                    self.observer.ended(cell, Outcome(name, "found", self.contents[name]))
                    continue
                del self.waiting[name]
                self.observer.started(cell)
                try:
                    self.running[workers.submit(cell, self._contents_of(cell))] = cell
                except BrokenProcessPool:  # a worker died while it was idle
                    self.waiting = {name: cell, **self.waiting}
                    self._recover(workers)
                    return

    def _collect(self, workers: "_Workers") -> None:
        if not self.running:
            time.sleep(_POLL_SECONDS if self.waiting else 0.0)
            return
        done, _ = wait(self.running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            if isinstance(future.exception(), BrokenProcessPool):
                self._recover(workers)
                return
            self._take(self.running.pop(future), future.result())

    def _take(self, cell: Cell, outcome: Outcome) -> None:
        self.suspects.discard(cell.name)
        if outcome.status in ("made", "found"):
            assert outcome.content is not None
            self.contents[cell.name] = outcome.content
            self.num_made += outcome.status == "made"
        elif outcome.status == "failed":
            self.failures[cell.name] = f"{_place(cell)}: {outcome.message}"
        else:  # busy, stopped
            self.waiting = {cell.name: cell, **self.waiting}
            self.retry_at[cell.name] = time.monotonic() + _RETRY_SECONDS
        self.observer.ended(cell, outcome)

    def _recover(self, workers: "_Workers") -> None:
        """A worker died, and its pool with it: start another, and try what ran again, one by one,
        so that a cell that kills its worker takes no other with it."""
        workers.restart()  # waits: every future of the old pool has ended after it
        ended, self.running = self.running, {}
        is_alone = len(ended) == 1
        for future, cell in ended.items():
            if not isinstance(future.exception(), BrokenProcessPool):
                self._take(cell, future.result())
                continue
            self.crashes[cell.name] = self.crashes.get(cell.name, 0) + is_alone
            if self.crashes[cell.name] >= _MAX_CRASHES:
                message = "its worker process died twice (out of memory?)"
                self._take(cell, Outcome(cell.name, "failed", message=message))
            else:
                self.observer.note(f"{_place(cell)}: its worker process died; continuing it")
                self._take(cell, Outcome(cell.name, "stopped"))
                self.suspects.add(cell.name)


@dataclass
class _Workers:
    """Where cells are executed: here when jobs is 1, else in worker processes."""

    jobs: int
    context: Context
    _pool: Executor | None = field(default=None, repr=False)
    _next_device: int = 0

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        self._shut_down()

    def submit(self, cell: Cell, contents: Mapping[str, str]) -> Future[Outcome]:
        """Execute a cell; in this process it has ended when this returns."""
        if self.jobs == 1:
            future: Future[Outcome] = Future()
            future.set_result(execute(cell, contents, self.context))
            return future
        if self._pool is None:
            self._pool = _pool(self.jobs, self.context.threads)
        return self._pool.submit(execute, cell, contents, self._placed())

    def restart(self) -> None:
        """After a worker died: the next submit makes a new pool."""
        self._shut_down()

    def _placed(self) -> Context:
        if self.context.device != "cuda":
            return self.context
        import torch

        self._next_device = (self._next_device + 1) % torch.cuda.device_count()
        return replace(self.context, device=f"cuda:{self._next_device}")

    def _shut_down(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


def _pool(jobs: int, threads: int) -> Executor:
    # loky starts workers without importing __main__ again, so that a script needs no guard
    from loky import ProcessPoolExecutor

    threads_env: Any = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return ProcessPoolExecutor(
        max_workers=jobs, timeout=60, initializer=_ignore_interrupts, env=threads_env
    )


def _ignore_interrupts() -> None:
    # Ctrl-C reaches every process of a terminal; only the parent acts on it
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _stop_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lottery-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "stop"


@contextlib.contextmanager
def _interrupts(stop_file: Path) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks to stop, the second one insists."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        stop_file.touch()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _place(cell: Cell) -> str:
    label = cell.label
    kind = "" if cell.is_training else "mask of "
    draw = f", draw {label['draw']}" if label["draw"] else ""
    return f"{kind}{label['arm']} level {label['level']}, replicate {label['replicate']}{draw}"


def _run_record(plan: Plan) -> RunRecord:
    shown = {row.cell for row in plan.rows} | {row.mask for row in plan.rows}
    return RunRecord(
        plan.id,
        time.time(),
        canonical(plan.spec),
        sum(plan.inputs.sizes.values()),
        {name: list(shape) for name, shape in plan.inputs.layers.items()},
        plan.rows,
        tuple(sorted(set(plan.cells) - shown)),
    )
