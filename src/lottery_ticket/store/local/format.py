"""The file that says what the folder is; and what makes a store whole of which a part is gone."""

import contextlib
import os
from pathlib import Path

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.files import aside_of, sync_folder, write_file, write_synced
from lottery_ticket.store._execution import Execution
from lottery_ticket.store._files import (
    json_bytes,
    json_mapping,
    linked,
    read_file,
    reading,
    remove,
    scanned,
    store_errors,
)
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store._store import is_address
from lottery_ticket.store.local.leases import has_leases
from lottery_ticket.store.local.paths import EXECUTION, RECORD, Paths

__all__ = ["check_format", "is_store", "leave_trace", "missing_runs", "repair", "write_format"]

_NAME = "lottery_ticket.store"
_VERSIONS = {"lock": 1, "lease": 2}  # by how claims are held; who knows no leases leaves them alone
_OWN = ("cells", "work", "runs", "board", "index.sqlite")


def is_store(root: str | os.PathLike[str]) -> bool:
    """Whether a folder says of itself that it is a store; of a bucket nothing else is asked."""
    if is_address(root):
        return True
    with contextlib.suppress(OSError, ValueError):
        return Paths(Path(root)).format.is_file()
    return False


def check_format(paths: Paths) -> str | None:
    """See that the folder is a store of this version, or has nothing in it.

    Returns:
        How its claims are held, `"lock"` or `"lease"`; None if it has nothing in it.

    Raises:
        StoreError: it is something else, or damaged; the error says what mends it.
    """
    paths.check_own()
    try:
        data = read_file(paths.format)
    except DamagedError as error:
        if paths.format.exists():
            raise StoreError(f"{error}; {_REMEDY}") from None
        _check_empty(paths)
        return None
    try:
        found = json_mapping(data)
    except ValueError as error:
        raise StoreError(f"{paths.format}: cannot be read ({error}); {_REMEDY}") from None
    for claims in _VERSIONS:
        if found == _format(claims):
            return claims
    remedy = "it takes a later version of lottery-ticket" if _is_later(found) else _REMEDY
    known = " or ".join(str(_format(claims)) for claims in _VERSIONS)
    raise StoreError(f"{paths.root}: holds {found}, this version reads {known}; {remedy}")


def _format(claims: str) -> dict[str, object]:
    return {"format": _NAME, "version": _VERSIONS[claims]}


_REMEDY = "if this is a store, `lottery doctor --repair` writes that file anew"


def _is_later(found: dict[str, object]) -> bool:
    version = found.get("version")
    is_of_stores = found.keys() == {"format", "version"} and found["format"] == _NAME
    return is_of_stores and type(version) is int and version > max(_VERSIONS.values())


def _check_empty(paths: Paths) -> None:
    """A folder of other files is no store: nothing of theirs is ever read or removed."""
    with reading(paths.root):
        others = [e.name for e in _all_in(paths.root) if not e.name.startswith(".")]
    if others:
        hint = f"; {_REMEDY}" if set(others) <= set(_OWN) else ""
        raise StoreError(
            f"{paths.root}: not a store: it holds {others[0]!r} but no format.json; "
            f"choose an empty or new folder with --store or LOTTERY_STORE{hint}"
        )


def _all_in(root: Path) -> "list[os.DirEntry[str]]":
    return scanned(root.resolve())  # the store as a whole may be linked


def write_format(paths: Paths, claims: str, *, is_new: bool) -> bool:
    """Write the file, which shows that the store can be written.

    Args:
        paths, claims: of the store, and how its claims are held.
        is_new: whether there was none before.

    Returns:
        False if another process has made the store meanwhile.
    """
    data = json_bytes(_format(claims))
    if not is_new:
        write_file(paths.format, data)
        return True
    aside = aside_of(paths.format)
    try:
        write_synced(aside, data)
        is_first = linked(aside, paths.format)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(paths.root)
    return is_first


