"""A deep copy of a model, whatever form its weights are in."""

import copy
from typing import TypeVar

import torch
from torch import nn

__all__ = ["copied_model"]

_Model = TypeVar("_Model", bound=nn.Module)


def copied_model(model: _Model) -> _Model:
    """A deep copy.

    The older forms of weight_norm and spectral_norm keep the weight that they made as an attribute
    that torch refuses to copy; it is made anew by the next forward.

    >>> copied_model(nn.Linear(2, 1)).weight.shape
    torch.Size([1, 2])
    """
    made = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    return copy.deepcopy(model, memo=dict(made))
