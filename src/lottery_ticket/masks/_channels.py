"""Whole channels: as many weights as asked for, as nearly as channels allow; the best by mean."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import torch

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.masks._budget import SCOPES, Budget, exact
from lottery_ticket.masks._density import budget as budget_at
from lottery_ticket.masks._density import least_kept
from lottery_ticket.masks._fraction import check_fraction
from lottery_ticket.masks._groups import as_matrix, as_shaped, check_dims
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.masks._select import check_scores
from lottery_ticket.masks._structure import Structure

__all__ = [
    "Asked",
    "MissedDensityWarning",
    "channels_at",
    "is_cut_by_channels",
    "select_channels",
    "warn_if_missed",
    "warn_missed",
]

_CHANNEL = Structure("channel")


class MissedDensityWarning(UserWarning):
    """More was kept than asked for, since each layer keeps at least a channel."""


@dataclass(frozen=True)
class Asked:
    """How many weights to keep, of all that a mask speaks of.

    Args:
        keep: numbers of weights, or the density of all weights.
        scope: `"global"`, `"layerwise"` or `"erk"`; has no part where `keep` counts per layer.
        min_layer_density: each layer keeps that fraction of its channels, and at least one.
    """

    keep: Budget | float
    scope: str = "global"
    min_layer_density: float = 0.0

    def least(self, num_channels: int) -> int:
        """The channels that a layer keeps at least."""
        return max(1, least_kept(num_channels, self.min_layer_density))


def select_channels(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    asked: Asked,
    *,
    input_dims: Mapping[str, int] | None = None,
) -> PruningMask:
    """The best channels of those that `mask` keeps, with as many *weights* as asked for.

    A channel's score is the mean over the weights of it that `mask` keeps, so that large channels
    are neither favoured nor punished. With scope global all channels are ranked together, and the
    lowest are cut until the weights kept are as near as possible to what is asked; else this is
    done in each layer by itself. Where two numbers are as near, the smaller is taken. On a tie of
    scores the lower index is kept, layers in model order. Each layer keeps at least one channel.

    Args:
        scores: a score per weight, same names and shapes as `mask`; higher is kept.
        mask: what is kept now.
        asked: how much to keep.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    Returns:
        A new mask, nested in `mask`. Its density is what was reached.

    Raises:
        UsageError: a score is NaN, a name or shape does not fit, a parameter has fewer than two
            dimensions, or more is asked for than is kept.

    >>> mask = PruningMask.from_tensors({"w": torch.ones(3, 2, dtype=torch.bool)})
    >>> scores = {"w": torch.tensor([[1.0, 1.0], [0.0, 5.0], [3.0, 0.0]])}
    >>> select_channels(scores, mask, Asked(0.6))["w"].tolist()
    [[False, False], [True, True], [True, True]]

    Source: Li et al. 2017 (the L1 norm of a filter, here divided by its size).
    """
    check_scores(scores, mask)
    layers = _layers(mask, input_dims, scores)
    chosen: dict[str, torch.Tensor] = {}
    for names, target in _pools(mask, asked):
        pool = {name: layers[name] for name in names}
        least = {name: asked.least(len(layer.sizes)) for name, layer in pool.items()}
        chosen |= _best(pool, least, target)
    made = {}
    for name, dim in check_dims(mask, _CHANNEL, input_dims).items():
        rows = chosen[name].to(mask[name].device)
        whole = rows.view(-1, 1) & as_matrix(mask[name], dim)
        made[name] = as_shaped(whole, mask[name], dim)
    return PruningMask.from_tensors(made, mask.left_out)


def warn_if_missed(
    before: PruningMask,
    made: PruningMask,
    asked: Asked,
    *,
    input_dims: Mapping[str, int] | None = None,
) -> None:
    """Warn with `MissedDensityWarning` if layers that cannot be cut further keep too much.

    That is, if more than half of the smallest channel is kept beyond what was asked for.
    """
    was, now = _layers(before, input_dims), _layers(made, input_dims)
    pools = _pools(before, asked)
    least = {name: asked.least(len(layer.sizes)) for name, layer in was.items()}
    is_stopped = any(
        # one channel less would have been nearer
        sum(now[n].num_kept for n in names) - target
        >= Fraction(min(now[n].smallest for n in names), 2)
        and all(now[n].num_channels <= least[n] for n in names)
        for names, target in pools
    )
    target, size = sum((target for _, target in pools), Fraction(0)), made.num_prunable
    half = Fraction(min(layer.smallest for layer in now.values()), 2)
    if is_stopped and made.num_kept - target > half:
        least_of_layer = "one channel"
        if asked.min_layer_density:
            least_of_layer += f", and min_layer_density {asked.min_layer_density:g} of its channels"
        warn_missed("structure 'channel'", target, made.num_kept, size, least_of_layer)


def warn_missed(
    where: str, asked: Fraction, num_kept: int, size: int, least: str = "one channel"
) -> None:
    """Warn with `MissedDensityWarning`: what was asked for, what is kept, and why."""
    warnings.warn(
        f"{where}: asked to keep {round(asked):,} of {size:,} weights (density "
        f"{float(asked / size):.4g}), kept {num_kept:,} ({num_kept / size:.4g}): each layer keeps "
        f"at least {least}",
        MissedDensityWarning,
        stacklevel=4,
    )


def channels_at(num_channels: int, density: Fraction) -> int:
    """How many of a layer's channels, all of one size, are nearest to a density of its weights.

    The smaller of two that are as near, and at least one.

    >>> channels_at(9, Fraction(1, 2)), channels_at(6, Fraction(1, 20))
    (4, 1)
    """
    return max(1, num_channels - floor((1 - density) * num_channels + Fraction(1, 2)))


def is_cut_by_channels(kept: torch.Tensor, input_dim: int = 1) -> bool:
    """Whether some channels are pruned, and those that are not are whole.

    >>> is_cut_by_channels(torch.tensor([[True, True], [False, False]]))
    True
    """
    if kept.ndim < 2 or bool(kept.all()):
        return False
    matrix = as_matrix(kept, input_dim)
    return torch.equal(matrix.any(1), matrix.all(1))


@dataclass(frozen=True)
class _Layer:
    """Of each channel of a layer: how many weights are kept, and the mean of their scores."""

    sizes: torch.Tensor
    means: torch.Tensor

    @property
    def num_channels(self) -> int:
        return int((self.sizes > 0).sum())

    @property
    def num_kept(self) -> int:
        return int(self.sizes.sum())

    @property
    def smallest(self) -> int:
        return min((int(size) for size in self.sizes if size), default=0)


def _layers(
    mask: PruningMask,
    input_dims: Mapping[str, int] | None,
    scores: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, _Layer]:
    layers = {}
    for name, dim in check_dims(mask, _CHANNEL, input_dims).items():
        matrix = as_matrix(mask[name], dim)
        sizes = matrix.sum(1)
        means = torch.zeros(len(sizes), dtype=torch.float64)
        if scores is not None:
            scored = as_matrix(scores[name].detach(), dim)
            sums = torch.where(matrix, scored, 0).double().sum(1)
            means = (sums / sizes.clamp(min=1)).cpu() + 0.0  # one zero, not two
        if means.isnan().any():
            raise UsageError(f"scores of {name!r}: a channel holds both +inf and -inf")
        layers[name] = _Layer(sizes.cpu(), means)
    return layers


def _pools(mask: PruningMask, asked: Asked) -> list[tuple[tuple[str, ...], Fraction]]:
    """Layers that are ranked together, and the number of weights to keep of them."""
    sizes = {name: kept.numel() for name, kept in mask.items()}
    total = mask.num_prunable
    if isinstance(asked.keep, Budget):
        if asked.keep.per_layer is not None:
            return _counted(asked.keep.per_layer, sizes)
        target = Fraction(asked.keep.total)
    else:
        keep = check_fraction("density", asked.keep, has_zero=True, has_one=True)
        target = exact(keep) * total
    if asked.scope == "global":
        return [(tuple(sizes), target)]
    if asked.scope == "layerwise":
        return [((name,), target * size / max(total, 1)) for name, size in sizes.items()]
    if asked.scope != "erk":
        scopes = (*SCOPES, "erk")
        raise UsageError(f"unknown scope {asked.scope!r}{nearest(asked.scope, scopes)}")
    shapes = {name: tuple(kept.shape) for name, kept in mask.items()}
    shares = budget_at(shapes, scope="erk", density=float(target / max(total, 1)))
    return _counted(shares.per_layer or (), sizes)


def _counted(
    per_layer: Sequence[tuple[str, int]], sizes: Mapping[str, int]
) -> list[tuple[tuple[str, ...], Fraction]]:
    counts = dict(per_layer)
    if sorted(counts) != sorted(sizes):
        raise UsageError(f"the budget is for {sorted(counts)}, the mask is for {sorted(sizes)}")
    return [((name,), Fraction(counts[name])) for name in sizes]


def _best(
    pool: Mapping[str, _Layer], least: Mapping[str, int], target: Fraction
) -> dict[str, torch.Tensor]:
    """Which channels to keep of each layer: all but the lowest, beside those that a layer keeps."""
    sizes = torch.cat([layer.sizes for layer in pool.values()])
    means = torch.cat([layer.means for layer in pool.values()])
    # stable: on a tie the lower index comes first
    ranked = means.argsort(descending=True, stable=True)
    ranked = ranked[sizes[ranked] > 0]
    counts = torch.tensor([len(layer.sizes) for layer in pool.values()])
    layer_of = torch.arange(len(pool)).repeat_interleave(counts)[ranked]
    is_free = _place_in_layer(layer_of, len(pool)) >= torch.tensor(list(least.values()))[layer_of]
    cuttable = ranked[is_free].flip(0)
    kept, largest = int(sizes.sum()), max(sizes.tolist(), default=0)
    if target < 0 or target - kept > Fraction(largest, 2):
        where = next(iter(pool)) if len(pool) == 1 else "all layers"
        raise UsageError(f"{where}: asked to keep {round(target):,} weights of {kept:,} left")
    chosen = sizes > 0
    chosen[cuttable[: _num_to_cut(kept, sizes[cuttable].tolist(), target)]] = False
    parts = chosen.split(counts.tolist())
    return dict(zip(pool, parts, strict=True))


def _place_in_layer(layer_of: torch.Tensor, num_layers: int) -> torch.Tensor:
    """How many of its own layer come before each."""
    by_layer = layer_of.argsort(stable=True)
    counts = layer_of.bincount(minlength=num_layers)
    starts = (counts.cumsum(0) - counts)[layer_of[by_layer]]
    place = torch.empty_like(layer_of)
    place[by_layer] = torch.arange(len(layer_of)) - starts
    return place


def _num_to_cut(kept: int, sizes: Sequence[int], target: Fraction) -> int:
    """After how many cuts, in this order, what is kept is nearest to the target; then the most."""
    over, unit = kept * target.denominator - target.numerator, target.denominator
    best, least_missed = 0, abs(over)
    for count, size in enumerate(sizes, 1):
        if over <= 0:
            break
        over -= size * unit
        if abs(over) <= least_missed:
            best, least_missed = count, abs(over)
    return best
