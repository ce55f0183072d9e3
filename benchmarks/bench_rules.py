"""From which density a linear layer is quicker in CSR: what `SPARSE_BELOW` and `SPARSE_UP_TO` say.

    python benchmarks/bench_rules.py

Forward, gradients by weights (masked) and by inputs of one layer, dense against CSR, in turns, at
random masks; one thread. A ratio below 1 means that CSR is quicker.
"""

from collections.abc import Callable
from statistics import median

import torch
from measure import Rows, arguments, in_turns, report
from torch import nn

from lottery_ticket.train.direct.chain import ChainLayer
from lottery_ticket.train.direct.flat import FlatParameters
from lottery_ticket.train.direct.layers import Array, layer_of
from lottery_ticket.train.direct.layout import SPARSE_BELOW, SPARSE_UP_TO, layouts_of

SHAPES = ((10, 100), (50, 100), (100, 300), (300, 784), (1024, 1024), (256, 4096))
DENSITIES = (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)


def layer_steps(mask: torch.Tensor, batch_size: int, *, sparse: bool) -> Callable[[], None]:
    """Some forward and backward passes."""
    (layout,) = layouts_of([mask], sparse=sparse)
    spec = ChainLayer("weight", "bias", "relu")
    parameters = dict(nn.Linear(mask.shape[1], mask.shape[0]).named_parameters())
    flat = FlatParameters([spec], [layout], parameters)
    layer = layer_of(spec, layout, flat, "relu", "fp32")
    x, below = (Array(layer.num_inputs, batch_size) for _ in range(2))
    y, g = (Array(layer.num_outputs, batch_size) for _ in range(2))
    x.tensor.uniform_()
    g.tensor.normal_()
    num_steps = max(1, 20_000_000 // (mask.numel() * batch_size))

    def steps() -> None:
        for _ in range(num_steps):
            layer.forward(x, y)
            layer.backward(x, g, below)

    return steps


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows: Rows = []
    num_turns = 4 * options.repeats  # they are short
    for num_outputs, num_inputs in SHAPES:
        for batch_size in (64, 128):
            row = {
                "outputs": num_outputs,
                "inputs": num_inputs,
                "batch": batch_size,
                "n": num_turns,
            }
            for density in DENSITIES:
                stream = torch.Generator().manual_seed(0)
                mask = torch.rand(num_outputs, num_inputs, generator=stream) < density
                things = {
                    str(sparse): layer_steps(mask, batch_size, sparse=sparse)
                    for sparse in (False, True)
                }
                seconds = in_turns(things, num_turns)
                pairs = zip(seconds["True"], seconds["False"], strict=True)
                row[f"{density:.0%}"] = median(sparse / dense for sparse, dense in pairs)
            rows.append(row)
    report("bench_rules", rows, options.out, sparse_below=SPARSE_BELOW, sparse_up_to=SPARSE_UP_TO)


if __name__ == "__main__":
    main()
