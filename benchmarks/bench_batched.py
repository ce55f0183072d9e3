"""R replicates trained as one batch: throughput per replicate against R = 1.

    python benchmarks/bench_batched.py --device cuda

LeNet-300-100 at 20 % density, batch 64, on random images; R = 1 both as a batch of one and in the
way that a single cell is executed.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from measure import Rows, arguments, in_turns, report, spread

from lottery_ticket.data import Split
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.pruning import prune
from lottery_ticket.train import (
    BatchedStep,
    Batches,
    TrainState,
    make_optimizer,
    step_for,
)

SIZES = (1, 4, 16, 64)


def make(parameters):
    """The optimiser of all."""
    return make_optimizer("sgd", parameters, lr=0.01, momentum=0.9)


def parts(size: int, split: Split, device: str):
    """Trainings of their own initial weights, masks and orders."""
    states, masks, batches = [], [], []
    for seed in range(size):
        model = build("LeNet300", seed)
        mask = prune(model, PruningMask(model), density=0.2)
        mask.apply(model)
        model.to(device)
        states.append(TrainState(model, make(model.parameters())))
        masks.append(mask)
        batches.append(Batches(split, 64, order_seed=seed))
    return states, masks, batches


def steps_together(size: int, split: Split, device: str) -> Callable[[], None]:
    """An epoch of `size` trainings as one."""
    states, masks, batches = parts(size, split, device)
    step = BatchedStep(states, masks, batches, loss=F.cross_entropy, make_optimizer=make)

    def epoch() -> None:
        for group in zip(*(each.order(0) for each in batches), strict=True):
            step(group, 0.01)
        synchronize(device)

    return epoch


def steps_alone(split: Split, device: str) -> Callable[[], None]:
    """An epoch of one training, as a cell is executed."""
    (state,), (mask,), (batches,) = parts(1, split, device)
    step = step_for(state.model, state.optimizer, mask, batches, loss=F.cross_entropy)

    def epoch() -> None:
        for batch in batches.order(0):
            step(batch, 0.01)
        synchronize(device)

    return epoch


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main() -> None:
    options = arguments(__doc__, device="cpu", examples=6400, threads=1)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(options.examples, 784, generator=stream)
    split = Split(x, torch.randint(10, (len(x),), generator=stream)).to(options.device)
    things = {"one, as a cell": steps_alone(split, options.device)}
    things |= {str(size): steps_together(size, split, options.device) for size in SIZES}
    seconds = in_turns(things, options.repeats)
    alone = seconds["one, as a cell"]
    rows: Rows = []
    for name, values in seconds.items():
        size = 1 if name not in map(str, SIZES) else int(name)
        ratios = sorted(v / a for v, a in zip(values, alone, strict=True))
        times = ratios[len(ratios) // 2]
        rows.append(
            {
                "replicates": name, **spread(values), "time of one": times,
                "throughput per replicate": size / times,
            }
        )  # fmt: skip
    report(
        "bench_batched", rows, options.out, device=options.device, threads=options.threads,
        steps=-(-options.examples // 64),
    )  # fmt: skip


if __name__ == "__main__":
    main()
