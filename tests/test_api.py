"""From Python what the command line does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lottery_ticket
from lottery_ticket.api import RunResult, prepare
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment import num_devices
from lottery_ticket.spec import canonical, load_spec
from lottery_ticket.store import TABLE_COLUMNS, LocalStore

TINY = ["replicates=1", "prune.levels=1", "train.duration=1ep", "model.hidden=[12, 8]"]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    store = tmp_path_factory.mktemp("api") / "store"
    return lottery_ticket.run("quickstart", overrides=TINY, store=store, jobs=1, threads=1)


def test_a_result_is_a_table_a_summary_and_figures(result, tmp_path):
    assert len(result.rows) == 4 == len(result.table)
    assert list(result.table.columns) == list(TABLE_COLUMNS)
    assert [(row["arm"], row["level"]) for row in result.rows] == [
        ("ticket", 0), ("ticket", 1), ("reinit", 0), ("reinit", 1),
    ]  # fmt: skip
    assert list(result.summary["level"]) == [0, 1]
    assert result.summary["ticket_mean"][0] == result.rows[0]["test_accuracy"]
    paths = result.plot(tmp_path / "figures", formats=["png"])
    assert paths
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert repr(result) == f"RunResult({result.id!r}, 4 of 4 trainings finished)"
    assert (result.outcome.num_made, result.outcome.is_complete) == (5, True)


def test_a_result_is_judged(result):
    found = result.verdict()
    assert (found.run, found.label) == (result.id, "no verdict")  # n = 1
    assert (found.margin_stated, found.num_test) == (1, 300)
    assert result.verdict(margin=2.5).margin == 0.025
    assert set(found.about) == {"data", "model", "criterion", "scope", "rewind"}


class Counting(LocalStore):
    """A store that counts how often its cells are looked through."""

    num_looks = 0

    def cells(self, wanted=None):
        self.num_looks += 1
        return super().cells(wanted)


def test_a_result_looks_into_its_store_once(result):
    store = Counting(result.store.root)
    looked = RunResult(store, result.record)
    for _ in range(2):
        assert looked.table.equals(result.table)
        assert looked.summary.equals(result.summary)
        assert str(looked.verdict()) == str(result.verdict())
        assert looked.verdict(5.0).margin != looked.verdict().margin
        assert repr(looked) == repr(result)
    assert store.num_looks == 1
    looked.rows[0]["test_accuracy"] = None  # a copy: what was read stays as it was
    assert looked.table.equals(result.table)


def test_probes_are_seen_once_they_are_measured(result):
    assert "evaluate" not in set(result.probes.get("probe", ()))
    measured = result.evaluate(split="train", progress=False)
    assert len(result.probes) == len(measured) > 0


def test_a_verdict_says_the_options_of_its_criterion(tmp_path):
    criterion = "prune.criterion={grasp: {temperature: 100.0}}"
    found = lottery_ticket.run("quickstart", overrides=[*TINY, criterion], store=tmp_path, jobs=1)
    assert found.verdict().about["criterion"] == "grasp (temperature=100.0)"


def test_a_metric_that_was_never_a_number_is_named(forgotten, tmp_path):
    lottery_ticket.register_metric("nan")(lambda outputs, targets: torch.tensor(float("nan")))
    changes = [*TINY, "train.metric=nan"]
    found = lottery_ticket.run("quickstart", overrides=changes, store=tmp_path / "store", jobs=1)
    said = r"the metric 'nan' was no number \(NaN or infinite\) in any of 4 trainings, so"
    for look in (found.verdict, found.report, lambda: found.plot(tmp_path / "figures")):
        with pytest.raises(UsageError, match=f"{found.id}: {said}"):
            look()
    assert found.pruned_model(1).facts["verdict"].startswith("the metric 'nan' was no number")


def test_load_run(result):
    for reference in ("last", result.id, result.id[:12]):
        loaded = lottery_ticket.load_run(reference, store=result.store.root)
        assert (loaded.id, loaded.outcome) == (result.id, None)
        assert loaded.rows == result.rows
    with pytest.raises(UsageError, match="no run 'other'"):
        lottery_ticket.load_run("other", store=result.store.root)


def test_a_mapping_and_a_spec_are_the_same_run(result):
    spec = load_spec("quickstart", TINY)
    for same in (spec, canonical(spec)):
        again = lottery_ticket.run(same, store=result.store.root, jobs=1, threads=1)
        assert again.id == result.id
        assert again.outcome.num_made == 0


def test_the_store_of_the_environment(monkeypatch, result):
    monkeypatch.setenv("LOTTERY_STORE", str(result.store.root))
    assert lottery_ticket.load_run().id == result.id
    again = lottery_ticket.run("quickstart", overrides=TINY, jobs=1, threads=1)
    assert again.outcome.num_found == 5


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_on_standard_error(tmp_path, capfd, progress):
    more = [*TINY, "arms=[ticket]"]
    lottery_ticket.run("quickstart", overrides=more, store=tmp_path, jobs=1, progress=progress)
    said = capfd.readouterr()
    assert said.out == ""
    assert ("quickstart-" in said.err) == progress


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spec": "quickstrat"}, "did you mean 'quickstart'"),
        ({"spec": {}}, "spec: name: missing"),
        ({"spec": 3}, "a spec is a mapping of keys, got int"),
        ({"spec": None}, "a spec is a mapping of keys, got NoneType"),
        ({"jobs": 0}, "jobs: got 0, wanted at least 1"),
        ({"group": 0}, "group: got 0, wanted at least 1"),
        ({"kernels": "dirct"}, "kernels: got 'dirct'; did you mean 'direct'"),
        ({"kernels": "direct", "group": 4}, "'direct' has no effect on trainings made as one"),
        ({"threads": 0}, "threads: got 0, wanted at least 1"),
        ({"keep": "al"}, "keep: unknown choice 'al'; did you mean 'all'"),
        ({"device": "tpu"}, "device 'tpu' is not available here"),
        ({"overrides": ["train.lr=fast"]}, "wanted a number"),
        ({"overrides": ["train.eval_every=9ep"]}, "eval_every: got '9ep', wanted at most train.du"),
        ({"overrides": ["train.eval_every=153it"]}, "wanted at most train.duration, '8ep' "),
        ({"spec": {"name": "x"}, "overrides": ["seed=1"]}, "overrides go with a preset or file"),
        ({"imports": ["no_such_module"]}, "--import no_such_module: ModuleNotFoundError"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(arguments, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        lottery_ticket.run(**{"spec": "quickstart", "store": tmp_path / "store", **arguments})
    assert not (tmp_path / "store").exists()


def test_failed_cells_are_an_error_that_says_why(tmp_path):
    more = [*TINY, "train.lr=1e30", "arms=[ticket]"]
    with pytest.raises(LotteryError, match="1 cells failed; the others were finished") as error:
        lottery_ticket.run("quickstart", overrides=more, store=tmp_path, jobs=1)
    assert "ticket level 0, replicate 0: " in str(error.value)


SCRIPT = """
from torch import nn
import lottery_ticket

