"""The training loop. It reads top to bottom, and never waits for the device inside a step."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.errors import TrainingError
from lottery_ticket.masks import MaskPolicy, PruningMask, asked, impose_
from lottery_ticket.pruning import MaskScores
from lottery_ticket.train._batches import Batches
from lottery_ticket.train._evaluate import Evaluation, evaluate
from lottery_ticket.train._history import History
from lottery_ticket.train._losses import Loss
from lottery_ticket.train._metrics import Metric
from lottery_ticket.train._step import Step

__all__ = ["BF16_NUMERICS", "CHECK_STEPS", "NUMERICS", "TrainState", "train"]

NUMERICS = 2  # raised when the same inputs train to other bytes
BF16_NUMERICS = 2  # the same, of trainings in bf16 alone

CHECK_STEPS = 100  # a non-finite loss is noticed within so many steps


@dataclass
class TrainState:
    """All that a training is at a step; checkpointed, it continues bit for bit.

    Args:
        model: the model, on the device.
        optimizer: over the model's parameters.
        step: optimiser steps done.
        history: what was measured so far.
        loss_sum: sum of the training losses since the last record, `loss_count` of them.
        measured: the last evaluation of each split.
        execution: what makes the steps; it may hold newer values than `model` and `optimizer`
            until `write_` is called.
        mask: what is kept now, where a policy changes it; else None.
        scores: what is trained in place of weights, and makes the mask; else None.
        memory: what that policy remembers.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    history: History = field(default_factory=list)
    loss_sum: float = 0.0
    loss_count: int = 0
    measured: dict[str, Evaluation] = field(default_factory=dict)
    execution: Step | None = None
    mask: PruningMask | None = None
    scores: MaskScores | None = None
    memory: dict[str, torch.Tensor] = field(default_factory=dict)
    _recent_losses: list[torch.Tensor | float] = field(default_factory=list)

    def write_(self) -> None:
        """Bring model and optimiser up to date with what is executed."""
        if self.execution is not None:
            self.execution.write_()
        if self.scores is not None:
            self.mask = self.scores.write_()

    def add_loss_(self, loss: torch.Tensor | float) -> None:
        """Take note of a step's loss without waiting for its value."""
        self._recent_losses.append(loss)
        if len(self._recent_losses) == CHECK_STEPS:
            self.collect_losses_()

    def collect_losses_(self) -> None:
        """Wait for the losses noted since the last call; raises `TrainingError` on a bad one."""
        if self._recent_losses:
            values = _values(self._recent_losses)
            self._recent_losses.clear()
            self.sum_losses_(values)

    def sum_losses_(self, values: Sequence[float]) -> None:
        """Add the losses of the last steps; raises `TrainingError` on a bad one."""
        for offset, value in enumerate(values):
            if not math.isfinite(value):
                step = self.step - len(values) + offset + 1
                raise TrainingError(
                    f"the training loss became {value} at step {step}; "
                    "try a lower learning rate, warm-up or gradient clipping"
                )
            # one by one, so that the sum does not depend on when it was collected
            self.loss_sum += value
        self.loss_count += len(values)

    def ask_(
        self, policy: MaskPolicy, seed: int, gradients: Mapping[str, torch.Tensor] | None = None
    ) -> bool:
        """Ask a policy for the mask from now on; whether it is another one.

        Raises:
            TrainingError: what it returned is no mask of this model.
        """
        assert self.mask is not None
        found, self.memory = asked(
            policy, self.step, self.model, self.optimizer, self.mask, seed, gradients, self.memory
        )
        if found is None:
            return False
        self.mask = found
        impose_(found, self.model, self.optimizer)
        return True

    def record_(self, lr: float, measured: Mapping[str, Evaluation]) -> dict[str, Any]:
        """Close the interval since the last record: a new one, at the end of the history."""
        record: dict[str, Any] = {
            "step": self.step,
            "lr": lr,
            "train_loss": self.loss_sum / self.loss_count,
        }
        self.loss_sum, self.loss_count = 0.0, 0
        for prefix, evaluation in measured.items():
            record[f"{prefix}_loss"] = _finite_or_none(evaluation.loss)
            record[f"{prefix}_accuracy"] = evaluation.accuracy
            if evaluation.metric is not None:
                record[f"{prefix}_metric"] = _finite_or_none(evaluation.metric.value)
        self.measured = dict(measured)
        self.history.append(record)
        return record


def train(
    state: TrainState,
    execution: Step,
    batches: Batches,
    *,
    loss: Loss,
    total_steps: int,
    learning_rate: Callable[[int], float],
    evaluate_every: int,
    evaluation_splits: Mapping[str, Split],
    metric: Metric | None = None,
    policy: MaskPolicy | None = None,
    policy_seed: int = 0,
    on_record: Callable[[dict[str, Any]], None] = lambda record: None,
    on_step: Callable[[TrainState], None] = lambda state: None,
) -> None:
    """Train `state` in place from its step to `total_steps`.

    Args:
        execution: how each step is made, see `step_for`.
        batches: the data, in an order that depends on its seeds alone.
        loss: (output, target) → mean loss.
        total_steps: the step at which training ends.
        learning_rate: step → learning rate of the update that follows.
        evaluate_every: steps between measurements; the last step is always measured.
        evaluation_splits: what to measure on, by column prefix (`"val"`, `"test"`).
        metric: what to measure beside loss and accuracy.
        policy: what changes `state.mask` between steps.
        policy_seed: of what it draws.
        on_record: called with each new history record.
        on_step: called after each step.

    Raises:
        TrainingError: a loss that is not finite, naming its step; the history is kept.
    """
    state.execution = execution
    state.model.train()
    while state.step < total_steps:
        epoch, start = divmod(state.step, batches.steps_per_epoch)
        for batch in batches.order(epoch, start):
            keeps = policy is not None and policy.wants_gradients(state.step + 1)
            value = execution(batch, learning_rate(state.step), keep_gradients=keeps)
            state.step += 1
            state.add_loss_(value)
            if policy is not None and policy.is_due(state.step):
                state.write_()
                if state.ask_(policy, policy_seed, execution.gradients):
                    assert state.mask is not None
                    execution.take_mask_(state.mask)
            if state.step % evaluate_every == 0 or state.step == total_steps:
                state.collect_losses_()
                measured = {
                    prefix: evaluate(
                        state.model, split, loss, outputs=execution.outputs, metric=metric
                    )
                    for prefix, split in evaluation_splits.items()
                }
                on_record(state.record_(learning_rate(state.step - 1), measured))
            on_step(state)
            if state.step == total_steps:
                break
    state.write_()


def _values(losses: Sequence[torch.Tensor | float]) -> list[float]:
    """Many losses in one wait for the device."""
    tensors = [loss for loss in losses if isinstance(loss, torch.Tensor)]
    if len(tensors) == len(losses):
        return torch.stack(tensors).tolist()
    return [float(loss) for loss in losses]


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity
