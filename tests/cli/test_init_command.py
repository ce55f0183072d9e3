"""`lottery init`: asked on a terminal, told by options, and run as it is written."""

import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from terminals import on_a_terminal

from lottery_ticket.starter import template

FLAGS = ("--rate", "0.5", "--levels", "1", "--epochs", "1", "--replicates", "1")


def asked(*arguments: object, typed: str = "") -> tuple[int, str]:
    """How `lottery init` ended on a terminal, and what it said."""
    env = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    return on_a_terminal("init", *map(str, arguments), typed=typed, env=env)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def slow(*said):
    """Words of one kind more of those that the others stand for."""
    return pytest.param(said, marks=pytest.mark.slow)


def write_arrays(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    x = draw.random((80, 6), dtype=np.float32)
    np.savez(folder / "mine data.npz", x=x, y=(x.sum(1) > 3).astype(int))
    np.savez(folder / "numbers.npz", x=x, y=x[:, :2])
    (folder / "parts").mkdir()
    np.save(folder / "parts" / "x.npy", x)
    np.save(folder / "parts" / "y.npy", (x[:, 0] > 0.5).astype(int))
    return folder


CODE = """
import torch
from torch import nn
from lottery_ticket import register_model
from lottery_ticket.data import DataSet, Split, content_digest, register_dataset

@register_dataset("pairs")
def pairs(data_dir, num_examples: int = 60):
    x = torch.arange(2.0 * num_examples).reshape(-1, 2) / num_examples
    y = (x[:, 0] > 1).long()
    both = Split(x, y)
    return DataSet("pairs", both, None, both, "classification", 2, content_digest({"x": x}))

@register_model("twin")
def twin(num_classes: int):
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, num_classes))
"""


def test_five_questions_on_a_terminal(folder, lottery):
    typed = "digits\nMLP hidden=[8]\n0.5 2\n1 0.01 64\nreinit,shuffled 2\n"
    code, said = asked(typed=typed)
    assert code == 0, said
    for question in (
        "1. Which data?",
        "2. Which model?",
        "3. How much",
        "4. How long",
        "5. Against",
    ):
        assert said.count(question) == 1
    assert "kept: 100, 50, 25 % of the weights" in said
    assert "16 trainings" in said
    text = (folder / "digits-mlp.yaml").read_text()
    for line in ("name: digits", "hidden: [8]", "rate: 0.5", "- shuffled", "duration: 1ep"):
        assert line in text
    assert "16.6" not in said.partition("wrote")[2]
    run = lottery("run", "digits-mlp.yaml", "--jobs", 1, "--threads", 1, "--quiet")
    assert run.code == 0, run.err


@pytest.mark.slow
def test_an_answer_that_does_not_fit_is_asked_for_again(folder):
    typed = "digts\ndigits\nConv4\nMLP\n2 1\n0.5 x\n0.5 1\n0 1 1\n1 0.01 64\nnobody 1\nnone 1\n"
    code, said = asked(typed=typed)
    assert code == 0, said
    for problem in (
        "did you mean 'digits'", "does not take examples of 'digits'", "0.02",
        "wanted a whole number", "no control is called 'nobody'",
    ):  # fmt: skip
        assert problem in " ".join(said.split()), problem
    assert len(list(folder.iterdir())) == 1


@pytest.mark.slow
def test_enter_takes_what_is_suggested(folder):
    code, said = asked("mine.yaml", "--epochs", 1, typed="\n\n\n\n")
    assert code == 0, said
    assert [path.name for path in folder.iterdir()] == ["mine.yaml"]
    assert "name: mine" in (folder / "mine.yaml").read_text()


def test_the_end_of_the_input_leaves_nothing(folder):
    code, said = asked(typed="digits\n\x04")
    assert code == 2
    assert "the input ended" in said
    assert "Traceback" not in said
    assert list(folder.iterdir()) == []


def test_ctrl_c_leaves_nothing(folder):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "lottery_ticket.cli", "init"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"new\n")
    said = b""
    while b"2. Which model?" not in said:  # a template is aside by now
        said += os.read(master, 10_000)
    process.send_signal(signal.SIGINT)
    while part := _read(master):
        said += part
    os.close(master)
    assert process.wait() == 130
    assert b"nothing was written" in said
    assert b"Traceback" not in said
    assert list(folder.iterdir()) == []


