"""The level that a spec says its run is about."""

from collections.abc import Iterable

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import UsageError
from lottery_ticket.spec import ClaimSpec
from lottery_ticket.store import RunRow

__all__ = ["claimed_level"]

_NEAR = 0.05  # as a share of the density that was asked for


def claimed_level(claim: ClaimSpec | None, rows: Iterable[RunRow], num_prunable: int) -> int | None:
    """The level that a spec claims.

    Args:
        claim: what the spec says.
        rows: those of the run.
        num_prunable: prunable weights of the model.

    Raises:
        UsageError: the run has no such level.
    """
    if claim is None:
        return None
    densities = {
        row.level: row.num_kept / num_prunable for row in rows if row.arm == TICKET and row.level
    }
    if claim.density is None:
        if claim.level not in densities:
            raise UsageError(
                f"claim.level: got {claim.level}, wanted one that is trained: {_listed(densities)}"
            )
        return claim.level
    wanted = claim.density
    level = min(densities, key=lambda level: abs(densities[level] - wanted))
    if abs(densities[level] - wanted) > _NEAR * wanted:
        shown = f"level {level} keeps {100 * densities[level]:.2f} %"
        raise UsageError(
            f"claim.density: no level keeps about {100 * wanted:g} % of the weights; the nearest, "
            f"{shown}"
        )
    return level


def _listed(levels: Iterable[int]) -> str:
    found = sorted(levels)
    if found == list(range(found[0], found[-1] + 1)) and len(found) > 1:
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found))
