"""What a user reads when a spec is wrong: the key, what it got, and what it wants."""

import datetime
import math
import re

import pytest
from spec_values import PLAIN, changed

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import spec_from_mapping

# words of the validation library, and its addresses
JARGON = re.compile(
    r"pydantic|https?:|after validation|input should|tuple|NoneType|model_type|\[type=|Value error",
    re.IGNORECASE,
)

WRONG = {
    "unknown keys, at each depth": [
        ({"replicate": 3}, "replicate: unknown key; did you mean 'replicates'?"),
        ({"optimizer": "sgd"}, "optimizer: unknown key; did you mean 'train.optimizer'?"),
        ({"levels": 3}, "levels: unknown key; did you mean 'prune.levels'?"),
        ({"train__rate": 3}, "train.rate: unknown key; did you mean 'prune.rate'?"),
        ({"train__epochs": 3}, "train.epochs: unknown key; write train.duration=30ep"),
        (
            {"sparsity": 0.9},
            (
                "sparsity: unknown key; write what is kept: prune.densities=[0.1] keeps 10 % at "
                "once, prune.rate and prune.levels prune step by step"
            ),
        ),
        (
            {"colour": "sgd"},
            (
                "colour: unknown key; valid: arms, claim, data, margin, model, name, prune, "
                "replicates, rewind, seed, source, sweep, train, until_decided"
            ),
        ),
        ({"train__momentm": 0.9}, "train.momentm: unknown key; did you mean 'momentum'?"),
        ({"prune__level": 3}, "prune.level: unknown key; did you mean 'levels'?"),
        (
            {"arms": ["ticket", {"reinit": {"draw": 2}}]},
            "arms.1.draw: unknown key; did you mean 'draws'?",
        ),
        (
            {"model__hidde": [1]},
            "model: model 'LeNet300' has no option 'hidde'; did you mean 'hidden'?",
        ),
        (
            {"data__validation": 3},
            "data: data set 'digits' has no option 'validation'; valid: limit",
        ),
        (
            {"data": {"name": "mnist", "validatio": 3}},
            "data: data set 'mnist' has no option 'validatio'; did you mean 'validation'?",
        ),
    ],
    "unknown names": [
        ({"model__name": "LeNet30"}, "model: unknown model 'LeNet30'; did you mean 'LeNet300'?"),
        ({"data__name": "digit"}, "data: unknown data set 'digit'; did you mean 'digits'?"),
        (
            {"train__optimizer": "sdg"},
            "train.optimizer: unknown optimizer 'sdg'; did you mean 'sgd'?",
        ),
        (
            {"train__schedule": "cosin"},
            "train.schedule: unknown schedule 'cosin'; did you mean 'cosine'?",
        ),
        (
            {"train__loss": "ce"},
            "train.loss: unknown loss 'ce'; valid: cross_entropy, mse, nll",
        ),
        (
            {"prune__criterion": "magnitud"},
            "prune.criterion: unknown criterion 'magnitud'; did you mean 'magnitude'?",
        ),
        ({"arms": ["tickt"]}, "arms.0.name: unknown arm 'tickt'; did you mean 'ticket'?"),
    ],
    "wrong types": [
        ({"replicates": "3"}, "replicates: got '3' (str), wanted a whole number"),
        ({"replicates": 3.0}, "replicates: got 3.0 (float), wanted a whole number"),
        ({"replicates": True}, "replicates: got True (bool), wanted a whole number"),
        ({"train__lr": "fast"}, "train.lr: got 'fast' (str), wanted a number"),
        ({"train__lr": True}, "train.lr: got True (bool), wanted a number"),
        ({"train__lr": None}, "train.lr: got nothing, wanted a number"),
        ({"train__nesterov": 1}, "train.nesterov: got 1 (int), wanted true or false"),
        (
            {"train__duration": 5},
            "train.duration: got 5, wanted a unit: 5ep (epochs) or 5it (iterations)",
        ),
        ({"train__milestones": "1ep"}, "train.milestones: got '1ep' (str), wanted a list"),
        ({"prune__rate": "0.2"}, "prune.rate: got '0.2' (str), wanted a number"),
        ({"prune": None}, "prune: got nothing, wanted a mapping of keys"),
        ({"prune": [1]}, "prune: got [1] (list), wanted a mapping of keys"),
        (
            {"model": "LeNet300"},
            "model: got 'LeNet300', wanted a mapping of keys, such as {name: LeNet300}",
        ),
        ({"name": 3}, "name: got 3 (int), wanted text"),
        ({"arms": "ticket"}, "arms: got 'ticket' (str), wanted a list"),
        ({"arms": [3]}, "arms.0: got 3; write an arm's name or {reinit: {draws: 3}}"),
        ({"arms": [{"reinit": 3}]}, "arms.0: write {reinit: {draws: 3}} or reinit"),
        (
            {"arms": [{"reinit": {"name": "ticket"}}]},
            "arms.0: write {reinit: {draws: 3}} or reinit",
        ),
        (
            {"model__input_size": "a"},
            "model: option 'input_size': got 'a' (str), wanted a whole number",
        ),
        ({"model__hidden": "abc"}, "model: option 'hidden': got 'abc' (str), wanted a list"),
        (
            {"model__hidden": [20, 1.5]},
            "model: option 'hidden': got 1.5 (float), wanted a whole number",
        ),
        (
            {"data": {"name": "mnist", "validation": True}},
            "data: option 'validation': got True (bool), wanted a whole number",
        ),
    ],
    "out of range": [
        ({"replicates": 0}, "replicates: got 0, wanted more than 0"),
        ({"train__lr": 0}, "train.lr: got 0, wanted more than 0.0"),
        ({"train__lr": math.inf}, "train.lr: got inf, wanted a finite number"),
        ({"train__lr": math.nan}, "train.lr: got nan, wanted a finite number"),
        ({"train__momentum": 1.0}, "train.momentum: got 1.0, wanted less than 1.0"),
        ({"train__weight_decay": -1}, "train.weight_decay: got -1, wanted at least 0.0"),
        ({"train__duration": "0ep"}, "train: duration must be longer than nothing"),
        ({"train__warmup": "0it"}, "train: warmup must be longer than nothing"),
        (
            {"train__duration": "5 epochs"},
            (
                "train.duration: '5 epochs' is not a duration; write epochs as '5ep' or "
                "iterations as '5it'"
            ),
        ),
        ({"prune__rate": 1}, "prune.rate: 1 is not a fraction between 0 and 1"),
        (
            {"prune__rate": 20},
            "prune.rate: 20 is not a fraction between 0 and 1; for 20 % write 0.2",
        ),
        (
            {"prune": {"densities": [50]}},
            "prune.densities.0: 50 is not a fraction between 0 and 1; for 50 % write 0.5",
        ),
        ({"seed": -1}, "seed: got -1, wanted at least 0"),
        ({"seed": 2**63}, "seed: got 9223372036854775808, wanted less than 9223372036854775808"),
        (
            {"name": "../a"},
            (
                "name: got '../a', wanted letters, digits, '.', '_' and '-', the first a letter or "
                "digit"
            ),
        ),
        ({"name": "x" * 81}, f"name: got '{'x' * 81}', wanted at most 80 characters"),
        ({"arms": []}, "arms: none is listed; write at least one, such as [ticket]"),
        (
            {"arms": [{"reinit": {"draws": 0}}]},
            "arms.0.draws: got 0, wanted more than 0",
        ),
        (
            {"train__optimizer": "adam", "train__betas": [0.9, 2]},
            "train.betas.1: got 2, wanted less than 1.0",
        ),
    ],
    "without effect": [
        ({"train__nesterov": True}, "train: nesterov has no effect without momentum"),
        (
            {"train__optimizer": "adam", "train__momentum": 0.9},
            "train: momentum has no effect with adam; leave it out",
        ),
        (
            {"train__betas": [0.9, 0.99]},
            "train: betas has no effect with sgd; leave it out",
        ),
        (
            {"train__milestones": ["1ep"]},
            "train: milestones and gamma have no effect unless schedule is 'step'",
        ),
        (
            {"train__gamma": 0.1},
            "train: milestones and gamma have no effect unless schedule is 'step'",
        ),
        (
            {"train__schedule": "step"},
            "train: schedule 'step' wants milestones, such as [10ep, 15ep]",
        ),
        (
            {"prune__rates": {"fc1.weight": 0.2}},
            "prune: rates per layer have no effect with scope 'global'; use 'layerwise'",
        ),
        (
            {"arms": [{"ticket": {"draws": 2}}]},
            "arms.0: arm 'ticket' draws nothing, so draws has no effect",
        ),
        ({"arms": ["ticket", "ticket"]}, "arms: 'ticket' is listed twice; use draws for more"),
        (
            {"prune": {"densities": [0.5], "rate": 0.2}},
            "prune: give either densities, or rate and levels, not both",
        ),
        ({"prune": {"densities": [0.5, 0.5]}}, "prune: densities must fall from level to level"),
        ({"prune": {"densities": [0.4, 0.5]}}, "prune: densities must fall from level to level"),
        ({"prune": {"rate": 0.2}}, "prune: give rate and levels, or densities"),
        ({"prune": {}}, "prune: give rate and levels, or densities"),
        (
            {"rewind": "2ep"},
            (
                "rewind: got '2ep', wanted less than train.duration, '2ep'; rewind to an earlier "
                "step or train longer"
            ),
        ),
        (
            {"rewind": "1ep", "arms": ["snip", "finetune"]},
            (
                "rewind: '1ep' has no effect on arms ['snip', 'finetune']; leave it out, or add "
                "'ticket'"
            ),
        ),
        (
            {"arms": ["ticket", "lth"]},
            (
                "arms: 'lth' rewinds to step 0, as the ticket does here; leave it out, or set "
                "rewind to a later step, such as 500it"
            ),
        ),
        (
            {"prune__once": True, "arms": ["ticket", "oneshot"]},
            "arms: with prune.once the ticket is 'oneshot' itself; leave it out",
        ),
        (
            {"train__schedule": "cosine", "arms": ["finetune"]},
            (
                "arms: 'finetune' goes on at the last learning rate, which is about 0 with "
                "schedule 'cosine'; use 'constant' or 'step', or the arm 'lr_rewind'"
            ),
        ),
        (
            {"arms": [{"signed_constant": {"draws": 2}}]},
            "arms.0: arm 'signed_constant' draws nothing, so draws has no effect",
        ),
        (
            {"arms": ["ticket", "transfer"]},
            (
                "arms: 'transfer' wants to know where its tickets come from; write source: {data: "
                "{name: …}}, or use `lottery transfer`"
            ),
        ),
        (
            {"source": {"data": {"name": "mnist"}}},
            "source has no effect on arms ['ticket']; add 'transfer', or leave it out",
        ),
        (
            {"source": {"data": {"name": "digits"}, "level": 2}, "arms": ["transfer"]},
            "source is this very experiment; its data or its train must be another one",
        ),
        (
            {"source": {"data": {"name": "mnist"}, "level": 3}, "arms": ["transfer"]},
            "source.level: got 3, wanted at most 2, prune's last",
        ),
        (
            {
                "source": {"train": {"lr": 1, "batch_size": 9, "duration": "1ep"}},
                "arms": ["transfer"],
                "rewind": "1ep",
            },
            (
                "source: rewind: got '1ep', wanted less than train.duration, '1ep'; rewind to an "
                "earlier step or train longer"
            ),
        ),
        (
            {"prune": {"criterion": "synflow", "scope": "2:4"}},
            (
                "prune: criterion 'synflow' prunes in 100 rounds of rising sparsity, and scope "
                "'2:4' has only its own levels; use another"
            ),
        ),
        (
            {"train__loss": {"cross_entropy": {"smoothing": 0.1}}},
            (
                "train: loss 'cross_entropy' has no option 'smoothing'; did you mean "
                "'label_smoothing'?"
            ),
        ),
        ({"train__loss": {"name": "mes"}}, "train.loss: unknown loss 'mes'; did you mean 'mse'?"),
        (
            {"train__optimizer": {"sgd": {"momentum": 0.9}}},
            "train: momentum of optimizer is a key of train itself; write it there",
        ),
        (
            {"train__augment_options": {"padding": 2}},
            "train: augment_options has no effect without augment; leave it out",
        ),
        (
            {"train__optimizer": {"sgd": {}, "adam": {}}},
            "train: optimizer: write a name, or {name: …, option: …}",
        ),
    ],
}


