"""`mask.attach(model, optimizer)`: a mask that holds in anyone's training loop.

The same rule as in our own loop (`_enforce.py`): weights and optimiser state start at zero, and
gradients are masked as they are made. Here hooks on the parameters do it (`_held.py`), so the loop
needs no change. Nothing is added to the model's modules or its `state_dict`.
"""

import functools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.masks._policy import MaskPolicy, asked
from lottery_ticket.masks.attachment._followed import FollowedOptimizers
from lottery_ticket.masks.attachment._held import HeldParameters
from lottery_ticket.masks.attachment._optimizers import torch_optimizer
from lottery_ticket.masks.attachment._present import (
    check_can_be_held,
    check_is_whole,
    present_parameters,
    ties_in,
)
from lottery_ticket.masks.attachment._rest import Rest, digests_of, reference_of
from lottery_ticket.masks.attachment._state import (
    AttachmentState,
    RewindPoint,
    check_same_reference,
    check_seed,
    copied_to_cpu,
)
from lottery_ticket.masks.attachment._undo import Undo
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Attachment"]


class Attachment:
    """A mask at work on a model; `PruningMask.attach` makes it.

    Used as a context manager it ends with the block; else `detach()` ends it.

    The mask is of *names*. Before each step of any torch optimiser that trains the model, and
    whenever it is asked, it looks up what has these names. A parameter that was replaced (a new
    layer, …) is masked from then on, its gradients too. What `load_state_dict` writes, in place or
    with `assign=True`, is masked before it returns; what anything else writes, before the next
    step. What an optimiser remembers is masked before its first step, and when it loads its state;
    if its steps move pruned weights, that is an error, at the first that moves anything, at steps
    1, 2, 4, 8, … or when detached. Of its optimisers, one that still has
    a parameter which was replaced is refused at its next step; one made anew takes its place. A
    parameter that is gone, or has another shape, is an error.

    A loop that makes no steps of a torch optimiser cannot be seen: after replacing parameters it
    calls `zero_()`.

    `state_dict` and `load_state_dict` let it lie in any checkpoint, like a model or an optimiser.
    """

    num_steps: int
    """Optimiser steps counted, the ones before `start_step` included."""

    rewind_point: RewindPoint | None
    """θ_k, once step k has been reached."""

    after_step: Callable[[], object] | None
    """Called after each counted step."""

    mask: PruningMask
    """What is kept now; a policy changes it."""

    def __init__(
        self,
        mask: PruningMask,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        rewind_step: int | None = None,
        start_step: int = 0,
        policy: MaskPolicy | None = None,
        seed: int = 0,
        freeze_to: Mapping[str, torch.Tensor] | nn.Module | bool | None = None,
        siblings: list["Attachment"] | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise UsageError(f"attach: got a {type(model).__name__}, wanted a torch.nn.Module")
        _check_steps(rewind_step, start_step)
        optimizer = None if optimizer is None else torch_optimizer(optimizer)
        check_is_whole(model)
        self._model = model
        self.mask = mask
        self._ties = ties_in(model, mask)
        found = self._parameters()
        check_can_be_held(found)
        self._reference = reference_of(freeze_to, model, found)
        self._policy, self._seed = policy, check_seed(seed, "attach")
        self._memory: dict[str, torch.Tensor] = {}
        names = frozenset() if optimizer is None else self._names_trained_by(optimizer)
        self._rewind_step = rewind_step
        self.after_step = None
        self.num_steps = start_step
        self.rewind_point = None
        self._followed = FollowedOptimizers(self._after_step, self._after_loading)
        self._siblings = [] if siblings is None else siblings
        self._held: HeldParameters | None = None
        self._note_rewind_point(optimizer)
        self._begin(optimizer, names)
        self._siblings.append(self)

    def _begin(self, optimizer: torch.optim.Optimizer | None, names: frozenset[str]) -> None:
        """Change the model, or nothing of it."""
        is_whole = self._policy is not None
        undo = Undo(self._parameters(), self.mask, optimizer, is_whole=is_whole)
        try:
            self._held = HeldParameters(self._model, self.mask, self._ties, self, self._reference)
            self._overwritten, self._written = self._held.overwritten, self._held.written
            if optimizer is not None:
                self._follow(optimizer, names)
            self._ask_policy(optimizer)
        except BaseException:
            self.release()
            undo()
            raise

    def __enter__(self) -> "Attachment":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.detach()
        else:
            self.release()  # what went wrong is said already

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        total = sum(kept.numel() for kept in self.mask.values())
        num_kept = sum(int(kept.sum()) for kept in self.mask.values())
        density = f"{num_kept / total if total else 1.0:.4g}"
        return (
            f"Attachment({num_kept:,} of {total:,} weights kept, density {density}, "
            f"{len(self.mask)} layers; {self._status()})"
        )

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those whose steps are counted now."""
        return self._followed.optimizers

    @property
    def overwritten(self) -> list[str]:
        """Parameters that were replaced by others with weights where the mask prunes.

        Those weights were set to zero before the next step.
        """
        return list(self._overwritten)

    @property
    def written(self) -> list[str]:
        """Parameters into which weights were written where the mask prunes.

        As found, and set to zero, after `load_state_dict` or before a step.
        """
        return list(self._written)

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Count the steps of an optimiser over the model, and keep its state zero where pruned.

        It may be wrapped, as by accelerate or Lightning. One that is followed already is not
        counted twice.
        """
        self._check_attached("follow")
        stepping = torch_optimizer(optimizer, "follow")
        names = self._names_trained_by(stepping)
        if not self.follows(stepping):
            self._follow(stepping, names)

    def follows(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the steps of the optimiser, or of the one in this wrapper, are counted."""
        stepping = torch_optimizer(optimizer, "follows")
        return any(each is stepping for each in self.optimizers)

    def is_trained_by(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimiser holds any of the masked parameters."""
        return bool(self._names_held_by(torch_optimizer(optimizer, "is_trained_by")))

    def detach(self) -> None:
        """Remove the hooks; pruned weights stay zero until something trains them.

        Raises:
            UsageError: parameters were replaced, no step of an optimiser was seen since, and they
                have weights where the mask prunes; or a step brought some back. The hooks are off
                nevertheless.
        """
        held, is_current = self._held, self._held is None or self._held.is_current(self._model)
        try:
            if held is not None:
                held.check_unseen()
        finally:
            self.release()
        if not is_current and (lost := self._revived_if_there()):
            raise UsageError(
                f"{lost[0]!r} was replaced while the mask was attached, and no optimizer step was "
                f"seen since; it is not {self._rest_is()} where the mask prunes: call zero_() "
                "after replacing parameters, or now"
            )

    def release(self) -> None:
        """`detach`, without a look at what becomes of it."""
        if self._held is not None:
            self._held.release()
            self._held = None
        self._followed.clear()
        if self in self._siblings:
            self._siblings.remove(self)

    def replace_mask(self, mask: Mapping[str, torch.Tensor]) -> None:
        """Go on with another mask of the same parameters, as when pruning during training."""
        made = mask if isinstance(mask, PruningMask) else PruningMask.from_tensors(mask)
        held = self._check_attached("replace_mask")
        held.take_up(self._model, made)
        self.mask = made
        for optimizer in self.optimizers:
            held.mask_memory_(optimizer)

    @torch.no_grad()
    def zero_(self) -> None:
        """Set the pruned weights to exactly zero, or to the reference if they are frozen to one.

        Parameters that were replaced are masked from now on.
        """
        if self._held is not None:
            self._held.take_up(self._model)
            return
        for name, parameter in self._parameters().items():
            self._rest_of(name, parameter).put_(parameter)

    def state_dict(self) -> dict[str, Any]:
        """The mask, steps and rewind point as plain values, to lie in a checkpoint of any trainer.

        `torch.load(weights_only=True)` reads them. The model's and the optimiser's own state are
        not in it.

        >>> model = nn.Linear(2, 1)
        >>> attached = PruningMask(model).attach(model)
        >>> sorted(attached.state_dict())[2:4]
        ['mask', 'num_steps']
        """
        return self._state().plain()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` said: its mask holds from now on, steps are counted on.

        Args:
            state: from an attachment of the same model, with the same policy, seed and rewind step.

        Raises:
            UsageError: it is something else, or of another model or training.
        """
        held = self._check_attached("load_state_dict")
        found = AttachmentState.read(state)
        self._state().check_continues(found, self._model.state_dict())
        check_same_reference(self._digests, found.freeze_to)
        held.take_up_loaded(self._model, found.mask)
        self.mask = found.mask.told_by(self.mask)
        for optimizer in self.optimizers:
            held.mask_memory_(optimizer)
        self.num_steps, self.rewind_point = found.num_steps, found.rewind_point
        self._rewind_step = found.rewind_step
        self._memory = dict(found.memory)
        if self._policy is not None:
            held.keep_gradients(self._policy.wants_gradients(self.num_steps + 1))

    def revived(self) -> list[str]:
        """The parameters in which some pruned weight is not exactly zero, or the reference's."""
        found = self._parameters().items()
        return [name for name, value in found if not self._rest_of(name, value).is_kept_by(value)]

    def meet_replaced(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse an optimiser that still has parameters which were replaced, or follow a new one.

        Called before the first step after parameters were replaced.
        """
        stale = [f for f in self._followed.all if f.names - self._names_held_by(f.optimizer)]
        for followed in stale:
            if followed.optimizer is optimizer:
                name = min(followed.names - self._names_held_by(optimizer))
                raise UsageError(
                    f"attach: the {type(optimizer).__name__} still trains {name!r} as it was "
                    "before it was replaced (load_state_dict(assign=True), a new layer, …): make "
                    "the optimizer after that, over model.parameters()"
                )
        if stale and self.is_trained_by(optimizer):
            for followed in stale:
                self._followed.remove(followed)
            if not self.follows(optimizer):
                self.follow(optimizer)

    def _rest_of(self, name: str, parameter: nn.Parameter) -> Rest:
        reference = None if self._reference is None else self._reference[name]
        return Rest.of(self.mask[name].to(parameter.device), parameter, reference)

    @functools.cached_property
    def _digests(self) -> dict[str, str] | None:
        return digests_of(self._reference)

    def _rest_is(self) -> str:
        return "zero" if self._reference is None else "at the reference"

    def _state(self) -> AttachmentState:
        policy = None if self._policy is None else type(self._policy).__name__
        return AttachmentState(
            self.mask, self.num_steps, self._rewind_step, self.rewind_point, policy, self._seed,
            self._digests, self._memory,
        )  # fmt: skip

    def _status(self) -> str:
        if self._held is None:
            return f"detached after {self.num_steps:,} steps"
        kinds = ", ".join(type(optimizer).__name__ for optimizer in self.optimizers)
        return f"{self.num_steps:,} steps of {kinds}" if kinds else "steps are not counted"

    def _check_attached(self, method: str) -> HeldParameters:
        if self._held is None:
            raise UsageError(f"{method}: the mask was detached; attach it, or another, again")
        return self._held

    def _revived_if_there(self) -> list[str]:
        try:
            return self.revived()
        except UsageError:  # what is gone, as after a conversion, is nothing to keep at zero
            return []

    def _parameters(self) -> dict[str, nn.Parameter]:
        return present_parameters(self._model, self.mask, self._ties)

    def _names_held_by(self, optimizer: torch.optim.Optimizer) -> frozenset[str]:
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        return frozenset(name for name, p in self._parameters().items() if id(p) in theirs)

    def _names_trained_by(self, optimizer: torch.optim.Optimizer) -> frozenset[str]:
        names = self._names_held_by(optimizer)
        if self.mask and not names:
            raise UsageError(
                f"attach: the {type(optimizer).__name__} trains none of the {len(self.mask)} "
                "masked parameters; it was made for another model (or before this one was copied)"
            )
        return names

    def _follow(self, optimizer: torch.optim.Optimizer, names: frozenset[str]) -> None:
        self._check_attached("follow").mask_memory_(optimizer)
        self._followed.add(optimizer, names)

    def _after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.num_steps += 1
        if self._held is not None:
            self._held.after_step(optimizer)
        self._note_rewind_point(optimizer)
        self._ask_policy(optimizer)
        if self.after_step is not None:
            self.after_step()

    def _ask_policy(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Go on with another mask if the policy says so."""
        policy, step = self._policy, self.num_steps
        if policy is None or self._held is None:
            return
        if policy.is_due(step):
            gradients = self._held.gradients(self._model) if policy.wants_gradients(step) else None
            found, self._memory = asked(
                policy, step, self._model, optimizer, self.mask, self._seed, gradients, self._memory
            )
            if found is not None:
                self.replace_mask(found)
        self._held.keep_gradients(policy.wants_gradients(step + 1))

    def _after_loading(self, optimizer: torch.optim.Optimizer) -> None:
        if self._held is not None:
            self._held.mask_memory_(optimizer, is_loaded=True)

    def _note_rewind_point(self, optimizer: torch.optim.Optimizer | None) -> None:
        if self.num_steps == self._rewind_step and self.rewind_point is None:
            state = {} if optimizer is None else optimizer.state_dict()["state"]
            self.rewind_point = RewindPoint(
                self.num_steps, copied_to_cpu(self._model.state_dict()), copied_to_cpu(state)
            )


def _check_steps(rewind_step: int | None, start_step: int) -> None:
    for name, steps in (("rewind_step", rewind_step or 0), ("start_step", start_step)):
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise UsageError(f"{name}: got {steps!r}, wanted a number of steps, 0 or more")
    if rewind_step is not None and rewind_step < start_step:
        raise UsageError(f"rewind_step {rewind_step} lies before start_step {start_step}")
