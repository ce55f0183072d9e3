"""`run`, `plan` and `presets`, on real digits."""

import json
import re
import warnings

import numpy as np
import pytest
from terminals import on_a_terminal
from tiny_command import TINY

from lottery_ticket.store import Store

SETTINGS = [argument for argument in TINY[2:] if argument not in ("--jobs", "--threads", "1")]


def test_run_end_to_end_and_again(lottery, tmp_path):
    before = lottery("plan", "quickstart", *SETTINGS)
    assert before.code == 0
    assert "8 cells (ticket, reinit; 1 replicates), 0 in the store; 228 of 228 steps" in before.out
    assert re.search(r"^about [0-9].* s on this machine", before.out, re.MULTILINE)
    assert not (tmp_path / "store").exists()

    first = lottery(*TINY)
    assert first.code == 0
    assert re.fullmatch(r"quickstart-[0-9a-f]{8}: 8 cells\n", first.err)  # progress
    header = next(line for line in first.out.splitlines() if line.startswith("level"))
    assert re.split(r"\s{2,}", header.strip()) == [
        "level", "density", "sparsity", "kept", "ticket (%)", "reinit (%)",
        "ticket − dense (points)", "ticket − reinit (points)",
    ]  # fmt: skip
    assert re.search(r"^2 +49\.05 % +50\.95 % +463 ", first.out, re.MULTILINE)
    (run_id,) = re.findall(r"results: .*store \(run (quickstart-[0-9a-f]{8})\)", first.out)
    assert "8 cells made in " in first.out
    assert "validation loss still falling at the end of " in first.out
    assert re.search(r"train longer to know \(--set train\.duration=\d+(ep|it)\)", first.out)
    assert f"figures: lottery plot {run_id} --out figures\n" in first.out

    second = lottery(*TINY)
    assert second.code == 0
    assert "0 cells made in " in second.out
    assert "8 found in the store" in second.out

    after = lottery("plan", "quickstart", *SETTINGS)
    assert "8 in the store; 0 of 228 steps to train" in after.out
    assert "on this machine" not in after.out
    assert run_id in after.out


def test_plan_as_json(ready):
    said = ready("plan", "quickstart", *SETTINGS, "--json")
    values = json.loads(said.out)
    assert (values["num_cells"], values["num_finished"], values["steps_to_train"]) == (8, 8, 0)
    assert [level["num_kept"] for level in values["levels"]] == [944, 661, 463]
    assert values["estimated_seconds"] == 0
    assert len(values["cells"]) == 8
    assert all(cell["finished"] for cell in values["cells"])
    assert {cell["kind"] for cell in values["cells"]} == {"train", "mask"}


def test_plan_of_many_workers(lottery, tmp_path):
    said = lottery("plan", "quickstart", *SETTINGS, "--workers", "1, 8", "--price", "0.5")
    assert said.code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in said.out.splitlines()]
    (header,) = (row for row in rows if row[0] == "workers")
    assert header == [
        "workers", "takes", "busy", "cost", "requests/s", "at peak", "bytes/s", "at the peak",
        "bound by",
    ]  # fmt: skip
    (one,), (eight,) = (
        [row for row in rows if row[0] == number and len(row) == len(header)]
        for number in ("1", "8")
    )
    assert (one[-1], eight[-1]) == ("store", "store")
    assert re.search("^critical path: .* s, ticket levels 0–", said.out, re.MULTILINE)
    assert "assumed: workers as quick as this machine" in said.out
    assert not (tmp_path / "store").exists()


def test_plan_of_many_workers_as_json(lottery):
    options = ["--workers", "1,8", "--losses", "0.5", "--latency", "0.01", "--bandwidth", "10"]
    values = json.loads(lottery("plan", "quickstart", *SETTINGS, *options, "--json").out)
    assert [found["num_workers"] for found in values["forecasts"]] == [1, 8]
    assert [found["num_cells"] for found in values["forecasts"]] == [8, 8]
    assert [found["cost"] for found in values["forecasts"]] == [None, None]
    assumed = values["assumed"]
    assert (assumed["losses_per_hour"], assumed["bytes_per_second"]) == (0.5, 1e7)
    assert (assumed["request_seconds"], assumed["claim_seconds"]) == (0.01, 0.04)


def test_workers_have_nothing_to_do_where_all_is_done(ready):
    said = ready("plan", "quickstart", *SETTINGS, "--workers", "8", "--json")
    (found,) = json.loads(said.out)["forecasts"]
    assert (found["num_cells"], found["makespan_seconds"]) == (0, 0)
    assert ready("plan", "quickstart", *SETTINGS, "--workers", "8").code == 0


