"""The same architecture with narrower hidden layers."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.models._arguments import scaled_width
from lottery_ticket.models._registry import MODELS, model_options, outline

__all__ = ["largest_width", "scaled_options"]


def largest_width(name: str, options: Mapping[str, Any]) -> int:
    """The outputs of the widest layer: with fewer steps than that, some narrower net is missed.

    Args:
        name: one of this library's models.
        options: that it is built with.

    Raises:
        UsageError: its widths cannot be scaled.

    >>> largest_width("LeNet300", {}), largest_width("Conv4", {"form": "paper"})
    (300, 256)
    """
    _check_scales(name)
    return max(weight.shape[0] for weight in outline(name, **options).parameters())


def scaled_options(name: str, options: Mapping[str, Any], factor: Fraction) -> dict[str, Any]:
    """The options of the net whose hidden widths are `factor` times as large, at least 1.

    Args:
        name: one of this library's models.
        options: that the whole net is built with.
        factor: above 0.

    Raises:
        UsageError: its widths cannot be scaled.

    >>> scaled_options("LeNet300", {}, Fraction(1, 8)), scaled_options("Conv4", {}, Fraction(1, 8))
    ({'hidden': [38, 13]}, {'width': 0.125})
    """
    _check_scales(name)
    known = model_options(name)
    if "hidden" in known:
        widths = options.get("hidden", known["hidden"].default)
        return {**options, "hidden": [scaled_width(width, factor) for width in widths]}
    return {**options, "width": float(factor * Fraction(options.get("width") or 1))}


def _check_scales(name: str) -> None:
    fitting = [
        other
        for other in MODELS
        if not MODELS.entry(other).is_user and {"hidden", "width"} & set(model_options(other))
    ]
    if name not in fitting:
        raise UsageError(
            f"dense_small: the hidden widths of model {name!r} cannot be scaled; leave the arm "
            f"out, or use one of: {', '.join(fitting)}"
        )
