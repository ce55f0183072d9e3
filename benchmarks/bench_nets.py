"""Steps of nets with convolutions: compiled, in bf16, and what their linear layers take.

    python benchmarks/bench_nets.py

One step of SGD with momentum as a cell makes it, against the same step with the model compiled by
`torch.compile` and against the same step in bf16; CPU time, one thread. `compile seconds` is what
the first compiled step takes. `linear` and `convolutions` are shares of the fp32 step's arithmetic
(torch.profiler, self CPU time).
"""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from measure import Rows, arguments, in_turns, report, spread

from lottery_ticket.data import Split
from lottery_ticket.models import build
from lottery_ticket.train import AutogradStep, Batches, make_optimizer

NETS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], int]] = {
    "LeNet-5": ("LeNet5", {}, (1, 28, 28), 60),
    "Conv-2, as in the paper": ("Conv2", {"form": "paper"}, (3, 32, 32), 60),
    "Conv-4": ("Conv4", {}, (3, 32, 32), 128),
    "ResNet-20": ("ResNet20", {}, (3, 32, 32), 128),
}
LINEAR = ("aten::addmm", "aten::mm")


def stepper(net: str, *, is_compiled: bool = False, precision: str = "fp32") -> Callable[[], None]:
    """A function that makes one step."""
    name, options, shape, batch_size = NETS[net]
    model = build(name, seed=0, **options)
    stream = torch.Generator().manual_seed(0)
    split = Split(
        torch.randn(batch_size, *shape, generator=stream),
        torch.randint(10, (batch_size,), generator=stream),
    )
    batches = Batches(split, batch_size, order_seed=0)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.01, momentum=0.9)
    if is_compiled:
        model.compile(dynamic=False)
    step = AutogradStep(model, optimizer, None, batches, loss=F.cross_entropy, precision=precision)
    (batch,) = batches.order(0)

    def once() -> None:
        step(batch, 0.01)

    return once


def shares(once: Callable[[], None]) -> dict[str, float]:
    """Which part of a step's own CPU time each kind of layer takes."""
    with torch.profiler.profile() as profile:
        once()
    own = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    total = sum(own.values())
    return {
        "linear": sum(own.get(key, 0.0) for key in LINEAR) / total,
        "convolutions": sum(value for key, value in own.items() if "convolution" in key) / total,
    }


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows: Rows = []
    for net in NETS:
        eager = stepper(net)
        bf16 = stepper(net, precision="bf16")
        compiled = stepper(net, is_compiled=True)
        started = time.perf_counter()
        compiled()
        compile_seconds = time.perf_counter() - started
        things = {"fp32": eager, "bf16": bf16, "compiled": compiled}
        seconds = in_turns(things, options.repeats, clock=time.process_time)
        for name, taken in seconds.items():
            ratios = sorted(t / e for t, e in zip(taken, seconds["fp32"], strict=True))
            row = {"net": net, "step": name, **spread(taken), "ratio": ratios[len(ratios) // 2]}
            if name == "compiled":
                row["compile seconds"] = compile_seconds
            rows.append(row | (shares(eager) if name == "fp32" else {}))
    report("bench_nets", rows, options.out)


if __name__ == "__main__":
    main()
