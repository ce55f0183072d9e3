"""`table --format latex`, `compare --format latex`: tables for papers."""

import re

import pytest

from lottery_ticket.store import Store


def test_the_table_of_a_paper(ready, tmp_path):
    (run,) = Store(tmp_path / "store").runs()
    said = ready("table", "--format", "latex")
    assert said.code == 0
    assert rf"\label{{tab:{run.id}}}" in said.out
    rows = re.findall(r"^ +(\d+) & ", said.out, re.M)
    assert rows == ["0", "1", "2"]
    assert ready("table", "--format", "latex", "--summary").out == said.out


def test_a_row_per_training(ready):
    said = ready("table", "--format", "latex", "--trainings")
    assert r"\begin{longtable}" in said.out
    assert len(re.findall(r"^ +(?:ticket|reinit) & ", said.out, re.M)) == 6


def test_what_is_chosen(ready):
    options = ("--error", "none", "--arms", "reinit", "--levels", "0,2", "--label", "tab:mine")
    said = ready("table", "--format", "latex", *options, "--caption", "50 % of it")
    assert said.code == 0
    assert r"50 \% of it" in said.out
    assert r"\label{tab:mine}" in said.out
    assert re.findall(r"^ +(\d+) & ", said.out, re.M) == ["0", "2"]
    both = ready("table", "--format", "latex", "--levels", "0-2").out
    assert both == ready("table", "--format", "latex").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--arms", "ticket"], "--arms: has an effect with --format latex alone"),
        (["--format", "csv", "--caption", "x"], "--caption: has an effect with --format latex"),
        (["--format", "latex", "--arms", "tickt"], "did you mean 'ticket'"),
        (["--format", "latex", "--arms", "ticket,"], "wanted names with commas"),
        (["--format", "latex", "--levels", "1;2"], "wanted numbers such as 0,5,10"),
        (["--format", "latex", "--levels", "3"], "levels: got 3, which the run has not trained"),
        (["--format", "latex", "--label", "a b"], "label: got 'a b'"),
        (["--format", "latex", "--error", "se"], "'se' is not one of"),
        (["--format", "latex", "--trainings", "--levels", "1"], "have no effect on a table"),
    ],
)
def test_wrong_options(ready, options, said):
    found = ready("table", *options)
    assert found.code == 2
    assert said in " ".join(re.sub("[│╭╮╰╯─]", " ", found.err).split())


def test_compare_for_a_paper(ready, tmp_path):
    (run,) = Store(tmp_path / "store").runs()
    said = ready("compare", run.id, "--format", "latex", "--label", "tab:all")
    assert said.code == 0
    assert f"    {run.id} & " in said.out
    assert (
        ready("compare", run.id, "--format", "json").out == ready("compare", run.id, "--json").out
    )
    for options in (["--label", "tab:x"], ["--json", "--format", "latex"]):
        assert ready("compare", run.id, *options).code == 2


def test_a_figure_for_a_paper(ready, tmp_path):
    options = ("--only", "density, difference", "--width", "3.3in", "--font", "serif")
    twice = ("--only", "density", "--only", "difference", "--out", "twice")
    assert len(ready("plot", "--format", "png", *twice).out.splitlines()) == 2
    said = ready("plot", "--style", "paper", "--format", "pdf", *options)
    assert said.code == 0, said.err
    names = ["figures/accuracy.pdf", "figures/difference.pdf"]
    assert said.out.splitlines() == names
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "denisty"], "did you mean 'density'"),
        (["--width", "0.1in"], "wanted 2 to 40"),
        (["--font", "Nimbus 99"], "'Nimbus 99' is not installed"),
        (["--style", "papr"], "did you mean 'paper'"),
        (["--width", "2in", "--height", "1in"], "no room for data"),
    ],
)
def test_wrong_looks_write_nothing(ready, options, said, tmp_path):
    found = ready("plot", *options)
    assert found.code == 2
    assert said in " ".join(found.err.split())
    assert not (tmp_path / "figures").exists()


def test_cite(ready, tmp_path):
    said = ready("cite")
    assert said.code == 0
    assert "We trained LeNet300 (hidden=[12, 8])" in said.out
    assert "@inproceedings{frankle2019lottery," in said.out
    assert "by 1 point, in test accuracy" in said.out
    assert "@lecun1998gradient" in ready("cite", "--format", "markdown").out
    assert r"\cite{lecun1998gradient}" in ready("cite", "--format", "latex").out
    bibtex = ready("cite", "--format", "bibtex").out
    assert bibtex.startswith("@")
    assert said.out.endswith(bibtex)
    written = ready("cite", "--format", "bibtex", "--out", "paper/refs.bib")
    assert written.out == "paper/refs.bib\n"
    assert (tmp_path / "paper" / "refs.bib").read_text() == bibtex


def test_cite_into_what_is_no_file(ready, tmp_path):
    (tmp_path / "folder").mkdir()
    assert ready("cite", "--out", "folder").code == 2
    assert ready("cite", "nothing").code == 2
    assert ready("cite", "--format", "word").code == 2
