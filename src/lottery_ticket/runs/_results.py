"""What came of a run, in a few columns."""

from typing import Any

from lottery_ticket.analysis import Glance, glance
from lottery_ticket.errors import UsageError
from lottery_ticket.runs._listed import RESULTS, ListedRun
from lottery_ticket.store import complete_replicates, rows_of

__all__ = ["results_of"]


def results_of(run: ListedRun) -> dict[str, Any]:
    """A value for each of `RESULTS`; None where it is not known."""
    rows = rows_of(run.record, run.cells)
    if not rows:
        return dict.fromkeys(RESULTS)
    found = _judged(run, rows)
    values = {name: getattr(found, name) for name in RESULTS if name != "metric"}
    return {"metric": found.metric.short, **values}


def _judged(run: ListedRun, rows: list[dict[str, Any]]) -> Glance:
    record = run.record
    num_complete = complete_replicates(record, run.cells) if run.looks else 0
    rule: dict[str, Any] = {"looks": run.looks, "num_complete": num_complete}
    try:
        found = glance(rows, margin=record.margin, claim=record.claim, **rule)
    except UsageError:  # a margin that is less than a test image
        found = glance(rows, claim=record.claim)
        return Glance(found.metric, found.dense)
    if record.searches and _has_problems(run):
        return Glance(found.metric)  # its trainings were none under their masks
    return found


def _has_problems(run: ListedRun) -> bool:
    """Whether a training of a search was none under its mask."""
    names = [row.cell for row in run.record.rows if row.cell in run.cells]
    found = (run.store.get(name) for name in names)
    return any(one is not None and one.results.get("row", {}).get("problems") for one in found)
