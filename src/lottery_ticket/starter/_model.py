"""Which model: those of the library that take the data, or one of one's own."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.models import FORMS, MODELS, largest_width, model_options, options_text, outline
from lottery_ticket.starter._code import registered_by
from lottery_ticket.starter._data import DataChoice
from lottery_ticket.starter._words import named_options

__all__ = ["ModelChoice", "can_be_narrow", "chosen_model", "default_model", "fitting_models"]

_OF_DATA = ("num_classes", "input_size", "input_channels")


@dataclass(frozen=True)
class ModelChoice:
    """A model as a spec says it.

    Args:
        name, options: of it; what follows from the data is left out.
        imports: .py files that register it.
        num_parameters: that it has for the data; None where only its own code knows.
    """

    name: str
    options: Mapping[str, Any]
    imports: tuple[str, ...] = ()
    num_parameters: int | None = None

    @property
    def label(self) -> str:
        """Its name with its options, as it can be answered."""
        said = [f"{name}={json.dumps(value)}" for name, value in self.options.items()]
        return " ".join([self.name, *(text.replace(", ", ",").replace('"', "") for text in said)])


def fitting_models(data: DataChoice) -> list[ModelChoice]:
    """The library's models that take the data's examples, the smallest first; each is tried, on
    shapes alone.

    >>> from lottery_ticket.starter import chosen_data
    >>> [model.name for model in fitting_models(chosen_data("digits"))]
    ['MLP', 'LeNet300']
    """
    if not data.input_shape:
        return []
    return list(_fitting(data.input_shape, data.output_size))


@functools.lru_cache(maxsize=16)  # each is built, which takes a while for the largest
def _fitting(input_shape: tuple[int, ...], output_size: int) -> tuple[ModelChoice, ...]:
    found = []
    for form in FORMS:
        known = model_options(form.name)
        options = {name: v for name, v in form.options.items() if name not in _OF_DATA}
        channels = input_shape[0] if len(input_shape) == 3 else None
        if "input_channels" in known and channels not in (None, 3):
            options["input_channels"] = channels
        if "input_size" not in known and not _is_like(form.input_shape, input_shape, known):
            continue
        count = _num_parameters(form.name, options, input_shape, output_size)
        if count is not None:
            found.append(ModelChoice(form.name, options, (), count))
    return tuple(sorted(found, key=lambda model: model.num_parameters or 0))


def _is_like(wanted: tuple[int, ...], got: tuple[int, ...], known: Mapping[str, Any]) -> bool:
    """Whether examples have the shape that a form is meant for, but for its colours where the form
    has a say in them."""
    is_image = len(wanted) == len(got) == 3
    return wanted == got or (is_image and "input_channels" in known and wanted[1:] == got[1:])


def _num_parameters(
    name: str, options: Mapping[str, Any], input_shape: tuple[int, ...], output_size: int
) -> int | None:
    """Of the model for such data; None if it does not take them."""
    try:
        model = outline(name, **_with_sizes(name, options, input_shape, output_size)).eval()
        with torch.no_grad():
            output = model(torch.empty(2, *input_shape, device="meta"))
    except Exception:  # it is tried; a model that does not fit raises anything
        return None
    if tuple(output.shape) != (2, output_size):
        return None
    return sum(parameter.numel() for parameter in model.parameters())


def _with_sizes(
    name: str, options: Mapping[str, Any], input_shape: tuple[int, ...], output_size: int
) -> dict[str, Any]:
    """The options with those that follow from the data."""
    follows = {"num_classes": output_size, "input_size": prod(input_shape)}
    known = model_options(name)
    return {**{n: v for n, v in follows.items() if n in known}, **options}


def can_be_narrow(data: DataChoice, model: ModelChoice) -> bool:
    """Whether its hidden layers can be made narrower all together."""
    try:
        largest_width(
            model.name, _with_sizes(model.name, model.options, data.input_shape, data.output_size)
        )
    except Exception:  # a user's own model may raise anything
        return False
    return True


def default_model(data: DataChoice) -> ModelChoice | None:
    """The first published model for examples of this very shape, else the smallest that takes
    them; None where none of the library's does."""
    fitting = fitting_models(data)
    for form in FORMS:
        if form.source and form.input_shape == data.input_shape:
            for model in fitting:
                if model.name == form.name:
                    return model
    return fitting[0] if fitting else None


def chosen_model(text: str, data: DataChoice) -> ModelChoice:
    """What was meant by a model's name or a `.py` that registers one, options behind it.

    Args:
        text: such as `"MLP hidden=[64,32]"` or `"net.py"`.
        data: what it is to take.

    Raises:
        UsageError: there is no such model, or it does not take the data.
    """
    name, options = named_options(text, "model")
    imports: tuple[str, ...] = ()
    if name not in MODELS and Path(name).suffix == ".py":
        name, imports = registered_by(name, MODELS, "register_model"), (name,)
    fitting = fitting_models(data)
    if name not in MODELS:
        known = {*(model.name for model in fitting), *MODELS.user_entries()}
        raise UsageError(f"model {name!r}: no model is called so{nearest(name, known)}")
    for option in options:
        if option not in model_options(name):
            raise UsageError(
                f"model {name!r} has no option {option!r}{nearest(option, model_options(name))}"
            )
    return _completed(name, options, imports, fitting, data)


def _completed(
    name: str,
    options: dict[str, Any],
    imports: tuple[str, ...],
    fitting: list[ModelChoice],
    data: DataChoice,
) -> ModelChoice:
    """The form of it that takes the data, with what was said on top."""
    is_user = MODELS.entry(name).is_user
    forms = [model for model in fitting if model.name == name]
    named = [f for f in forms if all(f.options.get(n, v) == v for n, v in options.items())]
    if is_user or not data.input_shape:
        return ModelChoice(name, options, imports)
    if not named:
        others = ", ".join(dict.fromkeys(model.name for model in fitting)) or "one of your own"
        raise UsageError(
            f"model {' '.join([name, options_text(options)]).strip()!r} does not take examples of "
            f"{data.name!r}, {data.about}; these do: {others}"
        )
    said = {**named[0].options, **options}
    count = _num_parameters(name, said, data.input_shape, data.output_size)
    if count is None:
        raise UsageError(
            f"model {name!r} with {options_text(options)} does not take examples of "
            f"{data.name!r}: {data.about}"
        )
    return ModelChoice(name, said, imports, count)
