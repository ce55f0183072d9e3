"""Verdicts of small tables whose answer is plain."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated import MARGIN, Truth, simulated
from tables import table_of

from lottery_ticket.analysis import (
    LOSS,
    Claim,
    Judgement,
    as_table,
    claimed_levels,
    contrast_of,
    dense_contrast_of,
    level_labels,
    spread_of,
    verdict,
)
from lottery_ticket.errors import UsageError

JITTER = np.array([0.0006, -0.0004, 0.0002, -0.0007, 0.0003])


def values(mean, shift=0):
    """Five replicates around a mean; each shift is another order of the same noise."""
    return list(mean + np.roll(JITTER, shift))


# dense 0.98; level 1 equals reinit, 2 and 3 beat it, 4 falls below dense, reinit further
WINS = {
    "ticket": {
        0: values(0.98), 1: values(0.98, 1), 2: values(0.9805, 2), 3: values(0.98, 3),
        4: values(0.97, 4),
    },
    "reinit": {
        0: values(0.98, 2), 1: values(0.98, 3), 2: values(0.975, 4), 3: values(0.97),
        4: values(0.95, 1),
    },
}  # fmt: skip
MATCHING = "matching but not better than reinit"


def each(arms, change):
    return {
        arm: {level: [change(value) for value in own] for level, own in levels.items()}
        for arm, levels in arms.items()
    }


def without(arms, *missing):
    return {arm: levels for arm, levels in arms.items() if arm not in missing}


def test_a_winning_ticket():
    found = verdict(table_of(WINS))
    labels = {level.level: level.label for level in found.levels}
    assert labels == {1: MATCHING, 2: "winning", 3: "winning", 4: "not a ticket"}
    assert [level.level for level in found.levels if level.is_claimed] == [2, 3]
    assert (found.label, found.level, found.matching_level) == ("winning", 3, 3)
    assert (found.num_replicates, found.replicates_needed) == (5, None)
    assert (found.margin, found.margin_stated, found.num_test) == (0.002, 0.2, 10_000)
    assert [level.num_kept for level in found.levels] == [512, 256, 128, 64]
    assert found.sentence == (
        "Winning ticket at 12.50 % of the weights (level 3, 128): 0.00 points against dense "
        "(at worst −0.05), +1.00 points against reinit (at worst +0.94). 5 replicates, margin "
        "0.2 points; the claim is tested over all levels, at 5 % in all."
    )


def test_contrasts_hold_both_intervals_and_the_raw_p():
    found = verdict(table_of(WINS))
    row = found.contrast(3, "reinit")
    ticket, reinit = (
        np.array([WINS[arm][level] for level in range(5)]).T for arm in ("ticket", "reinit")
    )
    theirs = stats.ttest_ind(ticket[:, 3], reinit[:, 3], equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert row["difference"] == pytest.approx(0.01)
    own = math.sqrt(ticket[:, 3].var(ddof=1) + reinit[:, 3].var(ddof=1))
    assert (row["n"], row["sd"]) == (5, pytest.approx(own))
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    pooled = sum(spread_of(arm).variance[3] for arm in (ticket, reinit))
    assert row["pooled_sd"] == pytest.approx(math.sqrt(pooled))
    error = math.sqrt(pooled / 5)
    assert row["p"] == pytest.approx(stats.t.sf(0.01 / error, row["df"]))
    half = stats.t.isf(0.025, row["df"]) * error
    assert (row["pooled_low"], row["pooled_high"]) == pytest.approx((0.01 - half, 0.01 + half))
    bound = stats.t.isf(0.05, row["df"]) * error
    assert (row["lower_bound"], row["upper_bound"]) == pytest.approx((0.01 - bound, 0.01 + bound))
    dense = found.contrast(4, "dense")
    both = np.mean([WINS["ticket"][0], WINS["reinit"][0]])
    assert dense["difference"] == pytest.approx(np.mean(WINS["ticket"][4]) - both)
    errors = (dense["difference"] + 0.002) / (dense["pooled_sd"] / math.sqrt(5))
    assert dense["p"] == pytest.approx(stats.t.sf(errors, dense["df"]))
    assert found.contrast(9, "reinit") == {}


def test_a_verdict_is_that_of_its_parts():
    """A table in, the same labels and claims out as from the bare values."""
    truth = Truth.of(gains=np.linspace(0, 0.8, 20), loses=-0.03)
    for seed in range(5):
        runs = simulated(5, truth, num_runs=1, seed=seed)
        dense, ticket, reinit = (0.98 + v[0] / 100 for v in (runs.dense, runs.ticket, runs.reinit))
        arms = {
            arm: {0: list(dense[:, i])} | {level + 1: list(values[:, level]) for level in range(20)}
            for i, (arm, values) in enumerate({"ticket": ticket, "reinit": reinit}.items())
        }
        found = verdict(table_of(arms, num_test=None))
        contrasts = (
            dense_contrast_of(ticket, dense),
            contrast_of(*(np.c_[dense[:, i], v] for i, v in enumerate((ticket, reinit))))[1:],
        )
        labels = level_labels(Judgement.of(*contrasts, MARGIN / 100))
        assert [level.label for level in found.levels] == list(labels)
        claimed = claimed_levels(contrasts[0].p_above(-MARGIN / 100), contrasts[1].p_above())
        assert [level.is_claimed for level in found.levels] == list(claimed)


def test_matching_but_not_better():
    same = {**WINS, "reinit": {level: values(0.98, 4 - level) for level in range(4)}}
    same["ticket"] = {level: WINS["ticket"][level] for level in range(4)}
    found = verdict(table_of(same))
    assert {level.label for level in found.levels} == {MATCHING}
    assert (found.label, found.level, found.matching_level) == (MATCHING, None, 3)
    assert "down to 12.50 % of the weights (level 3, 128) it matches dense, but is" in str(
        found.sentence
    )


def test_not_a_ticket():
    fallen = {"ticket": {0: values(0.98), 1: values(0.97, 1), 2: values(0.96, 2)}}
    fallen["reinit"] = {1: values(0.95, 3), 2: values(0.95, 4)}
    found = verdict(table_of(fallen))
    assert (found.label, found.level, found.matching_level) == ("not a ticket", None, None)
    assert found.sentence == (
        "Not a ticket: at every level it is worse than dense by more than 0.2 points. 5 replicates."
    )
    assert found.cost is not None
    assert found.cost.level == 2


def test_not_decided_says_how_many_would_decide():
    wide = {
        "ticket": {0: list(0.98 + 4 * JITTER), 1: list(0.98 + 4 * np.roll(JITTER, 2))},
        "reinit": {1: list(0.976 + 4 * np.roll(JITTER, 1))},
    }
    found = verdict(table_of(wide))
    (level,) = found.levels
    assert (level.label, found.label) == ("not decided", "not decided")
    assert level.replicates_needed == found.replicates_needed
    assert found.replicates_needed is not None
    assert found.replicates_needed > 5
    n = found.replicates_needed
    said = f" About {n} would decide level 1, at this spread (--set replicates={n})."
    assert found.sentence.endswith(said)
    assert "four times in five, if the difference stays as measured" in " ".join(str(found).split())


def test_which_open_levels_would_be_decided_is_counted():
    """The number is the middle of what the levels need: it decides no more than those it covers."""
    noise = {level: (3 + 2 * level) * np.roll(JITTER, level) for level in range(4)}
    wide = {
        "ticket": {level: list(0.98 + noise[level]) for level in range(4)},
        "reinit": {level: list(0.976 + np.roll(noise[level], 2)) for level in (1, 2, 3)},
    }
    found = verdict(table_of(wide))
    n = found.replicates_needed
    assert n is not None
    needs = [level.replicates_needed for level in found.levels if level.label == "not decided"]
    covered = sum(need is not None and need <= n for need in needs)
    assert 0 < covered < len(needs)
    assert f"About {n} would decide {covered} of the {len(needs)} open levels" in found.sentence


def test_a_level_on_the_margin_asks_for_more_than_it_has():
    on_margin = {
        "ticket": {0: values(0.98), 1: [v - 0.0019 for v in values(0.98, 2)]},
        "reinit": {1: values(0.9)},
    }
    (level,) = verdict(table_of(on_margin)).levels
    assert level.label == "not decided"
    assert level.replicates_needed is None or level.replicates_needed > 5


def test_one_replicate_gives_numbers_and_no_verdict():
    one = {arm: {k: v[:1] for k, v in levels.items()} for arm, levels in WINS.items()}
    found = verdict(table_of(one))
    assert found.label == "no verdict"
    assert {level.label for level in found.levels} == {"no verdict"}
    assert found.contrast(3, "reinit")["difference"] == pytest.approx(0.0084 + 0.0004, abs=0.002)
    assert math.isnan(found.contrast(3, "reinit")["p"])
    assert "No verdict from one replicate" in str(found)
    assert found.findings == ()


def test_replicates_that_agree_to_the_last_digit_are_no_spread():
    # equal but for their last bits
    third = [0.3 * 3, 0.1 * 9, 0.9]
    same = {"ticket": {0: third, 1: third}, "reinit": {1: [0.8] * 3}}
    found = verdict(table_of(same))
    assert found.label == "no verdict"
    assert "all 3 replicates agree to the last digit" in found.sentence


def test_draws_are_not_replicates():
    """Three draws of one control in each of two replicates are two."""
    rows = table_of({"ticket": {0: [0.98, 0.981], 1: [0.9805, 0.9802]}}).to_dict("records")
    for replicate, draws in enumerate([[0.95, 0.96, 0.97], [0.955, 0.962, 0.968]]):
        for draw, value in enumerate(draws):
            own = {"arm": "reinit", "level": 1, "replicate": replicate, "draw": draw}
            rows.append({**rows[-1], **own, "test_accuracy": value})
    found = verdict(as_table(rows)).contrast(1, "reinit")
    assert found["n"] == 2
    assert found["difference"] == pytest.approx((0.9805 - 0.96 + 0.9802 - 0.961667) / 2, abs=1e-6)


def losses(arms, scale=0.05):
    """The same runs as losses: what was better is lower, in another unit."""
    return each(arms, lambda value: scale * (1 - 50 * (value - 0.98)))


def test_a_loss_is_judged_the_other_way_round():
    accuracy, loss = (
        verdict(table_of(WINS)),
        verdict(table_of(losses(WINS), column="test_loss"), margin=10),
    )
    assert loss.metric == LOSS
    assert [level.label for level in loss.levels] == [level.label for level in accuracy.levels]
    assert loss.margin == pytest.approx(0.1 * 0.05)
    row, other = loss.contrast(3, "reinit"), accuracy.contrast(3, "reinit")
    assert row["difference"] == pytest.approx(-2.5 * other["difference"])
    assert row["upper_bound"] == pytest.approx(-2.5 * other["lower_bound"])
    assert row["pooled_low"] < row["difference"] < row["pooled_high"]
    assert row["p"] == pytest.approx(other["p"])
    assert "−0.02500 against reinit (at worst −0.02" in loss.sentence
    assert "margin 10 % of the dense loss" in loss.sentence


def test_a_loss_judged_like_an_accuracy_is_caught():
    gains = each(losses(WINS), lambda value: 0.1 - value)  # what was lower is higher
    assert verdict(table_of(gains, column="test_loss"), margin=10).label != "winning"


def test_without_reinit_nothing_is_winning():
    found = verdict(table_of(without(WINS, "reinit")))
    assert (found.label, found.level, found.matching_level) == ("not decided", None, 3)
    assert "no reinit was trained. It matches dense down to 12.50 %" in found.sentence
    assert "--set 'arms=[ticket, reinit]'" in found.sentence
    assert "reinit" not in str(found).splitlines()[5]


def test_a_control_at_one_level_alone_decides_that_level():
    """The finder trains controls at the ticket's level only."""
    one = {"ticket": WINS["ticket"], "reinit": {3: WINS["reinit"][3]}}
    found = verdict(table_of(one))
    assert (found.label, found.level) == ("winning", 3)
    assert [level.level for level in found.levels if level.is_claimed] == [3]


