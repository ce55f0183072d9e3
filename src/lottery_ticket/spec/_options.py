"""What is chosen by name, with options of its own: how a spec writes that, and what it may say."""

import inspect
import math
from collections.abc import Collection, Mapping
from typing import Any

from lottery_ticket.registry import check_options, shown
from lottery_ticket.spec._base import flushes

__all__ = ["check_given", "is_plain", "with_options"]


def with_options(values: Mapping[Any, Any], kinds: Collection[str]) -> dict[Any, Any]:
    """A record in which each choice is a name, and its options are beside it.

    >>> with_options({"loss": {"focal": {"gamma": 2}}}, ["loss"])
    {'loss': 'focal', 'loss_options': {'gamma': 2}}
    """
    read = dict(values)
    for kind in kinds:
        value = read.get(kind)
        if not isinstance(value, dict):
            continue
        if "name" in value:
            name, options = value["name"], {k: v for k, v in value.items() if k != "name"}
        elif len(value) == 1:
            ((name, options),) = value.items()
        else:
            raise ValueError(f"{kind}: write a name, or {{name: …, option: …}}")
        if not isinstance(options, dict) or f"{kind}_options" in read:
            raise ValueError(f"{kind}: write a name, or {{name: …, option: …}}, and this alone")
        read[kind] = name
        if options:
            read[f"{kind}_options"] = options
    return read


def check_given(
    owner: str, options: Mapping[str, Any], known: Mapping[str, inspect.Parameter]
) -> None:
    """See that options are plain values, known, and of the types that are said.

    Args:
        owner: whose options they are, such as `"model 'LeNet300'"`.
        options: those that were given.
        known: as `options_of` gives them.

    Raises:
        ValueError: says which is not.
    """
    for name, value in options.items():
        if not is_plain(value):
            raise ValueError(
                f"option {name!r}: got {shown(value)} ({type(value).__name__}), wanted a number, "
                "text, true, false, null, or lists and mappings of these"
            )
        if isinstance(value, float) and flushes(value):
            raise ValueError(f"option {name!r}: {value:g} is 0 in float32; write 0 if it is meant")
    check_options(owner, options, known)


def is_plain(value: Any) -> bool:
    """Whether JSON can say it."""
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)
