"""What several formats of one export make of a model, made once."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from lottery_ticket.export._pruned_model import PrunedModel

__all__ = ["made_once", "shared"]

_T = TypeVar("_T")
_made: ContextVar[dict[Any, Any] | None] = ContextVar("made", default=None)


@contextmanager
def made_once() -> Iterator[None]:
    """A block in which what is `shared` is made once of each model, which must not change."""
    before = _made.set({})
    try:
        yield
    finally:
        _made.reset(before)


def shared(make: Callable[..., _T]) -> Callable[..., _T]:
    """A function of a pruned model and options that is called once for each in `made_once`.

    Nobody may change what it returns: others are given the same.
    """

    @functools.wraps(make)
    def found(pruned: PrunedModel, **options: Any) -> _T:
        made = _made.get()
        if made is None:
            return make(pruned, **options)
        key = (make, pruned, *options.items())  # a model equals itself alone
        if key not in made:
            made[key] = make(pruned, **options)
        return made[key]

    return found
