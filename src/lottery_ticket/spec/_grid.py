"""The grid of a sweep: which keys of a spec vary, and over which values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.registry import shown
from lottery_ticket.spec._apart import value_text
from lottery_ticket.spec._options import is_plain
from lottery_ticket.spec._prune import PruneSpec
from lottery_ticket.spec._records import TrainSpec
from lottery_ticket.spec._yaml import parsed

__all__ = ["checked_grid", "parse_grid"]

_RECORDS = {"train": TrainSpec, "prune": PruneSpec}
_LEVELS = ("rate", "rates", "levels", "densities", "ignore")
_KEYS = (
    "rewind",
    *(
        f"{part}.{name}"
        for part, record in _RECORDS.items()
        for name in record.model_fields
        if name not in (*_LEVELS, "once", "metric", "metric_options")
    ),
)
# what a grid leaves alone → why
_ELSEWHERE = {
    "data": "all points are judged on the same data",
    "model": "all points are of one architecture, whose masks fit each other",
    "seed": "all points have the same replicates",
    "replicates": "all points have the same replicates",
    "arms": "all points have the same arms",
    "source": "a sweep finds its own tickets",
    "name": "the points are told apart by the grid",
    "margin": "one margin judges the whole sweep",
    "until_decided": "a sweep is looked at once, with all its replicates",
    "claim": "one claim is made of the whole sweep",
    "prune.once": "the arm oneshot is pruned once; list it beside the ticket",
    "train.metric": "all points are judged by the same metric",
    "train.metric_options": "all points are judged by the same metric",
    **{f"prune.{name}": "all points have the same levels, which are compared" for name in _LEVELS},
}
_EXAMPLE = "such as train.lr=0.01,0.03"


def parse_grid(given: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """`["train.lr=0.01,0.03"]` → `{"train.lr": (0.01, 0.03)}`; values are YAML.

    Raises:
        UsageError: names the key, and what is wrong with it.

    >>> parse_grid(["train.lr=0.01,1e-1", "train.betas=[0.9,0.99],null"])
    {'train.lr': (0.01, 0.1), 'train.betas': ([0.9, 0.99], None)}
    """
    if isinstance(given, str | Mapping):
        raise UsageError(
            f"--grid: got a {type(given).__name__}, wanted a list of texts, {_EXAMPLE}"
        )
    found: dict[str, Any] = {}
    for text in given:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(f"--grid {text:.80}: write key=value,value, {_EXAMPLE}")
        if key in found:
            raise UsageError(f"--grid {key}: given twice; write all its values in one")
        is_plain = not {*values} & {*"[]{}\"'"}
        if is_plain and not all(part.strip() for part in values.split(",")):
            raise UsageError(f"--grid {text:.80}: a value is missing; write {key}=value,value")
        found[key] = parsed(f"[{values}]", f"--grid {key}")
    return checked_grid(found, "--grid ")


def checked_grid(given: object, where: str = "") -> dict[str, tuple[Any, ...]]:
    """A grid by dotted keys, nested or not, each with its values.

    Args:
        given: `{"train.lr": [0.01, 0.03]}`, or `{"train": {"lr": [0.01, 0.03]}}`.
        where: put before the name of a key, in errors.

    Raises:
        UsageError: a key that cannot vary, or none; no value, or one twice.

    >>> checked_grid({"train": {"lr": [0.01, 0.03]}})
    {'train.lr': (0.01, 0.03)}
    """
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"{where}wanted keys with lists of values, such as train.lr: [0.01, 0.03]")
    found: dict[str, tuple[Any, ...]] = {}
    for key, values in _leaves(given):
        if key in found:
            raise UsageError(f"{where}{key}: given twice; write all its values in one list")
        _check_key(key, where)
        values = values.tolist() if hasattr(values, "tolist") else values  # of an array
        if not isinstance(values, list | tuple):
            raise UsageError(
                f"{where}{key}: got {shown(values)}, wanted a list of values, such as [1, 2]"
            )
        if not values:
            raise UsageError(f"{where}{key}: has no value; leave it out, or give it some")
        for value in values:
            if not is_plain(value):
                raise UsageError(
                    f"{where}{key}: got {shown(value)} ({type(value).__name__}), wanted numbers, "
                    "texts, true, false, null, or lists and mappings of these"
                )
        texts = [value_text(value, key) for value in values]
        if twice := [text for text in texts if texts.count(text) > 1]:
            raise UsageError(f"{where}{key}: {twice[0]} is listed twice")
        found[key] = tuple(values)
    return found


def _leaves(value: Mapping[Any, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{place}{key}.")
        else:
            yield f"{place}{key}", inner


def _check_key(key: str, where: str) -> None:
    """Raise `UsageError` unless a grid may have the key."""
    two = ".".join(key.split(".")[:2])
    if two in _KEYS:
        return
    for place, reason in _ELSEWHERE.items():
        if key == place or key.startswith(f"{place}."):
            raise UsageError(f"{where}{key}: cannot vary in a sweep: {reason}")
    ends = [known for known in _KEYS if known.endswith(f".{key}")]
    hint = f"; did you mean {ends[0]!r}?" if ends else nearest(key, _KEYS)
    raise UsageError(f"{where}{key}: is no key that a sweep can vary{hint}")
