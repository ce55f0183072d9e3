"""A mask, and tickets, in Lightning's Trainer: `make lightning`."""

import copy
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

L = pytest.importorskip("lightning", reason="`make lightning` has it")

from lightning.pytorch import callbacks as their_own  # noqa: E402
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
from test_docs import ROOT, run_page  # noqa: E402

from lottery_ticket import LotteryTicketFinder, MaskPolicy, PruningMask, prune  # noqa: E402
from lottery_ticket.data import load_dataset  # noqa: E402
from lottery_ticket.errors import DataError, UsageError  # noqa: E402
from lottery_ticket.integrations.lightning import (  # noqa: E402
    LotteryTicketCallback,
    lightning_functions,
)
from lottery_ticket.integrations.lightning._library import goes_on_exactly  # noqa: E402
from lottery_ticket.pruning import polynomial  # noqa: E402

# of Lightning's own: it advises on workers, logging and checkpoints, and uses what torch is about
# to give up
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.rank_zero.LightningDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*(does not have many workers|no logger|litlogger).*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*last checkpoint available.*"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used"),
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


def test_starts_from_other_weights_are_seen():
    """The mutant of the test above: an initial weight that is off by its last bit."""
    train, starts = ordered(digits().train), Starts()
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    model = seeded_net()
    initial = copy.deepcopy(model.state_dict())
    trainer([callback, starts], max_epochs=1).fit(model, train)
    bias = callback.results.search.initial["net.1.bias"]
    bias[0] = torch.nextafter(bias[0], torch.tensor(2.0))
    trainer([callback, starts], max_epochs=1).fit(model, train)
    assert same_weights(starts.fits[0]["weights"], initial)
    assert not same_weights(starts.fits[1]["weights"], masked(initial, callback.mask))


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
    fit = trainer([callback, Tell(), save], max_epochs=4)
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
make = lambda: trainer([Tell()], max_epochs=4)
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


NOT_EXACT = pytest.mark.skipif(not goes_on_exactly(L.__version__), reason="from 2.5.6 on")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(OVER_FITS, id="over fits"),
        pytest.param(WITH_FINDER, id="with the finder", marks=NOT_EXACT),
    ],
)
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


def search_of(train, rounds=1, max_epochs=2, model=None, extra=(), **options):
    """A whole search over fits of the digits; the callback and the model."""
    callback = LotteryTicketCallback(target_sparsity=0.8, pruning_rounds=rounds, **options)
    model = seeded_net() if model is None else model
    while not callback.is_done:
        trainer([callback, *(make() for make in extra)], max_epochs=max_epochs).fit(model, train)
    return callback, model


def saver(folder, **options):
    return their_own.ModelCheckpoint(folder, save_last=True, **options)


def test_a_checkpoint_is_plain(tmp_path):
    """It loads without running code, and without the callback has weights with exact zeros."""
    train = ordered(digits().train)
    callback, model = search_of(train, extra=[lambda: saver(tmp_path)], rewind_step=5)
    paths = sorted(tmp_path.glob("last*.ckpt"), key=os.path.getmtime)
    saved = torch.load(paths[-1], weights_only=True)
    state = saved["callbacks"]["LotteryTicketCallback"]
    assert state["plan"]["rewind_point"]["step"] == 5
    plain = seeded_net(seed=1)
    plain.load_state_dict(saved["state_dict"])
    assert same_weights(dict(plain.state_dict()), dict(model.state_dict()))
    pruned = ~callback.mask["net.1.weight"]
    assert pruned.any()
    assert not plain.net[1].weight[pruned].any()
    again = LotteryTicketCallback(target_sparsity=0.8, pruning_rounds=1, rewind_step=5)
    again.load_state_dict(state)  # and by hand
    assert again.mask == callback.mask


def test_evaluating_a_checkpoint_changes_no_search(tmp_path):
    train, held = ordered(digits().train), loader(digits().validation, 300)
    callback = LotteryTicketCallback(target_sparsity=0.9, pruning_rounds=2, monitor="val_acc")
    model, save = seeded_net(), saver(tmp_path)
    fit = trainer([callback, save], max_epochs=1)
    fit.fit(model, train, held)
    dense, path = callback.results.dense, save.last_model_path
    fit = trainer([callback], max_epochs=1)
    fit.fit(model, train, held)
    mask, rows = callback.mask, list(callback.results.rows)
    told = fit.test(model, held, ckpt_path=path, verbose=False)  # of level 0
    assert told[0]["val_acc"] == pytest.approx(dense)
    fit.validate(model, held, verbose=False)
    assert (callback.mask, callback.level) == (mask, 1)
    assert list(callback.results.rows) == rows
    trainer([callback], max_epochs=1).fit(model, train, held)
    assert callback.is_done