def leave_trace(paths: Paths, claims: str) -> None:
    """So that `repair` tells how claims are held, should the file be gone.

    Raises:
        OSError: it cannot be left.
    """
    if claims == "lease":
        with contextlib.suppress(FileExistsError):
            paths.leases.open("xb").close()


def _claims_of(paths: Paths) -> str:
    """How the claims of a store are held whose file cannot be read, as what it holds tells.

    Raises:
        OSError: what it holds cannot be read.
    """
    with contextlib.suppress(ValueError, StoreError):
        version = json_mapping(read_file(paths.format)).get("version")
        for claims, known in _VERSIONS.items():
            if type(version) is int and version == known:
                return claims
    is_leased = paths.leases.is_file() or has_leases(paths.all_work)
    return "lease" if is_leased else "lock"


def missing_runs(paths: Paths) -> bool:
    """Whether there are cells, but no folder of runs: then nobody knows whose they are.

    Raises:
        OSError: the folders cannot be read.
    """
    if paths.runs.is_dir():
        return False
    scanned(paths.root.resolve())  # what may not be looked into is not missing
    return next(paths.cell_names(), None) is not None


def repair(root: Path) -> list[str]:
    """Write anew what is damaged or missing beside the results; these are only read.

    Returns:
        What was done, in a few words each.

    Raises:
        UsageError: this does not look like a store.
        StoreError: it is of a later version, or cannot be written.
    """
    paths = Paths(root)
    paths.check_own()
    done = []
    try:
        check_format(paths)
    except StoreError:
        _check_is_ours(paths)
        with store_errors(root):
            claims = _claims_of(paths)
            remove(paths.format)
            write_format(paths, claims, is_new=False)
        how = ", for claims by lease" if claims == "lease" else ""
        done.append(f"{paths.format}: written anew{how}")
    with store_errors(root):
        for folder in (paths.cells, paths.all_work, paths.runs):
            if paths.format.exists() and not folder.is_dir():
                folder.mkdir()
                done.append(f"{folder}: made anew, empty")
        num_sealed = sum(_seal(paths, name) for name in paths.cell_names())
    if num_sealed:
        done.append(f"{root}: gave {num_sealed} cells a checksum of how they ran")
    return done


def _seal(paths: Paths, name: str) -> bool:
    """Seal what an earlier version wrote of how a cell ran; returns whether it was unsealed."""
    path = paths.cell(name) / EXECUTION
    try:
        execution = Execution.of_file(name, paths.real_cell(name) / EXECUTION)
    except StoreError:
        return False  # `verify` names it
    if execution.is_sealed:
        return False
    aside = aside_of(paths.all_work / path.name)
    write_synced(aside, execution.to_bytes(name))
    aside.replace(path)
    return True


def _check_is_ours(paths: Paths) -> None:
    """See that a folder holds what a store holds, and something that only a store can hold."""
    found: dict[str, object] = {}
    with contextlib.suppress(ValueError, StoreError):
        found = json_mapping(read_file(paths.format))
    if _is_later(found):
        raise UsageError(
            f"{paths.format}: says version {found['version']}, which takes a later version of "
            "lottery-ticket. If there never was one here, the file is damaged: remove it, and "
            "repair again"
        )
    with reading(paths.root):
        others = [e.name for e in _all_in(paths.root) if not e.name.startswith(".")]
        strangers = set(others) - {*_OWN, paths.format.name}
        if strangers or not (_has_run(paths) or _has_cell(paths)):
            what = f"it holds {min(strangers)!r}" if strangers else "no run or cell in it is whole"
            raise UsageError(f"{paths.root}: does not look like a store: {what}; nothing was done")


def _has_run(paths: Paths) -> bool:
    for run_id in paths.run_entries():
        with contextlib.suppress(StoreError):
            path = paths.run(run_id)
            RunRecord.from_bytes(read_file(path), path)
            return True
    return False


def _has_cell(paths: Paths) -> bool:
    for name in paths.cell_names():
        with contextlib.suppress(StoreError):
            CellRecord.of_file(paths.real_cell(name) / RECORD)
            return True
    return False