def test_workers_take_as_long_as_finished_cells_did(ready, tmp_path):
    """Of two replicates one is finished: each cell of the other is like one that was measured."""
    more = ["--set", "replicates=2", "--workers", "1", "--json"]
    (found,) = json.loads(ready("plan", "quickstart", *SETTINGS, *more).out)["forecasts"]
    cells = Store(tmp_path / "store").cells().values()
    assert found["num_cells"] == 8
    assert found["work_seconds"] == pytest.approx(sum(c.execution["train_seconds"] for c in cells))


def test_warnings_are_printed_as_text(lottery, tmp_path):
    np.savez(tmp_path / "noise.npz", x=np.zeros((40, 3, 32, 32), "float32"), y=np.arange(40) % 10)
    (tmp_path / "spec.yaml").write_text(
        f"name: few\ndata: {{name: arrays, path: {tmp_path / 'noise.npz'}}}\n"
        "model: {name: Conv4, width: 0.0625}\ntrain: {lr: 0.1, batch_size: 16, duration: 2it}\n"
        "prune: {scope: channel, densities: [0.05]}\narms: [ticket]\n"
    )
    shown = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as for a user; in tests a warning is an error
        said = lottery("plan", tmp_path / "spec.yaml")
    assert said.code == 0
    assert "15.32 %" in said.out
    assert said.err == (
        "warning: prune: level 1: asked to keep 56 of 1,116 weights (density 0.05), kept 171 "
        "(0.1532): each layer keeps at least one channel\n"
    )
    assert warnings.showwarning is shown


def test_quiet_prints_the_id_alone(ready, tmp_path):
    said = ready(*TINY, "--quiet")
    (run,) = Store(tmp_path / "store").runs()
    assert (said.code, said.out, said.err) == (0, f"{run.id}\n", "")


def test_the_store_that_was_asked_for_is_said_in_what_to_do_next(lottery, tmp_path):
    other = tmp_path / "a folder" / "lottery_runs"
    said = lottery(*TINY, "--store", other)
    assert said.code == 0
    assert f"--out figures --store '{other}'\n" in said.out
    assert Store(other).runs()
    assert not (tmp_path / "store").exists()


def test_presets(lottery, tmp_path):
    listed = lottery("presets")
    assert listed.code == 0
    for name in ("quickstart", "lenet-mnist", "sin-regression"):
        assert name in listed.out
    printed = lottery("presets", "quickstart")
    (tmp_path / "mine.yaml").write_text(printed.out)
    said = lottery("plan", "mine.yaml", "--json")
    assert said.code == 0
    assert json.loads(said.out)["run"] == json.loads(
        lottery("plan", "quickstart", "--json").out
    )["run"]  # fmt: skip
    assert lottery("run", "mine.yaml", *TINY[2:]).code == 0


def test_an_option_that_is_off_names_the_same_cells(lottery):
    plain, off = (
        json.loads(lottery("plan", "quickstart", *SETTINGS, "--json", *more).out)["cells"]
        for more in ([], ["--set", "train.nesterov=false", "--set", "train.clip_norm=null"])
    )
    assert [cell["cell"] for cell in plain] == [cell["cell"] for cell in off]