def claims(**how):
    """Whether a run with one level named claims it: level 2, which Holm's procedure misses."""
    arms = {**WINS, "reinit": {**WINS["reinit"], **{n: WINS["ticket"][n] for n in (1, 3, 4)}}}
    arms["reinit"][2] = [value - 0.0006 for value in WINS["ticket"][2]]
    return verdict(table_of(arms), **how)


def test_a_level_that_was_claimed_before_is_tested_alone():
    assert claims().label == "not decided"
    found = claims(claim=Claim(2))
    assert (found.label, found.level, found.claim) == ("winning", 2, Claim(2))
    assert [level.level for level in found.levels if level.is_claimed] == [2]
    assert found.sentence.startswith("Winning ticket at 25.00 % of the weights (level 2, 256), cl")
    assert "this level alone is tested, at 5 %." in found.sentence
    assert "* claimed before the first training; the others" in str(found)
    # the run is about that level, whatever the others show
    missed = verdict(table_of(WINS), claim=Claim(4))
    assert (missed.label, missed.level) == ("not a ticket", None)
    assert not any(level.is_claimed for level in missed.levels)
    assert missed.sentence == (
        "Not a ticket at 6.25 % of the weights (level 4, 64), claimed before the first training: "
        "it is worse than dense by more than 0.2 points. 5 replicates."
    )
    assert verdict(table_of(WINS), claim=Claim(1)).label == MATCHING
    early = verdict(table_of(WINS), claim=Claim(9))
    assert early.sentence == (
        "No verdict yet: level 9, claimed before the first training, is not finished."
    )


