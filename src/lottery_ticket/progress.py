"""Showing how a run goes: bars on a terminal, a line now and then in a log."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from importlib.util import find_spec
from types import TracebackType
from typing import Any, TextIO, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from lottery_ticket.experiment import (
    Cell,
    Observer,
    Outcome,
    RunStatus,
    Work,
    read_maker,
    read_progress,
)
from lottery_ticket.experiment import Progress as CellProgress
from lottery_ticket.store import Store
from lottery_ticket.streams import StandardError

__all__ = ["BarObserver", "LogObserver", "SilentObserver", "observer", "status_words", "time_text"]

_REFRESH_SECONDS = 0.3
_LOG_SECONDS = 15.0
_MOST_BARS = 12


def observer(*, is_quiet: bool = False) -> "SilentObserver":
    """What suits standard error: bars on a terminal or in a notebook, lines in a log, or nothing.

    A context manager; the run goes inside.
    """
    if is_quiet:
        return SilentObserver()
    console = _console()
    # in a notebook, rich draws bars with ipywidgets
    can_draw = find_spec("ipywidgets") is not None if console.is_jupyter else console.is_terminal
    if can_draw:
        return BarObserver(console)
    return LogObserver(lambda line: print(line, file=StandardError(), flush=True))


def time_text(seconds: float) -> str:
    """`75` → `"1 min 15 s"`.

    >>> time_text(75)
    '1 min 15 s'
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def status_words(found: RunStatus) -> Iterator[str]:
    """How far a run is, part by part."""
    yield f"{found.num_finished} of {found.num_cells} cells done"
    if found.working:
        yield f"{len(found.working)} running"
    if found.num_waiting:
        yield f"{found.num_waiting} waiting"
    if found.failed:
        yield f"{len(found.failed)} failed"
    if found.seconds_left is not None and found.num_finished < found.num_cells:
        yield f"about {time_text(found.seconds_left)} left"
    if found.num_finished == found.num_cells:
        return
    if found.is_stopped:
        yield "it was asked to stop"
    elif not found.is_submitted and not found.working:
        yield "nobody makes it: run it, or submit it to workers"
    elif not found.working:
        yield "no worker is at a cell just now (`lottery work` starts one)"


class SilentObserver(Observer):
    """Shows notes alone, on standard error."""

    def note(self, message: str) -> None:
        _console(highlight=False, soft_wrap=True).print(escape(message))

    def __enter__(self) -> "SilentObserver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class _Watching(SilentObserver):
    """Counts steps, and looks at the progress of the running cells from a thread of its own."""

    def __init__(self) -> None:
        self.running: dict[str, Cell] = {}
        self.steps_done = 0
        self.num_steps = 0
        self.is_of_steps = True
        self.steps_found = 0  # in the store when the run began: they took no time
        self.started_at = time.monotonic()
        self.store: Store | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        self.is_of_steps = plan.num_steps > 0
        self.num_steps = sum(map(self.size, plan.cells.values()))
        self.steps_found = sum(self.size(plan.cells[name]) for name in finished)
        self.steps_done = self.steps_found
        self.started_at = time.monotonic()
        self.store = store
        self._thread.start()

    def started(self, cell: Cell) -> None:
        if cell.num_steps:
            self.running[cell.name] = cell

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        self.running.pop(cell.name, None)
        if outcome.status in ("made", "found"):
            self.steps_done += self.size(cell)

    def size(self, cell: Cell) -> int:
        """What a cell counts: its steps; of work that trains nothing each cell is one."""
        return cell.num_steps if self.is_of_steps else 1

    def seconds_left(self, steps: float) -> float | None:
        """Time left at the speed so far; None before there is one."""
        elapsed, fresh = time.monotonic() - self.started_at, steps - self.steps_found
        if fresh <= 0 or elapsed < 1:
            return None
        return (self.num_steps - steps) * elapsed / fresh

    def look(self) -> dict[str, CellProgress]:
        """The progress of the running cells."""
        assert self.store is not None
        found = {}
        for name in self._looked_at():
            if self._stop.is_set():
                break
            progress = read_progress(self.store.desk(name))
            if progress is not None:
                found[name] = progress
        return found

    def _looked_at(self) -> Collection[str]:
        """The running cells; where there are many, and a look at each is a request, those that
        somebody seems to be at."""
        assert self.store is not None
        names = list(self.running)
        if len(names) <= _MOST_BARS or self.store.claims_are_quick:
            return names
        return self.store.claimed_names() & self.running.keys()

    def refresh(self) -> None:
        """Show what is new."""

    def _watch(self) -> None:
        while not self._stop.wait(_REFRESH_SECONDS):
            self.refresh()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


