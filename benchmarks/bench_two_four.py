"""2:4 against dense linear layers on a GPU with sparse tensor cores, over a range of shapes.

    python benchmarks/bench_two_four.py

Each row is `nn.Linear(inputs, outputs)` in half precision under `torch.inference_mode`, dense and
as `to_semi_structured` makes it, in turns. `ratio` is dense / 2:4, the median over turns: below 1
the sparse form is slower, and `slower` says so. `difference` is the largest of the outputs, beside
the largest output. Without such a GPU there is nothing to measure, and that is what it prints.
"""

from collections.abc import Callable
from statistics import median

import torch
from measure import Rows, arguments, in_turns, report
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.export import to_semi_structured
from lottery_ticket.pruning import Structured24Pruner

# (outputs, inputs): small nets, the classifier of Conv-4, and transformers of some sizes
SHAPES = (
    *((64, 64), (256, 256), (256, 8192), (768, 768), (3072, 768), (768, 3072)),
    *((1024, 1024), (4096, 1024), (4096, 4096), (14336, 4096), (4096, 14336), (8192, 8192)),
)
BATCHES = (1, 64, 256, 1024, 4096)
DTYPES = (torch.float16, torch.bfloat16)
STEPS = 20  # in a turn, so that the clock is not what is measured


def forward(layer: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Some forward passes, the last of which has ended when it returns."""

    @torch.inference_mode()
    def passes() -> None:
        for _ in range(STEPS):
            layer(x)
        torch.cuda.synchronize()

    return passes


def measured(shape: tuple[int, int], dtype: torch.dtype, repeats: int) -> Rows:
    """A row for each batch size."""
    outputs, inputs = shape
    dense = nn.Linear(inputs, outputs)
    Structured24Pruner().prune_model(dense)
    dense = dense.to("cuda", dtype).eval()
    sparse = to_semi_structured(dense)
    rows: Rows = []
    for batch in BATCHES:
        x = torch.randn(batch, inputs, device="cuda", dtype=dtype)
        things = {"dense": forward(dense, x), "2:4": forward(sparse, x)}
        seconds = in_turns(things, repeats)
        pairs = zip(seconds["dense"], seconds["2:4"], strict=True)
        ratio = median(one / other for one, other in pairs)
        with torch.inference_mode():
            wanted, found = dense(x), sparse(x)
        rows.append(
            {
                "outputs": outputs,
                "inputs": inputs,
                "batch": batch,
                "dtype": str(dtype).removeprefix("torch."),
                "n": repeats,
                "dense (µs)": 1e6 * median(seconds["dense"]) / STEPS,
                "2:4 (µs)": 1e6 * median(seconds["2:4"]) / STEPS,
                "ratio": ratio,
                "slower": "slower" if ratio < 1 else "",
                "difference": float((wanted - found).abs().max()),
                "largest": float(wanted.abs().max()),
            }
        )
    return rows


def main() -> None:
    options = arguments(__doc__)
    if not torch.cuda.is_available():
        print("bench_two_four: no CUDA device is found here, so there is nothing to measure")
        return
    rows: Rows = []
    for dtype in DTYPES:
        for shape in SHAPES:
            try:
                rows += measured(shape, dtype, options.repeats)
            except UsageError as error:  # a shape that this library of PyTorch's cannot take
                print(error)
    report("bench_two_four", rows, options.out)


if __name__ == "__main__":
    main()
