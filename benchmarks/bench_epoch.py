"""An epoch of LeNet-300-100 on MNIST, by the loops people write and by ours.

    python benchmarks/bench_epoch.py --data-dir DATA

`bound` is the epoch's matrix products alone, at the rate the machine has at that moment. Two
processes share the machine as two cells of an experiment do; their time is that of both epochs
together, halved. Ratios are to the bound of the same row group.
"""

import multiprocessing
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from conventional import Images, LeNet, train_epoch
from measure import Rows, arguments, in_turns, report, spread
from torch.utils.data import DataLoader, TensorDataset

from lottery_ticket.data import DataSet, load_dataset
from lottery_ticket.models import build
from lottery_ticket.train import Batches, make_optimizer, step_for

BATCH_SIZES = (60, 64, 128)


def conventional(data: DataSet, batch_size: int) -> Callable[[], None]:
    """An image at a time."""
    pixels = ((data.train.x[:, 0] * 0.3081 + 0.1307) * 255).round().to(torch.uint8)
    loader = DataLoader(Images(pixels.numpy(), data.train.y.numpy()), batch_size, shuffle=True)
    model = LeNet()
    return lambda: train_epoch(model, loader)


def tensor_dataset(data: DataSet, batch_size: int) -> Callable[[], None]:
    """Tensors, collated by a loader."""
    loader = DataLoader(TensorDataset(data.train.x, data.train.y), batch_size, shuffle=True)
    model = LeNet()
    return lambda: train_epoch(model, loader)


def ours(
    data: DataSet, batch_size: int, kernels: str = "auto", precision: str = "fp32"
) -> Callable[[], None]:
    """Our steps."""
    model = build("LeNet300", 0)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.01, momentum=0.9)
    batches = Batches(data.train, batch_size, order_seed=0)
    step = step_for(
        model, optimizer, {}, batches, loss=F.cross_entropy, kernels=kernels, precision=precision
    )

    def epoch() -> None:
        for batch in batches.order(0):
            step(batch, 0.01)

    return epoch


def bound(batch_size: int, num_examples: int) -> Callable[[], None]:
    """The products of an epoch's steps: forward, by weights, by inputs but the first."""
    widths = (784, 300, 100, 10)
    sizes = list(pairwise(widths))
    x = [torch.randn(width, batch_size) for width in widths]
    weights = [torch.randn(out, into) for into, out in sizes]
    gradients = [torch.empty_like(weight) for weight in weights]
    outs = [torch.empty_like(value) for value in x]

    def epoch() -> None:
        for _ in range(-(-num_examples // batch_size)):
            for depth, weight in enumerate(weights):
                torch.mm(weight, x[depth], out=outs[depth + 1])
                torch.mm(outs[depth + 1], x[depth].t(), out=gradients[depth])
                if depth:
                    torch.mm(weight.t(), outs[depth + 1], out=outs[depth])

    return epoch


def _worker(pipe: Any, data_dir: str | None, kind: str, batch_size: int, precision: str) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data = load_dataset("mnist", data_dir=data_dir)
    epoch = (
        bound(batch_size, len(data.train))
        if kind == "bound"
        else ours(data, batch_size, kind, precision)
    )
    while pipe.recv():
        epoch()
        pipe.send(True)


class InTwoProcesses:
    """The same epoch in two one-thread processes at once."""

    def __init__(
        self, data_dir: str | None, kind: str, batch_size: int, precision: str = "fp32"
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        for _ in range(2):
            here, there = context.Pipe()
            context.Process(
                target=_worker, args=(there, data_dir, kind, batch_size, precision), daemon=True
            ).start()
            self._pipes.append(here)

    def __call__(self) -> None:
        for pipe in self._pipes:
            pipe.send(True)
        for pipe in self._pipes:
            pipe.recv()

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send(False)


def rows_of(
    seconds: dict[str, list[float]], reference: str, share: float = 1.0, **where: Any
) -> Rows:
    """A row per loop, with its ratio to `reference`, turn by turn."""
    rows = []
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds[reference], strict=True)]
        measured = spread([share * value for value in values])
        rows.append({**where, "loop": name, **measured, "ratio": float(np.median(ratios))})
    return rows


def main() -> None:
    options = arguments(__doc__, data_dir=None)
    data = load_dataset("mnist", data_dir=options.data_dir)
    torch.set_flush_denormal(True)
    rows: Rows = []
    for batch_size in BATCH_SIZES:
        loops = {
            "conventional": conventional(data, batch_size),
            "TensorDataset": tensor_dataset(data, batch_size),
            "ours, autograd": ours(data, batch_size, "autograd"),
            "ours": ours(data, batch_size),
            "ours, bf16": ours(data, batch_size, precision="bf16"),
            "bound": bound(batch_size, len(data.train)),
        }
        for num_threads in (1, 2):
            torch.set_num_threads(num_threads)
            seconds = in_turns(loops, options.repeats)
            rows += rows_of(seconds, "bound", batch=batch_size, processes=1, threads=num_threads)
        pairs = {
            "ours, autograd": InTwoProcesses(options.data_dir, "autograd", batch_size),
            "ours": InTwoProcesses(options.data_dir, "auto", batch_size),
            "ours, bf16": InTwoProcesses(options.data_dir, "auto", batch_size, "bf16"),
            "bound": InTwoProcesses(options.data_dir, "bound", batch_size),
        }
        seconds = in_turns(pairs, options.repeats)
        rows += rows_of(seconds, "bound", 0.5, batch=batch_size, processes=2, threads=1)
        for pair in pairs.values():
            pair.close()
    report("bench_epoch", rows, options.out)


if __name__ == "__main__":
    main()
