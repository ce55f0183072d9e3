"""Stores that break a law: what to put in the place of `LockClaim.take`, or of how a cell is
published.

Called by name in processes of their own, too.
"""

import os
from pathlib import Path

from lottery_ticket.store import LocalStore, LockClaim, _files

_take, _commit = LockClaim.take, LocalStore.commit

# claims: folder → claim or None


class _Free:
    def release(self) -> None:
        """There is nothing to give back."""


class _Existing:
    def __init__(self, path: Path) -> None:
        self._path = path

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


_held: set[Path] = set()


class _Held:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        _held.add(folder)

    def release(self) -> None:
        _held.discard(self._folder)


def granted_to_all(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return LockClaim(folder, _Free())


def known_to_its_process_alone(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return None if folder in _held else LockClaim(folder, _Held(folder))


def held_while_a_file_exists(folder):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(folder / "claimed", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return None
    return LockClaim(folder, _Existing(folder / "claimed"))


def begins_afresh(folder):
    claim = _take(folder)
    if claim is not None:
        (folder / "checkpoint").unlink(missing_ok=True)
    return claim


def never_given_back(folder):
    claim = _take(folder)
    if claim is not None:
        claim.release = lambda: None
    return claim


def of_the_whole_store(folder):
    folder.mkdir(parents=True, exist_ok=True)
    whole = _take(folder.with_name("all"))
    return whole and LockClaim(folder, whole._lock)


# publishing: (files, aside, target)


def in_place(files, aside, target):
    target.mkdir(parents=True)
    for name, data in files.items():
        _files.write_synced(target / name, data)


def in_place_the_record_first(files, aside, target):
    in_place(dict(reversed(files.items())), aside, target)


def file_by_file(files, aside, target):
    in_place(files, target, aside)
    target.mkdir(parents=True)
    for name in files:
        (aside / name).rename(target / name)


# committing: (store, claim, record, files, execution)


def clears_its_claim_first(store, claim, *made):
    claim.clear()
    return _commit(store, claim, *made)
