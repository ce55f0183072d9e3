"""What the literature tried where the initial weights gave no ticket."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import preset_names
from lottery_ticket.steps import Duration

__all__ = ["Advice", "advice_for", "run_command"]


# learning rates from which on published convolutional nets gave no ticket at θ₀
HIGH = {"sgd": 0.03, "adam": 1e-3, "adamw": 1e-3}


@dataclass(frozen=True)
class Advice:
    """What to try next.

    Args:
        text: what is known, with its sources.
        commands: that try it.
    """

    text: str
    commands: tuple[str, ...]


def advice_for(spec: Mapping[str, Any], layers: Mapping[str, Sequence[int]]) -> Advice | None:
    """What to try where θ₀ gave no ticket; None where the literature has no such case.

    The case is a convolutional net at a high learning rate, rewound to its very initial weights,
    without warm-up.

    Args:
        spec: the run's spec, as the store has it.
        layers: prunable parameter → its shape.

    Returns:
        The advice, with those commands that this version can run.

    Source: Frankle & Carbin (2019), section 5; Frankle et al. (2020); Renda et al. (2020).
    """
    train = spec["train"]
    is_convolutional = any(len(shape) == 4 for shape in layers.values())
    is_high = train["lr"] >= HIGH.get(train["optimizer"], float("inf"))
    is_from_start = Duration.parse(spec["rewind"]).count == 0 and "warmup" not in train
    if not (is_convolutional and is_high and is_from_start):
        return None
    length = Duration.parse(train["duration"])
    tenth = f"{max(1, length.count // 10)}{length.unit}"
    tried = ({"rewind": "500it"}, {"train.warmup": tenth})
    return Advice(
        f"A convolutional net rewound to its initial weights, at learning rate {train['lr']:g}: "
        "the literature finds no winning tickets there either. It finds them with the weights of a "
        "slightly later step (late rewinding; step 500 of ResNet-20), with a warm-up, or at a "
        "lower learning rate (Frankle & Carbin 2019, section 5; Frankle et al. 2020; Renda et al. "
        "2020). To try that:",
        tuple(run_command(spec, changes) for changes in tried if _is_valid(spec, changes)),
    )


def run_command(spec: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> str:
    """The command that runs a spec, changed: of its preset if it has one, else of a file.

    Example:
        >>> from lottery_ticket.spec import canonical, load_spec
        >>> run_command(canonical(load_spec("quickstart", ["seed=3"])), {"train.lr": 0.05})
        'lottery run quickstart --set seed=3 --set train.lr=0.05'
    """
    from lottery_ticket.spec import canonical, load_spec  # slow to load

    # the spec of paper/lenet-mnist is called paper-lenet-mnist, since runs are folders
    name = next((p for p in preset_names() if p.replace("/", "-") == spec["name"]), None)
    spec = {**spec, "arms": [_arm(arm) for arm in spec["arms"]]}
    left_out = {"replicates"} if "until_decided" in spec else set()  # its looks say how many
    settings = dict(changes or {})
    if name is not None:
        preset_spec = load_spec(name)
        known = canonical(preset_spec)
        if "margin" in spec:
            known["margin"] = preset_spec.margin
        known = {**known, "arms": [_arm(arm) for arm in known["arms"]]}
        preset, own = (dict(_flat(values)) for values in (known, spec))
        other = {key: own.get(key) for key in [*preset, *own] if preset.get(key) != own.get(key)}
        settings = {key: value for key, value in other.items() if key not in left_out} | settings
    else:
        name = f"{spec['name']}.yaml"
    options = (f"--set {shlex.quote(f'{key}={_yaml(value)}')}" for key, value in settings.items())
    return " ".join(["lottery run", name, *options])


def _is_valid(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether this version takes the change."""
    from lottery_ticket.spec import spec_from_mapping

    values = json.loads(json.dumps(spec))
    for key, value in changes.items():
        *parents, last = key.split(".")
        inner = values
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    try:
        spec_from_mapping(values)
    except UsageError:
        return False
    return True


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


def _arm(arm: Mapping[str, Any]) -> Any:
    return {arm["name"]: {"draws": arm["draws"]}} if arm["draws"] > 1 else arm["name"]


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
