"""A JSON header and tensors as one safetensors file, sealed with a checksum of both."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.tickets._digest import weights_sha256
from lottery_ticket.tickets._plain import canonical_json

__all__ = ["UNREADABLE", "sealed", "unsealed"]

_FORMAT = "lottery_ticket.ticket/1"

# what damaged or foreign bytes can raise
UNREADABLE = (
    SafetensorError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    MemoryError,
)


def sealed(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> bytes:
    """The bytes of the file; equal for equal content."""
    content = {**header, "format": _FORMAT}
    content["sha256"] = _checksum(content, tensors)
    try:
        # one key: safetensors writes several in an order that differs from process to process
        return save(dict(tensors), metadata={"ticket": canonical_json(content)})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"safetensors cannot hold the ticket's tensors: {error}") from error


def unsealed(data: bytes, source: object) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Header and tensors; raises `DataError` that names the source if they are something else."""
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")  # safetensors: header length, then JSON
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
        header = json.loads(metadata.get("ticket", "{}"))
        if header.get("format") != _FORMAT:
            raise DataError(
                f"{source}: not a ticket file (format {header.get('format')!r}, "
                f"wanted {_FORMAT!r}); write one with Ticket.save"
            )
        if header.pop("sha256") != _checksum(header, tensors):
            raise ValueError("its checksum differs")
    except UNREADABLE as error:
        raise DataError(
            f"{source}: not a readable ticket file ({error}); copy or save it again"
        ) from error
    return header, tensors


def _checksum(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    text = f"{canonical_json(header)}\n{weights_sha256(tensors)}"
    return hashlib.sha256(text.encode()).hexdigest()
