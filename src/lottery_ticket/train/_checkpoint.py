"""A training's whole state as one safetensors file; nothing in it is ever executed."""

import json
from typing import Any

import torch
from safetensors.torch import load, save

from lottery_ticket.train._loop import TrainState

__all__ = ["checkpoint_bytes", "optimizer_state", "optimizer_tensors", "restore_"]


def checkpoint_bytes(state: TrainState) -> bytes:
    """The bytes of a safetensors file with weights, buffers, optimiser and random state."""
    state.collect_losses_()
    state.write_()
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    memory = optimizer_tensors(state.optimizer)
    tensors |= {f"optimizer.{name}": value for name, value in memory.items()}
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
    """Put a checkpoint into a freshly made `state`, in place."""
    tensors = load(data)
    meta = _metadata(data)
    state.model.load_state_dict(_below("model.", tensors))
    memory = optimizer_state(_below("optimizer.", tensors))
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": memory})
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"], next(state.model.parameters()).device)
    state.step = meta["step"]
    state.history = meta["history"]
    state.loss_sum, state.loss_count = meta["loss_sum"], meta["loss_count"]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What an optimiser remembers, on the CPU: `"INDEX.KEY"` → tensor, as in its state_dict."""
    return {
        f"{index}.{key}": value.detach().cpu().contiguous()
        for index, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
        if isinstance(value, torch.Tensor)
    }


def optimizer_state(tensors: dict[str, torch.Tensor]) -> dict[int, dict[str, Any]]:
    """The `["state"]` of a state_dict from the tensors that `optimizer_tensors` gave."""
    entries: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        entries.setdefault(int(index), {})[key] = value
    return entries


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")  # safetensors: header length, then JSON
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["state"])
