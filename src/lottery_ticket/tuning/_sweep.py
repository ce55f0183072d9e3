"""A sweep: plan it, train it, choose, train the controls under what was chosen, and judge."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.api import prepare
from lottery_ticket.errors import LotteryError, known_keywords
from lottery_ticket.tuning._asked import Asked, Grid
from lottery_ticket.tuning._checks import LargeSweepWarning, check_base, check_points, grid_of
from lottery_ticket.tuning._results import best_tickets, judged, trainings_of

if TYPE_CHECKING:
    from lottery_ticket.analysis import Sweep
    from lottery_ticket.experiment import Observer, Part
    from lottery_ticket.spec import Spec

__all__ = ["LeftOutWarning", "asked_of", "made", "sweep"]

_HOW = ("data_dir", "device", "jobs", "threads", "imports", "claims", "kernels", "group", "keep")
_MANY_POINTS = 100

Failures = dict[int, list[str]]
"""Point → what failed there."""


class LeftOutWarning(UserWarning):
    """Trainings of a point failed, which is not chosen where one of them is missing."""


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
    return made(asked, progress=progress)


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
    varied = grid_of(grid, base, overrides)
    check_base(whole, varied)
    points = grid_points(base, varied)
    if len(points) > _MANY_POINTS:
        num = len(points) * len(whole.plan.rows)
        said = f"sweep: {len(points)} points, {num:,} trainings; plan it first"
        warnings.warn(said, LargeSweepWarning, stacklevel=3)
    prepared = [prepare(point.spec, store=whole.store.location, **how) for point in points]
    check_points(points, prepared)
    return Asked(varied, points, tuple(prepared), margin)


def made(asked: Asked, *, progress: bool = True) -> "Sweep":
    """Make what is not there, choose, and judge.

    Args:
        asked: what `asked_of` returned.
        progress: as of `sweep`.

    Raises:
        LotteryError: at no point the tickets of a level could all be trained.
        KeyboardInterrupt: it was stopped; the same call goes on.
    """
    from lottery_ticket.analysis import sweep_of

    failed: Failures = {}
    _make(asked, asked.own, "", progress, failed)
    tickets = _known_tickets(asked, failed)
    controls = asked.controls(tickets)
    _make(asked, controls, "controls under the chosen masks, ", progress, failed)
    parts = (*asked.own, *controls)
    trainings = trainings_of(asked, parts, tickets)
    verdict = judged(asked, trainings, parts, tickets)
    if failed:
        said = "\n".join(["sweep: left out, for it failed:", *_failure_lines(asked, failed)])
        warnings.warn(said, LeftOutWarning, stacklevel=3)
    labels = [point.label for point in asked.points]
    runs = [each.plan.id for each in asked.prepared]
    return sweep_of(asked.grid, labels, trainings, verdict, runs, failed)


def _known_tickets(asked: Asked, failed: Failures) -> dict[int, int]:
    """The ticket's best points; raises `LotteryError` where a level has none."""
    tickets = best_tickets(asked)
    if missing := sorted({*asked.levels} - tickets.keys()):
        said = f"sweep: at no point all tickets of level {missing[0]} could be trained:"
        raise LotteryError("\n".join([said, *_failure_lines(asked, failed)]))
    return tickets


def _failure_lines(asked: Asked, failed: Failures) -> list[str]:
    return [f"{asked.points[i].label}: {line}" for i, said in failed.items() for line in said]


def _make(
    asked: Asked, parts: "Sequence[Part]", what: str, progress: bool, failed: Failures
) -> None:
    """Make the cells of each point; what fails there is no candidate."""
    from lottery_ticket.experiment import run_part

    for i, part in enumerate(parts):
        each = asked.prepared[i]
        with _watching(progress) as watching:
            if progress:
                label = asked.points[i].label
                watching.note(f"{what}point {i + 1} of {len(parts)}: {label}")
            outcome = run_part(
                each.plan, part, each.store, each.context, jobs=each.jobs, observer=watching
            )
        if outcome.is_stopped:
            raise KeyboardInterrupt("stopped; the same call continues")
        if outcome.failures:
            failed.setdefault(i, []).extend(outcome.failure_lines)


@contextmanager
def _watching(progress: bool) -> Iterator["Observer"]:
    """Who shows how it goes."""
    from lottery_ticket.process import random_state_kept

    with random_state_kept():  # rich draws a random number when it is imported
        from lottery_ticket.progress import observer

    with observer(is_quiet=not progress) as watching:
        yield watching
