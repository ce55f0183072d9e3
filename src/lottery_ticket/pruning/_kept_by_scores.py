"""What scores keep: the highest of them, or by chance so many on average."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from lottery_ticket.errors import TrainingError
from lottery_ticket.masks import Budget, PruningMask, select

__all__ = ["densities", "drawn", "groups", "highest", "shift_to"]

Tensors = Mapping[str, torch.Tensor]

_MOST_SHIFT = 1.0  # of all scores in one step
_LEAST_SLOPE = 1e-6  # as a share of the weights: below, no score would tell


def groups(keep: Budget, scores: Tensors) -> Iterator[tuple[list[str], int]]:
    """The layers that compete with one another, and how many of their weights are kept."""
    if keep.per_layer is None:
        yield list(scores), keep.total
        return
    for name, count in keep.per_layer:
        yield [name], count


def densities(keep: Budget, sizes: Mapping[str, int]) -> dict[str, float]:
    """The share of each layer that is kept, as far as it is known beforehand."""
    if keep.per_layer is None:
        return dict.fromkeys(sizes, keep.total / sum(sizes.values()))
    return {name: count / sizes[name] for name, count in keep.per_layer}


def highest(scores: Tensors, keep: Budget, *, by_size: bool = False) -> PruningMask:
    """The highest scores, exactly as many as asked for; on a tie the lower index.

    What `select` says, where it can be had quicker: it is asked for in each step.

    Args:
        by_size: whether their absolute values are meant.

    Raises:
        TrainingError: a score is NaN.
    """
    chosen: dict[str, torch.Tensor] = {}
    for names, count in groups(keep, scores):
        flat = torch.cat([scores[name].detach().flatten() for name in names])
        if by_size:
            flat.abs_()
        # the sum says it in a twentieth of the time, but infinite ones may add up to none too
        if torch.isnan(flat.sum()) and torch.isnan(flat).any():
            raise TrainingError("scores became NaN; try a lower learning rate of the policy, lr")
        kept = _highest_of(flat, count)
        sizes = [scores[name].numel() for name in names]
        for name, part in zip(names, kept.split(sizes), strict=True):
            chosen[name] = part.view(scores[name].shape)
    return PruningMask.from_tensors({name: chosen[name] for name in scores})


def _highest_of(flat: torch.Tensor, count: int) -> torch.Tensor:
    """The so many highest of numbers that are all there."""
    if flat.device.type == "cpu" and flat.dtype in (torch.float32, torch.float64) and count:
        place = len(flat) - count
        least = float(np.partition(flat.numpy(), place)[place])
        kept = flat >= least
        if np.count_nonzero(kept.numpy()) == count:  # no tie across the border
            return kept
    every = PruningMask.from_tensors({"": torch.ones_like(flat, dtype=torch.bool)})
    return select({"": flat}, every, Budget(count))[""]


def shift_to(chances: list[torch.Tensor], count: int) -> torch.Tensor:
    """What brings the number of weights that are kept on average to a count: a step of Newton's."""
    total = torch.stack([chance.sum() for chance in chances]).sum()
    squares = torch.stack([torch.dot(p.flatten(), p.flatten()) for p in chances]).sum()
    least = _LEAST_SLOPE * sum(map(torch.numel, chances))
    shift = (total - count) / (total - squares).clamp(min=least)
    return shift.clamp(-_MOST_SHIFT, _MOST_SHIFT)


def drawn(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random numbers in [0, 1).

    On a CPU half the time of a step would be theirs: there NumPy draws bits, 23 of each 32 become a
    fraction, and that takes half as long.
    """
    if like.device.type != "cpu" or like.dtype != torch.float32:
        return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    seed = int(torch.randint(1 << 62, (), generator=generator))
    raw = np.random.SFC64(seed).random_raw(-(-like.numel() // 2))
    bits = torch.from_numpy(raw.view(np.int32))[: like.numel()]
    bits.bitwise_and_(0x7FFFFF).bitwise_or_(0x3F800000)  # the numbers from 1 to 2
    return bits.view(torch.float32).sub_(1.0).view(like.shape)
