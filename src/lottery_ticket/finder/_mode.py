"""Whether a higher value of a metric is better."""

from lottery_ticket.errors import UsageError, nearest

__all__ = ["mode_of"]


def mode_of(metric: str | None, mode: str | None = None) -> str:
    """The mode that was given; else `"min"` for a metric whose name ends in "loss", or `"max"`.

    Args:
        metric: its name, as it was logged.
        mode: `"max"`, `"min"` or None.

    Raises:
        UsageError: the mode is another one.

    >>> mode_of("val_loss"), mode_of("val_acc"), mode_of("val_loss", "max")
    ('min', 'max', 'max')
    """
    if mode is None:
        return "min" if metric is not None and metric.lower().endswith("loss") else "max"
    if mode not in ("max", "min"):
        raise UsageError(f"mode: got {mode!r}{nearest(str(mode), ('max', 'min'))}")
    return mode
