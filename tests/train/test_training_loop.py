import pytest
import torch
import torch.nn.functional as F
from ways import train_by_autograd

from lottery_ticket.data import Split
from lottery_ticket.errors import TrainingError
from lottery_ticket.models import build
from lottery_ticket.train import (
    LOSSES,
    Batches,
    TrainState,
    evaluate,
    make_optimizer,
)


def fresh(lr=0.05):
    model = build("LeNet300", 0, input_size=64, hidden=[16, 12])
    return TrainState(model, make_optimizer("sgd", model.parameters(), lr=lr))


def run(state, split, *, steps, every=1000, loss=F.cross_entropy, lr=lambda step: 0.05, **options):
    options.setdefault("evaluation_splits", {})
    batches = Batches(split, 32, order_seed=0)
    train_by_autograd(
        state, batches, loss=loss, total_steps=steps, learning_rate=lr, evaluate_every=every,
        **options,
    )  # fmt: skip


def test_history(few_digits, digits):
    state, records, losses = fresh(), [], []

    def noted(output, y):
        value = F.cross_entropy(output, y)
        if value.requires_grad:
            losses.append(float(value.detach()))
        return value

    splits = {"val": digits.validation, "test": digits.test}
    run(
        state, few_digits, steps=25, every=10, loss=noted, lr=lambda step: 0.05 / (step + 1),
        evaluation_splits=splits, on_record=records.append,
    )  # fmt: skip
    assert records == state.history
    assert [record["step"] for record in records] == [10, 20, 25]
    assert [record["lr"] for record in records] == [0.05 / 10, 0.05 / 20, 0.05 / 25]
    for record, part in zip(records, [losses[:10], losses[10:20], losses[20:]], strict=True):
        assert record["train_loss"] == sum(part) / len(part)
    measured = evaluate(state.model, digits.test, LOSSES["cross_entropy"])
    assert records[-1]["test_loss"] == measured.loss
    assert records[-1]["test_accuracy"] == measured.accuracy
    assert set(records[0]) == {
        "step", "lr", "train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy"
    }  # fmt: skip


def test_measures_only_what_it_is_given(few_digits):
    state = fresh()
    run(state, few_digits, steps=3, every=3)
    assert [set(record) for record in state.history] == [{"step", "lr", "train_loss"}]


def test_measuring_does_not_change_what_is_learnt(few_digits):
    often, never = fresh(), fresh()
    run(often, few_digits, steps=15, every=1, evaluation_splits={"val": few_digits})
    run(never, few_digits, steps=15)
    for name, value in often.model.state_dict().items():
        assert torch.equal(value, never.model.state_dict()[name])


def test_goes_on_from_its_step(few_digits):
    whole, parts, seen = fresh(), fresh(), []
    run(whole, few_digits, steps=14)
    for steps in (3, 10, 11, 11, 14):
        run(parts, few_digits, steps=steps, on_step=lambda state: seen.append(state.step))
    assert seen == list(range(1, 15))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name])


def becomes(value, at_step):
    """A loss that is not finite from one training step on."""
    steps = 0

    def loss(output, y):
        nonlocal steps
        mean = F.cross_entropy(output, y)
        steps += mean.requires_grad
        return mean * value if steps >= at_step and mean.requires_grad else mean

    return loss


def check_notices(train_run, split, value, at_step):
    """Within 100 steps, naming the step; the history up to there is kept."""
    state, done = fresh(), []
    message = "a loss that is not finite went unnoticed"
    try:
        train_run(
            state, split, steps=210, every=300, loss=becomes(value, at_step),
            on_step=lambda state: done.append(state.step),
        )  # fmt: skip
    except TrainingError as error:
        message = str(error)
    assert f"became {value} at step {at_step};" in message
    assert "lower learning rate, warm-up or gradient clipping" in message
    assert at_step <= state.step < at_step + 100
    assert len(done) < at_step + 100


@pytest.mark.parametrize("at_step", [1, 37, 100, 101])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_notices_a_loss_that_is_not_finite(value, at_step, few_digits):
    check_notices(run, few_digits, value, at_step)


def test_late_notice_and_silence_are_caught(few_digits):
    class Late(TrainState):
        def add_loss_(self, loss):
            self._recent_losses.append(loss)  # collected with the next record only

    def late(state, split, **options):
        run(Late(state.model, state.optimizer), split, **options)

    def silent(state, split, *, loss, **options):
        run(state, split, loss=lambda output, y: loss(output, y).nan_to_num(0, 0, 0), **options)

    for mutant in (late, silent):
        with pytest.raises(AssertionError):
            check_notices(mutant, few_digits, float("nan"), 37)


def test_the_history_is_kept(few_digits):
    state = fresh()
    with pytest.raises(TrainingError, match="became nan at step 37"):
        run(state, few_digits, steps=99, every=20, loss=becomes(float("nan"), 37))
    assert [record["step"] for record in state.history] == [20]
    assert state.step == 40


def test_a_measured_loss_that_is_not_finite_is_null(few_digits):
    split = Split(torch.full((2, 64), float("inf")), torch.zeros(2, dtype=torch.int64))
    state = fresh()
    run(state, few_digits, steps=1, every=1, evaluation_splits={"val": split})
    assert state.history[0]["val_loss"] is None


def test_lenet_learns_mnist(real_mnist):
    """One epoch: the recipe reaches what it is known to reach."""
    model = build("LeNet300", 0)
    state = TrainState(model, make_optimizer("sgd", model.parameters(), lr=0.01, momentum=0.9))
    batches = Batches(real_mnist.train, 64, order_seed=0)
    assert batches.steps_per_epoch == 938
    train_by_autograd(
        state,
        batches,
        loss=LOSSES["cross_entropy"],
        total_steps=938,
        learning_rate=lambda step: 0.01,
        evaluate_every=938,
        evaluation_splits={"test": real_mnist.test},
    )
    assert 0.95 <= state.history[-1]["test_accuracy"] < 0.99
