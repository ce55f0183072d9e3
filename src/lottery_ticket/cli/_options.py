"""Arguments and options that several commands share."""

from typing import Annotated, Any

import typer

__all__ = [
    "Arm",
    "BatchSize",
    "Caption",
    "DataDir",
    "DataOptions",
    "Draw",
    "DryRun",
    "Font",
    "Height",
    "Imports",
    "Json",
    "Label",
    "Level",
    "Margin",
    "PlanOnly",
    "Quiet",
    "Rederive",
    "Replicate",
    "RetryFailed",
    "RunReference",
    "Set",
    "SpecSource",
    "StorePath",
    "Style",
    "UntilDecided",
    "Width",
    "data_options",
    "import_code",
    "level_numbers",
    "listed",
    "open_store",
]

from lottery_ticket.cli._execution import DataDir, Imports, StorePath
from lottery_ticket.errors import UsageError
from lottery_ticket.store import Store, default_store_path

SpecSource = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A preset's name, a YAML file, or a run that goes on: its id, its name, or 'last'.",
        show_default=False,
    ),
]
UntilDecided = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="Look at the verdict with 5, 10, 20 and 30 replicates, and stop where it is decided; "
        "5 % of false claims at most over all looks. The same as --set until_decided=true.",
    ),
]
RunReference = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's id, a unique prefix of it, its name, or 'last'."),
]
Level = Annotated[int, typer.Option(help="The level; 0 is dense.", show_default=False)]
Arm = Annotated[str, typer.Option(help="Whose training of that level.")]
Replicate = Annotated[int, typer.Option(help="Of which replicate.")]
Draw = Annotated[int, typer.Option(help="Which of several draws of a control.")]
BatchSize = Annotated[
    int | None,
    typer.Option(help="For which sparse is decided; by default 256.", show_default=False),
]
Rederive = Annotated[
    bool,
    typer.Option("--rederive", help="Train it again, if its trained weights were not kept."),
]
DataOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="KEY=VALUE",
        help="An option of the run's data that is another by now: --data path=moved.npz. "
        "Repeatable.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change the spec: --set train.lr=0.05. Repeatable."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the run's id alone, when it is done.")]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Let workers try again what failed before."),
]
PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Print what it would do, as `lottery plan`, and do nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Margin = Annotated[
    float | None,
    typer.Option(
        help="How much worse than dense still matches it: points of accuracy, or per cent of the "
        "dense loss; else the spec's, else by the size of the test set.",
        show_default=False,
    ),
]
Caption = Annotated[
    str | None,
    typer.Option(
        help="Of LaTeX: how its caption starts, as plain text, which is escaped.",
        show_default=False,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(help="Of LaTeX: its name for \\ref, such as tab:tickets.", show_default=False),
]
Style = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="default, paper (8-point letters, 3.3 inches, neither title nor small print), "
        "talk, or a style of matplotlib's by name or .mplstyle file; repeatable.",
        show_default=False,
    ),
]
Width = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH",
        help="As 3.3in, 84mm, 8.4cm or 242pt (TeX's, as \\the\\columnwidth prints them).",
        show_default=False,
    ),
]
Height = Annotated[
    str | None, typer.Option(metavar="LENGTH", help="As of --width.", show_default=False)
]
Font = Annotated[
    str | None,
    typer.Option(
        help="serif, sans-serif, monospace, or one that is installed.", show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, remove nothing.")]


def open_store(path: str | None) -> Store:
    """The store that was asked for."""
    return Store(default_store_path() if path is None else path)


def import_code(modules: list[str] | None) -> None:
    """Import the user's modules, so that what they register is known."""
    if modules:
        from lottery_ticket.experiment import import_user_code

        import_user_code(modules)


def data_options(given: list[str] | None) -> dict[str, Any]:
    """`["path=moved.npz"]` → `{"path": "moved.npz"}`; values are YAML."""
    from lottery_ticket.spec import parse_overrides

    for option in given or ():
        if not option.partition("=")[1]:
            raise UsageError(f"--data {option}: write key=value, such as path=moved.npz")
    return {".".join(key): value for key, value in parse_overrides(given or ()).items()}


def listed(option: str, given: str | None) -> list[str] | None:
    """`"ticket, reinit"` → `["ticket", "reinit"]`; None for what was not given."""
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")]
    if not all(names):
        raise UsageError(f"{option}: got {given!r}, wanted names with commas between them")
    return names


def level_numbers(given: str | None) -> list[int] | None:
    """`"0,5,10"` → `[0, 5, 10]`; `"0-3"` is all between."""
    found: list[int] = []
    for part in listed("--levels", given) or ():
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--levels: got {given!r}, wanted numbers such as 0,5,10 or 0-10")
        found += range(int(first), int(last or first) + 1)
    return None if given is None else found
