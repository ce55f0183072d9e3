"""YAML → spec → canonical JSON → spec, for any valid spec."""

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from spec_values import PLAIN

from lottery_ticket.arms import ARMS
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.spec import Spec, canonical_json, load_spec, spec_from_mapping

fractions = st.floats(0, 1, exclude_min=True, exclude_max=True, width=32, allow_subnormal=False)
positive = st.floats(1e-12, 1e12)
units = st.sampled_from(["ep", "it"])


@st.composite
def lengths(draw, longest, unit, **options):
    """Counts up to `longest` in `unit`, any in the other unit: rising lengths that may fit."""
    other = draw(units)
    counts = st.integers(1, longest if other == unit else 10**6)
    return [f"{n}{other}" for n in sorted(draw(st.sets(counts, **options)))]


@st.composite
def trains(draw):
    values = {"lr": draw(positive), "batch_size": draw(st.integers(1, 10**6))}
    count, unit = draw(st.integers(2, 10**6)), draw(units)
    values["duration"] = f"{count}{unit}"
    values["optimizer"] = optimizer = draw(st.sampled_from(["sgd", "adam", "adamw"]))
    if optimizer == "sgd":
        values["momentum"] = draw(
            st.floats(0, 1, exclude_max=True, width=32, allow_subnormal=False)
        )
        values["nesterov"] = bool(values["momentum"]) and draw(st.booleans())
    elif draw(st.booleans()):
        values["betas"] = draw(
            st.lists(
                st.floats(0, 0.9990234375, width=32, allow_subnormal=False), min_size=2, max_size=2
            )
        )
    values["schedule"] = draw(st.sampled_from(["constant", "step", "cosine"]))
    if values["schedule"] == "step":
        values["milestones"] = draw(lengths(count - 1, unit, min_size=1, max_size=3))
        values["gamma"] = draw(st.none() | positive)
    (values["warmup"],) = draw(lengths(count - 1, unit, max_size=1)) or [None]
    values["clip_norm"] = draw(st.none() | positive)
    values["weight_decay"] = draw(st.floats(0, 10, width=32, allow_subnormal=False))
    (values["eval_every"],) = draw(lengths(count, unit, min_size=1, max_size=1))
    return values


@st.composite
def prunes(draw):
    values = {"criterion": draw(st.sampled_from(["magnitude", "random"]))}
    values["scope"] = draw(st.sampled_from(["global", "layerwise", "channel", "1:4"]))
    values["ignore"] = draw(st.lists(st.sampled_from(["fc1", "re:.*3", "Conv2d"])))
    if values["scope"] == "1:4":
        values["levels"] = draw(st.none() | st.integers(1, 3))
        values["once"] = draw(st.booleans())
        return values
    if draw(st.booleans()):
        falling = st.lists(fractions, min_size=1, max_size=5, unique=True)
        values["densities"] = sorted(draw(falling), reverse=True)
        return values
    values |= {"rate": draw(fractions), "levels": draw(st.integers(1, 40))}
    values["once"] = draw(st.booleans())
    if values["scope"] != "global":
        values["rates"] = draw(st.dictionaries(st.sampled_from(["fc1.weight", "b"]), fractions))
    return values


@st.composite
def arm_lists(draw):
    names = draw(st.lists(st.sampled_from(sorted(ARMS)), min_size=1, unique=True))
    return [
        {name: {"draws": draw(st.integers(1, 9))}}
        if ARMS[name].has_draws and draw(st.booleans())
        else name
        for name in names
    ]


specs = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "data": st.sampled_from([{"name": "digits"}, {"name": "mnist", "validation": 5000}]),
        "model": st.fixed_dictionaries(
            {"name": st.just("LeNet300")},
            optional={"hidden": st.lists(st.integers(1, 999), min_size=2, max_size=2)},
        ),
        "train": trains(),
        "prune": prunes(),
        "replicates": st.integers(1, 99),
        "seed": st.integers(0, 2**63 - 1),
    }
)


