"""The table of criteria."""

from collections.abc import Callable

from lottery_ticket.criteria._criterion import Criterion, ScoreFunction
from lottery_ticket.registry import Registry

__all__ = ["CRITERIA", "register_criterion"]

CRITERIA: Registry[Criterion] = Registry("criterion", code=lambda criterion: (criterion.function,))
"""The criteria by name; `list(CRITERIA)` lists them."""


def register_criterion(name: str, *, rounds: int = 1) -> Callable[[ScoreFunction], ScoreFunction]:
    """Decorator that files a function of one's own as the criterion `name`.

    Args:
        name: what specs and `score` call it.
        rounds: how many times it scores and prunes on the way to one mask.

    >>> @register_criterion("centred")
    ... def centred(weights):
    ...     return {name: (weight - weight.mean()).abs() for name, weight in weights.items()}
    """

    def file(function: ScoreFunction) -> ScoreFunction:
        CRITERIA.register(name, is_user=True)(Criterion(function, rounds=rounds))
        return function

    return file