def test_what_is_told_is_told_of_the_claimed_level():
    found = verdict(table_of(WINS, train_seconds=2.0), claim=Claim(4))
    assert (found.shown.level, found.cost.level) == (4, 4)
    assert verdict(table_of(WINS)).shown.level == 3
    assert "find the mask of 6.25 %" in " ".join(str(found).split())


def test_a_claimed_level_that_is_not_finished_is_said():
    table = table_of(WINS)
    is_two = table["level"] == 2
    early = verdict(table[~(is_two & (table["replicate"] > 0))], claim=Claim(2))
    assert early.sentence == (
        "No verdict yet: level 2, claimed before the first training, has 1 finished replicate "
        "beside dense."
    )
    no_reinit = verdict(table[~(is_two & (table["arm"] == "reinit"))], claim=Claim(2))
    assert no_reinit.sentence.endswith("has 0 finished replicates beside reinit.")
    one = verdict(table[table["replicate"] == 0], claim=Claim(2))
    assert one.sentence.startswith("No verdict from one replicate")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"named": 2}, "Level 2, named afterwards: winning by itself, at 5 % ("),
        ({"claim": Claim(2, 40)}, "Level 2, claimed when 40 trainings were finished: winning by"),
        ({"claim": Claim(2, is_margin_same=False)}, "Level 2, claimed with another margin: winnin"),
        ({"claim": Claim(9, 40)}, "Level 9, claimed when 40 trainings were finished, is not"),
    ],
)
def test_a_level_that_is_named_afterwards_is_no_claim(how, said):
    found = claims(**how)
    assert (found.label, found.level) == ("not decided", None)
    assert not any(level.is_claimed for level in found.levels)
    text = " ".join(str(found).split())
    assert said in text
    assert "this is no claim of the run" in text or "is not finished" in text
    # beside one that was claimed before
    both = claims(claim=Claim(3), named=2)
    assert both.claim == Claim(3)
    assert both.label == MATCHING
    assert "Level 2, named afterwards" in str(both)
    assert "named" not in str(claims(claim=Claim(2), named=2))


