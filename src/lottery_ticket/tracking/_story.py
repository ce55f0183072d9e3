"""Records → calls of a tracker: the same of a run that goes on as of one that is finished."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lottery_ticket.tracking._record import Record
from lottery_ticket.tracking._tracked import TrackedRun

__all__ = ["Call", "Order", "Place", "Story"]


class Place(Protocol):
    """What says which training of a run it is: a `RunRow`, a `Record`."""

    @property
    def arm(self) -> str: ...
    @property
    def level(self) -> int: ...
    @property
    def replicate(self) -> int: ...
    @property
    def draw(self) -> int: ...


Line = tuple[str, int, int]  # arm, replicate, draw: what is one run to a tracker


def line_of(place: Place) -> Line:
    """Of which tracked run a training is a part."""
    return place.arm, place.replicate, place.draw


@dataclass(frozen=True)
class Call:
    """A call of a tracker.

    Args:
        method: `"start"`, `"log"`, `"artifact"` or `"finish"`.
        run: its first argument.
        arguments: the others, in their order.
    """

    method: str
    run: TrackedRun
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Order:
    """Trainings end in any order; they are told level by level in each line.

    Args:
        places: what is to be told, if that is known; of lines that are not among them everything
            is told at once.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._open: dict[Line, list[int]] = {}
        for place in places:
            self._open.setdefault(line_of(place), []).append(place.level)
        for levels in self._open.values():
            levels.sort()
        self._held: dict[Line, dict[int, list[Record]]] = {}

    def add(self, records: Sequence[Record]) -> list[list[Record]]:
        """Take a training's records; what can be told by now, a list for each training."""
        line, level = line_of(records[-1]), records[-1].level
        if line not in self._open:
            return [list(records)]
        if level not in self._open[line]:
            return []  # it was told before
        held = self._held.setdefault(line, {})
        held[level] = list(records)
        ready = []
        while self._open[line] and self._open[line][0] in held:
            ready.append(held.pop(self._open[line].pop(0)))
        return ready

    def is_next(self, place: Place) -> bool:
        """Whether a training is the next of its line to be told."""
        return self._open.get(line_of(place), [])[:1] == [place.level]

    def rest(self) -> list[list[Record]]:
        """What was held back for a level that is not there."""
        found = [held[level] for held in self._held.values() for level in sorted(held)]
        self._held.clear()
        return found

    def is_told(self, line: Line) -> bool:
        """Whether all of a line was told."""
        return line in self._open and not self._open[line]

    @property
    def held(self) -> dict[Line, tuple[int, list[int]]]:
        """Of lines that wait: the level that is not there, and the levels that wait for it."""
        return {
            line: (self._open[line][0], sorted(levels))
            for line, levels in self._held.items()
            if levels
        }

    @property
    def is_complete(self) -> bool:
        """Whether all was told."""
        return not any(self._open.values())


class Story:
    """The calls that follow from a run's records: for each tracked run always the same, whenever
    and in which order the trainings ended.

    What is measured along trainings is `training/…`, against the steps of all levels one after the
    other: each begins where the one before it ended. What they have come to is `level/…`, against
    the level. What comes after a level that is not there waits for it, also from one call to the
    next: a tracker may take steps in their order alone.

    Args:
        whole: the run as a whole.
        places: the trainings that it is to have, see `Order`.
    """

    def __init__(self, whole: TrackedRun, places: Iterable[Place]) -> None:
        self.whole = whole
        self._order = Order(places)
        self._parts: dict[Line, TrackedRun] = {}  # those that are begun, and not finished
        self._first: dict[Line, int] = {}  # the step at which the training that is next begins
        self._num_told: dict[Line, int] = {}  # measurements of the training that is next

    @property
    def is_complete(self) -> bool:
        """Whether nothing is to come."""
        return self._order.is_complete

    @property
    def held(self) -> dict[Line, tuple[int, list[int]]]:
        """What waits for a level that is not there, see `Order`."""
        return self._order.held

    def begin(self) -> list[Call]:
        """What is called first."""
        return [Call("start", self.whole)]

    def add(self, records: Sequence[Record]) -> list[Call]:
        """What is called once a training has ended.

        Args:
            records: along it, and last what it has come to.
        """
        line = line_of(records[-1])
        calls = [call for told in self._order.add(records) for call in self._told(told)]
        if calls and self._order.is_told(line):
            calls.append(Call("finish", self._parts.pop(line), {"is_complete": True}))
        return calls

    def along(self, records: Sequence[Record]) -> list[Call]:
        """What is called while a training goes on; nothing if another is to be told first.

        Args:
            records: all that was measured along it so far.
        """
        if not records or not self._order.is_next(records[-1]):
            return []
        calls, part = self._part_of(records[-1])
        return calls + self._measured(part, records)

    def is_next(self, place: Place) -> bool:
        """Whether `along` has something to say of a training."""
        return self._order.is_next(place)

    def end(self, *, is_complete: bool | None = None) -> list[Call]:
        """What is called for all that is not finished, but for the run as a whole."""
        done = self.is_complete if is_complete is None else is_complete
        calls = [Call("finish", part, {"is_complete": done}) for part in self._parts.values()]
        self._parts.clear()
        return calls

    def files(self, files: Iterable[tuple[str, Any]]) -> list[Call]:
        """The calls for files of the run as a whole, by name and path."""
        return [Call("artifact", self.whole, {"name": name, "path": path}) for name, path in files]

    def over(self, *, is_complete: bool | None = None) -> list[Call]:
        """What is called last."""
        done = self.is_complete if is_complete is None else is_complete
        return [Call("finish", self.whole, {"is_complete": done})]

    def _told(self, records: Sequence[Record]) -> list[Call]:
        ended, along = records[-1], records[:-1]
        line = line_of(ended)
        calls, part = self._part_of(ended)
        if along:
            calls += self._measured(part, along)
            self._first[line] = self._first.get(line, 0) + along[-1].step
        self._num_told.pop(line, None)
        return [*calls, _log(part, "level", _come_to(ended), ended.level)]

    def _part_of(self, record: Record) -> tuple[list[Call], TrackedRun]:
        """The run that a record is a part of, and the call that begins it if nothing has."""
        line = line_of(record)
        if line in self._parts:
            return [], self._parts[line]
        part = self._parts[line] = self.whole.part(record)
        return [Call("start", part)], part

    def _measured(self, part: TrackedRun, along: Sequence[Record]) -> list[Call]:
        """The calls for what was measured along a training, but for what was told."""
        line = line_of(along[-1])
        first, new = self._first.get(line, 0), along[self._num_told.get(line, 0) :]
        self._num_told[line] = max(len(along), self._num_told.get(line, 0))
        return [_log(part, "training", _along(each), first + each.step) for each in new]


def _log(run: TrackedRun, prefix: str, values: Mapping[str, float], step: int) -> Call:
    named = {f"{prefix}/{name}": value for name, value in values.items()}
    return Call("log", run, {"values": named, "step": step})


def _along(record: Record) -> dict[str, float]:
    return {"level": record.level, "density": record.density, **record.metrics}


def _come_to(record: Record) -> dict[str, float]:
    counts = {
        "density": record.density,
        "sparsity": record.sparsity,
        "num_kept": record.num_kept,
    }
    return {**counts, **record.metrics}
