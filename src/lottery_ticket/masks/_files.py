"""Masks as packed bits in safetensors: eight weights to the byte, little bit first."""

import json
import math
from collections.abc import Mapping

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lottery_ticket.errors import DataError

__all__ = ["packed_bytes", "unpacked_masks"]

_FORMAT = "lottery_ticket.mask/1"


def packed_bytes(masks: Mapping[str, torch.Tensor]) -> bytes:
    """The bytes of a safetensors file: one packed uint8 tensor per mask, shapes as metadata."""
    shapes = {name: list(mask.shape) for name, mask in masks.items()}
    packed = {
        name: torch.from_numpy(np.packbits(mask.cpu().numpy().ravel(), bitorder="little"))
        for name, mask in masks.items()
    }
    # one key: safetensors writes several in an order that differs from process to process
    header = {"format": _FORMAT, "shapes": shapes}
    return save(packed, metadata={"mask": json.dumps(header)})


def unpacked_masks(data: bytes, source: object) -> dict[str, torch.Tensor]:
    """Read such bytes; raises `DataError` that names their source if they are something else."""
    try:
        packed = load(data)
        length = int.from_bytes(data[:8], "little")  # safetensors: header length, then JSON
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
        header = json.loads(metadata.get("mask", "{}"))
        if header.get("format") != _FORMAT:
            raise DataError(
                f"{source}: not a mask file (format {header.get('format')!r}, "
                f"wanted {_FORMAT!r}); write one with PruningMask.save"
            )
        # model order is that of the shapes; the file sorts its tensors
        return {name: _unpack(packed[name], shape) for name, shape in header["shapes"].items()}
    except (
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise DataError(f"{source}: not a readable mask file ({error}); save it again") from error


def _unpack(packed: torch.Tensor, shape: list[int]) -> torch.Tensor:
    count = math.prod(shape)
    if packed.dtype != torch.uint8 or packed.numel() != -(-count // 8):
        raise ValueError(f"{packed.numel()} bytes of {packed.dtype} for {count} weights")
    bits = np.unpackbits(packed.numpy(), count=count, bitorder="little")
    return torch.from_numpy(bits.astype(bool)).view(shape)
