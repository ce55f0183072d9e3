"""`lottery presets`."""

from typing import Annotated

import typer

from lottery_ticket.cli._print import console, print_table

__all__ = ["presets"]

_PAPERS = "as in the papers"  # those of a folder; the others are listed by their data sets


def presets(
    name: Annotated[
        str | None, typer.Argument(help="Print this preset as YAML, to edit and run.")
    ] = None,
) -> None:
    """List the presets, or print one: `lottery presets NAME > mine.yaml`."""
    from lottery_ticket.spec import preset_data, preset_names, preset_text

    if name is not None:
        print(preset_text(name), end="")
        return
    groups: dict[str, list[list[str]]] = {}
    for known in sorted(preset_names(), key=lambda name: "/" in name):  # stable
        group = _PAPERS if "/" in known else preset_data(known)
        first = preset_text(known).splitlines()[0]
        groups.setdefault(group, []).append([known, first.removeprefix("# ")])
    for number, (group, rows) in enumerate(groups.items()):
        if number:
            console.print()
        print_table([["preset", "what it is"], *rows], title=group, num_left=2)
