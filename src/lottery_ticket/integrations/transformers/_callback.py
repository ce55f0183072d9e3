"""`PruningCallback`: a mask, or a policy that moves one, in a training by transformers' Trainer."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.integrations.transformers import _checkpoint
from lottery_ticket.masks import (
    MASK_FILE,
    Attachment,
    MaskPolicy,
    PruningMask,
    RewindPoint,
    check_fraction,
)
from lottery_ticket.pruning import POLICIES, Target, made_policy, one_shot

__all__ = ["PruningCallback"]

_SHARDED = {
    "DEEPSPEED": "DeepSpeed trains flat copies of the weights, which no mask can follow",
    "FSDP": "FSDP cuts weights into shards, which a mask of whole weights does not fit",
    "MEGATRON_LM": "Megatron-LM cuts weights into shards, which a mask of wholes does not fit",
}


class PruningCallback(TrainerCallback, ExportableState):
    """Holds a mask, or a policy that moves one, in a training by transformers' `Trainer`.

    Pruned weights and their optimiser state are exactly zero from the first step to the last, under
    gradient accumulation, clipping, bf16, and after checkpoints are loaded. Each checkpoint of the
    Trainer has the mask beside the model, and θ_k; `resume_from_checkpoint` goes on from there.

    Args:
        mask: what is kept; None for all prunable weights, where a policy prunes them.
        policy: what changes the mask between steps: a `MaskPolicy`, or the name of one such as
            `"gradual"`, which ends at `sparsity`.
        sparsity: fraction of all prunable weights that a policy of a name prunes in the end.
        rewind_step: keep θ_k, weights and optimiser state after step k, in `rewind_point`.
        seed: of what the policy draws.

    Raises:
        UsageError: arguments that do not go together. When the training begins: no mask, one of
            another model, DeepSpeed or FSDP, a checkpoint that was trained under another mask.

    >>> from lottery_ticket import prune
    >>> mask = prune(nn.Linear(8, 2), sparsity=0.5)
    >>> PruningCallback(mask)
    PruningCallback(PruningMask(8 of 16 weights kept, density 0.5, 1 layers))
    >>> PruningCallback(policy="gradual", sparsity=0.9)
    PruningCallback(policy 'gradual')
    """

    @known_keywords("PruningCallback")
    def __init__(
        self,
        mask: PruningMask | None = None,
        *,
        policy: MaskPolicy | str | None = None,
        sparsity: float | None = None,
        rewind_step: int | None = None,
        seed: int = 0,
    ) -> None:
        if mask is not None and not isinstance(mask, PruningMask):
            raise UsageError(
                f"PruningCallback: mask: got a {type(mask).__name__}, wanted a PruningMask, such "
                "as prune(model, sparsity=0.9)"
            )
        _check_policy(policy, sparsity)
        self._given, self._policy, self._sparsity = mask, policy, sparsity
        self._rewind_step, self._seed = rewind_step, seed
        self._attached: Attachment | None = None
        self._lent: Attachment | None = None
        self._args: TrainingArguments | None = None
        self._state: TrainerState | None = None
        self._mask, self._rewind_point, self._num_steps = mask, None, 0

    @classmethod
    def of(cls, attached: Attachment) -> "PruningCallback":
        """One that carries a mask of somebody else's through the Trainer's checkpoints."""
        made = cls()
        made._lent = attached
        return made

    def __repr__(self) -> str:
        parts = [] if self.mask is None else [repr(self.mask)]
        if self._policy is not None:
            name = self._policy if isinstance(self._policy, str) else type(self._policy).__name__
            parts.append(f"policy {name!r}")
        return f"PruningCallback({', '.join(parts)})"

    @property
    def mask(self) -> PruningMask | None:
        """What is kept: now, or at the end of the last training."""
        return self._mask if self._attached is None else self._attached.mask

    @property
    def rewind_point(self) -> RewindPoint | None:
        """θ_k, once step k has been reached."""
        return self._rewind_point if self._attached is None else self._attached.rewind_point

    @property
    def num_steps(self) -> int:
        """Optimiser steps counted, now or in the last training; those that mixed precision skipped
        are not."""
        return self._num_steps if self._attached is None else self._attached.num_steps

    @property
    def attached(self) -> Attachment | None:
        """The mask at work; None before and after a training.

        After a training that failed, or was interrupted, it is still there: the mask goes on
        holding, so that another `train()` may follow, until `detach()`.
        """
        return self._attached

    def detach(self) -> None:
        """Take the mask off after a training that failed; what is pruned stays zero until then."""
        self._release()

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse what cannot be, before any work."""
        _check_whole(args)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Attach to the model and its optimiser; the Trainer has loaded its checkpoint by now."""
        _check_whole(args)
        self._release()
        told = self._told(state)
        saved = None
        if told is not None:
            saved = _checkpoint.read(_checkpoint.find(told, [_folder(args, state)]))
            self._check_same(told)
        if self._lent is None:
            self._attached = self._attach(kwargs["model"], kwargs["optimizer"], state, saved)
        else:
            self._attached = self._lent
            if saved is not None:  # with the optimiser's memory, which is the checkpoint's
                self._lent.load_state_dict(saved)
                self._lent.follow(kwargs["optimizer"])
        self._args, self._state = args, state

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the mask off; what is pruned stays zero."""
        attached = self._attached
        if attached is None:
            return
        best = state.best_model_checkpoint
        if args.load_best_model_at_end and best is not None:  # it is loaded by now
            _take_up_best(attached, Path(best))
        self._release()

    def state(self) -> dict[str, Any]:
        """Called by the Trainer as it writes a checkpoint, before the file that makes it count."""
        attributes: dict[str, Any] = {}
        if self._attached is not None and self._args is not None and self._state is not None:
            folder = _folder(self._args, self._state)
            if folder.is_dir():
                told = _checkpoint.write(folder, self._attached)
                attributes["told"] = {**told, **self._described()}
        return {"args": {}, "attributes": attributes}

    def _attach(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: TrainerState,
        saved: Mapping[str, Any] | None,
    ) -> Attachment:
        mask = self._starting_mask(model, saved)
        # not 0 where a training goes on that had no callback
        step = state.global_step if saved is None else 0
        attached = mask.attach(
            model, optimizer, rewind_step=self._rewind_step, start_step=step,
            policy=self._made_policy(mask, state.max_steps), seed=self._seed,
        )  # fmt: skip
        try:
            if saved is not None:
                attached.load_state_dict(saved)
        except BaseException:
            attached.release()
            raise
        return attached

    def _starting_mask(self, model: nn.Module, saved: Mapping[str, Any] | None) -> PruningMask:
        if self._given is None and self._policy is None and saved is None:
            raise UsageError(
                "PruningCallback: no mask; pass one, PruningCallback(prune(model, sparsity=0.9)), "
                'or a policy, PruningCallback(policy="gradual", sparsity=0.9)'
            )
        if self._given is None and self._policy is None and saved is not None:
            return PruningMask.from_bytes(saved["mask"].numpy().tobytes())
        return PruningMask(model) if self._given is None else self._given

    def _made_policy(self, mask: PruningMask, num_steps: int) -> MaskPolicy | None:
        if not isinstance(self._policy, str):
            return self._policy
        shapes = {name: tuple(kept.shape) for name, kept in mask.items()}
        assert self._sparsity is not None
        keep = one_shot(self._sparsity).budgets(shapes, scope="global")[-1]
        target = Target(keep, mask.num_prunable, 0, num_steps)
        return made_policy(self._policy, target, {})

    def _told(self, state: TrainerState) -> Mapping[str, Any] | None:
        """What the checkpoint that the training goes on from tells; None at its start."""
        known: dict[str, Any] = dict(state.stateful_callbacks or {})  # type: ignore[arg-type]
        name = type(self).__name__
        if isinstance(known.get(name), list):
            raise UsageError(f"{name}: the Trainer has several; one mask is held at a time")
        # the Trainer fails to save where a checkpoint knows nothing of a callback
        state.stateful_callbacks = known | {name: known.get(name, self.state())}  # type: ignore[assignment]
        return known.get(name, {}).get("attributes", {}).get("told") if state.global_step else None

    def _described(self) -> dict[str, Any]:
        policy = self._policy
        return {
            "rewind_step": self._rewind_step,
            "given": None if self._given is None else _checkpoint.digest(self._given.to_bytes()),
            "policy": policy
            if policy is None or isinstance(policy, str)
            else type(policy).__name__,
            "sparsity": self._sparsity,
            "seed": None if policy is None else self._seed,
        }

    def _check_same(self, told: Mapping[str, Any]) -> None:
        """Raises `UsageError` where the checkpoint is of a training with another mask."""
        now = self._described()
        for name in ("policy", "sparsity", "seed", "rewind_step"):
            if now[name] != told[name]:
                raise UsageError(
                    f"PruningCallback: the checkpoint was trained with {name} {told[name]!r}, this "
                    f"callback has {now[name]!r}; pass the same (with "
                    "restore_callback_states_from_checkpoint the Trainer makes a callback of its "
                    "own, without it: leave that out, the state is read anyway)"
                )
        if now["given"] is not None and now["given"] != told["given"]:
            raise UsageError(
                "PruningCallback: the checkpoint was trained under another mask; pass that "
                f"(PruningMask.from_file of {MASK_FILE} in it), or train from the start"
            )

    def _release(self) -> None:
        """End what the training before has begun, also one that failed."""
        if self._attached is None:
            return
        self._mask, self._num_steps = self._attached.mask, self._attached.num_steps
        self._rewind_point = self._attached.rewind_point
        if self._lent is None:
            self._attached.release()
        self._attached, self._args, self._state = None, None, None


