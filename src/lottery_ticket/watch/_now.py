"""How far a run is just now: counts, who is at what, what failed."""

import time
from typing import Any

from lottery_ticket.experiment import RunStatus, Working
from lottery_ticket.progress import status_words, time_text
from lottery_ticket.store import RunLabels, RunRecord
from lottery_ticket.watch._cells import share_of

__all__ = ["now"]

_MOST_MAKERS = 200
_MOST_FAILURES = 100


def now(run: RunRecord, labels: RunLabels, found: RunStatus) -> dict[str, Any]:
    """The state of a run, as plain values: few, since they change with every look."""
    failures = list(found.failed.items())
    makers = [*found.working, *found.silent]
    return {
        "id": run.id,
        "title": run.title,
        "name": labels.name,
        "tags": list(labels.tags),
        "notes": labels.notes,
        "created": run.created,
        "num_cells": found.num_cells,
        "num_finished": found.num_finished,
        "num_working": len(found.working),
        "num_waiting": found.num_waiting,
        "num_failed": len(failures),
        "seconds_left": found.seconds_left,
        "left": None if found.seconds_left is None else time_text(found.seconds_left),
        "words": list(status_words(found)),
        "is_complete": found.num_finished == found.num_cells,
        "is_stopped": found.is_stopped,
        "is_submitted": found.is_submitted,
        "makers": [_maker(one) for one in makers[:_MOST_MAKERS]],
        "more_makers": max(0, len(makers) - _MOST_MAKERS),
        "failures": [list(failure) for failure in failures[:_MOST_FAILURES]],
        "more_failures": max(0, len(failures) - _MOST_FAILURES),
    }


def _maker(one: Working) -> dict[str, Any]:
    maker, progress = one.maker, one.progress
    silent = one.silent_seconds
    return {
        "title": one.title,
        "who": "" if maker is None else f"{maker.host}:{maker.process}",
        "device": "" if maker is None else maker.device,
        "since": "" if maker is None else time_text(max(0.0, time.time() - maker.since)),
        "silent": None if silent is None else time_text(silent),
        "share": share_of(one),
        "at": "" if progress is None else f"step {progress.step:,} of {progress.num_steps:,}",
    }
