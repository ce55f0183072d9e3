"""What a recipe names, as the functions and objects that are meant."""

import functools
from collections.abc import Callable, Iterable

import torch
from torch import nn

from lottery_ticket.data import AUGMENTATIONS, Augmentation
from lottery_ticket.spec import TrainSpec
from lottery_ticket.steps import Duration
from lottery_ticket.train import LOSSES, METRICS, Loss, Metric, learning_rate, make_optimizer

__all__ = ["augmentation_of", "loss_of", "metric_of", "optimizer_of", "schedule_of"]


def loss_of(train: TrainSpec) -> Loss:
    """(output, target) → mean loss."""
    loss = LOSSES[train.loss]
    return functools.partial(loss, **train.loss_options) if train.loss_options else loss


def metric_of(train: TrainSpec) -> Metric | None:
    """(outputs, targets) → a value for each example, or one number; None without a metric."""
    if train.metric is None:
        return None
    return functools.partial(METRICS[train.metric].function, **train.metric_options)


def augmentation_of(train: TrainSpec) -> Augmentation | None:
    """What changes the examples; None for nothing."""
    return AUGMENTATIONS[train.augment](**train.augment_options) if train.augment else None


def optimizer_of(
    train: TrainSpec,
) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
    """Parameters → the optimiser of a recipe."""
    options = train.optimizer_arguments
    return functools.partial(make_optimizer, train.optimizer, lr=train.lr, **options)


def schedule_of(train: TrainSpec, epoch: int) -> Callable[[int], float]:
    """Step → learning rate; beyond the recipe's end it stays what it was last.

    Args:
        epoch: optimiser steps.
    """
    if train.schedule == "constant" and train.warmup is None:
        return lambda step: train.lr
    total_steps = Duration.parse(train.duration).steps(epoch)
    rate = functools.partial(
        learning_rate,
        base=train.lr,
        schedule=train.schedule,
        total_steps=total_steps,
        warmup_steps=Duration.parse(train.warmup).steps(epoch) if train.warmup else 0,
        milestones=[Duration.parse(m).steps(epoch) for m in train.milestones],
        gamma=train.step_gamma,
        **train.schedule_options,
    )
    return lambda step: rate(min(step, total_steps - 1))
