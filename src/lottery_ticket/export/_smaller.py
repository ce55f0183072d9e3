"""What the forms of `compact`, `sparse` and 2:4 make of a model, and what their cards say of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.export._compact import Compacted, compact
from lottery_ticket.export._format import Run
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.export._sparse import load_sparse, sparse
from lottery_ticket.export._two_four import check_n_m, unfit_for_gpu
from lottery_ticket.masks import PruningMask, prunable_parameters

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


def compacted(pruned: PrunedModel, *, gather_inputs: bool = True) -> PrunedModel:
    """The model without what does nothing, what was removed among its facts.

    Raises:
        UsageError: its forward cannot be followed.
    """
    found = compact(pruned.model, pruned.inputs, gather_inputs=gather_inputs)
    names = list(prunable_parameters(found.model))
    kept = PruningMask.from_state_dict(found.model.state_dict(), names)
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
    check_n_m(pruned.model, "2:4", ignore=_dense_layers(pruned))
    return pruned


def two_four_facts(prepared: PrunedModel, path: Path) -> Mapping[str, Any]:
    """Which layers are 2:4, and which of them a GPU's sparse units take as they are."""
    dense = _dense_layers(prepared)
    names = [name for name in prunable_parameters(prepared.model) if name not in dense]
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


def _dense_layers(pruned: PrunedModel) -> list[str]:
    """Prunable weights without a zero: layers that are dense on purpose."""
    weights = prunable_parameters(pruned.model)
    return [name for name, value in weights.items() if bool(torch.all(value != 0))]
