"""`lottery init`."""

import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lottery_ticket.cli._ask import Asking, is_terminal
from lottery_ticket.cli._options import DataDir, Imports, import_code
from lottery_ticket.cli._print import console, print_error
from lottery_ticket.errors import LotteryError, UsageError

if TYPE_CHECKING:
    from lottery_ticket.api import Prepared
    from lottery_ticket.starter import Answers, DataChoice, ModelChoice, Recipe

__all__ = ["init"]

_NEW = "new"
_FLAGS = {
    "data": "--data",
    "model": "--model",
    "prune": "--rate and --levels",
    "train": "--epochs, --lr and --batch-size",
    "arms": "--controls and --replicates",
}
"""Question → the options that answer it."""

Data = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A data set, a .npz or folder of .npy files, a .py that registers one, or 'new': a "
        "template of such a .py. Options behind it: --data 'mnist limit=2000'.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A model that takes the data, a .py that registers one, or 'new': a template of such "
        "a .py. Options behind it: --model 'MLP hidden=[64,32]'.",
        show_default=False,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(help="What each level prunes of the rest; by default 0.2.", show_default=False),
]
Levels = Annotated[
    int | None, typer.Option(help="How many levels; by default 10.", show_default=False)
]
Epochs = Annotated[
    int | None,
    typer.Option(help="Of each training; by default some thousand steps.", show_default=False),
]
LearningRate = Annotated[
    float | None,
    typer.Option("--lr", help="The learning rate; by default 0.001.", show_default=False),
]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Examples in a step; by default up to 128.", show_default=False),
]
Optimizer = Annotated[
    str | None,
    typer.Option(help="sgd, adam, adamw or your own; by default adam.", show_default=False),
]
Controls = Annotated[
    str | None,
    typer.Option(
        metavar="ARM,ARM,…",
        help="Arms beside the ticket; by default reinit; 'none' for none.",
        show_default=False,
    ),
]
Replicates = Annotated[
    int | None, typer.Option(help="Repetitions; by default 3.", show_default=False)
]


@dataclass
class _Drafting:
    """What the questions need: where data are, what was given, and a place for templates."""

    asking: Asking
    folder: Path
    data_dir: Path | None
    imports: tuple[str, ...]
    optimizer: str | None
    templates: dict[str, str] = field(default_factory=dict)  # "data", "model" → its aside file


def init(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="What to write; by default a .yaml named by data and model.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    model: Model = None,
    rate: Rate = None,
    levels: Levels = None,
    epochs: Epochs = None,
    lr: LearningRate = None,
    batch_size: BatchSize = None,
    optimizer: Optimizer = None,
    controls: Controls = None,
    replicates: Replicates = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: take defaults for the rest.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data_dir: DataDir = None,
    imports: Imports = None,
) -> None:
    """Write a first spec: asks five questions about your data and model, or takes options.

    What is written has a comment above each line, is planned once to see that it runs, and names
    the commands to run it. Nothing is replaced, and nothing is left if it is stopped.
    """
    given = _given(
        data=data,
        model=model,
        prune=_joined(rate, levels),
        train=_joined(epochs, lr, batch_size),
        arms=_joined(controls, replicates),
    )
    if optimizer is not None and "train" not in given:
        given["train"] = _joined(None, None, None, is_given=True) or ""
    if not yes and not is_terminal() and (missing := [n for n in _FLAGS if n not in given]):
        raise UsageError(
            "nobody can be asked here, since this is no terminal: say "
            f"{'; '.join(_FLAGS[name] for name in missing)}; or --yes for defaults"
        )
    if file is not None:
        file = _checked_file(file, force)
    try:
        with tempfile.TemporaryDirectory(prefix="lottery-init-") as folder:
            import_code(imports)
            drafting = _Drafting(
                Asking(given, to_ask=not yes),
                Path(folder),
                data_dir,
                tuple(imports or ()),
                optimizer,
            )
            _write(drafting, file, force=force, can_ask=not yes and is_terminal())
    except KeyboardInterrupt:
        console.print()
        print_error("stopped; nothing was written")
        raise typer.Exit(130) from None


