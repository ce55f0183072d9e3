"""What an extra of this library brings, and saying that it is missing."""

import importlib.util

from lottery_ticket.errors import UsageError

__all__ = ["check_extra"]

_MODULES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "hub": ("huggingface_hub",)}


def check_extra(extra: str, wanted_by: str) -> None:
    """Raises `UsageError` that says how to install an extra of which something is missing.

    Args:
        extra: `"onnx"` or `"hub"`.
        wanted_by: what needs it.
    """
    missing = [name for name in _MODULES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{wanted_by} needs {', '.join(missing)}, not installed here: "
            f"pip install 'lottery-ticket[{extra}]'"
        )
