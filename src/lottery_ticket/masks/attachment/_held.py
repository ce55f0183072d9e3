"""The parameters that an attached mask prunes: found by name, with hooks that mask their gradients.

Parameters are replaced more often than one thinks: `load_state_dict(assign=True)`, a new layer
under the old name, conversions that swap tensors. So none is held by identity. Before each step of
any torch optimiser that trains the model, each is looked up where its name says; what is new there
is taken up: its pruned weights are set to zero and its gradients masked, those it has too. Before
the first step of each such optimiser its state is masked; after it, and now and then (`_looks.py`),
pruned weights must be zero still. What was written into pruned weights is set to zero as soon as it
is seen: at once where `load_state_dict` wrote it, else before the next step, as a parameter counts
what is done to it.

What is held is a value of names: no parameter that has a hook, and the model weakly. It lives as
long as the model does, whether or not anyone keeps the attachment. (It cannot hang on the
parameters: they are replaced; and torch does not show hooks of a tensor to the garbage collector,
so that a cycle through them would never be freed.)
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._enforce import (
    keep_bits,
    keep_only_,
    mask_optimizer_state_,
    remembers_each_weight,
)
from lottery_ticket.masks.attachment._aside import Aside
from lottery_ticket.masks.attachment._looks import Looks
from lottery_ticket.masks.attachment._marked import MarkedParameters
from lottery_ticket.masks.attachment._optimizers import trains_any
from lottery_ticket.masks.attachment._present import is_zero_where_pruned, present_parameters
from lottery_ticket.masks.attachment._rest import decays_into_memory
from lottery_ticket.masks.attachment._watch import forget, unwatch, watch

__all__ = ["HeldParameters"]


class Owner(Protocol):
    """Whose steps are counted, and who is told of replaced parameters before they train."""

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]: ...
    def meet_replaced(self, optimizer: torch.optim.Optimizer) -> None: ...


class HeldParameters(MarkedParameters):
    """The parameters of a model under a mask, as they are from step to step.

    Args:
        model: the model.
        mask: what is kept; a layer kept whole costs nothing.
        ties: the other names that a parameter has, and must go on to have.
        owner: told when parameters were replaced; held weakly.
        reference: what pruned weights are held at, by name; None for zeros.

    Raises:
        UsageError: the mask names a parameter that the model does not have, or in another shape.
    """

    def __init__(
        self,
        model: nn.Module,
        mask: Mapping[str, torch.Tensor],
        ties: Mapping[str, Sequence[str]],
        owner: Owner,
        reference: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self._owner = weakref.ref(owner)
        self._met: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self._memories: weakref.WeakKeyDictionary[torch.optim.Optimizer, RemovableHandle]
        self._memories = weakref.WeakKeyDictionary()
        self._looks: weakref.WeakKeyDictionary[torch.optim.Optimizer, Looks]
        self._looks = weakref.WeakKeyDictionary()
        super().__init__(model, mask, ties, reference)
        watch(self)
        self._end = weakref.finalize(model, forget, id(self))
        self._end.atexit = False

    def release(self) -> None:
        """Take the hooks off."""
        self._end.detach()
        unwatch(self)
        self._take_hooks_off()
        self._aside = None
        for hook in self._memories.values():
            hook.remove()
        self._memories.clear()

    def mask_memory_(self, optimizer: torch.optim.Optimizer, *, is_loaded: bool = False) -> None:
        """Set what an optimiser remembers of pruned weights to zero."""
        if (model := self._model()) is None:
            return
        present = present_parameters(model, self.mask, self._ties)
        if is_loaded:
            self._aside = self._aside or Aside()
            self._aside.forget_memory(optimizer)
        if self._aside is not None:
            self._aside.note_memory(optimizer, present, self.mask)
        mask_optimizer_state_(optimizer, present, self.mask)

    def check_unseen(self) -> None:
        """See that no step since the last look brought weights back; others may have written some.

        Raises:
            UsageError: one did.
        """
        model = self._model()
        if model is None or not self._looks:
            return
        found = {mark.name: mark.found_in(model) for mark in self._marks if mark.hook is not None}
        untouched = {n: p for n, p in found.items() if p is not None and not self._is_touched(n, p)}
        if revived := self._revived(untouched):
            raise UsageError(_why_unseen(revived[0], "before the mask was detached"))

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether what a step is about to train is still what is held.

        Raises:
            UsageError: a parameter is gone, has another shape, or is tied otherwise than before;
                pruned weights came back, and nothing was seen to write them.
        """
        model, owner = self._model(), self._owner()
        if model is None:
            return
        self._aside = None
        found = [(mark.name, mark.found_in(model)) for mark in self._marks]
        is_current = all(parameter is not None for _, parameter in found)
        is_settled = self._is_settled and is_current
        if is_settled and optimizer in self._met:
            self._mend({n: p for n, p in found if p is not None and self._is_touched(n, p)}, model)
            self._begin_look(optimizer, model)
            return
        is_followed = owner is not None and optimizer in owner.optimizers
        if not is_followed and not trains_any(optimizer, model.parameters()):
            if is_settled:
                self._met.add(optimizer)  # of another model
            return
        if not is_settled:
            self._met.clear()
            if not is_current:
                self.take_up(model)
        present = present_parameters(model, self.mask, self._ties)
        self._mend(present, model)  # all of them: it waits for the device
        mask_optimizer_state_(optimizer, present, self.mask)
        if owner is not None and not is_settled:
            owner.meet_replaced(optimizer)
        self._is_settled = True
        self._meet(optimizer)
        self._begin_look(optimizer, model)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether an optimiser left pruned weights at zero: at its first step, and some more.

        Those that are held at a reference are put back after each step.

        Raises:
            UsageError: it did not. They are zero again.
        """
        model = self._model()
        if model is None:
            return
        if self._reference is not None:
            self._put_back_(optimizer, model)
        self._note_versions(model)
        looks = self._looks.get(optimizer)
        if looks is None or not looks.end(self._trained_by(optimizer, model)):
            return
        present = present_parameters(model, self.mask, self._ties)
        if revived := self._revived(present):
            why = self._why_moved(type(optimizer).__name__, revived[0], model)
            self.take_up(model)
            raise UsageError(why)

    def after_any_step(self, optimizer: torch.optim.Optimizer) -> None:
        """`after_step`, unless the owner, who follows the optimiser, knows better when."""
        owner = self._owner()
        if owner is None or optimizer not in owner.optimizers:
            self.after_step(optimizer)

    @torch.no_grad()
    def _put_back_(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
        """Decay and momentum have moved what is to be at the reference, and remember it.

        Which ones cannot be told by `_version`: fused optimisers do not count what they write.
        """
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        found = {m.name: m.parameter_in(model) for m in self._marks if m.hook is not None}
        is_remembered = decays_into_memory(optimizer)
        for name, parameter in found.items():
            if parameter is None or id(parameter) not in theirs:
                continue
            rest = self._rests[name] = self._rest_of(name, parameter)
            rest.put_(parameter)
            memory = optimizer.state.get(parameter, {}).values() if is_remembered else ()
            for value in memory:
                if remembers_each_weight(value, parameter):
                    fits = rest.fits(value)
                    keep_only_(value, rest.keep if fits else keep_bits(self.mask[name], value))

    def _mend(self, parameters: Mapping[str, nn.Parameter], model: nn.Module) -> None:
        """Set to zero what was written where the mask prunes."""
        if parameters and (written := self._revived(parameters)):
            self.written += [name for name in written if name not in self.written]
            self.take_up(model)
        for name, parameter in parameters.items():
            if name in self._versions:
                self._versions[name] = parameter._version

    def _meet(self, optimizer: torch.optim.Optimizer) -> None:
        self._met.add(optimizer)
        self._looks[optimizer] = Looks()
        if optimizer not in self._memories:
            me = weakref.ref(self)

            def meet_again(loaded: torch.optim.Optimizer) -> None:  # it remembers other things now
                if (held := me()) is not None:
                    held._met.discard(loaded)

            hook = optimizer.register_load_state_dict_post_hook(meet_again)
            self._memories[optimizer] = hook

    def _begin_look(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
        looks = self._looks.get(optimizer)
        if looks is None or not looks.begin(self._trained_by(optimizer, model)):
            return
        present = present_parameters(model, self.mask, self._ties)
        if self._reference is None and (revived := self._revived(present)):
            self.take_up(model)
            why = _why_unseen(revived[0], f"before a step of {type(optimizer).__name__}")
            raise UsageError(f"{why}. They are zero again")

    def _trained_by(
        self, optimizer: torch.optim.Optimizer, model: nn.Module
    ) -> Iterator[nn.Parameter]:
        """What is pruned of what an optimiser has."""
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for mark in self._marks:
            parameter = None if mark.hook is None else mark.parameter_in(model)
            if parameter is not None and id(parameter) in theirs:
                yield parameter

    def _why_moved(self, optimizer: str, name: str, model: nn.Module) -> str:
        gradient = present_parameters(model, self.mask, self._ties)[name].grad
        if gradient is not None and not is_zero_where_pruned(gradient, self.mask[name]):
            return (
                f"the gradient of {name!r} is not zero where the mask prunes: it was assigned "
                "(parameter.grad = …) or changed after backward(), where no mask can see it; let "
                "backward() make it, or mask it too"
            )
        return (
            f"{optimizer} moved pruned weights of {name!r} though their gradients, weights and "
            "state were zero; attach works with optimisers that do not (SGD, Adam, AdamW, RMSprop, "
            "…), for others call mask.apply(model) after each step"
        )


def _why_unseen(name: str, when: str) -> str:
    return (
        f"pruned weights of {name!r} came back {when}, and nothing was seen to write them: it was "
        "an earlier step (an optimiser that moves them now and then: call mask.apply(model) after "
        "each step in place of attach), or a write through .data, which torch does not count: call "
        "zero_() of what attach returned after it"
    )