class Regrow(MaskPolicy):
    """Swaps some pruned weights for kept ones every five steps, as SET does."""

    def is_due(self, step):
        return step % 5 == 0

    def next_mask(self, moment):
        made = {}
        for name, kept in moment.mask.items():
            now = kept.clone().flatten()
            gone, there = (~now).nonzero().flatten(), now.nonzero().flatten()
            draws = torch.randperm(len(gone), generator=moment.generator)[:20]
            weakest = moment.weights[name].flatten()[there].abs().argsort()[:20]
            now[there[weakest]], now[gone[draws]] = False, True
            made[name] = now.view_as(kept)
        return made


POLICIES = {
    "polynomial": lambda: {"policy": polynomial(0.9, begin_step=5, end_step=60, every_steps=5)},
    "regrowing": lambda: {"mask": prune(seeded_net(), sparsity=0.9), "policy": Regrow()},
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_moving_mask_goes_on_from_a_checkpoint(name, tmp_path):
    train = ordered(digits().train)

    def fitted(max_epochs, *more, path=None):
        callback = LotteryTicketCallback(**POLICIES[name]())
        model, spy = seeded_net(), Spy(callback=callback)
        fit = trainer([callback, spy, *more], max_epochs=max_epochs)
        fit.fit(model, train, ckpt_path=path)
        assert not spy.found
        return callback, dict(model.state_dict())

    whole, weights = fitted(4)
    total = whole.mask.num_prunable
    assert whole.mask.num_kept == total - (9 * total + 5) // 10
    fitted(2, saver(tmp_path))
    again, others = fitted(4, path=tmp_path / "last.ckpt")
    assert same_weights(weights, others)
    assert again.mask == whole.mask
    assert again.attached.num_steps == whole.attached.num_steps == 76
    forgetful = torch.load(tmp_path / "last.ckpt", weights_only=True)  # the mutant
    forgetful["callbacks"].pop("LotteryTicketCallback")
    torch.save(forgetful, tmp_path / "forgetful.ckpt")
    _, others = fitted(4, path=tmp_path / "forgetful.ckpt")
    assert not same_weights(weights, others)


@pytest.mark.parametrize("average", ["EMA", "SWA"])
def test_averaged_weights_are_zero_where_pruned(average, tmp_path):
    make = {
        "EMA": lambda: their_own.EMAWeightAveraging(decay=0.9, update_every_n_steps=1),
        "SWA": lambda: their_own.StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=0.5),
    }[average]
    if average == "EMA" and not hasattr(their_own, "EMAWeightAveraging"):
        pytest.skip("of Lightning 2.6")
    model = seeded_net(interval="epoch")
    callback, _ = search_of(ordered(digits().train), 1, 4, model, [make])
    assert callback.results.problems == []
    assert not any(model.get_parameter(n)[~kept].any() for n, kept in callback.mask.items())


class Two(Net):
    """Two optimisers, by hand."""

    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()

    def configure_optimizers(self):
        first, last = self.net[1].parameters(), self.net[3].parameters()
        return torch.optim.SGD(first, lr=0.1, momentum=0.9), torch.optim.Adam(last)


def test_several_optimizers():
    torch.manual_seed(0)
    model, train = Two(), ordered(digits().train)
    callback = LotteryTicketCallback(target_sparsity=0.8, pruning_rounds=1)
    while not callback.is_done:
        spy = Spy(callback=callback)
        trainer([callback, spy], max_epochs=2).fit(model, train)
        assert not spy.found
        assert callback.attached.num_steps == 38  # of the first one
    assert callback.results.problems == []
    callback = LotteryTicketCallback(target_sparsity=0.8, pruning_rounds=1, rewind_step=5)
    with pytest.raises(UsageError, match="manual optimization"):  # before a level is trained
        trainer([callback], max_epochs=1).fit(model, train)


def test_a_compiled_model():
    model = torch.compile(seeded_net(), backend="eager")
    callback, _ = search_of(ordered(digits().train), model=model)
    assert callback.results.problems == []
    assert callback.mask.density == 0.2


