"""One name for the content of a model's weights, however they were stored."""

import hashlib
import json
import sys
from collections.abc import Mapping

import torch

__all__ = ["weights_sha256"]


def weights_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hex SHA-256 of named tensors: by sorted name, a line `[name,dtype,shape]`, then the values.

    Args:
        tensors: name → tensor of any shape and plain dtype, on any device; their order is ignored.
            A model's `state_dict()`, say.

    Returns:
        64 hexadecimal digits; values count by their little-endian bytes, so that −0.0 is not 0.0.

    >>> weights_sha256({"w": torch.zeros(2)}) == weights_sha256({"w": torch.zeros(2, 1)})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu()
        described = [name, str(value.dtype).removeprefix("torch."), list(value.shape)]
        digest.update(json.dumps(described, separators=(",", ":")).encode() + b"\n")
        digest.update(little_endian(value))
    return digest.hexdigest()


def little_endian(value: torch.Tensor, byteorder: str = sys.byteorder) -> memoryview:
    """The values of a CPU tensor as bytes, in flat order."""
    if value.is_complex():
        value = torch.view_as_real(value.resolve_conj())
    octets = value.contiguous().reshape(-1).view(torch.uint8)
    if byteorder == "big":
        octets = octets.view(-1, value.element_size()).flip(1).reshape(-1)
    return octets.numpy().data
