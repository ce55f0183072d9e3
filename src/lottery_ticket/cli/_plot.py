"""`lottery plot`."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from lottery_ticket.cli._options import (
    Font,
    Height,
    Imports,
    RunReference,
    StorePath,
    Style,
    Width,
    import_code,
    listed,
)
from lottery_ticket.cli._print import step_shown

__all__ = ["plot"]


class Format(enum.StrEnum):
    """What figures are written as."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def plot(
    run: RunReference = "last",
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("figures"),
    format: Annotated[
        list[Format] | None,
        typer.Option(help="What to write; repeatable. By default PNG and SVG.", show_default=False),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A figure by its file's name, or density: what the run is judged by against the "
            "weights kept; several with commas between them, or repeated. By default every one.",
            show_default=False,
        ),
    ] = None,
    style: Style = None,
    width: Width = None,
    height: Height = None,
    font: Font = None,
    imports: Imports = None,
    store: StorePath = None,
) -> None:
    """Draw a run: every figure that it has values for, or those that are named."""
    from lottery_ticket.api import load_run
    from lottery_ticket.errors import LotteryError

    import_code(imports)
    names = [name for given in only or () for name in listed("--only", given) or ()]
    result = load_run(run, store=store)
    formats = [str(one) for one in format or (Format.png, Format.svg)]
    look = {"style": style or None, "width": width, "height": height, "font": font}
    try:
        with step_shown() as said:
            said(f"reading {result.id}, and drawing it")
            paths = result.plot(out, formats=formats, only=names or None, **look)
    except OSError as error:
        raise LotteryError(f"{out}: cannot write figures ({error.strerror or error})") from None
    for path in paths:
        print(path)