def test_skipped_steps_are_not_counted():
    """Under a GradScaler, some of whose steps overflow."""

    class Overflows(Net):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * float("inf") if batch_idx in (2, 5) else loss

    torch.manual_seed(0)
    plugin = L.pytorch.plugins.MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    model, train = Overflows(), ordered(digits().train)
    callback = LotteryTicketCallback(prune(model, sparsity=0.8))
    spy = Spy(callback=callback)
    fit = trainer([callback, spy], max_epochs=1, plugins=[plugin])
    fit.fit(model, train)
    assert fit.global_step == 19
    assert callback.attached.num_steps == 17
    assert not spy.found


def test_the_finder_drives_a_trainer():
    data = digits()
    functions = lightning_functions(
        lambda: trainer(max_epochs=2),
        train_dataloaders=loader(data.train, shuffle=True),
        val_dataloaders=loader(data.validation, 300),
    )
    finder = LotteryTicketFinder(model_fn=Net)
    _, mask, results = finder.find_winning_ticket(
        **functions, pruning_rounds=2, pipeline="rewind", rewind_step=8, verbose=False
    )
    results = finder.verify(**functions, arms=["reinit", "random", "gradual"], verbose=False)
    assert results.problems == []
    assert [row.num_steps for row in results.rows] == [38] * 6
    assert len({row.num_kept for row in results.rows[2:]}) == 1
    assert results.ticket > results.control("random")[0]
    whole = mask.num_prunable
    assert mask.num_kept == whole - (9 * whole + 5) // 10


def test_the_finder_takes_a_datamodule():
    class Data(L.LightningDataModule):
        def train_dataloader(self):
            return ordered(digits().train)

        def val_dataloader(self):
            return loader(digits().validation, 300)

    functions = lightning_functions(lambda: trainer(max_epochs=1), Data())
    finder = LotteryTicketFinder(model_fn=Net)
    _, _, results = finder.find_winning_ticket(**functions, pruning_rounds=1, verbose=False)
    assert results.problems == []
    assert results.dense > 0.5


OTHER_PACKAGE = """
import sys, warnings
warnings.simplefilter("ignore")
import pytorch_lightning as L, torch
from torch.utils.data import DataLoader, TensorDataset
from lottery_ticket import LotteryTicketFinder
from lottery_ticket.data import load_dataset
from lottery_ticket.integrations.lightning import LotteryTicketCallback, lightning_functions

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self.layer(batch[0]).argmax(1) == batch[1]).float().mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

train = load_dataset("digits").train
train = DataLoader(TensorDataset(train.x, train.y), 64)
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
make = lambda *callbacks: L.Trainer(max_epochs=1, callbacks=list(callbacks), **quiet)
ticket, model = LotteryTicketCallback(target_sparsity=0.9, pruning_rounds=1), Net()
while not ticket.is_done:
    make(ticket).fit(model, train)
functions = lightning_functions(
    make, train_dataloaders=train, val_dataloaders=train, checkpoints="checkpoints"
)
found = LotteryTicketFinder(model_fn=Net).find_winning_ticket(
    **functions, pruning_rounds=1, verbose=False
)
print(ticket.mask.num_kept, found[2].problems, "lightning.pytorch" in sys.modules)
"""


def test_pytorch_lightning_works_too(tmp_path):
    pytest.importorskip("pytorch_lightning")
    assert finished(run(OTHER_PACKAGE, tmp_path))[-1] == "64 [] False"


REFUSED = {
    "unknown": ({"target_sparsty": 0.9}, "did you mean 'target_sparsity'"),
    "ModelPruning's": ({"pruning_fn": "l1_unstructured"}, "criterion= says"),
    "its lottery tickets": ({"use_lottery_ticket_hypothesis": True}, "always rewinds"),
    "amount alone": ({"amount": 0.2}, "pass pruning_rounds"),
    "two amounts": ({"amount": 0.2, "target_sparsity": 0.9}, "give amount"),
    "no fraction": ({"target_sparsity": 90}, "target_sparsity"),
    "two words": ({"targets": ["Linear"], "parameters_to_prune": []}, "say the same thing"),
    "mode": ({"mode": "maximum"}, "mode: got 'maximum'"),
    "rewind step": ({"rewind_step": -1}, "rewind_step"),
    "policy and search": (
        {"policy": polynomial(0.9, end_step=9), "pruning_rounds": 3},
        "pruning_rounds has no effect with policy",
    ),
    "no policy": ({"policy": 0.9}, "wanted a schedule such as polynomial"),
    "no mask": ({"mask": 0.9}, "mask: got a float, wanted a PruningMask"),
    "policy by data": (
        {"policy": polynomial(0.9, end_step=9), "criterion": "snip"},
        "prunes by weights alone",
    ),
    "seed": ({"seed": "a"}, "seed: got 'a'"),
    "seed of a policy": ({"policy": polynomial(0.9, end_step=9), "seed": "a"}, "seed: got 'a'"),
    "scope": ({"policy": polynomial(0.9, end_step=9), "scope": "globl"}, "did you mean 'global'"),
    "criterion": ({"criterion": "magnitud"}, "did you mean 'magnitude'"),
    "data": ({"criterion": "snip"}, "a loader to LotteryTicketCallback"),
}


