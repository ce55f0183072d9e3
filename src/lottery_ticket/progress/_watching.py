"""What all who show a run share: how far it is, and which cells are being made."""

import threading
import time
from collections.abc import Collection
from contextvars import copy_context
from types import TracebackType
from typing import Any, TextIO, cast

from rich.console import Console
from rich.markup import escape

from lottery_ticket.experiment import (
    Cell,
    Observer,
    Outcome,
    Work,
    read_maker,
    read_progress,
)
from lottery_ticket.experiment import Progress as CellProgress
from lottery_ticket.store import Store
from lottery_ticket.streams import StandardError

__all__ = ["SilentObserver", "Watching", "console_of", "detail_text", "title_of"]

_REFRESH_SECONDS = 0.3
MOST_BARS = 12


class SilentObserver(Observer):
    """Shows notes alone, on standard error."""

    def note(self, message: str) -> None:
        console_of(highlight=False, soft_wrap=True).print(escape(message))

    def __enter__(self) -> "SilentObserver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class Watching(SilentObserver):
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
        # in its context a notebook knows which cell's output the thread writes to
        watch = copy_context().run
        self._thread = threading.Thread(target=watch, args=(self._watch,), daemon=True)

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
        if len(names) <= MOST_BARS or self.store.claims_are_quick:
            return names
        return self.store.claimed_names() & self.running.keys()

    def shown(
        self, progress: dict[str, CellProgress], shown_before: Collection[str]
    ) -> list[tuple[str, Cell]]:
        """The running cells that somebody is at, as many as there is room for: what waits for
        a worker elsewhere was handed over, too."""
        assert self.store is not None
        found = []
        for name, cell in list(self.running.items()):
            if len(found) == MOST_BARS:
                break
            if name in progress or name in shown_before or self._has_maker(name):
                found.append((name, cell))
        return found

    def _has_maker(self, name: str) -> bool:
        """Whether somebody is at a cell; where many wait, that is known by its progress alone."""
        assert self.store is not None
        is_cheap = len(self.running) <= MOST_BARS or self.store.claims_are_quick
        return is_cheap and read_maker(self.store.desk(name)) is not None

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


def console_of(**options: Any) -> Console:
    return Console(file=cast("TextIO", StandardError()), **options)


def title_of(cell: Cell) -> str:
    label = cell.label
    density = f"{100 * label.density:.2f} %"
    return f"{label.arm} level {label.level} ({density}) #{label.replicate}"


def detail_text(progress: CellProgress) -> str:
    parts = [f"epoch {progress.epoch:.1f}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.accuracy is not None:
        parts.append(f"accuracy {100 * progress.accuracy:.2f} %")
    return ", ".join(parts)
