"""`"mine.npz relabel=true"`: something by its name or file, and options of it."""

import shlex
from pathlib import Path
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import parse_overrides

__all__ = ["named_options"]


def named_options(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """The first word, and the options behind it; values are YAML. A path that is there is one
    word, blanks and all.

    Args:
        text: what was said.
        what: what it is of, for the error.

    Raises:
        UsageError: there is no word, or what follows is no option.

    >>> named_options("MLP hidden=[64,32]", "model")
    ('MLP', {'hidden': [64, 32]})
    """
    text = text.strip()
    if _is_there(text):
        return text, {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{what} {text!r}: {error}") from None
    if not words:
        raise UsageError(f"{what}: got nothing, wanted a name or a file")
    first, *options = words
    for option in options:
        name, equals, _ = option.partition("=")
        if not (equals and name.isidentifier()):
            raise UsageError(
                f"{what} {first!r}: got {option!r}, wanted key=value, such as limit=1000; a name "
                "with blanks goes in quotes"
            )
    return first, {name: value for (name,), value in parse_overrides(options).items()}


def _is_there(text: str) -> bool:
    try:
        return bool(text) and Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
