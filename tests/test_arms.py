"""The table of arms: every word in it is one that something else knows."""

import re
from pathlib import Path

import pytest

from lottery_ticket.analysis import ARM_ORDER
from lottery_ticket.arms import ARMS, Arm
from lottery_ticket.chain import At, Chain
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.plots import ARM_STYLE
from lottery_ticket.pruning import PIPELINES

EXPERIMENTS = Path(__file__).parent.parent / "docs" / "experiments.md"


def test_every_row_can_be_planned():
    for arm in ARMS.values():
        assert arm.pipeline is None or arm.pipeline in PIPELINES
        assert arm.criterion is None or arm.criterion in CRITERIA


class Told(Chain[str, str]):
    """A chain whose steps are words."""

    def __init__(self, **how):
        super().__init__(0, PIPELINES["rewind"], rewind_step=10, **how)

    def trained(self, at, start):
        mask = "dense" if start.mask is None else start.mask
        drawn = "θ0" if self.weights_seed(at) == self.init else "fresh"
        weights = start.weights or drawn
        changed = "" if start.change is None else f" {start.change.how}"
        return f"{weights}{changed} under {mask} from {start.step}"

    def rewind_point(self):
        return "θ_k"

    def length(self, at):
        return 100

    def pruned(self, at, trained, mask, *, is_inverted=False):
        end = "worst" if is_inverted else "best"
        scored = "θ0" if trained is None else f"({self.training(trained)})"
        return f"{end} {at.level} of {mask or 'all'} by {scored}"

    def shuffled(self, at, mask, seed):
        return f"shuffled {mask}"

    def drawn(self, at, seed):
        return f"random {at.level}"

    def remade(self, at, mask, seed):
        return f"remade {mask}"

    def partner(self):
        return Told()

    def aligned(self, at, other):
        return f"aligned {other.mask(at._replace(arm='ticket'))}"

    def moved(self, at):
        return f"moved {self.training(at)}"


def test_a_chain_tells_the_story():
    chain = Told()
    dense, first = "θ0 under dense from 0", "best 1 of all by (θ0 under dense from 0)"
    assert chain.training(At()) == dense
    assert chain.mask(At(level=1)) == first
    assert chain.training(At(level=1)) == f"θ_k under {first} from 10"
    assert chain.mask(At(level=2)) == f"best 2 of {first} by (θ_k under {first} from 10)"
    assert chain.training(At("reinit", 1)) == f"fresh under {first} from 0"
    assert chain.training(At("finetune", 1)) == f"{dense} under {first} from 100"
    once = Told(is_once=True)
    assert once.mask(At(level=2)) == f"best 2 of all by ({dense})"


def test_a_chain_knows_every_word(forgotten):
    """Every row of the table is carried out; a word that none has is refused."""
    chain = Told(source=Told())
    for name in ARMS:
        assert chain.training(At(name, 2))
    ARMS.add("odd", Arm(mask="odd"), is_user=True)
    with pytest.raises(ValueError, match="odd"):
        chain.mask(At("odd", 1))


def test_every_arm_is_listed_drawn_and_documented():
    assert tuple(ARMS) == ARM_ORDER
    assert set(ARMS) == set(ARM_STYLE)
    text = EXPERIMENTS.read_text(encoding="utf-8")
    section = text.split("## Arms")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(ARMS)
