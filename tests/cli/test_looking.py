"""`list`, `table`, `plot`, `doctor`: looking at what is there."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminals import on_a_terminal

from lottery_ticket import load_run
from lottery_ticket.errors import UsageError
from lottery_ticket.store import SCHEMA_VERSION, TABLE_COLUMNS, Store


def test_list(ready, tmp_path):
    (run,) = Store(tmp_path / "store").runs()
    said = ready("list")
    assert said.code == 0
    header, line = said.out.splitlines()
    assert header.split() == ["run", "data", "model", "arms", "replicates", "finished", "created"]
    assert re.split(r"\s{2,}", line.strip())[:6] == [
        run.id, "digits", "LeNet300", "ticket, reinit", "1", "8 of 8",
    ]  # fmt: skip
    (row,) = json.loads(ready("list", "--json").out)
    assert (row["run"], row["finished"], row["cells"]) == (run.id, 8, 8)
    assert row["arms"] == ["ticket", "reinit"]


def test_an_empty_store(lottery, tmp_path):
    said = lottery("list")
    assert said.code == 0
    assert "no runs yet; start one with `lottery run quickstart`" in " ".join(said.out.split())
    assert lottery("list", "--json").out == "[]\n"
    assert not (tmp_path / "store").exists()


def test_table_as_json(ready):
    rows = json.loads(ready("table", "--format", "json").out)
    assert len(rows) == 6
    for row in rows:
        assert list(row) == list(TABLE_COLUMNS)
        assert row["schema_version"] == SCHEMA_VERSION
        assert 0 < row["test_accuracy"] < 1
        # digits have a validation split, and are evaluated last at the end
        assert row["is_still_falling"] == (row["early_stop_step"] == row["num_steps"])
    assert [(row["arm"], row["level"]) for row in rows] == [
        (arm, level) for arm in ("ticket", "reinit") for level in range(3)
    ]


def test_table_as_csv_is_the_same_table(ready):
    text = ready("table", "--format", "csv").out
    rows = list(csv.DictReader(text.splitlines()))
    assert text.splitlines()[0] == ",".join(TABLE_COLUMNS)
    values = json.loads(ready("table", "--format", "json").out)
    read = TABLE_COLUMNS | {"is_still_falling": {"True": True, "False": False}.get}
    for row, full in zip(rows, values, strict=True):
        for column, kind in read.items():
            expected = full[column]
            assert (kind(row[column]) if row[column] else None) == expected, column


def test_what_was_not_measured_is_null(lottery):
    sets = ["replicates=1", "prune.levels=1", "arms=[ticket]", "train.duration=30it"]
    sets += ["train.eval_every=10it", "model.hidden=[5]"]
    options = [part for setting in sets for part in ("--set", setting)]
    said = lottery("run", "sin-regression", "--jobs", "1", "--threads", "1", *options)
    assert said.code == 0
    assert "test loss, mean ± sd (n)" in said.out
    rows = json.loads(lottery("table", "--format", "json").out)
    assert [row["test_accuracy"] for row in rows] == [None, None]
    assert all(row["test_loss"] > 0 for row in rows)
    (line, *_) = csv.DictReader(lottery("table", "--format", "csv").out.splitlines())
    assert line["test_accuracy"] == ""
    assert " – " in lottery("table").out
    assert "still falling" not in lottery("table").out  # there is no validation split
    assert "still falling" not in lottery("table", "--summary").out + said.out
    (level, *_) = json.loads(lottery("table", "--summary", "--format", "json").out)
    assert level["ticket_sd"] is None


def test_table_as_text_and_markdown(ready, tmp_path):
    (run,) = Store(tmp_path / "store").runs()
    text = ready("table", run.id, "--format", "text").out.splitlines()
    assert text[0].strip() == f"{run.id}, LeNet300 (hidden=[12, 8])"
    assert len(text) == 2 + 6 + 1
    assert text[1].split()[:5] == ["arm", "level", "replicate", "draw", "density"]
    header, rule, *lines = ready("table", run.id[:12], "--format", "markdown").out.splitlines()
    assert header == f"| {' | '.join(TABLE_COLUMNS)} |"
    assert rule == f"|{' --- |' * len(TABLE_COLUMNS)}"
    assert len(lines) == 6


def test_an_early_stop_step_that_is_a_lower_bound_is_marked(ready):
    rows = json.loads(ready("table", "--format", "json").out)
    flags = [row["is_still_falling"] for row in rows]
    assert any(flags)
    *lines, note = ready("table").out.splitlines()
    assert note == "+ a lower bound: the validation loss was still falling at the end"
    steps = [line.split()[10] for line in lines[2:]]
    assert [step.endswith("+") for step in steps] == flags
    assert [int(step.rstrip("+")) for step in steps] == [row["early_stop_step"] for row in rows]
    said = f"still falling at the end of {sum(flags)} of {len(flags)} trainings: these nets"
    assert said in ready("table", "--summary").out
    column = list(TABLE_COLUMNS).index("is_still_falling")
    for flag, line in zip(flags, ready("table", "--format", "markdown").out.splitlines()[2:],
                          strict=True):  # fmt: skip
        assert line.split(" | ")[column] == ("yes" if flag else "no")


def test_summary_in_every_format(ready):
    levels = json.loads(ready("table", "--summary", "--format", "json").out)
    assert [level["level"] for level in levels] == [0, 1, 2]
    assert all(level["ticket_n"] == 1 and level["ticket_sd"] is None for level in levels)
    rows = list(csv.DictReader(ready("table", "--summary", "--format", "csv").out.splitlines()))
    assert list(rows[0]) == list(levels[0])
    for row, level in zip(rows, levels, strict=True):
        assert float(row["ticket_mean"]) == level["ticket_mean"]  # to the last digit
    text = ready("table", "--summary").out
    assert "test accuracy, mean ± sd (n)" in text
    markdown = ready("table", "--summary", "--format", "markdown").out.splitlines()
    assert markdown[0].startswith("| level | density |")
    assert len(markdown) == 2 + 3


def test_a_run_with_nothing_finished(ready, tmp_path):
    store = Store(tmp_path / "store")
    for name in store.cell_names():
        store.discard(name)
    assert ready("table", "--format", "json").out == "[]\n"
    assert ready("table", "--format", "csv").out == ",".join(TABLE_COLUMNS) + "\n"
    for format in ("text", "json", "csv", "markdown"):
        assert ready("table", "--summary", "--format", format).code == 0
    said = ready("plot")
    assert (said.code, said.out) == (2, "")
    assert "nothing to draw yet, no training is finished" in said.err
    assert "0 of 8" in ready("list").out


def test_a_run_that_is_not_there(ready):
    for command in ("table", "plot", "report", "rm"):
        said = ready(command, "quickstart-xyz")
        assert said.code == 2
        assert "no run 'quickstart-xyz'; did you mean 'quickstart-" in said.err


def test_plot(ready, tmp_path):
    said = ready("plot", "last", "--out", tmp_path / "figures")
    assert (said.code, said.err) == (0, "")
    paths = [Path(line) for line in said.out.splitlines()]
    names = {path.stem for path in paths}
    assert names >= {"accuracy", "loss", "layers", "learning_curves", "inputs", "signs"}
    assert names >= {"verdict", "difference", "early_stop"}
    assert "overlap" not in names  # one replicate
    for path in paths:
        assert path.parent == tmp_path / "figures"
    assert {path.name for path in paths} == {f"{n}.{s}" for n in names for s in ("png", "svg")}
    store = Store(tmp_path / "store")  # fewer figures do for another format
    for row in store.run("last").rows[1:]:
        store.discard(row.cell)
    said = ready("plot", "--out", tmp_path / "vector", "--format", "pdf")
    assert {Path(line).suffix for line in said.out.splitlines()} == {".pdf"}
    assert len(said.out.splitlines()) < len(names)
    said = ready("plot", "--out", tmp_path / "vector", "--format", "gif")
    assert (said.code, said.out) == (2, "")
    assert "'gif' is not one of" in said.err
    (tmp_path / "file").write_text("x")
    said = ready("plot", "last", "--out", tmp_path / "file")
    assert said.code == 2
    assert "file: not a folder; name another one" in said.err


def test_what_to_draw_is_checked_before_a_run_is_read(ready, tmp_path):
    store = Store(tmp_path / "store")
    row = next(row for row in store.run("last").rows if row.arm == "ticket" and row.mask)
    for file in (tmp_path / "store" / "cells" / row.mask[:2] / row.mask).glob("mask*"):
        file.write_bytes(b"damaged")
    assert "damaged" in ready("plot").err  # it cannot be read
    for options, message in (
        (["--only", "accurac"], "there is no figure 'accurac'; did you mean 'accuracy'?"),
        (["--style", "papr"], "did you mean 'paper'?"),
    ):
        said = ready("plot", *options)
        assert (said.code, said.out) == (2, "")
        assert message in said.err
    result = load_run(store=store)
    for wrong in (
        lambda: result.figures(["accurac"]),
        lambda: result.figure("accurac"),
        lambda: result.plot(tmp_path / "new", only=["accurac"]),
        lambda: result.plot(tmp_path / "new", formats=["gfi"]),
        lambda: result.plot(tmp_path / "new", formats="png"),
        lambda: result.figures(style="papr"),
        lambda: result.report(margin=-1),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert not (tmp_path / "new").exists()


def test_on_a_terminal_plot_and_report_say_what_they_do(ready, tmp_path):
    run_id = Store(tmp_path / "store").run("last").id
    for command, did in (("plot", "drawing it"), ("report", "writing the report")):
        code, said = on_a_terminal(command, "last", "--store", str(tmp_path / "store"))
        assert code == 0
        assert f"reading {run_id}, and {did}" in said


def test_report(ready, tmp_path):
    said = ready("report", "last", "--out", tmp_path / "new" / "page.html")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{tmp_path / 'new' / 'page.html'} (")
    page = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "Numbers, but no verdict" in page
    assert "Whom pruning hurts" in page
    assert ready("report").out.startswith("report.html (")
    said = ready("report", "last", "last", "--format", "markdown")
    assert said.out.count("## Numbers, but no verdict") == 2
    assert said.out.endswith("</details>\n")


def test_a_damaged_cell_is_not_listed_as_finished(ready, tmp_path):
    (before,) = json.loads(ready("list", "--json").out)
    assert before["finished"] == before["cells"]
    record = next((tmp_path / "store" / "cells").rglob("record.json"))
    record.write_bytes(record.read_bytes()[:-9])
    (after,) = json.loads(ready("list", "--json").out)
    assert after["finished"] == before["finished"] - 1


def test_classes(ready):
    said = ready("classes")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("At ")
    assert "One replicate does not tell" in " ".join(said.out.split())
    assert max(map(len, said.out.splitlines())) <= 80
    values = json.loads(ready("classes", "--level", "1", "--json").out)
    assert values["level"] == 1
    assert [row["num_images"] for row in values["table"]] == [30] * 10
    mean = sum(row["difference"] for row in values["table"]) / 10
    assert mean == pytest.approx(values["difference"])
    (row,) = (
        row
        for row in json.loads(ready("verdict", "--json").out)["contrasts"]
        if (row["level"], row["control"]) == (1, "dense")
    )
    assert values["difference"] == pytest.approx(row["difference"])
    wrong = ready("classes", "--level", "7")
    assert (wrong.code, wrong.out) == (2, "")
    assert "level: got 7, wanted a ticket that is trained: 1, 2" in wrong.err


def test_a_report_that_cannot_be(ready, tmp_path):
    (tmp_path / "file").write_text("x")
    said = ready("report", "--out", tmp_path / "file" / "page.html")
    assert (said.code, said.out) == (2, "")
    assert "file: not a folder; name another one" in said.err
    said = ready("report", "--margin", "0")
    assert said.code == 2
    for name in Store(tmp_path / "store").cell_names():
        Store(tmp_path / "store").discard(name)
    said = ready("report")
    assert (said.code, said.out) == (2, "")
    assert "nothing to report yet, no training is finished" in said.err
    assert "no run 'other'" in ready("report", "other").err


def test_doctor(ready, tmp_path):
    said = ready("doctor")
    assert said.code == 0
    assert "nothing is missing that `lottery run quickstart` needs" in said.out
    assert "(1 runs, 8 cells)" in said.out
    findings = json.loads(ready("doctor", "--json").out)
    assert findings["store"] == f"{tmp_path / 'store'} (1 runs, 8 cells)"
    assert findings["packages"]["torch"]
    assert findings["devices"]
    assert set(findings["data"]) >= {"mnist", "fashion-mnist", "cifar10"}


def test_doctor_without_a_store_and_with_a_damaged_one(lottery, tmp_path):
    assert "(made by the first run)" in json.loads(lottery("doctor", "--json").out)["store"]
    assert not (tmp_path / "store").exists()
    (tmp_path / "store").write_text("x")
    said = lottery("doctor", "--json")
    assert said.code == 0
    assert "not a folder" in json.loads(said.out)["store"]


def test_an_id_is_never_cut_short_however_narrow_the_terminal(ready, tmp_path):
    (run,) = Store(tmp_path / "store").runs()
    code, said = on_a_terminal("list", env={**os.environ, "COLUMNS": "40"})
    assert code == 0
    assert run.id in said


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_pipe_that_knows_no_minus_sign(encoding, ready):
    line = [sys.executable, "-m", "lottery_ticket.cli", "table"]
    done = subprocess.run(
        [*line, "--summary"], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"test accuracy, mean" in done.stdout
