"""Copies of a module that adapters train as they are (`modules_to_save`), held to a mask.

peft makes one for each adapter, also for those that are added later, in `update` of what it has
put around the module.
"""

import weakref
from typing import Any

import torch
from torch import nn

from lottery_ticket.integrations.peft._library import masked_class
from lottery_ticket.masks import Attachment, PruningMask

__all__ = ["MaskedCopies", "held_in", "mask_copies_", "unmask_copies_"]


class MaskedCopies:
    """What such a wrapper does otherwise than peft's own."""

    kept_in_copies: dict[str, torch.Tensor]  # by the name of a parameter in the module

    def update(self, adapter_name: str, *args: Any, **options: Any) -> None:
        """As ever; and a copy that is new is held."""
        wrapper: Any = self
        before = set(wrapper.modules_to_save)
        super().update(adapter_name, *args, **options)  # type: ignore[misc]
        for name in set(wrapper.modules_to_save) - before:
            copy = wrapper.modules_to_save[name]
            for leaf, kept in self.kept_in_copies.items():
                _later.setdefault(wrapper, []).append((leaf, held_in(copy, leaf, kept)))


_later: weakref.WeakKeyDictionary[nn.Module, list[tuple[str, Attachment]]]
_later = weakref.WeakKeyDictionary()


def held_in(module: nn.Module, leaf: str, kept: torch.Tensor) -> Attachment:
    """A mask on one module for itself: it stays where it is when peft takes itself out."""
    mask = PruningMask.from_tensors({leaf: kept})
    return mask.attach(mask.apply(module))  # so that nothing is put aside


def mask_copies_(wrapper: Any, leaf: str, kept: torch.Tensor) -> None:
    """Hold a parameter in all copies that come later."""
    if not isinstance(wrapper, MaskedCopies):
        wrapper.__class__ = masked_class(MaskedCopies, type(wrapper))
        wrapper.kept_in_copies = {}
    wrapper.kept_in_copies[leaf] = kept


def unmask_copies_(wrapper: Any, leaf: str) -> None:
    """Leave the parameter in all copies that came later."""
    kind: Any = type(wrapper)
    if not issubclass(kind, MaskedCopies):
        return
    for name, attached in _later.get(wrapper, ()):
        if name == leaf:
            attached.release()
    _later[wrapper] = [each for each in _later.get(wrapper, ()) if each[0] != leaf]
    wrapper.kept_in_copies.pop(leaf, None)
    if not wrapper.kept_in_copies:
        del wrapper.kept_in_copies, _later[wrapper]
        wrapper.__class__ = kind.__mro__[2]
