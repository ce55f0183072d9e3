"""The looks of a staged run: with how many replicates it was judged, and what that spent."""

from collections.abc import Iterator
from dataclasses import dataclass

from lottery_ticket.errors import UsageError
from lottery_ticket.store import Looks

__all__ = ["Look", "before_looks", "taken_looks"]


@dataclass(frozen=True)
class Look:
    """A look at a staged run.

    Args:
        run: the staged run whose look it is.
        number: which, from 1 on.
        num_looks: of how many.
        num_replicates: with how many replicates; later ones are not looked at.
        alpha: the chance of a false claim that it may have.
        spent: by it and those before it.
        total: by all.
        next_replicates: with how many the next look is taken; None after the last.
        num_complete: replicates that are finished.
    """

    run: str
    number: int
    num_looks: int
    num_replicates: int
    alpha: float
    spent: float
    total: float
    next_replicates: int | None
    num_complete: int


def taken_looks(looks: Looks, num_complete: int) -> Iterator[Look]:
    """The looks that so many replicates are enough for, in order.

    Nothing is left for a look that the rule does not have: with 12 replicates the second look is
    the one at 10, and beyond the last look there is none.

    Args:
        looks: the rule.
        num_complete: replicates that are finished.

    Raises:
        UsageError: there are not enough for the first.

    Example:
        >>> rule = Looks("run", (5, 10), (0.02, 0.03))
        >>> [(look.number, look.num_replicates, look.spent) for look in taken_looks(rule, 12)]
        [(1, 5, 0.02), (2, 10, 0.05)]
    """
    if num_complete < looks.replicates[0]:
        raise UsageError(before_looks(looks, num_complete))
    following = (*looks.replicates[1:], None)
    for number, (n, alpha) in enumerate(zip(looks.replicates, looks.alphas, strict=True), 1):
        if n > num_complete:
            return
        yield Look(
            run=looks.run,
            number=number,
            num_looks=len(looks.replicates),
            num_replicates=n,
            alpha=alpha,
            spent=looks.spent(number),
            total=looks.spent(len(looks.alphas)),
            next_replicates=following[number - 1],
            num_complete=num_complete,
        )


def before_looks(looks: Looks, num_complete: int) -> str:
    """Why there is no verdict before the first look, in words."""
    verb = "is" if num_complete == 1 else "are"
    return (
        f"no look is taken yet: the first of {looks.run} is at {looks.replicates[0]} replicates, "
        f"and {num_complete} {verb} finished"
    )
