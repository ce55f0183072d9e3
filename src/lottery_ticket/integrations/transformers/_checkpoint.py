"""What a mask at work needs beside the Trainer's own files, in each of its checkpoint folders.

The Trainer writes `trainer_state.json` last. What is told in it of these files (their digests and
the steps counted) is right, or the checkpoint does not count: a kill at any moment loses nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from lottery_ticket.errors import DataError
from lottery_ticket.files import write_file
from lottery_ticket.masks import MASK_FILE, Attachment, PruningMask, RewindPoint
from lottery_ticket.tensor_files import joined_memory, made_sense_of, read_tensors, split_memory

__all__ = ["REWIND_FILE", "digest", "find", "newest", "read", "write"]

REWIND_FILE = "rewind_point.safetensors"
_STATE_FILE = "trainer_state.json"


def write(folder: Path, attached: Attachment) -> dict[str, Any]:
    """Write the mask, and θ_k if it was reached; returns what `trainer_state.json` is to tell.

    The mask lies there as beside any model: `PruningMask.from_pretrained` reads a checkpoint.
    """
    files = {MASK_FILE: attached.mask.to_bytes()}
    if attached.rewind_point is not None:
        files[REWIND_FILE] = _rewind_bytes(attached.rewind_point)
    for name, data in files.items():
        write_file(folder / name, data)
    return {
        "num_steps": attached.num_steps,
        "folder": str(folder.absolute()),
        "files": {name: digest(data) for name, data in files.items()},
    }


def find(told: Mapping[str, Any], folders: list[Path]) -> Path:
    """The folder with the very files that a checkpoint tells of.

    Raises:
        DataError: there is none among those given, nor where it was written.
    """
    files = dict(told["files"])
    looked_at = [*folders, Path(told["folder"])]
    for folder in looked_at:
        paths = {folder / name: sha for name, sha in files.items()}
        if all(path.is_file() and digest(path.read_bytes()) == s for path, s in paths.items()):
            return folder
    raise DataError(
        f"{looked_at[0]}: the checkpoint's {' and '.join(files)} are not there as they were "
        "written; put them beside its trainer_state.json, in a folder of args.output_dir"
    )


def read(folder: Path, told: Mapping[str, Any]) -> tuple[PruningMask, RewindPoint | None]:
    """What `write` wrote."""
    mask = PruningMask.from_file(folder / MASK_FILE)
    if REWIND_FILE not in told["files"]:
        return mask, None
    path = folder / REWIND_FILE
    with made_sense_of(path, "rewind point"):
        tensors, header = read_tensors(path.read_bytes(), "rewind_point")
        weights = {
            name.removeprefix("weights/"): value
            for name, value in tensors.items()
            if name.startswith("weights/")
        }
        memory = joined_memory(header["optimizer"], tensors) or {}
        return mask, RewindPoint(int(header["step"]), weights, memory)


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint of a training; None if there is none.

    One without a readable `trainer_state.json` was being written as the process was killed.
    """
    found = []
    for path in folder.glob("checkpoint-*"):
        number = path.name.removeprefix("checkpoint-")
        if number.isdecimal() and _is_whole(path):
            found.append((int(number), path))
    return max(found)[1] if found else None


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _is_whole(folder: Path) -> bool:
    try:
        json.loads((folder / _STATE_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _rewind_bytes(point: RewindPoint) -> bytes:
    tensors: dict[str, torch.Tensor] = {
        f"weights/{name}": value.contiguous() for name, value in point.weights.items()
    }
    memory = split_memory("optimizer", point.optimizer_state, tensors)
    header = {"step": point.step, "optimizer": memory}
    return save(tensors, metadata={"rewind_point": json.dumps(header)})
