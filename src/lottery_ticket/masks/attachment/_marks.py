"""By what an attached mask knows again a parameter, and a module that loads checkpoints."""

import contextlib
import weakref
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn
from torch.utils.hooks import RemovableHandle

__all__ = ["LoadingHook", "Mark", "Told"]


@dataclass(frozen=True)
class Mark:
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

    def module_in(self, model: nn.Module) -> nn.Module | None:
        """The module at its place."""
        module: nn.Module | None = model
        for part in self.path:
            module = module._modules.get(part)
            if module is None:
                return None
        return module

    def parameter_in(self, model: nn.Module) -> nn.Parameter | None:
        """What is at its place, whatever that is."""
        module = self.module_in(model)
        return None if module is None else module._parameters.get(self.leaf)

    def found_in(self, model: nn.Module) -> nn.Parameter | None:
        """The parameter, if it is the one that was marked."""
        parameter = self.parameter_in(model)
        if parameter is None:
            return None
        if self.hook is None:
            return parameter if parameter is self.whole else None
        is_same = (
            parameter._cdata == self.address
            and parameter.data_ptr() == self.memory
            and self.hook.id in (parameter._post_accumulate_grad_hooks or ())
        )
        return parameter if is_same else None


class Told(Protocol):
    """What is told that a module has loaded a checkpoint."""

    def after_loading(self, module: nn.Module) -> None: ...


class LoadingHook:
    """Tells what holds a mask that a module has loaded a checkpoint.

    It lies in the module, which is copied and pickled. In the copy is a hook that does nothing in
    its place: a copy is free of the mask, and a pickle is read where this library is not installed.
    """

    def __init__(self, told: Told) -> None:
        self._told = weakref.ref(told)

    def __call__(self, module: nn.Module, keys: Any) -> None:
        if (told := self._told()) is not None:
            told.after_loading(module)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (contextlib.nullcontext(), "__exit__")  # takes anything, does nothing
