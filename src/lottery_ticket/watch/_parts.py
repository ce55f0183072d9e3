"""What the page is told, in parts: one that has not changed is not sent again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["Part", "answer"]


@dataclass(frozen=True)
class Part:
    """Plain values, and what tells them from others."""

    value: Any

    @cached_property
    def text(self) -> str:
        """As JSON; what is no number is null."""
        return json.dumps(_finite(self.value), allow_nan=False, separators=(",", ":"))

    @cached_property
    def version(self) -> str:
        """Differs where the text does."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def answer(parts: Mapping[str, Part], known: Mapping[str, str]) -> bytes:
    """The parts that a page does not know yet.

    Args:
        parts: by name.
        known: name → the version that it has.

    >>> answer({"now": Part(1)}, {"now": Part(1).version})
    b'{}'
    """
    fresh = [
        f'{json.dumps(name)}:{{"version":"{part.version}","value":{part.text}}}'
        for name, part in parts.items()
        if known.get(name) != part.version
    ]
    return f"{{{','.join(fresh)}}}".encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
