"""The runs that a tracker has of a run: one for the whole, and one for each arm and replicate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lottery_ticket.store import RunRecord
from lottery_ticket.tracking._record import Record

__all__ = ["TrackedRun", "flat", "whole_run"]

_MOST_CHARACTERS = 500  # trackers refuse longer values


@dataclass(frozen=True)
class TrackedRun:
    """One run as a tracker has it: an arm of a replicate, or the run as a whole.

    Its id is made of the lottery run's, the arm, the replicate and the draw alone: who tracks the
    same run again finds it.

    Args:
        id: unique among all that is tracked.
        name: short, for people.
        group: the id of the run that it is a part of.
        experiment: the name that the spec gives, which other runs of it share.
        params: the recipe, flat: `train.lr`, `prune.criterion`, …
        arm, replicate, draw: which trainings it holds; no arm: the run as a whole, which has the
            verdict, the figures, the report and the ticket.
    """

    id: str
    name: str
    group: str
    experiment: str
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    arm: str | None = None
    replicate: int | None = None
    draw: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it is the run as a whole."""
        return self.arm is None

    def part(self, of: Record) -> "TrackedRun":
        """The one that holds a record; of the run as a whole."""
        place = {"arm": of.arm, "replicate": of.replicate}
        draw = {"draw": of.draw} if of.draw else {}
        name = "-".join(str(value) for value in (*place.values(), *draw.values()))
        params = {**self.params, **place, **draw}
        named = {"id": f"{self.id}-{name}", "name": name, "params": params}
        return replace(self, **named, **place, draw=of.draw)


def whole_run(run: RunRecord) -> TrackedRun:
    """A run as a whole."""
    facts = {"run": run.id, "num_prunable": run.num_prunable}
    return TrackedRun(run.id, run.id, run.id, run.spec["name"], {**facts, **flat(run.spec)})


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Nested mappings as one, of plain values.

    >>> flat({"train": {"lr": 0.1}, "arms": [{"name": "ticket", "draws": 1}, {"name": "reinit"}]})
    {'train.lr': 0.1, 'arms': 'ticket, reinit'}
    """
    found: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        elif isinstance(value, int | float):
            found[f"{prefix}{key}"] = value
        elif value is not None:
            found[f"{prefix}{key}"] = _text(value)[:_MOST_CHARACTERS]
    return found


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name", dict(value)))
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
