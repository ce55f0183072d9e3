"""A model made ready to be scored: masked, differentiable, without noise."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lottery_ticket.criteria._unchanged import unchanged
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.names import check_shape, find_parameters

__all__ = ["prepared", "scored_parameters", "set_mode_"]


@contextmanager
def prepared(
    model: nn.Module, weights: Mapping[str, torch.Tensor] | None, mask: Mapping[str, torch.Tensor]
) -> Iterator[None]:
    """A block in which `model` can be scored; at its end the model is as it was.

    In the block it holds `weights` (its own if None), exactly zero where pruned; the parameters
    that `mask` names can be differentiated, even frozen ones and under `no_grad`; and its mode is
    the one of `set_mode_`.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(unchanged(model))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            # cuDNN differentiates RNNs in training mode only, and only once
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        if weights is not None:
            _load_(model, weights)
        for name, parameter in scored_parameters(model, mask).items():
            parameter.data.masked_fill_(~mask[name].to(parameter.device), 0.0)
            parameter.requires_grad_(True)
        set_mode_(model, is_batch_norm_training=True)
        yield


def set_mode_(model: nn.Module, *, is_batch_norm_training: bool) -> None:
    """Evaluation mode; batch norms on the batch's own statistics if asked for.

    Dropout and the like are off, so that scores are no lottery of their own. Batch norms normalise
    as they do in training: at initialisation their running averages are not those of the net.
    Modes are set module by module: a model's own `train` may do more than that.
    """
    for module in model.modules():
        module.training = is_batch_norm_training and isinstance(module, _BatchNorm)


def scored_parameters(
    model: nn.Module, mask: Mapping[str, torch.Tensor]
) -> dict[str, nn.Parameter]:
    """The parameters that `mask` names, in its order, whatever the model is wrapped in."""
    return find_parameters(model, mask)


def _load_(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    known = model.state_dict()
    for name in weights:
        if name not in known:
            raise UsageError(f"weights: the model has no {name!r}{nearest(name, known)}")
        check_shape(f"weights: {name!r}", weights[name].shape, known[name].shape, "the model")
    model.load_state_dict(dict(weights), strict=False)
