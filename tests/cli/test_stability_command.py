"""`lottery stability` and `lottery connectivity`."""

import json

import pytest

SMALL = (
    *("--set", "replicates=2", "--set", "prune.levels=2", "--set", "train.duration=2ep"),
    *("--set", "arms=[ticket,random]", "--jobs", "1", "--threads", "1", "--points", "5"),
)


@pytest.fixture
def asked(lottery, tmp_path):
    """`lottery stability quickstart` into a store of one's own."""
    store = ("--store", str(tmp_path / "store"))
    return lambda *more: lottery("stability", "quickstart", *SMALL, *store, *more)


def test_a_table_sentences_and_a_figure(asked, lottery, tmp_path):
    out = tmp_path / "new" / "stability.png"
    (tmp_path / "new").mkdir()
    said = asked("--at", "0it,5it", "--levels", "0,2", "--out", str(out))
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    for place in ("0 ticket 0 100.00 %", "5 ticket 2 49.00 %"):
        assert place in words
    assert "The dense net is" in words
    assert "Ticket at level 2 is" in words
    assert out.read_bytes()[:4] == b"\x89PNG"
    plain = asked("--at", "0it,5it", "--levels", "0,2", "--json")
    found = json.loads(plain.out)
    assert [(row["step"], row["level"]) for row in found["levels"]] == [
        (0, 0),
        (0, 2),
        (5, 0),
        (5, 2),
    ]
    assert list(found["runs"]) == ["0", "5"]
    run = found["runs"]["5"]
    page = lottery("report", run, "--format", "markdown", "--store", str(tmp_path / "store"))
    assert page.code == 0, page.err
    assert page.out.count("\n| 0 | ticket |") == page.out.count("\n| 5 | ticket |") == 2
    levels = lottery(
        "connectivity", run, "--store", str(tmp_path / "store"), "--jobs", "1", "--points", "5"
    )
    assert levels.code == 0, levels.err
    assert "1–2" in levels.out
    assert "Nets of ticket:" in levels.out


def test_a_plan_trains_nothing(asked, tmp_path):
    said = asked("--at", "0it", "--levels", "2", "--plan")
    assert said.code == 0, said.err
    assert not (tmp_path / "store" / "cells").exists()
    (step,) = json.loads(asked("--at", "0it", "--levels", "2", "--plan", "--json").out)
    # of each replicate: dense, two levels, a copy of the last one; two masks; a line
    assert (step["trainings"], step["copies"], step["lines"], step["cells"]) == (8, 2, 2, 14)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--at", "0it,"), "--at: got '0it,', wanted names with commas between them"),
        (("--levels", "a"), "--levels: got 'a', wanted numbers such as 0,5,10"),
        (("--levels", "7"), "ticket has no level 7; it has 0 to 2"),
        (("--arms", "tikket"), "did you mean 'ticket'"),
        (("--copies", "1"), "copies: got 1, wanted 2 or more"),
        (("--out", "x.txt"), "--out: got 'x.txt', wanted a file that ends in"),
        (("--width", "3in"), "--width: is of the figure, and has an effect with --out alone"),
        (("--at", "99ep"), "rewind: got '99ep', wanted less than train.duration"),
    ],
)
def test_what_makes_no_sense(asked, arguments, said, tmp_path):
    done = asked(*arguments)
    assert done.code == 2, done.out
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "store" / "cells").exists()
