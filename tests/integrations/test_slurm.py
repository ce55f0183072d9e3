"""Workers that submitit starts: what is submitted, and that nothing is lost where their time ends.

They want submitit alone (`make slurm`): in place of Slurm it starts processes of this machine, and
a signal is sent as Slurm sends it, to every process of a job.
"""

import hashlib
import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lottery_ticket import run
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment import read_progress
from lottery_ticket.integrations.slurm import Started, WorkerArray, parse_sbatch_options
from lottery_ticket.store import Store
from lottery_ticket.workers import status, stop, submit

submitit = pytest.importorskip("submitit", reason="`make slurm` has submitit")
from submitit.core.utils import DelayedSubmission  # noqa: E402

# of submitit's own: files that it leaves to the end of the process
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

PATIENCE_SECONDS = 120.0
SPEC = {
    "name": "drained",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [20, 10]},
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "1500ep"},
    "prune": {"rate": 0.4, "levels": 1},
    "arms": ["ticket"],
    "replicates": 1,
}
QUICK = SPEC | {"train": SPEC["train"] | {"duration": "1ep"}}
FAILING = """
from lottery_ticket import register_model

@register_model("Failing")
def failing(input_size: int = 64, num_classes: int = 10):
    from torch import nn
    net = nn.Sequential(nn.Flatten(), nn.Linear(input_size, num_classes))
    net.register_forward_hook(fail)
    return net

def fail(net, inputs, _):
    if len(inputs[0]) > 2:  # more than what a model is tried with
        raise RuntimeError("as it was told to")
"""


def digests(folder: Path) -> dict[str, str]:
    """Every byte that a run's results consist of."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "cells").rglob("*"))
        if path.is_file() and path.name != "execution.json"
    }


def array(folder: Path, **more) -> WorkerArray:
    """Workers as processes of this machine, with time enough."""
    options = {"num_workers": 1, "minutes": 10, "cluster": "local", "logs": folder / "the logs"}
    return WorkerArray(**options | more)


def wait_for(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def wait_for_end(started: Started) -> None:
    wait_for(lambda: all(job.done() for job in started.jobs))


def descendants(process: int) -> Iterator[int]:
    """The processes that one has started, and so on."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if parent == process:
            yield (child := int(stat.parent.name))
            yield from descendants(child)


def signal_job(started: Started, number: int) -> None:
    """As Slurm does: to every process of the job."""
    for process in list(descendants(int(started.job_id))):
        os.kill(process, number)


def is_under_way(store: Store, run_id: str) -> bool:
    """Whether a training has begun, and is not at its end."""
    shown = [read_progress(store.desk(one.cell)) for one in status(run_id, store=store).working]
    return any(s is not None and 0 < s.step < s.num_steps / 2 for s in shown)


def log(started: Started, name: str = "out") -> str:
    """What a job printed."""
    return (started.folder / f"{started.job_id}_0_log.{name}").read_text()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(SPEC, store=folder, jobs=1, threads=1, progress=False)
    return digests(folder)


def drained(folder: Path) -> tuple[Started, Store, str]:
    """A run of which a worker's time ends while it is at a training."""
    store = Store(folder / "a store")
    run_id = submit(SPEC, store=folder / "a store", threads=1).id
    started = array(folder, work_options=["--jobs", "1"]).start(run_id, store)
    wait_for(lambda: is_under_way(store, run_id))
    signal_job(started, signal.SIGUSR2)
    wait_for_end(started)
    return started, store, run_id


def check_drained(folder: Path, expected: dict[str, str]) -> None:
    """The law: who is told that its time ends checkpoints, gives back and is called again, until
    all is made; no byte differs."""
    started, store, run_id = drained(folder)
    found = status(run_id, store=store)
    assert found.num_finished == found.num_cells, log(started, "err")
    assert "stopped: ticket level" in log(started, "err")
    assert log(started).count("Requeued job") == 1
    assert digests(folder / "a store") == expected


def test_a_worker_whose_time_ends_goes_on_later(tmp_path, undisturbed):
    check_drained(tmp_path, undisturbed)


