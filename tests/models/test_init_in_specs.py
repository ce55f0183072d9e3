"""`init` in a spec: a key of every model, without a trace where it is not given."""

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import inspect_inputs, plan
from lottery_ticket.spec import canonical_json, spec_from_mapping


def spec(**model):
    return spec_from_mapping(
        {
            "name": "init",
            "data": {"name": "digits"},
            "model": {"name": "LeNet300", "hidden": [9, 5], **model},
            "train": {"lr": 0.1, "batch_size": 64, "duration": "1ep"},
            "prune": {"rate": 0.4, "levels": 1},
        }
    )


def test_names_of_cells():
    plain = plan(spec(), inspect_inputs(spec()))
    assert "init" not in plain.inputs.model_options
    given = spec(init="glorot_normal")
    named = plan(given, inspect_inputs(given))
    assert named.inputs.model_options["init"] == "glorot_normal"
    assert '"init":"glorot_normal"' in canonical_json(given)
    assert not named.cells.keys() & plain.cells.keys()


@pytest.mark.parametrize("value", [None, 3, True])
def test_what_is_no_name(value):
    with pytest.raises(UsageError, match=r"option 'init': got .*, wanted text"):
        spec(init=value)


def test_an_unknown_name():
    with pytest.raises(UsageError, match=r"unknown init 'glorot'; did you mean 'glorot_normal'\?"):
        inspect_inputs(spec(init="glorot"))
