"""Blocks and channels: groups of weights that are kept or pruned together, counted as groups."""

from collections.abc import Mapping

import torch
from torch.nn.functional import pad

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._budget import Budget
from lottery_ticket.masks._kinds import has_experts
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.masks._select import check_scores, select_units
from lottery_ticket.masks._structure import Structure

__all__ = [
    "as_matrix",
    "as_shaped",
    "check_dims",
    "num_groups",
    "select_groups",
    "shuffled_groups",
]


def num_groups(
    mask: PruningMask, structure: str | Structure, *, input_dims: Mapping[str, int] | None = None
) -> dict[str, int]:
    """How many blocks or channels each layer has, kept or not.

    With these in place of sizes, every budget counts groups.

    Args:
        mask: its names and shapes.
        structure: `"channel"` or `"block:RxC"`.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    Raises:
        UsageError: another structure; a parameter with fewer than two dimensions.

    >>> mask = PruningMask.from_tensors({"w": torch.ones(6, 5, dtype=torch.bool)})
    >>> num_groups(mask, "channel"), num_groups(mask, "block:4x4")
    ({'w': 6}, {'w': 4})
    """
    structure = _grouping(structure)
    return {
        name: _any_in_groups(matrix, structure).numel()
        for name, matrix in _matrices(mask, mask, structure, input_dims).items()
    }


def select_groups(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    budget: Budget,
    structure: str | Structure,
    *,
    min_layer_density: float = 0.0,
    input_dims: Mapping[str, int] | None = None,
) -> PruningMask:
    """The `budget` highest-scoring blocks or channels among those of which `mask` keeps some.

    It counts groups, whatever their size. `select_at` and `prune` count so with blocks alone:
    channels are of many sizes, and there `select_channels` counts weights.

    A group's score is the mean over its weights, those that are pruned already counting 0 (with
    magnitudes: its L1 norm / its size). The mean makes the smaller blocks at the edges comparable.
    The tie rule is that of `select`: the lower index, blocks row by row, layers in model order.

    Channels are the outputs of a layer: dimension 0 of its weight, 1 where `input_dims` says 0; of
    experts the outputs of each, never whole experts. Blocks lie on the weight seen as a matrix
    (outputs, inputs · kernel), experts one below the other, from its upper left.

    Args:
        scores: a score per weight, same names and shapes as `mask`; higher is kept.
        mask: what is kept now.
        budget: how many groups to keep, over all layers or in each.
        structure: `"channel"` or `"block:RxC"`.
        min_layer_density: as in `select`, of each layer's groups.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    Returns:
        A new mask, nested in `mask`; of the groups chosen it keeps what `mask` does.

    Raises:
        UsageError: as `select`; a parameter has fewer than two dimensions.

    >>> mask = PruningMask.from_tensors({"w": torch.ones(3, 2, dtype=torch.bool)})
    >>> scores = {"w": torch.tensor([[1.0, 1.0], [0.0, 5.0], [3.0, 0.0]])}
    >>> select_groups(scores, mask, Budget(2), "channel")["w"].tolist()
    [[False, False], [True, True], [True, True]]

    Source: channels, Li et al. 2017 (L1 norm of a filter).
    """
    structure = _grouping(structure)
    check_scores(scores, mask)
    kept = _matrices(mask, mask, structure, input_dims)
    scored = _matrices({name: scores[name] for name in mask}, mask, structure, input_dims)
    means = {
        name: _group_means(torch.where(kept[name], scored[name].detach(), 0), structure)
        for name in kept
    }
    for name, mean in means.items():
        if mean.isnan().any():
            raise UsageError(f"scores of {name!r}: a {structure.kind} holds both +inf and -inf")
    groups = PruningMask.from_tensors({n: _any_in_groups(m, structure) for n, m in kept.items()})
    chosen = select_units(means, groups, budget, min_layer_density, f"{structure.kind}s")
    return PruningMask.from_tensors(
        {
            name: as_shaped(_expanded(chosen[name], matrix, structure) & matrix, mask[name], dim)
            for (name, matrix), dim in zip(
                kept.items(), check_dims(mask, structure, input_dims).values(), strict=True
            )
        },
        mask.left_out,
    )


def shuffled_groups(
    mask: PruningMask,
    structure: Structure,
    generator: torch.Generator,
    *,
    input_dims: Mapping[str, int] | None = None,
) -> PruningMask:
    """A new mask with each layer's blocks or channels permuted, those of one size among them."""
    dims = check_dims(mask, structure, input_dims)
    return PruningMask.from_tensors(
        {
            name: as_shaped(_permuted(matrix, structure, generator), mask[name], dims[name])
            for name, matrix in _matrices(mask, mask, structure, input_dims).items()
        },
        mask.left_out,
    )


def check_dims(
    mask: Mapping[str, torch.Tensor], structure: Structure, input_dims: Mapping[str, int] | None
) -> dict[str, int]:
    """The input dimension of each layer, in the order of `mask`.

    Raises:
        UsageError: a parameter has fewer than two dimensions, or `input_dims` is not of it.
    """
    input_dims = input_dims or {}
    flat = [name for name, kept in mask.items() if kept.ndim < 2]
    if flat:
        raise UsageError(
            f"structure '{structure}' is for weights of two or more dimensions; {flat[0]!r} has "
            f"shape {tuple(mask[flat[0]].shape)}; make the mask with ignore={flat}"
        )
    for name, dim in input_dims.items():
        is_known = dim in (0, 1) or (name in mask and has_experts(dim) and mask[name].ndim == 3)
        if name not in mask or not is_known:
            raise UsageError(
                f"input_dims: {name!r}: {dim!r}; wanted 0 or 1, of experts in three dimensions 2 "
                "or -2, for parameters of the mask"
            )
    return {name: input_dims.get(name, 1) for name in mask}


