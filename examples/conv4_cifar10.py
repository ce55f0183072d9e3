"""A winning ticket in Conv-4 on all 50,000 CIFAR-10 images, with the re-initialised control.

    python examples/conv4_cifar10.py --data-dir DATA --resume FOLDER

Three seeds, three epochs in each training. `DATA` holds CIFAR-10 in any layout; without it the
files are downloaded. A run that was stopped goes on from `FOLDER`. Model, loop and evaluation are
the user's own; the finder does the rest.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket import LotteryTicketFinder, PruningMask, TicketResults
from lottery_ticket.data import DataSet, load_dataset
from lottery_ticket.models import Conv4


class Loop:
    """The user's own training and evaluation: SGD with momentum and one learning-rate cycle."""

    def __init__(
        self, data: DataSet, epochs: int, lr: float, num_images: int | None, *, bf16: bool
    ) -> None:
        self.train_x, self.train_y = data.train.x[:num_images], data.train.y[:num_images]
        self.test_x, self.test_y = data.test.x[:num_images], data.test.y[:num_images]
        self.epochs, self.lr, self.batch_size, self.bf16 = epochs, lr, 128, bf16

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.train_x.device.type, torch.bfloat16, enabled=self.bf16)

    def train(self, model: nn.Module, mask: PruningMask) -> None:
        model.train().to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(
            model.parameters(), self.lr, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        steps = self.epochs * -(-len(self.train_x) // self.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(self.train_x)).split(self.batch_size):
                x, y = self.train_x[rows], self.train_y[rows]
                with self.autocast():
                    loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()

    @torch.no_grad()
    def accuracy(self, model: nn.Module) -> float:
        model.eval()
        with self.autocast():
            right = sum(
                int((model(x).argmax(1) == y).sum())
                for x, y in zip(self.test_x.split(1000), self.test_y.split(1000), strict=True)
            )
        return right / len(self.test_x)


def find(
    loop: Loop, model_class: type[nn.Module], device: str, seed: int, resume: Path | None
) -> TicketResults:
    finder = LotteryTicketFinder(
        model_class=model_class, model_kwargs={"num_classes": 10}, device=device, seed=seed
    )
    _, _, results = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        target_sparsity=0.9,
        pruning_rounds=4,
        verbose=True,
        resume=resume and resume / f"seed-{seed}",
    )
    finder.verify_random_ticket(loop.train, loop.accuracy)
    print(results, flush=True)
    return results


def shown(values: pd.Series) -> str:
    spread = f" ± {100 * values.std():.2f}" if len(values) > 1 else ""
    return f"{100 * values.mean():.2f}{spread} % (n = {len(values)})"


def report(tables: list[pd.DataFrame]) -> None:
    """Means over seeds, and the gaps paired by seed."""
    rows = {"dense": ("ticket", 0), "ticket": ("ticket", 4), "reinit": ("reinit", 4)}
    values = {
        name: pd.Series([t.set_index(["arm", "level"])["test_accuracy"][row] for t in tables])
        for name, row in rows.items()
    }
    for arm, column in values.items():
        print(f"{arm:<8}{shown(column)}")
    for arm in ("dense", "reinit"):
        gap = 100 * (values["ticket"] - values[arm])
        spread = f" ± {gap.std():.2f}" if len(gap) > 1 else ""
        print(f"ticket − {arm}: {gap.mean():+.2f}{spread} points")


def main(
    name: str = "cifar10",
    model_class: type[nn.Module] = Conv4,
    *,
    epochs: int = 3,
    lr: float = 0.05,
) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--epochs", type=int, default=epochs, help="per training")
    parser.add_argument("--bf16", action="store_true", help="autocast; for CPUs with AMX, and GPUs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--resume", type=Path, help="a folder to go on from after a stop")
    parser.add_argument("--num-images", type=int, help="use only so many, for a quick try")
    parser.add_argument("--out", type=Path, help="a CSV file for the tables of all seeds")
    options = parser.parse_args()
    data = load_dataset(name, data_dir=options.data_dir).to(options.device)
    loop = Loop(data, options.epochs, lr, options.num_images, bf16=options.bf16)
    started = time.monotonic()
    tables = [
        find(loop, model_class, options.device, seed, options.resume).table
        for seed in options.seeds
    ]
    report(tables)
    print(f"{time.monotonic() - started:.0f} s, torch {torch.__version__}, {options.device}")
    if options.out:
        # each seed is an independent search: a replicate
        pairs = zip(options.seeds, tables, strict=True)
        numbered = [table.assign(replicate=seed) for seed, table in pairs]
        pd.concat(numbered).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
