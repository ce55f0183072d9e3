"""How many weights are kept: per layer, per unit, per input."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lottery_ticket.analysis.structure._place import MaskPlace, tabulated
from lottery_ticket.masks import PruningMask

__all__ = ["input_density", "layer_density", "unit_density"]


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
