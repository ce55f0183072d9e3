"""Steps of nets with convolutions: compiled, in bf16, and what their linear layers take.

    python benchmarks/bench_nets.py

One step of SGD with momentum as a cell makes it, against the same step with the model compiled by
`torch.compile`, in bf16, and both; CPU time, one thread. `compile seconds` is what the first
compiled step takes. `linear` and `convolutions` are shares of a step's own time in each precision
(torch.profiler, self CPU time): the rest passes over memory and gains from bf16 only in its size.
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
        things = {"fp32": stepper(net), "bf16": stepper(net, precision="bf16")}
        compile_seconds = {}
        for precision in ("fp32", "bf16"):
            name = f"compiled, {precision}"
            things[name] = stepper(net, is_compiled=True, precision=precision)
            started = time.perf_counter()
            things[name]()
            compile_seconds[name] = time.perf_counter() - started
        seconds = in_turns(things, options.repeats, clock=time.process_time)
        for name, taken in seconds.items():
            ratios = sorted(t / e for t, e in zip(taken, seconds["fp32"], strict=True))
            row = {"net": net, "step": name, **spread(taken), "ratio": ratios[len(ratios) // 2]}
            if name in compile_seconds:
                rows.append(row | {"compile seconds": compile_seconds[name]})
            else:
                rows.append(row | shares(things[name]))
    report("bench_nets", rows, options.out)


if __name__ == "__main__":
    main()