def _read(master: int) -> bytes:
    try:
        return os.read(master, 10_000)
    except OSError:
        return b""


@pytest.mark.parametrize(
    "said",
    [
        slow("--data", "digits", "--model", "MLP hidden=[4]"),
        ("--data", "sin"),
        slow("--data", "mine data.npz"),
        ("--data", "'mine data.npz' limit=40"),
        slow("--data", "numbers.npz", "--controls", "none"),
        slow("--data", "parts"),
        slow("--data", "code.py", "--model", "code.py"),
        ("--data", "pairs", "--model", "twin", "--import", "code.py"),
        ("--data", "new", "--model", "new"),
        slow("--data", "new"),
        slow("--data", "digits", "--model", "new", "--optimizer", "sgd"),
    ],
    ids=lambda said: " ".join(said),
)
def test_each_kind_of_data_and_model_runs_as_written(said, folder, lottery):
    write_arrays(folder)
    (folder / "code.py").write_text(CODE)
    done = lottery("init", "first.yaml", "--yes", *FLAGS, *said)
    assert done.code == 0, done.err
    command = done.out.partition("do it: lottery ")[2].split("\n")[0].split()
    how = ("--jobs", "1", "--threads", "1", "--quiet")
    # in a process of its own, that knows nothing of what was registered here
    line = [sys.executable, "-m", "lottery_ticket.cli", *command, *how]
    run = subprocess.run(line, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("first-")
    plan = lottery("plan", *command[1:])
    assert "0 of" in plan.out, plan.out + plan.err


def test_nothing_is_replaced_unless_it_is_said(folder, lottery):
    file = folder / "mine.yaml"
    file.write_text("precious")
    refused = lottery("init", "mine.yaml", "--yes")
    assert refused.code == 2
    assert "--force" in refused.err
    assert file.read_text() == "precious"
    assert lottery("init", "mine.yaml", "--yes", "--force", "--data", "sin").code == 0
    assert "name: sin" in file.read_text()
    for _ in range(2):  # without a name a free one is taken
        assert lottery("init", "--yes", "--data", "sin").code == 0
    assert {path.name for path in folder.glob("sin*")} == {"sin-mlp.yaml", "sin-mlp-2.yaml"}


@pytest.mark.slow
def test_code_is_put_back_where_the_spec_cannot_be_written(folder):
    code = folder / "mine_code.py"
    code.write_text("precious")
    most = (
        len(template(code.name, data=True, model=True).encode()) + 1
    )  # bytes that a file may have
    command = [sys.executable, "-m", "lottery_ticket.cli", "init", "mine.yaml", "--yes"]
    words = [*command, "--data", "new", "--model", "new"]

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    for more in ([], ["--force"]):
        if not more:
            code.rename(folder / "aside")
        done = subprocess.run(
            [*words, *more], preexec_fn=small_files, capture_output=True, text=True
        )
        assert done.returncode == 1, done.stderr
        assert "mine.yaml: cannot be written" in done.stderr
        if not more:
            assert [path.name for path in folder.iterdir()] == ["aside"]
            (folder / "aside").rename(code)
    assert [path.name for path in folder.iterdir()] == ["mine_code.py"]
    assert code.read_text() == "precious"


def test_where_the_data_are_is_in_the_commands(folder, lottery):
    away = folder / "my data"
    away.mkdir()
    x = np.random.default_rng(0).random((60, 4), dtype=np.float32)
    np.savez(away / "mine.npz", x=x, y=np.arange(60) % 2)
    (folder / "code.py").write_text(
        "import numpy as np, torch\n"
        "from lottery_ticket.data import DataSet, Split, content_digest, register_dataset\n"
        "@register_dataset('in-folder')\n"
        "def in_folder(data_dir):\n"
        "    found = np.load(f'{data_dir}/mine.npz')\n"
        "    x, y = torch.tensor(found['x']), torch.tensor(found['y'])\n"
        "    both = Split(x, y)\n"
        "    digest = content_digest({'x': x})\n"
        "    return DataSet('in-folder', both, None, both, 'classification', 2, digest)\n"
    )
    done = lottery(
        "init", "first.yaml", "--yes", *FLAGS, "--data", "code.py", "--data-dir", "my data"
    )
    assert done.code == 0, done.err
    told = {line.partition("lottery ")[2] for line in done.out.splitlines() if ": lottery " in line}
    text = (folder / "first.yaml").read_text()
    noted = [line.partition("lottery ")[2] for line in text.splitlines()]
    assert len(told) == 2
    assert told <= set(noted)
    for command in told:
        words = shlex.split(command)
        assert lottery(*words, "--jobs", "1", "--threads", "1").code == 0


@pytest.mark.parametrize("controls", [",,", "reinit,", "", " , "])
def test_controls_without_a_name_are_called_so(controls, folder, lottery):
    done = lottery("init", "--yes", "--controls", controls)
    assert done.code == 2
    assert f"--controls: got {controls!r}, wanted names" in done.err
    assert lottery("init", "--yes", "--controls", "reinit , shuffled", "--data", "sin").code == 0
    assert "- shuffled" in (folder / "sin-mlp.yaml").read_text()


def test_sgd_has_a_recipe_of_its_own(folder, lottery):
    how = ("--yes", "--optimizer", "sgd", "--rate", "0.5", "--levels", "1", "--replicates", "1")
    assert lottery("init", "mine.yaml", *how, "--controls", "none", "--epochs", "10").code == 0
    text = (folder / "mine.yaml").read_text()
    assert "momentum: 0.9" in text
    done = lottery("run", "mine.yaml", "--jobs", "1", "--threads", "1", "--quiet")
    assert done.code == 0, done.err
    table = lottery("table", "last", "--format", "json")
    assert min(row["test_accuracy"] for row in json.loads(table.out)) > 0.9


def test_code_that_is_there_is_not_replaced_either(folder, lottery):
    code = folder / "mine_code.py"
    code.write_text("precious")
    refused = lottery("init", "mine.yaml", "--yes", "--data", "new")
    assert refused.code == 2
    assert "mine_code.py" in refused.err
    assert code.read_text() == "precious"
    assert not (folder / "mine.yaml").exists()


def test_where_nobody_can_be_asked_the_options_are_named(folder, lottery):
    done = subprocess.run(
        [sys.executable, "-m", "lottery_ticket.cli", "init", "--model", "MLP"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    for flag in ("--data", "--rate", "--levels", "--epochs", "--controls", "--yes"):
        assert flag in done.stderr
    assert "--model" not in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (("--data", "nowhere.npz"), "cannot find nowhere.npz"),
        (("--rate", "3"), "prune.rate"),
        (("--levels", "0"), "prune.levels"),
        (("--epochs", "0"), "duration"),
        (("--optimizer", "sdg"), "did you mean 'sgd'"),
        (("--controls", "reinitt"), "did you mean 'reinit'"),
        (("mine.txt",), "ends in .yaml"),
        (("no/such/folder/mine.yaml",), "no folder"),
    ],
    ids=lambda said: " ".join(said) if isinstance(said, tuple) else said,
)
def test_what_does_not_fit_is_said_and_nothing_written(said, why, folder, lottery):
    done = lottery("init", "--yes", *said)
    assert done.code == 2 or "cannot find" in why
    assert done.code in (1, 2)
    assert why in done.err
    assert "Traceback" not in done.err
    assert list(folder.iterdir()) == []
