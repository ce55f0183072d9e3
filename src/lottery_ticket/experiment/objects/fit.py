"""Whether the parts of a spec fit each other: each is tried, so that what does not is said before
anything trains."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import ARMS
from lottery_ticket.connectivity import hidden_units
from lottery_ticket.criteria import CRITERIA, NaNScoresError, score
from lottery_ticket.data import DataSet, Features, shapes_of
from lottery_ticket.errors import LotteryError, TrainingError, UsageError
from lottery_ticket.experiment.objects.layers import pruned_layers
from lottery_ticket.experiment.objects.recipe import (
    augmentation_of,
    loss_of,
    metric_of,
    optimizer_of,
)
from lottery_ticket.masks import copied_model
from lottery_ticket.process import random_state_kept
from lottery_ticket.registry import shown
from lottery_ticket.seeds import generator
from lottery_ticket.spec import Spec, TrainSpec, preset_data, preset_names
from lottery_ticket.train import OPTIMIZERS, TASKS, called, measured

__all__ = ["EXAMPLES_PER_OUTPUT", "check_fit"]

EXAMPLES_PER_OUTPUT = 10
"""What a criterion sees: as Tanaka et al. 2020 have it at initialisation."""


def check_fit(spec: Spec, data: DataSet, model: nn.Module) -> None:
    """See that a spec's parts fit each other, by trying each of them on a few examples.

    A user's own criterion is tried too: on θ₀ as it might be a little later.

    Raises:
        UsageError: names what does not fit, or fails.
    """
    if TASKS.get(spec.train.loss, data.task) != data.task:
        fitting = " or ".join(name for name, task in TASKS.items() if task == data.task)
        raise UsageError(
            f"train.loss {spec.train.loss!r} does not fit {spec.data.name!r}, a {data.task}; "
            f"use {fitting}{_preset_hint(spec.data.name)}"
        )
    if spec.train.augment == "pad_crop_flip" and len(data.input_shape) != 3:
        raise UsageError(
            f"train.augment {spec.train.augment!r} wants images (channels, height, width), "
            f"{spec.data.name!r} has examples of shape {tuple(data.input_shape)}"
        )
    with random_state_kept():  # dropout draws
        _try_a_step(spec, data, copied_model(model).train())
        _try_alignment(spec, data, model)
        for name, options in _criteria(spec):
            if CRITERIA.entry(name).is_user:
                _try_criterion(name, options, spec, data, model)


def _try_alignment(spec: Spec, data: DataSet, model: nn.Module) -> None:
    """See that the model's hidden units can be permuted, where an arm wants that."""
    aligned = [arm.name for arm in spec.arms if ARMS[arm.name].mask == "aligned"]
    if not aligned:
        return
    few = data.train.first(2).x
    if not isinstance(few, torch.Tensor) or not few.is_floating_point():
        raise UsageError(
            f"arms: {aligned[0]!r} aligns nets whose inputs are one tensor of floats, and "
            f"{spec.data.name!r} has others; leave it out, or use 'borrowed'"
        )
    try:
        hidden_units(model, few)
    except UsageError as error:
        raise UsageError(
            f"arms: {aligned[0]!r}: {error}; leave it out, or use 'borrowed'"
        ) from error


def _preset_hint(name: str) -> str:
    """A preset of such data: a recipe of another task has more than its loss to change."""
    known = [preset for preset in preset_names() if preset_data(preset) == name]
    return f", as the preset {known[0]!r} does" if known else ""


def _shape_hint(shape: tuple[int, ...]) -> str:
    """What to do with images whose channels are last, or not there."""
    if len(shape) == 2:
        return "; images are (N, channels, height, width): x[:, None] of such of one channel"
    if len(shape) == 3 and shape[2] in (1, 3, 4) and shape[0] == shape[1]:
        return "; images are (N, channels, height, width): x.transpose(0, 3, 1, 2) of these"
    return ""


def _try_a_step(spec: Spec, data: DataSet, model: nn.Module) -> None:
    """One forward and backward pass, so that what does not fit is known before training."""
    name, shape = spec.model.name, tuple(data.input_shape)
    few = data.train.first(min(2, spec.train.batch_size))
    x, y = _augmented(spec, few.x), few.y
    try:
        output = called(model, x)
    except Exception as error:  # a user's own model may raise anything
        raise UsageError(
            f"model {name!r} does not take examples of {spec.data.name!r}, "
            f"which have shape {shapes_of(x)}: {_first_line(error)}{_shape_hint(shape)}"
        ) from error
    if y.ndim == 2 and not y.is_floating_point():
        _try_backward(spec, model, output, x, y)  # of sequences the loss says what fits
        return
    wanted = (len(y), data.output_size)
    got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    fits = got == wanted if data.task == "regression" else _is_at_least(got, wanted)
    if not fits or not output.is_floating_point():
        raise UsageError(
            f"model {name!r} gives {got} for {len(y)} examples, "
            f"{spec.data.name!r} wants floats of shape {wanted}"
        )
    _try_backward(spec, model, output, x, y)


