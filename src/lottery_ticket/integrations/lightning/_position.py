"""A fit that begins at step k: its place in the epochs, in the learning rates and in the data.

What Lightning restores from a checkpoint is set here without one. The place follows from k and the
length of an epoch alone, so that nothing has to be remembered of the training that passed it.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.integrations.lightning._library import package_of

__all__ = ["Position", "check_can_start_later", "check_ends_after", "go_to_step", "skip_batches"]


@dataclass(frozen=True)
class Position:
    """Where an optimiser step lies.

    Args:
        step: optimiser steps done.
        epoch: whole epochs done.
        num_batches: batches of the epoch that are done.
    """

    step: int
    epoch: int
    num_batches: int

    @classmethod
    def of(cls, step: int, *, batches_per_epoch: int, accumulated: int = 1) -> "Position":
        """The place of a step; the last step of an epoch may accumulate fewer batches.

        >>> Position.of(7, batches_per_epoch=9, accumulated=2)
        Position(step=7, epoch=1, num_batches=4)
        """
        epoch, rest = divmod(step, math.ceil(batches_per_epoch / accumulated))
        return cls(step, epoch, rest * accumulated)


def go_to_step(trainer: Any, pl_module: Any, step: int) -> Position:
    """Let a fit that is about to start begin at an optimiser step; called in `on_fit_start`.

    Raises:
        UsageError: where the step lies cannot be known, or it is not before the end.
    """
    check_can_start_later(trainer, pl_module, step)
    trainer.fit_loop.setup_data()
    batches = trainer.num_training_batches
    if not math.isfinite(batches):
        raise UsageError(
            f"step {step}: the training dataloader has no length, so where that step lies is not "
            "known; give it a __len__, or Trainer(limit_train_batches=…)"
        )
    at = Position.of(
        step, batches_per_epoch=int(batches), accumulated=trainer.accumulate_grad_batches
    )
    check_ends_after(trainer, step)
    _step_schedulers(trainer, pl_module, at, int(batches))
    _set_progress(trainer.fit_loop, at, int(batches))
    return at


def skip_batches(trainer: Any, at: Position) -> None:
    """Let the first epoch begin with the batch after those that are done; in `on_train_start`."""
    if not at.num_batches:
        return
    trainer.fit_loop.epoch_loop.restarting = True  # a tuner may have unset it
    fetcher = trainer.fit_loop._data_fetcher
    for loader in trainer.fit_loop._combined_loader.flattened:
        for sampler in (getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)):
            if callable(set_epoch := getattr(sampler, "set_epoch", None)):
                set_epoch(at.epoch)
    iter(fetcher)  # workers may have fetched by the sampler's order of another epoch
    for _ in range(at.num_batches):
        next(fetcher)
    fetcher.fetched -= at.num_batches  # Lightning adds them itself


def check_ends_after(trainer: Any, step: int) -> None:
    """See that a fit whose data are set up goes beyond an optimiser step.

    Raises:
        UsageError: there is no step left to be made from there.
    """
    ends = [trainer.max_steps] if trainer.max_steps >= 0 else []
    batches, epochs = trainer.num_training_batches, trainer.max_epochs
    if math.isfinite(batches) and epochs is not None and epochs >= 0:
        ends.append(epochs * math.ceil(batches / trainer.accumulate_grad_batches))
    if ends and step >= min(ends):
        raise UsageError(
            f"step {step}: the Trainer ends at {min(ends)}, so that no step is left from there; "
            "choose an earlier rewind_step or raise max_epochs or max_steps; in place of pipeline "
            '"finetune", which starts at the end, take "lr_rewind"'
        )


def check_can_start_later(trainer: Any, pl_module: Any, step: int) -> None:
    """See that it is known what a training had done by an optimiser step.

    Raises:
        UsageError: it is not.
    """
    package = package_of(trainer)
    if any(
        isinstance(c, package.callbacks.GradientAccumulationScheduler) for c in trainer.callbacks
    ):
        raise UsageError(
            f"step {step}: GradientAccumulationScheduler changes how many batches a step has, so "
            "which batch that step begins with is not known; use "
            "Trainer(accumulate_grad_batches=…), or rewind to the start (rewind_step=None)"
        )
    if not pl_module.automatic_optimization:
        raise UsageError(
            f"step {step}: with manual optimization Lightning does not know which batch a step "
            "belongs to; rewind to the start (rewind_step=None)"
        )
    plateau = [each for each in trainer.lr_scheduler_configs if each.reduce_on_plateau]
    if plateau:
        raise UsageError(
            f"step {step}: what {type(plateau[0].scheduler).__name__} had done by then follows "
            "from metrics, which are not known; use a schedule of steps or epochs, or rewind to "
            "the start (rewind_step=None)"
        )


def _step_schedulers(trainer: Any, pl_module: Any, at: Position, batches: int) -> None:
    """Step the schedulers as often, and in the order, as Lightning would have."""
    accumulated = trainer.accumulate_grad_batches
    for epoch in range(at.epoch + 1):
        num_done = batches if epoch < at.epoch else at.num_batches
        for number in range(1, num_done + 1):
            is_last = number == batches
            if number % accumulated == 0 or is_last:
                _step_each(trainer, pl_module, "step", number)
            if is_last:
                _step_each(trainer, pl_module, "epoch", epoch + 1)


def _step_each(trainer: Any, pl_module: Any, interval: str, number: int) -> None:
    for config in trainer.lr_scheduler_configs:
        if config.interval == interval and number % config.frequency == 0:
            with warnings.catch_warnings():
                # that the optimiser has made no step yet is known
                warnings.filterwarnings("ignore", "Detected call of", UserWarning)
                pl_module.lr_scheduler_step(config.scheduler, None)


def _set_progress(fit_loop: Any, at: Position, batches: int) -> None:
    epoch_loop = fit_loop.epoch_loop
    done = at.epoch * batches + at.num_batches
    _set(fit_loop.epoch_progress.total, at.epoch)
    _set(fit_loop.epoch_progress.current, at.epoch)
    _set(epoch_loop.batch_progress.total, done)
    _set(epoch_loop.batch_progress.current, at.num_batches)
    optimizer = epoch_loop.automatic_optimization.optim_progress.optimizer
    for progress in (optimizer.step, optimizer.zero_grad):
        _set(progress.total, at.step)
    epoch_loop._batches_that_stepped = at.step  # loggers' x axis
    # else the epoch begins with its first batch; the loop around it does begin an epoch
    epoch_loop.restarting = at.num_batches > 0


def _set(tracker: Any, done: int) -> None:
    """Put a count into a tracker of Lightning's, which has two to four of these."""
    for name in ("ready", "started", "processed", "completed"):
        if hasattr(tracker, name):
            setattr(tracker, name, done)
