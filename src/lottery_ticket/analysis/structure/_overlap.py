"""How much masks share, beside what chance would give."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from lottery_ticket.analysis.structure._chance import LayerCounts, chance_overlap
from lottery_ticket.analysis.structure._place import MaskPlace, placed
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.masks import PruningMask

__all__ = ["mask_overlap", "overlap_table"]


def mask_overlap(mask: PruningMask, other: PruningMask) -> pd.DataFrame:
    """What two masks of one net share, per layer and in all, and what chance would give.

    Chance is two masks drawn independently with the same number of weights in every layer (see
    `chance_overlap`): that both keep most of the last layer is no agreement.

    Args:
        mask, other: of the same names and shapes.

    Returns:
        A row per layer in model order, then one for `"all"`: layer, num_prunable, num_kept,
        num_kept_other, num_shared; `share` = shared / the smaller count (1 where one mask is nested
        in the other), `iou` = shared / kept by either; `expected_share` and `expected_iou`, their
        means under chance; `z`, how many standard deviations num_shared lies above its mean, null
        where chance leaves no room. Ratios of nothing are null.

    Raises:
        UsageError: they are masks of different nets.

    >>> import torch
    >>> one = PruningMask.from_tensors({"w": torch.tensor([True, True, False, False])})
    >>> two = PruningMask.from_tensors({"w": torch.tensor([True, False, True, False])})
    >>> frame = mask_overlap(one, two).set_index("layer")
    >>> frame.loc["w", ["num_shared", "share", "expected_share"]].tolist()
    [1.0, 0.5, 0.5]
    """
    _check_same_net(mask, other)
    counts = {
        name: LayerCounts(kept.numel(), int(kept.sum()), int(other[name].sum()))
        for name, kept in mask.items()
    }
    shared = {name: int((kept & other[name]).sum()) for name, kept in mask.items()}
    rows = [_row(name, [counts[name]], shared[name]) for name in counts]
    rows.append(_row("all", list(counts.values()), sum(shared.values())))
    return pd.DataFrame(rows)


def overlap_table(
    masks: Mapping[MaskPlace, PruningMask], *, across: str = "replicate"
) -> pd.DataFrame:
    """The overlap of every two masks that differ in one coordinate of their place alone.

    Args:
        masks: by place, of one run (`RunResult.masks`) or of several.
        across: the coordinate: `"replicate"` (do searches with other seeds find the same mask?),
            `"arm"` (of one replicate: the ticket's against one-shot's, say), `"level"`, `"draw"`,
            or `"run"` (another criterion, the same seeds).

    Returns:
        For each pair and layer: the coordinates that the masks have in common, `{across}` and
        `{across}_other`, and the columns of `mask_overlap`.

    Raises:
        UsageError: `across` is no coordinate, or masks are of different nets.
    """
    if across not in MaskPlace._fields:
        raise UsageError(f"across: got {across!r}{nearest(across, MaskPlace._fields)}")
    groups: dict[MaskPlace, list[MaskPlace]] = defaultdict(list)
    for place in masks:
        groups[place._replace(**{across: None})].append(place)
    frames = []
    for places in groups.values():
        for one, two in combinations(places, 2):
            rows = placed(mask_overlap(masks[one], masks[two]), one)
            rows.insert(len(MaskPlace._fields), f"{across}_other", getattr(two, across))
            frames.append(rows)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _row(layer: str, counts: list[LayerCounts], num_shared: int) -> dict[str, object]:
    num_prunable, num_kept, num_kept_other = (sum(column) for column in zip(*counts, strict=True))
    smaller, either = min(num_kept, num_kept_other), num_kept + num_kept_other - num_shared
    chance = chance_overlap(counts)
    nan = float("nan")
    return {
        "layer": layer,
        "num_prunable": num_prunable,
        "num_kept": num_kept,
        "num_kept_other": num_kept_other,
        "num_shared": num_shared,
        "share": num_shared / smaller if smaller else nan,
        "iou": num_shared / either if either else nan,
        "expected_share": chance.num_shared / smaller if smaller else nan,
        "expected_iou": chance.iou,
        "z": (num_shared - chance.num_shared) / chance.sd if chance.sd else nan,
    }


def _check_same_net(mask: PruningMask, other: PruningMask) -> None:
    shapes, others = ({name: tuple(m.shape) for name, m in x.items()} for x in (mask, other))
    if shapes != others:
        name = next(n for n in [*shapes, *others] if shapes.get(n) != others.get(n))
        raise UsageError(
            f"masks of different nets have no overlap: {name!r} has shape {shapes.get(name)} in "
            f"one and {others.get(name)} in the other"
        )