def _try_backward(
    spec: Spec, model: nn.Module, output: torch.Tensor, x: Features, y: torch.Tensor
) -> None:
    """The loss, its gradients and the metric of a few examples."""
    name = spec.model.name
    try:
        loss_of(spec.train)(output, y).backward()
    except Exception as error:
        raise UsageError(f"model {name!r} cannot be trained: {_first_line(error)}") from error
    if (metric := metric_of(spec.train)) is not None:
        try:
            measured(metric, output.detach(), y)
        except TrainingError as error:
            raise UsageError(str(error)) from error
    _try_optimizer(spec.train, model)
    layers = pruned_layers(spec.prune, model, x)
    if frozen := [n for n, p in layers.items() if not p.requires_grad]:
        raise UsageError(
            f"model {name!r}: {frozen[0]!r} is prunable but frozen (requires_grad=False); leave it "
            f"dense with prune.ignore: {frozen}, or let it train"
        )


def _try_optimizer(train: TrainSpec, model: nn.Module) -> None:
    """An update, by one of a user's own; what the library's do is known."""
    try:
        optimizer = optimizer_of(train)(model.parameters())
        if OPTIMIZERS.entry(train.optimizer).is_user:
            optimizer.step()
    except Exception as error:
        given = {"lr": train.lr, **train.optimizer_arguments}
        options = ", ".join(f"{name}={shown(value)}" for name, value in given.items())
        raise UsageError(
            f"train.optimizer {train.optimizer!r} with {options} fails: {_first_line(error)}"
        ) from error


def _criteria(spec: Spec) -> list[tuple[str, dict[str, Any]]]:
    """What masks are made with."""
    own = dict.fromkeys(name for arm in spec.arms if (name := ARMS[arm.name].criterion))
    return [(spec.prune.criterion, spec.prune.criterion_options), *((name, {}) for name in own)]


def _try_criterion(
    name: str, options: Mapping[str, Any], spec: Spec, data: DataSet, model: nn.Module
) -> None:
    """The scores of a user's criterion, so that what fails is known before the dense nets are
    trained; what the scores are is seen when they are made of trained weights."""
    layers = pruned_layers(spec.prune, model, data.train.first(2).x)
    initial = {name: value.detach().clone() for name, value in model.state_dict().items()}
    # differences from θ₀ of exactly zero would be a case of their own
    weights = {n: v + 0.01 * torch.randn_like(v) if n in layers else v for n, v in initial.items()}
    few = data.train.first(EXAMPLES_PER_OUTPUT * data.output_size)
    pieces = few.pieces(spec.train.batch_size)
    try:
        score(
            CRITERIA[name].with_options(options),
            model=copied_model(model),
            weights=weights,
            initial=initial,
            mask={name: torch.ones_like(value, dtype=torch.bool) for name, value in layers.items()},
            batches=list(pieces),
            loss=loss_of(spec.train),
            input_shape=data.input_shape,
            generator=generator(0),
        )
    except NaNScoresError:
        return  # of trained weights there may be none; if there are, the mask's cell says so
    except LotteryError as error:  # it calls the criterion as its function is called
        said = str(error).removeprefix(f"criterion {name!r}: ")
        raise UsageError(f"criterion {name!r}: {said}") from error
    except Exception as error:
        raise UsageError(f"criterion {name!r} fails: {_first_line(error)}") from error


def _augmented(spec: Spec, x: Features) -> Features:
    """A few examples, changed as training ones are."""
    augment = augmentation_of(spec.train)
    if augment is None:
        return x
    if not isinstance(x, torch.Tensor):
        raise UsageError(
            f"train.augment {spec.train.augment!r} changes one tensor; {spec.data.name!r} has "
            f"several by name: {', '.join(x)}"
        )
    try:
        changed = augment.apply(x, augment.draw(len(x), generator(0)))
    except Exception as error:  # a user's own may raise anything
        raise UsageError(
            f"train.augment {spec.train.augment!r} cannot change examples of {spec.data.name!r}, "
            f"which have shape {tuple(x.shape[1:])}: {_first_line(error)}"
        ) from error
    if changed.shape[0] != len(x):
        raise UsageError(
            f"train.augment {spec.train.augment!r} makes {len(changed)} examples of {len(x)}"
        )
    return changed


def _is_at_least(got: object, wanted: tuple[int, int]) -> bool:
    """More outputs than classes are allowed, as in nets made for more."""
    return isinstance(got, tuple) and len(got) == 2 and got[0] == wanted[0] and got[1] >= wanted[1]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
