"""Probing a run that is in the store: planned, cached and resumed like any cell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.experiment.cells.cell import WEIGHTS, Cell, Label
from lottery_ticket.experiment.cells.probe import ProbeCell
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.code import REGISTRIES
from lottery_ticket.experiment.objects.initial import Described, recorded_model
from lottery_ticket.experiment.objects.probes import PROBES
from lottery_ticket.experiment.objects.run_data import run_spec
from lottery_ticket.experiment.planning.plan import Plan, Work
from lottery_ticket.experiment.running.beginnings import beginning_of
from lottery_ticket.experiment.running.observer import Observer, RunOutcome
from lottery_ticket.experiment.running.run import recorded, run_work
from lottery_ticket.spec import DataSpec, Spec, canonical, spec_from_mapping
from lottery_ticket.store import CellRecord, ProbeRow, RunRecord, RunRow, Store
from lottery_ticket.train import called

__all__ = ["Asked", "check_kept", "measure_run", "probe_run", "probe_work"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a run.

    Args:
        probe: a registered name.
        options: its own.
        data: which data it looks at, `{"name": …, option: …}`; None for the run's own.
        arms: of which arms; empty for all.
    """

    probe: str
    options: Mapping[str, Any]
    data: Mapping[str, Any] | None = None
    arms: tuple[str, ...] = ()


def probe_work(store: Store, run: RunRecord, asked: Asked, context: Context) -> Work:
    """The cells that measure each finished training of a run.

    Raises:
        UsageError: the probe, an option, an arm or the data do not fit; no training is finished,
            or its trained weights were not kept.
        DataError: the data are not to be had.
    """
    probe, spec = PROBES[asked.probe], run_spec(run, {})
    probe.check_options(asked.probe, asked.options)
    rows = _rows(store, run, asked)
    wants_data = "data" in probe.needs
    if asked.data is not None and not wants_data:
        raise UsageError(f"probe {asked.probe!r} looks at no data, so --data has no effect")
    records = {row.cell: _record(store, row) for row in rows}
    data, described = None, None
    if wants_data:
        changed = {} if asked.data is None else {"data": dict(asked.data)}
        data = spec_from_mapping({**run.spec, **changed}, run.id).data_said
        described = _described(data, spec, next(iter(records.values())), context)
    named = [("probe", asked.probe), ("loss", spec.train.loss)]
    named += [] if described is None else [("data", described.name)]
    sources = {
        kind: digest
        for kind, name in named
        if (digest := REGISTRIES[kind].entry(name).source_hash()) is not None
    }
    cells: dict[str, Cell] = {}
    for row in rows:
        parents = {"weights": row.cell} | ({"mask": row.mask} if row.mask else {})
        begun = None
        if "points" in probe.needs:
            begun, more = beginning_of(store, run, row)
            parents |= more
        cell = ProbeCell(
            label=_label(run, row),
            parents=parents,
            data=data,
            probe=asked.probe,
            options=canonical(dict(asked.options)),
            numerics=probe.numerics,
            model=Described.of(records[row.cell].input("model")),
            train=spec.train,
            described=described,
            sources=sources,
            beginning=begun,
        )
        cells.setdefault(cell.name, cell)
    return Work(run.id, cells)


def probe_run(
    store: Store,
    run: RunRecord,
    work: Work,
    context: Context,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
) -> RunOutcome:
    """Make those of the cells that are not finished, and remember whose they are.

    Raises:
        StoreError: the store cannot be written, or a finished cell not be read.
    """
    probes = [cell for cell in work.cells.values() if isinstance(cell, ProbeCell)]
    measured = [ProbeRow(cell.name, cell.probe, cell.parents["weights"]) for cell in probes]
    return measure_run(store, run, work, measured, context, jobs=jobs, observer=observer)


def measure_run(
    store: Store,
    run: RunRecord | Plan,
    work: Work,
    measured: Sequence[ProbeRow],
    context: Context,
    *,
    trained: Iterable[str] = (),
    jobs: int = 1,
    observer: Observer | None = None,
) -> RunOutcome:
    """`probe_run` of cells of any kind, for a run that is in the store or only planned.

    Args:
        run: its record as it is, or the plan of a run that there is from now on.
        measured: what each of the cells measures, on which training of the run.
        trained: trainings among the cells that fill no row, and are kept with the run.

    Raises:
        StoreError: the store cannot be written, or a finished cell not be read.
        UsageError: the plan claims another level since before its first result.
    """

    def with_measured(earlier: RunRecord | None) -> RunRecord:
        if isinstance(run, Plan):
            known = recorded(run, store, earlier)
        else:
            known = run if earlier is None else earlier
        probes = {probe.cell: probe for probe in (*known.probes, *measured)}
        others = dict.fromkeys((*known.others, *sorted(trained)))
        return replace(known, probes=tuple(probes.values()), others=tuple(others))

    return run_work(work, store, context, with_measured, jobs=jobs, observer=observer)


def _rows(store: Store, run: RunRecord, asked: Asked) -> list[RunRow]:
    arms = {row.arm for row in run.rows}
    for arm in asked.arms:
        if arm not in arms:
            raise UsageError(f"{run.id}: no arm {arm!r}; it has: {', '.join(sorted(arms))}")
    finished = store.cell_names()
    rows = [
        row
        for row in run.rows
        if row.cell in finished and (not asked.arms or row.arm in asked.arms)
    ]
    if not rows:
        raise UsageError(f"{run.id}: no training is finished yet, so there is nothing to measure")
    for row in rows:
        check_kept(store, run, row)
    return rows


def check_kept(store: Store, run: RunRecord, row: RunRow) -> None:
    """Raise `UsageError` where the trained weights of a finished training were not kept."""
    if WEIGHTS in store.execution(row.cell).get("not_kept", ()):
        raise UsageError(
            f"{run.id}: the trained weights of {row.arm} level {row.level}, replicate "
            f"{row.replicate} were not kept (--keep needed); run its spec again with --keep all"
        )


def _record(store: Store, row: RunRow) -> CellRecord:
    record = store.get(row.cell)
    assert record is not None
    return record


def _described(data: DataSpec, spec: Spec, record: CellRecord, context: Context) -> Described:
    """What the data hold, having seen that the run's nets can look at them."""
    loaded = load_data(data, context.data_dir)
    model = recorded_model(record).eval()
    try:
        called(model, loaded.test.first(2).x)
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(
            f"data: {data.name!r} does not fit the nets of this run, which were trained on "
            f"{spec.data.name!r}: {reason}"
        ) from error
    task = "regression" if record.results["test_accuracy"] is None else "classification"
    if loaded.task != task:
        raise UsageError(f"data: {data.name!r} is for {loaded.task}, this run's nets are not")
    own = record.input("data")["digest"]
    if data == spec.data_said and loaded.digest != own:
        raise DataError(
            f"{data.name}: the data here are not those that the run was trained on (digest "
            f"{loaded.digest[:12]}…, then {own[:12]}…)"
        )
    options = {name: value for name, value in data.options.items() if name != "path"}
    return Described(data.name, canonical(options), None, loaded.digest)


def _label(run: RunRecord, row: RunRow) -> Label:
    density = row.num_kept / run.num_prunable
    return Label(row.arm, row.level, row.replicate, row.draw, density)
