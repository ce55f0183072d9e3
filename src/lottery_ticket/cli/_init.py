"""`lottery init`."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lottery_ticket.cli._ask import Asking, is_terminal
from lottery_ticket.cli._options import DataDir, Imports, import_code, listed
from lottery_ticket.cli._print import console, print_error
from lottery_ticket.cli._questions import Drafting, answered, asked_data, check
from lottery_ticket.errors import LotteryError, UsageError

if TYPE_CHECKING:
    from lottery_ticket.api import Prepared
    from lottery_ticket.starter import Answers

__all__ = ["init"]

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
    typer.Option(
        "--lr",
        help="The learning rate; by default one that suits the optimiser.",
        show_default=False,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Examples in a step; by default up to 128.", show_default=False),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        help="sgd (with momentum), adam, adamw or your own; by default adam.", show_default=False
    ),
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
        arms=_joined(_names(controls), replicates),
    )
    if optimizer is not None and "train" not in given:
        given["train"] = "-"
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
            drafting = Drafting(
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


def _names(controls: str | None) -> str | None:
    names = listed("--controls", controls)
    return None if names is None else ",".join(names)


def _joined(*values: object) -> str | None:
    """Options as they would be typed, `-` for what is left to the default."""
    if all(value is None for value in values):
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


def _write(drafting: Drafting, file: Path | None, *, force: bool, can_ask: bool) -> None:
    data = asked_data(drafting)
    while True:
        answers = answered(drafting, data, file)
        try:
            prepared = _tried(answers, drafting)
            break
        except LotteryError as error:
            if not can_ask:
                raise
            print_error(str(error))
            drafting.asking.again("model", "prune", "train", "arms")
    file = _free(answers.name) if file is None else file
    if drafting.templates:
        code = file.with_name(f"{file.stem.replace('-', '_')}_code.py")
        answers = _with_code(answers, drafting, code)
        with _written_code(drafting, code, force):
            _write_spec(answers, drafting, file)
        written = [code, file]
    else:
        _write_spec(answers, drafting, file)
        written = [file]
    _report(answers, drafting, written, prepared)


def _write_spec(answers: "Answers", drafting: Drafting, file: Path) -> None:
    from lottery_ticket.files import write_file, writing
    from lottery_ticket.starter import spec_text

    with writing(file):
        write_file(file, spec_text(answers, str(file), drafting.data_dir).encode())


@contextlib.contextmanager
def _written_code(drafting: Drafting, code: Path, force: bool) -> Iterator[None]:
    """A block that goes on once the templates are in their file: where it fails, what was there
    before is there again."""
    from lottery_ticket.files import aside_of, check_replaceable, write_file, writing
    from lottery_ticket.starter import template

    check_replaceable(code)
    was_there = code.exists()
    if was_there and not force:
        raise UsageError(f"{code}: is there already; name another FILE, or --force replaces it")
    kinds = {kind: kind in drafting.templates for kind in ("data", "model")}
    aside = aside_of(code)
    try:
        with writing(code):
            if was_there:
                code.replace(aside)
            write_file(code, template(code.name, **kinds).encode())
        yield
    except BaseException:
        if not was_there:
            code.unlink(missing_ok=True)
        elif aside.exists():
            aside.replace(code)
        raise
    aside.unlink(missing_ok=True)


def _with_code(answers: "Answers", drafting: Drafting, code: Path) -> "Answers":
    """The answers, their templates in the file that stays."""

    def moved(imports: tuple[str, ...]) -> tuple[str, ...]:
        aside = set(drafting.templates.values())
        return tuple(str(code) if one in aside else one for one in imports)

    return replace(
        answers,
        data=replace(answers.data, imports=moved(answers.data.imports)),
        model=replace(answers.model, imports=moved(answers.model.imports)),
    )


def _tried(answers: "Answers", drafting: Drafting) -> "Prepared | None":
    """The plan of the spec; None where its data are to be downloaded first."""
    from lottery_ticket.api import prepare

    check(answers)
    if not answers.data.is_here:
        return None
    return prepare(
        answers.values(),
        store=drafting.folder / "store",
        data_dir=drafting.data_dir,
        imports=answers.all_imports,
    )


def _report(
    answers: "Answers", drafting: Drafting, written: list[Path], prepared: "Prepared | None"
) -> None:
    from lottery_ticket.starter import command_line

    console.print()
    away = f"{answers.data.name} is not on this machine: the first plan or run downloads it"
    console.print(away if prepared is None else _sized(prepared), markup=False)
    for path in written:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    for command, meaning in (("plan", "what it would do"), ("run", "do it")):
        line = command_line(command, answers, str(written[-1]), drafting.data_dir)
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


def _free(name: str) -> Path:
    """A name that no file has."""
    path, number = Path(f"{name}.yaml"), 2
    while path.exists():
        path, number = Path(f"{name}-{number}.yaml"), number + 1
    return path
