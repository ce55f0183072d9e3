"""What `lottery sweep` does, from Python: a grid of recipes, each arm at its own best point."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.api import Prepared, RunResult, prepare
from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.errors import LotteryError, UsageError, known_keywords
from lottery_ticket.store import RunRecord, Store, table_rows

if TYPE_CHECKING:
    import pandas as pd

    from lottery_ticket.analysis import Sweep, Verdict
    from lottery_ticket.experiment import Observer, Part
    from lottery_ticket.spec import Point, Spec

__all__ = ["Asked", "LargeSweepWarning", "LeftOutWarning", "Planned", "asked_of", "sweep"]

Grid = Mapping[str, Sequence[Any]]

_HOW = ("data_dir", "device", "jobs", "threads", "imports", "claims", "kernels", "group", "keep")
_MANY_POINTS = 100
_NEAR = 0.01  # as a share of the weights that a level keeps


@known_keywords("sweep", also=_HOW)
def sweep(
    spec: "Spec | Mapping[str, Any] | str | Path",
    grid: Grid | Sequence[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    margin: float | None = None,
    store: str | Path | None = None,
    progress: bool = True,
    **how: Any,
) -> "Sweep":
    """Train an experiment at each point of a grid, hold each arm at its own best, and judge.

    Of each arm and level the point is chosen on validation, by the mean over replicates; of the
    dense nets too. Controls under the ticket's masks (`reinit`, `shuffled`, …) are trained at each
    point under the masks of the ticket's own best one, so that they are tuned as well. The verdict
    is made on test, which no choice looks at.

    Each point is a run in the store. What points have in common is trained once.

    Args:
        spec: a preset, a file, a spec, or a run in the store. Its data have a validation part.
        grid: dotted keys of the spec → values, `{"train.lr": [0.01, 0.03]}`, or texts such as
            `"train.lr=0.01,0.03"`; keys of `train` and `prune`, and `rewind`. By default that of
            the spec itself, its `sweep`.
        overrides: changes to the spec, such as `["replicates=3"]`.
        margin: as of `RunResult.verdict`.
        store, progress, how: as in `run`: `data_dir`, `device`, `jobs`, `threads`, `kernels`,
            `group`, `keep`, `imports`, `claims`.

    Returns:
        The sweep, with `.choice`, `.points` and `.table`, `.verdict`, `.sentence`; drawn by
        `lottery_ticket.plots.grid_figure`.

    Raises:
        UsageError: something does not fit, such as a point that is no valid spec; said before
            anything is trained.
        LotteryError: at no point the tickets of a level could all be trained.

    >>> sweep("quickstart", {"train.lr": [0.03, 0.1]}).sentence  # doctest: +SKIP

    Source: controls that are tuned too, Liu et al. 2019.
    """
    asked = asked_of(spec, grid, overrides=overrides, margin=margin, store=store, **how)
    return asked.run(progress=progress)


class LargeSweepWarning(UserWarning):
    """A grid of very many points."""


class LeftOutWarning(UserWarning):
    """Trainings of a point failed, which is not chosen where one of them is missing."""


@dataclass(frozen=True)
class Planned:
    """What a sweep would train.

    Args:
        points: of each: its label, its run, and how many trainings it asks for.
        num_asked: trainings of all points.
        num_trainings: those that differ.
        num_finished: of these, in the store.
        steps_to_train: optimiser steps that are left.
        seconds: about how long these take here.
        is_chosen: whether the ticket's best points are known, so that it is all exact.
    """

    points: Sequence[Mapping[str, Any]]
    num_asked: int
    num_trainings: int
    num_finished: int
    steps_to_train: int
    seconds: float
    is_chosen: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Asked:
    """All that a sweep trains: a plan for each point of the grid.

    Args:
        grid: dotted key → values.
        points: of the grid, in order.
        prepared: of each the plan, all into one store.
        margin: that the verdict is made with; None for the spec's.
    """

    def __init__(
        self,
        grid: Grid,
        points: Sequence["Point"],
        prepared: Sequence[Prepared],
        margin: float | None = None,
    ) -> None:
        self.grid = grid
        self.points = tuple(points)
        self.prepared = tuple(prepared)
        self.margin = margin

    @property
    def store(self) -> Store:
        """Where all of it is."""
        return self.prepared[0].store

    @property
    def has_controls(self) -> bool:
        """Whether there is an arm under the ticket's masks."""
        return any(ARMS[arm.name].branches for arm in self.prepared[0].plan.spec.arms)

    @cached_property
    def own(self) -> "tuple[Part, ...]":
        """Of each point what hangs on no ticket's mask."""
        from lottery_ticket.experiment import own_part

        return tuple(own_part(each.plan) for each in self.prepared)

    def controls(self, tickets: Mapping[int, int]) -> "tuple[Part, ...]":
        """Of each point the controls under the ticket's masks.

        Args:
            tickets: level → the point whose ticket lends its mask.
        """
        from lottery_ticket.experiment import tuned_controls

        if not self.has_controls:
            return ()
        lent = {level: self.prepared[point].plan for level, point in tickets.items()}
        return tuple(tuned_controls(each.plan, lent) for each in self.prepared)

    def tickets(self) -> dict[int, int]:
        """Level → the point at which the ticket is best, of what is in the store.

        Raises:
            UsageError: nothing is finished.
        """
        from lottery_ticket.analysis import chosen_points, point_means, validation_metric

        table = self._trainings(self.own, {})
        table = table.loc[(table["arm"] == TICKET) & (table["level"] > 0)]
        metric = validation_metric(table)
        chosen = chosen_points(point_means(table, metric), metric)
        return dict(zip(chosen["level"].tolist(), chosen["point"].tolist(), strict=True))

    def planned(self) -> Planned:
        """What is to be trained; while the ticket's best points are not known, as many controls
        under the masks of others."""
        from lottery_ticket.experiment import Work, finished_cells, least_seconds, training_seconds

        cells = {name: cell for part in self.own for name, cell in part.cells.items()}
        done = finished_cells(Work("", cells), self.store)
        is_chosen = done == cells.keys()
        levels = {row.level for row in self.own[0].rows if row.arm == TICKET and row.level}
        controls = self.controls(self.tickets() if is_chosen else dict.fromkeys(levels, 0))
        cells |= {name: cell for part in controls for name, cell in part.cells.items()}
        work, first = Work("", cells), self.prepared[0]
        done = finished_cells(work, self.store)
        trainings = {name for name, cell in cells.items() if cell.num_steps}
        points = [
            {
                "point": point.label,
                "run": each.plan.id,
                "own trainings": len({row.cell for row in own.rows}),
                "controls": len({row.cell for row in controls[i].rows}) if controls else 0,
            }
            for i, (point, each, own) in enumerate(
                zip(self.points, self.prepared, self.own, strict=True)
            )
        ]
        return Planned(
            points,
            sum(point["own trainings"] + point["controls"] for point in points),
            len(trainings),
            len(trainings & done),
            sum(cells[name].num_steps for name in trainings - done),
            least_seconds(work, training_seconds(work, done, first.context), first.jobs),
            is_chosen,
        )

    def run(self, *, progress: bool = True) -> "Sweep":
        """Make what is not there, choose, and judge.

        Raises:
            LotteryError: at no point the tickets of a level could all be trained.
            KeyboardInterrupt: it was stopped; the same call goes on.
        """
        from lottery_ticket.analysis import sweep_of

        failed: dict[int, list[str]] = {}
        self._make(self.own, "", progress, failed)
        tickets = self._known_tickets(failed)
        controls = self.controls(tickets)
        self._make(controls, "controls under the chosen masks, ", progress, failed)
        trainings = self._trainings((*self.own, *controls), tickets)
        judged = self._judged(trainings, (*self.own, *controls), tickets)
        if failed:
            said = "\n".join(["sweep: left out, for it failed:", *self._failure_lines(failed)])
            warnings.warn(said, LeftOutWarning, stacklevel=3)
        labels, runs = [p.label for p in self.points], [each.plan.id for each in self.prepared]
        return sweep_of(self.grid, labels, trainings, judged, runs, failed)

    def _known_tickets(self, failed: Mapping[int, Sequence[str]]) -> dict[int, int]:
        levels = {row.level for row in self.own[0].rows if row.arm == TICKET and row.level}
        if not failed:
            return self.tickets()
        try:
            tickets = self.tickets()
        except UsageError:
            tickets = {}
        if missing := sorted(levels - tickets.keys()):
            said = f"sweep: at no point all tickets of level {missing[0]} could be trained:"
            raise LotteryError("\n".join([said, *self._failure_lines(failed)]))
        return tickets

    def _failure_lines(self, failed: Mapping[int, Sequence[str]]) -> list[str]:
        return [f"{self.points[i].label}: {line}" for i, said in failed.items() for line in said]

    def _make(
        self, parts: Sequence["Part"], what: str, progress: bool, failed: dict[int, list[str]]
    ) -> None:
        """Make the cells of each point; what fails there is no candidate."""
        from lottery_ticket.experiment import run_part

        for i, part in enumerate(parts):
            each = self.prepared[i]
            with _watching(progress) as watching:
                if progress:
                    label = self.points[i].label
                    watching.note(f"{what}point {i + 1} of {len(parts)}: {label}")
                outcome = run_part(
                    each.plan, part, each.store, each.context, jobs=each.jobs, observer=watching
                )
            if outcome.is_stopped:
                raise KeyboardInterrupt("stopped; the same call continues")
            if outcome.failures:
                failed.setdefault(i, []).extend(outcome.failure_lines)

    def _trainings(self, parts: Sequence["Part"], tickets: Mapping[int, int]) -> "pd.DataFrame":
        """A row per planned training of each point; values of finished ones alone."""
        import pandas as pd

        from lottery_ticket.analysis import as_table

        frames = []
        for number, part in enumerate(parts):
            point = number % len(self.points)
            rows = self._rows(self.prepared[point], part)
            if rows:
                frame = as_table(rows)
                lent = [_lender(arm, level, tickets) for arm, level in _places(frame)]
                named = pd.array(lent, dtype="Int64")
                frames.append(frame.assign(point=point, masks_from=named))
        table = pd.concat(frames, ignore_index=True)
        first = ["point", "masks_from"]
        return table.loc[:, [*first, *(name for name in table if name not in first)]]

    def _rows(self, prepared: Prepared, part: "Part") -> list[dict[str, Any]]:
        """Of the finished ones as the table of a run has them, of others the place alone."""
        if not self.store.has_run(prepared.plan.id):
            return []
        record = replace(self.store.read_run(prepared.plan.id), rows=part.rows)
        finished = {_place(row): row for row in table_rows(self.store, record)}
        size = record.num_prunable
        planned = [{**vars(row), "density": row.num_kept / size} for row in part.rows]
        for row in planned:
            row.pop("mask")
        return [finished.get(_place(row), row) for row in planned]

    def _judged(
        self, trainings: "pd.DataFrame", parts: Sequence["Part"], tickets: Mapping[int, int]
    ) -> "Verdict":
        """The verdict on test, of each arm at its point: that of a run of these trainings."""
        record = self._chosen_run(trainings, parts, tickets)
        found = RunResult(self.store, record).verdict(self.margin)
        return found if len(self.points) == 1 else self._told(found, trainings, tickets)

    def _chosen_run(
        self, trainings: "pd.DataFrame", parts: Sequence["Part"], tickets: Mapping[int, int]
    ) -> RunRecord:
        from lottery_ticket.analysis import chosen_points, point_means, validation_metric
        from lottery_ticket.experiment import run_id

        metric = validation_metric(trainings)
        chosen = chosen_points(point_means(trainings, metric), metric)
        places = zip(chosen["arm"], chosen["level"], chosen["point"], strict=True)
        at = {(arm if level else "", level): point for arm, level, point in places}
        rows = [
            row
            for number, part in enumerate(parts)
            for row in part.rows
            if at.get((row.arm if row.level else "", row.level)) == number % len(self.points)
        ]
        records = [self.store.read_run(each.plan.id) for each in self.prepared]
        claims = [record.claim for record in records if record.claim is not None]
        own = self.prepared[tickets[max(tickets)]].plan
        name, rows = run_id(own.spec, rows)
        return replace(
            records[tickets[max(tickets)]],
            id=name,
            rows=tuple(rows),
            claim=max(claims, key=lambda claim: claim.num_trained, default=None),
        )

    def _told(
        self, found: "Verdict", trainings: "pd.DataFrame", tickets: Mapping[int, int]
    ) -> "Verdict":
        """The same with what is told of the ticket's points: they may differ between levels."""
        from lottery_ticket.analysis import cost_of

        specs = [self.points[point].spec for point in tickets.values()]
        said = {
            "criterion": [spec.prune.criterion for spec in specs],
            "scope": [spec.prune.scope for spec in specs],
            "rewind": [spec.rewind for spec in specs],
        }
        varied = {n: ", ".join(dict.fromkeys(v)) for n, v in said.items() if len({*v}) > 1}
        cost = found.cost
        if cost is not None:
            own = trainings.loc[trainings["point"] == tickets[cost.level]]
            is_once = specs[0].prune.once
            cost = cost_of(own, cost.level, is_once=is_once)
        return replace(found, about={**found.about, **varied}, cost=cost)


