"""The presets are YAML files beside this module; `lottery presets NAME` prints them."""

from importlib.resources import files

from lottery_ticket.errors import UsageError, nearest

__all__ = ["preset_names", "preset_text"]


def preset_names() -> list[str]:
    """The names of all presets."""
    folder = files("lottery_ticket.spec") / "presets"
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def preset_text(name: str) -> str:
    """A preset's YAML, comments included; raises `UsageError` with the nearest name."""
    if name not in preset_names():
        raise UsageError(f"no preset {name!r}{nearest(name, preset_names())}")
    return (files("lottery_ticket.spec") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
