"""Tickets in Lightning: `ModelPruning`, a mask by hand, and the callback, on the same task.

    python benchmarks/bench_lightning.py --data-dir DATA --out docs/results/bench

LeNet-300-100 on MNIST: four trainings of an epoch, 20 % of the remaining weights pruned after each
of the first three. What is looked at is told by one callback in all of them. Then the processor
time of a step under each, of a net of a million weights, in turns, one thread.
"""

import copy
import inspect
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint, ModelPruning
from measure import Rows, arguments, report, spread
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lottery_ticket.data import load_dataset
from lottery_ticket.integrations.lightning import LotteryTicketCallback
from lottery_ticket.models import build
from lottery_ticket.pruning import prune

LEVELS = 3
LAW = [266_200, 212_960, 170_368, 136_294]
Loaders = tuple[Any, Any]


class Net(L.LightningModule):
    """What a user has."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.net = build("LeNet300", 0, **options)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self.net(x), y)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("accuracy", (self.net(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)


def trainer(*callbacks: Any, max_epochs: int = 1, **options: Any) -> L.Trainer:
    """A quiet one."""
    saves = any(isinstance(each, ModelCheckpoint) for each in callbacks)
    return L.Trainer(
        max_epochs=max_epochs, callbacks=list(callbacks), accelerator="cpu", devices=1,
        logger=False, enable_checkpointing=saves, enable_progress_bar=False,
        enable_model_summary=False, **options,
    )  # fmt: skip


# what a user writes, beside a module, data and a Trainer


def with_model_pruning(model: Net, data: Any, *more: Any, path: Any = None, steps: int = -1) -> Any:
    """Lightning's own: one fit, pruned and rewound between its epochs."""
    # begin
    pruning = ModelPruning(
        "l1_unstructured", parameter_names=["weight"], amount=0.2,
        apply_pruning=lambda epoch: epoch < LEVELS, use_lottery_ticket_hypothesis=True,
    )  # fmt: skip
    # end
    fit = trainer(pruning, *more, max_epochs=LEVELS + 1, max_steps=steps)
    fit.fit(model, data, ckpt_path=path)


class ByHand(L.Callback):
    """A mask that is multiplied onto the weights after each batch."""

    # begin
    def __init__(self) -> None:
        self.masks: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def prune(self, model: nn.Module) -> None:
        weights = {n: p for n, p in model.named_parameters() if n.endswith("weight")}
        kept = {
            n: p.abs()[self.masks[n] > 0] if self.masks else p.abs() for n, p in weights.items()
        }
        threshold = torch.quantile(torch.cat([p.flatten() for p in kept.values()]), 0.2)
        self.masks = {n: (p.abs() > threshold).float() for n, p in weights.items()}

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Any, pl_module: nn.Module, *args: Any) -> None:
        for name, parameter in pl_module.named_parameters():
            if name in self.masks:
                parameter.mul_(self.masks[name])

    def state_dict(self) -> dict[str, Any]:
        return self.masks

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.masks = state_dict

    # end


def by_hand(model: Net, data: Any, *more: Any, path: Any = None, steps: int = -1) -> Any:
    """As it is found in scripts."""
    # begin
    held, initial = ByHand(), copy.deepcopy(model.state_dict())
    for level in range(LEVELS + 1):
        if level:
            held.prune(model)
            model.load_state_dict(initial)
            held.on_train_batch_end(None, model)
        # end
        fit = trainer(held, *more, max_steps=steps)
        fit.fit(model, data, ckpt_path=path)
        if path is not None:
            return


def with_callback(model: Net, data: Any, *more: Any, path: Any = None, steps: int = -1) -> Any:
    """This library's."""
    # begin
    ticket = LotteryTicketCallback(amount=0.2, pruning_rounds=LEVELS)
    while not ticket.is_done:
        # end
        fit = trainer(ticket, *more, max_steps=steps)
        fit.fit(model, data, ckpt_path=path)
        if path is not None:
            return


WAYS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "ModelPruning": (with_model_pruning, (with_model_pruning,)),
    "by hand": (by_hand, (ByHand, by_hand)),
    "LotteryTicketCallback": (with_callback, (with_callback,)),
}


def lines_of(*sources: Any) -> int:
    """Lines of code between the marks."""
    count = 0
    for source in sources:
        is_counted = False
        for line in map(str.strip, inspect.getsource(source).splitlines()):
            if line in ("# begin", "# end"):
                is_counted = line == "# begin"
            elif is_counted and line and not line.startswith(("#", '"""')):
                count += 1
    return count


class Look(L.Callback):
    """What a training starts with, and what is not zero where it is pruned."""

    def __init__(self, initial: dict[str, torch.Tensor]) -> None:
        self.initial, self.levels = initial, []
        self.pruned: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, number: int) -> None:
        if number == 0:
            self.levels.append(self._started(trainer, pl_module))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *args: Any) -> None:
        level = self.levels[-1]
        memory = momentum(trainer, pl_module)
        for name, pruned in self.pruned.items():
            level["weights"] += int(effective(pl_module)[name][pruned].count_nonzero())
            level["momentum"] += int(memory[name][pruned].count_nonzero())

    def _started(self, trainer: Any, module: Any) -> dict[str, Any]:
        weights = effective(module)
        self.pruned = {n: w == 0 for n, w in weights.items() if n.endswith("weight")}
        same = {
            n: torch.equal(w, torch.where(w == 0, w, self.initial[n])) for n, w in weights.items()
        }
        kept = sum(int(weights[name].count_nonzero()) for name in self.pruned)
        fresh = not any(bool(value.any()) for value in momentum(trainer, module).values())
        return {
            "kept": kept,
            "weights rewound": all(same[name] for name in self.pruned),
            "biases rewound": all(same[name] for name in same.keys() - self.pruned.keys()),
            "fresh": fresh,
            "weights": 0,
            "momentum": 0,
        }


