"""A training stopped anywhere continues, in a fresh state, to the same bytes."""

import copy

import pytest
import torch
from torch import nn
from ways import train_by_autograd

from lottery_ticket.data import PadCropFlip
from lottery_ticket.errors import TrainingError
from lottery_ticket.masks import MaskedParameters, PruningMask
from lottery_ticket.train import (
    LOSSES,
    Batches,
    TrainState,
    checkpoint_bytes,
    learning_rate,
    make_optimizer,
    restore_,
)

TOTAL = 25  # two and a half epochs; measured at 7, 14, 21 and 25
OPTIMIZERS = {
    "sgd": ("sgd", {}),
    "momentum": ("sgd", {"momentum": 0.9, "weight_decay": 1e-3}),
    "adam": ("adam", {}),
    "adamw": ("adamw", {"weight_decay": 0.1}),
}


class StopError(Exception):
    pass


def fresh(optimizer, *, seed=0):
    """A net with dropout and a norm, pruned, as it is before a training."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(24, 10),
    )  # fmt: skip
    mask = PruningMask(model)
    mask["1.weight"][:, ::2] = False
    mask.apply(model)
    torch.manual_seed(seed + 1)  # dropout draws from here on
    name, options = OPTIMIZERS[optimizer]
    return TrainState(model, make_optimizer(name, model.parameters(), lr=0.01, **options)), mask


def continue_(state, mask, split, augment, on_step=lambda state: None):
    train_by_autograd(
        state,
        Batches(split, 32, order_seed=3, augment=augment, augment_seed=4),
        loss=LOSSES["cross_entropy"],
        total_steps=TOTAL,
        learning_rate=lambda step: learning_rate(
            step, base=0.01, schedule="cosine", total_steps=TOTAL, warmup_steps=4
        ),
        masked=MaskedParameters(state.model, mask),
        clip_norm=1.0,
        evaluate_every=7,
        evaluation_splits={"val": split},
        on_step=on_step,
    )
    return state


def outcome(state):
    weights = {n: v.numpy().tobytes() for n, v in state.model.state_dict().items()}
    return weights, state.history, checkpoint_bytes(state)


def check_continues(split, optimizer, stop, restore, augment=None):
    state, mask = fresh(optimizer)
    wanted = outcome(continue_(state, mask, split, augment))

    def stop_there(state):
        if state.step == stop:
            data.append(checkpoint_bytes(state))
            raise StopError

    data = []
    state, mask = fresh(optimizer)
    with pytest.raises(StopError):
        continue_(state, mask, split, augment, on_step=stop_there)
    # another process: other weights, another random state, and it makes the same file from them
    resumed, _ = fresh(optimizer, seed=99)
    restore(resumed, data[0])
    assert resumed.step == stop
    weights, history, last = outcome(continue_(resumed, mask, split, augment))
    assert [record["step"] for record in history] == [7, 14, 21, 25]
    assert weights == wanted[0]
    assert history == wanted[1]
    assert last == wanted[2]


@pytest.mark.parametrize(
    ("optimizer", "stop"),
    [*((name, 13) for name in OPTIMIZERS), *(("momentum", stop) for stop in (1, 7, 10, 24))],
)
def test_continues_to_the_same_bytes(optimizer, stop, few_digits):
    check_continues(few_digits, optimizer, stop, restore_)


@pytest.mark.parametrize("stop", [10, 17])
def test_continues_with_augmentation(stop, few_images):
    check_continues(few_images, "momentum", stop, restore_, augment=PadCropFlip(1))


def test_a_checkpoint_disturbs_nothing(few_digits):
    state, mask = fresh("adam")
    wanted = outcome(continue_(state, mask, few_digits, None))
    state, mask = fresh("adam")
    found = outcome(continue_(state, mask, few_digits, None, on_step=checkpoint_bytes))
    assert found == wanted


def forgets_the_optimizer(state, data):
    before = copy.deepcopy(state.optimizer.state_dict())
    restore_(state, data)
    state.optimizer.load_state_dict(before)


def forgets_the_random_state(state, data):
    before = torch.get_rng_state()
    restore_(state, data)
    torch.set_rng_state(before)


def forgets_buffers(state, data):
    before = {name: value.clone() for name, value in state.model.named_buffers()}
    restore_(state, data)
    for name, value in state.model.named_buffers():
        value.copy_(before[name])


def forgets_the_losses(state, data):
    restore_(state, data)
    state.loss_sum, state.loss_count = 0.0, 0


def forgets_the_history(state, data):
    restore_(state, data)
    state.history = []


def goes_back_to_the_epochs_start(state, data):
    restore_(state, data)
    state.step -= state.step % 10


@pytest.mark.parametrize(
    "mutant",
    [
        forgets_the_optimizer,
        forgets_the_random_state,
        forgets_buffers,
        forgets_the_losses,
        forgets_the_history,
        goes_back_to_the_epochs_start,
    ],
)
def test_incomplete_restoring_is_caught(mutant, few_digits):
    with pytest.raises(AssertionError):
        check_continues(few_digits, "momentum", 13, mutant)


def test_a_bad_loss_is_not_checkpointed(few_digits):
    state, _ = fresh("sgd")
    state.step = 1
    state.add_loss_(torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match="became nan at step 1"):
        checkpoint_bytes(state)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_convolutional_net_goes_on_to_the_same_bytes(optimizer, few_images):
    """Its weights lie channels last in memory, and so must what the optimiser remembers."""
    name, options = OPTIMIZERS[optimizer]

    def begun():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1), nn.Flatten(),
            nn.Linear(4 * 64, 10),
        )  # fmt: skip
        mask = PruningMask(model)
        mask["2.weight"][:, ::2] = False
        mask.apply(model)
        made = make_optimizer(name, model.parameters(), lr=0.01, **options)
        return TrainState(model, made), mask

    saved = []

    def keep(state):
        if state.step == 12:
            saved.append(checkpoint_bytes(state))

    whole, mask = begun()
    continue_(whole, mask, few_images, None, keep)
    again, mask = begun()
    restore_(again, saved[0])
    continue_(again, mask, few_images, None)
    assert checkpoint_bytes(again) == checkpoint_bytes(whole)
