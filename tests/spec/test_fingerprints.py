"""Names: the same experiment has the same fingerprint, in this version and in every later one."""

import hashlib
import json

import pytest
from spec_values import PLAIN, changed

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import (
    Spec,
    canonical,
    canonical_json,
    fingerprint,
    load_spec,
    preset_names,
    spec_from_mapping,
)

# Changing one of these renames everybody's results: their stores would be computed anew.
PINNED = {
    "lenet-mnist": "21f431e588c68184c99eb88ec4c9003ac6c430eecf789af1833c390cbb733098",
    "quickstart": "d90411ffaf2c351582542b92652d0becc0b660cd138a1ca6cb96c0fdd5c934d6",
    "sin-regression": "c028f59d90d99182796928d19bc812e32f9c124f301e4b3a253c9bd64c6c6b9a",
}
# of the others the first digits
PINNED_TOO = {
    "lenet-mnist-controls": "27943632143e415a",
    "conv4-cifar10": "983736b6fe52f316",
    "conv4-cifar10-2-4": "ef31147dd554ada9",
    "conv4-cifar10-channels": "0dab65023b116c6e",
    "conv4-cifar10-half": "7994f392316ce6b2",
    "lenet-mnist-adam-5ep": "724990e160021b1e",
    "lenet-mnist-late-resetting": "a7f637d67e49ea1a",
    "lenet-mnist-layerwise-adam": "5cf34acda0140495",
    "lenet-mnist-levels": "f4cf2e47efd9a4f4",
    "lenet-mnist-moving": "6fd082a6bb2a9ec3",
    "lenet-mnist-moving-5x": "6a54cfec303a82f9",
    "lenet-mnist-oneshot": "b8674c918405f88b",
    "lenet-mnist-sweep": "29f38a0531e35a48",
    "resnet20-cifar10-narrow": "914de46d9cdfb2c2",
    "lenet-mnist-to-fashion": "6e878da842e75c22",
    "resnet18-cifar10-late-resetting": "a232273a3f161d8d",
    "paper/conv2-cifar10": "74b528c9eece7710",
    "paper/conv4-cifar10": "83725b6c00fa7361",
    "paper/conv6-cifar10": "92f1758a59ca47ce",
    "paper/lenet-mnist": "3ffbb052d2f5e86d",
    "paper/resnet20-cifar10-high": "e9cf2befb9ddb8ea",
    "paper/resnet20-cifar10-low": "e05cd3f4d1b24f7f",
    "paper/resnet20-cifar10-warmup": "7b4d877cef25f165",
    "paper/rewinding-resnet20": "d9d4e5d8b582d37c",
    "paper/vgg19-cifar10": "4237d6697152ef65",
}
HAND_WRITTEN = {
    "name": "hand",
    "data": {"name": "mnist", "validation": 5000},
    "model": {"name": "LeNet300", "hidden": [30, 10]},
    "train": {
        "optimizer": "adam",
        "lr": 1.2e-3,
        "betas": [0.9, 0.98],
        "weight_decay": 1e-4,
        "clip_norm": 1.0,
        "batch_size": 60,
        "duration": "5000it",
        "schedule": "step",
        "milestones": ["10ep", "15ep"],
        "gamma": 0.2,
        "warmup": "100it",
        "eval_every": "100it",
    },
    "prune": {"scope": "layerwise", "rate": 0.2, "rates": {"fc3.weight": 0.1}, "levels": 5},
    "arms": ["ticket", {"reinit": {"draws": 3}}, "oneshot"],
    "replicates": 5,
    "seed": 7,
}
HAND_WRITTEN_JSON = (
    '{"arms":[{"draws":1,"name":"ticket"},{"draws":3,"name":"reinit"},{"draws":1,"name":"oneshot"}]'
    ',"data":{"name":"mnist","validation":5000},"model":{"hidden":[30,10],"name":"LeNet300"}'
    ',"name":"hand","prune":{"criterion":"magnitude","levels":5,"rate":0.2,"rates":{"fc3.weight":0.1}'
    ',"scope":"layerwise"},"replicates":5,"rewind":"0it","seed":7,"train":{"batch_size":60'
    ',"betas":[0.9,0.98],"clip_norm":1.0,"duration":"5000it","eval_every":"100it","gamma":0.2'
    ',"loss":"cross_entropy","lr":0.0012,"milestones":["10ep","15ep"],"optimizer":"adam"'
    ',"schedule":"step","warmup":"100it","weight_decay":0.0001}}'
)


def test_presets_are_pinned():
    found = {name: fingerprint(load_spec(name)) for name in preset_names()}
    assert {name: found[name] for name in PINNED} == PINNED
    assert {name: found[name][:16] for name in found if name not in PINNED} == PINNED_TOO


def test_a_hand_written_spec_is_pinned():
    spec = spec_from_mapping(HAND_WRITTEN)
    assert canonical_json(spec) == HAND_WRITTEN_JSON
    # changing it renames everybody's results
    assert fingerprint(spec) == "1e628655dfd27633b7337f2ed25b5569ba7055fb5923e9e0857f5299f0afa17c"
    assert fingerprint(spec) == hashlib.sha256(HAND_WRITTEN_JSON.encode()).hexdigest()


