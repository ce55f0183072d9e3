"""What it costs that a mask moves: a training with SET or RigL beside one whose mask stays.

    python benchmarks/bench_moving.py --data-dir DATA

All three are sparse from the first step, with as many weights in each layer, and are executed by
the same rule. The masks move every 100 steps in the first three quarters, as Evci et al. have it;
the ratio is that of the whole training, of CPU time, to the one that stays.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from bench_epoch import rows_of
from measure import Rows, arguments, in_turns, report

from lottery_ticket.data import DataSet, load_dataset
from lottery_ticket.masks import PruningMask, budget
from lottery_ticket.models import build
from lottery_ticket.pruning import Target, made_policy
from lottery_ticket.train import Batches, TrainState, make_optimizer, step_for, train

DENSITIES = (0.2, 0.1, 0.05, 0.02, 0.01)
STEPS, EVERY = 1000, 100


def training(data: DataSet, policy_name: str, density: float, kernels: str) -> Callable[[], None]:
    """A training of LeNet-300-100 with a mask of so many weights."""

    def run() -> None:
        model = build("LeNet300", 0)
        optimizer = make_optimizer("sgd", model.parameters(), lr=0.01, momentum=0.9)
        dense = PruningMask(model)
        shapes = {name: tuple(kept.shape) for name, kept in dense.items()}
        keep = budget(shapes, scope="global", density=density)
        options = {} if policy_name == "static" else {"every_steps": EVERY}
        policy = made_policy(policy_name, Target(keep, dense.num_prunable, 0, STEPS), options)
        state = TrainState(model, optimizer, mask=dense)
        state.ask_(policy, seed=0)
        batches = Batches(data.train, 64, order_seed=0)
        execution = step_for(
            model, optimizer, state.mask or dense, batches, loss=F.cross_entropy, kernels=kernels
        )
        train(
            state, execution, batches, loss=F.cross_entropy, total_steps=STEPS,
            learning_rate=lambda step: 0.01, evaluate_every=2 * STEPS, evaluation_splits={},
            policy=policy,
        )  # fmt: skip

    return run


def main() -> None:
    options = arguments(__doc__, data_dir=None, kernels="auto")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data = load_dataset("mnist", data_dir=options.data_dir)
    rows: Rows = []
    for density in DENSITIES:
        trainings = {
            name: training(data, name, density, options.kernels)
            for name in ("static", "set", "rigl")
        }
        seconds = in_turns(trainings, options.repeats, clock=time.process_time)
        rows += rows_of(seconds, "static", density=density)
    report("bench_moving", rows, options.out, steps=STEPS, batch_size=64)


if __name__ == "__main__":
    main()
