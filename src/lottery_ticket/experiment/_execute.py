"""Executing one cell: claim it, make it from its parents, commit it."""

import contextlib
import os
import platform
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment._context import Context
from lottery_ticket.experiment._device import configured
from lottery_ticket.experiment._mask_cell import make_mask
from lottery_ticket.experiment._plan import Cell
from lottery_ticket.experiment._stop import Stopped
from lottery_ticket.experiment._train_cell import make_training
from lottery_ticket.experiment._user_code import adopt, import_user_code
from lottery_ticket.store import CellRecord, Claim, Store, store_errors

__all__ = ["Made", "Outcome", "execute", "is_current"]

Made = tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]  # files, results, execution

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Args:
        cell: its name.
        status: `"made"`, `"found"` (someone else made it), `"busy"` (someone else is making it),
            `"stopped"` (checkpointed on request), `"failed"`.
        content: the content hash of a finished cell.
        message: why it failed.
    """

    cell: str
    status: str
    content: str | None = None
    message: str | None = None


def is_current(record: CellRecord, contents: Mapping[str, str]) -> bool:
    """Whether a finished cell was made from the parents as they are now (role → content)."""
    return dict(record.parents) == dict(contents)


def execute(cell: Cell, contents: Mapping[str, str], context: Context) -> Outcome:
    """Make a cell whose parents are finished, unless someone else has or does.

    Args:
        cell: what to make.
        contents: role → content hash of its parents.
        context: where and how.
    """
    store = Store(context.store)
    try:
        claim = store.claim(cell.name)
        if claim is None:
            return Outcome(cell.name, "busy")
        return _execute_claimed(cell, contents, context, store, claim)
    except LotteryError as error:
        return Outcome(cell.name, "failed", message=str(error))


def _execute_claimed(
    cell: Cell, contents: Mapping[str, str], context: Context, store: Store, claim: Claim
) -> Outcome:
    try:
        found = store.get(cell.name)
        if found is not None and is_current(found, contents):
            claim.clear()
            return Outcome(cell.name, "found", found.content)
        if found is not None:
            store.discard(cell.name)  # made from parents that have changed since
        import_user_code(context.imports)
        adopt(context.registered)
        started = time.monotonic()
        with configured(context.device, context.threads):
            make = make_training if cell.is_training else make_mask
            with store_errors(store.root):
                made = make(cell, context, store, claim.folder)
        seconds = time.monotonic() - started
        return _commit(cell, contents, context, store, claim, made, seconds)
    except Stopped:
        claim.release()
        return Outcome(cell.name, "stopped")
    except LotteryError as error:
        claim.release()
        return Outcome(cell.name, "failed", message=str(error))
    except Exception as error:
        _leave_traceback(claim.folder)
        claim.release()
        where = claim.folder / "traceback.txt"
        kind = type(error).__name__
        return Outcome(cell.name, "failed", message=f"{kind}: {error} (traceback in {where})")
    except BaseException:
        claim.release()
        raise


def _commit(
    cell: Cell,
    contents: Mapping[str, str],
    context: Context,
    store: Store,
    claim: Claim,
    made: Made,
    seconds: float,
) -> Outcome:
    files, results, how = made
    record = CellRecord.of(cell.name, cell.inputs, contents, files, results)
    drops_weights = context.keep == "needed" and cell.is_training and not cell.feeds_mask
    not_kept = [WEIGHTS] if drops_weights else []
    kept = {name: data for name, data in files.items() if name not in not_kept}
    execution = _execution(context, seconds) | how | ({"not_kept": not_kept} if not_kept else {})
    store.commit(claim, record, kept, execution)
    return Outcome(cell.name, "made", record.content)


def _execution(context: Context, seconds: float) -> dict[str, Any]:
    return {
        "device": _device_name(context.device),
        "threads": context.threads,
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


def _leave_traceback(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "traceback.txt").write_text(traceback.format_exc())
