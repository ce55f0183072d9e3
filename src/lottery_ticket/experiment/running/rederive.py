"""Training a cell once more, for the weights that were not kept."""

import tempfile
from pathlib import Path

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment.cells.cell import WEIGHTS
from lottery_ticket.experiment.cells.kinds import KINDS
from lottery_ticket.experiment.cells.making import Workspace
from lottery_ticket.experiment.executors.device import configured, resolve_device
from lottery_ticket.experiment.executors.stored import parents_of
from lottery_ticket.experiment.objects.build import inspect_inputs
from lottery_ticket.experiment.planning.plan import plan
from lottery_ticket.process import neutral_settings
from lottery_ticket.spec import Spec, spec_from_mapping
from lottery_ticket.store import LocalDesk, RunRecord, Store
from lottery_ticket.store import sha256 as sha256_of

__all__ = ["rederive"]


@neutral_settings()
def rederive(
    store: Store,
    run: RunRecord,
    name: str,
    *,
    spec: Spec | None = None,
    data_dir: Path | None = None,
) -> bytes:
    """The trained weights of a finished training, trained again as it was; the store is only read.

    Args:
        store, run: where it is.
        name: the training's cell.
        spec: the run's, if its data lie elsewhere by now.
        data_dir: where data files are.

    Returns:
        The bytes of its weights, equal to those it had.

    Raises:
        UsageError: this version, or this code, would make another cell of it.
        LotteryError: it ends in other bytes here.
    """
    record = store.get(name)
    assert record is not None
    execution = store.execution(name)
    device = resolve_device(execution.get("device", "cpu").partition(" ")[0])
    spec = spec or spec_from_mapping(run.spec)
    cell = plan(spec, inspect_inputs(spec, data_dir, device=device)).cells.get(name)
    if cell is None:
        raise UsageError(
            f"{run.id}: it was trained by another version, with other code or on other data, and "
            "cannot be trained again as it was; run its spec again, with --keep all"
        )
    with (
        tempfile.TemporaryDirectory() as folder,
        configured(device, execution.get("threads", 1)),
    ):
        workspace = Workspace(LocalDesk(Path(folder)), data_dir, device)
        made = KINDS[cell.kind].make(cell, parents_of(cell, store), workspace)
    weights = made.files[WEIGHTS]
    if sha256_of(weights) != record.files[WEIGHTS]["sha256"]:
        raise LotteryError(
            f"{run.id}: trained again it ends in other weights than it had; it was trained with "
            f"{execution.get('versions')} on a {execution.get('cpu')} processor. Run its spec "
            "again, with --keep all"
        )
    return weights
