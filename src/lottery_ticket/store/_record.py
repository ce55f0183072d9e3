"""What the store knows of a finished cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import StoreError
from lottery_ticket.store._files import json_bytes, sealed_json, sha256, unsealed_json

__all__ = ["CellRecord"]


@dataclass(frozen=True)
class CellRecord:
    """A finished cell: its own inputs, the parents it really saw, its files and its results.

    Args:
        name: the cell's name.
        inputs: what its name was made from.
        parents: role → content hash of the parent it read.
        files: file name → {"sha256", "bytes"}.
        results: what was measured; plain JSON values.
    """

    name: str
    inputs: Mapping[str, Any]
    parents: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    results: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        name: str,
        inputs: Mapping[str, Any],
        parents: Mapping[str, str],
        files: Mapping[str, bytes],
        results: Mapping[str, Any],
    ) -> "CellRecord":
        """The record of a cell that has just been made."""
        described = {
            file: {"sha256": sha256(data), "bytes": len(data)} for file, data in files.items()
        }
        return cls(name, dict(inputs), dict(parents), described, dict(results))

    @property
    def content(self) -> str:
        """The hash of the results and files: equal for equal bytes, whoever made them."""
        return sha256(json_bytes({"files": self.files, "results": self.results}))

    def to_bytes(self) -> bytes:
        """The bytes of record.json; the last line of defence is their own checksum."""
        return sealed_json(self._values())

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> "CellRecord":
        """Read record.json; raises `StoreError` that names the file if a bit of it differs."""
        try:
            return cls(**unsealed_json(data))
        except (ValueError, TypeError) as error:
            raise StoreError(f"{where}: damaged: {error}") from None

    def _values(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inputs": self.inputs,
            "parents": self.parents,
            "files": self.files,
            "results": self.results,
        }