def test_a_level_that_is_not_there_cannot_be_named():
    with pytest.raises(UsageError, match="level: got 5, wanted one that is trained: 1, 2, 3, 4"):
        verdict(table_of(WINS), named=5)


def test_better_than_dense_is_said():
    better = {**WINS, "ticket": {**WINS["ticket"], 2: values(0.984, 2)}}
    found = verdict(table_of(better))
    assert [level.level for level in found.levels if level.beats_dense] == [2]
    assert "Better than dense, each level by itself: level 2." in str(found)


FINDINGS = {
    **WINS,
    "reinit_scaled": {level: values(0.95, level) for level in range(1, 5)},
    "values_permuted": {level: WINS["ticket"][level] for level in range(5)},
    "shuffled": {level: values(0.9, level + 1) for level in range(5)},
    "oneshot": {level: WINS["ticket"][level] for level in range(5)},
}


def test_findings_name_what_matters():
    found = verdict(table_of(FINDINGS))
    assert [(f.what, f.control, f.levels) for f in found.findings] == [
        ("initial values", "reinit", (2, 3, 4)),
        ("more than the scale of initial values", "reinit_scaled", (1, 2, 3, 4)),
        ("which weight has which value", "values_permuted", ()),
        ("mask positions", "shuffled", (1, 2, 3, 4)),
        ("the iterative search", "oneshot", ()),
    ]
    text = " ".join(str(found).split())
    assert "Initial values matter at this recipe: levels 2–4; +1.00 points against reinit" in text
    assert "Mask positions matter at this recipe: levels 1–4; +8.00 points" in text
    assert "The iterative search: not shown to matter at this recipe (against oneshot)." in text
    assert "Not tested: which initial values a mask was found with (borrowed)." in text
    assert (
        "Tested: initial values, against unscaled fresh weights alone (reinit). Not tested: more "
        "than the scale of initial values (reinit_scaled); which weight has which value "
        "(values_permuted); mask positions (shuffled); which initial values a mask was found with "
        "(borrowed); the iterative search (oneshot)."
    ) in " ".join(str(verdict(table_of(WINS))).split())


