"""The formats of plain tensors: all of them, or the kept ones alone."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.export._format import Run
from lottery_ticket.export._pruned_model import PrunedModel, state_of
from lottery_ticket.gaps import decode_gaps, encode_gaps
from lottery_ticket.masks import copied_model
from lottery_ticket.tensor_files import check_claim, claimed_shape, made_sense_of, read_tensors
from lottery_ticket.tickets import Ticket

__all__ = [
    "load_packed",
    "load_state_dict",
    "load_ticket",
    "read_packed",
    "write_packed",
    "write_state_dict",
    "write_ticket",
]

_GAPS, _KEPT = ".gaps", ".kept"


def write_state_dict(pruned: PrunedModel, path: Path) -> None:
    """All tensors, as dense as they are."""
    path.write_bytes(save(state_of(pruned.model), metadata={"format": "pt"}))


def load_state_dict(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The tensors in a model of the same architecture."""
    return _running(load_file(path), pruned)


def write_ticket(pruned: PrunedModel, path: Path) -> None:
    """The ticket, with its trained weights."""
    if pruned.ticket is None:
        raise UsageError(
            "format ticket: where the initial weights come from is not known; export a level of a "
            "run, or PrunedModel.of_ticket(ticket, example)"
        )
    pruned.ticket.save(path)


def load_ticket(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The trained weights of the ticket."""
    found = Ticket.load(path, max_weights=pruned.mask.num_prunable)
    return _running(found.weights(trained=True), pruned)


def write_packed(pruned: PrunedModel, path: Path) -> None:
    """Of pruned layers the kept weights and the gaps between them where that is shorter, the rest
    whole."""
    tensors = state_of(pruned.model)
    shapes: dict[str, list[int]] = {}
    for name, kept in pruned.mask.items():
        whole = tensors[name]
        positions = np.flatnonzero(kept.numpy())
        code = torch.from_numpy(encode_gaps(positions))
        values = whole.view(-1)[torch.from_numpy(positions)]
        if values.nbytes + code.nbytes < whole.nbytes:
            shapes[name] = list(whole.shape)
            del tensors[name]
            tensors |= {name + _GAPS: code, name + _KEPT: values}
    # one key: safetensors writes several in an order that differs from process to process
    path.write_bytes(save(tensors, metadata={"packed": json.dumps(shapes, sort_keys=True)}))


def read_packed(path: str | Path, *, max_weights: int | None = None) -> dict[str, torch.Tensor]:
    """The `state_dict` of a file of the format `packed`, bit for bit.

    Args:
        path: the file.
        max_weights: refuse what claims more pruned layers' weights; None for what unpacks to more
            than 256 MiB and 256 times the file: a small file can claim any number.

    Returns:
        Name → tensor, exactly 0.0 where pruned.

    Raises:
        DataError: the file is missing, damaged, or of something else.

    >>> read_packed("model.packed.safetensors")  # doctest: +SKIP
    """
    with made_sense_of(path, "file of the format packed"):
        data = Path(path).read_bytes()
        state, shapes = read_tensors(data, "packed")
        shapes = {name: claimed_shape(shape) for name, shape in shapes.items()}
        num_weights = sum(map(math.prod, shapes.values()))
        if max_weights is None:
            claimed = sum(
                math.prod(shape) * state[name + _KEPT].element_size()
                for name, shape in shapes.items()
            )
            remedy = f"if that is true, read it with max_weights={num_weights}"
            check_claim(path, claimed, len(data), remedy)
        elif num_weights > max_weights:
            raise DataError(f"{path}: claims {num_weights:,} weights, more than {max_weights:,}")
        for name, shape in shapes.items():
            if name in state:
                raise ValueError(f"{name!r} twice")
            state[name] = _whole(state.pop(name + _GAPS), state.pop(name + _KEPT), shape)
        return state


def _whole(code: torch.Tensor, kept: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    is_kept = torch.from_numpy(decode_gaps(code.numpy(), math.prod(shape)))
    if kept.shape != (int(is_kept.sum()),):
        raise ValueError(f"{tuple(kept.shape)} values for {int(is_kept.sum())} gaps")
    whole = torch.zeros(math.prod(shape), dtype=kept.dtype)
    whole[is_kept] = kept
    return whole.view(shape)


def load_packed(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The tensors in a model of the same architecture."""
    num_weights = sum(value.numel() for value in pruned.model.state_dict().values())
    return _running(read_packed(path, max_weights=num_weights), pruned)


def _running(state: dict[str, torch.Tensor], pruned: PrunedModel) -> Run:
    model = copied_model(pruned.model)
    with torch.no_grad():  # so that what is not in the file cannot be taken for it
        for value in model.state_dict().values():
            value.zero_()
    model.load_state_dict(state)
    return model
