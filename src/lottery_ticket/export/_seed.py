"""The format `seed`: a net whose weights never moved, as the seed that draws them and a mask."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.export._format import Run
from lottery_ticket.export._pruned_model import PrunedModel, state_of
from lottery_ticket.masks import PruningMask
from lottery_ticket.tensor_files import made_sense_of, read_tensors
from lottery_ticket.tickets import ModelOrigin, Ticket, versions, weights_sha256

__all__ = ["fits_seed", "load_seed", "read_seed", "run_seed", "write_seed"]

_FORMAT = "lottery_ticket.seed/1"
_TICKET, _REST = "ticket", "rest/"
_KIND = "file of the format seed"
_ULPS = 4  # how far a ratio of two rounded numbers is from the factor between them, and one more

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Rule:
    """How kept weights of a layer follow from those that the seed draws.

    Args:
        values: `"initial"`, times `scale`; or `"signed_constant"`, `scale` with their signs.
        scale: exactly a number of the layer's type.
    """

    values: str = "initial"
    scale: float = 1.0

    def of(self, drawn: torch.Tensor) -> torch.Tensor:
        """The weights, before any is pruned."""
        if self.values == "signed_constant":
            return torch.copysign(torch.full_like(drawn, self.scale), drawn)
        return drawn if self.scale == 1.0 else drawn * self.scale

    @classmethod
    def found(cls, drawn: torch.Tensor, weights: torch.Tensor) -> "_Rule | None":
        """The one that gives these weights to the bit, if one does."""
        if not len(drawn):
            return cls()
        largest = drawn.abs().argmax()
        candidates = [cls(), cls("signed_constant", float(weights[largest].abs()))]
        if drawn.is_floating_point() and bool(drawn[largest] != 0):
            near = (weights[largest].double() / drawn[largest].double()).to(drawn)
            for toward in (-torch.inf, torch.inf):
                scale = near
                for _ in range(_ULPS):
                    candidates.append(cls("initial", float(scale)))
                    scale = torch.nextafter(scale, torch.full_like(scale, toward))
        return next((rule for rule in candidates if _same_bits(rule.of(drawn), weights)), None)


def write_seed(pruned: PrunedModel, path: Path) -> None:
    """Its ticket without any weights, a rule for each layer, and what norms have measured.

    Raises:
        UsageError: the seed of its weights is not known, or some of them have moved.
    """
    origin = _origin(pruned)
    drawn, state = origin.weights(versions()), state_of(pruned.model)
    rules, rest = _told(pruned, origin, drawn, state)
    ticket = Ticket(pruned.mask, origin).to_bytes()
    header = {
        "format": _FORMAT,
        "rules": {name: [rule.values, rule.scale] for name, rule in rules.items()},
        "sha256": weights_sha256(state),  # of what is to come out
    }
    tensors = {_REST + name: value for name, value in rest.items()}
    tensors[_TICKET] = torch.from_numpy(np.frombuffer(ticket, np.uint8).copy())
    # one key: safetensors writes several in an order that differs from process to process
    path.write_bytes(save(tensors, metadata={"seed": json.dumps(header, sort_keys=True)}))


def fits_seed(pruned: PrunedModel) -> bool:
    """Whether the format can be written of a model."""
    try:
        origin = _origin(pruned)
        _told(pruned, origin, origin.weights(versions()), state_of(pruned.model))
    except (UsageError, DataError):
        return False
    return True


def read_seed(path: str | Path, *, max_weights: int | None = None) -> Tensors:
    """The `state_dict` of a file of the format `seed`, bit for bit.

    Args:
        path: the file.
        max_weights: as in `Ticket.load`.

    Returns:
        Name → tensor, exactly 0.0 where pruned.

    Raises:
        DataError: the file is missing or damaged, or this machine draws other weights.

    >>> read_seed("model.seed.safetensors")  # doctest: +SKIP
    """
    return _read(path, max_weights)[1]


def load_seed(path: str | Path, *, max_weights: int | None = None) -> nn.Module:
    """The model of a file of the format `seed`, in eval mode; args and errors as `read_seed`.

    Raises:
        UsageError: its model is not registered here.

    >>> load_seed("model.seed.safetensors")  # doctest: +SKIP
    """
    origin, state = _read(path, max_weights)
    model = origin.architecture()
    model.load_state_dict(state)
    return model.eval()


def run_seed(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The model that the file alone makes."""
    return load_seed(path, max_weights=pruned.mask.num_prunable)


