"""What the forms of `compact`, `sparse` and 2:4 make of a model, and what their cards say of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.export._copies import plain_name
from lottery_ticket.export._format import Run, shared
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.export.compaction.compact import Compacted, compact
from lottery_ticket.export.sparse_nets.net import load_sparse, sparse
from lottery_ticket.export.sparse_nets.two_four import check_n_m, unfit_for_gpu
from lottery_ticket.masks import PruningMask, find_parameters, input_dims

__all__ = [
    "checked_two_four",
    "compact_facts",
    "compacted",
    "is_two_four",
    "run_sparse",
    "sparse_facts",
    "sparse_weights",
    "two_four_facts",
    "write_sparse",
]


@shared
def compacted(pruned: PrunedModel, *, gather_inputs: bool) -> PrunedModel:
    """The model without what does nothing, what was removed among its facts.

    Raises:
        UsageError: its forward cannot be followed.
    """
    found = compact(pruned.model, pruned.inputs, gather_inputs=gather_inputs)
    state = found.model.state_dict()
    names = [name if name in state else plain_name(name) for name in pruned.mask]
    kept = PruningMask.from_tensors(
        {name: state[name] != 0 for name in names if name in state}, pruned.mask.left_out
    )
    facts = {**pruned.facts, "compact": _said_of(found)}
    return replace(pruned, model=found.model, mask=kept, ticket=None, facts=facts)


def compact_facts(prepared: PrunedModel, path: Path) -> Mapping[str, Any]:
    """What was removed, and what was left alone and why."""
    return prepared.facts["compact"]


def _said_of(found: Compacted) -> dict[str, Any]:
    removed = {
        name: {"inputs": list(widths.inputs), "outputs": list(widths.outputs)}
        for name, widths in found.removed.items()
    }
    lines = [f"{name}: {widths}" for name, widths in found.removed.items()]
    lines = lines or ["no unit, channel or input of it does nothing: it is as large as before"]
    for name, why in found.left_alone.items():
        lines.append(f"{name} was left alone: {why.replace('; ', ', ')}")  # one thing, not two
    return {"removed": removed, "left_alone": dict(found.left_alone), "note": "; ".join(lines)}


def write_sparse(pruned: PrunedModel, path: Path, *, batch_size: int | None = None) -> None:
    """The model, compacted already, with each linear layer executed as was measured to be faster.

    Raises:
        UsageError: the file cannot name what the model does.
    """
    sparse(pruned.model, pruned.inputs, 256 if batch_size is None else batch_size).save(path)


def run_sparse(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The model as the file says, on the CPU."""
    return load_sparse(path).model


def sparse_facts(prepared: PrunedModel, path: Path) -> Mapping[str, Any]:
    """Which layers are executed on kept weights, and what was measured."""
    found = load_sparse(path)
    chosen = [name for name, way in found.layers.items() if way == "sparse"]
    what = f"{', '.join(chosen)} on kept weights alone" if chosen else "no layer is faster so"
    return {
        "layers": dict(found.layers),
        "batch_size": found.batch_size,
        "seconds": dict(found.seconds),
        "note": f"measured here at batch {found.batch_size}: {what}",
    }


def sparse_weights(facts: Mapping[str, Any]) -> list[str]:
    """The weights that are executed where they are kept alone."""
    return [f"{name}.weight" for name, way in facts["layers"].items() if way == "sparse"]


def is_two_four(pruned: PrunedModel) -> bool:
    """Whether the format `2:4` takes the model."""
    try:
        checked_two_four(pruned)
    except UsageError:
        return False
    return True


def checked_two_four(pruned: PrunedModel) -> PrunedModel:
    """The model as it is.

    Raises:
        UsageError: a layer that is pruned is not 2:4, or none is pruned.
    """
    weights = _sparse_weights(pruned)
    if not weights:
        raise UsageError("format 2:4: no weight of the layers that the mask speaks of is zero")
    check_n_m(weights, "2:4", input_dims=input_dims(pruned.model, weights))
    return pruned


def two_four_facts(prepared: PrunedModel, path: Path) -> Mapping[str, Any]:
    """Which layers are 2:4, and which of them a GPU's sparse units take as they are."""
    names = list(_sparse_weights(prepared))
    dense = [name for name in prepared.mask if name not in names]
    reasons = unfit_for_gpu(prepared.model, names)
    fit = [name for name in names if name not in reasons]
    return {
        "layers": names,
        "dense_layers": dense,
        "on_gpu": [name.removesuffix(".weight") for name in fit],
        "not_on_gpu": reasons,
        "note": f"on a GPU's sparse units: {', '.join(fit) or 'no layer'}"
        + "".join(f"; {name} not: {reason}" for name, reason in reasons.items()),
    }


def _sparse_weights(pruned: PrunedModel) -> dict[str, torch.Tensor]:
    """What the mask speaks of and has a zero; the rest are layers that are dense on purpose."""
    weights = find_parameters(pruned.model, pruned.mask)
    return {name: value for name, value in weights.items() if not bool(torch.all(value != 0))}
