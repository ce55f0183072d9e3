"""`lottery verdict`."""

from typing import Annotated

import typer

from lottery_ticket.cli._options import (
    Imports,
    Json,
    Margin,
    RunReference,
    StorePath,
    import_code,
)
from lottery_ticket.cli._print import console, print_json
from lottery_ticket.errors import UsageError

__all__ = ["verdict"]

# label → its colour
_STYLES = {"winning": "green", "matching": "yellow", "not a ticket": "red", "not decided": "cyan"}


Between = Annotated[
    str | None,
    typer.Option(
        metavar="ARM,ARM",
        help="Compare two arms instead: ticket,lr_rewind; dense stands for the dense nets.",
        show_default=False,
    ),
]


Named = Annotated[
    int | None,
    typer.Option(
        help="A level to judge by itself; it is no claim of the run. One that the spec names "
        "before the first training is (claim: {level: 12}).",
        show_default=False,
    ),
]


def verdict(
    run: RunReference = "last",
    margin: Margin = None,
    level: Named = None,
    between: Between = None,
    imports: Imports = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Say whether a run found a winning ticket, how sure that is, and against what."""
    from rich.text import Text

    from lottery_ticket.api import load_run

    import_code(imports)
    result = load_run(run, store=store)
    if between is not None:
        if level is not None:
            raise UsageError("--level: has no effect with --between, which compares every level")
        compared = result.between(*_two(between), margin=margin)
        if json:
            print_json(compared.to_dict())
        else:
            console.print(str(compared), soft_wrap=True, highlight=False)
        return
    found = result.verdict(margin, level=level)
    if json:
        print_json(found.to_dict())
        return
    text = Text(str(found))
    title = str(found).index("\n")
    text.stylize("bold", title, title + 1 + len(found.sentence))
    for label, style in _STYLES.items():
        text.highlight_regex(rf"(?m)(?<=  ){label}(?= \(| \*|$)", style)
    console.print(text, soft_wrap=True)


def _two(arms: str) -> tuple[str, str]:
    """Two arms, as they are written."""
    names = [name.strip() for name in arms.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(f"--between: got {arms!r}, wanted two arms, such as ticket,lr_rewind")
    return names[0], names[1]
