"""Executing cells: claim them, make them from their parents, commit them."""

import os
import platform
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lottery_ticket.errors import DamagedError, LotteryError, StoreError
from lottery_ticket.experiment.cells.cell import OPTIMIZER, WEIGHTS, Cell
from lottery_ticket.experiment.cells.kinds import KINDS
from lottery_ticket.experiment.cells.making import Made, Stopped, Workspace
from lottery_ticket.experiment.cells.progress import Maker, write_maker
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.device import configured
from lottery_ticket.experiment.executors.executor import Outcome
from lottery_ticket.experiment.executors.stop import StopSign
from lottery_ticket.experiment.executors.stored import parents_of
from lottery_ticket.experiment.objects.user_code import adopt, import_user_code
from lottery_ticket.process import alone
from lottery_ticket.store import CellRecord, Claim, Store

__all__ = ["execute", "execution_of", "is_current"]

Note = Callable[[str], None]

_TRACEBACK = "traceback.txt"
_MAX_LOSSES = 5  # of so many workers in a row that died at a cell, the cell is to blame
_LOST = "{} workers in a row died while they made it, or stood still for longer than their lease"


def is_current(parents: Mapping[str, str], contents: Mapping[str, str]) -> bool:
    """Whether the parents that a cell was made from are those of now (role → content)."""
    return dict(parents) == dict(contents)


def execute(
    cells: Sequence[Cell], contents: Sequence[Mapping[str, str]], context: Context
) -> list[Outcome]:
    """Make cells whose parents are finished, each unless someone else has or does.

    Args:
        cells: one, or several trainings of one plan, which are trained as one batch.
        contents: role → content hash of the parents of each.
        context: where and how.
    """
    store = context.store
    outcomes: dict[str, Outcome] = {}
    work: list[_Work] = []
    with alone():  # before anything is claimed, so that nobody waits for us while we wait
        for cell, parents in zip(cells, contents, strict=True):
            try:
                taken = _take(cell, parents, store)
            except LotteryError as error:
                taken = _failed(cell, error, store)
            if isinstance(taken, Outcome):
                outcomes[cell.name] = taken
            else:
                write_maker(taken.claim.desk, Maker(context.device))
                work.append(taken)
        if work:
            notes: list[str] = []
            made = _worked(work, context, store, notes.append)
            made[0] = replace(made[0], notes=tuple(notes))
            outcomes |= {outcome.cell: outcome for outcome in made}
    return [outcomes[cell.name] for cell in cells]


@dataclass(frozen=True)
class _Work:
    """A cell that is ours to make."""

    cell: Cell
    contents: Mapping[str, str]
    claim: Claim


def _take(cell: Cell, contents: Mapping[str, str], store: Store) -> "_Work | Outcome":
    """Claim a cell, unless it is finished or someone else's."""
    claim = store.claim(cell.name)
    if claim is None:
        return Outcome(cell.name, "busy")
    try:
        found = store.get(cell.name)
        if found is not None and is_current(found.parents, contents):
            claim.clear()
            return Outcome(cell.name, "found", found.content)
        if found is not None:
            store.discard(cell.name)  # made from parents that have changed since
        if claim.num_losses >= _MAX_LOSSES:
            claim.release()
            return Outcome(cell.name, "failed", message=_LOST.format(claim.num_losses))
    except BaseException:
        claim.release()
        raise
    return _Work(cell, contents, claim)


def _worked(work: Sequence[_Work], context: Context, store: Store, note: Note) -> list[Outcome]:
    """Make the cells, and commit or give back each."""
    open_work = list(work)
    outcomes: list[Outcome] = []

    def give_back(status: str, message: str | None = None) -> list[Outcome]:
        for one in open_work:
            one.claim.release()
        return outcomes + [Outcome(one.cell.name, status, message=message) for one in open_work]

    try:
        import_user_code(context.imports)
        adopt(context.registered)
        with configured(context.device, context.threads), store.writing():
            made = _make(work, context, store, note)
            # each is committed before the next is asked for
            for one, (result, seconds) in zip(work, made, strict=True):
                if isinstance(result, LotteryError):
                    one.claim.release()
                    outcomes.append(_failed(one.cell, result, store))
                else:
                    outcomes.append(_commit(one, context, store, result, seconds))
                open_work.remove(one)
    except Stopped:
        return give_back("stopped")
    except LotteryError as error:
        give_back("failed")
        return outcomes + [_failed(one.cell, error, store) for one in open_work]
    except Exception as error:
        for one in open_work:
            one.claim.desk.show(_TRACEBACK, traceback.format_exc().encode())
        where = open_work[0].claim.desk.where(_TRACEBACK)
        said = ", ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        return give_back("failed", f"{said} (traceback in {where})")
    except BaseException:
        give_back("stopped")
        raise
    return outcomes


