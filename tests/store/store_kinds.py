"""The kinds of stores between which runs are copied: a row for each."""

from collections.abc import Callable
from pathlib import Path

from lottery_ticket.store import Store

Opens = Callable[[Path, str], Store]  # folder of the test, name → a new store


def in_a_folder(folder: Path, name: str) -> Store:
    return Store(folder / name)


KINDS: dict[str, Opens] = {"folder": in_a_folder}
