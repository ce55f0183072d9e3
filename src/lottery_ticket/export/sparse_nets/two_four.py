"""n:m sparsity on its way out: verified anywhere, and executed by the sparse units of a GPU."""

import warnings
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Structure,
    Target,
    copied_model,
    find_parameters,
    is_nm,
    prunable_in,
    prunable_parameters,
    unfit_for_nm,
)
from lottery_ticket.masks import input_dims as input_dims_of
from lottery_ticket.names import joined, named_modules
from lottery_ticket.process import alone

__all__ = ["check_n_m", "to_semi_structured", "unfit_for_gpu"]

_DTYPES = (torch.float16, torch.bfloat16)
_CAPABILITY = (8, 0)  # Ampere: the first with sparse tensor cores


def check_n_m(
    weights: nn.Module | Mapping[str, torch.Tensor],
    pattern: str = "2:4",
    *,
    ignore: Iterable[Target] = (),
    input_dims: Mapping[str, int] | None = None,
) -> list[str]:
    """Make sure that at most n of every m weights along the inputs are not zero, in every layer.

    Args:
        weights: a model, whose prunable weights are looked at; or a mask, or tensors by name.
        pattern: `"n:m"`.
        ignore: layers of a model that may be dense, in the forms that masks take; names of tensors.
        input_dims: of tensors by name, which dimension counts inputs, as
            `lottery_ticket.masks.input_dims` gives it; 1 where not named. A model tells itself.

    Returns:
        The names of the parameters that were verified.

    Raises:
        UsageError: a layer does not have the pattern, or cannot; each is named, with the reason.

    >>> check_n_m({"fc.weight": torch.tensor([[1.0, 0.0, 0.0, 2.0]])})
    ['fc.weight']
    """
    structure = Structure.parse(pattern)
    if structure.kind != "n:m":
        raise UsageError(f"check_n_m: pattern: got {pattern!r}, wanted n:m, such as '2:4'")
    if isinstance(weights, nn.Module):
        tensors: Mapping[str, torch.Tensor] = prunable_parameters(weights, ignore=ignore)
        dims = input_dims_of(weights, tensors)
    else:
        left_out = set(ignore)
        tensors = {name: value for name, value in weights.items() if name not in left_out}
        dims = {name: (input_dims or {}).get(name, 1) for name in tensors}
    if not tensors:
        raise UsageError(f"check_n_m: there is no weight that could be {pattern}")
    reasons = [
        f"{name} {tuple(value.shape)}: {reason}"
        for name, value in tensors.items()
        if (reason := _why_not(value.detach(), structure, dims[name]))
    ]
    if reasons:
        raise UsageError(
            f"not {pattern}: {'; '.join(reasons)}. Search with prune.scope: {pattern}; layers that "
            "are dense on purpose are left out of the mask, or here with ignore=[…]"
        )
    return list(tensors)


def to_semi_structured(model: nn.Module, *, ignore: Iterable[Target] = ()) -> nn.Module:
    """A copy for inference whose 2:4 linear layers run on sparse tensor cores.

    The weight of every `nn.Linear` that keeps at most 2 of every 4 inputs becomes the compressed
    tensor of core PyTorch; all other layers stay as they are. So do convolutions, whatever their
    masks: PyTorch multiplies compressed matrices alone. Whether it is quicker depends on the shape:
    measure it (`benchmarks/bench_two_four.py`).

    Args:
        model: on a CUDA device of compute capability 8.0 or later, in float16 or bfloat16; it
            stays as it is.
        ignore: layers that shall stay dense, in the forms that masks take.

    Raises:
        UsageError: there is no such device, no layer is 2:4, or a 2:4 layer has a dtype, device or
            shape that the hardware cannot take.

    Example:
        >>> to_semi_structured(model.half().cuda())  # doctest: +SKIP

    Source: Mishra et al. 2021; `torch.sparse.to_sparse_semi_structured`.
    """
    _check_device()
    names = _convertible(model, ignore)
    made = copied_model(model).eval()
    modules = named_modules(made)
    for name in names:
        layer = modules[name]
        assert isinstance(layer, nn.Linear)
        layer.weight = _compressed(name, layer.weight.detach())
    return made


