"""A search's state: what is finished of it, on disk and in memory."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.files import write_file
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.masks import PruningMask, RewindPoint
from lottery_ticket.tensor_files import claimed_shape, made_sense_of

__all__ = ["Row", "Search", "begun_or_resumed", "load_search", "save_search"]

_FORMAT = "lottery_ticket.finder/3"
_UNSEALED = "lottery_ticket.finder/2"  # as it was, without checksums
_PARTS = ("initial", "trained", "dense", "best")
_STATE = re.compile(r"state-\d+\.safetensors")
_MASK = re.compile(r"mask-level-\d+\.safetensors")


@dataclass(frozen=True)
class Row:
    """One training of a search, with `eval_fn`'s value as it was returned.

    Args:
        arm: `ticket`, or the control's name.
        level: position in the search; 0 is dense.
        draw: which of several draws of a control.
        num_kept: weights that its mask keeps.
        metric: what `eval_fn` returned after training.
        num_steps: optimiser steps.
        seconds: wall-clock time of `train_fn`.
        criterion, scope: how its mask was made.
        device: where it was trained.
        problems: why the result is invalid; empty when it is valid.
    """

    arm: str
    level: int
    draw: int
    num_kept: int
    metric: float
    num_steps: int
    seconds: float
    criterion: str
    scope: str
    device: str
    problems: tuple[str, ...] = ()


@dataclass
class Search:
    """What a search has found so far; saved after each level, it continues from there.

    Args:
        settings: what decides its course; it is only ever continued under the same.
        initial: θ₀, the model's state before any training.
        rows: the finished trainings.
        masks: level → its mask; the last one is that of the level to come, if any is.
        trained: θ_T of the last finished level.
        dense: θ_T of level 0, for controls that prune it.
        rewind_point: θ_k, once it is known.
        optimizer_state: of the last finished training, for pipelines that keep it.
        dense_optimizer_state: of level 0, for their controls.
        best_level: the level whose ticket is returned.
        best: θ_T of that level.
        unrated: a training that is finished but for `eval_fn`, which failed; `trained` is its θ_T.
    """

    settings: dict[str, Any]
    initial: dict[str, torch.Tensor]
    rows: list[Row] = field(default_factory=list)
    masks: PackedMasks = field(default_factory=PackedMasks)
    trained: dict[str, torch.Tensor] = field(default_factory=dict)
    dense: dict[str, torch.Tensor] = field(default_factory=dict)
    rewind_point: RewindPoint | None = None
    optimizer_state: Mapping[int, Any] | None = None
    dense_optimizer_state: Mapping[int, Any] | None = None
    best_level: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    unrated: Row | None = None

    @property
    def chain(self) -> list[Row]:
        """The trainings of the ticket, level by level."""
        return [row for row in self.rows if row.arm == TICKET]

    @property
    def last_level(self) -> int:
        """The level that `trained` is of."""
        return (self.chain[-1] if self.unrated is None else self.unrated).level

    @property
    def has_fallen(self) -> bool:
        """Whether the last level is worse than dense by more than `max_drop`."""
        max_drop = self.settings["max_drop"]
        if max_drop is None or not self.rows:
            return False
        worse = self.chain[0].metric - self.chain[-1].metric
        if self.settings["mode"] == "min":
            worse = -worse
        return worse > max_drop


def begun_or_resumed(
    settings: dict[str, Any],
    initial: dict[str, torch.Tensor],
    dense: PruningMask,
    folder: Path | None,
) -> Search:
    """A new search, or the one in the folder.

    Raises:
        UsageError: the one in the folder has other settings.
    """
    if folder is None or not (folder / "search.json").exists():
        return Search(settings, initial, masks=PackedMasks([dense]))
    search = load_search(folder)
    if not search.rows and search.unrated is None:  # nothing was finished
        return Search(settings, initial, masks=PackedMasks([dense]))
    for key, value in settings.items():
        if search.settings.get(key) != value:
            raise UsageError(
                f"resume: the search in {folder} has {key} {search.settings.get(key)!r}, this one "
                f"{value!r}; resume it as it was, or choose another folder"
            )
    return search


def save_search(search: Search, folder: Path) -> None:
    """Write a search into a folder; the JSON comes last, so it names only what is there.

    Raises:
        DataError: the folder cannot be written.
    """
    ties = _ties(search.initial)
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
    plain = {part: _split(part, state, tensors) for part, state in optimizers.items()}
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
        parts = {part: _part(tensors, part, names) for part in (*_PARTS, "rewind")}
        for part, twin in record["same_as"].items():
            parts[part] = parts[twin]
        point = None
        if record["rewind_step"] is not None:
            state = _joined(record["rewind_optimizer"], tensors) or {}
            point = RewindPoint(record["rewind_step"], parts["rewind"], state)
        _check_settings(record["settings"])
        search = Search(
            settings=record["settings"],
            initial=parts["initial"],
            rows=[_row(**row) for row in record["rows"]],
            masks=PackedMasks(
                PruningMask.from_bytes(_read(folder, _MASK, name, record), folder / name)
                for name in record["masks"]
            ),
            trained=parts["trained"],
            dense=parts["dense"],
            rewind_point=point,
            optimizer_state=_joined(record["optimizer"], tensors),
            dense_optimizer_state=_joined(record["dense_optimizer"], tensors),
            best_level=record["best_level"],
            best=parts["best"],
            unrated=_row(**record["unrated"]) if "unrated" in record else None,
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


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Raises `ValueError` or `KeyError` if what results look at is of another type."""
    max_drop = settings["max_drop"]
    are_right = (
        type(settings["name"]) is str
        and settings["mode"] in ("max", "min")
        and type(settings["replicate"]) is int
        and type(settings["seed"]) is int
        and (max_drop is None or type(max_drop) in (int, float))
        and all(claimed_shape(shape) is not None for shape in settings["layers"].values())
    )
    if not are_right:
        raise ValueError("settings of other types")


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


