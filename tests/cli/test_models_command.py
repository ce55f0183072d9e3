"""`lottery models`: every form with its counts."""

import json
import re

import pytest

from lottery_ticket.models import FORMS, MODELS

MODULE = """
from torch import nn
from lottery_ticket import register_model

@register_model("my-net")
def my_net(width: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))

@register_model("my-open-net")
def my_open_net(input_size: int, num_classes: int) -> nn.Module:
    return nn.Linear(input_size, num_classes)

@register_model("any-net")
def any_net(*sizes: int, **options: int) -> nn.Module:
    return nn.Conv2d(1, 2, 3)
"""


@pytest.fixture(autouse=True)
def _no_models_of_users(forgotten):
    """Nothing that other tests registered, and nothing that these leave behind."""
    for name in MODELS.user_entries():
        MODELS.remove(name)


@pytest.fixture
def models(lottery, tmp_path):
    """The command, with models of a user."""
    (tmp_path / "my_models.py").write_text(MODULE)
    return lambda *options: lottery("models", "--import", "my_models.py", *options)


def test_table(models):
    said = models()
    assert (said.code, said.err) == (0, "")
    header, *lines = said.out.splitlines()
    assert header.split() == ["model", "options", "source", "input", "parameters", "prunable"]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert len(rows) == len(FORMS) + 3
    assert ["Conv4", "form=compact", "after Frankle & Carbin 2019", "3×32×32", "342,090",
            "341,696"] in rows  # fmt: skip
    assert ["Conv4", "form=paper", "Frankle & Carbin 2019", "3×32×32", "2,425,930",
            "2,425,024"] in rows  # fmt: skip
    assert ["VGG16", "form=imagenet, batch_norm=true", "after Simonyan & Zisserman 2015",
            "3×224×224", "138,365,992", "138,344,128"] in rows  # fmt: skip
    assert ["MLP", "input_size=784, num_classes=10", "–", "784", "89,610", "89,400"] in rows
    assert lines[-2].split() == ["my-open-net", "your", "own", "–", "–", "–"]


def test_json(models):
    rows = json.loads(models("--json").out)
    rows, users = rows[: len(FORMS)], rows[len(FORMS) :]
    assert [row["model"] for row in rows] == [form.name for form in FORMS]
    assert {name for row in rows for name in row} == {
        "model", "options", "input_shape", "num_parameters", "num_prunable", "source"
    }  # fmt: skip
    (row,) = (row for row in rows if row["options"] == {"shortcut": "A"} and "110" in row["model"])
    assert row == {
        "model": "ResNet110",
        "options": {"shortcut": "A"},
        "input_shape": [3, 32, 32],
        "num_parameters": 1_727_962,
        "num_prunable": 1_719_856,
        "source": "He et al. 2016a",
    }
    assert all(row["source"] for row in rows if row["model"] != "MLP")
    mine = {row["model"]: row for row in users}
    assert list(mine) == ["my-net", "my-open-net", "any-net"]
    assert (mine["my-net"]["num_parameters"], mine["my-net"]["num_prunable"]) == (42, 24)
    assert mine["my-open-net"]["num_parameters"] is None
    assert mine["any-net"]["num_prunable"] == 18


def test_a_users_model_that_cannot_be_built(lottery, tmp_path):
    broken = MODULE.replace("nn.Conv2d(1, 2, 3)", "1 / 0").replace("any-net", "broken-net")
    (tmp_path / "my_broken_models.py").write_text(broken)
    said = lottery("models", "--import", "my_broken_models.py")
    assert (said.code, said.out) == (2, "")
    assert "error: model 'broken-net' cannot be built: division by zero" in said.err
