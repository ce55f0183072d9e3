"""Any two arms against each other, on tables whose answer is plain."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tables import table_of

from lottery_ticket.analysis import as_table, between
from lottery_ticket.errors import UsageError

JITTER = np.array([0.0006, -0.0004, 0.0002, -0.0007, 0.0003])


def values(mean, shift=0):
    return list(mean + np.roll(JITTER, shift))


ARMS = {
    "ticket": {0: values(0.98), 1: values(0.98, 1), 2: values(0.982, 2), 3: values(0.97, 3)},
    "reinit": {0: values(0.98, 2), 1: values(0.98, 3), 2: values(0.981, 4), 3: values(0.98)},
    "finetune": {2: values(0.95, 1)},
}


def labels(found):
    return {row["level"]: row for row in found.table.to_dict("records")}


def test_better_worse_and_equal():
    found = between(table_of(ARMS), "ticket", "reinit")
    rows = labels(found)
    assert list(rows) == [1, 2, 3]
    assert (found.arms, found.margin_stated, found.run) == (("ticket", "reinit"), 0.2, "r")
    flags = ("is_better", "is_worse", "is_equivalent", "is_claimed")
    assert [rows[1][name] for name in flags] == [False, False, True, False]
    assert [rows[2][name] for name in flags] == [True, False, True, True]
    assert [rows[3][name] for name in flags] == [False, True, False, True]
    assert [rows[level]["difference"] for level in rows] == pytest.approx([0, 0.001, -0.01])
    lines = [line.split("  ")[-1].strip() for line in str(found).splitlines()[3:6]]
    assert lines == ["equal", "better *, within the margin", "worse *"]
    assert str(found).startswith("r: ticket minus reinit, in points; 5 replicates, margin 0.2")


def test_one_level_is_welchs_test():
    found = between(table_of(ARMS), "ticket", "finetune", margin=5)
    (row,) = found.table.to_dict("records")
    theirs = stats.ttest_ind(ARMS["ticket"][2], ARMS["finetune"][2], equal_var=False)
    assert row["p_better"] == pytest.approx(theirs.pvalue / 2, rel=1)  # the ticket's is pooled
    assert row["low"] < row["difference"] < row["high"]
    assert row["is_equivalent"]
    assert not between(table_of(ARMS), "ticket", "finetune", margin=3).table["is_equivalent"][0]


def test_dense_is_both_nets():
    found = between(table_of(ARMS), "reinit", "dense")
    assert labels(found)[2]["difference"] == pytest.approx(0.001)
    other = between(table_of(ARMS), "dense", "reinit")
    for one, two in zip(
        found.table.to_dict("records"), other.table.to_dict("records"), strict=True
    ):
        assert one["difference"] == -two["difference"]
        assert (one["low"], one["high"]) == pytest.approx((-two["high"], -two["low"]))
        assert one["p_better"] == pytest.approx(two["p_worse"])


@given(st.permutations(["ticket", "reinit"]))
def test_the_other_way_round_it_says_the_opposite(arms):
    one, two = (between(table_of(ARMS), *pair) for pair in (arms, arms[::-1]))
    assert list(one.table["is_better"]) == list(two.table["is_worse"])
    assert list(one.table["is_equivalent"]) == list(two.table["is_equivalent"])
    assert one.table["difference"].to_numpy() == pytest.approx(-two.table["difference"].to_numpy())


def test_a_loss_is_better_when_it_is_lower():
    loss = {
        arm: {k: [1 - v for v in own] for k, own in levels.items()} for arm, levels in ARMS.items()
    }
    found = between(table_of(loss, column="test_loss"), "ticket", "reinit", margin=10)
    rows = labels(found)
    assert rows[2]["is_better"]
    assert rows[3]["is_worse"]
    assert rows[2]["difference"] == pytest.approx(-0.001)


def test_one_replicate_gives_numbers_alone():
    one = {arm: {k: v[:1] for k, v in own.items()} for arm, own in ARMS.items()}
    found = between(table_of(one), "ticket", "reinit")
    assert not found.table[["is_better", "is_worse", "is_equivalent", "is_claimed"]].any().any()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["table"][0]["p_better"] is None
    assert "1 replicate, margin" in str(found)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (("ticket", "rienit"), "unknown arm 'rienit'.*'reinit'"),
        (("ticket", "ticket"), "got 'ticket' twice"),
        (("finetune", "dense"), None),
    ],
)
def test_what_cannot_be_compared(arms, message):
    if message is None:
        assert list(between(table_of(ARMS), *arms).table["level"]) == [2]
        return
    with pytest.raises(UsageError, match=message):
        between(table_of(ARMS), *arms)


def test_arms_without_a_common_level():
    apart = {"ticket": {0: values(0.9), 1: values(0.9)}, "reinit": {2: values(0.9)}}
    with pytest.raises(UsageError, match="no level in common"):
        between(table_of(apart), "ticket", "reinit")
    with pytest.raises(UsageError):
        between(as_table([]), "ticket", "reinit")