class BarObserver(_Watching):
    """An overall bar with the time left, and a line per running cell."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f}%"),
            _Detail(),
            console=console,
            transient=True,
        )
        self._overall: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        self._overall = self._bars.add_task(
            f"[bold]{escape(plan.id)}", total=plan.num_steps or len(plan.cells), detail=""
        )
        self._bars.start()
        super().begin(plan, finished, store)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        super().ended(cell, outcome)
        task = self._tasks.pop(cell.name, None)
        if task is not None:
            self._bars.remove_task(task)

    def note(self, message: str) -> None:
        self._bars.console.print(escape(message), style="yellow")

    def refresh(self) -> None:
        progress = self.look()
        steps = self.steps_done + sum(p.step for p in progress.values())
        left = self.seconds_left(steps)
        detail = "" if left is None else f"{time_text(left)} left"
        assert self._overall is not None
        self._bars.update(self._overall, completed=steps, detail=detail)
        for name, cell in self._shown(progress):
            at = progress.get(name)
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(_title(cell), total=None, detail="")
            self._bars.update(
                self._tasks[name],
                total=cell.num_steps,
                completed=at.step if at else 0,
                detail=_detail_text(at) if at else "starting",
            )
            if name not in self.running:  # it ended meanwhile
                self._bars.remove_task(self._tasks.pop(name))

    def _shown(self, progress: dict[str, CellProgress]) -> list[tuple[str, Cell]]:
        """The running cells that somebody is at, as many as a terminal has room for: what waits for
        a worker elsewhere was handed over, too."""
        assert self.store is not None
        found = []
        for name, cell in list(self.running.items()):
            if len(found) == _MOST_BARS:
                break
            if name in progress or name in self._tasks or self._has_maker(name):
                found.append((name, cell))
        return found

    def _has_maker(self, name: str) -> bool:
        """Whether somebody is at a cell; where many wait, that is known by its progress alone."""
        assert self.store is not None
        is_cheap = len(self.running) <= _MOST_BARS or self.store.claims_are_quick
        return is_cheap and read_maker(self.store.desk(name)) is not None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._bars.stop()


class LogObserver(_Watching):
    """A line every quarter of a minute, for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write
        self._last = time.monotonic()

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        found = f", {len(finished)} in the store already" if finished else ""
        self._write(f"{plan.id}: {len(plan.cells)} cells{found}")
        super().begin(plan, finished, store)

    def refresh(self) -> None:
        if time.monotonic() - self._last < _LOG_SECONDS:
            return
        self._last = time.monotonic()
        progress = self.look()
        steps = self.steps_done + sum(p.step for p in progress.values())
        left = self.seconds_left(steps)
        share = f"{100 * steps / max(self.num_steps, 1):.0f} %"
        parts = [share if left is None else f"{share}, {time_text(left)} left"]
        for name, at in progress.items():
            cell = self.running.get(name)
            if cell is not None:
                parts.append(f"{_title(cell)}: {_detail_text(at)}")
        self._write("; ".join(parts))


def _console(**options: Any) -> Console:
    return Console(file=cast("TextIO", StandardError()), **options)


class _Detail(ProgressColumn):
    def render(self, task: Task) -> Text:
        detail = task.fields.get("detail", "")
        return Text(detail, style="dim", no_wrap=True, overflow="ellipsis")


def _title(cell: Cell) -> str:
    label = cell.label
    density = f"{100 * label.density:.2f} %"
    return f"{label.arm} level {label.level} ({density}) #{label.replicate}"


def _detail_text(progress: CellProgress) -> str:
    parts = [f"epoch {progress.epoch:.1f}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.accuracy is not None:
        parts.append(f"accuracy {100 * progress.accuracy:.2f} %")
    return ", ".join(parts)
