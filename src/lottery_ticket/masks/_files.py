"""Masks as packed bits in safetensors: eight weights to the byte, little bit first."""

import json
import math
from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import save

from lottery_ticket.errors import DataError
from lottery_ticket.tensor_files import claimed_shape, made_sense_of, read_tensors

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
    with made_sense_of(source, "mask file", "; save it again"):
        packed, header = read_tensors(data, "mask")
        header = {} if header is None else header
        if header.get("format") != _FORMAT:
            raise DataError(
                f"{source}: not a mask file (format {header.get('format')!r}, "
                f"wanted {_FORMAT!r}); write one with PruningMask.save"
            )
        shapes = {name: claimed_shape(shape) for name, shape in header["shapes"].items()}
        if set(shapes) != set(packed):
            raise ValueError("its tensors are not those whose shapes it names")
        # model order is that of the shapes; the file sorts its tensors
        return {name: _unpack(packed[name], shape) for name, shape in shapes.items()}


def _unpack(packed: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    count = math.prod(shape)
    if packed.dtype != torch.uint8 or packed.numel() != -(-count // 8):
        raise ValueError(f"{packed.numel()} bytes of {packed.dtype} for {count} weights")
    bits = np.unpackbits(packed.numpy(), count=count, bitorder="little")
    return torch.from_numpy(bits.view(bool)).view(shape)
