"""Iterative pruning written out in a loop of your own: prune, attach, rewind, repeat.

    python examples/your_own_loop.py            # real digits that come with scikit-learn, seconds
    python examples/your_own_loop.py --data mnist --data-dir DATA

The loop has what loops have: a learning-rate schedule, gradient clipping, a moving average of
the weights. The mask needs two lines of it: `attach` before, `detach` after. Here a small net
rewinds to θ_k, its weights after 20 steps, and each level prunes half of what remains.
"""

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lottery_ticket import PruningMask, prune
from lottery_ticket.data import DataSet, Split, load_dataset


def train(
    model: nn.Module, mask: PruningMask, data: Split, epochs: int, rewind_step: int | None = None
) -> tuple[nn.Module, dict[str, torch.Tensor] | None]:
    """Trains the model in place; returns its average, and θ_k if a rewind step is given."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    attached = mask.attach(model, optimizer, rewind_step=rewind_step)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(64):
            loss = F.cross_entropy(model(data.x[rows]), data.y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # sees masked gradients
            optimizer.step()
            average.update_parameters(model)
        schedule.step()
    mask.detach()
    point = attached.rewind_point
    return average.module, None if point is None else dict(point.weights)


@torch.no_grad()
def accuracy(model: nn.Module, data: Split) -> float:
    return (model(data.x).argmax(1) == data.y).float().mean().item()


def search(data: DataSet, epochs: int, levels: int) -> list[tuple[int, float]]:
    """(weights kept, test accuracy) of each level."""
    size = data.train.x[0].numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, 100), nn.ReLU(), nn.Linear(100, 10))
    mask = PruningMask(model)
    found = []
    rewound: dict[str, torch.Tensor] | None = None
    for level in range(levels + 1):
        if rewound is not None:
            mask = prune(model, mask, amount=0.5)  # of what remains, by trained magnitude
            model.load_state_dict(copy.deepcopy(rewound))  # θ_k; attach zeroes what is pruned
        averaged, point = train(model, mask, data.train, epochs, 20 if level == 0 else None)
        rewound = point if level == 0 else rewound
        found.append((mask.num_kept, accuracy(averaged, data.test)))
        print(
            f"level {level}: density {100 * mask.density:6.2f} %, {mask.num_kept:>7,} weights, "
            f"test accuracy {100 * found[-1][1]:.2f} %"
        )
        assert all(not p[~mask[n]].any() for n, p in averaged.named_parameters() if n in mask)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="digits", help="digits, mnist or fashion-mnist")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--epochs", type=int, default=15, help="per training")
    parser.add_argument("--levels", type=int, default=6)
    options = parser.parse_args()
    torch.manual_seed(0)
    search(load_dataset(options.data, data_dir=options.data_dir), options.epochs, options.levels)
