"""Scores at work on a model: its mask is trained, its weights never change."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Budget,
    PruningMask,
    check_can_be_held,
    check_fraction,
    find_parameters,
    keep_bits,
)
from lottery_ticket.masks import budget as budget_at
from lottery_ticket.pruning._policies import POLICIES, Target, made_policy
from lottery_ticket.pruning._scored import Sampled, ScorePolicy
from lottery_ticket.seeds import derive

__all__ = ["MaskScores"]

_MANY = 1 << 31  # steps: how long a loop is that is not ours, nobody says


class MaskScores:
    """A score for each weight of a model, trained by your loop in place of the weights.

    The optimiser gets `scores.parameters()`; the loop stays as it is. In training mode each forward
    pass sees the weights under the mask of the step, in eval mode under the mask of exact counts.
    Weights are fixed, biases and whatever else is trained too; statistics of norms follow the data.
    Nothing is added to the model's modules or its `state_dict`.

    Args:
        model: the model; its prunable weights are fixed at what the policy says.
        policy: a `ScorePolicy`, or the name of one: `"supermask"`, `"edge_popup"`.
        density: kept / prunable weights, for a policy by name.
        scope: `"global"` or `"layerwise"`, the same.
        mask: names the weights that can be pruned; None for all prunable ones.
        seed: of the scores and of what is drawn.
        options: of a policy by name, such as `values`.

    Raises:
        UsageError: an argument makes no sense, or the model cannot be held.

    >>> model = nn.Linear(10, 2)
    >>> with MaskScores(model, "edge_popup", density=0.2) as scores:
    ...     optimizer = torch.optim.SGD(scores.parameters(), lr=0.1)
    ...     for _ in range(5):
    ...         model(torch.ones(1, 10)).sum().backward()
    ...         optimizer.step()
    ...         optimizer.zero_grad()
    >>> scores.mask.num_kept, int((model.weight != 0).sum())
    (4, 4)

    Source: Zhou et al. 2019; Ramanujan et al. 2020.
    """

    def __init__(
        self,
        model: nn.Module,
        policy: str | ScorePolicy,
        *,
        density: float | None = None,
        scope: str = "global",
        mask: Mapping[str, torch.Tensor] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise UsageError(f"MaskScores: got a {type(model).__name__}, wanted a torch.nn.Module")
        self._names = list(PruningMask(model) if mask is None else mask)
        self._parameters = find_parameters(model, self._names)
        check_can_be_held(self._parameters)
        self.policy = self._policy(policy, density, scope, options)
        self.num_draws = 0
        self._seed = seed
        weights = {name: p.detach() for name, p in self._parameters.items()}
        self.weights = {n: w.clone() for n, w in self.policy.fixed(weights).items()}
        scores = self.policy.initial(self.weights, self._generator("initial", "cpu"))
        self.scores = {name: nn.Parameter(score) for name, score in scores.items()}
        # all bits where a weight is kept: to and them is quicker than to choose
        self._bits = {n: keep_bits(torch.ones_like(w), w) for n, w in self.weights.items()}
        self._sampled: Sampled | None = None  # of the step that is being made
        self._is_trained = False  # whether there was a gradient since it was drawn
        self._seen: dict[str, torch.Tensor] | None = None  # scores whose mask the model has
        self._mask: PruningMask | None = None
        self._frozen = [p for p in model.parameters() if p.requires_grad]
        for parameter in self._frozen:
            parameter.requires_grad_(False)
        self._forward_hook = model.register_forward_pre_hook(self._before_forward)
        self._gradient_hooks = self._hooked()
        self._is_attached = True

    def _hooked(self) -> list[Any]:
        """Hooks that turn gradients of weights into those of scores."""
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        return [
            parameter.register_post_accumulate_grad_hook(self._gradient_hook(name))
            for name, parameter in self._parameters.items()
        ]

    def __getstate__(self) -> dict[str, Any]:
        # a copy of the model has a copy of its scores; parameters lose their hooks on the way
        return {**self.__dict__, "_gradient_hooks": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._is_attached:
            self._gradient_hooks = self._hooked()

    def _policy(
        self, policy: str | ScorePolicy, density: float | None, scope: str, options: dict[str, Any]
    ) -> ScorePolicy:
        if isinstance(policy, ScorePolicy):
            if density is not None or options:
                raise UsageError("MaskScores: density and options are those of a policy by name")
            self._check_counts(policy.keep)
            return policy
        if policy not in POLICIES:
            names = ", ".join(repr(name) for name in POLICIES)
            raise UsageError(f"policy: got {policy!r}, wanted a ScorePolicy or one of {names}")
        if density is None:
            raise UsageError(f"density: policy {policy!r} wants to know how much is kept")
        check_fraction("density", density, has_one=True)
        shapes = {name: tuple(p.shape) for name, p in self._parameters.items()}
        size = sum(p.numel() for p in self._parameters.values())
        target = Target(budget_at(shapes, scope=scope, density=density), size, 0, _MANY)
        made = made_policy(policy, target, options)
        if not isinstance(made, ScorePolicy):
            raise UsageError(
                f"policy {policy!r} changes the mask of weights that are trained; use "
                "PruningMask.attach(model, optimizer, policy=…)"
            )
        return made

    def _check_counts(self, keep: Budget) -> None:
        sizes = {name: p.numel() for name, p in self._parameters.items()}
        counts = {"all layers": keep.total} if keep.per_layer is None else dict(keep.per_layer)
        most = {"all layers": sum(sizes.values())} if keep.per_layer is None else sizes
        for name in {**counts, **most}:
            count = counts.get(name)
            if name not in most or count is None or not 0 <= count <= most[name]:
                wanted = f"0 to {most[name]:,}" if name in most else f"one of {', '.join(sizes)}"
                raise UsageError(f"policy.keep: {name}: got {count} weights, wanted {wanted}")

    def __enter__(self) -> "MaskScores":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    def parameters(self) -> Iterator[nn.Parameter]:
        """The scores, for an optimiser."""
        return iter(self.scores.values())

    @property
    def mask(self) -> PruningMask:
        """What the scores as they are now keep, exactly as many weights as asked for."""
        self._keep()
        assert self._mask is not None
        return self._mask

    def write_(self) -> PruningMask:
        """Give the model its fixed weights under the mask of exact counts, and return that."""
        mask = self.mask
        self._put(mask)
        return mask

    def detach(self) -> None:
        """Stop training: the model keeps its fixed weights under the last mask, and exact zeros.

        What was trained before can be trained again.
        """
        if not self._is_attached:
            return
        self.write_()
        self._is_attached = False
        for hook in (self._forward_hook, *self._gradient_hooks):
            hook.remove()
        for parameter in self._parameters.values():
            parameter.requires_grad_(False)
        for parameter in self._frozen:
            parameter.requires_grad_(True)

    def state_dict(self) -> dict[str, Any]:
        """The scores and what was drawn so far, as plain values, to lie in a checkpoint."""
        scores = {name: score.detach() for name, score in self.scores.items()}
        return {"scores": scores, "num_draws": self.num_draws}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` said.

        Raises:
            UsageError: it is of another model.
        """
        found: Mapping[str, torch.Tensor] = state["scores"]
        for name in {**self.scores, **found}:
            got, wanted = (
                None if value is None else tuple(value.shape)
                for value in (found.get(name), self.scores.get(name))
            )
            if got != wanted:
                raise UsageError(f"scores of {name!r}: got shape {got}, wanted {wanted}")
        with torch.no_grad():
            for name, score in self.scores.items():
                score.copy_(found[name])
        self.num_draws = int(state["num_draws"])
        self._sampled, self._seen = None, None

    def _before_forward(self, module: nn.Module, args: Any) -> None:
        if not module.training:
            self.write_()
            return
        if self._sampled is None or self._is_trained:
            device = next(iter(self.scores.values())).device
            draws = self._generator("draw", device, self.num_draws)
            with torch.inference_mode(False), torch.no_grad():
                self._sampled = self.policy.sampled(self.scores, draws)
            self.num_draws += 1
            self._is_trained = False
            self._put(self._sampled.mask)
        elif self._seen is not None:  # the model was looked at on the way
            self._put(self._sampled.mask)
        self._seen = None

    def _gradient_hook(self, name: str) -> Any:
        def pass_on(parameter: nn.Parameter) -> None:
            gradient, score = parameter.grad, self.scores[name]
            assert gradient is not None
            assert self._sampled is not None
            parameter.grad = None
            with torch.no_grad():
                gradient.mul_(self.weights[name]).mul_(self._sampled.slope[name])
                if score.grad is None:
                    score.grad = _laid_out(gradient, score)
                else:
                    score.grad.add_(gradient)
            self._is_trained = True

        return pass_on

    def _keep(self) -> None:
        """Find the mask anew where scores have changed."""
        seen = self._seen
        if seen is not None and all(torch.equal(seen[n], s) for n, s in self.scores.items()):
            return
        with torch.inference_mode(False), torch.no_grad():
            self._mask = self.policy.kept(self.scores)
            self._seen = {name: score.detach().clone() for name, score in self.scores.items()}

    def _put(self, mask: Mapping[str, torch.Tensor]) -> None:
        """Write the fixed weights into the model, exactly zero where a mask prunes."""
        with torch.inference_mode(False), torch.no_grad():
            for name, parameter in self._parameters.items():
                bits = self._bits[name].copy_(mask[name]).neg_()
                weights, place = (t.view(bits.dtype) for t in (self.weights[name], parameter))
                torch.bitwise_and(weights, bits, out=place)

    def _generator(self, purpose: str, device: torch.device | str, *path: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(derive(self._seed, "scores", purpose, *path))


def _laid_out(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Values as the memory of another tensor lies, which fused optimisers rely on."""
    if values.stride() == like.stride():
        return values
    return torch.empty_like(like, requires_grad=False).copy_(values)
