"""`lottery presets`."""

from typing import Annotated

import typer

from lottery_ticket.cli._print import print_table

__all__ = ["presets"]


def presets(
    name: Annotated[
        str | None, typer.Argument(help="Print this preset as YAML, to edit and run.")
    ] = None,
) -> None:
    """List the presets, or print one: `lottery presets NAME > mine.yaml`."""
    from lottery_ticket.spec import preset_names, preset_text

    if name is not None:
        print(preset_text(name), end="")
        return
    rows = [["preset", "what it is"]]
    for known in preset_names():
        first = preset_text(known).splitlines()[0]
        rows.append([known, first.removeprefix("# ")])
    print_table(rows, num_left=2)
