"""What scoring does to a model is undone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

__all__ = ["unchanged"]


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """A block that works on copies of the model's tensors; at its end the model is as it was.

    The parameters' values, gradients and `requires_grad`, the buffers, and each module's mode are
    put back, however the block ends. The original tensors are set aside rather than copied back,
    so they are the same to the bit (−0.0, NaN) and views of them stay valid. Gradients are None
    at the start of the block.
    """
    with ExitStack() as undo:
        for module in model.modules():
            undo.callback(setattr, module, "training", module.training)
        _work_on_copies_of_buffers_(model, undo)
        _work_on_copies_of_parameters_(model, undo)
        yield


def _work_on_copies_of_parameters_(model: nn.Module, undo: ExitStack) -> None:
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            undo.callback(_put_back_, module, name, parameter)
    for parameter in model.parameters():
        undo.callback(_restore_, parameter, parameter.data, parameter.grad, parameter.requires_grad)
        parameter.grad = None
        parameter.data = parameter.data.clone()


def _work_on_copies_of_buffers_(model: nn.Module, undo: ExitStack) -> None:
    copies: dict[int, torch.Tensor] = {}  # a shared buffer stays shared
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False, remove_duplicate=False)):
            undo.callback(setattr, module, name, buffer)
            setattr(module, name, copies.setdefault(id(buffer), buffer.clone()))


def _restore_(
    parameter: nn.Parameter, data: torch.Tensor, grad: torch.Tensor | None, requires_grad: bool
) -> None:
    parameter.data = data
    parameter.grad = grad
    parameter.requires_grad_(requires_grad)


def _put_back_(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    if getattr(module, name, None) is not parameter:
        setattr(module, name, parameter)
