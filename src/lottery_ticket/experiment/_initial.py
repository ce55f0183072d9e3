"""What a training starts from: drawn weights, or those of another cell."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import DamagedError, LotteryError
from lottery_ticket.masks import layer_weights
from lottery_ticket.models import build
from lottery_ticket.names import find_parameters
from lottery_ticket.seeds import generator
from lottery_ticket.store import CellRecord

__all__ = ["drawn_model", "initial_model", "recorded_model"]

State = dict[str, torch.Tensor]


def drawn_model(model: Mapping[str, Any], seed: int) -> nn.Module:
    """The model of a cell's inputs, with the weights that a seed draws."""
    options = {name: value for name, value in model.items() if name not in ("name", "source")}
    return build(model["name"], seed, **options)


def recorded_model(record: CellRecord) -> nn.Module:
    """The model of a finished training, with the weights that its seed draws.

    Raises:
        UsageError: it is not registered here.
        DamagedError: no model can be built of what the record says.
    """
    model, seeds = record.input("model"), record.input("seeds")
    try:
        return drawn_model(model, seeds["init"])
    except LotteryError:
        raise
    except Exception as error:  # a user's own model may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise DamagedError(
            f"cell {record.name}: no model {model['name']!r} can be built of what its record says "
            f"({reason}); its code may have changed, or the record is damaged"
        ) from error


def initial_model(
    inputs: Mapping[str, Any], mask: Mapping[str, torch.Tensor] | None = None
) -> nn.Module:
    """The model of a training with its initial weights, before they are masked.

    Args:
        inputs: of its cell.
        mask: of its cell; None where nothing is pruned. Some weights depend on it.
    """
    model = drawn_model(inputs["model"], inputs["seeds"]["init"])
    how = inputs.get("initial", {})
    match how.get("how"):
        case "signs":
            signs_of_(model, drawn_model(inputs["model"], how["init"]))
        case "signed_constant":
            signed_constant_(model)
        case "permuted":
            permute_kept_(model, mask, generator(how["seed"]))
        case "scaled":
            scale_to_kept_inputs_(model, mask or {}, how.get("input_dims", {}))
    return model


@torch.no_grad()
def signs_of_(model: nn.Module, other: nn.Module) -> None:
    """Give each parameter of `model` the sign it has in `other`, in place; magnitudes stay."""
    for parameter, signed in zip(model.parameters(), other.parameters(), strict=True):
        parameter.copy_(torch.copysign(parameter, signed))


@torch.no_grad()
def signed_constant_(model: nn.Module) -> None:
    """Set each prunable weight to ±σ by its sign, σ the standard deviation of its layer.

    σ is that of all the layer's weights as they were drawn, as in the code of Zhou et al. 2019:
    their paper's is that of the distribution, which a model does not tell. Biases and norms stay.
    """
    for parameter in layer_weights(model).values():
        deviation = parameter.double().std(correction=0).to(parameter)
        parameter.copy_(torch.copysign(deviation, parameter))


@torch.no_grad()
def permute_kept_(
    model: nn.Module, mask: Mapping[str, torch.Tensor] | None, draws: torch.Generator
) -> None:
    """Shuffle the kept values of each layer among its kept places; the others stay.

    The layer keeps its distribution, of signs too; which weight has which value is lost.

    Args:
        mask: parameter → kept; None for all weights of every layer.
        draws: which permutation.
    """
    weights = layer_weights(model)
    kept = {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
    for name, places in (kept if mask is None else mask).items():
        parameter = find_parameters(model, [name])[name]
        values = parameter[places]
        parameter[places] = values[torch.randperm(len(values), generator=draws)]


@torch.no_grad()
def scale_to_kept_inputs_(
    model: nn.Module, mask: Mapping[str, torch.Tensor], input_dims: Mapping[str, int]
) -> None:
    """Scale the weights of each output by √(inputs / kept inputs).

    Initial weights are drawn with a variance that falls with the number of inputs; of a pruned
    layer fewer are left, so that its outputs start smaller than they should.

    Args:
        mask: parameter → kept.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    Source: Evci et al. 2022 ("Gradient flow in sparse neural networks and how lottery tickets
    win"), sparsity-aware initialisation: each output by its own number of inputs.
    """
    for name, parameter in find_parameters(model, mask).items():
        inputs = _input_axes(parameter.ndim, input_dims.get(name, 1))
        kept = mask[name].sum(dim=inputs, keepdim=True).clamp(min=1)
        count = math.prod(parameter.shape[axis] for axis in inputs)
        parameter.mul_((count / kept.to(torch.float64)).sqrt().to(parameter.dtype))


def _input_axes(ndim: int, input_dim: int) -> tuple[int, ...]:
    """The axes that one output sums over: its inputs and, of a convolution, the kernel's."""
    if input_dim not in (0, 1):  # experts, whose number is in front
        return (input_dim % ndim,)
    return (input_dim, *range(2, ndim)) if ndim > 1 else (0,)