WRONG = {
    "a preset": (["run", "quickstrat"], "did you mean 'quickstart'?"),
    "a key": (["run", "quickstart", "--set", "train.momentm=1"], "did you mean 'momentum'?"),
    "a type": (["run", "quickstart", "--set", "replicates=x"], "got 'x' (str), wanted a whole"),
    "no spec": (["run"], "Missing argument 'SPEC'"),
    "no run": (["rm"], "Missing argument 'RUN'"),
    "an option": (["run", "quickstart", "--job", "1"], "No such option: --job"),
    "a key as an option": (["run", "quickstart", "--replicates", "3"], "write --set replicates=3"),
    "a key with =": (["plan", "quickstart", "--batch-size=32"], "write --set train.batch_size=32"),
    "a dotted key": (["submit", "quickstart", "--prune.rate", "0.2"], "write --set prune.rate=0.2"),
    "a key without": (["retrain", "last", "--level", "1", "--seed"], "write --set seed=…"),
    "other words": (["run", "quickstart", "--epochs", "9"], "write train.duration=30ep"),
    "a command": (["rnu"], "No such command 'rnu'"),
    "jobs": (["run", "quickstart", "--jobs", "0"], "jobs: got 0, wanted at least 1"),
    "threads": (["run", "quickstart", "--threads", "-1"], "threads: got -1, wanted at least 1"),
    "keep": (["run", "quickstart", "--keep", "al"], "keep: unknown choice 'al'"),
    "claims": (["run", "quickstart", "--claims", "leases"], "claims: unknown choice 'leases'; did"),
    "a device": (["run", "quickstart", "--device", "tpu"], "device 'tpu' is not available here"),
    "a file": (["run", "none.yaml"], "none.yaml: cannot read the spec"),
    "a module": (["run", "quickstart", "--import", "none.py"], "none.py: no such file"),
    "a loss": (["run", "quickstart", "--set", "train.loss=mse"], "does not fit 'digits'"),
    "other data": (
        ["run", "quickstart", "--set", "data.name=sin"],
        "a regression; use mse, as the preset 'sin-regression' does",
    ),
    "a warm-up": (
        ["run", "quickstart", "--set", "train.warmup=999it"],
        "train.warmup: got '999it', wanted less than train.duration, '8ep' (152 steps)",
    ),
    "no workers": (["plan", "quickstart", "--workers", "0"], "got '0', wanted whole numbers"),
    "a word": (["plan", "quickstart", "--workers", "8,many"], "--workers 8,many: got 'many'"),
    "no comma": (["plan", "quickstart", "--workers", "8;16"], "--workers 8;16: got '8;16'"),
    "a price": (
        ["plan", "quickstart", "--workers", "8", "--price", "-1"],
        "--price: got -1, wanted a number, 0 or more",
    ),
    "no bandwidth": (
        ["plan", "quickstart", "--workers", "8", "--bandwidth", "0"],
        "--bandwidth: got 0, wanted more than 0 MB per second",
    ),
    "no latency": (
        ["plan", "quickstart", "--workers", "8", "--latency", "nan"],
        "--latency: got nan, wanted a number, 0 or more",
    ),
    "losses of nobody": (
        ["plan", "quickstart", "--losses", "1"],
        "--losses: goes with --workers, such as --workers 1,8,64",
    ),
    "losses without end": (
        ["plan", "quickstart", "--workers", "8", "--losses", "1e9"],
        "losses: got 1e+09 per worker-hour, wanted fewer",
    ),
    "a width": (["run", "quickstart", "--set", "model.hidden=[2, 1.5]"], "wanted a whole number"),
    "a date": (["run", "quickstart", "--set", "name=2024-13-45"], "not valid YAML: month must"),
    "a table": (["table", "last"], "no runs here; start one with `lottery run quickstart`"),
    "a preset to print": (["presets", "quick"], "no preset 'quick'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_usage_exits_with_2_before_any_work(what, lottery, tmp_path):
    arguments, message = WRONG[what]
    said = lottery(*arguments)
    assert said.code == 2
    assert message in " ".join(said.err.split())
    assert said.out == ""
    assert not (tmp_path / "store").exists()


def test_a_store_that_machines_share_is_asked_for_once(lottery, tmp_path, monkeypatch):
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", "5")
    asked = ["--claims", "lease"]
    assert lottery(*TINY, *asked).code == 0
    made = json.loads((tmp_path / "store" / "format.json").read_text())
    assert made == {"format": "lottery_ticket.store", "version": 2}
    assert lottery(*TINY).code == lottery(*TINY, *asked).code == 0
    said = lottery(*TINY, "--claims", "lock")
    assert said.code == 2
    assert "the store holds its claims by lease, and has results" in said.err
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", "never")
    said = lottery("list")
    assert (said.code, "LOTTERY_LEASE_SECONDS: got 'never'" in said.err) == (2, True)
    monkeypatch.delenv("LOTTERY_LEASE_SECONDS")
    assert lottery("rm", "last", "--yes").code == 0


def test_cuda_on_a_machine_without(lottery):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has it")
    said = lottery("run", "quickstart", "--device", "cuda")
    assert (said.code, said.err) == (
        2, "error: device 'cuda' is not available here; available: ['cpu']\n",
    )  # fmt: skip


def test_a_failure_exits_with_1(lottery, tmp_path):
    said = lottery("run", "lenet-mnist", "--data-dir", tmp_path / "nowhere")
    assert said.code == 1
    assert "mnist: cannot find train-images-idx3-ubyte" in said.err
    (tmp_path / "file").write_text("x")
    for command in (["list"], ["verify"], ["gc"], ["run", "quickstart"]):
        said = lottery(*command, "--store", tmp_path / "file")
        assert (said.code, said.out) == (1, "")
        assert said.err.endswith("file: not a folder; choose another with --store\n")


def test_a_training_that_goes_wrong_exits_with_1(lottery):
    said = lottery(*TINY, "--set", "train.lr=1e30", "--set", "arms=[ticket]")
    assert said.code == 1
    assert "ticket level 0, replicate 0: " in said.err
    assert "4 cells could not be made after that" in said.err


def test_bars_on_a_terminal(lottery):
    code, said = on_a_terminal(*TINY)
    assert code == 0
    assert re.search("quickstart-[0-9a-f]{8}.*━.*%", said)
    assert "8 cells made in" in said
    assert "Traceback" not in said
