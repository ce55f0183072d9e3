"""What a plan would take on so many workers, and what bounds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lottery_ticket.experiment.forecast.assumptions import Assumptions, Task
from lottery_ticket.experiment.forecast.paths import critical_path, path_text
from lottery_ticket.experiment.forecast.simulate import (
    CHECKPOINT_REQUESTS,
    CLAIM_REQUESTS,
    COMMIT_REQUESTS,
    LOOK_REQUESTS,
    MOST_LEASES,
    READ_REQUESTS,
    Spell,
    checkpoint_seconds,
    simulate,
)
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Forecast", "Forecasts", "forecast"]

_BEAT_REQUESTS = 7  # the lease, progress and history, and twice two signs to stop
_SIGN_REQUESTS = 2  # these as a training begins
_SUBMISSION_REQUESTS = 4  # of who finds nothing: what is submitted, how, and two signs to stop
_STORE_SHARE = 0.2  # of the time that a store without latencies would save, for it to be the bound


@dataclass(frozen=True)
class Forecast:
    """What a plan would take.

    Args:
        num_workers: at any time.
        num_cells: to be made.
        makespan_seconds: from when the workers are asked for until the last cell is finished.
        utilisation: the seconds of all cells, each counted once, of those of all workers.
        work_seconds: of all cells one after the other.
        critical_seconds: of the longest chain of cells.
        critical_path: that chain in words.
        num_requests: to the store, in all.
        requests_per_second: the mean.
        peak_requests_per_second: in the busiest second.
        num_bytes: to and from the store, in all.
        bytes_per_second: the mean.
        peak_bytes_per_second: in the busiest second, a transfer counted where it begins.
        num_repeated: times that a worker was lost and its cell taken over.
        repeated_seconds: of work that was lost with them.
        cost: of all workers from the first second to the last; None where no price is known.
        bound: `"store"` if one that takes no time would save more than a fifth of the time after
            the workers' start, else `"critical path"` if that is longer than all the work over
            the workers, else `"workers"`.
    """

    num_workers: int
    num_cells: int
    makespan_seconds: float
    utilisation: float
    work_seconds: float
    critical_seconds: float
    critical_path: str
    num_requests: int
    requests_per_second: float
    peak_requests_per_second: float
    num_bytes: int
    bytes_per_second: float
    peak_bytes_per_second: float
    num_repeated: int
    repeated_seconds: float
    cost: float | None
    bound: str

    _repr_html_ = notebook_html


class Forecasts(list[Forecast]):
    """What a plan would take on several numbers of workers, a forecast for each."""

    _repr_html_ = notebook_html


def forecast(
    tasks: Mapping[str, Task], num_workers: int, assumptions: Assumptions, *, seed: int = 0
) -> Forecast:
    """Simulate workers that make all tasks.

    Args:
        tasks: name → what there is to make, parents first.
        num_workers, assumptions, seed: as of `simulate`.

    Raises:
        UsageError: as `simulate`.
    """
    spells = simulate(tasks, num_workers, assumptions, seed=seed)
    ideal = simulate(tasks, num_workers, assumptions.with_ideal_store(), seed=seed)
    span = _span(spells)
    work = sum(task.seconds for task in tasks.values())
    path = critical_path(tasks)
    critical = sum(tasks[name].seconds for name in path)
    labels = [label for name in path if (label := tasks[name].label) is not None]
    price = assumptions.price_per_hour
    return Forecast(
        num_workers=num_workers,
        num_cells=len(tasks),
        makespan_seconds=span,
        utilisation=work / (num_workers * span) if span else 1.0,
        work_seconds=work,
        critical_seconds=critical,
        critical_path=path_text(labels),
        **_figures("requests", _requests(tasks, spells, num_workers, assumptions), span),
        **_figures("bytes", _bytes(tasks, spells), span),
        num_repeated=sum(spell.is_lost for spell in spells),
        repeated_seconds=_repeated_seconds(tasks, spells, assumptions, work),
        cost=None if price is None else price * num_workers * span / 3600,
        bound=_bound(
            span - assumptions.start_seconds,
            _span(ideal) - assumptions.start_seconds,
            critical,
            work / num_workers,
        ),
    )


def _span(spells: Sequence[Spell]) -> float:
    return max((spell.end for spell in spells), default=0.0)


def _bound(span: float, ideal_span: float, critical: float, shared: float) -> str:
    if ideal_span < (1 - _STORE_SHARE) * span:
        return "store"
    return "critical path" if critical > shared else "workers"


def _repeated_seconds(
    tasks: Mapping[str, Task], spells: Sequence[Spell], assumptions: Assumptions, work: float
) -> float:
    """What the cells took beyond what they would have taken without losses."""
    if not any(spell.is_lost for spell in spells):
        return 0.0
    made = sum(
        spell.trained - spell.begin
        - spell.num_checkpoints * checkpoint_seconds(tasks[spell.cell], assumptions)
        for spell in spells
    )  # fmt: skip
    return max(0.0, made - work)


# traffic

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Traffic:
    """So much at a time, and so much per second for a while.

    Args:
        times, amounts: at once.
        starts, ends, rates: for a while.
        always: per second, at any time.
    """

    times: _Array
    amounts: _Array
    starts: _Array
    ends: _Array
    rates: _Array
    always: float = 0.0

    def total(self, span: float) -> float:
        lasting = (self.rates * (self.ends - self.starts)).sum()
        return float(self.amounts.sum() + lasting + self.always * span)

    def peak(self) -> float:
        """Of the busiest second in which anything happens at once."""
        seconds, which = np.unique(np.floor(self.times), return_inverse=True)
        at_once = np.bincount(which, weights=self.amounts)
        lasting = _sum_until(self.starts, self.rates, seconds + 1)
        lasting -= _sum_until(self.ends, self.rates, seconds)
        return float((at_once + lasting).max(initial=0.0) + self.always)


def _sum_until(times: _Array, values: _Array, until: _Array) -> _Array:
    """The sum of the values up to each of some times."""
    order = np.argsort(times)
    sums = np.concatenate([[0.0], np.cumsum(values[order])])
    return sums[np.searchsorted(times[order], until, side="left")]


def _figures(what: str, traffic: _Traffic, span: float) -> dict[str, Any]:
    total = traffic.total(span)
    return {
        f"num_{what}": round(total),
        f"{what}_per_second": total / span if span else 0.0,
        f"peak_{what}_per_second": traffic.peak(),
    }


def _requests(
    tasks: Mapping[str, Task], spells: Sequence[Spell], num_workers: int, assumed: Assumptions
) -> _Traffic:
    """Claims, reads and commits at once; beats, checkpoints and looks all the time."""
    start, begin, trained, end = _times(spells)
    looks = _looks_at_others(start, end, assumed)
    longest = max(assumed.poll_seconds, assumed.longest_poll_seconds)
    idle = (_SUBMISSION_REQUESTS + looks.max(initial=0.0)) / longest if longest else 0.0
    beats = _BEAT_REQUESTS / assumed.beat_seconds if assumed.beat_seconds else 0.0
    read = [tasks[s.cell].num_read + s.is_continued for s in spells]
    signs = [_SIGN_REQUESTS * bool(tasks[s.cell].checkpoint_bytes and beats) for s in spells]
    taken = CLAIM_REQUESTS + READ_REQUESTS * np.array(read, float) + signs + looks
    written = [0 if s.is_lost else COMMIT_REQUESTS + tasks[s.cell].num_written for s in spells]
    checkpoints = CHECKPOINT_REQUESTS * _checkpoints_per_second(spells)
    return _Traffic(
        np.concatenate([start, trained]),
        np.concatenate([taken, written]),
        np.concatenate([start, begin]),
        np.concatenate([end, trained]),
        # who is at work does not look for work
        np.concatenate([np.full(len(spells), beats - idle), checkpoints]),
        always=num_workers * idle,
    )


def _looks_at_others(start: _Array, end: _Array, assumed: Assumptions) -> _Array:
    """What seeing who does what costs before each cell; after short ones that is known still."""
    if not (assumed.poll_seconds and len(start)):
        return np.zeros(len(start))
    num_at_work = (end - start).sum() / end.max()
    each = LOOK_REQUESTS + min(max(0.0, num_at_work - 1), MOST_LEASES)
    return each * np.minimum(1.0, (end - start) / assumed.poll_seconds)


def _bytes(tasks: Mapping[str, Task], spells: Sequence[Spell]) -> _Traffic:
    """Files at once, where their transfer begins; checkpoints all the time."""
    start, begin, trained, _ = _times(spells)
    of = [tasks[spell.cell] for spell in spells]
    sizes = np.array([task.checkpoint_bytes for task in of], float)
    read = np.array([task.read_bytes for task in of], float)
    read += sizes * [spell.is_continued for spell in spells]
    written = np.array([task.written_bytes for task in of], float)
    written *= [not spell.is_lost for spell in spells]
    return _Traffic(
        np.concatenate([start, trained]),
        np.concatenate([read, written]),
        begin,
        trained,
        sizes * _checkpoints_per_second(spells),
    )


def _times(spells: Sequence[Spell]) -> tuple[_Array, ...]:
    rows = [(spell.start, spell.begin, spell.trained, spell.end) for spell in spells]
    return tuple(np.array(rows, float).reshape(-1, 4).T)


def _checkpoints_per_second(spells: Sequence[Spell]) -> _Array:
    return np.array(
        [s.num_checkpoints / (s.trained - s.begin) if s.num_checkpoints else 0.0 for s in spells],
        float,
    )
