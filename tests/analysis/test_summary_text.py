import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery_ticket.analysis import (
    ACCURACY,
    as_table,
    format_percent,
    metric_of,
    number_text,
    still_falling_note,
    summary,
    summary_markdown,
    summary_text,
)


def render(rows, column="test_accuracy"):
    """Rows of (arm, level, replicate, density, kept, value)."""
    names = ("arm", "level", "replicate", "density", "num_kept", column)
    named = [dict(zip(names, row, strict=True)) for row in rows]
    table = as_table([{**row, "sparsity": 1 - (row["density"] or 0)} for row in named])
    return summary(table), metric_of(table)


ACCURACY_ROWS = [
    ("ticket", 0, 0, 1.0, 266200, 0.9800),
    ("ticket", 0, 1, 1.0, 266200, 0.9820),
    ("ticket", 10, 0, 0.107374, 28582, 0.9812),
    ("ticket", 10, 1, 0.107374, 28582, 0.9832),
    ("reinit", 10, 0, 0.107374, 28582, 0.9847),
]


def test_accuracies_are_points_with_spread_and_n():
    assert summary_text(*render(ACCURACY_ROWS)) == [
        [
            *("level", "density", "sparsity", "kept", "ticket (%)", "reinit (%)"),
            *("ticket − dense (points)", "ticket − reinit (points)"),
        ],
        ["0", "100.00 %", "0.00 %", "266,200", "98.10 ± 0.14 (2)", "–", "0.00", "–"],
        [
            *("10", "10.74 %", "89.26 %", "28,582", "98.22 ± 0.14 (2)", "98.47 (1)"),
            *("+0.12", "−0.35 (1)"),
        ],
    ]


def test_losses_have_four_significant_digits():
    rows = [
        ("ticket", 0, 0, 1.0, 100, 0.071234),
        ("ticket", 0, 1, 1.0, 100, 0.071434),
        ("ticket", 1, 0, 0.5, 50, 2.34567),
        ("ticket", 2, 0, 0.25, 25, 0.0000123456),
    ]
    header, *body = summary_text(*render(rows, "test_loss"))
    assert header == ["level", "density", "sparsity", "kept", "ticket", "ticket − dense"]
    assert [line[4:] for line in body] == [
        ["0.07133 ± 0.00014 (2)", "0.00000"],
        ["2.346 (1)", "+2.274"],
        ["1.235e−05 (1)", "−7.122e−02"],
    ]


def test_missing_sizes_are_dashes():
    line = summary_text(*render([("ticket", 0, 0, None, None, 0.5)]))[1]
    assert line == ["0", "–", "100.00 %", "–", "50.00 (1)", "0.00"]


def test_markdown_is_a_github_table():
    rows = [("ticket", 0, 0, 1.0, 1000, 0.5), ("ticket", 1, 0, 0.8, 800, 0.4975)]
    assert summary_markdown(*render(rows)) == (
        "| level | density | sparsity | kept | ticket (%) | ticket − dense (points) |\n"
        "| ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| 0 | 100.00 % | 0.00 % | 1,000 | 50.00 (1) | 0.00 |\n"
        "| 1 | 80.00 % | 20.00 % | 800 | 49.75 (1) | −0.25 |\n"
    )


def test_text_of_an_empty_summary_is_its_header():
    assert summary_text(*render([])) == [["level", "density", "sparsity", "kept"]]


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        ([], None),
        ([None, None], None),
        ([False, None, False], None),
        ([True, False, None, True], "at the end of 2 of 3 trainings: these nets were"),
    ],
)
def test_trainings_that_were_still_falling_are_counted(flags, note):
    rows = [{"arm": "ticket", "level": i, "is_still_falling": f} for i, f in enumerate(flags)]
    found = still_falling_note(as_table(rows))
    assert found is None if note is None else note in found


@pytest.mark.parametrize(
    ("duration", "end"),
    [
        (None, "train longer to know"),
        ("8ep", "train longer to know (--set train.duration=24ep)"),
        ("500it", "train longer to know (--set train.duration=1500it)"),
    ],
)
def test_how_to_train_longer_is_said_in_the_runs_own_unit(duration, end):
    table = as_table([{"arm": "ticket", "level": 0, "is_still_falling": True}])
    found = still_falling_note(table, duration)
    assert found is not None
    assert found.endswith(end)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(1.0, "100.00 %"), (0.0115, "1.15 %"), (0.000234, "0.023 %"), (0.0, "0.00 %")],
)
def test_percent(fraction, text):
    assert format_percent(fraction) == text


@settings(max_examples=200)
@given(st.integers(-100_000, 100_000), st.integers(-3, 3))
def test_halves_are_rounded_alike_whatever_their_last_bits_are(hundredths, num_bits):
    """A mean of accuracies that ends in a half reads the same in whatever order it was summed."""
    exact = (2 * hundredths + 1) / 2 / 100 / ACCURACY.scale  # points that end in a 5 to be rounded
    value = exact + num_bits * np.spacing(exact)
    away = hundredths + 1 if exact > 0 else hundredths  # of zero
    wanted = f"{'+' if away > 0 else '-'}{abs(away) // 100}.{abs(away) % 100:02d}"
    assert number_text(value, 1.0, ACCURACY, sign="+") == wanted
