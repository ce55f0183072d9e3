"""Exact global selection of 80 % of n weights: ours, `torch.nn.utils.prune`, and a sort.

    python benchmarks/bench_select.py

Each way runs in a process of its own, which reports its seconds and by how much its peak of
resident memory grew over what it held before, in bytes per weight (the weights are 4, scores 4).
"""

import json
import resource
import subprocess
import sys
import time

import torch
from measure import Rows, arguments, report, spread
from torch import nn
from torch.nn.utils import prune

from lottery_ticket.masks import Budget, PruningMask, select

SIZES = (10**5, 10**6, 10**7, 138_000_000)
WAYS = ("ours", "global_unstructured", "sort")


class Layers(nn.Module):
    """Eight layers of n / 8 weights."""

    def __init__(self, num_weights: int) -> None:
        super().__init__()
        for i in range(8):
            self.register_parameter(f"w{i}", nn.Parameter(torch.randn(num_weights // 8)))


def keep_80_percent(way: str, model: Layers) -> None:
    """From the weights to masks."""
    weights = dict(model.named_parameters())
    num_weights = sum(weight.numel() for weight in weights.values())
    if way == "global_unstructured":
        pairs = [(model, name) for name in weights]
        prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=0.2)
        return
    scores = {name: weight.detach().abs() for name, weight in weights.items()}
    if way == "ours":
        ones = {name: torch.ones(s.shape, dtype=torch.bool) for name, s in scores.items()}
        select(scores, PruningMask.from_tensors(ones), Budget(round(0.8 * num_weights)))
        return
    ordered = torch.cat(list(scores.values())).sort(stable=True, descending=True)
    mask = torch.zeros(num_weights, dtype=torch.bool)
    mask[ordered.indices[: round(0.8 * num_weights)]] = True


def measured(way: str, num_weights: int, num_threads: int) -> tuple[float, float]:
    """Seconds and extra bytes per weight of one selection, in this process."""
    torch.set_num_threads(num_threads)
    keep_80_percent(way, Layers(8000))  # what is loaded at first use
    model = Layers(num_weights)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    keep_80_percent(way, model)
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    extra = unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / num_weights
    return seconds, extra


def main() -> None:
    options = arguments(__doc__, largest=SIZES[-1], threads=1, alone="")
    if options.alone:
        way, size = options.alone.split()
        print(json.dumps(measured(way, int(size), options.threads)))
        return
    rows: Rows = []
    for size in (size for size in SIZES if size <= options.largest):
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way in WAYS:
                command = [
                    sys.executable, __file__, "--alone", f"{way} {size}",
                    "--threads", str(options.threads),
                ]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[way].append(tuple(json.loads(done.stdout)))
        for way in WAYS:
            seconds = [value for value, _ in found[way]]
            ratios = sorted(s / o for (s, _), (o, _) in zip(found[way], found["ours"], strict=True))
            rows.append(
                {
                    "weights": size, "way": way, **spread(seconds),
                    "times ours": ratios[len(ratios) // 2],
                    "extra bytes per weight": max(extra for _, extra in found[way]),
                }
            )  # fmt: skip
    report("bench_select", rows, options.out, threads=options.threads)


if __name__ == "__main__":
    main()
