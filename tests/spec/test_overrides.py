"""`--set key=value`."""

import re

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import fingerprint, load_spec


def test_values_are_replaced_and_typed():
    spec = load_spec(
        "quickstart",
        ["train.lr=1e-3", "arms=[ticket, {reinit: {draws: 2}}]", " replicates = 3", "name=off"],
    )
    assert (spec.train.lr, spec.replicates, spec.name) == (0.001, 3, "off")
    assert [arm.draws for arm in spec.arms] == [1, 2]
    assert spec.prune == load_spec("quickstart").prune


def test_null_goes_back_to_the_default():
    spec = load_spec("quickstart", ["train.momentum=null", "replicates=null", "model.hidden="])
    assert (spec.train.momentum, spec.replicates, spec.model.options) == (0.0, 1, {})
    same = load_spec("quickstart", ["train.clip_norm=null"])
    assert fingerprint(same) == fingerprint(load_spec("quickstart"))


def test_a_later_override_wins():
    assert load_spec("quickstart", ["seed=1", "seed=2"]).seed == 2


def test_a_mapping_can_be_replaced_whole():
    spec = load_spec("quickstart", ["prune={densities: [0.5, 0.1]}"])
    assert spec.prune.densities == (0.5, 0.1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("x", "--set x: write key=value, such as train.lr=0.05"),
        ("=3", "--set =3: write key=value, such as train.lr=0.05"),
        ("train..lr=3", "--set train..lr=3: write key=value, such as train.lr=0.05"),
        ("train.=3", "--set train.=3: write key=value, such as train.lr=0.05"),
        ("train.lr=fast", "quickstart: train.lr: got 'fast' (str), wanted a number"),
        ("train.lr=null", "quickstart: train.lr: missing"),
        ("train.nesterov=yes", "quickstart: train.nesterov: got 'yes' (str), wanted true or false"),
        ("name.x=3", "--set name.x: 'name' has no keys of its own"),
        ("arms.0=ticket", "--set arms.0: 'arms' has no keys of its own"),
        ("train=3", "quickstart: train: got 3 (int), wanted a mapping of keys"),
        (
            "data=digits",
            "quickstart: data: got 'digits', wanted a mapping of keys, such as {name: digits}",
        ),
        ("trian.lr=3", "quickstart: trian: unknown key; did you mean 'train'?"),
        ("train.momentm=3", "quickstart: train.momentm: unknown key; did you mean 'momentum'?"),
        # what is in the way was there before: in a preset, or in a file
        (
            "prune.densities=[0.1]",
            (
                "quickstart: prune: give either densities, or rate and levels, not both; rate and "
                "levels were there before: --set prune.rate=null --set prune.levels=null take them "
                "away"
            ),
        ),
        (
            "train.optimizer=adam",
            (
                "quickstart: train: momentum has no effect with adam; leave it out; momentum was "
                "there before: --set train.momentum=null takes it away"
            ),
        ),
        (
            "train={lr: 0.1, lr: 0.2}",
            '--set train: found duplicate key "lr" in line 1; each key may stand once',
        ),
        ("data.name=*x", "--set data.name: not valid YAML: found undefined alias 'x'"),
    ],
)
def test_what_does_not_fit_is_refused(override, message):
    with pytest.raises(UsageError) as error:
        load_spec("quickstart", [override])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["prune.densities=[0.1]"],
        ["train.optimizer=adam"],
        ["prune.scope=2:4", "prune.levels=2"],
    ],
)
def test_what_a_hint_says_to_write_is_taken(overrides):
    with pytest.raises(UsageError) as error:
        load_spec("quickstart", overrides)
    more = re.findall(r"--set (\S+=null)", str(error.value))
    assert more
    load_spec("quickstart", [*overrides, *more])


def test_two_keys_that_were_both_asked_for_are_left_to_the_asker():
    with pytest.raises(UsageError) as error:
        load_spec("quickstart", ["train.optimizer=adam", "train.momentum=0.5"])
    assert str(error.value).endswith("momentum has no effect with adam; leave it out")
