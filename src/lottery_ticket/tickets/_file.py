"""A JSON header and tensors as one safetensors file, sealed with a checksum of both."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.tensor_files import made_sense_of, read_tensors
from lottery_ticket.tickets._digest import weights_sha256
from lottery_ticket.tickets._plain import canonical_json

__all__ = ["REMEDY", "sealed", "unsealed"]

_FORMAT = "lottery_ticket.ticket/1"
REMEDY = "; copy or save it again"


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
    with made_sense_of(source, "ticket file", REMEDY):
        tensors, header = read_tensors(data, "ticket")
        header = {} if header is None else header
        if header.get("format") != _FORMAT:
            raise DataError(
                f"{source}: not a ticket file (format {header.get('format')!r}, "
                f"wanted {_FORMAT!r}); write one with Ticket.save"
            )
        if header.pop("sha256") != _checksum(header, tensors):
            raise ValueError("its checksum differs")
        return header, tensors


def _checksum(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    text = f"{canonical_json(header)}\n{weights_sha256(tensors)}"
    return hashlib.sha256(text.encode()).hexdigest()
