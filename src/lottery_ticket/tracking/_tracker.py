"""What a tracker is, and the table of those that are known."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.process import random_state_kept
from lottery_ticket.registry import Registry, shown
from lottery_ticket.tracking._tracked import TrackedRun

__all__ = ["TRACKERS", "Named", "Tracker", "chosen_trackers", "register_tracker"]

_METHODS = {"start": 1, "log": 3, "artifact": 3, "finish": 2}  # and how many arguments they get
Place = tuple[str | None, ...]


@runtime_checkable
class Tracker(Protocol):
    """Where runs are tracked: four methods.

    They are called one after the other by one thread of the process that started the run, beside
    the run: what they raise ends neither the run nor the tracking, and none of them is waited for
    before the run is over. A tracker whose call takes longer than its `patience_seconds` (30 where
    it has none) is given up.

    Of each tracked run first `start` is called, last `finish`; several are open at a time.
    Arguments are passed by their position. A tracker that has a `place`, a tuple of what makes up
    where it writes (None for what is known only later), is not asked for twice with the same.
    """

    def start(self, run: TrackedRun) -> Iterable[tuple[str, int]] | None:
        """Begin a run, or go on with the one of this id.

        Returns:
            What there is of it already, as (name, step); that is not logged again. None: nothing.
        """
        ...

    def log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        """Take values: `training/…` with the step of the training, the levels one after the other;
        `level/…` with the level as its step."""
        ...

    def artifact(self, run: TrackedRun, name: str, path: Path) -> None:
        """Take a file, such as `report.html` or `figures/accuracy.png`; it is there until this
        returns."""
        ...

    def finish(self, run: TrackedRun, is_complete: bool) -> None:
        """End a run; it may go on later if it is not complete."""
        ...


@dataclass(frozen=True)
class Named:
    """A tracker, and what it is called when something is said of it.

    Args:
        name: what it is called.
        tracker: what is called.
        given: what was asked for, such as `mlflow=http://…`, without what is secret in an address;
            nothing for an object.
    """

    name: str
    tracker: Tracker
    given: str = ""
    place: Place = field(default=(), repr=False)

    def is_same(self, other: "Named") -> bool:
        """Whether both write to one place, as far as that is known."""
        if self.tracker is other.tracker:
            return True
        if self.name != other.name or not (self.given and other.given):
            return False
        pairs = list(zip(self.place, other.place, strict=False))
        if not pairs or len(self.place) != len(other.place):
            return self.given == other.given
        return all(a == b or a is None or b is None for a, b in pairs)


def _own(path: str) -> Callable[..., Tracker]:
    """A tracker of the library's, whose file is read when it is asked for."""

    def made(where: str | None = None) -> Tracker:
        return pkgutil.resolve_name(path)(where)

    return made


TRACKERS: Registry[Callable[..., Tracker]] = Registry(
    "tracker", "; your own: lottery_ticket.register_tracker, in a module given by --import"
)
"""Name → what makes one, called with where it tracks, if that is said."""

for _name, _class in {
    "mlflow": "MlflowTracker",
    "tensorboard": "TensorBoardTracker",
    "trackio": "TrackioTracker",
    "wandb": "WandbTracker",
}.items():
    TRACKERS.add(_name, _own(f"lottery_ticket.integrations.{_name}:{_class}"))


