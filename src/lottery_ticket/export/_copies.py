"""A model of somebody's, copied to be worked on."""

import re

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import is_pruned
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import copied_model
from lottery_ticket.names import lazy_names

__all__ = ["eval_copy", "plain_name", "plain_weights_"]

_ORIGINAL = re.compile(r"(.*\.)?parametrizations\.(\w+)\.original\d*|(.*)_(?:g|v|orig)")


def eval_copy(model: nn.Module) -> nn.Module:
    """A copy in eval mode.

    Raises:
        UsageError: it is no module, has no weights yet, or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: got {type(model).__name__}, wanted a torch.nn.Module")
    if is_pruned(model):
        raise UsageError(
            "model: it is in the form of torch.nn.utils.prune (weight_orig, weight_mask); call "
            "torch.nn.utils.prune.remove first"
        )
    for name in lazy_names(model):
        raise UsageError(f"model: {name} has no values yet (a lazy layer); run it on a batch first")
    try:
        return copied_model(model).eval()
    except Exception as error:  # a user's own model may hold anything
        raise UsageError(
            f"model: it cannot be copied ({type(error).__name__}: {error})".splitlines()[0]
        ) from error


@torch.no_grad()
def plain_weights_(model: nn.Module) -> nn.Module:
    """Make the weights of a model plain parameters, in place, where others make them.

    A weight under `torch.nn.utils.parametrize`, which weight_norm and spectral_norm are built on,
    or under their older forms, becomes what it comes to in eval mode. Returns the model.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module):
            _remove_parametrizations_(module)
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, WeightNorm | SpectralNorm):
                hook.remove(module)
                del module._forward_pre_hooks[key]
    return model


def _remove_parametrizations_(module: nn.Module) -> None:
    # torch's own removal changes the class too, which the module that was copied still has
    lists = dict(module._modules.pop("parametrizations").named_children())  # type: ignore[union-attr]
    made = {name: originals().detach() for name, originals in lists.items()}
    module.__class__ = type(module).__bases__[0]
    for name, value in made.items():
        if any(True for _ in lists[name].parameters()):
            module.register_parameter(name, nn.Parameter(value.clone()))
        else:
            module.register_buffer(name, value.clone())


def plain_name(name: str) -> str:
    """The name that a parameter has after `plain_weights_`.

    >>> plain_name("fc.parametrizations.weight.original1"), plain_name("fc.weight_v")
    ('fc.weight', 'fc.weight')
    """
    if not (found := _ORIGINAL.fullmatch(name)):
        return name
    return found[3] if found[3] else f"{found[1] or ''}{found[2]}"
