"""The part of the training examples that is set aside."""

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.seeds import generator

__all__ = ["check_validation", "hold_out"]


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
