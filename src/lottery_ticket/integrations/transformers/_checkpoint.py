"""What a mask at work needs beside the Trainer's own files, in each of its checkpoint folders.

The Trainer writes `trainer_state.json` last. What is told in it of these files (their digests) is
right, or the checkpoint does not count: a kill at any moment loses nothing.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import DataError
from lottery_ticket.files import write_file
from lottery_ticket.masks import MASK_FILE, Attachment
from lottery_ticket.tensor_files import made_sense_of

__all__ = ["STATE_FILE", "digest", "find", "newest", "read", "write"]

STATE_FILE = "pruning_state.pt"
_TRAINERS_FILE = "trainer_state.json"


def write(folder: Path, attached: Attachment) -> dict[str, Any]:
    """Write the mask and the attachment's state; returns what `trainer_state.json` is to tell.

    The mask lies there as beside any model: `PruningMask.from_pretrained` reads a checkpoint.
    """
    state = io.BytesIO()
    torch.save(attached.state_dict(), state)
    files = {MASK_FILE: attached.mask.to_bytes(), STATE_FILE: state.getvalue()}
    for name, data in files.items():
        write_file(folder / name, data)
    told = {name: digest(data) for name, data in files.items()}
    return {"folder": str(folder.absolute()), "files": told}


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
        f"the checkpoint's {' and '.join(files)} are not there as they were written, neither in "
        f"{told['folder']}, where they were, nor in {folders[0]}, where args.output_dir has them: "
        f"a Trainer does not say where it goes on from, so copy the checkpoint to {folders[0]}"
    )


def read(folder: Path) -> dict[str, Any]:
    """The state that `write` wrote; nothing in the file is executed."""
    path = folder / STATE_FILE
    with made_sense_of(path, "pruning state"):
        return torch.load(path, weights_only=True)


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
        json.loads((folder / _TRAINERS_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return True
