"""Pruning of a spec: by which criterion, in what scope, how much at each level."""

from fractions import Fraction as Exact
from math import floor
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.masks import SCOPES, Structure, why_no_fraction
from lottery_ticket.spec._base import Float, Record, one_of
from lottery_ticket.spec._options import check_given, with_options

__all__ = ["PruneSpec"]


def _one_name(name: str) -> str:
    """An alias must not give the same mask a second name."""
    entry = CRITERIA.entry(name)
    return next(other for other in CRITERIA if CRITERIA[other] is entry.value)


def _fraction(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        reason = why_no_fraction(value)
        if reason:
            raise ValueError(reason)
    return value


def _scope(value: object) -> object:
    """One spelling for each scope, since it is part of the names of masks."""
    if not isinstance(value, str) or value in SCOPES:
        return value
    try:
        structure = Structure.parse("channel" if value == "channels" else value)
    except UsageError as error:
        if ":" in value and "0 < n < m" in str(error):
            raise ValueError(
                f"scope {value!r}: n:m keeps n of every m weights, 0 < n < m"
            ) from None
        structure = None
    if structure is None or structure.kind not in ("channel", "n:m"):
        raise ValueError(f"unknown scope {value!r}{nearest(value, (*SCOPES, 'channel', '2:4'))}")
    return str(structure)


Fraction = Annotated[Float, BeforeValidator(_fraction)]


class PruneSpec(Record):
    """How many weights each level keeps, and by which criterion.

    `criterion` is a name; with options of its own `{name: …, option: …}` or
    `{name: {option: …}}`. Arms with a criterion of their own do not take them over.
    """

    criterion: Annotated[str, one_of(CRITERIA), AfterValidator(_one_name)] = "magnitude"
    scope: Annotated[str, BeforeValidator(_scope)] = "global"
    rate: Fraction | None = None
    rates: dict[str, Fraction] = Field({})
    levels: Annotated[int, Field(gt=0, le=1000)] | None = None
    densities: Annotated[tuple[Fraction, ...], Field(strict=False)] = ()
    once: bool = False
    ignore: Annotated[tuple[str, ...], Field(strict=False)] = ()
    criterion_options: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return with_options(value, ["criterion"]) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = CRITERIA[self.criterion].options
        check_given(f"criterion {self.criterion!r}", self.criterion_options, known)
        if self.n_of_m is not None:
            self._check_n_of_m(*self.n_of_m)
        elif self.densities:
            if self.rate is not None or self.levels is not None or self.rates:
                raise ValueError("give either densities, or rate and levels, not both")
            if list(self.densities) != sorted(set(self.densities), reverse=True):
                raise ValueError("densities must fall from level to level")
        elif self.rate is None or self.levels is None:
            raise ValueError("give rate and levels, or densities")
        if self.rates and self.scope == "global":
            raise ValueError("rates per layer have no effect with scope 'global'; use 'layerwise'")
        return self

    def _check_n_of_m(self, n: int, m: int) -> None:
        if (rounds := CRITERIA[self.criterion].rounds) > 1:
            raise ValueError(
                f"criterion {self.criterion!r} prunes in {rounds} rounds of rising sparsity, and "
                f"scope {self.scope!r} has only its own levels; use another"
            )
        given = [name for name in ("rate", "rates", "densities") if getattr(self, name)]
        if given:
            raise ValueError(
                f"{given[0]} has no effect with scope {self.scope!r}, which keeps {n} of every {m} "
                "weights; leave it out (levels says in how many steps)"
            )
        if self.levels is not None and self.levels > m - n:
            raise ValueError(
                f"levels: got {self.levels}, wanted at most {m - n} with scope {self.scope!r}: "
                f"each level prunes at least one weight of {m}"
            )

    @property
    def n_of_m(self) -> tuple[int, int] | None:
        """(n, m) where the scope is n:m."""
        if self.scope in SCOPES or self.scope == "channel":
            return None
        n, m = Structure.parse(self.scope).size
        return n, m

    @property
    def num_levels(self) -> int:
        """Levels beside the dense level 0."""
        if self.n_of_m is not None:
            n, m = self.n_of_m
            return self.levels or m - n
        return len(self.densities) or self.levels or 0

    def scope_at(self, level: int) -> str:
        """The scope of a pruned level: n:m falls to its n in even steps, rounded like all counts.

        >>> prune = PruneSpec(scope="2:8", levels=4)
        >>> [prune.scope_at(level) for level in (1, 2, 3, 4)]
        ['6:8', '5:8', '3:8', '2:8']
        """
        if self.n_of_m is None:
            return self.scope
        n, m = self.n_of_m
        num_pruned = floor(Exact(level * (m - n), self.num_levels) + Exact(1, 2))
        return f"{m - num_pruned}:{m}"
