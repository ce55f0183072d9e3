"""A search as plain values and tensors, and back; what comes from outside is checked."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from lottery_ticket.finder._search import Row
from lottery_ticket.pruning import Example
from lottery_ticket.tensor_files import claimed_shape

__all__ = [
    "check_settings",
    "described_example",
    "joined_memory",
    "part_of",
    "row_of",
    "split_memory",
    "ties_of",
]

_NUMBERS = ("level", "draw", "num_kept", "num_steps")
_TEXTS = ("arm", "criterion", "scope", "device")


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises `ValueError` or `KeyError` if what results look at is of another type."""
    max_drop = settings["max_drop"]
    are_right = (
        type(settings["name"]) is str
        and settings["mode"] in ("max", "min")
        and type(settings["replicate"]) is int
        and type(settings["seed"]) is int
        and (max_drop is None or type(max_drop) in (int, float))
        and all(claimed_shape(shape) is not None for shape in settings["layers"].values())
    )
    if not are_right:
        raise ValueError("settings of other types")


def row_of(*, metric: float, seconds: float, problems: list[str], **others: Any) -> Row:
    """A row; raises `ValueError` or `TypeError` if its values are of other types."""
    are_right = (
        all(type(others[name]) is int for name in _NUMBERS)
        and all(type(others[name]) is str for name in _TEXTS)
        and all(type(number) in (int, float) for number in (metric, seconds))
        and all(type(problem) is str for problem in problems)
    )
    if not are_right:
        raise ValueError("a row of other types")
    return Row(metric=metric, seconds=seconds, problems=tuple(problems), **others)


def described_example(example: Example | None) -> dict[str, Any] | None:
    """What a model that reads one tensor of numbers reads: shape, dtype and range, no values.

    None of another model, or where nothing was seen.
    """
    if example is None or example.kwargs or len(example.args) != 1:
        return None
    x = example.args[0]
    if not isinstance(x, torch.Tensor) or x.ndim == 0 or not x.numel() or x.is_complex():
        return None
    low, high = (float(value) for value in x.detach().double().aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return {"shape": list(x.shape[1:]), "dtype": str(x.dtype), "low": low, "high": high}


def part_of(
    tensors: Mapping[str, torch.Tensor], part: str, ties: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    return {n: tensors[f"{part}/{tie}"] for n, tie in ties.items() if f"{part}/{tie}" in tensors}


def ties_of(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Name → the first name of the same tensor."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(value), name) for name, value in state.items()}


def split_memory(
    part: str, state: Mapping[int, Any] | None, tensors: dict[str, torch.Tensor]
) -> dict[str, Any] | None:
    """Optimiser state as plain values, its tensors put into `tensors` and named in their place."""
    if state is None:
        return None
    plain: dict[str, Any] = {}
    for index, values in state.items():
        plain[str(index)] = {}
        for key, value in values.items():
            plain[str(index)][key] = _split(f"{part}/{index}/{key}", value, tensors)
    return plain


def _split(name: str, value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        # a copy: at level 0 the last training is the dense one
        tensors[name] = value.detach().to("cpu", copy=True)
        return {"tensor": name}
    if isinstance(value, list | tuple):  # LBFGS remembers lists of them
        items = enumerate(value)
        return {"items": [_split(f"{name}/{number}", item, tensors) for number, item in items]}
    return value


def joined_memory(
    plain: Mapping[str, Any] | None, tensors: Mapping[str, torch.Tensor]
) -> dict[int, Any] | None:
    if plain is None:
        return None
    return {
        int(index): {key: _joined(value, tensors) for key, value in values.items()}
        for index, values in plain.items()
    }


def _joined(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, dict) and "items" in value:
        return [_joined(item, tensors) for item in value["items"]]
    return tensors[value["tensor"]] if isinstance(value, dict) else value
