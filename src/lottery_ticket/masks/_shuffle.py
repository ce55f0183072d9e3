"""The control that keeps how many weights each layer has, and forgets which."""

from collections.abc import Mapping

import torch

from lottery_ticket.masks._groups import shuffled_groups
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.masks._n_of_m import check_fit, shuffled_nm
from lottery_ticket.masks._structure import Structure

__all__ = ["shuffle"]


def shuffle(
    mask: PruningMask,
    generator: torch.Generator,
    *,
    structure: str | Structure = "unstructured",
    input_dims: Mapping[str, int] | None = None,
) -> PruningMask:
    """A new mask with each layer's entries permuted; layer counts stay, and so does the structure.

    | structure | what is permuted |
    |---|---|
    | `"unstructured"` | all weights of a layer |
    | `"n:m"` | the m weights of each group, each group by a draw of its own |
    | `"channel"`, `"block:RxC"` | the channels of a layer; its blocks, those of one size |

    With n:m every group keeps its count: where all keep n, each n:m mask of the layer comes out
    equally often, so that moving whole groups as well would add nothing.

    Args:
        mask: of the structure.
        generator: what to draw with.
        structure: as in `lottery_ticket.masks.select_at`.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named. Only
            structures ask for it.

    Raises:
        UsageError: the structure does not fit the layers.

    >>> mask = PruningMask.from_tensors({"w": torch.tensor([True, False, False])})
    >>> shuffle(mask, torch.Generator().manual_seed(0)).num_kept
    1

    Source: Frankle & Carbin 2019, figure 13 ("layer-wise shuffled").
    """
    structure = Structure.parse(structure)
    if structure.kind in ("channel", "block"):
        return shuffled_groups(mask, structure, generator, input_dims=input_dims)
    if structure.kind == "n:m":
        dims = check_fit(mask, structure, input_dims)
        m = structure.size[1]
        return PruningMask.from_tensors(
            {name: shuffled_nm(kept, m, dims[name], generator) for name, kept in mask.items()},
            mask.left_out,
        )
    permuted = {}
    for name, kept in mask.items():
        order = torch.randperm(kept.numel(), generator=generator).to(kept.device)
        permuted[name] = kept.flatten()[order].view(kept.shape)
    return PruningMask.from_tensors(permuted, mask.left_out)
