"""What a number means: `amount` of what remains, `sparsity` or `density` of all. Never percent."""

from fractions import Fraction

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import check_fraction

__all__ = ["density_of"]


def density_of(
    current: float,
    *,
    sparsity: float | None = None,
    density: float | None = None,
    amount: float | None = None,
) -> float:
    """The density of all prunable weights that exactly one of three arguments asks for.

    Args:
        current: the density now.
        sparsity: 1 − density, of *all* prunable weights.
        density: kept / all prunable weights.
        amount: the fraction to prune of what *remains*: density = current · (1 − amount).

    Raises:
        UsageError: none or several are given, one is no fraction, or the result is denser than now.

    >>> density_of(0.5, amount=0.2), density_of(0.5, sparsity=0.9)
    (0.4, 0.1)
    """
    given = {"sparsity": sparsity, "density": density, "amount": amount}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise UsageError(f"give one of sparsity, density and amount; got {got}")
    ((name, value),) = given.items()
    exact = Fraction(str(check_fraction(name, value)))
    wanted = {
        "sparsity": 1 - exact,
        "density": exact,
        "amount": Fraction(str(current)) * (1 - exact),
    }[name]
    if wanted > Fraction(str(current)):
        raise UsageError(
            f"{name} {value:g} means density {float(wanted):g}, but only {current:g} is left; "
            f"what is pruned stays pruned (`{name}` is of all prunable weights)"
        )
    return float(wanted)