@lottery_ticket.register_model("mine")
class Mine(nn.Sequential):
    def __init__(self, input_size: int, num_classes: int) -> None:
        super().__init__(nn.Linear(input_size, 8), nn.ReLU(), nn.Linear(8, num_classes))

print("once")
result = lottery_ticket.run(
    {
        "name": "script",
        "data": {"name": "digits"},
        "model": {"name": "mine"},
        "train": {"lr": 0.1, "batch_size": 64, "duration": "1ep"},
        "prune": {"rate": 0.5, "levels": 1},
        "arms": ["ticket", "reinit"],
    },
    store="store",
    jobs=2,
)
print(len(result.table), result.outcome.num_made, result.rows[1]["num_kept"])
"""


def test_a_plain_script_without_a_guard_brings_its_own_model_to_the_workers(tmp_path):
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    (tmp_path / "random.py").write_text("1 / 0")  # in nobody's way
    environment = {**os.environ, "LOTTERY_STORE": str(tmp_path / "unused")}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "once\n4 5 296\n"
    names = sorted(path.name for path in Path(tmp_path).iterdir())
    assert names == ["random.py", "scripts", "store"]


@pytest.mark.parametrize(
    ("said", "jobs", "wanted"),
    [("3", 1, 3), ("3,1", 1, 3), ("3", 2, 1), ("", 1, None), ("0", 1, None), ("many", 1, None)],
)
def test_threads_are_those_that_torch_would_take(said, jobs, wanted, monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    context = prepare("quickstart", jobs=jobs, store=tmp_path).context
    assert context.threads == (wanted or num_devices("cpu"))
    assert prepare("quickstart", jobs=jobs, threads=2, store=tmp_path).context.threads == 2
