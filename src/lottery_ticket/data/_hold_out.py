"""The part of the examples that is set aside: for validation, for test, or for a quick try."""

from dataclasses import replace

import torch

from lottery_ticket.data._dataset import DataSet, Split
from lottery_ticket.errors import UsageError
from lottery_ticket.seeds import generator

__all__ = ["check_validation", "held_out", "hold_out", "limited", "with_validation"]


def hold_out(num_examples: int, num_held: int, stream: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Which examples to keep and which to set aside, the same whatever the replicate.

    Args:
        num_examples: how many there are.
        num_held: how many to set aside.
        stream: the name of the stream of random numbers that chooses.

    Returns:
        Two ascending int64 tensors of indices, the kept and the held.

    Example:
        >>> kept, held = hold_out(10, 3, "validation")
        >>> len(kept), len(held)
        (7, 3)
    """
    # seed 0 for all: a validation split that moved with the replicate would mix their test sets up
    shuffled = torch.randperm(num_examples, generator=generator(0, "data", stream))
    return shuffled[num_held:].sort().values, shuffled[:num_held].sort().values


def check_validation(name: str, validation: int, num_train: int) -> None:
    """Raise `UsageError` unless `validation` examples can be held out of `num_train`."""
    if not 0 <= validation < num_train:
        raise UsageError(
            f"data set {name!r}: validation is a number of training examples to hold out, from 0 "
            f"to {num_train - 1}; got {validation}"
        )


def held_out(split: Split, num_held: int, stream: str) -> tuple[Split, Split]:
    """A split in two, see `hold_out`: what is kept and what is held."""
    kept, held = hold_out(len(split), num_held, stream)
    return split.rows(kept), split.rows(held)


def with_validation(data: DataSet, validation: int) -> DataSet:
    """The same with `validation` training examples held out."""
    check_validation(data.name, validation, len(data.train))
    if not validation:
        return data
    train, held = held_out(data.train, validation, "validation")
    return replace(data, train=train, validation=held)


def limited(data: DataSet, limit: int) -> DataSet:
    """The data set with `limit` training examples, and no more of the others.

    Validation and test are cut as well: on a few training examples, evaluating would take nearly
    all of the time. What is left out is decided by one fixed shuffle, so that a larger limit adds
    examples and takes none away.

    Args:
        data: the whole.
        limit: how many; 0 for all.

    Raises:
        UsageError: there are not so many, or fewer than classes are asked for.

    Example:
        >>> from lottery_ticket.data import load_dataset
        >>> few = limited(load_dataset("digits"), 200)
        >>> len(few.train), len(few.validation), len(few.test)
        (200, 200, 200)
    """
    if limit == 0:
        return data
    num_train, least = len(data.train), data.num_classes or 1
    if not least <= limit <= num_train:
        why = "one for each class" if data.num_classes else "one"
        raise UsageError(
            f"data set {data.name!r}: limit is a number of training examples, from {least} ({why}) "
            f"to {num_train} (all); got {limit}"
        )
    validation = None if data.validation is None else _first(data.validation, limit)
    return replace(
        data,
        train=_first(data.train, limit),
        validation=validation,
        test=_first(data.test, limit),
    )


def _first(split: Split, limit: int) -> Split:
    if len(split) <= limit:
        return split
    return held_out(split, limit, "limit")[1]
