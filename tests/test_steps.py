import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.steps import Duration, steps_per_epoch


@pytest.mark.parametrize(
    ("text", "steps"), [("20ep", 18_760), ("1ep", 938), ("500it", 500), ("0it", 0), ("007it", 7)]
)
def test_durations(text, steps):
    assert Duration.parse(text).steps(938) == steps


@pytest.mark.parametrize(
    "text",
    ["", "20", "ep", "1.5ep", "-1ep", "+1ep", " 5it", "5it ", "5it\n", "5 it", "5IT", "5epochs",
     "1e3it", "1_000it", "٣ep", 5, None, b"5it"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(
        UsageError, match=r"is not a duration; write epochs as '(20|5)ep' or"
    ) as caught:
        Duration.parse(text)
    assert repr(text) in str(caught.value)


@settings(max_examples=50, derandomize=True)
@given(st.integers(0, 10**9), st.sampled_from(["ep", "it"]))
def test_text_round_trip(count, unit):
    assert str(Duration.parse(f"{count}{unit}")) == f"{count}{unit}"
    assert Duration.parse(str(Duration(count, unit))) == Duration(count, unit)


@pytest.mark.parametrize(
    ("num", "batch", "steps"),
    [(60_000, 64, 938), (60_000, 60, 1000), (1, 64, 1), (64, 64, 1), (65, 64, 2)],
)
def test_the_smaller_last_batch_counts(num, batch, steps):
    assert steps_per_epoch(num, batch) == steps


@pytest.mark.parametrize("text", ["10", " 10 ", "10 ep", "10 epochs", "10it ", "10IT"])
def test_a_length_without_its_unit_is_told_both(text):
    with pytest.raises(UsageError, match="write epochs as '10ep' or iterations as '10it'"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["9" * 13 + "it", "9" * 5000 + "ep"])
def test_a_length_that_nobody_trains_is_refused(text):
    with pytest.raises(UsageError, match="longer than any training"):
        Duration.parse(text)
    assert Duration.parse("0" * 50 + "9it").count == 9
