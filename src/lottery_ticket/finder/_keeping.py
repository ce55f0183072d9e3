"""Where a search is kept while it goes on: in a folder of its own, or in a store."""

import hashlib
import inspect
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from lottery_ticket.finder._arguments import as_folder
from lottery_ticket.finder._folder import SearchFolder
from lottery_ticket.finder._live import Net
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.finder._stored import StoredSearch
from lottery_ticket.masks import PruningMask
from lottery_ticket.store import Store, is_store

__all__ = ["Keeper", "code_of", "continued", "keeper_of"]


class Keeper(Protocol):
    """Keeps a search, so that it can be continued; a `str` of it says where."""

    def at_work(self) -> AbstractContextManager[None]:
        """While it lasts, the search is being continued here, and nowhere else."""
        ...

    def resumed(self) -> Search | None:
        """What there is of the search; None if nothing of it is finished."""
        ...

    def save(self, search: Search) -> None:
        """Keep what is new of the ticket's chain."""
        ...

    def keep_control(self, search: Search, row: Row, mask: PruningMask, net: Net) -> None:
        """Keep the training of a control."""
        ...


def keeper_of(
    resume: object, settings: Mapping[str, Any], num_kept: Sequence[int]
) -> Keeper | None:
    """What `resume` means: a store, or the path of one, else a folder; None for nowhere.

    Args:
        resume: as the user gave it.
        settings: of the search.
        num_kept: how many weights each level is to keep.

    Raises:
        UsageError: it is none of these.
        DataError: the folder cannot be used.
        StoreError: the store cannot be read.
    """
    if resume is None:
        return None
    if isinstance(resume, str | os.PathLike) and is_store(resume):
        resume = Store(os.fspath(resume))
    if isinstance(resume, Store):
        return StoredSearch(resume, settings, num_kept)
    return SearchFolder(as_folder("resume", resume), settings)


def code_of(**functions: object) -> dict[str, str]:
    """Name → SHA-256 of a function's source, of those whose source can be read."""
    found = {}
    for name, function in functions.items():
        if not callable(function):
            continue
        while isinstance(function, partial):
            function = function.func
        try:
            found[name] = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
        except (OSError, TypeError):
            continue
    return found


def continued(search: Search, code: Mapping[str, str]) -> str:
    """What to say of a search that goes on: what there is of it, and by which other functions.

    Args:
        search: as it was found.
        code: hashes of the functions that it goes on with.
    """
    levels = f"levels 0 to {len(search.chain) - 1}" if search.chain else "no level"
    num_controls = len(search.rows) - len(search.chain)
    controls = f" and {num_controls} controls" if num_controls else ""
    said = f"{levels}{controls} finished before"
    changed = [name for name, known in search.code.items() if code.get(name, known) != known]
    if not changed:
        return said
    return (
        f"{said}, by another {' and '.join(changed)} than now; they stay as they were (for a new "
        "search choose another name= or folder)"
    )
