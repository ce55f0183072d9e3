"""What was meant by a key that a spec does not have there, and which of its keys is in the way."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lottery_ticket.spec._prune import PruneSpec
from lottery_ticket.spec._records import TrainSpec
from lottery_ticket.spec._spec import Spec

__all__ = ["in_the_way", "meant_key", "other_words", "set_instead"]

_KEPT = "prune.densities=[0.1] keeps 10 % at once, prune.rate and prune.levels prune step by step"

# what people call it → how a spec says it
_WORDS = {
    "sparsity": f"write what is kept: {_KEPT}",
    "sparsities": f"write what is kept: {_KEPT}",
    "density": f"write {_KEPT}",
    "epochs": "write train.duration=30ep",
    "steps": "write train.duration=500it",
    "iterations": "write train.duration=500it",
    "seeds": "write replicates=3, each with seeds of its own",
    "controls": "write arms=[ticket, reinit, shuffled]",
}

# options that nearly every data set or model has
_OPTIONS = {
    "hidden": "model.hidden",
    "init": "model.init",
    "path": "data.path",
    "validation": "data.validation",
}


def other_words(name: str) -> str:
    """How a spec says what it has no key for; `""` of what nobody calls so.

    >>> other_words("epochs")
    'write train.duration=30ep'
    """
    return _WORDS.get(name.rpartition(".")[2], "")


def meant_key(name: str) -> str | None:
    """The key that is called so, wherever in a spec it is; None where none is.

    >>> meant_key("replicates"), meant_key("lr"), meant_key("rate"), meant_key("colour")
    ('replicates', 'train.lr', 'prune.rate', None)
    """
    if name in Spec.model_fields:
        return name
    records = {"train": TrainSpec, "prune": PruneSpec}
    places = [f"{part}.{name}" for part, record in records.items() if name in record.model_fields]
    return places[0] if places else _OPTIONS.get(name)


def set_instead(name: str, value: str | None) -> str:
    """What to write for a key of a spec that was given as an option; `""` where it is none.

    Args:
        name: the option, without dashes in front.
        value: what was given to it.

    >>> set_instead("replicates", "3"), set_instead("batch-size", None), set_instead("colour", "1")
    ('write --set replicates=3', 'write --set train.batch_size=…', '')
    """
    name = name.replace("-", "_")
    if said := other_words(name):
        return f"what --set can change: {said}"
    key = meant_key(name.rpartition(".")[2])
    return "" if key is None else f"write --set {key}={'…' if value is None else value}"


def in_the_way(
    message: str, where: Sequence[Any], given: Mapping[str, Any], asked: Sequence[Sequence[str]]
) -> str:
    """How to take away keys that do not go with what was asked for; `""` where there are none.

    Args:
        message: what is wrong, with the names of the keys.
        where: the record it is wrong in.
        given: the values of the preset or file, before anything was changed.
        asked: the keys that were changed.

    >>> in_the_way("momentum has no effect with adam", ["train"], {"train": {"momentum": 0.9}},
    ...            [("train", "optimizer")])
    '; momentum was there before: --set train.momentum=null takes it away'
    """
    if not re.search(r"no effect|not both", message):
        return ""
    said = re.sub(r"\(.*?\)", "", message)  # in brackets stands what may stay
    inner: Any = given
    for part in where:
        inner = inner.get(part) if isinstance(inner, Mapping) else None
    changed = {tuple(path) for path in asked}
    if not isinstance(inner, Mapping) or not changed or tuple(where) in changed:
        return ""
    named = [key for key in inner if re.search(rf"\b{re.escape(str(key))}\b", said)]
    left = [key for key in named if (*where, key) not in changed]
    if not left:
        return ""
    sets = " ".join(f"--set {'.'.join([*map(str, where), str(key)])}=null" for key in left)
    one = len(left) == 1
    return (
        f"; {' and '.join(map(str, left))} {'was' if one else 'were'} there before: {sets} "
        f"{'takes it' if one else 'take them'} away"
    )