WITHOUT_EFFECT = {
    "mask": {
        "criterion": "random", "scope": "layerwise", "structure": "channel", "mode": "min",
        "min_layer_density": 0.1, "targets": ["Linear"], "ignore": ["net.3"], "min_size": 9,
        "batches": [(0, 0)], "loss": nn.MSELoss(), "batch_loss": nn.MSELoss(), "monitor": "val_acc",
        "name": "x", "seed": 1, "amount": 0.2, "rewind_step": 0,
    },
    "policy": {
        "structure": "channel", "min_layer_density": 0.1, "batches": [(0, 0)], "monitor": "val_acc",
        "mode": "max", "name": "x",
    },
    "own policy": {"criterion": "random", "scope": "layerwise"},
}  # fmt: skip


@pytest.mark.parametrize("what", WITHOUT_EFFECT)
def test_arguments_without_effect_are_refused(what):
    mask = prune(seeded_net(), sparsity=0.5)
    held = {
        "mask": {"mask": mask},
        "policy": {"policy": polynomial(0.9, end_step=9)},
        "own policy": {"policy": Regrow(), "mask": mask},
    }[what]
    LotteryTicketCallback(**held, ignore=())
    for name, value in WITHOUT_EFFECT[what].items():
        with pytest.raises(UsageError, match=f"^{name} has no effect with "):
            LotteryTicketCallback(**held, **{name: value})


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_make_no_sense_are_refused(name):
    options, message = REFUSED[name]
    with pytest.raises(UsageError, match=re.escape(message)):
        LotteryTicketCallback(**options)


def test_what_a_fit_cannot_do_is_refused_before_it_trains(tmp_path):
    train = ordered(digits().train)
    model = seeded_net()
    fit = trainer([LotteryTicketCallback(prune(seeded_net(net=nn.Linear(3, 2)), sparsity=0.5))])
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UsageError, match=r"no parameter 'net\.weight'"):
        fit.fit(model, train)
    assert same_weights(before, dict(model.state_dict()))
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    with pytest.raises(UsageError, match="nothing was found yet"):
        _ = callback.results
    fit = trainer([callback], max_epochs=1)
    fit.fit(model, train)
    with pytest.raises(UsageError, match="make a new one for each fit"):
        fit.fit(model, train)
    with pytest.raises(UsageError, match="not the one that the search began with"):
        trainer([callback], max_epochs=1).fit(Net(nn.Linear(64, 10)), train)
    trainer([callback], max_epochs=1).fit(model, train)
    assert callback.is_done
    with pytest.raises(UsageError, match="all 2 levels are trained"):
        trainer([callback], max_epochs=1).fit(model, train)
    with pytest.raises(UsageError, match="holds a mask in one fit"):
        _ = LotteryTicketCallback(callback.mask).results


def test_other_checkpoints_are_refused(tmp_path):
    train, model = ordered(digits().train), seeded_net()
    trainer([saver(tmp_path / "plain")], max_epochs=1).fit(model, train)
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    path = tmp_path / "plain" / "last.ckpt"
    with pytest.raises(UsageError, match="made without this callback"):
        trainer([callback], max_epochs=2).fit(model, train, ckpt_path=path)
    trainer([callback, saver(tmp_path / "search")], max_epochs=1).fit(model, train)
    path = tmp_path / "search" / "last.ckpt"
    held = LotteryTicketCallback(PruningMask(model))
    with pytest.raises(UsageError, match="of a search over several fits"):
        trainer([held], max_epochs=2).fit(model, train, ckpt_path=path)
    state = torch.load(path, weights_only=True)["callbacks"]["LotteryTicketCallback"]
    with pytest.raises(DataError, match="checkpoint"):
        callback.load_state_dict(state | {"plan": state["plan"] | {"masks": [3]}})
    other = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1, criterion="random")
    with pytest.raises(UsageError, match="criterion 'magnitude', and this one has 'random'"):
        trainer([other], max_epochs=1).fit(model, train, ckpt_path=path)


