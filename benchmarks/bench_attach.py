"""What `mask.attach` costs per step: `python benchmarks/bench_attach.py [MINUTES]`.

Full training steps (forward, backward, SGD with momentum) of the same net at 90 % sparsity, once
attached and once not, in turns, so that both see the same noise of the machine. The ratio is that
of the medians of the pairs' times.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.pruning import prune

NETS = {
    "LeNet-300-100, batch 60": ("LeNet300", {}, (60, 784), 20),
    "LeNet-300-100, batch 128": ("LeNet300", {}, (128, 784), 20),
    "ResNet-18 (CIFAR stem), batch 32": ("ResNet18", {"stem": "cifar"}, (32, 3, 32, 32), 1),
}


def steps_of(
    name: str, options: dict[str, object], shape: tuple[int, ...], num_steps: int, sparsity: float
) -> Callable[[], None]:
    """A function that makes `num_steps` steps, under a mask unless `sparsity` is 0."""
    model = build(name, 0, num_classes=10, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    mask = PruningMask(model)
    if sparsity:
        mask = prune(model, mask, sparsity=sparsity)
        mask.apply(model)
        mask.attach(model, optimizer)
    x, y = torch.randn(shape), torch.randint(10, shape[:1])

    def run() -> None:
        for _ in range(num_steps):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return run


def ratio(plain: Callable[[], None], attached: Callable[[], None], seconds: float) -> list[float]:
    """Times of alternating runs: [median plain, median attached, their ratio, number of pairs]."""
    for warm_up in (plain, attached):
        warm_up()
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for kept, run in zip(times, (plain, attached), strict=True):
            started = time.perf_counter()
            run()
            kept.append(time.perf_counter() - started)
    medians = [statistics.median(kept) for kept in times]
    return [*medians, medians[1] / medians[0], len(times[0])]


def main() -> None:
    """Print a line for each net and number of threads."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads at most, 90 % sparsity")
    print(f"{'net':<34} {'threads':>7} {'plain':>10} {'attached':>10} {'ratio':>7} {'pairs':>6}")
    combinations = [(net, n) for net in NETS for n in sorted({1, torch.get_num_threads()})]
    for net, num_threads in combinations:
        torch.set_num_threads(num_threads)
        name, options, shape, num_steps = NETS[net]
        plain, attached = (
            steps_of(name, options, shape, num_steps, sparsity) for sparsity in (0.0, 0.9)
        )
        seconds = minutes * 60 / len(combinations)
        plain_time, attached_time, times, pairs = ratio(plain, attached, seconds)
        ms = [1000 * value / num_steps for value in (plain_time, attached_time)]
        columns = f"{ms[0]:>7.3f} ms {ms[1]:>7.3f} ms {times:>7.3f} {pairs:>6}"
        print(f"{net:<34} {num_threads:>7} {columns}", flush=True)


if __name__ == "__main__":
    main()
