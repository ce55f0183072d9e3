"""How far a run is, and how long that takes, in words."""

from collections.abc import Iterator

from lottery_ticket.experiment import RunStatus

__all__ = ["status_words", "time_text"]


def time_text(seconds: float) -> str:
    """`75` → `"1 min 15 s"`.

    >>> time_text(75)
    '1 min 15 s'
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def status_words(found: RunStatus) -> Iterator[str]:
    """How far a run is, part by part."""
    yield f"{found.num_finished} of {found.num_cells} cells done"
    if found.working:
        yield f"{len(found.working)} running"
    if found.num_waiting:
        yield f"{found.num_waiting} waiting"
    if found.failed:
        yield f"{len(found.failed)} failed"
    if found.seconds_left is not None and found.num_finished < found.num_cells:
        yield f"about {time_text(found.seconds_left)} left"
    if found.num_finished == found.num_cells:
        return
    if found.is_stopped:
        yield "it was asked to stop"
    elif not found.is_submitted and not found.working:
        yield "nobody makes it: run it, or submit it to workers"
    elif not found.working:
        yield "no worker is at a cell just now (`lottery work` starts one)"
