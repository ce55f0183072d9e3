"""How much worse than dense still counts as matching it."""

import math

from lottery_ticket.analysis._metric import Metric
from lottery_ticket.errors import UsageError

__all__ = ["absolute_margin", "default_margin"]

_POINTS, _NUM_TEST = 0.2, 10_000
_PERCENT_OF_LOSS = 5.0


def default_margin(metric: Metric, num_test: int | None = None) -> float:
    """The margin where none is stated: points of accuracy, or per cent of the dense loss.

    0.2 points on 10,000 test images or more. On fewer it grows as the test set's own standard
    error does, 0.2 · √(10,000 / images): 360 images cannot tell apart what 10,000 can. Of fewer
    than 25 it is one image, as less would be none. 5 % of a loss.

    Args:
        metric: what is judged.
        num_test: examples in the test set; None where that is not known.

    Returns:
        The margin, in two significant digits.

    Example:
        >>> from lottery_ticket.analysis import ACCURACY, LOSS
        >>> [default_margin(ACCURACY, n) for n in (None, 10_000, 360, 24)], default_margin(LOSS)
        ([0.2, 0.2, 1.1, 4.2], 5.0)
    """
    if metric.unit != "%":
        return _PERCENT_OF_LOSS
    scale = max(1.0, math.sqrt(_NUM_TEST / num_test)) if num_test else 1.0
    one_image = math.ceil(1000 / num_test) / 10 if num_test else 0.0
    return max(float(f"{_POINTS * scale:.2g}"), one_image)


def absolute_margin(
    margin: float, metric: Metric, dense: float, num_test: int | None = None
) -> float:
    """A margin in the metric's own unit.

    Args:
        margin: points of accuracy, or per cent of the dense loss.
        metric: what is judged.
        dense: the dense nets' mean.
        num_test: examples in the test set; None where that is not known.

    Raises:
        UsageError: not between 0 and 100, or less than one test image.

    Example:
        >>> from lottery_ticket.analysis import ACCURACY, LOSS
        >>> absolute_margin(0.2, ACCURACY, 0.98), absolute_margin(5, LOSS, 2.0)
        (0.002, 0.1)
    """
    wanted = "points of accuracy" if metric.unit == "%" else f"per cent of the dense {metric.short}"
    if not 0 < margin < 100:
        raise UsageError(f"margin: got {margin:g}, wanted {wanted} between 0 and 100")
    if metric.unit == "%" and num_test and margin < 100 / num_test:
        raise UsageError(
            f"margin: got {margin:g} {wanted}, less than one of the {num_test:,} test images "
            f"({100 / num_test:.2g} points); write 0.5 for half a point"
        )
    return margin / 100 * (1.0 if metric.unit == "%" else abs(dense))
