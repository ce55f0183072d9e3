"""Tables of named things (models, criteria, arms, …), the user's own among them."""

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin, overload

from lottery_ticket.errors import UsageError, nearest

__all__ = ["Entry", "Registry", "check_options", "options_of", "shown"]

T = TypeVar("T")
D = TypeVar("D")

_SHOWN_CHARACTERS = 100


def _itself(value: Any) -> tuple[Any, ...]:
    return (value,)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered thing, and whether a user brought it.

    Args:
        name, value: the thing.
        is_user: whether it is a user's.
        code: value → the functions and classes of the user's that make it what it is.
    """

    name: str
    value: T
    is_user: bool
    code: Callable[[T], Iterable[Any]] = _itself

    def source_hash(self) -> str | None:
        """SHA-256 of the source a user's entry was defined in; None for the library's own, and for
        one that holds no code.

        The whole file counts, so that a helper beside the function is covered; code typed into a
        notebook or a prompt counts by itself.
        """
        subjects = tuple(self.code(self.value)) if self.is_user else ()
        if not subjects:
            return None
        digest = hashlib.sha256()
        for subject in subjects:
            digest.update(self._source(subject))
        return digest.hexdigest()

    def _source(self, subject: Any) -> bytes:
        while isinstance(subject, functools.partial):
            subject = subject.func
        subject = inspect.unwrap(subject)  # a decorator's file says nothing of what it decorates
        try:
            file = inspect.getsourcefile(subject)
            if file is not None and Path(file).is_file():
                return Path(file).read_bytes()
            return inspect.getsource(subject).encode()
        except (OSError, TypeError):
            raise UsageError(
                f"{self.name!r}: its source cannot be read, so its results could not be named; "
                "define it in a file"
            ) from None


class Registry(Generic[T]):
    """A table of names → things, that refuses a name it does not know with the nearest it does.

    Args:
        kind: what the things are called.
        own: how one of the user's gets here, for errors.
        code: value → the functions and classes of a user's that make it what it is.
    """

    def __init__(
        self, kind: str, own: str = "", code: Callable[[T], Iterable[Any]] = _itself
    ) -> None:
        self.kind = kind
        self.own = own
        self._code = code
        self._entries: dict[str, Entry[T]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> T:
        return self.entry(name).value

    @overload
    def get(self, name: str) -> T | None: ...

    @overload
    def get(self, name: str, default: D) -> T | D: ...

    def get(self, name: str, default: Any = None) -> Any:
        """The thing called `name`, or `default`."""
        return self._entries[name].value if name in self._entries else default

    def items(self) -> list[tuple[str, T]]:
        """Names and things."""
        return [(name, entry.value) for name, entry in self._entries.items()]

    def values(self) -> list[T]:
        """The things."""
        return [entry.value for entry in self._entries.values()]

    def entry(self, name: str) -> Entry[T]:
        """The entry called `name`; raises `UsageError` with the nearest valid name."""
        try:
            return self._entries[name]
        except KeyError:
            raise UsageError(f"unknown {self.kind} {name!r}{self.hint(name)}") from None

    def hint(self, name: str) -> str:
        """What to write instead of a name that is not there."""
        hint = nearest(name, self)
        return hint if "did you mean" in hint else f"{hint}{self.own}"

    def user_entries(self) -> dict[str, T]:
        """What users registered, to be handed to worker processes."""
        return {name: entry.value for name, entry in self._entries.items() if entry.is_user}

    def register(self, name: str, *, is_user: bool = False) -> Callable[[T], T]:
        """Decorator that files a thing under `name`."""

        def file(value: T) -> T:
            self.add(name, value, is_user=is_user)
            return value

        return file

    def add(self, name: str, value: T, *, is_user: bool = False) -> None:
        """File a thing under `name`.

        Raises:
            UsageError: the name is taken; a user may register one of their own again.
        """
        known = self._entries.get(name)
        if known is not None and not (is_user and known.is_user):
            raise UsageError(f"{self.kind} {name!r} is already registered; choose another name")
        self._entries[name] = Entry(name, value, is_user, self._code)

    def remove(self, name: str) -> None:
        """Forget one of the user's; raises `UsageError` if it is none."""
        if not self.entry(name).is_user:
            raise UsageError(f"{self.kind} {name!r} is the library's own; it cannot be removed")
        del self._entries[name]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """A block after which the table is as it was, whatever was registered in it: for tests.

        >>> table = Registry("thing")
        >>> with table.restored():
        ...     table.add("mine", 1, is_user=True)
        >>> len(table)
        0
        """
        before = dict(self._entries)
        try:
            yield
        finally:
            self._entries = before


def options_of(function: Callable[..., Any], *, given: int = 0) -> dict[str, inspect.Parameter]:
    """The options that a function takes, with their defaults, in the order of its signature.

    Args:
        function: a function or a class.
        given: how many of its first parameters are no options.
    """
    parameters = list(inspect.signature(function).parameters.values())[given:]
    return {parameter.name: parameter for parameter in parameters}


# annotation → what is taken, in Python and in words
_SCALARS: dict[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "text"),
    "bool": (bool, "true or false"),
}


def check_options(
    owner: str, options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]
) -> None:
    """See that options are known, and of the types that are said.

    Args:
        owner: whose options they are, such as `"model 'LeNet300'"`.
        options: those that were given.
        known: as `options_of` gives them; one that takes any takes any name.

    Raises:
        UsageError: an unknown name, or a value of another type.
    """
    takes_any = any(option.kind is option.VAR_KEYWORD for option in known.values())
    for name, value in options.items():
        if name in known:
            _check_type(name, value, known[name].annotation)
        elif not takes_any:
            hint = nearest(name, known) if known else "; it takes none"
            raise UsageError(f"{owner} has no option {name!r}{hint}")


def _check_type(name: str, value: object, wanted: Any) -> None:
    if get_origin(wanted) not in (Sequence, list):
        _check_scalar(name, value, wanted)
        return
    if not isinstance(value, list | tuple):
        raise UsageError(f"option {name!r}: got {_typed(value)}, wanted a list")
    for item in value:
        _check_scalar(name, item, *get_args(wanted))


def _check_scalar(name: str, value: object, wanted: Any) -> None:
    wanted = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", str(wanted))
    if wanted not in _SCALARS:
        return
    kind, words = _SCALARS[wanted]
    is_wrong_bool = isinstance(value, bool) and wanted != "bool"  # True is an int to Python
    if is_wrong_bool or not isinstance(value, kind):
        raise UsageError(f"option {name!r}: got {_typed(value)}, wanted {words}")


def _typed(value: object) -> str:
    return f"{shown(value)} ({type(value).__name__})"


def shown(value: object) -> str:
    """A value in an error, cut where it is long.

    >>> shown("x" * 200)[-4:]
    "xx…'"
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of so many digits
        return "a very large number"
    except RecursionError:
        return "something nested without end"
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[: _SHOWN_CHARACTERS - 2]}…{text[-1]}"
