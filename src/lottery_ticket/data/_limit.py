"""The first so many examples, for a quick try."""

from dataclasses import replace

from lottery_ticket.data._dataset import DataSet, Split
from lottery_ticket.data._hold_out import hold_out
from lottery_ticket.errors import UsageError

__all__ = ["limited"]


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
    _, chosen = hold_out(len(split), limit, "limit")
    return split.rows(chosen)
