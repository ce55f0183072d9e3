"""The table of arms: every word in it is one that something else knows."""

import re
from pathlib import Path

from lottery_ticket.analysis import ARM_ORDER
from lottery_ticket.arms import ARMS
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.experiment.planning.arms import MASKS, WEIGHTS
from lottery_ticket.plots import ARM_STYLE
from lottery_ticket.pruning import PIPELINES

EXPERIMENTS = Path(__file__).parent.parent / "docs" / "experiments.md"


def test_every_row_can_be_planned():
    for arm in ARMS.values():
        assert arm.mask in MASKS
        assert arm.weights in WEIGHTS
        assert arm.pipeline is None or arm.pipeline in PIPELINES
        assert arm.criterion is None or arm.criterion in CRITERIA
    assert {arm.mask for arm in ARMS.values()} == set(MASKS)
    assert {arm.weights for arm in ARMS.values()} == set(WEIGHTS)


def test_every_arm_is_listed_drawn_and_documented():
    assert tuple(ARMS) == ARM_ORDER
    assert set(ARMS) == set(ARM_STYLE)
    text = EXPERIMENTS.read_text(encoding="utf-8")
    section = text.split("## Arms")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(ARMS)
