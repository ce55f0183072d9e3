"""What to try where a convolutional net gave no ticket."""

import shlex

import pytest
from tables import table_of

from lottery_ticket.analysis import Advice, advice_for, run_command, verdict
from lottery_ticket.spec import (
    canonical,
    load_spec,
    parse_overrides,
    preset_names,
    spec_from_mapping,
)

CONV = {
    "name": "mine",
    "data": {"name": "cifar10"},
    "model": {"name": "Conv4"},
    "train": {"lr": 0.1, "batch_size": 128, "duration": "20ep"},
    "prune": {"rate": 0.2, "levels": 3},
}
LAYERS = {"conv1.weight": [64, 3, 3, 3], "fc1.weight": [256, 100]}


def spec_with(**train):
    return canonical(spec_from_mapping({**CONV, "train": {**CONV["train"], **train}}))


def test_a_convolutional_net_at_a_high_learning_rate():
    advice = advice_for(spec_with(), LAYERS)
    assert advice is not None
    assert "at learning rate 0.1" in advice.text
    assert "late rewinding" in advice.text
    assert "warm-up" in advice.text
    assert "lottery run mine.yaml --set train.warmup=2ep" in advice.commands


def test_every_command_is_one_that_runs():
    spec = spec_with()
    advice = advice_for(spec, LAYERS)
    assert advice is not None
    assert advice.commands
    for command in advice.commands:
        settings = [part for part in command.split() if "=" in part]
        values = {**spec, "train": dict(spec["train"])}
        for path, value in parse_overrides(settings).items():
            inner = values
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
        spec_from_mapping(values)


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        (spec_with(lr=0.01), LAYERS),
        (spec_with(warmup="1ep"), LAYERS),
        (spec_with(), {"fc1.weight": [300, 784]}),
        ({**spec_with(), "rewind": "500it"}, LAYERS),
        (spec_with(optimizer="adam", lr=3e-4), LAYERS),
    ],
    ids=["low", "warm-up", "linear", "rewound late", "adam"],
)
def test_there_is_none_elsewhere(spec, layers):
    assert advice_for(spec, layers) is None


def test_high_means_another_thing_for_adam():
    assert advice_for(spec_with(optimizer="adam", lr=2e-3), LAYERS) is not None


def test_it_is_given_where_levels_failed():
    advice = Advice("Try this:", ("lottery run a",))
    falls = {"ticket": {0: [0.98, 0.981, 0.979], 1: [0.9, 0.902, 0.901]}}
    found = verdict(table_of(falls), advice=advice)
    assert found.advice is advice
    assert str(found).endswith("Try this:\n  lottery run a")
    holds = {"ticket": {0: [0.98, 0.981, 0.979], 1: [0.981, 0.98, 0.9805]}}
    assert verdict(table_of(holds), advice=advice).advice is None


def test_the_command_of_a_staged_run_runs_as_it_is():
    """Its looks say how many replicates; `--set replicates` beside them is refused."""
    staged = load_spec("quickstart", ["until_decided=[5, 7]"])
    command = run_command(canonical(staged.model_copy(update={"replicates": 7})))
    assert "replicates" not in command
    settings = shlex.split(command.removeprefix("lottery run quickstart"))
    again = load_spec("quickstart", [one for one in settings if one != "--set"])
    assert again.until_decided == staged.until_decided


def test_the_command_of_a_preset_says_what_differs():
    changes = ["train.lr=0.05", "arms=[ticket]", "train.momentum=0", "prune.scope=layerwise"]
    for name in preset_names():
        assert run_command(canonical(load_spec(name))) == f"lottery run {name}"
    command = run_command(canonical(load_spec("quickstart", changes)))
    assert "--set train.lr=0.05" in command
    assert "--set prune.scope=layerwise" in command
    assert "--set train.momentum=null" in command
    assert """--set 'arms=["ticket"]'""" in command
    assert command.count("--set") == 4
    assert run_command(spec_with()) == "lottery run mine.yaml"
