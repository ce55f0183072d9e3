"""The first cases of `make fuzz`, and the faults that it has to find."""

import pytest

from fuzz import tables
from fuzz.cases import Bench
from fuzz.reader import Reader
from fuzz.runner import Worker, numbered
from fuzz.wrong_readers import READERS as WRONG
from fuzz.wrong_readers import believing, reader

BY_CHANCE = 12


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One for all: the examples are made once."""
    return Bench(tmp_path_factory.mktemp("fuzz") / "bench")


def check(bench: Bench, name: str, row: Reader, num_by_chance: int) -> None:
    for number in range(len(row.examples) + len(row.bombs) + num_by_chance):
        verdict = bench.run(name, row, number, seed=1)
        assert not verdict.is_bad, f"{name} {number}: {verdict}"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", tables.READERS)
def test_readers(name: str, bench: Bench):
    check(bench, name, tables.READERS[name], BY_CHANCE)


FAULTS = {
    "believing": "wrong value",
    "raising": "traceback",
    "suspicious": "refused what is right",
    "greedy": "memory",
    "asking": "asked for the memory first",
    "roaming": "touched what is outside",
    "obeying": "ran code of the file",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_reader_that_does_wrong_is_found(name: str, bench: Bench):
    found = {bench.run(name, WRONG[name], number, seed=0).outcome for number in range(8)}
    assert FAULTS[name] in found
    assert found <= {FAULTS[name], "as written", "refused"}


def test_a_careful_reader_is_not_blamed(bench: Bench):
    check(bench, "careful", WRONG["careful"], 40)


def test_senseless_values_are_found(bench: Bench):
    row = reader(believing)
    row = Reader(row.examples, row.read, row.targets, is_right=lambda value: len(value) < 50)
    outcomes = {bench.run("long", row, number, seed=0).outcome for number in range(60)}
    assert outcomes == {"as written", "another value", "senseless value"}


@pytest.mark.slow
def test_what_hangs_or_dies_is_found_and_the_rest_goes_on():
    worker = Worker("fuzz.wrong_readers", seconds=2)
    try:
        for name, outcome in (("hanging", "hang"), ("dying", "crash")):
            assert worker.run("careful", 0, seed=0).outcome == "as written"
            verdicts = (worker.run(name, number, seed=0) for number in range(1, 9))
            bad = next(verdict for verdict in verdicts if verdict.is_bad)
            assert bad.outcome == outcome
        assert worker.run("careful", 1, seed=0).outcome in ("refused", "as written")
    finally:
        worker.close()


def test_a_case_is_its_number(bench: Bench, tmp_path):
    row = tables.READERS["mask"]
    number = len(row.examples) + len(row.bombs) + 3
    first = bench.run("mask", row, number, seed=5)
    files = bench.files()
    again = Bench(bench.folder)
    assert again.run("mask", row, number, seed=5).what == first.what
    assert again.files() == files
    others = {again.run("mask", row, number, seed=seed).what for seed in range(6, 9)}
    assert first.what not in others


def test_all_cases_are_spread_over_the_readers():
    cases = numbered(10, ["a", "b"], {"a": 3, "b": 1})
    assert cases == [("a", n) for n in range(6)] + [("b", n) for n in range(4)]
    assert numbered(1, ["a"], {"a": 3}) == [("a", 0), ("a", 1), ("a", 2)]
