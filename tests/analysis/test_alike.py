"""Differences between trainings that were not executed alike are flagged."""

import pytest
from tables import table_of

from lottery_ticket.analysis import Unlike, unlike_trainings, verdict

ARMS = {
    arm: {level: [0.98 + 0.001 * (level + n) for n in range(3)] for level in range(3)}
    for arm in ("ticket", "reinit")
}


def executed(**columns):
    """A run whose trainings were executed as the columns say."""
    return table_of(ARMS, **columns)


def test_trainings_that_were_executed_alike_are_no_finding():
    assert unlike_trainings(table_of(ARMS)) is None
    same = executed(device="cpu", cpu="AVX2", versions="torch 2.8.0", precision="fp32", threads=1)
    assert unlike_trainings(same) is None
    assert verdict(same).unlike is None
    # threads only round otherwise
    same.loc[0, "threads"] = 2
    assert unlike_trainings(same) is None


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("device", "cpu", "cuda"),
        ("cpu", "AVX2", "AVX512"),
        ("precision", "fp32", "bf16"),
        ("versions", "numpy 2.4.6, torch 2.6.0", "numpy 2.4.6, torch 2.13.0"),
    ],
)
def test_an_arm_that_was_trained_elsewhere_is_flagged(column, one, other):
    table = executed(**{column: one})
    table.loc[(table["arm"] == "reinit") & (table["level"] == 2), column] = other
    found = unlike_trainings(table)
    assert found == Unlike({column: {one: 15, other: 3}}, 4, 1)
    said = " ".join(str(verdict(table)).split())
    assert f"Trained in unlike ways (trainings): {column}" in said
    assert f"{one} (15)" in said
    assert "the two sides of 1 of 4 differences were not trained alike" in said


def test_dense_nets_count_for_every_level():
    table = executed(device="cpu")
    table.loc[(table["arm"] == "reinit") & (table["level"] == 0), "device"] = "cuda"
    assert unlike_trainings(table) == Unlike({"device": {"cpu": 15, "cuda": 3}}, 4, 2)


def test_replicates_on_several_machines_are_alike_within():
    table = executed(device="cpu")
    table.loc[table["replicate"] == 1, "device"] = "cuda"
    assert unlike_trainings(table) == Unlike({"device": {"cpu": 12, "cuda": 6}}, 4, 0)
    assert "both sides of every difference were trained alike" in str(verdict(table)).replace(
        "\n  ", " "
    )


def test_one_replicate_is_enough_to_mix():
    table = executed(device="cpu")
    is_one = (table["arm"] == "ticket") & (table["level"] == 1) & (table["replicate"] == 1)
    table.loc[is_one, "device"] = None  # not known is not the same
    assert unlike_trainings(table) is None
    table.loc[is_one, "device"] = "mps"
    assert unlike_trainings(table) == Unlike({"device": {"cpu": 17, "mps": 1}}, 4, 2)
