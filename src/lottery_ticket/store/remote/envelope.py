"""A finished cell in one object: its record, how it ran, and the token under which its files lie.

Both records are held to the byte as a folder would hold them, with their own checksums, so that a
cell is the same wherever it lies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import DamagedError
from lottery_ticket.store._answers import Finished
from lottery_ticket.store._execution import Execution
from lottery_ticket.store._files import sealed_json, unsealed_json
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._values import Kind, check

__all__ = ["Envelope"]

_BYTES = Kind("a text", lambda value: isinstance(value, str))
_FIELDS = {"token", "record", "execution"}


@dataclass(frozen=True)
class Envelope:
    """A finished cell.

    Args:
        token: of the claim that made it; its files lie there.
        found: its records.
    """

    token: str
    found: Finished

    @classmethod
    def of(cls, token: str, record: CellRecord, execution: Mapping[str, Any]) -> "Envelope":
        """Of a cell that has just been made."""
        return cls(token, Finished(record, Execution(execution)))

    def to_bytes(self) -> bytes:
        """The bytes of its object, which no other claim's are: the token is in them."""
        record, execution = self.found.record, self.found.execution
        return sealed_json(
            {
                "token": self.token,
                "record": record.to_bytes().decode(),
                "execution": execution.to_bytes(record.name).decode(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, name: str, where: str) -> "Envelope":
        """Read an object; raises `DamagedError` that names it if a bit of it differs."""
        try:
            values = unsealed_json(data)
            if values.keys() != _FIELDS:
                raise ValueError(f"it holds {sorted(values)}")
            for field, value in values.items():
                check(field, value, _BYTES)
        except ValueError as error:
            raise DamagedError(f"{where}: damaged: {error}") from None
        record = CellRecord.from_bytes(values["record"].encode(), where)
        if record.name != name:
            raise DamagedError(f"{where}: damaged: it is the record of {record.name}")
        execution = Execution.from_bytes(values["execution"].encode(), name, where)
        return cls(values["token"], Finished(record, execution))
