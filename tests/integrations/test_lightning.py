"""A mask, and tickets, in Lightning's Trainer: `make lightning`."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

L = pytest.importorskip("lightning", reason="`make lightning` has it")

from lightning_nets import (  # noqa: E402
    Net,
    digits,
    lenet,
    loader,
    ordered,
    seeded_net,
    small_conv,
    trainer,
)

from lottery_ticket import PruningMask, prune  # noqa: E402
from lottery_ticket.data import load_dataset  # noqa: E402
from lottery_ticket.integrations.lightning import (  # noqa: E402
    LotteryTicketCallback,
    lightning_functions,
)

# of Lightning's own: it advises on workers, logging and checkpoints, and uses what torch is about
# to give up
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.rank_zero.LightningDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*(does not have many workers|no logger|litlogger).*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*last checkpoint available.*"),
]  # fmt: skip

HERE = Path(__file__).parent


class Spy(L.Callback):
    """Looks, after every step, for anything that is not zero where the mask prunes."""

    def __init__(self, mask=None, callback=None):
        self.given, self.callback = mask, callback
        self.found, self.num_looks, self.num_pruned = [], 0, 0

    def on_train_batch_end(self, trainer, pl_module, *args):
        mask = self.given if self.callback is None else self.callback.mask
        parameters = dict(pl_module.named_parameters())
        for name, kept in mask.items():
            values = {"weight": parameters[name], "grad": parameters[name].grad}
            for optimizer in trainer.optimizers:
                state = optimizer.state.get(parameters[name], {})
                values |= {key: v for key, v in state.items() if v.shape == kept.shape}
            self.found += [(name, k) for k, v in values.items() if v is not None and v[~kept].any()]
            self.num_pruned += int((~kept).sum())
        self.num_looks += 1


class Starts(L.Callback):
    """What each fit starts with: weights, optimiser state, learning rate, step; and its batches."""

    def __init__(self):
        self.fits = []

    def on_train_start(self, trainer, pl_module):
        optimizer = trainer.optimizers[0]
        self.fits.append(
            {
                "weights": copy.deepcopy(pl_module.state_dict()),
                "memory": copy.deepcopy(optimizer.state_dict()["state"]),
                "lr": optimizer.param_groups[0]["lr"],
                "step": trainer.global_step,
                "batches": [],
                "lrs": [],
            }
        )

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.fits[-1]["batches"].append(batch[0].sum().item())
        self.fits[-1]["lrs"].append(trainer.optimizers[0].param_groups[0]["lr"])


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def masked(weights, mask):
    return {n: v.masked_fill(~mask[n], 0.0) if n in mask else v for n, v in weights.items()}


WAYS = {
    "momentum and weight decay": (
        torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}, {},
    ),
    "nesterov, accumulated": (
        torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"accumulate_grad_batches": 3},
    ),
    "AdamW, clipped": (torch.optim.AdamW, {"lr": 1e-3}, {"gradient_clip_val": 0.5}),
    "Adam, bf16": (torch.optim.Adam, {"lr": 1e-3}, {"precision": "bf16-mixed"}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_mask_holds_after_every_step(way, real_mnist):
    optimizer, options, how = WAYS[way]
    model = lenet(optimizer=optimizer, options=options)
    mask = prune(model, sparsity=0.8)
    callback = LotteryTicketCallback(mask)
    spy = Spy(mask)
    fit = trainer([spy, callback], max_epochs=1, **how)
    fit.fit(model, loader(real_mnist.train, 60, 60 * 20))
    assert spy.num_looks == 20
    assert spy.num_pruned == 20 * 212_960
    assert not spy.found
    assert not callback.attached.revived()
    assert callback.attached.num_steps == fit.global_step
    assert callback.mask == mask


def test_without_the_callback_zeros_do_not_last(real_mnist):
    """The mutant: what `Spy` finds where weights were only set to zero at the start."""
    model = lenet()
    mask = prune(model, sparsity=0.8)
    mask.apply(model)
    spy = Spy(mask)
    trainer([spy], max_epochs=1).fit(model, loader(real_mnist.train, 60, 60 * 3))
    assert {kind for _, kind in spy.found} == {"weight", "grad", "momentum_buffer"}


def test_a_ticket_is_found_over_several_fits(real_mnist):
    model = lenet()
    initial = copy.deepcopy(model.state_dict())
    data = loader(real_mnist.train, 60, 60 * 30), loader(real_mnist.test, 500, 1000)
    callback = LotteryTicketCallback(amount=0.2, pruning_rounds=2, monitor="val_acc")
    starts, masks, levels = Starts(), [], []
    spies = []
    while not callback.is_done:
        spies.append(Spy(callback=callback))
        trainer([callback, spies[-1], starts], max_epochs=1).fit(model, *data)
        masks.append(callback.mask)
        levels.append(callback.level)
    assert levels == [0, 1, 2]
    assert [mask.num_kept for mask in masks] == [266_200, 212_960, 170_368]
    assert masks[1].is_nested_in(masks[0])
    assert masks[2].is_nested_in(masks[1])
    for mask, start, spy in zip(masks, starts.fits, spies, strict=True):
        assert same_weights(start["weights"], masked(initial, mask))
        assert not start["memory"]
        assert start["step"] == 0
        assert not spy.found
        assert spy.num_looks == 30
    table = callback.results.table
    assert list(table["num_kept"]) == [266_200, 212_960, 170_368]
    assert table["test_accuracy"].iloc[-1] > 0.5
    assert callback.results.problems == []
    ticket = callback.ticket()
    assert ticket.mask == masks[2]
    assert same_weights(ticket.weights(), masked(initial, masks[2]))
    assert same_weights(ticket.weights(trained=True), dict(model.state_dict()))


# a conv net with batch norm, k in the middle of an epoch, at its end, with accumulation
@pytest.mark.parametrize(("k", "accumulated"), [(7, 1), (10, 1), (7, 2)])
def test_fits_begin_at_step_k(k, accumulated, data_dir):
    data = load_dataset("fashion-mnist", data_dir=data_dir)
    train = ordered(data.train, 32, 320)  # ten batches
    model = Net(small_conv())
    callback = LotteryTicketCallback(target_sparsity=0.75, pruning_rounds=2, rewind_step=k)
    starts = Starts()
    while not callback.is_done:
        fit = trainer([callback, starts], max_epochs=3, accumulate_grad_batches=accumulated)
        fit.fit(model, train)
        assert fit.global_step == 30 // accumulated
        assert callback.attached.num_steps == fit.global_step
    dense, *tickets = starts.fits
    point = callback.results.search.rewind_point
    for level, start in enumerate(tickets, 1):
        mask = callback.results.search.masks[level]
        assert same_weights(start["weights"], masked(point.weights, mask))
        assert any("running_mean" in name for name in start["weights"])
        assert start["step"] == k
        for number, memory in start["memory"].items():
            name = list(dict(model.named_parameters()))[number]
            kept = mask[name] if name in mask else torch.ones_like(memory["momentum_buffer"]) > 0
            wanted = point.optimizer_state[number]["momentum_buffer"].masked_fill(~kept, 0.0)
            assert torch.equal(memory["momentum_buffer"], wanted)
        # the batches and learning rates are those of the dense fit from step k on
        assert start["batches"] == dense["batches"][k * accumulated :]
        assert start["lrs"] == dense["lrs"][k * accumulated :]


@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize(("k", "accumulated"), [(7, 1), (12, 1), (13, 2), (4, 5)])
def test_the_rest_of_a_training_is_the_training(k, accumulated, interval):
    """From θ_k on, nothing pruned, the finder's functions train what the whole training does."""
    options = {"lr": 0.1}  # no momentum: the finder puts that in
    train = ordered(digits().train, 64, 64 * 12)
    how = {"max_epochs": 3, "accumulate_grad_batches": accumulated}
    functions = lightning_functions(lambda: trainer(**how), train_dataloaders=train)
    model = seeded_net(options=options, interval=interval)
    mask = PruningMask(model)

    def trained(start_step, weights):
        net = seeded_net(options=options, interval=interval)
        net.load_state_dict(weights)
        with mask.attach(net, start_step=start_step) as attached:
            functions["train_fn"](net, mask, start_step, attached=attached)
        return dict(net.state_dict())

    at_k = {}

    class Keep(L.Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            at_k.setdefault(trainer.global_step, copy.deepcopy(pl_module.state_dict()))

    start = copy.deepcopy(model.state_dict())
    trainer([Keep()], **how).fit(model, train)
    whole = dict(model.state_dict())
    assert same_weights(trained(0, start), whole)
    assert same_weights(trained(k, at_k[k]), whole)
    assert not same_weights(trained(k + 1, at_k[k]), whole)  # the mutant: another place


SEARCH = """
import os, sys, time, hashlib, logging, warnings
sys.path.insert(0, {here!r})
warnings.simplefilter("ignore")
import lightning as L, torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning_nets import Net, digits, loader, ordered, seeded_net, trainer
from lottery_ticket.integrations.lightning import LotteryTicketCallback, lightning_functions

class Tell(L.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        print("epoch", trainer.current_epoch, "of level", level(), flush=True)
        if (level(), trainer.current_epoch) == (2, 2) and "wait" in sys.argv:
            open("reached", "w").close()
            time.sleep(600)

def digest(model, *masks):
    state = hashlib.sha256()
    for name, value in model.state_dict().items():
        state.update(name.encode() + value.numpy().tobytes())
    for mask in masks:
        state.update(mask.to_bytes())
    return state.hexdigest()
"""

OVER_FITS = (
    SEARCH
    + """
callback = LotteryTicketCallback(
    target_sparsity=0.9, pruning_rounds=3, rewind_step=25, monitor="val_acc"
)
level = lambda: callback.level
model = seeded_net()
data = ordered(digits().train), loader(digits().validation, 300)
while not callback.is_done:
    save = ModelCheckpoint("checkpoints", save_last=True)
    fit = trainer([callback, Tell(), save], max_epochs=4, enable_checkpointing=True)
    fit.fit(model, *data, ckpt_path="last")
print(callback.results)
print(digest(model, callback.mask), [row.num_steps for row in callback.results.rows],
      [row.metric for row in callback.results.rows])
"""
)

WITH_FINDER = (
    SEARCH
    + """
from lottery_ticket import LotteryTicketFinder
class Dropped(Net):
    def training_step(self, batch, batch_idx):
        x, y = batch
        return super().training_step((torch.nn.functional.dropout(x, 0.1), y), batch_idx)
reached = []
level = lambda: len(finder.results.rows) if finder._search.rows else 0
make = lambda: trainer([Tell()], max_epochs=4, enable_checkpointing=True)
functions = lightning_functions(
    make, train_dataloaders=loader(digits().train, shuffle=True),
    val_dataloaders=loader(digits().validation, 300), checkpoints="checkpoints",
)
finder = LotteryTicketFinder(model_fn=Dropped)
model, mask, results = finder.find_winning_ticket(
    **functions, pruning_rounds=3, pipeline="rewind", rewind_step=25, resume="search"
)
assert not results.problems
print(digest(model, mask), [row.num_steps for row in results.rows],
      [row.metric for row in results.rows])
"""
)


def run(script, folder, *arguments):
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(script.replace("{here!r}", repr(str(HERE))))
    command = [sys.executable, "script.py", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def finished(process):
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return told.splitlines()


@pytest.mark.parametrize("script", [OVER_FITS, WITH_FINDER], ids=["over fits", "with the finder"])
def test_a_killed_process_goes_on(script, tmp_path):
    whole = run(script, tmp_path / "whole")
    killed = run(script, tmp_path / "killed", "wait")
    while not (tmp_path / "killed" / "reached").exists():
        assert killed.poll() is None
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    with killed.stdout as stdout:
        before = stdout.read().splitlines()
    assert before[-1] == "epoch 2 of level 2"
    again = finished(run(script, tmp_path / "killed"))
    undisturbed = finished(whole)
    # the last two epochs of level 2, then level 3, which begins in its second epoch: step 25 of 19
    told = [line for line in again if line.startswith("epoch")]
    assert told == ["epoch 2 of level 2", "epoch 3 of level 2", *undisturbed_epochs(undisturbed, 3)]
    assert again[-1] == undisturbed[-1]


def undisturbed_epochs(lines, level):
    return [line for line in lines if line.startswith("epoch") and line.endswith(str(level))]