def test_a_finding_stops_at_the_first_level_that_fails_from_sparse_to_dense():
    arms = {**WINS, "reinit": {**WINS["reinit"], 3: values(0.98, 1)}}
    assert verdict(table_of(arms)).findings[0].levels == (4,)


def test_cost_is_what_was_trained_before():
    table = table_of(WINS, train_seconds=2.0)
    cost = verdict(table).cost
    assert (cost.level, cost.search_steps, cost.ticket_steps, cost.dense_steps) == (
        3,
        300,
        100,
        100,
    )
    assert (cost.search_seconds, cost.ticket_seconds, cost.dense_seconds) == (6.0, 2.0, 2.0)
    assert verdict(table_of(WINS)).cost.search_seconds is None
    gone = table[~((table["arm"] == "ticket") & (table["level"] == 1))]
    assert verdict(gone).cost is None
    # what was trained in between found nothing where each level is pruned from the dense net
    assert verdict(gone, is_once=True).cost.search_steps == 100
    assert verdict(table, is_once=True).cost.search_seconds == 2.0


def test_images_stand_beside_replicates():
    images = pd.DataFrame(
        [{"level": 3, "control": "dense", "image_low": -0.001, "image_high": 0.0012}]
    )
    found = verdict(table_of(WINS), images=images)
    assert found.contrast(3, "dense")["image_high"] == 0.0012
    assert math.isnan(found.contrast(2, "dense")["image_low"])
    assert "these same nets would differ from dense by −0.10 to +0.12 (95 %) at 12.50 %." in (
        " ".join(str(found).split())
    )


def test_the_text_fits_80_columns_and_begins_with_the_verdict():
    for arms in (WINS, FINDINGS, without(WINS, "reinit")):
        for column, table in (("test_accuracy", arms), ("test_loss", losses(arms))):
            found = verdict(table_of(table, column=column), about={"model": "LeNet300"})
            lines = str(found).splitlines()
            assert max(map(len, lines)) <= 80
            assert lines[0] == "r, LeNet300"
            words = found.sentence.split()
            assert " ".join(str(found).split()).startswith(f"r, LeNet300 {' '.join(words)}")
    table = str(verdict(table_of(WINS))).split("\n\n")[1].splitlines()
    assert table[:4] == [
        "level  density  kept  − dense  at worst  − reinit  at worst  verdict",
        "    1  50.00 %   512     0.00     −0.05      0.00     −0.06  matching",
        "    2  25.00 %   256    +0.05      0.00     +0.55     +0.49  winning *",
        "    3  12.50 %   128     0.00     −0.05     +1.00     +0.94  winning *",
    ]