def named(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters under the names they had before `torch.nn.utils.prune`."""
    for name, parameter in module.named_parameters():
        yield name.removesuffix("_orig"), parameter


def effective(module: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that are computed with."""
    masks = dict(module.named_buffers())
    return {n: (p * masks.get(f"{n}_mask", 1.0)).detach() for n, p in named(module)}


def momentum(trainer: Any, module: nn.Module) -> dict[str, torch.Tensor]:
    """What SGD remembers."""
    state = trainer.optimizers[0].state
    found = {n: state.get(p, {}).get("momentum_buffer") for n, p in named(module)}
    zero = {n: torch.zeros_like(p) for n, p in named(module)}
    return {n: zero[n] if value is None else value for n, value in found.items()}


def looked_at(name: str, data: Loaders) -> dict[str, Any]:
    """One way, through all its levels; and a checkpoint of it, continued."""
    search, sources = WAYS[name]
    model = Net()
    look = Look(copy.deepcopy(model.state_dict()))
    with tempfile.TemporaryDirectory() as folder:
        paths: list[Path] = []

        class Note(L.Callback):
            def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
                # in the last level, half way
                if len(look.levels) == LEVELS + 1 and not paths and args[-1] == 500:
                    paths.append(Path(folder) / "half-way.ckpt")
                    trainer.save_checkpoint(paths[0])

        search(model, data[0], look, Note())
        accuracy = trainer().test(model, data[1], verbose=False)[0]["accuracy"]
        continued = _continued(search, data[0], paths[0])
    levels = look.levels
    return {
        "way": name,
        "lines": lines_of(*sources),
        "kept": [level["kept"] for level in levels],
        "kept as the law says": [level["kept"] for level in levels] == LAW,
        "pruned weights not zero after a step": sum(level["weights"] for level in levels),
        "momentum not zero where pruned": sum(level["momentum"] for level in levels),
        "weights rewound": [level["weights rewound"] for level in levels[1:]],
        "biases rewound": [level["biases rewound"] for level in levels[1:]],
        "optimizer fresh": [level["fresh"] for level in levels[1:]],
        "kept ten steps after a checkpoint": continued,
        "accuracy": accuracy,
    }


def _continued(search: Callable[..., Any], data: Any, path: Path) -> int:
    """Weights that are not zero ten steps after a checkpoint was loaded into all that is new."""
    seen: list[int] = []

    class Count(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            weights = effective(pl_module)
            seen.append(sum(int(w.count_nonzero()) for n, w in weights.items() if "weight" in n))

    step = torch.load(path, weights_only=False)["global_step"]
    search(Net(), data, Count(), path=path, steps=step + 10)
    return seen[9]


class Clock(L.Callback):
    """Processor time of the second epoch's steps, and how many they were."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.started, self.steps = time.process_time(), trainer.global_step

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.seconds = (time.process_time() - self.started) / (trainer.global_step - self.steps)


def timed(name: str, data: Any) -> float:
    """Seconds of a step of a net of a million weights, 80 % of them pruned."""
    model, clock = Net(hidden=[1000, 300]), Clock()
    mask = prune(model, sparsity=0.8, targets=["Linear"])
    held: list[Any] = []
    if name == "ModelPruning":
        held = [
            ModelPruning(
                "l1_unstructured", parameter_names=["weight"], amount=0.8,
                apply_pruning=lambda epoch: epoch == 0,
            )
        ]  # fmt: skip
    if name == "by hand":
        by_hand = ByHand()
        by_hand.masks = {n: kept.float() for n, kept in mask.items()}
        held = [by_hand]
    if name == "LotteryTicketCallback":
        held = [LotteryTicketCallback(mask)]
    trainer(*held, clock, max_epochs=2).fit(model, data)
    return clock.seconds


def overhead(data: Any, repeats: int) -> Rows:
    """The time of a step, in turns."""
    names = ["no mask", *WAYS]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats + 1):
        for name in names:
            found = timed(name, data)
            if turn:  # the first one warms up
                seconds[name].append(found)
    plain = spread(seconds["no mask"])["median"]
    pairs = {n: [a / b for a, b in zip(seconds[n], seconds["no mask"], strict=True)] for n in names}
    return [
        {"way": n, **spread(seconds[n]), "ratio": spread(seconds[n])["median"] / plain,
         "median of turns' ratios": spread(pairs[n])["median"]}
        for n in names
    ]  # fmt: skip


def main() -> None:
    """Look, time, report."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    options = arguments(__doc__, data_dir=None, batch=60)
    torch.set_num_threads(1)
    mnist = load_dataset("mnist", data_dir=options.data_dir)
    data = tuple(
        DataLoader(TensorDataset(split.x, split.y), size)
        for split, size in ((mnist.train, options.batch), (mnist.test, 10_000))
    )
    looks = [looked_at(name, data) for name in WAYS]
    for look in looks:
        print("\n".join(f"{key}: {value}" for key, value in look.items()), end="\n\n")
    few = TensorDataset(mnist.train.x[: 128 * 150], mnist.train.y[: 128 * 150])
    rows = overhead(DataLoader(few, 128), options.repeats)
    report("bench_lightning", rows, options.out, looks=looks, lightning=L.__version__)


if __name__ == "__main__":
    main()
