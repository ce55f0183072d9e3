"""How a finished cell ran: execution.json, sealed like a record and of one cell alone.

Earlier versions wrote it without a checksum. Such a file is one that they could have written, to
the byte; a sealed one names its cell, which they did not, so that what is left of a broken seal is
never taken for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery_ticket.errors import DamagedError
from lottery_ticket.store._files import (
    json_bytes,
    json_mapping,
    read_file,
    sealed_json,
    unsealed_json,
)
from lottery_ticket.store._values import (
    COUNT,
    FILE_NAME,
    MAPPING,
    NUMBER,
    TEXT,
    Kind,
    check_known,
    mapping_of,
)

__all__ = ["Execution"]

_VALUES = {
    "device": TEXT,
    "threads": COUNT,
    "versions": mapping_of(TEXT),
    "cpu": TEXT,
    "host": TEXT,
    "process": COUNT,
    "finished": NUMBER,
    "train_seconds": NUMBER,
    "precision": TEXT,
    "kernels": MAPPING,
    "not_kept": Kind(
        "a list of file names",
        lambda value: isinstance(value, list) and all(map(FILE_NAME.fits, value)),
    ),
}
_SEAL = b'{\n "checksum": "'
_CELL = "of_cell"  # stands amid the others, so that no cut takes it away with the checksum alone
# what earlier versions always wrote, and what they left out where there was nothing to say
_OLD = {"device", "threads", "versions", "cpu", "host", "process", "finished", "train_seconds"}
_OLD_OPTIONS = {"precision", "kernels", "not_kept"}


@dataclass(frozen=True)
class Execution:
    """Where and how a cell ran.

    Args:
        values: plain JSON values.
        is_sealed: whether its file has a checksum; those of earlier versions have none.
    """

    values: Mapping[str, Any]
    is_sealed: bool = True

    @property
    def not_kept(self) -> frozenset[str]:
        """The names of the cell's files that were not kept."""
        return frozenset(self.values.get("not_kept", ()))

    def to_bytes(self, cell: str) -> bytes:
        """The bytes of execution.json of a cell."""
        return sealed_json({**self.values, _CELL: cell})

    @classmethod
    def from_bytes(cls, data: bytes, cell: str, where: object) -> "Execution":
        """Read execution.json; raises `DamagedError` that names the file."""
        try:
            old = None if data.startswith(_SEAL) else _old(data)
            values = unsealed_json(data) if old is None else old
            if old is None and values.pop(_CELL, None) != cell:
                raise ValueError("it is of another cell")
            execution = cls(values, is_sealed=old is None)
            check_known("execution", execution.values, _VALUES)
        except ValueError as error:
            raise DamagedError(f"{where}: damaged: {error}") from None
        return execution

    @classmethod
    def of_file(cls, cell: str, path: Path) -> "Execution":
        """Read a file; raises `DamagedError` as `from_bytes`, `StoreError` if it cannot be read."""
        return cls.from_bytes(read_file(path), cell, path)


def _old(data: bytes) -> dict[str, Any] | None:
    """The values, where an earlier version could have written these very bytes."""
    try:
        values = json_mapping(data)
        is_old = _OLD <= values.keys() <= _OLD | _OLD_OPTIONS and json_bytes(values) == data
    except (ValueError, RecursionError):
        return None
    return values if is_old else None
