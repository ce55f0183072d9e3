"""Where the trainings of a run in the store began, for probes that ask for it."""

from lottery_ticket.arms import ARMS
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import WEIGHTS
from lottery_ticket.experiment.cells.probe import Beginning
from lottery_ticket.experiment.objects.initial import Initial
from lottery_ticket.experiment.objects.travel import REWIND, START
from lottery_ticket.store import CellRecord, RunRecord, RunRow, Store

__all__ = ["beginning_of"]


def beginning_of(store: Store, run: RunRecord, row: RunRow) -> tuple[Beginning, dict[str, str]]:
    """Where a training began, and the cells that hold it, by the role of a probe's parent.

    θ₀ is drawn again from the seed, if no file held it; θ_k is a cell of its own. Of the dense net
    of a run that is rewound it is the point that the others leave from.

    Raises:
        UsageError: the weights that it went on from were not kept.
    """
    record = _found(store, row.cell)
    begun, file = _initial(store, record, row.arm)
    parents = {} if file is None else {"initial": file}
    start = record.input("parents").get("weights")
    if start in (None, file) and not row.level:
        start = _rewind_point(store, run, row, record)
    if start is None or start == file:
        return begun, parents
    if WEIGHTS in store.execution(start).get("not_kept", ()):
        raise UsageError(
            f"{run.id}: the weights that {row.arm} level {row.level}, replicate {row.replicate} "
            "went on from were not kept (--keep needed); run its spec again with --keep all"
        )
    moment = REWIND if "until_step" in _found(store, start).inputs or run.searches else START
    return Beginning(begun.seed, begun.change, moment), parents | {"start": start}


def _initial(store: Store, record: CellRecord, arm: str) -> tuple[Beginning, str | None]:
    """θ₀ of a training, or of the one it goes on from: its seed, or the cell of its file."""
    while (before := record.input("parents").get("weights")) is not None:
        other = _found(store, before)
        if other.inputs.get("kind") == "start":
            return Beginning(), before
        record = other
    file = record.input("parents").get("initial")
    if "search" in record.inputs:  # a search holds its θ₀, and tells no seed of others
        is_initial = arm not in ARMS or ARMS[arm].weights == "initial"
        return Beginning(), file if is_initial else None
    how = record.inputs.get("initial")
    change = None if how is None else Initial.of(how)
    return Beginning(record.input("seeds")["init"], change), file


def _rewind_point(store: Store, run: RunRecord, row: RunRow, dense: CellRecord) -> str | None:
    """The cell of θ_k on the way of a dense net; None where nothing is rewound to it."""
    for other in run.rows:
        if other.replicate == row.replicate and other.level:
            record = store.get(other.cell)
            point = None if record is None else record.input("parents").get("weights")
            found = None if point is None else store.get(point)
            is_point = found is not None and "until_step" in found.inputs
            if found is not None and is_point and found.input("seeds") == dense.input("seeds"):
                return found.name
    return None


def _found(store: Store, name: str) -> CellRecord:
    record = store.get(name)
    if record is None:
        raise UsageError(f"cell {name[:12]} is not in the store, from which a training went on")
    return record
