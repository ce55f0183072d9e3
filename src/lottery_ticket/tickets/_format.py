"""A ticket's parts ↔ the bytes of its file."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lottery_ticket.errors import DataError
from lottery_ticket.masks import PruningMask
from lottery_ticket.tickets._codec import decode_mask, encode_mask
from lottery_ticket.tickets._file import UNREADABLE, sealed, unsealed
from lottery_ticket.tickets._kept import compact, expanded
from lottery_ticket.tickets._origin import ModelOrigin, WeightsOrigin

__all__ = ["packed", "unpacked"]

Tensors = dict[str, torch.Tensor]


def packed(
    mask: PruningMask,
    origin: ModelOrigin | WeightsOrigin,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    trained: Mapping[str, torch.Tensor] | None,
) -> bytes:
    """The bytes of a ticket file."""
    layers, tensors = _packed_mask(mask)
    described, stored = _packed_origin(origin, mask)
    tensors |= _under("weights/", stored)
    if trained is not None:
        tensors |= _under("trained/", compact(trained, mask))
    header = {
        "layers": layers,
        "origin": described,
        "metrics": metrics,
        "provenance": provenance,
        "has_trained": trained is not None,
    }
    return sealed(header, tensors)


def unpacked(data: bytes, source: object, max_weights: int) -> dict[str, Any]:
    """The parts, by the names that `packed` gives them.

    Raises:
        DataError: the bytes are damaged, or of something else, or claim more than `max_weights`.
    """
    header, tensors = unsealed(data, source)
    try:
        num_weights = sum(_size(layer) for layer in header["layers"])
        if num_weights > max_weights:
            raise DataError(
                f"{source}: claims {num_weights:,} weights; if that is true, load it with "
                f"max_weights={num_weights}"
            )
        mask = _unpacked_mask(header["layers"], tensors)
        parts = {
            "mask": mask,
            "origin": _unpacked_origin(header["origin"], _taken("weights/", tensors), mask),
            "metrics": header["metrics"],
            "provenance": header["provenance"],
            "trained": expanded(_taken("trained/", tensors), mask)
            if header["has_trained"]
            else None,
        }
        if tensors:
            raise ValueError(f"unknown tensor {next(iter(tensors))!r}")
    except UNREADABLE as error:
        raise DataError(f"{source}: not a readable ticket file ({error})") from error
    return parts


def _packed_mask(mask: PruningMask) -> tuple[list[dict[str, Any]], Tensors]:
    layers, tensors = [], {}
    for name, kept in mask.items():
        encoding, data = encode_mask(kept.cpu().numpy())
        tensors[f"mask/{name}"] = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
        layers.append(
            {
                "name": name,
                "shape": list(kept.shape),
                "kept": int(kept.sum()),
                "code": encoding,
            }
        )
    return layers, tensors


def _size(layer: Mapping[str, Any]) -> int:
    numbers: Sequence[Any] = [*layer["shape"], layer["kept"]]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"shape {layer['shape']}, {layer['kept']} kept")
    size = math.prod(layer["shape"])
    if layer["kept"] > size:
        raise ValueError(f"{layer['kept']} of {size} weights kept")
    return size


def _unpacked_mask(layers: Sequence[Mapping[str, Any]], tensors: Tensors) -> PruningMask:
    masks = {}
    for layer in layers:  # in model order; the tensors are sorted
        data = tensors.pop(f"mask/{layer['name']}").numpy()
        if data.dtype != np.uint8:
            raise ValueError(f"mask of {layer['name']!r} in {data.dtype}")
        kept = decode_mask(layer["code"], data.tobytes(), layer["shape"], layer["kept"])
        masks[layer["name"]] = torch.from_numpy(kept)
    return PruningMask.from_tensors(masks)


def _packed_origin(
    origin: ModelOrigin | WeightsOrigin, mask: PruningMask
) -> tuple[dict[str, Any], Tensors]:
    described = {"model": origin.model, "options": origin.options}
    if isinstance(origin, ModelOrigin):
        return {**described, "seed": origin.seed, "sha256": origin.sha256}, {}
    is_whole = origin.weights == "all"
    stored = compact(origin.tensors, PruningMask.from_tensors({}) if is_whole else mask)
    return {**described, "step": origin.step, "weights": origin.weights}, stored


def _unpacked_origin(
    described: Mapping[str, Any], stored: Tensors, mask: PruningMask
) -> ModelOrigin | WeightsOrigin:
    if "seed" in described:
        if stored:
            raise ValueError("weights beside a seed")
        return ModelOrigin(**described)
    tensors = stored if described["weights"] == "all" else expanded(stored, mask)
    return WeightsOrigin(tensors, **described)


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {prefix + name: value for name, value in tensors.items()}


def _taken(prefix: str, tensors: Tensors) -> Tensors:
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}