def _given(**answers: str | None) -> dict[str, str]:
    return {name: text for name, text in answers.items() if text is not None}


def _joined(*values: object, is_given: bool = False) -> str | None:
    """Options as they would be typed, `-` for what is left to the default."""
    if not is_given and all(value is None for value in values):
        return None
    return " ".join("-" if value is None else str(value) for value in values)


def _checked_file(file: Path, force: bool) -> Path:
    from lottery_ticket.files import check_replaceable, usable_path

    file = usable_path(file, "FILE")
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{file}: a spec's name ends in .yaml; call it {file}.yaml")
    check_replaceable(file)
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; make it first")
    if file.exists() and not force:
        raise UsageError(f"{file}: is there already; choose another name, or --force to replace it")
    return file


def _write(drafting: _Drafting, file: Path | None, *, force: bool, can_ask: bool) -> None:
    from lottery_ticket.files import write_file, writing
    from lottery_ticket.starter import spec_text, template

    data = _asked_data(drafting)
    while True:
        answers = _answered(drafting, data, file)
        try:
            prepared = _tried(answers, drafting)
            break
        except LotteryError as error:
            if not can_ask:
                raise
            print_error(str(error))
            drafting.asking.again("model", "prune", "train", "arms")
    file = _free(answers.name) if file is None else file
    code = file.with_name(f"{file.stem.replace('-', '_')}_code.py")
    if drafting.templates:
        if code.exists() and not force:
            raise UsageError(f"{code}: is there already; name another FILE, or --force replaces it")
        answers = _with_code(answers, drafting, code)
        text = template(
            code.name, **{kind: kind in drafting.templates for kind in ("data", "model")}
        )
        with writing(code):
            write_file(code, text.encode())
    try:
        with writing(file):
            write_file(file, spec_text(answers, str(file)).encode())
    except BaseException:
        if drafting.templates:
            code.unlink(missing_ok=True)
        raise
    _report(answers, file, code if drafting.templates else None, prepared)


def _asked_data(drafting: _Drafting) -> "DataChoice":
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


def _answered(drafting: _Drafting, data: "DataChoice", file: Path | None) -> "Answers":
    from lottery_ticket.arms import REINIT
    from lottery_ticket.starter import Answers, default_recipe

    model = _asked_model(drafting, data)
    recipe = default_recipe(data)
    if drafting.optimizer is not None:
        recipe = replace(recipe, optimizer=drafting.optimizer)
    name = _name(data, model) if file is None else _slug(file.stem)
    answers = Answers(name, data, model, 0.2, 10, recipe, (REINIT,), 3, drafting.imports)
    answers = _asked_pruning(drafting, answers)
    answers = _asked_recipe(drafting, answers)
    return _asked_arms(drafting, answers)


def _asked_model(drafting: _Drafting, data: "DataChoice") -> "ModelChoice":
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


def _asked_pruning(drafting: _Drafting, answers: "Answers") -> "Answers":
    default = f"{answers.rate} {answers.levels}"

    def read(text: str) -> "Answers":
        rate, levels = _words(text, default, "a rate and a number of levels", (float, int))
        found = replace(answers, rate=rate, levels=levels)
        _check(found)
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


def _asked_recipe(drafting: _Drafting, answers: "Answers") -> "Answers":
    recipe = answers.recipe
    default = f"{recipe.epochs} {recipe.lr} {recipe.batch_size}"

    def read(text: str) -> "Answers":
        wanted = "epochs, a learning rate and a batch size"
        epochs, lr, batch_size = _words(text, default, wanted, (int, float, int))
        made: Recipe = replace(recipe, epochs=epochs, lr=lr, batch_size=batch_size)
        found = replace(answers, recipe=made)
        _check(found)
        return found

    question = f"How long to train, with {recipe.optimizer}? epochs, learning rate, batch size"
    return drafting.asking.answer(
        "train", question, default, read, lambda: ["so long is each training, dense or pruned"]
    )


