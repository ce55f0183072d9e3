"""What the store knows of a finished cell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery_ticket.errors import DamagedError
from lottery_ticket.store._files import json_bytes, read_file, sealed_json, sha256, unsealed_json
from lottery_ticket.store._values import (
    CELL_NAME,
    COUNT,
    FILE_NAME,
    MAPPING,
    NUMBER,
    TEXT,
    Kind,
    check,
    check_each,
    check_known,
    mapping_of,
    optional,
)

__all__ = ["CellRecord"]


def _is_history(history: Any) -> bool:
    """Whether it is a list of what was measured; there are many of them, so types go first."""
    if not isinstance(history, list) or not set(map(type, history)) <= {dict}:
        return False
    values = [value for record in history for value in record.values() if value is not None]
    try:
        return set(map(type, values)) <= {int, float} and all(map(math.isfinite, values))
    except OverflowError:  # a whole number beyond all floats
        return False


_HISTORY = Kind("a list of numbers by name", _is_history)
_FLAG = Kind("true or false", lambda value: isinstance(value, bool))

# what is shown and computed with; a cell may have other results
_RESULTS = {
    **dict.fromkeys(("num_steps", "num_test", "num_kept", "num_prunable", "start_step"), COUNT),
    **dict.fromkeys(("test_loss", "val_loss"), optional(NUMBER)),
    **dict.fromkeys(("test_accuracy", "val_accuracy"), optional(NUMBER)),
    "early_stop_step": optional(COUNT),
    "policy_pruned_step": COUNT,
    "policy_has_settled": _FLAG,
    "is_still_falling": optional(_FLAG),
    "test_accuracy_at_early_stop": optional(NUMBER),
    "metric": TEXT,
    "higher_is_better": _FLAG,
    **dict.fromkeys(("test_metric", "val_metric"), optional(NUMBER)),
    "history": _HISTORY,
    "layers": mapping_of(COUNT),
    "initial_sha256": CELL_NAME,
}
_FILE = {"sha256": CELL_NAME, "bytes": COUNT}
# what a training's model and data are read from; a cell may have other inputs
_INPUTS = {
    "model": Kind("a mapping with a name", lambda value: TEXT.fits(_get(value, "name"))),
    "data": Kind("a mapping with a digest", lambda value: TEXT.fits(_get(value, "digest"))),
    "seeds": mapping_of(COUNT),
    "parents": mapping_of(CELL_NAME),
    "start_step": COUNT,
}


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


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

    def input(self, name: str) -> Any:
        """An input that every cell of its kind has; raises `DamagedError` if this one has not."""
        if name not in self.inputs:
            raise DamagedError(f"cell {self.name}: damaged: its inputs hold no {name}")
        return self.inputs[name]

    def to_bytes(self) -> bytes:
        """The bytes of record.json; the last line of defence is their own checksum."""
        return sealed_json(self._values())

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> "CellRecord":
        """Read record.json; raises `DamagedError` that names the file if a bit of it differs."""
        try:
            record = cls(**unsealed_json(data))
            record._check()
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{where}: damaged: {error}") from None
        return record

    @classmethod
    def of_file(cls, path: Path) -> "CellRecord":
        """Read a file; raises `DamagedError` as `from_bytes`, `StoreError` if it cannot be read."""
        return cls.from_bytes(read_file(path), path)

    def _check(self) -> None:
        """See that names are names and values are what they are used as."""
        check("name", self.name, CELL_NAME)
        for field in ("inputs", "parents", "files", "results"):
            check(field, getattr(self, field), MAPPING)
        check_known("inputs", self.inputs, _INPUTS)
        check_each("parents", self.parents, CELL_NAME)
        check_known("results", self.results, _RESULTS)
        for name, described in self.files.items():
            check("files", name, FILE_NAME)
            check(f"files[{name!r}]", described, MAPPING)
            if described.keys() != _FILE.keys():
                raise ValueError(f"files[{name!r}]: got {sorted(described)}, wanted {list(_FILE)}")
            check_known(f"files[{name!r}]", described, _FILE)

    def _values(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inputs": self.inputs,
            "parents": self.parents,
            "files": self.files,
            "results": self.results,
        }
