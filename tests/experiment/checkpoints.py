"""Checkpoints that say something else."""

import hashlib
import json

from safetensors.torch import load, save


def sealed(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest() + payload


def rewritten(data: bytes, change=lambda tensors: None, **meta) -> bytes:
    """A checkpoint with other tensors or other words."""
    payload = data[32:]
    header = json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])
    state = json.loads(header["__metadata__"]["state"]) | meta
    tensors = load(payload)
    change(tensors)
    return sealed(save(tensors, metadata={"state": json.dumps(state)}))
