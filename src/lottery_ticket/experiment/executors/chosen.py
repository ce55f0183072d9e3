"""Executors by name, as the command line chooses one."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.experiment.executors.executor import Executes
from lottery_ticket.experiment.executors.ray_cluster import Ray, check_ray
from lottery_ticket.experiment.executors.workers import Workers

__all__ = ["EXECUTORS", "Place", "chosen_executor"]


@dataclass(frozen=True)
class Place:
    """Where cells are made, beside what their context says.

    Args:
        jobs: groups at a time; None for what the executor has room for.
        address: of a cluster.
        per_device: cells on a GPU at a time.
        device, group: as asked for; where it is not this process that makes cells, another says so.
    """

    jobs: int | None = None
    address: str | None = None
    per_device: int = 1
    device: str = "auto"
    group: int | None = None


def _local(place: Place) -> None:
    """Nothing: a run makes its cells on this machine by itself."""
    if place.address is not None:
        raise UsageError("address: it is that of a cluster; it goes with executor 'ray'")
    if place.per_device != 1:
        raise UsageError("per_device: it goes with executor 'ray'; here say jobs")


def _ray(place: Place) -> Executes:
    check_ray()
    return partial(Ray, address=place.address, jobs=place.jobs, per_device=place.per_device)


def _workers(place: Place) -> Executes:
    given = [field.name for field in fields(Place) if getattr(place, field.name) != field.default]
    if given:
        raise UsageError(
            f"executor 'workers' makes nothing here: {', '.join(given)} would have no effect; say "
            "to `lottery work` how its machine makes cells"
        )
    return Workers


EXECUTORS: dict[str, Callable[[Place], Executes | None]] = {
    "local": _local,
    "ray": _ray,
    "workers": _workers,
}
"""Name → what chooses one; raises `UsageError` for what cannot be had."""


def chosen_executor(name: str, place: Place) -> Executes | None:
    """What makes an executor, as `run_plan` takes it.

    Args:
        name: `"local"`, `"ray"`, `"workers"`.
        place: where.

    Raises:
        UsageError: there is no such executor, or it cannot be had.
    """
    if name not in EXECUTORS:
        raise UsageError(f"executor: unknown choice {name!r}{nearest(name, EXECUTORS)}")
    if place.per_device < 1:
        raise UsageError(f"per_device: got {place.per_device}, wanted at least 1")
    return EXECUTORS[name](place)
