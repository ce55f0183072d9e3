"""Named factories (models, data sets, criteria), the user's own among them."""

import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lottery_ticket.errors import UsageError, nearest

__all__ = ["Entry", "Registry"]

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered thing, and whether a user brought it."""

    name: str
    value: T
    is_user: bool

    def source_hash(self) -> str | None:
        """SHA-256 of the source a user's entry was defined in; None for the library's own.

        The whole file counts, so that a helper beside the function is covered; code typed into a
        notebook or a prompt counts by itself.
        """
        if not self.is_user:
            return None
        subject: Any = self.value
        try:
            file = inspect.getsourcefile(subject)
            if file is not None and Path(file).is_file():
                source = Path(file).read_bytes()
            else:
                source = inspect.getsource(subject).encode()
        except (OSError, TypeError):
            raise UsageError(
                f"{self.name!r}: its source cannot be read, so its results could not be named; "
                "define it in a file"
            ) from None
        return hashlib.sha256(source).hexdigest()


class Registry(Generic[T]):
    """A table of names → things, that refuses a name it does not know with the nearest it does."""

    def __init__(self, kind: str, own: str = "") -> None:
        self.kind = kind
        self.own = own  # how one of the user's gets here
        self._entries: dict[str, Entry[T]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> T:
        return self.entry(name).value

    def entry(self, name: str) -> Entry[T]:
        """The entry called `name`; raises `UsageError` with the nearest valid name."""
        try:
            return self._entries[name]
        except KeyError:
            hint = nearest(name, self)
            own = "" if "did you mean" in hint else self.own
            raise UsageError(f"unknown {self.kind} {name!r}{hint}{own}") from None

    def user_entries(self) -> dict[str, T]:
        """What users registered, to be handed to worker processes."""
        return {name: entry.value for name, entry in self._entries.items() if entry.is_user}

    def register(self, name: str, *, is_user: bool = False) -> Callable[[T], T]:
        """Decorator that files a factory under `name`."""

        def file(value: T) -> T:
            known = self._entries.get(name)
            if known is not None and not (is_user and known.is_user):
                raise UsageError(f"{self.kind} {name!r} is already registered; choose another name")
            self._entries[name] = Entry(name, value, is_user)
            return value

        return file
