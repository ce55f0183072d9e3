"""What a mask set to zero before the first step, in case another mask, from a checkpoint, keeps it.

Trainers load the parts of a checkpoint in an order of their own: the model and the optimiser may
come before the mask that was in force, while an older one is attached. Nothing of that is kept
longer than until the next step.
"""

import weakref
from collections.abc import Mapping

import torch
from torch import nn

from lottery_ticket.masks._enforce import remembers_each_weight

__all__ = ["Aside"]

_Key = tuple[str, str]  # name of a parameter, and of what is remembered of it: "" for its weights
_Noted = dict[_Key, tuple[torch.Tensor, torch.Tensor]]  # what was pruned, and which were kept


class Aside:
    """Tensors as they were before a mask was applied to them."""

    def __init__(self) -> None:
        self._weights: _Noted = {}
        self._memory: weakref.WeakKeyDictionary[torch.optim.Optimizer, _Noted]
        self._memory = weakref.WeakKeyDictionary()

    def clear(self) -> None:
        """Forget it all: training goes on."""
        self._weights.clear()
        self._memory.clear()

    def note_weights(self, name: str, parameter: nn.Parameter, kept: torch.Tensor) -> None:
        """A parameter is about to be masked."""
        _note(self._weights, (name, ""), parameter, kept)

    def forget_weights(self, name: str) -> None:
        """A parameter has been loaded: what it was before does not matter."""
        self._weights.pop((name, ""), None)

    def note_memory(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Mapping[str, nn.Parameter],
        mask: Mapping[str, torch.Tensor],
    ) -> None:
        """What an optimiser remembers is about to be masked."""
        noted = self._memory.setdefault(optimizer, {})
        for name, parameter in parameters.items():
            for key, value in _of_shape(optimizer, parameter).items():
                if bool(torch.gt(value != 0, mask[name].to(value.device)).any()):
                    _note(noted, (name, key), value, mask[name])

    def forget_memory(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser's state has been loaded."""
        self._memory.pop(optimizer, None)

    @torch.no_grad()
    def put_back_(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Weights and memory that were pruned are again what they were."""
        for name, parameter in parameters.items():
            _put_back_(parameter, self._weights.get((name, "")))
        for optimizer, noted in self._memory.items():
            for name, parameter in parameters.items():
                for key, value in _of_shape(optimizer, parameter).items():
                    _put_back_(value, noted.get((name, key)))
        self.clear()


def _note(noted: _Noted, key: _Key, value: torch.Tensor, kept: torch.Tensor) -> None:
    now, kept, before = value.detach(), kept.to(value.device), noted.get(key)
    if before is not None and before[1].shape == now.shape:
        now = now.clone()
        _put_back_(now, before)
        kept = kept & before[1].to(now.device)
    noted[key] = now[~kept], kept


@torch.no_grad()
def _put_back_(value: torch.Tensor, noted: tuple[torch.Tensor, torch.Tensor] | None) -> None:
    if noted is not None and noted[1].shape == value.shape:
        values, kept = (each.to(value.device) for each in noted)
        value[~kept] = values.to(value.dtype)


def _of_shape(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, torch.Tensor]:
    memory = optimizer.state.get(parameter, {})
    return {key: value for key, value in memory.items() if remembers_each_weight(value, parameter)}
