"""One spelling for each spec, and its fingerprint.

What only concerns the reading of results (`exclude=True` in the record) is no part of it.

An option that is off (its default, where the default is None, False, 0 or empty) is left out, so
that a later version's new option does not rename the results of this one.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel

__all__ = ["canonical", "canonical_json", "fingerprint"]


def canonical(value: Any) -> Any:
    """A record as plain JSON values, without the options that are off."""
    if isinstance(value, BaseModel):
        own = {name: getattr(value, name) for name in type(value).model_fields}
        off = {
            name
            for name, field in type(value).model_fields.items()
            if not field.default and not field.is_required() and own[name] == field.default
        }
        off |= {name for name, field in type(value).model_fields.items() if field.exclude}
        kept = {name: canonical(own[name]) for name in own if name not in off}
        return kept | {name: canonical(extra) for name, extra in (value.model_extra or {}).items()}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    return value


def canonical_json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, shortest floats."""
    # plain values go straight through, which counts when ten thousand cells are named
    options = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    return json.dumps(value, default=canonical, **options)


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
