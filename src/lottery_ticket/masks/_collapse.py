"""Layer collapse: a layer that keeps no weight, so that nothing passes it."""

import warnings
from collections.abc import Mapping

import torch

__all__ = ["LayerCollapseWarning", "collapsed_layers", "warn_on_collapse"]


class LayerCollapseWarning(UserWarning):
    """A mask keeps no weight of some layer; the network's output no longer depends on its input,
    unless another path leads around that layer."""


def collapsed_layers(mask: Mapping[str, torch.Tensor]) -> list[str]:
    """The layers of which `mask` keeps no weight; a bias without any is no collapse.

    >>> collapsed_layers({"a": torch.tensor([True, False]), "b": torch.tensor([False, False])})
    ['b']
    """
    return [
        name
        for name, kept in mask.items()
        if kept.numel() and not bool(kept.any()) and "bias" not in name.rpartition(".")[2]
    ]


def warn_on_collapse(mask: Mapping[str, torch.Tensor]) -> None:
    """Warn with `LayerCollapseWarning` if a layer keeps no weight, and say what helps.

    Source: the term is Tanaka et al. 2020's (SynFlow).
    """
    layers = collapsed_layers(mask)
    if layers:
        more = f" and {len(layers) - 3} more" if layers[3:] else ""
        warnings.warn(
            f"layer collapse: no weight of {', '.join(layers[:3])}{more} is kept, so nothing "
            "passes through; give min_layer_density (0.01, say), use scope='layerwise' or 'erk', "
            "or prune less (fewer levels)",
            LayerCollapseWarning,
            stacklevel=3,
        )