def test_a_signal_that_kills_what_a_worker_started_is_caught(tmp_path, undisturbed, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import signal\nsignal.pthread_sigmask = lambda how, mask: mask\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(AssertionError):
        check_drained(tmp_path, undisturbed)


def test_a_worker_that_is_terminated_keeps_its_work_and_is_not_called_again(tmp_path, undisturbed):
    """As by `scancel`, in the seconds of grace before all is killed."""
    store = Store(tmp_path / "s")
    run_id = submit(SPEC, store=tmp_path / "s", threads=1).id
    started = array(tmp_path, work_options=["--jobs", "1"]).start(run_id, store)
    wait_for(lambda: is_under_way(store, run_id))
    (cell,) = [one.cell for one in status(run_id, store=store).working]
    signal_job(started, signal.SIGTERM)
    wait_for_end(started)
    assert store.desk(cell).read("checkpoint", 1 << 30)
    found = status(run_id, store=store)
    assert (found.working, found.is_submitted) == ((), True)
    assert "Requeued" not in log(started)
    wait_for_end(array(tmp_path, work_options=["--jobs", "1"]).start(run_id, store))
    assert digests(tmp_path / "s") == undisturbed


def submission(folder: Path, is_refused: bool = False) -> tuple[DelayedSubmission, Started]:
    """What submitit kept of a worker that came to its end by itself."""
    options = ["--data-dir", "nowhere", "--import", "nowhere.py"] if is_refused else []
    run_id = submit(QUICK, store=folder / "s", threads=1).id
    started = array(folder, work_options=options).start(run_id, Store(folder / "s"))
    wait_for_end(started)
    return DelayedSubmission.load(started.jobs[0].paths.submitted_pickle), started


def check_over(kept: DelayedSubmission) -> None:
    """The law: where nothing is left a job ends well, and is not called again."""
    with pytest.raises(SystemExit) as ended:
        kept.function.checkpoint()
    assert ended.value.code == 0


def test_a_complete_run_calls_nobody_again(tmp_path):
    kept, started = submission(tmp_path)
    assert started.jobs[0].result() is None
    check_over(kept)


def test_a_stopped_run_calls_nobody_again_and_one_that_is_open_does(tmp_path):
    kept, started = submission(tmp_path, is_refused=True)
    assert "nowhere.py" in log(started, "err")
    assert "Requeued" not in log(started)
    again = kept.function.checkpoint()
    assert again.function.command == kept.function.command
    with pytest.raises(pytest.fail.Exception):  # the law's mutant: one that is open
        check_over(kept)
    stop("last", store=tmp_path / "s")
    check_over(kept)
    submit(QUICK, store=tmp_path / "s")
    assert kept.function.checkpoint() is not None
    run(QUICK, store=tmp_path / "s", progress=False)
    check_over(kept)


def test_where_all_that_is_left_has_failed_a_worker_ends(tmp_path):
    file = tmp_path / "my models.py"
    file.write_text(FAILING)
    spec = QUICK | {"model": {"name": "Failing"}}
    run_id = submit(spec, store=tmp_path / "s", imports=[str(file)]).id
    started = array(tmp_path, work_options=["--import", str(file)]).start(
        run_id, Store(tmp_path / "s")
    )
    wait_for_end(started)
    assert "as it was told to" in log(started, "err")
    assert log(started).count("Starting with") == 1
    with pytest.raises(submitit.core.utils.UncompletedJobError):
        started.jobs[0].result()


def test_workers_share_a_run(tmp_path):
    run_id = submit(QUICK | {"replicates": 2}, store=tmp_path / "s", threads=1).id
    few = array(tmp_path, num_workers=2, work_options=["--jobs", "1"])
    started = few.start(run_id, Store(tmp_path / "s"))
    wait_for_end(started)
    assert len({job.job_id for job in started.jobs}) == 2
    assert status(run_id, store=tmp_path / "s").is_over


def test_nothing_secret_is_kept_of_a_worker(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hushhush")
    _, started = submission(tmp_path)
    kept = [path.read_bytes() for path in started.folder.iterdir() if path.is_file()]
    assert kept
    assert not [data for data in kept if b"hushhush" in data]


# what is submitted

SCRIPT = """\
#!/bin/bash

# Parameters
#SBATCH --array=0-299%300
#SBATCH --cpus-per-task=4
#SBATCH --error='{logs}/%A_%a_0_log.err'
#SBATCH --exclusive
#SBATCH --gres=gpu:1
#SBATCH --job-name={run}
#SBATCH --nodes=1
#SBATCH --open-mode=append
#SBATCH --output='{logs}/%A_%a_0_log.out'
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=USR2@90
#SBATCH --time=240
"""


def shared(folder: Path) -> Store:
    return Store(folder / "s", claims="lease")


def test_the_script(tmp_path):
    options = parse_sbatch_options(["partition=gpu", "gres=gpu:1", "cpus-per-task=4", "exclusive"])
    logs = tmp_path / "my logs"
    many = WorkerArray(num_workers=300, minutes=240, options=options, logs=logs)
    text = many.script("a-run", shared(tmp_path))
    assert text.startswith(SCRIPT.format(logs=logs / "a-run", run="a-run"))
    command = shlex.split(text.strip().splitlines()[-1])
    assert command[0] == "srun"
    assert "--cpus-per-task=4" in command
    assert command[-5:] == [
        sys.executable,
        "-u",
        "-m",
        "submitit.core._submit",
        str(logs / "a-run"),
    ]
    assert not logs.exists()


@pytest.mark.parametrize(("minutes", "seconds"), [(2, 30), (5, 75), (6, 90), (600, 90)])
def test_workers_are_told_in_time_and_have_time_to_work(tmp_path, minutes, seconds):
    text = WorkerArray(num_workers=1, minutes=minutes).script("a-run", shared(tmp_path))
    assert f"#SBATCH --signal=USR2@{seconds}\n" in text
    assert "--array" not in text


def test_printing_submits_nothing(tmp_path):
    command = [sys.executable, "-m", "lottery_ticket.cli", "submit", "quickstart", "--print-sbatch"]
    options = ["--slurm", "qos=my own", "--workers", "4", "--time", "1:00:00", "--claims", "lease"]
    said = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "#SBATCH --qos='my own'\n#SBATCH --requeue" in said.stdout
    assert said.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_arguments_are_passed_on_as_they_are(tmp_path):
    words = ["--import", "a file's.py", "--device", "cpu", "--data-dir", '/da ta/"$HOME"']
    store = Store(tmp_path / "a store's")
    run_id = submit(QUICK, store=store.location).id
    started = array(tmp_path, work_options=words).start(run_id, store)
    wait_for_end(started)
    kept = DelayedSubmission.load(started.jobs[0].paths.submitted_pickle)
    work = [sys.executable, "-m", "lottery_ticket.cli", "work", "--until-empty"]
    assert list(kept.function.command) == [
        *work, "--run", run_id, "--store", store.location, *words,
    ]  # fmt: skip
    assert pickle.loads(pickle.dumps(kept.function)) == kept.function
    assert "a file's.py" in log(started, "err")


# what cannot be


@pytest.fixture
def commands(tmp_path, monkeypatch) -> Path:
    """The only folder in which commands are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def add_command(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_without_slurm_nothing_is_started(tmp_path, commands):
    several = WorkerArray(num_workers=3, minutes=5, logs=tmp_path / "logs")
    with pytest.raises(UsageError, match="no `sbatch` here; call it where jobs are submitted"):
        several.check(shared(tmp_path))
    add_command(commands, "sbatch", "exit 1")
    with pytest.raises(UsageError, match="no `srun` here"):
        several.check(shared(tmp_path))
    assert not (tmp_path / "logs").exists()


def test_what_slurm_refuses_is_said(tmp_path, commands, capfd):
    add_command(commands, "srun", "exit 1")
    add_command(commands, "sbatch", "echo 'invalid partition specified: gpuu' >&2; exit 1")
    run_id = submit(QUICK, store=tmp_path / "s", claims="lease").id
    several = WorkerArray(num_workers=3, minutes=5, logs=tmp_path / "logs")
    with pytest.raises(LotteryError, match="invalid partition specified: gpuu") as told:
        several.start(run_id, shared(tmp_path))
    assert f"{run_id} is submitted" in str(told.value)
    assert capfd.readouterr().err == ""


def test_one_job_is_submitted_for_all_workers(tmp_path, commands):
    add_command(commands, "srun", "exit 1")
    add_command(commands, "sbatch", "echo Submitted batch job 4711")
    run_id = submit(QUICK, store=tmp_path / "s", claims="lease").id
    several = WorkerArray(num_workers=3, minutes=5, logs=tmp_path / "logs")
    started = several.start(run_id, shared(tmp_path))
    assert (started.job_id, len(started.jobs)) == ("4711", 3)
    script = (started.folder / "4711_submission.sh").read_text()
    assert script == several.script(run_id, shared(tmp_path))
    kept = {path.name for path in started.folder.glob("*.pkl")}
    assert kept == {f"4711_{index}_submitted.pkl" for index in range(3)}


def test_stores_that_nodes_cannot_share_are_refused(tmp_path):
    several = WorkerArray(num_workers=3, minutes=5)
    for refused in (several.script, lambda _, store: several.check(store)):
        with pytest.raises(UsageError, match="use a new store with --claims lease, or one on s3"):
            refused("a-run", Store(tmp_path / "locks"))


@pytest.mark.parametrize("count", [0, -3])
def test_no_workers_are_refused(count):
    with pytest.raises(UsageError, match=f"--workers: got {count}, wanted at least 1"):
        WorkerArray(num_workers=count, minutes=5)