def test_plain_values_are_json():
    found = verdict(table_of(FINDINGS), about={"data": "mnist"})
    text = json.dumps(found.to_dict(), allow_nan=False)
    values = json.loads(text)
    assert values["label"] == "winning"
    assert values["sentence"] == found.sentence
    assert values["levels"][2]["level"] == 3
    assert values["metric"]["column"] == "test_accuracy"
    assert values["findings"][0] == {
        "what": "initial values", "control": "reinit", "levels": [2, 3, 4], "is_shown": True,
    }  # fmt: skip
    assert {row["control"] for row in values["contrasts"]} == {
        "dense", "reinit", "reinit_scaled", "values_permuted", "shuffled", "oneshot",
    }  # fmt: skip
    assert values["about"] == {"data": "mnist"}
    assert (values["cost"]["search_seconds"], values["speed"]) == (None, [])


def test_unfinished_runs_are_judged_as_far_as_they_are():
    part = {arm: {k: v for k, v in own.items() if k < 4} for arm, own in WINS.items()}
    part["reinit"] = {**part["reinit"], 3: [*WINS["reinit"][3][:3], None, None]}
    found = verdict(table_of(part))
    assert found.contrast(3, "reinit")["n"] == 3
    assert (found.label, found.level) == ("winning", 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (table_of({"reinit": {1: [0.9]}}), "no row of arm 'ticket' has a test accuracy"),
        (as_table([]), "no row of arm 'ticket' has a test loss"),
        (table_of({"ticket": {0: [0.9]}}), "only the dense training is finished"),
        (table_of({"ticket": {2: [0.9]}}), r"the dense training \(level 0\) is missing"),
    ],
)
def test_what_cannot_be_judged(table, message):
    with pytest.raises(UsageError, match=message):
        verdict(table)


def test_several_runs_are_refused():
    two = pd.concat([table_of(WINS), table_of(WINS).assign(run="other")])
    with pytest.raises(UsageError, match=r"the table holds 2 runs"):
        verdict(two)


def test_the_two_dense_nets_are_compared():
    found = verdict(table_of(WINS))
    theirs = stats.ttest_ind(WINS["reinit"][0], WINS["ticket"][0], equal_var=False)
    assert found.null is not None
    assert found.null["n"] == 5
    assert found.null["difference"] == pytest.approx(0, abs=1e-12)
    assert found.null["low"] < 0 < found.null["high"]
    assert found.null["p"] == pytest.approx(theirs.pvalue)
    assert "Null check: reinit's dense net minus the ticket's is 0.00 (" in str(found)
    assert "Chance alone" not in str(found)
    apart = {**WINS, "reinit": {**WINS["reinit"], 0: values(0.985, 2)}}
    other = verdict(table_of(apart))
    assert "Null check: reinit's dense net minus the ticket's is +0.50" in str(other)
    assert "Chance alone gives so much" in " ".join(str(other).split())
    assert verdict(table_of(without(WINS, "reinit"))).null is None
    alone = {**WINS, "reinit": {k: v for k, v in WINS["reinit"].items() if k}}
    assert verdict(table_of(alone)).null is None


def test_dense_is_both_nets():
    apart = {**WINS, "reinit": {**WINS["reinit"], 0: values(0.986, 2)}}
    found = verdict(table_of(apart))
    assert found.contrast(3, "dense")["difference"] == pytest.approx(-0.003)
    assert found.at(3).label == "not a ticket"


def test_a_reinit_that_matches_too_is_said():
    close = {"ticket": WINS["ticket"], "reinit": {level: values(0.979) for level in range(5)}}
    found = verdict(table_of(close))
    assert (found.label, found.level) == ("winning", 3)
    assert [level.reinit_matches for level in found.levels] == [True] * 4
    assert "(level 3, 128), by little: reinit matches dense too: " in found.sentence
    assert not verdict(table_of(WINS)).at(3).reinit_matches