def asked_of(
    spec: "Spec | Mapping[str, Any] | str | Path",
    grid: Grid | Sequence[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    margin: float | None = None,
    store: str | Path | None = None,
    **how: Any,
) -> Asked:
    """Check everything and plan it, before any work starts; the arguments are those of `sweep`.

    Raises:
        UsageError: something does not fit.
    """
    from lottery_ticket.spec import grid_points

    whole = prepare(spec, overrides=overrides, store=store, **how)
    base = whole.plan.spec
    varied = _grid(grid, base, overrides)
    _check_spec(base)
    _check_data(whole, varied)
    points = grid_points(base, varied)
    if len(points) > _MANY_POINTS:
        num = len(points) * len(whole.plan.rows)
        warnings.warn(
            f"sweep: {len(points)} points, {num:,} trainings; plan it first",
            LargeSweepWarning,
            stacklevel=3,
        )
    prepared = [prepare(point.spec, store=whole.store.location, **how) for point in points]
    _check_points(points, prepared)
    return Asked(varied, points, prepared, margin)


def _grid(grid: Grid | Sequence[str] | None, base: "Spec", overrides: Sequence[str]) -> Grid:
    """The grid that was asked for, else the spec's own."""
    from lottery_ticket.spec import checked_grid, parse_grid, parse_overrides

    if not grid:
        if base.sweep is None:
            raise UsageError(
                f"sweep: {base.name} names no grid; write --grid train.lr=0.01,0.03, or "
                "sweep: {train.lr: [0.01, 0.03]} in the spec"
            )
        found: Grid = base.sweep
    else:
        found = checked_grid(grid, "grid: ") if isinstance(grid, Mapping) else parse_grid(grid)
    for path in parse_overrides(overrides):
        key = ".".join(path)
        if key in found:
            raise UsageError(
                f"--set {key}: the grid has values for it; leave it out, or out of the grid"
            )
    return found


def _check_spec(spec: "Spec") -> None:
    """Raise `UsageError` where there is no ticket of its own to compare."""
    names = [arm.name for arm in spec.arms]
    if TICKET not in names:
        raise UsageError(f"sweep: arms: got {names}, wanted {TICKET!r} among them")
    if spec.source is not None:
        raise UsageError("sweep: source: the run takes over tickets, and a sweep finds its own")


def _check_data(whole: Prepared, grid: Grid) -> None:
    """Raise `UsageError` where there is nothing to choose by."""
    from lottery_ticket.data import dataset_options
    from lottery_ticket.experiment import load_data

    spec = whole.plan.spec
    data = load_data(spec.data_said, whole.context.data_dir)
    if data.validation is None:
        todo = (
            "write --set data.validation=N, so many training examples are held out"
            if "validation" in dataset_options(spec.data.name)
            else "its loader must return one"
        )
        raise UsageError(
            f"sweep: points are chosen on validation, and {spec.data.name!r} has no validation "
            f"part here; {todo}"
        )
    losses = [key for key in grid if key.startswith("train.loss")]
    if losses and data.task == "regression" and spec.train.metric is None:
        raise UsageError(
            f"--grid {losses[0]}: the points are judged by their loss, which would be another at "
            "each; name a train.metric, or leave it out of the grid"
        )


def _check_points(points: Sequence["Point"], prepared: Sequence[Prepared]) -> None:
    """Raise `UsageError` for two points that are one, or whose levels do not compare."""
    seen: dict[str, str] = {}
    first = prepared[0].plan
    for point, each in zip(points, prepared, strict=True):
        plan = each.plan
        if plan.id in seen:
            raise UsageError(
                f"sweep: {point.label} is the very same run as {seen[plan.id]}; leave one out"
            )
        seen[plan.id] = point.label
        kept = [(one.total, other.total) for one, other in zip(first.budgets, plan.budgets)]  # noqa: B905
        for level, (one, other) in enumerate(kept):
            if abs(one - other) > _NEAR * one:
                raise UsageError(
                    f"sweep: level {level} keeps {other:,} weights at {point.label}, {one:,} at "
                    f"{points[0].label}; what is compared is as sparse at all points"
                )


def _lender(arm: str, level: int, tickets: Mapping[int, int]) -> int | None:
    return tickets.get(level) if level and ARMS[arm].branches else None


def _places(frame: "pd.DataFrame") -> list[tuple[str, int]]:
    return list(zip(frame["arm"].tolist(), frame["level"].tolist(), strict=True))


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("arm", "level", "replicate", "draw"))


@contextmanager
def _watching(progress: bool) -> Iterator["Observer"]:
    """Who shows how it goes."""
    from lottery_ticket.process import random_state_kept

    with random_state_kept():  # rich draws a random number when it is imported
        from lottery_ticket.progress import observer

    with observer(is_quiet=not progress) as watching:
        yield watching