def name_of(arm) -> str:
    return arm if isinstance(arm, str) else next(iter(arm))


@st.composite
def whole_specs(draw):
    values = draw(specs)
    refused = {"lth"}
    if values["prune"].get("once"):
        refused.add("oneshot")
    if values["prune"]["scope"] == "1:4":
        refused |= {name for name, arm in ARMS.items() if arm.mask == "aligned"}
        rounds = {n: CRITERIA[arm.criterion].rounds for n, arm in ARMS.items() if arm.criterion}
        refused |= {name for name, count in rounds.items() if count > 1}
    if values["prune"]["scope"] not in ("global", "layerwise"):
        refused |= {name for name in ARMS if ARMS[name].policy or ARMS[name].masks_of}
    if values["train"]["schedule"] == "cosine":
        refused.add("finetune")
    arms = [arm for arm in draw(arm_lists()) if name_of(arm) not in refused] or ["ticket"]
    values["arms"] = arms
    if any(ARMS[name_of(arm)].mask == "source" for arm in arms):
        values["source"] = {
            "data": {"name": "fashion-mnist"},
            "level": draw(st.none() | st.just(1)),
        }
    if "ticket" in arms and draw(st.booleans()):
        unit = values["train"]["duration"][-2:]
        values["rewind"] = f"1{unit}"
        values["arms"] = [*arms, "lth"]
    return values


def yaml_text(values) -> str:
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(values, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("specs")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(values=whole_specs())
def test_yaml_and_canonical_json_say_the_same(folder, values):
    path = folder / "spec.yaml"
    path.write_text(yaml_text(values), encoding="utf-8")
    spec = load_spec(path)
    assert spec == spec_from_mapping(values)
    text = canonical_json(spec)
    again = spec_from_mapping(json.loads(text))
    assert again == spec
    assert canonical_json(again) == text
    path.write_text(text, encoding="utf-8")  # JSON is YAML
    assert canonical_json(load_spec(path)) == text


def test_a_spec_is_frozen():
    spec = spec_from_mapping(PLAIN)
    for record, key in ((spec, "seed"), (spec.train, "lr"), (spec.model, "name")):
        before = getattr(record, key)
        with pytest.raises(ValueError, match="frozen"):
            setattr(record, key, before)
        assert getattr(record, key) == before


def test_options_are_handed_out_as_a_copy():
    spec = spec_from_mapping({**PLAIN, "model": {"name": "LeNet300", "hidden": [20, 10]}})
    spec.model.options["hidden"] = [1, 1]
    assert spec.model.options == {"hidden": [20, 10]}


def test_options_of_a_criterion_stand_beside_its_name():
    same = [{"grasp": {"temperature": 100.0}}, {"name": "grasp", "temperature": 100.0}]
    found = [spec_from_mapping({**PLAIN, "prune": PLAIN["prune"] | {"criterion": c}}) for c in same]
    assert found[0] == found[1]
    assert found[0].prune.criterion == "grasp"
    assert found[0].prune.criterion_options == {"temperature": 100.0}
    assert found[0].criterion_of("oneshot") == ("grasp", {"temperature": 100.0})
    assert found[0].criterion_of("grasp") == ("grasp", {})  # an arm with a criterion of its own
    # what is not given leaves no trace, so that nothing is renamed
    plain = spec_from_mapping({**PLAIN, "prune": PLAIN["prune"] | {"criterion": {"grasp": {}}}})
    assert "criterion_options" not in canonical_json(plain)
    assert plain == spec_from_mapping({**PLAIN, "prune": PLAIN["prune"] | {"criterion": "grasp"}})


def test_what_arms_may_look_like():
    spec = spec_from_mapping({**PLAIN, "arms": ["ticket", {"reinit": {"draws": 3}}, "random"]})
    assert [(arm.name, arm.draws) for arm in spec.arms] == [
        ("ticket", 1), ("reinit", 3), ("random", 1),
    ]  # fmt: skip
    assert Spec(**dict(spec)) == spec
