"""Bars in a notebook: HTML in the output of a cell, which nothing but IPython is needed for."""

import sys
import threading
import time
from collections import Counter, deque
from html import escape
from types import TracebackType
from typing import Any

from lottery_ticket.experiment import Cell, Outcome, Work
from lottery_ticket.progress._watching import Watching, detail_text, title_of
from lottery_ticket.progress._words import time_text
from lottery_ticket.store import Store

__all__ = ["NotebookObserver", "is_notebook"]

_ENDS = ("made", "found", "failed")  # what becomes of a cell
_MOST_NOTES = 50  # the last ones: each goes to the notebook with every change of a bar


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook; IPython is there then, and never loaded here."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


class NotebookObserver(Watching):
    """Bars in the output of a notebook's cell: one display that is updated in place."""

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._handle: Any = None
        self._lock = threading.Lock()
        self._body = self._last = ""
        self._notes: deque[str] = deque(maxlen=_MOST_NOTES)
        self._bars: list[str] = []
        self._counts: Counter[str] = Counter()

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        self._id = plan.id
        self._counts["found"] = len(finished)
        super().begin(plan, finished, store)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        super().ended(cell, outcome)
        self._counts[outcome.status] += 1

    def note(self, message: str) -> None:
        self._notes.append(message)
        self._show()

    def refresh(self) -> None:
        progress = self.look()
        steps = self.steps_done + sum(p.step for p in progress.values())
        left = self.seconds_left(steps)
        cells = self.shown(progress, self._bars)
        self._bars = [name for name, _ in cells]
        rows = [
            _bar_html(
                self._id, steps, self.num_steps, "" if left is None else f"{time_text(left)} left"
            )
        ]
        for name, cell in cells:
            at = progress.get(name)
            detail = detail_text(at) if at else "starting"
            rows.append(_bar_html(title_of(cell), at.step if at else 0, cell.num_steps, detail))
        self._show(f"<table>{''.join(rows)}</table>")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._id:
            summary = self._summary()
            self._show(f"<div>{escape(summary)}</div>", summary)

    def _summary(self) -> str:
        """How it ended, in the place of the bars."""
        seconds = time_text(time.monotonic() - self.started_at)
        parts = [f"{self._counts[end]:,} cells {end}" for end in _ENDS if self._counts[end]]
        share = f"{100 * self.steps_done / max(self.num_steps, 1):.0f} %"
        is_open = self.steps_done < self.num_steps and not self._counts["failed"]
        goes_on = "; the same cell goes on" if is_open else ""
        return ", ".join([f"{self._id}: {share} in {seconds}", *parts]) + goes_on

    def _show(self, body: str | None = None, text: str = "") -> None:
        """Put notes and bars in the place of what was shown; None leaves the bars as they are."""
        from IPython.display import display

        with self._lock:  # notes come from another thread than bars
            self._body = self._body if body is None else body
            notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes)
            html = f'<div style="font-size:.9em">{notes}{self._body}</div>'
            if html == self._last:
                return
            self._last = html
            plain = "\n".join([*self._notes, text or self._id])
            bundle = {"text/html": html, "text/plain": plain}  # the latter on Jupyter's console
            if self._handle is None:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)


def _bar_html(title: str, done: float, total: float, detail: str) -> str:
    """A row: what it is, a bar, how far, and what else there is to say."""
    share = min(done / max(total, 1), 1.0)
    texts = [escape(title), f'<progress value="{share:.3f}" max="1"></progress>']
    texts += [f"{100 * share:.0f}&nbsp;%", escape(detail)]
    style = "text-align:left;padding:0 .7em 0 0;border:0"
    cells = [f'<td style="{style}">{text}</td>' for text in texts]
    return f"<tr>{''.join(cells)}</tr>"