OFF = {
    "train__momentum": 0,
    "train__nesterov": False,
    "train__betas": None,
    "train__weight_decay": 0.0,
    "train__clip_norm": None,
    "train__milestones": [],
    "train__gamma": None,
    "train__warmup": None,
    "train__augment": None,
    "prune__rates": {},
    "prune__densities": [],
    "prune__once": False,
    "prune__ignore": [],
    "source": None,
    "seed": 0,
}


def off_is_left_out(to_json) -> None:
    """The law: an option that is off leaves no trace, so that new options rename nothing."""
    bare = to_json(spec_from_mapping(PLAIN))
    for path, off in OFF.items():
        assert path.split("__")[-1] not in json.dumps(json.loads(bare)), path
        assert to_json(spec_from_mapping(changed(**{path: off}))) == bare, path


def test_options_that_are_off_are_left_out():
    off_is_left_out(canonical_json)


def test_a_codec_that_writes_every_option_breaks_the_law():
    with pytest.raises(AssertionError):
        off_is_left_out(lambda spec: spec.model_dump_json())


ON = {
    "train__momentum": 0.9,
    "train__weight_decay": 0.1,
    "train__clip_norm": 1.0,
    "train__warmup": "1ep",
    "train__lr": 0.2,
    "train__batch_size": 32,
    "train__duration": "3ep",
    "train__eval_every": "2ep",
    "train__schedule": "cosine",
    "train__loss": "nll",
    "train__optimizer": "adam",
    "prune__rate": 0.5,
    "prune__levels": 3,
    "prune__scope": "layerwise",
    "prune__criterion": "random",
    "prune__once": True,
    "prune__ignore": ["fc3"],
    "rewind": "1ep",
    "model__hidden": [20, 10],
    "model__name": "MLP",
    "data__name": "mnist",
    "arms": ["ticket", "reinit"],
    "replicates": 2,
    "seed": 1,
    "name": "other",
}


def test_every_value_that_is_on_changes_the_fingerprint():
    prints = [fingerprint(spec_from_mapping(changed(**{key: on}))) for key, on in ON.items()]
    prints.append(fingerprint(spec_from_mapping(PLAIN)))
    assert len(set(prints)) == len(prints)


def test_the_order_of_keys_and_the_way_a_number_is_written_do_not_matter():
    backwards = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(PLAIN.items())
    }
    assert fingerprint(spec_from_mapping(backwards)) == fingerprint(spec_from_mapping(PLAIN))
    one, one_point = (spec_from_mapping(changed(train__lr=lr)) for lr in (1, 1.0))
    assert canonical_json(one) == canonical_json(one_point)
    short, long = (spec_from_mapping(changed(train__duration=d)) for d in ("2ep", "002ep"))
    assert canonical_json(short) == canonical_json(long)


def test_canonical_values_are_a_spec_again():
    spec = spec_from_mapping(HAND_WRITTEN)
    assert Spec.model_validate(canonical(spec)) == spec


def test_not_a_number_has_no_canonical_form():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"lr": float("nan")})


def reading_leaves_no_trace(to_json) -> None:
    """The law: how results are read is no part of what they are."""
    bare = to_json(spec_from_mapping(PLAIN))
    for margin in (0.2, 5, None):
        assert to_json(spec_from_mapping(changed(margin=margin))) == bare
    for claim in ({"level": 1}, {"density": 0.5}, None):
        told = changed(claim=claim, arms=["ticket", "reinit"])
        assert to_json(spec_from_mapping(told)) == to_json(
            spec_from_mapping({**told, "claim": None})
        )


def test_a_margin_and_a_claim_rename_nothing():
    reading_leaves_no_trace(canonical_json)
    assert spec_from_mapping(changed(margin=0.5)).margin == 0.5
    assert load_spec("quickstart").margin == 1


def test_a_codec_that_writes_the_margin_breaks_the_law():
    with pytest.raises(AssertionError):
        reading_leaves_no_trace(lambda spec: str(dict(spec)))


@pytest.mark.parametrize("margin", [0, -1, 100, "much"])
def test_a_margin_that_makes_no_sense_is_refused(margin):
    with pytest.raises(UsageError, match="margin: got"):
        spec_from_mapping(changed(margin=margin))


@pytest.mark.parametrize("same", ["fp32", "auto", None])
def test_full_precision_has_one_name_however_it_is_said(same):
    plain = spec_from_mapping(PLAIN)
    said = spec_from_mapping(changed(train__precision=same))
    assert fingerprint(said) == fingerprint(plain)
    half = spec_from_mapping(changed(train__precision="bf16"))
    assert half.train.precision == "bf16"
    assert fingerprint(half) != fingerprint(plain)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="unknown precision 'fp16'; did you mean 'bf16'"):
        spec_from_mapping(changed(train__precision="fp16"))
