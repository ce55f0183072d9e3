"""What makes no sweep is said before anything is trained."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from lottery_ticket.api import Prepared
from lottery_ticket.arms import TICKET
from lottery_ticket.errors import UsageError
from lottery_ticket.store import shared_looks, staged_runs
from lottery_ticket.tuning._asked import Grid

if TYPE_CHECKING:
    from lottery_ticket.experiment import Plan
    from lottery_ticket.spec import Point, Spec

__all__ = ["LargeSweepWarning", "check_base", "check_points", "grid_of"]

_NEAR = 0.01  # as a share of the weights that a level keeps


class LargeSweepWarning(UserWarning):
    """A grid of very many points."""


def grid_of(grid: Grid | Sequence[str] | None, base: "Spec", overrides: Sequence[str]) -> Grid:
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


def check_base(whole: Prepared, grid: Grid) -> None:
    """Raise `UsageError` where there is no ticket to compare, or nothing to choose by."""
    _check_spec(whole.plan.spec)
    _check_data(whole, grid)


def _check_spec(spec: "Spec") -> None:
    """Raise `UsageError` where there is no ticket of its own to compare."""
    names = [arm.name for arm in spec.arms]
    if TICKET not in names:
        raise UsageError(f"sweep: arms: got {names}, wanted {TICKET!r} among them")
    if spec.source is not None:
        raise UsageError("sweep: source: the run takes over tickets, and a sweep finds its own")
    if spec.until_decided is not None:
        raise UsageError(
            "sweep: until_decided: a sweep is looked at once, with all its replicates; leave it "
            "out (--set until_decided=null)"
        )


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


def check_points(points: Sequence["Point"], prepared: Sequence[Prepared]) -> None:
    """Raise `UsageError` for two points that are one, whose levels do not compare, or of which a
    verdict is to wait."""
    seen: dict[str, str] = {}
    for point, each in zip(points, prepared, strict=True):
        if each.plan.id in seen:
            raise UsageError(
                f"sweep: {point.label} is the very same run as {seen[each.plan.id]}; leave one out"
            )
        seen[each.plan.id] = point.label
        _check_levels(points[0].label, prepared[0].plan, point.label, each.plan)
        _check_looks(point.label, each)


def _check_levels(first: str, there: "Plan", label: str, here: "Plan") -> None:
    """Raise `UsageError` unless two points have as many levels, each about as sparse."""
    wanted, got = ([budget.total for budget in plan.budgets] for plan in (there, here))
    if len(wanted) != len(got):
        raise UsageError(
            f"sweep: {label} has {len(got) - 1} levels, {first} has {len(wanted) - 1}; levels are "
            "compared"
        )
    for level, (one, other) in enumerate(zip(wanted, got, strict=True)):
        if abs(one - other) > _NEAR * one:
            raise UsageError(
                f"sweep: level {level} keeps {other:,} weights at {label}, {one:,} at {first}; "
                "what is compared is as sparse at all points"
            )


def _check_looks(label: str, prepared: Prepared) -> None:
    """Raise `UsageError` where a verdict is to wait for the look of a staged run: trainings of it
    are the sweep's, too, and were looked at."""
    from lottery_ticket.experiment import recorded

    plan, store = prepared.plan, prepared.store
    record = recorded(plan, store, store.earlier_run(plan.id))
    looks = shared_looks(record, partial(staged_runs, store))
    if looks is not None and plan.spec.replicates < looks.replicates[0]:
        raise UsageError(
            f"sweep: replicates: got {plan.spec.replicates}; trainings of {label} are those of "
            f"{looks.run}, which is looked at from {looks.replicates[0]} replicates on: --set "
            f"replicates={looks.replicates[0]}"
        )
