"""How many weights are kept, per layer, unit and input; and once dead paths are taken away."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lottery_ticket.analysis.structure.place import MaskPlace, tabulated
from lottery_ticket.criteria import score
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask

__all__ = ["effective_density", "effective_mask", "input_density", "layer_density", "unit_density"]


def layer_density(masks: Mapping[MaskPlace, PruningMask]) -> pd.DataFrame:
    """Per mask and layer, in model order: num_kept, num_prunable and density.

    Args:
        masks: by place.

    Returns:
        The place, layer, num_kept, num_prunable, density.
    """
    return tabulated(masks, _layer_rows)


def unit_density(masks: Mapping[MaskPlace, PruningMask]) -> pd.DataFrame:
    """Per mask, layer and unit: how many of its weights are kept.

    A layer's units are counted on both its sides: an output with the weights that feed it
    (dimension 0 of the weight), and an input with those that read it (dimension 1). The unit of a
    convolution is a channel.

    Args:
        masks: by place. Parameters of fewer than two dimensions have no units.

    Returns:
        The place, layer, side (`"input"` or `"output"`), unit, num_kept, num_prunable, density.
    """
    return tabulated(masks, _unit_rows)


def input_density(masks: Mapping[MaskPlace, PruningMask]) -> pd.DataFrame:
    """Per mask and input of the net: how many weights of the first layer still read it.

    Args:
        masks: by place. The first layer is the first parameter of two or more dimensions; of a
            linear layer an input is a pixel, of a convolution a channel.

    Returns:
        The place, input, num_kept, num_prunable, density.
    """
    return tabulated(masks, _input_rows)


def _layer_rows(mask: PruningMask) -> pd.DataFrame:
    names = list(mask)
    kept = [int(layer.sum()) for layer in mask.values()]
    return _with_density(names, kept, [layer.numel() for layer in mask.values()], column="layer")


def _unit_rows(mask: PruningMask) -> pd.DataFrame:
    frames = []
    for name, layer in mask.items():
        for dim, side in ((1, "input"), (0, "output")) if layer.ndim > 1 else ():
            rows = _side(layer, dim, "unit")
            rows.insert(0, "side", side)
            rows.insert(0, "layer", name)
            frames.append(rows)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _input_rows(mask: PruningMask) -> pd.DataFrame:
    first = next((layer for layer in mask.values() if layer.ndim > 1), None)
    return pd.DataFrame() if first is None else _side(first, 1, "input")


def _side(layer: torch.Tensor, dim: int, column: str) -> pd.DataFrame:
    size = layer.shape[dim]
    kept = layer.transpose(0, dim).flatten(1).sum(1).cpu().numpy()
    return _with_density(range(size), kept, np.full(size, layer.numel() // size), column=column)


def _with_density(units: Sequence[Any], kept: Any, prunable: Any, *, column: str) -> pd.DataFrame:
    frame = pd.DataFrame({column: units, "num_kept": kept, "num_prunable": prunable})
    return frame.assign(density=frame["num_kept"] / frame["num_prunable"])


# these mix signs or normalise over units, so that a path of positive weights need not show
_NOT_FOLLOWED = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention, nn.RNNBase)


def effective_mask(mask: PruningMask, model: nn.Module, input_shape: Sequence[int]) -> PruningMask:
    """The kept weights that lie on a path of kept weights from an input to an output.

    Found as SynFlow finds the flow through a weight, with every kept weight 1 / fan-in, biases 0
    and an input of ones: what carries none is dead. A unit that no input reaches has a bias still,
    and that bias an effect, but its weights say nothing about the input.

    Args:
        mask: what is kept.
        model: a net of linear maps, convolutions, batch norms, pooling and activations that rise;
            branches are followed. It ends as it was. Max-pooling passes on the largest flow alone.
        input_shape: the shape of one example.

    Raises:
        UsageError: mask and model do not belong together, or the model has a layer whose paths
            cannot be followed (layer norm, group norm, attention, recurrent).

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> mask = PruningMask.from_tensors(
    ...     {
    ...         "0.weight": torch.tensor([[True, True], [False, True]]),
    ...         "2.weight": torch.tensor([[True, False]]),
    ...     }
    ... )
    >>> effective_mask(mask, net, (2,))["0.weight"].tolist()  # nothing reads the second unit
    [[True, True], [False, False]]

    Source: effective sparsity, Vysogorets & Kempe 2023 (Connectivity matters).
    """
    for name, module in model.named_modules():
        if isinstance(module, _NOT_FOLLOWED):
            raise UsageError(
                f"dead paths cannot be followed through {name!r}, a {type(module).__name__}; "
                "only through linear maps, convolutions, batch norms, pooling and activations"
            )
    flow = score(
        "synflow", model=model, mask=mask, weights=_even_weights(model), input_shape=input_shape
    )
    return PruningMask.from_tensors({name: value > 0 for name, value in flow.items()})


def effective_density(
    masks: Mapping[MaskPlace, PruningMask], model: nn.Module, input_shape: Sequence[int]
) -> pd.DataFrame:
    """Density, and what of it is left after dead paths: per layer, then for `"all"`.

    Args:
        masks: by place.
        model, input_shape: as `effective_mask`.

    Returns:
        The place, layer, num_prunable, num_kept, num_effective, density, effective_density.
    """

    def rows_of(mask: PruningMask) -> pd.DataFrame:
        effective = effective_mask(mask, model, input_shape)
        rows = [
            (name, kept.numel(), int(kept.sum()), int(effective[name].sum()))
            for name, kept in mask.items()
        ]
        rows.append(("all", mask.num_prunable, mask.num_kept, effective.num_kept))
        columns = pd.Index(["layer", "num_prunable", "num_kept", "num_effective"])
        frame = pd.DataFrame(rows, columns=columns)
        return frame.assign(
            density=frame["num_kept"] / frame["num_prunable"],
            effective_density=frame["num_effective"] / frame["num_prunable"],
        )

    return tabulated(masks, rows_of)


def _even_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights under which what flows is an average over paths, so that it stays within floats."""
    even = {}
    for name, value in model.state_dict().items():
        leaf = name.rpartition(".")[2]
        if "bias" in leaf or leaf == "running_mean":
            even[name] = torch.zeros_like(value)
        elif value.ndim > 1:
            even[name] = torch.full_like(value, 1 / value[0].numel())
        elif value.is_floating_point():
            even[name] = torch.ones_like(value)
    return even
