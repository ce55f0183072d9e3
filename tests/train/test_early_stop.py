import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lottery_ticket.train import early_stop

law = settings(max_examples=60, derandomize=True, phases=[Phase.explicit, Phase.generate])
loss = st.sampled_from([0.5, 1.0, 2.0]) | st.none()


def record(step, val_loss, test_accuracy=0.5, test_loss=1.0):
    return {
        "step": step,
        "val_loss": val_loss,
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
    }


def check_is_chosen_on_validation(early_stop):
    """The first of the lowest validation losses; whatever the test split says."""

    @law
    @given(st.lists(st.tuples(loss, st.floats(0, 1), st.floats(0, 9)), max_size=6))
    def check(rows):
        history = [record(10 * i, *row) for i, row in enumerate(rows)]
        found = early_stop(history)
        finite = [row[0] for row in rows if row[0] is not None]
        if not finite:
            assert found == {
                "early_stop_step": None,
                "test_accuracy_at_early_stop": None,
                "is_still_falling": None,
            }
            return
        index = [row[0] for row in rows].index(min(finite))
        assert found["early_stop_step"] == 10 * index
        assert found["test_accuracy_at_early_stop"] == rows[index][1]
        assert found["is_still_falling"] == all(row[0] is None for row in rows[index + 1 :])

    check()


def test_is_chosen_on_validation():
    check_is_chosen_on_validation(early_stop)


def on_test_loss(history):
    return early_stop([{**r, "val_loss": r["val_loss"] and r["test_loss"]} for r in history])


def on_test_accuracy(history):
    return early_stop([{**r, "val_loss": r["val_loss"] and -r["test_accuracy"]} for r in history])


def last_of_ties(history):
    found = early_stop(history[::-1])
    return {**found, "is_still_falling": early_stop(history)["is_still_falling"]}


def falls_back_to_test(history):
    """Without a validation split, the test split."""
    found = early_stop(history)
    if found["early_stop_step"] is None and history:
        return early_stop([{**r, "val_loss": r["test_loss"]} for r in history])
    return found


@pytest.mark.parametrize(
    "mutant", [on_test_loss, on_test_accuracy, last_of_ties, falls_back_to_test]
)
def test_other_choices_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_is_chosen_on_validation(mutant)


def test_literal():
    history = [record(5, 1.0, 0.7), record(9, 0.5, 0.8), record(12, 0.5, 0.99)]
    assert early_stop(history) == {
        "early_stop_step": 9,
        "test_accuracy_at_early_stop": 0.8,
        "is_still_falling": False,
    }
    assert early_stop(history[:2])["is_still_falling"] is True


def test_without_validation_or_without_test():
    assert set(early_stop([{"step": 1, "test_accuracy": 0.5}]).values()) == {None}
    assert early_stop([{"step": 1, "val_loss": 1.0}]) == {
        "early_stop_step": 1,
        "test_accuracy_at_early_stop": None,
        "is_still_falling": True,
    }


def test_losses_that_are_not_finite_do_not_count():
    values = [float("nan"), 2.0, 1.0, float("inf"), None]
    found = early_stop([record(i, value) for i, value in enumerate(values)])
    assert found["early_stop_step"] == 2
