"""A mask in loops that accelerate prepares: `attach` before or after, and its own checkpoints."""

import hashlib

import pytest
import torch
from torch import nn

from lottery_ticket import MaskPolicy, PruningMask, prune
from lottery_ticket.errors import UsageError

accelerate = pytest.importorskip("accelerate", reason="`make hf` has accelerate")

STEPS, BATCH = 12, 16


@pytest.fixture(autouse=True)
def accelerators_of_its_own():
    """accelerate keeps the settings of the first one for the process."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


@pytest.fixture(scope="module")
def digits():
    from lottery_ticket.data import load_dataset

    split = load_dataset("digits").train
    return torch.utils.data.TensorDataset(split.x[: STEPS * BATCH], split.y[: STEPS * BATCH])


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 10))


class Training:
    """A model, its optimiser and data, prepared, with a mask at work."""

    def __init__(self, digits, *, is_attached_before=False, policy=None, mask=None, **options):
        self.accelerator = accelerate.Accelerator(cpu=True, **options)
        model = net()
        self.mask = prune(model, sparsity=0.8) if mask is None else mask
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
        data = torch.utils.data.DataLoader(digits, batch_size=BATCH)
        if is_attached_before:
            self.attached = self.mask.attach(model, optimizer, policy=policy)
        self.model, self.optimizer, self.data = self.accelerator.prepare(model, optimizer, data)
        if not is_attached_before:
            self.attached = self.mask.attach(self.model, self.optimizer, policy=policy)
        self.accelerator.register_for_checkpointing(self.attached)

    def run(self, first=0, last=STEPS):
        """Batches `first` to `last`; zeros are looked at after each."""
        for number, (x, y) in enumerate(self.data):
            if not first <= number < last:
                continue
            with self.accelerator.accumulate(self.model):
                loss = nn.functional.cross_entropy(self.model(x), y)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), 0.5)
                self.optimizer.step()
                self.optimizer.zero_grad()
            self.check_zeros()
        return self

    def check_zeros(self):
        parameters = dict(self.accelerator.unwrap_model(self.model).named_parameters())
        for name, kept in self.attached.mask.items():
            assert not parameters[name][~kept].any(), name
            for value in self.optimizer.state.get(parameters[name], {}).values():
                assert value.shape != kept.shape or not value[~kept].any(), name

    def digest(self):
        whole = hashlib.sha256()
        for value in self.accelerator.unwrap_model(self.model).state_dict().values():
            whole.update(value.numpy().tobytes())
        return whole.hexdigest(), self.attached.num_steps, self.attached.mask.num_kept


@pytest.mark.parametrize("is_attached_before", [True, False])
@pytest.mark.parametrize(
    ("options", "num_steps"),
    [
        ({}, STEPS),
        ({"mixed_precision": "bf16"}, STEPS),
        ({"gradient_accumulation_steps": 3}, STEPS // 3),
    ],
)
def test_zeros_hold(is_attached_before, options, num_steps, digits):
    before = net().state_dict()
    training = Training(digits, is_attached_before=is_attached_before, **options).run()
    assert training.attached.num_steps == num_steps
    after = training.accelerator.unwrap_model(training.model).state_dict()
    for name, kept in training.mask.items():
        assert bool((after[name] != before[name])[kept].any())
    training.mask.detach()


def test_a_mask_that_is_not_held_is_caught(digits):
    training = Training(digits)
    training.mask.apply(training.model)
    training.mask.detach()
    with pytest.raises(AssertionError, match="weight"):
        training.run()


def test_the_same_before_and_after(digits):
    one, other = (Training(digits, is_attached_before=each).run() for each in (True, False))
    assert one.digest() == other.digest()


class Grow(MaskPolicy):
    """Moves a mask of half the weights at every third step, by what it draws."""

    def is_due(self, step):
        return step % 3 == 0

    def next_mask(self, moment):
        return {
            name: torch.rand(kept.shape, generator=moment.generator) < 0.5
            for name, kept in moment.mask.items()
        }


@pytest.mark.parametrize("policy", [None, Grow()])
def test_its_checkpoints_carry_the_mask(policy, digits, tmp_path):
    """One that is continued ends with the same bytes."""
    whole = Training(digits, policy=policy).run().digest()
    first = Training(digits, policy=policy).run(last=7)
    first.accelerator.save_state(str(tmp_path))
    first.mask.detach()
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    again = Training(digits, policy=policy)
    again.accelerator.load_state(str(tmp_path))
    again.check_zeros()
    assert again.attached.num_steps == 7
    assert again.run(first=7).digest() == whole


def test_a_checkpoint_without_the_mask_is_caught(digits, tmp_path):
    """Without `register_for_checkpointing` steps are counted anew, from the first mask."""
    whole = Training(digits, policy=Grow()).run().digest()
    first = Training(digits, policy=Grow()).run(last=7)
    first.accelerator._custom_objects.clear()
    first.accelerator.save_state(str(tmp_path))
    again = Training(digits, policy=Grow())
    again.accelerator._custom_objects.clear()
    again.accelerator.load_state(str(tmp_path))
    assert again.run(first=7).digest() != whole


def test_the_state_of_another_model_is_refused(digits, tmp_path):
    Training(digits).run(last=2).accelerator.save_state(str(tmp_path))
    other = Training(digits, mask=PruningMask(net(), ignore=["3"]))
    with pytest.raises(UsageError, match="load_state_dict"):
        other.accelerator.load_state(str(tmp_path))


def test_a_step_that_was_skipped_is_not_counted(digits):
    """As mixed precision skips one whose gradients are not finite."""
    training = Training(digits)
    optimizer, scaler = training.optimizer, torch.amp.GradScaler("cpu", init_scale=2.0)
    scaled = accelerate.optimizer.AcceleratedOptimizer(optimizer.optimizer, scaler=scaler)
    x, y = next(iter(training.data))
    for factor, is_skipped in ((1.0, False), (float("inf"), True), (1.0, False)):
        loss = nn.functional.cross_entropy(training.model(x), y) * factor
        scaler.scale(loss).backward()
        scaled.step()
        scaled.zero_grad()
        assert scaled.step_was_skipped is is_skipped
    assert training.attached.num_steps == 2
    training.check_zeros()