def test_a_fit_that_fails_is_trained_again():
    """From its first weights; and no hook of ours stays behind."""

    class Fails(Net):
        is_failing = False

        def training_step(self, batch, batch_idx):
            if self.is_failing and batch_idx == 5:
                raise RuntimeError("as it was told to")
            return super().training_step(batch, batch_idx)

    train, starts = ordered(digits().train), Starts()
    torch.manual_seed(0)
    model = Fails()
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    model.is_failing = True
    with pytest.raises(RuntimeError, match="as it was told to"):
        trainer([callback, starts], max_epochs=1).fit(model, train)
    assert not model.net[1].weight._post_accumulate_grad_hooks
    model.is_failing = False
    trainer([callback, starts], max_epochs=1).fit(model, train)
    assert callback.level == 0
    assert same_weights(starts.fits[0]["weights"], starts.fits[1]["weights"])


def test_schedules_that_follow_metrics_are_refused_where_fits_begin_later():
    class Plateau(Net):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")
            return {"optimizer": optimizer, "lr_scheduler": schedule, "monitor": "val_acc"}

    data = ordered(digits().train), loader(digits().validation, 300)
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1, rewind_step=5)
    model = Plateau()
    with pytest.raises(UsageError, match="ReduceLROnPlateau had done by then follows from metrics"):
        trainer([callback], max_epochs=1).fit(model, *data)
    callback, _ = search_of(data[0], model=seeded_net(), rewind_step=37)  # of 38
    assert callback.results.problems == []
    changing = [lambda: their_own.GradientAccumulationScheduler({0: 4})]
    with pytest.raises(UsageError, match="how many batches a step has"):
        search_of(data[0], extra=changing, rewind_step=5)
    search_of(data[0], extra=changing)


@pytest.mark.parametrize("k", [38, 500])
@pytest.mark.parametrize("how", [{"max_epochs": 2}, {"max_steps": 38, "max_epochs": -1}])
def test_no_fit_begins_at_its_end(k, how):
    train = ordered(digits().train)
    callback = LotteryTicketCallback(target_sparsity=0.8, pruning_rounds=1, rewind_step=k)
    with pytest.raises(UsageError, match=f"step {k}: the Trainer ends at 38"):
        trainer([callback], **how).fit(seeded_net(), train)
    assert callback.level == 0
    data = {"train_dataloaders": train, "val_dataloaders": loader(digits().validation, 300)}
    functions = lightning_functions(lambda: trainer(**how), **data)
    with pytest.raises(UsageError, match="ends at 38" if k == 38 else "not reached|rewind_step"):
        LotteryTicketFinder(model_fn=Net).find_winning_ticket(
            **functions, pruning_rounds=1, pipeline="rewind", rewind_step=k, verbose=False
        )


def fitted(callback, model, epochs=1, validation=None, extra=(), **how):
    """One fit of the digits."""
    fit = trainer([callback, *extra], max_epochs=epochs, **how)
    fit.fit(model, ordered(digits().train), validation)
    return fit


class Writes(Net):
    """Writes into its weights, wherever the mask prunes."""

    def on_train_batch_end(self, *args):
        with torch.no_grad():
            self.net[1].weight.add_(0.01)


class Breaks(Net):
    """Its last weights are no numbers."""

    def on_train_end(self):
        with torch.no_grad():
            self.net[3].bias.fill_(float("nan"))


@pytest.mark.parametrize(
    ("make", "epochs", "message"),
    [
        (Net, 0, "the fit made no optimizer step"),
        (Writes, 1, "the fit wrote pruned weights"),
        (Breaks, 1, "holds values that are not finite"),
    ],
)
def test_a_fit_that_is_no_training_under_its_mask_is_no_valid_level(make, epochs, message):
    model = make()
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    while not callback.is_done:
        fitted(callback, model, epochs)
    assert any(message in problem for problem in callback.results.problems)
    with pytest.raises(UsageError, match="the results are invalid"):
        callback.ticket()


