"""Tables on terminals of any width."""

import pytest

from lottery_ticket.cli._print import fitting

ROWS = [
    ["arm", "num_kept", "test_accuracy", "ticket − dense (points)", "sparsity"],
    ["ticket", "1,000", "0.9533", "+0.10", "0.0000"],
    ["reinit", "500", "0.9467", "−0.20", "0.5000"],
]


def width_of(rows):
    columns = zip(*rows, strict=True)
    widest = [max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]
    return sum(widest) + 2 * (len(widest) - 1)


def test_a_table_that_fits_stays_as_it_is():
    assert fitting(ROWS, width_of(ROWS), ["sparsity"]) == (ROWS, [])


def test_headers_are_folded_before_anything_is_left_out():
    rows, left_out = fitting(ROWS, 48, ["sparsity"])
    assert left_out == []
    assert rows[0] == [
        "arm",
        "num_\nkept",
        "test_\naccuracy",
        "ticket −\ndense\n(points)",
        "sparsity",
    ]
    assert rows[1:] == ROWS[1:]
    assert width_of(rows) <= 48


def test_what_can_be_spared_goes_next_and_is_said():
    rows, left_out = fitting(ROWS, 36, ["sparsity", "num_kept"])
    assert left_out == ["sparsity"]
    assert [row[-1] for row in rows[1:]] == ["+0.10", "−0.20"]
    assert width_of(rows) <= 36
    rows, left_out = fitting(ROWS, 30, ["sparsity", "num_kept"])
    assert left_out == ["sparsity", "num_kept"]
    assert [len(row) for row in rows] == [3, 3, 3]


@pytest.mark.parametrize("spare", [[], ["sparsity", "num_kept"]])
def test_nothing_is_left_out_in_vain(spare):
    rows, left_out = fitting(ROWS, 12, spare)
    assert left_out == []
    assert [len(row) for row in rows] == [5, 5, 5]
