"""What the logic of an object store needs of a bucket, and no more."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Bucket", "Found", "Listed"]


@dataclass(frozen=True)
class Found:
    """An object as it was read."""

    data: bytes
    tag: str


@dataclass(frozen=True)
class Listed:
    """What is known of an object without reading it."""

    key: str
    tag: str
    num_bytes: int
    modified: float
    """When it was written, by the server's clock: seconds since 1970."""


class Bucket(Protocol):
    """Objects by key, under one prefix. Any number of threads may use it at once.

    A key is a path of names, `cells/abc`. A tag stands for what an object holds: equal tags mean
    equal data, so `swap` cannot tell an object that was changed and changed back. **What `create`
    and `swap` write must therefore be written by nobody else, and by us only once: it holds a
    random token, and a count where it is written often.** The same rule tells who won after an
    answer was lost: whose data is there. (So None may come too where ours was there for a moment,
    unheard of, and somebody has replaced it since.)

    Requests are tried again while a server is busy or away; every method raises `StoreError` when
    that lasted too long, or when trying again is no use.
    """

    location: str
    """For messages; holds no credentials."""

    requests: Counter[str]
    """How often a server was asked, by method, tries that failed too.

    A listing counts once per page of 1,000 keys, a removal once per 1,000 keys.
    """

    bytes_in: int
    """What `get` and `get_many` have read."""

    bytes_out: int
    """What `put`, `create` and `swap` have sent, tries that failed too."""

    def get(self, key: str) -> Found | None:
        """What is there; None: nothing is."""
        ...

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Found | None]]:
        """Each key with what is there, in the order of the keys; several are read at once, and no
        more is held than those."""
        ...

    def put(self, key: str, data: bytes) -> str:
        """Write it, whatever is there → its tag."""
        ...

    def create(self, key: str, data: bytes) -> str | None:
        """Write it where nothing is → its tag; None: something of somebody else is there.

        Args:
            key: where.
            data: that nobody else writes (see above).
        """
        ...

    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        """Write it where what `tag` stands for is → its tag; None: that has changed, or is gone.

        Args:
            key: where.
            data: that nobody else writes (see above).
            tag: from `get`, `put`, `create` or `swap`.
        """
        ...

    def head(self, key: str) -> Listed | None:
        """What is there, without its data; None: nothing is."""
        ...

    def list(self, prefix: str) -> Iterator[Listed]:
        """Everything under a folder of keys, sorted by key; `""` is all.

        `cells` lists `cells/a` and `cells/b/c`, and not `cells-old/a`.
        """
        ...

    def remove(self, keys: Iterable[str]) -> None:
        """Remove what is there; what is not is fine."""
        ...
