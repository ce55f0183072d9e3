"""From how many weights a dense linear layer is quicker in bf16: what `HALF_FROM` says.

    python benchmarks/bench_bf16.py

Forward, gradients by weights and by inputs of one layer, in bf16 against float32, in turns; CPU
time of one thread. A ratio below 1 means that bf16 is quicker. Rounding the weights is not counted:
the optimiser does it while it has them at hand.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from measure import Rows, arguments, in_turns, report
from torch import nn

from lottery_ticket.train.direct.chain import ChainLayer
from lottery_ticket.train.direct.flat import FlatParameters
from lottery_ticket.train.direct.layers import HALF_FROM, Array, DenseLayer, HalfLayer
from lottery_ticket.train.direct.layout import layouts_of

SHAPES = ((100, 300), (200, 300), (256, 256), (300, 300), (200, 784), (300, 784), (1024, 1024))
NUM_STEPS = 20


def steps_of(made: type[DenseLayer], shape: tuple[int, int], batch_size: int) -> Callable[[], None]:
    """Some forward and backward passes of a layer (outputs, inputs)."""
    num_outputs, num_inputs = shape
    (layout,) = layouts_of([torch.ones(shape, dtype=torch.bool)], sparse=False)
    spec = ChainLayer("weight", "bias", "relu")
    parameters = dict(nn.Linear(num_inputs, num_outputs).named_parameters())
    layer = made(spec, layout, FlatParameters([spec], [layout], parameters), "relu")
    x, below = (Array(num_inputs, batch_size) for _ in range(2))
    y, g = (Array(num_outputs, batch_size) for _ in range(2))
    x.tensor.uniform_()
    g.tensor.normal_()

    def steps() -> None:
        for _ in range(NUM_STEPS):
            layer.forward(x, y)
            layer.backward(x, g, below)

    return steps


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows: Rows = []
    num_turns = 4 * options.repeats  # they are short
    for shape in SHAPES:
        row = {"outputs": shape[0], "inputs": shape[1], "weights": shape[0] * shape[1]}
        for batch_size in (64, 128):
            things = {
                "fp32": steps_of(DenseLayer, shape, batch_size),
                "bf16": steps_of(HalfLayer, shape, batch_size),
            }
            seconds = in_turns(things, num_turns, clock=time.process_time)
            pairs = zip(seconds["bf16"], seconds["fp32"], strict=True)
            row[f"batch {batch_size}"] = median(half / full for half, full in pairs)
        rows.append(row | {"n": num_turns})
    report("bench_bf16", rows, options.out, half_from=HALF_FROM)


if __name__ == "__main__":
    main()
