"""Trackers and hooks of a search."""

import contextlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import LotteryError
from lottery_ticket.finder._keeping import Keeper
from lottery_ticket.finder._results import TicketResults
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.finder._stored import StoredSearch
from lottery_ticket.spec import fingerprint
from lottery_ticket.streams import StandardError
from lottery_ticket.tracking import (
    Files,
    Hooks,
    Listeners,
    Record,
    Story,
    Telling,
    TrackedRun,
    flat,
    level_record,
    whole_run,
)

__all__ = ["Told", "search_id", "telling"]

_BUT = ("layers", "origin")  # settings that are no recipe
_LONGEST_NAME = 100


def search_id(search: Search, keeper: Keeper | None) -> str:
    """What trackers know a search by: the same where it goes on, and else another."""
    if isinstance(keeper, StoredSearch):
        return keeper.run_id
    name = _name(search)
    if keeper is None:
        return f"{name}-{secrets.token_hex(4)}"
    place = str(Path(str(keeper)).absolute())
    return f"{name}-{fingerprint([search.settings, search.code, place])[:8]}"


class Told:
    """Is told of the trainings of a search, and tells others.

    Args:
        search: which.
        run_id: as `search_id` gives it.
        replicate: which of its run.
        hooks: the user's own functions.
        trackers: tells them; None where there are none.
    """

    def __init__(
        self, search: Search, run_id: str, replicate: int, hooks: Hooks, trackers: Telling | None
    ) -> None:
        self._search, self._run_id, self._replicate = search, run_id, replicate
        self._hooks, self._trackers = hooks, trackers

    def __call__(self, row: Row) -> None:
        """A training is finished and judged."""
        if not self._hooks and self._trackers is None:
            return
        record = self._record(row)
        self._hooks.tell([record, record])  # a search measures once, at the end
        if self._trackers is not None:
            self._trackers.tell([record])

    def _record(self, row: Row) -> Record:
        of_table = TicketResults(self._search).table_row(row)
        record = level_record({**of_table, "run": self._run_id, "replicate": self._replicate})
        if not row.problems:
            return record
        kept = {n: v for n, v in record.metrics.items() if not n.startswith("test_")}
        return replace(record, metrics=kept)  # what is invalid has no value in tables either


@contextlib.contextmanager
def telling(
    listeners: Listeners,
    search: Search,
    keeper: Keeper | None,
    run_id: str,
    levels: Sequence[int],
    files: Files | None = None,
) -> Iterator[Told]:
    """A block in which trackers and hooks are told of a search; at its end trackers are waited for.

    Args:
        listeners: who is told.
        search, keeper, run_id: the search, where it is kept, and what it is called.
        levels: those of the ticket that are to come, if they are known.
        files: makes what trackers get of it.
    """

    def note(line: str) -> None:
        StandardError().write(f"{line}\n")

    replicate = keeper.replicate if isinstance(keeper, StoredSearch) else 0
    hooks = Hooks(listeners.on_level, listeners.on_record, note)
    if not listeners.trackers:
        yield Told(search, run_id, replicate, hooks, None)
        return
    try:
        whole = _whole(search, keeper, run_id)
    except LotteryError as error:  # of the store, say
        note(f"track: {error}; the search goes on")
        yield Told(search, run_id, replicate, hooks, None)
        return
    trackers = Telling(listeners.trackers, note, files)
    places = [_Level(level, replicate) for level in levels]
    trackers.begin_story(
        Story(whole, places), keeper.store if isinstance(keeper, StoredSearch) else None
    )
    is_complete = False
    try:
        yield Told(search, run_id, replicate, hooks, trackers)
        is_complete = True
    finally:
        trackers.end(is_complete=is_complete)


@dataclass(frozen=True)
class _Level:
    """A level of the ticket that is to come."""

    level: int
    replicate: int
    arm: str = TICKET
    draw: int = 0


def _whole(search: Search, keeper: Keeper | None, run_id: str) -> TrackedRun:
    if isinstance(keeper, StoredSearch):
        return whole_run(keeper.store.read_run(run_id))
    settings = {name: value for name, value in search.settings.items() if name not in _BUT}
    facts = {"run": run_id, "num_prunable": search.num_prunable}
    params = {**facts, **flat(settings)}
    return TrackedRun(run_id, run_id, run_id, _name(search), params)


def _name(search: Search) -> str:
    """Its name, of characters that every tracker takes."""
    name = re.sub("[^A-Za-z0-9._-]+", "-", str(search.settings["name"])).strip("-._")
    return name[:_LONGEST_NAME] or "search"
