"""Bars on a terminal."""

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from lottery_ticket.experiment import Cell, Outcome, Work
from lottery_ticket.progress._watching import Watching, detail_text, title_of
from lottery_ticket.progress._words import time_text
from lottery_ticket.store import Store

__all__ = ["BarObserver"]


class BarObserver(Watching):
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
        for name, cell in self.shown(progress, self._tasks):
            at = progress.get(name)
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(title_of(cell), total=None, detail="")
            self._bars.update(
                self._tasks[name],
                total=cell.num_steps,
                completed=at.step if at else 0,
                detail=detail_text(at) if at else "starting",
            )
            if name not in self.running:  # it ended meanwhile
                self._bars.remove_task(self._tasks.pop(name))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._bars.stop()


class _Detail(ProgressColumn):
    def render(self, task: Task) -> Text:
        detail = task.fields.get("detail", "")
        return Text(detail, style="dim", no_wrap=True, overflow="ellipsis")
