"""The five questions of `lottery init`, and what their answers mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lottery_ticket.cli._ask import Asking
from lottery_ticket.cli._options import listed
from lottery_ticket.cli._print import console
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.starter import Answers, DataChoice, ModelChoice, Recipe

__all__ = ["Drafting", "answered", "asked_data", "check"]

_NEW = "new"


@dataclass
class Drafting:
    """What the questions need: where data are, what was given, and a place for templates."""

    asking: Asking
    folder: Path
    data_dir: Path | None
    imports: tuple[str, ...]
    optimizer: str | None
    templates: dict[str, str] = field(default_factory=dict)  # "data", "model" → its aside file


def asked_data(drafting: Drafting) -> "DataChoice":
    from lottery_ticket.starter import chosen_data, data_lines

    def read(text: str) -> "DataChoice":
        drafting.templates.pop("data", None)
        if text == _NEW:
            return chosen_data(_aside(drafting, "data"), drafting.data_dir)
        return chosen_data(text, drafting.data_dir)

    def lines() -> list[str]:
        known = data_lines(drafting.data_dir)
        width = max(map(len, known))
        return [
            *(f"{name:{width}}  {about}" for name, about in known.items()),
            "or a .npz with x and y, a folder of .npy files, or a .py that registers a data set",
            f"or {_NEW}: a .py to fill in is written beside the spec",
        ]

    found = drafting.asking.answer("data", "Which data?", "digits", read, lines)
    console.print(f"   {found.about}", markup=False)
    return found


def answered(drafting: Drafting, data: "DataChoice", file: Path | None) -> "Answers":
    from lottery_ticket.arms import REINIT
    from lottery_ticket.starter import Answers, default_recipe

    model = _asked_model(drafting, data)
    recipe = (
        default_recipe(data)
        if drafting.optimizer is None
        else default_recipe(data, drafting.optimizer)
    )
    name = _name(data, model) if file is None else _slug(file.stem)
    answers = Answers(name, data, model, 0.2, 10, recipe, (REINIT,), 3, drafting.imports)
    answers = _asked_pruning(drafting, answers)
    answers = _asked_recipe(drafting, answers)
    return _asked_arms(drafting, answers)


def _asked_model(drafting: Drafting, data: "DataChoice") -> "ModelChoice":
    from lottery_ticket.models import MODELS
    from lottery_ticket.starter import chosen_model, default_model, fitting_models

    def read(text: str) -> "ModelChoice":
        drafting.templates.pop("model", None)
        if not text:
            raise UsageError("--model: none of the library's takes these data; name one of yours")
        return chosen_model(_aside(drafting, "model") if text == _NEW else text, data)

    def lines() -> list[str]:
        fitting = fitting_models(data)
        width = max((len(model.label) for model in fitting), default=0)
        return [
            *(f"{model.label:{width}}  {model.num_parameters:,} parameters" for model in fitting),
            *(f"{name}  your own" for name in MODELS.user_entries()),
            "or a .py that registers a model",
            f"or {_NEW}: a .py to fill in is written beside the spec",
        ]

    chosen = default_model(data)
    default = "" if chosen is None else chosen.label
    return drafting.asking.answer("model", "Which model?", default, read, lines)


def _asked_pruning(drafting: Drafting, answers: "Answers") -> "Answers":
    default = f"{answers.rate} {answers.levels}"

    def read(text: str) -> "Answers":
        rate, levels = _words(text, default, "a rate and a number of levels", (float, int))
        found = replace(answers, rate=rate, levels=levels)
        check(found)
        return found

    def lines() -> list[str]:
        return [
            "each level prunes this share of the weights that are left; levels: how many",
            "0.2 10 keeps 80, 64, 51.2, … 10.7 %; 0.5 5 keeps 50, 25, … 3.1 %",
        ]

    found = drafting.asking.answer(
        "prune", "How much to prune? rate and levels", default, read, lines
    )
    shown = [f"{100 * density:.3g}" for density in found.densities]
    shown = shown if len(shown) <= 14 else [*shown[:6], "…", *shown[-4:]]
    console.print(f"   kept: 100, {', '.join(shown)} % of the weights", markup=False)
    return found


def _asked_recipe(drafting: Drafting, answers: "Answers") -> "Answers":
    recipe = answers.recipe
    default = f"{recipe.epochs} {recipe.lr} {recipe.batch_size}"

    def read(text: str) -> "Answers":
        wanted = "epochs, a learning rate and a batch size"
        epochs, lr, batch_size = _words(text, default, wanted, (int, float, int))
        made: Recipe = replace(recipe, epochs=epochs, lr=lr, batch_size=batch_size)
        found = replace(answers, recipe=made)
        check(found)
        return found

    question = f"How long to train, with {recipe.optimizer}? epochs, learning rate, batch size"
    return drafting.asking.answer(
        "train", question, default, read, lambda: ["so long is each training, dense or pruned"]
    )


def _asked_arms(drafting: Drafting, answers: "Answers") -> "Answers":
    from lottery_ticket.arms import ARMS
    from lottery_ticket.errors import nearest
    from lottery_ticket.starter import control_names

    known = control_names(answers.data, answers.model)
    default = f"{','.join(answers.controls)} {answers.replicates}"

    def read(text: str) -> "Answers":
        controls, replicates = _words(text, default, "controls and replicates", (str, int))
        names = [] if controls == "none" else listed("controls", controls) or []
        for name in names:
            if name not in known:
                raise UsageError(f"controls: no control is called {name!r}{nearest(name, known)}")
        found = replace(answers, controls=tuple(names), replicates=replicates)
        check(found)
        return found

    def lines() -> list[str]:
        short = {name: ARMS[name].meaning.partition(". ")[0].rstrip(".") for name in known}
        width = max(map(len, short))
        return [
            *(f"{name:{width}}  {meaning}"[: max(60, console.width - 4)] for name, meaning in
              short.items()),
            "several: reinit,shuffled 3; no control: none 1",
        ]  # fmt: skip

    return drafting.asking.answer(
        "arms", "Against which controls, in how many replicates?", default, read, lines
    )


def _words(
    text: str, default: str, wanted: str, kinds: "tuple[type[int] | type[float] | type[str], ...]"
) -> list:
    """Typed words; one that is left out, or `-`, is the default's."""
    words = re.sub(r"\s*,\s*", ",", text).split()
    if len(words) > len(kinds):
        raise UsageError(f"got {text!r}, wanted {wanted}, such as {default}")
    usual = default.split()
    values = []
    for place, kind in enumerate(kinds):
        word = words[place] if place < len(words) and words[place] != "-" else usual[place]
        try:
            values.append(kind(word))
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise UsageError(f"got {word!r}, wanted {what}: {wanted}, such as {default}") from None
    return values


def check(answers: "Answers") -> None:
    """See that a spec can say it."""
    from lottery_ticket.spec import spec_from_mapping

    spec_from_mapping(answers.values(), "answer")


def _aside(drafting: Drafting, kind: str) -> str:
    """A template in a file of its own, to be imported before the real one is written."""
    from lottery_ticket.starter import template

    path = drafting.folder / f"{kind}_template.py"
    if not path.exists():
        path.write_text(template(path.name, data=kind == "data", model=kind == "model"))
    drafting.templates[kind] = str(path)
    return str(path)


def _name(data: "DataChoice", model: "ModelChoice") -> str:
    path: Mapping[str, object] = data.options
    what = Path(str(path["path"])).stem if "path" in path else data.name
    return _slug(f"{what}-{model.name}".lower())


def _slug(text: str) -> str:
    """What a run can be called.

    >>> _slug("my net!")
    'my-net'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60] or "mine"
