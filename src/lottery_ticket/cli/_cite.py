"""`lottery cite`."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from lottery_ticket.cli._options import Imports, Margin, RunReference, StorePath, import_code
from lottery_ticket.errors import LotteryError

__all__ = ["cite"]


class Format(enum.StrEnum):
    """What a citation is printed as."""

    text = "text"
    markdown = "markdown"
    latex = "latex"
    bibtex = "bibtex"


def cite(
    run: RunReference = "last",
    format: Annotated[
        Format,
        typer.Option(
            help="The paragraph and its BibTeX as text; the paragraph alone as Markdown or LaTeX; "
            "or BibTeX alone."
        ),
    ] = Format.text,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; else it is printed.", show_default=False)
    ] = None,
    margin: Margin = None,
    imports: Imports = None,
    store: StorePath = None,
) -> None:
    """Say how a run was done, in a paragraph for a paper, and whom to cite for what it used."""
    from lottery_ticket.api import load_run, write_text

    import_code(imports)
    found = load_run(run, store=store).cite(margin=margin)
    text = {
        Format.text: str(found),
        Format.markdown: f"{found.markdown}\n",
        Format.latex: f"{found.latex}\n",
        Format.bibtex: found.bibtex,
    }[format]
    if out is None:
        print(text, end="")
        return
    try:
        write_text(out, text)
    except OSError as error:
        raise LotteryError(f"{out}: cannot be written ({error.strerror or error})") from None
    print(out)
