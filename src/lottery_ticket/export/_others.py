"""Packages of others: whether those of an extra are here, and silence for what they say."""

import contextlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator

from lottery_ticket.errors import UsageError
from lottery_ticket.process import alone

__all__ = ["check_extra", "quiet"]

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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor logging below errors; both are put back afterwards, and so is where
    modules are looked for, which ONNX Runtime's quantisation adds to."""
    with alone():
        before, path = logging.root.manager.disable, list(sys.path)
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(before)
            sys.path[:] = path
