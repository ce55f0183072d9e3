"""`lottery presets`."""

from typing import Annotated

import typer

from lottery_ticket.cli._print import console, print_table

__all__ = ["presets"]

# data set → what its presets are listed under; those of the papers are a group of their own
_GROUPS = {
    "digits": "a first look",
    "sin": "a first look",
    "mnist": "MNIST",
    "fashion-mnist": "MNIST",
    "cifar10": "CIFAR-10",
}
_PAPERS = "as in the papers"


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
    groups: dict[str, list[list[str]]] = {group: [] for group in (*_GROUPS.values(), _PAPERS)}
    for known in preset_names():
        group = _PAPERS if "/" in known else _GROUPS[preset_data(known)]
        first = preset_text(known).splitlines()[0]
        groups[group].append([known, first.removeprefix("# ")])
    for number, (group, rows) in enumerate(groups.items()):
        if number:
            console.print()
        print_table([["preset", "what it is"], *rows], title=group, num_left=2)
