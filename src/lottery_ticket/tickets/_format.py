"""A ticket's parts ↔ the bytes of its file: a JSON header and tensors, sealed with a checksum."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.tensor_files import claimed_shape, made_sense_of, most_bytes, read_tensors
from lottery_ticket.tickets._canonical import canonical_json, weights_sha256
from lottery_ticket.tickets._codec import decode_mask, encode_mask
from lottery_ticket.tickets._kept import compact, expanded
from lottery_ticket.tickets._origin import ModelOrigin, WeightsOrigin

__all__ = ["REMEDY", "packed", "unpacked"]

_FORMAT = "lottery_ticket.ticket/1"
REMEDY = "; copy or save it again"

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
    return _sealed(header, tensors)


def unpacked(data: bytes, source: object, max_weights: int | None) -> dict[str, Any]:
    """The parts, by the names that `packed` gives them.

    Raises:
        DataError: the bytes are damaged, or of something else, or claim more than `max_weights`,
            or than is likely in so few bytes.
    """
    header, tensors = _unsealed(data, source)
    with made_sense_of(source, "ticket file", REMEDY):
        _check_size(header["layers"], tensors, len(data), source, max_weights)
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
                "kept": int(kept.count_nonzero()),
                "code": encoding,
            }
        )
    return layers, tensors


def _check_size(
    layers: Sequence[Mapping[str, Any]],
    tensors: Tensors,
    num_bytes: int,
    source: object,
    max_weights: int | None,
) -> None:
    """Before anything is unpacked: a small file can claim any number of weights."""
    num_weights = claimed = 0
    for layer in layers:
        size, stored = _size(layer), (f"{part}/{layer['name']}" for part in ("weights", "trained"))
        num_weights += size
        # a byte of the mask, and the weights with the zeros between them
        claimed += size * (1 + sum(tensors[n].element_size() for n in stored if n in tensors))
    is_much = claimed > most_bytes(num_bytes) if max_weights is None else num_weights > max_weights
    if is_much:
        raise DataError(
            f"{source}: claims {num_weights:,} weights ({claimed:,} bytes in memory) in a file of "
            f"{num_bytes:,} bytes; if that is true, load it with max_weights={num_weights}"
        )


def _size(layer: Mapping[str, Any]) -> int:
    size, kept = math.prod(claimed_shape(layer["shape"])), layer["kept"]
    if type(kept) is not int or not 0 <= kept <= size:
        raise ValueError(f"{kept} of {size} weights kept")
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


def _sealed(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> bytes:
    """The bytes of a safetensors file; equal for equal content."""
    content = {**header, "format": _FORMAT}
    content["sha256"] = _checksum(content, tensors)
    try:
        # one key: safetensors writes several in an order that differs from process to process
        return save(dict(tensors), metadata={"ticket": canonical_json(content)})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"safetensors cannot hold the ticket's tensors: {error}") from error


def _unsealed(data: bytes, source: object) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
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
