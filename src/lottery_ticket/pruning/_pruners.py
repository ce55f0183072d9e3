"""Pruning a model that is there: one call, one new mask."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.masks import (
    Asked,
    Budget,
    PruningMask,
    Structure,
    Target,
    exact,
    input_dims,
    is_nm,
    num_groups,
    num_pruned,
    warn_if_missed,
    warn_on_collapse,
)
from lottery_ticket.pruning._amount import density_of
from lottery_ticket.pruning._channel_layers import (
    ChannelLayers,
    channel_layers,
    example_of_given,
)
from lottery_ticket.pruning._level import next_mask
from lottery_ticket.seeds import generator

__all__ = ["MASK_SAYS_IT", "MagnitudePruner", "Structured24Pruner", "prune"]

_GIVEN = ("weights", "initial", "batches", "loss", "batch_loss", "input_shape")
"""What a criterion may need and the model does not have."""

MASK_SAYS_IT = {
    name: f"a mask says it: mask=PruningMask(model, {name}=…)"
    for name in ("targets", "ignore", "min_size")
}


@known_keywords("prune", also=_GIVEN, elsewhere={"generator": "give seed=, a number"})
def prune(
    model: nn.Module,
    mask: PruningMask | None = None,
    *,
    sparsity: float | None = None,
    density: float | None = None,
    amount: float | None = None,
    criterion: CriterionLike = "magnitude",
    scope: str = "global",
    structure: str = "unstructured",
    min_layer_density: float = 0.0,
    targets: Iterable[Target] | None = None,
    ignore: Iterable[Target] = (),
    min_size: int = 0,
    seed: int = 0,
    example: Any = None,
    **given: Any,
) -> PruningMask:
    """The mask that keeps the best weights of a model, which is left as it is.

    Args:
        model: the model, with the weights to be scored.
        mask: what is kept now; None for all prunable weights.
        sparsity: fraction to prune of *all* prunable weights. With channels the nearest that whole
            ones allow: the mask's `density` is what was reached.
        density: the same said as kept / all; give one of sparsity, density and amount.
        amount: fraction to prune of what *remains*.
        criterion: name of a criterion, or your own function of what it needs.
        scope: `"global"`, `"layerwise"` or `"erk"`.
        structure: `"unstructured"`, `"2:4"` (any n:m), `"block:4x4"`, `"channel"`.
        min_layer_density: no layer falls below this density. With channels each keeps at least
            one.
        targets, ignore, min_size: what is prunable, as in `PruningMask`; where a mask is given, it
            says that.
        seed: for criteria that draw.
        example: what the model is called with (a batch of inputs, a tuple of them, a dict of them
            by name), to see which layer is its output; only structure `"channel"` looks at it.
            Else the first of `batches` or `input_shape` is taken, if they are there.
        given: what else the criterion needs: `initial`, `batches`, `loss`, `batch_loss`,
            `input_shape`.

    Structure `"channel"` cuts convolutions. Linear layers, and others, stay whole unless `targets`
    (here, or of `mask`) asks for them; the model's output unless `targets` has its own name. What
    stays is in neither count: `left_out` of the mask returned says why. Without an example the
    last linear layer in model order is taken for the output, and the last convolution if it comes
    later.

    Returns:
        A new mask, nested in `mask`.

    Raises:
        UsageError: the amount is no fraction or denser than now; a criterion lacks what it needs;
            nothing is prunable; there is no such argument; structure `"channel"` finds nothing to
            cut.

    Warns:
        LayerCollapseWarning: a layer keeps no weight.
        MissedDensityWarning: each layer keeps a channel, which is more than was asked for.

    >>> mask = prune(nn.Linear(10, 2), sparsity=0.75)
    >>> mask.num_kept, prune(nn.Linear(10, 2), mask, amount=0.2).num_kept
    (5, 4)
    """
    whole = _mask_at_first(model, mask, targets=targets, ignore=ignore, min_size=min_size)
    asked = {"sparsity": sparsity, "density": density, "amount": amount}
    if isinstance(given.get("batches"), Iterator):
        given["batches"] = list(given["batches"])  # more than one looks at them
    layers, mask = None, whole
    if Structure.parse(structure).kind == "channel":
        found = example_of_given(model, given) if example is None else example
        layers = channel_layers(model, whole, found, is_guess=example is None)
        mask, dims = layers.cut, input_dims(model, layers.cut)
        keep = _keep_channels(layers, dims, scope, **asked)
    else:
        dims, keep = input_dims(model, mask), _keep(mask, scope, structure, **asked)
    made = next_mask(
        criterion,
        mask,
        keep,
        scope=scope,
        structure=structure,
        min_layer_density=min_layer_density,
        input_dims=dims,
        model=model,
        generator=generator(seed, "mask"),
        **given,
    )
    warn_on_collapse(made)
    if layers is None:
        return made
    wanted = Asked(keep, scope, min_layer_density)
    warn_if_missed(mask, made, wanted, input_dims=dims)
    return layers.joined(made, whole)


def _mask_at_first(
    model: nn.Module,
    mask: PruningMask | None,
    *,
    targets: Iterable[Target] | None,
    ignore: Iterable[Target],
    min_size: int,
) -> PruningMask:
    """What is kept before pruning.

    Raises:
        UsageError: nothing is prunable; a mask is given beside what it says itself.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: got {type(model).__name__}, wanted a torch.nn.Module")
    if mask is None:
        return PruningMask(model, targets=targets, ignore=ignore, min_size=min_size)
    if not isinstance(mask, PruningMask):
        hint = "of tensors by name makes one PruningMask.from_tensors"
        hint = "an amount has a name: sparsity=0.9" if isinstance(mask, float | int) else hint
        raise UsageError(f"mask: got {type(mask).__name__}, wanted a PruningMask; {hint}")
    given = {"targets": targets is not None, "ignore": ignore != (), "min_size": min_size != 0}
    for name in (name for name, is_given in given.items() if is_given):
        raise UsageError(
            f"prune: mask and {name} both say what is prunable; make the mask with it: "
            f"PruningMask(model, {name}=…)"
        )
    return mask


