"""Whether a higher value of a metric is better."""

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.metric_names import is_lower_better

__all__ = ["mode_of"]


def mode_of(metric: str | None, mode: str | None = None) -> str:
    """The mode that was given; else by the metric's name: `"min"` for losses, errors, perplexities.

    Args:
        metric: its name, as it was logged.
        mode: `"max"`, `"min"` or None.

    Raises:
        UsageError: the mode is another one.

    >>> mode_of("val_loss"), mode_of("val_acc"), mode_of("val_loss", "max")
    ('min', 'max', 'max')
    """
    if mode is None:
        return "min" if metric is not None and is_lower_better(metric) else "max"
    if mode not in ("max", "min"):
        raise UsageError(f"mode: got {mode!r}{nearest(str(mode), ('max', 'min'))}")
    return mode
