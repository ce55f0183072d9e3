"""N:M sparsity: the n best of every m weights that lie next to each other along the inputs."""

from collections.abc import Mapping, Sequence

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._groups import check_dims
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.masks._select import check_scores
from lottery_ticket.masks._structure import Structure

__all__ = ["check_fit", "is_nm", "select_nm", "shuffled_nm", "unfit_for_nm"]


def select_nm(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    n: int = 2,
    m: int = 4,
    *,
    input_dims: Mapping[str, int] | None = None,
) -> PruningMask:
    """The n highest-scoring of every m weights along the inputs, among those that `mask` keeps.

    This is how sparse matrix units want it: they skip in the dimension that a product sums over.
    Of a linear layer's (out, in) that is `in`. Of a convolution's (out, in, height, width) it is
    the input channels at one kernel position: in channels-last memory, where tensor cores run
    convolutions, a weight is (out, height, width, in), so that these lie next to each other.

    On a tie the lower index is kept. Where `mask` keeps fewer than n of m, those stay.

    Args:
        scores: a score per weight, same names and shapes as `mask`; higher is kept.
        mask: what is kept now.
        n, m: 0 < n < m.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    Returns:
        A new mask, nested in `mask`.

    Raises:
        UsageError: a score is NaN, a name or shape does not fit, or a layer's inputs are not a
            multiple of m.

    >>> mask = PruningMask.from_tensors({"w": torch.ones(1, 4, dtype=torch.bool)})
    >>> select_nm({"w": torch.tensor([[1.0, 3.0, 1.0, 2.0]])}, mask)["w"].tolist()
    [[False, True, False, True]]

    Source: Mishra et al. 2021; convolutions as in NVIDIA's ASP.
    """
    structure = Structure("n:m", (n, m))
    check_scores(scores, mask)
    dims = check_fit(mask, structure, input_dims)
    return PruningMask.from_tensors(
        {name: _best(scores[name].detach(), mask[name], n, m, dim) for name, dim in dims.items()},
        mask.left_out,
    )


def check_fit(
    mask: Mapping[str, torch.Tensor], structure: Structure, input_dims: Mapping[str, int] | None
) -> dict[str, int]:
    """The input dimension of each layer, all of which fall into groups of m.

    Raises:
        UsageError: as `select_nm`.
    """
    m, dims = structure.size[1], check_dims(mask, structure, input_dims)
    unfit = unfit_for_nm({name: kept.shape for name, kept in mask.items()}, m, dims)
    if unfit:
        shapes = ", ".join(f"{name} {tuple(mask[name].shape)}" for name in unfit)
        raise UsageError(
            f"structure '{structure}' wants a multiple of {m} inputs, not so: {shapes}; make the "
            f"mask with ignore={unfit}"
        )
    return dims


def unfit_for_nm(
    shapes: Mapping[str, Sequence[int]], m: int, input_dims: Mapping[str, int] | None = None
) -> list[str]:
    """The parameters whose inputs do not fall into groups of m.

    Args:
        shapes: by parameter.
        m: the size of a group.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    >>> unfit_for_nm({"conv1.weight": (64, 3, 3, 3), "fc.weight": (10, 64)}, 4)
    ['conv1.weight']
    """
    dims = input_dims or {}
    return [
        name for name, shape in shapes.items() if len(shape) < 2 or shape[dims.get(name, 1)] % m
    ]


def shuffled_nm(kept: torch.Tensor, m: int, dim: int, generator: torch.Generator) -> torch.Tensor:
    """A mask with every group of m permuted within itself, each by a draw of its own."""
    groups = _in_groups(kept, m, dim)
    order = (
        torch.rand(groups.shape, generator=generator).argsort(dim=-1, stable=True).to(kept.device)
    )
    return groups.gather(-1, order).flatten(-2).movedim(-1, dim).contiguous()


def is_nm(tensor: torch.Tensor, n: int = 2, m: int = 4, *, dim: int = 1) -> bool:
    """Whether at most n of every m entries along `dim` are not zero (True, in a mask).

    >>> is_nm(torch.tensor([[0.0, 1.0, 2.0, 0.0]])), is_nm(torch.tensor([[True] * 4]))
    (True, False)
    """
    if tensor.ndim <= dim or tensor.shape[dim] % m:
        return False
    return bool((_in_groups(tensor != 0, m, dim).sum(dim=-1) <= n).all())


def _in_groups(tensor: torch.Tensor, m: int, dim: int) -> torch.Tensor:
    return tensor.movedim(dim, -1).unflatten(-1, (-1, m))


def _best(scores: torch.Tensor, mask: torch.Tensor, n: int, m: int, dim: int) -> torch.Tensor:
    kept, score = _in_groups(mask, m, dim), _in_groups(scores, m, dim)
    # by comparing, as a sort may tell -0.0 from 0.0: how many in the group come before each
    place = torch.zeros_like(kept, dtype=torch.int64)
    index = torch.arange(m, device=kept.device)
    for other in range(m):
        rival = score[..., other, None]
        is_before = (rival > score) | ((rival == score) & (other < index))
        place += kept[..., other, None] & is_before
    chosen = kept & (place < n)
    return chosen.flatten(-2).movedim(-1, dim).contiguous()
