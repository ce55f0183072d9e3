"""Where a run's trainings stand, and how far each is, as plain values for the grid."""

from collections.abc import Iterable, Mapping
from typing import Any

from lottery_ticket.arms import ARMS
from lottery_ticket.experiment import Seen, Working
from lottery_ticket.store import IndexedCell, RunRecord

__all__ = ["grid", "measure_of", "states"]


def grid(run: RunRecord) -> dict[str, Any]:
    """Arms, levels and replicates: a run's are known before it begins, a search's grow.

    Returns:
        `arms`; `levels`, each with its density in percent; `rows`: (arm, level, replicate, draw)
        of each training, arm and level as places in their lists.
    """
    known = list(ARMS)
    arms = sorted(
        dict.fromkeys(row.arm for row in run.rows),
        key=lambda arm: known.index(arm) if arm in known else len(known),
    )
    kept: dict[int, int] = {}
    for row in sorted(run.rows, key=lambda row: arms.index(row.arm)):
        kept.setdefault(row.level, row.num_kept)  # the first arm's
    levels = sorted(kept)
    arm_at, level_at = ({name: i for i, name in enumerate(names)} for names in (arms, levels))
    return {
        "arms": arms,
        "levels": [
            {"level": level, "percent": 100 * kept[level] / run.num_prunable} for level in levels
        ],
        "rows": [
            [arm_at[row.arm], level_at[row.level], row.replicate, row.draw] for row in run.rows
        ],
    }


def measure_of(finished: Iterable[IndexedCell]) -> dict[str, Any]:
    """What trainings are judged by: its column, name, scale and unit."""
    has_accuracy = False
    for cell in finished:
        if cell.summary.get("metric") is not None:
            name = str(cell.summary["metric"])
            return {"column": "test_metric", "label": f"test {name}", "scale": 1, "unit": ""}
        has_accuracy |= cell.summary.get("test_accuracy") is not None
    if has_accuracy:
        return {"column": "test_accuracy", "label": "test accuracy", "scale": 100, "unit": "%"}
    return {"column": "test_loss", "label": "test loss", "scale": 1, "unit": ""}


def states(run: RunRecord, seen: Seen, measure: Mapping[str, Any]) -> list[Any]:
    """How far each of `grid`'s rows is.

    Returns:
        For each: None where it waits; `{"v": value}` finished, by what it is judged by;
        `{"p": share}` in progress; `{"s": seconds}` where nothing was heard of its maker for so
        long; `{"f": message}` failed.
    """
    begun = {one.cell: one for one in seen.begun}
    known: dict[str, Any] = {}
    for row in run.rows:
        if row.cell not in known:
            known[row.cell] = _state(row.cell, seen, begun, measure)
    return [known[row.cell] for row in run.rows]


def _state(
    name: str, seen: Seen, begun: Mapping[str, Working], measure: Mapping[str, Any]
) -> dict[str, Any] | None:
    if name in seen.finished:
        value = seen.finished[name].summary.get(measure["column"])
        is_number = isinstance(value, int | float)
        return {"v": measure["scale"] * float(value) if is_number else None}
    if name in seen.failures:
        failure = seen.failures[name]
        return {"f": f"{failure.message} (on {failure.host})"}
    if name not in begun:
        return None
    one = begun[name]
    if one.silent_seconds is not None:
        return {"s": one.silent_seconds}
    return {"p": share_of(one) or 0.0}


def share_of(one: Working) -> float | None:
    """How much of its steps a training has made; None while it says nothing."""
    if one.progress is None or not one.progress.num_steps:
        return None
    return min(1.0, one.progress.step / one.progress.num_steps)
