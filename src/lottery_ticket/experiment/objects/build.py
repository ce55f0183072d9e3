"""Spec → objects: the only bridge between what is written and what is run."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery_ticket.data import (
    DATASETS,
    DataSet,
    dataset_options,
    limits_itself,
    load_dataset,
    missing_classes,
)
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.experiment.objects.code import source_hashes
from lottery_ticket.experiment.objects.fit import check_fit
from lottery_ticket.experiment.objects.fresh_model import fresh_model
from lottery_ticket.experiment.objects.inputs import Inputs
from lottery_ticket.experiment.objects.layers import pruned_layers
from lottery_ticket.experiment.objects.start import check_start, read_start, start_digest
from lottery_ticket.masks import input_dims, layer_weights
from lottery_ticket.models import build, model_options
from lottery_ticket.spec import DataSpec, Spec, canonical, canonical_json
from lottery_ticket.train import check_kernels

__all__ = ["built_model", "inspect_inputs", "load_data"]


_MAX_LOADED = 4  # two sets, each on the device and, for masks at initialisation, on the CPU
_loaded: dict[tuple[Any, ...], DataSet] = {}


def load_data(
    data: DataSpec, data_dir: Path | None, device: str = "cpu", *, digest: str | None = None
) -> DataSet:
    """The data on the device; the sets used last are kept, since a worker trains many cells on
    them, in turn where tickets of one are trained on the other.

    Args:
        digest: what they must be, where that is known.

    Raises:
        DataError: they cannot be read, or are others by now.
    """
    place = None if data_dir is None else str(data_dir)
    key = (canonical_json(data), place, device, _state_of_file(data.options.get("path")))
    found = _loaded.pop(key, None)
    if found is None:
        while len(_loaded) >= _MAX_LOADED:
            del _loaded[next(iter(_loaded))]
        found = load_dataset(data.name, data_dir=data_dir, **data.options).to(device)
    _loaded[key] = found  # the last one
    if digest not in (None, found.digest):
        raise DataError(
            f"{data.name}: the data have changed since the run was planned (digest {digest[:12]}…, "
            f"now {found.digest[:12]}…); run it again"
        )
    return found


def _state_of_file(path: object) -> Any:
    """What changes when a file, or one in a folder, is written again; None where there is none."""
    try:
        file = Path(str(path)).expanduser()
        files = sorted(file.iterdir()) if file.is_dir() else [file]
        return tuple((str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in files)
    except (OSError, ValueError):
        return None


def inspect_inputs(
    spec: Spec, data_dir: Path | None = None, *, kernels: str = "auto", device: str = "cpu"
) -> Inputs:
    """What the plan of `spec` depends on, having seen that model, loss and data fit.

    Args:
        kernels, device: how it will be executed, which must be possible.

    Raises:
        UsageError: they do not fit; said before anything trains.
        DataError: the data cannot be read.
    """
    data = load_data(spec.data_said, data_dir)
    _check_limit(spec, data)
    options = _model_options(spec, data)
    model = fresh_model(spec.model.name, options, [arm.name for arm in spec.arms])
    check_fit(spec, data, model)
    is_augmented = spec.train.augment is not None
    check_kernels(kernels, model, device=device, augment=is_augmented, x=data.train.x)
    pruned = pruned_layers(spec.prune, model, data.train.first(2).x)
    layers = {name: tuple(value.shape) for name, value in pruned.items()}
    inputs = Inputs(
        start=_start(spec, model),
        data_digest=data.digest,
        num_train=len(data.train),
        data_options=_data_options(spec.data, data),
        model_options=canonical(options),
        layers=layers,
        sources=source_hashes(spec),
        input_shape=data.input_shape,
        input_dims={name: dim for name, dim in input_dims(model, layers).items() if dim != 1},
        num_ignored=sum(p.numel() for n, p in layer_weights(model).items() if n not in layers),
        notes=tuple(_notes(data)),
    )
    if spec.source_spec is None:
        return inputs
    try:
        source = inspect_inputs(spec.source_spec, data_dir, kernels=kernels, device=device)
    except UsageError as error:
        raise UsageError(f"source: {error}") from error
    return dataclasses.replace(inputs, source=source)


def _start(spec: Spec, model: nn.Module) -> str | None:
    """The digest of the weights to start from, having seen that the model can."""
    path = spec.model.start
    if path is None:
        return None
    tensors = read_start(path)
    check_start(path, tensors, model)
    return start_digest(tensors)


def built_model(spec: Spec, data: DataSet) -> nn.Module:
    """The model of a spec as it is before training, for the data."""
    return build(spec.model.name, seed=0, **_model_options(spec, data))


def _check_limit(spec: Spec, data: DataSet) -> None:
    limit = 0 if limits_itself(spec.data.name) else spec.data.options.get("limit", 0)
    if limit and len(data.train) < spec.train.batch_size:
        raise UsageError(
            f"data.limit: got {limit}, wanted at least train.batch_size, {spec.train.batch_size}; "
            "take more examples or smaller batches"
        )


def _data_options(data: DataSpec, loaded: DataSet) -> dict[str, Any]:
    """The options given and the defaults that are not off; where a file lies is not what it holds
    (the digest says that)."""
    known = dataset_options(data.name)
    options = {n: p.default for n, p in known.items() if p.default is not p.empty}
    options |= data.options
    unnamed = {"path"} if DATASETS.entry(data.name).is_user else {"path", *_said_twice(loaded)}
    return canonical({name: v for name, v in options.items() if v and name not in unnamed})


def _notes(loaded: DataSet) -> Iterator[str]:
    for part, split in (("validation", loaded.validation), ("test", loaded.test)):
        if split is not None and loaded.num_classes is not None:
            missing = missing_classes(split.y.numpy(), loaded.train.y.numpy())
            shown = ", ".join(map(str, missing[:6])) + ", …" * (len(missing) > 6)
            if missing:
                yield f"{loaded.name}: {part} has classes without a training example: {shown}"


def _said_twice(loaded: DataSet) -> set[str]:
    """Options that say only what the loss, or the labels themselves, say as well: results have the
    name that they had before there were such options."""
    if loaded.num_classes is None:
        return {"task"}
    splits = filter(None, (loaded.train, loaded.validation, loaded.test))
    largest = max(int(split.y.max()) for split in splits)
    return {"task", "num_classes"} if loaded.num_classes == largest + 1 else {"task"}


def _model_options(spec: Spec, data: DataSet) -> dict[str, Any]:
    """The options given, those that follow from the data, and the defaults that are not off."""
    known = model_options(spec.model.name)
    follows: dict[str, Any] = {"num_classes": data.output_size}
    if isinstance(data.train.x, torch.Tensor):
        follows["input_size"] = torch.Size(data.input_shape).numel()
    options = {n: p.default for n, p in known.items() if p.default is not p.empty and p.default}
    options |= {name: value for name, value in follows.items() if name in known}
    options |= spec.model.options
    size = follows.get("input_size")
    if size is not None and options.get("input_size", size) != size:
        raise UsageError(
            f"model.input_size is {options['input_size']}, but an example of "
            f"{spec.data.name!r} has {follows['input_size']} values {tuple(data.input_shape)}; "
            "leave input_size out to take it from the data"
        )
    return options
