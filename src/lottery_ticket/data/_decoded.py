"""Decoded images on disk, so that the next process maps them into memory instead of decoding.

A cache: whatever goes wrong with it, the files themselves are read. Processes that map the same
file share its memory.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lottery_ticket.data._dataset import DataSet, Split
from lottery_ticket.data._files import cache_dir

__all__ = ["decoded"]

_FORMAT = "2"  # raised when the same files decode to other tensors


def decoded(
    name: str,
    paths: Sequence[Path],
    decode: Callable[[], DataSet],
    *,
    worth_bytes: int = 4 << 20,
) -> DataSet:
    """What `decode` makes of image files, without a validation split; decoded once.

    Args:
        name: the data set's name.
        paths: the files that it is read from; another size or time makes them others.
        decode: reads them.
        worth_bytes: of files; fewer are decoded in a blink.
    """
    stats = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    if sum(size for _, size, _ in stats) < worth_bytes:
        return decode()
    key = hashlib.sha256(json.dumps([_FORMAT, name, stats]).encode()).hexdigest()[:16]
    cached = cache_dir().parent / "decoded" / f"{name}-{key}.safetensors"
    with contextlib.suppress(Exception):  # whatever a damaged one makes of its readers
        return _read(cached, name)
    data = decode()
    with contextlib.suppress(OSError):  # a full disk, or one that cannot be written
        _write(cached, data)
    return data


def _read(path: Path, name: str) -> DataSet:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        meta = file.metadata()
    num_classes = int(meta["num_classes"])
    if meta["sums"] != _sums(tensors, meta["digest"], num_classes):
        raise ValueError("it differs from what was written")
    splits = [Split(tensors[f"{part}.x"], tensors[f"{part}.y"]) for part in ("train", "test")]
    return DataSet(name, splits[0], None, splits[1], "classification", num_classes, meta["digest"])


def _sums(tensors: Mapping[str, torch.Tensor], *others: object) -> str:
    """The sums of all words, modulo 2^64: noticed is any word that differs, for a look at each.

    A hash would take longer than to decode the files, and a cache has no enemies.
    """
    sums: dict[str, object] = {"others": others}
    for name, value in sorted(tensors.items()):
        octets = value.reshape(-1).view(torch.uint8)
        whole = len(octets) // 8 * 8
        words, rest = octets[:whole].view(torch.int64), octets[whole:]
        sums[name] = [str(value.dtype), list(value.shape), int(words.sum()), rest.tolist()]
    return json.dumps(sums)


def _write(path: Path, data: DataSet) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
    os.close(handle)
    aside = Path(name)
    splits = {"train": data.train, "test": data.test}
    tensors = {f"{part}.x": split.tensor for part, split in splits.items()}
    tensors |= {f"{part}.y": split.y for part, split in splits.items()}
    try:
        sums = _sums(tensors, data.digest, data.num_classes)
        meta = {"digest": data.digest, "num_classes": str(data.num_classes)}
        save_file(tensors, aside, {**meta, "sums": sums})
        with aside.open("r+b") as file:
            os.fsync(file.fileno())  # a good header before bad pages would be believed
        aside.replace(path)
    except SafetensorError as error:  # how it reports that a file cannot be written
        raise OSError(str(error)) from error
    finally:
        aside.unlink(missing_ok=True)
