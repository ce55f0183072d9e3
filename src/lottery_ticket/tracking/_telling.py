"""An observer that tells trackers of a run, from threads of its own."""

import contextlib
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment import Cell, Observer, Outcome, Work, read_history
from lottery_ticket.process import random_state_kept
from lottery_ticket.store import RunRecord, RunRow, Store
from lottery_ticket.tracking._again import again
from lottery_ticket.tracking._pump import Pump
from lottery_ticket.tracking._record import Record, measured_so_far, stored_records
from lottery_ticket.tracking._story import Call, Story
from lottery_ticket.tracking._tracked import whole_run
from lottery_ticket.tracking._tracker import Named

__all__ = ["Files", "Telling"]

_LONGEST_END_SECONDS = 120.0  # that a run waits for its trackers
_LOOK_SECONDS = 2.0  # how often what goes on is looked at

Files = Callable[[Path, Callable[[str], None]], Iterable[tuple[str, Path]]]
"""A folder to write into, and what is told what cannot be made → names and paths."""


class Telling(Observer):
    """Tells trackers what a run comes to; nothing of it is done by the thread that runs.

    Args:
        trackers: which.
        note: is told in a line what goes wrong; from any thread.
        files: makes what a tracker gets of a run that is complete.
    """

    def __init__(
        self, trackers: Sequence[Named], note: Callable[[str], None], files: Files | None = None
    ) -> None:
        self._trackers, self._note, self._files = trackers, note, files
        self._pumps: list[Pump] = []
        self._story: Story | None = None
        self._lacks_something = self._is_over = False
        self._lock = threading.Lock()  # of the story, and of what is put to the trackers
        self._num_read = 0
        self._running: set[str] = set()
        self._next_look = time.monotonic() + _LOOK_SECONDS
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lottery-track", daemon=True)

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        dense = [c.name for c in plan.cells.values() if c.num_steps and not c.label.level]
        # looked at now: once the run goes on, it has begun
        is_new = not finished and not _has_begun(store, dense)
        self.begin_run(plan.id, store, lambda row: row.cell in finished, is_new=is_new)

    def started(self, cell: Cell) -> None:
        if cell.num_steps:
            self._jobs.put(lambda: self._running.add(cell.name))

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        self._jobs.put(lambda: self._running.discard(cell.name))
        if outcome.status in ("made", "found"):
            self._jobs.put(lambda: self._tell_cell(cell.name))
        for pump in self._pumps:
            pump.look()

    def begin_run(
        self,
        run_id: str,
        store: Store,
        is_there: Callable[[RunRow], bool] = lambda row: True,
        *,
        is_new: bool = False,
    ) -> None:
        """Begin with what is in the store of a run.

        Args:
            run_id, store: which.
            is_there: which of its trainings are finished.
            is_new: whether nothing of it was anywhere, as far as the store knows.
        """
        self._jobs.put(lambda: self._begin(store.read_run(run_id), store, is_there, is_new))
        self._thread.start()

    def begin_story(self, story: Story, store: Store | None = None) -> None:
        """Begin with a story that `tell` goes on with.

        Args:
            story: nothing of it is told yet.
            store: what keeps it, and can send later what is missing, if anything does.
        """
        self._jobs.put(lambda: self._open(story, store))
        self._thread.start()

    def tell(self, records: Sequence[Record]) -> None:
        """Tell of a training that has ended."""
        self._jobs.put(lambda: self._tell(lambda story: story.add(records)))

    def end(
        self, *, is_complete: bool | None = None, seconds: float | None = _LONGEST_END_SECONDS
    ) -> None:
        """Tell that no more is to come, and wait for the trackers, but not for ever.

        Args:
            is_complete: whether all is done; None where the story knows.
            seconds: the longest that is waited for each tracker; None: as long as it answers.
        """
        if self._thread.ident is None:
            return  # it never began
        self._jobs.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._note("track: the store does not answer; what is missing can be sent later")
            self._lacks_something, is_complete = True, False
        with contextlib.ExitStack() as folders:
            self._end(folders, is_complete)
            for pump in self._pumps:
                pump.close(seconds)

    def _end(self, folders: contextlib.ExitStack, is_complete: bool | None) -> None:
        """Tell what is told last; files are there until the folders are closed."""
        with self._lock:  # the thread that tells may be in a call to the store, and come back
            self._is_over, story = True, self._story
            if story is None:
                return
            self._say_held(story)
            done = story.is_complete if is_complete is None else is_complete
            self._put(story.end(is_complete=is_complete))
            if done and any(pump.takes(story.whole.id) for pump in self._pumps):
                self._put(story.files(self._made_files(folders)))
            self._put(story.over(is_complete=is_complete))

    def _made_files(self, folders: contextlib.ExitStack) -> list[tuple[str, Path]]:
        if self._files is None:
            return []
        try:
            made = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            with random_state_kept():  # what is imported for them filters warnings
                return list(self._files(Path(folders.enter_context(made)), self._note))
        except Exception as error:  # what is sent beside the numbers ends nothing
            self._lacks_something = True
            self._note(f"track: no files are sent: {type(error).__name__}: {error}")
            return []

    def _say_held(self, story: Story) -> None:
        for (arm, replicate, _), (missing, levels) in story.held.items():
            waiting = ", ".join(map(str, levels))
            self._note(
                f"track: {arm}, replicate {replicate}: level {missing} is not there; {waiting} "
                "will be sent after it"
            )

    @property
    def num_told(self) -> int:
        """Of how many trainings of a stored run was told."""
        held = self._story.held.values() if self._story is not None else ()
        return self._num_read - sum(len(levels) for _, levels in held)

    @property
    def failed(self) -> list[str]:
        """Once it has ended: the trackers that lack something."""
        if self._story is None or self._lacks_something:
            return [named.name for named in self._trackers]
        return [pump.name for pump in self._pumps if pump.has_failed]

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                job()
            except Exception as error:
                self._say(error)

    def _say(self, error: Exception) -> None:
        """Say once that something could not be read."""
        if not self._lacks_something:
            self._note(f"track: {error}; the run goes on")
        self._lacks_something = True

    def _next_job(self) -> Callable[[], None] | None:
        """What is to be done next: a look at what goes on, where there is time for it."""
        try:
            return self._jobs.get(timeout=max(0.0, self._next_look - time.monotonic()))
        except queue.Empty:
            return self._look

    def _look(self) -> None:
        """Tell what was measured by now along the trainings that go on."""
        story, self._next_look = self._story, time.monotonic() + _LOOK_SECONDS
        if story is None:
            return
        for name in self._running:
            rows = [row for row in self._rows.get(name, ()) if story.is_next(row)]
            history = read_history(self._store.desk(name)) if rows else []
            for row in rows if history else ():
                records = measured_so_far(self._run, row, history)
                self._tell(lambda story, records=records: story.along(records))

    def _begin(
        self, run: RunRecord, store: Store, is_there: Callable[[RunRow], bool], is_new: bool
    ) -> None:
        self._run, self._store = run, store
        self._rows: dict[str, list[RunRow]] = {}
        for row in run.rows:
            self._rows.setdefault(row.cell, []).append(row)
        there = [row for row in run.rows if is_there(row)]
        self._open(Story(whole_run(run), run.rows), store, is_new=is_new)
        for row in there:
            self._tell_row(row)

    def _open(self, story: Story, store: Store | None, *, is_new: bool = False) -> None:
        self._story = story
        for named in self._trackers:
            later = again(named, story.whole.id, store) if store is not None else ""
            self._pumps.append(Pump(named, self._note, later, is_new=is_new))
        self._tell(Story.begin)

    def _tell_cell(self, name: str) -> None:
        for row in self._rows.get(name, ()) if self._story is not None else ():
            self._tell_row(row)

    def _tell_row(self, row: RunRow) -> None:
        try:
            records = stored_records(self._store, self._run, row)
        except LotteryError as error:  # damaged, say: the others are told of
            self._say(error)
            return
        if records:
            self._num_read += 1
            self._tell(lambda story: story.add(records))

    def _tell(self, calls: Callable[[Story], Iterable[Call]]) -> None:
        """Put the calls that follow from a story, unless all is over."""
        with self._lock:
            if self._story is not None and not self._is_over:
                self._put(calls(self._story))

    def _put(self, calls: Iterable[Call]) -> None:
        for call in calls:
            for pump in self._pumps:
                pump.put(call)


def _has_begun(store: Store, dense: Iterable[str]) -> bool:
    """Whether something was measured along a first training."""
    with contextlib.suppress(LotteryError):
        return any(read_history(store.desk(name)) for name in dense)
    return True
