"""`lottery plot`."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from lottery_ticket.cli._options import Imports, RunReference, StorePath, import_code

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
            "weights kept; repeatable. By default every one.",
            show_default=False,
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="default, paper (8-point letters, 3.3 inches, neither title nor small print), "
            "talk, or a style of matplotlib's by name or .mplstyle file; repeatable.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="As 3.3in, 84mm, 8.4cm or 242pt (TeX's, as \\the\\columnwidth prints it).",
            show_default=False,
        ),
    ] = None,
    height: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="As of --width.", show_default=False)
    ] = None,
    font: Annotated[
        str | None,
        typer.Option(
            help="serif, sans-serif, monospace, or one that is installed.", show_default=False
        ),
    ] = None,
    imports: Imports = None,
    store: StorePath = None,
) -> None:
    """Draw a run: every figure that it has values for, or those that are named."""
    from lottery_ticket.api import load_run
    from lottery_ticket.errors import LotteryError

    import_code(imports)
    result = load_run(run, store=store)
    formats = [str(one) for one in format or (Format.png, Format.svg)]
    look = {"style": style or None, "width": width, "height": height, "font": font}
    try:
        for path in result.plot(out, formats=formats, only=only or None, **look):
            print(path)
    except OSError as error:
        raise LotteryError(f"{out}: cannot write figures ({error.strerror or error})") from None
