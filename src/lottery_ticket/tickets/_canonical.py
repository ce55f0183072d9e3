"""One text for equal values, and one name for equal weights."""

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import torch

from lottery_ticket.errors import UsageError

__all__ = ["canonical_json", "plain", "weights_sha256"]


def canonical_json(value: Any) -> str:
    """One text for equal values: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A copy as JSON would give it back; raises `UsageError` that names the key that is not JSON.

    >>> plain({"hidden": (300, 100)}, "options")
    {'hidden': [300, 100]}
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{what}: wanted a mapping, got {type(values).__name__}")
    copied = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise UsageError(f"{what}: wanted text as keys, got {key!r}")
        try:
            copied[key] = json.loads(canonical_json(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{what}: {key!r} is not plain JSON ({error}); "
                "use None, bool, int, finite float, str, list and dict"
            ) from None
    return copied


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