def register_tracker(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: make a tracker known to `--track` and `track=` by a name.

    Args:
        name: what it is called.

    Returns:
        A decorator of a class, or of a function that makes one; what stands behind `name=` is
        passed to it.

    Raises:
        UsageError: the library has a tracker of that name.

    >>> @register_tracker("printed")
    ... class Printed:
    ...     def start(self, run):
    ...         print(run.name, "begins")
    ...     def log(self, run, values, step):
    ...         print(run.name, step, values)
    ...     def artifact(self, run, name, path):
    ...         print(run.name, "has", name)
    ...     def finish(self, run, is_complete):
    ...         print(run.name, "ends")
    >>> "printed" in TRACKERS
    True
    """
    return TRACKERS.register(name, is_user=True)


def chosen_trackers(track: object) -> tuple[Named, ...]:
    """The trackers that were asked for, ready to be called.

    Args:
        track: a name, `"name=where"`, an object with the four methods, or several of these; None
            for none.

    Raises:
        UsageError: there is no such tracker, what it needs is not installed, or it is none.
    """
    given = list(track) if isinstance(track, list | tuple) else [] if track is None else [track]
    with random_state_kept():  # some draw random numbers when they are imported
        if given:  # its figures are drawn while trackers look at what it has, half imported or not
            importlib.import_module("matplotlib.figure")
        found = tuple(map(_chosen, given))
    for n, each in enumerate(found):
        for other in found[:n]:
            if each.is_same(other):
                names = " and ".join(one.given or one.name for one in (other, each))
                raise UsageError(
                    f"track: {names} may be one place; wanted each once, with its place in full"
                )
    return found


def _chosen(given: object) -> Named:
    if isinstance(given, str):
        return _made(given)
    wanting = [name for name in _METHODS if not callable(getattr(given, name, None))]
    if wanting or isinstance(given, type):
        name = given.__name__ if isinstance(given, type) else type(given).__name__
        lacks = f"{name} has no {' and no '.join(f'{each}()' for each in wanting)}"
        is_class = f"{name} is a class, pass an object: {name}(…)"
        raise UsageError(
            f"track: {lacks if wanting else is_class}; wanted a name ({', '.join(TRACKERS)}), or "
            "an object with start, log, artifact and finish"
        )
    _check_calls(given)
    return Named(type(given).__name__, given)  # type: ignore[arg-type]  # it has the methods


def _check_calls(tracker: object) -> None:
    """Whether its methods can be called, and its patience is a time."""
    name = type(tracker).__name__
    for method, number in _METHODS.items():
        try:
            inspect.signature(getattr(tracker, method)).bind(*range(number))
        except TypeError as error:
            raise UsageError(
                f"track: {name}.{method}() cannot be called with {number} "
                f"argument{'s' * (number > 1)} by position ({error}); wanted start(run), "
                "log(run, values, step), artifact(run, name, path) and finish(run, is_complete)"
            ) from None
        except ValueError:  # compiled code may tell nothing of what it takes
            continue
    patience = getattr(tracker, "patience_seconds", 1.0)
    if isinstance(patience, bool) or not isinstance(patience, int | float) or not patience > 0:
        raise UsageError(
            f"track: {name}.patience_seconds is {shown(patience)}, wanted seconds, above 0"
        )


def without_secrets(given: str) -> str:
    """What was asked for, but for a password and a query in an address.

    >>> without_secrets("mlflow=http://me:secret@example.org/x?token=1")
    'mlflow=http://me:…@example.org/x?…'
    """
    name, has_place, where = given.partition("=")
    try:
        parts = urlsplit(where)
        password = parts.password
    except ValueError:
        return given
    if not (parts.scheme and parts.netloc):
        return given
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:…@{host}" if password is not None else f"{user}{at}{host}"
    safe = parts._replace(netloc=netloc, query="…" if parts.query else "")
    return f"{name}{has_place}{safe.geturl()}"


def _made(given: str) -> Named:
    name, has_place, where = given.partition("=")
    make = TRACKERS[name]
    if has_place and not where:
        raise UsageError(f"track: {given!r} says no place; write {name}=PLACE, or {name}")
    places = [where] if has_place else []
    try:
        inspect.signature(make).bind(*places)
    except TypeError:
        what = "takes no place" if has_place else "wants a place"
        raise UsageError(f"track: {name} {what}; got {given!r}") from None
    try:
        made = make(*places)
    except LotteryError:
        raise
    except Exception as error:
        raise UsageError(
            f"track: {name} cannot be set up ({type(error).__name__}: {error})"
        ) from error
    tracker = _chosen(made).tracker
    return Named(name, tracker, without_secrets(given), _place_of(tracker))


def _place_of(tracker: Tracker) -> Place:
    place = getattr(tracker, "place", ())
    return place if isinstance(place, tuple) else ()