def _take_up_best(attached: Attachment, folder: Path) -> None:
    """The mask of the best model, which was loaded; a policy may have moved it since."""
    so_far = attached.num_steps, attached.rewind_point
    if (folder / _checkpoint.STATE_FILE).is_file():
        attached.load_state_dict(_checkpoint.read(folder))
    attached.num_steps, attached.rewind_point = so_far
    attached.zero_()


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"


def _check_policy(policy: object, sparsity: object) -> None:
    if policy is not None and not isinstance(policy, MaskPolicy | str):
        raise UsageError(
            f"PruningCallback: policy: got a {type(policy).__name__}, wanted a MaskPolicy or the "
            f"name of one: {', '.join(POLICIES)}"
        )
    if isinstance(policy, str):
        POLICIES[policy]  # an unknown one is refused with those that there are
        if sparsity is None:
            raise UsageError(
                f"PruningCallback: policy {policy!r} prunes to what sparsity? Pass sparsity=0.9"
            )
        check_fraction("sparsity", sparsity)
    elif sparsity is not None:
        raise UsageError(
            "PruningCallback: sparsity has no effect here; for a mask of it pass "
            'prune(model, sparsity=…), to prune while training policy="gradual"'
        )


def _check_whole(args: TrainingArguments) -> None:
    """Raises `UsageError` where weights are not in one piece in the model."""
    state = importlib.import_module("accelerate.state").AcceleratorState
    kind = state().distributed_type.name if state._shared_state else ""
    if getattr(args, "deepspeed", None):
        kind = "DEEPSPEED"
    elif getattr(args, "fsdp", None):
        kind = "FSDP"
    if kind in _SHARDED:
        raise UsageError(
            f"PruningCallback: {_SHARDED[kind]}; train with DDP (torchrun) or on one device"
        )
