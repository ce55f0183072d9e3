"""What is left once dead paths are taken away."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import nn

from lottery_ticket.analysis.structure._place import MaskPlace, tabulated
from lottery_ticket.criteria import score
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask

__all__ = ["effective_density", "effective_mask"]

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
