"""What `mask.attach` costs per step: `python benchmarks/bench_attach.py [MINUTES]`.

Full training steps (forward, backward, optimiser) of the same net at 90 % sparsity: without a mask,
with one by hand (`p.grad.mul_(mask)` after each `backward`, the least that holds zeros), attached,
and attached with pruned weights frozen to their values (`freeze_to=True`), in turns, so that all
see the same noise of the machine. Time is that of the CPU (of this process, all threads). A ratio
is the median of those of the rounds.

AdamW that is not fused takes a root of each second moment, and torch's takes many times as long for
exact zeros on some CPUs (here about 15 times on an AMD EPYC): that is the zeros', not the hooks'.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.pruning import prune

SGD, ADAM_W, FUSED = "SGD, momentum", "AdamW", "AdamW, fused"
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    SGD: lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=1e-4),
    ADAM_W: lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01),
    FUSED: lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01, fused=True),
}
MLP = ("LeNet300", {"hidden": [1000, 200]})
NETS = [  # name, of the model, options, shape of a batch, steps in a round, optimiser
    ("LeNet-300-100, 0.27 M, batch 60", "LeNet300", {}, (60, 784), 20, SGD),
    ("784-1000-200-10, 0.99 M, batch 128", *MLP, (128, 784), 5, SGD),
    ("784-1000-200-10, 0.99 M, batch 128", *MLP, (128, 784), 5, FUSED),
    ("784-1000-200-10, 0.99 M, batch 128", *MLP, (128, 784), 5, ADAM_W),
    ("784-1000-200-10, 0.99 M, batch 512", *MLP, (512, 784), 2, FUSED),
    ("ResNet-18 (CIFAR), 11 M, batch 32", "ResNet18", {"stem": "cifar"}, (32, 3, 32, 32), 1, SGD),
]
WAYS = ("plain", "by hand", "attached", "frozen")


def steps_of(net: tuple[Any, ...], way: str) -> Callable[[], None]:
    """A function that makes the steps of a round, in one of the ways."""
    _, name, options, shape, num_steps, kind = net
    torch.manual_seed(0)
    model = build(name, 0, num_classes=10, **options)
    optimizer = OPTIMIZERS[kind](model.parameters())
    mask = prune(model, PruningMask(model), sparsity=0.9) if way != "plain" else {}
    if isinstance(mask, PruningMask) and way != "by hand":
        mask.attach(model, optimizer, freeze_to=way == "frozen")
        mask = {}
    named = dict(model.named_parameters())
    by_hand = [(named[name], kept.float()) for name, kept in mask.items()]
    x, y = torch.randn(shape), torch.randint(10, shape[:1])

    def run() -> None:
        for _ in range(num_steps):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x), y).backward()
            for parameter, kept in by_hand:
                assert parameter.grad is not None
                parameter.grad.mul_(kept)
            optimizer.step()

    return run


def rounds(runs: list[Callable[[], None]], seconds: float) -> list[list[float]]:
    """CPU seconds of each, in turns: one list for each round."""
    for run in runs:
        run()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        times.append([])
        for run in runs:
            started = time.process_time()
            run()
            times[-1].append(time.process_time() - started)
    return times


def main() -> None:
    """Print a line for each net and number of threads."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    torch.set_flush_denormal(True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads at most, 90 % sparsity")
    ratios = "".join(f"{way:>10}" for way in WAYS[1:])
    print(f"{'net':<36} {'optimiser':<14} {'threads':>7} {'plain':>11}{ratios} {'rounds':>7}")
    combinations = [(net, n) for net in NETS for n in sorted({1, torch.get_num_threads()})]
    for net, num_threads in combinations:
        torch.set_num_threads(num_threads)
        found = rounds([steps_of(net, way) for way in WAYS], minutes * 60 / len(combinations))
        label, *_, num_steps, kind = net
        plain = statistics.median(each[0] for each in found) / num_steps
        others = range(1, len(WAYS))
        ratios = [statistics.median(each[i] / each[0] for each in found) for i in others]
        columns = "".join(f"{ratio:>10.3f}" for ratio in ratios)
        head = f"{label:<36} {kind:<14} {num_threads:>7}"
        print(f"{head} {1000 * plain:>8.3f} ms{columns} {len(found):>7}", flush=True)


if __name__ == "__main__":
    main()
