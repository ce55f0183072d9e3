"""Values that are JSON and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

from lottery_ticket.errors import UsageError

__all__ = ["canonical_json", "plain"]


def canonical_json(value: Any) -> str:
    """One text for equal values: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A copy as JSON would give it back; raises `UsageError` that names the key that is not JSON.

    >>> plain({"hidden": (300, 100)}, "options")
    {'hidden': [300, 100]}
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{what}: wanted a mapping, got {type(values).__name__}")
    copied = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise UsageError(f"{what}: wanted text as keys, got {key!r}")
        try:
            copied[key] = json.loads(canonical_json(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{what}: {key!r} is not plain JSON ({error}); "
                "use None, bool, int, finite float, str, list and dict"
            ) from None
    return copied