def test_trainers_and_callbacks_that_have_a_level_behind_them_are_refused():
    train, held = ordered(digits().train), loader(digits().validation, 300)
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=3)
    fits, model = [trainer([callback], max_epochs=1) for _ in range(2)], seeded_net()
    for fit in fits:
        fit.fit(model, train)
    with pytest.raises(UsageError, match="level 2: this Trainer has trained a level already"):
        fits[0].fit(model, train)
    stop = their_own.EarlyStopping("val_acc", mode="max")
    trainer([callback, stop], max_epochs=1).fit(model, train, held)
    with pytest.raises(UsageError, match="this EarlyStopping was in the Trainer of an earlier"):
        trainer([callback, stop], max_epochs=1).fit(model, train, held)
    data = {"train_dataloaders": train, "val_dataloaders": held}
    functions = lightning_functions(lambda: trainer([stop], max_epochs=1), **data)
    with pytest.raises(UsageError, match="its EarlyStopping was in an earlier Trainer"):
        LotteryTicketFinder(model_fn=Net).find_winning_ticket(
            **functions, pruning_rounds=1, verbose=False
        )


def test_a_quick_try_is_no_level():
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    with pytest.raises(UsageError, match="fast_dev_run"):
        fitted(callback, seeded_net(), fast_dev_run=True)
    with pytest.raises(UsageError, match="nothing was found yet"):
        _ = callback.results
    fitted(LotteryTicketCallback(prune(seeded_net(), sparsity=0.5)), Net(), fast_dev_run=True)


def test_a_fit_that_left_no_numbers_can_be_made_again():
    class Diverges(Net):
        is_diverging = True

        def on_train_end(self):
            if self.is_diverging:
                with torch.no_grad():
                    self.net[1].weight.fill_(float("nan"))

    model, callback = Diverges(), LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    for _ in range(2):
        with pytest.raises(UsageError, match="contain NaN"):
            fitted(callback, model)
    assert (callback.level, callback.is_done, callback.mask.density) == (0, False, 1.0)
    model.is_diverging = False
    while not callback.is_done:
        fitted(callback, model)
    assert callback.results.problems == []
    assert [row.num_steps for row in callback.results.rows] == [19, 19]


class WithRate(Net):
    """A learning rate that tuners can set."""

    lr = 0.1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*before .optimizer.step")
@pytest.mark.parametrize("rewind_step", [None, 5])
def test_tuners_leave_a_search_as_it_was(rewind_step, tmp_path):
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1, rewind_step=rewind_step)
    callback.load_state_dict(callback.state_dict())
    model, starts = WithRate(), Starts()
    initial = copy.deepcopy(model.state_dict())
    while not callback.is_done:
        tuner = their_own.LearningRateFinder(min_lr=1e-4, max_lr=0.1, num_training_steps=20)
        fitted(callback, model, extra=[tuner, starts], default_root_dir=tmp_path)
    assert callback.results.problems == []
    assert [row.num_steps for row in callback.results.rows] == [19, 19]
    assert same_weights(starts.fits[0]["weights"], initial)
    assert len(starts.fits[1]["batches"]) == 19 - (rewind_step or 0)
    assert starts.fits[1]["batches"] == starts.fits[0]["batches"][rewind_step or 0 :]
    if rewind_step is None:
        assert same_weights(starts.fits[1]["weights"], masked(initial, callback.mask))


def test_a_rate_is_found_before_the_first_fit(tmp_path):
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1)
    model, fit = WithRate(), trainer([callback], max_epochs=1, default_root_dir=tmp_path)
    L.pytorch.tuner.Tuner(fit).lr_find(model, ordered(digits().train), num_training=20)
    fit.fit(model, ordered(digits().train))
    assert [row.num_steps for row in callback.results.rows] == [19]


def test_a_search_pickles_and_copies_between_fits():
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=2)
    model = seeded_net()
    fitted(callback, model)
    for made in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert isinstance(made, LotteryTicketCallback)
        assert isinstance(made, L.Callback)
        assert (made.level, made.mask) == (callback.level, callback.mask)
        fitted(made, copy.deepcopy(model))
        assert made.level == 1
    assert callback.level == 0


