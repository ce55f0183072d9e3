"""What a training starts from: drawn weights, or those of another cell."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import DamagedError, LotteryError
from lottery_ticket.masks import layer_weights
from lottery_ticket.models import build
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


def initial_model(inputs: Mapping[str, Any]) -> nn.Module:
    """The model of a training with its initial weights, before any mask."""
    model = drawn_model(inputs["model"], inputs["seeds"]["init"])
    how = inputs.get("initial")
    if how is not None and how["how"] == "signs":
        signs_of_(model, drawn_model(inputs["model"], how["init"]))
    elif how is not None:
        signed_constant_(model)
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
