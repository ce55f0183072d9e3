"""How what a run is called is kept: a note on the store's board for each change of it.

It is no part of the run's record, so that it renames nothing. A change is written once and never
again, and what a run is called is what all its changes say together. So two who change it at once
lose nothing, whatever kind of store it is, and a copy of a run takes over whatever changes the
other store has.

A change comes after those that whoever made it had seen, whatever the clocks say. Notes replace
those that were seen, and no others. One that is damaged is left out, with a warning: nothing but
what a run is called hangs on it.
"""

import contextlib
import re
import secrets
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store._files import sealed_json, unsealed_json
from lottery_ticket.store._making import Board
from lottery_ticket.store._run_labels import NOTES, RunEdit, RunLabels
from lottery_ticket.store._values import NUMBER, TEXT, Kind, check, check_known, optional

__all__ = [
    "LABELS",
    "DamagedLabelWarning",
    "add_change",
    "check_change",
    "damaged_notes",
    "forget_damaged",
    "labelled_run",
    "labels_by_run",
    "labels_of_run",
]

LABELS = "labels"
"""The kind of the notes; each is called by its run and a token."""

_NOTE = re.compile(r"(.+)\.([0-9a-f]{16})")
_LATER_SECONDS = 1e-3
_END_SECONDS = 1e12
"""Since the epoch; before it a time and one that is a little later differ as floats."""


class DamagedLabelWarning(UserWarning):
    """Something of what runs are called is damaged, and is left out."""


def _list_of(kind: Kind) -> Kind:
    return Kind(
        f"a list of {kind.wanted}", lambda v: isinstance(v, list) and all(map(kind.fits, v))
    )


_TIME = Kind(
    f"seconds since 1970, fewer than {_END_SECONDS:.0e}",
    lambda v: NUMBER.fits(v) and abs(v) < _END_SECONDS,
)
_TOKEN = Kind("16 hex digits", lambda v: isinstance(v, str) and len(v) == 16 and TEXT.fits(v))
_KINDS = {
    "name": optional(TEXT),
    "add_tags": _list_of(TEXT),
    "remove_tags": _list_of(TEXT),
    "notes": optional(NOTES),
    "replaces": _list_of(_TOKEN),
}