def test_a_loss_is_better_when_it_is_lower():
    class Loses(Net):
        def validation_step(self, batch, batch_idx):
            self.log("val_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]))

    model, held = Loses(), loader(digits().validation, 300)
    callback = LotteryTicketCallback(target_sparsity=0.5, pruning_rounds=1, monitor="val_loss")
    while not callback.is_done:
        fitted(callback, model, validation=held)
    results = callback.results
    assert "test_loss" in results.table
    assert results.retained == pytest.approx(100 * results.dense / results.ticket)
    data = {"train_dataloaders": ordered(digits().train), "val_dataloaders": held}
    functions = lightning_functions(lambda: trainer(max_epochs=1), **data, metric="val_loss")
    assert functions["eval_fn"].direction.mode == "min"
    with pytest.raises(UsageError, match=r"a lower 'val_loss' is taken .*lightning_func.*'max'\)"):
        LotteryTicketFinder(model_fn=Loses).find_winning_ticket(**functions, pruning_rounds=1)
    functions = lightning_functions(trainer, **data, metric="val_loss", mode="max")
    assert functions["eval_fn"].direction.mode == "max"


def test_levels_without_a_monitor_are_not_judged():
    callback, _ = search_of(ordered(digits().train))
    assert "nan" not in str(callback.results)
    assert "no monitor= was given" in str(callback.results)
    with pytest.raises(UsageError, match="no monitor= was given"):
        callback.results.verdict()
    assert "nan" not in callback.results.line(callback.results.rows[0])


def test_the_trainers_own_logger_is_told(tmp_path):
    callback, model = LotteryTicketCallback(target_sparsity=0.8, pruning_rounds=1), seeded_net()
    while not callback.is_done:
        logger = L.pytorch.loggers.CSVLogger(tmp_path, name=str(len(list(tmp_path.iterdir()))))
        fitted(callback, model, logger=logger)
        last = pd.read_csv(Path(logger.log_dir) / "metrics.csv").iloc[-1]
        assert last["ticket/level"] == callback.level
        assert last["ticket/num_kept"] == callback.mask.num_kept
        assert last["ticket/density"] == pytest.approx(callback.mask.density)


def test_a_checkpoint_of_another_mask_or_policy_is_refused(tmp_path):
    train, model = ordered(digits().train), seeded_net()
    mask, path = prune(model, sparsity=0.9), tmp_path / "last.ckpt"

    def go_on(callback):
        trainer([callback], max_epochs=2).fit(seeded_net(), train, ckpt_path=path)

    trainer([LotteryTicketCallback(mask), saver(tmp_path)], max_epochs=1).fit(model, train)
    go_on(LotteryTicketCallback(mask))
    with pytest.raises(UsageError, match="trained under another mask"):
        go_on(LotteryTicketCallback(prune(seeded_net(), sparsity=0.2)))
    for policy, options in ((polynomial(0.9, end_step=9), {}), (Regrow(), {"mask": mask})):
        path.unlink()
        callback = LotteryTicketCallback(policy=policy, **options)
        trainer([callback, saver(tmp_path)], max_epochs=1).fit(seeded_net(), train)
        go_on(LotteryTicketCallback(policy=policy, **options))
        with pytest.raises(UsageError, match="another policy"):
            go_on(LotteryTicketCallback(policy=polynomial(0.8, end_step=9), **options))
    path.unlink()
    gradual = {"policy": polynomial(0.9, end_step=9)}
    callback = LotteryTicketCallback(**gradual)
    trainer([callback, saver(tmp_path)], max_epochs=1).fit(seeded_net(), train)
    with pytest.raises(UsageError, match="other prunable parameters"):
        go_on(LotteryTicketCallback(**gradual, targets=["net.1.weight"]))


def test_a_checkpoint_of_a_search_of_other_layers_is_refused(tmp_path):
    train, how = ordered(digits().train), {"target_sparsity": 0.5, "pruning_rounds": 1}
    callback = LotteryTicketCallback(**how)
    trainer([callback, saver(tmp_path)], max_epochs=1).fit(seeded_net(), train)
    path = tmp_path / "last.ckpt"
    other = LotteryTicketCallback(**how, targets=["net.1.weight"])
    with pytest.raises(UsageError, match="prunes other parameters"):
        trainer([other], max_epochs=2).fit(seeded_net(), train, ckpt_path=path)
    same = LotteryTicketCallback(**how, targets=["net.1.weight", "net.3.weight"])
    trainer([same], max_epochs=2).fit(seeded_net(), train, ckpt_path=path)
    assert same.level == 0


class Stops(WithRate):
    """Dies in an epoch, if it is told to."""

    dies_in, epochs = None, ()

    def on_train_epoch_start(self):
        if self.trainer.current_epoch == Stops.dies_in:
            raise RuntimeError("as it was told to")
        Stops.epochs = [*Stops.epochs, self.trainer.current_epoch]


def test_a_killed_training_goes_on_under_its_own_recipe_alone(tmp_path, monkeypatch):
    train, held = ordered(digits().train), loader(digits().validation, 300)

    def search(max_epochs=3, dies_in=None, **how):
        monkeypatch.setattr(Stops, "dies_in", dies_in)
        monkeypatch.setattr(Stops, "epochs", [])
        functions = lightning_functions(
            lambda: trainer(max_epochs=max_epochs, **how),
            train_dataloaders=train, val_dataloaders=held, checkpoints=tmp_path,
        )  # fmt: skip
        LotteryTicketFinder(model_fn=Stops).find_winning_ticket(
            **functions, pruning_rounds=1, verbose=False
        )
        return Stops.epochs

    def killed():
        with pytest.raises(RuntimeError, match="as it was told to"):
            search(dies_in=2)

    killed()
    assert search() == [2, 0, 1, 2]
    killed()
    assert search(max_epochs=4)[:4] == [0, 1, 2, 3]
    killed()
    assert search(gradient_clip_val=0.5)[:3] == [0, 1, 2]
    killed()
    monkeypatch.setattr(Stops, "lr", 0.05)
    with pytest.raises(UsageError, match="training with other optimizers or learning rates"):
        search()


@pytest.mark.parametrize("version", ["2.4.0", "2.5.5"])
def test_versions_that_do_not_go_on_to_the_bit_say_so(version, tmp_path, monkeypatch):
    monkeypatch.setattr(L.pytorch, "__version__", version)
    with pytest.warns(UserWarning, match="does not go on to the bit"):
        lightning_functions(trainer, checkpoints=tmp_path)


ONE = trainer(max_epochs=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "wanted a Lightning Trainer"),
        (ONE, "wanted a function that makes a new Trainer each time"),
        (lambda: ONE, "the Trainer that it returned before"),
        (lambda: trainer(devices=2, strategy="ddp"), "has 2 processes"),
        (lambda: trainer(devices=2, strategy="ddp_spawn"), "end with the fit"),
    ],
)
def test_trainers_that_the_finder_cannot_drive(make, message):
    data = {
        "train_dataloaders": ordered(digits().train),
        "val_dataloaders": loader(digits().validation, 300),
    }
    finder = LotteryTicketFinder(model_fn=Net)
    how = {"pruning_rounds": 1, "verbose": False}
    with pytest.raises(UsageError, match=message):
        finder.find_winning_ticket(**lightning_functions(make, **data), **how)


