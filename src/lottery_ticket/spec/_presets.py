"""The presets are YAML files in the folder `presets`; `lottery presets NAME` prints them."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

from lottery_ticket.errors import UsageError, nearest

__all__ = ["preset_data", "preset_names", "preset_text"]


def preset_names() -> list[str]:
    """The names of all presets; those of a folder after the others: `paper/lenet-mnist`."""
    return _names_in(_folder(), "")


def preset_text(name: str) -> str:
    """A preset's YAML, comments included; raises `UsageError` with the nearest name."""
    if name not in preset_names():
        raise UsageError(f"no preset {name!r}{nearest(name, preset_names())}")
    return _folder().joinpath(*f"{name}.yaml".split("/")).read_text(encoding="utf-8")


def preset_data(name: str) -> str:
    """The data set of a preset, from its text alone: listing them takes no torch."""
    found = re.search(r"^data: *{name: *([\w-]+)", preset_text(name), re.M)
    assert found is not None, name
    return found[1]


def _folder() -> Traversable:
    return files("lottery_ticket.spec") / "presets"


def _names_in(folder: Traversable, prefix: str) -> list[str]:
    entries = sorted(
        folder.iterdir(), key=lambda entry: (entry.is_dir(), entry.name.removesuffix(".yaml"))
    )
    names: list[str] = []
    for entry in entries:
        if entry.is_dir():
            names += _names_in(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            names.append(prefix + entry.name.removesuffix(".yaml"))
    return names
