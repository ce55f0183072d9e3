"""The user's own modules (`--import`), and what they registered."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lottery_ticket.data import DATASETS
from lottery_ticket.errors import UsageError
from lottery_ticket.models import MODELS

__all__ = ["adopt", "import_user_code", "registered_elsewhere"]

_REGISTRIES = {"data": DATASETS, "model": MODELS}


def import_user_code(modules: Iterable[str]) -> None:
    """Import modules by name (the current folder counts) or by path to a .py file.

    Raises:
        UsageError: there is no such module, or importing it failed.
    """
    for module in modules:
        try:
            if module.endswith(".py"):
                _import_file(Path(module))
            else:
                if str(Path.cwd()) not in sys.path:
                    sys.path.insert(0, str(Path.cwd()))
                importlib.import_module(module)
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            kind = type(error).__name__
            raise UsageError(f"--import {module}: {kind}: {error}") from error


def _import_file(path: Path) -> None:
    path = path.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"--import {path}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # classes look their module up by name
    spec.loader.exec_module(module)


def registered_elsewhere(imports: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the caller's own code registered (a script, a notebook, modules it imported).

    It is sent to the workers: by reference where they can import it, else by value. What `imports`
    registers is left out, since the workers import those themselves.
    """
    own = {Path(module).stem if module.endswith(".py") else module for module in imports}
    return {
        kind: {
            name: value
            for name, value in registry.user_entries().items()
            if getattr(value, "__module__", "").split(".")[0] not in own
        }
        for kind, registry in _REGISTRIES.items()
    }


def adopt(registered: Mapping[str, Mapping[str, Any]]) -> None:
    """In a worker: register what was sent by value."""
    for kind, entries in registered.items():
        for name, value in entries.items():
            _REGISTRIES[kind].register(name, is_user=True)(value)
