"""The parameters that a mask prunes, where a model has them: held there, marked, taken up anew.

Those that were replaced are found by name; what modules load is seen as they have loaded it. When
to look is up to what watches the steps (`_held.py`).
"""

import weakref
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from lottery_ticket.masks.attachment._aside import Aside
from lottery_ticket.masks.attachment._gradients import DenseGradients, GradientMask
from lottery_ticket.masks.attachment._marks import LoadingHook, Mark
from lottery_ticket.masks.attachment._present import present_parameters
from lottery_ticket.masks.attachment._rest import Rest
from lottery_ticket.names import Location, parameter_locations

__all__ = ["MarkedParameters"]


class MarkedParameters:
    """The parameters of a model under a mask, as they are at a time.

    Args:
        model: the model.
        mask: what is kept; a layer kept whole costs nothing.
        ties: the other names that a parameter has, and must go on to have.
        reference: what pruned weights are held at, by name; None for zeros.

    Raises:
        UsageError: the mask names a parameter that the model does not have, or in another shape.
    """

    mask: dict[str, torch.Tensor]
    """What is kept, each on the device that its parameter had when it was last looked at."""

    overwritten: list[str]
    """Parameters that were replaced by others with weights where the mask prunes."""

    written: list[str]
    """Parameters into which weights were written where the mask prunes, between two steps."""

    def __init__(
        self,
        model: nn.Module,
        mask: Mapping[str, torch.Tensor],
        ties: Mapping[str, Sequence[str]],
        reference: Mapping[str, torch.Tensor] | None,
    ) -> None:
        self._reference = reference
        self._rests: dict[str, Rest] = {}  # of what is pruned
        self._model = weakref.ref(model)
        self._marks: list[Mark] = []
        self._versions: dict[str, int] = {}  # of what is pruned, as torch counts writes
        self._loading: list[RemovableHandle] = []
        self._ties = ties
        self._is_settled = True
        self._aside: Aside | None = Aside()  # until the first step after attaching or loading
        self.overwritten, self.written = [], []
        self._dense = DenseGradients()
        try:
            self.take_up(model, mask)
        except BaseException:
            self._take_hooks_off()
            raise

    def is_current(self, model: nn.Module) -> bool:
        """Whether every parameter is the one that was there at the last look."""
        return all(mark.found_in(model) is not None for mark in self._marks)

    def is_at_rest(self, name: str, parameter: nn.Parameter) -> bool:
        """Whether every pruned weight is exactly where it is held: at zero, or at the reference."""
        return name not in self._rests or self._rest_of(name, parameter).is_kept_by(parameter)

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
        replaced = {mark.name for mark in self._marks if mark.found_in(model) is None}
        self._is_settled = self._is_settled and not replaced
        self._take_hooks_off()
        self.mask, self._rests = {}, {}
        locations = parameter_locations(model)
        for name, parameter in found.items():
            kept = self.mask[name] = mask[name].to(parameter.device)
            is_pruned = not bool(kept.all())  # else it costs nothing
            if is_pruned:
                self._rests[name] = self._rest_of(name, parameter)
            if name in replaced and not self.is_at_rest(name, parameter):
                self.overwritten.append(name)
            places = (locations.get(each) for each in (name, *self._ties.get(name, ())))
            self._hold(name, parameter, [at for at in places if at])
        self._listen_to_loading(model)

    def take_up_loaded(self, model: nn.Module, mask: Mapping[str, torch.Tensor]) -> None:
        """`take_up` of the mask that was in force when what has been loaded was saved.

        What it keeps is as it was loaded, though the mask before it pruned it.
        """
        if self._aside is not None:
            found = present_parameters(model, self.mask, self._ties)
            self._aside.put_back_(found)
        self.take_up(model, mask)

    @torch.no_grad()
    def after_loading(self, module: nn.Module) -> None:
        """Pruned weights that a module has just loaded are zero again, before they are used."""
        model = self._model()
        if model is None:
            return
        here = [m for m in self._marks if m.hook is not None and m.module_in(model) is module]
        for mark in here:
            parameter = module._parameters.get(mark.leaf)
            if parameter is not None and parameter.shape == self.mask[mark.name].shape:
                self._hold_loaded(mark, parameter, model)

    def keep_gradients(self, is_keeping: bool) -> None:
        """Whether the gradients of the next step are kept as they were before they were masked."""
        self._dense.begin(is_keeping=is_keeping)

    def gradients(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """Those of the last step, of pruned weights too, if they were kept."""
        found = present_parameters(model, self.mask, self._ties)
        whole = {name: p.grad.detach() for name, p in found.items() if p.grad is not None}
        return {**whole, **self._dense.found}

    def _revived(self, parameters: Mapping[str, nn.Parameter]) -> list[str]:
        return [n for n, p in parameters.items() if not self.is_at_rest(n, p)]

    def _is_touched(self, name: str, parameter: nn.Parameter) -> bool:
        """Whether something was written into a parameter since the last step."""
        return parameter._version != self._versions.get(name, parameter._version)

    def _note_versions(self, model: nn.Module) -> None:
        for mark in self._marks:
            if mark.hook is not None and (parameter := mark.parameter_in(model)) is not None:
                self._versions[mark.name] = parameter._version

    def _hold(self, name: str, parameter: nn.Parameter, places: Iterable[Location | Mark]) -> None:
        """Mask a parameter, and mark it at each of its places."""
        hook = None
        if name in self._rests:
            self._put_to_rest_(name, parameter)
            hook = self._hooked(name, parameter)
            self._versions[name] = parameter._version
        whole = parameter if hook is None else None
        here = parameter._cdata, parameter.data_ptr()
        self._marks += [Mark(name, at.path, at.leaf, *here, hook, whole) for at in places]

    def _rest_of(self, name: str, parameter: nn.Parameter) -> Rest:
        """Where it is held, in the precision and on the device that it has now."""
        rest = self._rests.get(name)
        if rest is None or not rest.fits(parameter):
            reference = None if self._reference is None else self._reference[name]
            kept = self.mask[name] = self.mask[name].to(parameter.device)
            rest = Rest.of(kept, parameter, reference)
        return rest

    def _put_to_rest_(self, name: str, parameter: nn.Parameter) -> bool:
        """Hold it where it is to be; False if it was there."""
        rest = self._rests[name] = self._rest_of(name, parameter)
        was_there = rest.is_kept_by(parameter)
        if not was_there and self._aside is not None:
            self._aside.note_weights(name, parameter, self.mask[name])
        rest.put_(parameter)  # in any case: a zero may have had a sign
        return not was_there

    def _hold_loaded(self, mark: Mark, parameter: nn.Parameter, model: nn.Module) -> None:
        name, is_same = mark.name, mark.found_in(model) is parameter
        self._aside = self._aside or Aside()
        self._aside.forget_weights(name)
        if self._put_to_rest_(name, parameter):
            noted = self.written if is_same else self.overwritten
            noted += [] if name in noted else [name]
        if is_same:
            self._versions[name] = parameter._version
            return
        self._is_settled = False  # an optimiser may still have the old one
        marks = [each for each in self._marks if each.name == name]
        if mark.hook is not None:
            mark.hook.remove()
        if all(each.parameter_in(model) is parameter for each in marks):  # tied ones: by and by
            self._marks = [each for each in self._marks if each.name != name]
            self._hold(name, parameter, marks)

    def _listen_to_loading(self, model: nn.Module) -> None:
        """Whichever module `load_state_dict` is called of, it comes by those of the parameters."""
        modules = {id(m): m for mark in self._marks if mark.hook and (m := mark.module_in(model))}
        self._loading = [
            module.register_load_state_dict_post_hook(LoadingHook(self))
            for module in modules.values()
        ]

    def _hooked(self, name: str, parameter: nn.Parameter) -> RemovableHandle:
        is_trained = parameter.requires_grad
        parameter.requires_grad_(True)  # hooks want it; a frozen layer may be thawed later
        if parameter._post_accumulate_grad_hooks is not None:
            # those that torch.utils.swap_tensors left behind are linked again
            parameter._post_accumulate_grad_hooks = parameter._post_accumulate_grad_hooks
        kept, bits = self.mask[name], self._rests[name].keep
        mask_gradient = GradientMask(name, kept, bits, self._dense)
        hook = parameter.register_post_accumulate_grad_hook(mask_gradient)
        parameter.requires_grad_(is_trained)
        if parameter.grad is not None:
            mask_gradient(parameter)
        return hook

    def _take_hooks_off(self) -> None:
        while self._loading:
            self._loading.pop().remove()
        while self._marks:
            if hook := self._marks.pop().hook:
                hook.remove()
        self._versions = {}
