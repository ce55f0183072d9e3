"""Packages of others that an extra brings: whether they are here, and new enough."""

import importlib
import importlib.metadata
import importlib.util
import re
from typing import Any

from lottery_ticket.errors import UsageError

__all__ = ["LEAST", "check_extra", "imported"]

LEAST: dict[str, dict[str, str]] = {
    "onnx": {"onnx": "", "onnxscript": "", "onnxruntime": ""},
    "hub": {"huggingface_hub": "0.26"},
    "hf": {"transformers": "4.50", "accelerate": "1.3"},
}
"""Extra → what it brings, and the least version that will do; "" for any."""


def imported(module: str, extra: str, wanted_by: str) -> Any:
    """A module of a package that an extra brings.

    Args:
        module: such as `"mlflow.tracking"`.
        extra: of this project.
        wanted_by: what needs it.

    Raises:
        UsageError: it cannot be imported, and how to install the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(
            f"{wanted_by} needs {module.partition('.')[0]}, not installed here: "
            f"pip install 'lottery-ticket[{extra}]'"
        ) from None


def check_extra(extra: str, wanted_by: str) -> None:
    """Raises `UsageError` that says how to install an extra of which something is missing or old.

    Args:
        extra: a key of `LEAST`.
        wanted_by: what needs it.
    """
    install = f"pip install 'lottery-ticket[{extra}]'"
    wanted = LEAST[extra]
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"{wanted_by} needs {', '.join(missing)}, not installed here: {install}")
    for name, least in wanted.items():
        found = _installed(name) if least else ""
        if found and _numbers(found) < _numbers(least):
            raise UsageError(
                f"{wanted_by} needs {name} {least} or later, here is {found}: {install}"
            )


def _installed(name: str) -> str:
    """The version that is installed; "" if nobody knows."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a folder on the path
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """What a version begins with: `"4.57.0.dev0"` → `(4, 57, 0)`."""
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0].split("rc")[0])[:3])
