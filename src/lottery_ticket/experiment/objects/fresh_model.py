"""A model as a spec names it: one that every cell can build anew, to the same weights."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import ARMS
from lottery_ticket.errors import UsageError
from lottery_ticket.models import MODELS, build
from lottery_ticket.names import canonical_name, lazy_names, named_state

__all__ = ["fresh_model"]

State = Mapping[str, torch.Tensor]


def fresh_model(name: str, options: Mapping[str, Any], arms: Iterable[str]) -> nn.Module:
    """The model built under one seed, once it is known that trainings can rely on it.

    Each of them builds it by itself, in one process or another. So it is built twice here, and a
    user's own under another seed, too.

    Args:
        name: a registered model's.
        options: the model's own.
        arms: what it will be trained for.

    Raises:
        UsageError: it cannot be built, saved or rewound; it is not a fresh one each time; its
            weights do not follow from the seed, or are the same whatever the seed, where an arm
            draws fresh ones; its shapes change with it.
    """
    model, again = _built(name, options, 0), _built(name, options, 0)
    first = _state_of(name, model)
    if lent := _lent(model, again):
        raise UsageError(
            f"model {name!r}: {lent!r} is one tensor in two models that were built; build all "
            "anew each time, since each is trained in place"
        )
    if not _is_same(first, _state_of(name, again)):
        raise UsageError(
            f"model {name!r}: its initial weights differ under one seed; draw them from the global "
            "random numbers of torch, NumPy or Python"
        )
    if MODELS.entry(name).is_user:
        _check_other_seed(name, first, _state_of(name, _built(name, options, 1)), arms)
    return model


def _built(name: str, options: Mapping[str, Any], seed: int) -> nn.Module:
    try:
        model = build(name, seed=seed, **options)
    except UsageError:
        raise
    except Exception as error:  # a user's own model may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"model {name!r} cannot be built: {reason}") from error
    if not isinstance(model, nn.Module):
        raise UsageError(f"model {name!r}: got {type(model).__name__}, wanted a torch.nn.Module")
    if lazy := lazy_names(model):
        raise UsageError(
            f"model {name!r}: {lazy[0]!r} has no shape yet (a lazy layer); build it with its sizes "
            "(the function can take input_size and num_classes), or run the model on an example "
            "before it is returned"
        )
    return model


def _state_of(name: str, model: nn.Module) -> State:
    for path, _ in model.named_parameters():
        if canonical_name(path, model) != path:
            raise UsageError(
                f"model {name!r}: {path!r} is in a wrapper (of torch.compile, DataParallel, …); "
                "return the plain model"
            )
        module, _, leaf = path.rpartition(".")
        if leaf.endswith("_orig") and hasattr(model.get_submodule(module), leaf[:-5] + "_mask"):
            raise UsageError(
                f"model {name!r}: {path!r} is in the form of torch.nn.utils.prune, which a run "
                "cannot prune further; end that with torch.nn.utils.prune.remove"
            )
    try:
        return named_state(model)
    except UsageError as error:
        raise UsageError(f"model {name!r}: {error}") from error


def _lent(model: nn.Module, again: nn.Module) -> str | None:
    """A parameter or buffer that two models share."""
    held = {id(value) for value in (*model.parameters(), *model.buffers())}
    theirs = [*again.named_parameters(), *again.named_buffers()]
    return next((name for name, value in theirs if id(value) in held), None)


def _is_same(one: State, other: State) -> bool:
    return _is_alike(one, other) and all(_are_equal(one[name], other[name]) for name in one)


def _is_alike(one: State, other: State) -> bool:
    shapes, others = ({n: v.shape for n, v in state.items()} for state in (one, other))
    return shapes == others


def _are_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other) or torch.equal(one.nan_to_num(), other.nan_to_num())


def _check_other_seed(name: str, first: State, other: State, arms: Iterable[str]) -> None:
    if not _is_alike(first, other):
        raise UsageError(
            f"model {name!r}: its parameters or their shapes change with the seed; let options of "
            "the model say them, since masks go from one training to another"
        )
    drawing = [arm for arm in arms if ARMS[arm].draws_weights]
    if drawing and _is_same(first, other):
        raise UsageError(
            f"arms: {drawing[0]!r} draws fresh weights, and model {name!r} is built with the very "
            "same whatever the seed; draw them from torch's global random numbers, or leave the "
            "arm out"
        )
