"""The parameters that an attached mask prunes: found by name, with hooks that mask their gradients.

Parameters are replaced more often than one thinks: `load_state_dict(assign=True)`, a new layer
under the old name, conversions that swap tensors. So none is held by identity. Before each step of
any torch optimiser that trains the model, each is looked up where its name says; what is new there
is taken up: its pruned weights are set to zero and its gradients masked, those it has too. Before
the first step of each such optimiser its state is masked, and what was written into pruned weights
is set to zero; after it they must be zero still.

What is held is a value of names: no parameter that has a hook, and the model weakly. It lives as
long as the model does, whether or not anyone keeps the attachment. (It cannot hang on the
parameters: they are replaced; and torch does not show hooks of a tensor to the garbage collector,
so that a cycle through them would never be freed.)
"""

import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._enforce import keep_bits, keep_only_, mask_optimizer_state_
from lottery_ticket.names import check_shape, find_parameters, named_modules, parameter_locations

__all__ = [
    "HeldParameters",
    "is_zero_where_pruned",
    "owners_on",
    "present_parameters",
    "ties_in",
]


class Owner(Protocol):
    """Whose steps are counted, and who is told of replaced parameters before they train."""

    def follows(self, optimizer: torch.optim.Optimizer) -> bool: ...
    def meet_replaced(self, optimizer: torch.optim.Optimizer) -> None: ...


@dataclass(frozen=True)
class _Mark:
    """Where a parameter is looked for, and by what it is known again.

    Args:
        name: as the mask has it.
        path, leaf: where it is, from the model on.
        address: of its tensor. `torch.utils.swap_tensors` leaves the hooks of a parameter behind,
            though Python still shows them.
        memory: of its values. `parameter.data = …` changes that alone (`vector_to_parameters`,
            `Module.to_empty`).
        hook: the one on it, since an address may be that of a tensor freed before.
        whole: in place of a hook, the parameter itself, where nothing of it is pruned.
    """

    name: str
    path: tuple[str, ...]
    leaf: str
    address: int
    memory: int
    hook: RemovableHandle | None
    whole: nn.Parameter | None

    def is_in(self, model: nn.Module) -> bool:
        module: nn.Module | None = model
        for part in self.path:
            module = module._modules.get(part)
            if module is None:
                return False
        parameter = module._parameters.get(self.leaf)
        if self.hook is None:
            return parameter is self.whole
        return (
            parameter is not None
            and parameter._cdata == self.address
            and parameter.data_ptr() == self.memory
            and self.hook.id in (parameter._post_accumulate_grad_hooks or ())
        )


