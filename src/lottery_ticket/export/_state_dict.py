"""The formats of plain tensors: all of them, or the kept ones alone."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.export._format import Run
from lottery_ticket.export._pruned_model import PrunedModel, state_of
from lottery_ticket.gaps import decode_gaps, encode_gaps
from lottery_ticket.masks import copied_model
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
    return _running(Ticket.load(path).weights(trained=True), pruned)


def write_packed(pruned: PrunedModel, path: Path) -> None:
    """Of pruned layers the kept weights in float32 and the gaps between them, the rest whole."""
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


def read_packed(path: str | Path) -> dict[str, torch.Tensor]:
    """The `state_dict` of a file of the format `packed`, bit for bit.

    Args:
        path: the file.

    Returns:
        Name → tensor, exactly 0.0 where pruned.

    Raises:
        DataError: the file is missing, damaged, or of something else.

    >>> read_packed("model.packed.safetensors")  # doctest: +SKIP
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            shapes = json.loads((file.metadata() or {})["packed"])
        for name, shape in shapes.items():
            kept, code = state.pop(name + _KEPT), state.pop(name + _GAPS).numpy()
            whole = torch.zeros(shape, dtype=kept.dtype)
            whole.view(-1)[torch.from_numpy(decode_gaps(code, whole.numel()))] = kept
            state[name] = whole
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable file of the format packed ({error})") from error
    return state


def load_packed(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The tensors in a model of the same architecture."""
    return _running(read_packed(path), pruned)


def _running(state: dict[str, torch.Tensor], pruned: PrunedModel) -> Run:
    model = copied_model(pruned.model)
    with torch.no_grad():  # so that what is not in the file cannot be taken for it
        for value in model.state_dict().values():
            value.zero_()
    model.load_state_dict(state)
    return model
