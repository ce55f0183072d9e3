"""The examples run as a user runs them, in a short form on real data."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lottery_ticket.process import random_state_kept

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_here(name, monkeypatch, capsys, *arguments):
    """In this process, which has started torch already."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with random_state_kept():
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def check_search(out, table, num_prunable, num_kept):
    assert f"{num_kept:,} weights kept, density 10.00 %, sparsity 90.00 %" in out
    assert "INVALID" not in out
    rows = pd.read_csv(table)
    ticket = rows[rows["arm"] == "ticket"]
    assert ticket["level"].tolist() == [0, 1, 2, 3, 4]
    assert ticket["num_kept"].iloc[[0, -1]].tolist() == [num_prunable, num_kept]
    reinit = rows[rows["arm"] == "reinit"]
    assert reinit["num_kept"].tolist() == [num_kept]
    return ticket["test_accuracy"].tolist(), reinit["test_accuracy"].item()


@pytest.mark.slow
def test_conv4_on_cifar10(cifar_dir, tmp_path):
    out = run(
        "conv4_cifar10.py", "--data-dir", cifar_dir, "--device", "cpu", "--seeds", 1,
        "--epochs", 1, "--num-images", 130, "--out", tmp_path / "table.csv",
    )  # fmt: skip
    check_search(out, tmp_path / "table.csv", 341_696, 34_170)
    assert re.search(r"ticket − reinit: [+-][\d.]+ points", out)


def test_lenet300_on_mnist(data_dir, tmp_path, monkeypatch, capsys):
    out = run_here(
        "lenet300_mnist.py", monkeypatch, capsys,
        "--data-dir", data_dir, "--device", "cpu", "--seeds", 1,
        "--epochs", 1, "--num-images", 6000, "--out", tmp_path / "table.csv",
    )  # fmt: skip
    ticket, reinit = check_search(out, tmp_path / "table.csv", 266_200, 26_620)
    assert min(ticket) > 0.8
    assert ticket[-1] > reinit, "the ticket learns more in one epoch than fresh weights"


def test_a_loop_of_ones_own():
    out = run("your_own_loop.py", "--epochs", 6, "--levels", 2)
    found = re.findall(r"level \d: density +([\d.]+) %, +([\d,]+) weights, .* ([\d.]+) %", out)
    assert [(density, kept) for density, kept, _ in found] == [
        ("100.00", "7,400"),
        ("50.00", "3,700"),
        ("25.00", "1,850"),
    ]
    assert all(float(accuracy) > 90 for _, _, accuracy in found)
