"""In which keys specs differ, and a short label for each. Loads no torch: runs are listed by it."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "ABSENT",
    "OFF",
    "differing_keys",
    "short_labels",
    "short_names",
    "spec_values",
    "value_text",
]

OFF: Mapping[str, Any] = {
    "train.momentum": 0,
    "train.nesterov": False,
    "train.weight_decay": 0,
    "train.milestones": [],
    "prune.densities": [],
    "prune.once": False,
    "prune.ignore": [],
    "seed": 0,
}
"""Options that a spec leaves out where they are off → what they are then. Others are nothing."""

ABSENT = "–"
"""What a key is shown as that a spec has not."""

_ORDER = (
    "data",
    "model",
    "train",
    "prune",
    "rewind",
    "arms",
    "replicates",
    "until_decided",
    "seed",
    "source",
)
_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*|\d+(ep|it)|\d+:\d+", re.ASCII)
_WORDS = ("true", "false", "null", "yes", "no", "on", "off")  # as some readers of YAML have it


def spec_values(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a spec by dotted key, as `--set` has them; options that are off among them.

    Args:
        spec: plain values.

    Returns:
        Key → value, in the order in which specs are written. A list is one value, and so is a
        mapping by names that are no keys (`prune.rates`).

    >>> values = spec_values({"train": {"lr": 0.1}, "prune": {}, "data": {"name": "mnist"}})
    >>> values["data.name"], values["train.lr"], values["train.momentum"]
    ('mnist', 0.1, 0)
    """
    found = dict(_leaves(spec))
    for key, value in OFF.items():
        for whole, prefix in ((spec, ""), (spec.get("source") or {}, "source.")):
            place = key.rpartition(".")[0]
            if place in whole or (not place and not prefix):
                found.setdefault(prefix + key, value)
    return dict(sorted(found.items(), key=lambda item: _rank(item[0])))


def _rank(key: str) -> int:
    first = key.partition(".")[0]
    return _ORDER.index(first) if first in _ORDER else len(_ORDER)


def _leaves(value: Mapping[str, Any], place: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        if key == "until_decided" and isinstance(inner, Mapping) and not place:
            yield key, inner.get("looks")  # what they may spend follows
        elif isinstance(inner, Mapping) and inner and all(map(_KEY.fullmatch, inner)):
            yield from _leaves(inner, f"{place}{key}.")
        elif inner is not None:  # which is what is left out
            yield f"{place}{key}", inner


def differing_keys(specs: Sequence[Mapping[str, Any]], *, but: Collection[str] = ()) -> list[str]:
    """The dotted keys in which specs differ, in the order in which specs are written.

    Args:
        specs: plain values.
        but: keys that are told elsewhere.

    >>> grid = [{"train": {"lr": lr, "momentum": 0.9}} for lr in (0.1, 0.01)]
    >>> differing_keys(grid)
    ['train.lr']
    """
    return _differing([spec_values(spec) for spec in specs], but)


def _differing(values: Sequence[Mapping[str, Any]], but: Collection[str]) -> list[str]:
    keys = dict.fromkeys(key for each in values for key in each)
    texts = {key: {_shown(each, key) for each in values} for key in keys if key not in but}
    return sorted((key for key, found in texts.items() if len(found) > 1), key=_rank)


def _shown(values: Mapping[str, Any], key: str) -> str:
    return value_text(values[key], key) if key in values else ABSENT


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key by as many of its last parts as tell it from the others.

    >>> short_names(["train.lr", "data.name", "source.train.duration", "train.duration"])
    {'train.lr': 'lr', 'data.name': 'data', 'source.train.duration': \
'source.train.duration', 'train.duration': 'train.duration'}
    """
    keys = list(keys)
    names = {key: _short(key, 1) for key in keys}
    for count in range(2, 2 + max((key.count(".") for key in keys), default=0)):
        shown = list(names.values())
        names = {
            key: name if shown.count(name) == 1 else _short(key, count)
            for key, name in names.items()
        }
    return names if len(set(names.values())) == len(names) else {key: key for key in keys}


def _short(key: str, count: int) -> str:
    """`data.name` is the data's name, and is called `data`."""
    return ".".join(key.removesuffix(".name").split(".")[-count:])


def short_labels(
    specs: Sequence[Mapping[str, Any]], *, but: Collection[str] = (), is_named: bool = True
) -> list[str]:
    """A label for each spec that tells it from the others: `"lr=0.1, rate=0.2"`.

    Specs of one name are told apart by all keys in which they differ, each by as little of its
    path as does; those of different names by their names.

    Args:
        specs: plain values.
        but: keys that are told elsewhere, such as in a column of their own.
        is_named: whether names are part of labels, where they differ.

    Returns:
        The labels. They are empty where nothing is to be told apart; equal specs have equal ones.

    >>> short_labels([{"name": "a", "train": {"lr": lr}} for lr in (0.1, 0.01)])
    ['lr=0.1', 'lr=0.01']
    """
    values = [spec_values(spec) for spec in specs]
    names = [value_text(spec.get("name", "")) for spec in specs]
    keys = {
        name: _differing([v for v, n in zip(values, names, strict=True) if n == name], but)
        for name in dict.fromkeys(names)
    }
    short = short_names(sorted({key for found in keys.values() for key in found}, key=_rank))
    labels = []
    for name, own in zip(names, values, strict=True):
        said = ", ".join(f"{short[key]}={_shown(own, key)}" for key in keys[name])
        parts = [name] if is_named and len(keys) > 1 else []
        labels.append(": ".join([*parts, said] if said else parts))
    return labels


def value_text(value: Any, key: str = "") -> str:
    """A value as YAML has it in a line, so that `--set key=value` takes it.

    >>> value_text([0.5, 1.0, "relu", "no"]), value_text({"draws": 3})
    ('[0.5, 1, relu, "no"]', '{draws: 3}')
    """
    if key == "arms" and isinstance(value, list):
        return f"[{', '.join(map(_arm_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(k)}: {value_text(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _arm_text(arm: Any) -> str:
    """`reinit`, or `{reinit: {draws: 3}}`, as specs are written."""
    if not isinstance(arm, Mapping) or not isinstance(arm.get("name"), str):
        return value_text(arm)
    options = {key: value for key, value in arm.items() if key != "name"}
    options = {key: value for key, value in options.items() if (key, value) != ("draws", 1)}
    name = _text(arm["name"])
    return f"{{{name}: {value_text(options)}}}" if options else name
