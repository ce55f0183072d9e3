"""A line now and then, for logs and pipes."""

import time
from collections.abc import Callable

from lottery_ticket.experiment import Work
from lottery_ticket.progress._watching import Watching, detail_text, title_of
from lottery_ticket.progress._words import time_text
from lottery_ticket.store import Store

__all__ = ["LogObserver"]

_LOG_SECONDS = 15.0


class LogObserver(Watching):
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
                parts.append(f"{title_of(cell)}: {detail_text(at)}")
        self._write("; ".join(parts))