@dataclass(frozen=True)
class _Change:
    """An edit as it was written.

    Args:
        at: seconds since the epoch; later than what whoever made it had seen.
        token: what no other change is called.
        edit: what it changes.
        replaces: tokens of the changes whose notes it replaces.
    """

    at: float
    token: str
    edit: RunEdit
    replaces: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The bytes of its note, which say what changes and no more."""
        said = {"at": self.at, **vars(self.edit), "replaces": self.replaces}
        return sealed_json({key: value for key, value in said.items() if value not in (None, ())})


def _read(where: str, name: str, data: bytes) -> _Change:
    """A change; what a later version says beside is left alone."""
    try:
        if not labelled_run(name):
            raise ValueError("its name is that of no change: RUN.TOKEN")
        values = unsealed_json(data)
        check("at", values.get("at"), _TIME)
        check_known("", values, _KINDS)
        replaces = tuple(values.get("replaces", ()))
        known = ("name", "add_tags", "remove_tags", "notes")
        edit = RunEdit(**{key: values[key] for key in known if key in values})
    except ValueError as error:  # a UsageError is one
        raise DamagedError(
            f"{where}/board/{LABELS}/{name}: damaged ({error}); nothing but a name, tags or notes "
            "of a run is in it, and `lottery gc` removes it"
        ) from None
    return _Change(values["at"], name.rpartition(".")[2], edit, replaces)


def labelled_run(note: str) -> str:
    """Of which run a note of the kind is; empty: of none."""
    found = _NOTE.fullmatch(note)
    return found[1] if found else ""


def labels_by_run(board: Board, where: str) -> dict[str, RunLabels]:
    """What each run is called that is called something; raises `StoreError`."""
    changes = defaultdict[str, list[_Change]](list)
    for note, change in _whole(_all(board, where)).items():
        changes[labelled_run(note)].append(change)
    return {run_id: _labels(found) for run_id, found in changes.items()}


def labels_of_run(board: Board, where: str, run_id: str) -> RunLabels:
    """What one run is called; raises `StoreError`."""
    return _labels(_changes(board, where, run_id))


def _changes(board: Board, where: str, run_id: str) -> list[_Change]:
    notes = [note for note in board.names(LABELS) if labelled_run(note) == run_id]
    return [*_whole(_each(board, where, notes)).values()]


def _all(board: Board, where: str) -> dict[str, _Change | DamagedError]:
    """By note, what it says or what is wrong with it."""
    try:
        found = board.get_all(LABELS)
    except DamagedError:  # one is not even a file that could be read
        return _each(board, where, board.names(LABELS))
    return {note: _tried(where, note, data) for note, data in found.items()}


def _each(board: Board, where: str, notes: Iterable[str]) -> dict[str, _Change | DamagedError]:
    found: dict[str, _Change | DamagedError] = {}
    for note in notes:
        try:
            data = board.get(LABELS, note)
        except DamagedError as error:
            found[note] = error
        else:
            found |= {} if data is None else {note: _tried(where, note, data)}
    return found


def _tried(where: str, note: str, data: bytes) -> _Change | DamagedError:
    try:
        return _read(where, note, data)
    except DamagedError as error:
        return error


def _whole(found: Mapping[str, _Change | DamagedError]) -> dict[str, _Change]:
    """Those that are as they were written; says of the others that they are left out."""
    if damaged := [one for one in found.values() if isinstance(one, DamagedError)]:
        more = f" ({len(damaged) - 1} more: `lottery verify` has all)" if damaged[1:] else ""
        warnings.warn(f"left out: {damaged[0]}{more}", DamagedLabelWarning, stacklevel=1)
    return {note: one for note, one in found.items() if isinstance(one, _Change)}


def _labels(changes: Iterable[_Change]) -> RunLabels:
    labels = RunLabels()
    changes = sorted(changes, key=lambda change: (change.at, change.token))
    for change in changes:
        labels = change.edit.of(labels)
    said = dict.fromkeys(change.edit.notes for change in _of_notes(changes))
    return RunLabels(labels.name, labels.tags, "\n".join(filter(None, said)))


def _of_notes(changes: Iterable[_Change]) -> list[_Change]:
    """Those whose notes nobody has replaced: more than one where several wrote at once."""
    replaced = {token for change in changes for token in change.replaces}
    return [c for c in changes if c.edit.notes is not None and c.token not in replaced]


def add_change(board: Board, where: str, run_id: str, edit: RunEdit) -> RunLabels:
    """Write down a change, unless it changes nothing; what the run is called then.

    Raises:
        StoreError: the store cannot be written or read; or nothing can come later than a change
            that is there.
    """
    changes = _changes(board, where, run_id)
    before = _labels(changes)
    if edit.of(before) == before:
        return before
    now = max([time.time(), *(change.at + _LATER_SECONDS for change in changes)])
    if not _TIME.fits(now):
        raise StoreError(
            f"{where}: what {run_id} is called was changed at the end of time ({now:.0f} s since "
            f"1970), by this clock or a note in board/{LABELS}; set the clock, or remove that note"
        )
    replaced = () if edit.notes is None else tuple(change.token for change in _of_notes(changes))
    change = _Change(now, secrets.token_hex(8), edit, replaced)
    board.put(LABELS, f"{run_id}.{change.token}", change.to_bytes())
    return _labels([*changes, change])


def check_change(where: str, note: str, data: bytes) -> None:
    """Raise `DamagedError` unless that is a change."""
    _read(where, note, data)


def damaged_notes(board: Board, where: str) -> list[DamagedError]:
    """What is wrong with those that are not as they were written; raises `StoreError`."""
    return [one for one in _all(board, where).values() if isinstance(one, DamagedError)]


def forget_damaged(board: Board, where: str) -> None:
    """Take away those that are not as they were written; what cannot be removed stays."""
    for note, one in _all(board, where).items():
        if isinstance(one, DamagedError):
            with contextlib.suppress(StoreError):
                board.remove(LABELS, note)