def _asked_arms(drafting: _Drafting, answers: "Answers") -> "Answers":
    from lottery_ticket.arms import ARMS
    from lottery_ticket.errors import nearest
    from lottery_ticket.starter import control_names

    known = control_names(answers.data, answers.model)
    default = f"{','.join(answers.controls)} {answers.replicates}"

    def read(text: str) -> "Answers":
        controls, replicates = _words(text, default, "controls and replicates", (str, int))
        names = [] if controls == "none" else [n.strip() for n in controls.split(",") if n.strip()]
        for name in names:
            if name not in known:
                raise UsageError(f"controls: no control is called {name!r}{nearest(name, known)}")
        found = replace(answers, controls=tuple(names), replicates=replicates)
        _check(found)
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
    words = text.replace(", ", ",").split()
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


def _check(answers: "Answers") -> None:
    """See that a spec can say it."""
    from lottery_ticket.spec import spec_from_mapping

    spec_from_mapping(answers.values(), "answer")


def _aside(drafting: _Drafting, kind: str) -> str:
    """A template in a file of its own, to be imported before the real one is written."""
    from lottery_ticket.starter import template

    path = drafting.folder / f"{kind}_template.py"
    if not path.exists():
        path.write_text(template(path.name, data=kind == "data", model=kind == "model"))
    drafting.templates[kind] = str(path)
    return str(path)


def _with_code(answers: "Answers", drafting: _Drafting, code: Path) -> "Answers":
    """The answers, their templates in the file that stays."""

    def moved(imports: tuple[str, ...]) -> tuple[str, ...]:
        aside = set(drafting.templates.values())
        return tuple(str(code) if one in aside else one for one in imports)

    return replace(
        answers,
        data=replace(answers.data, imports=moved(answers.data.imports)),
        model=replace(answers.model, imports=moved(answers.model.imports)),
    )


def _tried(answers: "Answers", drafting: _Drafting) -> "Prepared | None":
    """The plan of the spec; None where its data are to be downloaded first."""
    from lottery_ticket.api import prepare

    _check(answers)
    if not answers.data.is_here:
        return None
    return prepare(
        answers.values(),
        store=drafting.folder / "store",
        data_dir=drafting.data_dir,
        imports=answers.all_imports,
    )


def _report(answers: "Answers", file: Path, code: Path | None, prepared: "Prepared | None") -> None:
    console.print()
    if prepared is None:
        console.print(
            f"{answers.data.name} is not on this machine: the first plan or run downloads it",
            markup=False,
        )
    else:
        console.print(_sized(prepared), markup=False)
    for path in filter(None, (code, file)):
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    imports = "".join(f" --import {shlex.quote(one)}" for one in answers.all_imports)
    for command, meaning in (("plan", "what it would do"), ("run", "do it")):
        line = f"lottery {command} {shlex.quote(str(file))}{imports}"
        console.print(f"{meaning}: {line}", markup=False, soft_wrap=True)


def _sized(prepared: "Prepared") -> str:
    """How many trainings there are, and how long they take here."""
    from lottery_ticket.experiment import least_seconds, training_seconds
    from lottery_ticket.progress import time_text

    trainings = sum(1 for cell in prepared.plan.cells.values() if cell.num_steps)
    seconds = least_seconds(
        prepared.plan, training_seconds(prepared.plan, (), prepared.context), prepared.jobs
    )
    return (
        f"{trainings} trainings, {prepared.plan.num_steps:,} steps in all: about "
        f"{time_text(seconds)} on this machine"
    )


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


def _free(name: str) -> Path:
    """A name that no file has."""
    path, number = Path(f"{name}.yaml"), 2
    while path.exists():
        path, number = Path(f"{name}-{number}.yaml"), number + 1
    return path
