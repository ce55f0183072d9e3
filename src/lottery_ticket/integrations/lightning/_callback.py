"""`LotteryTicketCallback`: a mask that holds in one fit, or a ticket that is found over several."""

import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.finder import FitStart, Levels, TicketResults
from lottery_ticket.integrations.lightning._arguments import (
    ELSEWHERE,
    check_all_have_effect,
    check_has_batches,
    check_same_layers,
)
from lottery_ticket.integrations.lightning._hold import Hold
from lottery_ticket.integrations.lightning._library import joined
from lottery_ticket.integrations.lightning._position import (
    Position,
    check_can_start_later,
    check_ends_after,
    go_to_step,
    skip_batches,
)
from lottery_ticket.integrations.lightning._trainer import (
    OfAnotherLevel,
    check_strategy,
    optimizer_of,
    with_memory,
)
from lottery_ticket.masks import Attachment, MaskPolicy, PruningMask, Target
from lottery_ticket.pruning import Polynomial, Schedule, rewind_optimizer_
from lottery_ticket.tickets import Ticket

__all__ = ["LotteryTicketCallback"]


class LotteryTicketCallback:
    """Holds a mask in a Lightning `Trainer`'s fit, or finds a winning ticket over several fits.

    With a mask, or a policy, one fit is trained under it. Pruned weights, their gradients and what
    the optimiser remembers of them are exactly zero after every step.

    Else each fit is a level: the first one trains the dense net. Before each of the others the
    model is pruned, by what the fit before left, and rewound: to its first weights, or with
    `rewind_step=k` to its weights and optimiser state of step k, where that fit then begins, in
    learning rates and data too. After a fit the model is as trained, to be tested.

    Checkpoints carry mask, level, θ₀ and θ_k: a process that was killed goes on with the same
    lines and `trainer.fit(…, ckpt_path="last")`. Without the callback they are plain weights.

    Args:
        mask: what is kept, to be held; or what is kept before `policy` begins.
        target_sparsity: fraction of *all* prunable weights to prune (default 0.9), reached exactly.
        pruning_rounds: levels after the dense one, in equal ratios: so many fits, and one.
        schedule: other levels than these: `iterative(…)`, `densities(…)`, `one_shot(…)`.
        amount: as in Lightning's `ModelPruning`, the fraction of what *remains* that each level
            prunes; in place of `target_sparsity`, with `pruning_rounds`.
        rewind_step: k, in optimiser steps; None for the weights of the start.
        policy: what changes the mask during one fit: `polynomial(0.9, end_step=…)`, or a
            `MaskPolicy`.
        criterion, scope, structure, min_layer_density: as in `LotteryTicketFinder`.
        targets, ignore, min_size: which parameters are prunable; see `PruningMask`.
        parameters_to_prune: another word for targets, as `ModelPruning` has it:
            `[(model.fc1, "weight"), …]`.
        batches, loss, batch_loss: for criteria that need data.
        monitor: the logged metric that `results` judge a level by, such as `"val_acc"`.
        mode: `"max"` if a higher value of it is better, else `"min"`; by default `"min"` where the
            name of `monitor` is that of a loss, an error or a perplexity.
        name: what results call the search.
        seed: of criteria and policies that draw.

    Raises:
        UsageError: arguments that make no sense together; Lightning is missing, or a version that
            is refused.

    >>> callback = LotteryTicketCallback(target_sparsity=0.9, pruning_rounds=4)  # doctest: +SKIP
    >>> while not callback.is_done:  # doctest: +SKIP
    ...     trainer = Trainer(max_epochs=5, callbacks=[callback])
    ...     trainer.fit(model, datamodule=data)

    Source: Frankle & Carbin 2019; rewinding to θ_k, Frankle et al. 2020.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "LotteryTicketCallback":
        return object.__new__(joined(cls))

    @known_keywords("LotteryTicketCallback", elsewhere=ELSEWHERE)
    def __init__(
        self,
        mask: PruningMask | None = None,
        *,
        target_sparsity: float | None = None,
        pruning_rounds: int | None = None,
        schedule: Schedule | None = None,
        amount: float | None = None,
        rewind_step: int | None = None,
        policy: MaskPolicy | Polynomial | None = None,
        criterion: CriterionLike = "magnitude",
        scope: str = "global",
        structure: str = "unstructured",
        min_layer_density: float = 0.0,
        targets: Sequence[Target] | None = None,
        ignore: Sequence[Target] = (),
        min_size: int = 0,
        parameters_to_prune: Sequence[Target] | None = None,
        batches: Iterable[Any] | None = None,
        loss: Callable[..., torch.Tensor] | None = None,
        batch_loss: Callable[..., torch.Tensor] | None = None,
        monitor: str | None = None,
        mode: str | None = None,
        name: str | None = None,
        seed: int = 0,
    ) -> None:
        if parameters_to_prune is not None:
            if targets is not None:
                raise UsageError("targets and parameters_to_prune say the same thing; pass one")
            targets = list(parameters_to_prune)
        prunable = {"targets": targets, "ignore": ignore, "min_size": min_size}
        search = {
            "target_sparsity": target_sparsity, "pruning_rounds": pruning_rounds,
            "schedule": schedule, "amount": amount, "rewind_step": rewind_step, "monitor": monitor,
            "mode": mode, "name": name, "criterion": criterion, "scope": scope,
            "structure": structure, "min_layer_density": min_layer_density, "batches": batches,
            "loss": loss, "batch_loss": batch_loss, "seed": seed,
        }  # fmt: skip
        self._plan: Hold | Levels
        if mask is not None or policy is not None:
            check_all_have_effect(mask, policy, search | prunable)
            self._plan = Hold(mask, policy, prunable, criterion, scope, seed)
        else:
            check_has_batches(criterion, batches)
            self._plan = Levels.checked(**search, prunable=prunable)
        self._attached: Attachment | None = None
        self._continued: Mapping[str, Any] | None = None  # what a checkpoint says of its fit
        self._other_level: OfAnotherLevel | None = None
        self._position: Position | None = None
        self._spent: weakref.WeakSet[Any] = weakref.WeakSet()  # trainers, and their callbacks
        self._is_starting, self._is_fitting, self._is_evaluating = False, False, False
        self._started = 0.0

    # what there is

    @property
    def mask(self) -> PruningMask:
        """What the model keeps now.

        Raises:
            UsageError: no fit has begun.
        """
        if self._attached is not None:
            return self._attached.mask
        if self._continued is not None:
            return PruningMask.from_bytes(self._continued["mask"].numpy().tobytes(), "checkpoint")
        if isinstance(self._plan, Hold) and self._plan.mask is not None:
            return self._plan.mask
        if isinstance(self._plan, Levels) and self._plan.search is not None:
            return self._plan.search.masks[self.level]
        raise UsageError("mask: no fit has begun")

    @property
    def level(self) -> int:
        """The level that the model is at: in training, or trained last; 0 is dense."""
        finished = self._plan.num_finished if isinstance(self._plan, Levels) else 0
        is_begun = self._is_fitting or self._continued is not None
        return finished if is_begun else max(0, finished - 1)

    @property
    def is_done(self) -> bool:
        """Whether every level is trained."""
        return self._levels("is_done").is_done

    @property
    def results(self) -> TicketResults:
        """The trainings so far, as the finder has them: `table`, `summary`, `print`.

        Raises:
            UsageError: nothing was found yet.
        """
        return self._levels("results").results

    @property
    def attached(self) -> Attachment | None:
        """The mask at work; after a fit, as it ended; None before the first."""
        return self._attached

    def ticket(self, *, trained: bool = True) -> Ticket:
        """The ticket that was trained last, to be saved.

        Args:
            trained: keep the trained weights too.

        Raises:
            UsageError: no fit was finished, or its results are invalid.
        """
        return self._levels("ticket").ticket(trained=trained)

    # what a checkpoint holds

    @property
    def state_key(self) -> str:
        """Under which a checkpoint has it."""
        return "LotteryTicketCallback"

    def state_dict(self) -> dict[str, Any]:
        """Mask, level, θ₀, θ_k and results: tensors and plain values alone."""
        attached = None if self._attached is None else self._attached.state_dict()
        plan = self._plan.state_dict()
        return {
            "is_starting": self._is_starting,  # a tuner's, which tries something before the fit
            "is_fitting": self._is_fitting,
            "plan": plan,
            "attached": attached,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` said: in the middle of its fit, or with the next one.

        Raises:
            UsageError: it is of another search.
        """
        if self._is_evaluating:  # trainer.test(ckpt_path=…) is no step of a search
            return
        if self._is_of_tuner(state_dict):
            return
        if self._is_fitting and self._attached is not None:  # a tuner's, in the middle of a fit
            self._attached.load_state_dict(state_dict["attached"])
            return
        self._plan.load_state_dict(state_dict["plan"])
        self._attached = None
        is_held = isinstance(self._plan, Hold)
        self._continued = state_dict["attached"] if state_dict["is_fitting"] or is_held else None

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """A checkpoint of a level that is finished holds nothing of the one that begins."""
        if trainer.state.fn != "fit" or not isinstance(self._plan, Levels):
            return
        state = checkpoint["callbacks"].get(self.state_key)
        if state is None:
            raise UsageError(
                "ckpt_path: the checkpoint was made without this callback, so its level is not "
                "known; leave ckpt_path out, or give a checkpoint of this search"
            )
        if self._is_of_tuner(state) or self._is_fitting:
            return
        num_finished = len(state["plan"].get("rows", ()))
        if num_finished >= self._plan.num_finished:
            if state["is_fitting"]:
                return  # load_state_dict is called next
            self.load_state_dict(state)
        self._other_level = OfAnotherLevel(checkpoint)
        self._other_level.forget_callbacks_and_loops(trainer)

    # what Lightning calls while it fits

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Called first, before a checkpoint is loaded."""
        self._is_evaluating = stage != "fit"
        if stage == "fit":
            if isinstance(self._plan, Levels) and trainer.fast_dev_run:
                raise UsageError(
                    "fast_dev_run: each fit is a level, and this one would count as one; leave the "
                    "callback out of it, or try the search with Trainer(limit_train_batches=2)"
                )
            self._is_starting, self._is_fitting = True, False
            self._continued, self._other_level, self._position = None, None, None

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Called last."""
        self._is_starting, self._is_evaluating = False, False

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The model is on its device and has its optimisers: prune, rewind, attach."""
        check_strategy(trainer)
        self._is_starting = False
        if isinstance(self._plan, Levels):
            self._check_is_new(trainer, self._plan)
            if k := self._plan.method.rewind_step:  # known before a level is trained in vain
                check_can_start_later(trainer, pl_module, k)
        start = self._plan.begin(pl_module, is_continued=self._continued is not None)
        optimizer = optimizer_of(trainer, pl_module, start.mask)
        attached = self._attach(pl_module, optimizer, start)
        try:
            if self._continued is None and start.step and optimizer is not None:
                rewind_optimizer_(optimizer, start.optimizer_state or {}, pl_module, start.mask)
                self._position = go_to_step(trainer, pl_module, start.step)
            if self._other_level is not None:
                self._other_level.forget_optimizers(trainer)
        except BaseException:
            attached.release()
            raise
        self._attached, self._is_fitting, self._started = attached, True, time.monotonic()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """What Lightning restores is restored: be sure of the zeros, and find the first batch."""
        assert self._attached is not None
        self._attached.zero_()
        self._other_level = None
        if isinstance(self._plan, Levels) and (k := self._plan.method.rewind_step):
            check_ends_after(trainer, k)
        self._log(trainer)
        if self._position is not None:
            skip_batches(trainer, self._position)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Metrics were logged."""
        if self._is_fitting and not trainer.sanity_checking:
            self._plan.note_metrics(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Metrics were logged, and a policy may have moved the mask."""
        self._plan.note_metrics(trainer.callback_metrics)
        self._log(trainer)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Note how the fit ended; the model stays as it is, to be tested."""
        attached = self._attached
        if attached is None or not self._is_fitting:
            return
        self._is_fitting, self._continued = False, None
        self._spent.update([trainer, *with_memory(trainer.callbacks, self)])
        attached.release()
        self._plan.note_metrics(trainer.callback_metrics)
        self._plan.finish(pl_module, attached, time.monotonic() - self._started)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """A fit that failed is no level: the next one trains it again, from its start.

        Or goes on with it, from a checkpoint that others make of it now.
        """
        if self._attached is not None:
            self._attached.release()

    def _attach(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, start: FitStart
    ) -> Attachment:
        if self._continued is not None:
            check_same_layers(start.mask, self._continued)
        attached = start.mask.attach(
            model, optimizer, rewind_step=start.rewind_step, start_step=start.step,
            policy=start.policy, seed=start.seed,
        )  # fmt: skip
        try:
            if self._continued is not None:
                attached.load_state_dict(self._continued)
        except BaseException:
            attached.release()
            raise
        return attached

    def _check_is_new(self, trainer: Any, levels: Levels) -> None:
        """That neither the Trainer nor a callback of it has an earlier level behind it."""
        if trainer in self._spent:
            raise UsageError(
                f"level {levels.num_finished}: this Trainer has trained a level already, and "
                "would stop at once; make a new one for each fit: "
                "Trainer(…, callbacks=[callback]).fit(model)"
            )
        for each in with_memory(trainer.callbacks, self):
            if each in self._spent:
                raise UsageError(
                    f"level {levels.num_finished}: this {type(each).__name__} was in the Trainer "
                    "of an earlier level, which it remembers; make a new one for each fit, like "
                    "the Trainer"
                )

    def _is_of_tuner(self, state: Mapping[str, Any]) -> bool:
        """Whether it was saved in this very start, as `LearningRateFinder` does to come back."""
        return self._is_starting and bool(state.get("is_starting"))

    def _log(self, trainer: Any) -> None:
        """Tell the Trainer's own loggers."""
        assert self._attached is not None
        mask = self._attached.mask
        told: dict[str, float] = {"ticket/density": mask.density, "ticket/num_kept": mask.num_kept}
        if isinstance(self._plan, Levels):
            told["ticket/level"] = self.level
        for logger in trainer.loggers:
            logger.log_metrics(told, step=trainer.global_step)

    def __reduce__(self) -> tuple[Any, ...]:
        """It pickles as a checkpoint has it: between fits, without the mask's hooks."""
        left = {"_attached": None, "_other_level": None, "_position": None, "_spent": None}
        state = self.__dict__ | left
        if self._is_fitting and self._attached is not None:
            state |= {"_continued": self._attached.state_dict(), "_is_fitting": False}
        return _made_empty, (), state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, _spent=weakref.WeakSet())

    def _levels(self, what: str) -> Levels:
        if isinstance(self._plan, Levels):
            return self._plan
        raise UsageError(
            f"{what}: this callback holds a mask in one fit; a search over several fits has no "
            "mask= or policy=, but target_sparsity= and pruning_rounds="
        )


def _made_empty() -> LotteryTicketCallback:
    return LotteryTicketCallback.__new__(LotteryTicketCallback)
