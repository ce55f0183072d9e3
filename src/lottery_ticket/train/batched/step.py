"""Several trainings of one shape as one: their parameters stacked, each with its own data order,
mask and history.

A GPU that a small net leaves idle trains many of them in the time of one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lottery_ticket.data import Features, Split
from lottery_ticket.errors import TrainingError
from lottery_ticket.masks import MaskPolicy, copied_model, keep_bits, keep_only_
from lottery_ticket.train._batches import Batch, Batches
from lottery_ticket.train._call import output_of
from lottery_ticket.train._evaluate import EVALUATED_TOGETHER, Evaluation, is_right
from lottery_ticket.train._loop import CHECK_STEPS, TrainState
from lottery_ticket.train._losses import Loss
from lottery_ticket.train._metrics import Measured, Metric, measured

__all__ = ["BatchedStep", "train_together"]

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class BatchedStep:
    """One update of R models of the same architecture, on one device.

    Args:
        states: the trainings; all at the same step.
        masks: what each keeps, by parameter name; all name the same parameters, or some name none.
        batches: the data of each: the same examples, in its own order.
        loss: (output, target) → mean loss.
        make_optimizer: makes one like theirs over the stacked parameters.
        clip_norm: the largest norm of all gradients of one model together, or None.
        precision: `"fp32"` or `"bf16"`.

    Attributes:
        failures: number of a training → why it failed; the others go on.
        gradients: dense ones of the last step, stacked, if it was asked to keep them.

    Models that draw random numbers (dropout) cannot be stacked: torch raises a `RuntimeError`.
    """

    def __init__(
        self,
        states: Sequence[TrainState],
        masks: Sequence[Mapping[str, torch.Tensor]],
        batches: Sequence[Batches],
        *,
        loss: Loss,
        make_optimizer: MakeOptimizer,
        clip_norm: float | None = None,
        precision: str = "fp32",
    ) -> None:
        self._states, self._batches = list(states), list(batches)
        self._parameters, self._buffers = stack_module_state([s.model for s in states])
        self._skeleton = copied_model(states[0].model)
        self._masks = list(masks)
        self._bits = _stacked_bits(masks, self._parameters)
        self._optimizer = make_optimizer(list(self._parameters.values()))
        self._take_optimizer_states()
        self._loss, self._clip_norm = loss, clip_norm
        device = batches[0].split.device.type
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
        self._recent: list[torch.Tensor] = []
        self.failures: dict[int, TrainingError] = {}
        self.gradients: Mapping[str, torch.Tensor] | None = None
        self.description: Mapping[str, Any] = {"step": "batched", "size": len(states)}

    def __call__(self, group: Sequence[Batch], lr: float, *, keep_gradients: bool = False) -> None:
        """One update of each at a learning rate; their losses are noted."""
        taken = [batches.take(batch) for batches, batch in zip(self._batches, group, strict=True)]
        y = torch.stack([target for _, target in taken])
        x = _stacked([examples for examples, _ in taken])
        for options in self._optimizer.param_groups:
            options["lr"] = lr
        self._skeleton.train()
        with self._autocast:
            values = vmap(self._loss_of, randomness="error")(self._parameters, self._buffers, x, y)
        self._optimizer.zero_grad(set_to_none=True)
        values.sum().backward()  # each model's gradients depend on its own loss alone
        self.gradients = None
        if keep_gradients:
            found = self._parameters.items()
            self.gradients = {n: p.grad.clone() for n, p in found if p.grad is not None}
        for name, bits in self._bits.items():
            gradient = self._parameters[name].grad
            assert gradient is not None
            keep_only_(gradient, bits)
        if self._clip_norm is not None:
            self._clip_(self._clip_norm)
        self._optimizer.step()
        self._recent.append(values.detach())
        for state in self._states:
            state.step += 1
        if len(self._recent) == CHECK_STEPS:
            self.collect_()

    @torch.no_grad()
    def take_mask_(self, index: int, mask: Mapping[str, torch.Tensor]) -> None:
        """Go on with another mask of a training, whose model and optimiser have it already."""
        self._masks[index] = mask
        self._bits = _stacked_bits(self._masks, self._parameters)
        for name, kept in mask.items():
            stacked = self._parameters[name]
            pruned = ~kept.to(stacked.device)
            stacked[index].masked_fill_(pruned, 0.0)
            for value in self._optimizer.state.get(stacked, {}).values():
                if isinstance(value, torch.Tensor) and value.shape == stacked.shape:
                    value[index].masked_fill_(pruned, 0.0)

    def collect_(self) -> None:
        """Wait for the losses noted since the last call, and give each training its own."""
        if not self._recent:
            return
        columns = torch.stack(self._recent).t().tolist()
        self._recent.clear()
        for index, values in enumerate(columns):
            if index not in self.failures:
                try:
                    self._states[index].sum_losses_(values)
                except TrainingError as error:
                    self.failures[index] = error

    def outputs(self, x: Features) -> torch.Tensor:
        """What each net says of the same examples: (R, B, …), in eval mode."""
        self._skeleton.eval()
        with self._autocast:
            run = vmap(self._output_of, in_dims=(0, 0, None), randomness="error")
            return run(self._parameters, self._buffers, x).float()

    @torch.no_grad()
    def write_(self) -> None:
        """Bring the models and their optimisers up to date."""
        self.collect_()
        for index, state in enumerate(self._states):
            stacked = {**self._parameters, **self._buffers}
            state.model.load_state_dict({n: v[index] for n, v in stacked.items()}, strict=False)
            for name, parameter in state.model.named_parameters():
                memory = self._optimizer.state[self._parameters[name]]
                state.optimizer.state[parameter] = {
                    key: value.clone() if key == "step" else value[index].clone()
                    for key, value in memory.items()
                    if isinstance(value, torch.Tensor)
                }

    def _output_of(self, parameters: Any, buffers: Any, x: Features) -> torch.Tensor:
        if isinstance(x, torch.Tensor):
            found = functional_call(self._skeleton, (parameters, buffers), (x,))
        else:
            found = functional_call(self._skeleton, (parameters, buffers), (), dict(x))
        return output_of(found)

    def _loss_of(self, parameters: Any, buffers: Any, x: Features, y: torch.Tensor) -> torch.Tensor:
        return self._loss(self._output_of(parameters, buffers, x), y)

    def _take_optimizer_states(self) -> None:
        for name, stacked in self._parameters.items():
            memories = [s.optimizer.state.get(s.model.get_parameter(name)) for s in self._states]
            if not all(memories):
                continue
            for key, value in (memories[0] or {}).items():
                parts = [memory[key] for memory in memories if memory]
                is_shared = key == "step" or not isinstance(value, torch.Tensor)
                self._optimizer.state[stacked][key] = value if is_shared else torch.stack(parts)

    def _clip_(self, norm: float) -> None:
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        squares = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in gradients])
        scales = (norm / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scales.view(-1, *[1] * (gradient.ndim - 1)))


def train_together(
    states: Sequence[TrainState],
    execution: BatchedStep,
    batches: Sequence[Batches],
    *,
    loss: Loss,
    total_steps: int,
    learning_rate: Callable[[int], float],
    evaluate_every: int,
    evaluation_splits: Mapping[str, Split],
    metric: Metric | None = None,
    policies: Sequence[MaskPolicy | None] = (),
    policy_seeds: Sequence[int] = (),
    on_record: Callable[[int, dict[str, Any]], None] = lambda index, record: None,
    on_step: Callable[[Sequence[TrainState]], None] = lambda states: None,
) -> None:
    """As `train`, for several trainings at the same step; see `BatchedStep.failures`.

    Args:
        policies, policy_seeds: of each training; none where no mask changes.
        on_record: called with a training's number and its new history record.
        on_step: called after each step.
    """
    first = states[0]
    while first.step < total_steps:
        epoch, start = divmod(first.step, batches[0].steps_per_epoch)
        for group in zip(*(each.order(epoch, start) for each in batches), strict=True):
            lr = learning_rate(first.step)
            execution(group, lr, keep_gradients=_are_wanted(policies, first.step + 1))
            _ask(states, execution, policies, policy_seeds)
            if first.step % evaluate_every == 0 or first.step == total_steps:
                execution.collect_()
                measured = {
                    prefix: _evaluated(execution, split, loss, len(states), metric)
                    for prefix, split in evaluation_splits.items()
                }
                for index, state in enumerate(states):
                    if index not in execution.failures:
                        own = {prefix: each[index] for prefix, each in measured.items()}
                        on_record(index, state.record_(lr, own))
            on_step(states)
            if first.step == total_steps:
                break
    execution.write_()
    if not all(state.measured for state in states):  # gone on from the last step
        for prefix, split in evaluation_splits.items():
            measured_now = _evaluated(execution, split, loss, len(states), metric)
            for state, own in zip(states, measured_now, strict=True):
                state.measured.setdefault(prefix, own)


def _are_wanted(policies: Sequence[MaskPolicy | None], step: int) -> bool:
    return any(policy is not None and policy.wants_gradients(step) for policy in policies)


def _ask(
    states: Sequence[TrainState],
    execution: BatchedStep,
    policies: Sequence[MaskPolicy | None],
    seeds: Sequence[int],
) -> None:
    """Ask those policies that are due for the masks from now on."""
    due = [i for i, p in enumerate(policies) if p is not None and p.is_due(states[i].step)]
    if not due:
        return
    execution.write_()
    for index in due:
        policy, state = policies[index], states[index]
        if policy is None or index in execution.failures:
            continue
        gradients = None
        if execution.gradients is not None and policy.wants_gradients(state.step):
            gradients = {name: value[index] for name, value in execution.gradients.items()}
        try:
            if state.ask_(policy, seeds[index], gradients):
                assert state.mask is not None
                execution.take_mask_(index, state.mask)
        except TrainingError as error:
            execution.failures[index] = error


@torch.inference_mode()
def _evaluated(
    execution: BatchedStep, split: Split, loss: Loss, size: int, metric: Metric | None
) -> list[Evaluation]:
    is_classification = not split.y.is_floating_point()
    sums, correct, said = torch.zeros(size, dtype=torch.float64), [], []
    for x, y in split.pieces(EVALUATED_TOGETHER):
        outputs = execution.outputs(x)
        sums += torch.stack([loss(output, y) * len(y) for output in outputs]).cpu().double()
        if is_classification:
            correct.append(is_right(outputs, y, dim=2))
        if metric is not None:
            said.append(outputs.cpu())
    means = (sums / len(split)).tolist()
    own: list[Measured | None] = [None] * size
    if metric is not None:
        targets = split.y.cpu()
        own = [measured(metric, outputs, targets) for outputs in torch.cat(said, 1)]
    if not is_classification:
        return [Evaluation(mean, None, None, value) for mean, value in zip(means, own, strict=True)]
    rights = torch.cat(correct, 1).cpu()
    return [
        Evaluation(
            mean, int(right.sum()) / right.numel(), right if right.ndim == 1 else None, value
        )
        for mean, right, value in zip(means, rights, own, strict=True)
    ]


def _stacked(parts: Sequence[Features]) -> Features:
    """The examples of several trainings, stacked."""
    first = parts[0]
    if isinstance(first, torch.Tensor):
        return torch.stack([part for part in parts if isinstance(part, torch.Tensor)])
    return {
        name: torch.stack([part[name] for part in parts if not isinstance(part, torch.Tensor)])
        for name in first
    }


def _stacked_bits(
    masks: Sequence[Mapping[str, torch.Tensor]], parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    names = {name for mask in masks for name in mask if not bool(mask[name].all())}
    stacked = {}
    for name in (name for name in parameters if name in names):
        like = parameters[name]
        ones = torch.ones(like.shape[1:], dtype=torch.bool)
        kept = torch.stack([mask.get(name, ones).cpu() for mask in masks])
        stacked[name] = keep_bits(kept.to(like.device), like)
    return stacked