def _origin(pruned: PrunedModel) -> ModelOrigin:
    if pruned.ticket is None:
        raise UsageError(
            "format seed: nobody knows which seed drew its weights; export a level of a run, or "
            "PrunedModel.of_ticket(ticket, example)"
        )
    origin = pruned.ticket.origin
    if not isinstance(origin, ModelOrigin):
        raise UsageError(
            f"format seed: its training began with stored weights (step {origin.step}), which no "
            "seed draws; use packed or ticket"
        )
    return origin


def _told(
    pruned: PrunedModel,
    origin: ModelOrigin,
    drawn: Mapping[str, torch.Tensor],
    state: Mapping[str, torch.Tensor],
) -> tuple[dict[str, _Rule], Tensors]:
    """A rule for each masked layer, and the buffers that are not as they were made.

    Raises:
        UsageError: a weight has moved.
    """
    parameters = {name for name, _ in pruned.model.named_parameters(remove_duplicate=False)}
    rules, rest = {}, {}
    for name, value in state.items():
        kept = pruned.mask.get(name)
        if kept is not None:
            found = _Rule.found(drawn[name][kept], value[kept])
            if found is None:
                raise UsageError(_moved(pruned, origin, name))
            rules[name] = found
        elif not _same_bits(drawn[name], value):
            if name in parameters:
                raise UsageError(_moved(pruned, origin, name))
            rest[name] = value
    return rules, rest


def _moved(pruned: PrunedModel, origin: ModelOrigin, name: str) -> str:
    arm = (pruned.facts.get("run") or {}).get("arm")
    whose = "" if arm is None else f" of arm {arm!r}"
    return (
        f"format seed: {name!r}{whose} was trained: it is not what seed {origin.seed} draws for "
        f"{origin.model} (nor its signs, nor a multiple). A seed and a mask are enough for nets "
        "whose weights never change, as those of the arms supermask and edge_popup; use packed"
    )


def _read(path: str | Path, max_weights: int | None) -> tuple[ModelOrigin, Tensors]:
    with made_sense_of(path, _KIND):
        stored, header = read_tensors(Path(path).read_bytes(), "seed")
        if (header or {}).get("format") != _FORMAT:
            raise DataError(f"{path}: not a {_KIND} (wanted format {_FORMAT!r})")
        data = stored.pop(_TICKET).numpy().tobytes()
        rules = {name: _Rule(*rule) for name, rule in header["rules"].items()}
    ticket = Ticket.from_bytes(data, path, max_weights=max_weights)
    weights = ticket.weights()  # which also sees that the model is as large as the mask says
    assert isinstance(ticket.origin, ModelOrigin)
    with made_sense_of(path, _KIND):
        state = _filled(ticket.origin.weights(ticket.provenance), ticket.mask, rules)
        for name, value in stored.items():
            _put_(state, name.removeprefix(_REST), value)
        if state.keys() != weights.keys() or weights_sha256(state) != header["sha256"]:
            raise ValueError("what it gives is not what was written")
    return ticket.origin, state


def _filled(
    drawn: Mapping[str, torch.Tensor], mask: PruningMask, rules: Mapping[str, _Rule]
) -> Tensors:
    state = dict(drawn)
    for name, kept in mask.items():
        state[name] = rules[name].of(drawn[name]).masked_fill(~kept, 0.0)
    return state


def _put_(state: Tensors, name: str, value: torch.Tensor) -> None:
    if name not in state or state[name].shape != value.shape:
        raise ValueError(f"{name!r} is not in the model")
    state[name] = value


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or not torch.equal(one, other):
        return False
    return not one.is_floating_point() or torch.equal(one.signbit(), other.signbit())