_NUMBERS = ("level", "draw", "num_kept", "num_steps")
_TEXTS = ("arm", "criterion", "scope", "device")


def _row(*, metric: float, seconds: float, problems: list[str], **others: Any) -> Row:
    """A row; raises `ValueError` or `TypeError` if its values are of other types."""
    are_right = (
        all(type(others[name]) is int for name in _NUMBERS)
        and all(type(others[name]) is str for name in _TEXTS)
        and all(type(number) in (int, float) for number in (metric, seconds))
        and all(type(problem) is str for problem in problems)
    )
    if not are_right:
        raise ValueError("a row of other types")
    return Row(metric=metric, seconds=seconds, problems=tuple(problems), **others)


def _part(
    tensors: Mapping[str, torch.Tensor], part: str, ties: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    return {n: tensors[f"{part}/{tie}"] for n, tie in ties.items() if f"{part}/{tie}" in tensors}


def _ties(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Name → the first name of the same tensor."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(value), name) for name, value in state.items()}


def _split(
    part: str, state: Mapping[int, Any] | None, tensors: dict[str, torch.Tensor]
) -> dict[str, Any] | None:
    """Optimiser state as plain values, its tensors put into `tensors` and named in their place."""
    if state is None:
        return None
    plain: dict[str, Any] = {}
    for index, values in state.items():
        plain[str(index)] = {}
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                # a copy: at level 0 the last training is the dense one
                tensors[f"{part}/{index}/{key}"] = value.detach().to("cpu", copy=True)
                value = {"tensor": f"{part}/{index}/{key}"}
            plain[str(index)][key] = value
    return plain


def _joined(
    plain: Mapping[str, Any] | None, tensors: Mapping[str, torch.Tensor]
) -> dict[int, Any] | None:
    if plain is None:
        return None
    return {
        int(index): {
            key: tensors[value["tensor"]] if isinstance(value, dict) else value
            for key, value in values.items()
        }
        for index, values in plain.items()
    }