@pytest.mark.parametrize(
    ("where", "error"), [("file", DataError), ("file/below", DataError), (3, UsageError)]
)
def test_folders_that_cannot_be_written(where, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(error, match="checkpoints: "):
        lightning_functions(trainer, checkpoints=where)


def test_metrics_that_were_not_logged_are_named():
    data = {
        "train_dataloaders": ordered(digits().train),
        "val_dataloaders": loader(digits().validation, 300),
    }
    functions = lightning_functions(lambda: trainer(max_epochs=1), **data, metric="val_accuracy")
    with pytest.raises(UsageError, match="logged no 'val_accuracy'; it logged val_acc"):
        LotteryTicketFinder(model_fn=Net).find_winning_ticket(**functions, pruning_rounds=1)
    with pytest.raises(UsageError, match="give datamodule, or"):
        lightning_functions(trainer, object(), train_dataloaders=data["train_dataloaders"])
    callback = LotteryTicketCallback(pruning_rounds=1, monitor="val_accuracy")
    for _ in range(2):  # before another level is trained
        message = r"logged no 'val_accuracy': .*; it logged val_acc; did you mean 'val_acc'\?"
        with pytest.raises(UsageError, match=message):
            trainer([callback], max_epochs=1).fit(seeded_net(), *data.values())
    assert callback.level == 0


PROCESSES = (
    SEARCH
    + """
callback = LotteryTicketCallback(target_sparsity=0.9, pruning_rounds=2, rewind_step=5)
level = lambda: callback.level
model = seeded_net()
while not callback.is_done:
    fit = trainer([callback], max_epochs=2, devices=2, strategy="ddp")
    fit.fit(model, loader(digits().train))
    assert fit.world_size == 2 and not callback.attached.revived()
assert callback.results.problems == []
with open(f"rank-{fit.global_rank}", "w") as told:
    told.write(f"{callback.mask.num_kept} {digest(model, callback.mask)}")
"""
)


def test_several_processes(tmp_path):
    # the processes write one pipe, line by line or not
    finished(run(PROCESSES, tmp_path / "ddp"))
    told = [(tmp_path / "ddp" / f"rank-{rank}").read_text() for rank in (0, 1)]
    assert told[0] == told[1]
    assert told[0].startswith("370 ")


def test_the_page_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    text = (ROOT / "docs" / "lightning.md").read_text(encoding="utf-8")
    assert run_page(text) == 5
