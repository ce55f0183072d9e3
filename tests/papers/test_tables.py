"""Tables for papers: what they say, and that they compile."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from latex_reader import BadLatexError, read_table
from small_tables import result_table

from lottery_ticket.analysis import WINNING, verdict
from lottery_ticket.errors import UsageError
from lottery_ticket.papers import LatexTable, levels_latex, runs_latex, trainings_latex
from lottery_ticket.papers._latex import Column

TABLE = result_table()
VERDICT = verdict(TABLE, margin=0.2)
HOSTILE = r"50 % of θ_0, R&D #1 {a^b}~c\input{x} $y$"


def levels(**options):
    return levels_latex(TABLE, VERDICT, name="tiny-1, Net", **options)


def text_of(cell):
    """What a cell prints."""
    return re.sub(r"\\(bfseries|boldmath|rlap|phantom\{0*\})|[{}]", "", cell).strip()


def test_a_row_per_level_and_a_column_per_arm():
    group, header, *rows = read_table(str(levels()))
    assert group[-1] == r"\multicolumn{2}{c}{test accuracy (\%)}"
    assert header == ["level", r"density (\%)", r"sparsity (\%)", "kept", "ticket", "reinit"]
    assert [row[:4] for row in rows] == [
        ["0", "100.00", "0.00", "1,024"],
        ["1", "50.00", "50.00", "512"],
        ["2", "25.00", "75.00", "256"],
        ["3", "12.50", "87.50", "128"],
    ]
    for arm, cells in zip(("ticket", "reinit"), list(zip(*rows, strict=True))[4:], strict=True):
        own = TABLE.loc[TABLE["arm"] == arm].groupby("level")["test_accuracy"]
        for cell, mean, sd in zip(cells, own.mean(), own.std(ddof=1), strict=True):
            assert text_of(cell).rstrip("$^*") == f"{100 * mean:.2f} $\\pm$ {100 * sd:.2f}"


def test_bold_is_what_the_verdict_calls_winning_and_nothing_else():
    winning = {found.level for found in VERDICT.levels if found.label == WINNING}
    claimed = {found.level for found in VERDICT.levels if found.is_claimed}
    assert 0 < len(winning) < 4  # it can fail on either side
    _, _, *rows = read_table(str(levels()))
    bold = {int(row[0]) for row in rows if "bfseries" in row[4]}
    assert bold == winning
    assert {int(row[0]) for row in rows if "$^*$" in row[4]} == claimed
    assert not any("bfseries" in cell for row in rows for cell in (*row[:4], *row[5:]))


def test_bold_is_not_the_largest_number():
    """The largest of a row may be anything; reinit that is the largest is not bold."""
    better = TABLE.assign(test_accuracy=TABLE["test_accuracy"].mask(TABLE["arm"] == "reinit", 0.99))
    source = str(levels_latex(better, verdict(better, margin=0.2), name="x"))
    assert "bfseries" not in source
    assert "so none is in bold" in source


def test_the_caption_says_by_what_rule():
    caption = levels().caption
    assert caption.startswith("tiny-1, Net. Test accuracy, mean ± standard deviation over n = 3")
    assert "not worse than the dense network by 0.2 points and better than reinit" in caption
    assert "one-sided at 5 %" in caption
    assert levels(caption="Mine", arms=["reinit"]).caption == (
        "Mine. Test accuracy, mean ± standard deviation over n = 3 replicates."
    )


@pytest.mark.parametrize(
    ("error", "pattern"),
    [
        ("sd", r"\d\d\.\d\d \$\\pm\$ \d\.\d\d"),
        ("ci", r"\d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\]"),
        ("none", r"\d\d\.\d\d"),
    ],
)
def test_what_stands_beside_a_mean(error, pattern):
    found = levels(error=error)
    _, _, *rows = read_table(str(found))
    assert all(re.fullmatch(pattern, text_of(row[5])) for row in rows)
    assert ("95 %" in found.caption) == (error == "ci")


def test_intervals_are_those_of_the_analysis():
    row = VERDICT.arms.loc[VERDICT.arms["arm"] == "reinit"].iloc[1]
    _, _, *rows = read_table(str(levels(error="ci")))
    assert text_of(rows[1][5]) == (
        f"{100 * row['mean']:.2f} [{100 * row['low']:.2f}, {100 * row['high']:.2f}]"
    )


def test_one_replicate_has_no_spread():
    table = TABLE.loc[TABLE["replicate"] == 0]
    found = levels_latex(table, verdict(table), name="x")
    assert "pm" not in str(found).split("tabular")[1]
    assert "Test accuracy, mean over n = 1 replicate." in found.caption


def test_unlike_counts_stand_in_the_cells():
    table = TABLE.loc[~((TABLE["arm"] == "reinit") & (TABLE["level"] == 3))
                      | (TABLE["replicate"] < 2)]  # fmt: skip
    found = levels_latex(table, verdict(table), name="x")
    _, _, *rows = read_table(str(found))
    assert rows[3][5].endswith(" (2)")
    assert "n = 2–3 replicates (n in brackets)" in found.caption


def test_what_is_missing_is_a_dash():
    table = TABLE.loc[~((TABLE["arm"] == "reinit") & (TABLE["level"] == 2))]
    _, _, *rows = read_table(str(levels_latex(table, None, name="x")))
    assert rows[2][5] == "--"


def test_chosen_arms_and_levels():
    _, header, *rows = read_table(str(levels(arms=["reinit", "ticket"], levels=[0, 3])))
    assert header[4:] == ["reinit", "ticket"]
    assert [row[0] for row in rows] == ["0", "3"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arms": ["tickt"]}, r"arms: got 'tickt'.*did you mean 'ticket'"),
        ({"levels": [9]}, "levels: got 9, which the run has not trained"),
        ({"levels": []}, "levels: got none"),
        ({"error": "se"}, "error: unknown choice 'se'"),
        ({"label": "a{b"}, "label: got 'a{b'"),
        ({"label": "a b"}, "label: got 'a b'"),
    ],
)
def test_wrong_choices(options, said):
    with pytest.raises(UsageError, match=said):
        str(levels(**options))


def test_nothing_to_print():
    for make in (levels_latex, lambda table, _, name: trainings_latex(table, name=name)):
        with pytest.raises(UsageError, match="nothing to print"):
            make(TABLE.iloc[:0], None, name="x")


def test_a_row_per_training():
    found = str(trainings_latex(TABLE, name="tiny"))
    header, again, *rows = read_table(found)
    assert header == again  # on every page
    assert header[:3] == ["arm", "level", "replicate"]
    assert "draw" not in header  # where there is one of each
    assert len(rows) == len(TABLE)
    assert [row[0] for row in rows] == list(TABLE["arm"])
    drawn = pd.concat([TABLE, TABLE.assign(draw=1)])
    assert "draw" in read_table(str(trainings_latex(drawn, name="tiny")))[0]
    alone, shared = (TABLE.assign(cell=[str(n // by) for n in range(len(TABLE))]) for by in (1, 2))
    assert "that arms share" not in trainings_latex(alone, name="tiny").caption
    assert "has a row in each" in trainings_latex(shared, name="tiny").caption


def test_several_runs():
    other = result_table()
    other = other.assign(test_accuracy=other["test_accuracy"] - 0.05 * (other["level"] > 0))
    about = {"data": "digits", "model": "Net_1", "criterion": "magnitude"}
    verdicts = [
        verdict(TABLE, about=about),
        verdict(other, about={**about, "criterion": "small_final"}),
    ]
    found = runs_latex(verdicts)
    header, one, two = read_table(str(found))
    assert header[:2] == ["run", "criterion"]
    assert "model Net_1" in found.caption
    assert "bfseries" in one[5]
    assert "bfseries" not in "".join(two)
    assert two[1] == r"small\_final"


def test_several_runs_of_a_grid_are_told_apart():
    found = runs_latex([VERDICT, VERDICT], names=["mine", ""], differs=["lr=0.1", "lr=0.2"])
    header, one, other = read_table(str(found))
    assert header[:2] == ["run", "recipe"]
    assert (one[:2], other[:2]) == (["mine", "lr=0.1"], ["tiny-1", "lr=0.2"])
    assert "recipe" not in read_table(str(runs_latex([VERDICT], differs=[""])))[0]


def test_hostile_names_compile():
    table = TABLE.assign(arm=TABLE["arm"].str.replace("reinit", HOSTILE))
    for source in (
        levels_latex(table, None, name=HOSTILE, caption=HOSTILE, remarks=[f"{HOSTILE}\n\\bad"]),
        trainings_latex(table, name=HOSTILE),
    ):
        read_table(str(source))


def broken(found, old, new):
    return str(found).replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\end{tabular}", ""),
        (r"\end{table}", r"\end{tabular}"),
        (" & ", " "),
        (r"(\%)", "(%)"),
        ("100.00", "{100.00"),
    ],
)
def test_a_table_that_does_not_compile_is_caught(old, new):
    read_table(str(levels()))
    with pytest.raises(BadLatexError):
        read_table(broken(levels(), old, new))


def test_a_wide_table_shrinks_to_the_line():
    assert "resizebox" not in str(levels(arms=["ticket"]))
    wide = LatexTable([Column("a" * 70)], [["1"]], "x", "tab:x")
    assert "graphicx" in str(wide)
    read_table(str(wide))


def test_pdflatex_takes_them(tmp_path):
    """Where there is a TeX: the packages that the source names, and no others."""
    if not shutil.which("pdflatex"):
        pytest.skip("no pdflatex")
    table = TABLE.assign(arm=TABLE["arm"].str.replace("reinit", HOSTILE))
    found = [
        levels(),
        levels(error="ci", label="tab:ci"),
        levels_latex(table, None, name=HOSTILE, label="tab:hostile"),
        trainings_latex(table, name=HOSTILE),
        runs_latex([VERDICT]),
    ]
    packages = {name for one in found for names in re.findall(r"% needs \\usepackage\{(.*)\}",
                str(one)) for name in names.split(",")}  # fmt: skip
    parts = [rf"\usepackage{{{','.join(sorted(packages))}}}", r"\begin{document}"]
    source = "\n".join([r"\documentclass{article}", *parts, *map(str, found), r"\end{document}"])
    (tmp_path / "paper.tex").write_text(source)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_the_table_that_the_docs_show_is_one():
    page = (Path(__file__).parents[2] / "docs" / "papers.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```latex\n(.*?)```", page, re.S)
    _, header, *rows = read_table(block)
    assert header[-2:] == ["ticket", "reinit"]
    assert len(rows) == 7
