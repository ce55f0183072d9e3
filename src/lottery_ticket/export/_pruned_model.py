"""`PrunedModel`: what is exported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.export._copies import eval_copy
from lottery_ticket.masks import PruningMask, check_any, prunable_in
from lottery_ticket.names import canonical_name, named_modules, named_state
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.tickets import Ticket

__all__ = ["PrunedModel", "state_of"]

_EXAMPLES = 256
_CARDS_OWN = ("format", "pruning", "files", "versions")
_MORE = ("mask", "calibration", "test", "dense", "facts")


@dataclass(frozen=True, eq=False)
class PrunedModel:
    """A pruned model that is ready to leave, and what is known of it; made by `of` or `of_ticket`.

    Args:
        model: on the CPU, in eval mode, with exact zeros where the mask prunes.
        mask: which of its prunable weights are kept.
        inputs: examples `(N, …)` that every export is tried on.
        facts: what the card says beside what the model itself tells; plain JSON values.
        calibration: training examples, for static quantisation; None where there are none.
        test: what its accuracy is measured on; None where there is nothing.
        dense: the same net before it was pruned, to be measured against.
        ticket: what the format `ticket` writes; None where nobody knows its initial weights.
    """

    model: nn.Module
    mask: PruningMask
    inputs: torch.Tensor
    facts: Mapping[str, Any] = field(default_factory=dict)
    calibration: torch.Tensor | None = None
    test: Split | None = None
    dense: nn.Module | None = None
    ticket: Ticket | None = None

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        optional = ("calibration", "test", "dense", "ticket")
        more = [name for name in optional if getattr(self, name) is not None]
        parts = [type(self.model).__name__, repr(self.mask), f"inputs {tuple(self.inputs.shape)}"]
        return f"PrunedModel({', '.join([*parts, *more])})"

    @classmethod
    @known_keywords("PrunedModel.of")
    def of(
        cls,
        model: nn.Module,
        example: torch.Tensor,
        *,
        mask: PruningMask | None = None,
        calibration: torch.Tensor | None = None,
        test: Split | None = None,
        dense: nn.Module | None = None,
        ticket: Ticket | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> "PrunedModel":
        """A model of your own; it is copied, to the CPU and into eval mode.

        Args:
            model: takes one tensor `(N, …)` and returns one of N rows. `torch.compile`,
                `DataParallel` or DDP around it are left out.
            example: real inputs `(N, …)`, one or more: exports are compared on the first 256.
            mask: by default what the zeros of the prunable weights show.
            calibration: training examples, for the format `int8`.
            test: examples and targets, to measure accuracy on.
            dense: the net before it was pruned, to measure against.
            ticket: for the format `ticket`.
            facts: what the card is to say: `{"title": …, "data": {"name": …}, "metrics": …}`.

        Raises:
            UsageError: the model does not take the example or returns something else, has weights
                where the mask prunes, or holds something other than tensors in its state.

        >>> layer = nn.Linear(3, 2)
        >>> _ = layer.weight.data[0].zero_()
        >>> PrunedModel.of(layer, torch.rand(4, 3)).mask.num_kept
        3
        """
        if not isinstance(example, torch.Tensor) or example.ndim == 0 or len(example) == 0:
            raise UsageError("example: wanted a tensor (N, …) of one or more inputs")
        copied = ready(model)
        state = state_of(copied)
        if mask is None:
            mask = _mask_of_zeros(copied)
        if not isinstance(mask, PruningMask):
            raise UsageError(
                f"mask: got {type(mask).__name__}, wanted a PruningMask; of tensors by name makes "
                "one PruningMask.from_tensors"
            )
        mask = mask.to("cpu")
        mask.apply(copied)
        if any(not torch.equal(state[name], after) for name, after in state_of(copied).items()):
            raise UsageError(
                "mask: the model has weights where it prunes; call mask.apply(model) first"
            )
        inputs = example[:_EXAMPLES].detach().cpu()  # nets are traced and compared on all of them
        check_outputs(copied, inputs)
        check_like("calibration", calibration, inputs)
        if test is not None and not isinstance(test, Split):
            raise UsageError(
                f"test: got {type(test).__name__}, wanted a Split of inputs and targets"
            )
        check_like("test", None if test is None else test.x, inputs)
        check_plain(facts)
        dense = None if dense is None else ready(dense)
        if dense is not None:
            named_state(dense)  # it is written to be measured
        return cls(
            copied,
            mask,
            inputs,
            dict(facts or {}),
            calibration if calibration is None else calibration.detach().cpu(),
            test,
            dense,
            ticket,
        )

    @classmethod
    @known_keywords("PrunedModel.of_ticket", also=_MORE)
    def of_ticket(
        cls, ticket: Ticket, example: torch.Tensor, *, model: nn.Module | None = None, **more: Any
    ) -> "PrunedModel":
        """The trained model of a ticket.

        Args:
            ticket: with trained weights, such as `finder.ticket()` or `Ticket.load(path)`.
            example: real inputs `(N, …)`.
            model: of the ticket's architecture; only where its origin names none.
            more: as of `of`.

        Raises:
            UsageError: the ticket has no trained weights, or names no model; as `of`.
        """
        if model is None:
            built = ticket.build(trained=True)
        else:
            built = ticket.apply(ready(model), trained=True)
        facts = {"metrics": {"ticket": dict(ticket.metrics)}, **(more.pop("facts", None) or {})}
        if ticket.origin.model is not None:
            options = dict(ticket.origin.options)
            facts.setdefault("model", {"name": ticket.origin.model, "options": options})
        return cls.of(built, example, mask=ticket.mask, ticket=ticket, facts=facts, **more)

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the masked dense model says of inputs."""
        with torch.no_grad():
            return self.model(inputs)

    def trial(self, batch: int) -> torch.Tensor:
        """A batch of the inputs, from the first on and round again."""
        return self.inputs[torch.arange(batch) % len(self.inputs)]


