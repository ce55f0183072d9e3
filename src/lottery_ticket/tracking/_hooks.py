"""People's own functions, called as a run goes."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment import Cell, Observer, Outcome, Work
from lottery_ticket.registry import shown
from lottery_ticket.store import RunRecord, RunRow, Store
from lottery_ticket.tracking._record import Record, stored_records
from lottery_ticket.tracking._story import Order

__all__ = ["Hook", "HookObserver", "Hooks"]

Hook = Callable[[Record], object]


class Hooks:
    """Functions that are told of each training: of one that raises it is said once, and the run
    goes on.

    Args:
        on_level: is called with what each training has come to.
        on_record: is called with each measurement along it, before that.
        note: is told in a line what goes wrong.

    Raises:
        UsageError: one of them is no function.
    """

    def __init__(
        self, on_level: Hook | None, on_record: Hook | None, note: Callable[[str], None] = print
    ) -> None:
        self._hooks = {"on_level": on_level, "on_record": on_record}
        for name, hook in self._hooks.items():
            if hook is not None and not callable(hook):
                raise UsageError(
                    f"{name}: got {shown(hook)}, wanted a function of one argument, a Record"
                )
        self._note = note
        self._said: set[str] = set()

    def __bool__(self) -> bool:
        return any(hook is not None for hook in self._hooks.values())

    def tell(self, records: Sequence[Record]) -> None:
        """Call them for one training.

        Args:
            records: along it, and last what it has come to.
        """
        for record in records[:-1]:
            self._call("on_record", record)
        self._call("on_level", records[-1])

    def _call(self, name: str, record: Record) -> None:
        hook = self._hooks[name]
        if hook is None:
            return
        try:
            hook(record)
        except Exception as error:
            if name not in self._said:
                self._said.add(name)
                place = f"{record.arm} level {record.level}, replicate {record.replicate}"
                self._note(
                    f"{name}: raised {type(error).__name__}: {error} ({_line_of(error)}; first of "
                    f"{place}); the run goes on"
                )


def _line_of(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


class HookObserver(Observer):
    """Calls hooks by the thread that runs, level by level in each arm and replicate.

    Args:
        hooks: which.
        note: is told what cannot be read.
    """

    def __init__(self, hooks: Hooks, note: Callable[[str], None]) -> None:
        self._hooks, self._note = hooks, note
        self._rows: dict[str, list[RunRow]] = {}

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        self._store, self._run = store, store.read_run(plan.id)
        self._order = Order(self._run.rows)
        for row in self._run.rows:
            self._rows.setdefault(row.cell, []).append(row)
            if row.cell in finished:
                self._tell(self._run, row)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        if outcome.status in ("made", "found"):
            for row in self._rows.get(cell.name, ()):
                self._tell(self._run, row)

    def end(self) -> None:
        """Tell what was held back for a level that failed."""
        if self._rows:
            for records in self._order.rest():
                self._hooks.tell(records)

    def _tell(self, run: RunRecord, row: RunRow) -> None:
        try:
            records = stored_records(self._store, run, row)
        except LotteryError as error:
            self._note(f"no hook is told of {row.arm} level {row.level}: {error}")
            return
        if records:
            for told in self._order.add(records):
                self._hooks.tell(told)
