"""Where and how a run is executed: its options, described once for all commands."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from lottery_ticket.choices import CLAIMS, DEVICES, EXECUTORS, KEEP, KERNELS, TRACKERS

__all__ = [
    "CLUSTER",
    "LABELS",
    "PLAIN",
    "AddTags",
    "DataDir",
    "Execution",
    "Imports",
    "Name",
    "Notes",
    "StorePath",
    "executed",
    "places",
]


def _among(choices: Collection[str]) -> Callable[[], list[str]]:
    """What a shell completes."""
    return lambda: list(choices)


def places(begun: str) -> list[str]:
    """What a shell completes: folders here, and how addresses begin."""
    from lottery_ticket.store.remote import SCHEMES

    folder = begun.rpartition("/")[0]
    with contextlib.suppress(OSError):
        found = sorted(path for path in Path(folder or ".").iterdir() if path.is_dir())
        return [*(f"{scheme}://" for scheme in SCHEMES), *map(str, found)]
    return [f"{scheme}://" for scheme in SCHEMES]


StorePath = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        help="Where results are: a folder, or s3://bucket/prefix, gs://…, az://…; else "
        "$LOTTERY_STORE, else ./lottery_runs.",
        autocompletion=places,
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Where data files are; else $LOTTERY_DATA, else a per-user cache.",
        show_default=False,
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="A module, .py file or package that registers things of yours. Repeatable.",
    ),
]


Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="What to call the run, beside its id; renames nothing. See `lottery edit`.",
        show_default=False,
    ),
]
AddTags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="A tag for the run. Repeatable."),
]
Notes = Annotated[
    str | None,
    typer.Option("--notes", "--note", help="What there is to say of the run.", show_default=False),
]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Where and how cells are made, and what the run is called; none of it decides what a run
    finds."""

    store: StorePath = None
    claims: Annotated[
        str | None,
        typer.Option(
            help="How a new store tells who is at work: lock, or lease where machines share the "
            "folder over a network; by default lock.",
            autocompletion=_among(CLAIMS),
            show_default=False,
        ),
    ] = None
    data_dir: DataDir = None
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or mps.", autocompletion=_among(DEVICES))
    ] = "auto"
    jobs: Annotated[
        int | None,
        typer.Option(help="Cells at a time; by default one per core, on CUDA one per GPU."),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads per cell; by default 1 when jobs > 1, else $OMP_NUM_THREADS, else "
            "all cores."
        ),
    ] = None
    kernels: Annotated[
        str,
        typer.Option(
            help="auto, or force autograd, compiled, direct, direct-dense or direct-sparse steps.",
            autocompletion=_among(KERNELS),
        ),
    ] = "auto"
    group: Annotated[
        int | None,
        typer.Option(
            help="Trainings made as one batch, at most; by default as many as fit for small nets "
            "on CUDA, else one."
        ),
    ] = None
    keep: Annotated[
        str,
        typer.Option(
            help="all: every cell's trained weights; needed: those that other cells need.",
            autocompletion=_among(KEEP),
        ),
    ] = "all"
    imports: Imports = None
    executor: Annotated[
        str,
        typer.Option(
            help="local: this machine; workers: whoever calls `lottery work` on the store; "
            "ray: a Ray cluster.",
            autocompletion=_among(EXECUTORS),
        ),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            help="With --executor ray: of the cluster; else $RAY_ADDRESS, else the one on this "
            "machine, which is started if there is none.",
            show_default=False,
        ),
    ] = None
    per_device: Annotated[
        int, typer.Option(help="Cells on a GPU at a time, of a worker or a Ray cluster.")
    ] = 1
    name: Name = None
    tags: AddTags = None
    notes: Notes = None

    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track",
            metavar="NAME[=PLACE]",
            help="Follow it elsewhere, too: mlflow, tensorboard, trackio, wandb, or one of your "
            "own; mlflow=http://… says where. Repeatable.",
            autocompletion=_among(TRACKERS),
            show_default=False,
        ),
    ] = None

    def arguments(self, *left_out: str) -> dict[str, Any]:
        """As the functions of `lottery_ticket.api` take them, but for some."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        found |= {name: tuple(found[name] or ()) for name in ("imports", "tags")}
        return {name: value for name, value in found.items() if name not in left_out}


PLAIN = Execution()

CLUSTER = ("executor", "address", "per_device")
"""The options that say who makes cells."""

LABELS = ("name", "tags", "notes")
"""The options that say what a run is called."""


def executed(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: a command whose parameter `how` is an `Execution` has an option for each of its
    fields instead, but for those left out."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(Execution, include_extras=True)
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
            )
            for name, default in vars(PLAIN).items()
            if name not in left_out
        ]

        @functools.wraps(command)
        def called(*args: Any, **given: Any) -> None:
            how = {p.name: given.pop(p.name) for p in added if p.name in given}
            command(*args, how=Execution(**how), **given)

        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "how"]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
        vars(called)["__signature__"] = signature.replace(parameters=parameters)  # what typer reads
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return decorated
