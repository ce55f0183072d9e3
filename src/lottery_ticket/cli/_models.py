"""`lottery models`."""

from inspect import Parameter
from typing import TYPE_CHECKING, Any

from lottery_ticket.cli._options import Imports, Json, import_code
from lottery_ticket.cli._print import print_json, print_table

if TYPE_CHECKING:
    from torch import nn

__all__ = ["models"]


def models(imports: Imports = None, json: Json = False) -> None:
    """List the models in each of their forms: parameters, prunable weights, where from."""
    from lottery_ticket.models import FORMS, outline

    import_code(imports)
    known = [
        {
            "model": form.name,
            "options": dict(form.options),
            "input_shape": list(form.input_shape),
            **_counts(outline(form.name, **form.options)),
            "source": form.source or None,
        }
        for form in FORMS
    ]
    listed = known + _users_models()
    if json:
        print_json(listed)
        return
    rows = [["model", "options", "source", "input", "parameters", "prunable"]]
    print_table(rows + [_row(model) for model in listed], num_left=3)


def _users_models() -> list[dict[str, Any]]:
    """What `--import` brought; counts that depend on the data are not known here."""
    from lottery_ticket.models import MODELS

    return [
        {
            "model": name,
            "options": {},
            "input_shape": None,
            **_counts(_built(name)),
            "source": "your own",
        }
        for name in MODELS.user_entries()
    ]


def _built(name: str) -> "nn.Module | None":
    """A user's model with its defaults; None if it wants more than these."""
    from lottery_ticket.errors import UsageError
    from lottery_ticket.models import build, model_options

    taken = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    options = model_options(name).values()
    if any(option.default is option.empty and option.kind in taken for option in options):
        return None
    try:
        return build(name, seed=0)
    except Exception as error:  # a user's own model may raise anything
        raise UsageError(f"model {name!r} cannot be built: {error}") from error


def _counts(model: "nn.Module | None") -> dict[str, int | None]:
    from lottery_ticket.masks import layer_weights
    from lottery_ticket.names import lazy_names

    if model is None or lazy_names(model):
        return {"num_parameters": None, "num_prunable": None}
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    num_prunable = sum(weight.numel() for weight in layer_weights(model).values())
    return {"num_parameters": num_parameters, "num_prunable": num_prunable}


def _row(model: dict[str, Any]) -> list[str]:
    from lottery_ticket.models import options_text

    shape = model["input_shape"]
    counts = [model["num_parameters"], model["num_prunable"]]
    return [
        model["model"],
        options_text(model["options"]),
        model["source"] or "–",
        "–" if shape is None else "×".join(str(side) for side in shape),
        *("–" if count is None else f"{count:,}" for count in counts),
    ]
