"""What `lottery stability` and `lottery connectivity` do, from Python: copies of nets in other
orders of the data, and the straight lines between nets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.api import (
    Prepared,
    RunResult,
    check_outcome,
    context_and_jobs,
    load_run,
    prepare,
)
from lottery_ticket.arms import TICKET
from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.store import ProbeRow, RunRecord, Store, probe_rows

if TYPE_CHECKING:
    import pandas as pd

    from lottery_ticket.analysis import Connectivity, Stability
    from lottery_ticket.experiment import Copies, Copying, Observer
    from lottery_ticket.spec import Spec

__all__ = ["Asked", "asked_of", "level_connectivity", "stability"]


_MEASURING = ("data_dir", "device", "jobs", "threads", "imports")
_HOW = (*_MEASURING, "claims", "kernels", "group", "keep")


class Asked:
    """All that is to be there to judge stability: a plan for each step, and its copies.

    Args:
        steps: k → how it was asked for, the plan, the copies and lines.
    """

    def __init__(self, steps: Mapping[int, tuple[str, Prepared, "Copies"]]) -> None:
        self.steps = steps

    @property
    def num_trainings(self) -> int:
        """Of all steps, each counted once."""
        cells = {
            name: cell for _, _, work in self.steps.values() for name, cell in work.cells.items()
        }
        return sum(cell.kind == "train" for cell in cells.values())

    def run(self, *, progress: bool = True) -> "Stability":
        """Make what is not there, step by step, and say what it comes to.

        Raises:
            LotteryError: something failed; what is finished is kept.
            KeyboardInterrupt: it was stopped; the same call goes on.
        """
        from lottery_ticket.analysis import stability_of

        measured = {}
        for step, (said, prepared, work) in self.steps.items():
            run = _made(prepared, work, progress)
            measured[step] = said, run.id, _rows(prepared.store, run, work.measured)
        return stability_of(measured)


@known_keywords("stability", also=_HOW)
def stability(
    spec: "Spec | Mapping[str, Any] | str | Path",
    *,
    at: Sequence[str] = (),
    levels: Sequence[int] = (),
    arms: Sequence[str] = (TICKET,),
    copies: int = 2,
    points: int = 30,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    progress: bool = True,
    **how: Any,
) -> "Stability":
    """Whether the order of the data decides where training ends, from each of some steps on.

    From θ_k of each replicate, level and arm, copies are trained in other orders of the data (other
    augmentation, other dropout) under the same mask; errors and losses are measured on the straight
    line between each two. The barrier of a line is its highest error − the mean of its ends. A net
    is stable at k where the upper end of the 95 % interval of the mean barrier lies below 2 points.

    Level 0 is dense: its copies leave its own training at step k. Masks of other levels are found
    by rewinding to k, so that each k is a run of its own, which `load_runs` shows.

    Args:
        spec: a preset, a file, a spec, or a run in the store: its trainings are not made again.
        at: the steps k, as texts: `["0it", "100it", "1ep"]`; by default the spec's own `rewind`.
        levels: of which levels; by default dense and the sparsest.
        arms: of which arms: those that train under one mask from θ₀ or θ_k, or fresh weights.
        copies: trainings from each start, the run's own among them; 2 make one line, 3 make three.
        points: nets on a line, the ends among them.
        overrides: changes to the spec, such as `["replicates=3"]`.
        store, progress, how: as in `run`: `data_dir`, `device`, `jobs`, `threads`, `kernels`,
            `group`, `keep`, `imports`, `claims`.

    Raises:
        UsageError: an argument makes no sense, before anything is trained.
        LotteryError: something failed; what is finished is kept.

    >>> stability("lenet-mnist", at=["0it", "100it"], levels=[0, 5, 10])  # doctest: +SKIP

    Source: Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis".
    """
    asked = asked_of(
        spec, at=at, levels=levels, arms=arms, copies=copies, points=points, overrides=overrides,
        store=store, **how,
    )  # fmt: skip
    return asked.run(progress=progress)


def asked_of(
    spec: "Spec | Mapping[str, Any] | str | Path",
    *,
    at: Sequence[str],
    levels: Sequence[int],
    arms: Sequence[str],
    copies: int,
    points: int,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    **how: Any,
) -> Asked:
    """Check everything and plan it, before any work starts; the arguments are those of `stability`.

    Raises:
        UsageError: something does not fit.
    """
    from lottery_ticket.experiment import Copying
    from lottery_ticket.experiment import copies as copied

    whole = prepare(spec, overrides=overrides, store=store, **how)
    asked = Copying(_levels(levels, whole), tuple(arms), copies, points)
    steps: dict[int, tuple[str, Prepared, Copies]] = {}
    for said in at or (whole.plan.spec.rewind,):
        prepared = _rewound(asked, said, whole, how)
        work = copied(prepared.plan, asked)
        if work.step in steps:
            raise UsageError(f"at: {said!r} is step {work.step}, as {steps[work.step][0]!r} is")
        steps[work.step] = said, prepared, work
    return Asked(dict(sorted(steps.items())))


def _levels(levels: Sequence[int], whole: Prepared) -> tuple[int, ...]:
    """Those that are asked for, each once; by default dense and the sparsest."""
    sparsest = max(row.level for row in whole.plan.rows)
    return tuple(sorted(set(levels))) if levels else (0, sparsest)


def _rewound(asked: "Copying", said: str, whole: Prepared, how: Mapping[str, Any]) -> Prepared:
    """The run that has the chains rewound to a step: the whole one if it is in the store, else one
    of no more arms and levels than are asked for."""
    from lottery_ticket.spec import canonical, spec_from_mapping

    own = whole.plan.spec.rewind
    if said == own and whole.store.has_run(whole.plan.id):
        return whole
    values = canonical(whole.plan.spec)
    values["rewind"] = said
    known = {arm["name"] if isinstance(arm, dict) else arm: arm for arm in values["arms"]}
    values["arms"] = [known.get(name, name) for name in asked.arms]
    values.pop("claim", None)
    deepest = max(*asked.levels, 1)
    if (levels := values["prune"].get("levels")) is not None:
        values["prune"]["levels"] = min(levels, deepest)
    if densities := values["prune"].get("densities"):
        values["prune"]["densities"] = densities[:deepest]
    spec = spec_from_mapping(values, f"{whole.plan.spec.name}, rewind {said}")
    return prepare(spec, store=whole.store.location, **how)


def _made(prepared: Prepared, work: "Copies", progress: bool) -> RunRecord:
    """The record of the run, with all that was asked for of one step."""
    from lottery_ticket.experiment import measure_run

    with _watching(progress) as watching:
        outcome = measure_run(
            prepared.store, prepared.plan, work, work.measured, prepared.context,
            trained=work.trained, jobs=prepared.jobs, observer=watching,
        )  # fmt: skip
    check_outcome(outcome, "cells")
    assert outcome.record is not None
    return outcome.record


def _rows(store: Store, run: RunRecord, measured: Sequence[ProbeRow]) -> "pd.DataFrame":
    """What was measured on the lines that were asked for."""
    import pandas as pd

    own = {probe.cell for probe in measured}
    rows = [row for row in probe_rows(store, run) if row["cell"] in own]
    places = {row["cell"]: row["arm"] for row in reversed(rows)}  # arms may share a dense net
    return pd.DataFrame([row for row in rows if row["arm"] == places[row["cell"]]])


@known_keywords("level_connectivity", also=_MEASURING)
def level_connectivity(
    run: str = "last",
    *,
    arm: str = TICKET,
    points: int = 30,
    store: str | Path | None = None,
    progress: bool = True,
    **how: Any,
) -> "Connectivity":
    """Whether a run's nets of successive levels lie in one valley, and whether the sparser matches.

    Nothing is trained: the error is measured on the straight line between the trained nets of
    levels L − 1 and L of each replicate. The line has the weights of the denser one's mask.

    Args:
        run: id, unique prefix, name, or `"last"`.
        arm: of which arm.
        points: nets on a line, the ends among them.
        store, progress, how: as in `run`: `data_dir`, `device`, `jobs`, `threads`, `imports`.

    Raises:
        UsageError: there is nothing to connect, or trained weights were not kept.
        LotteryError: something failed; what is finished is kept.

    >>> level_connectivity("lenet-mnist")  # doctest: +SKIP

    Source: Paul et al. 2023.
    """
    from lottery_ticket.analysis import connectivity_of
    from lottery_ticket.experiment import import_user_code, level_lines, measure_run
    from lottery_ticket.process import neutral_settings

    result = load_run(run, store=store)
    context, jobs = context_and_jobs(result.store, **how)
    with neutral_settings():
        import_user_code(context.imports)
        work = level_lines(result.store, result.record, arm, points)
    with _watching(progress) as watching:
        outcome = measure_run(
            result.store, result.record, work, work.measured, context,
            jobs=jobs, observer=watching,
        )  # fmt: skip
    check_outcome(outcome, "lines")
    assert outcome.record is not None
    rows = _rows(result.store, outcome.record, work.measured)
    return connectivity_of(rows, _matches(result, arm), result.id)


def _matches(result: RunResult, arm: str) -> dict[int, str]:
    """Level → whether its ticket matches dense, where that is decided."""
    from lottery_ticket.analysis import NOT_A_TICKET

    if arm != TICKET or not result.rows:
        return {}
    try:
        judged = result.verdict().levels
    except UsageError:  # there is no verdict, as of a metric without values
        return {}
    said = {True: "matches", False: "worse"}
    known = [each for each in judged if each.is_matching or each.label == NOT_A_TICKET]
    return {each.level: said[each.is_matching] for each in known}


@contextmanager
def _watching(progress: bool) -> Iterator["Observer"]:
    """Who shows how it goes."""
    from lottery_ticket.process import random_state_kept

    with random_state_kept():  # rich draws a random number when it is imported
        from lottery_ticket.progress import observer

    with observer(is_quiet=not progress) as watching:
        yield watching