class HeldParameters:
    """The parameters of a model under a mask, as they are from step to step.

    Args:
        model: the model.
        mask: what is kept; a layer kept whole costs nothing.
        ties: the other names that a parameter has, and must go on to have.
        owner: told when parameters were replaced; held weakly.

    Raises:
        UsageError: the mask names a parameter that the model does not have, or in another shape.
    """

    mask: dict[str, torch.Tensor]
    """What is kept, each on the device that its parameter had when it was last looked at."""

    overwritten: list[str]
    """Parameters that were replaced by others with weights where the mask prunes."""

    written: list[str]
    """Parameters into which weights were written where the mask prunes, before a first step."""

    def __init__(
        self,
        model: nn.Module,
        mask: Mapping[str, torch.Tensor],
        ties: Mapping[str, Sequence[str]],
        owner: Owner,
    ) -> None:
        self._model, self._owner = weakref.ref(model), weakref.ref(owner)
        self._marks: list[_Mark] = []
        self._ties = ties
        self._is_settled = True
        self._met: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self._unseen: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self.overwritten, self.written = [], []
        self._is_keeping = False
        self._dense: dict[str, torch.Tensor] = {}
        self.take_up(model, mask)
        _watch(self)
        self._end = weakref.finalize(model, _forget, id(self))
        self._end.atexit = False

    def release(self) -> None:
        """Take the hooks off."""
        self._end.detach()
        _unwatch(self)
        self._take_hooks_off()

    def is_current(self, model: nn.Module) -> bool:
        """Whether every parameter is the one that was there at the last look."""
        return all(mark.is_in(model) for mark in self._marks)

    @torch.no_grad()
    def take_up(self, model: nn.Module, mask: Mapping[str, torch.Tensor] | None = None) -> None:
        """Hold what is under the names now: weights and gradients are zero where pruned.

        Args:
            model: the model.
            mask: another one, from now on.

        Raises:
            UsageError: a parameter is gone, has another shape, or is tied otherwise than before.
        """
        mask = self.mask if mask is None else mask
        found = present_parameters(model, mask, self._ties)
        replaced = {mark.name for mark in self._marks if not mark.is_in(model)}
        self._is_settled = self._is_settled and not replaced
        self._take_hooks_off()
        self.mask = {}
        locations = parameter_locations(model)
        for name, parameter in found.items():
            kept = self.mask[name] = mask[name].to(parameter.device)
            hook = None
            if not bool(kept.all()):  # else it costs nothing
                if name in replaced and not is_zero_where_pruned(parameter, kept):
                    self.overwritten.append(name)
                parameter.masked_fill_(~kept, 0.0)
                hook = self._hooked(name, parameter)
            whole = parameter if hook is None else None
            here = parameter._cdata, parameter.data_ptr()
            places = [locations.get(each) for each in (name, *self._ties.get(name, ()))]
            self._marks += [
                _Mark(name, at.path, at.leaf, *here, hook, whole) for at in places if at
            ]

    def owner_on(self, model: nn.Module) -> Owner | None:
        """Whose mask this is, if it is of that model."""
        return self._owner() if self._model() is model else None

    def keep_gradients(self, is_keeping: bool) -> None:
        """Whether the gradients of the next step are kept as they were before they were masked."""
        self._is_keeping, self._dense = is_keeping, {}

    def gradients(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """Those of the last step, of pruned weights too, if they were kept."""
        found = present_parameters(model, self.mask, self._ties)
        whole = {name: p.grad.detach() for name, p in found.items() if p.grad is not None}
        return {**whole, **self._dense}

    def note_gradient(self, name: str, gradient: torch.Tensor) -> None:
        """A gradient that is about to be masked; what is summed over several calls is summed."""
        if self._is_keeping:
            before = self._dense.get(name)
            dense = gradient.detach().clone()
            if before is not None:  # the kept part is summed in the gradient itself
                dense += before.masked_fill(self.mask[name].to(before.device), 0.0)
            self._dense[name] = dense

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether what a step is about to train is still what is held.

        Raises:
            UsageError: a parameter is gone, has another shape, or is tied otherwise than before.
        """
        model, owner = self._model(), self._owner()
        if model is None:
            return
        is_settled = self._is_settled and self.is_current(model)
        if is_settled and optimizer in self._met:
            return
        is_followed = owner is not None and owner.follows(optimizer)
        if not is_followed and not _trains_any(optimizer, model.parameters()):
            if is_settled:
                self._met.add(optimizer)  # of another model
            return
        if not is_settled:
            self._met.clear()
            if not self.is_current(model):
                self.take_up(model)
        if written := self._revived(model):  # once for each optimiser, as it waits for the device
            self.written += written
            self.take_up(model)
        found = present_parameters(model, self.mask, self._ties)
        mask_optimizer_state_(optimizer, found, self.mask)
        if owner is not None and not is_settled:
            owner.meet_replaced(optimizer)
        self._is_settled = True
        self._met.add(optimizer)
        self._unseen.add(optimizer)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether the first step of an optimiser left pruned weights at zero.

        Raises:
            UsageError: it did not. They are zero again.
        """
        model = self._model()
        if model is None or optimizer not in self._unseen:
            return
        self._unseen.discard(optimizer)
        if revived := self._revived(model):
            why = self._why_moved(type(optimizer).__name__, revived[0], model)
            self.take_up(model)
            raise UsageError(why)

    def after_any_step(self, optimizer: torch.optim.Optimizer) -> None:
        """`after_step`, unless the owner, who follows the optimiser, knows better when."""
        owner = self._owner()
        if owner is None or not owner.follows(optimizer):
            self.after_step(optimizer)

    def _revived(self, model: nn.Module) -> list[str]:
        found = present_parameters(model, self.mask, self._ties).items()
        return [name for name, p in found if not is_zero_where_pruned(p, self.mask[name])]

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

    def _hooked(self, name: str, parameter: nn.Parameter) -> RemovableHandle:
        is_trained = parameter.requires_grad
        parameter.requires_grad_(True)  # hooks want it; a frozen layer may be thawed later
        if parameter._post_accumulate_grad_hooks is not None:
            # those that torch.utils.swap_tensors left behind are linked again
            parameter._post_accumulate_grad_hooks = parameter._post_accumulate_grad_hooks
        mask_gradient = _GradientMask(name, self, keep_bits(self.mask[name], parameter))
        hook = parameter.register_post_accumulate_grad_hook(mask_gradient)
        parameter.requires_grad_(is_trained)
        if parameter.grad is not None:
            mask_gradient(parameter)
        return hook

    def _take_hooks_off(self) -> None:
        while self._marks:
            if hook := self._marks.pop().hook:
                hook.remove()


class _GradientMask:
    """Masks the gradients of one parameter, also after it has changed its precision or device."""

    def __init__(self, name: str, held: HeldParameters, bits: torch.Tensor) -> None:
        self._name, self._held, self._bits = name, held, bits

    def __call__(self, parameter: torch.Tensor) -> None:
        gradient = parameter.grad
        assert gradient is not None
        bits = self._bits
        if (
            gradient.layout != torch.strided
            or gradient.itemsize != bits.itemsize
            or gradient.shape != bits.shape
            or gradient.device != bits.device
        ):
            bits = self._refitted(gradient)
        self._held.note_gradient(self._name, gradient)
        keep_only_(gradient, bits)

    def _refitted(self, gradient: torch.Tensor) -> torch.Tensor:
        kept = self._held.mask[self._name]
        if gradient.layout != torch.strided:
            raise UsageError(
                f"{self._name!r} has a {gradient.layout} gradient; a pruned parameter wants a "
                "dense one (nn.Embedding(…, sparse=False)), or `ignore` it when making the mask"
            )
        check_shape(f"the mask of {self._name!r}", kept.shape, gradient.shape, "the model")
        self._bits = keep_bits(kept, gradient)
        return self._bits


def ties_in(model: nn.Module, names: Iterable[str]) -> dict[str, list[str]]:
    """The other names of each parameter that is tied."""
    places: dict[int, dict[tuple[object, ...], str]] = {}  # of a parameter → the name of each
    locations = parameter_locations(model)
    for name, at in locations.items():
        places.setdefault(id(at.parameter), {})[at.path, at.leaf] = name
    ties = {}
    for name, parameter in find_parameters(model, names).items():
        here = locations[name].path, locations[name].leaf
        ties[name] = [other for at, other in places[id(parameter)].items() if at != here]
    return {name: others for name, others in ties.items() if others}


def present_parameters(
    model: nn.Module, mask: Mapping[str, torch.Tensor], ties: Mapping[str, Sequence[str]]
) -> dict[str, nn.Parameter]:
    """The parameters that a mask was attached to, as they are now.

    Raises:
        UsageError: one is gone, has another shape, or is tied otherwise than it was.
    """
    try:
        found = find_parameters(model, mask)
    except UsageError as error:
        hidden = next((text for name in mask if (text := _where_it_went(model, name))), "")
        raise UsageError(f"{error}{hidden}") from None
    for name, parameter in found.items():
        check_shape(f"the mask of {name!r}", mask[name].shape, parameter.shape, "the model")
    locations = parameter_locations(model) if ties else {}
    for name, others in ties.items():
        for other in others:
            is_there = name in found and other in locations
            if is_there and locations[other].parameter is not found[name]:
                raise UsageError(
                    f"{name!r} and {other!r} were one tied parameter when the mask was attached, "
                    "and are two now: tie them again (load_state_dict(assign=True) unties), or "
                    "attach a mask that names both"
                )
    return found


def is_zero_where_pruned(parameter: torch.Tensor, kept: torch.Tensor) -> bool:
    """Whether every pruned weight is exactly zero."""
    return not bool(parameter.detach()[~kept.to(parameter.device)].any())


def owners_on(model: nn.Module) -> list[Owner]:
    """Who holds a mask on a model now, the first one first."""
    with _lock:
        watched = list(_watched.values())
    return [owner for held in watched if (owner := held.owner_on(model)) is not None]


def _trains_any(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> bool:
    """Whether the optimiser holds any of the parameters."""
    theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return any(id(p) in theirs for p in parameters)


def _where_it_went(model: nn.Module, name: str) -> str:
    """What became of a parameter that utilities of torch replace by others; "" if none of them."""
    path, _, leaf = name.rpartition(".")
    module = named_modules(model).get(path)
    if module is None:
        return ""
    if parametrize.is_parametrized(module, leaf):
        return (
            f"; a parametrization makes {name!r} from other parameters now: remove it "
            "(torch.nn.utils.parametrize.remove_parametrizations) or detach the mask"
        )
    for suffix, origin, remedy in (
        ("_orig", "torch.nn.utils.prune", "torch.nn.utils.prune.remove"),
        ("_v", "torch.nn.utils.weight_norm", "torch.nn.utils.remove_weight_norm"),
    ):
        if leaf + suffix in module._parameters:
            return f"; {origin} keeps it as {name + suffix!r} now: {remedy}, or detach the mask"
    return ""


_watched: dict[int, HeldParameters] = {}
_lock = threading.RLock()  # of the two, which steps in other threads read
_handles: list[RemovableHandle] = []


def _watch(held: HeldParameters) -> None:
    with _lock:
        _watched[id(held)] = held
        if not _handles:
            _handles.append(register_optimizer_step_pre_hook(_before_any_step))
            _handles.append(register_optimizer_step_post_hook(_after_any_step))


def _unwatch(held: HeldParameters) -> None:
    with _lock:
        _watched.pop(id(held), None)
        if not _watched:
            while _handles:
                _handles.pop().remove()


def _forget(key: int) -> None:
    """Without a look at the hook: this may come while torch goes through its hooks."""
    _watched.pop(key, None)


def _before_any_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    with _lock:
        watched = list(_watched.values())
    for held in watched:
        held.before_step(optimizer)


def _after_any_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    with _lock:
        watched = list(_watched.values())
    for held in watched:
        held.after_any_step(optimizer)
