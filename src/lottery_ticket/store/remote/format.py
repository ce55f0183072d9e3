"""The object that says what lies under a prefix, and what is seen to before anything is written."""

import json

from lottery_ticket.errors import StoreError
from lottery_ticket.store._files import json_bytes, json_mapping
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket
from lottery_ticket.store.remote.probing import probe

__all__ = ["check_format", "check_runs", "make_writable"]

_FORMAT = {"format": "lottery_ticket.store", "version": 3}  # 1 and 2 are folders


def check_format(bucket: Bucket) -> bool:
    """See that a store of this version lies under the prefix, or nothing at all.

    Returns:
        Whether one does.

    Raises:
        StoreError: something else does; or the bucket cannot be read.
    """
    found = bucket.get(keys.FORMAT)
    if found is None:
        _check_empty(bucket)
        return False
    where = f"{bucket.location}/{keys.FORMAT}"
    try:
        values = json_mapping(found.data)
    except ValueError as error:
        raise StoreError(f"{where}: cannot be read ({error}); {_remedy(bucket)}") from None
    if values != _FORMAT:
        said = f"{where}: holds {values!r:.200}, this version reads {_FORMAT}"
        is_ours = values.keys() == _FORMAT.keys() and values["format"] == _FORMAT["format"]
        version = values.get("version")
        if is_ours and type(version) is int and version > _FORMAT["version"]:  # type: ignore[operator]
            raise StoreError(f"{said}; it takes a later version of lottery-ticket")
        raise StoreError(f"{said}; {_remedy(bucket)}")
    return True


def _check_empty(bucket: Bucket) -> None:
    """Objects of others are no store: nothing of theirs is ever read or removed."""
    for one in bucket.list(""):
        first = one.key.partition("/")[0]
        if first == keys.PROBES or one.key == keys.KEPT:
            continue  # a store is being made; or whoever made it was killed before it was one
        hint = f"; {_remedy(bucket)}" if first in keys.OWN else ""
        raise StoreError(
            f"{bucket.location}: not a store: it holds {one.key!r} but no {keys.FORMAT}; choose "
            f"another prefix, such as {bucket.location}/lottery{hint}"
        )


def _remedy(bucket: Bucket) -> str:
    return f"if this is a store, put {json.dumps(_FORMAT)} back as {bucket.location}/{keys.FORMAT}"


def make_writable(bucket: Bucket) -> None:
    """Prove that the bucket keeps its promises, and say what lies there.

    Raises:
        StoreError: it cannot be written, ignores conditions, or holds something else.
    """
    is_there = check_format(bucket)
    if is_there:
        check_runs(bucket)
    probe(bucket)
    if not is_there:
        bucket.put(keys.KEPT, b"")  # first: a store without it has lost its runs
        if bucket.create(keys.FORMAT, json_bytes(_FORMAT)) is None:
            check_format(bucket)  # somebody else was first, perhaps another version


def check_runs(bucket: Bucket) -> None:
    """See that the records of runs are there if there are cells.

    Raises:
        StoreError: they are gone, so that every cell would seem to be nobody's.
    """
    if next(bucket.list(keys.RUNS), None) is None and next(bucket.list(keys.CELLS), None):
        raise StoreError(
            f"{bucket.location}/{keys.RUNS}: missing, so nobody knows whose the cells are; put "
            f"them back, or an empty object as {bucket.location}/{keys.KEPT} and run the specs "
            "again (finished cells are kept)"
        )