def _keep(mask: PruningMask, scope: str, structure: str, **asked: float | None) -> Budget | float:
    """What to keep: by counts for an `amount`, since a product of densities may miss a half."""
    if Structure.parse(structure).kind == "block":
        if asked["amount"] is not None:
            raise UsageError(
                f"amount is of the weights that remain, structure '{structure}' prunes groups of "
                "them; give density= or sparsity=, of all groups"
            )
        return density_of(1.0, **asked)  # of groups; select knows how many are left
    density = density_of(mask.density, **asked)
    amount = asked["amount"]
    if amount is None:
        return density
    left = {name: int(kept.sum()) for name, kept in mask.items()}
    if scope == "layerwise":
        layers = tuple((name, n - num_pruned(n, amount)) for name, n in left.items())
        return Budget(sum(n for _, n in layers), layers)
    total = sum(left.values())
    total -= num_pruned(total, amount)
    return Budget(total) if scope == "global" else total / mask.num_prunable


def _keep_channels(
    layers: ChannelLayers, dims: Mapping[str, int], scope: str, **asked: float | None
) -> Budget | float:
    """What to keep of the layers that are cut; what is held counts among all and stays."""
    cut, held = layers.cut, layers.held
    density, amount = density_of(1.0, **asked), asked["amount"]  # select knows what is left
    if scope == "layerwise":
        if amount is None:
            return density
        num_channels = num_groups(cut, "channel", input_dims=dims)
        counts = {n: _left_of_channels(cut[n], num_channels[n], amount) for n in cut}
        return Budget(sum(counts.values()), tuple(counts.items()))
    if amount is None and not held:
        return density
    of_all = cut.num_prunable + held.num_prunable
    if amount is not None:
        of_all = cut.num_kept + held.num_kept
    total = of_all - num_pruned(of_all, float(1 - exact(density)))
    return Budget(max(0, total - held.num_kept))


def _left_of_channels(kept: torch.Tensor, num_channels: int, amount: float) -> int:
    """The weights of a layer after an `amount` of its channels went, where those left are whole."""
    num_kept = int(kept.sum())
    size = kept.numel() // max(num_channels, 1)
    unit = size if size and num_kept % size == 0 else 1
    return num_kept - num_pruned(num_kept // unit, amount) * unit


class MagnitudePruner:
    """Keep the largest weights.

    Args:
        global_pruning: rank all layers together; else each layer by itself.

    >>> pruner = MagnitudePruner(global_pruning=True)
    >>> pruner.prune(nn.Linear(10, 2), target_sparsity=0.5).num_kept
    10

    Source: Han et al. 2015.
    """

    @known_keywords("MagnitudePruner", elsewhere=MASK_SAYS_IT)
    def __init__(self, global_pruning: bool = True) -> None:
        self.global_pruning = global_pruning

    @known_keywords("MagnitudePruner.prune", elsewhere=MASK_SAYS_IT)
    def prune(
        self, model: nn.Module, mask: PruningMask | None = None, target_sparsity: float = 0.5
    ) -> PruningMask:
        """A new mask, nested in `mask`, that prunes `target_sparsity` of *all* prunable weights.

        Raises:
            UsageError: it is no fraction, or `mask` is sparser already.
        """
        scope = "global" if self.global_pruning else "layerwise"
        return prune(model, mask, sparsity=target_sparsity, scope=scope)


class Structured24Pruner:
    """Keep the two largest of every four consecutive weights along the input dimension.

    That is the pattern that sparse tensor cores execute (NVIDIA Ampere and later).

    >>> model = nn.Linear(8, 2)
    >>> pruner = Structured24Pruner()
    >>> masks = pruner.prune_model(model)
    >>> masks.density, pruner.verify_24_pattern(model.weight)
    (0.5, True)

    Source: Mishra et al. 2021.
    """

    @known_keywords("Structured24Pruner.prune_model", elsewhere=MASK_SAYS_IT)
    def prune_model(self, model: nn.Module, mask: PruningMask | None = None) -> PruningMask:
        """Zero the other weights of a model in place; returns the mask.

        Raises:
            UsageError: the input size of a layer is no multiple of four; leave it out of `mask`.
        """
        made = prune(model, mask, density=0.5, structure="2:4")
        made.apply(model)
        return made

    def verify_24_pattern(self, tensor: torch.Tensor, dim: int = 1) -> bool:
        """Whether of every four consecutive values along `dim` at least two are zero.

        Args:
            tensor: a linear (out, in) or convolution (out, in, height, width) weight or mask.
            dim: the input dimension; 0 for transposed convolutions.

        Raises:
            UsageError: the tensor has no such dimension.
        """
        return is_nm(tensor, 2, 4, dim=dim)
