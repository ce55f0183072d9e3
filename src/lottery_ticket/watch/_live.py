"""A store that is looked at while somebody has a page open, and what was last seen of it."""

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lottery_ticket.errors import DamagedError, LotteryError, StoreError
from lottery_ticket.experiment import RunStatus, Seen, Working, look_at, run_status
from lottery_ticket.spec import short_labels
from lottery_ticket.store import IndexedCell, RunLabels, RunRecord, Store
from lottery_ticket.watch._cells import grid, measure_of, states
from lottery_ticket.watch._figures import Figures
from lottery_ticket.watch._now import now
from lottery_ticket.watch._pace import Pace
from lottery_ticket.watch._parts import Part

__all__ = ["LiveRun", "LiveRuns"]

_LOOK_SECONDS = 2.0
_WHOLE_LOOK_SECONDS = 30.0
_FIGURES_SECONDS = 4.0
_LIST_SECONDS = 4.0
_MOST_RUNS = 100
_IN_TITLES = ("name", "model.name")


class LiveRun:
    """A run as it was seen last; looked at again when that was a while ago.

    Nobody's page is open: nothing is looked at. Cells that were seen finished are looked at again
    now and then, since they can be removed; and so is the run's record, which grows while a search
    goes on.

    Args:
        location: of the store.
        run_id: of the run.
        look_seconds: how long to wait at least between looks.
        whole_seconds: and between those at all of it.
    """

    def __init__(
        self,
        location: str,
        run_id: str,
        *,
        look_seconds: float = _LOOK_SECONDS,
        whole_seconds: float = _WHOLE_LOOK_SECONDS,
    ) -> None:
        self._store, self._run_id = Store(location), run_id
        self._run: RunRecord | None = None
        self._grid = Part(None)
        self._called = RunLabels()
        self._finished: Mapping[str, IndexedCell] = {}
        self._parts: dict[str, Part] = {}
        self._lock = threading.Lock()
        self._whole_seconds = whole_seconds
        self._pace, self._whole = Pace(look_seconds), Pace(whole_seconds)
        self._drawn = _Drawn(Figures(Store(location)))  # read by a thread of its own

    def parts(self) -> dict[str, Part]:
        """What the page is told: `now`, `grid`, `cells`, `figures`, `verdict`; or `problem` alone
        where the run cannot be seen, and what was seen before stays on the page."""
        with self._lock:
            if self._pace.is_due:
                with self._pace.looking():
                    self._look()
            if "problem" in self._parts:
                return dict(self._parts)
            return self._parts | self._drawn.parts()

    def _look(self) -> None:
        try:
            gone = self._why_gone()
            if gone is not None:
                self._forget()
                self._parts = {"problem": Part(gone)}
                return
            seen = self._seen()
        except (LotteryError, OSError) as error:
            self._forget()
            self._parts = {"problem": Part(f"{error}")}
            return
        assert self._run is not None
        measure = measure_of(seen.finished.values())
        found = run_status(self._store, self._run, seen)
        self._parts = {
            "now": Part(now(self._run, self._called, found)),
            "grid": self._grid,
            "cells": Part({"measure": measure, "states": states(self._run, seen, measure)}),
        }
        self._drawn.draw(self._run, found)

    def _why_gone(self) -> str | None:
        if self._store.has_run(self._run_id):
            return None
        if not self._store.exists():
            return f"{self._store.location}: the store is not there any more"
        return f"{self._run_id}: the run is not in the store any more"

    def _seen(self) -> Seen:
        if self._run is None or self._whole.is_due:
            with self._whole.looking():
                self._read()
                assert self._run is not None
                seen = look_at(self._store, self._run)
        else:
            seen = look_at(self._store, self._run, self._finished)
        self._finished = seen.finished
        return seen

    def _read(self) -> None:
        """What the run is, and is called; the grid is of the same rows as its states."""
        run = self._store.read_run(self._run_id)
        if run != self._run:
            self._run, self._grid = run, Part(grid(run))
        with contextlib.suppress(DamagedError):  # `lottery verify` says so
            self._called = self._store.labels_of(self._run_id)

    def _forget(self) -> None:
        """What comes back may be another."""
        self._finished, self._whole = {}, Pace(self._whole_seconds)