def _mask_of_zeros(model: nn.Module) -> PruningMask:
    """What the zeros of the prunable weights show; what cannot be pruned is left out.

    Raises:
        UsageError: nothing is prunable.
    """
    try:
        found = check_any(prunable_in(model, without_unfit=True))
    except UsageError as error:
        raise UsageError(f"model: {error} in mask=PruningMask(model, …)") from None
    zeros = {name: value.detach() != 0 for name, value in found.parameters.items()}
    return PruningMask.from_tensors(zeros, found.left_out)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """The `state_dict` as plain CPU tensors that share nothing, under names without wrappers.

    Raises:
        UsageError: it holds something other than dense tensors.
    """
    return {
        canonical_name(name, model): value.detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for name, value in named_state(model).items()
    }


def ready(model: nn.Module) -> nn.Module:
    """A copy without wrappers, on the CPU, in eval mode."""
    return eval_copy(named_modules(model)[""] if isinstance(model, nn.Module) else model).cpu()


def check_like(what: str, given: Any, inputs: torch.Tensor) -> None:
    """Raises `UsageError` unless more inputs, if there are any, are like the example."""
    if given is None:
        return
    if not isinstance(given, torch.Tensor):
        raise UsageError(f"{what}: got {type(given).__name__}, wanted a tensor (N, …)")
    wanted = (inputs.dtype, inputs.shape[1:])
    if (given.dtype, given.shape[1:]) != wanted or len(given) == 0:
        raise UsageError(
            f"{what}: got {given.dtype} {tuple(given.shape)}, wanted one or more inputs like the "
            f"example's: {inputs.dtype} (N, {', '.join(map(str, inputs.shape[1:]))})"
        )
    if not given.isfinite().all():
        raise UsageError(f"{what}: it has values that are not finite")


def check_plain(facts: Mapping[str, Any] | None) -> None:
    """Raises `UsageError` unless the card can hold the facts."""
    try:
        json.dumps(dict(facts or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"facts: wanted plain JSON values ({error})") from error
    for key, value in (facts or {}).items():
        if key in _CARDS_OWN:
            raise UsageError(f"facts: {key}: the card says that itself; choose another name")
        if key in ("model", "data", "metrics", "run") and not isinstance(value, Mapping):
            raise UsageError(f"facts: {key}: wanted a mapping, got {value!r}")


def check_outputs(model: nn.Module, inputs: torch.Tensor) -> None:
    """Raises `UsageError` unless the model makes finite rows of the inputs."""
    try:
        with torch.no_grad():
            found: Any = model(inputs)
    except Exception as error:  # a user's own model may raise anything
        raise UsageError(
            f"model: it does not take the example {tuple(inputs.shape)}: "
            f"{type(error).__name__}: {error}".splitlines()[0]
        ) from error
    if not isinstance(found, torch.Tensor) or found.ndim == 0 or len(found) != len(inputs):
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise UsageError(
            f"model: got {got} for {len(inputs)} inputs, wanted one tensor with a row for each; "
            "wrap it in a module that returns that"
        )
    if not found.is_floating_point():
        raise UsageError(f"model: got {found.dtype} outputs, wanted floating-point ones, as logits")
    if not found.isfinite().all():
        raise UsageError("model: its outputs are not finite, so that nothing can be compared")
