"""Reading files that may be damaged, or claim more than they hold: bounds before any memory."""

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Any

import torch
from safetensors.torch import load

from lottery_ticket.errors import DataError, LotteryError, UsageError

__all__ = ["check_claim", "claimed_shape", "made_sense_of", "read_tensors"]

_SMALL = 256 << 20
_RATIO = 256
_MAX_DIMENSIONS = 64  # as numpy and torch have it
_MAX_SIZE = 2**63 - 1


def most_bytes(num_bytes: int) -> int:
    """How much a file of so many bytes may unpack to, unless the user says more: 256 MiB, or 256
    times its size. What is kept of a sparse net is a hundredth of it, or a little less."""
    return max(_SMALL, _RATIO * num_bytes)


def check_claim(source: object, claimed: int, num_bytes: int, remedy: str) -> None:
    """Raises `DataError` if a file of `num_bytes` claims to unpack to more than it may.

    >>> check_claim("mine.npz", 10**9, 99, "save it again")
    Traceback (most recent call last):
        ...
    lottery_ticket.errors.DataError: mine.npz: 99 bytes that claim 1,000,000,000; save it again
    """
    if claimed > most_bytes(num_bytes):
        raise DataError(f"{source}: {num_bytes:,} bytes that claim {claimed:,}; {remedy}")


def claimed_shape(shape: Any) -> tuple[int, ...]:
    """A shape that a file names, as a tuple; raises `ValueError` if no tensor can have it.

    >>> claimed_shape([3, 0])
    (3, 0)
    """
    if not isinstance(shape, list | tuple) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a shape that is no list of sizes")
    if not all(type(side) is int and 0 <= side <= _MAX_SIZE for side in shape):
        raise ValueError(f"a shape of {shape}")
    # an empty tensor may not hide sides that no tensor has
    if math.prod(side for side in shape if side) > _MAX_SIZE:
        raise ValueError(f"a shape of {shape}")
    return tuple(shape)


def read_tensors(data: bytes, key: str) -> tuple[dict[str, torch.Tensor], Any]:
    """The tensors of a safetensors file, and what stands as JSON under a key of its metadata.

    Takes no more memory than the file: its reader checks names and places against its length.

    Returns:
        Name → tensor; the value, None where the file has none.
    """
    tensors = load(data)
    length = int.from_bytes(data[:8], "little")  # safetensors: header length, then JSON
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return tensors, json.loads(metadata[key]) if key in metadata else None


@contextlib.contextmanager
def made_sense_of(source: object, what: str, remedy: str = "") -> Iterator[None]:
    """Turns whatever goes wrong inside into a `DataError` that names the file.

    Args:
        source: the file's name.
        what: what it should be, such as `mask file`.
        remedy: what to do, put behind the reason.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror or error})") from error
    # Exception, as damaged bytes make decoders (safetensors, JSON, zlib, torch) raise nearly any
    except Exception as error:
        if isinstance(error, LotteryError) and not isinstance(error, UsageError):
            raise  # but what a file says wrong is no wrong usage
        lines = str(error).splitlines() or [""]
        reason = lines[0][:200] or type(error).__name__
        raise DataError(f"{source}: not a readable {what} ({reason}){remedy}") from error
