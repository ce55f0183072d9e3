"""The level step of every search: trained weights + mask → next mask + rewound weights.

The engine calls it on stored cells, the finder and the pruners on a live model.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import CriterionLike, as_criterion, score
from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.masks import (
    Budget,
    PruningMask,
    Structure,
    copied_to_cpu,
    find_parameters,
    mask_optimizer_state_,
    select_at,
    torch_optimizer,
)

__all__ = ["next_mask", "rewind_", "rewind_optimizer_"]


_GIVEN = (
    "model",
    "weights",
    "initial",
    "batches",
    "loss",
    "batch_loss",
    "input_shape",
    "generator",
)
"""What `score` takes, beside the criterion and the mask."""


@known_keywords("next_mask", also=_GIVEN)
def next_mask(
    criterion: CriterionLike,
    mask: PruningMask,
    keep: Budget | float,
    *,
    scope: str = "global",
    structure: str = "unstructured",
    min_layer_density: float = 0.0,
    input_dims: Mapping[str, int] | None = None,
    **given: Any,
) -> PruningMask:
    """The mask of the next level: the best of what `mask` keeps.

    A criterion of several rounds (SynFlow) is scored anew in each round under the mask of the one
    before, at densities that fall by equal ratios, of each layer where counts are per layer; the
    last round is exact. One that asks for what the round before `kept` (FORCE) chooses from all of
    `mask` each time.

    Args:
        criterion: a name, a `Criterion`, or a function of what it needs.
        mask: what is kept now; the result is nested in it.
        keep: exact counts, or the density of all prunable weights.
        scope: `"global"`, `"layerwise"` or `"erk"`: how a density is shared out. Counts per layer
            say it themselves.
        structure: `"unstructured"`, `"2:4"` (any n:m), `"block:4x4"`, `"channel"`.
        min_layer_density: no layer falls below it.
        input_dims: the input dimension of each weight, for n:m; 1 where not named.
        given: what the criterion needs: `weights`, `initial`, `model`, `batches`, `loss`,
            `generator`, …; see `lottery_ticket.criteria.score`.

    Raises:
        UsageError: something needed is missing, a score is NaN, or more is asked for than is kept.
    """
    entry = as_criterion(criterion)
    if entry.rounds > 1 and Structure.parse(structure).kind == "n:m":
        raise UsageError(
            f"criterion {entry.name!r} prunes in {entry.rounds} rounds of rising sparsity, and "
            f"structure '{structure}' has only one; use Criterion({entry.name}, rounds=1)"
        )
    if isinstance(given.get("batches"), Iterator):
        given["batches"] = list(given["batches"])  # each round looks at them again
    before = mask
    first, last = mask.density, keep.total / mask.num_prunable if isinstance(keep, Budget) else keep
    dense = {name: int(kept.sum()) for name, kept in mask.items()}
    for number in range(1, entry.rounds + 1):
        done = number / entry.rounds
        among = before if entry.regrows else mask
        mask = select_at(
            score(entry, mask=among, kept=mask, **given),
            among,
            density=last if done == 1 else first * (last / first) ** done,
            budget=_budget_on_the_way(dense, keep, done) if isinstance(keep, Budget) else None,
            scope=scope,
            structure=structure,
            min_layer_density=min_layer_density,
            input_dims=input_dims,
        )
    return mask.told_by(before)


def _budget_on_the_way(dense: Mapping[str, int], keep: Budget, done: float) -> Budget | None:
    """What a round keeps: by layer, or None where layers are ranked together, until the end."""
    if done == 1:
        return keep
    if keep.per_layer is None:
        return None
    counts = tuple(
        (name, round(dense[name] * (count / max(dense[name], 1)) ** done))
        for name, count in keep.per_layer
    )
    return Budget(sum(count for _, count in counts), counts)


@torch.no_grad()
def rewind_(
    model: nn.Module, weights: Mapping[str, torch.Tensor], mask: PruningMask | None
) -> None:
    """Put `weights` (θ₀ or θ_k; buffers too) into `model` in place, exactly zero where pruned."""
    model.load_state_dict(dict(weights))
    if mask is not None:
        mask.apply(model)


def rewind_optimizer_(
    optimizer: torch.optim.Optimizer,
    state: Mapping[int, Any],
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
) -> None:
    """Put what an optimiser remembered at step k, or at an end, into `optimizer` in place.

    Args:
        optimizer: over the parameters of `model`, wrapped or not; its learning rate and other
            options stay.
        state: the `["state"]` of a `state_dict()`; it is copied.
        model: the model that is trained.
        mask: what is kept; the memory of pruned weights becomes exactly zero.
    """
    optimizer = torch_optimizer(optimizer, "rewind_optimizer_")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": copied_to_cpu(state), "param_groups": groups})
    mask_optimizer_state_(optimizer, find_parameters(model, mask), mask)
