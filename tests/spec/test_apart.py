"""In which keys specs differ, and the labels that tell them apart."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.spec import (
    canonical,
    differing_keys,
    load_spec,
    parse_overrides,
    preset_names,
    short_labels,
    short_names,
    spec_from_mapping,
    spec_values,
    value_text,
)
from lottery_ticket.spec._apart import OFF

KEYS = st.sampled_from(["lr", "rate", "name", "duration", "rates"])
WORDS = st.sampled_from(["a", "20ep", "0.1", "1", "no", "a, lr=1", "ä b", "–", "", "2:4", "[a]"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.1, 1.0]), WORDS)
LEAVES = st.one_of(VALUES, st.lists(VALUES, max_size=2))
NESTED = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=5)
SPECS = st.fixed_dictionaries(
    {"name": st.sampled_from(["one", "two"])},
    optional={part: st.dictionaries(KEYS, NESTED, max_size=3) for part in ("train", "data", "x")}
    | {"seed": st.integers(0, 2), "arms": st.just([{"name": "ticket", "draws": 1}])},
)

Labels = Callable[[Sequence[dict[str, Any]]], list[str]]


def same(one: Any, other: Any) -> bool:
    """Whether two values are one, by their JSON; 1 and 1.0 are one number."""
    as_numbers = [json.dumps(_plain(each), sort_keys=True) for each in (one, other)]
    return as_numbers[0] == as_numbers[1]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def check_labels(specs: Sequence[dict[str, Any]], labels: Labels = short_labels) -> None:
    """Labels of distinct specs are distinct, those of equal ones equal; no equal key is shown."""
    values = [spec_values(spec) for spec in specs]
    found = labels(specs)
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            assert (found[i] == found[j]) == same(one, other), (found[i], found[j])
    keys = differing_keys(specs)
    for key in {key for each in values for key in each}:
        missing = object()
        got = [each.get(key, missing) for each in values]
        are_equal = all(
            (a is missing) == (b is missing) and (a is missing or same(a, b))
            for a in got
            for b in got
        )
        assert (key in keys) == (not are_equal), key


@given(st.lists(SPECS, min_size=1, max_size=5))
def test_labels_tell_specs_apart_by_what_differs(specs):
    check_labels(specs)


def last_parts_alone(specs):
    keys = differing_keys(specs)
    return [
        ", ".join(f"{k.rpartition('.')[2]}={spec_values(spec).get(k)}" for k in keys)
        for spec in specs
    ]


def the_first_key_alone(specs):
    return [label.split(",")[0] for label in short_labels(specs)]


def without_names(specs):
    return short_labels(specs, is_named=False)


ONE = {"name": "one", "train": {"lr": 1, "x": {"lr": 2}}, "seed": 1}
OTHER = {**ONE, "train": {"lr": 1, "x": {"lr": "2"}}}


@pytest.mark.parametrize(
    ("labels", "specs"),
    [
        (last_parts_alone, [ONE, OTHER]),
        (the_first_key_alone, [ONE, OTHER, {**ONE, "seed": 2}, {**OTHER, "seed": 2}]),
        (without_names, [ONE, {**ONE, "name": "two"}]),
    ],
)
def test_labels_that_do_not_are_caught(labels, specs):
    check_labels(specs)
    with pytest.raises(AssertionError):
        check_labels(specs, labels)


def specs_of(*overrides: list[str], preset: str = "lenet-mnist") -> list[dict[str, Any]]:
    return [canonical(load_spec(preset, each)) for each in overrides]


def test_a_grid_is_told_apart():
    grid = specs_of(
        *([f"train.lr={lr}", f"prune.rate={rate}"] for lr in (0.1, 0.01) for rate in (0.2, 0.5))
    )
    assert differing_keys(grid) == ["train.lr", "prune.rate"]
    assert short_labels(grid) == [
        "lr=0.1, rate=0.2", "lr=0.1, rate=0.5", "lr=0.01, rate=0.2", "lr=0.01, rate=0.5",
    ]  # fmt: skip
    assert short_labels(grid, but=["prune.rate"])[1] == "lr=0.1"
    assert short_labels(grid[:1]) == [""]


def test_options_that_are_off_are_filled_in_and_others_are_absent():
    specs = specs_of([], ["train.weight_decay=0.1"], ["train.clip_norm=1"], ["seed=3"])
    assert differing_keys(specs) == ["train.weight_decay", "train.clip_norm", "seed"]
    assert short_labels(specs)[0] == "weight_decay=0, clip_norm=–, seed=0"
    assert short_labels(specs)[2] == "weight_decay=0, clip_norm=1, seed=0"


def test_lists_and_arms_are_as_they_are_written():
    changes = ["arms=[ticket, {reinit: {draws: 3}}]", "model.hidden=[30, 10]"]
    found = short_labels(specs_of([], changes))[1]
    assert found == "hidden=[30, 10], arms=[ticket, {reinit: {draws: 3}}]"
    (said,) = parse_overrides(["arms=[ticket, {reinit: {draws: 3}}]"]).values()
    assert said == ["ticket", {"reinit": {"draws": 3}}]


def test_runs_of_different_names_are_told_apart_by_these():
    specs = specs_of([], ["train.lr=0.5"]) + specs_of([], preset="quickstart")
    lr = load_spec("lenet-mnist").train.lr
    assert short_labels(specs) == [f"lenet-mnist: lr={lr}", "lenet-mnist: lr=0.5", "quickstart"]
    assert short_labels(specs, is_named=False) == [f"lr={lr}", "lr=0.5", ""]


@pytest.mark.parametrize("preset", preset_names())
def test_what_a_preset_leaves_out_is_off(preset):
    """What is filled in is what the spec itself has, and nothing else that is off is."""
    spec = load_spec(preset)
    for key in OFF:
        inner: Any = spec
        for part in key.split("."):
            inner = getattr(inner, part)
        given_in = spec_values(canonical(spec))[key]
        assert same(list(inner) if isinstance(inner, tuple) else inner, given_in), key
    left_out = {
        f"{place}{name}"
        for place, record in (("", spec), ("train.", spec.train), ("prune.", spec.prune))
        for name, field in type(record).model_fields.items()
        if not field.exclude and not field.is_required() and not field.default
        and field.default is not None and field.default != {}
    }  # fmt: skip
    assert left_out == OFF.keys()


@given(LEAVES.filter(lambda value: value is not None))
def test_values_can_be_set_as_they_are_shown(value):
    (read,) = parse_overrides([f"key={value_text(value)}"]).values()
    assert same(read, value)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "name"]), min_size=1, max_size=3), max_size=6))
def test_short_names_are_told_apart(paths):
    keys = list(dict.fromkeys(".".join(path) for path in paths))
    names = short_names(keys)
    assert list(names) == keys
    assert len(set(names.values())) == len(keys)
    assert all(key in (name, f"{name}.name") or name in key for key, name in names.items())


def test_a_spec_that_is_shown_is_the_spec():
    spec = load_spec("quickstart")
    sets = parse_overrides(
        [f"{k}={value_text(v, k)}" for k, v in spec_values(canonical(spec)).items()]
    )
    values: dict[str, Any] = {}
    for path, value in sets.items():
        inner = values
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
    assert canonical(spec_from_mapping(values)) == canonical(spec)


def test_specs_are_told_apart_without_torch():
    code = (
        "import sys; from lottery_ticket.spec import short_labels; short_labels([{}, {'a': 1}]); "
        "print([m for m in ('torch', 'sklearn', 'pandas', 'pydantic') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"
