"""Lines between a run's nets of successive levels, from what is stored of them."""

from dataclasses import dataclass

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import Cell, Label
from lottery_ticket.experiment.cells.path import PathCell
from lottery_ticket.experiment.objects.code import REGISTRIES
from lottery_ticket.experiment.objects.initial import Described
from lottery_ticket.experiment.objects.run_data import run_spec
from lottery_ticket.experiment.planning.copies import NUM_TRAIN
from lottery_ticket.experiment.planning.plan import Work
from lottery_ticket.experiment.running.probing import check_kept
from lottery_ticket.store import ProbeRow, RunRecord, RunRow, Store

__all__ = ["SUCCESSIVE", "Lines", "level_lines"]

SUCCESSIVE = "successive levels"
"""What measurements of lines between levels are called in a run's record."""


@dataclass(frozen=True)
class Lines(Work):
    """Lines between finished trainings.

    Args:
        measured: what is measured on which training: the sparser of a line's ends.
    """

    measured: tuple[ProbeRow, ...] = ()


def level_lines(store: Store, run: RunRecord, arm: str, points: int) -> Lines:
    """The line between each net of an arm and the one before it, where both are finished.

    Args:
        store, run: where the nets are.
        arm: whose.
        points: nets on each line, its ends among them.

    Raises:
        UsageError: the arm has no two levels, or their weights were not kept.
    """
    if points < 3:
        raise UsageError(f"points: got {points}, wanted 3 or more, the ends among them")
    arms = {row.arm for row in run.rows}
    if arm not in arms:
        raise UsageError(f"{run.id}: no arm {arm!r}; it has: {', '.join(sorted(arms))}")
    finished = store.cell_names()
    rows = {
        (row.replicate, row.draw, row.level): row
        for row in run.rows
        if row.arm == arm and row.cell in finished
    }
    pairs = [
        (rows[before], row)
        for (replicate, draw, level), row in rows.items()
        if (before := (replicate, draw, level - 1)) in rows
    ]
    if not pairs:
        raise UsageError(f"{run.id}: no two successive levels of {arm} are finished yet")
    cells: dict[str, Cell] = {}
    measured = []
    for denser, sparser in pairs:
        for row in (denser, sparser):
            check_kept(store, run, row)
        cell = _line(store, run, denser, sparser, points)
        cells.setdefault(cell.name, cell)
        measured.append(ProbeRow(cell.name, SUCCESSIVE, sparser.cell))
    return Lines(run.id, cells, tuple(measured))


def _line(store: Store, run: RunRecord, denser: RunRow, sparser: RunRow, points: int) -> PathCell:
    spec = run_spec(run, {})
    record = store.get(sparser.cell)
    assert record is not None
    masks = {"mask": denser.mask, "other_mask": sparser.mask}
    source = REGISTRIES["loss"].entry(spec.train.loss).source_hash()
    return PathCell(
        label=Label(
            f"{sparser.arm}, line,", sparser.level, sparser.replicate, sparser.draw,
            sparser.num_kept / run.num_prunable,
        ),
        parents={
            "weights": denser.cell,
            "other_weights": sparser.cell,
            **{role: mask for role, mask in masks.items() if mask is not None},
        },
        data=spec.data_said,
        points=points,
        num_train=NUM_TRAIN,
        model=Described.of(record.input("model")),
        train=spec.train,
        described=Described.of(record.input("data")),
        sources={} if source is None else {"loss": source},
    )  # fmt: skip