def _failed(cell: Cell, error: LotteryError, store: Store) -> Outcome:
    """Whether it is the cell's fault, a parent's, or the store's."""
    if not isinstance(error, StoreError):
        return Outcome(cell.name, "failed", message=str(error))
    lost = [parent for parent in cell.parents.values() if _is_lost(parent, store)]
    if lost:
        note = f"{error}; what {cell.title} is made from is made anew"
        return Outcome(cell.name, "unfounded", message=str(error), notes=(note,))
    is_of_cell = isinstance(error, DamagedError)
    return Outcome(cell.name, "failed" if is_of_cell else "refused", message=str(error))


def _is_lost(parent: str, store: Store) -> bool:
    """Whether a parent has to be made anew; one that is damaged is removed."""
    try:
        return store.check(parent) is None
    except DamagedError:
        claim = store.claim(parent)
        if claim is not None:  # else someone is making it anew already
            try:
                if not _is_whole(parent, store):  # nor has been meanwhile
                    store.discard(parent)
            finally:
                claim.release()
        return True
    except StoreError:
        return False


def _is_whole(name: str, store: Store) -> bool:
    try:
        return store.check(name) is not None
    except DamagedError:
        return False


def _make(
    work: Sequence[_Work], context: Context, store: Store, note: Note
) -> Iterator[tuple[Made | LotteryError, float]]:
    """What became of each, with its seconds: together where that is possible, else one by one."""
    started = time.monotonic()
    kind = KINDS[work[0].cell.kind]
    arguments = [
        (one.cell, parents_of(one.cell, store), _workspace(one, context, note)) for one in work
    ]
    if len(work) > 1 and kind.make_together is not None:
        try:
            cells, parents, workspaces = zip(*arguments, strict=True)
            made = kind.make_together(cells, parents, workspaces)
        except RuntimeError as error:
            if not _cannot_be_batched(error):
                raise
        else:
            seconds = (time.monotonic() - started) / len(work)
            yield from ((result, seconds) for result in made)
            return
    for cell, parents, workspace in arguments:
        started = time.monotonic()
        result: Made | LotteryError
        try:
            result = kind.make(cell, parents, workspace)
        except LotteryError as error:
            result = error
        yield result, time.monotonic() - started


def _workspace(work: _Work, context: Context, note: Note) -> Workspace:
    sign, parent = StopSign(context.store, context.stops), os.getppid()

    def must_stop() -> bool:
        is_orphan = os.getppid() != parent  # the process that started this one is gone
        return is_orphan or work.claim.is_lost() or sign.is_raised()

    return Workspace(
        work.claim.desk,
        context.data_dir,
        context.device,
        context.kernels,
        must_stop,
        note,
    )


def _cannot_be_batched(error: RuntimeError) -> bool:
    """Dropout, or code that depends on values, in a batch of models; or too many of them."""
    return "vmap" in str(error) or isinstance(error, torch.OutOfMemoryError)


def _commit(work: _Work, context: Context, store: Store, made: Made, seconds: float) -> Outcome:
    files, cell = made.files, work.cell
    record = CellRecord.of(cell.name, cell.inputs(), work.contents, files, made.results)
    wanted = cell.feeds if context.keep == "needed" else cell.feeds | {WEIGHTS}
    not_kept = [name for name in (WEIGHTS, OPTIMIZER) if name in files and name not in wanted]
    kept = {name: data for name, data in files.items() if name not in not_kept}
    how = execution_of(context.device, context.threads, seconds)
    execution = how | made.execution | ({"not_kept": not_kept} if not_kept else {})
    if store.commit(work.claim, record, kept, execution):
        return Outcome(cell.name, "made", record.content)
    return _other(cell, store)


def _other(cell: Cell, store: Store) -> Outcome:
    """What somebody else made of a cell, who took this process for dead."""
    found = store.get(cell.name)
    if found is None:  # and it was removed since
        return Outcome(cell.name, "busy")
    return Outcome(cell.name, "found", found.content)


def execution_of(device: str, threads: int, seconds: float) -> dict[str, Any]:
    """How a cell ran in this process, as a store keeps it.

    Args:
        device: `"cpu"`, `"cuda:0"`, …
        threads: of the CPU.
        seconds: that it took.
    """
    return {
        "device": _device_name(device),
        "threads": threads,
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "finished": time.time(),
        "train_seconds": seconds,
    }


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device
