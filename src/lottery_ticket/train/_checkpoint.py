"""A training's whole state as one safetensors file; nothing in it is ever executed."""

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from lottery_ticket.errors import TrainingError
from lottery_ticket.masks import PruningMask
from lottery_ticket.tensor_files import read_tensors
from lottery_ticket.train._loop import TrainState

__all__ = [
    "CheckpointError",
    "checkpoint_bytes",
    "optimizer_state",
    "optimizer_tensors",
    "restore_",
]


class CheckpointError(TrainingError):
    """A checkpoint cannot be continued: of another version, say, or of another training."""


def checkpoint_bytes(state: TrainState) -> bytes:
    """The bytes of a safetensors file with weights, buffers, optimiser and random state, and with
    the mask where that changes."""
    state.collect_losses_()
    state.write_()
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    memory = optimizer_tensors(state.optimizer)
    tensors |= {f"optimizer.{name}": value for name, value in memory.items()}
    if state.mask is not None:
        tensors |= {f"mask.{name}": kept for name, kept in state.mask.items()}
    tensors |= {f"memory.{name}": value for name, value in state.memory.items()}
    if state.scores is not None:
        tensors |= {f"scores.{name}": score for name, score in state.scores.scores.items()}
    tensors["rng.cpu"] = torch.get_rng_state()
    device = next(state.model.parameters()).device
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    meta = {
        "step": state.step,
        "history": state.history,
        "loss_sum": state.loss_sum,
        "loss_count": state.loss_count,
    }
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    return save(plain, metadata={"state": json.dumps(meta)})


def restore_(state: TrainState, data: bytes) -> None:
    """Put a checkpoint into a freshly made `state`, in place.

    Raises:
        CheckpointError: it is none of this training; `state` may have been changed in part.
    """
    try:
        _restore_(state, data)
    except torch.OutOfMemoryError:
        raise  # says nothing of the checkpoint
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{type(error).__name__}: {reason}") from error
    except (SafetensorError, RecursionError) as error:
        raise CheckpointError(str(error)) from error


def _restore_(state: TrainState, data: bytes) -> None:
    tensors, meta = read_tensors(data, "state")
    _check(meta)
    weights = _below("model.", tensors)
    _check_weights(weights, state.model.state_dict())
    memory = optimizer_state(_below("optimizer.", tensors))
    groups = state.optimizer.param_groups
    _check_memory(memory, [each for group in groups for each in group["params"]])
    mask = None if state.mask is None else _mask(_below("mask.", tensors), state.mask)
    scores = _below("scores.", tensors)
    _check_weights(scores, {} if state.scores is None else state.scores.scores)
    state.model.load_state_dict(weights)
    if state.scores is not None:  # one mask was drawn for each step
        state.scores.load_state_dict({"scores": scores, "num_draws": meta["step"]})
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": memory})
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"], next(state.model.parameters()).device)
    device = next(state.model.parameters()).device
    state.memory = {name: v.to(device) for name, v in _below("memory.", tensors).items()}
    state.mask = mask
    state.step = meta["step"]
    state.history = meta["history"]
    state.loss_sum, state.loss_count = meta["loss_sum"], meta["loss_count"]


def _check(meta: Mapping[str, Any]) -> None:
    """See that what is no tensor is what a training goes on with."""
    step, history, count = meta["step"], meta["history"], meta["loss_count"]
    if type(step) is not int or type(count) is not int or not 0 <= count <= step:
        raise ValueError(f"it is at step {step!r}, with {count!r} losses")
    if not isinstance(meta["loss_sum"], float) or not math.isfinite(meta["loss_sum"]):
        raise ValueError(f"its losses add up to {meta['loss_sum']!r}")
    steps = [record["step"] for record in history]
    if any(a >= b for a, b in itertools.pairwise([0, *steps, step + 1])):
        raise ValueError(f"its history is of the steps {steps}")
    for value in (value for record in history for value in record.values()):
        if value is not None and type(value) not in (int, float):
            raise ValueError(f"it measured {value!r}")


def _check_weights(found: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
    """See that they are of the same model; torch would convert what is of another type."""
    for name in found.keys() | own.keys():
        if name not in found or name not in own:
            raise ValueError(f"{name!r} is not in both the checkpoint and the model")
        for of in (torch.Tensor.size, lambda tensor: tensor.dtype):
            if of(found[name]) != of(own[name]):
                raise ValueError(f"{name!r} is {of(found[name])}, the model's is {of(own[name])}")


def _mask(found: Mapping[str, torch.Tensor], own: PruningMask) -> PruningMask:
    """The mask in force, of the same parameters."""
    _check_weights(found, dict(own))
    return PruningMask.from_tensors({name: found[name] for name in own}).told_by(own)


def _check_memory(
    memory: Mapping[int, Mapping[str, Any]], parameters: list[torch.nn.Parameter]
) -> None:
    """See that an optimiser can go on with it: a tensor like its parameter, or a number."""
    for index, entries in memory.items():
        for name, value in entries.items():
            if not isinstance(value, torch.Tensor):
                continue
            if value.numel() != 1 and value.shape != parameters[index].shape:
                raise ValueError(f"the optimiser's {name} has shape {tuple(value.shape)}")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What an optimiser remembers, on the CPU: `"INDEX.KEY"` → tensor, as in its state_dict.

    A number that is no tensor becomes one, under `"INDEX.KEY#int"` or `"INDEX.KEY#float"`.

    Raises:
        TrainingError: it remembers something else, which could not be kept.
    """
    tensors = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{key}"] = value.detach().cpu().contiguous()
            elif type(value) in (int, float):
                dtype = torch.int64 if type(value) is int else torch.float64
                tensors[f"{index}.{key}#{type(value).__name__}"] = torch.tensor(value, dtype=dtype)
            elif value is not None:  # what torch's own SGD has before its first step
                raise TrainingError(
                    f"the optimiser {type(optimizer).__name__} remembers {key!r}, a "
                    f"{type(value).__name__}; only tensors and numbers can be kept"
                )
    return tensors


def optimizer_state(tensors: dict[str, torch.Tensor]) -> dict[int, dict[str, Any]]:
    """The `["state"]` of a state_dict from the tensors that `optimizer_tensors` gave."""
    entries: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        key, _, kind = key.partition("#")
        entries.setdefault(int(index), {})[key] = value.item() if kind else value
    return entries


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