class _Drawn:
    """Figures and verdict as they were drawn last, by a thread that nobody waits for."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._pace = Pace(_FIGURES_SECONDS)
        self._thread: threading.Thread | None = None
        self._parts: dict[str, Part] = {}
        self._state: tuple[RunRecord, int, Sequence[Working]] | None = None
        self._has_failed = False

    def parts(self) -> dict[str, Part]:
        """`figures` and `verdict`; nothing before they were drawn."""
        return dict(self._parts)

    def draw(self, run: RunRecord, found: RunStatus) -> None:
        """Draw what is new, if that was a while ago and is not going on; what is finished at
        once."""
        state = run, found.num_finished, found.working
        is_last = found.num_finished == found.num_cells and not self._has_failed
        is_going_on = self._thread is not None and self._thread.is_alive()
        if is_going_on or state == self._state or not (is_last or self._pace.is_due):
            return
        self._state = state
        self._thread = threading.Thread(target=self._draw, args=state, name="figures", daemon=True)
        self._thread.start()

    def _draw(self, run: RunRecord, num_finished: int, working: Sequence[Working]) -> None:
        with self._pace.looking():
            self._has_failed = True
            try:
                charts, verdict = self._figures.values(run, num_finished, working)
            except (LotteryError, OSError):
                self._state = None  # what was drawn stays; the look at the cells says what is wrong
                return
            except Exception as error:  # else it would stay blank, and a terminal be full of it
                self._state = None
                self._parts = self._parts | {"verdict": Part(_not_drawn(error))}
                return
            self._has_failed = False
        # of how many cells: the page asks on until that is all of them
        told = {"num_finished": num_finished, "charts": charts}
        self._parts = {"figures": Part(told), "verdict": Part(verdict)}


def _not_drawn(error: Exception) -> dict[str, Any]:
    said = f"figures cannot be drawn: {type(error).__name__}: {error}"
    return {"title": "", "tone": "open", "sentence": said}


class LiveRuns:
    """The runs of a store, and those that somebody looks at.

    Args:
        location: of the store.
        look_seconds, whole_seconds: as of `LiveRun`.
    """

    def __init__(
        self,
        location: str,
        *,
        look_seconds: float = _LIST_SECONDS,
        whole_seconds: float = _WHOLE_LOOK_SECONDS,
    ) -> None:
        self.location = location
        self._store = Store(location)
        self._records: dict[str, RunRecord] = {}
        self._labels: Mapping[str, RunLabels] = {}
        self._runs: dict[str, LiveRun] = {}
        self._parts: dict[str, Part] = {}
        self._pace, self._whole = Pace(look_seconds), Pace(whole_seconds)
        self._lock = threading.Lock()

    def run(self, run_id: str) -> LiveRun | None:
        """A run by its whole id; None if there is none, nor was."""
        with self._lock:
            if run_id not in self._runs and not self._has(run_id):
                return None
            return self._runs.setdefault(run_id, LiveRun(self.location, run_id))

    def _has(self, run_id: str) -> bool:
        with contextlib.suppress(StoreError, OSError):
            return self._store.has_run(run_id)
        return False

    def parts(self) -> dict[str, Part]:
        """What the page is told of them: `runs`, the newest first; or `problem` alone."""
        with self._lock:
            if self._pace.is_due:
                with self._pace.looking():
                    self._look()
            return dict(self._parts)

    def _look(self) -> None:
        try:
            if not self._store.exists():
                raise StoreError(f"{self.location}: the store is not there any more")
            ids = self._store.run_ids()
            if self._whole.is_due:
                with self._whole.looking():
                    self._forget_shown()
                    self._read(ids)
            else:
                self._read(ids)
            finished = self._store.cell_names()
        except (LotteryError, OSError) as error:
            self._parts = {"problem": Part(f"{error}")}
            return
        runs = self._newest()
        differs = short_labels([run.told for run in runs], but=_IN_TITLES, is_named=False)
        shown = [
            _listed(run, self._labels.get(run.id, RunLabels()), differing, finished)
            for run, differing in zip(runs, differs, strict=True)
        ]
        more = max(0, len(ids) - len(shown))
        where = {"location": self.location, "runs": shown, "more": more}
        self._parts = {"runs": Part(where)}

    def _newest(self) -> list[RunRecord]:
        runs = sorted(self._records.values(), key=lambda run: run.created, reverse=True)
        return runs[:_MOST_RUNS]

    def _forget_shown(self) -> None:
        """A search adds rows to its record, and a run can be removed and made anew."""
        for run in self._newest():
            del self._records[run.id]
        with contextlib.suppress(DamagedError):  # `lottery verify` says so
            self._labels = self._store.labels()

    def _read(self, ids: Sequence[str]) -> None:
        records = {run_id: self._record(run_id) for run_id in ids}
        self._records = {run_id: run for run_id, run in records.items() if run is not None}

    def _record(self, run_id: str) -> RunRecord | None:
        """What its record says, or said when it was read last; None where it is damaged."""
        if run_id in self._records:
            return self._records[run_id]
        with contextlib.suppress(DamagedError):
            return self._store.read_run(run_id)
        return None


def _listed(run: RunRecord, labels: RunLabels, differs: str, finished: set[str]) -> dict[str, Any]:
    names = run.cells()
    return {
        "id": run.id,
        "title": run.title,
        "name": labels.name,
        "differs": differs,
        "tags": list(labels.tags),
        "notes": labels.notes,
        "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)),
        "num_cells": len(names),
        "num_finished": len(names & finished),
    }
