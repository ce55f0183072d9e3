"""Early stopping, as the lottery ticket paper counts it."""

import math

import pytest

from lottery_ticket.analysis import as_table, learning_speed


def row(arm, level, replicate, step, is_still_falling=False, draw=0, **others):
    return {
        "arm": arm, "level": level, "replicate": replicate, "draw": draw,
        "early_stop_step": step, "is_still_falling": is_still_falling,
        "test_accuracy": 0.9, "test_accuracy_at_early_stop": 0.88, **others,
    }  # fmt: skip


def speed_of(*rows):
    frame = learning_speed(as_table(rows))
    return {(found["arm"], found["level"]): found for found in frame.to_dict("records")}


PAPER = (
    row("ticket", 0, 0, 1000), row("ticket", 0, 1, 1200),
    row("ticket", 3, 0, 600), row("ticket", 3, 1, 764),
    row("reinit", 3, 0, 1600), row("reinit", 3, 1, 1824),
)  # fmt: skip


def test_how_many_times_as_long():
    speed = speed_of(*PAPER)
    ticket, reinit = speed["ticket", 3], speed["reinit", 3]
    assert (ticket["step"], ticket["n"], ticket["num_censored"]) == (682, 2, 0)
    assert ticket["sd"] == pytest.approx(164 / math.sqrt(2))
    assert (ticket["times_dense"], ticket["times_dense_bound"]) == (0.62, "")  # 38 % earlier
    assert reinit["times_ticket"] == pytest.approx(1712 / 682)  # 2.51 ×
    assert reinit["times_dense"] == pytest.approx(1712 / 1100)
    assert speed["ticket", 0]["times_dense"] == 1.0
    assert (ticket["accuracy_at_stop"], ticket["accuracy_at_end"]) == (0.88, 0.9)


def test_what_is_censored_is_a_bound():
    falling = [{**one, "is_still_falling": one["arm"] == "reinit"} for one in PAPER]
    speed = speed_of(*falling)
    reinit = speed["reinit", 3]
    assert (reinit["num_censored"], reinit["times_ticket_bound"]) == (2, "at least")
    assert reinit["times_ticket"] == pytest.approx(1712 / 682)
    assert speed["ticket", 3]["times_dense_bound"] == ""

    falling = [{**one, "is_still_falling": one["level"] == 0} for one in PAPER]
    assert speed_of(*falling)["ticket", 3]["times_dense_bound"] == "at most"

    both = speed_of(*({**one, "is_still_falling": one["replicate"] == 1} for one in PAPER))
    assert math.isnan(both["ticket", 3]["times_dense"])
    assert both["ticket", 3]["times_dense_bound"] == ""


def test_only_replicates_that_both_have_are_compared():
    speed = speed_of(*PAPER, row("ticket", 3, 2, 10_000))
    assert speed["ticket", 3]["n"] == 3
    assert speed["ticket", 3]["times_dense"] == 0.62


def test_a_draw_that_is_censored_censors_its_replicate():
    speed = speed_of(*PAPER, row("reinit", 3, 0, 1800, is_still_falling=True, draw=1))
    assert speed["reinit", 3]["step"] == pytest.approx((1700 + 1824) / 2)
    assert (speed["reinit", 3]["n"], speed["reinit", 3]["num_censored"]) == (2, 1)


def test_without_a_validation_split_nothing_is_chosen():
    rows = [{**one, "early_stop_step": None, "is_still_falling": None} for one in PAPER]
    assert learning_speed(as_table(rows)).empty
    assert learning_speed(as_table([])).empty


def test_a_regression_has_no_accuracies():
    rows = [{**one, "test_accuracy": None, "test_accuracy_at_early_stop": None} for one in PAPER]
    (ticket,) = [s for key, s in speed_of(*rows).items() if key == ("ticket", 3)]
    assert (ticket["step"], ticket["times_dense"]) == (682, 0.62)
    assert math.isnan(ticket["accuracy_at_stop"])
