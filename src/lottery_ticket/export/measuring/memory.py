"""How much memory a form takes at its peak, in a process of its own."""

import re
from pathlib import Path

import torch

from lottery_ticket.experiment import sent_by_value
from lottery_ticket.export._format import Format
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.process import worker_pool

__all__ = ["peak_memory"]

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(
    row: Format, path: Path, pruned: PrunedModel, threads: int, batch: int
) -> int | None:
    """Bytes that loading and running a file add to a fresh process, which has its runtime already.

    A net of one layer is loaded and run first, so that what the runtime takes is not counted: what
    it is compiled or followed with included.

    Args:
        row: the file's format.
        path: the file.
        pruned: the model it was written from.
        threads: CPU threads.
        batch: examples that are run at once.

    Returns:
        None where the platform does not tell (only Linux does).
    """
    # a few inputs instead of the data, which would be sent along
    light = PrunedModel(pruned.model, pruned.mask, pruned.trial(batch))
    small, file = _one_layer(row), path.with_name(f"one-layer-{path.name}")
    if small is not None:
        small = row.prepare(small)
        row.write(small, file)
    with sent_by_value(), worker_pool(1, threads) as pool:
        return pool.submit(_added, row, path, light, threads, small, file).result()


def _one_layer(row: Format) -> PrunedModel | None:
    """A small net in this format, None where it has none."""
    # nothing is drawn: whoever measures keeps the state of random numbers
    layer = torch.nn.Linear(256, 256, bias=False, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.eye(256))  # 2:4, and executed faster sparsely
    x = torch.ones(2, 256)
    # torch follows shapes through a ReLU, as through most, with parts that it loads for that
    net = torch.nn.Sequential(layer, torch.nn.ReLU())
    pruned = PrunedModel.of(net, x, calibration=x)
    return pruned if row.fits(pruned) else None


def _added(
    row: Format,
    path: Path,
    pruned: PrunedModel,
    threads: int,
    small: PrunedModel | None,
    file: Path,
) -> int | None:
    torch.set_num_threads(threads)
    try:
        if small is not None:
            _run(row, file, small, threads)
        _REFERENCES.write_text("5")  # the peak begins anew
        before = _kilobytes("VmRSS")
        _run(row, path, pruned, threads)
        return max(0, _kilobytes("VmHWM") - before) * 1024
    except (OSError, LookupError):
        return None


def _run(row: Format, path: Path, pruned: PrunedModel, threads: int) -> None:
    run = row.load(path, pruned, threads)
    with torch.inference_mode():
        for _ in range(3):
            run(pruned.inputs)


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.M)
    if found is None:
        raise LookupError(name)
    return int(found[1])
