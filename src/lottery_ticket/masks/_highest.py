"""The k highest of many scores, exactly, in memory that does not grow with their number.

A radix selection: floats are ordered like integers once the bits of negative ones are flipped, so
the k-th highest is found digit by digit, 16 bits at a time, by counting. Nothing is sorted or
copied whole; layers stay where they are, and are read in chunks, on whatever device they are.
Small layers are looked at together: to count a few takes as long as to count many. Few scores on a
CPU are partitioned by numpy instead, which has vector instructions for it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

__all__ = ["keep_highest"]

_CHUNK = 1 << 20  # scores looked at together
_DIGIT = 16  # bits counted in one pass
_NARROW = (torch.float32, torch.float16, torch.bfloat16)  # what 32 bits hold exactly


def keep_highest(
    scores: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], count: int
) -> list[torch.Tensor]:
    """Which are the `count` highest scores where the masks are true.

    On a tie the lower index is kept, earlier layers first.

    Args:
        scores: of each layer, flat, never NaN where its mask is true; integers up to 2⁵³.
        masks: bool, the same shapes.
        count: at least 0, at most as many as the masks are true.

    Returns:
        bool, the same shapes.
    """
    chosen = [torch.zeros_like(mask) for mask in masks]
    if count == 0:
        return chosen
    bits = 32 if all(score.dtype in _NARROW for score in scores) else 64
    if sum(map(len, scores)) <= _CHUNK and all(score.device.type == "cpu" for score in scores):
        return _highest_of_few(scores, masks, count, bits)
    threshold, num_ties = _threshold(scores, masks, count, bits)
    for score, mask, out in zip(scores, masks, chosen, strict=True):
        for part in _parts(score):
            keys = _keys(score[part], mask[part], bits)
            torch.gt(keys, threshold, out=out[part])
            if num_ties:
                tied = (keys == threshold).nonzero().flatten()[:num_ties]
                out[part][tied] = True
                num_ties -= len(tied)
    return chosen


def _highest_of_few(
    scores: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], count: int, bits: int
) -> list[torch.Tensor]:
    keys = _joined([_ordered(score, bits) for score in scores]).numpy()
    mask = _joined(list(masks)).numpy()
    among = keys[mask]
    place = len(among) - count
    threshold = np.partition(among, place)[place]
    chosen = (keys >= threshold) & mask
    num_surplus = int(np.count_nonzero(chosen)) - count
    if num_surplus:
        tied = np.flatnonzero((keys == threshold) & mask)
        chosen[tied[-num_surplus:]] = False
    whole = torch.from_numpy(chosen)
    return [part.clone() for part in whole.split([len(mask) for mask in masks])]


def _threshold(
    scores: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], count: int, bits: int
) -> tuple[int, int]:
    """The key of the `count`-th highest score, and how many that are equal to it are kept."""
    found, rank = 0, count
    chunks = None
    if sum(map(len, scores)) <= _CHUNK:  # few enough to be held through all passes
        chunks = list(_chunks(scores, masks, bits))
    for shift in range(bits - _DIGIT, -1, -_DIGIT):
        is_first = shift + _DIGIT == bits
        counts = torch.zeros(1 << _DIGIT, dtype=torch.int64)
        for keys in chunks or _chunks(scores, masks, bits):
            if not is_first:
                keys = keys[(keys >> (shift + _DIGIT)) == found]
            digits = (keys >> shift) & ((1 << _DIGIT) - 1)
            counts += torch.bincount(digits, minlength=1 << _DIGIT).cpu()
        if is_first:  # it holds the sign: negative numbers come first
            counts = counts.roll(1 << (_DIGIT - 1))
        num_from = counts.flip(0).cumsum(0).flip(0)  # scores with this digit or a higher one
        digit = int((num_from >= rank).nonzero()[-1])
        rank -= int(num_from[digit] - counts[digit])
        found = (found << _DIGIT) + (digit - (1 << (_DIGIT - 1)) if is_first else digit)
    return found, rank


def _chunks(
    scores: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], bits: int
) -> Iterator[torch.Tensor]:
    """The keys of all scores, those of small layers on one device together."""
    together: list[torch.Tensor] = []
    for score, mask in zip(scores, masks, strict=True):
        for part in _parts(score):
            keys = _keys(score[part], mask[part], bits)
            num = len(keys) + sum(map(len, together))
            if together and (num > _CHUNK or keys.device != together[0].device):
                yield _joined(together)
                together = []
            together.append(keys)
    if together:
        yield _joined(together)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _parts(flat: torch.Tensor) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, len(flat), _CHUNK))


def _ordered(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Integers in the order of floats, with −0.0 equal to 0.0."""
    if bits == 64:
        keys = (values.double() + 0.0).view(torch.int64)
    else:
        keys = (values.float() + 0.0).view(torch.int32)
    keys ^= (keys >> (bits - 1)).bitwise_and_(torch.iinfo(keys.dtype).max)
    return keys


def _keys(values: torch.Tensor, mask: torch.Tensor, bits: int) -> torch.Tensor:
    """Integers in the order of floats, the lowest of all where masked."""
    keys = _ordered(values, bits)
    return keys.masked_fill_(~mask, torch.iinfo(keys.dtype).min)
