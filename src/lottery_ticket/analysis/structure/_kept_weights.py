"""What training does to the weights that are kept: signs, magnitudes."""

from collections.abc import Mapping

import pandas as pd
import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask

__all__ = ["kept_weights"]


def kept_weights(
    mask: PruningMask,
    initial: Mapping[str, torch.Tensor],
    trained: Mapping[str, torch.Tensor],
) -> pd.DataFrame:
    """How the kept weights of a training look beside their initial ones, per layer and for `"all"`.

    Args:
        mask: what is kept.
        initial: θ₀, or whatever weights the training began with; a whole `state_dict` will do.
        trained: θ_T.

    Returns:
        layer, num_kept; `sign_kept`, the share of kept weights whose sign is that of θ₀;
        `magnitude_correlation`, Pearson's r between |θ₀| and |θ_T|; `mean_initial` and
        `mean_trained`, the mean magnitudes. Null where too few weights are kept to say.

    Raises:
        UsageError: `initial` or `trained` lacks a layer of the mask, or has another shape.

    >>> mask = PruningMask.from_tensors({"w": torch.tensor([True, True, True, False])})
    >>> before = {"w": torch.tensor([1.0, -2.0, 3.0, 4.0])}
    >>> after = {"w": torch.tensor([2.0, -4.0, -6.0, 0.0])}
    >>> frame = kept_weights(mask, before, after).set_index("layer")
    >>> [round(float(x), 3) for x in frame.loc["w", ["sign_kept", "magnitude_correlation"]]]
    [0.667, 1.0]

    Source: the question is Zhou et al. 2019's (Deconstructing lottery tickets).
    """
    before, after = _of_kept(mask, "initial", initial), _of_kept(mask, "trained", trained)
    rows = [_row(name, before[name], after[name]) for name in mask]
    whole = _row("all", torch.cat(list(before.values())), torch.cat(list(after.values())))
    return pd.DataFrame([*rows, whole])


def _of_kept(
    mask: PruningMask, what: str, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The kept weights of each layer, flat, in double precision."""
    for name, kept in mask.items():
        shape = tuple(weights[name].shape) if name in weights else None
        if shape != tuple(kept.shape):
            raise UsageError(f"{what}: {name!r} has shape {shape}, its mask {tuple(kept.shape)}")
    return {name: weights[name].detach().double().cpu()[kept.cpu()] for name, kept in mask.items()}


def _row(layer: str, before: torch.Tensor, after: torch.Tensor) -> dict[str, object]:
    sizes = torch.stack([before.abs(), after.abs()])
    is_varied = before.numel() > 1 and bool((sizes.std(dim=1) > 0).all())
    nan = float("nan")
    return {
        "layer": layer,
        "num_kept": before.numel(),
        "sign_kept": float((before.sign() == after.sign()).double().mean()),
        "magnitude_correlation": float(torch.corrcoef(sizes)[0, 1]) if is_varied else nan,
        "mean_initial": float(sizes[0].mean()),
        "mean_trained": float(sizes[1].mean()),
    }
