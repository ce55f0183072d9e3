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
    imports: Imports = None,
    store: StorePath = None,
) -> None:
    """Draw a run: every figure that it has values for."""
    from lottery_ticket.api import load_run
    from lottery_ticket.errors import LotteryError, UsageError

    import_code(imports)
    result = load_run(run, store=store)
    if not result.rows:
        raise UsageError(f"{result.id}: nothing to draw yet, no training is finished")
    try:
        for path in result.plot(out, formats=[str(f) for f in format or (Format.png, Format.svg)]):
            print(path)
    except OSError as error:
        raise LotteryError(f"{out}: cannot write figures ({error.strerror or error})") from None
