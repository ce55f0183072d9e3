"""`list`, `runs`, `edit`, `compare`: many runs, what they are called, and what tells them apart."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminals import on_a_terminal

sys.path += [str(Path(__file__).parents[1] / name) for name in ("runs", "store")]

from stores_of_runs import LOSES, add_run, grid, spec_of

from lottery_ticket import load_run, run
from lottery_ticket.errors import UsageError
from lottery_ticket.runs import COLUMNS
from lottery_ticket.store import Store

SETS = ["replicates=1", "prune.levels=1", "arms=[ticket]", "train.duration=10it"]
SMALL = ["quickstart", *(part for each in SETS for part in ("--set", each)), "--jobs", "1"]


@pytest.fixture
def many(lottery, tmp_path):
    """`lottery`, with the four runs of a grid in its store."""
    grid(tmp_path / "store")
    return lottery


def test_list_tells_the_runs_of_a_grid_apart(many):
    said = many("list")
    header, *lines = said.out.splitlines()
    assert header.split() == ["run", "differs", "finished", "created"]
    assert [line.split("  ")[1] for line in lines[:4]] == [
        "lr=0.1, levels=2", "lr=0.1, levels=3", "lr=0.01, levels=2", "lr=0.01, levels=3",
    ]  # fmt: skip
    assert lines[4] == "in all: data digits; model LeNet300; arms ticket, reinit; replicates 3"
    rows = json.loads(many("list", "--json").out)
    assert [row["differs"] for row in rows[:2]] == ["lr=0.1, levels=2", "lr=0.1, levels=3"]
    assert [row["finished"] for row in rows] == [18, 18, 18, 0]


def test_runs_are_named_tagged_and_noted(many):
    assert many("edit", "grid-00000001", "--name", "best", "--tag", "a", "--tag", "b").code == 0
    said = many("edit", "best", "--untag", "a", "--note", "as in\nthe paper").out
    assert said.splitlines() == [
        "run    grid-00000001", "name   best", "tags   b", "notes  as in", "       the paper",
    ]  # fmt: skip
    assert many("edit", "best").out == said
    for tag, hint in (("a", "valid: b"), ("bb", "did you mean 'b'")):
        typo = many("edit", "best", "--untag", tag, "--name", "other")
        assert (typo.code, typo.out) == (2, "")
        assert f"--untag: grid-00000001 has no tag {tag!r}" in typo.err
        assert hint in typo.err
    assert "it has none" in many("edit", "grid-00000002", "--untag", "a").err
    found = json.loads(many("edit", "best", "--json").out)
    assert found == {
        "run": "grid-00000001", "name": "best", "tags": ["b"], "notes": "as in\nthe paper",
    }  # fmt: skip
    assert "best" in many("list").out
    assert many("list", "--tag", "b", "--json").out.count('"run"') == 1
    assert many("table", "best").out == many("table", "grid-00000001").out
    assert many("verdict", "best").out == many("verdict", "grid-00000001").out
    assert many("verify").code == 0
    assert many("rm", "best", "--yes").code == 0
    assert "no run 'best'" in many("edit", "best").err
    assert many("list", "--json").out.count('"run"') == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--name", "last"], "name: got 'last'"),
        (["--name", "grid-0000"], "begins the id grid-00000000"),
        (["--name", "run-0123abcd"], "looks like an id"),
        (["--name", "x" * 81], "of 81 characters, wanted at most 80"),
        (["--name", "a\x1b[31mb"], "without control codes"),
        (["--name", "two\nlines"], "in one line"),
        (["--name", " "], "a letter or a digit at least"),
        (["--name=-a"], "neither '-' nor a space first"),
        (["--name", "\u202eevil"], "without control codes"),
        (["--tag", "a,b"], "wanted no comma"),
        (["--tag", ""], "a letter or a digit at least"),
        (["--untag", "…"], "a letter or a digit at least"),
        (["--tag", "a", "--untag", "a"], "to be added and to be removed"),
        (["--notes", "\x07"], "notes: got"),
        (["--notes", "x" * 10_001], "10,001 characters, wanted at most 10,000"),
    ],
)
def test_what_nobody_could_ask_for_is_refused(given, said, many, tmp_path):
    before = many("list", "--json").out
    found = many("edit", "grid-00000001", *given)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert many("list", "--json").out == before
    assert not (tmp_path / "store" / "board").exists()
    if "--untag" not in given:
        assert said in many("run", *SMALL, *given).err
        assert many("list", "--json").out == before


def test_a_name_is_one_run_s(many):
    many("edit", "grid-00000001", "--name", "best")
    found = many("edit", "grid-00000002", "--name", "best")
    assert (found.code, "is what grid-00000001 is called" in found.err) == (2, True)
    assert many("edit", "grid-00000001", "--name", "best").code == 0
    assert "did you mean 'best'" in many("table", "bset").err


def test_two_of_a_name_are_both_listed(many, tmp_path):
    other = Store(tmp_path / "other")
    add_run(other, 9, spec_of(name="other"), LOSES)
    many("edit", "grid-00000001", "--name", "best")
    many("edit", "other", "--name", "best", "--store", other.location)
    merged = many("merge", other.location)  # each had it to itself
    assert merged.code == 0
    assert "grid-00000001, other-00000009 are all called 'best'; `lottery edit" in merged.out
    found = many("table", "best")
    assert found.code == 2
    assert "could be any of: grid-00000001, other-00000009" in found.err


def test_letters_are_one_however_they_are_composed(many):
    assert many("edit", "grid-00000001", "--name", "cafe\u0301").code == 0
    assert "grid-00000001" in many("edit", "caf\xe9").out
    assert "grid-00000001" in many("edit", "cafe\u0301").out


def test_a_run_is_named_when_it_is_run(lottery, tmp_path):
    said = lottery("run", *SMALL, "--quiet", "--name", "mine", "--tag", "a", "--notes", "why")
    assert said.code == 0
    plain = lottery("run", *SMALL, "--quiet", "--store", tmp_path / "plain")
    assert plain.out == said.out  # a name renames nothing
    ours, theirs = (Store(tmp_path / name) for name in ("store", "plain"))
    assert ours.cell_names() == theirs.cell_names()
    run_id = said.out.strip()
    without = [{k: v for k, v in vars(s.read_run(run_id)).items() if k != "created"}
               for s in (ours, theirs)]  # fmt: skip
    assert without[0] == without[1]
    result = load_run("mine")
    assert (result.name, result.tags, result.notes) == ("mine", ("a",), "why")
    assert f"mine ({run_id}): " in lottery("status", "mine").out
    assert json.loads(lottery("status", "mine", "--json").out)["name"] == "mine"
    again = lottery("run", *SMALL, "--name", "mine too").out
    assert f"(run {run_id})" in again
    assert "lottery verdict 'mine too'" in again
    assert f"verdict: lottery verdict {run_id}" in lottery("run", *SMALL, "--name", "").out
    lottery("edit", run_id, "--name", "mine")
    assert load_run(store=theirs).name == "quickstart"
    again = lottery("run", *SMALL, "--quiet", "--name", "mine", "--tag", "b")
    assert again.out == said.out
    assert load_run("mine").tags == ("a", "b")
    submitted = lottery("submit", *SMALL[:-2], "--quiet", "--name", "other", "--tag", "c")
    assert (submitted.code, submitted.out) == (0, said.out)
    assert load_run("other").tags == ("a", "b", "c")
    assert "--name" not in lottery("plan", "--help").out


def test_from_python_too(lottery, tmp_path):
    how = {"overrides": SETS, "jobs": 1, "progress": False}
    result = run("quickstart", name="mine", tags=["a"], notes="why", **how)
    result.edit(name="", add_tags=["b"], remove_tags=["a"])
    for each in (result, load_run(result.id)):
        assert (each.name, each.tags, each.notes) == ("quickstart", ("b",), "why")
    for wrong in ({"tags": "a"}, {"tags": [1]}, {"name": 3}, {"notes": b"x"}, {"name": "last"}):
        with pytest.raises(UsageError):
            run("quickstart", **wrong, **how)
    with pytest.raises(UsageError, match="did you mean 'add_tags'"):
        result.edit(add_tag=["a"])
    with pytest.raises(UsageError, match="wanted a list of texts"):
        result.edit(add_tags="ab")


def test_runs_as_text(many):
    many("edit", "grid-00000001", "--name", "best", "--tag", "paper")
    header, *lines = many("runs", "--sort", "-dense").out.splitlines()
    names = ["run", "name", "tags", "lr", "levels", "finished", "dense"]
    assert header.split()[: len(names)] == names
    assert lines[0].split()[:9] == [
        "grid-00000001", "best", "paper", "0.1", "3", "18", "of", "18", "98.00",
    ]  # fmt: skip
    assert "winning" in lines[0]
    assert lines[3].split()[0] == "grid-00000003"
    assert lines[4].startswith("in all: data digits; model LeNet300; arms ticket, reinit; metric")
    assert many("runs", "--where", "lr=7").out.strip().startswith("none of the runs is such a one")


def test_runs_as_files(many, tmp_path):
    many("edit", "grid-00000001", "--tag", "b", "--tag", "a")
    columns = [*COLUMNS, "train.lr", "prune.levels"]
    rows = list(csv.DictReader(many("runs", "--format", "csv").out.splitlines()))
    assert list(rows[0]) == columns
    assert (rows[1]["tags"], rows[1]["arms"]) == ("a,b", "ticket,reinit")
    assert rows[0]["created"] == "2025-10-09T08:53:20Z"
    values = json.loads(many("runs", "--format", "json").out)
    assert [list(row) for row in values] == [columns] * 4
    assert values[1]["tags"] == ["a", "b"]
    assert [row["train.lr"] for row in values] == [0.1, 0.1, 0.01, 0.01]
    assert float(rows[1]["dense"]) == values[1]["dense"]
    assert (rows[3]["dense"], values[3]["dense"]) == ("", None)
    lines = many("runs", "--format", "markdown").out.splitlines()
    assert json.loads(many("runs", "--json").out) == values
    both = many("runs", "--json", "--format", "csv")
    assert (both.code, "leave one of them out" in both.err) == (2, True)
    assert len(lines) == 6
    assert lines[1].startswith("| --- | ")
    some = json.loads(many("runs", "--keys", "lr,train.momentum", "--format", "json").out)
    assert list(some[0])[-2:] == ["train.lr", "train.momentum"]


def test_several_stores(many, tmp_path):
    other = Store(tmp_path / "other")
    add_run(other, 9, spec_of(name="other"), LOSES)
    for command in ("list", "runs"):
        said = many(command, "--store", tmp_path / "store", "--store", other.location).out
        assert "store" in said.split("\n")[0]
        assert "other-00000009" in said
    assert many("runs", "--store", tmp_path / "none").out.endswith("`lottery run quickstart`\n")


@pytest.mark.parametrize("command", ["list", "runs"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--where", "lrr=1"], "did you mean 'lr'"),
        (["--where", "lr"], "wanted key=value"),
        (["--tag", "a"], "no run has a tag yet"),
        (["--data", "minst"], "valid: digits"),
        (["--since", "monday"], "wanted a date"),
        (["--sort", "creatd"], "did you mean 'created'"),
    ],
)
def test_what_no_run_has_is_said(command, given, said, many):
    found = many(command, *given)
    assert (found.code, found.out) == (2, "")
    assert said in " ".join(found.err.split())


@pytest.mark.parametrize("given", [["--where", "dense > 0.5"], ["--where", "verdict=winning"],
                                   ["--sort", "verdict"], ["--sort=-sparsest"]])  # fmt: skip
def test_who_asks_list_for_a_result_is_told_where_there_are(given, many):
    found = many("list", *given)
    assert (found.code, found.out) == (2, "")
    assert "is a result, which is not looked at here; use `lottery runs`" in found.err
    assert many("runs", *given).code == 0


def test_a_folder_is_called_as_it_is_whatever_its_name_looks_like(many, tmp_path):
    place = tmp_path / "[red]:smile:[x]"
    add_run(Store(place), 0, spec_of(), LOSES)
    for command in (["list"], ["runs"]):
        two = many(*command, "--store", tmp_path / "store", "--store", place)
        assert str(place) in "".join(two.out.split("\n"))
        empty = many(*command, "--store", tmp_path / "[dim]:x:")
        assert "[dim]:x:: no runs yet" in "".join(empty.out.split("\n"))
    for command in (["verify"], ["run", *SMALL]):
        assert str(place) in many(*command, "--store", place).out


def test_compare_tells_recipes_apart(many, tmp_path):
    many("edit", "grid-00000001", "--name", "best")
    runs = [f"grid-0000000{number}" for number in range(3)]
    said = many("compare", *runs, "--out", "figure.svg")
    header, *lines = said.out.splitlines()[1:]
    assert header.split()[:3] == ["run", "name", "differs"]
    assert "lr=0.1, levels=3" in lines[1]
    figure = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "best: lr=0.1, levels=3" in figure
    assert "grid-00000002: lr=0.01, levels=2" in figure
    rows = json.loads(many("compare", *runs, "--json").out)
    assert [row["differs"] for row in rows][:2] == ["lr=0.1, levels=2", "lr=0.1, levels=3"]
    assert [row["name"] for row in rows] == ["", "best", ""]


def test_compare_tells_of_a_run_that_claims_nothing_what_there_is(many):
    row, won = json.loads(many("compare", "grid-00000000", "grid-00000001", "--json").out)
    assert (row["level"], won["level"]) == (None, 1)
    assert won["winning_levels"] == [1]
    assert row["winning_levels"] == []
    for one, at in ((row, "sparsest_"), (won, "")):
        ticket = one["sparsest" if at else "ticket"]
        assert one["dense"] + one[f"{at}minus_dense"] == pytest.approx(ticket)
    said = many("compare", "grid-00000000", "grid-00000001").out.splitlines()
    dense = f"{100 * row['dense']:.2f}"
    line = next(line for line in said if line.startswith("grid-00000000"))
    assert f"{100 * row['sparsest']:.2f}" in line
    assert dense in line


def test_compare_chooses_runs_and_draws_them_as_wide_as_a_column(many, tmp_path):
    for number in (0, 1):
        many("edit", f"grid-0000000{number}", "--tag", "paper")
    rows = json.loads(many("compare", "--tag", "paper", "--json").out)
    assert [row["run"] for row in rows] == ["grid-00000000", "grid-00000001"]
    rows = json.loads(many("compare", "grid-00000001", "--where", "finished=18", "--json").out)
    assert [row["run"] for row in rows] == [f"grid-0000000{number}" for number in (1, 0, 2)]
    options = ("--style", "paper", "--width", "84mm", "--font", "serif")
    assert many("compare", "--tag", "paper", "--out", "column.svg", *options).code == 0
    said = (tmp_path / "column.svg").read_text(encoding="utf-8")
    assert f'width="{84 / 25.4 * 72:.6f}pt"' in said
    for wrong, message in (
        (("--tag", "paper", "--width", "84mm"), "has an effect with --out alone"),
        (("--tag", "paper,grid"), "repeat --tag"),
        (("--where", "finished=99"), "none of the runs is such a one"),
        ((), "name runs, or choose them"),
    ):
        found = many("compare", *wrong)
        assert (found.code, found.out) == (2, "")
        assert message in " ".join(found.err.split())


def test_a_report_of_several_runs_tells_them_apart(lottery):
    for number, lr in enumerate((0.1, 0.2)):
        sets = ["--set", f"train.lr={lr}"]
        assert lottery("run", *SMALL, *sets, "--name", f"run {number}", "--note", "why").code == 0
    page = lottery("report", "run 0", "run 1", "--format", "markdown").out
    for number, lr in enumerate((0.1, 0.2)):
        head = f"`run {number} ({load_run(f'run {number}').record.title}): lr={lr}`"
        assert head in page.splitlines()
        assert f"- name: run {number}" in page.splitlines()
    assert page.count("- notes: why") == 2
    assert "): lr=" not in lottery("report", "run 0", "--format", "markdown").out


@pytest.mark.parametrize("command", ["list", "runs", "compare grid-00000000 grid-00000001"])
def test_lines_fit_a_terminal(command, many, tmp_path):
    for number in range(3):
        many("edit", f"grid-0000000{number}", "--name", f"number {number}", "--tag", "long-tag")
    for columns in (80, 120):
        env = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm"}
        code, said = on_a_terminal(*command.split(), env=env)
        assert code == 0
        table = [line.rstrip() for line in said.splitlines() if "grid-0000000" in line]
        assert len(table) >= 2
        assert all(len(line) <= columns for line in table), said


def test_listing_needs_no_pandas(many, tmp_path):
    code = (
        "import sys; sys.argv = ['lottery', 'list', '--where', 'lr=0.1']\n"
        "from lottery_ticket.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'sklearn', 'pandas', 'scipy') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "[]"


def test_a_damaged_label_is_named(many, tmp_path):
    many("edit", "grid-00000001", "--name", "best")
    many("edit", "grid-00000002", "--name", "other")
    (path,) = (p for p in (tmp_path / "store/board/labels").iterdir() if b"best" in p.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"best", b"rest"))
    found = many("verify")
    assert (found.code, "cells, 1 damaged among names" in found.out) == (1, True)
    assert str(path) in found.err
    assert "nothing but a name, tags or notes of a run is in it" in found.err
    assert "anew" not in found.out
    assert json.loads(many("verify", "--json").out)["num_notes"] == 1
    for asked in ("list --json", "runs", "table other", "verdict other"):
        command = [sys.executable, "-m", "lottery_ticket.cli", *asked.split()]
        said = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (said.returncode, said.stderr.count("warning:")) == (0, 1), asked
        assert str(path) in said.stderr
        assert "grid-00000002" in said.stdout
    assert many("gc", "--dry-run").code == many("gc").code == 0
    assert not path.exists()
    assert many("list").code == many("verify").code == 0
    assert many("list").err == ""