def _grouping(structure: str | Structure) -> Structure:
    structure = Structure.parse(structure)
    if structure.kind not in ("block", "channel"):
        raise UsageError(f"structure '{structure}' has no groups to count; wanted block or channel")
    return structure


def _matrices(
    tensors: Mapping[str, torch.Tensor],
    mask: PruningMask,
    structure: Structure,
    input_dims: Mapping[str, int] | None,
) -> dict[str, torch.Tensor]:
    """Each tensor seen as a matrix (outputs, inputs · kernel), experts one below the other."""
    dims = check_dims(mask, structure, input_dims)
    _check_blocks(mask, structure, dims)
    return {name: as_matrix(value, dims[name]) for name, value in tensors.items()}


def _check_blocks(mask: PruningMask, structure: Structure, dims: Mapping[str, int]) -> None:
    """Raises `UsageError` if blocks would lie across two experts."""
    rows = structure.size[0] if structure.kind == "block" else 1
    for name, dim in dims.items():
        outputs = _outputs_first(mask[name], dim).shape[-2]
        if has_experts(dim) and outputs % rows:
            raise UsageError(
                f"structure '{structure}': {name!r} has experts of {outputs} outputs, wanted a "
                f"multiple of {rows}; make the mask with ignore=[{name!r}]"
            )


def _outputs_first(tensor: torch.Tensor, input_dim: int) -> torch.Tensor:
    """(outputs, inputs, …), of experts (experts, outputs, inputs); its own inverse."""
    if input_dim == 0:
        return tensor.transpose(0, 1)
    return tensor.transpose(1, 2) if input_dim == -2 else tensor


def as_matrix(tensor: torch.Tensor, input_dim: int) -> torch.Tensor:
    """A tensor seen as a matrix (outputs, inputs · kernel), experts one below the other."""
    ordered = _outputs_first(tensor, input_dim)
    return ordered.flatten(0, 1) if has_experts(input_dim) else ordered.flatten(1)


def as_shaped(matrix: torch.Tensor, like: torch.Tensor, input_dim: int) -> torch.Tensor:
    """What `as_matrix` made a matrix of, in its shape again."""
    ordered = matrix.reshape(_outputs_first(like, input_dim).shape)
    return _outputs_first(ordered, input_dim).contiguous()


def _block_of(matrix: torch.Tensor, structure: Structure) -> tuple[int, int]:
    """A channel is a block of one row."""
    rows, columns = structure.size or (1, max(matrix.shape[1], 1))
    return rows, columns


def _tiles(matrix: torch.Tensor, structure: Structure) -> torch.Tensor:
    """(block row, row in it, block column, column in it), filled up with zeros at the edges."""
    rows, columns = _block_of(matrix, structure)
    height, width = matrix.shape
    filled = pad(matrix, (0, -width % columns, 0, -height % rows))
    return filled.view(filled.shape[0] // rows, rows, filled.shape[1] // columns, columns)


def _tile_sides(matrix: torch.Tensor, structure: Structure) -> tuple[torch.Tensor, torch.Tensor]:
    """The heights of the rows of tiles and the widths of their columns, smaller at the edges."""
    (height, width), (rows, columns) = matrix.shape, _block_of(matrix, structure)
    heights = (height - torch.arange(0, height, rows, device=matrix.device)).clamp(max=rows)
    widths = (width - torch.arange(0, width, columns, device=matrix.device)).clamp(max=columns)
    return heights, widths


def _group_means(matrix: torch.Tensor, structure: Structure) -> torch.Tensor:
    sums = _tiles(matrix.double(), structure).sum(dim=(1, 3))
    heights, widths = _tile_sides(matrix, structure)
    return sums / (heights[:, None] * widths)


def _permuted(
    matrix: torch.Tensor, structure: Structure, generator: torch.Generator
) -> torch.Tensor:
    tiles = _tiles(matrix, structure).transpose(1, 2)
    heights, widths = _tile_sides(matrix, structure)
    kinds = (heights[:, None] * (matrix.shape[1] + 1) + widths).flatten()
    order = torch.arange(len(kinds), device=matrix.device)
    for kind in kinds.unique():
        (places,) = (kinds == kind).nonzero(as_tuple=True)
        order[places] = places[torch.randperm(len(places), generator=generator).to(places.device)]
    moved = tiles.flatten(0, 1)[order].view(tiles.shape).transpose(1, 2)
    return moved.flatten(0, 1).flatten(1)[: matrix.shape[0], : matrix.shape[1]]


def _any_in_groups(matrix: torch.Tensor, structure: Structure) -> torch.Tensor:
    return _tiles(matrix, structure).any(dim=3).any(dim=1)


def _expanded(groups: torch.Tensor, like: torch.Tensor, structure: Structure) -> torch.Tensor:
    rows, columns = _block_of(like, structure)
    tiles = groups.repeat_interleave(rows, dim=0).repeat_interleave(columns, dim=1)
    return tiles[: like.shape[0], : like.shape[1]]
