"""Who is told how a run goes, beside whoever looks at the bars."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment import Cell, Observer, Outcome, Work
from lottery_ticket.store import RunRecord, Store
from lottery_ticket.tracking._hooks import Hook, HookObserver, Hooks
from lottery_ticket.tracking._record import Record
from lottery_ticket.tracking._telling import Files, Telling
from lottery_ticket.tracking._tracker import Named, chosen_trackers

__all__ = ["Listeners", "track_finished"]


@dataclass(frozen=True)
class Listeners:
    """Trackers and hooks of a run.

    Args:
        trackers: as `chosen_trackers` gives them.
        on_level, on_record: as `run` takes them.
    """

    trackers: tuple[Named, ...] = ()
    on_level: Hook | None = None
    on_record: Hook | None = None

    @classmethod
    def checked(
        cls, track: object = None, on_level: Hook | None = None, on_record: Hook | None = None
    ) -> "Listeners":
        """Those that were asked for.

        Raises:
            UsageError: there is no such tracker, what it needs is not installed, or a hook is no
                function.
        """
        Hooks(on_level, on_record)
        return cls(chosen_trackers(track), on_level, on_record)

    def once(self) -> "Listeners":
        """The same for a run that begins several times, look by look: hooks are told of each
        training once."""
        return replace(self, on_level=_once(self.on_level), on_record=_once(self.on_record))

    @contextlib.contextmanager
    def told(self, shown: Observer, files: Files | None = None) -> Iterator[Observer]:
        """What a run is to tell: all of them, and `shown`. At its end trackers are waited for."""
        telling = Telling(self.trackers, shown.note, files) if self.trackers else None
        hooks = Hooks(self.on_level, self.on_record, shown.note)
        called = HookObserver(hooks, shown.note) if hooks else None
        others = [each for each in (telling, called) if each is not None]
        try:
            yield _Several([shown, *others]) if others else shown
            if called is not None:
                called.end()
        finally:
            if telling is not None:
                telling.end()


def track_finished(
    run: RunRecord,
    store: Store,
    trackers: Sequence[Named],
    note: Callable[[str], None],
    files: Files | None = None,
) -> int:
    """Tell trackers of a run that is in the store what they would have been told while it went.

    Args:
        run, store: the run, and where it is.
        trackers: which.
        note: is told in a line what goes wrong.
        files: makes what a tracker gets of a run that is complete.

    Returns:
        Of how many trainings they were told.

    Raises:
        LotteryError: one of them lacks something; what was said of it has the reason.
    """
    telling = Telling(trackers, note, files)
    telling.begin_run(run.id, store)
    telling.end(seconds=None)
    if telling.failed:
        raise LotteryError(
            f"{run.id}: not all of it was sent to {' and '.join(telling.failed)}; the same again "
            "sends what is missing"
        )
    return telling.num_told


def _once(hook: Hook | None) -> Hook | None:
    if hook is None:
        return None
    told: set[tuple[object, ...]] = set()

    def called(record: Record) -> None:
        place = (record.arm, record.level, record.replicate, record.draw, record.step)
        if place not in told:
            told.add(place)
            hook(record)

    return called


class _Several(Observer):
    """Tells several observers; the first of them shows notes."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        for each in self._observers:
            each.begin(plan, finished, store)

    def started(self, cell: Cell) -> None:
        for each in self._observers:
            each.started(cell)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        for each in self._observers:
            each.ended(cell, outcome)

    def note(self, message: str) -> None:
        self._observers[0].note(message)
