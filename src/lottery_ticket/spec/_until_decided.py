"""With how many replicates a run is looked at, and what each look may spend."""

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from lottery_ticket.registry import shown
from lottery_ticket.spec._base import Float, Record

__all__ = ["UntilDecidedSpec"]

LOOKS = (5, 10, 20, 30)
_TOTAL = 0.05  # of all looks together


class UntilDecidedSpec(Record):
    """With how many replicates a run is looked at, until it is decided; in YAML `true` for the
    looks that simulations stand behind, or `[5, 10]`, which is short for `{looks: [5, 10]}`.

    `alphas` are the chances of a false claim that the looks have; by default look k of K has k
    parts of 0.05, so that much is left for the looks that find most.
    """

    looks: Annotated[tuple[int, ...], Field(strict=False)] = LOOKS
    alphas: Annotated[tuple[Float, ...], Field(strict=False)] = ()

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if value is True:
            value = {}
        if isinstance(value, list | tuple):
            value = {"looks": value}
        if not isinstance(value, dict | UntilDecidedSpec):
            raise ValueError(
                f"got {shown(value)}, wanted true, or numbers of replicates, such as {list(LOOKS)}"
            )
        if isinstance(value, dict) and "alphas" not in value:
            looks = value.get("looks", LOOKS)
            parts = len(looks) if isinstance(looks, list | tuple) else 0
            value = {**value, "alphas": _shared_out(parts)}
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        looks, alphas = self.looks, self.alphas
        if not 1 < len(looks) <= 100 or looks[0] < 2 or looks[-1] > 10_000:
            raise ValueError(
                f"looks: got {list(looks)}, wanted two or more numbers of replicates from 2 to "
                "10,000, such as [5, 10, 20, 30]"
            )
        if any(one >= other for one, other in pairwise(looks)):
            raise ValueError(
                f"looks: got {list(looks)}, wanted each to be more than the one before"
            )
        if len(alphas) != len(looks) or min(alphas) <= 0 or sum(alphas) > _TOTAL + 1e-9:
            raise ValueError(
                f"alphas: got {list(alphas)}, wanted one above 0 for each of {len(looks)} looks, "
                f"{_TOTAL:g} in all at most; or leave them out"
            )
        return self


def _shared_out(num_looks: int) -> list[float]:
    """The chances of a false claim of so many looks: 1, 2, 3, … parts.

    >>> _shared_out(4)
    [0.005, 0.01, 0.015, 0.02]
    """
    parts = num_looks * (num_looks + 1) / 2
    return [round(_TOTAL * part / parts, 12) for part in range(1, num_looks + 1)]
