"""A search in a folder of its own, as safetensors and JSON."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.files import write_file
from lottery_ticket.finder._live import Net
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.finder._plain import (
    check_settings,
    joined_memory,
    part_of,
    row_of,
    split_memory,
    ties_of,
)
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.masks import PruningMask, RewindPoint
from lottery_ticket.tensor_files import made_sense_of

__all__ = ["SearchFolder", "load_search", "save_search"]

_FORMAT = "lottery_ticket.finder/3"
_UNSEALED = "lottery_ticket.finder/2"  # as it was, without checksums
_PARTS = ("initial", "trained", "dense", "best")
_STATE = re.compile(r"state-\d+\.safetensors")
_MASK = re.compile(r"mask-level-\d+\.safetensors")


class SearchFolder:
    """Keeps a search in a folder of its own.

    Args:
        folder: it need not be there.
        settings: of the search.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, settings

    def __str__(self) -> str:
        return str(self._folder)

    def at_work(self) -> AbstractContextManager[None]:
        """Nobody else is kept away from a folder."""
        return nullcontext()

    def resumed(self) -> Search | None:
        """The search in the folder; None if nothing of it is finished.

        Raises:
            UsageError: it has other settings.
            DataError: it is damaged.
        """
        if not (self._folder / "search.json").exists():
            return None
        search = load_search(self._folder)
        if not search.rows and search.unrated is None:
            return None
        for key, value in self._settings.items():
            if key == "model" and key not in search.settings:
                continue  # saved before it was told
            if search.settings.get(key) != value:
                raise UsageError(
                    f"resume: the search in {self._folder} has {key} {search.settings.get(key)!r}, "
                    f"this one {value!r}; resume it as it was, or choose another folder"
                )
        return search

    def save(self, search: Search) -> None:
        """Write it into the folder; raises `DataError` as `save_search`."""
        save_search(search, self._folder)

    def keep_control(self, search: Search, row: Row, mask: PruningMask, net: Net) -> None:
        """The same; of a control's net nothing is kept."""
        save_search(search, self._folder)


def save_search(search: Search, folder: Path) -> None:
    """Write a search into a folder; the JSON comes last, so it names only what is there.

    Raises:
        DataError: the folder cannot be written.
    """
    ties = ties_of(search.initial)
    tensors: dict[str, torch.Tensor] = {}
    same_as: dict[str, str] = {}  # at level 0, say, `trained`, `dense` and `best` are one
    for part in _PARTS:
        state = getattr(search, part)
        twin = next((p for p in _PARTS[: _PARTS.index(part)] if getattr(search, p) is state), None)
        if twin is None:
            tensors |= {f"{part}/{n}": value for n, value in state.items() if ties[n] == n}
        else:
            same_as[part] = twin
    point = search.rewind_point
    if point is not None:
        tensors |= {f"rewind/{n}": value for n, value in point.weights.items() if ties[n] == n}
    optimizers = {
        "rewind_optimizer": None if point is None else point.optimizer_state,
        "optimizer": search.optimizer_state,
        "dense_optimizer": search.dense_optimizer_state,
    }
    plain = {part: split_memory(part, state, tensors) for part, state in optimizers.items()}
    number = len(search.rows)
    state_name = f"state-{number}.safetensors"
    record = {
        "format": _FORMAT,
        "names": ties,  # in model order, with the name of what each is tied to: itself mostly
        "state": state_name,
        "settings": search.settings,
        "rows": [asdict(row) for row in search.rows],
        "masks": [f"mask-level-{level}.safetensors" for level in range(len(search.masks))],
        "rewind_step": None if point is None else point.step,
        "best_level": search.best_level,
        "same_as": same_as,
        **plain,
    }
    if search.unrated is not None:
        record["unrated"] = asdict(search.unrated)
    if search.code:
        record["code"] = search.code
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    files = {name: search.masks.to_bytes(level) for level, name in enumerate(record["masks"])}
    files[state_name] = save(contiguous)
    record["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    sealed = {"checksum": _checksum(record), **record}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            target = folder / name
            if not target.exists() or target.read_bytes() != data:
                write_file(target, data)
        write_file(folder / "search.json", (json.dumps(sealed, indent=1) + "\n").encode())
        for old in folder.iterdir():
            if _STATE.fullmatch(old.name) and old.name != state_name:
                old.unlink()
    except OSError as error:
        raise DataError(
            f"{folder}: cannot save the search ({error.strerror}); what was saved before is whole, "
            "and finder.save_experiment saves what was found to another folder, to be resumed there"
        ) from error


def load_search(folder: Path) -> Search:
    """Read a search written by `save_search`; nothing in it is executed.

    Raises:
        DataError: the folder holds none, or one that is damaged.
    """
    path = folder / "search.json"
    if not path.is_file():
        raise DataError(f"{folder}: no search here (no search.json); save one first")
    with made_sense_of(path, "saved search", "; it is damaged"):
        record = _unsealed(json.loads(path.read_bytes()), path)
        tensors = load(_read(folder, _STATE, record["state"], record))
        names = record["names"]
        parts = {part: part_of(tensors, part, names) for part in (*_PARTS, "rewind")}
        for part, twin in record["same_as"].items():
            parts[part] = parts[twin]
        point = None
        if record["rewind_step"] is not None:
            state = joined_memory(record["rewind_optimizer"], tensors) or {}
            point = RewindPoint(record["rewind_step"], parts["rewind"], state)
        check_settings(record["settings"])
        search = Search(
            settings=record["settings"],
            initial=parts["initial"],
            rows=[row_of(**row) for row in record["rows"]],
            masks=PackedMasks(
                PruningMask.from_bytes(_read(folder, _MASK, name, record), folder / name)
                for name in record["masks"]
            ),
            trained=parts["trained"],
            dense=parts["dense"],
            rewind_point=point,
            optimizer_state=joined_memory(record["optimizer"], tensors),
            dense_optimizer_state=joined_memory(record["dense_optimizer"], tensors),
            best_level=record["best_level"],
            best=parts["best"],
            unrated=row_of(**record["unrated"]) if "unrated" in record else None,
            code={str(name): str(digest) for name, digest in record.get("code", {}).items()},
        )
        _check_levels(search)
        return search


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _unsealed(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """What was saved; an old search has no checksum, but none that lost it passes as old."""
    if record["format"] not in (_FORMAT, _UNSEALED):
        raise DataError(f"{path}: format {record['format']!r}, wanted {_FORMAT!r}")
    if record["format"] == _UNSEALED and not {"checksum", "files"} & set(record):
        return record
    if record.pop("checksum") != _checksum(record):
        raise ValueError("it differs from what was written")
    return record


def _read(folder: Path, own: re.Pattern[str], name: str, record: Mapping[str, Any]) -> bytes:
    """A file that a search names: one of its own, never one elsewhere."""
    if not own.fullmatch(name) or not (folder / name).is_file():
        raise ValueError(f"it names the file {name!r}")
    data = (folder / name).read_bytes()
    if "files" in record and hashlib.sha256(data).hexdigest() != record["files"][name]:
        raise ValueError(f"{name} differs from what was written")
    return data


def _check_levels(search: Search) -> None:
    """Raises `ValueError` if a level lacks its training or its mask, or has another's."""
    num_levels = len(search.chain)
    are_right = (
        [row.level for row in search.chain] == list(range(num_levels))
        and len(search.masks) >= max(1, num_levels)
        and search.best_level in range(max(1, num_levels))
        and all(row.num_kept == search.masks[row.level].num_kept for row in search.chain)
    )
    if not are_right:
        raise ValueError("its trainings and masks do not fit")
