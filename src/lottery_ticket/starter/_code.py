"""What a file of one's own registers."""

import inspect
from pathlib import Path
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import import_user_code
from lottery_ticket.registry import Registry

__all__ = ["registered_by"]


def registered_by(file: str, registry: Registry[Any], decorator: str) -> str:
    """The one thing that a file registers in a table, having imported it.

    Args:
        file: a path.
        registry: the table.
        decorator: how it gets there, for the error.

    Raises:
        UsageError: the file is not there, fails, or registers none or several.
    """
    before = dict(registry.user_entries())
    import_user_code([file], refresh=True)
    now = registry.user_entries()
    found = {name for name, made in now.items() if before.get(name) is not made}
    # nothing is new where it was imported before
    found = found or {name for name, made in now.items() if _is_of(made, file)}
    if len(found) != 1:
        said = f"{len(found)}: {', '.join(sorted(found))}" if found else "none"
        remedy = "; --import it, and name the one that is meant" if found else ""
        raise UsageError(
            f"{file}: wanted a file that registers one {registry.kind} with @{decorator}, got "
            f"{said}{remedy}"
        )
    return found.pop()


def _is_of(made: Any, file: str) -> bool:
    try:
        source = inspect.getsourcefile(inspect.unwrap(made))
    except TypeError:
        return False
    where = Path(file).expanduser().resolve()
    return source is not None and Path(source).resolve() == where
