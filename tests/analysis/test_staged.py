"""Runs that are looked at until they are decided: false claims, and which look says what."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from simulated import LEVELS, SINGLE, TWO_NULLS, WINNING, simulated
from staged_runs import Rule, staged
from tables import table_of

from lottery_ticket.analysis import DECIDED, glance, staged_verdict, taken_looks, verdict
from lottery_ticket.errors import UsageError
from lottery_ticket.spec import UntilDecidedSpec
from lottery_ticket.store import Looks

NUM_RUNS = 2000
RULE = UntilDecidedSpec.model_validate({})
CHOSEN = Rule(RULE.looks, RULE.alphas)
WORST = {
    **TWO_NULLS,
    **{name: truth for name, truth in SINGLE.items() if f"but level {LEVELS} " in name},
}


def check_false_claims(rule: Rule) -> None:
    """At no look more than 5 % of runs claim a level that is none: a bound of 2,000 runs."""
    for truth in WORST.values():
        claims = staged(simulated(rule.looks[-1], truth, num_runs=NUM_RUNS), rule).at_any
        rate = (claims & truth.is_false).any(axis=1).mean()
        assert rate <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / NUM_RUNS)


def test_false_claims_over_all_looks_are_five_percent_at_most():
    check_false_claims(CHOSEN)


@pytest.mark.parametrize("alpha", [0.05, 0.03])
def test_five_percent_at_each_look_is_caught(alpha):
    with pytest.raises(AssertionError):
        check_false_claims(Rule(CHOSEN.looks, (alpha,) * len(CHOSEN.looks)))


def test_what_is_there_is_found_with_fewer_replicates():
    ends = staged(simulated(30, WINNING, num_runs=500), CHOSEN)
    assert ends.claims.any(axis=1).mean() > 0.99
    assert ends.replicates.mean() < 12


# which look says what

SPREAD = 0.02
LOOKS = Looks("mine-staged-00000000", (3, 6), (0.01, 0.04))


def tables(gain: float, n: int) -> pd.DataFrame:
    """A run of two levels below dense whose ticket gains so much over reinit."""
    rng = np.random.default_rng(0)
    spread = SPREAD if gain < 0.01 else SPREAD / 10
    values = 0.9 + spread * rng.standard_normal((2, 3, n))
    values[1, 1:] -= gain
    arms = dict(zip(("ticket", "reinit"), values, strict=True))
    return table_of({arm: dict(enumerate(own.tolist())) for arm, own in arms.items()})


def judged(gain: float, n: int, looks: Looks = LOOKS):
    return staged_verdict(tables(gain, n), looks, n, margin=1.0)


def test_the_first_look_that_decides_is_the_verdict_whatever_comes_after():
    found = judged(gain=0.3, n=8)
    assert (found.label, found.look.number, found.num_replicates) == ("winning", 1, 3)
    assert found.alpha == 0.01
    assert "Look 1 of 2: α = 0.01, 0.01 of 0.05 spent" in found.sentence
    assert "8 replicates are finished, and those after 3 are not looked at" in found.sentence
    assert "at 1 % in all" in found.sentence
    assert "its one-sided 99 % bound" in str(found)


def check_is_that_of_the_table(judge) -> None:
    """The levels are those of the replicates of the look, at what it may spend."""
    for gain, n, number in ((0.0005, 3, 1), (0.0005, 5, 1), (0.0005, 6, 2), (0.0005, 9, 2)):
        found = judge(gain, n)
        seen = LOOKS.replicates[number - 1]
        look = list(taken_looks(LOOKS, n))[-1]
        table = tables(gain, n)
        alone = verdict(table.loc[table["replicate"] < seen], margin=1.0, look=look)
        assert (found.look.number, found.num_replicates) == (number, seen)
        assert found.levels == alone.levels
        assert found.contrasts.equals(alone.contrasts)


def test_between_looks_and_after_the_last_nothing_more_is_looked_at():
    check_is_that_of_the_table(judged)


def looks_at_all_of_them(gain, n):
    return verdict(tables(gain, n), margin=1.0, look=list(taken_looks(LOOKS, n))[-1])


def gives_each_look_everything(gain, n):
    return judged(gain, n, dataclasses.replace(LOOKS, alphas=(0.05, 0.05)))


@pytest.mark.parametrize("mutant", [looks_at_all_of_them, gives_each_look_everything])
def test_other_verdicts_of_looks_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_is_that_of_the_table(mutant)


def test_what_is_open_says_when_it_is_looked_at_again():
    first, last = judged(0.0005, 3), judged(0.0005, 9)
    assert first.label == last.label == "not decided"
    assert first.label not in DECIDED
    assert first.replicates_needed is None
    assert "the next look is at 6 (lottery run mine-staged-00000000)" in first.sentence
    assert "it was the last: nothing is left to spend" in last.sentence
    assert "0.05 of 0.05 spent" in last.sentence


def test_before_the_first_look_there_is_no_verdict():
    with pytest.raises(UsageError, match="the first of mine-staged-00000000 is at 3 replicates"):
        judged(0.3, 2)


def test_the_quick_verdict_is_the_same():
    for gain, n in ((0.3, 8), (0.0005, 3), (0.0005, 6), (0.3, 3)):
        table = tables(gain, n)
        found = glance(table.to_dict("records"), margin=1.0, looks=LOOKS, num_complete=n)
        long = judged(gain, n)
        assert (found.verdict, found.dense) == (long.label, pytest.approx(long.dense))
    early = glance(tables(0.3, 2).to_dict("records"), margin=1.0, looks=LOOKS, num_complete=2)
    assert early.verdict is None
    assert early.dense is not None


def test_it_is_all_in_the_plain_values():
    values = json.loads(json.dumps(judged(0.3, 3).to_dict()))
    assert values["alpha"] == 0.01
    assert values["look"] == {
        "run": "mine-staged-00000000", "number": 1, "num_looks": 2, "num_replicates": 3,
        "alpha": 0.01, "spent": 0.01, "total": 0.05, "next_replicates": 6, "num_complete": 3,
    }  # fmt: skip
    assert verdict(tables(0.3, 3), margin=1.0).to_dict()["look"] is None