@pytest.mark.parametrize(
    ("changes", "message"), [pytest.param(*case, id=case[1]) for group in WRONG.values()
                             for case in group]
)  # fmt: skip
def test_one_line_says_what_is_wrong(changes, message):
    with pytest.raises(UsageError) as error:
        spec_from_mapping(changed(**changes), "mine.yaml")
    assert str(error.value) == f"mine.yaml: {message}"
    assert not JARGON.search(str(error.value))


def test_the_plain_spec_is_right():
    assert spec_from_mapping(changed()).name == "plain"


def test_every_mistake_is_named_at_once():
    values = changed(train={"lr": "a", "momentm": 1, "batch_size": "x"}, replicates=0)
    with pytest.raises(UsageError) as error:
        spec_from_mapping(values)
    assert str(error.value).splitlines() == [
        "spec: train.lr: got 'a' (str), wanted a number",
        "spec: train.batch_size: got 'x' (str), wanted a whole number",
        "spec: train.duration: missing",
        "spec: train.momentm: unknown key; did you mean 'momentum'?",
        "spec: replicates: got 0, wanted more than 0",
    ]


@pytest.mark.parametrize("values", [[1], 3, "x", None, [("name", "a")]])
def test_what_is_no_mapping(values):
    with pytest.raises(UsageError, match="spec: a spec is a mapping of keys, got "):
        spec_from_mapping(values)


@pytest.mark.parametrize("values", [{1: 2}, {**PLAIN, 1: 2}, changed(train={1: 2})])
def test_keys_that_are_no_text(values):
    with pytest.raises(UsageError, match="1: a key is text; put it in quotes"):
        spec_from_mapping(values)


@pytest.mark.parametrize(
    "option", [math.nan, math.inf, datetime.date(2024, 1, 1), {1: 2}, b"x", [object()]]
)
def test_options_that_no_json_can_say_are_refused(option):
    values = changed(model={"name": "LeNet300", "hidden": option})
    with pytest.raises(UsageError, match=r"model: option 'hidden': got .*wanted a number, text"):
        spec_from_mapping(values)


def test_jargon_is_found():
    assert JARGON.search("Input should be a valid string [type=string_type]")
    assert JARGON.search("see https://errors.pydantic.dev")