def unfit_for_gpu(model: nn.Module, names: Sequence[str]) -> dict[str, str]:
    """Which of a model's 2:4 weights `to_semi_structured` would not take in float16, and why."""
    parameters = find_parameters(model, names)
    linear = {
        joined(name, "weight")
        for name, module in named_modules(model).items()
        if type(module) is nn.Linear
    }
    reasons = {
        name: _why_not_compressed(parameters[name].detach().half(), parameters[name].device.type)
        if name in linear
        else "PyTorch compresses the weights of linear layers alone"
        for name in names
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _compressed(name: str, weight: torch.Tensor) -> nn.Parameter:
    with alone(), warnings.catch_warnings():
        # PyTorch says once in each process that its interface may change
        warnings.filterwarnings("ignore", "The PyTorch API of SparseSemiStructuredTensor")
        try:
            sparse = torch.sparse.to_sparse_semi_structured(weight.contiguous())
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{name}: PyTorch cannot compress it here ({reason}); leave it dense with "
                f"ignore=[{name!r}]"
            ) from error
    return nn.Parameter(sparse, requires_grad=False)


def _check_device() -> None:
    instead = "check_n_m verifies the weights anywhere, and a dense file of them has exact zeros"
    wanted = "a CUDA device of compute capability 8.0 (Ampere) or later"
    if not torch.cuda.is_available():
        raise UsageError(f"to_semi_structured needs {wanted}, and none is found here; {instead}")
    capability = torch.cuda.get_device_capability()
    if capability < _CAPABILITY:
        got = "{}.{}".format(*capability)
        raise UsageError(f"to_semi_structured needs {wanted}, this one has {got}; {instead}")


def _convertible(model: nn.Module, ignore: Iterable[Target], device: str = "cuda") -> list[str]:
    """The names of the 2:4 linear layers, all of which can be compressed on the device."""
    prunable = prunable_in(model, ignore=ignore, without_unfit=True).parameters
    layers = {
        name: module
        for name, module in named_modules(model).items()
        if type(module) is nn.Linear and joined(name, "weight") in prunable
    }
    chosen = {name: layer for name, layer in layers.items() if is_nm(layer.weight)}
    if not chosen:
        raise UsageError(
            f"to_semi_structured: none of the {len(layers)} linear layers (of those not to ignore) "
            "is 2:4, and other layers cannot be compressed; search with prune.scope: 2:4"
        )
    problems = {
        name: reason
        for name, layer in chosen.items()
        if (reason := _why_not_compressed(layer.weight, device))
    }
    if problems:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
        raise UsageError(
            f"to_semi_structured: {reasons}. Layers that cannot be so stay dense with "
            f"ignore={list(problems)}"
        )
    return list(chosen)


def _why_not_compressed(weight: torch.Tensor, device: str) -> str | None:
    if weight.dtype not in _DTYPES:
        return f"is {weight.dtype}, wanted float16 or bfloat16: model.to(torch.float16)"
    if weight.device.type != device:
        return f"is on {weight.device}, wanted {device}: model.to({device!r})"
    rows, columns = _smallest_shape(weight.dtype)
    if weight.shape[0] % rows or weight.shape[1] % columns:
        return (
            f"has {weight.shape[0]} outputs and {weight.shape[1]} inputs, wanted multiples of "
            f"{rows} and {columns} ({weight.dtype})"
        )
    return None


def _smallest_shape(dtype: torch.dtype) -> tuple[int, int]:
    """What outputs and inputs must be multiples of."""
    # it depends on PyTorch's version and on the library it calls, and is written there alone
    kinds = torch.sparse
    kind = (
        kinds.SparseSemiStructuredTensorCUTLASS
        if kinds.SparseSemiStructuredTensor._FORCE_CUTLASS
        else kinds.SparseSemiStructuredTensorCUSPARSELT
    )
    limits = kind._DTYPE_SHAPE_CONSTRAINTS[dtype]
    return limits.sparse_min_rows, limits.sparse_min_cols


def _why_not(weight: torch.Tensor, structure: Structure, dim: int) -> str | None:
    n, m = structure.size
    if unfit_for_nm({"": weight.shape}, m, {"": dim}):
        return f"its inputs are no multiple of {m}"
    if is_nm(weight, n, m, dim=dim):
        return None
    groups = (weight != 0).movedim(dim, -1).unflatten(-1, (-1, m)).sum(-1)
    return f"{int((groups > n).sum()):,} of {groups.numel():,} groups keep more than {n}"
