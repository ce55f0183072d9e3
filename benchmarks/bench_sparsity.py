"""An epoch's time against density, at the masks of a real run.

    lottery run lenet-mnist --set replicates=1
    python benchmarks/bench_sparsity.py --data-dir DATA --store lottery_runs

LeNet-300-100 at the ticket's masks of the stored run: random masks of the same density would have
other dead units. Conv-4 and ResNet-20 at masks made of their initial weights by magnitude under
ERK. Each density is measured in turns with the dense net.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from measure import Rows, arguments, in_turns, report, spread

from lottery_ticket.api import load_run
from lottery_ticket.data import DataSet, Split, load_dataset
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.pruning import prune
from lottery_ticket.train import Batches, make_optimizer, step_for

LEVELS = (0, 1, 3, 5, 8, 10, 13, 15, 18, 20)
DENSITIES = (1.0, 0.5, 0.2, 0.1, 0.035, 0.0115)


def masks_of_run(store: Path, run: str) -> dict[int, PruningMask]:
    """Level → the ticket's mask, of replicate 0."""
    result = load_run(run, store=store)
    masks = {}
    for row in result.record.rows:
        if row.arm == "ticket" and row.replicate == 0 and row.mask is not None:
            record = result.store.get(row.mask)
            assert record is not None
            content = result.store.read(record, "mask.safetensors")
            masks[row.level] = PruningMask.from_bytes(content, row.mask)
    return masks


def epoch_of(
    model_name: str,
    options: Mapping[str, object],
    split: Split,
    mask: PruningMask | None,
    *,
    batch_size: int,
    num_steps: int | None,
    kernels: str = "auto",
    precision: str = "fp32",
) -> Callable[[], None]:
    """An epoch, or the first steps of one."""
    model = build(model_name, 0, **options)
    if mask is not None:
        mask.apply(model)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.01, momentum=0.9)
    batches = Batches(split, batch_size, order_seed=0)
    step = step_for(
        model, optimizer, mask or {}, batches, loss=F.cross_entropy, kernels=kernels,
        precision=precision,
    )  # fmt: skip

    def epoch() -> None:
        for number, batch in enumerate(batches.order(0)):
            if number == num_steps:
                return
            step(batch, 0.01)

    return epoch


def lenet_rows(data: DataSet, masks: Mapping[int, PruningMask], repeats: int) -> Rows:
    """Ours, and masked dense autograd, both against our own dense epoch."""
    rows: Rows = []
    common = {"batch_size": 64, "num_steps": None}
    dense = epoch_of("LeNet300", {}, data.train, None, **common)
    for level in (level for level in LEVELS if level in masks or level == 0):
        mask = masks.get(level)
        things = {
            "dense": dense,
            "ours": epoch_of("LeNet300", {}, data.train, mask, **common),
            "masked autograd": epoch_of(
                "LeNet300", {}, data.train, mask, kernels="autograd", **common
            ),
        }
        seconds = in_turns(things, repeats)
        density = 1.0 if mask is None else mask.density
        for name in ("ours", "masked autograd"):
            rows.append(_row("LeNet-300-100", density, name, seconds[name], seconds["dense"]))
    return rows


def conv_rows(name: str, options: Mapping[str, object], repeats: int, num_steps: int) -> Rows:
    """Convolutions run dense at every density: their time must not rise."""
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(128 * num_steps, 3, 32, 32, generator=stream)
    split = Split(x, torch.randint(10, (len(x),), generator=stream))
    model = build(name, 0, **options)
    common = {"batch_size": 128, "num_steps": num_steps}
    dense = epoch_of(name, options, split, None, **common)
    rows: Rows = []
    for density in DENSITIES:
        mask = None
        if density < 1:  # by ERK: a global threshold on initial weights empties whole layers
            mask = prune(model, PruningMask(model), density=density, scope="erk")
        ours = epoch_of(name, options, split, mask, **common)
        seconds = in_turns({"dense": dense, "ours": ours}, repeats)
        rows.append(
            _row(f"{name}, {num_steps} steps", density, "ours", seconds["ours"], seconds["dense"])
        )
    return rows


def _row(
    net: str, density: float, loop: str, seconds: list[float], dense: list[float]
) -> dict[str, object]:
    ratios = sorted(a / b for a, b in zip(seconds, dense, strict=True))
    return {
        "net": net, "density": density, "loop": loop, **spread(seconds),
        "ratio to dense": ratios[len(ratios) // 2],
    }  # fmt: skip


def main() -> None:
    options = arguments(__doc__, data_dir=None, store="lottery_runs", run="last", conv_steps=10)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    masks = masks_of_run(Path(options.store), options.run)
    rows = lenet_rows(load_dataset("mnist", data_dir=options.data_dir), masks, options.repeats)
    if options.conv_steps:
        for name in ("Conv4", "ResNet20"):
            rows += conv_rows(name, {"num_classes": 10}, options.repeats, options.conv_steps)
    report("bench_sparsity", rows, options.out, run=options.run, batch=64, threads=1)


if __name__ == "__main__":
    main()
